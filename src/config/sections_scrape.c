/* sections_scrape.c — what is scraped: the defaults of all jobs, how targets are found, a job. */
#include "config/sections.h"

#include "base/utf8.h"
#include "ingest/negotiate.h"

/* Global. */

static errc scheme_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    if (s->n == 0 || str_eq(*s, S("utf8")) || str_eq(*s, S("legacy"))) return OK;
    return quoted_fail(e, "unrecognized ValidationScheme: ", *s, "");
}

void protocols_put(struct load *l, struct value *list, bool protobuf)
{
    static const enum scrape_protocol order[] = { PROTO_PROTOBUF, PROTO_OPENMETRICS_1_0_0,
        PROTO_OPENMETRICS_0_0_1, PROTO_TEXT_1_0_0, PROTO_TEXT_0_0_4 };
    list->strs = arena_array(l->a, ARRAY_LEN(order), sizeof(str));
    list->n = 0;
    for (size_t i = !protobuf; i < ARRAY_LEN(order); i++)
        list->strs[list->n++] = scrape_protocol_name(order[i]);
    list->null = false;
}

errc protocols_check(const struct value *list, struct err *e)
{
    if (list->n == 0) return err_set(e, ERR_BAD_INPUT, "scrape_protocols cannot be empty");
    for (size_t i = 0; i < list->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!str_eq_nocase(list->strs[i], list->strs[k])) continue;
            struct buf b = { 0 };
            for (size_t j = 0; j < list->n; j++)
                buf_fmt(&b, "%s%.*s", j ? " " : "", STR_ARG(list->strs[j]));
            errc rc = err_set(e, ERR_BAD_INPUT,
                "duplicated protocol in scrape_protocols, got [%.*s]", STR_ARG(buf_view(&b)));
            buf_fini(&b);
            return rc;
        }
        enum scrape_protocol p;
        if (!scrape_protocol_parse(list->strs[i], &p))
            return err_set(e, ERR_BAD_INPUT,
                "scrape_protocols: unknown scrape protocol %.*s, supported: [OpenMetricsText0.0.1 "
                "OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
                STR_ARG(list->strs[i]));
    }
    return OK;
}

static errc external_labels_check(const struct value *labels, bool legacy, struct err *e)
{
    for (size_t i = 0; i < labels->n; i++) {
        str name = labels->pairs[i].name, text = labels->pairs[i].value->s;
        if (!(legacy ? label_name_valid_legacy(name) : label_name_valid_utf8(name)))
            return quoted_fail(e, "", name, " is not a valid label name");
        if (!utf8_valid(text)) return quoted_fail(e, "", text, " is not a valid label value");
    }
    return OK;
}

static errc global_check(struct load *l, struct value *v, struct err *e)
{
    if (value_str(v, "metric_name_validation_scheme").n == 0)
        value_put_str(v, "metric_name_validation_scheme", S("utf8"));
    bool legacy = str_eq(value_str(v, "metric_name_validation_scheme"), S("legacy"));
    TRY(external_labels_check(value_field(v, "external_labels"), legacy, e));
    if (value_int(v, "scrape_interval") == 0)
        TRY(value_put_word(l, v, "scrape_interval", S("1m"), e));
    if (value_int(v, "scrape_timeout") > value_int(v, "scrape_interval"))
        return err_set(e, ERR_BAD_INPUT, "global scrape timeout greater than scrape interval");
    if (value_int(v, "scrape_timeout") == 0) {
        TRY(value_put_word(l, v, "scrape_timeout", S("10s"), e));
        if (value_int(v, "scrape_interval") < 10000)
            *value_field(v, "scrape_timeout") =
                (struct value){ .f = value_field(v, "scrape_timeout")->f,
                    .i = value_int(v, "scrape_interval"),
                    .s = value_str(v, "scrape_interval") };
    }
    if (value_int(v, "evaluation_interval") == 0)
        TRY(value_put_word(l, v, "evaluation_interval", S("1m"), e));
    if (value_field(v, "scrape_native_histograms")->null)
        TRY(value_put_word(l, v, "scrape_native_histograms", S("false"), e));
    if (value_field(v, "extra_scrape_metrics")->null)
        TRY(value_put_word(
            l, v, "extra_scrape_metrics", l->extra_scrape_metrics ? S("true") : S("false"), e));
    const struct value *protocols = value_field(v, "scrape_protocols");
    struct err why = { 0 };
    if (protocols->null || protocols_check(protocols, &why) == OK) return OK;
    return err_set(e, ERR_BAD_INPUT, "%s for global config", why.msg);
}

