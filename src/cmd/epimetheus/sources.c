/* sources.c — how the API sees the other rooms. Each function copies what it shows into the
 * request's arena. */
#include "cmd/epimetheus/parts.h"

#include "block/meta_codec.h"
#include "head/head.h"
#include "ingest/relabel.h"
#include "io/pool.h"
#include "io/proc.h"

#include "base/account.h"
#include "base/log.h"
#include "base/metric.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

GAUGE_VEC(m_account, "epimetheus_memory_account_bytes", "Bytes that a part of the server holds.",
    "account")
GAUGE(m_unaccounted, "epimetheus_memory_unaccounted_bytes",
    "Anonymous resident memory that no account holds.")
GAUGE(m_log_dropped, "epimetheus_log_lines_dropped", "Log lines that found the ring full.")

static bool is_localhost(str host)
{
    return str_eq(host, S("127.0.0.1")) || str_eq(host, S("localhost")) || str_eq(host, S("::1"));
}

static void split_host(str hostport, str *host, str *port)
{
    size_t colon = str_rindex(hostport, ':');
    bool v6_only = colon != SIZE_MAX && hostport.p[hostport.n - 1] == ']';
    *host = colon == SIZE_MAX || v6_only ? hostport : str_slice(hostport, 0, colon);
    *port = colon == SIZE_MAX || v6_only ? STR_EMPTY : str_from(hostport, colon + 1);
    if (host->n >= 2 && host->p[0] == '[') *host = str_slice(*host, 1, host->n - 1);
}

/* A target on this machine as others reach it: with the host of the external URL, and wholly with
 * it if the target is this server. */
static str global_url(const struct server *s, str url, struct arena *a)
{
    size_t at = str_find(url, S("://"));
    if (at == SIZE_MAX) return url;
    str scheme = str_slice(url, 0, at), rest = str_from(url, at + 3);
    size_t slash = str_index(rest, '/');
    str hostport = slash == SIZE_MAX ? rest : str_slice(rest, 0, slash),
        path = slash == SIZE_MAX ? STR_EMPTY : str_from(rest, slash);
    str host, port, own_host, own_port, ext_host, ext_port;
    split_host(hostport, &host, &port);
    if (!is_localhost(host)) return url;
    split_host(http_server_address(s->http[0]), &own_host, &own_port);
    size_t ext = str_find(s->external_url, S("://"));
    bool whole = ext != SIZE_MAX;              /* it may be a path alone */
    str ext_scheme = whole ? str_slice(s->external_url, 0, ext) : STR_EMPTY,
        ext_hostport = whole ? str_from(s->external_url, ext + 3) : STR_EMPTY;
    size_t ext_slash = str_index(ext_hostport, '/');
    if (ext_slash != SIZE_MAX) ext_hostport = str_slice(ext_hostport, 0, ext_slash);
    if (str_eq(port, own_port))
        return arena_fmt(
            a, "%.*s://%.*s%.*s", STR_ARG(ext_scheme), STR_ARG(ext_hostport), STR_ARG(path));
    split_host(ext_hostport, &ext_host, &ext_port);
    if (!port.n)
        return arena_fmt(a, "%.*s://%.*s%.*s", STR_ARG(scheme), STR_ARG(ext_host), STR_ARG(path));
    return arena_fmt(a, "%.*s://%.*s:%.*s%.*s", STR_ARG(scheme), STR_ARG(ext_host), STR_ARG(port),
        STR_ARG(path));
}

static void show_targets(void *ctx, struct arena *a, struct api_targets *out)
{
    struct server *s = ctx;
    struct scrape_view v = { 0 };
    scrape_manager_view(s->scrape, a, &v);
    for (size_t i = 0; i < v.active.n; i++) {
        const struct scrape_target_view *t = &v.active.at[i];
        struct api_target shown = {
            .pool = t->pool,
            .url = t->url,
            .global_url = global_url(s, t->url, a),
            .health = health_name(t->health),
            .last_error = t->error,
            .interval = t->interval,
            .timeout = t->timeout,
            .discovered = t->discovered,
            .labels = t->labels,
            .last_scrape_ns = t->scraped_ns,
            .last_duration_s = t->duration_s,
        };
        avec_push(a, &out->active, shown);
    }
    for (size_t i = 0; i < v.dropped.n; i++)
        avec_push(a, &out->dropped,
            ((struct api_dropped){ v.dropped.at[i].discovered, v.dropped.at[i].pool }));
    for (size_t i = 0; i < v.dropped_counts.n; i++)
        avec_push(a, &out->dropped_counts,
            ((struct api_count){ v.dropped_counts.at[i].pool, v.dropped_counts.at[i].n }));
}

