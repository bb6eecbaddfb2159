/* parse.c — the driver: tokens, tables, a stack.
 *
 * PromQL is parsed by an LALR(1) automaton whose tables are made of promql.grammar at build time,
 * because what users see of a syntax error (its words, its position, whether a second one follows)
 * is decided by the automaton's states: which reductions are done before the error is found, and
 * which state on the stack can go on with `error`. A stack of states instead of the machine's also
 * means that no text, however nested, costs stack.
 *
 * Recovery is yacc's: at an error the stack is cut back to a state that can shift `error`; then
 * tokens are dropped until one fits.
 * Three tokens have to be shifted before another error is one of its own.
 *
 *     shift ──► push state ──► reduce ──► action(production), pop, push goto
 *       └── no action ──► recover: pop to a state with `error`  ──► or give up, when there is none
 *       or the text has ended */
#include "promql/parse_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/f64.h"
#include "base/utf8.h"
#include "model/duration.h"
#include "promql/deep.h"

void parser_error_str(struct parser *p, struct pos pos, str words)
{
    struct parse_error pe = { pos, arena_str(p->a, words) };
    avec_push(p->a, &p->errors, pe);
}

void parser_error(struct parser *p, struct pos pos, const char *fmt, ...)
{
    struct buf b = { 0 };
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&b, fmt, ap);
    va_end(ap);
    parser_error_str(p, pos, buf_view(&b));
    buf_fini(&b);
}

void parser_unexpected(struct parser *p, str context, str expected)
{
    if (p->item.typ == TOK_ERROR) return;                      /* the lexer has said it */
    str what = item_desc(&p->item, p->a);
    parser_error(p, item_pos(&p->item), "unexpected %.*s%s%.*s%s%.*s", STR_ARG(what),
        context.n ? " in " : "", STR_ARG(context), expected.n ? ", expected " : "",
        STR_ARG(expected));
}

str parser_quote(struct parser *p, str s)
{
    struct buf b = { 0 };
    buf_go_quote(&b, s);
    str q = arena_str(p->a, buf_view(&b));
    buf_fini(&b);
    return q;
}

