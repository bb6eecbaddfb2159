/* sections_main.c — the whole file, and its sections that are too small for a file of their own:
 * storage, tracing, OTLP, runtime. */
#include "config/sections.h"

#include "base/f64.h"
#include "base/utf8.h"

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
    TRY(remote_headers_check(value_field(v, "headers"),
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
