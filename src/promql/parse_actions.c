/* parse_actions.c — what the productions of expressions do.
 *
 * An action builds a node of its symbols' values. Where an `error` was shifted it says what was
 * unexpected, in which context, and gives a value that the parse can go on with. Checks that need
 * only the node's own parts are made here, with the words and positions that Prometheus gives them;
 * types are checked when the whole tree stands (check.c). */
#include "promql/parse_int.h"

#include <math.h>

#include "base/utf8.h"
#include "promql/functions.h"

static struct pos pos_merge(struct pos first, struct pos last)
{
    return (struct pos){ first.start, last.end };
}
static bool is_negative(const struct sem *sign) { return sign->item.typ == TOK_SUB; }

static enum promql_op op_of_token(enum token t)
{
    switch (t) {
    case TOK_ADD: return OP_ADD;
    case TOK_SUB: return OP_SUB;
    case TOK_MUL: return OP_MUL;
    case TOK_DIV: return OP_DIV;
    case TOK_MOD: return OP_MOD;
    case TOK_POW: return OP_POW;
    case TOK_ATAN2: return OP_ATAN2;
    case TOK_EQLC: return OP_EQL;
    case TOK_NEQ: return OP_NEQ;
    case TOK_LSS: return OP_LSS;
    case TOK_LTE: return OP_LTE;
    case TOK_GTR: return OP_GTR;
    case TOK_GTE: return OP_GTE;
    case TOK_LAND: return OP_AND;
    case TOK_LOR: return OP_OR;
    case TOK_LUNLESS: return OP_UNLESS;
    case TOK_TRIM_UPPER: return OP_TRIM_UPPER;
    case TOK_TRIM_LOWER: return OP_TRIM_LOWER;
    case TOK_SUM: return OP_SUM;
    case TOK_AVG: return OP_AVG;
    case TOK_COUNT: return OP_COUNT;
    case TOK_MIN: return OP_MIN;
    case TOK_MAX: return OP_MAX;
    case TOK_GROUP: return OP_GROUP;
    case TOK_STDDEV: return OP_STDDEV;
    case TOK_STDVAR: return OP_STDVAR;
    case TOK_TOPK: return OP_TOPK;
    case TOK_BOTTOMK: return OP_BOTTOMK;
    case TOK_COUNT_VALUES: return OP_COUNT_VALUES;
    case TOK_QUANTILE: return OP_QUANTILE;
    case TOK_LIMITK: return OP_LIMITK;
    case TOK_LIMIT_RATIO: return OP_LIMIT_RATIO;
    case TOK_START: return OP_START;
    case TOK_END: return OP_END;
    case TOK_STEP: return OP_STEP;
    case TOK_RANGE: return OP_RANGE;
    case TOK_MIN_OF: return OP_MIN_OF;
    case TOK_MAX_OF: return OP_MAX_OF;
    default: return OP_NONE;
    }
}

static struct expr *number_node(struct parser *p, double v, struct pos pos)
{
    struct expr *e = parser_node(p, EXPR_NUMBER, pos, NULL, NULL);
    e->number.val = v;
    return e;
}

/* --- aggregations --- */

/* The end of the aggregation's arguments, where the parser had to read one token further to see
 * that no modifier follows. */
static uint32_t previous_right_paren(const struct parser *p, uint32_t otherwise)
{
    str in = p->lex.in;
    uint32_t last = p->lex.last_pos;
    if (otherwise == 0 || otherwise > in.n || last == 0 || last >= in.n || in.p[last] != ')')
        return otherwise;
    for (uint32_t i = last - 1; i > 0; i--) {
        uint8_t c = in.p[i];
        if (c == ')') return i + 1;
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') break;
    }
    return otherwise;
}

static bool takes_param(enum promql_op op)
{
    return op == OP_TOPK || op == OP_BOTTOMK || op == OP_COUNT_VALUES || op == OP_QUANTILE ||
           op == OP_LIMITK || op == OP_LIMIT_RATIO;
}

