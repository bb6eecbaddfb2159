#include "head/open_chunk.h"

#include "chunk/chunk.h"
#include "chunk/cut.h"
#include "chunk/xor.h"
#include "head/byte_chunk.h"

#include <math.h>

/* How many units make 1, coarse units first. Times this, a value is a whole number; divided by it
 * again, it has its own bits. */
enum { UNIT_ONE = 7, UNITS = 17 };
static const double unit_per_one[UNITS] = { 0x1p-20, 0x1p-16, 0x1p-12, 0x1p-10, 0x1p-8, 0x1p-6,
    0x1p-4, 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };

/* Copies and decoding. */

static void copy_cells(const struct store *s, uint32_t first, unsigned bits, struct chunk_copy *out)
{
    uint32_t n = 0;
    for (unsigned left = (bits + CELL_BITS - 1) / CELL_BITS; left; left--) {
        const union cell *c = store_cell(s, first);
        out->words[n++] = (uint32_t)c->w[0];
        for (unsigned k = 1; k < 8; k++) {
            out->words[n++] = (uint32_t)(c->w[k] >> 32);
            out->words[n++] = (uint32_t)c->w[k];
        }
        first = (uint32_t)(c->w[0] >> 32);
    }
    assert(n + 3 <= COPY_WORDS);
    out->n_words = n;
    out->words[n] = out->words[n + 1] = out->words[n + 2] = 0;
}

static void copy_bytes(const struct store *s, uint32_t chunk, struct chunk_copy *out)
{
    const struct byte_chunk *b = byte_chunk_at(s, chunk);
    out->n = (unsigned)b->cut.n;
    out->coding = CODING_BYTES;
    out->unit = b->enc;
    out->mint = b->cut.mint;
    out->maxt = b->cut.maxt;
    buf_reset(&out->bytes);
    buf_str(&out->bytes, byte_chunk_view(b));
}

void open_copy(const struct store *s, const struct slot *slot, struct chunk_copy *out)
{
    if (slot_flags(slot) & SLOT_BYTES) {
        copy_bytes(s, slot->first_cell, out);
        return;
    }
    out->n = slot->n;
    out->coding = slot->coding;
    out->unit = slot->unit;
    out->last_v = slot->last_v;
    if (!slot->n) return;
    store_run_times(s, slot->run, slot->n, out->t);
    out->mint = out->t[0];
    out->maxt = out->t[out->n - 1];
    copy_cells(s, slot->first_cell, slot->payload_bits, out);
}

void sealed_copy(const struct store *s, const struct sealed *q, struct chunk_copy *out)
{
    if (q->coding == CODING_BYTES) {
        copy_bytes(s, q->first_cell, out);
        return;
    }
    out->n = q->n;
    out->coding = q->coding;
    out->unit = q->unit;
    out->last_v = q->last_v;
    store_run_times(s, q->run, q->n, out->t);
    out->mint = out->t[0];
    out->maxt = out->t[out->n - 1];
    copy_cells(s, q->first_cell, q->payload_bits, out);
}

int64_t open_mint(const struct store *s, const struct slot *slot)
{
    if (slot_flags(slot) & SLOT_BYTES) return byte_chunk_at(s, slot->first_cell)->cut.mint;
    return store_run(s, slot->run)->base;
}

int64_t sealed_mint(const struct store *s, const struct sealed *q)
{
    if (q->coding == CODING_BYTES) return byte_chunk_at(s, q->first_cell)->cut.mint;
    return store_run(s, q->run)->base;
}

struct rice_chain chunk_copy_chain(const struct chunk_copy *c, unsigned n, double *v)
{
    return (struct rice_chain){ c->words, n, c->coding == CODING_UP, unit_per_one[c->unit], v };
}

