#include "io/choice.h"
#include "io/fs_sim.h"
#include "io/page_cache.h"
#include "io/proc.h"
#include "io/reader.h"
#include "io/ring.h"
#include "io/thread.h"
#include "io/work.h"

#include "base/test.h"

static const enum io_backend backends[] = { IO_MMAP, IO_BUFFERED, IO_DIRECT };

static struct read_as as(enum io_backend b, enum io_pattern pattern)
{
    return (struct read_as){ b, IO_CHUNKS, pattern };
}

/* The folder of a test may lie where direct I/O is refused; then buffered runs in its place. */
static bool runs_as(const struct reader *r, enum io_backend b)
{
    return reader_backend(r) == b || (b == IO_DIRECT && reader_backend(r) == IO_BUFFERED);
}

static uint8_t byte_at(size_t i) { return (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16)); }

static void put(struct fs *fs, str path, size_t from, size_t to)
{
    uint8_t *p = mem_alloc(to - from);
    for (size_t i = from; i < to; i++) p[i - from] = byte_at(i);
    struct file *f = NULL;
    str s = str_of(p, to - from);
    EXPECT_OK(fs_open(&f, fs, path, FS_WRITE | FS_CREATE, NULL));
    EXPECT_OK(file_pwrite(f, &s, 1, from, NULL, NULL));
    file_close(f);
    mem_free(p);
}

static void expect_range(struct reader *r, uint64_t off, size_t n)
{
    struct pin p = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(reader_pin(r, off, n, &p, &e), &e);
    EXPECT_EQ(p.bytes.n, n);
    for (size_t i = 0; i < n; i++)
        if (p.bytes.p[i] != byte_at(off + i))
            test_fail(__FILE__, __LINE__, "byte %zu differs", off + i);
    EXPECT_OK(reader_unpin(&p, NULL));
    EXPECT_OK(reader_unpin(&p, NULL)); /* the zero pin is fine */
}

TEST(reader_gives_every_range)
{
    enum { SIZE = 3 << 20 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct prng rng = { test_seed() };
    put(fs, S("f"), 0, SIZE);
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        for (enum io_pattern pattern = IO_RANDOM; pattern <= IO_PASSING; pattern++) {
            struct reader *r = NULL;
            EXPECT_OK(reader_open(&r, fs, S("f"), as(backends[b], pattern), NULL));
            EXPECT(runs_as(r, backends[b]));
            EXPECT_EQ(reader_size(r), SIZE);
            expect_range(r, 0, SIZE);
            expect_range(r, SIZE, 0);
            expect_range(r, SIZE - 1, 1);
            for (int i = 0; i < 300; i++) {
                uint64_t off = prng_below(&rng, SIZE);
                expect_range(
                    r, off, (size_t)prng_below(&rng, MIN(SIZE - off, i % 10 ? 5000u : 400000u)));
            }
            struct pin p = { 0 };
            struct err e = { 0 };
            EXPECT_EQ(reader_pin(r, SIZE - 4, 5, &p, &e), ERR_CORRUPT);
            EXPECT_STR(err_str(&e), S("f: 5 bytes at 3145724 reach past the end at 3145728"));
            EXPECT_EQ(reader_pin(r, UINT64_MAX, 2, &p, NULL), ERR_CORRUPT);
            EXPECT(!p.reader);
            reader_close(r);
        }
    }
    /* closed readers leave nothing behind */
    EXPECT_EQ(cache_stats().size_bytes, 0);
    fs_free(fs);
}