static struct expr *aggregate(struct parser *p, const struct item *op,
    const struct aggregation_mod *mod, const struct expr_list *args, bool read_ahead)
{
    struct pos pos = { op->pos,
        read_ahead ? previous_right_paren(p, p->last_closing) : p->last_closing };
    size_t n = args ? args->v.n : 0, want = takes_param(op_of_token(op->typ)) ? 2 : 1;
    struct expr *e = parser_node(
        p, EXPR_AGGREGATE, pos, n > 0 ? args->v.at[n - 1] : NULL, n > 1 ? args->v.at[0] : NULL);
    e->aggregate.op = op_of_token(op->typ);
    if (mod) {
        e->aggregate.without = mod->without;
        if (mod->names) e->aggregate.grouping = (struct strs){ mod->names->v.at, mod->names->v.n };
    }
    if (n == 0) {
        parser_error(p, pos, "no arguments for aggregate expression provided");
        return e;
    }
    if ((e->aggregate.op == OP_LIMITK || e->aggregate.op == OP_LIMIT_RATIO) &&
        !p->opts->experimental_functions) {
        str name = promql_op_text(e->aggregate.op);
        parser_error(p, pos,
            "%.*s() is experimental and must be enabled with "
            "--enable-feature=promql-experimental-functions",
            STR_ARG(name));
        return e;
    }
    if (want == 2) e->aggregate.param = args->v.at[0];
    if (n != want) {
        parser_error(p, pos,
            "wrong number of arguments for aggregate expression provided, expected %zu, got %zu",
            want, n);
        return e;
    }
    e->aggregate.expr = args->v.at[want - 1];
    return e;
}

static struct aggregation_mod *aggregation_mod(
    struct parser *p, struct name_list *names, bool without)
{
    struct aggregation_mod *m = ANEW(p->a, struct aggregation_mod);
    *m = (struct aggregation_mod){ names, without };
    return m;
}

/* --- binary operators and their modifiers --- */

static struct expr *binary(struct parser *p, const struct sem *v)
{
    struct expr *l = v[0].e, *r = v[3].e;
    struct matching_mod *mod = v[2].matching;
    struct expr *e = parser_node(p, EXPR_BINARY, pos_merge(l->pos, r->pos), l, r);
    e->binary.op = op_of_token(v[1].item.typ);
    e->binary.lhs = l;
    e->binary.rhs = r;
    e->binary.matching = &mod->m;
    e->binary.return_bool = mod->return_bool;
    e->binary.scalar = expr_type(l) == VALUE_SCALAR && expr_type(r) == VALUE_SCALAR;
    if (!p->opts->binop_fill_modifiers && (mod->m.fill_lhs || mod->m.fill_rhs))
        parser_error(p, e->pos, "binop fill modifiers are experimental and not enabled");
    return e;
}

static struct matching_mod *matching_new(struct parser *p, bool return_bool)
{
    struct matching_mod *m = ANEW(p->a, struct matching_mod);
    m->return_bool = return_bool;
    return m;
}

static struct strs strs_of(const struct name_list *names)
{
    return names ? (struct strs){ names->v.at, names->v.n } : (struct strs){ 0 };
}

static void matching_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    struct vector_matching *m = out->matching ? &out->matching->m : NULL;
    switch (act) {
    case ACT_MATCHING: out->matching = matching_new(p, false); break;
    case ACT_MATCHING_BOOL: out->matching = matching_new(p, true); break;
    case ACT_MATCHING_IGNORING: m->labels = strs_of(v[2].names); break;
    case ACT_MATCHING_ON: m->labels = strs_of(v[2].names); m->on = true; break;
    case ACT_MATCHING_LEFT: m->include = strs_of(v[2].names); m->card = CARD_MANY_TO_ONE; break;
    case ACT_MATCHING_RIGHT: m->include = strs_of(v[2].names); m->card = CARD_ONE_TO_MANY; break;
    case ACT_FILL: m->fill_lhs = m->fill_rhs = &v[2].e->number.val; break;
    case ACT_FILL_LEFT: m->fill_lhs = &v[2].e->number.val; break;
    case ACT_FILL_RIGHT: m->fill_rhs = &v[2].e->number.val; break;
    case ACT_FILL_LEFT_RIGHT:
        m->fill_lhs = &v[2].e->number.val;
        m->fill_rhs = &v[4].e->number.val;
        break;
    case ACT_FILL_RIGHT_LEFT:
        m->fill_rhs = &v[2].e->number.val;
        m->fill_lhs = &v[4].e->number.val;
        break;
    case ACT_FILL_SIGNED:
        out->e = v[2].e;
        if (is_negative(&v[1])) out->e->number.val = -out->e->number.val;
        out->e->pos.start = v[1].item.pos;
        break;
    default: assert(!"a matching action");
    }
}

