/* jobs.c — one job: which targets it has, as its configuration and its discovery say. */
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "model/duration.h"
#include "scrape/discovery.h"
#include "scrape/manager_impl.h"

static const double interval_quantiles[] = { 0.01, 0.05, 0.5, 0.9, 0.99 };
static const double interval_bounds[] = { .01, .1, 1, 10, 30, 60, 180, 600 };
SUMMARY_VEC(m_sync, "prometheus_target_sync_length_seconds",
    "Actual interval to sync the scrape pool.", interval_quantiles, "scrape_job")
HISTOGRAM_VEC(m_sync_histogram, "prometheus_target_sync_length_histogram_seconds",
    "Actual interval to sync the scrape pool.", interval_bounds, "scrape_job")
SUMMARY_VEC(m_reload, "prometheus_target_reload_length_seconds",
    "Actual interval to reload the scrape pool with a given configuration.", interval_quantiles,
    "interval")
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
COUNTER_VEC(m_sd_received, "prometheus_sd_received_updates_total",
    "Total number of update events received from the SD providers.", "name")
COUNTER_VEC(m_sd_updates, "prometheus_sd_updates_total",
    "Total number of update events sent to the SD consumers.", "name")
COUNTER_VEC(m_sd_delayed, "prometheus_sd_updates_delayed_total",
    "Total number of update events that couldn't be sent immediately.", "name")
GAUGE_VEC(m_sd_last, "prometheus_sd_last_update_timestamp_seconds",
    "Timestamp of the last update sent to the SD consumers.", "config", "name")

struct job *job_find(struct scrape_manager *m, str name)
{
    for (size_t i = 0; i < m->jobs.n; i++)
        if (str_eq(m->jobs.at[i]->name, name)) return m->jobs.at[i];
    return NULL;
}

struct job *job_new(const struct scrape_config *c)
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
        l = loop_begin(s->m, s->j, target_new(s->j->config, labels, discovered));
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

void job_sync(struct scrape_manager *m, struct job *j)
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

bool job_take_found(struct scrape_manager *m, struct job *j)
{
    struct found *fresh = j->config->n_file_sd ? discovery_found(m->discovery, j->name) : NULL,
                 *old = j->found;
    j->found = fresh;
    found_unref(old);
    return fresh != old;
}

void job_count_metadata(const struct job *j)
{
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

void job_take_config(struct job *j, const struct scrape_config *c)
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

void job_leave(struct scrape_manager *m, struct job *j)
{
    for (size_t i = 0; i < j->loops.n; i++) loop_leave(m, j->loops.at[i], true);
    job_free(j);
}
