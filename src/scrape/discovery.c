/* What goes where:
 *
 *   discovery_apply ──> wanted ─┐                            ┌─> found (by job, under mu) <──
 *   discovery_found watch ──> dirty folders ────┼─> the thread: scan files ──┤
 *   refresh_interval ───────────┘                            └─> changed()
 *
 * The thread owns the file_sds and reads without a lock; what it found it puts into the table of
 * jobs under mu. */
#include "scrape/discovery.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"
#include "io/thread.h"

enum { MS = 1000000 };

static const double refresh_quantiles[] = { 0.5, 0.9, 0.99 }, refresh_bounds[] = { .01, .1, 1, 10 };
COUNTER_VEC(m_failures, "prometheus_sd_refresh_failures_total",
    "Number of refresh failures for the given SD mechanism.", "config", "mechanism")
SUMMARY_VEC(m_refresh, "prometheus_sd_refresh_duration_seconds",
    "The duration of a refresh in seconds for the given SD mechanism.", refresh_quantiles, "config",
    "mechanism")
HISTOGRAM_VEC(m_refresh_histogram, "prometheus_sd_refresh_duration_histogram_seconds",
    "The duration of a refresh for the given SD mechanism.", refresh_bounds, "mechanism")
COUNTER(m_watcher_errors, "prometheus_sd_file_watcher_errors_total",
    "The number of File-SD errors caused by filesystem watch failures.")

struct source { struct file_sd *files; int64_t due_ns; };
struct finder { str job; VEC(struct source) sources; struct found *found; };
typedef VEC(struct finder) finders;
struct wanted { uint64_t number; finders jobs; };

struct discovery {
    struct discovery_opts o;           /* const after init */
    struct watch *watch;               /* const after init; NULL: none */
    struct thread *thread;
    struct mtx mu;                     /* LOCK_LEAF; guards what follows up to `jobs.at[i].found` */
    struct cond wake, done;
    bool stop, look;
    struct wanted *wanted;             /* a new list that nothing was read for; NULL: none */
    uint64_t asked, answered;          /* numbers of lists */
    VEC(str) dirty;                    /* folders, heap copies */
    /* changed by the thread, under mu; found: under mu. The sources are the thread's own. */
    finders jobs;
};

void found_unref(struct found *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1) return;
    for (size_t i = 0; i < f->files.n; i++) file_groups_unref(f->files.at[i]);
    vec_fini(&f->files);
    mem_free(f);
}

static struct found *found_ref(struct found *f)
{
    if (f) atomic_fetch_add(&f->refs, 1);
    return f;
}

static void finders_fini(finders *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct finder *j = &l->at[i];
        for (size_t k = 0; k < j->sources.n; k++) file_sd_free(j->sources.at[k].files);
        vec_fini(&j->sources);
        found_unref(j->found);
        mem_free((void *)j->job.p);
    }
    vec_fini(l);
}

static struct finder *finder_of(finders *l, str job)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->at[i].job, job)) return &l->at[i];
    return NULL;
}

/* ---- the thread */

static void finder_publish(struct discovery *d, struct finder *j)
{
    struct found *fresh = NEW(struct found);
    atomic_init(&fresh->refs, 1);
    for (size_t i = 0; i < j->sources.n; i++) file_sd_groups(j->sources.at[i].files, &fresh->files);
    mtx_lock(&d->mu);
    struct found *old = j->found;
    j->found = fresh;
    mtx_unlock(&d->mu);
    found_unref(old);
}

/* True: something else was found. */
static bool source_scan(const struct finder *j, struct source *s)
{
    int64_t start = clock_mono_ns();
    struct file_scan got = file_sd_scan(s->files);
    int64_t now = clock_mono_ns();
    s->due_ns = now + file_sd_refresh_ms(s->files) * MS;
    double took = (double)(now - start) / 1e9;
    metric_observe_in(METRIC_WITH(&m_refresh, j->job, S("file")), took);
    metric_observe_in(METRIC_WITH(&m_refresh_histogram, S("file")), took);
    metric_add_to(METRIC_WITH(&m_failures, j->job, S("file")), got.failed ? 1 : 0);
    return got.changed;
}

static void metrics_forget(str job)
{
    const str labels[] = { job, S("file") };
    metric_forget(&m_failures, labels, ARRAY_LEN(labels));
    metric_forget(&m_refresh, labels, ARRAY_LEN(labels));
}

