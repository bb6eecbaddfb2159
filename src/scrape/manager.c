/* How a turn goes:
 *
 *   manager thread: loop is due ──> fetch_start ──> (HTTP client) ──> loop_done on the pool:
 *   scrape_apply ──> loop_finished
 *
 * A loop is WAITING in the heap of due times, RUNNING while its fetch or page is under way, or
 * GONE: taken off its pool. A loop that is gone stays in the heap until its stale markers are
 * written. Everything of a loop but its target is guarded by the manager's lock. */
#include "scrape/manager.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "io/pool.h"
#include "io/thread.h"
#include "model/duration.h"
#include "scrape/apply.h"
#include "scrape/discovery.h"
#include "scrape/failure_log.h"
#include "scrape/fetch.h"
#include "scrape/grid.h"
#include "scrape/held.h"

#include <stdlib.h>

enum { COUNT_MS = 5000, FILES_PATIENCE_MS = 2000, MS = 1000000 };

static const double interval_quantiles[] = { 0.01, 0.05, 0.5, 0.9, 0.99 };
static const double interval_bounds[] = { .01, .1, 1, 10, 30, 60, 180, 600 };
SUMMARY_VEC(m_interval, "prometheus_target_interval_length_seconds",
    "Actual intervals between scrapes.", interval_quantiles, "interval")
HISTOGRAM_VEC(m_interval_histogram, "prometheus_target_interval_length_histogram_seconds",
    "Actual intervals between scrapes as a histogram.", interval_bounds, "interval")
SUMMARY_VEC(m_sync, "prometheus_target_sync_length_seconds",
    "Actual interval to sync the scrape pool.", interval_quantiles, "scrape_job")
HISTOGRAM_VEC(m_sync_histogram, "prometheus_target_sync_length_histogram_seconds",
    "Actual interval to sync the scrape pool as a histogram.", interval_bounds, "scrape_job")
SUMMARY_VEC(m_reload, "prometheus_target_reload_length_seconds",
    "Actual interval to reload the scrape pool with a given configuration.", interval_quantiles,
    "interval")
COUNTER(m_pools, "prometheus_target_scrape_pools_total",
    "Total number of scrape pool creation attempts.")
COUNTER(m_pools_failed, "prometheus_target_scrape_pools_failed_total",
    "Total number of scrape pool creations that failed.")
COUNTER(m_pool_reloads, "prometheus_target_scrape_pool_reloads_total",
    "Total number of scrape pool reloads.")
COUNTER(m_pool_reloads_failed, "prometheus_target_scrape_pool_reloads_failed_total",
    "Total number of failed scrape pool reloads.")
COUNTER(m_target_limit, "prometheus_target_scrape_pool_exceeded_target_limit_total",
    "Total number of times scrape pools hit the target limit, during sync or config reload.")
COUNTER_VEC(m_pool_sync, "prometheus_target_scrape_pool_sync_total",
    "Total number of syncs that were executed on a scrape pool.", "scrape_job")
GAUGE_VEC(m_pool_targets, "prometheus_target_scrape_pool_targets",
    "Current number of targets in this scrape pool.", "scrape_job")
GAUGE_VEC(m_pool_limit, "prometheus_target_scrape_pool_target_limit",
    "Maximum number of targets allowed in this scrape pool.", "scrape_job")
COUNTER_VEC(m_sync_failed, "prometheus_target_sync_failed_total",
    "Total number of target sync failures.", "scrape_job")
GAUGE_VEC(m_symbols, "prometheus_target_scrape_pool_symboltable_items",
    "Current number of symbols in table for this scrape pool.", "scrape_job")
GAUGE_VEC(m_meta_entries, "prometheus_target_metadata_cache_entries",
    "Total number of metric metadata entries in the cache", "scrape_job")
GAUGE_VEC(m_meta_bytes, "prometheus_target_metadata_cache_bytes",
    "The number of bytes that are currently used for storing metric metadata in the cache",
    "scrape_job")
GAUGE_VEC(m_discovered, "prometheus_sd_discovered_targets", "Current number of discovered targets.",
    "config", "name")
GAUGE_VEC(m_sd_failed, "prometheus_sd_failed_configs",
    "Current number of service discovery configurations that failed to load.", "name")
COUNTER_VEC(m_sd_received, "prometheus_sd_received_updates_total",
    "Total number of update events received from the SD providers.", "name")
COUNTER_VEC(m_sd_updates, "prometheus_sd_updates_total",
    "Total number of update events sent to the SD consumers.", "name")
GAUGE_VEC(m_sd_last, "prometheus_sd_last_update_timestamp_seconds",
    "Timestamp of the last update sent to the SD consumers.", "config", "name")

