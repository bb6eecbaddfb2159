#include "io/descriptors.h"

#include "io/page_cache.h"
#include "io/reader.h"
#include "io/thread.h"

#include "base/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* Larger than a private read: each pin reads the file. */
enum { FILES = 8, SIZE = (1 << 20) + 4096, LIMIT = 2 };

static uint8_t byte_of(size_t file) { return (uint8_t)(file * 31 + 7); }

static void put(struct fs *fs, str path, size_t file)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    uint8_t *p = arena_alloc(&a, SIZE);
    memset(p, byte_of(file), SIZE);
    EXPECT_OK(fs_write_cache(fs, path, str_of(p, SIZE), NULL));
}

static str path_of(struct arena *a, size_t file) { return arena_fmt(a, "d/%zu", file); }

static struct reader *open_one(struct fs *fs, str path)
{
    struct reader *r = NULL;
    struct read_as as = { IO_BUFFERED, IO_CHUNKS, IO_RANDOM };
    EXPECT_OK(reader_open(&r, fs, path, as, NULL));
    return r;
}

/* OK: all of it was read, and is what was put. */
static errc read_one(struct reader *r, size_t file, struct err *e)
{
    struct pin p = { 0 };
    TRY(reader_pin(r, 0, SIZE, &p, e));
    bool same = p.bytes.p[0] == byte_of(file) && p.bytes.p[SIZE - 1] == byte_of(file);
    TRY(reader_unpin(&p, e));
    return same ? OK : err_set(e, ERR_CORRUPT, "bytes of another file");
}

struct pool_rig {
    struct fs *fs;
    struct arena mem;
    struct reader *at[FILES];
};

static void rig_open(struct pool_rig *g)
{
    *g = (struct pool_rig){ .fs = fs_real_new(str_z(test_tmpdir())) };
    descriptors_set_limit(LIMIT);
    EXPECT_OK(fs_mkdir(g->fs, STR_EMPTY, NULL));
    EXPECT_OK(fs_mkdir(g->fs, S("d"), NULL));
    for (size_t i = 0; i < FILES; i++) {
        put(g->fs, path_of(&g->mem, i), i);
        g->at[i] = open_one(g->fs, path_of(&g->mem, i));
    }
    if (descriptors_stats().files != FILES)
        test_skip("this file system tells no time of birth: descriptors stay open here");
}

static void rig_close(struct pool_rig *g)
{
    for (size_t i = 0; i < FILES; i++) reader_close(g->at[i]);
    EXPECT_EQ(descriptors_stats().files, 0);
    EXPECT_EQ(descriptors_stats().open, 0);
    descriptors_set_limit(0);
    arena_fini(&g->mem);
    fs_free(g->fs);
}

TEST(descriptors_keep_their_limit)
{
    struct pool_rig g;
    rig_open(&g);
    struct descriptor_stats was = descriptors_stats();
    EXPECT_EQ(was.limit, LIMIT);
    EXPECT_EQ(was.open, LIMIT);
    for (size_t i = 0; i < 3 * FILES; i++) {
        EXPECT_OK(read_one(g.at[i % FILES], i % FILES, NULL));
        EXPECT(descriptors_stats().open <= LIMIT);
    }
    struct descriptor_stats now = descriptors_stats();
    EXPECT(now.reopened >= was.reopened + 2 * FILES);
    EXPECT_EQ(now.reopened - was.reopened, now.closed - was.closed);
    descriptors_set_limit(FILES);
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < FILES; i++) EXPECT_OK(read_one(g.at[i], i, NULL));
    EXPECT_EQ(descriptors_stats().open, FILES);
    EXPECT(descriptors_relieve());
    EXPECT_EQ(descriptors_stats().open, 0);
    EXPECT(!descriptors_relieve());
    EXPECT_OK(reader_refresh(g.at[0], NULL)); /* its size is asked for by descriptor, too */
    EXPECT_EQ(descriptors_stats().open, 1);
    rig_close(&g);
}

/* One that is read again and again stays, while the others come and go. */
TEST(descriptors_close_what_was_not_used)
{
    struct pool_rig g;
    rig_open(&g);
    descriptors_set_limit(4);
    uint64_t before = 0;
    for (size_t i = 0; i < 70; i++) {
        if (i == 10) before = descriptors_stats().reopened;
        EXPECT_OK(read_one(g.at[0], 0, NULL));
        EXPECT_OK(read_one(g.at[1 + i % (FILES - 1)], 1 + i % (FILES - 1), NULL));
    }
    /* 60 reads of the others, and none of the first */
    EXPECT(descriptors_stats().reopened - before <= 60);
    rig_close(&g);
}

