/* rows.h — the column form of a result: a row is a series, a column entry a step.
 *
 * What        Step grids, presence bitmaps, rows, sinks that take rows one by one, and the
 *             collector that joins rows of equal labels.
 * Invariants  (1) v has grid->n entries. (2) present NULL: every step has a value; else bit i says
 *             so, and v[i] of an absent step is never looked at. (3) hist NULL: floats only; else
 *             hist[i] non-NULL makes step i a histogram. (4) bits past n are 0.
 *             (5) Of the labels that a sink was told to expect each comes once, as a row() or a
 *             none(), and no others do.
 *             (6) What goes over all steps asks the arena now and then whether it is over; values
 *             are left undone then, but never bitmaps and pointers.
 * Ownership   A row pushed into a sink is borrowed for the call; the sink may write into its
 *             columns. What it keeps, it copies, but for the columns of its own pool.
 * Threads     one query, one thread
 * Errors      the sink's
 * Format      none
 */
#ifndef EPI_PROMQL_ROWS_H
#define EPI_PROMQL_ROWS_H

#include "base/map.h"
#include "base/vec.h"
#include "model/histogram.h"
#include "model/labels.h"

/* The steps of an evaluation: start, start + interval, … , n of them. */
struct grid { int64_t start, end, interval; size_t n; };
/* REQUIRES: interval > 0; end < start: n == 0 */
struct grid grid_of(int64_t start, int64_t end, int64_t interval);
/* An evaluation at one time, which keeps rows in their order. One step of a range whose end is
 * elsewhere is none. */
static inline bool grid_is_instant(const struct grid *g) { return g->start == g->end; }
static inline int64_t grid_time(const struct grid *g, size_t i)
{
    return g->start + (int64_t)i * g->interval;
}

/* Bitmaps over the steps. */
static inline size_t bits_words(size_t n) { return (n + 63) / 64; }
static inline bool bits_get(const uint64_t *b, size_t i) { return b[i / 64] >> (i % 64) & 1; }
static inline void bits_set(uint64_t *b, size_t i) { b[i / 64] |= (uint64_t)1 << (i % 64); }
static inline void bits_set_run(uint64_t *b, size_t from, size_t n)
{
    for (; n && from % 64; from++, n--) bits_set(b, from);
    for (; n >= 64; from += 64, n -= 64) b[from / 64] = ~(uint64_t)0;
    if (n) b[from / 64] |= ((uint64_t)1 << n) - 1;
}
/* to gets the bits of b, too; NULL: all n */
void bits_join(uint64_t *to, const uint64_t *b, size_t n);
static inline void bits_clear(uint64_t *b, size_t i) { b[i / 64] &= ~((uint64_t)1 << (i % 64)); }
/* the first n set, the rest of the words clear */
void bits_fill(uint64_t *b, size_t n);
size_t bits_count(const uint64_t *b, size_t n);
size_t bits_first_common(const uint64_t *a, const uint64_t *b, size_t n);   /* n: none */

/* Walks the set bits of a bitmap of n steps; NULL: all. for (size_t i = bits_next(p, 0, n); i < n;
 * i = bits_next(p, i + 1, n)) */
static inline size_t bits_next(const uint64_t *b, size_t i, size_t n)
{
    if (!b || i >= n) return i < n ? i : n;
    size_t w = i / 64;
    uint64_t word = b[w] & ~(uint64_t)0 << (i % 64);
    for (size_t words = bits_words(n); !word;) {
        if (++w >= words) return n;
        word = b[w];
    }
    return w * 64 + (size_t)__builtin_ctzll(word);
}
#define BITS_EACH(i, b, n)                                                                         \
    for (size_t i = bits_next((b), 0, (n)); i < (n); i = bits_next((b), i + 1, (n)))

struct row {
    struct labels labels;
    double *v;
    uint64_t *present;
    const struct histogram **hist;
    /* the name goes at the end of the query (delayed name removal) */
    bool drop_name;
    /* v is a column of a pool of as many steps, with room for a bitmap behind it, that lives as
     * long as the sink's pool, and nobody who pushed it looks at it again: the sink may take it as
     * it is, or give it to its own pool. Rows of set operators come so, out of a rows_sink. */
    bool pooled;
};
static inline bool row_has(const struct row *r, size_t i)
{
    return !r->present || bits_get(r->present, i);
}
/* Word w of the row's bitmap, and of a bitmap in which all n steps are set. */
static inline uint64_t bits_full(size_t w, size_t n)
{
    return n - w * 64 >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << (n - w * 64)) - 1;
}
static inline uint64_t row_word(const struct row *r, size_t w, size_t n)
{
    return r->present ? r->present[w] : bits_full(w, n);
}
static inline const struct histogram *row_histogram(const struct row *r, size_t i)
{
    return r->hist ? r->hist[i] : NULL;
}
/* so that bits can be cleared */
void row_own_present(struct arena *a, struct row *r, size_t n);
/* steps with one have no value any more */
void row_drop_histograms(struct arena *a, struct row *r, size_t n);
/* Copies of the histograms at the steps that are present, NULL elsewhere; NULL if there is none. */
const struct histogram **row_copy_histograms(struct arena *a, const struct row *r, size_t n);
size_t row_count(const struct row *r, size_t n);               /* steps that have a value */

