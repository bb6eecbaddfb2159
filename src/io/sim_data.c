/* What a crash leaves of the changes 0 … N-1 that no sync has covered.
 *
 * Size and data reach a disk by different ways: the size by the journal, in order; the data by
 * pages that are written back whenever it pleases the kernel, each as it is at that moment, and a
 * page may tear at a sector when the power goes. So one number k says how many changes the journal
 * has seen (the size is the one after change k-1), and each sector has a version v of its own: it
 * shows the changes before v. Truncations bind the two: a sector that a truncation t < k has cut
 * cannot show what was there before (v > t), and one that a truncation t >= k has cut, which the
 * journal has not seen, cannot show what was written after it (v <= t).
 */
#include "io/sim_data.h"

enum { SECTOR = 512, PAGE = 4096 };

static void sim_bytes_resize(struct sim_bytes *b, uint64_t n)
{
    if (n > b->cap) {
        b->cap = MAX(n, b->cap + b->cap / 2);
        b->p = mem_realloc(b->p, (size_t)b->cap);
    }
    if (n > b->n) memset(b->p + b->n, 0, (size_t)(n - b->n));
    b->n = n;
}

static void sim_bytes_put(struct sim_bytes *b, uint64_t off, const uint8_t *p, uint64_t n)
{
    if (!n) return;
    if (off + n > b->n) sim_bytes_resize(b, off + n);
    memcpy(b->p + off, p, (size_t)n);
}

void sim_data_write(struct sim_data *d, uint64_t off, str bytes)
{
    if (!bytes.n) return;
    sim_bytes_put(&d->now, off, bytes.p, bytes.n);
    uint8_t *copy = mem_alloc(bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    vec_push(&d->changes, ((struct sim_change){ false, off, bytes.n, d->now.n, copy }));
}

void sim_data_truncate(struct sim_data *d, uint64_t size)
{
    sim_bytes_resize(&d->now, size);
    vec_push(&d->changes, ((struct sim_change){ true, 0, size, size, NULL }));
}

static void sim_changes_drop(struct sim_data *d)
{
    for (size_t i = 0; i < d->changes.n; i++) mem_free(d->changes.at[i].bytes);
    d->changes.n = 0;
}

void sim_data_sync(struct sim_data *d)
{
    for (size_t i = 0; i < d->changes.n; i++) {
        const struct sim_change *c = &d->changes.at[i];
        if (c->is_truncate) sim_bytes_resize(&d->durable, c->n);
        else sim_bytes_put(&d->durable, c->off, c->bytes, c->n);
        if (d->durable.n < c->size_after) sim_bytes_resize(&d->durable, c->size_after);
    }
    sim_changes_drop(d);
}

/* How the versions of sectors are drawn in one loss: whole pages, single sectors, in order up to a
 * change, or nearly all. */
enum sim_mode { MODE_NOTHING, MODE_ALL, MODE_PAGES, MODE_SECTORS, MODE_ORDER, MODE_NEARLY, MODES };
struct sim_draw { enum sim_mode mode; uint64_t seed; size_t k, order, torn; };

static uint64_t sim_hash(uint64_t seed, uint64_t x)
{
    struct prng r = { seed ^ (x * 0x9e3779b97f4a7c15u) };
    return prng_u64(&r);
}

/* The version of the sector that starts at `at`, within what truncations allow. */
static size_t sim_version(const struct sim_data *d, const struct sim_draw *w, uint64_t at)
{
    size_t lo = 0, hi = d->changes.n;
    for (size_t t = 0; t < d->changes.n; t++) {
        const struct sim_change *c = &d->changes.at[t];
        if (!c->is_truncate || c->n >= at + SECTOR) continue;
        if (t < w->k) lo = t + 1;
        else hi = MIN(hi, t);
    }
    if (hi < lo) hi = lo;
    size_t span = hi - lo + 1;
    switch (w->mode) {
    case MODE_NOTHING: return lo;
    case MODE_PAGES: return lo + (size_t)(sim_hash(w->seed, at / PAGE) % span);
    case MODE_SECTORS: return lo + (size_t)(sim_hash(w->seed, at / SECTOR) % span);
    case MODE_ORDER: return MIN(MAX(lo, w->order + (at / SECTOR < w->torn)), hi);
    case MODE_NEARLY: return sim_hash(w->seed, at / SECTOR) % 16 ? hi : lo;
    default: return hi;
    }
}

static void sim_apply_write(struct sim_data *d, const struct sim_draw *w, size_t i)
{
    const struct sim_change *c = &d->changes.at[i];
    for (uint64_t at = c->off; at < c->off + c->n;) {
        uint64_t sector = at / SECTOR * SECTOR, end = MIN(sector + SECTOR, c->off + c->n);
        if (i < sim_version(d, w, sector))
            sim_bytes_put(&d->durable, at, c->bytes + (at - c->off), end - at);
        at = end;
    }
}

static struct sim_draw sim_draw_of(const struct sim_data *d, struct prng *r, enum fs_sim_loss loss)
{
    size_t n = d->changes.n;
    if (loss == SIM_LOSE_ALL) return (struct sim_draw){ .mode = MODE_NOTHING };
    if (loss == SIM_LOSE_NOTHING) return (struct sim_draw){ .mode = MODE_ALL, .k = n };
    struct sim_draw w = { .mode = (enum sim_mode)prng_below(r, MODES), .seed = prng_u64(r) };
    w.order = (size_t)prng_below(r, n);
    const struct sim_change *c = &d->changes.at[w.order];
    w.torn = (size_t)(c->off / SECTOR + prng_below(r, c->n / SECTOR + 2));
    w.k = prng_below(r, 2) ? n : (size_t)prng_below(r, n + 1);
    if (w.mode == MODE_NOTHING && prng_below(r, 2)) w.k = 0;
    if (w.mode == MODE_ALL) w.k = n;
    if (w.mode == MODE_ORDER) w.k = w.order + (size_t)prng_below(r, 2);
    return w;
}

void sim_data_lose(struct sim_data *d, struct prng *r, enum fs_sim_loss loss)
{
    if (!d->changes.n) return;
    struct sim_draw w = sim_draw_of(d, r, loss);
    uint64_t size = w.k ? d->changes.at[w.k - 1].size_after : d->durable.n;
    for (size_t i = 0; i < d->changes.n; i++) {
        if (!d->changes.at[i].is_truncate) sim_apply_write(d, &w, i);
        else if (i < w.k) sim_bytes_resize(&d->durable, d->changes.at[i].n);
    }
    sim_bytes_resize(&d->durable, size);
    sim_changes_drop(d);
}

void sim_data_reload(struct sim_data *d)
{
    assert(!d->changes.n);
    sim_bytes_resize(&d->now, 0);
    sim_bytes_put(&d->now, 0, d->durable.p, d->durable.n);
}

void sim_data_fini(struct sim_data *d)
{
    sim_changes_drop(d);
    vec_fini(&d->changes);
    mem_free(d->now.p);
    mem_free(d->durable.p);
    *d = (struct sim_data){ 0 };
}
