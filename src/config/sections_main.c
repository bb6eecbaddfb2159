#include "config/sections.h"

#include "base/f64.h"
#include "base/utf8.h"
#include "ingest/negotiate.h"

/* Relabel rules. */

static errc action_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    enum relabel_action a;
    if (!relabel_action_parse(*s, &a)) return quoted_fail(e, "unknown relabel action ", *s, "");
    *s = relabel_action_name(a);
    return OK;
}

static errc regex_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    struct relabel_rule r = { .pattern = *s };
    TRY(relabel_compile(&r, e));
    regex_free(r.regex);
    return OK;
}

static errc label_name_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    return label_name_valid_utf8(*s) ? OK : quoted_fail(e, "", *s, " is not a valid label name");
}

static const struct field relabel_fields[] = {
    { .name = "source_labels",
        .kind = F_STRS,
        .flags = OMIT | FLOW,
        .go_type = "model.LabelNames",
        .word = label_name_word },
    { .name = "separator", .kind = F_STR, .def = ";" },
    { .name = "regex", .kind = F_REGEX, .flags = OMIT, .def = "(.*)", .word = regex_word },
    { .name = "modulus", .kind = F_UINT, .flags = OMIT, .go_type = "uint64" },
    { .name = "target_label", .kind = F_STR, .flags = OMIT },
    { .name = "replacement", .kind = F_STR, .def = "$1" },
    { .name = "action", .kind = F_WORD, .flags = OMIT, .def = "replace", .word = action_word },
};
const struct section relabel_section = { .name = "relabel.plain", FIELDS_OF(relabel_fields) };

const struct field relabel_list = {
    .name = "", .kind = F_SECTIONS, .sub = &relabel_section, .go_type = "[]*relabel.Config"
};

static struct relabel_rule rule_of(const struct value *v, bool legacy_names)
{
    struct relabel_rule r = relabel_default();
    const struct value *source = value_field(v, "source_labels"), *regex = value_field(v, "regex");
    r.source = source->strs;
    r.n_source = source->n;
    r.source_set = !source->null;
    r.separator = value_str(v, "separator");
    r.target = value_str(v, "target_label");
    r.replacement = value_str(v, "replacement");
    r.pattern = regex->s;
    r.pattern_set = regex->set;
    r.modulus = value_field(v, "modulus")->u;
    r.legacy_names = legacy_names;
    if (!relabel_action_parse(value_str(v, "action"), &r.action)) r.action = RELABEL_ACTIONS;
    return r;
}

errc rules_check(const struct value *list, bool legacy_names, struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        struct relabel_rule r = rule_of(list->at[i], legacy_names);
        if (r.action == RELABEL_ACTIONS)
            return err_set(e, ERR_BAD_INPUT, "relabel action cannot be empty");
        TRY(relabel_check(&r, e));
    }
    return OK;
}

errc rules_of(struct load *l, const struct value *list, bool legacy_names,
    struct relabel_rules *out, struct err *e)
{
    TRY(rules_check(list, legacy_names, e));
    out->at = arena_array(l->a, list->n, sizeof(*out->at));
    out->n = 0;
    for (size_t i = 0; i < list->n; i++) {
        out->at[i] = rule_of(list->at[i], legacy_names);
        TRY(relabel_compile(&out->at[i], e));
        out->n++;
    }
    return OK;
}

static errc no_null(const struct value *list, const char *words, struct err *e)
{
    for (size_t i = 0; i < list->n; i++)
        if (!list->at[i]) return err_set(e, ERR_BAD_INPUT, "%s", words);
    return OK;
}

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
    { .name = "body_size_limit", .kind = F_SIZE, .flags = OMIT, .go_type = "units.Base2Bytes" },
    { .name = "sample_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "target_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "label_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "label_name_length_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "label_value_length_limit", .kind = F_UINT, .flags = OMIT },
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
static const struct section global_section = {
    .name = "config.plain", FIELDS_OF(global_fields), .check = global_check, .from_zero = true
};

/* Discovery, as jobs and alertmanagers have it. */

