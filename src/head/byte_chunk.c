#include "head/byte_chunk.h"

#include "chunk/chunk.h"
#include "chunk/xor2.h"

ACCOUNT(byte_chunks_account, "byte_chunks")

enum { XOR2_ROOM_FIRST = 256 };

/* ---- memory ---- */

static void charge(struct byte_chunk *b, size_t now)
{
    account_charge(&byte_chunks_account, (int64_t)now - (int64_t)b->charged);
    b->charged = now;
}

static void charge_open(struct byte_chunk *b)
{
    size_t n = sizeof(*b);
    if (b->hist) n += sizeof(*b->hist) + hist_app_memory(b->hist);
    if (b->xor2) n += sizeof(*b->xor2) + b->xor2->cap;
    charge(b, n);
}

static uint32_t chunk_new(struct store *s, uint8_t enc, int64_t t)
{
    mtx_lock(&s->mu);
    uint32_t i = slab_take(&s->bytes);
    mtx_unlock(&s->mu);
    struct byte_chunk *b = byte_chunk_at(s, i);
    *b = (struct byte_chunk){ .cut = cut_begin(t, s->chunk_range_ms), .enc = enc };
    return i;
}

static void drop_apps(struct byte_chunk *b)
{
    if (b->hist) hist_app_fini(b->hist);
    mem_free(b->hist);
    mem_free(b->xor2);
    b->hist = NULL;
    b->xor2 = NULL;
}

void byte_chunk_free(struct store *s, uint32_t i)
{
    struct byte_chunk *b = byte_chunk_at(s, i);
    drop_apps(b);
    mem_free(b->bytes);
    charge(b, 0);
    mtx_lock(&s->mu);
    slab_give(&s->bytes, i);
    mtx_unlock(&s->mu);
}

str byte_chunk_view(const struct byte_chunk *b)
{
    return b->hist ? hist_app_bytes(b->hist) : str_of(b->bytes, b->cut.bytes);
}

void byte_chunk_seal(struct store *s, uint32_t i)
{
    struct byte_chunk *b = byte_chunk_at(s, i);
    str view = byte_chunk_view(b);
    uint8_t *fit = mem_alloc(view.n);
    memcpy(fit, view.p, view.n);
    drop_apps(b);
    mem_free(b->bytes);
    b->bytes = fit;
    charge(b, sizeof(*b) + view.n);
}

/* ---- what the newest sample is ---- */

void slot_set_last(struct store *s, struct slot *slot, uint8_t hist_flag, uint16_t buckets)
{
    bool was = slot_flags(slot) & SLOT_LAST_ANY_HIST, is = hist_flag != 0;
    int64_t less = was ? slot->xor_bits : 0, more = is ? buckets : 0;
    if (was != is) atomic_fetch_add_explicit(&s->n_hist, is ? 1 : -1, memory_order_relaxed);
    if (less != more)
        atomic_fetch_add_explicit(&s->n_hist_buckets, more - less, memory_order_relaxed);
    if (is) slot->xor_bits = buckets;
    slot_flag(slot, hist_flag, SLOT_LAST_ANY_HIST & ~hist_flag);
}

/* ---- appending ---- */

/* The slot's open chunk, if there is one, is sealed; this one is open from here on. */
static void slot_open(struct open_ctx *c, uint32_t slot_i, struct slot *slot, uint32_t chunk)
{
    if (slot->n) open_seal(c, slot_i, slot);
    slot->first_cell = chunk;
    slot_flag(slot, SLOT_BYTES, 0);
    c->n_opened++;
}

static void slot_appended(struct open_ctx *c, struct slot *slot, int64_t t, bool stale)
{
    struct byte_chunk *b = byte_chunk_at(c->store, slot->first_cell);
    b->cut.n++;
    b->cut.maxt = t;
    b->cut.bytes = b->hist ? hist_app_bytes(b->hist).n : xor2_app_bytes(b->xor2).n;
    charge_open(b);
    slot->n = (uint16_t)b->cut.n;
    slot_set_stale(c->store, slot, stale);
    slot_set_last_t(slot, t);
}

static uint8_t histogram_enc(const struct store *s, bool is_float)
{
    if (s->histogram_st) return is_float ? CHUNK_FLOAT_HISTOGRAM_ST : CHUNK_HISTOGRAM_ST;
    return is_float ? CHUNK_FLOAT_HISTOGRAM : CHUNK_HISTOGRAM;
}

