#include "head/store.h"

#include "chunk/chunk.h"
#include "chunk/cut.h"
#include "head/byte_chunk.h"

ACCOUNT(slots_account, "series")
ACCOUNT(cells_account, "open_chunks")
ACCOUNT(runs_account, "timestamp_runs")
ACCOUNT(sealed_account, "sealed_chunks")
ACCOUNT(closed_account, "closed_chunk_refs")
ACCOUNT(ids_account, "isolation")

enum {
    CLOSED_WIDE_FILE = 0,
    CLOSED_COUNT_BITS = 12,
    CLOSED_COUNT_MAX = (1 << CLOSED_COUNT_BITS) - 1,
    TRIM_PAGES = 4                             /* under one lock */
};

void store_init(struct store *s, int64_t chunk_range_ms, uint32_t samples_per_chunk)
{
    *s = (struct store){ .time_base = INT64_MIN,
        .chunk_range_ms = chunk_range_ms,
        .samples_per_chunk = samples_per_chunk,
        .float_enc = CHUNK_XOR };
    mtx_init(&s->mu, LOCK_LEAF);
    slab_init(&s->slots, &slots_account, sizeof(struct slot));
    slab_init(&s->cold, &slots_account, sizeof(struct cold));
    slab_init_shrinking(&s->cells, &cells_account, sizeof(union cell));
    slab_init_shrinking(&s->runs, &runs_account, sizeof(struct ts_run));
    slab_init_shrinking(&s->sealed, &sealed_account, sizeof(struct sealed));
    slab_init_shrinking(&s->wide, &closed_account, sizeof(struct closed_wide));
    slab_init_shrinking(&s->ids, &ids_account, sizeof(struct batch_id));
    slab_init_shrinking(&s->bytes, NULL, sizeof(struct byte_chunk));
    slab_init_shrinking(&s->closed_heap, &closed_account, sizeof(void *));
    for (unsigned c = 0; c < CLOSED_CLASSES; c++)
        slab_init_shrinking(&s->closed[c], &closed_account, sizeof(struct closed_ref) << c);
}

static struct closed_ref **closed_heap_at(const struct store *s, uint32_t i)
{
    return slab_at(&s->closed_heap, i);
}

void store_fini(struct store *s)
{
    for (uint32_t i = 1; i < slab_end(&s->slots); i++) {
        struct slot *slot = store_slot(s, i);
        if (slot->n_closed > 1u << (CLOSED_CLASSES - 1)) store_drop_closed(s, slot, slot->n_closed);
        if (slot_flags(slot) & SLOT_BYTES) byte_chunk_free(s, slot->first_cell);
    }
    for (uint32_t i = s->sealed_first; i;) {
        const struct sealed *q = slab_at(&s->sealed, i);
        if (q->coding == CODING_BYTES) byte_chunk_free(s, q->first_cell);
        i = q->queue_next;
    }
    slab_fini(&s->slots);
    slab_fini(&s->cold);
    slab_fini(&s->cells);
    slab_fini(&s->runs);
    slab_fini(&s->sealed);
    slab_fini(&s->wide);
    slab_fini(&s->ids);
    slab_fini(&s->bytes);
    slab_fini(&s->closed_heap);
    for (unsigned c = 0; c < CLOSED_CLASSES; c++) slab_fini(&s->closed[c]);
    mtx_fini(&s->mu);
}

/* In steps: who appends waits for one. */
static void slab_trim_all(struct store *s, struct slab *slab)
{
    uint32_t page = 0;
    bool more = true;
    while (more) {
        mtx_lock(&s->mu);
        more = slab_trim(slab, &page, TRIM_PAGES);
        mtx_unlock(&s->mu);
    }
}

void store_trim(struct store *s)
{
    slab_trim_all(s, &s->cells);
    slab_trim_all(s, &s->runs);
    slab_trim_all(s, &s->sealed);
    slab_trim_all(s, &s->wide);
    slab_trim_all(s, &s->ids);
    slab_trim_all(s, &s->bytes);
    slab_trim_all(s, &s->closed_heap);
    for (unsigned c = 0; c < CLOSED_CLASSES; c++) slab_trim_all(s, &s->closed[c]);
}