static errc sd_no_null(const struct value *v, struct err *e)
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
    const struct value *relabel = value_field(v, "relabel_configs");
    if (relabel->n == 0) TRY(static_targets_check(v, e));
    TRY(no_null(relabel, "empty or null target relabeling rule in scrape config", e));
    return no_null(value_field(v, "metric_relabel_configs"),
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
    { .name = "body_size_limit", .kind = F_SIZE, .flags = OMIT, .go_type = "units.Base2Bytes" },
    { .name = "sample_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "target_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "label_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "label_name_length_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "label_value_length_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "native_histogram_bucket_limit", .kind = F_UINT, .flags = OMIT },
    { .name = "native_histogram_min_bucket_factor", .kind = F_FLOAT, .flags = OMIT },
    { .name = "keep_dropped_targets", .kind = F_UINT, .flags = OMIT },
    { .name = "metric_name_validation_scheme", .kind = F_WORD, .flags = OMIT, .word = scheme_word },
    { .name = "metric_name_escaping_scheme", .kind = F_STR, .flags = OMIT },
    { .name = "extra_scrape_metrics", .kind = F_BOOL_PTR, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "relabel_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &relabel_section,
        .go_type = "[]*relabel.Config" },
    { .name = "metric_relabel_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &relabel_section,
        .go_type = "[]*relabel.Config" },
    SD_FIELDS,
};
static const struct section scrape_section = {
    .name = "config.ScrapeConfig", FIELDS_OF(scrape_fields), .check = scrape_check
};

/* Alerting. */

static errc api_version_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    if (str_eq(*s, S("v2"))) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "expected Alertmanager api version to be one of [v2] but got %.*s", STR_ARG(*s));
}

static errc alertmanager_check(struct load *l, struct value *v, struct err *e)
{
    TRY(sd_no_null(v, e));
    TRY(http_client_check(l, v, e));
    bool auth = !value_field(v, "basic_auth")->null || !value_field(v, "authorization")->null ||
                !value_field(v, "oauth2")->null;
    if (auth && !value_field(v, "sigv4")->null)
        return err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured");
    const struct value *relabel = value_field(v, "relabel_configs");
    if (relabel->n == 0) TRY(static_targets_check(v, e));
    TRY(no_null(relabel, "empty or null Alertmanager target relabeling rule", e));
    return no_null(value_field(v, "alert_relabel_configs"),
        "empty or null Alertmanager alert relabeling rule", e);
}

static errc sigv4_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    if ((value_str(v, "access_key").n == 0) == (value_str(v, "secret_key").n == 0)) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the "
        "SigV4 config");
}

static const struct field sigv4_fields[] = {
    { .name = "region", .kind = F_STR, .flags = OMIT },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "use_fips_sts_endpoint", .kind = F_BOOL, .flags = OMIT },
    { .name = "service_name", .kind = F_STR, .flags = OMIT },
};
static const struct section sigv4_section = {
    .name = "sigv4.plain", FIELDS_OF(sigv4_fields), .check = sigv4_check
};

static const struct field alertmanager_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "sigv4", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &sigv4_section },
    { .name = "scheme", .kind = F_STR, .flags = OMIT, .def = "http" },
    { .name = "path_prefix", .kind = F_STR, .flags = OMIT },
    { .name = "timeout", .kind = F_DURATION, .flags = OMIT, .def = "10s" },
    { .name = "api_version", .kind = F_WORD, .def = "v2", .word = api_version_word },
    { .name = "relabel_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &relabel_section,
        .go_type = "[]*relabel.Config" },
    { .name = "alert_relabel_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &relabel_section,
        .go_type = "[]*relabel.Config" },
    SD_FIELDS,
};
static const struct section alertmanager_section = {
    .name = "config.AlertmanagerConfig", FIELDS_OF(alertmanager_fields), .check = alertmanager_check
};

static errc alerting_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    return no_null(
        value_field(v, "alert_relabel_configs"), "empty or null alert relabeling rule", e);
}

static const struct field alerting_fields[] = {
    { .name = "alert_relabel_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &relabel_section,
        .go_type = "[]*relabel.Config" },
    { .name = "alertmanagers",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &alertmanager_section,
        .go_type = "config.AlertmanagerConfigs" },
};
static const struct section alerting_section = {
    .name = "config.plain", FIELDS_OF(alerting_fields), .check = alerting_check
};

/* Remote write and read. */

