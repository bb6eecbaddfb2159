#include "tsdb/uploads.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"
#include "io/fs.h"

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static void put_file(struct fs *fs, const char *text)
{
    struct file *f;
    str all = str_z(text);
    uint64_t done;
    EXPECT_OK(fs_open(&f, fs, S("shipper.json"), FS_WRITE | FS_CREATE | FS_TRUNC, NULL));
    EXPECT_OK(file_pwrite(f, &all, 1, 0, &done, NULL));
    file_close(f);
}

TEST(uploads_of_a_file)
{
    static const struct {
        const char *name, *text, *id;
        uint32_t level;
        bool pending;
    } cases[] = {
        { "uploaded", "{\"version\":1,\"uploaded\":[\"01BZZZZZZZZZZZZZZZZZZZZZZZ\"]}",
            "01BZZZZZZZZZZZZZZZZZZZZZZZ", 1, false },
        { "not uploaded", "{\"version\":1,\"uploaded\":[\"01BZZZZZZZZZZZZZZZZZZZZZZZ\"]}",
            "01BZZZZZZZZZZZZZZZZZZZZZZY", 1, true },
        { "compacted already", "{\"version\":1,\"uploaded\":[]}", "01BZZZZZZZZZZZZZZZZZZZZZZY", 2,
            false },
        { "none", "{\"version\":1,\"uploaded\":null}", "01BZZZZZZZZZZZZZZZZZZZZZZY", 1, true },
        { "no list", "{}", "01BZZZZZZZZZZZZZZZZZZZZZZY", 1, true },
        { "no such file", NULL, "01BZZZZZZZZZZZZZZZZZZZZZZY", 1, false },
        { "cut", "{\"uploaded\":[\"01BZ", "01BZZZZZZZZZZZZZZZZZZZZZZY", 1, false },
        { "a text for a list", "{\"uploaded\":\"x\"}", "01BZZZZZZZZZZZZZZZZZZZZZZY", 1, false },
    };
    log_capture(log_nothing, NULL);
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct fs *fs = fs_real_new(str_z(test_tmpdir()));
        struct block_meta m = { .level = c->level };
        EXPECT(ulid_parse(str_z(c->id), &m.id));
        if (fs_exists(fs, S("shipper.json"))) EXPECT_OK(fs_unlink(fs, S("shipper.json"), NULL));
        if (c->text) put_file(fs, c->text);
        struct uploads *u = uploads_new(arena_fmt(&a, "%s/shipper.json", test_tmpdir()));
        EXPECT_EQ(uploads_pending(u, &m), c->pending);
        uploads_free(u);
        fs_free(fs);
        arena_fini(&a);
    }
    EXPECT(!uploads_pending(NULL, &(struct block_meta){ .level = 1 }));
    log_capture(NULL, NULL);
}

TEST(uploads_are_read_once_a_minute)
{
    struct arena a = { 0 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct block_meta m = { .level = 1 };
    EXPECT(ulid_parse(S("01BZZZZZZZZZZZZZZZZZZZZZZY"), &m.id));
    clock_fake_set(1000000);
    struct uploads *u = uploads_new(arena_fmt(&a, "%s/shipper.json", test_tmpdir()));
    put_file(fs, "{\"uploaded\":[]}");
    EXPECT(uploads_pending(u, &m));
    put_file(fs, "{\"uploaded\":[\"01BZZZZZZZZZZZZZZZZZZZZZZY\"]}");
    clock_fake_advance(59000);
    EXPECT(uploads_pending(u, &m));
    clock_fake_advance(1000);
    EXPECT(!uploads_pending(u, &m));
    clock_fake_off();
    uploads_free(u);
    fs_free(fs);
    arena_fini(&a);
}