/* --- names --- */

static struct name_list *names_first(struct parser *p, str name)
{
    struct name_list *l = ANEW(p->a, struct name_list);
    avec_push(p->a, &l->v, name);
    return l;
}

/* A label of a grouping; quoted: the position moves past the quote. */
static void name_action(struct parser *p, struct sem *out, const struct sem *v, bool quoted)
{
    str name = quoted ? parser_unquote(p, v[0].item.val) : v[0].item.val;
    if (!label_name_valid_utf8(name)) {
        str q = parser_quote(p, name);
        parser_error(p, item_pos(&v[0].item), "invalid label name for grouping: %.*s", STR_ARG(q));
    }
    out->item.val = name;
    if (quoted) out->item.pos++;
}

static void names_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    switch (act) {
    case ACT_NAMES_EMPTY: out->names = ANEW(p->a, struct name_list); break;
    case ACT_NAMES_NONE: out->names = NULL; break;
    case ACT_NAMES_FIRST: out->names = names_first(p, v[0].item.val); break;
    case ACT_NAMES_MORE: avec_push(p->a, &out->names->v, v[2].item.val); break;
    case ACT_NAME_WORD: name_action(p, out, v, false); break;
    case ACT_NAME_STRING: name_action(p, out, v, true); break;
    default: assert(!"a names action");
    }
}

/* --- calls --- */

static struct expr *call(struct parser *p, const struct item *name, const struct expr_list *args)
{
    const struct function *f = function_find(name->val);
    str q = parser_quote(p, name->val);
    if (!f) parser_error(p, item_pos(name), "unknown function with name %.*s", STR_ARG(q));
    if (f && f->experimental && !p->opts->experimental_functions)
        parser_error(p, item_pos(name), "function %.*s is not enabled", STR_ARG(q));
    const struct expr *deepest = NULL;
    for (size_t i = 0; i < args->v.n; i++)
        if (!deepest || args->v.at[i]->depth > deepest->depth) deepest = args->v.at[i];
    struct expr *e =
        parser_node(p, EXPR_CALL, (struct pos){ name->pos, p->last_closing }, deepest, NULL);
    e->call.func = f;
    e->call.args = (struct exprs){ args->v.at, args->v.n };
    return e;
}

static void args_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    switch (act) {
    case ACT_ARGS_EMPTY: out->args = ANEW(p->a, struct expr_list); break;
    case ACT_ARGS_FIRST: {
        struct expr *first = v[0].e;
        out->args = ANEW(p->a, struct expr_list);
        avec_push(p->a, &out->args->v, first);
        break;
    }
    case ACT_ARGS_MORE: avec_push(p->a, &out->args->v, v[2].e); break;
    case ACT_ARGS_TRAILING_COMMA:
        parser_error(p, item_pos(&v[1].item), "trailing commas not allowed in function call args");
        break;
    default: assert(!"an arguments action");
    }
}

/* --- modifiers of selectors and subqueries --- */

/* The time of a selector or subquery; NULL with an error: e has none. */
static struct at_offset *time_of(struct parser *p, struct expr *e, const char *modifier)
{
    if (e->kind == EXPR_VECTOR) return &e->vector.at;
    if (e->kind == EXPR_SUBQUERY) return &e->subquery.at;
    if (e->kind == EXPR_MATRIX && e->matrix.selector->kind == EXPR_VECTOR)
        return &e->matrix.selector->vector.at;
    if (e->kind == EXPR_MATRIX) parser_error(p, e->pos, "ranges only allowed for vector selectors");
    else
        parser_error(p, e->pos,
            "%s modifier must be preceded by an instant vector selector or range vector selector "
            "or a subquery",
            modifier);
    return NULL;
}

static int64_t ns_of_s(double s)
{
    double ns = round(s * 1e9);
    return ns >= 0x1p63 ? INT64_MAX : ns < -0x1p63 || isnan(ns) ? INT64_MIN : (int64_t)ns;
}