static errc headers_check(const struct value *headers, const char *authorization, struct err *e)
{
    static const str reserved[] = {
        S("host"),
        S("content-encoding"),
        S("content-length"),
        S("content-type"),
        S("user-agent"),
        S("connection"),
        S("keep-alive"),
        S("proxy-authenticate"),
        S("proxy-authorization"),
        S("www-authenticate"),
        S("accept-encoding"),
        S("x-prometheus-remote-write-version"),
        S("x-prometheus-remote-read-version"),
        S("x-amz-date"),
        S("x-amz-security-token"),
        S("x-amz-content-sha256"),
    };
    for (size_t i = 0; i < headers->n; i++) {
        str name = headers->pairs[i].name;
        if (str_eq_nocase(name, S("authorization")))
            return err_set(e, ERR_BAD_INPUT, "%s", authorization);
        for (size_t k = 0; k < ARRAY_LEN(reserved); k++)
            if (str_eq_nocase(name, reserved[k]))
                return err_set(e, ERR_BAD_INPUT,
                    "%.*s is a reserved header. It must not be changed", STR_ARG(name));
    }
    return OK;
}

static const char remote_authorization[] =
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
    "azuread or google_iam parameter";

static errc queue_check(const struct value *v, struct err *e)
{
    static const struct { const char *name, *words; } positive[] = {
        { "max_shards", "remote write queue max_shards must be positive" },
        { "min_shards", "remote write queue min_shards must be positive" },
    };
    for (size_t i = 0; i < ARRAY_LEN(positive); i++)
        if (value_int(v, positive[i].name) <= 0)
            return err_set(e, ERR_BAD_INPUT, "%s", positive[i].words);
    if (value_int(v, "min_shards") > value_int(v, "max_shards"))
        return err_set(
            e, ERR_BAD_INPUT, "remote write queue min_shards must not be greater than max_shards");
    if (value_int(v, "max_samples_per_send") <= 0)
        return err_set(
            e, ERR_BAD_INPUT, "remote write queue max_samples_per_send must be positive");
    if (value_int(v, "capacity") <= 0)
        return err_set(e, ERR_BAD_INPUT, "remote write queue capacity must be positive");
    if (value_int(v, "max_backoff") < value_int(v, "min_backoff"))
        return err_set(
            e, ERR_BAD_INPUT, "remote write queue max_backoff must not be less than min_backoff");
    return OK;
}

static errc remote_auth_check(const struct value *v, struct err *e)
{
    static const char *const kinds[] = { "basic_auth", "authorization", "oauth2", "sigv4",
        "azuread", "google_iam" };
    struct buf b = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (value_field(v, kinds[i])->null) continue;
        buf_fmt(&b, "%s%s", n ? " " : "", kinds[i]);
        n++;
    }
    errc rc = OK;
    if (n > 1)
        rc = err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must "
            "be configured. "
            "Currently configured: [%.*s]",
            STR_ARG(buf_view(&b)));
    buf_fini(&b);
    return rc;
}

static errc remote_write_check(struct load *l, struct value *v, struct err *e)
{
    if (value_field(v, "url")->null)
        return err_set(e, ERR_BAD_INPUT, "url for remote_write is empty");
    TRY(no_null(value_field(v, "write_relabel_configs"),
        "empty or null relabeling rule in remote write config", e));
    TRY(headers_check(value_field(v, "headers"), remote_authorization, e));
    str message = value_str(v, "protobuf_message");
    if (!str_eq(message, S("prometheus.WriteRequest")) &&
        !str_eq(message, S("io.prometheus.write.v2.Request")))
        return err_set(e, ERR_BAD_INPUT,
            "invalid protobuf_message value: unknown type for remote write protobuf message %.*s, "
            "supported: "
            "prometheus.WriteRequest, io.prometheus.write.v2.Request",
            STR_ARG(message));
    TRY(http_client_check(l, v, e));
    TRY(queue_check(value_field(v, "queue_config"), e));
    return remote_auth_check(v, e);
}

static const struct field queue_fields[] = {
    { .name = "capacity", .kind = F_INT, .flags = OMIT, .def = "10000" },
    { .name = "max_shards", .kind = F_INT, .flags = OMIT, .def = "50" },
    { .name = "min_shards", .kind = F_INT, .flags = OMIT, .def = "1" },
    { .name = "max_samples_per_send", .kind = F_INT, .flags = OMIT, .def = "2000" },
    { .name = "batch_send_deadline", .kind = F_DURATION, .flags = OMIT, .def = "5s" },
    { .name = "min_backoff", .kind = F_DURATION, .flags = OMIT, .def = "30ms" },
    { .name = "max_backoff", .kind = F_DURATION, .flags = OMIT, .def = "5s" },
    { .name = "retry_on_http_429", .kind = F_BOOL, .flags = OMIT },
    { .name = "sample_age_limit", .kind = F_DURATION, .flags = OMIT },
};
static const struct section queue_section = { .name = "config.QueueConfig",
    FIELDS_OF(queue_fields) };
