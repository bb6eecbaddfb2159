/* manager.h — all jobs: their targets, whose turn it is, and what a new configuration changes.
 *
 * What        One thread knows when each target is due; requests run on the mover of the HTTP
 *             client, pages are parsed on the pool. So thousands of targets need a few threads.
 * Invariants  (1) A target is scraped by at most one scrape at a time; a turn that comes while one
 *             runs is left out. (2) A target that went away gets stale markers a little over two
 *             intervals later, unless it came back. (3) At a stop no markers are written.
 * Ownership   scrape_manager_new/free. A configuration is counted: it is let go when no scrape uses
 *             it any more.
 * Threads     any. Lock: LOCK_SCRAPE_MANAGER.
 * Errors      ERR_BAD_INPUT from apply: nothing was changed
 * Format      none
 */
#ifndef EPI_SCRAPE_MANAGER_H
#define EPI_SCRAPE_MANAGER_H

#include "base/lock.h"
#include "io/watch.h"
#include "scrape/scrape_config.h"
#include "scrape/target.h"

struct pool;
struct scrape_manager;

struct scrape_manager_opts {
    struct appendable *appendable;         /* NULL: scrapes are held until scrape_manager_open */
    struct pool *pool;
    bool adjust_timestamps;                /* --scrape.adjust-timestamps */
    int64_t timestamp_tolerance_ms;        /* --scrape.timestamp-tolerance */
    /* part of the seed that spreads the targets of many servers */
    str hostname;
    /* of the folders of discovery files; NULL: they are read by refresh_interval alone */
    watch_maker watch;
};
MUST_USE errc scrape_manager_new(
    struct scrape_manager **out, const struct scrape_manager_opts *o, struct err *e);
/* The storage can be written to: what was held goes there, in its order, before it returns. */
void scrape_manager_open(struct scrape_manager *m, struct appendable *st);
/* No scrape runs any more when it returns: those under way come to their end, which their timeouts
 * bound. */
void scrape_manager_stop(struct scrape_manager *m);
void scrape_manager_free(struct scrape_manager *m);            /* NULL is fine */

/* A loaded configuration with the number of those who use it. release is called once, by the
 * last. */
struct scrape_generation {
    const struct scrape_configs *configs;
    void (*release)(void *ctx);
    void *ctx;
    _Atomic unsigned refs;
};
/* Takes over g (refs 1). Jobs whose text did not change keep their targets and what they know. */
void scrape_manager_apply(struct scrape_manager *m, struct scrape_generation *g);

/* What the API shows; everything lies in the arena, lists are made with avec_push. */
struct scrape_target_view {
    str pool, url, error, interval, timeout;
    enum health health;
    struct labels labels, discovered;
    int64_t scraped_ns;
    double duration_s;
};
struct scrape_dropped_view { str pool; struct labels discovered; };
struct scrape_count_view { str pool; uint64_t n; };
struct scrape_view {
    VEC(struct scrape_target_view) active;
    VEC(struct scrape_dropped_view) dropped;
    VEC(struct scrape_count_view) dropped_counts;
};
void scrape_manager_view(struct scrape_manager *m, struct arena *a, struct scrape_view *out);

struct scrape_meta_view { struct labels target; str metric; struct metadata m; };
typedef VEC(struct scrape_meta_view) scrape_metas;
void scrape_manager_metadata(struct scrape_manager *m, struct arena *a, scrape_metas *out);
/* The job's configuration as YAML; what each of its relabel rules makes of a set of labels
 * (rule_json: the rule as the API shows it).
 * False: there is no such job. */
MUST_USE bool scrape_manager_pool_config(struct scrape_manager *m, str pool, struct buf *yaml);
struct scrape_step { str rule_json; struct labels output; bool keep; };
typedef VEC(struct scrape_step) scrape_steps;
MUST_USE bool scrape_manager_relabel_steps(
    struct scrape_manager *m, str pool, struct labels in, struct arena *a, scrape_steps *out);
/* names, sorted */
void scrape_manager_pools(struct scrape_manager *m, struct arena *a, str_list *out);

#endif
