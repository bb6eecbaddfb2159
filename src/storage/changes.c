#include "storage/changes.h"

#include "base/mem.h"

void changes_init(struct changes *c)
{
    static _Atomic uint64_t ids;
    *c = (struct changes){ .id = atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed) + 1 };
    mtx_init(&c->mu, LOCK_LEAF);
    c->fine = mem_zalloc(CHANGES_CELLS * sizeof(*c->fine));
    c->coarse = mem_zalloc(CHANGES_CELLS * sizeof(*c->coarse));
}

void changes_fini(struct changes *c)
{
    if (!c->fine) return;
    assert(!atomic_load_explicit(&c->under_way, memory_order_relaxed));
    mem_free((void *)c->fine);
    mem_free((void *)c->coarse);
    mtx_fini(&c->mu);
}

/* Times before 0 have cells, too. */
static int64_t cell_of(int64_t t, unsigned bits) { return t >> bits; }

static void cells_note(
    _Atomic uint64_t *cells, unsigned bits, int64_t mint, int64_t maxt, uint64_t n)
{
    int64_t last = cell_of(maxt, bits), first = MAX(cell_of(mint, bits), last - CHANGES_CELLS + 1);
    for (int64_t k = first; k <= last; k++)
        atomic_store_explicit(&cells[(uint64_t)k % CHANGES_CELLS], n, memory_order_release);
}

static void note_locked(struct changes *c, int64_t mint, int64_t maxt, bool all) REQUIRES(c->mu)
{
    mtx_assert_held(&c->mu);
    uint64_t n = atomic_load_explicit(&c->last, memory_order_relaxed) + 1;
    if (all) {
        atomic_store_explicit(&c->everything, n, memory_order_release);
    } else {
        cells_note(c->coarse, CHANGES_COARSE_BITS, mint, maxt, n);
        cells_note(c->fine, CHANGES_FINE_BITS, mint, maxt, n);
    }
    atomic_store_explicit(&c->last, n, memory_order_release);
}

void changes_note(struct changes *c, int64_t mint, int64_t maxt)
{
    if (mint > maxt) return;
    mtx_lock(&c->mu);
    note_locked(c, mint, maxt, false);
    mtx_unlock(&c->mu);
}

void changes_note_all(struct changes *c)
{
    mtx_lock(&c->mu);
    note_locked(c, 0, 0, true);
    mtx_unlock(&c->mu);
}

void changes_begin(struct changes *c)
{
    mtx_lock(&c->mu);
    atomic_fetch_add_explicit(&c->under_way, 1, memory_order_release);
    mtx_unlock(&c->mu);
}

void changes_end(struct changes *c, int64_t mint, int64_t maxt)
{
    mtx_lock(&c->mu);
    if (mint <= maxt) note_locked(c, mint, maxt, false);
    atomic_fetch_sub_explicit(&c->under_way, 1, memory_order_release);
    mtx_unlock(&c->mu);
}

static bool cell_changed(const _Atomic uint64_t *cells, int64_t k, uint64_t since)
{
    return atomic_load_explicit(&cells[(uint64_t)k % CHANGES_CELLS], memory_order_acquire) > since;
}

/* The first fine cell of [mint, maxt] that changed. */
static int64_t fine_first(const struct changes *c, uint64_t since, int64_t mint, int64_t maxt)
{
    int64_t k = cell_of(mint, CHANGES_FINE_BITS), last = cell_of(maxt, CHANGES_FINE_BITS);
    for (; k <= last; k++)
        if (cell_changed(c->fine, k, since)) return MAX(mint, k * (1 << CHANGES_FINE_BITS));
    return INT64_MAX;
}

int64_t changes_first(const struct changes *c, uint64_t since, int64_t mint, int64_t maxt)
{
    if (mint > maxt) return INT64_MAX;
    if (atomic_load_explicit(&c->under_way, memory_order_acquire)) return mint;
    if (atomic_load_explicit(&c->everything, memory_order_acquire) > since) return mint;
    int64_t k = cell_of(mint, CHANGES_COARSE_BITS), last = cell_of(maxt, CHANGES_COARSE_BITS);
    /* all cells are the same time and again beyond their number */
    bool wide = last - k >= CHANGES_CELLS;
    for (int64_t left = wide ? CHANGES_CELLS : last - k + 1; left > 0; left--, k++) {
        if (!cell_changed(c->coarse, k, since)) continue;
        if (wide) return mint;
        int64_t begin = k * (1 << CHANGES_COARSE_BITS);
        int64_t end = begin + ((1 << CHANGES_COARSE_BITS) - 1);
        int64_t t = fine_first(c, since, MAX(mint, begin), MIN(maxt, end));
        if (t != INT64_MAX) return t;
    }
    return INT64_MAX;
}
