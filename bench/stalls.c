/* stalls.c — what appends and queries of one series wait for while the head is compacted.
 *
 * A database with its own threads on the real file system holds three hours of SERIES series, a
 * tenth of which ended after one. One thread commits batches, each with some series that are new,
 * another asks for one series at a time; first in peace, then while the head becomes a block, is
 * truncated, and its log gets a checkpoint. Wall times are those of a busy machine; what counts is
 * how long an operation stood still for others (base/waits).
 *
 * Goal: no wait of more than 50 ms.
 *
 *     bench_stalls [SERIES]
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/waits.h"
#include "head/head.h"
#include "io/thread.h"
#include "tsdb/db.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE = 1000,
    FRESH = 4,                                 /* series of a page that are new */
    ENDED = 10,                                /* one series in so many ends early */
    TIMES_MAX = 1 << 20,
    PEACE_NS = 1000000000,
    PAUSE_NS = 200000
};
#define START_MS ((int64_t)1700006400000)
#define STEP_MS ((int64_t)300000)
#define HOUR_MS ((int64_t)3600000)
#define GOAL_NS ((int64_t)50000000)

static void die(const struct err *e)
{
    fprintf(stderr, "stalls: %s\n", e->msg);
    exit(1);
}

struct times { const char *what; int64_t *ns; size_t n; int64_t waited_most_ns; };

struct load {
    struct db *db;
    size_t series, made;
    series_handle *handles;
    int64_t t;                                 /* of the next round, the appender's */
    _Atomic int64_t jump;                      /* added to it, once */
    _Atomic unsigned phase;                    /* 0: in peace, 1: with compaction, 2: the end */
    struct times append[2], query[2];
};

static void note(struct times *of, int64_t began, int64_t waited)
{
    of->waited_most_ns = MAX(of->waited_most_ns, waits_ns() - waited);
    if (of->n < TIMES_MAX) of->ns[of->n++] = clock_mono_ns() - began;
}

static struct appender *begin(struct load *l)
{
    struct err e = { 0 };
    struct appender *a;
    struct appendable *to = db_appendable(l->db);
    if (to->ops->begin(to, &a, &e) != OK) die(&e);
    return a;
}

static series_handle series(struct appender *a, size_t i)
{
    struct err e = { 0 };
    char name[32], host[32], id[32];
    int n = snprintf(name, sizeof(name), "metric_%zu", i % 50),
        m = snprintf(host, sizeof(host), "host-%zu", i / 50),
        k = snprintf(id, sizeof(id), "%zu", i);
    struct label all[] = { { METRIC_NAME, str_of(name, (size_t)n) },
        { S("id"), str_of(id, (size_t)k) }, { S("instance"), str_of(host, (size_t)m) },
        { S("job"), S("x") } };
    series_handle h;
    if (a->ops->series(a, (struct labels){ all, ARRAY_LEN(all) }, &h, &e) != OK) die(&e);
    return h;
}

static void fill(struct load *l)
{
    struct err e = { 0 };
    int64_t end = START_MS + 3 * HOUR_MS - STEP_MS;
    for (; l->t < end; l->t += STEP_MS)
        for (size_t from = 0; from < l->series; from += PAGE) {
            struct appender *a = begin(l);
            for (size_t i = from; i < l->series && i < from + PAGE; i++) {
                bool ended = i % ENDED == 0 && l->t > START_MS + HOUR_MS;
                if (!l->handles[i]) l->handles[i] = series(a, i);
                if (!ended && a->ops->append(a, l->handles[i], l->t, (double)i, 0, &e) != OK)
                    die(&e);
            }
            if (a->ops->commit(a, &e) != OK) die(&e);
        }
}

static void append_page(struct load *l, size_t from)
{
    struct err e = { 0 };
    struct times *to = &l->append[atomic_load(&l->phase) > 0];
    int64_t began = clock_mono_ns(), waited = waits_ns();
    struct appender *a = begin(l);
    for (size_t i = from; i < l->series && i < from + PAGE; i++)
        if (i % ENDED && a->ops->append(a, l->handles[i], l->t, (double)i, 0, &e) != OK) die(&e);
    for (int i = 0; i < FRESH; i++) {
        series_handle h = series(a, l->made++);
        if (a->ops->append(a, h, l->t, 1, 0, &e) != OK) die(&e);
    }
    if (a->ops->commit(a, &e) != OK) die(&e);
    note(to, began, waited);
}

static void append_all(void *ctx)
{
    struct load *l = ctx;
    for (;; l->t++)
        for (size_t from = 0; from < l->series; from += PAGE) {
            if (atomic_load(&l->phase) == 2) return;
            if (atomic_load(&l->jump)) l->t += atomic_exchange(&l->jump, 0);
            append_page(l, from);
            clock_sleep_ns(PAUSE_NS);
        }
}