TEST(descriptors_open_what_is_deleted_or_moved)
{
    struct pool_rig g;
    rig_open(&g);
    struct fs *other = fs_real_new(str_z(test_tmpdir()));
    descriptors_relieve();
    EXPECT_OK(fs_unlink(g.fs, path_of(&g.mem, 0), NULL));
    EXPECT_OK(fs_unlink(other, path_of(&g.mem, 1), NULL)); /* by another way to the folder */
    put(g.fs, S("new"), 77);
    EXPECT_OK(fs_rename(g.fs, S("new"), path_of(&g.mem, 2), NULL)); /* replaced */
    EXPECT_OK(fs_rename(g.fs, S("d"), S("gone"), NULL));
    put(g.fs, S("dd"), 78);
    EXPECT_OK(fs_remove_tree(g.fs, S("gone"), NULL));
    for (size_t i = 0; i < FILES; i++) EXPECT_OK(read_one(g.at[i], i, NULL));
    /* they cannot be opened again, so they are not closed */
    EXPECT(!descriptors_relieve());
    EXPECT_EQ(descriptors_stats().open, FILES);
    for (size_t i = 0; i < FILES; i++) EXPECT_OK(read_one(g.at[i], i, NULL));
    fs_free(other);
    rig_close(&g);
}

/* By who does not tell us: an error, and never another file's bytes, though the number of its inode
 * is likely to be given again. */
TEST(descriptors_tell_a_file_from_its_successor)
{
    struct pool_rig g;
    rig_open(&g);
    struct err e = { 0 };
    descriptors_relieve();
    for (size_t i = 0; i < 2; i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        str path = arena_fmt(&a, "%s/d/%zu", test_tmpdir(), i);
        EXPECT_EQ(unlink((const char *)path.p), 0);
    }
    put(g.fs, path_of(&g.mem, 0), 0); /* what is in it does not count */
    EXPECT_EQ(read_one(g.at[0], 0, &e), ERR_IO);
    EXPECT_STR(err_str(&e), S("open d/0 again: it was removed or replaced"));
    EXPECT_EQ(read_one(g.at[1], 1, &e), ERR_IO);
    EXPECT_EQ(reader_refresh(g.at[1], &e), ERR_IO);
    EXPECT_OK(read_one(g.at[2], 2, NULL));
    rig_close(&g);
}

struct asking {
    struct pool_rig *g;
    uint64_t seed;
    _Atomic uint64_t wrong;
};
static void ask(void *ctx)
{
    struct asking *q = ctx;
    struct prng rng = { q->seed };
    for (int i = 0; i < 150; i++) {
        size_t file = (size_t)prng_below(&rng, FILES);
        if (read_one(q->g->at[file], file, NULL) != OK) q->wrong++;
    }
}

/* Opens, reads once and closes files whose folder comes and goes. */
static void come_and_go(void *ctx)
{
    struct asking *q = ctx;
    struct fs *fs = q->g->fs;
    SCOPED(arena_fini) struct arena a = { 0 };
    for (size_t i = 0; i < 25; i++) {
        str dir = arena_fmt(&a, "%" PRIu64 "-%zu", q->seed, i), path = path_join(&a, dir, S("f"));
        bool ok = fs_mkdir(fs, dir, NULL) == OK;
        put(fs, path, i);
        struct reader *r = open_one(fs, path);
        str gone = arena_fmt(&a, "%.*s.gone", STR_ARG(dir));
        ok = ok && fs_rename(fs, dir, gone, NULL) == OK && read_one(r, i, NULL) == OK &&
             fs_remove_tree(fs, gone, NULL) == OK && read_one(r, i, NULL) == OK;
        if (!ok) q->wrong++;
        reader_close(r);
    }
}

TEST(descriptors_between_threads)
{
    enum { THREADS = 4 };
    struct pool_rig g;
    struct asking q[THREADS];
    struct thread *threads[THREADS];
    rig_open(&g);
    for (size_t i = 0; i < THREADS; i++) {
        q[i] = (struct asking){ &g, test_seed() + i, 0 };
        threads[i] = thread_start("asks", i % 2 ? ask : come_and_go, &q[i]);
    }
    for (int i = 0; i < 100; i++) descriptors_set_limit(1 + (uint64_t)i % 3);
    EXPECT_OK(fs_remove_tree(g.fs, S("d"), NULL)); /* below those who read */
    for (size_t i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        EXPECT_EQ(q[i].wrong, 0);
    }
    rig_close(&g);
}

TEST(descriptors_have_a_limit_of_their_own_accord)
{
    descriptors_set_limit(0);
    uint64_t was = descriptors_stats().limit;
    EXPECT(was > 0);
    descriptors_allow();
    EXPECT(descriptors_stats().limit >= was);
}
