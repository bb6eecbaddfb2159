#include "config/config.h"

#include "config/loader.h"

#include "base/log.h"
#include "base/path.h"
#include "io/fs.h"
#include "io/glob.h"

enum { FILE_MAX_BYTES = 64 << 20 };

/* Relative paths of a section and of all below it. */
static void paths_join(struct arena *a, struct value *v, str dir)
{
    if (!v) return;
    if (v->f && (v->f->flags & PATH)) {
        if (v->f->kind == F_STR) v->s = path_in(a, dir, v->s);
        for (size_t i = 0; v->f->kind == F_STRS && i < v->n; i++)
            v->strs[i] = path_in(a, dir, v->strs[i]);
        return;
    }
    bool pairs = v->f && v->f->kind == F_SECTION_MAP;
    bool sections =
        !v->f || v->f->kind == F_SECTION || v->f->kind == F_SECTION_PTR || v->f->kind == F_SECTIONS;
    for (size_t i = 0; (pairs || sections) && i < v->n; i++) {
        if (pairs) paths_join(a, v->pairs[i].value, dir);
        else paths_join(a, v->at[i], dir);
    }
}

static str environment(const struct loader *ld, str name)
{
    str value = str_z(ld->o->env(arena_cstr(ld->l.a, name)));
    if (!value.n) LOG(WARN, "Empty environment variable", kv_str("name", name));
    return value;
}

/* $NAME, ${NAME}, $$, as Go's os.Expand. */
static str expand(struct loader *ld, str s)
{
    if (str_index(s, '$') == SIZE_MAX) return s;
    struct buf b = { 0 };
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '$' || i + 1 == s.n) {
            buf_u8(&b, s.p[i++]);
            continue;
        }
        i++;
        str name;
        if (s.p[i] == '{') {
            size_t end = i + 1;
            while (end < s.n && s.p[end] != '}') end++;
            bool closed = end < s.n;
            name = closed ? str_slice(s, i + 1, end) : STR_EMPTY;
            i = closed ? end + 1 : i + 1;
        } else if (memchr("*#$@!?-0123456789", s.p[i], 17)) {
            name = str_slice(s, i, i + 1);
            i++;
        } else {
            size_t end = i;
            while (end < s.n && (s.p[end] == '_' || (s.p[end] >= '0' && s.p[end] <= '9') ||
                                    ((s.p[end] | 32) >= 'a' && (s.p[end] | 32) <= 'z')))
                end++;
            name = str_slice(s, i, end);
            i = end;
            if (name.n == 0) {
                buf_u8(&b, '$');
                continue;
            }
        }
        if (str_eq(name, S("$"))) buf_u8(&b, '$');
        else if (name.n && ld->o->env) buf_str(&b, environment(ld, name));
    }
    str out = arena_str(ld->l.a, buf_view(&b));
    buf_fini(&b);
    return out;
}

static void inherit(struct value *v, const struct value *global, const char *name)
{
    struct value *mine = value_field(v, name);
    const struct value *from = value_field(global, name);
    if (!value_is_zero(mine) || value_is_zero(from)) return;
    const struct field *f = mine->f;
    *mine = *from;
    mine->f = f;
}

static void put_bool(struct value *v, const char *name, bool b)
{
    struct value *f = value_field(v, name);
    if (!f->null) return;
    f->b = b;
    f->null = false;
}

static errc job_protocols(
    struct loader *ld, struct value *v, const struct value *global, struct err *e)
{
    struct value *list = value_field(v, "scrape_protocols");
    if (list->null && !value_field(global, "scrape_protocols")->null)
        inherit(v, global, "scrape_protocols");
    else if (list->null) protocols_put(&ld->l, list, value_bool(v, "scrape_native_histograms"));
    struct err why = { 0 };
    if (protocols_check(list, &why) != OK) {
        struct err name = { 0 };
        (void)quoted_fail(&name, " for scrape config with job name ", value_str(v, "job_name"), "");
        return err_set(e, ERR_BAD_INPUT, "%s%s", why.msg, name.msg);
    }
    str fallback = value_str(v, "fallback_scrape_protocol");
    enum scrape_protocol p;
    if (fallback.n == 0 || scrape_protocol_parse(fallback, &p)) return OK;
    struct err name = { 0 };
    (void)quoted_fail(&name, "invalid fallback_scrape_protocol for scrape config with job name ",
        value_str(v, "job_name"), ": ");
    return err_set(e, ERR_BAD_INPUT,
        "%sunknown scrape protocol %.*s, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 "
        "PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
        name.msg, STR_ARG(fallback));
}