TEST(reader_copies_into_several_places)
{
    enum { SIZE = 200000, GAP = 300 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct prng rng = { test_seed() };
    uint8_t *room = mem_alloc(SIZE);
    put(fs, S("f"), 0, SIZE);
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        struct reader *r = NULL;
        struct err e = { 0 };
        EXPECT_OK(reader_open(&r, fs, S("f"), as(backends[b], IO_RANDOM), NULL));
        for (int i = 0; i < 100; i++) {
            size_t n = 1 + (size_t)prng_below(&rng, (SIZE - GAP) / 2),
                   off = (size_t)prng_below(&rng, SIZE - GAP - 2 * n + 1);
            const struct byte_span to[] = { { room, n }, { NULL, GAP }, { room + n, n } };
            EXPECT_OK_E(reader_copy(r, off, (struct spans){ to, ARRAY_LEN(to) }, &e), &e);
            for (size_t k = 0; k < 2 * n; k++)
                if (room[k] != byte_at(off + k + (k < n ? 0 : GAP)))
                    test_fail(__FILE__, __LINE__, "byte %zu of %zu at %zu differs", k, n, off);
        }
        const struct byte_span past = { room, 5 };
        EXPECT_EQ(reader_copy(r, SIZE - 4, (struct spans){ &past, 1 }, &e), ERR_CORRUPT);
        EXPECT_STR(err_str(&e), S("f: 5 bytes at 199996 reach past the end at 200000"));
        /* of a buffered file nothing is kept */
        if (reader_backend(r) == IO_BUFFERED) EXPECT_EQ(cache_stats().size_bytes, 0);
        reader_close(r);
    }
    mem_free(room);
    fs_free(fs);
}

static uint64_t mapped_bytes(void)
{
    struct proc_sample now;
    proc_read(&now);
    EXPECT(now.rss_file_bytes > 0);
    return now.rss_file_bytes;
}

/* Of a file that was opened as the plan has it, and not looked at yet. */
static bool is_filled(struct fs *fs, enum io_pattern pattern, uint64_t size)
{
    struct reader *r = NULL;
    uint64_t before = mapped_bytes();
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_AUTO, pattern), NULL));
    EXPECT_EQ(reader_backend(r), IO_MMAP);
    uint64_t now = mapped_bytes();
    reader_close(r);
    return now > before + size / 2;
}

TEST(reader_mmap_fills_its_map_when_asked)
{
    enum { SIZE = 16 << 20 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct io_plan plan = { .of[IO_CHUNKS] = IO_MMAP, .populate[IO_CHUNKS] = true };
    put(fs, S("f"), 0, SIZE);
    io_plan_set(&plan);
    EXPECT(is_filled(fs, IO_RANDOM, SIZE));
    /* what is read once is not filled, and nothing that is too large for the memory there is */
    EXPECT(!is_filled(fs, IO_PASSING, SIZE));
    io_plan_memory(2 * SIZE - 1);
    EXPECT(!is_filled(fs, IO_RANDOM, SIZE));
    io_plan_memory(2 * SIZE);
    EXPECT(is_filled(fs, IO_RANDOM, SIZE));
    io_plan_memory(0);
    io_plan_set(&(struct io_plan){ 0 });
    EXPECT(!is_filled(fs, IO_RANDOM, SIZE));
    fs_free(fs);
}

/* A page that is gone is no matter of filling. */
TEST(reader_mmap_fills_what_is_there)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct io_plan plan = { .of[IO_CHUNKS] = IO_MMAP, .populate[IO_CHUNKS] = true };
    struct reader *r = NULL;
    put(fs, S("f"), 0, 0);
    io_plan_set(&plan);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_AUTO, IO_RANDOM), NULL));
    put(fs, S("f"), 0, 3 << 20);
    EXPECT_OK(reader_refresh(r, NULL));
    expect_range(r, 5000, 2 << 20);
    reader_close(r);
    io_plan_set(&(struct io_plan){ 0 });
    fs_free(fs);
}

/* All of a file that is looked at in passing is never in memory at once. */
TEST(reader_mmap_leaves_what_it_passed)
{
    enum { SIZE = 32 << 20, STEP = 50000 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    uint64_t most = 0;
    put(fs, S("f"), 0, SIZE);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_MMAP, IO_PASSING), NULL));
    uint64_t before = mapped_bytes();
    for (uint64_t off = 0; off + STEP <= SIZE; off += STEP) {
        expect_range(r, off, STEP);
        if (off % (10 * STEP) == 0) most = MAX(most, mapped_bytes());
    }
    EXPECT(most < before + (12 << 20));
    reader_close(r);
    fs_free(fs);
}

