/* replay.c — the router resolves refs, the workers touch series.
 *
 * The router alone knows the refs: a table ref -> slot, filled by the series records. It drops what the closed chunks cover before anything is
 * copied, and deals the rest out by slot, so that each worker walks its own series and no two meet at one. A series record is an
 * operation in the stream of its series' worker: samples before and after it stay before and after it.
 */
#include "head/replay.h"

#include "chunk/chunk.h"
#include "head/head_impl.h"
#include "wal/record.h"

ACCOUNT(replay_account, "replay")

enum { WORKERS_MAX = 64, BATCH_OPS = 8192, WORKER_BLOCK = 64, PREFETCH = 16, TABLE_MIN = 1 << 12 };

struct replay_ref {
    sref ref;                                  /* 0: free */
    uint32_t slot;                             /* 0: has no series (yet) */
    uint32_t first_chunk, last_chunk;          /* of the chunk files; index + 1 */
    bool duplicate;                            /* was given to a series that has another ref: stays so */
};
struct replay_chunk { struct closed_chunk c; uint32_t next; };
struct slot_info { int64_t closed_max; bool deleted; };

enum op_kind { OP_SAMPLE, OP_RESET };
struct op { uint32_t slot, kind; int64_t t; double v; };       /* OP_RESET: t is the first chunk, index + 1 */
struct head_replay_batch { unsigned worker; uint32_t n; struct op ops[BATCH_OPS]; };

struct replay_worker { _Alignas(64) struct open_ctx ctx; uint64_t samples, dropped; };

struct head_replay {
    struct head *head;
    struct head_replay_opts opts;
    struct replay_ref *refs;
    size_t n_refs, cap_refs;
    VEC(struct replay_chunk) chunks;           /* const once records come */
    VEC(struct slot_info) slots;               /* by slot index */
    struct head_replay_batch *open[WORKERS_MAX];
    struct replay_worker *workers;
    struct head_replay_stats stats;
};

/* ref -> slot. Refs are dense: their low bits are the place. */

static size_t refs_home(const struct head_replay *r, sref ref)
{
    return (size_t)(ref ^ (ref >> 32) * 0x9e3779b97f4a7c15u) & (r->cap_refs - 1);
}

static struct replay_ref *refs_find(struct head_replay *r, sref ref)
{
    size_t i = refs_home(r, ref);
    while (r->refs[i].ref && r->refs[i].ref != ref) i = (i + 1) & (r->cap_refs - 1);
    return &r->refs[i];
}

static void refs_grow(struct head_replay *r)
{
    struct replay_ref *old = r->refs;
    size_t cap = r->cap_refs;
    r->cap_refs = cap ? cap * 2 : TABLE_MIN;
    r->refs = mem_zalloc(r->cap_refs * sizeof(*r->refs));
    account_charge(&replay_account, (int64_t)((r->cap_refs - cap) * sizeof(*r->refs)));
    for (size_t i = 0; i < cap; i++)
        if (old[i].ref) *refs_find(r, old[i].ref) = old[i];
    mem_free(old);
}

static struct replay_ref *refs_add(struct head_replay *r, sref ref)
{
    struct replay_ref *x = refs_find(r, ref);
    if (x->ref) return x;
    if (r->n_refs >= r->cap_refs / 4 * 3) {
        refs_grow(r);
        x = refs_find(r, ref);
    }
    x->ref = ref;
    r->n_refs++;
    return x;
}

static uint32_t refs_slot(struct head_replay *r, sref ref) { return ref ? refs_find(r, ref)->slot : 0; }

struct head_replay *head_replay_begin(struct head *h, const struct head_replay_opts *o)
{
    struct head_replay *r = NEW(struct head_replay);
    r->head = h;
    r->opts = *o;
    r->opts.workers = MIN(MAX(o->workers, 1u), (unsigned)WORKERS_MAX);
    r->workers = mem_aligned(64, r->opts.workers * sizeof(*r->workers));
    for (unsigned i = 0; i < r->opts.workers; i++) {
        r->workers[i] = (struct replay_worker){ 0 };
        open_ctx_init(&r->workers[i].ctx, &h->store);
    }
    refs_grow(r);
    return r;
}

