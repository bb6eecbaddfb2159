#include "promql/rows.h"

/* Words of a bitmap between two looks at whether it is over. */
enum { WORDS_PART = 1 << 8 };

struct grid grid_of(int64_t start, int64_t end, int64_t interval)
{
    assert(interval > 0);
    size_t n =
        end < start ? 0 : (size_t)(((uint64_t)end - (uint64_t)start) / (uint64_t)interval) + 1;
    return (struct grid){ start, end, interval, n };
}

void bits_fill(uint64_t *b, size_t n)
{
    size_t words = bits_words(n);
    memset(b, 0xff, words * sizeof(*b));
    if (n % 64) b[words - 1] = ((uint64_t)1 << (n % 64)) - 1;
}

void bits_join(uint64_t *to, const uint64_t *b, size_t n)
{
    if (!b) bits_fill(to, n);
    for (size_t w = 0; b && w < bits_words(n); w++) to[w] |= b[w];
}

size_t bits_count(const uint64_t *b, size_t n)
{
    size_t sum = 0;
    for (size_t w = 0; w < bits_words(n); w++) sum += (size_t)__builtin_popcountll(b[w]);
    return sum;
}

size_t bits_first_common(const uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t w = 0; w < bits_words(n); w++)
        if (a[w] & b[w]) return w * 64 + (size_t)__builtin_ctzll(a[w] & b[w]);
    return n;
}

size_t row_count(const struct row *r, size_t n)
{
    return r->present ? bits_count(r->present, n) : n;
}

void step_counts_init(struct step_counts *c, struct arena *a, size_t n)
{
    *c = (struct step_counts){ .at = arena_zalloc(a, n * sizeof(*c->at)), .n = n, .a = a };
}

void step_counts_add(struct step_counts *c, const struct row *r)
{
    if (!r->present) {
        c->dense++;
        c->kept += c->n;
        return;
    }
    for (size_t w = 0; w < bits_words(c->n); w++) {
        uint64_t word = r->present[w];
        if (w % WORDS_PART == WORDS_PART - 1 && arena_over(c->a)) return;
        if (!word) continue;
        size_t from = w * 64, steps = MIN((size_t)64, c->n - from);
        if (word == bits_full(w, c->n)) {
            c->kept += steps;
            for (size_t k = 0; k < steps; k++)
                c->at[from + k]++;
            continue;
        }
        c->kept += (size_t)__builtin_popcountll(word);
        /* without branches, which compilers make wide */
        for (size_t k = 0; k < steps; k++) c->at[from + k] += (uint32_t)(word >> k & 1);
    }
}

void column_pool_init(struct column_pool *p, struct arena *a, size_t n_steps)
{
    *p = (struct column_pool){ .a = a, .n = n_steps };
}

void column_pool_fini(struct column_pool *p) { vec_fini(&p->idle); }

double *column_pool_take(struct column_pool *p)
{
    size_t bytes = p->n * sizeof(double) + bits_words(p->n) * sizeof(uint64_t);
    if (!p->idle.n) return arena_zalloc(p->a, bytes);
    double *v = vec_pop(&p->idle);
    arena_zero(p->a, v, bytes);
    return v;
}

/* What is idle already would be two rows' column. */
static bool column_is_idle(const struct column_pool *p, const double *v)
{
    enum { LOOKED_AT = 8 };
    for (size_t i = p->idle.n; i-- > 0 && p->idle.n - i <= LOOKED_AT;)
        if (p->idle.at[i] == v) return true;
    return false;
}

void column_pool_give(struct column_pool *p, double *v)
{
    assert(!column_is_idle(p, v));
    vec_push(&p->idle, v);
}

enum { SAMPLE_BYTES = 16 };

uint64_t samples_of_histogram(const struct histogram *h)
{
    return (histogram_size(h) + SAMPLE_BYTES / 2) / SAMPLE_BYTES;
}

uint64_t row_samples(const struct row *r, size_t n)
{
    uint64_t sum = row_count(r, n);
    if (!r->hist) return sum;
    BITS_EACH(i, r->present, n) if (r->hist[i]) sum += samples_of_histogram(r->hist[i]) - 1;
    return sum;
}

void step_counts_add_made(struct step_counts *c, const struct row *r)
{
    step_counts_add(c, r);
    if (!r->hist) return;
    BITS_EACH(i, r->present, c->n) {
        if (!r->hist[i]) continue;
        c->at[i] += (uint32_t)(histogram_size(r->hist[i]) / SAMPLE_BYTES);
        c->kept += samples_of_histogram(r->hist[i]) - 1;
    }
}

void row_own_present(struct arena *a, struct row *r, size_t n)
{
    if (r->present) return;
    r->present = arena_array(a, bits_words(n), sizeof(uint64_t));
    bits_fill(r->present, n);
}

void row_drop_histograms(struct arena *a, struct row *r, size_t n)
{
    if (!r->hist) return;
    row_own_present(a, r, n);
    for (size_t i = 0; i < n; i++)
        if (r->hist[i]) bits_clear(r->present, i);
    r->hist = NULL;
}

/* With what arithmetic left in the place of the zero bucket, which custom buckets do not have: 0
 * times NaN. What looks at the whole histogram sees it. */
static struct histogram *row_histogram_copy(struct arena *a, const struct histogram *h)
{
    struct histogram *c = histogram_copy(a, h);
    c->zero_count = h->zero_count;
    return c;
}

