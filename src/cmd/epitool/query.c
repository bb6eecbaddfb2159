/* query.c — `epitool query …`: asks a running server, prints or draws what it answers. */
#include "api/params.h"
#include "base/clock.h"
#include "base/rfc3339.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/plot.h"
#include "cmd/epitool/query_analyze.h"
#include "cmd/epitool/query_print.h"
#include "cmd/epitool/server_api.h"
#include "config/config.h"
#include "model/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WORDS_MAX = 64, PLOT_ROWS = 20, PLOT_COLUMNS = 80 };

/* What was written on the command line. */
struct ask {
    const char *words[3];              /* what is no flag */
    size_t n_words;
    str format, time, start, end, step, server, type, duration, http_file;
    str match[WORDS_MAX];
    size_t n_match;
    struct server_header headers[WORDS_MAX];
    size_t n_headers;
    struct http_options http;          /* of http_file */
    bool plot, explain;
    struct arena arena;
    struct server_api *api;
    struct buf form;
    struct err e;
};

/* NAME=VALUE or NAME:VALUE */
static bool take_header(struct ask *k, str value)
{
    size_t at = MIN(str_index(value, '='), str_index(value, ':'));
    if (k->n_headers == WORDS_MAX || at == SIZE_MAX) return false;
    k->headers[k->n_headers++] =
        (struct server_header){ str_slice(value, 0, at), str_trim(str_from(value, at + 1)) };
    return true;
}

static bool take_match(struct ask *k, str value)
{
    if (k->n_match == WORDS_MAX) return false;
    k->match[k->n_match++] = value;
    return true;
}

/* A flag with its value, `--name=value`, `--name value` or `-ovalue`: how many words it took; 0:
 * wrong. */
static int take_flag(struct ask *k, int argc, char **argv)
{
    const struct { str name; str *to; bool (*take)(struct ask *k, str value);
    } flags[] = {
        { S("--format"), &k->format, NULL },
        { S("-o"), &k->format, NULL },
        { S("--time"), &k->time, NULL },
        { S("--start"), &k->start, NULL },
        { S("--end"), &k->end, NULL },
        { S("--step"), &k->step, NULL },
        { S("--server"), &k->server, NULL },
        { S("--type"), &k->type, NULL },
        { S("--duration"), &k->duration, NULL },
        { S("--http.config.file"), &k->http_file, NULL },
        { S("--match"), NULL, take_match },
        { S("--header"), NULL, take_header },
    };
    str word = str_z(argv[0]), name = word, value = STR_EMPTY;
    if (str_eq(word, S("--plot"))) {
        k->plot = true;
        return 1;
    }
    if (str_eq(word, S("--explain"))) {
        k->explain = true;
        return 1;
    }
    bool joined = str_has_prefix(word, S("--")) && str_cut(word, '=', &name, &value);
    if (!joined && str_has_prefix(word, S("-o")) && word.n > 2) {
        name = S("-o");
        value = str_from(word, 2);
        joined = true;
    }
    if (!joined) {
        name = word;
        value = argc > 1 ? str_z(argv[1]) : STR_EMPTY;
        if (argc < 2) return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (!str_eq(flags[i].name, name)) continue;
        if (flags[i].to) *flags[i].to = value;
        else if (!flags[i].take(k, value)) return 0;
        return joined ? 1 : 2;
    }
    return 0;
}

/* Behind `--` there are no flags. */
static bool take_words(struct ask *k, int argc, char **argv)
{
    bool flags = true;
    for (int i = 1; i < argc;) {
        if (flags && str_eq(str_z(argv[i]), S("--"))) {
            flags = false;
            i++;
        } else if (flags && argv[i][0] == '-' && argv[i][1]) {
            int taken = take_flag(k, argc - i, argv + i);
            if (!taken) return false;
            i += taken;
        } else {
            if (k->n_words == ARRAY_LEN(k->words)) return false;
            k->words[k->n_words++] = argv[i++];
        }
    }
    return !k->format.n || str_eq(k->format, S("promql")) || str_eq(k->format, S("json"));
}