static void show_metadata(void *ctx, struct arena *a, api_metadata_list *out)
{
    struct server *s = ctx;
    scrape_metas all = { 0 };
    scrape_manager_metadata(s->scrape, a, &all);
    for (size_t i = 0; i < all.n; i++)
        avec_push(
            a, out, ((struct api_metadata){ all.at[i].target, all.at[i].metric, all.at[i].m }));
}

static void show_pools(void *ctx, struct arena *a, str_list *out)
{
    struct server *s = ctx;
    scrape_manager_pools(s->scrape, a, out);
}

static bool show_pool_config(void *ctx, str pool, struct buf *yaml)
{
    struct server *s = ctx;
    return scrape_manager_pool_config(s->scrape, pool, yaml);
}

static bool show_relabel_steps(
    void *ctx, struct arena *a, str pool, struct labels in, api_relabel_steps *out)
{
    struct server *s = ctx;
    scrape_steps steps = { 0 };
    if (!scrape_manager_relabel_steps(s->scrape, pool, in, a, &steps)) return false;
    for (size_t i = 0; i < steps.n; i++)
        avec_push(a, out,
            ((struct api_relabel_step){
                steps.at[i].rule_json, steps.at[i].output, steps.at[i].keep }));
    return true;
}

static void show_config(void *ctx, struct buf *out)
{
    struct server *s = ctx;
    mtx_lock(&s->mu);
    buf_str(out, buf_view(&s->config_text));
    mtx_unlock(&s->mu);
}

static void show_external(void *ctx, struct arena *a, struct labels *out)
{
    struct server *s = ctx;
    mtx_lock(&s->mu);
    *out = labels_copy(a, s->external);
    mtx_unlock(&s->mu);
}

struct flag_sink { struct arena *a; api_flags *out; const struct server *s; };
static void take_flag(void *ctx, str name, str value)
{
    struct flag_sink *k = ctx;
    /* What a flag that was not given came to at the start. */
    const struct { str name, value;
    } became[] = {
        { S("storage.tsdb.retention.time"), k->s->shown_time },
        { S("storage.tsdb.retention.size"), k->s->shown_size },
        { S("storage.tsdb.max-block-duration"),
            str_eq(value, S("0s")) ? k->s->shown_block : STR_EMPTY },
        { S("web.route-prefix"), k->s->route_prefix.n ? k->s->route_prefix : S("/") },
    };
    for (size_t i = 0; i < ARRAY_LEN(became); i++)
        if (str_eq(became[i].name, name) && became[i].value.n) value = became[i].value;
    avec_push(k->a, k->out, ((struct api_flag){ arena_str(k->a, name), arena_str(k->a, value) }));
}

static void show_flags(void *ctx, struct arena *a, api_flags *out)
{
    struct server *s = ctx;
    struct flag_sink k = { a, out, s };
    opts_each(&s->flags, flag_table, flag_count, take_flag, &k);
}

static void show_runtime(void *ctx, struct arena *a, struct api_runtime *out)
{
    static const int64_t SECOND_NS = 1000000000;
    struct server *s = ctx;
    struct proc_sample p = proc_latest();
    mtx_lock(&s->mu);
    *out = (struct api_runtime){
        .start_ns = s->start_ns,
        .last_config_ns = s->last_config_ns / SECOND_NS * SECOND_NS,
        .cwd = s->cwd,
        .hostname = s->hostname,
        .reload_ok = s->reload_ok,
        .corruptions = s->corruptions,
        .threads = p.threads,
        .cores = pool_cores(),
        .retention = arena_str(a, buf_view(&s->retention)),
    };
    mtx_unlock(&s->mu);
}

static void copy_counts(
    struct arena *a, const struct head_stat *from, size_t n, struct api_count **at, size_t *count)
{
    *at = arena_array(a, n + 1, sizeof(**at));
    for (size_t i = 0; i < n; i++) (*at)[i] = (struct api_count){ from[i].name, from[i].value };
    *count = n;
}

