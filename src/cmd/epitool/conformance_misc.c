/* conformance_misc.c — misc/relabel, relabel_config, regexp, labels, float_format, float_parse,
 * timestamp_format, durations, config. */
#include <stdlib.h>

#include "base/f64.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/conformance.h"
#include "config/config.h"
#include "model/duration.h"
#include "model/timestamp.h"

/* ok, and the words if it is not. */
static bool put_ok(struct json *j, errc rc, const struct err *words)
{
    json_kbool(j, S("ok"), rc == OK);
    if (rc != OK) json_kstr(j, S("error"), err_str(words));
    return rc == OK;
}

static void put_hex(struct json *j, str key, uint64_t v)
{
    struct buf b = { 0 };
    buf_fmt(&b, "%016" PRIx64, v);
    json_kstr(j, key, buf_view(&b));
    buf_fini(&b);
}

static errc ask_relabel_config(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)e;
    struct err words = { 0 };
    struct relabel_rules rules = { 0 };
    (void)put_ok(
        got, config_relabel_rules(a, conformance_str(q, "config"), false, &rules, &words), &words);
    relabel_fini(rules);
    return OK;
}

static void put_label_object(struct json *j, struct labels l)
{
    json_obj(j);
    for (size_t i = 0; i < l.n; i++) json_kstr(j, l.at[i].name, l.at[i].value);
    json_obj_end(j);
}

static errc ask_relabel(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    struct relabel_rules rules = { 0 };
    errc rc = config_relabel_rules(a, conformance_str(q, "config"), false, &rules, e);
    if (rc == OK) {
        struct labels_builder lb;
        labels_builder_init(&lb, a);
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(q, "in"), name, value) labels_builder_set(
            &lb, str_z(name), str_of(json_string_value(value), json_string_length(value)));
        struct labels in = labels_builder_done(&lb);
        labels_builder_from(&lb, in);
        bool keep = relabel_apply(rules, &lb);
        json_kbool(got, S("keep"), keep);
        if (keep) {
            JSON_KEY(got, "out");
            put_label_object(got, labels_builder_done(&lb));
        }
    }
    relabel_fini(rules);
    return rc;
}

/* The texts that every pattern is tried on. */
static struct { struct arena a; str_list at; } values;

static errc begin_regexp(const struct conformance_args *args, struct err *e)
{
    if (!args->values) return err_set(e, ERR_BAD_INPUT, "misc/regexp needs --values FILE");
    str text;
    TRY(cmd_read_file(args->values, &values.a, &text, e));
    json_error_t je;
    json_t *list = json_loadb((const char *)text.p, text.n, JSON_ALLOW_NUL, &je);
    if (!list) return err_set(e, ERR_BAD_INPUT, "%s: %s", args->values, je.text);
    for (size_t i = 0; i < json_array_size(list); i++)
        avec_push(&values.a, &values.at,
            arena_str(&values.a, conformance_bytes(json_array_get(list, i), "s", &values.a)));
    json_decref(list);
    return OK;
}
static void end_regexp(void) { arena_fini(&values.a); }

static errc ask_regexp(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)a;
    (void)e;
    struct err words = { 0 };
    struct regex *re = NULL;
    bool ok = put_ok(got, regex_new(&re, conformance_str(q, "pattern"), &words), &words);
    JSON_KEY(got, "matches");
    json_arr(got);
    for (size_t i = 0; ok && i < values.at.n; i++)
        if (regex_match(re, values.at.at[i])) json_i64(got, (int64_t)i);
    json_arr_end(got);
    regex_free(re);
    return OK;
}