static const struct field metadata_fields[] = {
    { .name = "send", .kind = F_BOOL, .def = "true" },
    { .name = "send_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "max_samples_per_send", .kind = F_INT, .flags = OMIT, .def = "2000" },
};
static const struct section metadata_section = { .name = "config.MetadataConfig",
    FIELDS_OF(metadata_fields) };

static const struct field azure_managed_fields[] = { { .name = "client_id", .kind = F_STR } };
static const struct section azure_managed_section = { .name = "azuread.ManagedIdentityConfig",
    FIELDS_OF(azure_managed_fields) };
static const struct field azure_oauth_fields[] = {
    { .name = "client_id", .kind = F_STR, .flags = OMIT },
    { .name = "client_secret", .kind = F_STR, .flags = OMIT },
    { .name = "tenant_id", .kind = F_STR, .flags = OMIT },
};
static const struct section azure_oauth_section = { .name = "azuread.OAuthConfig",
    FIELDS_OF(azure_oauth_fields) };
static const struct field azure_sdk_fields[] = {
    { .name = "tenant_id", .kind = F_STR, .flags = OMIT }
};
static const struct section azure_sdk_section = { .name = "azuread.SDKConfig",
    FIELDS_OF(azure_sdk_fields) };
static const struct field azure_workload_fields[] = {
    { .name = "client_id", .kind = F_STR, .flags = OMIT },
    { .name = "tenant_id", .kind = F_STR, .flags = OMIT },
    { .name = "token_file_path", .kind = F_STR, .flags = OMIT },
};
static const struct section azure_workload_section = { .name = "azuread.WorkloadIdentityConfig",
    FIELDS_OF(azure_workload_fields) };
static const struct field azuread_fields[] = {
    { .name = "managed_identity",
        .kind = F_SECTION_PTR,
        .flags = OMIT,
        .sub = &azure_managed_section },
    { .name = "workload_identity",
        .kind = F_SECTION_PTR,
        .flags = OMIT,
        .sub = &azure_workload_section },
    { .name = "oauth", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &azure_oauth_section },
    { .name = "sdk", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &azure_sdk_section },
    { .name = "cloud", .kind = F_STR, .flags = OMIT, .def = "AzurePublic" },
    { .name = "scope", .kind = F_STR, .flags = OMIT },
};
static const struct section azuread_section = { .name = "azuread.plain",
    FIELDS_OF(azuread_fields) };
static const struct field google_iam_fields[] = {
    { .name = "credentials_file", .kind = F_STR, .flags = OMIT }
};
static const struct section google_iam_section = { .name = "googleiam.Config",
    FIELDS_OF(google_iam_fields) };

static const struct field remote_write_fields[] = {
    { .name = "url", .kind = F_URL, .word = url_word },
    { .name = "remote_timeout", .kind = F_DURATION, .flags = OMIT, .def = "30s" },
    { .name = "headers", .kind = F_STR_MAP, .flags = OMIT },
    { .name = "write_relabel_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &relabel_section,
        .go_type = "[]*relabel.Config" },
    { .name = "name", .kind = F_STR, .flags = OMIT },
    { .name = "send_exemplars", .kind = F_BOOL, .flags = OMIT },
    { .name = "send_native_histograms", .kind = F_BOOL, .flags = OMIT },
    { .name = "round_robin_dns", .kind = F_BOOL, .flags = OMIT },
    { .name = "protobuf_message",
        .kind = F_STR,
        .flags = OMIT,
        .def = "prometheus.WriteRequest",
        .go_type = "remote.WriteMessageType" },
    { .name = "failed_request_logging", .kind = F_BOOL, .flags = OMIT },
    HTTP_CLIENT_FIELDS("false"),
    { .name = "queue_config", .kind = F_SECTION, .flags = OMIT, .sub = &queue_section },
    { .name = "metadata_config", .kind = F_SECTION, .flags = OMIT, .sub = &metadata_section },
    { .name = "sigv4", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &sigv4_section },
    { .name = "azuread", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &azuread_section },
    { .name = "google_iam", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &google_iam_section },
};
static const struct section remote_write_section = {
    .name = "config.plain", FIELDS_OF(remote_write_fields), .check = remote_write_check
};

static errc remote_read_check(struct load *l, struct value *v, struct err *e)
{
    if (value_field(v, "url")->null)
        return err_set(e, ERR_BAD_INPUT, "url for remote_read is empty");
    TRY(headers_check(value_field(v, "headers"), remote_authorization, e));
    return http_client_check(l, v, e);
}

static const struct field remote_read_fields[] = {
    { .name = "url", .kind = F_URL, .word = url_word },
    { .name = "remote_timeout", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "chunked_read_limit",
        .kind = F_UINT,
        .flags = OMIT,
        .def = "50000000",
        .go_type = "uint64" },
    { .name = "headers", .kind = F_STR_MAP, .flags = OMIT },
    { .name = "read_recent", .kind = F_BOOL, .flags = OMIT },
    { .name = "name", .kind = F_STR, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "required_matchers", .kind = F_LABEL_SET, .flags = OMIT },
    { .name = "filter_external_labels", .kind = F_BOOL, .flags = OMIT, .def = "true" },
};
static const struct section remote_read_section = {
    .name = "config.plain", FIELDS_OF(remote_read_fields), .check = remote_read_check
};

/* Storage, tracing, OTLP, runtime. */

static errc retention_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    if (value_int(v, "size") < 0)
        return err_set(e, ERR_BAD_INPUT,
            "'storage.tsdb.retention.size' must be greater than or equal to 0, got %.*s",
            STR_ARG(value_str(v, "size")));
    double p = value_field(v, "percentage")->d;
    if (p >= 0 && p <= 100) return OK;
    struct buf b = { 0 };
    buf_f64_g(&b, p);
    errc rc = err_set(e, ERR_BAD_INPUT,
        "'storage.tsdb.retention.percentage' must be in the range [0, 100], got %.*s",
        STR_ARG(buf_view(&b)));
    buf_fini(&b);
    return rc;
}

