#include "chunk/histogram_state.h"

enum { SAMPLE_FIXED_BYTES = 6 * 10 };          /* time, count, zero count, sum, start: at most */

struct hist_words hist_words_of_int(const struct int_histogram *h)
{
    struct hist_words w = { .hint = h->hint };
    w.head[HIST_COUNT] = h->count;
    w.head[HIST_ZERO_COUNT] = h->zero_count;
    w.head[HIST_SUM] = f64_bits(h->sum);
    w.layout = (struct hist_layout){ h->schema, h->zero_threshold,
        { { h->pos.spans, h->pos.n_spans }, { h->neg.spans, h->neg.n_spans } },
        { h->pos.n, h->neg.n }, h->custom, h->n_custom };
    w.at[0] = h->pos.deltas;
    w.at[1] = h->neg.deltas;
    return w;
}

struct hist_words hist_words_of_float(const struct histogram *h)
{
    struct hist_words w = { .is_float = true, .hint = h->hint };
    w.head[HIST_COUNT] = f64_bits(h->count);
    w.head[HIST_ZERO_COUNT] = f64_bits(h->zero_count);
    w.head[HIST_SUM] = f64_bits(h->sum);
    w.layout = (struct hist_layout){ h->schema, h->zero_threshold,
        { { h->pos.spans, h->pos.n_spans }, { h->neg.spans, h->neg.n_spans } },
        { h->pos.n, h->neg.n }, h->custom, h->n_custom };
    w.at[0] = h->pos.at;
    w.at[1] = h->neg.at;
    return w;
}

/* ---- state ---- */

void hist_state_reset(struct hist_state *s, bool is_float, bool with_st, struct xor_window window)
{
    *s = (struct hist_state){ .is_float = is_float, .with_st = with_st, .t = INT64_MIN,
        .head_window = { window, window, window }, .room = s->room, .room_bytes = s->room_bytes };
}

void hist_state_fini(struct hist_state *s)
{
    mem_free(s->room);
    *s = (struct hist_state){ 0 };
}

struct hist_words hist_state_words(const struct hist_state *s)
{
    struct hist_words w = { .is_float = s->is_float, .head = { 0, 0, s->head[HIST_SUM] } };
    if (hist_words_stale(&w)) return w;
    memcpy(w.head, s->head, sizeof(w.head));
    w.layout = s->layout;
    w.at[0] = s->at;
    w.at[1] = s->at + s->layout.n_buckets[0];
    return w;
}

static void *room_copy(uint8_t **at, const void *from, size_t n_bytes)
{
    void *to = *at;
    if (n_bytes) memcpy(to, from, n_bytes);
    *at += (n_bytes + 7) / 8 * 8;
    return to;
}

/* Copies the layout and makes room for its buckets. */
static void state_lay_out(struct hist_state *s, const struct hist_layout *l)
{
    size_t n = l->n_buckets[0] + l->n_buckets[1], n_spans = l->side[0].n + l->side[1].n;
    size_t side = s->is_float ? (n * sizeof(*s->window) + 7) / 8 * 8 : n * sizeof(*s->delta);
    size_t need = n * sizeof(*s->at) + side + n_spans * sizeof(struct span)
                + l->n_custom * sizeof(*l->custom);
    if (need > s->room_bytes) {
        mem_free(s->room);
        s->room = mem_alloc(need);
        s->room_bytes = need;
    }
    uint8_t *at = s->room;
    s->at = (uint64_t *)(void *)at;
    at += n * sizeof(*s->at);
    if (need) memset(at, 0, side);
    s->delta = s->is_float ? NULL : (uint64_t *)(void *)at;
    s->window = s->is_float ? (struct xor_window *)(void *)at : NULL;
    for (size_t i = 0; s->is_float && i < n; i++) s->window[i] = s->head_window[0];
    at += side;
    s->layout = *l;
    for (int i = 0; i < 2; i++)
        s->layout.side[i].at = room_copy(&at, l->side[i].at, l->side[i].n * sizeof(struct span));
    s->layout.custom = room_copy(&at, l->custom, l->n_custom * sizeof(*l->custom));
}

/* ---- out ---- */

size_t hist_state_max_bytes(const struct hist_state *s, const struct hist_words *h)
{
    enum { BUCKET = XOR_VALUE_MAX_BITS / 8 + 1 };
    size_t n = h->layout.n_buckets[0] + h->layout.n_buckets[1];
    return (s->n ? 0 : hist_layout_max_bytes(&h->layout)) + SAMPLE_FIXED_BYTES + n * BUCKET
         + BITS_SLACK;
}

static void put_first(struct hist_state *s, struct bits *b, int64_t t, const struct hist_words *h)
{
    hist_layout_put(b, &h->layout);
    bits_put_varbit(b, t);
    for (int i = HIST_COUNT; i <= HIST_ZERO_COUNT; i++) {
        if (s->is_float) bits_put_long(b, h->head[i], 64);
        else bits_put_uvarbit(b, h->head[i]);
    }
    bits_put_long(b, h->head[HIST_SUM], 64);
    state_lay_out(s, &h->layout);
    for (int side = 0, k = 0; side < 2; side++) {
        for (size_t i = 0; i < h->layout.n_buckets[side]; i++) {
            uint64_t v = s->at[k++] = hist_word(h, side, i);
            if (s->is_float) bits_put_long(b, v, 64);
            else bits_put_varbit(b, (int64_t)v);
        }
    }
    memcpy(s->head, h->head, sizeof(s->head));
}