void head_replay_chunk(struct head_replay *r, const struct head_replay_chunk *c)
{
    if (!c->ref || c->ooo) return;             /* out-of-order chunks are not served yet: nothing refers to them */
    if (c->maxt < head_min_valid_time(r->head)) return;        /* is in a block */
    struct replay_ref *x = refs_add(r, c->ref);
    if (x->last_chunk && c->mint <= r->chunks.at[x->last_chunk - 1].c.maxt) return;
    vec_push(&r->chunks, ((struct replay_chunk){ { c->mint, c->maxt, c->disk_ref, c->samples, c->encoding }, 0 }));
    uint32_t i = (uint32_t)r->chunks.n;
    if (x->last_chunk) r->chunks.at[x->last_chunk - 1].next = i;
    else x->first_chunk = i;
    x->last_chunk = i;
}

/* Dealing out. */

static void replay_submit(struct head_replay *r, unsigned worker)
{
    struct head_replay_batch *b = r->open[worker];
    r->open[worker] = NULL;
    if (!b) return;
    if (r->opts.submit) r->opts.submit(r->opts.ctx, worker, b);
    else head_replay_apply(r, b);
}

static void replay_put(struct head_replay *r, struct op op)
{
    unsigned worker = op.slot / WORKER_BLOCK % r->opts.workers;
    struct head_replay_batch *b = r->open[worker];
    if (!b) {
        b = r->open[worker] = mem_alloc(sizeof(*b));
        b->worker = worker;
        b->n = 0;
        account_charge(&replay_account, sizeof(*b));
    }
    b->ops[b->n++] = op;
    if (b->n == BATCH_OPS) replay_submit(r, worker);
}

void head_replay_flush(struct head_replay *r)
{
    for (unsigned i = 0; i < r->opts.workers; i++) replay_submit(r, i);
}

static struct slot_info *replay_info(struct head_replay *r, uint32_t slot)
{
    while (r->slots.n <= slot) vec_push(&r->slots, ((struct slot_info){ .closed_max = INT64_MIN }));
    return &r->slots.at[slot];
}

errc head_replay_series(struct head_replay *r, sref ref, struct labels labels, struct err *e)
{
    uint32_t slot;
    bool made;
    series_reserve_ref(&r->head->series, ref);
    if (!ref) return err_set(e, ERR_BAD_INPUT, "a series record with ref 0");
    TRY(series_get(&r->head->series, labels, NULL, ref, &slot, &made, e));
    struct replay_ref *x = refs_add(r, ref);
    struct slot_info *info = replay_info(r, slot);
    r->stats.series += made;
    if (made) {
        metric_inc(&head_series_created);
        if (!x->duplicate) x->slot = slot;
    } else if (info->deleted) {                /* a series that begins anew: what is logged from here on names this ref */
        store_cold(&r->head->store, slot)->ref = ref;
        x->slot = slot;
    } else {
        r->stats.duplicates += store_cold(&r->head->store, slot)->ref != ref;
        x->slot = slot;
        x->duplicate = true;
    }
    info->deleted = false;
    info->closed_max = x->last_chunk ? r->chunks.at[x->last_chunk - 1].c.maxt : INT64_MIN;
    if (!made || x->first_chunk) replay_put(r, (struct op){ .slot = slot, .kind = OP_RESET, .t = x->first_chunk });
    return OK;
}

void head_replay_samples(struct head_replay *r, const struct ref_sample *s, size_t n)
{
    int64_t min_valid = head_min_valid_time(r->head);
    for (size_t i = 0; i < n; i++) {
        if (i + PREFETCH < n) __builtin_prefetch(&r->refs[refs_home(r, s[i + PREFETCH].ref)]);
        uint32_t slot = refs_slot(r, s[i].ref);
        if (UNLIKELY(!slot)) {
            r->stats.unknown_samples++;
        } else if (s[i].t < min_valid || s[i].t <= r->slots.at[slot].closed_max) {
            r->stats.dropped_old++;
        } else {
            replay_put(r, (struct op){ .slot = slot, .kind = OP_SAMPLE, .t = s[i].t, .v = s[i].v });
        }
    }
}