static errc ask_labels(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)e;
    const json_t *list = json_object_get(q, "labels");
    struct label *at = arena_array(a, json_array_size(list), sizeof(*at));
    struct labels l = { at, json_array_size(list) };
    for (size_t i = 0; i < l.n; i++) {
        const json_t *name = json_array_get(json_array_get(list, i), 0),
                     *value = json_array_get(json_array_get(list, i), 1);
        at[i] = (struct label){ str_of(json_string_value(name), json_string_length(name)),
                                str_of(json_string_value(value), json_string_length(value)) };
    }
    struct buf b = { 0 };
    buf_labels(&b, l);
    json_kstr(got, S("string"), buf_view(&b));
    put_hex(got, S("hash"), labels_hash(l));
    put_hex(got, S("stable_hash"), labels_stable_hash(l));
    buf_reset(&b);
    struct json inner = { .b = &b, .html = true };
    put_label_object(&inner, l);
    json_kstr(got, S("json"), buf_view(&b));
    buf_fini(&b);
    json_kbool(got, S("valid_utf8_scheme"), labels_valid(l, true));
    json_kbool(got, S("valid_legacy_scheme"), labels_valid(l, false));
    return OK;
}

static errc ask_float_format(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)a;
    (void)e;
    double v = f64_of_bits(strtoull(json_string_value(json_object_get(q, "bits")), NULL, 16));
    char text[F64_TEXT_MAX];
    json_kstr(got, S("api"), str_of(text, f64_text_api(text, v)));
    json_kstr(got, S("f"), str_of(text, f64_text_f(text, v)));
    json_kstr(got, S("g"), str_of(text, f64_text_g(text, v)));
    json_kstr(got, S("openmetrics_le"), str_of(text, f64_text_openmetrics(text, v)));
    return OK;
}

static errc ask_float_parse(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)a;
    (void)e;
    double v;
    bool ok = f64_parse(conformance_str(q, "in"), &v);
    json_kbool(got, S("ok"), ok);
    if (ok) put_hex(got, S("bits"), f64_bits(v));
    return OK;
}

static errc ask_timestamp_format(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)a;
    (void)e;
    struct buf b = { 0 };
    buf_time_s(&b, json_integer_value(json_object_get(q, "ms")));
    json_kstr(got, S("json"), buf_view(&b));
    buf_fini(&b);
    return OK;
}

static errc ask_durations(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)a;
    (void)e;
    struct err words = { 0 };
    int64_t ms = 0;
    if (!put_ok(got, duration_parse(conformance_str(q, "in"), &ms, &words), &words)) return OK;
    if (ms) json_ki64(got, S("ns"), ms * 1000000);
    struct buf b = { 0 };
    buf_duration(&b, ms);
    json_kstr(got, S("out"), buf_view(&b));
    buf_fini(&b);
    return OK;
}

static const char *env_of(const char *name) { return getenv(name); }

static errc ask_config(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)e;
    struct config_opts o = { .agent = json_is_true(json_object_get(q, "agent_mode")),
        .env = env_of };
    struct config *c = NULL;
    struct err words = { 0 };
    str path = arena_fmt(a, "testdata/%.*s", STR_ARG(conformance_str(q, "file")));
    if (put_ok(got, config_parse(&c, conformance_str(q, "content"), path, &o, &words), &words))
        json_kstr(got, S("marshalled"), c->text);
    config_free(c);
    return OK;
}

const struct conformance_kind conformance_relabel = { .name = "misc/relabel", .ask = ask_relabel };
const struct conformance_kind conformance_relabel_config = { .name = "misc/relabel_config",
    .ask = ask_relabel_config };
const struct conformance_kind conformance_regexp = {
    .name = "misc/regexp", .ask = ask_regexp, .begin = begin_regexp, .end = end_regexp
};
const struct conformance_kind conformance_labels = { .name = "misc/labels", .ask = ask_labels };
const struct conformance_kind conformance_float_format = { .name = "misc/float_format",
    .ask = ask_float_format };
const struct conformance_kind conformance_float_parse = { .name = "misc/float_parse",
    .ask = ask_float_parse };
const struct conformance_kind conformance_timestamp_format = { .name = "misc/timestamp_format",
    .ask = ask_timestamp_format };
const struct conformance_kind conformance_durations = { .name = "misc/durations",
    .ask = ask_durations };
const struct conformance_kind conformance_config = { .name = "misc/config", .ask = ask_config };
