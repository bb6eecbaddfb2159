#include "chunk/histogram.h"

#include "chunk/chunk.h"

enum { ST_HEADER_MASK = 0xc0, FLAG_BYTE = 2 };

/* Where start times are kept the counter-reset bits lie above the count. */
enum hist_header hist_chunk_header(uint8_t enc, str chunk)
{
    assert(chunk.n >= HIST_HEADER_BYTES);
    return chunk.p[chunk_enc_has_st(enc) ? 0 : FLAG_BYTE] & ST_HEADER_MASK;
}

void hist_chunk_forget(uint8_t enc, uint8_t *chunk)
{
    uint8_t *p = chunk + (chunk_enc_has_st(enc) ? 0 : FLAG_BYTE);
    if ((*p & ST_HEADER_MASK) != HIST_GAUGE) *p &= (uint8_t)~ST_HEADER_MASK;
}

/* ---- appending ---- */

static void app_write_header(struct hist_app *a, enum hist_header header)
{
    uint8_t *p = a->bytes.p;
    bool st = a->s.with_st;
    assert(a->s.n <= (st ? HIST_ST_SAMPLES_MAX : HIST_SAMPLES_MAX));
    p[0] = (uint8_t)(a->s.n >> 8 | (st ? header : 0));
    p[1] = (uint8_t)a->s.n;
    p[FLAG_BYTE] = st ? a->s.start.header : (uint8_t)header;
}

static enum hist_header app_header(const struct hist_app *a)
{
    return hist_chunk_header(a->enc, hist_app_bytes(a));
}

void hist_app_init(struct hist_app *a, uint8_t enc, struct account *acc)
{
    *a = (struct hist_app){ .enc = enc, .bits = 8 * HIST_HEADER_BYTES };
    buf_init(&a->bytes, acc, 0);
    buf_bytes(&a->bytes, (uint8_t[HIST_HEADER_BYTES]){ 0 }, HIST_HEADER_BYTES);
    hist_state_reset(&a->s, chunk_enc_is_float_histogram(enc), chunk_enc_has_st(enc),
                     (struct xor_window){ BITS_NO_WINDOW, 0 });
}

void hist_app_fini(struct hist_app *a)
{
    if (!a) return;
    buf_fini(&a->bytes);
    hist_state_fini(&a->s);
}

size_t hist_app_memory(const struct hist_app *a) { return a->bytes.cap + a->s.room_bytes; }

static void app_put(struct hist_app *a, enum hist_header header, int64_t t, int64_t st,
                    const struct hist_words *h)
{
    uint8_t *room = buf_room(&a->bytes, hist_state_max_bytes(&a->s, h));
    assert(room);
    struct bits b = bits_resume(a->bytes.p, a->bits);
    hist_state_put(&a->s, &b, t, st, h);
    a->bits = bits_count(&b, a->bytes.p);
    buf_commit(&a->bytes, (size_t)((a->bits + 7) / 8) - a->bytes.n);
    app_write_header(a, header);
}

void hist_append_first(struct hist_app *a, const struct hist_app *prev, int64_t t, int64_t st,
                       const struct hist_words *h)
{
    enum hist_header header = HIST_UNKNOWN;
    assert(a->s.n == 0);
    if (h->hint == RESET_GAUGE) {
        header = HIST_GAUGE;
    } else if (h->hint == RESET_YES) {
        header = HIST_RESET;
    } else if (prev && prev->s.n && prev->s.is_float == a->s.is_float) {
        SCOPED(hist_fit_fini) struct hist_fit f;
        hist_fit_of(&f, &prev->s, app_header(prev), h);
        header = f.header;
        if (a->s.is_float && header == HIST_UNKNOWN) header = HIST_NOT_RESET;
    }
    app_put(a, header, t, st, h);
}