COUNTER_VEC(m_sd_delayed, "prometheus_sd_updates_delayed_total",
    "Total number of update events that couldn't be sent immediately.", "name")
static const double duration_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };
HISTOGRAM(m_duration, "prometheus_target_scrape_duration_seconds",
    "Total duration of the scrape from start to commit completion.", duration_bounds)

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

/* The files of failed scrapes by path, shared by jobs; opened anew at each reload, so that they may
 * be moved away. */
struct failure_file { str path; struct line_log *log; };
typedef VEC(struct failure_file) failure_files;

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

/* of pages, packed: as many as 500,000 series are in a scrape or two */
enum { HELD_MAX_BYTES = 64 << 20 };

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

/* ---- generations */

static struct scrape_generation *gen_ref(struct scrape_generation *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

static void gen_unref(struct scrape_generation *g)
{
    if (g && atomic_fetch_sub(&g->refs, 1) == 1) g->release(g->ctx);
}

/* ---- the heap of due times */

static void heap_put_at(struct scrape_manager *m, size_t i, struct loop *l)
{
    m->heap.at[i] = l;
    l->at = i;
}

static void heap_up(struct scrape_manager *m, size_t i)
{
    struct loop *l = m->heap.at[i];
    for (; i > 0 && m->heap.at[(i - 1) / 2]->due_ns > l->due_ns; i = (i - 1) / 2)
        heap_put_at(m, i, m->heap.at[(i - 1) / 2]);
    heap_put_at(m, i, l);
}

static void heap_down(struct scrape_manager *m, size_t i)
{
    struct loop *l = m->heap.at[i];
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= m->heap.n) break;
        if (c + 1 < m->heap.n && m->heap.at[c + 1]->due_ns < m->heap.at[c]->due_ns) c++;
        if (m->heap.at[c]->due_ns >= l->due_ns) break;
        heap_put_at(m, i, m->heap.at[c]);
        i = c;
    }
    heap_put_at(m, i, l);
}

static void heap_add(struct scrape_manager *m, struct loop *l)
{
    vec_push(&m->heap, l);
    heap_up(m, m->heap.n - 1);
}

static void heap_remove(struct scrape_manager *m, struct loop *l)
{
    if (l->at == SIZE_MAX) return;
    size_t i = l->at;
    struct loop *last = vec_pop(&m->heap);
    l->at = SIZE_MAX;
    if (last == l) return;
    heap_put_at(m, i, last);
    heap_up(m, i);
    heap_down(m, last->at);
}

static void heap_moved(struct scrape_manager *m, struct loop *l)
{
    heap_up(m, l->at);
    heap_down(m, l->at);
}

/* ---- loops */

static void loop_free(struct loop *l)
{
    assert(l->state != LOOP_RUNNING && l->at == SIZE_MAX);
    target_unref(l->target);
    gen_unref(l->gen);
    mem_free(l);
}

static struct loop *loop_new(struct scrape_manager *m, struct job *j, struct target *t)
{
    struct loop *l = NEW(struct loop);
    *l = (struct loop){ .target = t, .job = j, .gen = gen_ref(m->gen), .at = SIZE_MAX, .m = m };
    int64_t now_ms = clock_wall_ms(), offset = target_offset_ms(t, m->seed, now_ms);
    l->aligned_ms = now_ms + offset;
    l->due_ns = clock_mono_ns() + offset * MS;
    return l;
}

/* The turn after this one that is not past already: turns that a slow scrape missed are left
 * out. */
static void loop_next_turn(struct loop *l, int64_t now_ns)
{
    int64_t step = l->target->interval_ms * MS;
    int64_t turns = now_ns >= l->due_ns ? (now_ns - l->due_ns) / step + 1 : 1;
    l->due_ns += turns * step;
}

/* A loop whose target went away: the first turn gives the time of its markers, they are written
 * after the second and a tenth. */
static void loop_leave(struct scrape_manager *m, struct loop *l, bool stop_only)
{
    l->job = NULL;
    l->stop_only = stop_only || !l->scraped;
    if (l->state == LOOP_RUNNING || !l->stop_only) return;
    heap_remove(m, l);
    loop_free(l);
}

/* A job that makes other series of its pages forgets what they held. What its series were lives on
 * in a loop of its own that is gone and writes their markers in its time; those that went on by
 * then refuse them. */