TEST(reader_follows_a_file_that_grows)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        str path = arena_fmt(&a, "grow%zu", b);
        put(fs, path, 0, 0);
        struct reader *r = NULL;
        struct pin early = { 0 };
        EXPECT_OK(reader_open(&r, fs, path, as(backends[b], IO_SEQUENTIAL), NULL));
        EXPECT_EQ(reader_size(r), 0);
        for (size_t n = 0; n < 5u << 20; n = n * 3 / 2 + 1000) {
            size_t was = (size_t)reader_size(r);
            put(fs, path, was, n + 1000);
            EXPECT_EQ(reader_size(r), was);
            EXPECT_OK(reader_refresh(r, NULL));
            EXPECT_EQ(reader_size(r), n + 1000);
            expect_range(r, was ? was - 1 : 0, n + 1000 - (was ? was - 1 : 0));
            if (!early.reader) EXPECT_OK(reader_pin(r, 0, 500, &early, NULL));
        }
        reader_close(r); /* the pin keeps what it needs */
        for (size_t i = 0; i < 500; i++) EXPECT_EQ(early.bytes.p[i], byte_at(i));
        EXPECT_OK(reader_unpin(&early, NULL));
    }
    fs_free(fs);
}

static void cut(struct fs *fs, str path, uint64_t size)
{
    struct file *f = NULL;
    EXPECT_OK(fs_open(&f, fs, path, FS_WRITE, NULL));
    EXPECT_OK(file_truncate(f, size, NULL));
    file_close(f);
}

TEST(reader_mmap_survives_a_file_cut_under_the_map)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    struct pin head = { 0 }, tail = { 0 }, again = { 0 };
    struct err e = { 0 };
    put(fs, S("f"), 0, 100000);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_MMAP, IO_RANDOM), NULL));
    EXPECT_OK(reader_pin(r, 0, 100, &head, NULL));
    EXPECT_OK(reader_pin(r, 50000, 50000, &tail, NULL));
    cut(fs, S("f"), 8192);
    size_t sum = 0;
    for (size_t i = 0; i < tail.bytes.n; i++) sum += tail.bytes.p[i];
    /* zeros where there is no file any more */
    EXPECT_EQ(sum, 0);
    EXPECT_EQ(head.bytes.p[7], byte_at(7));
    EXPECT_EQ(reader_unpin(&tail, &e), ERR_IO);
    EXPECT_STR(err_str(&e), S("f: a mapped page could not be read"));
    EXPECT_EQ(reader_unpin(&head, NULL), ERR_IO); /* the fault is the whole reader's */
    EXPECT_EQ(reader_pin(r, 0, 1, &again, NULL), ERR_IO);
    reader_close(r);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_MMAP, IO_RANDOM), NULL));
    expect_range(r, 0, 8192);
    reader_close(r);
    fs_free(fs);
}

TEST(readers_see_a_file_cut_short)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    for (size_t b = 1; b < ARRAY_LEN(backends); b++) {
        struct reader *r = NULL;
        struct pin p = { 0 };
        put(fs, S("f"), 0, 3000000);
        EXPECT_OK(reader_open(&r, fs, S("f"), as(backends[b], IO_RANDOM), NULL));
        cut(fs, S("f"), 1000);
        EXPECT_EQ(reader_pin(r, 50000, 10, &p, NULL), ERR_IO);
        EXPECT_EQ(reader_pin(r, 50000, 100000, &p, NULL), ERR_IO);
        EXPECT_EQ(reader_pin(r, 50000, 2000000, &p, NULL), ERR_IO);
        uint8_t room[10];
        const struct byte_span to = { room, sizeof(room) };
        EXPECT_EQ(reader_copy(r, 50000, (struct spans){ &to, 1 }, NULL), ERR_IO);
        expect_range(r, 0, 1000);
        reader_close(r);
    }
    fs_free(fs);
}

TEST(page_cache_stays_within_its_limit_and_survives_a_scan)
{
    enum { EXTENT = 16 << 10, HOT = 32, SIZE = 64 << 20, LIMIT = 8 << 20 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    put(fs, S("f"), 0, SIZE);
    cache_set_limit(LIMIT);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_BUFFERED, IO_RANDOM), NULL));
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < HOT; i++) expect_range(r, i * EXTENT, 64);
    for (size_t i = HOT; i < SIZE / EXTENT; i++) {
        expect_range(r, i * EXTENT, 16);
        EXPECT(cache_stats().size_bytes <= LIMIT);
    }
    struct cache_stats before = cache_stats();
    for (size_t i = 0; i < HOT; i++) expect_range(r, i * EXTENT, 64);
    struct cache_stats after = cache_stats();
    /* the hot extents outlived a scan of eight times the cache */
    EXPECT_EQ(after.misses, before.misses);
    EXPECT_EQ(after.hits - before.hits, HOT);
    EXPECT(after.evictions > 0);
    struct pin p = { 0 };
    EXPECT_OK(reader_pin(r, 0, 100, &p, NULL));
    cache_set_limit(0); /* a pinned frame stays */
    EXPECT_EQ(p.bytes.p[99], byte_at(99));
    EXPECT_EQ(cache_stats().size_bytes, EXTENT);
    EXPECT_OK(reader_unpin(&p, NULL));
    cache_set_limit(256u << 20);
    reader_close(r);
    fs_free(fs);
}

