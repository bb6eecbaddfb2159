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
#include "base/log.h"
#include "base/metric.h"
#include "io/pool.h"
#include "io/thread.h"
#include "model/duration.h"
#include "scrape/apply.h"
#include "scrape/discovery.h"
#include "scrape/fetch.h"
#include "scrape/grid.h"
#include "scrape/manager_impl.h"

enum { COUNT_MS = 5000, FILES_PATIENCE_MS = 2000, MS = 1000000 };

static const double interval_quantiles[] = { 0.01, 0.05, 0.5, 0.9, 0.99 };
static const double interval_bounds[] = { .01, .1, 1, 10, 30, 60, 180, 600 };
SUMMARY_VEC(m_interval, "prometheus_target_interval_length_seconds",
    "Actual intervals between scrapes.", interval_quantiles, "interval")
HISTOGRAM_VEC(m_interval_histogram, "prometheus_target_interval_length_histogram_seconds",
    "Actual intervals between scrapes.", interval_bounds, "interval")
COUNTER(m_pools, "prometheus_target_scrape_pools_total",
    "Total number of scrape pool creation attempts.")
COUNTER(m_pools_failed, "prometheus_target_scrape_pools_failed_total",
    "Total number of scrape pool creations that failed.")
GAUGE_VEC(m_sd_failed, "prometheus_sd_failed_configs",
    "Current number of service discovery configurations that failed to load.", "name")

static const double duration_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };
HISTOGRAM(m_duration, "prometheus_target_scrape_duration_seconds",
    "Total duration of the scrape from start to commit completion in seconds.", duration_bounds)

/* of pages, packed: as many as 500,000 series are in a scrape or two */
enum { HELD_MAX_BYTES = 64 << 20 };

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

struct loop *loop_begin(struct scrape_manager *m, struct job *j, struct target *t)
{
    struct loop *l = NEW(struct loop);
    *l = (struct loop){ .target = t, .job = j, .gen = gen_ref(m->gen), .at = SIZE_MAX, .m = m };
    int64_t now_ms = clock_wall_ms(), offset = target_offset_ms(t, m->seed, now_ms);
    l->aligned_ms = now_ms + offset;
    l->due_ns = clock_mono_ns() + offset * MS;
    heap_add(m, l);
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

void loop_leave(struct scrape_manager *m, struct loop *l, bool stop_only)
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
void loop_adopt(struct loop *l, bool changed)
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

static void write_failure(struct loop *l, const struct err *why)
{
    const struct scrape_config *c = l->target->config;
    if (!c->failure_log_file.n) return;
    mtx_lock(&l->m->mu);
    struct line_log *log =
        line_log_ref(failure_files_find(&l->m->failure_files, c->failure_log_file));
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

static void take_found(struct scrape_manager *m)
{
    m->found_more = false;
    for (size_t i = 0; i < m->jobs.n; i++)
        if (job_take_found(m, m->jobs.at[i])) job_sync(m, m->jobs.at[i]);
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
            for (size_t i = 0; i < m->jobs.n; i++) job_count_metadata(m->jobs.at[i]);
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
