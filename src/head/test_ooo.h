/* test_ooo.h — a head on a simulated disk, for tests of late samples.
 *
 * What        Opens and closes it, puts samples, reads them back.
 * Invariants  none
 * Ownership   rig_open, rig_close
 * Threads     as the head
 * Errors      fail the test
 * Format      none
 */
#ifndef EPI_HEAD_TEST_OOO_H
#define EPI_HEAD_TEST_OOO_H

#include "base/test.h"
#include "head/chunk_disk.h"
#include "head/head.h"
#include "io/fs_sim.h"

enum { MINUTE = 60000, HOUR = 60 * MINUTE };

struct rig { struct fs *fs; struct chunk_disk *disk; struct head *head; };

static inline errc found_none(void *ctx, const struct chunk_found *c, struct err *e)
{
    (void)ctx, (void)c, (void)e;
    return OK;
}

static inline void rig_open(struct rig *r, int64_t window_ms)
{
    struct chunk_disk_opened what;
    r->fs = fs_sim_new(1);
    struct chunk_disk_opts o = { .fs = r->fs, .dir = S("chunks_head"), .backend = IO_BUFFERED };
    EXPECT_OK(chunk_disk_open(&r->disk, &o, found_none, NULL, &what, NULL));
    EXPECT_OK(head_open(
        &r->head, &(struct head_opts){ .disk = r->disk, .samples_per_chunk = 16 }, NULL));
    head_set_ooo_window(r->head, window_ms);
}

static inline void rig_close(struct rig *r)
{
    head_close(r->head);
    chunk_disk_close(r->disk);
    fs_free(r->fs);
}

static inline struct appender *begin(struct head *h)
{
    struct appender *a;
    EXPECT_OK(head_appendable(h)->ops->begin(head_appendable(h), &a, NULL));
    return a;
}

static inline errc add(struct appender *a, str name, int64_t t, double v, struct err *e)
{
    struct label l = { METRIC_NAME, name };
    series_handle h;
    TRY(a->ops->series(a, (struct labels){ &l, 1 }, &h, e));
    return a->ops->append(a, h, t, v, 0, e);
}

static inline void put(struct head *h, str name, int64_t t, double v)
{
    struct appender *a = begin(h);
    EXPECT_OK(add(a, name, t, v, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

typedef VEC(struct sample) samples;

/* What a query of [mint, maxt] gives of a series, from `seek` on. */
static inline void read_back(
    struct head *h, str name, int64_t mint, int64_t maxt, int64_t seek, samples *out)
{
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = name };
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    struct sample_batch b = { .n = 0 };
    out->n = 0;
    EXPECT_OK(head_queryable(h)->ops->querier(head_queryable(h), mint, maxt, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &s, NULL));
    if (s) {
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        if (seek > mint) EXPECT_OK(sample_iter_seek(it, seek, NULL));
        do {
            EXPECT_OK(sample_iter_fill(it, &b, NULL));
            for (size_t i = 0; i < b.n; i++) {
                EXPECT(!out->n || vec_last(out).t < b.t[i]);
                vec_push(out, ((struct sample){ b.t[i], b.v[i] }));
            }
        } while (b.n);
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
}

static inline size_t count_of(struct head *h, str name)
{
    samples all = { 0 };
    read_back(h, name, INT64_MIN, INT64_MAX, INT64_MIN, &all);
    size_t n = all.n;
    vec_fini(&all);
    return n;
}

#endif
