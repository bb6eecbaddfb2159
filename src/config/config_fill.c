#include "config/loader.h"

#include "base/map.h"

/* From the checked tree to the structs that the rooms define. Strings are shared with the tree:
 * both lie in the configuration's arena. */

static struct labels fill_labels(struct arena *a, const struct value *map)
{
    struct label *at = arena_array(a, map->n, sizeof(*at));
    size_t n = 0;
    for (size_t i = 0; i < map->n; i++)
        if (map->pairs[i].value->s.n)
            at[n++] = (struct label){ map->pairs[i].name, map->pairs[i].value->s };
    return (struct labels){ at, n };
}

static enum tls_version fill_tls_version(str s)
{
    static const str known[] = { S(""), S("TLS10"), S("TLS11"), S("TLS12"), S("TLS13") };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(s, known[i])) return (enum tls_version)i;
    return TLS_ANY;
}

static struct tls_options fill_tls(const struct value *v)
{
    return (struct tls_options){
        .ca = value_str(v, "ca"),
        .cert = value_str(v, "cert"),
        .key = value_str(v, "key"),
        .ca_file = value_str(v, "ca_file"),
        .cert_file = value_str(v, "cert_file"),
        .key_file = value_str(v, "key_file"),
        .server_name = value_str(v, "server_name"),
        .insecure_skip_verify = value_bool(v, "insecure_skip_verify"),
        .min_version = fill_tls_version(value_str(v, "min_version")),
        .max_version = fill_tls_version(value_str(v, "max_version")),
    };
}

static struct proxy_options fill_proxy(struct arena *a, const struct value *v)
{
    const struct value *map = value_field(v, "proxy_connect_header");
    struct http_header *at = arena_array(a, map->n, sizeof(*at));
    for (size_t i = 0; i < map->n; i++)
        at[i] = (struct http_header){ .name = map->pairs[i].name,
            .secrets = map->pairs[i].value->strs,
            .n_secrets = map->pairs[i].value->n };
    return (struct proxy_options){ .url = value_field(v, "proxy_url")->raw,
        .no_proxy = value_str(v, "no_proxy"),
        .from_environment = value_bool(v, "proxy_from_environment"),
        .connect_headers = at,
        .n_connect_headers = map->n };
}

static const struct oauth2_options *fill_oauth2(struct arena *a, const struct value *v)
{
    if (v->null) return NULL;
    struct oauth2_options *o = ANEW(a, struct oauth2_options);
    const struct value *map = value_field(v, "endpoint_params"), *scopes = value_field(v, "scopes");
    struct http_param *params = arena_array(a, map->n, sizeof(*params));
    for (size_t i = 0; i < map->n; i++)
        params[i] = (struct http_param){ map->pairs[i].name, &map->pairs[i].value->s, 1 };
    *o = (struct oauth2_options){
        .client_id = value_str(v, "client_id"),
        .client_secret = value_str(v, "client_secret"),
        .client_secret_file = value_str(v, "client_secret_file"),
        .token_url = value_str(v, "token_url"),
        .scopes = scopes->strs,
        .n_scopes = scopes->n,
        .params = params,
        .n_params = map->n,
        .tls = fill_tls(value_field(v, "tls_config")),
        .proxy = fill_proxy(a, v),
    };
    return o;
}

struct http_options config_fill_http(struct arena *a, const struct value *v)
{
    const struct value *basic = value_field(v, "basic_auth"),
                       *auth = value_field(v, "authorization"),
                       *map = value_field(v, "http_headers");
    struct http_options o = {
        .oauth2 = fill_oauth2(a, value_field(v, "oauth2")),
        .tls = fill_tls(value_field(v, "tls_config")),
        .proxy = fill_proxy(a, v),
        .follow_redirects = value_bool(v, "follow_redirects"),
        .enable_http2 = value_bool(v, "enable_http2"),
        .basic = !basic->null,
    };
    if (o.basic) {
        o.username = value_str(basic, "username");
        o.username_file = value_str(basic, "username_file");
        o.password = value_str(basic, "password");
        o.password_file = value_str(basic, "password_file");
    }
    if (!auth->null) {
        o.auth_type = value_str(auth, "type");
        o.credentials = value_str(auth, "credentials");
        o.credentials_file = value_str(auth, "credentials_file");
    }
    struct http_header *at = arena_array(a, map->n, sizeof(*at));
    for (size_t i = 0; i < map->n; i++) {
        const struct value *h = map->pairs[i].value, *values = value_field(h, "values"),
                           *secrets = value_field(h, "secrets");
        const struct value *files = value_field(h, "files");
        at[i] = (struct http_header){ map->pairs[i].name, values->strs, values->n, secrets->strs,
            secrets->n, files->strs, files->n };
    }
    o.headers = at;
    o.n_headers = map->n;
    return o;
}