uint32_t store_take_cell(struct store *s, struct cell_stock *stock, unsigned nth)
{
    static const uint8_t place_of[] = { 0, 1, 2, 3, 3, 4, 4, 4, 4 };
    unsigned place = nth < ARRAY_LEN(place_of) ? place_of[nth] : CELL_PLACES - 1;
    uint32_t *at = stock->of[place].at, *n = &stock->of[place].n;
    if (!*n) {
        mtx_lock(&s->mu);
        /* The lowest is taken first and lies on top. */
        for (unsigned i = CELL_STOCK; i-- > 0;) at[i] = slab_take_in(&s->cells, place);
        mtx_unlock(&s->mu);
        *n = CELL_STOCK;
    }
    return at[--*n];
}

void store_drain_stock(struct store *s, struct cell_stock *stock)
{
    mtx_lock(&s->mu);
    for (unsigned p = 0; p < CELL_PLACES; p++)
        while (stock->of[p].n) slab_give(&s->cells, stock->of[p].at[--stock->of[p].n]);
    mtx_unlock(&s->mu);
}

void store_give_cells(struct store *s, uint32_t first_cell)
{
    if (!first_cell) return;
    mtx_lock(&s->mu);
    for (uint32_t c = first_cell; c;) {
        uint32_t next = (uint32_t)(store_cell(s, c)->w[0] >> 32);
        slab_give(&s->cells, c);
        c = next;
    }
    mtx_unlock(&s->mu);
}

/* Runs. */

static uint32_t store_take_run(struct store *s)
{
    mtx_lock(&s->mu);
    uint32_t i = slab_take(&s->runs);
    mtx_unlock(&s->mu);
    return i;
}

uint32_t store_new_run(struct store *s, int64_t t, struct cell_stock *stock)
{
    uint32_t i = store_take_run(s);
    struct ts_run *r = store_run(s, i);
    r->base = t;
    r->range_end = r->next_at = cut_align(t, s->chunk_range_ms);
    atomic_store_explicit(&r->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&r->cell[0], store_take_cell(s, stock, 0), memory_order_relaxed);
    atomic_store_explicit(&r->n, 1, memory_order_release);
    return i;
}

/* At the quarter the end of the chunk is set: a function of the times alone, so it stands in the
 * run. */
static void run_estimate(const struct store *s, struct ts_run *r, unsigned n, int64_t t)
{
    if (n == s->samples_per_chunk / 4) r->next_at = cut_end(r->base, t, r->range_end, 4);
}

static bool run_push_locked(
    struct store *s, struct ts_run *r, uint16_t n, int64_t t, struct cell_stock *stock)
{
    uint64_t off = (uint64_t)t - (uint64_t)r->base;
    if (n >= RUN_MAX || off > UINT32_MAX) return false;
    if (n % CELL_OFFSETS == 0)
        atomic_store_explicit(&r->cell[n / CELL_OFFSETS],
            store_take_cell(s, stock, n / CELL_OFFSETS), memory_order_release);
    store_cell(s, atomic_load_explicit(&r->cell[n / CELL_OFFSETS], memory_order_relaxed))
        ->offset[n % CELL_OFFSETS] = (uint32_t)off;
    run_estimate(s, r, n + 1u, t);
    atomic_store_explicit(&r->n, (uint16_t)(n + 1), memory_order_release);
    return true;
}

bool store_extend_run(
    struct store *s, uint32_t run, uint16_t n, int64_t t, struct cell_stock *stock)
{
    struct ts_run *r = store_run(s, run);
    bool ok = false;
    bytelock_lock(&r->mu, LOCK_HEAD_RUN);
    uint16_t have = atomic_load_explicit(&r->n, memory_order_relaxed);
    if (n < have) ok = run_offset(s, r, n) == (uint64_t)t - (uint64_t)r->base;
    else ok = run_push_locked(s, r, n, t, stock);
    bytelock_unlock(&r->mu, LOCK_HEAD_RUN);
    return ok;
}