static void loop_forget(struct scrape_manager *m, struct loop *l)
{
    if (!l->scraped) return;
    struct target *past = target_new(l->target->config, l->target->labels, (struct labels){ 0 });
    struct line_cache *cache = past->cache;
    past->cache = l->target->cache;
    l->target->cache = cache;
    memcpy(past->reports, l->target->reports, sizeof(past->reports));
    struct loop *gone = NEW(struct loop);
    *gone = (struct loop){ .target = past,
        .gen = gen_ref(l->gen),
        .due_ns = l->due_ns,
        .aligned_ms = l->aligned_ms,
        .scraped = true,
        .at = SIZE_MAX,
        .m = m };
    heap_add(m, gone);
    l->scraped = false;
}

/* With the newest configuration, when no scrape runs. */
static void loop_adopt(struct loop *l, bool changed)
{
    struct scrape_manager *m = l->m;
    if (l->gen == m->gen || !l->job) return;
    if (changed) loop_forget(m, l);
    gen_unref(l->gen);
    l->gen = gen_ref(m->gen);
    l->target->config = l->job->config;
}

static int64_t scrape_time_ms(const struct scrape_manager *m, struct loop *l)
{
    int64_t now = clock_wall_ms();
    if (!m->o.adjust_timestamps) return now;
    return grid_time_ms(
        &l->aligned_ms, now, l->target->interval_ms, m->o.timestamp_tolerance_ms);
}

static void observe_interval(struct loop *l)
{
    int64_t before = l->target->last_start_ns;
    l->target->last_start_ns = l->start_ns;
    if (!before) return;
    struct buf text = { 0 };
    buf_duration(&text, l->target->interval_ms);
    double s = (double)(l->start_ns - before) / 1e9;
    metric_observe_in(METRIC_WITH(&m_interval, buf_view(&text)), s);
    metric_observe_in(METRIC_WITH(&m_interval_histogram, buf_view(&text)), s);
    buf_fini(&text);
}

/* After a scrape: back to waiting, or away if the target went meanwhile. */
static void loop_finished(struct loop *l)
{
    struct scrape_manager *m = l->m;
    mtx_lock(&m->mu);
    l->state = LOOP_WAITING;
    l->scraped = true;
    bool away = !l->job && (l->stop_only || m->stop);
    if (away) {
        heap_remove(m, l);
        loop_free(l);
    } else {
        bool changed = l->job && l->gen != m->gen &&
                       l->target->config->series_hash != l->job->config->series_hash;
        loop_adopt(l, changed);
    }
    if (--m->running == 0) cond_broadcast(&m->idle);
    mtx_unlock(&m->mu);
}

static struct line_log *failure_file_of(const failure_files *l, str path)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->at[i].path, path)) return l->at[i].log;
    return NULL;
}

static failure_files failure_files_open(const struct scrape_configs *c)
{
    failure_files l = { 0 };
    for (size_t i = 0; i < c->n; i++) {
        str path = c->at[i].failure_log_file;
        if (path.n && !failure_file_of(&l, path))
            vec_push(&l, ((struct failure_file){ mem_str(path), failure_log_open(path) }));
    }
    return l;
}

static void failure_files_fini(failure_files *l)
{
    for (size_t i = 0; i < l->n; i++) {
        line_log_unref(l->at[i].log);
        mem_free((void *)l->at[i].path.p);
    }
    vec_fini(l);
}

static void write_failure(struct loop *l, const struct err *why)
{
    const struct scrape_config *c = l->target->config;
    if (!c->failure_log_file.n) return;
    mtx_lock(&l->m->mu);
    struct line_log *log =
        line_log_ref(failure_file_of(&l->m->failure_files, c->failure_log_file));
    mtx_unlock(&l->m->mu);
    failure_log_write(log, c->job_name, l->target->url, err_str(why));
    line_log_unref(log);
}

static void release_gen(void *ctx) { gen_unref(ctx); }

/* True: the storage is not there yet. */
static bool loop_hold(struct loop *l, const struct scrape_page *page, int64_t t_ms)
{
    struct held_owner owner = { release_gen, gen_ref(l->gen) };
    if (held_put(&l->m->held, l->target, page, t_ms, l->start_ns, owner)) return true;
    gen_unref(l->gen);
    return false;
}

static void loop_take(struct loop *l, struct fetch_result *r)
{
    struct scrape_page page = {
        .body = r->body.p,
        .n = r->body.n,
        .content_type = r->content_type,
        .t_ms = l->t_ms,
        .ahead = r->ahead,
        .taken = r->taken,
        .failed = r->failed ? &r->e : NULL,
        .too_large = r->too_large,
    };
    if (loop_hold(l, &page, l->t_ms)) return;
    struct scrape_outcome out;
    scrape_apply(l->target, l->m->o.appendable, &page, l->start_ns, &out);
    if (l->target->config->extra_scrape_metrics)
        metric_observe(&m_duration, (double)(clock_mono_ns() - l->start_ns) / 1e9);
    if (out.rc != OK) LOG(DEBUG, "Scrape failed", kv_str("target", l->target->url), kv_err(&out.e));
}