static void set_offset(struct parser *p, struct expr *e, struct expr *by)
{
    struct at_offset *at = time_of(p, e, "offset");
    if (!at) return;
    if (at->original_offset_ns != 0 || at->offset_expr)
        parser_error(p, e->pos, "offset may not be set multiple times");
    else if (by->kind == EXPR_NUMBER) at->original_offset_ns = ns_of_s(by->number.val);
    else at->offset_expr = by;
    e->pos.end = p->last_closing;
}

static struct at_offset *time_to_set(struct parser *p, struct expr *e)
{
    struct at_offset *at = time_of(p, e, "@");
    if (!at) return NULL;
    if (at->timestamp_ms || at->start_or_end != OP_NONE) {
        parser_error(p, e->pos, "@ <timestamp> may not be set multiple times");
        return NULL;
    }
    e->pos.end = p->last_closing;
    return at;
}

static void set_timestamp(struct parser *p, struct expr *e, double s)
{
    struct pos before = e->pos;
    bool ok = isfinite(s) && s < 0x1p63 && s > -0x1p63;
    if (isnan(s)) parser_error(p, before, "timestamp out of bounds for @ modifier: NaN");
    else if (isinf(s))
        parser_error(p, before, "timestamp out of bounds for @ modifier: %cInf", s > 0 ? '+' : '-');
    else if (!ok) parser_error(p, before, "timestamp out of bounds for @ modifier: %f", s);
    struct at_offset *at = time_to_set(p, e);
    if (!at) return;
    int64_t *ms = ANEW(p->a, int64_t);
    double d = round(s * 1000);
    *ms = isnan(d) || d < -0x1p63 || d >= 0x1p63 ? INT64_MIN : (int64_t)d;
    at->timestamp_ms = ms;
}

static void set_extended(struct parser *p, struct expr *e, bool anchored)
{
    const char *name = anchored ? "anchored" : "smoothed";
    if (!p->opts->extended_range_selectors) {
        parser_error(p, e->pos, "%s modifier is experimental and not enabled", name);
        return;
    }
    struct expr *s = e->kind == EXPR_MATRIX ? e->matrix.selector : e;
    if (s->kind != EXPR_VECTOR) {
        if (e->kind == EXPR_SUBQUERY)
            parser_error(p, e->pos, "%s modifier is not supported for subqueries", name);
        else if (e->kind != EXPR_MATRIX)
            parser_error(p, e->pos, "%s modifier not implemented", name);
        return;
    }
    if (anchored) s->vector.anchored = true;
    else s->vector.smoothed = true;
    if (s->vector.anchored && s->vector.smoothed)
        parser_error(p, e->pos, "anchored and smoothed modifiers cannot be used together");
}

/* --- ranges and subqueries --- */

static void set_duration(int64_t *ns, struct expr **expr, struct expr *by)
{
    if (by->kind == EXPR_NUMBER) *ns = ns_of_s(by->number.val);
    else *expr = by;
}

static struct expr *matrix(struct parser *p, const struct sem *v)
{
    struct expr *s = v[0].e;
    const char *why = NULL;
    if (s->kind != EXPR_VECTOR) why = "ranges only allowed for vector selectors";
    else if (s->vector.at.original_offset_ns != 0 || s->vector.at.offset_expr)
        why = "no offset modifiers allowed before range";
    else if (s->vector.at.timestamp_ms || s->vector.at.start_or_end != OP_NONE)
        why = "no @ modifiers allowed before range";
    if (why) parser_error(p, pos_merge(item_pos(&v[1].item), item_pos(&v[3].item)), "%s", why);
    struct expr *e =
        parser_node(p, EXPR_MATRIX, (struct pos){ s->pos.start, p->last_closing }, s, v[2].e);
    e->matrix.selector = s;
    set_duration(&e->matrix.range_ns, &e->matrix.range_expr, v[2].e);
    return e;
}

static struct expr *subquery(
    struct parser *p, const struct sem *v, struct expr *step, const struct item *bracket)
{
    struct expr *below = v[0].e;
    if (step && step->depth > below->depth) below = step;
    struct expr *e = parser_node(
        p, EXPR_SUBQUERY, (struct pos){ v[0].e->pos.start, bracket->pos + 1 }, below, v[2].e);
    e->subquery.expr = v[0].e;
    set_duration(&e->subquery.range_ns, &e->subquery.range_expr, v[2].e);
    if (step) set_duration(&e->subquery.step_ns, &e->subquery.step_expr, step);
    return e;
}

