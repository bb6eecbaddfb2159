/* conformance.c — `epitool conformance KIND FILE`: one recorded question a line in, one answer a
 * line out. */
#include "cmd/epitool/conformance.h"

#include <stdio.h>

#include "cmd/epitool/cmd.h"

static const struct conformance_kind *const kinds[] = {
    &conformance_parser_valid,
    &conformance_parser_invalid,
    &conformance_parser_series,
    &conformance_promql,
    &conformance_exposition_text,
    &conformance_exposition_openmetrics,
    &conformance_exposition_protobuf,
    &conformance_exposition_content_type,
    &conformance_relabel,
    &conformance_relabel_config,
    &conformance_regexp,
    &conformance_labels,
    &conformance_float_format,
    &conformance_float_parse,
    &conformance_timestamp_format,
    &conformance_durations,
    &conformance_config,
};

str conformance_str(const json_t *q, const char *key)
{
    const json_t *v = json_object_get(q, key);
    return v && json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_EMPTY;
}

static unsigned base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 65u;
    if (c >= 'a' && c <= 'z') return c - 71u;
    return c >= '0' && c <= '9' ? c + 4u : c == '+' ? 62u : 63u;
}

str conformance_bytes(const json_t *q, const char *key, struct arena *a)
{
    str coded = conformance_str(q, (const char *)arena_fmt(a, "%s_b64", key).p);
    if (coded.n == 0) coded = conformance_str(q, "b64");
    if (coded.n == 0) return conformance_str(q, key);
    uint8_t *p = arena_alloc(a, coded.n);
    size_t n = 0;
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < coded.n && coded.p[i] != '='; i++) {
        bits = bits << 6 | base64_digit(coded.p[i]);
        have += 6;
        if (have < 8) continue;
        have -= 8;
        p[n++] = (uint8_t)(bits >> have);
    }
    return str_of(p, n);
}

static errc answer(
    const struct conformance_kind *k, str line, struct arena *a, struct json *j, struct err *e)
{
    json_error_t je;
    json_t *q = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, &je);
    if (!q) return err_set(e, ERR_BAD_INPUT, "%s", je.text);
    errc rc = k->ask(q, a, j, e);
    json_decref(q);
    return rc;
}

static void answer_line(const struct conformance_kind *k, str line, size_t number)
{
    struct arena a = { 0 };
    struct buf got = { 0 };
    /* bytes that are no UTF-8 as the reference writes them */
    struct json j = { .b = &got, .html = true };
    struct err e = { 0 };
    json_obj(&j);
    errc rc = answer(k, line, &a, &j, &e);
    json_obj_end(&j);
    if (rc == OK) {
        printf("{\"line\":%zu,\"got\":%.*s}\n", number, STR_ARG(buf_view(&got)));
    } else {
        struct json words = { .b = &got, .html = true };
        buf_reset(&got);
        json_str(&words, err_str(&e));
        printf("{\"line\":%zu,\"got\":{},\"error\":%.*s}\n", number, STR_ARG(buf_view(&got)));
    }
    buf_fini(&got);
    arena_fini(&a);
}

static errc ask_all(const struct conformance_kind *k, const char *path, struct err *e)
{
    struct arena a = { 0 };
    str text = STR_EMPTY, line;
    errc rc = cmd_read_file(path, &a, &text, e);
    for (size_t n = 1; rc == OK && text.n > 0; n++) {
        if (!str_cut(text, '\n', &line, &text)) text = STR_EMPTY;
        if (line.n) answer_line(k, line, n);
    }
    arena_fini(&a);
    return rc;
}

static int run(int argc, char **argv)
{
    struct conformance_args args = { 0 };
    const char *words[2] = { NULL, NULL };
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        str w = str_z(argv[i]);
        bool more = i + 1 < argc;
        if (more && str_eq(w, S("--dataset"))) args.dataset = argv[++i];
        else if (more && str_eq(w, S("--values"))) args.values = argv[++i];
        else if (n < ARRAY_LEN(words)) words[n++] = argv[i];
        else return cmd_usage(&cmd_conformance);
    }
    if (n != ARRAY_LEN(words)) return cmd_usage(&cmd_conformance);
    struct err e = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq(str_z(kinds[i]->name), str_z(words[0]))) continue;
        errc rc = kinds[i]->begin ? kinds[i]->begin(&args, &e) : OK;
        if (rc == OK) rc = ask_all(kinds[i], words[1], &e);
        if (kinds[i]->end) kinds[i]->end();
        return rc == OK ? EXIT_FINE : cmd_failed(rc, &e);
    }
    fprintf(stderr, "epitool: no kind %s; there are:\n", words[0]);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) fprintf(stderr, "  %s\n", kinds[i]->name);
    return EXIT_USAGE;
}

const struct cmd cmd_conformance = { "conformance", "[--dataset FILE] [--values FILE] KIND FILE",
                                     "answer recorded questions, one JSON object a line", run };