/* The change of the change; both are moved on. */
static void put_int(struct bits *b, uint64_t *last, uint64_t *delta, uint64_t v)
{
    uint64_t d = v - *last;
    bits_put_varbit(b, (int64_t)(d - *delta));
    *delta = d;
    *last = v;
}

static void put_float(struct bits *b, uint64_t *last, struct xor_window *w, uint64_t v)
{
    bits_put_xor(b, v ^ *last, w);
    *last = v;
}

static void put_next(struct hist_state *s, struct bits *b, int64_t t, const struct hist_words *h)
{
    uint64_t delta = (uint64_t)t - (uint64_t)s->t;
    bool stale = hist_words_stale(h);
    bits_put_varbit(b, (int64_t)(delta - s->t_delta));
    s->t_delta = delta;
    for (int i = HIST_COUNT; i <= HIST_ZERO_COUNT; i++) {
        if (s->is_float) {
            put_float(b, &s->head[i], &s->head_window[i], h->head[i]);
        } else if (stale) {                    /* written as if it had gone on as before */
            bits_put(b, 0, 1);
            s->head_delta[i] = h->head[i] - s->head[i];
            s->head[i] = h->head[i];
        } else {
            put_int(b, &s->head[i], &s->head_delta[i], h->head[i]);
        }
    }
    put_float(b, &s->head[HIST_SUM], &s->head_window[HIST_SUM], h->head[HIST_SUM]);
    if (stale) return;
    for (int side = 0, k = 0; side < 2; side++) {
        assert(h->layout.n_buckets[side] == s->layout.n_buckets[side]);
        for (size_t i = 0; i < h->layout.n_buckets[side]; i++, k++) {
            if (s->is_float) put_float(b, &s->at[k], &s->window[k], hist_word(h, side, i));
            else put_int(b, &s->at[k], &s->delta[k], hist_word(h, side, i));
        }
    }
}

void hist_state_put(struct hist_state *s, struct bits *b, int64_t t, int64_t st,
                    const struct hist_words *h)
{
    struct hist_words marker = { .is_float = h->is_float, .head = { 0, 0, h->head[HIST_SUM] } };
    if (hist_words_stale(h)) h = &marker;      /* nothing but its sum counts */
    assert(h->is_float == s->is_float);
    if (s->n == 0) put_first(s, b, t, h);
    else put_next(s, b, t, h);
    if (s->with_st) start_time_put(&s->start, b, s->n, t, s->t, st);
    s->t = t;
    s->n++;
}

/* ---- in ---- */

static errc take_first(struct hist_state *s, struct bit_reader *r, struct arena *scratch,
                       struct err *e)
{
    struct hist_layout l;
    TRY(hist_layout_take(&l, r, scratch, e));
    size_t n = l.n_buckets[0] + l.n_buckets[1];
    s->t = bits_take_varbit(r);
    for (int i = HIST_COUNT; i <= HIST_ZERO_COUNT; i++)
        s->head[i] = s->is_float ? bits_take(r, 64) : bits_take_uvarbit(r);
    s->head[HIST_SUM] = bits_take(r, 64);
    if (n > (r->end - r->bit) / (s->is_float ? 64 : 1)) r->bad = true;
    if (r->bad) return OK;
    state_lay_out(s, &l);
    for (size_t i = 0; i < n; i++)
        s->at[i] = s->is_float ? bits_take(r, 64) : (uint64_t)bits_take_varbit(r);
    return OK;
}

static void take_int(struct bit_reader *r, uint64_t *last, uint64_t *delta)
{
    *delta += (uint64_t)bits_take_varbit(r);
    *last += *delta;
}

static void take_next(struct hist_state *s, struct bit_reader *r)
{
    s->t_delta += (uint64_t)bits_take_varbit(r);
    s->t = (int64_t)((uint64_t)s->t + s->t_delta);
    for (int i = HIST_COUNT; i <= HIST_ZERO_COUNT; i++) {
        if (s->is_float) bits_take_xor(r, &s->head[i], &s->head_window[i]);
        else take_int(r, &s->head[i], &s->head_delta[i]);
    }
    bits_take_xor(r, &s->head[HIST_SUM], &s->head_window[HIST_SUM]);
    if (s->head[HIST_SUM] == STALE_NAN_BITS) return;
    size_t n = hist_state_buckets(s);
    if (s->is_float) {
        for (size_t i = 0; i < n; i++) bits_take_xor(r, &s->at[i], &s->window[i]);
        return;
    }
    bits_add_varbits(r, s->delta, n);
    for (size_t i = 0; i < n; i++) s->at[i] += s->delta[i];
}

errc hist_state_take(struct hist_state *s, struct bit_reader *r, struct arena *scratch,
                     struct err *e)
{
    int64_t before = s->t;
    if (s->n == 0) TRY(take_first(s, r, scratch, e));
    else take_next(s, r);
    if (s->with_st && !r->bad) start_time_take(&s->start, r, s->n, s->t, before);
    if (r->bad)
        return err_set(e, ERR_CORRUPT, "histogram chunk: cut short after %u samples", s->n);
    s->n++;
    return OK;
}
