/* head_impl.h — the head from inside: what its modules share.
 *
 * What        struct head, and the few functions that its modules call of each other.
 * Invariants  see head.h
 * Ownership   head_open, head_close
 * Threads     each field says
 * Errors      none
 * Format      none
 *
 * Lock order within the head: create -> symbols -> slot -> run -> leaf (store, reclaim).
 * Isolation's lock is above all.
 */
#ifndef EPI_HEAD_HEAD_IMPL_H
#define EPI_HEAD_HEAD_IMPL_H

#include "base/metric.h"
#include "base/baton.h"
#include "head/head.h"
#include "head/isolation.h"
#include "head/lookup.h"
#include "head/meta_table.h"
#include "head/ooo.h"
#include "head/open_chunk.h"
#include "head/series.h"
#include "head/tombstones.h"
#include "storage/left_out.h"

struct exemplars;
struct head_appender;

struct head {
    struct appendable appendable;
    struct queryable queryable;
    struct head_opts opts;                     /* const */
    struct reclaim reclaim;
    struct store store;
    struct series_index series;
    struct isolation isolation;
    struct lookup lookup;

    /* of in-order samples; relaxed, only lowered and raised */
    _Atomic int64_t min_time, max_time;
    _Atomic int64_t min_valid_time;

    struct baton writing;                       /* writing to the chunk files */
    struct baton ooo_baton;                      /* late samples; taken before `writing` */
    struct ooo_table ooo;
    /* of late samples; relaxed, lowered and raised, and set when some went */
    _Atomic int64_t min_ooo_time, max_ooo_time;
    _Atomic int64_t ooo_window_ms;             /* 0: late samples are refused; relaxed */
    struct wal *_Atomic wbl;                   /* the log of late samples; set once */
    atomic_flag told;                          /* opts.many_sealed was called, the writer not yet */
    _Atomic uint64_t n_chunks;                 /* open, sealed and closed; relaxed */
    /* const after the replay: earlier refs of series, by which the log names samples */
    VEC(sref) other_refs;

    struct mtx appenders_mu;                   /* LOCK_LEAF */
    struct cond appenders_gone;
    struct head_appender *idle;                /* GUARDED_BY(appenders_mu): to be used again */
    unsigned n_idle;
    uint64_t appender_seq;                     /* GUARDED_BY(appenders_mu) */
    /* GUARDED_BY(appenders_mu): ring in the order of beginning; NULL: none */
    struct head_appender *active;
    _Atomic uint32_t n_active;

    struct head_tombstones tombstones;
    /* number of the newest deletion; written under the ooo_baton, or by the replay */
    _Atomic uint32_t deletions;
    uint32_t told_deletion;                    /* under the ooo_baton: by the log of late samples */

    struct exemplars *exemplars;               /* const */
    struct meta_table metadata;
};

errc head_begin(struct appendable *s, struct appender **out, struct err *e);
errc head_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e);
void head_free_idle(struct head *h);
/* until those that are open now are gone */
void head_wait_appenders(struct head *h);

/* Drops what is wholly before mint; how many series went. */
size_t head_collect(struct head *h, int64_t mint);

/* Chunks that a context opened go to the head's counts. */
void head_count_opened(struct head *h, struct open_ctx *c);
void head_saw_time(struct head *h, int64_t mint, int64_t maxt);
void head_saw_ooo_time(struct head *h, int64_t mint, int64_t maxt);
/* those that end before mint, but for what late samples are older still */
void head_drop_tombstones(struct head *h, int64_t mint);

/* The series that match, as numbers; the caller is a reader of the reclaim. */
MUST_USE errc head_select(struct head *h, struct matchers ms, runs *out, struct err *e);

/* Damage of a chunk on the disk, which is to be left out: noted, counted, logged. False: it is
 * another error, or is to be one (NULL). */
bool head_leaves_out(struct left_out *l, errc rc, const struct err *why);

/* Metrics: the head whose gauges are shown, and counters of several modules. */
void head_show(struct head *h);
void head_hide(struct head *h);
/* stats.c */
extern struct metric_family head_chunks_created, head_chunks_removed, head_series_created,
    head_series_removed;

#endif
