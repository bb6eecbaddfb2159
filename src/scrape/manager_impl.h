/* manager_impl.h — what the modules of the manager share: the manager, its jobs and their loops.
 *
 * What        manager.c turns the loops and takes configurations; jobs.c brings the loops of a job
 *             in line with what is discovered; manager_view.c tells the API of them.
 * Invariants  a loop is in its job, or gone: then it is in the heap until its markers are written
 * Ownership   the manager owns its jobs, a job its loops; a loop that is gone owns itself
 * Threads     everything but a loop's target is guarded by the manager's lock, which the functions
 *             here require
 * Errors      none
 * Format      none
 */
#ifndef EPI_SCRAPE_MANAGER_IMPL_H
#define EPI_SCRAPE_MANAGER_IMPL_H

#include "base/map.h"
#include "base/vec.h"
#include "scrape/failure_log.h"
#include "scrape/held.h"
#include "scrape/manager.h"

struct discovery;
struct fetcher;
struct found;
struct thread;

enum loop_state { LOOP_WAITING, LOOP_RUNNING };
struct loop {
    struct target *target;
    struct job *job;                   /* NULL: gone */
    struct scrape_generation *gen;     /* of target->config */
    enum loop_state state;
    /* gone at a stop or with its job replaced: no stale markers */
    bool stop_only;
    int64_t due_ns;                    /* monotonic */
    /* gone: when its next turn would have been; 0: not yet known */
    int64_t stale_t_ms;
    int64_t aligned_ms;                /* see scrape/grid.h */
    int64_t start_ns, t_ms;            /* of the scrape under way */
    bool scraped;                      /* once at least */
    size_t at;                         /* place in the heap; SIZE_MAX: not in it */
    struct scrape_manager *m;
};

struct job {
    /* heap copies; text: the job's configuration, to see whether it changed */
    str name, text;
    const struct scrape_config *config;
    VEC(struct loop *) loops;
    struct map by_hash;                /* loop by target hash */
    /* what its discovery files name; NULL: nothing was read yet */
    struct found *found;
    struct arena dropped_arena;
    VEC(struct labels) dropped;        /* discovered labels, in dropped_arena */
    uint64_t n_dropped;
    bool over_limit;
    uint64_t n_active;
};

struct scrape_manager {
    struct scrape_manager_opts o;          /* appendable: set before nothing is held any more */
    struct held held;
    struct fetcher *fetcher;
    struct discovery *discovery;
    struct thread *thread;
    struct mtx mu;                     /* LOCK_SCRAPE_MANAGER: everything below */
    struct cond wake, idle;
    VEC(struct loop *) heap;           /* by due_ns */
    VEC(struct job *) jobs;
    failure_files failure_files;
    struct scrape_generation *gen;
    uint64_t seed;
    unsigned running;
    bool stop, applying, found_more;
};

/* ---- manager.c: loops */

/* A loop of a target, which it takes over, at its first turn. */
struct loop *loop_begin(struct scrape_manager *m, struct job *j, struct target *t);
/* A loop whose target went away: the first turn gives the time of its markers, they are written
 * after the second and a tenth. stop_only: there are to be none. */
void loop_leave(struct scrape_manager *m, struct loop *l, bool stop_only);
/* Takes over the configuration of its job; forget: it makes other series of the pages. */
void loop_adopt(struct loop *l, bool forget);

/* ---- jobs.c */

struct job *job_new(const struct scrape_config *c);
/* NULL: there is none of this name */
struct job *job_find(struct scrape_manager *m, str name);
void job_take_config(struct job *j, const struct scrape_config *c);
/* Brings its loops in line with what is discovered. */
void job_sync(struct scrape_manager *m, struct job *j);
/* Takes what was found newly. True: it is something else than before. */
bool job_take_found(struct scrape_manager *m, struct job *j);
void job_count_metadata(const struct job *j);
/* Ends it and its loops, without markers. */
void job_leave(struct scrape_manager *m, struct job *j);

#endif