TEST(page_cache_is_as_large_as_it_is_set)
{
    cache_set_most(3 << 20);
    EXPECT_EQ(cache_stats().limit_bytes, 3 << 20);
    cache_set_most(0);
    EXPECT_EQ(cache_stats().limit_bytes, 40 << 20);
}

TEST(page_cache_tells_when_its_bytes_were_changed)
{
#ifdef EPI_FAULTS
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    struct pin p = { 0 }, q = { 0 };
    put(fs, S("f"), 0, 1000);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_BUFFERED, IO_RANDOM), NULL));
    EXPECT_OK(reader_pin(r, 0, 10, &p, NULL));
    uint8_t *scribble = (uint8_t *)(uintptr_t)p.bytes.p;
    scribble[500] ^= 1;
    EXPECT_EQ(reader_pin(r, 0, 10, &q, NULL), ERR_CORRUPT);
    scribble[500] ^= 1;
    EXPECT_OK(reader_unpin(&p, NULL));
    expect_range(r, 0, 1000);
    reader_close(r);
    fs_free(fs);
#endif
}

/* ---- direct ---- */

TEST(reader_direct_falls_back_where_there_is_no_disk)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct reader *r = NULL;
    put(fs, S("f"), 0, 100000);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_DIRECT, IO_RANDOM), NULL));
    EXPECT_EQ(reader_backend(r), IO_BUFFERED);
    EXPECT(!reader_wants(r));
    reader_want(r, 0, 100000); /* means nothing here */
    expect_range(r, 500, 99000);
    reader_close(r);
    EXPECT_EQ(reader_open(&r, fs, S("g"), as(IO_DIRECT, IO_RANDOM), NULL), ERR_NOT_FOUND);
    fs_free(fs);
}

TEST(reader_direct_has_many_reads_in_flight)
{
    enum { SIZE = 8 << 20, STEP = 256 << 10, EXTENT = 16 << 10 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    put(fs, S("f"), 0, SIZE);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_DIRECT, IO_RANDOM), NULL));
    if (reader_backend(r) == IO_DIRECT) {
        struct ring_stats before = ring_stats();
        for (uint64_t at = 0; at < SIZE; at += STEP) reader_want(r, at + 100, 3 * EXTENT);
        struct io_count was = io_work.by[IO_DIRECT];
        uint64_t missed = io_work.missed_bytes;
        for (uint64_t at = 0; at < SIZE; at += STEP) expect_range(r, at + 100, 2 * EXTENT);
        /* they came from the disk, if ahead; for who pins them again they do not */
        EXPECT_EQ(io_work.missed_bytes - missed, SIZE / STEP * 2 * EXTENT);
        for (uint64_t at = 0; at < SIZE; at += STEP) expect_range(r, at + 100, 2 * EXTENT);
        EXPECT_EQ(io_work.missed_bytes - missed, SIZE / STEP * 2 * EXTENT);
        struct ring_stats after = ring_stats();
        /* four extents came by one read, and every pin found its bytes */
        EXPECT_EQ(after.reads - before.reads, SIZE / STEP);
        EXPECT(after.batches - before.batches <= SIZE / STEP);
        EXPECT_EQ(io_work.by[IO_DIRECT].misses, was.misses);
        reader_want(r, SIZE - 10, UINT64_MAX);
        reader_want(r, SIZE + 10, 5);
        reader_want(r, 0, SIZE); /* closed while it is under way */
    }
    reader_close(r);
    EXPECT_EQ(cache_stats().size_bytes, 0);
    fs_free(fs);
}

