/* collect.c — what is old goes: chunks, then series without chunks.
 *
 * A series is removed in two steps, because an appender may hold its handle and have nothing to
 * show yet. First it is marked; an appender that touches it takes the mark off. Then the appenders
 * that were open at the marking are waited for; what still bears the mark and still holds nothing
 * is removed. Nothing here holds a lock for longer than one series, or a slice of the tables.
 */
#include "base/clock.h"
#include "head/head_impl.h"
#include "storage/changes.h"
#include "wal/record.h"
#include "wal/wal.h"

#include <stdlib.h>

static const double gc_quantiles[] = { 0.5, 0.9, 0.99 };
SUMMARY(gc_duration, "prometheus_tsdb_head_gc_duration_seconds",
    "Runtime of garbage collection in the head block.", gc_quantiles)
COUNTER(truncations, "prometheus_tsdb_head_truncations_total",
    "Total number of head truncations attempted.")

struct trimmed { int64_t mint; uint64_t chunks; runs empty; };

/* What lies wholly before mint goes; the oldest time that is left, INT64_MAX: nothing is. */
static int64_t slot_trim(struct store *st, struct slot *s, int64_t mint, struct trimmed *t)
{
    unsigned n = 0;
    while (n < s->n_closed && store_get_closed(st, s, n).maxt < mint) n++;
    store_drop_closed(st, s, n);
    t->chunks += n;
    while (s->sealed) {
        struct sealed *q = slab_at(&st->sealed, s->sealed);
        if (q->maxt >= mint) break;
        q->dropped = true;
        s->sealed = q->next;
        t->chunks++;
    }
    if (s->n && slot_last_t(s) < mint && !s->sealed) {
        open_drop(st, s);
        t->chunks++;
    }
    return slot_mint(st, s);
}

static void head_trim(struct head *h, int64_t mint, struct trimmed *t)
{
    uint64_t low = isolation_low(&h->isolation);
    for (struct series_walk w = series_walk_of(&h->series); series_walk_next(&h->series, &w);) {
        struct slot *s = store_slot(&h->store, w.slot);
        slot_lock(s);
        int64_t from = slot_trim(&h->store, s, mint, t);
        isolation_forget_seen(&h->store, s, low);
        if (from == INT64_MAX && !(slot_flags(s) & SLOT_OOO)) {
            slot_flag(s, SLOT_DYING, 0);
            runs_push(&t->empty, w.n, w.n + 1);
        }
        t->mint = MIN(t->mint, from);
        slot_unlock(s);
    }
}

void head_drop_tombstones(struct head *h, int64_t mint)
{
    head_tombstones_drop(&h->tombstones, MIN(mint, head_min_ooo_time(h)));
}

static bool series_is_there(const void *x, uint32_t num) { return series_slot_of(x, num) != 0; }

static bool series_lives(const void *ctx, uint32_t slot, uint32_t generation)
{
    const struct head *h = ctx;
    return series_generation(store_slot(&h->store, slot)) == generation;
}

/* What was trimmed goes for good; how many series went. */
static size_t trimmed_end(struct head *h, struct trimmed *t, struct wal *wal)
{
    size_t gone = series_remove(&h->series, &t->empty, wal);
    if (gone) lookup_sweep(&h->lookup, series_is_there, &h->series);
    if (gone && h->opts.keeps.metadata) meta_table_sweep(&h->metadata, series_lives, h);
    vec_fini(&t->empty);
    atomic_fetch_sub_explicit(&h->n_chunks, t->chunks, memory_order_relaxed);
    metric_add(&head_chunks_removed, (double)t->chunks);
    metric_add(&head_series_removed, (double)gone);
    reclaim_run(&h->reclaim);
    return gone;
}

size_t head_collect(struct head *h, int64_t mint)
{
    struct trimmed t = { .mint = INT64_MAX };
    head_trim(h, mint, &t);
    if (t.empty.n) head_wait_appenders(h);
    size_t gone = trimmed_end(h, &t, NULL);
    if (t.mint != INT64_MAX && t.mint > head_min_time(h))
        atomic_store_explicit(&h->min_time, t.mint, memory_order_relaxed);
    return gone;
}

void head_free_retired(struct head *h) { reclaim_run(&h->reclaim); }

errc head_truncate(struct head *h, int64_t mint, struct err *e)
{
    (void)e;
    if (head_min_time(h) > head_max_time(h) || head_min_time(h) >= mint) return OK;
    int64_t began = clock_mono_ns();
    metric_inc(&truncations);
    if (head_min_valid_time(h) < mint) head_set_min_valid_time(h, mint);
    atomic_store_explicit(&h->min_time, mint, memory_order_relaxed);
    head_wait_appenders(h);                    /* whose bounds are older */
    head_collect(h, mint);
    head_drop_tombstones(h, mint);
    if (h->opts.changes) changes_note_all(h->opts.changes);
    metric_observe(&gc_duration, (double)(clock_mono_ns() - began) * 1e-9);
    return OK;
}