void head_replay_tombstone(struct head_replay *r, sref ref, int64_t mint, int64_t maxt)
{
    series_reserve_ref(&r->head->series, ref);
    uint32_t slot = refs_slot(r, ref);
    if (!slot) {
        r->stats.unknown_other++;
    } else if (mint == INT64_MIN && maxt == INT64_MAX) {       /* the series was deleted */
        struct slot_info *info = replay_info(r, slot);
        info->deleted = true;
        info->closed_max = INT64_MIN;
        refs_find(r, ref)->slot = 0;
        replay_put(r, (struct op){ .slot = slot, .kind = OP_RESET });
    } else if (maxt >= head_min_valid_time(r->head)) {
        head_add_tombstone(r->head, store_cold(&r->head->store, slot)->ref, mint, maxt);
    }
}

void head_replay_reserve(struct head_replay *r, sref ref)
{
    series_reserve_ref(&r->head->series, ref);
    uint32_t i = refs_slot(r, ref);
    if (!i) return;
    struct slot *s = store_slot(&r->head->store, i);
    slot_lock(s);
    slot_flag(s, SLOT_HIST, 0);
    slot_unlock(s);
}

/* Applying. */

static void apply_reset(struct head_replay *r, struct slot *s, uint32_t first_chunk)
{
    struct head *h = r->head;
    uint64_t gone = s->n_closed + (s->n > 0), attached = 0;
    for (uint32_t q = s->sealed; q; q = ((struct sealed *)slab_at(&h->store.sealed, q))->next) gone++;
    open_drop(&h->store, s);
    store_drop_closed(&h->store, s, s->n_closed);
    slot_set_last_t(s, INT64_MIN);
    for (uint32_t i = first_chunk; i; i = r->chunks.at[i - 1].next) {
        const struct closed_chunk *c = &r->chunks.at[i - 1].c;
        store_add_closed(&h->store, s, c);
        bool hist = !chunk_enc_is_float(c->enc);
        slot_flag(s, hist ? SLOT_HIST | SLOT_LAST_HIST : 0, hist ? 0 : SLOT_LAST_HIST);
        slot_set_last_t(s, c->maxt);
        head_saw_time(h, c->mint, c->maxt);
        attached++;
    }
    atomic_fetch_add_explicit(&h->n_chunks, attached - gone, memory_order_relaxed);
}

void head_replay_apply(struct head_replay *r, struct head_replay_batch *b)
{
    struct head *h = r->head;
    struct replay_worker *w = &r->workers[b->worker];
    int64_t mint = INT64_MAX, maxt = INT64_MIN;
    for (uint32_t i = 0; i < b->n; i++) {
        if (i + PREFETCH < b->n) __builtin_prefetch(store_slot(&h->store, b->ops[i + PREFETCH].slot), 1);
        const struct op *op = &b->ops[i];
        struct slot *s = store_slot(&h->store, op->slot);
        slot_lock(s);
        if (op->kind == OP_RESET) {
            apply_reset(r, s, (uint32_t)op->t);
        } else if (op->t <= slot_last_t(s)) {
            w->dropped++;
        } else {
            open_append(&w->ctx, op->slot, s, op->t, op->v);
            slot_flag(s, 0, SLOT_LAST_HIST);
            w->samples++;
            mint = MIN(mint, op->t);
            maxt = MAX(maxt, op->t);
        }
        slot_unlock(s);
    }
    if (mint <= maxt) head_saw_time(h, mint, maxt);
    head_count_opened(h, &w->ctx);
    account_charge(&replay_account, -(int64_t)sizeof(*b));
    mem_free(b);
}

void head_replay_finish(struct head_replay *r, struct head_replay_stats *stats)
{
    struct head *h = r->head;
    head_replay_flush(r);
    for (unsigned i = 0; i < r->opts.workers; i++) {
        open_ctx_release(&r->workers[i].ctx);
        r->stats.samples += r->workers[i].samples;
        r->stats.dropped_old += r->workers[i].dropped;
    }
    r->stats.chunks = r->chunks.n;
    head_collect(h, head_min_valid_time(h), true);
    if (head_min_time(h) <= head_max_time(h) && head_min_time(h) < head_min_valid_time(h))
        atomic_store_explicit(&h->min_time, head_min_valid_time(h), memory_order_relaxed);
    if (stats) *stats = r->stats;
    account_charge(&replay_account, -(int64_t)(r->cap_refs * sizeof(*r->refs)));
    mem_free(r->refs);
    mem_free(r->workers);
    vec_fini(&r->chunks);
    vec_fini(&r->slots);
    mem_free(r);
}