static void ask_one(struct load *l, size_t i)
{
    SCOPED(arena_fini) struct arena arena = { 0 };
    struct err e = { 0 };
    struct times *to = &l->query[atomic_load(&l->phase) > 0];
    struct matcher m;
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    struct sample_batch b;
    struct select_hints h = { .start = START_MS, .end = START_MS + 8 * HOUR_MS };
    str id = arena_fmt(&arena, "%zu", i);
    int64_t began = clock_mono_ns(), waited = waits_ns();
    if (matcher_init(&m, &arena, MATCH_EQ, S("id"), id, &e) != OK) die(&e);
    struct queryable *db = db_queryable(l->db);
    if (db->ops->querier(db, h.start, h.end, &q, &e) != OK) die(&e);
    if (q->ops->select(q, (struct matchers){ &m, 1 }, &h, &set, &e) != OK) die(&e);
    if (set->ops->next(set, &s, &e) != OK || !s) die(&e);
    if (s->ops->iterate(s, &it, &e) != OK) die(&e);
    do
        if (sample_iter_fill(it, &b, &e) != OK) die(&e);
    while (b.n);
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
    note(to, began, waited);
    matcher_fini(&m);
}

static void ask(void *ctx)
{
    struct load *l = ctx;
    struct prng r = { 1 };
    while (atomic_load(&l->phase) < 2) {
        ask_one(l, prng_below(&r, l->series) / ENDED * ENDED + 1);
        clock_sleep_ns(PAUSE_NS);
    }
}

static int ns_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool print(struct times *of)
{
    qsort(of->ns, of->n, sizeof(*of->ns), ns_cmp);
    if (!of->n) return false;
    printf("%-28s %8zu %9.3f %9.3f %9.3f %12.3f\n", of->what, of->n,
        (double)of->ns[of->n / 2] / 1e6, (double)of->ns[of->n - 1 - of->n / 1000] / 1e6,
        (double)of->ns[of->n - 1] / 1e6,
        (double)of->waited_most_ns / 1e6);
    return of->waited_most_ns <= GOAL_NS;
}

static void count_block(void *ctx, const struct block_meta *m)
{
    (void)m;
    ++*(size_t *)ctx;
}

static void measure(struct load *l)
{
    size_t blocks = 0;
    struct thread *appender = thread_start("append", append_all, l),
                  *asker = thread_start("ask", ask, l);
    clock_sleep_ns(PEACE_NS * 4ll);
    int64_t began = clock_mono_ns();
    atomic_store(&l->phase, 1);
    atomic_store(&l->jump, HOUR_MS);
    while (!blocks) {
        db_settle(l->db);
        db_block_metas(l->db, count_block, &blocks);
    }
    db_settle(l->db);
    printf("%zu series, the head was compacted in %.1f s (%zu blocks), %zu series are left\n",
        l->series, (double)(clock_mono_ns() - began) / 1e9, blocks,
        (size_t)head_series_count(db_head(l->db)));
    atomic_store(&l->phase, 2);
    thread_join(appender);
    thread_join(asker);
}

int main(int argc, char **argv)
{
    struct load l = { .series = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000, .t = START_MS };
    struct err e = { 0 };
    struct db_opened what;
    char dir[] = "/tmp/bench_stalls.XXXXXX";
    if (!mkdtemp(dir)) return 1;
    struct fs *root = fs_real_new(S("/tmp")), *fs = fs_real_new(str_z(dir));
    struct db_opts o = { .fs = fs, .wal_compress = COMPRESS_SNAPPY, .fsync_interval_ms = 1000 };
    struct times *all[] = { &l.append[0], &l.append[1], &l.query[0], &l.query[1] };
    static const char *const names[] = { "append", "append, with compaction", "query",
        "query, with compaction" };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        *all[i] = (struct times){ names[i], mem_alloc_array(TIMES_MAX, sizeof(int64_t)), 0, 0 };
    l.made = l.series;
    l.handles = mem_zalloc(l.series * sizeof(*l.handles));
    if (db_open(&l.db, &o, &what, &e) != OK) die(&e);
    fill(&l);
    measure(&l);
    printf("%-28s %8s %9s %9s %9s %12s\n", "ms", "number", "p50", "p99.9", "most", "longest wait");
    bool good = true;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) good &= print(all[i]);
    printf("no wait longer than 50 ms: %s\n", good ? "met" : "not met");
    if (db_close(l.db, &e) != OK) die(&e);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) mem_free(all[i]->ns);
    mem_free(l.handles);
    fs_free(fs);
    if (fs_remove_tree(root, str_from(str_z(dir), 5), &e) != OK) die(&e);
    fs_free(root);
    return 0;
}