static void decode_xor(const struct chunk_copy *c, unsigned n, double *v)
{
    struct rice_bits b = { c->words, 0 };
    uint64_t val = 0;
    unsigned lead = 0, trail = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!i) {
            val = rice_bits_take(&b, 64);
        } else if (rice_bits_take(&b, 1)) {
            if (rice_bits_take(&b, 1)) {
                lead = (unsigned)rice_bits_take(&b, 5);
                unsigned w = (unsigned)rice_bits_take(&b, 6);
                trail = 64 - lead - (w ? w : 64);
            }
            val ^= rice_bits_take(&b, 64 - lead - trail) << (trail & 63);
        }
        v[i] = f64_of_bits(val);
    }
}

void chunk_copy_values(const struct chunk_copy *c, unsigned n, double *v)
{
    assert(n <= c->n);
    switch ((enum coding)c->coding) {
    case CODING_CONST:
        for (unsigned i = 0; i < n; i++) v[i] = f64_of_bits(c->last_v);
        return;
    case CODING_UP:
    case CODING_DEC: {
        struct rice_chain chain = chunk_copy_chain(c, n, v);
        rice_decode(&chain);
        return;
    }
    case CODING_XOR: decode_xor(c, n, v); return;
    case CODING_BYTES: break;
    }
    assert(false);
}

uint8_t chunk_copy_enc(const struct chunk_copy *c)
{
    return c->coding == CODING_BYTES ? c->unit : CHUNK_XOR;
}

size_t chunk_copy_encode(const struct chunk_copy *c, struct buf *to)
{
    if (c->coding == CODING_BYTES) {
        buf_str(to, buf_view(&c->bytes));
        return c->bytes.n;
    }
    double v[RUN_MAX];
    chunk_copy_values(c, c->n, v);
    uint8_t *at = buf_room(to, XOR_ROOM(c->n));
    size_t n = xor_encode(at, c->t, v, c->n);
    buf_commit(to, n);
    return n;
}

int64_t slot_mint(const struct store *s, const struct slot *slot)
{
    if (slot->n_closed) return store_get_closed(s, slot, 0).mint;
    if (slot->sealed) return sealed_mint(s, slab_at(&s->sealed, slot->sealed));
    return slot->n ? open_mint(s, slot) : INT64_MAX;
}

/* The values of the open chunk, without its times. */
static void open_values(const struct store *s, const struct slot *slot, double *v)
{
    struct chunk_copy c;
    c.n = slot->n;
    c.coding = slot->coding;
    c.unit = slot->unit;
    c.last_v = slot->last_v;
    copy_cells(s, slot->first_cell, slot->payload_bits, &c);
    chunk_copy_values(&c, c.n, v);
}

void open_ctx_init(struct open_ctx *c, struct store *s) { *c = (struct open_ctx){ .store = s }; }

void open_ctx_release(struct open_ctx *c)
{
    if (c->same.kept) store_unref_run(c->store, c->same.run);
    c->same = (struct open_step_of){ 0 };
    if (c->steps) {
        if (c->steps->run) store_unref_run(c->store, c->steps->run);
        *c->steps = (struct open_steps){ 0 };
    }
    for (unsigned i = 0; c->n_hints && i < RUN_HINTS; i++) {
        if (!c->hints[i].run) continue;
        store_unref_run(c->store, c->hints[i].run);
        store_unref_run(c->store, c->hints[i].from);
    }
    if (c->n_hints) memset(c->hints, 0, sizeof(c->hints));
    c->n_hints = 0;
    store_drain_stock(c->store, &c->stock);
}

/* The run whose first n times are those of `from` (none: n is 0) and that goes on with t. The
 * reference is the caller's. */