static errc show_tsdb(
    void *ctx, struct arena *a, size_t limit, struct api_tsdb_stats *out, struct err *e)
{
    struct server *s = ctx;
    (void)e;
    struct head_stats st = { 0 };
    head_stats(db_head(s->db), limit, a, &st);
    out->n_series = st.series;
    out->n_label_pairs = st.label_pairs;
    out->n_chunks = (int64_t)st.chunks;
    out->mint = st.min_time;
    out->maxt = st.max_time;
    copy_counts(
        a, st.series_by_metric, st.n_series_by_metric, &out->by_metric.at, &out->by_metric.n);
    copy_counts(a, st.values_by_label, st.n_values_by_label, &out->values_by_label.at,
        &out->values_by_label.n);
    copy_counts(
        a, st.bytes_by_label, st.n_bytes_by_label, &out->bytes_by_label.at, &out->bytes_by_label.n);
    copy_counts(a, st.series_by_pair, st.n_series_by_pair, &out->by_pair.at, &out->by_pair.n);
    return OK;
}

struct metas { struct arena *a; str_list *out; };
static void add_block(void *ctx, const struct block_meta *m)
{
    struct metas *k = ctx;
    SCOPED(buf_fini) struct buf text = { 0 };
    meta_encode_line(&text, m);
    avec_push(k->a, k->out, arena_str(k->a, buf_view(&text)));
}

static void show_blocks(void *ctx, struct arena *a, str_list *out)
{
    struct server *s = ctx;
    struct metas k = { a, out };
    db_block_metas(s->db, add_block, &k);
}

static errc do_delete(
    void *ctx, struct matchers ms, int64_t mint, int64_t maxt, struct err *e)
{
    return db_delete(((struct server *)ctx)->db, ms, mint, maxt, e);
}

static errc do_clean(void *ctx, struct err *e)
{
    return db_clean_tombstones(((struct server *)ctx)->db, e);
}

static errc do_snapshot(void *ctx, str name, bool with_head, bool with_late, struct err *e)
{
    return db_snapshot(((struct server *)ctx)->db, name, with_head, with_late, e);
}

static void show_notifications(void *ctx, struct arena *a, api_notifications *out)
{
    struct server *s = ctx;
    mtx_lock(&s->mu);
    for (size_t i = 0; i < s->notes.n; i++) avec_push(a, out, s->notes.at[i]);
    mtx_unlock(&s->mu);
}

static void show_wal_replay(void *ctx, int64_t *min, int64_t *max, int64_t *current)
{
    (void)ctx;
    db_replay_progress(min, max, current);
}

static void refresh_metrics(void *ctx)
{
    (void)ctx;
    for (const struct account *a = account_first(); a; a = a->next)
        metric_set_of(METRIC_WITH(&m_account, str_z(a->name)), (double)account_bytes(a));
    metric_set(&m_unaccounted, (double)proc_latest().rss_anon_bytes - (double)account_sum());
    metric_set(&m_log_dropped, (double)log_dropped());
}

static errc do_reload(void *ctx, struct err *e) { return server_reload(ctx, e); }

static void do_quit(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGTERM);
}

static enum api_state show_state(void *ctx)
{
    struct server *s = ctx;
    return (enum api_state)atomic_load_explicit(&s->state, memory_order_acquire);
}

static void do_await(void *ctx) { server_await(ctx); }

void sources_init(struct server *s)
{
    s->sources = (struct api_sources){
        .ctx = s,
        .targets = show_targets,
        .metadata = show_metadata,
        .pools = show_pools,
        .pool_config = show_pool_config,
        .relabel_steps = show_relabel_steps,
        .config_yaml = show_config,
        .external_labels = show_external,
        .flags = show_flags,
        .runtime = show_runtime,
        .tsdb_stats = show_tsdb,
        .tsdb_blocks = show_blocks,
        .tsdb_delete = do_delete,
        .tsdb_clean = do_clean,
        .tsdb_snapshot = do_snapshot,
        .features = show_features,
        .notifications = show_notifications,
        .wal_replay = show_wal_replay,
        .refresh = refresh_metrics,
        .reload = do_reload,
        .quit = do_quit,
        .state = show_state,
        .await = do_await,
    };
}