static void positive(struct parser *p, struct sem *out)
{
    if (out->e->kind != EXPR_NUMBER || out->e->number.val > 0) return;
    if (isnan(out->e->number.val)) return;
    parser_error(p, out->e->pos, "duration must be greater than 0");
    out->e = number_node(p, 0, (struct pos){ 0 });
}

static void unary(struct parser *p, struct sem *out, const struct sem *v)
{
    struct expr *e = v[1].e;
    if (e->kind == EXPR_NUMBER) {
        if (is_negative(v)) e->number.val = -e->number.val;
        e->pos.start = v[0].item.pos;
        out->e = e;
        return;
    }
    out->e = parser_node(p, EXPR_UNARY, (struct pos){ v[0].item.pos, e->pos.end }, e, NULL);
    out->e->unary.op = op_of_token(v[0].item.typ);
    out->e->unary.expr = e;
}

/* --- selectors --- */

static const struct matcher *matcher_new(
    struct parser *p, enum match_type type, str name, str value, struct pos pos)
{
    struct matcher *m = ANEW(p->a, struct matcher);
    SCOPED(buf_fini) struct buf words = { 0 };
    if (matcher_init_words(m, p->a, type, name, value, &words) != OK) {
        parser_error_str(p, pos, buf_view(&words));
        return NULL;
    }
    if (m->re) avec_push(p->a, &p->regexes, m->re);
    return m;
}

static const struct matcher *matcher_of(struct parser *p, const struct sem *v)
{
    enum token op = v[1].item.typ;
    enum match_type type = op == TOK_EQL         ? MATCH_EQ
                           : op == TOK_NEQ       ? MATCH_NE
                           : op == TOK_EQL_REGEX ? MATCH_RE
                                                 : MATCH_NRE;
    str value = parser_unquote(p, v[2].item.val);
    return matcher_new(
        p, type, v[0].item.val, value, pos_merge(item_pos(&v[0].item), item_pos(&v[2].item)));
}

static void matcher_push(struct parser *p, struct matcher_list *l, const struct matcher *m)
{
    if (m) avec_push(p->a, &l->v, *m);
}

/* name: the one before the braces, as a matcher at the end. */
static struct expr *selector(struct parser *p, str name, struct matcher_list *l, struct pos pos)
{
    struct expr *e = parser_node(p, EXPR_VECTOR, pos, NULL, NULL);
    e->vector.name = name;
    if (name.n) {
        if (!l) l = ANEW(p->a, struct matcher_list);
        matcher_push(p, l, matcher_new(p, MATCH_EQ, METRIC_NAME, name, pos));
    }
    if (l) e->vector.matchers = (struct matchers){ l->v.at, l->v.n };
    return e;
}

static void selector_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    const struct item *it = &v[0].item;
    struct pos end = { 0 };
    switch (act) {
    case ACT_SELECTOR_NAME: out->e = selector(p, it->val, NULL, item_pos(it)); break;
    case ACT_SELECTOR_MATCHERS: out->e = selector(p, STR_EMPTY, v[0].matchers, item_pos(it)); break;
    case ACT_SELECTOR_NAME_MATCHERS:
        out->e = selector(p, it->val, v[1].matchers, pos_merge(item_pos(it), item_pos(&v[1].item)));
        break;
    case ACT_MATCHERS: case ACT_MATCHERS_COMMA: case ACT_MATCHERS_EMPTY:
        end = item_pos(&v[act == ACT_MATCHERS ? 2 : act == ACT_MATCHERS_COMMA ? 3 : 1].item);
        out->matchers = act == ACT_MATCHERS_EMPTY ? NULL : v[1].matchers;
        /* the item of braces is all from { to } */
        out->item.val = str_slice(p->lex.in, it->pos, end.end);
        break;
    case ACT_MATCHER_FIRST: {
        const struct matcher *m = v[0].matcher;
        out->matchers = ANEW(p->a, struct matcher_list);
        matcher_push(p, out->matchers, m);
        break;
    }
    case ACT_MATCHER_MORE: matcher_push(p, out->matchers, v[2].matcher); break;
    case ACT_MATCHER: out->matcher = matcher_of(p, v); break;
    case ACT_MATCHER_NAME:
        out->matcher = matcher_new(p, MATCH_EQ, METRIC_NAME, it->val, item_pos(it));
        break;
    default: assert(!"a selector action");
    }
}