/* Columns of n steps in an arena, each with a bitmap behind it. One that is given back is taken
 * again, so that as much memory is used as are held at a time. */
struct column_pool { struct arena *a; VEC(double *) idle; size_t n; };
void column_pool_init(struct column_pool *p, struct arena *a, size_t n_steps);
void column_pool_fini(struct column_pool *p);                  /* the arena remains */
double *column_pool_take(struct column_pool *p);               /* all zero */
void column_pool_give(struct column_pool *p, double *v);
static inline uint64_t *column_pool_bits(const struct column_pool *p, double *v)
{
    return (uint64_t *)(void *)(v + p->n);
}

/* A sink that has something to do as soon as all rows of some kind were there wants to know which
 * rows may come: a node that can tell does so before the first of them. */
struct sink {
    errc (*row)(struct sink *s, struct row *r);
    /* what it keeps of a row's labels are strings at most, never the array or the series */
    bool forgets;
    void (*expect)(struct sink *s, struct labels l);           /* NULL: it is not to be told */
    errc (*none)(struct sink *s, struct labels l);             /* an expected row does not come */
    struct column_pool *pool;              /* in which rows may lie that are pushed; may be NULL */
};
static inline errc sink_row(struct sink *s, struct row *r) { return s->row(s, r); }

/* How many samples the rows have at each step, as max-samples counts them: a histogram is several.
 * Dense rows of floats cost nothing. */
/* kept: of all steps, when they are a matrix, in which a histogram counts for one less or so */
struct step_counts { uint64_t dense, kept; uint32_t *at; size_t n; const struct arena *a; };
void step_counts_init(struct step_counts *c, struct arena *a, size_t n);
/* one a value: what a node takes in */
void step_counts_add(struct step_counts *c, const struct row *r);
/* histograms by their size: what it makes */
void step_counts_add_made(struct step_counts *c, const struct row *r);
/* what a row counts for in a matrix */
uint64_t row_samples(const struct row *r, size_t n);
uint64_t samples_of_histogram(const struct histogram *h);      /* how many floats it counts for */
static inline uint64_t step_counts_at(const struct step_counts *c, size_t i)
{
    return c->dense + c->at[i];
}

/* Labels without __name__, __type__ and __unit__. */
struct labels labels_drop_metadata(struct arena *a, struct labels l);
bool label_is_metadata(str name);

/* Finds labels seen before: labels -> index in order of first appearance. */
struct label_set { struct map map; struct arena *a; size_t n; };
void label_set_init(struct label_set *s, struct arena *a);
void label_set_fini(struct label_set *s);
/* The index; *fresh says whether it is a new one. The labels are copied (pairs, not bytes) when new
 * and `keep` is set. */
size_t label_set_add(struct label_set *s, struct labels l, bool *fresh);

/* Keeps copies of rows. */
struct rows { VEC(struct row) all; struct arena *a; size_t n_steps; };
void rows_init(struct rows *rs, struct arena *a, size_t n_steps);
/* the list; the columns lie in the arena */
void rows_fini(struct rows *rs);
/* labels alone: the columns are somebody else's */
struct row *rows_add_labels(struct rows *rs, struct labels l, bool drop_name);
/* an empty row: nothing present */
struct row *rows_add(struct rows *rs, struct labels l, bool drop_name);
/* Of a row whose values stay as long as the arena, and are not changed. */
void rows_keep(struct rows *rs, const struct row *r);
struct row *rows_copy(struct rows *rs, const struct row *r);

struct rows_sink {
    struct sink base; struct rows rows; struct step_counts counts;
    struct column_pool columns;            /* of the rows, for those who push */
};
void rows_sink_init(struct rows_sink *s, struct arena *a, size_t n_steps);

/* Puts src's present steps into dst. The first step that both have, or n. dst then keeps its own
 * there. */
size_t row_merge(struct row *dst, const struct row *src, size_t n, struct arena *a);

#endif
