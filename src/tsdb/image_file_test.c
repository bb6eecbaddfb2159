/* image_file_test.c — a start with a head image ends where one without ends. */
#include "tsdb/image_file.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/test.h"
#include "head/head.h"
#include "tsdb/repair.h"
#include "tsdb/test_small.h"
#include "tsdb/verify.h"
#include "wal/record.h"
#include "wal/wal.h"
#include "wal/wal_reader.h"

#include <stdio.h>

#define IMAGE S("head.image")

static struct db *open_seen(struct fs *fs, struct db_opened *what)
{
    return open_small(&(struct db_opts){ .fs = fs, .image_log_bytes = 1 }, what);
}

static struct db *open_with(struct fs *fs) { return open_seen(fs, NULL); }

/* The seed is named by the next failure. */
static struct fs *seeded_disk(uint64_t seed)
{
    char name[32];
    seed += test_seed();
    snprintf(name, sizeof(name), "SEED=%" PRIu64, seed);
    test_case(name);
    return fs_sim_new(seed);
}

/* A crash behind an image: rounds 0 … 50, of which it has what the first 40 left open. */
static struct fs *crashed(uint64_t seed)
{
    struct fs *fs = fs_sim_new(seed);
    struct db *db = open_with(fs);
    fill(db, 0, 40);
    EXPECT_OK(delete_of(db, 1, 10, 19));
    db_tick(db);
    EXPECT(fs_exists(fs, IMAGE));
    fill(db, 40, 50);
    EXPECT_OK(db_sync(db, NULL));
    db_abandon(db);
    return fs;
}

static void expect_all(struct db *db)
{
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES - 10);
    EXPECT_EQ(count(db, 1, 10, 19), 0);
}

TEST(image_is_read)
{
    hush(true);
    struct fs *fs = crashed(1);
    struct db_opened what = { 0 };
    for (int again = 0; again < 2; again++) {
        struct db *db = open_seen(fs, &what);
        EXPECT(what.image);
        EXPECT_EQ(what.unknown_refs, 0);
        expect_all(db);
        db_abandon(db);
    }
    EXPECT_OK(image_file_remove(fs, NULL));
    struct db *db = open_seen(fs, &what);
    EXPECT(!what.image);
    expect_all(db);
    close_db(db);
    fs_free(fs);
    hush(false);
}

/* The content of the log's first record of samples, under a checksum that fits or not. */
static void spoil_samples(struct fs *fs, bool fits)
{
    enum { HEADER = 7, TAIL = 9 };
    SCOPED(arena_fini) struct arena a = { 0 };
    str path = wal_segment_path(&a, S("wal"), 0), bytes;
    EXPECT_OK(fs_read_all(fs, path, &a, 1 << 24, &bytes, NULL));
    uint8_t *b = arena_alloc(&a, bytes.n);
    memcpy(b, bytes.p, bytes.n);
    for (size_t at = 0, n; at + HEADER < bytes.n; at += HEADER + n) {
        n = (size_t)b[at + 1] << 8 | b[at + 2];
        EXPECT(n && at + HEADER + n <= bytes.n);
        if (b[at + HEADER] != REC_SAMPLES || n < 2 * TAIL) continue;
        memset(b + at + HEADER + n - TAIL, 0xff, TAIL);
        uint32_t crc = crc32c(0, b + at + HEADER, n) ^ !fits;
        for (int k = 0; k < 4; k++) b[at + 3 + k] = (uint8_t)(crc >> (24 - 8 * k));
        EXPECT_OK(fs_write_durable(fs, path, str_of(b, bytes.n), NULL));
        return;
    }
    EXPECT(false);
}

/* Rounds 0 … 50 of two segments; the place of an image is in the second. */
static struct fs *crashed_in_two(void)
{
    struct fs *fs = fs_sim_new(1);
    struct db *db = open_with(fs);
    fill(db, 0, 20);
    close_db(db);
    db = open_with(fs);
    fill(db, 20, 40);
    db_tick(db);
    fill(db, 40, 50);
    EXPECT_OK(db_sync(db, NULL));
    db_abandon(db);
    return fs;
}