/* Steps often share a histogram: then they share its copy. */
const struct histogram **row_copy_histograms(struct arena *a, const struct row *r, size_t n)
{
    if (!r->hist) return NULL;
    const struct histogram **to = NULL, *last = NULL, *copy = NULL;
    BITS_EACH(i, r->present, n) {
        if (!r->hist[i]) continue;
        if (!to) to = arena_zalloc(a, n * sizeof(*to));
        if (r->hist[i] != last) copy = row_histogram_copy(a, r->hist[i]);
        last = r->hist[i];
        to[i] = copy;
    }
    return to;
}

bool label_is_metadata(str name)
{
    return str_eq(name, METRIC_NAME) || str_eq(name, S("__type__")) || str_eq(name, S("__unit__"));
}

struct labels labels_drop_metadata(struct arena *a, struct labels l)
{
    if (l.n && str_eq(l.at[0].name, METRIC_NAME)) l = (struct labels){ l.at + 1, l.n - 1 };
    bool more = false;
    for (size_t i = 0; i < l.n && l.at[i].name.p[0] <= '_'; i++)
        more |= label_is_metadata(l.at[i].name);
    if (!more) return l;
    struct label *at = arena_array(a, l.n, sizeof(*at));
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++)
        if (!label_is_metadata(l.at[i].name)) at[n++] = l.at[i];
    return (struct labels){ at, n };
}

struct label_set_entry { struct labels labels; size_t index; };

static bool label_set_is(const void *val, const void *key)
{
    return labels_eq(((const struct label_set_entry *)val)->labels, *(const struct labels *)key);
}

void label_set_init(struct label_set *s, struct arena *a) { *s = (struct label_set){ .a = a }; }
void label_set_fini(struct label_set *s) { map_fini(&s->map); }

static struct labels labels_keep(struct arena *a, struct labels l)
{
    struct label *at = arena_array(a, l.n, sizeof(*at));
    if (l.n) memcpy(at, l.at, l.n * sizeof(*at));
    return (struct labels){ at, l.n };
}

size_t label_set_add(struct label_set *s, struct labels l, bool *fresh)
{
    uint64_t hash = labels_hash(l);
    struct label_set_entry *old = map_find(&s->map, hash, label_set_is, &l);
    *fresh = !old;
    if (old) return old->index;
    struct label_set_entry *e = ANEW(s->a, struct label_set_entry);
    *e = (struct label_set_entry){ labels_keep(s->a, l), s->n++ };
    map_put(&s->map, hash, e);
    return e->index;
}

void rows_init(struct rows *rs, struct arena *a, size_t n_steps)
{
    *rs = (struct rows){ .a = a, .n_steps = n_steps };
}
void rows_fini(struct rows *rs) { vec_fini(&rs->all); }

struct row *rows_add_labels(struct rows *rs, struct labels l, bool drop_name)
{
    struct row r = { .labels = labels_keep(rs->a, l), .drop_name = drop_name };
    vec_push(&rs->all, r);
    return &rs->all.at[rs->all.n - 1];
}

struct row *rows_add(struct rows *rs, struct labels l, bool drop_name)
{
    struct row *r = rows_add_labels(rs, l, drop_name);
    r->v = arena_zalloc(rs->a, rs->n_steps * sizeof(*r->v));
    r->present = arena_zalloc(rs->a, bits_words(rs->n_steps) * sizeof(*r->present));
    return r;
}

struct row *rows_copy(struct rows *rs, const struct row *r)
{
    size_t n = rs->n_steps;
    struct row c = { .labels = labels_keep(rs->a, r->labels), .drop_name = r->drop_name };
    c.v = arena_array(rs->a, n, sizeof(*c.v));
    arena_copy(rs->a, c.v, r->v, n * sizeof(*c.v));
    if (r->present) {
        c.present = arena_array(rs->a, bits_words(n), sizeof(*c.present));
        memcpy(c.present, r->present, bits_words(n) * sizeof(*c.present));
    }
    c.hist = row_copy_histograms(rs->a, r, n);
    vec_push(&rs->all, c);
    return &rs->all.at[rs->all.n - 1];
}

void rows_keep(struct rows *rs, const struct row *r)
{
    struct row c = *r;
    c.labels = labels_keep(rs->a, r->labels);
    vec_push(&rs->all, c);
}

static errc rows_sink_row(struct sink *base, struct row *r)
{
    struct rows_sink *s = CONTAINER_OF(base, struct rows_sink, base);
    step_counts_add(&s->counts, r);
    if (r->pooled) rows_keep(&s->rows, r);
    else rows_copy(&s->rows, r);
    return OK;
}

void rows_sink_init(struct rows_sink *s, struct arena *a, size_t n_steps)
{
    s->base = (struct sink){ .row = rows_sink_row, .pool = &s->columns };
    column_pool_init(&s->columns, a, n_steps);
    rows_init(&s->rows, a, n_steps);
    step_counts_init(&s->counts, a, n_steps);
}

size_t row_merge(struct row *dst, const struct row *src, size_t n, struct arena *a)
{
    size_t clash = n;
    if (!dst->present) return bits_next(src->present, 0, n);
    size_t asked = 0;
    BITS_EACH(i, src->present, n) {
        if (i - asked >= WORDS_PART * 64) {
            asked = i;
            if (arena_over(a)) break;
        }
        if (bits_get(dst->present, i)) {
            if (clash == n) clash = i;
            continue;
        }
        bits_set(dst->present, i);
        dst->v[i] = src->v[i];
        if (!src->hist || !src->hist[i]) continue;
        if (!dst->hist) dst->hist = arena_zalloc(a, n * sizeof(*dst->hist));
        dst->hist[i] = row_histogram_copy(a, src->hist[i]);
    }
    return clash;
}