TEST(reader_direct_reads_ahead_in_sequence)
{
    enum { SIZE = 16 << 20, STEP = 5000 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    put(fs, S("f"), 0, SIZE);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_DIRECT, IO_SEQUENTIAL), NULL));
    if (reader_backend(r) == IO_DIRECT) {
        struct io_count was = io_work.by[IO_DIRECT];
        for (uint64_t at = 0; at + STEP < SIZE; at += STEP) expect_range(r, at, STEP);
        EXPECT_EQ(io_work.by[IO_DIRECT].misses, was.misses);
        expect_range(r, 100, STEP); /* back again */
    }
    reader_close(r);
    fs_free(fs);
}

struct reading {
    struct reader *r;
    uint64_t seed;
};
static void read_ranges(void *ctx)
{
    const struct reading *g = ctx;
    struct prng rng = { g->seed };
    for (int i = 0; i < 200; i++) {
        uint64_t size = reader_size(g->r), off = prng_below(&rng, size),
                 n = prng_below(&rng, MIN(size - off, (uint64_t)60000));
        if (i % 3 == 0) reader_want(g->r, off, n + 100000);
        struct pin p = { 0 };
        EXPECT_OK(reader_pin(g->r, off, (size_t)n, &p, NULL));
        for (size_t k = 0; k < n; k += 977) EXPECT_EQ(p.bytes.p[k], byte_at((size_t)off + k));
        EXPECT_OK(reader_check(&p, NULL));
        EXPECT_OK(reader_unpin(&p, NULL));
    }
}

TEST(readers_share_the_cache_between_threads)
{
    enum { SIZE = 4 << 20, THREADS = 4 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    put(fs, S("f"), 0, SIZE);
    cache_set_limit(1 << 20); /* much is read more than once */
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        struct reader *r = NULL;
        struct reading g[THREADS];
        struct thread *threads[THREADS];
        EXPECT_OK(reader_open(&r, fs, S("f"), as(backends[b], IO_RANDOM), NULL));
        for (size_t i = 0; i < THREADS; i++) {
            g[i] = (struct reading){ r, test_seed() + i };
            threads[i] = thread_start("reads", read_ranges, &g[i]);
        }
        for (size_t i = 0; i < THREADS; i++) thread_join(threads[i]);
        reader_close(r);
    }
    cache_set_limit(256u << 20);
    fs_free(fs);
}

TEST(reader_check_finds_what_was_changed_in_memory)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    put(fs, S("f"), 0, 1000);
    for (size_t b = 1; b < ARRAY_LEN(backends); b++) {
        struct reader *r = NULL;
        struct pin p = { 0 };
        EXPECT_OK(reader_open(&r, fs, S("f"), as(backends[b], IO_RANDOM), NULL));
        EXPECT_OK(reader_pin(r, 0, 10, &p, NULL));
        EXPECT_OK(reader_check(&p, NULL));
        uint8_t *scribble = (uint8_t *)(uintptr_t)p.bytes.p;
        scribble[500] ^= 1;
        EXPECT_EQ(reader_check(&p, NULL), ERR_CORRUPT);
        scribble[500] ^= 1;
        EXPECT_OK(reader_unpin(&p, NULL));
        reader_close(r);
    }
    fs_free(fs);
}

TEST(io_words)
{
    enum io_backend b = IO_AUTO;
    EXPECT(io_backend_parse(S("buffered"), &b) && b == IO_BUFFERED);
    EXPECT(!io_backend_parse(S("Mmap"), &b));
    EXPECT_STR(str_z(io_backend_word(IO_DIRECT)), S("direct"));
}

TEST(reader_mmap_tells_hits_from_misses_when_watched)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct reader *r = NULL;
    put(fs, S("f"), 0, 1000000);
    EXPECT_OK(reader_open(&r, fs, S("f"), as(IO_MMAP, IO_RANDOM), NULL));
    struct io_count was = io_work.by[IO_MMAP];
    io_work.watched = true;
    expect_range(r, 0, 999000);
    io_work.watched = false;
    expect_range(r, 0, 1000);
    EXPECT_EQ(io_work.by[IO_MMAP].hits + io_work.by[IO_MMAP].misses - was.hits - was.misses, 1);
    EXPECT_EQ(io_work.by[IO_MMAP].pins - was.pins, 2);
    reader_close(r);
    fs_free(fs);
}