uint32_t store_fork_run(
    struct store *s, uint32_t run, uint16_t n, int64_t t, struct cell_stock *stock)
{
    assert(n > 0);
    uint32_t i = store_take_run(s);
    struct ts_run *r = store_run(s, i);
    const struct ts_run *from = store_run(s, run);
    r->base = from->base;
    r->range_end = from->range_end;
    r->next_at = n >= s->samples_per_chunk / 4 ? from->next_at : from->range_end;
    atomic_store_explicit(&r->refs, 1, memory_order_relaxed);
    for (unsigned c = 0; c * CELL_OFFSETS < n; c++) {
        uint32_t cell = store_take_cell(s, stock, c);
        const union cell *f =
            store_cell(s, atomic_load_explicit(&from->cell[c], memory_order_acquire));
        for (unsigned k = 0; k < CELL_OFFSETS && c * CELL_OFFSETS + k < n; k++)
            store_cell(s, cell)->offset[k] = f->offset[k];
        atomic_store_explicit(&r->cell[c], cell, memory_order_relaxed);
    }
    bytelock_lock(&r->mu, LOCK_HEAD_RUN);
    bool ok = run_push_locked(s, r, n, t, stock);
    bytelock_unlock(&r->mu, LOCK_HEAD_RUN);
    /* a chunk ends within its range, which is below 2^32 ms */
    assert(ok);
    return i;
}

void store_unref_run(struct store *s, uint32_t run)
{
    if (!run) return;
    struct ts_run *r = store_run(s, run);
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
    mtx_lock(&s->mu);
    for (unsigned c = 0; c < RUN_CELLS; c++) {
        uint32_t cell = atomic_load_explicit(&r->cell[c], memory_order_relaxed);
        if (cell) slab_give(&s->cells, cell);
    }
    slab_give(&s->runs, run);
    mtx_unlock(&s->mu);
}

void store_run_times(const struct store *s, uint32_t run, unsigned n, int64_t *t)
{
    const struct ts_run *r = store_run(s, run);
    for (unsigned i = 0; i < n; i += CELL_OFFSETS) {
        const union cell *c =
            store_cell(s, atomic_load_explicit(&r->cell[i / CELL_OFFSETS], memory_order_acquire));
        for (unsigned k = 0; k < CELL_OFFSETS && i + k < n; k++) t[i + k] = r->base + c->offset[k];
    }
}

/* Closed references. The class of a vector follows from how many it holds: the least power of two
 * that is enough. */

static unsigned closed_class(unsigned n)
{
    unsigned c = 0;
    while (1u << c < n) c++;
    return c;
}

static struct closed_ref *closed_at(const struct store *s, const struct slot *slot)
{
    unsigned c = closed_class(slot->n_closed);
    return c < CLOSED_CLASSES ? slab_at(&s->closed[c], slot->closed)
                              : *closed_heap_at(s, slot->closed);
}

static uint32_t closed_take(struct store *s, unsigned class, struct closed_ref **at)
{
    if (class < CLOSED_CLASSES) {
        uint32_t i = slab_take(&s->closed[class]);
        *at = slab_at(&s->closed[class], i);
        return i;
    }
    uint32_t i = slab_take(&s->closed_heap);
    size_t size = sizeof(struct closed_ref) << class;
    *closed_heap_at(s, i) = *at = mem_alloc(size);
    account_charge(&closed_account, (int64_t)size);
    return i;
}

static void closed_give(struct store *s, unsigned class, uint32_t i)
{
    if (class < CLOSED_CLASSES) {
        slab_give(&s->closed[class], i);
        return;
    }
    mem_free(*closed_heap_at(s, i));
    account_charge(&closed_account, -((int64_t)sizeof(struct closed_ref) << class));
    slab_give(&s->closed_heap, i);
}

