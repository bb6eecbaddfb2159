/* querier.h — the promise between those who ask and those who have samples.
 *
 * What        A querier is one consistent cut of the data in the closed interval [mint, maxt] (ms):
 *             it selects series and lists labels.
 * Invariants  What was committed before queryable_querier() is seen, whole batches only; what was
 *             committed after is not.
 * Ownership   queryable_querier makes one, querier_free ends it and all that it handed out; series
 *             sets and iterators end before it.
 * Threads     one querier: one thread at a time, except that iterators of different series may be
 *             used by different threads
 * Errors      ERR_IO, ERR_CORRUPT, ERR_LIMIT, ERR_CANCELED, ERR_UNAVAILABLE
 * Format      none
 */
#ifndef EPI_STORAGE_QUERIER_H
#define EPI_STORAGE_QUERIER_H

#include "model/matcher.h"
#include "storage/sample_iter.h"

struct select_hints {
    int64_t start, end, step, range;       /* ms; what will be looked at; step 0 for instant */
    /* the function or aggregation around it; "series": labels only, no samples */
    str func;
    size_t limit;                          /* series; 0: none */
    /* series in label order; else in the order of refs (creation) */
    bool sorted;
};

/* A series of a set: labels live as long as the querier. */
struct series { struct labels labels; sref ref; const struct series_ops *ops; };
enum { SERIES_AHEAD = 16 };
struct series_ops {
    /* Opens or, given the iterator of an earlier series of this set, re-uses it. The iterator clips
     * to the querier's interval. */
    errc (*iterate)(struct series *s, struct sample_iter **it, struct err *e);
    /* The same of n series, if they can be read as one because none has a sample between those of
     * another: as merge_iter.h has it. False: call the others' iterate(). NULL: always so. */
    bool (*chain)(struct series *const *all, size_t n, struct sample_iter **it);
    /* These n <= SERIES_AHEAD will be iterated next with *it, and all samples of [mint, maxt] read:
     * what can be read and decoded side by side is. They may be of other kinds, too. Says nothing
     * of failures: iterate() and the iterator do. NULL: nothing is gained by it. */
    void (*ahead)(struct series *const *all, size_t n, int64_t mint, int64_t maxt,
        struct sample_iter **it);
};

struct series_set { const struct series_set_ops *ops; };
struct series_set_ops {
    /* *out NULL: the end. A series lives as long as the querier, unless it is forgotten. */
    errc (*next)(struct series_set *s, struct series **out, struct err *e);
    void (*free)(struct series_set *s);
    /* The series given so far are used no more, nor are their arrays of labels; strings live on as
     * long as the querier. NULL: nothing can be forgotten. */
    void (*forget)(struct series_set *s);
};

/* nothing: no part of what is asked reaches into [mint, maxt], so that no matcher is looked at. */
struct querier { const struct querier_ops *ops; bool nothing; };
struct querier_ops {
    errc (*select)(struct querier *q, struct matchers ms, const struct select_hints *h,
        struct series_set **out, struct err *e);
    /* Sorted, without duplicates, strings live as long as the querier; limit 0: all; *truncated
     * says whether limit cut. */
    errc (*label_values)(struct querier *q, str name, struct matchers ms, size_t limit,
        str_list *out, bool *truncated, struct err *e);
    errc (*label_names)(struct querier *q, struct matchers ms, size_t limit, str_list *out,
        bool *truncated, struct err *e);
    void (*free)(struct querier *q);
    /* What of all that was asked for is damaged and was left out, in words, appended to out: they
     * live as long as the querier. Called while nobody uses its sets and iterators. NULL: what is
     * damaged is an error, or cannot be. */
    void (*warnings)(struct querier *q, str_list *out);
};

struct queryable { const struct queryable_ops *ops; };
struct changes;
struct queryable_ops {
    errc (*querier)(
        struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e);
    /* Who knows what changed of the data; NULL, or without it: nothing made of them may be kept.
     * *by_labels: a querier of [mint, maxt] gives series in the order of their labels, else in that
     * of their refs, as long as nothing is noted of all times. */
    struct changes *(*changes)(struct queryable *s, int64_t mint, int64_t maxt, bool *by_labels);
};

static inline void querier_free(struct querier *q) { if (q) q->ops->free(q); }
static inline void querier_warnings(struct querier *q, str_list *out)
{
    if (q && q->ops->warnings) q->ops->warnings(q, out);
}
static inline void querier_freep(struct querier **q) { querier_free(*q); }
static inline void series_set_free(struct series_set *s) { if (s) s->ops->free(s); }
static inline void series_set_freep(struct series_set **s) { series_set_free(*s); }

#endif