struct expr *parser_node(struct parser *p, enum expr_kind kind, struct pos pos,
    const struct expr *below, const struct expr *beside)
{
    struct expr *e = ANEW(p->a, struct expr);
    e->kind = kind;
    e->pos = pos;
    uint32_t a = below ? below->depth : 0, b = beside ? beside->depth : 0;
    e->depth = MAX(a, b) + 1;
    if (e->depth > EXPR_DEPTH_MAX && !p->too_deep) {
        p->too_deep = true;
        parser_error(p, pos, "expression is nested more than %d levels deep", EXPR_DEPTH_MAX);
    }
    return e;
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* Of a hexadecimal digit; 99: it is none. */
static uint32_t digit_value(uint8_t c)
{
    if (is_digit(c)) return (uint32_t)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : 99;
}

/* One escape after the backslash, appended to b; its length, 0: wrong. The lexer lets only right
 * ones through, but for \' in "…". */
static size_t unquote_escape(struct buf *b, str s, uint8_t quote)
{
    static const char names[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    if (s.n == 0) return 0;
    const char *named = s.p[0] ? strchr(names, s.p[0]) : NULL;
    if (named) {
        buf_u8(b, (uint8_t)values[named - names]);
        return 1;
    }
    if (s.p[0] == quote) {
        buf_u8(b, quote);
        return 1;
    }
    bool octal = s.p[0] >= '0' && s.p[0] <= '7';
    size_t digits = octal           ? 3
                    : s.p[0] == 'x' ? 2
                    : s.p[0] == 'u' ? 4
                    : s.p[0] == 'U' ? 8
                                    : 0,
           from = octal ? 0 : 1;
    if (digits == 0 || s.n < from + digits) return 0;
    uint32_t v = 0;
    for (size_t i = from; i < from + digits; i++) {
        uint32_t d = digit_value(s.p[i]);
        if (d >= (octal ? 8u : 16u)) return 0;
        v = v * (octal ? 8 : 16) + d;
    }
    if (v > (digits < 4 ? 255u : 0x10FFFFu)) return 0;
    if (digits < 4) buf_u8(b, (uint8_t)v);
    else buf_rune(b, v);
    return from + digits;
}

static bool unquote(struct parser *p, str s, str *out)
{
    if (s.n < 2 || s.p[0] != s.p[s.n - 1]) return false;
    uint8_t quote = s.p[0];
    s = str_slice(s, 1, s.n - 1);
    if (quote == '`' || (str_index(s, '\\') == SIZE_MAX && str_index(s, quote) == SIZE_MAX)) {
        *out = s;
        return quote == '`' ? str_index(s, '`') == SIZE_MAX : str_index(s, '\n') == SIZE_MAX;
    }
    if (str_index(s, '\n') != SIZE_MAX) return false;
    struct buf b = { 0 };
    bool ok = true;
    for (size_t i = 0; ok && i < s.n;) {
        if (s.p[i] == '\\') {
            size_t n = unquote_escape(&b, str_from(s, i + 1), quote);
            ok = n > 0;
            i += n + 1;
        } else {
            ok = s.p[i] != quote;
            buf_u8(&b, s.p[i++]);
        }
    }
    if (ok) *out = arena_str(p->a, buf_view(&b));
    buf_fini(&b);
    return ok;
}

str parser_unquote(struct parser *p, str quoted)
{
    str out = STR_EMPTY;
    if (!unquote(p, quoted, &out)) {
        str q = parser_quote(p, quoted);
        parser_error(
            p, item_pos(&p->item), "error unquoting string %.*s: invalid syntax", STR_ARG(q));
    }
    return out;
}

bool promql_parse_integer(str s, int64_t *out)
{
    uint64_t base = 10, v = 0;
    /* the last was one (or the prefix); there was any */
    bool digit = false, digits = false;
    size_t i = 0;
    if (s.n > 1 && s.p[0] == '0') {
        uint8_t c = s.p[1] | 0x20;
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        i = c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
        digit = true;
        digits = i == 1;
    }
    for (; i < s.n; i++) {
        if (s.p[i] == '_') {
            if (!digit) return false;
            digit = false;
            continue;
        }
        uint64_t d = digit_value(s.p[i]);
        if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
            return false;
        digit = digits = true;
    }
    if (!digits || !digit || v > INT64_MAX) return false;
    *out = (int64_t)v;
    return true;
}

/* digits[.digits][e[sign]digits]: then a failure to parse it means that it is out of range. */
static bool is_decimal(str s)
{
    size_t i = 0, digits = 0;
    for (; i < s.n && is_digit(s.p[i]); i++) digits++;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && is_digit(s.p[i]); i++) digits++;
    if (digits == 0) return false;
    if (i < s.n && (s.p[i] | 0x20) == 'e') {
        if (++i < s.n && (s.p[i] == '+' || s.p[i] == '-')) i++;
        size_t from = i;
        while (i < s.n && is_digit(s.p[i])) i++;
        if (i == from) return false;
    }
    return i == s.n;
}

/* Without underscores, if each stands between digits. */
static str drop_underscores(struct parser *p, str s)
{
    if (str_index(s, '_') == SIZE_MAX) return s;
    uint8_t *at = arena_alloc(p->a, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_') {
            at[n++] = s.p[i];
            continue;
        }
        if (i == 0 || i + 1 == s.n || !is_digit(s.p[i - 1]) || !is_digit(s.p[i + 1])) return s;
    }
    return str_of(at, n);
}

double parser_number(struct parser *p, str text)
{
    int64_t n;
    if (promql_parse_integer(text, &n)) return (double)n;
    double f = 0;
    str plain = drop_underscores(p, text);
    if (f64_parse(plain, &f)) return f;
    str q = parser_quote(p, text);
    bool range = is_decimal(plain);
    parser_error(p, item_pos(&p->item),
        "error parsing number: strconv.ParseFloat: parsing %.*s: %s", STR_ARG(q),
        range ? "value out of range" : "invalid syntax");
    return range ? (double)INFINITY : 0;
}