static void put_instant(struct ask *k, str name, struct instant t)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    bool minus = t.s < 0;                  /* of -1.5 there are -2 seconds and half of one */
    if (minus && t.ns) t = (struct instant){ t.s + 1, 1000000000 - t.ns };
    buf_fmt(&b, "%s%" PRIu64 ".%09" PRId64, minus ? "-" : "",
        minus ? 0 - (uint64_t)t.s : (uint64_t)t.s, t.ns);
    form_put(&k->form, name, buf_view(&b));
}

static errc instant_of(struct ask *k, str text, struct instant fallback, const char *what,
    struct instant *out)
{
    *out = fallback;
    if (!text.n) return OK;
    TRY_IN(&k->e, parse_instant(text, out, &k->e), "error parsing %s time", what);
    return OK;
}

static struct instant now(void)
{
    int64_t ns = clock_wall_ns();
    return (struct instant){ ns / 1000000000, ns % 1000000000 };
}

static void print(struct buf *b)
{
    cmd_print(stdout, buf_view(b));
    buf_fini(b);
}

static bool as_json(const struct ask *k) { return str_eq(k->format, S("json")); }

/* 0: it is none, or does not tell */
static unsigned terminal_width(void)
{
    struct winsize w = { 0 };
    bool tty = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;
    return tty ? w.ws_col : 0;
}

/* Somebody asked for a locale that is not of UTF-8. Where nobody asked for any, it most likely
 * is. */
static bool terminal_is_ascii(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value) continue;
        str locale = str_z(value), charset, rest;
        if (!str_cut(locale, '.', &rest, &charset))
            return str_eq(locale, S("C")) || str_eq(locale, S("POSIX"));
        str_cut(charset, '@', &charset, &rest);
        return !str_eq_nocase(charset, S("utf-8")) && !str_eq_nocase(charset, S("utf8"));
    }
    return false;
}

/* The plan instead of the result, where it was asked for. */
static void put_answer(const struct ask *k, struct buf *b, const json_t *data)
{
    if (!k->explain) put_value(b, data, as_json(k));
    else put_plan(b, json_object_get(data, "explain"), terminal_width(), terminal_is_ascii());
}

/* ---- the questions ---- */

static errc ask_instant(struct ask *k)
{
    struct instant t;
    json_t *data = NULL;
    TRY(instant_of(k, k->time, now(), "evaluation", &t));
    form_put(&k->form, S("query"), str_z(k->words[1]));
    put_instant(k, S("time"), t);
    if (k->explain) form_put(&k->form, S("explain"), S("true"));
    TRY(server_api_ask(k->api, S("/api/v1/query"), true, buf_view(&k->form), &data, &k->e));
    struct buf b = { 0 };
    put_answer(k, &b, data);
    print(&b);
    json_decref(data);
    return OK;
}

/* as wide as the terminal, if it is one */
static struct plot_opts plot_room(void)
{
    const char *columns = getenv("COLUMNS");
    unsigned width = terminal_width();
    if (!width && columns) width = (unsigned)strtoul(columns, NULL, 10);
    return (struct plot_opts){ .width = width ? MIN(width, 1000u) : PLOT_COLUMNS,
        .height = PLOT_ROWS,
        .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
        .ascii = terminal_is_ascii() };
}

/* As the API takes it, or as promtool does: 1.5s. */
static errc duration_of(str text, int64_t *ns, struct err *e)
{
    if (parse_api_duration(text, ns, e) == OK || go_duration_parse(text, ns)) return OK;
    return ERR_BAD_INPUT;
}

/* 250 points, and no less than a second apart, where no step is given, or 0 */
static errc step_of(struct ask *k, struct instant start, struct instant end, str *out)
{
    int64_t ns = 0;
    if (k->step.n) TRY(duration_of(k->step, &ns, &k->e));
    if (!ns) ns = MAX(instant_sub(end, start) / 1000000000 / 250, 1) * 1000000000;
    *out = arena_fmt(&k->arena, "%.9f", (double)ns / 1e9);
    return OK;
}