static const struct field retention_fields[] = {
    { .name = "time", .kind = F_DURATION, .flags = OMIT },
    { .name = "size", .kind = F_SIZE, .flags = OMIT, .go_type = "units.Base2Bytes" },
    { .name = "percentage", .kind = F_FLOAT, .flags = OMIT },
};
static const struct section retention_section = {
    .name = "config.plain", FIELDS_OF(retention_fields), .check = retention_check
};

static const struct field chunk_encoding_fields[] = {
    { .name = "floats", .kind = F_STR, .flags = OMIT }
};
static const struct section chunk_encoding_section = { .name = "config.ChunkEncodingConfig",
    FIELDS_OF(chunk_encoding_fields) };

static void section_make(struct load *l, struct value *v)
{
    struct value *made = value_default(l, v->f->sub);
    v->at = made->at;
    v->n = made->n;
    v->null = false;
}

static errc retention_make(struct load *l, struct value *v, struct err *e)
{
    section_make(l, v);
    if (l->retention_time.n)
        TRY_IN(e, value_put_word(l, v, "time", l->retention_time, e), "retention time");
    if (l->retention_size.n)
        TRY_IN(e, value_put_word(l, v, "size", l->retention_size, e), "retention size");
    return OK;
}

static errc tsdb_check(struct load *l, struct value *v, struct err *e)
{
    value_field(v, "outofordertimewindow")->i = value_int(v, "out_of_order_time_window");
    str floats = value_str(value_field(v, "chunk_encoding"), "floats");
    if (floats.n && !str_eq(floats, S("xor")) && !str_eq(floats, S("xor2")))
        return quoted_fail(e,
            "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be "
            "omitted entirely, got ",
            floats, "");
    return value_field(v, "retention")->null ? retention_make(l, value_field(v, "retention"), e)
                                             : OK;
}

static const struct field tsdb_fields[] = {
    { .name = "outofordertimewindow", .kind = F_INT, .go_type = "int64" },
    { .name = "out_of_order_time_window", .kind = F_DURATION, .flags = OMIT },
    { .name = "stale_series_compaction_threshold", .kind = F_FLOAT, .flags = OMIT },
    { .name = "chunk_encoding", .kind = F_SECTION, .flags = OMIT, .sub = &chunk_encoding_section },
    { .name = "retention", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &retention_section },
};
static const struct section tsdb_section = {
    .name = "config.plain", FIELDS_OF(tsdb_fields), .check = tsdb_check
};
static const struct field exemplars_fields[] = {
    { .name = "max_exemplars", .kind = F_INT, .flags = OMIT, .go_type = "int64" }
};
static const struct section exemplars_section = { .name = "config.ExemplarsConfig",
    FIELDS_OF(exemplars_fields) };
