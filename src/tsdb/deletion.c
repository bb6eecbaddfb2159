#include "tsdb/deletion.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "block/compact.h"
#include "head/head.h"
#include "tsdb/blocks.h"

static const double clean_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };
HISTOGRAM(m_clean, "prometheus_tsdb_tombstone_cleanup_seconds",
    "The time taken to recompact blocks to remove tombstones.", clean_bounds)

static errc blocks_mark(const struct block_list *l, struct matchers ms, int64_t mint, int64_t maxt,
    struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct block_meta *m = block_meta(l->at[i]);
        uint64_t n;
        if (m->mint <= maxt && m->maxt > mint) TRY(block_delete(l->at[i], ms, mint, maxt, &n, e));
    }
    return OK;
}

errc deletion_mark(struct blocks *b, struct head *h, struct matchers ms, int64_t mint, int64_t maxt,
    struct err *e)
{
    struct block_list *l = blocks_now(b);
    errc rc = blocks_mark(l, ms, mint, maxt, e);
    block_list_unref(l);
    return rc == OK ? head_delete(h, ms, mint, maxt, e) : rc;
}

/* Without a sample left there is no new block to name it as its parent: the block says itself that
 * it may go. */
static errc block_clean(
    struct block *b, struct fs *fs, uint64_t segment_bytes, ulid *made, struct err *e)
{
    struct compact_opts o = { .fs = fs, .segment_bytes = segment_bytes, .anew = true };
    TRY_IN(e, compact_blocks(&o, &b, 1, made, e), "clean tombstones: %.*s",
        STR_ARG(block_dir(b)));
    bool empty = ulid_is_zero(*made);
    LOG(INFO, "block cleaned of what was deleted", kv_str("block", block_dir(b)),
        kv_z("into", empty ? "nothing" : ulid_text(*made).z));
    return empty ? block_mark(b, true, false, e) : OK;
}

static struct block *first_marked(const struct block_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (block_tombstones(l->at[i])) return l->at[i];
    return NULL;
}

errc deletion_clean(struct blocks *b, struct fs *fs, uint64_t segment_bytes, struct err *e)
{
    int64_t began = clock_mono_ns();
    errc rc = OK;
    for (bool more = true; rc == OK && more;) {
        struct block_list *l = blocks_now(b);
        struct block *one = first_marked(l);
        more = one != NULL;
        ulid made = { 0 };
        size_t undone;
        if (one) rc = block_clean(one, fs, segment_bytes, &made, e);
        block_list_unref(l);
        if (one && rc == OK) rc = blocks_take(b, &made, !ulid_is_zero(made), &undone, e);
    }
    metric_observe(&m_clean, (double)(clock_mono_ns() - began) * 1e-9);
    return rc;
}