static void loop_done(void *ctx, struct fetch_result *r)
{
    struct loop *l = ctx;
    if (r->failed) write_failure(l, &r->e);
    loop_take(l, r);
    loop_finished(l);
}

/* The job has more targets than it may: every scrape fails with these words instead of being
 * made. */
static void forced_failure(void *ctx)
{
    struct loop *l = ctx;
    struct fetch_result r = { .failed = true };
    mtx_lock(&l->m->mu);
    uint64_t n = l->job ? l->job->n_active : 0, limit = l->target->config->target_limit;
    mtx_unlock(&l->m->mu);
    err_set(&r.e, ERR_LIMIT,
        "target_limit exceeded (number of targets: %" PRIu64 ", limit: %" PRIu64 ")", n, limit);
    /* no request was made: the log of failures has nothing of it */
    loop_take(l, &r);
    loop_finished(l);
}

static void write_end(void *ctx)
{
    struct loop *l = ctx;
    if (!loop_hold(l, NULL, l->stale_t_ms))
        scrape_end(l->target, l->m->o.appendable, l->stale_t_ms);
    loop_finished(l);
}

/* A loop that is gone comes to its first turn (remember the time), to its second (wait a tenth
 * more), to the end. */
static void gone_due(struct scrape_manager *m, struct loop *l, int64_t now_ns)
{
    if (!l->stale_t_ms) {
        l->stale_t_ms = clock_wall_ms();
        loop_next_turn(l, now_ns);
        l->due_ns += l->target->interval_ms * MS / 10;
        heap_moved(m, l);
        return;
    }
    heap_remove(m, l);
    l->stop_only = true;
    l->state = LOOP_RUNNING;
    m->running++;
    /* full: the markers come with the next try */
    if (!pool_submit(m->o.pool, write_end, l)) {
        l->state = LOOP_WAITING;
        l->stop_only = false;
        m->running--;
        l->due_ns = now_ns + 100 * MS;
        heap_add(m, l);
    }
}

static void loop_due(struct scrape_manager *m, struct loop *l, int64_t now_ns)
{
    if (l->state == LOOP_RUNNING) {
        loop_next_turn(l, now_ns);
        heap_moved(m, l);
        return;
    }
    if (!l->job) {
        gone_due(m, l, now_ns);
        return;
    }
    l->state = LOOP_RUNNING;
    l->start_ns = now_ns;
    l->t_ms = scrape_time_ms(m, l);
    observe_interval(l);
    loop_next_turn(l, now_ns);
    heap_moved(m, l);
    m->running++;
    bool forced = l->job->over_limit;
    mtx_unlock(&m->mu);
    if (forced) forced_failure(l);
    else fetch_start(m->fetcher, l->target, !held_is_on(&m->held), loop_done, l);
    mtx_lock(&m->mu);
}

/* ---- jobs */

static struct job *job_find(struct scrape_manager *m, str name)
{
    for (size_t i = 0; i < m->jobs.n; i++)
        if (str_eq(m->jobs.at[i]->name, name)) return m->jobs.at[i];
    return NULL;
}

static struct job *job_new(const struct scrape_config *c)
{
    struct job *j = NEW(struct job);
    j->name = mem_str(c->job_name);
    j->text = mem_str(c->text);
    j->config = c;
    arena_init(&j->dropped_arena, NULL, 0);
    return j;
}

static void job_free(struct job *j)
{
    found_unref(j->found);
    vec_fini(&j->loops);
    vec_fini(&j->dropped);
    map_fini(&j->by_hash);
    arena_fini(&j->dropped_arena);
    static struct metric_family *const by_job[] = { &m_pool_targets, &m_pool_limit, &m_meta_entries,
        &m_meta_bytes, &m_pool_sync, &m_sync_failed, &m_sync, &m_sync_histogram, &m_symbols };
    for (size_t i = 0; i < ARRAY_LEN(by_job); i++) metric_forget(by_job[i], &j->name, 1);
    metric_forget(&m_discovered, (const str[]){ j->name, S("scrape") }, 2);
    metric_forget(&m_sd_last, (const str[]){ j->name, S("scrape") }, 2);
    mem_free((void *)j->name.p);
    mem_free((void *)j->text.p);
    mem_free(j);
}

/* One discovered address: a new loop, an old one that stays (marked by moving it to `kept`), a
 * drop, or a failure. */