static errc job_names(struct value *v, const struct value *global, struct err *e)
{
    static const char words[] = "unknown %s name escaping method specified, must be one of "
                                "'allow-utf-8', 'underscores', 'dots', or "
                                "'values', got \"%.*s\"";
    enum escape_scheme esc;
    str scheme = value_str(v, "metric_name_validation_scheme"),
        global_scheme = value_str(global, "metric_name_validation_scheme");
    str global_escaping = value_str(global, "metric_name_escaping_scheme");
    if (global_escaping.n == 0)
        global_escaping = str_eq(global_scheme, S("legacy")) ? S("underscores") : S("allow-utf-8");
    else if (!escape_scheme_parse(global_escaping, &esc))
        return err_set(e, ERR_BAD_INPUT, words, "global", STR_ARG(global_escaping));
    bool unset = scheme.n == 0;
    if (unset) value_put_str(v, "metric_name_validation_scheme", scheme = global_scheme);
    bool legacy = str_eq(scheme, S("legacy"));
    if (value_str(v, "metric_name_escaping_scheme").n == 0)
        value_put_str(v, "metric_name_escaping_scheme",
            unset    ? global_escaping
            : legacy ? S("underscores")
                     : S("allow-utf-8"));
    str escaping = value_str(v, "metric_name_escaping_scheme");
    if (!escape_scheme_parse(escaping, &esc))
        return err_set(e, ERR_BAD_INPUT, words, "scrape config", STR_ARG(escaping));
    if (legacy && esc == ESCAPE_NONE)
        return err_set(e, ERR_BAD_INPUT,
            "utf8 metric names requested but validation scheme is not set to UTF8");
    return OK;
}

/* A job takes from global what it does not say itself, then is checked as a whole. */
static errc job_complete(
    struct loader *ld, struct value *v, const struct value *global, struct err *e)
{
    if (!v) return err_set(e, ERR_BAD_INPUT, "empty or null scrape config section");
    inherit(v, global, "scrape_interval");
    if (value_int(v, "scrape_timeout") > value_int(v, "scrape_interval"))
        return quoted_fail(e,
            "scrape timeout greater than scrape interval for scrape config with job name ",
            value_str(v, "job_name"), "");
    if (value_int(v, "scrape_timeout") == 0) {
        const struct value *from =
            value_int(global, "scrape_timeout") < value_int(v, "scrape_interval")
                ? value_field(global, "scrape_timeout")
                : value_field(v, "scrape_interval");
        value_field(v, "scrape_timeout")->i = from->i;
        value_field(v, "scrape_timeout")->s = from->s;
    }
    static const char *const limits[] = { "body_size_limit", "sample_limit", "target_limit",
        "label_limit", "label_name_length_limit", "label_value_length_limit",
        "keep_dropped_targets", "scrape_failure_log_file" };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) inherit(v, global, limits[i]);
    put_bool(v, "scrape_native_histograms", value_bool(global, "scrape_native_histograms"));
    put_bool(v, "extra_scrape_metrics", value_bool(global, "extra_scrape_metrics"));
    TRY(job_protocols(ld, v, global, e));
    TRY(job_names(v, global, e));
    put_bool(v, "convert_classic_histograms_to_nhcb",
        value_bool(global, "convert_classic_histograms_to_nhcb"));
    put_bool(v, "always_scrape_classic_histograms",
        value_bool(global, "always_scrape_classic_histograms"));
    bool legacy = str_eq(value_str(v, "metric_name_validation_scheme"), S("legacy"));
    TRY(rules_check(value_field(v, "relabel_configs"), legacy, e));
    return rules_check(value_field(v, "metric_relabel_configs"), legacy, e);
}