static errc ask_range(struct ask *k)
{
    struct instant start, end;
    json_t *data = NULL;
    str step;
    TRY(instant_of(k, k->end, now(), "end", &end));
    TRY(instant_of(k, k->start, (struct instant){ end.s - 300, end.ns }, "start", &start));
    if (!instant_before(start, end))
        return err_set(&k->e, ERR_BAD_INPUT, "start time is not before end time");
    TRY(step_of(k, start, end, &step));
    form_put(&k->form, S("query"), str_z(k->words[1]));
    put_instant(k, S("start"), start);
    put_instant(k, S("end"), end);
    form_put(&k->form, S("step"), step);
    if (k->explain) form_put(&k->form, S("explain"), S("true"));
    TRY(server_api_ask(k->api, S("/api/v1/query_range"), true, buf_view(&k->form), &data, &k->e));
    struct buf b = { 0 };
    struct plot_opts room = plot_room();
    if (k->plot) plot_matrix(&b, json_object_get(data, "result"), &room);
    else put_answer(k, &b, data);
    print(&b);
    json_decref(data);
    return OK;
}

/* match[], start and end of series and labels: all of time where none is given */
static errc put_scope(struct ask *k)
{
    enum { FAR_S = 9999 * 3600 };
    struct instant start, end, here = now();
    TRY(instant_of(k, k->start, (struct instant){ here.s - FAR_S, 0 }, "start", &start));
    TRY(instant_of(k, k->end, (struct instant){ here.s + FAR_S, 0 }, "end", &end));
    for (size_t i = 0; i < k->n_match; i++) form_put(&k->form, S("match[]"), k->match[i]);
    put_instant(k, S("start"), start);
    put_instant(k, S("end"), end);
    return OK;
}

static errc ask_series(struct ask *k)
{
    json_t *data = NULL;
    TRY(put_scope(k));
    TRY(server_api_ask(k->api, S("/api/v1/series"), true, buf_view(&k->form), &data, &k->e));
    struct buf b = { 0 };
    put_series(&b, data, as_json(k));
    print(&b);
    json_decref(data);
    return OK;
}

static errc ask_labels(struct ask *k)
{
    json_t *data = NULL;
    SCOPED(buf_fini) struct buf name = { 0 };
    TRY(put_scope(k));
    form_put(&name, S("x"), str_z(k->words[1]));
    str path = arena_fmt(&k->arena, "/api/v1/label/%.*s/values",
        STR_ARG(str_from(buf_view(&name), strlen("x="))));
    TRY(server_api_ask(k->api, path, false, buf_view(&k->form), &data, &k->e));
    struct buf b = { 0 };
    put_words(&b, data, as_json(k));
    print(&b);
    json_decref(data);
    return OK;
}

static errc ask_analyze(struct ask *k)
{
    struct instant t;
    struct analysis all = analysis_begin();
    if (!str_eq(k->type, S("histogram")))
        return err_set(&k->e, ERR_BAD_INPUT, "analyze type is %.*s, must be 'histogram'",
            STR_ARG(k->type));
    int64_t ns = INT64_C(3600) * 1000000000;
    if (k->time.n)
        TRY_IN(&k->e, parse_instant(k->time, &t, &k->e), "error parsing time '%.*s'",
            STR_ARG(k->time));
    else t = now();
    if (k->duration.n) TRY(duration_of(k->duration, &ns, &k->e));
    struct buf b = { 0 };
    analysis_head(&b);
    errc rc = OK;
    for (size_t i = 0; i < k->n_match && rc == OK; i++) {
        json_t *data = NULL;
        buf_reset(&k->form);
        form_put(&k->form, S("query"),
            arena_fmt(&k->arena, "%.*s[%.*s]", STR_ARG(k->match[i]),
                STR_ARG(arena_duration(&k->arena, ns / 1000000))));
        put_instant(k, S("time"), t);
        rc = server_api_ask(k->api, S("/api/v1/query"), true, buf_view(&k->form), &data, &k->e);
        if (rc == OK) rc = analysis_add(&all, &b, json_object_get(data, "result"), &k->e);
        json_decref(data);
    }
    if (rc == OK) analysis_foot(&all, &b);
    print(&b);
    return rc;
}