/* Series that ended. */

static bool slot_ended(const struct slot *s)
{
    return (slot_flags(s) & (SLOT_STALE | SLOT_OOO)) == SLOT_STALE;
}

void head_ended_find(struct head *h, head_ended *out)
{
    for (struct series_walk w = series_walk_of(&h->series); series_walk_next(&h->series, &w);) {
        struct slot *s = store_slot(&h->store, w.slot);
        slot_lock(s);
        bool ended = slot_ended(s) && slot_mint(&h->store, s) != INT64_MAX;
        int64_t t = slot_last_t(s);
        slot_unlock(s);
        if (!ended) continue;
        vec_push(&out->nums, w.n);
        vec_push(&out->last, t);
    }
}

void head_ended_free(head_ended *x)
{
    vec_fini(&x->nums);
    vec_fini(&x->last);
}

/* Its slot, locked; NULL: it went, or goes on. */
static struct slot *ended_lock(struct head *h, const head_ended *x, size_t i)
{
    uint32_t slot = series_slot_of(&h->series, x->nums.at[i]);
    if (!slot) return NULL;
    struct slot *s = store_slot(&h->store, slot);
    slot_lock(s);
    if (slot_ended(s) && slot_last_t(s) == x->last.at[i]) return s;
    slot_unlock(s);
    return NULL;
}

errc head_ended_remove(struct head *h, const head_ended *x, size_t *gone, struct err *e)
{
    struct trimmed t = { 0 };
    for (size_t i = 0; i < x->nums.n; i++) {
        struct slot *s = ended_lock(h, x, i);
        if (!s) continue;
        slot_flag(s, SLOT_DYING, 0);
        slot_unlock(s);
    }
    head_wait_appenders(h);
    uint64_t low = isolation_low(&h->isolation);
    for (size_t i = 0; i < x->nums.n; i++) {
        struct slot *s = ended_lock(h, x, i);
        if (!s) continue;
        if (slot_flags(s) & SLOT_DYING) {
            (void)slot_trim(&h->store, s, INT64_MAX, &t);
            isolation_forget_seen(&h->store, s, low);
            runs_push(&t.empty, x->nums.at[i], x->nums.at[i] + 1);
        }
        slot_unlock(s);
    }
    *gone = trimmed_end(h, &t, h->opts.wal);
    if (h->opts.changes) changes_note_all(h->opts.changes);
    return h->opts.wal ? wal_flush_series(h->opts.wal, e) : OK;
}

uint64_t head_ended_count(const struct head *h)
{
    int64_t n = atomic_load_explicit(&h->store.n_stale, memory_order_relaxed);
    return n > 0 ? (uint64_t)n : 0;
}

uint32_t head_first_disk_file(const struct head *h)
{
    uint32_t first = 0;
    for (struct series_walk w = series_walk_of(&h->series); series_walk_next(&h->series, &w);) {
        struct slot *s = store_slot(&h->store, w.slot);
        slot_lock(s);
        uint32_t file =
            s->n_closed ? (uint32_t)(store_get_closed(&h->store, s, 0).disk_ref >> 32) : 0;
        const struct ooo *o = ooo_of(&h->ooo, s, w.slot);
        uint32_t late = o && o->closed.n ? chunk_ref_file(o->closed.at[0].disk_ref) : 0;
        slot_unlock(s);
        if (file && (!first || file < first)) first = file;
        if (late && (!first || late < first)) first = late;
    }
    return first;
}

static int sref_cmp(const void *a, const void *b)
{
    sref x = *(const sref *)a, y = *(const sref *)b;
    return (x > y) - (x < y);
}

void head_live_refs(struct head *h, head_refs *out)
{
    struct reclaim_reader me;
    bool sorted = true;
    out->n = 0;
    reclaim_enter(&h->reclaim, &me);
    for (struct series_walk w = series_walk_of(&h->series); series_walk_next(&h->series, &w);) {
        sref ref = store_cold(&h->store, w.slot)->ref;
        sorted = sorted && (!out->n || out->at[out->n - 1] < ref);
        vec_push(out, ref);
    }
    reclaim_leave(&h->reclaim, &me);
    for (size_t i = 0; i < h->other_refs.n; i++, sorted = false) vec_push(out, h->other_refs.at[i]);
    if (!sorted) qsort(out->at, out->n, sizeof(*out->at), sref_cmp);
}