/* Writes the chunk anew with the buckets of the sample, too. */
static void app_recode(struct hist_app *a, const struct hist_fit *f, const struct hist_layout *wide)
{
    SCOPED(arena_fini) struct arena tmp = { 0 };
    struct hist_app to;
    struct hist_iter it;
    hist_app_init(&to, a->enc, a->bytes.acc);
    hist_iter_init(&it);
    hist_iter_reset(&it, a->enc, hist_app_bytes(a));
    while (it.s.n < it.n) {
        errc rc = hist_state_take(&it.s, &it.in, &it.arena, NULL);
        assert(rc == OK);                      /* our own bytes */
        struct arena_mark m = arena_mark(&tmp);
        struct hist_words h = hist_state_words(&it.s);
        struct hist_words w = hist_fit_recode(f, &h, wide, &tmp);
        app_put(&to, app_header(a), it.s.t, it.s.start.st, &w);
        arena_reset(&tmp, m);
    }
    hist_iter_fini(&it);
    hist_app_fini(a);
    *a = to;
}

enum hist_step hist_append(struct hist_app *a, struct hist_app *fresh, int64_t t, int64_t st,
                           const struct hist_words *h)
{
    if (a->s.n == 0) {
        hist_append_first(a, NULL, t, st, h);
        return HIST_SAME;
    }
    SCOPED(hist_fit_fini) struct hist_fit f;
    SCOPED(arena_fini) struct arena tmp = { 0 };
    hist_fit_of(&f, &a->s, app_header(a), h);
    if (!f.ok) {
        hist_app_init(fresh, a->enc, a->bytes.acc);
        if (a->s.is_float && f.header == HIST_NOT_RESET) f.header = HIST_UNKNOWN;
        app_put(fresh, f.header, t, st, h);
        return HIST_NEW;
    }
    struct hist_words w = hist_fit_widen(&f, &a->s, h, &tmp);
    if (f.only_sample) app_recode(a, &f, &w.layout);
    app_put(a, app_header(a), t, st, &w);
    return f.only_sample ? HIST_RECODED : HIST_SAME;
}

errc hist_app_open(struct hist_app *a, uint8_t enc, str chunk, struct account *acc, struct err *e)
{
    struct hist_iter it;
    hist_iter_init(&it);
    hist_iter_reset(&it, enc, chunk);
    errc rc = it.bad ? err_set(e, ERR_CORRUPT, "histogram chunk: no header") : OK;
    while (rc == OK && it.s.n < it.n) rc = hist_state_take(&it.s, &it.in, &it.arena, e);
    if (rc == OK) {
        hist_app_init(a, enc, acc);
        if (it.n) a->s = it.s;
        if (it.n) it.s.room = NULL;
        a->bits = it.in.bit;
        buf_bytes(&a->bytes, chunk.p + HIST_HEADER_BYTES,
                  (size_t)((a->bits + 7) / 8) - HIST_HEADER_BYTES);
        unsigned spare = (unsigned)(8 * a->bytes.n - a->bits);
        a->bytes.p[a->bytes.n - 1] &= (uint8_t)(0xff << spare);
        app_write_header(a, it.header);
    }
    hist_iter_fini(&it);
    return rc;
}

/* ---- reading ---- */

ACCOUNT(hist_iter_account, "histogram_iterators")

void hist_iter_init(struct hist_iter *it)
{
    *it = (struct hist_iter){ 0 };
    arena_init(&it->arena, &hist_iter_account, 0);
}

void hist_iter_fini(struct hist_iter *it)
{
    hist_state_fini(&it->s);
    arena_fini(&it->arena);
}

void hist_iter_reset(struct hist_iter *it, uint8_t enc, str chunk)
{
    it->enc = enc;
    it->bad = chunk.n < HIST_HEADER_BYTES;
    it->n = (uint32_t)chunk_count(enc, chunk);
    it->in = bit_reader_of(chunk);
    hist_state_reset(&it->s, chunk_enc_is_float_histogram(enc), chunk_enc_has_st(enc),
                     (struct xor_window){ 0 });
    if (it->bad) return;
    it->in.bit = 8 * HIST_HEADER_BYTES;
    it->header = hist_chunk_header(enc, chunk);
    if (chunk_enc_has_st(enc)) it->s.start.header = chunk.p[FLAG_BYTE];
}

static enum reset_hint iter_hint(const struct hist_iter *it)
{
    if (it->header == HIST_GAUGE) return RESET_GAUGE;
    return it->s.n > 1 ? RESET_NO : RESET_UNKNOWN;
}