static uint32_t open_run_for(struct open_ctx *c, uint32_t from, uint16_t n, int64_t t)
{
    uint64_t key =
        ((uint64_t)from << 16 | n) * 0x9e3779b97f4a7c15u ^ (uint64_t)t * 0xc2b2ae3d27d4eb4fu;
    struct run_hint *h = &c->hints[(key ^ key >> 29) % RUN_HINTS];
    if (!h->run || h->from != from || h->n != n || h->t != t) {
        if (h->run) {
            store_unref_run(c->store, h->run);
            store_unref_run(c->store, h->from);
        } else {
            c->n_hints++;
        }
        if (from) store_ref_run(c->store, from);
        uint32_t run = from ? store_fork_run(c->store, from, n, t, &c->stock)
                            : store_new_run(c->store, t, &c->stock);
        *h = (struct run_hint){ from, run, n, t };
    }
    store_ref_run(c->store, h->run);
    return h->run;
}

/* The cell that the next bit goes to. */
static union cell *open_cell(struct open_ctx *c, struct slot *s, unsigned in_cell)
{
    if (LIKELY(in_cell)) return store_cell(c->store, slot_last_cell(s));
    uint32_t cell = store_take_cell(c->store, &c->stock, s->payload_bits / CELL_BITS);
    if (s->first_cell) store_cell(c->store, slot_last_cell(s))->w[0] |= (uint64_t)cell << 32;
    else s->first_cell = cell;
    slot_set_last_cell(s, cell);
    return store_cell(c->store, cell);
}

/* Writing bits into the cells: the low `bits` of v, 1 … 64. */
static __attribute__((noinline)) void open_put_over(
    struct open_ctx *c, struct slot *s, uint64_t v, unsigned bits)
{
    while (bits) {
        unsigned in_cell = s->payload_bits % CELL_BITS;
        uint64_t top = v << (64 - bits);                       /* its first bits lead */
        unsigned k = MIN(bits, CELL_BITS - in_cell), at = CELL_HEAD_BITS + in_cell, sh = at & 63;
        uint64_t *w = &open_cell(c, s, in_cell)->w[at >> 6];
        top &= ~(uint64_t)0 << (64 - k);
        w[0] |= top >> sh;
        if (sh + k > 64) w[1] |= top << (64 - sh);
        s->payload_bits = (uint16_t)(s->payload_bits + k);
        bits -= k;
    }
}

/* Most stay within a word. REQUIRES: no bit of v is set above its low `bits` */
static inline void open_put(struct open_ctx *c, struct slot *s, uint64_t v, unsigned bits)
{
    unsigned in_cell = s->payload_bits % CELL_BITS, at = CELL_HEAD_BITS + in_cell,
             end = (at & 63) + bits;
    if (UNLIKELY(!in_cell || end > 64)) {
        open_put_over(c, s, v, bits);
        return;
    }
    store_cell(c->store, slot_last_cell(s))->w[at >> 6] |= v << (64 - end);
    s->payload_bits = (uint16_t)(s->payload_bits + bits);
}

/* Is v m units, to the bit? */
static inline bool unit_holds(double v, unsigned unit, int64_t *m)
{
    double x = v * unit_per_one[unit];
    if (!(fabs(x) <= 0x1p53)) return false;
    *m = llrint(x);
    double back = unit == UNIT_ONE ? (double)*m : (double)*m / unit_per_one[unit];
    return f64_bits(back) == f64_bits(v);
}

static void open_put_escape(struct open_ctx *c, struct slot *s, uint64_t z, unsigned length)
{
    open_put(c, s, ((1u << RICE_ESCAPE) - 1) << RICE_LENGTH_BITS | length,
        RICE_ESCAPE + RICE_LENGTH_BITS);
    if (length) open_put(c, s, z, length);
}

static inline void open_put_step(struct open_ctx *c, struct slot *s, uint64_t z, bool alone)
{
    unsigned k = s->rice >> RICE_SHIFT;
    uint64_t ones = z >> k;
    if (LIKELY(ones < RICE_ESCAPE)) {
        uint64_t prefix = ((uint64_t)1 << (ones + 1)) - 2;
        open_put(c, s, prefix << k | (z & (((uint64_t)1 << k) - 1)), (unsigned)ones + 1 + k);
        if (!alone) s->rice = rice_next(s->rice, (unsigned)ones);
        return;
    }
    unsigned length = 64 - (unsigned)__builtin_clzll(z);
    open_put_escape(c, s, z, length);
    if (!alone) s->rice = rice_escaped(length);
}