static errc unique_names(
    const struct value *list, const char *null_words, const char *twice, struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!list->at[i]) return err_set(e, ERR_BAD_INPUT, "%s", null_words);
        str name = value_str(list->at[i], "name");
        for (size_t k = 0; name.n && k < i; k++)
            if (str_eq(name, value_str(list->at[k], "name")))
                return quoted_fail(e, twice, name, "");
    }
    return OK;
}

static errc all_rules_check(
    const struct value *list, const char *const *fields, bool legacy, struct err *e)
{
    for (size_t i = 0; i < list->n; i++)
        for (const char *const *f = fields; *f; f++)
            TRY(rules_check(value_field(list->at[i], *f), legacy, e));
    return OK;
}

static errc root_complete(struct loader *ld, struct value *root, struct err *e)
{
    const struct value *global = value_field(root, "global"),
                       *jobs = value_field(root, "scrape_configs");
    bool legacy = str_eq(value_str(global, "metric_name_validation_scheme"), S("legacy"));
    for (size_t i = 0; i < jobs->n; i++) {
        TRY(job_complete(ld, jobs->at[i], global, e));
        str name = value_str(jobs->at[i], "job_name");
        for (size_t k = 0; k < i; k++)
            if (str_eq(name, value_str(jobs->at[k], "job_name")))
                return quoted_fail(e, "found multiple scrape configs with job name ", name, "");
    }
    const struct value *alerting = value_field(root, "alerting");
    TRY(rules_check(value_field(alerting, "alert_relabel_configs"), legacy, e));
    for (size_t i = 0; i < value_field(alerting, "alertmanagers")->n; i++)
        if (!value_field(alerting, "alertmanagers")->at[i])
            return err_set(e, ERR_BAD_INPUT, "empty or null alertmanager section");
    static const char *const am[] = { "alert_relabel_configs", "relabel_configs", NULL },
                             *const rw[] = { "write_relabel_configs", NULL };
    TRY(all_rules_check(value_field(alerting, "alertmanagers"), am, legacy, e));
    const struct value *writes = value_field(root, "remote_write");
    TRY(unique_names(writes, "empty or null remote write config section",
        "found multiple remote write configs with job name ", e));
    TRY(all_rules_check(writes, rw, legacy, e));
    TRY(unique_names(value_field(root, "remote_read"), "empty or null remote read config section",
                     "found multiple remote read configs with job name ", e));
    struct value *labels = value_field(global, "external_labels");
    for (size_t i = 0; i < labels->n; i++)
        labels->pairs[i].value->s = expand(ld, labels->pairs[i].value->s);
    str strategy = value_str(value_field(root, "otlp"), "translation_strategy");
    bool keeps =
        str_eq(strategy, S("NoTranslation")) || str_eq(strategy, S("NoUTF8EscapingWithSuffixes"));
    if (keeps && legacy)
        return quoted_fail(
            e, "OTLP translation strategy ", strategy, " is not allowed when UTF8 is disabled");
    if (!keeps && strategy.n && !str_eq(strategy, S("UnderscoreEscapingWithSuffixes")) &&
        !str_eq(strategy, S("UnderscoreEscapingWithoutSuffixes")))
        return quoted_fail(e, "unsupported OTLP translation strategy ", strategy, "");
    return OK;
}

static errc agent_check(const struct value *root, struct err *e)
{
    const struct value *alerting = value_field(root, "alerting");
    if (value_field(alerting, "alertmanagers")->n ||
        value_field(alerting, "alert_relabel_configs")->n)
        return err_set(e, ERR_BAD_INPUT, "field alerting is not allowed in agent mode");
    if (value_field(root, "rule_files")->n)
        return err_set(e, ERR_BAD_INPUT, "field rule_files is not allowed in agent mode");
    if (value_field(root, "remote_read")->n)
        return err_set(e, ERR_BAD_INPUT, "field remote_read is not allowed in agent mode");
    return OK;
}

static errc files_jobs(struct loader *ld, const struct value *root, struct err *e);