static const struct field storage_fields[] = {
    { .name = "tsdb", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &tsdb_section },
    { .name = "exemplars", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &exemplars_section },
};
static const struct section storage_section = { .name = "config.StorageConfig",
    FIELDS_OF(storage_fields) };

static errc client_type_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    if (str_eq(*s, S("http")) || str_eq(*s, S("grpc"))) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "expected tracing client type to be to be http or grpc, but got %.*s", STR_ARG(*s));
}

static errc tracing_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    TRY(headers_check(value_field(v, "headers"),
        "custom authorization header configuration is not yet supported", e));
    if (value_str(v, "endpoint").n == 0)
        return err_set(e, ERR_BAD_INPUT, "tracing endpoint must be set");
    str compression = value_str(v, "compression");
    if (compression.n == 0 || str_eq(compression, S("gzip"))) return OK;
    return err_set(e, ERR_BAD_INPUT, "invalid compression type %.*s provided, valid options: gzip",
        STR_ARG(compression));
}

static const struct field tracing_fields[] = {
    { .name = "client_type",
        .kind = F_WORD,
        .flags = OMIT,
        .def = "grpc",
        .word = client_type_word },
    { .name = "endpoint", .kind = F_STR, .flags = OMIT },
    { .name = "sampling_fraction", .kind = F_FLOAT, .flags = OMIT },
    { .name = "insecure", .kind = F_BOOL, .flags = OMIT },
    { .name = "tls_config", .kind = F_SECTION, .flags = OMIT, .sub = &tls_section },
    { .name = "headers", .kind = F_STR_MAP, .flags = OMIT },
    { .name = "compression", .kind = F_STR, .flags = OMIT },
    { .name = "timeout", .kind = F_DURATION, .flags = OMIT },
};
static const struct section tracing_section = {
    .name = "config.plain", FIELDS_OF(tracing_fields), .check = tracing_check, .keeps_zero = true
};

/* Trims the attributes and lists what is empty or repeated, one a line. */
static errc attributes_check(
    struct value *list, const char *which, const char *adjective, struct err *e)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < list->n; i++) {
        str s = list->strs[i] = str_trim(list->strs[i]);
        bool twice = false;
        for (size_t k = 0; k < i; k++) twice |= str_eq(list->strs[k], s);
        if (s.n && !twice) continue;
        buf_str(&b, b.n ? S("\n") : S(""));
        if (s.n == 0) {
            buf_fmt(&b, "empty %s OTel resource attribute", adjective);
        } else {
            buf_fmt(&b, "duplicated %s OTel resource attribute ", adjective);
            buf_go_quote(&b, s);
        }
    }
    errc rc =
        b.n ? err_set(e, ERR_BAD_INPUT, "invalid '%s': %.*s", which, STR_ARG(buf_view(&b))) : OK;
    buf_fini(&b);
    return rc;
}

static errc otlp_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    struct value *promote = value_field(v, "promote_resource_attributes"),
                 *ignore = value_field(v, "ignore_resource_attributes");
    if (value_bool(v, "promote_all_resource_attributes")) {
        if (promote->n)
            return err_set(e, ERR_BAD_INPUT,
                "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be "
                "configured "
                "simultaneously");
        return attributes_check(ignore, "ignore_resource_attributes", "ignored", e);
    }
    if (ignore->n)
        return err_set(e, ERR_BAD_INPUT,
            "'ignore_resource_attributes' cannot be configured unless "
            "'promote_all_resource_attributes' is true");
    return attributes_check(promote, "promote_resource_attributes", "promoted", e);
}

