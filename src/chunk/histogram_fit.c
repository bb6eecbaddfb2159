#include "chunk/histogram_fit.h"

static bool spans_same(struct hist_spans a, struct hist_spans b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n * sizeof(*a.at)) == 0);
}

static bool below(bool is_float, uint64_t a, uint64_t b)
{
    return is_float ? f64_of_bits(a) < f64_of_bits(b) : a < b;
}

/* The count of a bucket out of its word: of integers the sum of what came before. */
static uint64_t count_on(bool is_float, uint64_t count, uint64_t word)
{
    return is_float ? word : count + word;
}
static bool count_fell(bool is_float, uint64_t was, uint64_t is)
{
    return is_float ? f64_of_bits(was) > f64_of_bits(is) : (int64_t)was > (int64_t)is;
}
static bool count_none(bool is_float, uint64_t v)
{
    return is_float ? f64_of_bits(v) == 0 : v == 0;
}

/* Every bucket counts at least as much as it did; one that is gone had counted nothing. */
static bool side_grew(const struct hist_fit *f, const struct hist_words *last,
                      const struct hist_words *h, int side)
{
    uint64_t was = 0, is = 0;
    size_t n = f->differ[side] ? f->u[side].all.n : h->layout.n_buckets[side];
    for (size_t i = 0; i < n; i++) {
        struct hist_pair p = { 0, (int32_t)i, (int32_t)i };
        if (f->differ[side]) p = f->u[side].all.at[i];
        if (p.a >= 0) was = count_on(h->is_float, was, hist_word(last, side, (size_t)p.a));
        if (p.b >= 0) is = count_on(h->is_float, is, hist_word(h, side, (size_t)p.b));
        if (p.b < 0 && !count_none(h->is_float, was)) return false;
        if (p.a >= 0 && p.b >= 0 && count_fell(h->is_float, was, is)) return false;
    }
    return true;
}

static void side_compare(struct hist_fit *f, const struct hist_state *s, const struct hist_words *h,
                         int side, bool always)
{
    f->differ[side] = always || !spans_same(s->layout.side[side], h->layout.side[side]);
    if (!f->differ[side]) return;
    hist_union_of(&f->u[side], s->layout.side[side], h->layout.side[side]);
    f->only_chunk |= f->u[side].only_a;
    f->only_sample |= f->u[side].only_b;
}

static bool layout_other(const struct hist_state *s, const struct hist_words *h)
{
    return h->layout.schema != s->layout.schema
        || h->layout.zero_threshold != s->layout.zero_threshold;
}

static bool bounds_other(const struct hist_state *s, const struct hist_words *h)
{
    return h->layout.schema == HISTOGRAM_CUSTOM_SCHEMA
        && !hist_layout_bounds_equal(&h->layout, &s->layout);
}

static void fit_counter(struct hist_fit *f, const struct hist_state *s, enum hist_header chunk,
                        const struct hist_words *h)
{
    bool last_stale = s->head[HIST_SUM] == STALE_NAN_BITS;
    f->header = HIST_NOT_RESET;
    if (chunk == HIST_GAUGE) return;
    if (h->hint == RESET_YES) {
        f->header = HIST_RESET;
        return;
    }
    if (hist_words_stale(h)) {
        f->ok = true;
        return;
    }
    f->header = HIST_UNKNOWN;
    if (last_stale) return;
    f->header = HIST_RESET;
    if (below(h->is_float, h->head[HIST_COUNT], s->head[HIST_COUNT])) return;
    if (layout_other(s, h)) {
        f->header = HIST_UNKNOWN;
        return;
    }
    if (bounds_other(s, h)) return;
    if (below(h->is_float, h->head[HIST_ZERO_COUNT], s->head[HIST_ZERO_COUNT])) return;
    struct hist_words last = hist_state_words(s);
    for (int side = 0; side < 2; side++) {
        side_compare(f, s, h, side, false);
        if (!side_grew(f, &last, h, side)) return;
    }
    f->header = HIST_NOT_RESET;
    f->ok = true;
}

static void fit_gauge(struct hist_fit *f, const struct hist_state *s, enum hist_header chunk,
                      const struct hist_words *h)
{
    f->header = HIST_GAUGE;
    if (chunk != HIST_GAUGE) return;
    f->ok = hist_words_stale(h);
    if (f->ok || s->head[HIST_SUM] == STALE_NAN_BITS || layout_other(s, h) || bounds_other(s, h))
        return;
    bool same = spans_same(s->layout.side[0], h->layout.side[0])
             && spans_same(s->layout.side[1], h->layout.side[1]);
    for (int side = 0; side < 2 && !same; side++) side_compare(f, s, h, side, true);
    f->ok = true;
}

void hist_fit_of(struct hist_fit *f, const struct hist_state *s, enum hist_header chunk,
                 const struct hist_words *h)
{
    assert(s->n > 0 && s->is_float == h->is_float);
    *f = (struct hist_fit){ 0 };
    if (h->hint == RESET_GAUGE) fit_gauge(f, s, chunk, h);
    else fit_counter(f, s, chunk, h);
}

void hist_fit_fini(struct hist_fit *f)
{
    hist_union_fini(&f->u[0]);
    hist_union_fini(&f->u[1]);
}

/* The words of one side, zeros where it has no bucket of the union. */
static const void *side_spread(const struct hist_union *u, bool of_chunk,
                               const struct hist_words *h, int side, struct arena *a)
{
    uint64_t *out = arena_array(a, u->all.n, sizeof(*out)), count = 0, before = 0;
    for (size_t i = 0; i < u->all.n; i++) {
        int32_t k = of_chunk ? u->all.at[i].a : u->all.at[i].b;
        uint64_t v = 0;
        if (k >= 0) v = count = count_on(h->is_float, count, hist_word(h, side, (size_t)k));
        out[i] = h->is_float ? v : v - before;
        before = v;
    }
    return out;
}

static struct hist_spans union_spans(const struct hist_union *u, struct arena *a)
{
    struct span *out = arena_array(a, u->all.n, sizeof(*out));
    return (struct hist_spans){ out, hist_union_spans(u, out) };
}

/* Spans as Prometheus writes them: the sample's own, unless it was widened; then those of the
 * chunk, or new ones if the chunk is widened too. */
struct hist_words hist_fit_widen(const struct hist_fit *f, const struct hist_state *s,
                                 const struct hist_words *h, struct arena *a)
{
    struct hist_words w = *h;
    if (!f->only_chunk) return w;
    for (int side = 0; side < 2; side++) {
        const struct hist_union *u = &f->u[side];
        bool gauge = h->hint == RESET_GAUGE;
        if (!f->only_sample && !gauge) w.layout.side[side] = s->layout.side[side];
        else if (u->only_a || gauge) w.layout.side[side] = union_spans(u, a);
        if (!u->only_a) continue;
        w.at[side] = side_spread(u, false, h, side, a);
        w.layout.n_buckets[side] = u->all.n;
    }
    return w;
}

struct hist_words hist_fit_recode(const struct hist_fit *f, const struct hist_words *h,
                                  const struct hist_layout *wide, struct arena *a)
{
    struct hist_words w = *h;
    w.layout = *wide;
    for (int side = 0; side < 2; side++)
        if (f->differ[side] && f->u[side].only_b)
            w.at[side] = side_spread(&f->u[side], true, h, side, a);
    return w;
}