static errc config_text(struct loader *ld, str text, str path, struct value **root, struct err *e)
{
    struct yaml_node *tree = NULL;
    TRY_IN(e, yaml_parse(ld->l.a, text, &tree, e), "parsing YAML file %.*s", STR_ARG(path));
    *root = value_default(&ld->l, &root_section);
    if (tree && !yaml_is_null(tree))
        TRY_IN(e, section_decode(&ld->l, &root_section, tree, root, e), "parsing YAML file %.*s",
            STR_ARG(path));
    else TRY(root_section.check(&ld->l, *root, e));
    TRY_IN(e, load_words(&ld->l, e), "parsing YAML file %.*s", STR_ARG(path));
    TRY_IN(e, root_complete(ld, *root, e), "parsing YAML file %.*s", STR_ARG(path));
    if (ld->o->agent) TRY(agent_check(*root, e));
    paths_join(ld->l.a, *root, path_dir(path));
    return OK;
}

static errc config_build(struct loader *ld, str text, str path, struct err *e)
{
    struct value *root;
    TRY(config_text(ld, text, path, &root, e));
    const struct value *jobs = value_field(root, "scrape_configs");
    for (size_t i = 0; i < jobs->n; i++) vec_push(&ld->jobs, jobs->at[i]);
    if (ld->o->read_files) TRY(files_jobs(ld, root, e));
    struct buf b = { 0 };
    value_print(&b, root);
    ld->c->text = arena_str(ld->l.a, buf_view(&b));
    buf_fini(&b);
    return config_fill(ld, root, e);
}

errc config_parse(
    struct config **out, str text, str path, const struct config_opts *o, struct err *e)
{
    struct config *c = NEW(struct config);
    arena_init(&c->a, NULL, 0);
    struct loader ld = { .l = { .a = &c->a,
                             .retention_time = o->retention_time,
                             .retention_size = o->retention_size,
                             .exemplars = o->exemplars,
                             .extra_scrape_metrics = o->extra_scrape_metrics,
                             .protobuf_first = o->protobuf_first },
        .c = c,
        .o = o };
    errc rc = config_build(&ld, text, path, e);
    c->rules = arena_array(&c->a, ld.rules.n, sizeof(*c->rules));
    if (ld.rules.n) memcpy(c->rules, ld.rules.at, ld.rules.n * sizeof(*c->rules));
    c->n_rules = ld.rules.n;
    vec_fini(&ld.rules);
    vec_fini(&ld.jobs);
    if (rc != OK) {
        config_free(c);
        return rc;
    }
    *out = c;
    return OK;
}

errc config_load(struct config **out, str path, const struct config_opts *o, struct err *e)
{
    struct arena a = { 0 };
    str text;
    errc rc = fs_read_path(path, &a, FILE_MAX_BYTES, &text, e);
    if (rc == OK) rc = config_parse(out, text, path, o, e);
    arena_fini(&a);
    return rc;
}

errc config_relabel_rules(
    struct arena *a, str text, bool legacy_names, struct relabel_rules *out, struct err *e)
{
    struct load l = { .a = a };
    struct yaml_node *tree = NULL;
    struct value *list;
    *out = (struct relabel_rules){ 0 };
    TRY(yaml_parse(a, text, &tree, e));
    if (!tree || yaml_is_null(tree)) return OK;
    TRY(sections_decode(&l, &relabel_list, tree, &list, e));
    TRY(load_words(&l, e));
    for (size_t i = 0; i < list->n; i++)
        if (!list->at[i]) return err_set(e, ERR_BAD_INPUT, "empty or null relabeling rule");
    return rules_of(&l, list, legacy_names, out, e);
}

static const struct field http_fields[] = { HTTP_CLIENT_FIELDS("true") };
static const struct section http_section = {
    .name = "config.plain", FIELDS_OF(http_fields), .check = http_client_check
};

errc config_http_options(struct http_options *out, str path, struct arena *a, struct err *e)
{
    struct load l = { .a = a };
    struct yaml_node *tree = NULL;
    str text;
    TRY(fs_read_path(path, a, FILE_MAX_BYTES, &text, e));
    TRY(yaml_parse(a, text, &tree, e));
    struct value *v = value_default(&l, &http_section);
    if (tree && !yaml_is_null(tree)) TRY(section_decode(&l, &http_section, tree, &v, e));
    TRY(load_words(&l, e));
    paths_join(a, v, path_dir(path));
    *out = config_fill_http(a, v);
    return OK;
}