/* False: v does not fit UP or DEC with this unit. prev: the value before, as bits; first: there is
 * none. */
static bool open_step(struct open_ctx *c, struct slot *s, uint64_t prev, bool first, double v)
{
    if (f64_bits(v) == STALE_NAN_BITS) {
        open_put_escape(c, s, 0, 0);
        return true;
    }
    int64_t m, before = 0;
    bool alone = first || prev == STALE_NAN_BITS;
    if (!unit_holds(v, s->unit, &m)) return false;
    if (!alone) before = llrint(f64_of_bits(prev) * unit_per_one[s->unit]);
    int64_t d = m - before;                    /* |m| <= 2^53: cannot overflow */
    if (s->coding == CODING_UP && d < 0) return false;
    open_put_step(
        c, s, s->coding == CODING_UP ? (uint64_t)d : (uint64_t)d << 1 ^ (uint64_t)(d >> 63), alone);
    return true;
}

/* The value bits of an XOR chunk; lead and trail are the window before, and after. */
static void open_xor(struct open_ctx *c, struct slot *s, uint64_t prev, bool first, uint64_t bits,
    uint8_t *lead, uint8_t *trail)
{
    if (first) {
        open_put(c, s, bits, 64);
        return;
    }
    uint64_t d = bits ^ prev;
    if (!d) {
        open_put(c, s, 0, 1);
        return;
    }
    unsigned l = (unsigned)__builtin_clzll(d), t = (unsigned)__builtin_ctzll(d);
    if (l > 31) l = 31;
    if (*lead != XOR_NO_WINDOW && l >= *lead && t >= *trail) {
        unsigned w = 64u - *lead - *trail;
        open_put(c, s, 2, 2);
        open_put(c, s, d >> *trail, w);
        return;
    }
    unsigned w = 64 - l - t;
    open_put(c, s, (uint64_t)3 << 11 | l << 6 | (w & 63), 13);
    open_put(c, s, d >> t, w);
    *lead = (uint8_t)l;
    *trail = (uint8_t)t;
}

/* Writes n values anew, which fit. */
static void open_recode(struct open_ctx *c, struct slot *s, const double *v, unsigned n)
{
    store_give_cells(c->store, s->first_cell);
    s->first_cell = 0;
    s->payload_bits = 0;
    s->rice = 0;
    uint8_t lead = XOR_NO_WINDOW, trail = 0;
    for (unsigned i = 0; i < n; i++) {
        uint64_t prev = i ? f64_bits(v[i - 1]) : 0;
        if (s->coding == CODING_XOR) {
            open_xor(c, s, prev, i == 0, f64_bits(v[i]), &lead, &trail);
        } else {
            bool fits = open_step(c, s, prev, i == 0, v[i]);
            assert(fits);
        }
    }
}

static bool values_have_unit(const double *v, unsigned n, unsigned unit)
{
    int64_t m;
    /* the newest first: it is the one that did not fit */
    for (unsigned i = n; i-- > 0;)
        if (!sample_is_stale(v[i]) && !unit_holds(v[i], unit, &m)) return false;
    return true;
}

static bool values_fall(const double *v, unsigned n)
{
    double before = 0;
    for (unsigned i = 0; i < n; i++) {
        bool stale = sample_is_stale(v[i]);
        if (!stale && v[i] < before) return true;
        before = stale ? 0 : v[i];
    }
    return false;
}

/* v does not fit: the cheapest coding that holds the n samples so far and v. The unit of the chunk
 * before is where the search starts. A gauge falls soon after a chunk began: the next one begins
 * with DEC at once. A counter's reset may come at any time. */
