/* query.c — `epitool query …`: asks a running server, prints or draws what it answers. */
#include "api/params.h"
#include "base/clock.h"
#include "base/rfc3339.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/plot.h"
#include "cmd/epitool/query_analyze.h"
#include "cmd/epitool/query_print.h"
#include "cmd/epitool/server_api.h"
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
    str format, time, start, end, step, server, type, duration;
    str match[WORDS_MAX];
    size_t n_match;
    struct server_header headers[WORDS_MAX];
    size_t n_headers;
    bool plot, explain;
    struct arena arena;
    struct server_api *api;
    struct buf form;
    struct err e;
};

static bool take_header(struct ask *k, str value)
{
    str name, text;
    if (k->n_headers == WORDS_MAX || !str_cut(value, '=', &name, &text)) return false;
    k->headers[k->n_headers++] = (struct server_header){ name, text };
    return true;
}

static bool take_match(struct ask *k, str value)
{
    if (k->n_match == WORDS_MAX) return false;
    k->match[k->n_match++] = value;
    return true;
}

/* A flag with its value, `--name=value` or `--name value`: how many words it took; 0: wrong. */
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

static bool take_words(struct ask *k, int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        if (argv[i][0] == '-' && argv[i][1]) {
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
    buf_fmt(&b, "%" PRId64 ".%09" PRId64, t.s, t.ns);
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
    printf("%.*s", STR_ARG(buf_view(b)));
    buf_fini(b);
}

static bool as_json(const struct ask *k) { return str_eq(k->format, S("json")); }

/* The plan instead of the result, where it was asked for. */
static void put_answer(const struct ask *k, struct buf *b, const json_t *data)
{
    if (k->explain) put_plan(b, json_object_get(data, "explain"));
    else put_value(b, data, as_json(k));
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
    struct winsize w = { 0 };
    bool tty = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;
    const char *columns = getenv("COLUMNS");
    unsigned width = tty && w.ws_col ? w.ws_col : 0;
    if (!width && columns) width = (unsigned)strtoul(columns, NULL, 10);
    return (struct plot_opts){ .width = width ? MIN(width, 1000u) : PLOT_COLUMNS,
        .height = PLOT_ROWS,
        .colour = tty && !getenv("NO_COLOR") };
}

/* 250 points, and no less than a second apart, where no step is given, or 0 */
static errc step_of(struct ask *k, struct instant start, struct instant end, str *out)
{
    int64_t ns = 0;
    if (k->step.n) TRY(parse_api_duration(k->step, &ns, &k->e));
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
    TRY(instant_of(k, k->time, now(), "evaluation", &t));
    struct buf b = { 0 };
    analysis_head(&b);
    errc rc = OK;
    for (size_t i = 0; i < k->n_match && rc == OK; i++) {
        json_t *data = NULL;
        buf_reset(&k->form);
        form_put(&k->form, S("query"),
            arena_fmt(&k->arena, "%.*s[%.*s]", STR_ARG(k->match[i]),
                STR_ARG(k->duration.n ? k->duration : S("1h"))));
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

static int answer(struct ask *k, const struct question *q)
{
    str server = q->n_words ? str_z(k->words[0]) : k->server;
    errc rc = server_api_open(&k->api, server, k->headers, k->n_headers, &k->e);
    if (rc == OK) rc = q->ask(k);
    server_api_close(k->api);
    buf_fini(&k->form);
    arena_fini(&k->arena);
    if (rc == OK) return EXIT_FINE;
    fprintf(stderr, "%s%.*s\n", rc == ERR_BAD_INPUT ? "" : "query error: ",
        STR_ARG(err_str(&k->e)));
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
    "[-o promql|json] instant [--explain] [--time=T] [--header NAME=VALUE]... SERVER EXPR\n"
    "       epitool query [-o promql|json] range [--start=T] [--end=T] [--step=D]\n"
    "               [--plot|--explain] [--header NAME=VALUE]... SERVER EXPR\n"
    "       epitool query [-o promql|json] series --match=SELECTOR... [--start=T] [--end=T]\n"
    "               SERVER\n"
    "       epitool query [-o promql|json] labels [--match=SELECTOR]... [--start=T] [--end=T]\n"
    "               SERVER NAME\n"
    "       epitool query analyze --server=URL --type=histogram --match=SELECTOR...\n"
    "               [--duration=1h] [--time=T]",
    "ask a running server; print or draw what it answers", run };