/* Full chunks are told by their counts, too: the header has no more room. */
static bool histogram_begins(const struct store *s, struct byte_chunk *b, uint8_t enc, int64_t t)
{
    if (!b || b->enc != enc) return true;
    return cut_histogram(&b->cut, &b->estimated, t, s->chunk_range_ms) ||
           b->cut.n >= HIST_ST_SAMPLES_MAX;
}

void byte_append_histogram(struct open_ctx *c, uint32_t slot_i, struct slot *slot, int64_t t,
    int64_t st, const struct hist_words *h)
{
    struct store *s = c->store;
    struct byte_chunk *b = byte_chunk_of(s, slot);
    uint8_t enc = histogram_enc(s, h->is_float);
    struct hist_app fresh;
    uint32_t next = 0;
    if (histogram_begins(s, b, enc, t)) {
        hist_app_init(&fresh, enc, NULL);
        hist_append_first(&fresh, b ? b->hist : NULL, t, st, h);
        next = chunk_new(s, enc, t);
    } else if (hist_append(b->hist, &fresh, t, st, h) == HIST_NEW) {
        next = chunk_new(s, enc, t);
        byte_chunk_at(s, next)->estimated = b->estimated;
    }
    if (next) {
        struct byte_chunk *n = byte_chunk_at(s, next);
        n->hist = NEW(struct hist_app);
        *n->hist = fresh;
        slot_open(c, slot_i, slot, next);
    }
    bool stale = hist_words_stale(h);
    size_t buckets = stale ? 0 : h->layout.n_buckets[0] + h->layout.n_buckets[1];
    slot_set_last(s, slot, h->is_float ? SLOT_LAST_FLOAT_HIST : SLOT_LAST_HIST,
        (uint16_t)MIN(buckets, (size_t)UINT16_MAX));
    slot_appended(c, slot, t, stale);
}

static void append_stale_histogram(
    struct open_ctx *c, uint32_t slot_i, struct slot *slot, int64_t t, int64_t st)
{
    struct int_histogram whole = { .sum = stale_nan() };
    struct histogram floats = { .sum = stale_nan() };
    bool is_float = slot_flags(slot) & SLOT_LAST_FLOAT_HIST;
    struct hist_words w = is_float ? hist_words_of_float(&floats) : hist_words_of_int(&whole);
    byte_append_histogram(c, slot_i, slot, t, st, &w);
}

/* Room for one more sample. */
static void xor2_reserve(struct byte_chunk *b)
{
    size_t need = b->cut.bytes + XOR2_ROOM(1);
    if (b->xor2->cap >= need) return;
    b->xor2->cap = MAX(need, 2 * b->xor2->cap);
    b->xor2->at = b->bytes = mem_realloc(b->bytes, b->xor2->cap);
}

static uint32_t xor2_new(struct store *s, int64_t t)
{
    uint32_t i = chunk_new(s, CHUNK_XOR2, t);
    struct byte_chunk *b = byte_chunk_at(s, i);
    b->xor2 = NEW(struct xor2_app);
    b->bytes = mem_alloc(XOR2_ROOM_FIRST);
    xor2_app_init(b->xor2, b->bytes, XOR2_ROOM_FIRST);
    return i;
}

/* Does the float go on in an open chunk of plain floats, or begin one? */
static bool float_is_plain(const struct store *s, const struct slot *slot, int64_t t)
{
    bool xor2 = atomic_load_explicit(&s->float_enc, memory_order_relaxed) == CHUNK_XOR2;
    if (slot_flags(slot) & SLOT_BYTES || !slot->n) return !xor2;
    return !xor2 || (!s->keep_st && !open_is_full(s, slot, t));
}

void byte_append_float(
    struct open_ctx *c, uint32_t slot_i, struct slot *slot, int64_t t, int64_t st, double v)
{
    struct store *s = c->store;
    struct byte_chunk *b = byte_chunk_of(s, slot);
    if (sample_is_stale(v) && slot_flags(slot) & SLOT_LAST_ANY_HIST) {
        append_stale_histogram(c, slot_i, slot, t, st);
        return;
    }
    slot_set_last(s, slot, LAST_IS_FLOAT, 0);
    bool goes_on = b && b->enc == CHUNK_XOR2 &&
                   !cut_float(&b->cut, t, s->chunk_range_ms, s->samples_per_chunk);
    if (goes_on && s->keep_st)
        goes_on = atomic_load_explicit(&s->float_enc, memory_order_relaxed) == CHUNK_XOR2;
    if (!goes_on && float_is_plain(s, slot, t)) {
        if (b) open_seal(c, slot_i, slot);
        open_append(c, slot_i, slot, t, v);
        return;
    }
    if (!goes_on) slot_open(c, slot_i, slot, xor2_new(s, t));
    b = byte_chunk_at(s, slot->first_cell);
    xor2_reserve(b);
    bool put = xor2_append(b->xor2, t, v, st);
    assert(put); /* a chunk is cut long before it is full */
    slot->last_v = f64_bits(v);
    slot_appended(c, slot, t, sample_is_stale(v));
}