static errc fill_rules(struct loader *ld, const struct value *list, bool legacy,
    struct relabel_rules *out, struct err *e)
{
    *out = (struct relabel_rules){ 0 };
    errc rc = rules_of(&ld->l, list, legacy, out, e);
    vec_push(&ld->rules, *out);
    return rc;
}

static void fill_static(struct loader *ld, const struct value *v, struct scrape_config *job)
{
    const struct value *groups = value_field(v, "static_configs"),
                       *files = value_field(v, "file_sd_configs");
    struct target_group *at = arena_array(ld->l.a, groups->n, sizeof(*at));
    for (size_t i = 0; i < groups->n; i++) {
        const struct value *targets = value_field(groups->at[i], "targets");
        at[i] = (struct target_group){ arena_fmt(ld->l.a, "%zu", i), targets->strs, targets->n,
                                       fill_labels(ld->l.a, value_field(groups->at[i], "labels")) };
    }
    struct file_sd_config *sd = arena_array(ld->l.a, files->n, sizeof(*sd));
    for (size_t i = 0; i < files->n; i++) {
        const struct value *names = value_field(files->at[i], "files");
        sd[i] = (struct file_sd_config){ names->strs, names->n,
            value_int(files->at[i], "refresh_interval") };
    }
    job->static_groups = at;
    job->n_static_groups = groups->n;
    job->file_sd = sd;
    job->n_file_sd = files->n;
}

/* Names a section once. */
static void fill_unsupported(struct loader *ld, str name)
{
    for (size_t i = 0; i < ld->c->unsupported.n; i++)
        if (str_eq(ld->c->unsupported.at[i], name)) return;
    avec_push(ld->l.a, &ld->c->unsupported, name);
}

static void fill_discovery(
    struct loader *ld, const struct value *v, const struct scrape_config *job)
{
    size_t others = 0;
    for (size_t i = 0; i < v->n; i++) {
        str name = str_z(v->at[i]->f->name);
        if (!str_has_suffix(name, S("_sd_configs")) || str_eq(name, S("file_sd_configs")) ||
            v->at[i]->n == 0)
            continue;
        fill_unsupported(ld, arena_fmt(ld->l.a, "scrape_configs.%.*s", STR_ARG(name)));
        others++;
    }
    if (others && !job->n_static_groups && !job->n_file_sd)
        avec_push(ld->l.a, &ld->c->unserved_jobs, job->job_name);
}

static void fill_oauth2_unserved(struct loader *ld, const struct scrape_config *job)
{
    if (job->http.oauth2) fill_unsupported(ld, S("scrape_configs.oauth2"));
}

static void fill_names(const struct value *v, struct scrape_config *job)
{
    const struct value *protocols = value_field(v, "scrape_protocols");
    for (size_t i = 0; i < protocols->n && i < SCRAPE_PROTOCOLS; i++)
        job->n_protocols +=
            scrape_protocol_parse(protocols->strs[i], &job->protocols[job->n_protocols]);
    job->has_fallback =
        scrape_protocol_parse(value_str(v, "fallback_scrape_protocol"), &job->fallback);
    job->legacy_names = str_eq(value_str(v, "metric_name_validation_scheme"), S("legacy"));
    if (!escape_scheme_parse(value_str(v, "metric_name_escaping_scheme"), &job->escaping))
        job->escaping = ESCAPE_NONE;
}

/* Fields that say when and how a page is fetched, not what becomes of it. */
static bool is_for_transport(const char *name)
{
    static const char *const all[] = {
        "scrape_interval",
        "scrape_timeout",
        "sample_limit",
        "basic_auth",
        "authorization",
        "oauth2",
        "bearer_token",
        "bearer_token_file",
        "tls_config",
        "follow_redirects",
        "enable_http2",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "proxy_connect_header",
        "http_headers",
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strcmp(name, all[i]) == 0) return true;
    return false;
}

static void fill_text(struct loader *ld, const struct value *v, struct scrape_config *job)
{
    struct buf b = { 0 };
    value_print(&b, v);
    job->text = arena_str(ld->l.a, buf_view(&b));
    buf_reset(&b);
    struct value z = *v;
    z.at = arena_array(ld->l.a, v->n, sizeof(*z.at));
    z.n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (!is_for_transport(v->at[i]->f->name)) z.at[z.n++] = v->at[i];
    value_print(&b, &z);
    job->series_hash = hash_str(buf_view(&b));
    buf_fini(&b);
}

