/* script.c — scripts in the promqltest language.
 *
 * The language is one of lines: a command's first line, then the lines of its block up to an empty
 * one. A comment line counts as empty, so it ends a block. What a line of an eval's block is gets
 * decided in a fixed order: a failure's words, `expect …`, a number alone, and all else is a
 * series. */
#include "promql/script.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/f64.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "model/duration.h"
#include "promql/rows.h"

const struct parse_opts script_parse_opts = { true, true, true, true };

struct reader {
    struct arena *a;
    VEC(str) lines;
    size_t at;                             /* the current line */
    VEC(struct script_cmd) cmds;
    struct err *e;
};

static PRINTF_LIKE(2, 3) errc bad(struct reader *r, const char *fmt, ...)
{
    char words[384];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    return err_set(r->e, ERR_BAD_INPUT, "line %zu: %s", r->at + 1, words);
}

/* The first word of s, up to blanks; *rest: what comes after them. */
static str word_of(str s, str *rest)
{
    size_t n = 0, to;
    while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t') n++;
    for (to = n; to < s.n && (s.p[to] == ' ' || s.p[to] == '\t');) to++;
    *rest = str_from(s, to);
    return str_slice(s, 0, n);
}

/* Takes the word away if s begins with it. */
static bool take(str *s, str word)
{
    str rest, w = word_of(*s, &rest);
    if (!str_eq(w, word)) return false;
    *s = rest;
    return true;
}

static errc duration(struct reader *r, str s, const char *what, int64_t *ms)
{
    struct err e = { 0 };
    if (duration_parse(s, ms, &e) != OK)
        return bad(r, "invalid %s \"%.*s\": %s", what, STR_ARG(s), e.msg);
    return OK;
}

static errc series(struct reader *r, str line, struct series_description *d)
{
    struct err e = { 0 };
    if (promql_parse_series(d, line, r->a, &e) != OK) return bad(r, "%s", e.msg);
    return OK;
}

/* --- load --- */