/* --- durations --- */

static bool out_of_range(double s) { return s > 0x1p63 / 1e9 || s < -0x1p63 / 1e9; }

static struct expr *duration_node(
    struct parser *p, enum promql_op op, struct pos pos, struct expr *lhs, struct expr *rhs)
{
    struct expr *e = parser_node(p, EXPR_DURATION, pos, lhs, rhs);
    e->duration.op = op;
    e->duration.lhs = lhs;
    e->duration.rhs = rhs;
    return e;
}

static void experimental(struct parser *p, const struct expr *e)
{
    if (!p->opts->duration_expr)
        parser_error(p, e->pos, "experimental duration expression is not enabled");
}

/* In parentheses: a bare number is held by a unary plus, which prints as nothing. */
static struct expr *wrapped(struct parser *p, struct expr *e, struct pos pos)
{
    if (e->kind != EXPR_DURATION) {
        uint32_t end = e->pos.end;
        e = duration_node(p, OP_ADD, (struct pos){ pos.start, end }, NULL, e);
    }
    e->duration.wrapped = true;
    return e;
}

static struct expr *signed_duration(struct parser *p, const struct item *sign, struct expr *e)
{
    if (e->kind == EXPR_DURATION) {
        if (sign->typ != TOK_SUB) return e;
        return duration_node(p, OP_SUB, (struct pos){ sign->pos, e->pos.end }, NULL, e);
    }
    if (sign->typ == TOK_SUB) e->number.val = -e->number.val;
    if (out_of_range(e->number.val)) {
        parser_error(p, item_pos(sign), "duration out of range");
        return number_node(p, 0, (struct pos){ 0 });
    }
    e->pos.start = sign->pos;
    return e;
}

static struct expr *binary_duration(struct parser *p, const struct sem *v)
{
    struct expr *l = v[0].e, *r = v[2].e;
    enum promql_op op = op_of_token(v[1].item.typ);
    experimental(p, l);
    if ((op == OP_DIV || op == OP_MOD) && r->kind == EXPR_NUMBER && r->number.val == 0) {
        parser_error(p, item_pos(&v[1].item), op == OP_DIV ? "division by zero" : "modulo by zero");
        return number_node(p, 0, (struct pos){ 0 });
    }
    return duration_node(p, op, pos_merge(l->pos, r->pos), l, r);
}

static struct expr *duration_word(
    struct parser *p, const struct item *word, const struct item *close)
{
    return duration_node(
        p, op_of_token(word->typ), pos_merge(item_pos(word), item_pos(close)), NULL, NULL);
}

void parse_duration_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    struct expr *e = v[0].e;
    switch (act) {
    case ACT_DURATION_LITERAL:
        if (out_of_range(e->number.val)) {
            parser_error(p, e->pos, "duration out of range");
            e = number_node(p, 0, (struct pos){ 0 });
        }
        break;
    case ACT_DURATION_SIGNED_LITERAL:
    case ACT_DURATION_SIGNED: e = signed_duration(p, &v[0].item, v[1].e); break;
    case ACT_DURATION_STEP:
        e = duration_word(p, &v[0].item, &v[2].item);
        experimental(p, e);
        break;
    case ACT_DURATION_SIGNED_STEP:
        e = duration_word(p, &v[1].item, &v[3].item);
        e = duration_node(
            p, op_of_token(v[0].item.typ), (struct pos){ v[0].item.pos, e->pos.end }, NULL, e);
        experimental(p, e);
        break;
    case ACT_DURATION_EXTREME:
        e = duration_node(
            p, op_of_token(v[0].item.typ), pos_merge(v[2].e->pos, v[4].e->pos), v[2].e, v[4].e);
        experimental(p, e);
        break;
    case ACT_DURATION_SIGNED_EXTREME:
        e = duration_node(
            p, op_of_token(v[1].item.typ), pos_merge(v[3].e->pos, v[5].e->pos), v[3].e, v[5].e);
        e = duration_node(
            p, op_of_token(v[0].item.typ), (struct pos){ v[0].item.pos, e->pos.end }, NULL, e);
        experimental(p, e);
        break;
    case ACT_DURATION_SIGNED_PAREN:
        e = signed_duration(p, &v[0].item, wrapped(p, v[2].e, v[2].e->pos));
        break;
    case ACT_DURATION_BINARY: e = binary_duration(p, v); break;
    case ACT_DURATION_PAREN:
        experimental(p, v[1].e);
        e = wrapped(p, v[1].e, item_pos(&v[0].item));
        break;
    default: assert(!"a duration action");
    }
    out->e = e;
}