struct sync {
    struct scrape_manager *m;
    struct job *j;
    struct arena a;
    VEC(struct loop *) kept;
    struct map seen;
    uint64_t discovered;
};

static void sync_dropped(struct sync *s, struct labels discovered)
{
    struct job *j = s->j;
    j->n_dropped++;
    if (!j->config->keep_dropped_targets || j->dropped.n < j->config->keep_dropped_targets)
        vec_push(&j->dropped, labels_copy(&j->dropped_arena, discovered));
}

static void sync_target(struct sync *s, const struct target_group *g, size_t index)
{
    struct labels labels, discovered;
    struct err e = { 0 };
    bool keep;
    s->discovered++;
    if (target_labels(&labels, &discovered, &keep, s->j->config, g->targets[index], g->labels,
            &s->a, &e) != OK) {
        metric_add_to(METRIC_WITH(&m_sync_failed, s->j->name), 1);
        struct err in = e;
        (void)err_in(&in, e.code, "instance %zu in group %.*s", index, STR_ARG(g->source));
        LOG(ERROR, "Creating target failed", kv_str("scrape_pool", s->j->name), kv_err(&in));
        return;
    }
    if (!keep) {
        sync_dropped(s, discovered);
        return;
    }
    uint64_t hash = target_hash_of(labels, s->j->config, &s->a);
    struct loop *l = map_find(&s->seen, hash, NULL, NULL);
    /* a duplicate: the last one's discovered labels are shown */
    if (l) {
        target_set_discovered(l->target, discovered);
        return;
    }
    l = map_find(&s->j->by_hash, hash, NULL, NULL);
    if (l) target_set_discovered(l->target, discovered);
    else {
        l = loop_new(s->m, s->j, target_new(s->j->config, labels, discovered));
        heap_add(s->m, l);
    }
    map_put(&s->seen, hash, l);
    vec_push(&s->kept, l);
}

static void sync_group(struct sync *s, const struct target_group *g)
{
    for (size_t i = 0; i < g->n_targets; i++) {
        struct arena_mark mark = arena_mark(&s->a);
        sync_target(s, g, i);
        arena_reset(&s->a, mark);
    }
}

static void sync_groups(struct sync *s)
{
    const struct found *found = s->j->found;
    for (size_t i = 0; found && i < found->files.n; i++)
        for (size_t k = 0; k < found->files.at[i]->groups.n; k++)
            sync_group(s, &found->files.at[i]->groups.at[k]);
    for (size_t i = 0; i < s->j->config->n_static_groups; i++)
        sync_group(s, &s->j->config->static_groups[i]);
}

/* Brings the loops of a job in line with what is discovered. REQUIRES: the lock */
static void job_sync(struct scrape_manager *m, struct job *j)
{
    int64_t start = clock_mono_ns();
    struct sync s = { .m = m, .j = j };
    arena_init(&s.a, NULL, 0);
    j->dropped.n = j->n_dropped = 0;
    arena_reset(&j->dropped_arena, (struct arena_mark){ 0 });
    sync_groups(&s);
    for (size_t i = 0; i < j->loops.n; i++)
        if (!map_find(&s.seen, j->loops.at[i]->target->hash, NULL, NULL))
            loop_leave(m, j->loops.at[i], false);
    vec_fini(&j->loops);
    map_fini(&j->by_hash);
    j->loops.at = s.kept.at;
    j->loops.n = s.kept.n;
    j->loops.cap = s.kept.cap;
    j->by_hash = s.seen;
    j->n_active = j->loops.n;
    j->over_limit = j->config->target_limit && j->n_active > j->config->target_limit;
    if (j->over_limit) metric_inc(&m_target_limit);
    arena_fini(&s.a);
    double took = (double)(clock_mono_ns() - start) / 1e9;
    metric_observe_in(METRIC_WITH(&m_sync, j->name), took);
    metric_observe_in(METRIC_WITH(&m_sync_histogram, j->name), took);
    metric_add_to(METRIC_WITH(&m_pool_sync, j->name), 1);
    metric_set_of(METRIC_WITH(&m_pool_targets, j->name), (double)j->n_active);
    metric_set_of(METRIC_WITH(&m_pool_limit, j->name), (double)j->config->target_limit);
    /* no table: targets hold their labels whole */
    metric_set_of(METRIC_WITH(&m_symbols, j->name), 0);
    metric_add_to(METRIC_WITH(&m_sync_failed, j->name), 0);
    metric_set_of(METRIC_WITH(&m_discovered, j->name, S("scrape")), (double)s.discovered);
    metric_add_to(METRIC_WITH(&m_sd_received, S("scrape")), 1);
    metric_add_to(METRIC_WITH(&m_sd_updates, S("scrape")), 1);
    /* targets are taken over at once */
    metric_add_to(METRIC_WITH(&m_sd_delayed, S("scrape")), 0);
    metric_set_of(METRIC_WITH(&m_sd_last, j->name, S("scrape")), (double)clock_wall_ms() / 1000);
    cond_signal(&m->wake);
}