/* The words of a side, which stand until the next sample is read. */
static void *iter_words(struct hist_iter *it, const struct hist_words *w, int side)
{
    size_t n = w->layout.n_buckets[side];
    void *out = arena_array(&it->arena, n, sizeof(uint64_t));
    if (n) memcpy(out, w->at[side], n * sizeof(uint64_t));
    return out;
}

/* Layouts stand in the state until another chunk is begun: samples share them. */
static struct span *iter_spans(const struct hist_words *w, int side)
{
    return (struct span *)(uintptr_t)w->layout.side[side].at;
}

static const struct int_histogram *iter_int(struct hist_iter *it, enum reset_hint hint)
{
    struct hist_words w = hist_state_words(&it->s);
    struct int_histogram *h = ANEW(&it->arena, struct int_histogram);
    h->sum = f64_of_bits(w.head[HIST_SUM]);
    if (hist_words_stale(&w)) return h;
    *h = (struct int_histogram){ hint, w.layout.schema, w.head[HIST_ZERO_COUNT], w.head[HIST_COUNT],
        w.layout.zero_threshold, h->sum,
        { iter_spans(&w, 0), w.layout.side[0].n, iter_words(it, &w, 0), w.layout.n_buckets[0] },
        { iter_spans(&w, 1), w.layout.side[1].n, iter_words(it, &w, 1), w.layout.n_buckets[1] },
        w.layout.n_custom ? w.layout.custom : NULL, w.layout.n_custom };
    return h->schema <= HISTOGRAM_SCHEMA_MAX ? h
         : int_histogram_copy_to_schema(&it->arena, h, HISTOGRAM_SCHEMA_MAX);
}

static const struct histogram *iter_float(struct hist_iter *it, enum reset_hint hint)
{
    struct hist_words w = hist_state_words(&it->s);
    struct histogram *h = ANEW(&it->arena, struct histogram);
    h->sum = f64_of_bits(w.head[HIST_SUM]);
    if (hist_words_stale(&w)) return h;
    *h = (struct histogram){ hint, w.layout.schema, w.layout.zero_threshold,
        f64_of_bits(w.head[HIST_ZERO_COUNT]), f64_of_bits(w.head[HIST_COUNT]), h->sum,
        { iter_spans(&w, 0), w.layout.side[0].n, iter_words(it, &w, 0), w.layout.n_buckets[0] },
        { iter_spans(&w, 1), w.layout.side[1].n, iter_words(it, &w, 1), w.layout.n_buckets[1] },
        w.layout.n_custom ? w.layout.custom : NULL, w.layout.n_custom };
    return h->schema <= HISTOGRAM_SCHEMA_MAX ? h
         : histogram_copy_to_schema(&it->arena, h, HISTOGRAM_SCHEMA_MAX);
}

errc hist_iter_fill(struct hist_iter *it, struct sample_batch *out, int64_t *st, struct err *e)
{
    enum { BATCH_BYTES = 1 << 20 };            /* a batch of very wide histograms ends early */
    out->kind = it->s.is_float ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_HISTOGRAM;
    out->n = 0;
    arena_reset(&it->arena, (struct arena_mark){ 0 });
    if (it->bad && !it->s.n && it->in.bit == 0)
        return err_set(e, ERR_CORRUPT, "histogram chunk: no header");
    while (out->n < SAMPLE_BATCH && it->s.n < it->n && it->arena.used < BATCH_BYTES) {
        if (it->bad || hist_state_take(&it->s, &it->in, &it->arena, e) != OK) {
            it->bad = true;
            return out->n ? OK : err_set(e, ERR_CORRUPT, "histogram chunk: cut short after %u of "
                                         "%u samples", it->s.n, it->n);
        }
        enum reset_hint hint = iter_hint(it);
        out->t[out->n] = it->s.t;
        if (st) st[out->n] = it->s.start.st;
        if (it->s.is_float) out->h[out->n++] = iter_float(it, hint);
        else out->ih[out->n++] = iter_int(it, hint);
    }
    return OK;
}
