/* line_cache.h — a target's last page predicts its next one.
 *
 * What        Reads a page line by line; of a protobuf page, and of histograms that are put
 *             together from lines, an entry is a line. A line whose series text stands where it
 *             stood on the last page, or anywhere in it, is known: the caller gets back the handle
 *             that it gave that series, and no label is looked at. Comment lines that did not
 *             change are passed over. At the end the series that are gone are told.
 * Invariants  (1) What a known line yields is what the parser would yield for it. (2) A series is
 *             told to be gone once.
 *             (3) Texts are never kept: a 64-bit keyed hash and the length stand for them, per
 *                 target.
 * Ownership   line_cache_new/free; borrows the page between begin and commit or rollback; charges
 *             the account
 * Threads     one thread at a time
 * Errors      those of the parser; then rollback
 * Format      none
 */
#ifndef EPI_INGEST_LINE_CACHE_H
#define EPI_INGEST_LINE_CACHE_H

#include "ingest/exposition.h"

enum line_kind {
    LINE_END,
    LINE_KNOWN,        /* handle, or dropped */
    /* a series without a handle: the parser holds it (expo_labels …); then line_cache_learn */
    LINE_NEW,
    /* a type, help, unit or comment that is new or was asked for: the parser holds it */
    LINE_META
};
struct line {
    enum line_kind kind;
    enum metric_type type;             /* of the family named last */
    bool dropped;                      /* known: rules dropped it */
    bool again;                        /* the same series text stood on this page before */
    bool has_ts;
    bool has_exemplar;                 /* the parser holds it (expo_exemplar) */
    bool histogram;                    /* not a value: the parser holds it (expo_histogram) */
    bool parsed;                       /* the parser holds the entry (expo_start_ts) */
    uint32_t index;                    /* for line_cache_learn, until commit or rollback */
    uint64_t handle;
    double value;
    int64_t ts;                        /* ms; valid if has_ts */
    size_t at;                         /* where it starts in the page: for expo_seek */
};
/* Lines that stand where they stood, have a handle and no time stamp of their own: most of a
 * page. */
struct line_run {
    size_t cap, n;                     /* room in the arrays; lines found */
    uint64_t *handle;
    double *value;
    uint32_t *index;                   /* for line_cache_learn */
    size_t *at;                        /* for expo_seek */
    uint8_t *type;                     /* enum metric_type of the family */
};
/* What was read of a page while it came: its first lines, as far as they stand where they stood. */
struct line_ahead {
    size_t places;                     /* lines of the last page, comments included */
    size_t taken;                      /* of these, told by line_cache_take_ahead */
    double *value; size_t n;           /* of the series lines; the caller's, for line_cache_count */
    size_t told;                       /* of these */
    uint8_t type;                      /* enum metric_type of the family named last */
    bool over;                         /* what comes next is for the parser */
};
/* told the handle of a series that is gone */
typedef void (*line_gone)(void *ctx, uint64_t handle);
typedef void (*line_comment)(void *ctx, uint64_t handle);

struct line_cache;
struct line_cache *line_cache_new(struct account *acc);
void line_cache_free(struct line_cache *c);                    /* NULL is fine */
/* rules or limits changed: nothing is known; told to nobody */
void line_cache_clear(struct line_cache *c);
size_t line_cache_count(const struct line_cache *c);
size_t line_cache_bytes(const struct line_cache *c);

/* track_ts: series with time stamps of their own are told when they are gone, too
 * (track_timestamps_staleness). */
void line_cache_begin(struct line_cache *c, struct expo *page, bool track_ts);
MUST_USE errc line_cache_next(struct line_cache *c, struct line *out, struct err *e);
/* The next lines as far as they are plain: what line_cache_next would say of them, without asking
 * for each. Appends to out. */
void line_cache_run(struct line_cache *c, struct line_run *out);
/* Between two pages: reads on in the text of the next one, whose bytes go on at p. How many bytes
 * were whole plain lines, the first few of what was shown; the others are shown again, with more
 * behind them, unless `over`. The text format alone. Changes nothing. */
size_t line_cache_ahead(
    const struct line_cache *c, struct line_ahead *a, const uint8_t *p, size_t n);
/* the last page was taken, and the next need not tell what it told */
bool line_cache_may_ahead(const struct line_cache *c);
/* The lines that were read ahead, before any other of the page, whose body is what lies behind
 * them. Appends to out as line_cache_run does, with SIZE_MAX for `at`; all were told when it adds
 * nothing. */
void line_cache_take_ahead(struct line_cache *c, struct line_ahead *a, struct line_run *out);
/* What the caller made of a line: its handle (of a series, 0: nothing, ask again next time), or
 * that rules dropped it. */
void line_cache_learn(struct line_cache *c, uint32_t index, uint64_t handle, bool dropped);
void line_cache_commit(struct line_cache *c, line_gone gone, void *ctx);
/* What was learned of each comment of the last page, 0 left out. REQUIRES: no page is open */
void line_cache_comments(const struct line_cache *c, line_comment told, void *ctx);
/* the next page tells all its comments, known or not */
void line_cache_tell_comments(struct line_cache *c);
/* the page failed: what was known before is known again */
/* The page failed where it stands: what it said so far is what the target has, the rest is told.
 * What was known before stays so, until pages that fail made it too much: true, it was dropped. */
bool line_cache_rollback(struct line_cache *c, line_gone gone, void *ctx);
/* The line's sample was not taken: its series is not on this page. */
void line_cache_miss(struct line_cache *c, uint32_t index);
/* The target failed or is gone: all its series are. They stay predicted, but are not told again.
 * REQUIRES: no page is open */
void line_cache_gone_all(struct line_cache *c, line_gone gone, void *ctx);

/* lines: in place, up to four on, by hash, unknown */
struct line_cache_stats { uint64_t predicted, near, found, fresh; };
/* since the cache was made */
struct line_cache_stats line_cache_stats(const struct line_cache *c);

#endif