/* Takes what was found newly, True: it is something else than before. */
static bool job_take_found(struct scrape_manager *m, struct job *j)
{
    struct found *fresh = j->config->n_file_sd ? discovery_found(m->discovery, j->name) : NULL,
                 *old = j->found;
    j->found = fresh;
    found_unref(old);
    return fresh != old;
}

static void take_found(struct scrape_manager *m)
{
    m->found_more = false;
    for (size_t i = 0; i < m->jobs.n; i++)
        if (job_take_found(m, m->jobs.at[i])) job_sync(m, m->jobs.at[i]);
}

static void count_metadata(struct scrape_manager *m)
{
    for (size_t i = 0; i < m->jobs.n; i++) {
        struct job *j = m->jobs.at[i];
        size_t entries = 0, bytes = 0;
        for (size_t k = 0; k < j->loops.n; k++) {
            struct target *t = j->loops.at[k]->target;
            struct meta_size size = meta_cache_size(&t->meta);
            entries += size.families;
            bytes += size.bytes;
        }
        metric_set_of(METRIC_WITH(&m_meta_entries, j->name), (double)entries);
        metric_set_of(METRIC_WITH(&m_meta_bytes, j->name), (double)bytes);
    }
}

static void manager_run(void *arg)
{
    struct scrape_manager *m = arg;
    int64_t count_ns = 0;
    mtx_lock(&m->mu);
    while (!m->stop) {
        int64_t now = clock_mono_ns();
        if (m->found_more && !m->applying) take_found(m);
        if (now >= count_ns) {
            count_metadata(m);
            count_ns = now + (int64_t)COUNT_MS * MS;
        }
        while (!m->stop && m->heap.n && m->heap.at[0]->due_ns <= now)
            loop_due(m, m->heap.at[0], now);
        if (m->stop) break;
        int64_t next = MIN(count_ns, m->heap.n ? m->heap.at[0]->due_ns : INT64_MAX);
        if (next > clock_mono_ns()) cond_wait_until(&m->wake, &m->mu, next);
    }
    mtx_unlock(&m->mu);
}

/* ---- the public side */

static void on_found(void *ctx)
{
    struct scrape_manager *m = ctx;
    mtx_lock(&m->mu);
    m->found_more = true;
    cond_signal(&m->wake);
    mtx_unlock(&m->mu);
}

errc scrape_manager_new(
    struct scrape_manager **out, const struct scrape_manager_opts *o, struct err *e)
{
    struct scrape_manager *m = NEW(struct scrape_manager);
    m->o = *o;
    held_init(&m->held, o->appendable != NULL, HELD_MAX_BYTES);
    mtx_init(&m->mu, LOCK_SCRAPE_MANAGER);
    cond_init(&m->wake);
    cond_init(&m->idle);
    errc rc = fetcher_new(&m->fetcher, o->pool, 0, e);
    if (rc != OK) {
        scrape_manager_free(m);
        return rc;
    }
    m->discovery = discovery_new(&(struct discovery_opts){ o->watch, on_found, m });
    m->thread = thread_start("scrape", manager_run, m);
    *out = m;
    return OK;
}

static void job_take_config(struct job *j, const struct scrape_config *c)
{
    bool changed = !str_eq(j->text, c->text), forget = j->config->series_hash != c->series_hash;
    int64_t start = clock_mono_ns();
    j->config = c;
    for (size_t i = 0; i < j->loops.n; i++)
        if (j->loops.at[i]->state == LOOP_WAITING) loop_adopt(j->loops.at[i], forget);
    if (!changed) return;
    mem_free((void *)j->text.p);
    j->text = mem_str(c->text);
    metric_inc(&m_pool_reloads);
    struct buf text = { 0 };
    buf_duration(&text, c->interval_ms);
    metric_observe_in(
        METRIC_WITH(&m_reload, buf_view(&text)), (double)(clock_mono_ns() - start) / 1e9);
    buf_fini(&text);
}

static void job_leave(struct scrape_manager *m, struct job *j)
{
    for (size_t i = 0; i < j->loops.n; i++) loop_leave(m, j->loops.at[i], true);
    job_free(j);
}

