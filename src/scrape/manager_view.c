/* manager_view.c — what the API shows of targets and jobs. */
#include "base/json.h"
#include "model/duration.h"
#include "scrape/manager_impl.h"

#include <stdlib.h>

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