double parser_duration_s(struct parser *p, const struct item *it)
{
    int64_t ms = 0;
    SCOPED(buf_fini) struct buf words = { 0 };
    if (duration_parse_words(it->val, &ms, &words) != OK) {
        parser_error_str(p, item_pos(it), buf_view(&words));
        return 0;
    }
    return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

/* The next token; 0 is the end, also after an error of the lexer. */
static enum token parser_lex(struct parser *p)
{
    if (p->inject != TOK_UNKNOWN) {
        enum token t = p->inject;
        p->inject = TOK_UNKNOWN;
        return t;
    }
    if (p->injected_end) return TOK_END_OF_TOKENS;
    do lex_next(&p->lex, &p->item);
    while (p->item.typ == TOK_COMMENT);
    switch (p->item.typ) {
    case TOK_ERROR:
        parser_error_str(
            p, (struct pos){ p->lex.start, (uint32_t)p->lex.in.n }, p->item.val);
        return TOK_END_OF_TOKENS;
    case TOK_EOF:
        p->injected_end = true;
        break;
    case TOK_RIGHT_BRACE:
    case TOK_RIGHT_PAREN:
    case TOK_RIGHT_BRACKET:
    case TOK_DURATION:
    case TOK_NUMBER: p->last_closing = item_end(&p->item); break;
    default: break;
    }
    return p->item.typ;
}

/* States and values of the symbols on the stack; the first state stands below the first symbol. */
struct machine {
    VEC(int16_t) states;
    VEC(struct sem) values;
    int token;                             /* that was read and not yet shifted, or NO_TOKEN */
    /* shifts until the next error counts as one of its own */
    int recovering;
};
enum { NO_TOKEN = -1, RECOVERY_SHIFTS = 3 };

static void machine_push(struct machine *m, int state, const struct sem *v)
{
    vec_push(&m->states, (int16_t)state);
    vec_push(&m->values, *v);
}

static void machine_reduce(struct parser *p, struct machine *m, int rule)
{
    const struct grammar_rule *r = &grammar_rules[rule];
    size_t n = r->length;
    assert(n <= m->values.n);
    const struct sem *v = m->values.at + (m->values.n - n);
    struct sem out = { 0 };
    if (r->action == ACT_SECOND) {
        out = v[1];
    } else {
        if (n) out = v[0];
        if (r->action != ACT_NONE) parse_action(p, r->action, &out, v);
    }
    m->states.n -= n;
    m->values.n -= n;
    int to = grammar_goto_row[vec_last(&m->states)][r->lhs];
    assert(to > 0);
    machine_push(m, to, &out);
}

/* False: nothing can be done. */
static bool machine_recover(struct machine *m)
{
    if (m->recovering == RECOVERY_SHIFTS) {
        if (m->token == TOK_END_OF_TOKENS) return false;
        m->token = NO_TOKEN;
        return true;
    }
    m->recovering = RECOVERY_SHIFTS;
    for (; m->states.n > 0; m->states.n--) {
        int to = grammar_action_row[vec_last(&m->states)][TOK_ERROR_SYMBOL];
        m->values.n = m->states.n - 1;
        if (to > 0 && to < GRAMMAR_FAIL) {
            struct sem none = { 0 };
            machine_push(m, to, &none);
            return true;
        }
    }
    return false;
}

static void machine_run(struct parser *p, struct machine *m)
{
    vec_push(&m->states, 0);
    for (;;) {
        int state = vec_last(&m->states), act = 0;
        if (!grammar_blind[state]) {
            if (m->token == NO_TOKEN) m->token = (int)parser_lex(p);
            act = grammar_action_row[state][m->token];
        }
        if (act == GRAMMAR_ACCEPT) return;
        if (act > 0 && act < GRAMMAR_FAIL) {
            struct sem v = { .item = p->item };
            machine_push(m, act, &v);
            m->token = NO_TOKEN;
            if (m->recovering) m->recovering--;
            continue;
        }
        if (act == 0) act = grammar_default[state];
        if (act < 0) machine_reduce(p, m, -act);
        else if (!machine_recover(m)) return;
    }
}

static void parser_run(
    struct parser *p, str text, enum token first, const struct parse_opts *o, struct arena *a)
{
    *p = (struct parser){ .inject = first, .opts = o, .a = a };
    lex_init(&p->lex, text, first == TOK_BEGIN_SERIES, a);
    struct machine m = { .token = NO_TOKEN };
    vec_reserve(&m.states, 64);
    vec_reserve(&m.values, 64);
    machine_run(p, &m);
    vec_fini(&m.states);
    vec_fini(&m.values);
}

/* What the caller gets; a failed parse keeps no regex. */
static errc parser_end(struct parser *p, str text, str *why)
{
    if (p->errors.n == 0) return OK;
    for (size_t i = 0; i < p->regexes.n; i++) regex_free(p->regexes.at[i]);
    *why = parse_error_text(&p->errors.at[0], text, p->a);
    return ERR_BAD_INPUT;
}

static void parser_check(void *ctx)
{
    struct parser *p = ctx;
    parse_check(p, p->result);
}

errc promql_parse(struct expr **out, str query, const struct parse_opts *o, struct arena *a,
    struct parse_errors *errors, struct err *e)
{
    struct parser p;
    parser_run(&p, query, TOK_BEGIN_EXPRESSION, o, a);
    if (p.errors.n == 0 && p.result) {
        struct err why = { 0 };
        if (deep_run(p.result, parser_check, &p, &why) != OK)
            parser_error_str(&p, p.result->pos, err_str(&why));
    }
    if (errors) *errors = (struct parse_errors){ p.errors.at, p.errors.n };
    str words;
    errc rc = parser_end(&p, query, &words);
    if (rc != OK) return err_set_str(e, rc, words);
    *out = p.result;
    return OK;
}

errc promql_parse_selector(
    struct matchers *out, str query, const struct parse_opts *o, struct arena *a, str *why)
{
    struct parser p;
    str words;
    parser_run(&p, query, TOK_BEGIN_SELECTOR, o, a);
    TRY(parser_end(&p, query, why ? why : &words));
    *out = p.result ? p.result->vector.matchers : (struct matchers){ 0 };
    return OK;
}

errc promql_parse_series(struct series_description *out, str line, struct arena *a, struct err *e)
{
    static const struct parse_opts all = { true, true, true, true };
    struct parser p;
    str words;
    parser_run(&p, line, TOK_BEGIN_SERIES, &all, a);
    errc rc = parser_end(&p, line, &words);
    if (rc != OK) return err_set_str(e, rc, words);
    *out = p.series;
    return OK;
}

static void node_fini(void *ctx UNUSED, struct expr *e)
{
    if (e->kind != EXPR_VECTOR) return;
    for (size_t i = 0; i < e->vector.matchers.n; i++) regex_free(e->vector.matchers.at[i].re);
    e->vector.matchers.n = 0;
}

void promql_tree_fini(struct expr *e)
{
    if (e) expr_each(e, node_fini, NULL);
}

void promql_matchers_fini(struct matchers ms)
{
    for (size_t i = 0; i < ms.n; i++) regex_free(ms.at[i].re);
}

static void buf_position(struct buf *b, uint32_t start, str query)
{
    if (query.n == 0 || start > query.n) {
        buf_str(b, query.n == 0 ? S("unknown position") : S("invalid position"));
        return;
    }
    size_t line = 1, column = start + 1;
    for (size_t i = 0; i < start; i++) {
        if (query.p[i] != '\n') continue;
        line++;
        column = start - i;
    }
    buf_fmt(b, "%zu:%zu", line, column);
}

str parse_error_text(const struct parse_error *pe, str query, struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_position(&b, pe->pos.start, query);
    buf_str(&b, S(": parse error: "));
    buf_str(&b, pe->message);
    return arena_str(a, buf_view(&b));
}