static uint64_t manager_seed(const struct scrape_manager *m, const struct scrape_generation *g)
{
    uint64_t parts[2] = { hash_str(m->o.hostname), labels_hash(g->configs->external_labels) };
    return hash_bytes(parts, sizeof(parts));
}

static void applying(struct scrape_manager *m, bool on)
{
    mtx_lock(&m->mu);
    /* what is found for the new configuration waits until it is there */
    m->applying = on;
    mtx_unlock(&m->mu);
}

void scrape_manager_apply(struct scrape_manager *m, struct scrape_generation *g)
{
    applying(m, true);
    discovery_apply(m->discovery, g->configs, FILES_PATIENCE_MS);
    failure_files files = failure_files_open(g->configs);
    mtx_lock(&m->mu);
    failure_files old_files = m->failure_files;
    m->failure_files = files;
    m->applying = false;
    struct scrape_generation *old = m->gen;
    m->gen = g;
    m->seed = manager_seed(m, g);
    VEC(struct job *) jobs = { 0 };
    for (size_t i = 0; i < g->configs->n; i++) {
        const struct scrape_config *c = &g->configs->at[i];
        struct job *j = job_find(m, c->job_name);
        if (!j) {
            j = job_new(c);
            metric_inc(&m_pools);
        } else job_take_config(j, c);
        vec_push(&jobs, j);
    }
    for (size_t i = 0; i < m->jobs.n; i++) {
        bool stays = false;
        for (size_t k = 0; k < jobs.n && !stays; k++) stays = jobs.at[k] == m->jobs.at[i];
        if (!stays) job_leave(m, m->jobs.at[i]);
    }
    vec_fini(&m->jobs);
    m->jobs.at = jobs.at;
    m->jobs.n = jobs.n;
    m->jobs.cap = jobs.cap;
    for (size_t i = 0; i < m->jobs.n; i++) {
        (void)job_take_found(m, m->jobs.at[i]);
        job_sync(m, m->jobs.at[i]);
    }
    metric_set_of(METRIC_WITH(&m_sd_failed, S("scrape")), 0);
    cond_signal(&m->wake);
    mtx_unlock(&m->mu);
    gen_unref(old);
    failure_files_fini(&old_files);
}

void scrape_manager_open(struct scrape_manager *m, struct appendable *st)
{
    m->o.appendable = st;
    held_store(&m->held, st);
}

void scrape_manager_stop(struct scrape_manager *m)
{
    if (!m || !m->thread) return;
    discovery_free(STEAL(m->discovery));
    mtx_lock(&m->mu);
    m->stop = true;
    cond_broadcast(&m->wake);
    mtx_unlock(&m->mu);
    thread_join(STEAL(m->thread));
    /* What is under way comes to its end: a scrape that is broken off would be a target that is
     * down, at each restart. */
    mtx_lock(&m->mu);
    while (m->running) cond_wait(&m->idle, &m->mu);
    mtx_unlock(&m->mu);
    fetcher_free(STEAL(m->fetcher));
    mtx_lock(&m->mu);
    for (size_t i = 0; i < m->jobs.n; i++) job_leave(m, m->jobs.at[i]);
    m->jobs.n = 0;
    /* loops that were gone and had markers to write */
    while (m->heap.n) {
        struct loop *l = m->heap.at[0];
        heap_remove(m, l);
        loop_free(l);
    }
    mtx_unlock(&m->mu);
}

void scrape_manager_free(struct scrape_manager *m)
{
    if (!m) return;
    scrape_manager_stop(m);
    fetcher_free(m->fetcher);
    gen_unref(m->gen);
    failure_files_fini(&m->failure_files);
    held_fini(&m->held);
    vec_fini(&m->heap);
    vec_fini(&m->jobs);
    cond_fini(&m->idle);
    cond_fini(&m->wake);
    mtx_fini(&m->mu);
    mem_free(m);
}

static str arena_duration(struct arena *a, int64_t ms)
{
    struct buf b = { 0 };
    buf_duration(&b, ms);
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}

static void view_target(struct arena *a, struct scrape_view *out, str pool, struct target *t)
{
    mtx_lock(&t->mu);
    struct scrape_target_view v = {
        .pool = pool,
        .url = arena_str(a, t->url),
        .error = arena_str(a, buf_view(&t->shown.error)),
        .health = t->shown.health,
        .labels = labels_copy(a, t->public_labels),
        .discovered = labels_copy(a, t->discovered),
        .scraped_ns = t->shown.scraped_ns,
        .duration_s = t->shown.duration_s,
        .interval = arena_duration(a, t->interval_ms),
        .timeout = arena_duration(a, t->timeout_ms),
    };
    mtx_unlock(&t->mu);
    avec_push(a, &out->active, v);
}