/* What damage took of the log is in the image, and in the one that is made when the log was mended,
 * however soon the next crash comes. */
TEST(image_has_what_a_repair_could_not_save)
{
    hush(true);
    for (uint64_t at = 0; at < 400; at += 1 + at / 8) {
        struct fs *fs = crashed_in_two();
        struct db_opened what = { 0 };
        struct db *db = NULL;
        spoil_samples(fs, false);
        if (at) fs_sim_power_off_after(fs, at);
        struct db_opts o = { .fs = fs, .backend = IO_BUFFERED, .no_thread = true,
            .wal_segment_bytes = 32768, .samples_per_chunk = 20, .image_log_bytes = 1 };
        if (db_open(&db, &o, &what, NULL) == OK) EXPECT(what.image);
        if (db) db_abandon(db);
        fs_sim_crash(fs, SIM_LOSE_SOME);
        db = open_seen(fs, &what);
        EXPECT(what.image);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}

/* A start does not decode what an image stands for; a repair does, and what it leaves is clean. */
TEST(image_stands_for_what_only_a_repair_reads)
{
    struct repaired r;
    struct verified v;
    struct db_opened what = { 0 };
    hush(true);
    struct fs *fs = crashed_in_two();
    spoil_samples(fs, true);
    struct db *db = open_seen(fs, &what);
    EXPECT_EQ(what.corruptions, 0);
    EXPECT(what.image);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
    db_abandon(db);
    struct repair_opts ro = { .fs = fs, .backend = IO_BUFFERED };
    repaired_init(&r);
    EXPECT_OK(folder_repair(&r, &ro, NULL));
    EXPECT_EQ(r.head.corruptions, 1);
    repaired_fini(&r);
    struct verify_opts vo = { .fs = fs, .backend = IO_BUFFERED };
    verified_init(&v);
    EXPECT_OK(folder_verify(&v, &vo, NULL));
    EXPECT_EQ(findings_count(&v.findings), 0);
    verified_fini(&v);
    db = open_seen(fs, &what);
    EXPECT(what.image);                        /* another one, which has what the log lost */
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
    close_db(db);
    fs_free(fs);
    hush(false);
}

static void put_bytes(struct fs *fs, str path, str bytes)
{
    EXPECT_OK(fs_write_durable(fs, path, bytes, NULL));
}

/* What a start would read behind an image: an older one, one of the end of a segment, one whose
 * segment is gone. */
TEST(image_file_behind)
{
    enum { SEGMENT = 32768 };
    static const struct {
        const char *name;
        struct image_place at;
        uint64_t want;
    } cases[] = {
        { "the end of the log", { .segment = 4, .offset = 500 }, 0 },
        { "the same segment", { .segment = 4, .offset = 100 }, 400 },
        { "the end of the one before", { .segment = 3, .offset = SEGMENT }, 500 },
        { "in the one before", { .segment = 3, .offset = 768 }, SEGMENT - 768 + 500 },
        { "one in between is short", { .segment = 1, .offset = 768 }, 2 * SEGMENT - 768 + 2500 },
        { "truncated since", { .segment = 0, .offset = 768 }, UINT64_MAX },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(1);
    const struct wal_stat now = { .segment = 4, .offset = 500 };
    const size_t sizes[] = { 0, SEGMENT, 2000, SEGMENT, 500 };
    uint8_t *bytes = arena_alloc(&a, SEGMENT);
    memset(bytes, 0, SEGMENT);
    EXPECT_OK(fs_mkdir(fs, S("wal"), NULL));
    for (uint32_t i = 1; i < ARRAY_LEN(sizes); i++)
        put_bytes(fs, wal_segment_path(&a, S("wal"), i), str_of(bytes, sizes[i]));
    TEST_EACH(c, cases) EXPECT_EQ(image_file_behind(fs, &now, &c->at), c->want);
    fs_free(fs);
}

/* A server that is started again and idle leaves the image that it read as it is: of an end of the
 * log that is whole, in the segment before its own. */
TEST(image_stays_while_nothing_is_logged)
{
    hush(true);
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = crashed(1);
    struct db *db = open_with(fs);
    EXPECT_OK(image_file_remove(fs, NULL));
    db_tick(db);
    EXPECT(image_file_exists(fs));
    for (int again = 0; again < 3; again++) {
        struct db_opened what = { 0 };
        str whole;
        db_abandon(db);
        db = open_seen(fs, &what);
        EXPECT(what.image);
        EXPECT_OK(fs_read_all(fs, IMAGE, &a, 1 << 20, &whole, NULL));
        EXPECT_OK(image_file_remove(fs, NULL));
        for (int tick = 0; tick < 3; tick++) db_tick(db);
        EXPECT(!image_file_exists(fs));
        put_bytes(fs, IMAGE, whole);
    }
    db_abandon(db);
    fs_free(fs);
    hush(false);
}

/* An image is written at leisure, but whoever waits for the round waits for no clock: this one
 * stands. */
TEST(image_does_not_rest_while_somebody_waits)
{
    hush(true);
    struct fs *fs = fs_sim_new(test_seed());
    struct db *db = NULL;
    struct db_opts o = { .fs = fs, .backend = IO_BUFFERED, .image_log_bytes = 1 };
    clock_fake_set(T0);
    EXPECT_OK(db_open(&db, &o, NULL, NULL));
    for (int round = 0; round < 40; round += 10) {
        fill(db, round, round + 10);
        clock_fake_advance(10 * STEP_MS);
        db_settle(db);
        EXPECT(fs_exists(fs, IMAGE));
    }
    close_db(db);
    clock_fake_off();
    fs_free(fs);
    hush(false);
}

/* Cut short at each place, and a bit of each byte another one: passed over, and nothing is lost. */
TEST(image_damaged_anywhere)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str whole;
    hush(true);
    struct fs *fs = crashed(1);
    EXPECT_OK(fs_read_all(fs, IMAGE, &a, 1 << 20, &whole, NULL));
    fs_free(fs);
    for (size_t i = 0; i < 2 * whole.n; i += 3) {
        struct db_opened what = { 0 };
        size_t n = i < whole.n ? i : whole.n;
        uint8_t *bytes = arena_alloc(&a, whole.n);
        memcpy(bytes, whole.p, whole.n);
        if (i >= whole.n) bytes[i - whole.n] ^= (uint8_t)(1u << i % 8);
        fs = crashed(1);
        put_bytes(fs, IMAGE, str_of(bytes, n));
        struct db *db = open_seen(fs, &what);
        EXPECT(!what.image);
        expect_all(db);
        db_abandon(db);
        fs_free(fs);
    }
    hush(false);
}

/* What another program may have done to the folder in between. */
static void drop_chunks(struct fs *fs) { EXPECT_OK(fs_remove_tree(fs, S("chunks_head"), NULL)); }
static void more_segments(struct fs *fs) { close_db(open_db(fs, 0)); }
static void other_log(struct fs *fs)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct wal_dir d = { 0 };
    struct fs *other = fs_sim_new(2);
    struct db *db = open_with(other);
    str bytes;
    fill(db, 0, 50);
    EXPECT_OK(delete_of(db, 1, 10, 19));
    close_db(db);
    EXPECT_OK(fs_remove_tree(fs, S("wal"), NULL));
    EXPECT_OK(fs_remove_tree(fs, S("chunks_head"), NULL));
    EXPECT_OK(fs_mkdir(fs, S("wal"), NULL));
    EXPECT_OK(wal_dir_list(&d, other, S("wal"), NULL));
    for (size_t i = 0; i < d.segments.n; i++) {
        str path = wal_segment_path(&a, S("wal"), d.segments.at[i]);
        EXPECT_OK(fs_read_all(other, path, &a, 1 << 20, &bytes, NULL));
        put_bytes(fs, path, bytes);
    }
    wal_dir_fini(&d);
    fs_free(other);
}