static errc fill_job(
    struct loader *ld, const struct value *v, struct scrape_config *job, struct err *e)
{
    const struct value *params = value_field(v, "params");
    struct http_param *at = arena_array(ld->l.a, params->n, sizeof(*at));
    for (size_t i = 0; i < params->n; i++)
        at[i] = (struct http_param){ params->pairs[i].name, params->pairs[i].value->strs,
            params->pairs[i].value->n };
    *job = (struct scrape_config){
        .job_name = value_str(v, "job_name"),
        .interval_ms = value_int(v, "scrape_interval"),
        .timeout_ms = value_int(v, "scrape_timeout"),
        .metrics_path = value_str(v, "metrics_path"),
        .scheme = value_str(v, "scheme"),
        .params = at,
        .n_params = params->n,
        .honor_labels = value_bool(v, "honor_labels"),
        .honor_timestamps = value_bool(v, "honor_timestamps"),
        .track_timestamps_staleness = value_bool(v, "track_timestamps_staleness"),
        .enable_compression = value_bool(v, "enable_compression"),
        .extra_scrape_metrics = value_bool(v, "extra_scrape_metrics"),
        .scrape_native_histograms = value_bool(v, "scrape_native_histograms"),
        .convert_classic_histograms = value_bool(v, "convert_classic_histograms_to_nhcb"),
        .always_scrape_classic_histograms = value_bool(v, "always_scrape_classic_histograms"),
        .features = ld->o->scrape,
        .body_size_limit = (uint64_t)MAX(value_int(v, "body_size_limit"), 0),
        .sample_limit = value_field(v, "sample_limit")->u,
        .target_limit = value_field(v, "target_limit")->u,
        .label_limit = value_field(v, "label_limit")->u,
        .label_name_length_limit = value_field(v, "label_name_length_limit")->u,
        .label_value_length_limit = value_field(v, "label_value_length_limit")->u,
        .keep_dropped_targets = value_field(v, "keep_dropped_targets")->u,
        .histogram_bucket_limit = value_field(v, "native_histogram_bucket_limit")->u,
        .histogram_min_bucket_factor = value_field(v, "native_histogram_min_bucket_factor")->d,
        .failure_log_file = value_str(v, "scrape_failure_log_file"),
        .http = config_fill_http(ld->l.a, v),
    };
    fill_text(ld, v, job);
    fill_names(v, job);
    fill_static(ld, v, job);
    fill_discovery(ld, v, job);
    fill_oauth2_unserved(ld, job);
    TRY(fill_rules(ld, value_field(v, "relabel_configs"), job->legacy_names, &job->relabel, e));
    return fill_rules(
        ld, value_field(v, "metric_relabel_configs"), job->legacy_names, &job->metric_relabel, e);
}

static void fill_sections(struct loader *ld, const struct value *root)
{
    static const char *const lists[] = { "rule_files", "remote_write", "remote_read" };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (value_field(root, lists[i])->n) fill_unsupported(ld, str_z(lists[i]));
    if (value_field(root, "alerting")->set && !value_is_zero(value_field(root, "alerting")))
        fill_unsupported(ld, S("alerting"));
    if (value_str(value_field(root, "tracing"), "endpoint").n) fill_unsupported(ld, S("tracing"));
    if (value_field(root, "otlp")->set) fill_unsupported(ld, S("otlp"));
}

errc config_fill(struct loader *ld, const struct value *root, struct err *e)
{
    struct config *c = ld->c;
    const struct value *global = value_field(root, "global"),
                       *storage = value_field(root, "storage"),
                       *tsdb = value_field(storage, "tsdb");
    const struct value *retention = value_field(tsdb, "retention"),
                       *exemplars = value_field(storage, "exemplars");
    struct scrape_config *jobs = arena_array(ld->l.a, ld->jobs.n, sizeof(*jobs));
    for (size_t i = 0; i < ld->jobs.n; i++) TRY(fill_job(ld, ld->jobs.at[i], &jobs[i], e));
    c->scrape = (struct scrape_configs){ jobs, ld->jobs.n,
        fill_labels(ld->l.a, value_field(global, "external_labels")),
        value_int(global, "scrape_interval"), value_int(global, "scrape_timeout") };
    c->evaluation_interval_ms = value_int(global, "evaluation_interval");
    c->rule_query_offset_ms = value_int(global, "rule_query_offset");
    c->query_log_file = value_str(global, "query_log_file");
    const struct value *rule_files = value_field(root, "rule_files");
    for (size_t i = 0; i < rule_files->n; i++)
        avec_push(ld->l.a, &c->rule_files, rule_files->strs[i]);
    c->out_of_order_window_ms = value_int(tsdb, "out_of_order_time_window");
    c->retention_ms = value_int(retention, "time");
    c->retention_bytes = value_int(retention, "size");
    c->stale_threshold = value_field(tsdb, "stale_series_compaction_threshold")->d;
    c->retention_percent = value_field(retention, "percentage")->d;
    str floats = value_str(value_field(tsdb, "chunk_encoding"), "floats");
    c->floats = str_eq(floats, S("xor2"))  ? FLOATS_XOR2
                : str_eq(floats, S("xor")) ? FLOATS_XOR
                                           : FLOATS_AS_STARTED;
    c->max_exemplars = exemplars->null ? 0 : value_int(exemplars, "max_exemplars");
    fill_sections(ld, root);
    return OK;
}
