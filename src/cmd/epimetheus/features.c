/* features.c — what /api/v1/features tells clients: which parts of Prometheus' surface there are,
 * and which of them are switched on. */
#include "cmd/epimetheus/parts.h"

#include "promql/functions.h"

#include <stdlib.h>

static bool option_given(const struct server *s, str name)
{
    for (size_t i = 0; i < s->flags.features.n; i++)
        if (str_eq(s->flags.features.at[i], name)) return true;
    return false;
}

/* What depends on nothing. */
static const struct { str group; const char *names[40]; } always[] = {
    { S("api"), { "exclude_alerts", "label_values_match", "openapi_3.1", "openapi_3.2",
                    "query_stats", "query_warnings", "search_fuzz_alg_jarowinkler",
                    "search_fuzz_alg_subsequence", "time_range_labels", "time_range_series" } },
    { S("prometheus"), { "stringlabels" } },
    { S("promql"),
        { "at_modifier", "bool", "by", "duration_expr", "group_left", "group_right", "ignoring",
            "negative_offset", "offset", "on", "per_query_lookback_delta", "subqueries",
            "without" } },
    { S("promql_operators"), { "!~", "=~", "@" } },
    { S("rules"), { "keep_firing_for", "query_offset" } },
    { S("scrape"), { "extra_scrape_metrics" } },
    { S("service_discovery_providers"),
        { "aws", "azure", "consul", "digitalocean", "dns", "docker", "dockerswarm", "ec2", "ecs",
            "elasticache", "eureka", "file", "gce", "hetzner", "http", "ionos", "kubernetes",
            "kuma", "lightsail", "linode", "marathon", "msk", "nerve", "nomad", "oci", "openstack",
            "outscale", "ovhcloud", "puppetdb", "rds", "scaleway", "serverset", "stackit",
            "static", "triton", "uyuni", "vultr" } },
    { S("templating_functions"),
        { "args", "externalURL", "first", "graphLink", "humanize", "humanize1024",
            "humanizeDuration", "humanizePercentage", "humanizeTimestamp", "label", "match", "now",
            "parseDuration", "pathPrefix", "query", "reReplaceAll", "safeHtml", "sortByLabel",
            "stripDomain", "stripPort", "strvalue", "tableLink", "title", "toDuration", "toLower",
            "toTime", "toUpper", "urlQueryEscape", "value" } },
    { S("tsdb"), { "isolation", "native_histograms", "xor2_encoding" } },
};

static void put(api_features *out, struct arena *a, str group, str name, bool on)
{
    avec_push(a, out, ((struct api_feature){ group, name, on }));
}

static void put_always(struct arena *a, api_features *out)
{
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        for (size_t k = 0; k < ARRAY_LEN(always[i].names) && always[i].names[k]; k++)
            put(out, a, always[i].group, str_z(always[i].names[k]), true);
}

static void put_promql(const struct server *s, struct arena *a, api_features *out)
{
    size_t n;
    const struct function *f = function_table(&n);
    for (size_t i = 0; i < n; i++)
        put(out, a, S("promql_functions"), str_z(f[i].name),
            !f[i].experimental || s->on.experimental_functions);
    for (enum promql_op op = OP_ADD; op <= OP_LIMIT_RATIO; op++)
        put(out, a, S("promql_operators"), promql_op_text(op),
            (op != OP_LIMITK && op != OP_LIMIT_RATIO) || s->on.experimental_functions);
    static const str fill[] = { S("fill"), S("fill_left"), S("fill_right") },
                     range[] = { S("anchored"), S("smoothed") };
    for (size_t i = 0; i < ARRAY_LEN(fill); i++)
        put(out, a, S("promql"), fill[i], s->on.binop_fill);
    for (size_t i = 0; i < ARRAY_LEN(range); i++)
        put(out, a, S("promql"), range[i], s->on.extended_range_selectors);
    put(out, a, S("promql"), S("delayed_name_removal"), s->on.delayed_name_removal);
    put(out, a, S("promql"), S("per_step_stats"), s->on.per_step_stats);
    put(out, a, S("promql"), S("type_and_unit_labels"), s->on.type_and_unit);
}

/* What an option of --enable-feature or a flag switches on. */
static void put_switched(const struct server *s, struct arena *a, api_features *out)
{
    const struct { str group, name; bool on; } flags[] = {
        { S("api"), S("admin"), s->flags.admin },
        { S("api"), S("lifecycle"), s->flags.lifecycle },
        { S("api"), S("otlp_write_receiver"), s->flags.otlp_receiver },
        { S("api"), S("remote_write_receiver"), s->flags.remote_write_receiver },
        { S("prometheus"), S("agent_mode"), s->flags.agent },
        { S("prometheus"), S("server_mode"), !s->flags.agent },
        { S("prometheus"), S("auto_reload_config"), s->flags.auto_reload },
    };
    static const struct { str group, name, option; } options[] = {
        { S("api"), S("search"), S("search-api") },
        { S("otlp_receiver"), S("delta_conversion"), S("otlp-deltatocumulative") },
        { S("otlp_receiver"), S("native_delta_ingestion"), S("otlp-native-delta-ingestion") },
        { S("rules"), S("concurrent_rule_eval"), S("concurrent-rule-eval") },
        { S("scrape"), S("start_timestamp_zero_ingestion"),
            S("created-timestamp-zero-ingestion") },
        { S("scrape"), S("type_and_unit_labels"), S("type-and-unit-labels") },
        { S("tsdb"), S("delayed_compaction"), S("delayed-compaction") },
        { S("tsdb"), S("exemplar_storage"), S("exemplar-storage") },
        { S("tsdb"), S("histograms_st_encoding"), S("histograms-st-encoding") },
        { S("tsdb"), S("st_storage"), S("st-storage") },
        { S("tsdb"), S("use_uncached_io"), S("use-uncached-io") },
        { S("ui"), S("ui_v2"), S("old-ui") },
    };
    static const struct { str group, name, option; } if_on[] = {               /* else not named */
        { S("tsdb"), S("metadata_wal_records"), S("metadata-wal-records") },
        { S("scrape"), S("st-synthesis"), S("st-synthesis") },
    };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        put(out, a, flags[i].group, flags[i].name, flags[i].on);
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        put(out, a, options[i].group, options[i].name, option_given(s, options[i].option));
    for (size_t i = 0; i < ARRAY_LEN(if_on); i++)
        if (option_given(s, if_on[i].option)) put(out, a, if_on[i].group, if_on[i].name, true);
    put(out, a, S("ui"), S("ui_v3"), !option_given(s, S("old-ui")));
}

static int feature_cmp(const void *a, const void *b)
{
    const struct api_feature *x = a, *y = b;
    int order = str_cmp(x->group, y->group);
    return order ? order : str_cmp(x->name, y->name);
}

void show_features(void *ctx, struct arena *a, api_features *out)
{
    const struct server *s = ctx;
    put_always(a, out);
    put_promql(s, a, out);
    put_switched(s, a, out);
    qsort(out->at, out->n, sizeof(*out->at), feature_cmp);
}