TEST(image_of_a_folder_that_changed)
{
    static const struct {
        const char *name;
        void (*change)(struct fs *fs);
        bool image;
    } cases[] = {
        { "the chunk files are gone", drop_chunks, false },
        { "somebody logged more", more_segments, true },
        { "another log", other_log, false },
    };
    hush(true);
    TEST_EACH(c, cases) {
        struct fs *fs = crashed(1);
        struct db_opened what = { 0 };
        c->change(fs);
        struct db *db = open_seen(fs, &what);
        EXPECT_EQ(what.image, c->image);
        expect_all(db);
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}

/* A batch that comes while the image is written: of a series that the image has, and of one that it
 * has not. */
struct meanwhile { struct head *head; bool done; };
static bool append_meanwhile(void *ctx, int64_t worked_ns UNUSED)
{
    struct meanwhile *m = ctx;
    struct appendable *s = head_appendable(m->head);
    struct appender *a = NULL;
    if (m->done) return true;
    m->done = true;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    for (unsigned i = 0; i < SERIES; i++) {
        char id[2] = { (char)('0' + i), 0 };
        struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_z(id) } };
        series_handle h = 0;
        EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
        EXPECT_OK(a->ops->append(a, h, T0 + STEP_MS, i, 0, NULL));
    }
    EXPECT_OK(a->ops->commit(a, NULL));
    return true;
}

