#include "io/choice.h"

#include "base/log.h"
#include "base/test.h"
#include "io/fs_sim.h"

TEST(io_plan_texts)
{
    static const struct {
        const char *name;
        str text;
        const char *words[IO_KINDS];
        const char *filled; /* a letter a kind */
    } cases[] = {
        { "one word", S("direct"), { "direct", "direct", "direct", "direct", "auto" } },
        { "auto", S("auto"), { "auto", "auto", "auto", "auto", "auto" } },
        { "by kind", S("index=mmap,chunks=direct"), { "mmap", "direct", "auto", "auto", "auto" } },
        { "all", S("header=buffered,head=mmap,log=buffered,index=auto"),
            { "auto", "auto", "mmap", "buffered", "buffered" } },
        { "the last one counts", S("index=mmap+populate,index=direct"),
            { "direct", "auto", "auto", "auto", "auto" } },
        { "filled", S("mmap+populate"), { "mmap", "mmap", "mmap", "mmap", "auto" }, "yyyyn" },
        { "filled by kind", S("header=mmap+populate,index=mmap"),
            { "mmap", "auto", "auto", "mmap", "auto" }, "nnnyn" },
    };
    TEST_EACH (c, cases) {
        struct io_plan p = { 0 };
        EXPECT_OK(io_plan_parse(&p, c->text, NULL));
        for (size_t k = 0; k < IO_KINDS; k++) {
            EXPECT_STR(str_z(io_backend_word(p.of[k])), str_z(c->words[k]));
            EXPECT_EQ(p.populate[k], c->filled && c->filled[k] == 'y');
        }
    }
    static const struct {
        const char *name;
        str text, why;
    } bad[] = {
        { "no word", S("maps"),
            S("\"maps\" is none of auto, mmap, mmap+populate, buffered, direct") },
        { "no kind", S("wal=mmap"),
            S("\"wal\" is no kind of file: index, chunks, head, header, log") },
        { "only maps are filled", S("chunks=buffered+populate"),
            S("\"buffered+populate\" is none of auto, mmap, mmap+populate, buffered, direct") },
        { "no word of a kind", S("index=mmap,head="),
            S("\"\" is none of auto, mmap, mmap+populate, buffered, direct") },
        { "nothing", S(""), S("\"\" is none of auto, mmap, mmap+populate, buffered, direct") },
    };
    TEST_EACH (c, bad) {
        struct io_plan p = { 0 };
        struct err e = { 0 };
        EXPECT_EQ(io_plan_parse(&p, c->text, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), c->why);
    }
}

TEST(io_choices)
{
    static const uint64_t GB = 1 << 30;
    static const struct {
        const char *name;
        struct io_facts facts;
        enum io_backend want;
        str says;
    } cases[] = {
        { "nothing to map", { IO_CHUNKS, false, false, 1, 2, 3 }, IO_BUFFERED, S("to map") },
        { "FUSE", { IO_INDEX, true, true, 1, 2, 3 }, IO_BUFFERED, S("FUSE") },
        { "header", { IO_HEADER, true, false, 1, GB, 80000 }, IO_BUFFERED, S("index-headers") },
        { "slow disk", { IO_CHUNKS, true, false, GB, GB, 12000000 }, IO_BUFFERED, S("12000 us") },
        { "much data", { IO_CHUNKS, true, false, GB, GB, 80000 }, IO_DIRECT, S("1.0 GiB open") },
        { "much, not measured", { IO_CHUNKS, true, false, GB, GB, 0 }, IO_MMAP, S("not meas") },
        { "much index", { IO_INDEX, true, false, GB, GB, 80000 }, IO_MMAP, S("80 us") },
        { "little data", { IO_CHUNKS, true, false, GB, 4 * GB, 80000 }, IO_MMAP, S("80 us") },
        { "memory unknown", { IO_CHUNKS, true, false, GB, 0, 80000 }, IO_MMAP, S("local") },
    };
    TEST_EACH (c, cases) {
        struct io_choice got;
        io_choice_of(&got, &c->facts);
        EXPECT_EQ(got.backend, c->want);
        EXPECT(str_find(str_z(got.why), c->says) != SIZE_MAX);
    }
}

static void reasons_count(void *ctx, enum log_level level, str line)
{
    (void)level;
    *(unsigned *)ctx += str_find(line, S("backend of storage reads chosen")) != SIZE_MAX;
}

static void open_and_close(struct fs *fs)
{
    struct reader *r = NULL;
    EXPECT_OK(reader_open(&r, fs, S("f"), (struct read_as){ IO_AUTO, IO_INDEX, IO_RANDOM }, NULL));
    reader_close(r);
}

/* A reason with other figures is the same one. */
TEST(io_auto_logs_each_reason_once)
{
    unsigned told = 0;
    struct fs *sim = fs_sim_new(test_seed());
    struct fs *each[] = { sim, fs_real_new(str_z(test_tmpdir())) };
    log_capture(reasons_count, &told);
    for (size_t round = 1; round <= 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(each); i++) {
            struct file *f = NULL;
            EXPECT_OK(fs_open(&f, each[i], S("f"), FS_WRITE | FS_CREATE, NULL));
            EXPECT_OK(file_truncate(f, round << 20, NULL));
            file_close(f);
            open_and_close(each[i]);
        }
        EXPECT_EQ(told, 2); /* nothing to map, and a local file system */
    }
    struct io_plan filled = { .of = { [IO_INDEX] = IO_MMAP }, .populate = { [IO_INDEX] = true } };
    struct io_plan was = { 0 };
    io_plan_set(&filled);
    io_plan_memory((uint64_t)1 << 30);
    for (unsigned i = 0; i < 2; i++) open_and_close(each[1]);
    EXPECT_EQ(told, 3);
    io_plan_memory(1 << 20);
    for (unsigned i = 0; i < 2; i++) open_and_close(each[1]);
    EXPECT_EQ(told, 4);
    io_plan_set(&was);
    io_plan_memory(0);
    log_capture(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(each); i++) fs_free(each[i]);
}

TEST(io_auto_tells_what_it_chose)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    struct io_state states[IO_STATES_MAX];
    struct file *f = NULL;
    uint64_t size = 4 << 20;
    EXPECT_OK(fs_open(&f, fs, S("f"), FS_WRITE | FS_CREATE, NULL));
    EXPECT_OK(file_truncate(f, size, NULL));
    file_close(f);
    EXPECT_EQ(io_states(states), 0);
    EXPECT_OK(reader_open(&r, fs, S("f"), (struct read_as){ IO_AUTO, IO_HEADER, IO_RANDOM }, NULL));
    EXPECT_EQ(reader_backend(r), IO_BUFFERED);
    EXPECT_EQ(io_states(states), 1);
    EXPECT_EQ(states[0].kind, IO_HEADER);
    EXPECT_EQ(states[0].runs, IO_BUFFERED);
    EXPECT_EQ(states[0].files, 1);
    EXPECT_EQ(states[0].bytes, size);
    EXPECT(states[0].why[0] != 0);
    reader_close(r);
    EXPECT_EQ(io_states(states), 0);
    fs_free(fs);
}