/* --- errors --- */

static void unexpected_action(struct parser *p, enum grammar_action act)
{
    static const struct { const char *context, *expected;
    } words[] = {
        [ACT_UNEXPECTED - ACT_ERROR_FIRST] = { "", "" },
        [ACT_NAMES_ERROR - ACT_ERROR_FIRST] = { "grouping opts", "\"(\"" },
        [ACT_NAMES_LIST_ERROR - ACT_ERROR_FIRST] = { "grouping opts", "\",\" or \")\"" },
        [ACT_NAME_ERROR - ACT_ERROR_FIRST] = { "grouping opts", "label" },
        [ACT_OFFSET_ERROR - ACT_ERROR_FIRST] = { "offset", "number, duration, step(), or range()" },
        [ACT_AT_ERROR - ACT_ERROR_FIRST] = { "@", "timestamp" },
        [ACT_SUBQUERY_ERROR_END - ACT_ERROR_FIRST] = { "subquery selector", "\"]\"" },
        [ACT_SUBQUERY_ERROR_STEP - ACT_ERROR_FIRST] = { "subquery selector",
            "number, duration, step(), range(), or \"]\"" },
        [ACT_SUBQUERY_ERROR_COLON - ACT_ERROR_FIRST] = { "subquery or range", "\":\" or \"]\"" },
        [ACT_SUBQUERY_ERROR_RANGE - ACT_ERROR_FIRST] = { "subquery or range selector",
            "number, duration, step(), or range()" },
        [ACT_MATCHER_LIST_ERROR - ACT_ERROR_FIRST] = { "label matching", "\",\" or \"}\"" },
        [ACT_MATCHER_ERROR_STRING - ACT_ERROR_FIRST] = { "label matching", "string" },
        [ACT_MATCHER_ERROR_OP - ACT_ERROR_FIRST] = { "label matching", "label matching operator" },
        [ACT_MATCHER_ERROR - ACT_ERROR_FIRST] = { "label matching", "identifier or \"}\"" },
        [ACT_LABEL_LIST_ERROR - ACT_ERROR_FIRST] = { "label set", "\",\" or \"}\"" },
        [ACT_LABEL_ERROR_STRING - ACT_ERROR_FIRST] = { "label set", "string" },
        [ACT_LABEL_ERROR_EQL - ACT_ERROR_FIRST] = { "label set", "\"=\"" },
        [ACT_LABEL_ERROR - ACT_ERROR_FIRST] = { "label set", "identifier or \"}\"" },
        [ACT_VALUES_ERROR - ACT_ERROR_FIRST] = { "series values", "" },
        [ACT_HIST_ERROR - ACT_ERROR_FIRST] = { "histogram description",
            "histogram description key, e.g. buckets:[5 10 7]" },
    };
    _Static_assert(ARRAY_LEN(words) == ACTIONS - ACT_ERROR_FIRST, "every error has words");
    parser_unexpected(p, str_z(words[act - ACT_ERROR_FIRST].context),
        str_z(words[act - ACT_ERROR_FIRST].expected));
}

/* The value that the parse goes on with after an error: that of the first symbol (a list so far, an
 * expression), or nothing. */
static void error_action(struct parser *p, enum grammar_action act, struct sem *out)
{
    unexpected_action(p, act);
    switch (act) {
    case ACT_NAMES_ERROR: out->names = NULL; break;
    case ACT_NAME_ERROR: out->item = (struct item){ 0 }; break;
    case ACT_MATCHER_ERROR_STRING:
    case ACT_MATCHER_ERROR_OP:
    case ACT_MATCHER_ERROR: out->matcher = NULL; break;
    case ACT_LABEL_ERROR_STRING:
    case ACT_LABEL_ERROR_EQL:
    case ACT_LABEL_ERROR: out->label = NULL; break;
    case ACT_VALUES_ERROR: out->values = NULL; break;
    default: break;
    }
}

static void literal(struct parser *p, struct sem *out, bool duration)
{
    struct item it = out->item;
    out->e = number_node(
        p, duration ? parser_duration_s(p, &it) : parser_number(p, it.val), item_pos(&it));
    out->e->number.duration = duration;
}