/* [sign] digits unit from the start of *s. */
static errc signed_duration(struct reader *r, str *s, int64_t *ms)
{
    bool negative = s->n && s->p[0] == '-';
    size_t n = 0;
    if (s->n && (s->p[0] == '-' || s->p[0] == '+')) *s = str_from(*s, 1);
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') n++;
    while (n < s->n && (s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z' && s->p[n] != 'x') n++;
    TRY(duration(r, str_slice(*s, 0, n), "start timestamp", ms));
    if (negative) *ms = -*ms;
    *s = str_from(*s, n);
    return OK;
}

typedef VEC(struct script_start) starts;

static errc push_starts(
    struct reader *r, starts *out, struct script_start v, int64_t step_ms, uint64_t n)
{
    enum { STARTS_MAX = 1 << 20 };
    if (n > STARTS_MAX) return bad(r, "more than %d start timestamps in one item", STARTS_MAX);
    for (uint64_t i = 0; i < n; i++, v.offset_ms += step_ms) avec_push(r->a, out, v);
    return OK;
}

/* _, _xN, D, DxN, D+ExN, D-ExN */
static errc start_item(struct reader *r, starts *out, str item)
{
    struct script_start v = { 0 };
    int64_t step = 0;
    uint64_t n = 1;
    str s = item;
    v.omitted = s.n && s.p[0] == '_';
    if (v.omitted) s = str_from(s, 1);
    else TRY(signed_duration(r, &s, &v.offset_ms));
    bool stepped = !v.omitted && s.n && (s.p[0] == '+' || s.p[0] == '-');
    if (stepped) TRY(signed_duration(r, &s, &step));
    if (s.n || stepped) {
        if (s.n == 0 || s.p[0] != 'x' || !str_u64(str_from(s, 1), &n))
            return bad(r, "invalid ST item \"%.*s\"", STR_ARG(item));
        if (!v.omitted) n++;
    }
    return push_starts(r, out, v, step, n);
}

static bool is_start_line(str line)
{
    str rest, w = word_of(line, &rest);
    return rest.n && str_has_suffix(w, S("@st"));
}

static errc start_line(struct reader *r, str line, struct series_description *metric, starts *out)
{
    str items, w = word_of(line, &items);
    str dummy = arena_fmt(r->a, "%.*s _", STR_ARG(str_slice(w, 0, w.n - 3)));
    TRY(series(r, dummy, metric));
    while (items.n) TRY(start_item(r, out, word_of(items, &items)));
    return OK;
}

typedef VEC(struct script_series) series_list;

/* A series that comes twice: the last line counts. */
static void load_put(struct reader *r, series_list *all, struct script_series s)
{
    for (size_t i = 0; i < all->n; i++) {
        if (!labels_eq(all->at[i].d.labels, s.d.labels)) continue;
        all->at[i] = s;
        return;
    }
    avec_push(r->a, all, s);
}

static errc load_lines(struct reader *r, series_list *all)
{
    struct series_description owner = { 0 };
    starts st = { 0 };
    bool pending = false;
    for (; r->at + 1 < r->lines.n && r->lines.at[r->at + 1].n; ) {
        str line = r->lines.at[++r->at];
        if (is_start_line(line)) {
            if (pending) return bad(r, "@st line has no following sample line");
            st = (starts){ 0 };
            TRY(start_line(r, line, &owner, &st));
            pending = true;
            continue;
        }
        struct script_series s = { 0 };
        TRY(series(r, line, &s.d));
        if (pending && !labels_eq(s.d.labels, owner.labels))
            return bad(r, "@st metric does not match the following sample line metric");
        if (pending && st.n != s.d.n)
            return bad(r, "@st line has %zu values but sample line has %zu", st.n, s.d.n);
        if (pending) s.st = st.at;
        load_put(r, all, s);
        pending = false;
    }
    return pending ? bad(r, "@st line has no following sample line") : OK;
}

static errc load(struct reader *r, str first, str rest)
{
    struct script_cmd c = { .kind = SCRIPT_LOAD, .line = r->at + 1 };
    c.load.nhcb = str_eq(first, S("load_with_nhcb"));
    if (!c.load.nhcb && !str_eq(first, S("load")))
        return bad(r, "invalid load command. (load[_with_nhcb] <step:duration>)");
    TRY(duration(r, rest, "step definition", &c.load.step_ms));
    series_list all = { 0 };
    TRY(load_lines(r, &all));
    c.load.at = all.at;
    c.load.n = all.n;
    avec_push(r->a, &r->cmds, c);
    return OK;
}

/* --- eval --- */

static errc time_range(struct reader *r, str from, str to, str step, struct script_eval *ev)
{
    TRY(duration(r, from, "start timestamp definition", &ev->start_ms));
    TRY(duration(r, to, "end timestamp definition", &ev->end_ms));
    if (ev->end_ms < ev->start_ms)
        return bad(r,
            "invalid test definition, end timestamp (%.*s) is before start timestamp (%.*s)",
            STR_ARG(to), STR_ARG(from));
    return duration(r, step, "step definition", &ev->step_ms);
}

/* Cuts s at the last such word that has words before and after it, more: at least two after it. Of
 * the blanks before it one is dropped: the others belong to what stands there. */
static bool cut_at_last(str s, str word, bool more, str *left, str *right)
{
    bool found = false;
    str rest = s;
    while (rest.n) {
        str at = rest, after, w = word_of(rest, &rest);
        (void)word_of(rest, &after);
        if (!str_eq(w, word) || at.p == s.p || rest.n == 0 || (more && after.n == 0)) continue;
        *left = str_slice(s, 0, (size_t)(at.p - s.p) - 1);
        *right = rest;
        found = true;
    }
    return found;
}

struct range_words { str from, to, step, expr; };

/* from T to T step D [EXPR]: the last words `step` and `to` that leave something for each. */
static bool range_words(str s, bool with_expr, struct range_words *out)
{
    str times;
    if (!take(&s, S("from")) || !cut_at_last(s, S("step"), with_expr, &times, &out->step) ||
        !cut_at_last(times, S("to"), false, &out->from, &out->to))
        return false;
    if (with_expr) out->step = word_of(out->step, &out->expr);
    return true;
}

/* What comes after the word `eval…`. */
static errc eval_times(struct reader *r, str rest, struct script_eval *ev)
{
    ev->range = take(&rest, S("range"));
    if (ev->range) {
        struct range_words w;
        if (ev->ordered || !range_words(rest, true, &w))
            return bad(r, "invalid evaluation command");
        ev->expr = w.expr;
        return time_range(r, w.from, w.to, w.step, ev);
    }
    if (!take(&rest, S("instant")) || !take(&rest, S("at")))
        return bad(r, "invalid evaluation command");
    TRY(duration(r, word_of(rest, &ev->expr), "timestamp definition", &ev->end_ms));
    ev->start_ms = ev->end_ms;
    return OK;
}

/* eval[_mod] instant at T EXPR, eval[_mod] range from T to T step D EXPR */
static errc eval_line(struct reader *r, str first, str rest, struct script_eval *ev)
{
    str mod = str_from(first, 4);
    ev->fail = str_eq(mod, S("_fail"));
    ev->any_warn = str_eq(mod, S("_warn"));
    ev->any_info = str_eq(mod, S("_info"));
    ev->ordered = str_eq(mod, S("_ordered"));
    bool known = mod.n == 0 || ev->fail || ev->any_warn || ev->any_info || ev->ordered;
    if (!known || !str_has_prefix(first, S("eval"))) return bad(r, "invalid evaluation command");
    TRY(eval_times(r, rest, ev));
    struct err e = { 0 };
    if (promql_parse(&ev->tree, ev->expr, &script_parse_opts, r->a, NULL, &e) != OK)
        return bad(r, "%s", e.msg);
    return OK;
}

typedef VEC(struct script_text) texts;
typedef VEC(struct script_expected) expectations;

static errc regex_text(struct reader *r, struct script_text *t)
{
    struct err e = { 0 };
    /* matching is anchored; this searches */
    str pattern = arena_fmt(r->a, "(?s:.*)(?:%.*s)(?s:.*)", STR_ARG(t->words));
    if (regex_new(&t->re, pattern, &e) != OK)
        return bad(r, "invalid regex %.*s: %s", STR_ARG(t->words), e.msg);
    return OK;
}

/* expect KIND [msg: TEXT | regex: PATTERN] */
static errc expect_line(struct reader *r, str line, texts *out)
{
    static const struct { const char *word; enum script_expect kind;
    } kinds[] = {
        { "ordered", EXPECT_ORDERED },
        { "fail", EXPECT_FAIL },
        { "warn", EXPECT_WARN },
        { "no_warn", EXPECT_NO_WARN },
        { "info", EXPECT_INFO },
        { "no_info", EXPECT_NO_INFO },
    };
    struct script_text t = { 0 };
    str rest, kind;
    word_of(line, &rest);
    kind = word_of(rest, &rest);
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && !str_eq(kind, str_z(kinds[i].word))) i++;
    if (i == ARRAY_LEN(kinds))
        return bad(r,
            "invalid expect statement, must match `expect <type> <match_type>: <string>` format");
    t.kind = kinds[i].kind;
    t.any = rest.n == 0;
    bool msg = str_has_prefix(rest, S("msg:")), re = str_has_prefix(rest, S("regex:"));
    size_t key = msg ? 4 : 6;
    if (!t.any && ((!msg && !re) || rest.n == key))
        return bad(r,
            "invalid expect statement, must match `expect <type> <match_type>: <string>` format");
    if (!t.any) t.words = str_trim(str_from(rest, key));
    if (re) TRY(regex_text(r, &t));
    avec_push(r->a, out, t);
    return OK;
}

static errc expect_lines_check(struct reader *r, const texts *all)
{
    size_t n[EXPECT_NO_INFO + 1] = { 0 };
    for (size_t i = 0; i < all->n; i++) n[all->at[i].kind]++;
    if (n[EXPECT_INFO] && n[EXPECT_NO_INFO])
        return bad(r, "invalid expect lines, info and no_info cannot be used together");
    if (n[EXPECT_WARN] && n[EXPECT_NO_WARN])
        return bad(r, "invalid expect lines, warn and no_warn cannot be used together");
    if (n[EXPECT_FAIL] > 1)
        return bad(r, "invalid expect lines, multiple expect fail lines are not allowed");
    return OK;
}

/* A Go string literal is one of PromQL's, but for single quotes, which hold one character. */
static bool go_string(struct reader *r, str quoted, str *out)
{
    struct expr *literal = NULL;
    if (promql_parse(&literal, quoted, &script_parse_opts, r->a, NULL, NULL) != OK) return false;
    struct pos at = literal->pos;
    bool is = literal->kind == EXPR_STRING && at.start == 0 && at.end == quoted.n;
    if (is) *out = literal->string;
    promql_tree_fini(literal);
    return is && (quoted.p[0] != '\'' || utf8_count(*out) == 1);
}

static errc expect_string(struct reader *r, str line, struct script_eval *ev)
{
    str prefix = S("expect string ");
    if (str_eq(line, str_trim(prefix)))
        return bad(r, "expected string literal not valid - a quoted string literal is required");
    if (!str_has_prefix(line, prefix) || !go_string(r, str_from(line, prefix.n), &ev->text))
        return bad(
            r, "expected string literal not valid - check that the string is correctly quoted");
    ev->instant_only = true;
    return OK;
}

/* As Go's strconv reads integers of any base, and floats. */
static bool number_line(str line, double *out)
{
    bool negative = line.n && line.p[0] == '-', sign = negative || (line.n && line.p[0] == '+');
    int64_t whole;
    if (!promql_parse_integer(str_from(line, sign), &whole)) return f64_parse(line, out);
    *out = negative ? -(double)whole : (double)whole;
    return true;
}

static void expect_put(struct reader *r, expectations *all, struct script_expected x)
{
    for (size_t i = 0; i < all->n; i++) {
        if (!labels_eq(all->at[i].d.labels, x.d.labels)) continue;
        all->at[i] = x;
        return;
    }
    avec_push(r->a, all, x);
}

static errc failure_line(struct reader *r, str line, texts *out, bool *taken)
{
    struct script_text t = { .kind = EXPECT_FAIL };
    str message = S("expected_fail_message"), regexp = S("expected_fail_regexp");
    bool re = str_has_prefix(line, regexp);
    *taken = re || str_has_prefix(line, message);
    if (!*taken) return OK;
    t.words = str_trim(str_from(line, re ? regexp.n : message.n));
    if (re) TRY(regex_text(r, &t));
    avec_push(r->a, out, t);
    return OK;
}

/* One line of an eval's block; *last: the block ends with it. */
static errc eval_block_line(struct reader *r, str line, struct script_eval *ev, texts *t,
    expectations *x, size_t *pos, bool *last)
{
    if (ev->fail) {
        TRY(failure_line(r, line, t, last));
        if (*last) return OK;
    }
    if (str_has_prefix(line, S("expect range vector"))) {
        struct range_words w;
        if (!range_words(str_trim(str_from(line, sizeof("expect range vector") - 1)), false, &w))
            return bad(r, "invalid range vector definition \"%.*s\"", STR_ARG(line));
        TRY(time_range(r, w.from, w.to, w.step, ev));
        ev->instant_only = true;
        ++*pos;
        return OK;
    }
    if (str_has_prefix(line, S("expect string"))) {
        ++*pos;
        return expect_string(r, line, ev);
    }
    if (str_eq(line, S("expect")) || str_has_prefix(line, S("expect "))) {
        TRY(expect_line(r, line, t));
        return expect_lines_check(r, t);
    }
    ev->scalar = number_line(line, &ev->scalar_value);
    *last = ev->scalar;
    if (ev->scalar) return OK;
    struct script_expected s = { .pos = (*pos)++ };
    TRY(series(r, line, &s.d));
    if (s.d.n > 1 && !ev->range && !ev->instant_only)
        return bad(r, "expecting multiple values in instant evaluation not allowed. consider using "
                      "'expect range vector' directive "
                      "to enable a range vector result for an instant query");
    expect_put(r, x, s);
    return OK;
}

static errc eval(struct reader *r, str first, str rest)
{
    struct script_cmd c = { .kind = SCRIPT_EVAL, .line = r->at + 1 };
    struct script_eval *ev = &c.eval;
    texts t = { 0 };
    expectations x = { 0 };
    size_t pos = 1;
    TRY(eval_line(r, first, rest, ev));
    errc rc = OK;
    for (bool last = false;
         rc == OK && !last && r->at + 1 < r->lines.n && r->lines.at[r->at + 1].n;) {
        str line = r->lines.at[++r->at];
        rc = eval_block_line(r, line, ev, &t, &x, &pos, &last);
    }
    ev->texts = t.at;
    ev->n_texts = t.n;
    ev->series = x.at;
    ev->n_series = x.n;
    for (size_t i = 0; i < t.n; i++) {
        ev->ordered |= t.at[i].kind == EXPECT_ORDERED;
        ev->fail |= t.at[i].kind == EXPECT_FAIL;
    }
    /* also after an error: the script owns its tree and regexes */
    avec_push(r->a, &r->cmds, c);
    return rc;
}

/* --- lines --- */

static void split_lines(struct reader *r, str text)
{
    for (bool more = true; more;) {
        str line;
        more = str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        if (line.n && line.p[0] == '#') line = STR_EMPTY;
        avec_push(r->a, &r->lines, line);
    }
}

static errc command(struct reader *r, str line)
{
    char lower[16];
    str rest, first = word_of(line, &rest), word;
    size_t n = MIN(first.n, sizeof(lower));
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)(first.p[i] >= 'A' && first.p[i] <= 'Z' ? first.p[i] | 0x20 : first.p[i]);
    word = str_of(lower, n);
    if (first.n == 5 && str_eq(word, S("clear"))) {
        struct script_cmd c = { .kind = SCRIPT_CLEAR, .line = r->at + 1 };
        avec_push(r->a, &r->cmds, c);
        return OK;
    }
    if (str_has_prefix(word, S("load"))) return load(r, first, rest);
    if (str_has_prefix(word, S("eval"))) return eval(r, first, rest);
    return bad(r, "invalid command \"%.*s\"", STR_ARG(line));
}

errc script_parse(struct script *out, str text, struct err *e)
{
    struct script s = { 0 };
    struct reader r = { .a = &s.a, .e = e };
    split_lines(&r, arena_str(&s.a, text));
    errc rc = OK;
    for (; rc == OK && r.at < r.lines.n; r.at++)
        if (r.lines.at[r.at].n) rc = command(&r, r.lines.at[r.at]);
    s.at = r.cmds.at;
    s.n = r.cmds.n;
    if (rc != OK) script_fini(&s);
    else *out = s;
    return rc;
}

void script_fini(struct script *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->at[i].kind != SCRIPT_EVAL) continue;
        promql_tree_fini(s->at[i].eval.tree);
        for (size_t j = 0; j < s->at[i].eval.n_texts; j++) regex_free(s->at[i].eval.texts[j].re);
    }
    s->n = 0;
    arena_fini(&s->a);
}

bool script_text_matches(const struct script_text *t, str s)
{
    if (t->any) return true;
    return t->re ? regex_match(t->re, s) : str_eq(t->words, s);
}