static void open_climb(struct open_ctx *c, struct slot *s, double v)
{
    enum { SOON = 16 };
    double all[RUN_MAX + 1];
    unsigned unit = s->unit, n = s->n;
    open_values(c->store, s, all);
    all[n] = v;
    while (unit < UNITS && !values_have_unit(all, n + 1, unit)) unit++;
    bool falls = s->falls || values_fall(all, n + 1);
    if (falls && n < SOON) s->falls = 1;
    s->coding = unit == UNITS ? CODING_XOR : falls ? CODING_DEC : CODING_UP;
    s->unit = unit == UNITS ? 0 : unit & 31;
    open_recode(c, s, all, n);
}

static void open_put_value(struct open_ctx *c, struct slot *s, double v, uint64_t bits)
{
    bool first = s->n == 0;
    if (s->coding == CODING_CONST) {
        if (first || bits == s->last_v) return;
        open_climb(c, s, v);
    }
    while (s->coding != CODING_XOR) {          /* a climb finds what fits, or ends in XOR */
        if (open_step(c, s, s->last_v, first, v)) return;
        open_climb(c, s, v);
    }
    uint8_t lead = s->xor_lead, trail = s->xor_trail;
    open_xor(c, s, s->last_v, first, bits, &lead, &trail);
}

void open_seal(struct open_ctx *c, uint32_t slot_i, struct slot *s)
{
    struct store *st = c->store;
    bool bytes = slot_flags(s) & SLOT_BYTES;
    if (bytes) byte_chunk_seal(st, s->first_cell);
    mtx_lock(&st->mu);
    uint32_t i = slab_take(&st->sealed);
    struct sealed *q = slab_at(&st->sealed, i);
    *q = (struct sealed){ .slot = slot_i,
        .generation = atomic_load_explicit(&s->generation, memory_order_relaxed),
        .run = s->run,
        .first_cell = s->first_cell,
        .maxt = slot_last_t(s),
        .last_v = s->last_v,
        .n = s->n,
        .payload_bits = s->payload_bits,
        .coding = bytes ? CODING_BYTES : s->coding,
        .unit = s->unit };
    if (st->sealed_last) ((struct sealed *)slab_at(&st->sealed, st->sealed_last))->queue_next = i;
    else st->sealed_first = i;
    st->sealed_last = i;
    mtx_unlock(&st->mu);
    uint32_t *link = &s->sealed;
    while (*link) link = &((struct sealed *)slab_at(&st->sealed, *link))->next;
    *link = i;
    s->run = s->first_cell = 0;
    s->n = s->payload_bits = 0;
    if (bytes) slot_flag(s, 0, SLOT_BYTES);
    c->n_sealed++;
}

/* Chunk ends: the rules of chunk/cut, with what they need taken from the run. */
bool open_is_full(const struct store *st, const struct slot *s, int64_t t)
{
    const struct ts_run *r = store_run(st, s->run);
    int64_t next_at = s->n < st->samples_per_chunk / 4 ? r->range_end : r->next_at;
    return s->xor_bits > CUT_BYTES * 8 || t >= next_at || s->n >= 2 * st->samples_per_chunk;
}

/* The chunk's time bits for t behind its n > 0 times. */
static unsigned open_time_bits(
    const struct store *st, const struct slot *s, const struct ts_run *r, int64_t t)
{
    int64_t last = slot_last_t(s);
    struct xor_len l = { .t = last, .v = s->last_v, .n = s->n };
    if (s->n > 1) l.delta = (uint64_t)last - ((uint64_t)r->base + run_offset(st, r, s->n - 2u));
    xor_len_add(&l, t, f64_of_bits(s->last_v));
    return l.bits - 1;                         /* the value once more is one bit */
}

/* What the series does next is what the last one did: remembered, and kept when that happens
 * twice. */
