#include "head/deletions.h"

#include "head/head_impl.h"
#include "wal/record.h"
#include "wal/wal.h"

#include <stdlib.h>

/* ---- the log ---- */

static errc log_deletion(
    struct head *h, uint32_t number, const ref_tombstones *all, struct err *e)
{
    if (!h->opts.wal || !all->n) return OK;
    struct wal_batch *to = wal_batch_new(h->opts.wal);
    deletion_encode(wal_batch_room(to), number);
    wal_batch_seal(to);
    tombstones_encode(wal_batch_room(to), all->at, all->n);
    wal_batch_seal(to);
    return wal_commit(h->opts.wal, to, e);
}

struct gathered { uint32_t number; ref_tombstones *to; };

static void gather(void *ctx, sref ref, const head_deletions *deleted)
{
    struct gathered *g = ctx;
    for (size_t i = 0; i < deleted->n; i++) {
        const struct head_deletion *x = &deleted->at[i];
        if (x->number == g->number)
            vec_push(g->to, ((struct ref_tombstone){ ref, x->mint, x->maxt }));
    }
}

static errc log_numbered(struct head *h, uint32_t which, uint32_t number, struct err *e)
{
    ref_tombstones all = { 0 };
    struct gathered g = { which, &all };
    head_tombstones_each(&h->tombstones, gather, &g);
    errc rc = log_deletion(h, number, &all, e);
    vec_fini(&all);
    return rc;
}

static uint32_t newest(const struct head *h)
{
    return atomic_load_explicit(&h->deletions, memory_order_relaxed);
}

/* ---- numbers ---- */

errc head_deletions_number(struct head *h, struct err *e)
{
    uint32_t number = newest(h) + 1;
    if (LIKELY(!atomic_load_explicit(&h->tombstones.unknown, memory_order_relaxed))) return OK;
    TRY(log_numbered(h, DELETION_UNKNOWN, number, e));
    atomic_store_explicit(&h->deletions, number, memory_order_relaxed);
    head_tombstones_number(&h->tombstones, number);
    return OK;
}

errc head_deletions_settle(struct head *h, struct err *e)
{
    baton_take(&h->ooo_baton);
    errc rc = head_deletions_number(h, e);
    baton_give(&h->ooo_baton);
    return rc;
}

typedef VEC(uint32_t) number_list;

static void numbers_gather(void *ctx, sref ref, const head_deletions *deleted)
{
    number_list *all = ctx;
    (void)ref;
    for (size_t i = 0; i < deleted->n; i++) vec_push(all, deleted->at[i].number);
}

static int number_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

errc head_deletions_log_again(struct head *h, bool *told, uint32_t *segment, struct err *e)
{
    number_list all = { 0 };
    errc rc = OK;
    uint32_t last = 0;
    *told = false;
    if (head_min_ooo_time(h) <= head_max_ooo_time(h))
        head_tombstones_each(&h->tombstones, numbers_gather, &all);
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), number_cmp);
    if (all.n) {
        rc = wal_rotate(h->opts.wal, &last, e);
        *told = rc == OK;
        *segment = last + 1;
    }
    for (size_t i = 0; *told && rc == OK && i < all.n; i++)
        if (!i || all.at[i] != all.at[i - 1])
            rc = log_numbered(h, all.at[i], all.at[i], e);
    vec_fini(&all);
    return rc;
}

/* ---- deleting ---- */

/* The times that a series' samples span; false: it has none. */
static bool slot_span(const struct head *h, uint32_t slot, int64_t *mint, int64_t *maxt)
{
    const struct store *st = &h->store;
    struct slot *s = store_slot(st, slot);
    slot_lock(s);
    *mint = slot_mint(st, s);
    *maxt = *mint <= slot_last_t(s) ? slot_last_t(s) : INT64_MIN;
    const struct ooo *o = ooo_of(&h->ooo, s, slot);
    if (o) ooo_span(o, mint, maxt);
    slot_unlock(s);
    return *mint <= *maxt;
}

static void delete_gather(
    struct head *h, const runs *found, int64_t mint, int64_t maxt, ref_tombstones *out)
{
    for (size_t i = 0; i < found->n; i++) {
        for (snum n = found->at[i].start; n < found->at[i].end; n++) {
            uint32_t slot = series_slot_of(&h->series, n);
            int64_t from, to;
            if (!slot || !slot_span(h, slot, &from, &to) ||
                from > maxt || to < mint)
                continue;
            vec_push(out, ((struct ref_tombstone){
                              store_cold(&h->store, slot)->ref, MAX(from, mint), MIN(to, maxt) }));
        }
    }
}

/* REQUIRES: the ooo_baton */
static errc delete_gathered(struct head *h, const ref_tombstones *all, struct err *e)
{
    uint32_t number = newest(h) + 1;
    if (!all->n) return OK;
    TRY(log_deletion(h, number, all, e));
    atomic_store_explicit(&h->deletions, number, memory_order_relaxed);
    for (size_t i = 0; i < all->n; i++)
        head_tombstones_add(&h->tombstones, all->at[i].ref,
            (struct interval){ all->at[i].mint, all->at[i].maxt }, number);
    return OK;
}

errc head_delete(struct head *h, struct matchers ms, int64_t mint, int64_t maxt, struct err *e)
{
    struct reclaim_reader me;
    runs found = { 0 };
    ref_tombstones all = { 0 };
    baton_take(&h->ooo_baton);                 /* late samples came before it, or behind it */
    reclaim_enter(&h->reclaim, &me);
    errc rc = head_select(h, ms, &found, e);
    if (rc == OK) delete_gather(h, &found, mint, maxt, &all);
    reclaim_leave(&h->reclaim, &me);
    if (rc == OK) rc = delete_gathered(h, &all, e);
    baton_give(&h->ooo_baton);
    vec_fini(&found);
    vec_fini(&all);
    return rc;
}
