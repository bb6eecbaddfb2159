/* head_block_test.c — chunk files damaged under a database that goes on: the log has what blocks
 * need. Two lives with the same samples, of which one is damaged, are compared. */
#include "tsdb/head_block.h"

#include "base/log.h"
#include "base/test.h"
#include "head/chunk_disk.h"
#include "io/fs_sim.h"
#include "tsdb/db.h"

enum { STEP_MS = 60000, HOUR_MS = 3600000, LATE = 40, ROUNDS = 250, ONCE_MORE = 300 };
#define T0 1700006400000ll

static void log_nothing(void *ctx UNUSED, enum log_level level UNUSED, str line UNUSED) {}

static void put(struct db *db, const char *name, int64_t t, double v)
{
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    struct label l = { METRIC_NAME, str_z(name) };
    series_handle h = 0;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ &l, 1 }, &h, NULL));
    EXPECT_OK(a->ops->append(a, h, t, v, 0, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

static void put_histogram(struct db *db, const char *name, int64_t t, int64_t n)
{
    static struct span one[] = { { 0, 1 } };
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    struct label l = { METRIC_NAME, str_z(name) };
    struct int_histogram x = { .count = (uint64_t)n, .pos = { one, 1, &n, 1 } };
    series_handle h = 0;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ &l, 1 }, &h, NULL));
    EXPECT_OK(a->ops->histogram(a, h, t, 0, &x, NULL, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

/* Four hours in order, and late samples of the second hour. */
static void fill(struct db *db)
{
    for (int i = 0; i < ROUNDS; i++) {
        put(db, "a", T0 + (int64_t)i * STEP_MS, i);
        put(db, "late", T0 + (int64_t)i * STEP_MS, i * 0.25);
        put_histogram(db, "h", T0 + (int64_t)i * STEP_MS, i);
        if (i % 50 == 0) db_tick(db);
    }
    for (int i = 0; i < LATE; i++) put(db, "late", T0 + HOUR_MS + i * 1000ll + 1, 1000 + i);
    db_tick(db);
}

/* One byte of each chunk of all files. */
static size_t damage(struct fs *fs)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries files = { 0 };
    size_t n = 0;
    EXPECT_OK(fs_list(fs, S("chunks_head"), &a, &files, NULL));
    for (size_t i = 0; i < files.n; i++) {
        str all, path = arena_fmt(&a, "chunks_head/%.*s", STR_ARG(files.at[i].name));
        struct chunk_desc c = { 0 };
        struct file *f;
        size_t at = CHUNK_FILE_HEADER_BYTES;
        EXPECT_OK(fs_read_all(fs, path, &a, 1 << 20, &all, NULL));
        EXPECT_OK(fs_open(&f, fs, path, FS_READ | FS_WRITE, NULL));
        for (; chunk_record_next(all, at, &c, &at, NULL) == CHUNK_STEP_RECORD; n++) {
            uint64_t off = (uint64_t)(c.data.p - all.p) + c.data.n / 2, done;
            uint8_t wrong = all.p[off] ^ 16;
            EXPECT_OK(file_pwrite(f, &(str){ &wrong, 1 }, 1, off, &done, NULL));
        }
        file_close(f);
    }
    vec_fini(&files);
    return n;
}

/* Hardly a record of it can be read. */
static void damage_log(struct fs *fs)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries files = { 0 };
    EXPECT_OK(fs_list(fs, S("wal"), &a, &files, NULL));
    for (size_t i = 0; i < files.n; i++) {
        str all, path = arena_fmt(&a, "wal/%.*s", STR_ARG(files.at[i].name));
        uint8_t wrong = 0xaa;
        uint64_t done;
        struct file *f;
        EXPECT_OK(fs_read_all(fs, path, &a, 1 << 20, &all, NULL));
        EXPECT_OK(fs_open(&f, fs, path, FS_READ | FS_WRITE, NULL));
        for (uint64_t at = 1; at < all.n; at += 16)
            EXPECT_OK(file_pwrite(f, &(str){ &wrong, 1 }, 1, at, &done, NULL));
        file_close(f);
    }
    vec_fini(&files);
}

static void dump(struct db *db, struct buf *out, size_t *n)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct matcher all = { .type = MATCH_EQ };
    struct select_hints hints = { .start = INT64_MIN, .end = INT64_MAX, .sorted = true };
    *n = 0;
    buf_reset(out);
    EXPECT_OK(db_queryable(db)->ops->querier(db_queryable(db), INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, &hints, &set, NULL));
    for (;;) {
        struct series *s = NULL;
        struct err e = { 0 };
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) return;
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        buf_labels(out, s->labels);
        for (struct sample_batch b = { .n = 1 }; b.n;) {
            EXPECT_OK_E(sample_iter_fill(it, &b, &e), &e);
            *n += b.n;
            for (size_t i = 0; i < b.n && b.kind == SAMPLE_FLOAT; i++)
                buf_fmt(out, " %" PRId64 "=%a", b.t[i], b.v[i]);
            for (size_t i = 0; i < b.n && b.kind == SAMPLE_HISTOGRAM; i++)
                buf_fmt(out, " %" PRId64 "={%" PRIu64 "}", b.t[i], b.ih[i]->count);
        }
    }
}

enum what { NOTHING, CHUNKS, CHUNKS_AND_LOG };
struct life { size_t n; struct buf text; };

static void live(enum what what, bool snapshot, struct life *out)
{
    struct fs *fs = fs_sim_new(1);
    struct db_opts o = { .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = COMPRESS_SNAPPY,
        .wal_segment_bytes = 32768,
        .samples_per_chunk = 20 };
    struct db_opened opened = { 0 };
    struct db *db = NULL;
    struct err e = { 0 };
    EXPECT_OK_E(db_open(&db, &o, &opened, &e), &e);
    EXPECT_OK_E(db_set_ooo_window(db, 6 * HOUR_MS, &e), &e);
    fill(db);
    if (what != NOTHING) EXPECT(damage(fs) > 10);
    if (what == CHUNKS_AND_LOG) damage_log(fs);
    if (snapshot) EXPECT_OK_E(db_snapshot(db, S("shot"), true, false, &e), &e);
    EXPECT_OK_E(db_compact(db, &e), &e);
    for (int i = 0; i < ONCE_MORE; i++) put(db, "a", T0 + (ROUNDS + i) * (int64_t)STEP_MS, i);
    EXPECT_OK_E(db_compact(db, &e), &e);       /* and it goes on */
    dump(db, &out->text, &out->n);
    if (what == CHUNKS_AND_LOG) db_abandon(db);
    else EXPECT_OK_E(db_close(db, &e), &e);
    fs_free(fs);
}

TEST(damaged_chunks_go_into_blocks_by_the_log)
{
    struct life good = { 0 }, mended = { 0 }, lost = { 0 };
    log_capture(log_nothing, NULL);
    live(NOTHING, true, &good);
    EXPECT_EQ(good.n, 3 * ROUNDS + LATE + ONCE_MORE);
    live(CHUNKS, true, &mended);
    EXPECT_EQ(mended.n, good.n);
    EXPECT(str_eq(buf_view(&mended.text), buf_view(&good.text)));
    live(CHUNKS_AND_LOG, false, &lost);
    EXPECT(lost.n < good.n && lost.n > ONCE_MORE);
    log_capture(NULL, NULL);
    buf_fini(&good.text);
    buf_fini(&mended.text);
    buf_fini(&lost.text);
}