/* Sources of the old list whose configuration is the same are exchanged for the new ones. True: all
 * are old ones. */
static bool finder_inherit(struct finder *fresh, struct finder *old)
{
    bool all = old->sources.n == fresh->sources.n;
    for (size_t i = 0; i < fresh->sources.n; i++) {
        struct source *mine = &fresh->sources.at[i];
        bool found = false;
        for (size_t k = 0; k < old->sources.n && !found; k++) {
            struct source *theirs = &old->sources.at[k];
            if (!theirs->files || !file_sd_same(theirs->files, mine->files)) continue;
            file_sd_free(mine->files);
            *mine = *theirs;
            theirs->files = NULL;
            found = true;
        }
        all = all && found;
    }
    return all;
}

/* The new list takes over: what is new in it is read first, all else goes on. */
static void jobs_take(struct discovery *d, struct wanted *wanted)
{
    for (size_t i = 0; i < wanted->jobs.n; i++) {
        struct finder *fresh = &wanted->jobs.at[i], *old = finder_of(&d->jobs, fresh->job);
        bool same = old && finder_inherit(fresh, old);
        if (same) fresh->found = found_ref(old->found);        /* only this thread exchanges it */
        for (size_t k = 0; k < fresh->sources.n; k++)
            if (!fresh->sources.at[k].due_ns) (void)source_scan(fresh, &fresh->sources.at[k]);
        if (!same) finder_publish(d, fresh);
    }
    mtx_lock(&d->mu);
    finders old = d->jobs;
    d->jobs = wanted->jobs;
    d->answered = wanted->number;
    cond_broadcast(&d->done);
    mtx_unlock(&d->mu);
    for (size_t i = 0; i < old.n; i++)
        if (!finder_of(&d->jobs, old.at[i].job)) metrics_forget(old.at[i].job);
    finders_fini(&old);
    mem_free(wanted);
}

static void watch_all(struct discovery *d)
{
    if (!d->watch) return;
    struct arena a;
    arena_init(&a, NULL, 0);
    str_list folders = { 0 };
    for (size_t i = 0; i < d->jobs.n; i++)
        for (size_t k = 0; k < d->jobs.at[i].sources.n; k++)
            file_sd_folders(d->jobs.at[i].sources.at[k].files, &a, &folders);
    watch_folders(d->watch, folders.at, folders.n);
    arena_fini(&a);
}

struct work { bool stop, look; struct wanted *wanted; VEC(str) dirty; };

static bool source_due(const struct source *s, const struct work *w, int64_t now_ns)
{
    bool due = w->look || now_ns >= s->due_ns;
    for (size_t i = 0; i < w->dirty.n && !due; i++) due = file_sd_in(s->files, w->dirty.at[i]);
    return due;
}

/* *any: something was read. True: something else was found. */
static bool scan_due(struct discovery *d, const struct work *w, bool *any)
{
    bool changed = false;
    int64_t now = clock_mono_ns();
    for (size_t i = 0; i < d->jobs.n; i++) {
        struct finder *j = &d->jobs.at[i];
        bool fresh = false;
        for (size_t k = 0; k < j->sources.n; k++) {
            if (!source_due(&j->sources.at[k], w, now)) continue;
            *any = true;
            fresh |= source_scan(j, &j->sources.at[k]);
        }
        if (fresh) finder_publish(d, j);
        changed |= fresh;
    }
    return changed;
}

static int64_t next_due(const struct discovery *d)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < d->jobs.n; i++)
        for (size_t k = 0; k < d->jobs.at[i].sources.n; k++)
            next = MIN(next, d->jobs.at[i].sources.at[k].due_ns);
    return next;
}

static struct work work_wait(struct discovery *d)
{
    int64_t due = next_due(d);
    mtx_lock(&d->mu);
    while (!d->stop && !d->look && !d->wanted && !d->dirty.n) {
        if (due == INT64_MAX) cond_wait(&d->wake, &d->mu);
        else if (!cond_wait_until(&d->wake, &d->mu, due)) break;
    }
    struct work w = { .stop = d->stop, .look = d->look, .wanted = STEAL(d->wanted) };
    w.dirty.at = d->dirty.at;
    w.dirty.n = d->dirty.n;
    d->look = false;
    memset(&d->dirty, 0, sizeof(d->dirty));
    mtx_unlock(&d->mu);
    return w;
}