/* What a page may hold: of all jobs, and of one. */
#define LIMIT_FIELDS \
    { .name = "body_size_limit", .kind = F_SIZE, .flags = OMIT, .go_type = "units.Base2Bytes" }, \
    { .name = "sample_limit", .kind = F_UINT, .flags = OMIT }, \
    { .name = "target_limit", .kind = F_UINT, .flags = OMIT }, \
    { .name = "label_limit", .kind = F_UINT, .flags = OMIT }, \
    { .name = "label_name_length_limit", .kind = F_UINT, .flags = OMIT }, \
    { .name = "label_value_length_limit", .kind = F_UINT, .flags = OMIT }

static const struct field global_fields[] = {
    { .name = "scrape_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "scrape_timeout", .kind = F_DURATION, .flags = OMIT, .def = "10s" },
    { .name = "scrape_protocols",
        .kind = F_STRS,
        .flags = OMIT,
        .go_type = "[]config.ScrapeProtocol" },
    { .name = "evaluation_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "rule_query_offset", .kind = F_DURATION, .flags = OMIT },
    { .name = "query_log_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "scrape_failure_log_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "external_labels", .kind = F_LABELS, .flags = OMIT },
    LIMIT_FIELDS,
    { .name = "keep_dropped_targets", .kind = F_UINT, .flags = OMIT },
    { .name = "metric_name_validation_scheme",
        .kind = F_WORD,
        .flags = OMIT,
        .def = "utf8",
        .word = scheme_word },
    { .name = "metric_name_escaping_scheme", .kind = F_STR, .flags = OMIT, .def = "allow-utf-8" },
    { .name = "scrape_native_histograms", .kind = F_BOOL_PTR, .flags = OMIT, .def = "false" },
    { .name = "convert_classic_histograms_to_nhcb", .kind = F_BOOL, .flags = OMIT },
    { .name = "always_scrape_classic_histograms", .kind = F_BOOL, .flags = OMIT },
    { .name = "extra_scrape_metrics", .kind = F_BOOL_PTR, .flags = OMIT, .def = "false" },
};
const struct section global_section = {
    .name = "config.plain", FIELDS_OF(global_fields), .check = global_check, .from_zero = true
};

/* Discovery, as jobs and alertmanagers have it. */

errc sd_no_null(const struct value *v, struct err *e)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct value *list = v->at[i];
        str name = str_z(list->f->name);
        if (!str_has_suffix(name, S("_sd_configs")) && !str_eq(name, S("static_configs"))) continue;
        for (size_t k = 0; k < list->n; k++)
            if (!list->at[k])
                return err_set(e, ERR_BAD_INPUT, "empty or null section in %.*s", STR_ARG(name));
    }
    return OK;
}

static errc static_targets_check(const struct value *v, struct err *e)
{
    const struct value *groups = value_field(v, "static_configs");
    for (size_t i = 0; i < groups->n; i++) {
        const struct value *targets = value_field(groups->at[i], "targets");
        for (size_t k = 0; k < targets->n; k++)
            if (str_index(targets->strs[k], '/') != SIZE_MAX)
                return quoted_fail(e, "", targets->strs[k], " is not a valid hostname");
    }
    return OK;
}