static void first_series(struct head *h)
{
    struct appendable *s = head_appendable(h);
    struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), S("0") } };
    struct appender *a = NULL;
    series_handle handle = 0;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &handle, NULL));
    EXPECT_OK(a->ops->append(a, handle, T0, 1, 0, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

/* After a power cut it is there as a whole: the image may not have a part that the log has lost. */
TEST(image_is_behind_the_log)
{
    hush(true);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fs *fs = seeded_disk(seed);
        struct wal *w = NULL;
        struct head *h = NULL;
        struct wal_opts wo = {
            .fs = fs, .dir = S("wal"), .fsync_interval_ms = 1000, .no_thread = true
        };
        struct image_file_written done;
        EXPECT_OK(wal_open(&w, &wo, NULL));
        EXPECT_OK(head_open(&h, &(struct head_opts){ .wal = w }, NULL));
        first_series(h);
        EXPECT_OK(wal_sync(w, NULL));
        struct meanwhile m = { h, false };
        struct image_file_of of = {
            .fs = fs, .head = h, .wal = w, .rest = append_meanwhile, .ctx = &m
        };
        EXPECT_OK(image_file_write(&of, &done, NULL));
        EXPECT_EQ(done.series, 1);
        fs_sim_power_off_after(fs, 1);
        head_close(h);
        wal_close(w);
        fs_sim_crash(fs, SIM_LOSE_ALL);
        struct db_opened what = { 0 };
        struct db *db = open_seen(fs, &what);
        EXPECT(what.image);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), 1 + SERIES);
        close_db(db);
        fs_free(fs);
    }
    test_case(NULL);
    hush(false);
}

/* A power cut right after an image was written leaves it to be read. */
TEST(power_cuts_after_head_image)
{
    hush(true);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fs *fs = seeded_disk(seed);
        struct db *db = open_with(fs);
        struct db_opened what = { 0 };
        fill(db, 0, 50);
        db_tick(db);
        EXPECT(fs_exists(fs, IMAGE));
        fs_sim_power_off_after(fs, 1);
        db_abandon(db);
        fs_sim_crash(fs, SIM_LOSE_ALL);
        db = open_seen(fs, &what);
        EXPECT(what.image);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
        close_db(db);
        fs_free(fs);
    }
    test_case(NULL);
    hush(false);
}