static struct closed_ref closed_pack(struct store *s, const struct closed_chunk *c)
{
    int64_t none = INT64_MIN;
    /* The base only has to be near: the first chunk's time is. */
    atomic_compare_exchange_strong_explicit(&s->time_base, &none,
        c->mint == INT64_MIN ? 0 : c->mint, memory_order_acq_rel, memory_order_acquire);
    int64_t base = atomic_load_explicit(&s->time_base, memory_order_acquire);
    int64_t mint;
    uint64_t file = c->disk_ref >> 32, len = (uint64_t)c->maxt - (uint64_t)c->mint;
    bool near =
        !__builtin_sub_overflow(c->mint, base, &mint) && mint == (int32_t)mint && len <= UINT32_MAX;
    if (near && file && file <= UINT16_MAX && c->n <= CLOSED_COUNT_MAX)
        return (struct closed_ref){ (uint16_t)file, (uint16_t)(c->n | c->enc << CLOSED_COUNT_BITS),
            (uint32_t)c->disk_ref, (int32_t)mint, (uint32_t)len };
    uint32_t i = slab_take(&s->wide);
    *(struct closed_wide *)slab_at(&s->wide, i) =
        (struct closed_wide){ c->mint, c->maxt, c->disk_ref, c->n, c->enc };
    return (struct closed_ref){ .file = CLOSED_WIDE_FILE, .offset = i };
}

void store_add_closed(struct store *s, struct slot *slot, const struct closed_chunk *c)
{
    assert(slot->n_closed < UINT16_MAX);
    unsigned n = slot->n_closed, class = n ? closed_class(n) : 0;
    mtx_lock(&s->mu);
    struct closed_ref *at = n ? closed_at(s, slot) : NULL;
    if (!n || n == 1u << class) {
        struct closed_ref *to;
        uint32_t i = closed_take(s, closed_class(n + 1), &to);
        if (n) memcpy(to, at, n * sizeof(*at));
        if (n) closed_give(s, class, slot->closed);
        slot->closed = i;
        at = to;
    }
    at[n] = closed_pack(s, c);
    slot->n_closed = (uint16_t)(n + 1);
    mtx_unlock(&s->mu);
}

struct closed_chunk store_get_closed(const struct store *s, const struct slot *slot, unsigned i)
{
    assert(i < slot->n_closed);
    const struct closed_ref *r = &closed_at(s, slot)[i];
    if (r->file == CLOSED_WIDE_FILE) {
        const struct closed_wide *w = slab_at(&s->wide, r->offset);
        return (struct closed_chunk){ w->mint, w->maxt, w->disk_ref, w->n, w->enc };
    }
    int64_t mint = atomic_load_explicit(&s->time_base, memory_order_relaxed) + r->mint;
    return (struct closed_chunk){ mint, mint + r->length_ms, (uint64_t)r->file << 32 | r->offset,
        r->n_enc & CLOSED_COUNT_MAX, (uint8_t)(r->n_enc >> CLOSED_COUNT_BITS) };
}

void store_drop_closed(struct store *s, struct slot *slot, unsigned n)
{
    if (!n) return;
    assert(n <= slot->n_closed);
    mtx_lock(&s->mu);
    struct closed_ref *at = closed_at(s, slot);
    for (unsigned i = 0; i < n; i++)
        if (at[i].file == CLOSED_WIDE_FILE) slab_give(&s->wide, at[i].offset);
    unsigned left = slot->n_closed - n, class = closed_class(slot->n_closed),
             to_class = closed_class(left);
    if (!left || to_class != class) {
        uint32_t old = slot->closed;
        slot->closed = 0;
        if (left) {
            struct closed_ref *to;
            slot->closed = closed_take(s, to_class, &to);
            memcpy(to, at + n, left * sizeof(*at));
        }
        closed_give(s, class, old);
    } else {
        memmove(at, at + n, left * sizeof(*at));
    }
    slot->n_closed = (uint16_t)left;
    mtx_unlock(&s->mu);
}