errc sd_rules_check(const struct value *v, const char *words, struct err *e)
{
    const struct value *relabel = value_field(v, "relabel_configs");
    if (relabel->n == 0) TRY(static_targets_check(v, e));
    return rules_no_null(relabel, words, e);
}

static const struct field static_fields[] = {
    { .name = "targets", .kind = F_STRS },
    { .name = "labels", .kind = F_LABEL_SET, .flags = OMIT },
};
const struct section static_section = { .name =
                                            "struct { Targets []string \"yaml:\\\"targets\\\"\"; "
                                            "Labels model.LabelSet \"yaml:\\\"labels\\\"\" }",
    FIELDS_OF(static_fields) };

/* A job. */

static errc scrape_check(struct load *l, struct value *v, struct err *e)
{
    TRY(sd_no_null(v, e));
    if (value_str(v, "job_name").n == 0) return err_set(e, ERR_BAD_INPUT, "job_name is empty");
    TRY(http_client_check(l, v, e));
    TRY(sd_rules_check(v, "empty or null target relabeling rule in scrape config", e));
    return rules_no_null(value_field(v, "metric_relabel_configs"),
        "empty or null metric relabeling rule in scrape config", e);
}

static const struct field scrape_fields[] = {
    { .name = "job_name", .kind = F_STR },
    { .name = "honor_labels", .kind = F_BOOL, .flags = OMIT },
    { .name = "honor_timestamps", .kind = F_BOOL, .def = "true" },
    { .name = "track_timestamps_staleness", .kind = F_BOOL },
    { .name = "params", .kind = F_STRS_MAP, .flags = OMIT },
    { .name = "scrape_interval", .kind = F_DURATION, .flags = OMIT },
    { .name = "scrape_timeout", .kind = F_DURATION, .flags = OMIT },
    { .name = "scrape_protocols",
        .kind = F_STRS,
        .flags = OMIT,
        .go_type = "[]config.ScrapeProtocol" },
    { .name = "fallback_scrape_protocol",
        .kind = F_STR,
        .flags = OMIT,
        .go_type = "config.ScrapeProtocol" },
    { .name = "scrape_native_histograms", .kind = F_BOOL_PTR, .flags = OMIT },
    { .name = "always_scrape_classic_histograms", .kind = F_BOOL_PTR, .flags = OMIT },
    { .name = "convert_classic_histograms_to_nhcb", .kind = F_BOOL_PTR, .flags = OMIT },
    { .name = "scrape_failure_log_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "metrics_path", .kind = F_STR, .flags = OMIT, .def = "/metrics" },
    { .name = "scheme", .kind = F_STR, .flags = OMIT, .def = "http" },
    { .name = "enable_compression", .kind = F_BOOL, .def = "true" },
    LIMIT_FIELDS,
    { .name = "native_histogram_bucket_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "native_histogram_min_bucket_factor", .kind = F_FLOAT, .flags = OMIT },
    { .name = "keep_dropped_targets", .kind = F_UINT, .flags = OMIT },
    { .name = "metric_name_validation_scheme", .kind = F_WORD, .flags = OMIT, .word = scheme_word },
    { .name = "metric_name_escaping_scheme", .kind = F_STR, .flags = OMIT },
    { .name = "extra_scrape_metrics", .kind = F_BOOL_PTR, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
    RELABEL_FIELD("relabel_configs"),
    RELABEL_FIELD("metric_relabel_configs"),
    SD_FIELDS,
};
const struct section scrape_section = {
    .name = "config.ScrapeConfig", FIELDS_OF(scrape_fields), .check = scrape_check
};

/* A file of scrape_config_files. */

static const struct field scrape_files_fields[] = {
    { .name = "scrape_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &scrape_section,
        .go_type = "[]*config.ScrapeConfig" },
};
const struct section scrape_files_section = { .name = "config.ScrapeConfigs",
    FIELDS_OF(scrape_files_fields) };
