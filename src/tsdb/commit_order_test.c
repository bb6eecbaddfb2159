/* commit_order_test.c — threads that commit to the same series at the same time: what was taken
 * then is what a start finds, no more and no less. */
#include "base/mem.h"
#include "base/test.h"
#include "io/thread.h"
#include "tsdb/test_life.h"

enum { WRITERS = 4, COMMITS = 1500, CROWDED = 40, OWN = 5 };

struct crowd {
    struct db *db;
    _Atomic int64_t clock;
    _Atomic int broken;
};
struct writer {
    struct crowd *crowd;
    unsigned number;
    struct prng rnd;
};

/* A value for each who writes, so that of two samples of one time it shows which was taken. */
static errc put(struct writer *w, struct appender *a, unsigned id, int64_t t)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%u", id);
    struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(text, (size_t)n) } };
    struct histogram counts = { .count = w->number, .zero_count = w->number, .sum = w->number };
    series_handle h = 0;
    TRY(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
    if (id % 8 == 0) return a->ops->histogram(a, h, t, 0, NULL, &counts, NULL);
    return a->ops->append(a, h, t, w->number, 0, NULL);
}

static void commit_once(struct writer *w)
{
    struct appendable *s = db_appendable(w->crowd->db);
    struct appender *a = NULL;
    /* half of them have their times to themselves */
    int64_t step = (int64_t)prng_below(&w->rnd, 2);
    int64_t t = 1700000000000 + atomic_fetch_add(&w->crowd->clock, step) + step;
    unsigned n = 1 + (unsigned)prng_below(&w->rnd, CROWDED);
    bool ok = s->ops->begin(s, &a, NULL) == OK;
    for (unsigned i = 0; ok && i < n; i++) {
        errc rc = put(w, a, (unsigned)prng_below(&w->rnd, CROWDED), t);
        ok = rc == OK || rc == ERR_OUT_OF_ORDER || rc == ERR_DUPLICATE;
    }
    for (unsigned i = 0; ok && i < OWN; i++)
        ok = put(w, a, CROWDED + w->number * OWN + i, t) != ERR_NOT_FOUND;
    if (!ok || a->ops->commit(a, NULL) != OK) w->crowd->broken++;
}

static void write_all(void *ctx)
{
    for (int i = 0; i < COMMITS; i++) commit_once(ctx);
}

static void tell_series(void *ctx, struct labels l)
{
    buf_fmt(ctx, "id %.*s\n", STR_ARG(labels_get(l, S("id"))));
}
static void tell_samples(void *ctx, const struct sample_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        buf_fmt(ctx, "%" PRId64 " %g\n", b->t[i], b->kind == SAMPLE_FLOAT ? b->v[i] : b->h[i]->sum);
}

static void tell(struct db *db, struct buf *out)
{
    buf_init(out, NULL, 0);
    see_everything(db, &(struct seen_ops){ tell_series, tell_samples }, out);
}

static struct db *open_at(struct fs *fs, int64_t window_ms)
{
    struct db *db = NULL;
    struct err e = { 0 };
    struct db_opts o = { .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = COMPRESS_SNAPPY,
        .fsync_interval_ms = 1000,
        .ooo_window_ms = window_ms,
        .wal_segment_bytes = 1 << 20 };
    EXPECT_OK_E(db_open(&db, &o, NULL, &e), &e);
    return db;
}

static void live(int64_t window_ms)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct crowd c = { .db = open_at(fs, window_ms) };
    struct writer w[WRITERS];
    struct thread *threads[WRITERS];
    struct buf before, after;
    struct err e = { 0 };
    for (unsigned i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){ &c, i, { test_seed() + i } };
        threads[i] = thread_start("writer", write_all, &w[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++) thread_join(threads[i]);
    EXPECT_EQ(c.broken, 0);
    tell(c.db, &before);
    EXPECT_OK_E(db_close(c.db, &e), &e);
    c.db = open_at(fs, window_ms);
    tell(c.db, &after);
    EXPECT_STR(buf_view(&after), buf_view(&before));
    EXPECT(before.n > 0);
    EXPECT_OK_E(db_close(c.db, &e), &e);
    buf_fini(&before);
    buf_fini(&after);
    fs_free(fs);
}

TEST(commits_at_once_are_replayed_as_they_were) { live(0); }
TEST(late_commits_at_once_are_replayed_as_they_were) { live(3600000); }