void config_free(struct config *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_rules; i++) relabel_fini(c->rules[i]);
    arena_fini(&c->a);
    mem_free(c);
}

errc config_served(const struct config *c, bool strict, struct err *e)
{
    if (c->unserved_jobs.n)
        return err_set(e, ERR_UNSUPPORTED,
            "job %.*s has no service discovery that this build serves",
            STR_ARG(c->unserved_jobs.at[0]));
    if (strict && c->unsupported.n)
        return err_set(
            e, ERR_UNSUPPORTED, "section %.*s is not supported", STR_ARG(c->unsupported.at[0]));
    return OK;
}

/* More jobs, from files that scrape_config_files names. */

static errc file_fail(struct err *e, errc rc, str path, const struct err *why)
{
    struct err name = { 0 };
    (void)quoted_fail(&name, "", path, ": ");
    return err_set(e, rc, "%s%.*s", name.msg, STR_ARG(err_str(why)));
}

static errc file_jobs(
    struct loader *ld, const struct value *global, str path, size_t n_main, struct err *e)
{
    struct yaml_node *tree = NULL;
    str text;
    struct value *file = NULL;
    TRY(fs_read_path(path, ld->l.a, FILE_MAX_BYTES, &text, e));
    TRY(yaml_parse(ld->l.a, text, &tree, e));
    if (!tree || yaml_is_null(tree)) return OK;
    TRY(section_decode(&ld->l, &scrape_files_section, tree, &file, e));
    TRY(load_words(&ld->l, e));
    const struct value *jobs = value_field(file, "scrape_configs");
    for (size_t i = 0; i < jobs->n; i++) {
        TRY(job_complete(ld, jobs->at[i], global, e));
        str name = value_str(jobs->at[i], "job_name");
        for (size_t k = 0; k < ld->jobs.n; k++) {
            if (!str_eq(name, value_str(ld->jobs.at[k], "job_name"))) continue;
            struct err first = { 0 };
            if (k >= n_main)
                (void)quoted_fail(&first, "", value_field(ld->jobs.at[k], "job_name")->strs[0], "");
            struct err words = { 0 };
            (void)quoted_fail(
                &words, "found multiple scrape configs with job name ", name, ", first found in ");
            return err_set(
                e, ERR_BAD_INPUT, "%s%s", words.msg, k < n_main ? "main config file" : first.msg);
        }
        paths_join(ld->l.a, jobs->at[i], path_dir(path));
        value_field(jobs->at[i], "job_name")->strs = arena_array(ld->l.a, 1, sizeof(str));
        value_field(jobs->at[i], "job_name")->strs[0] = path;
        vec_push(&ld->jobs, jobs->at[i]);
    }
    return OK;
}

static errc glob_jobs(
    struct loader *ld, const struct value *global, str pattern, size_t n_main, struct err *e)
{
    str_list paths = { 0 };
    struct err why = { 0 };
    if (glob_paths(pattern, ld->l.a, &paths, &why) != OK) {
        struct err name = { 0 };
        (void)quoted_fail(&name, "error retrieving scrape config files for ", pattern, ": ");
        return err_set(e, ERR_BAD_INPUT, "%s%.*s", name.msg, STR_ARG(err_str(&why)));
    }
    for (size_t i = 0; i < paths.n; i++) {
        errc rc = file_jobs(ld, global, paths.at[i], n_main, &why);
        if (rc != OK) return file_fail(e, rc, paths.at[i], &why);
    }
    return OK;
}

static errc files_jobs(struct loader *ld, const struct value *root, struct err *e)
{
    const struct value *globs = value_field(root, "scrape_config_files");
    size_t n_main = ld->jobs.n;
    for (size_t i = 0; i < globs->n; i++)
        TRY(glob_jobs(ld, value_field(root, "global"), globs->strs[i], n_main, e));
    return OK;
}