static void open_same(struct open_ctx *c, const struct slot *s, int64_t t, unsigned time_bits)
{
    struct open_step_of *m = &c->same;
    bool again = m->run == s->run && m->n == s->n && m->t == t;
    if (m->kept) store_unref_run(c->store, m->run);
    if (again) store_ref_run(c->store, s->run);
    *m = (struct open_step_of){ s->run, s->n, (uint16_t)time_bits, t, again };
}

static inline bool steps_have(const struct open_steps *x, const struct slot *s, int64_t t)
{
    return x && x->run == s->run && s->n >= x->from && s->n < x->to && x->t[s->n] == t;
}

/* The place behind the slot's last one has t. */
static void steps_add(struct open_ctx *c, const struct slot *s, int64_t t, unsigned time_bits)
{
    struct open_steps *x = c->steps;
    assert(s->n < RUN_MAX);
    if (x->run != s->run) {
        if (x->run) store_unref_run(c->store, x->run);
        store_ref_run(c->store, x->run = s->run);
        x->from = x->to = s->n;
    }
    if (x->to != s->n) x->from = s->n;
    x->time_bits[s->n] = (uint16_t)time_bits;
    x->t[s->n] = t;
    x->to = (uint16_t)(s->n + 1);
}

/* Makes the slot ready for t: seals a full chunk, begins one, or finds the run that goes on with
 * t. */
static void open_prepare(struct open_ctx *c, uint32_t slot_i, struct slot *s, int64_t t)
{
    struct store *st = c->store;
    struct ts_run *r = s->n ? store_run(st, s->run) : NULL;
    if (r && open_is_full(st, s, t)) {
        open_seal(c, slot_i, s);
        r = NULL;
    }
    if (!r) {
        s->coding = CODING_CONST;
        s->run = open_run_for(c, 0, 0, t);
        c->n_opened++;
        return;
    }
    uint16_t n = s->n;
    uint64_t off = (uint64_t)t - (uint64_t)r->base;
    unsigned time_bits = open_time_bits(st, s, r, t);
    bool there =
        n < atomic_load_explicit(&r->n, memory_order_acquire) && run_offset(st, r, n) == off;
    if (UNLIKELY(!there) && !store_extend_run(st, s->run, n, t, &c->stock)) {
        uint32_t fork = open_run_for(c, s->run, n, t);
        store_unref_run(st, s->run);
        s->run = fork;
    }
    if (c->steps) steps_add(c, s, t, time_bits);
    open_same(c, s, t, time_bits);
}

static void open_count_bits(struct slot *s, int64_t t, uint64_t bits, unsigned time_bits)
{
    if (LIKELY(s->n)) {
        s->xor_bits = (uint16_t)(s->xor_bits + time_bits +
                                 xor_value_bits(bits ^ s->last_v, &s->xor_lead, &s->xor_trail));
        return;
    }
    struct xor_len l = xor_len_zero();
    xor_len_add(&l, t, f64_of_bits(bits));
    s->xor_bits = (uint16_t)l.bits;
    s->xor_lead = l.lead;
    s->xor_trail = l.trail;
}

void open_append(struct open_ctx *c, uint32_t slot_i, struct slot *s, int64_t t, double v)
{
    uint64_t bits = f64_bits(v);
    const struct open_step_of *m = &c->same;
    bool same =
        m->kept && m->run == s->run && m->n == s->n && m->t == t && s->xor_bits <= CUT_BYTES * 8;
    unsigned time_bits = m->time_bits;
    if (UNLIKELY(!same)) {
        if (s->xor_bits <= CUT_BYTES * 8 && steps_have(c->steps, s, t)) {
            time_bits = c->steps->time_bits[s->n];
        } else {
            open_prepare(c, slot_i, s, t);
            time_bits = m->time_bits;
        }
    }
    open_put_value(c, s, v, bits);
    open_count_bits(s, t, bits, time_bits);
    s->n++;
    s->last_v = bits;
    slot_set_stale(c->store, s, bits == STALE_NAN_BITS);
    slot_set_last_t(s, t);
}