static void wanted_free(struct wanted *w)
{
    if (!w) return;
    finders_fini(&w->jobs);
    mem_free(w);
}

static void discovery_run(void *ctx)
{
    struct discovery *d = ctx;
    for (bool stop = false; !stop;) {
        struct work w = work_wait(d);
        bool changed = w.wanted != NULL, any = changed;
        stop = w.stop;
        if (stop) wanted_free(w.wanted);
        else if (w.wanted) jobs_take(d, w.wanted);
        if (!stop) changed |= scan_due(d, &w, &any);
        for (size_t i = 0; i < w.dirty.n; i++) mem_free((void *)w.dirty.at[i].p);
        vec_fini(&w.dirty);
        if (stop) return;
        if (any) watch_all(d);
        if (changed) d->o.changed(d->o.ctx);
    }
}

/* ---- the public side */

static void on_folder(void *ctx, str folder)
{
    struct discovery *d = ctx;
    mtx_lock(&d->mu);
    bool known = false;
    for (size_t i = 0; i < d->dirty.n && !known; i++) known = str_eq(d->dirty.at[i], folder);
    if (!known) vec_push(&d->dirty, mem_str(folder));
    cond_signal(&d->wake);
    mtx_unlock(&d->mu);
}

static void on_watch_failed(void *ctx, str folder, const struct err *why)
{
    (void)ctx;
    metric_inc(&m_watcher_errors);
    LOG(ERROR, "Error adding file watch", kv_str("path", folder), kv_err(why));
}

struct discovery *discovery_new(const struct discovery_opts *o)
{
    struct discovery *d = NEW(struct discovery);
    d->o = *o;
    mtx_init(&d->mu, LOCK_LEAF);
    cond_init(&d->wake);
    cond_init(&d->done);
    struct err e = { 0 };
    if (o->watch &&
        o->watch(&d->watch, &(struct watch_sink){ on_folder, on_watch_failed, d }, &e) != OK) {
        metric_inc(&m_watcher_errors);
        LOG(ERROR, "Error adding file watcher", kv_err(&e));
    }
    d->thread = thread_start("discovery", discovery_run, d);
    return d;
}

void discovery_free(struct discovery *d)
{
    if (!d) return;
    mtx_lock(&d->mu);
    d->stop = true;
    cond_broadcast(&d->wake);
    mtx_unlock(&d->mu);
    thread_join(d->thread);
    watch_free(d->watch);
    finders_fini(&d->jobs);
    for (size_t i = 0; i < d->dirty.n; i++) mem_free((void *)d->dirty.at[i].p);
    vec_fini(&d->dirty);
    cond_fini(&d->done);
    cond_fini(&d->wake);
    mtx_fini(&d->mu);
    mem_free(d);
}

static struct wanted *wanted_new(const struct scrape_configs *c)
{
    struct wanted *w = NEW(struct wanted);
    for (size_t i = 0; i < c->n; i++) {
        const struct scrape_config *job = &c->at[i];
        if (!job->n_file_sd) continue;
        struct finder f = { .job = mem_str(job->job_name) };
        for (size_t k = 0; k < job->n_file_sd; k++)
            vec_push(&f.sources, ((struct source){ .files = file_sd_new(&job->file_sd[k]) }));
        vec_push(&w->jobs, f);
    }
    return w;
}

void discovery_apply(struct discovery *d, const struct scrape_configs *c, int64_t patience_ms)
{
    struct wanted *w = wanted_new(c);
    int64_t until = clock_mono_ns() + patience_ms * MS;
    mtx_lock(&d->mu);
    uint64_t number = w->number = ++d->asked;
    struct wanted *unread = d->wanted;
    d->wanted = w;
    cond_signal(&d->wake);
    while (d->answered < number && cond_wait_until(&d->done, &d->mu, until)) continue;
    mtx_unlock(&d->mu);
    wanted_free(unread);
}

void discovery_look(struct discovery *d)
{
    mtx_lock(&d->mu);
    d->look = true;
    cond_signal(&d->wake);
    mtx_unlock(&d->mu);
}

struct found *discovery_found(struct discovery *d, str job)
{
    mtx_lock(&d->mu);
    struct finder *j = finder_of(&d->jobs, job);
    struct found *f = j ? found_ref(j->found) : NULL;
    mtx_unlock(&d->mu);
    return f;
}