/* ---- as it was left ---- */

/* A histogram that follows is compared with the last one here: the chunk's state is made anew.
 * Floats are bytes that nothing is added to. */
static errc restore_data(struct byte_chunk *b, str data, struct err *e)
{
    if (chunk_enc_is_float(b->enc)) {
        b->bytes = mem_alloc(data.n);
        memcpy(b->bytes, data.p, data.n);
        return OK;
    }
    struct hist_app app;
    TRY(hist_app_open(&app, b->enc, data, NULL, e));
    b->hist = NEW(struct hist_app);
    *b->hist = app;
    return OK;
}

errc byte_chunk_restore(
    struct store *s, struct slot *slot, const struct byte_restored *x, struct err *e)
{
    assert(!slot->n && x->n && x->n <= UINT16_MAX);
    uint32_t i = chunk_new(s, x->enc, x->mint);
    struct byte_chunk *b = byte_chunk_at(s, i);
    b->cut = (struct cut_state){
        .mint = x->mint, .maxt = x->maxt, .next_at = x->maxt, .n = x->n, .bytes = x->data.n
    };
    errc rc = restore_data(b, x->data, e);
    if (rc != OK) {
        byte_chunk_free(s, i);
        return rc;
    }
    if (b->hist) charge_open(b);
    else charge(b, sizeof(*b) + x->data.n);
    slot->first_cell = i;
    slot->n = (uint16_t)x->n;
    slot_flag(slot, SLOT_BYTES, 0);
    slot_set_last_t(slot, x->maxt);
    return OK;
}

/* ---- the same once more? ---- */

static struct int_histogram whole_of(const struct hist_words *w)
{
    struct int_histogram_side side[2];
    for (int i = 0; i < 2; i++)
        side[i] = (struct int_histogram_side){ (struct span *)(uintptr_t)w->layout.side[i].at,
            w->layout.side[i].n, (int64_t *)(uintptr_t)w->at[i], w->layout.n_buckets[i] };
    return (struct int_histogram){ .schema = w->layout.schema,
        .zero_count = w->head[HIST_ZERO_COUNT],
        .count = w->head[HIST_COUNT],
        .zero_threshold = w->layout.zero_threshold,
        .sum = f64_of_bits(w->head[HIST_SUM]),
        .pos = side[0],
        .neg = side[1],
        .custom = w->layout.custom,
        .n_custom = w->layout.n_custom };
}

static struct histogram floats_of(const struct hist_words *w)
{
    struct histogram_side side[2];
    for (int i = 0; i < 2; i++)
        side[i] = (struct histogram_side){ (struct span *)(uintptr_t)w->layout.side[i].at,
            w->layout.side[i].n, (double *)(uintptr_t)w->at[i], w->layout.n_buckets[i] };
    return (struct histogram){ .schema = w->layout.schema,
        .zero_threshold = w->layout.zero_threshold,
        .zero_count = f64_of_bits(w->head[HIST_ZERO_COUNT]),
        .count = f64_of_bits(w->head[HIST_COUNT]),
        .sum = f64_of_bits(w->head[HIST_SUM]),
        .pos = side[0],
        .neg = side[1],
        .custom = w->layout.custom,
        .n_custom = w->layout.n_custom };
}

bool byte_last_is(const struct store *s, const struct slot *slot, const struct hist_words *h)
{
    const struct byte_chunk *b = byte_chunk_of(s, slot);
    if (!b || !b->hist || b->hist->s.is_float != h->is_float) return false;
    struct hist_words last = hist_state_words(&b->hist->s);
    if (h->is_float) {
        struct histogram x = floats_of(&last), y = floats_of(h);
        return histogram_equal(&x, &y);
    }
    struct int_histogram x = whole_of(&last), y = whole_of(h);
    return int_histogram_equal(&x, &y);
}