void open_drop(struct store *s, struct slot *slot)
{
    if (slot_flags(slot) & SLOT_BYTES) byte_chunk_free(s, slot->first_cell);
    else store_give_cells(s, slot->first_cell);
    store_unref_run(s, slot->run);
    slot->run = slot->first_cell = 0;
    slot->n = slot->payload_bits = 0;
    slot_flag(slot, 0, SLOT_BYTES);
    for (uint32_t i = slot->sealed; i;) {
        struct sealed *q = slab_at(&s->sealed, i);
        i = q->next;
        q->dropped = true;
    }
    slot->sealed = 0;
}

void open_free_sealed(struct store *s, uint32_t sealed)
{
    struct sealed *q = slab_at(&s->sealed, sealed);
    if (q->coding == CODING_BYTES) byte_chunk_free(s, q->first_cell);
    else store_give_cells(s, q->first_cell);
    store_unref_run(s, q->run);
    mtx_lock(&s->mu);
    slab_give(&s->sealed, sealed);
    mtx_unlock(&s->mu);
}

/* ---- as it was left ---- */

struct open_state open_state_of(const struct slot *slot)
{
    return (struct open_state){ slot->payload_bits, slot->xor_bits, slot->xor_lead,
        slot->xor_trail, slot->rice, slot->falls };
}

bool open_state_holds(const struct chunk_copy *x, const struct open_state *s)
{
    int64_t m;
    bool steps = x->coding == CODING_UP || x->coding == CODING_DEC;
    if (!x->n || x->n > RUN_MAX || x->coding >= CODING_BYTES) return false;
    if (s->payload_bits > COPY_CELLS * CELL_BITS || s->rice > RICE_STATE_MAX) return false;
    if (s->payload_bits && x->coding == CODING_CONST) return false;
    if (s->xor_lead != XOR_NO_WINDOW && (s->xor_lead > 31 || s->xor_lead + s->xor_trail > 63))
        return false;
    if (steps && x->unit >= UNITS) return false;
    return !steps || x->last_v == STALE_NAN_BITS ||
           unit_holds(f64_of_bits(x->last_v), x->unit, &m);
}

/* The reverse of copy_cells. */
static void restore_cells(struct open_ctx *c, struct slot *slot, const uint32_t *w, unsigned bits)
{
    uint32_t before = 0;
    for (unsigned i = 0; i * CELL_BITS < bits; i++, w += CELL_BITS / 32) {
        uint32_t at = store_take_cell(c->store, &c->stock, i);
        union cell *cell = store_cell(c->store, at);
        cell->w[0] = w[0];
        for (unsigned k = 1; k < 8; k++) cell->w[k] = (uint64_t)w[2 * k - 1] << 32 | w[2 * k];
        if (before) store_cell(c->store, before)->w[0] |= (uint64_t)at << 32;
        else slot->first_cell = at;
        before = at;
    }
    slot_set_last_cell(slot, before);
}

bool open_restore(struct open_ctx *c, struct slot *slot, uint32_t run, const struct chunk_copy *x,
    const struct open_state *s)
{
    assert(!slot->n);
    if (!open_state_holds(x, s)) return false;
    restore_cells(c, slot, x->words, s->payload_bits);
    store_ref_run(c->store, run);
    slot->run = run;
    slot->n = (uint16_t)x->n;
    slot->coding = x->coding & 3;
    slot->unit = x->unit & 31;
    slot->falls = s->falls;
    slot->rice = s->rice;
    slot->payload_bits = s->payload_bits;
    slot->xor_bits = s->xor_bits;
    slot->xor_lead = s->xor_lead;
    slot->xor_trail = s->xor_trail;
    slot->last_v = x->last_v;
    slot_set_stale(c->store, slot, x->last_v == STALE_NAN_BITS);
    slot_set_last_t(slot, x->t[x->n - 1]);
    c->n_opened++;
    return true;
}