/* ---- which ---- */

static const struct question {
    const char *name;
    size_t n_words;                    /* the server first, but for analyze */
    bool needs_match;
    errc (*ask)(struct ask *k);
} questions[] = {
    { "instant", 2, false, ask_instant },
    { "range", 2, false, ask_range },
    { "series", 1, true, ask_series },
    { "labels", 2, false, ask_labels },
    { "analyze", 0, true, ask_analyze },
};

/* Opens the server as the file says, where there is one. */
static errc answer_open(struct ask *k, str server)
{
    if (!k->http_file.n)
        return server_api_open(&k->api, server, NULL, k->headers, k->n_headers, &k->e);
    size_t at = str_find(server, S("://")), from = at == SIZE_MAX ? 0 : at + strlen("://");
    str host, rest;
    str_cut(str_from(server, from), '/', &host, &rest);
    if (str_index(host, '@') != SIZE_MAX)
        return err_set(&k->e, ERR_BAD_INPUT,
            "Cannot set base auth in the server URL and use a http.config.file at the same time");
    errc rc = config_http_options(&k->http, k->http_file, &k->arena, &k->e);
    if (rc != OK) return err_in(&k->e, ERR_BAD_INPUT, "Failed to load HTTP config file");
    return server_api_open(&k->api, server, &k->http, k->headers, k->n_headers, &k->e);
}

static int answer(struct ask *k, const struct question *q)
{
    errc rc = answer_open(k, q->n_words ? str_z(k->words[0]) : k->server);
    if (rc == OK) rc = q->ask(k);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    server_api_close(k->api);
    buf_fini(&k->form);
    arena_fini(&k->arena);
    if (!written) fprintf(stderr, "epitool: the answer cannot be written\n");
    if (rc == OK) return written ? EXIT_FINE : EXIT_FAILED;
    bool plain = rc == ERR_BAD_INPUT || q->ask == ask_analyze;
    fprintf(stderr, "%s%.*s\n", plain ? "" : "query error: ", STR_ARG(err_str(&k->e)));
    return EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct ask *k = &(struct ask){ 0 };
    /* flags of all questions may stand in front of its name */
    int at = 1;
    while (at < argc && argv[at][0] == '-') {
        int taken = take_flag(k, argc - at, argv + at);
        if (!taken) return cmd_usage(&cmd_query);
        at += taken;
    }
    for (size_t i = 0; at < argc && i < ARRAY_LEN(questions); i++) {
        const struct question *q = &questions[i];
        if (!str_eq(str_z(argv[at]), str_z(q->name))) continue;
        bool fine = take_words(k, argc - at, argv + at) && k->n_words == q->n_words &&
                    (!q->needs_match || k->n_match) && (q->n_words || k->server.n);
        return fine ? answer(k, q) : cmd_usage(&cmd_query);
    }
    return cmd_usage(&cmd_query);
}

const struct cmd cmd_query = { "query",
    "[-o promql|json] [--http.config.file=FILE] QUESTION\n"
    "where QUESTION is one of\n"
    "       instant [--explain] [--time=T] [--header NAME=VALUE]... SERVER EXPR\n"
    "       range [--start=T] [--end=T] [--step=D] [--plot|--explain]\n"
    "               [--header NAME=VALUE]... SERVER EXPR\n"
    "       series --match=SELECTOR... [--start=T] [--end=T] SERVER\n"
    "       labels [--match=SELECTOR]... [--start=T] [--end=T] SERVER NAME\n"
    "       analyze --server=URL --type=histogram --match=SELECTOR... [--duration=1h] [--time=T]",
    "ask a running server; print or draw what it answers", run };