static void expr_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    switch (act) {
    case ACT_RESULT_NOTHING:
        parser_error(p, (struct pos){ 0 }, "no expression found in input");
        break;
    case ACT_RESULT_EXPR: p->result = v[1].e; break;
    case ACT_AGGREGATE_MOD_FIRST:
        out->e = aggregate(p, &v[0].item, v[1].aggregation, v[2].args, false);
        break;
    case ACT_AGGREGATE_MOD_LAST:
        out->e = aggregate(p, &v[0].item, v[2].aggregation, v[1].args, false);
        break;
    case ACT_AGGREGATE_BARE: out->e = aggregate(p, &v[0].item, NULL, v[1].args, true); break;
    case ACT_AGGREGATE_ERROR:
        parser_unexpected(p, S("aggregation"), STR_EMPTY);
        out->e = aggregate(p, &v[0].item, NULL, NULL, false);
        break;
    case ACT_BY: out->aggregation = aggregation_mod(p, v[1].names, false); break;
    case ACT_WITHOUT: out->aggregation = aggregation_mod(p, v[1].names, true); break;
    case ACT_BINARY: out->e = binary(p, v); break;
    case ACT_CALL: out->e = call(p, &v[0].item, v[1].args); break;
    case ACT_PAREN:
        out->e = parser_node(
            p, EXPR_PAREN, pos_merge(item_pos(&v[0].item), item_pos(&v[2].item)), v[1].e, NULL);
        out->e->paren.expr = v[1].e;
        break;
    case ACT_POSITIVE: positive(p, out); break;
    case ACT_OFFSET: set_offset(p, v[0].e, v[2].e); break;
    case ACT_ANCHORED: set_extended(p, v[0].e, true); break;
    case ACT_SMOOTHED: set_extended(p, v[0].e, false); break;
    case ACT_AT: set_timestamp(p, v[0].e, v[2].f); break;
    case ACT_AT_START_END: {
        struct at_offset *at = time_to_set(p, v[0].e);
        if (at) at->start_or_end = op_of_token(v[2].item.typ);
        break;
    }
    case ACT_MATRIX: out->e = matrix(p, v); break;
    case ACT_SUBQUERY_STEP: out->e = subquery(p, v, v[4].e, &v[5].item); break;
    case ACT_SUBQUERY: out->e = subquery(p, v, NULL, &v[4].item); break;
    case ACT_UNARY: unary(p, out, v); break;
    case ACT_LITERAL_NUMBER: literal(p, out, false); break;
    case ACT_LITERAL_DURATION: literal(p, out, true); break;
    case ACT_NUMBER: out->f = parser_number(p, v[0].item.val); break;
    case ACT_NUMBER_DURATION: out->f = parser_duration_s(p, &v[0].item); break;
    case ACT_NEGATED: out->f = -v[1].f; break;
    case ACT_TEXT: {
        str text = parser_unquote(p, v[0].item.val);
        out->e = parser_node(p, EXPR_STRING, item_pos(&v[0].item), NULL, NULL);
        out->e->string = text;
        break;
    }
    case ACT_QUOTED_NAME:
        out->item.typ = TOK_METRIC_IDENTIFIER;
        out->item.val = parser_unquote(p, v[0].item.val);
        break;
    default: assert(!"an expression's action");
    }
}

void parse_action(struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    if (act > ACT_ERROR_FIRST) error_action(p, act, out);
    else if (act > ACT_SERIES_FIRST || act == ACT_RESULT_LABELS)
        parse_series_action(p, act, out, v);
    else if (act >= ACT_DURATION_LITERAL) parse_duration_action(p, act, out, v);
    else if (act >= ACT_SELECTOR_NAME_MATCHERS && act <= ACT_MATCHER_NAME)
        selector_action(p, act, out, v);
    else if (act >= ACT_ARGS_EMPTY && act <= ACT_ARGS_TRAILING_COMMA) args_action(p, act, out, v);
    else if (act >= ACT_NAMES_EMPTY && act <= ACT_NAME_STRING) names_action(p, act, out, v);
    else if (act >= ACT_MATCHING && act <= ACT_FILL_SIGNED) matching_action(p, act, out, v);
    else expr_action(p, act, out, v);
}