static const struct field otlp_fields[] = {
    { .name = "promote_all_resource_attributes", .kind = F_BOOL, .flags = OMIT },
    { .name = "promote_resource_attributes", .kind = F_STRS, .flags = OMIT },
    { .name = "ignore_resource_attributes", .kind = F_STRS, .flags = OMIT },
    { .name = "translation_strategy",
        .kind = F_STR,
        .flags = OMIT,
        .def = "UnderscoreEscapingWithSuffixes",
        .go_type = "otlptranslator.TranslationStrategyOption" },
    { .name = "keep_identifying_resource_attributes", .kind = F_BOOL, .flags = OMIT },
    { .name = "convert_histograms_to_nhcb", .kind = F_BOOL, .flags = OMIT },
    { .name = "promote_scope_metadata", .kind = F_BOOL, .flags = OMIT },
    { .name = "label_name_underscore_sanitization", .kind = F_BOOL, .flags = OMIT, .def = "true" },
    { .name = "label_name_preserve_multiple_underscores",
        .kind = F_BOOL,
        .flags = OMIT,
        .def = "true" },
};
static const struct section otlp_section = {
    .name = "config.plain", FIELDS_OF(otlp_fields), .check = otlp_check
};

static const struct field runtime_fields[] = {
    { .name = "gogc", .kind = F_INT, .flags = OMIT, .def = "75" }
};
static const struct section runtime_section = { .name = "config.RuntimeConfig",
    FIELDS_OF(runtime_fields) };

/* The whole file. */

static bool path_is_rule_glob(str path)
{
    size_t star = str_index(path, '*');
    if (star == SIZE_MAX) return true;
    return str_index(str_from(path, star), '/') == SIZE_MAX;
}

static errc globs_check(const struct value *list, const char *what, struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        if (path_is_rule_glob(list->strs[i])) continue;
        return quoted_fail(e, what, list->strs[i], "");
    }
    return OK;
}

static const struct field root_fields[] = {
    { .name = "global", .kind = F_SECTION, .sub = &global_section },
    { .name = "runtime", .kind = F_SECTION, .flags = OMIT, .sub = &runtime_section },
    { .name = "alerting", .kind = F_SECTION, .flags = OMIT, .sub = &alerting_section },
    { .name = "rule_files", .kind = F_STRS, .flags = OMIT | PATH },
    { .name = "scrape_config_files", .kind = F_STRS, .flags = OMIT | PATH },
    { .name = "scrape_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &scrape_section,
        .go_type = "[]*config.ScrapeConfig" },
    { .name = "storage", .kind = F_SECTION, .flags = OMIT, .sub = &storage_section },
    { .name = "tracing", .kind = F_SECTION, .flags = OMIT, .sub = &tracing_section },
    { .name = "remote_write",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &remote_write_section,
        .go_type = "[]*config.RemoteWriteConfig" },
    { .name = "remote_read",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &remote_read_section,
        .go_type = "[]*config.RemoteReadConfig" },
    { .name = "otlp", .kind = F_SECTION, .flags = OMIT, .sub = &otlp_section },
};
static errc root_check(struct load *l, struct value *v, struct err *e)
{
    if (value_is_zero(value_field(v, "global")))
        *value_field(v, "global") = *value_field(value_default(l, &root_section), "global");
    if (value_is_zero(value_field(v, "runtime")))
        *value_field(v, "runtime") = *value_field(value_default(l, &root_section), "runtime");
    struct value *tsdb = value_field(value_field(v, "storage"), "tsdb");
    if (tsdb->null) {
        section_make(l, tsdb);
        TRY(retention_make(l, value_field(tsdb, "retention"), e));
    }
    struct value *exemplars = value_field(value_field(v, "storage"), "exemplars");
    struct value *global = value_field(v, "global");
    if (l->extra_scrape_metrics && !global->set)
        value_field(global, "extra_scrape_metrics")->b = true;
    struct value *protocols = value_field(global, "scrape_protocols");
    if (l->protobuf_first && protocols->null) protocols_put(l, protocols, true);
    if (l->exemplars && exemplars->null) {
        section_make(l, exemplars);
        TRY(value_put_word(l, exemplars, "max_exemplars", S("100000"), e));
    }
    TRY(globs_check(value_field(v, "rule_files"), "invalid rule file path ", e));
    return globs_check(
        value_field(v, "scrape_config_files"), "invalid scrape config file path ", e);
}
const struct section root_section = {
    .name = "config.plain", FIELDS_OF(root_fields), .check = root_check
};

static const struct field scrape_files_fields[] = {
    { .name = "scrape_configs",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &scrape_section,
        .go_type = "[]*config.ScrapeConfig" },
};
const struct section scrape_files_section = { .name = "config.ScrapeConfigs",
    FIELDS_OF(scrape_files_fields) };