static int job_order(const void *a, const void *b)
{
    return str_cmp((*(struct job *const *)a)->name, (*(struct job *const *)b)->name);
}

/* The jobs by name, as the API lists pools. */
static struct job **jobs_sorted(struct scrape_manager *m, struct arena *a)
{
    struct job **all = arena_array(a, m->jobs.n + 1, sizeof(*all));
    if (m->jobs.n) memcpy(all, m->jobs.at, m->jobs.n * sizeof(*all));
    qsort(all, m->jobs.n, sizeof(*all), job_order);
    return all;
}

void scrape_manager_view(struct scrape_manager *m, struct arena *a, struct scrape_view *out)
{
    mtx_lock(&m->mu);
    struct job **jobs = jobs_sorted(m, a);
    for (size_t i = 0; i < m->jobs.n; i++) {
        struct job *j = jobs[i];
        str pool = arena_str(a, j->name);
        for (size_t k = 0; k < j->loops.n; k++) view_target(a, out, pool, j->loops.at[k]->target);
        for (size_t k = 0; k < j->dropped.n; k++)
            avec_push(a, &out->dropped,
                ((struct scrape_dropped_view){ pool, labels_copy(a, j->dropped.at[k]) }));
        avec_push(a, &out->dropped_counts, ((struct scrape_count_view){ pool, j->n_dropped }));
    }
    mtx_unlock(&m->mu);
}

void scrape_manager_metadata(struct scrape_manager *m, struct arena *a, scrape_metas *out)
{
    mtx_lock(&m->mu);
    for (size_t i = 0; i < m->jobs.n; i++)
        for (size_t k = 0; k < m->jobs.at[i]->loops.n; k++) {
            struct target *t = m->jobs.at[i]->loops.at[k]->target;
            struct labels labels = labels_copy(a, t->public_labels);
            struct meta_family *all;
            size_t n = meta_cache_list(&t->meta, a, &all);
            for (size_t x = 0; x < n; x++)
                avec_push(a, out,
                    ((struct scrape_meta_view){
                        labels, all[x].name, { all[x].type, all[x].unit, all[x].help } }));
        }
    mtx_unlock(&m->mu);
}

void scrape_manager_pools(struct scrape_manager *m, struct arena *a, str_list *out)
{
    mtx_lock(&m->mu);
    struct job **jobs = jobs_sorted(m, a);
    for (size_t i = 0; i < m->jobs.n; i++) avec_push(a, out, arena_str(a, jobs[i]->name));
    mtx_unlock(&m->mu);
}

bool scrape_manager_pool_config(struct scrape_manager *m, str pool, struct buf *yaml)
{
    mtx_lock(&m->mu);
    struct job *j = job_find(m, pool);
    if (j) buf_str(yaml, j->text);
    mtx_unlock(&m->mu);
    return j != NULL;
}

/* A rule as the reference marshals it. */
static str rule_json(const struct relabel_rule *r, struct arena *a)
{
    struct buf b = { 0 };
    struct json j = json_to(&b);
    json_obj(&j);
    if (r->n_source > 0) {
        json_key(&j, S("source_labels"));
        json_arr(&j);
        for (size_t i = 0; i < r->n_source; i++) json_str(&j, r->source[i]);
        json_arr_end(&j);
    }
    json_kstr(&j, S("separator"), r->separator);
    json_kstr(&j, S("regex"), r->pattern);
    if (r->modulus) json_ki64(&j, S("modulus"), (int64_t)r->modulus);
    if (r->target.n) json_kstr(&j, S("target_label"), r->target);
    json_kstr(&j, S("replacement"), r->replacement);
    json_kstr(&j, S("action"), relabel_action_name(r->action));
    json_obj_end(&j);
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}

bool scrape_manager_relabel_steps(
    struct scrape_manager *m, str pool, struct labels in, struct arena *a, scrape_steps *out)
{
    mtx_lock(&m->mu);
    struct job *j = job_find(m, pool);
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    labels_builder_from(&lb, in);
    bool keep = true;
    for (size_t i = 0; j && i < j->config->relabel.n; i++) {
        struct relabel_rules one = { &j->config->relabel.at[i], 1 };
        keep = keep && relabel_apply(one, &lb);
        struct labels output =
            keep ? labels_copy(a, labels_builder_done(&lb)) : (struct labels){ 0 };
        avec_push(a, out, ((struct scrape_step){ rule_json(one.at, a), output, keep }));
    }
    mtx_unlock(&m->mu);
    return j != NULL;
}
