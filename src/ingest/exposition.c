#include "ingest/exposition.h"

#include "base/f64.h"
#include "base/map.h"
#include "base/utf8.h"
#include "ingest/expo_lex.h"
#include "ingest/expo_nhcb.h"
#include "ingest/expo_pb.h"
#include "model/sample.h"

/* Whose lines have to be parsed each time: for a start timestamp, or as parts of a histogram. */
static uint32_t expo_parsed_types(enum expo_format format, const struct expo_opts *o)
{
    uint32_t types = 0;
    if (format == EXPO_PROTOBUF) return UINT32_MAX;
    if (o->convert_classic) types |= 1u << TYPE_HISTOGRAM;
    for (int t = 0; t < METRIC_TYPES && format == EXPO_OPENMETRICS && o->skip_created; t++)
        if (expo_type_starts((enum metric_type)t)) types |= 1u << t;
    return types;
}

void expo_init(
    struct expo *x, enum expo_format format, uint8_t *body, size_t n, const struct expo_opts *opts)
{
    assert(format != EXPO_NONE);
    assert(body[n] == 0);
    *x = (struct expo){ .format = format, .b = body, .n = n, .name_from = SIZE_MAX };
    if (opts) x->opts = *opts;
    x->parsed_types = expo_parsed_types(format, &x->opts);
    if (format == EXPO_TEXT) body[x->n++] = '\n';
    x->keyed = format == EXPO_PROTOBUF;
    if (x->keyed) x->pb = expo_pb_new(str_of(body, n));
    else if (x->opts.convert_classic) x->nhcb = expo_nhcb_new(x->opts.skip_created);
}

void expo_fini(struct expo *x)
{
    vec_fini(&x->pairs);
    vec_fini(&x->ex_pairs);
    expo_pb_free(STEAL(x->pb));
    expo_nhcb_free(STEAL(x->nhcb));
}

void expo_again(struct expo *out, const struct expo *x)
{
    *out = (struct expo){ .format = x->format,
        .opts = x->opts,
        .b = x->b,
        .n = x->n,
        .name_from = SIZE_MAX,
        .keyed = x->pb != NULL };
    if (x->pb) out->pb = expo_pb_new(str_of(x->b, x->n));
}

errc expo_line_next(struct expo *x, struct err *e)
{
    x->exemplars_told = 0;
    return x->format == EXPO_TEXT ? text_next(x, e) : openmetrics_next(x, e);
}

errc expo_next(struct expo *x, enum expo_entry *out, struct err *e)
{
    if (x->rc != OK) return err_set(e, x->rc, "the page was refused before");
    if (x->done) {
        *out = EXPO_END;
        return OK;
    }
    x->exemplars_told = 0;
    errc rc = x->pb     ? expo_pb_next(x, e)
              : x->nhcb ? expo_nhcb_next(x, e)
                        : expo_line_next(x, e);
    x->rc = rc;
    if (rc != OK) return rc;
    x->done = x->kind == EXPO_END;
    *out = x->kind;
    return OK;
}

void expo_seek(struct expo *x, size_t pos, enum metric_type type)
{
    assert(pos <= x->n);
    x->i = pos;
    x->state = LEX_INIT;
    x->type = type;
    x->done = false;
}

struct expo_spot expo_spot(const struct expo *x) { return expo_pb_spot(x); }

errc expo_return(struct expo *x, struct expo_spot spot, struct err *e)
{
    return expo_pb_return(x, spot, e);
}

const char *expo_tok_name(enum expo_tok t)
{
    static const char *const names[] = {
        "INVALID",
        "EOF",
        "LINEBREAK",
        "WHITESPACE",
        "HELP",
        "TYPE",
        "UNIT",
        "EOFWORD",
        "TEXT",
        "COMMENT",
        "MNAME",
        "QSTRING",
        "BOPEN",
        "BCLOSE",
        "LNAME",
        "LVALUE",
        "COMMA",
        "EQUAL",
        "TIMESTAMP",
        "VALUE",
    };
    _Static_assert(ARRAY_LEN(names) == TOK_VALUE + 1, "a name a token");
    return names[t];
}

/* Words are made in a buffer of their own: quoting may need four times the bytes, and err cuts what
 * does not fit. */
static errc expo_refuse(struct err *e, struct buf *words)
{
    errc rc = err_set(e, ERR_BAD_INPUT, "%.*s", STR_ARG(buf_view(words)));
    buf_fini(words);
    return rc;
}

/* What err can hold at most: the rest need not be quoted. */
static str expo_cut(str s) { return str_slice(s, 0, sizeof(((struct err *)0)->msg)); }

errc expo_quoting(struct err *e, const char *before, str quoted, const char *after)
{
    struct buf b = { 0 };
    buf_fmt(&b, "%s", before);
    buf_go_quote(&b, expo_cut(quoted));
    buf_fmt(&b, "%s", after);
    return expo_refuse(e, &b);
}

errc expo_unexpected(const struct expo *x, struct err *e, const char *expected, enum expo_tok got)
{
    size_t to = MIN(x->n, x->i + 1);
    struct buf b = { 0 };
    buf_fmt(&b, "%s, got ", expected);
    buf_go_quote(&b, expo_cut(str_of(x->b + x->tok, to - x->tok)));
    buf_fmt(&b, " (\"%s\") while parsing: ", expo_tok_name(got));
    buf_go_quote(&b, expo_cut(str_of(x->b + x->start, to - x->start)));
    return expo_refuse(e, &b);
}

errc expo_while(const struct expo *x, struct err *e, const char *words)
{
    struct buf b = { 0 };
    buf_fmt(&b, "%s while parsing: ", words);
    buf_go_quote(&b, expo_cut(expo_so_far(x)));
    return expo_refuse(e, &b);
}

/* A decimal float that only its size can have made unreadable. */
static bool expo_is_decimal(str s)
{
    size_t i = 0, digits = 0;
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) i++;
    for (bool dot = false; i < s.n; i++) {
        if (expo_class[s.p[i]] & C_DIGIT) digits++;
        else if (s.p[i] == '.' && !dot) dot = true;
        else break;
    }
    if (!digits) return false;
    if (i == s.n) return true;
    if (s.p[i] != 'e' && s.p[i] != 'E') return false;
    i++;
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) i++;
    if (i == s.n) return false;
    while (i < s.n && (expo_class[s.p[i]] & C_DIGIT)) i++;
    return i == s.n;
}

/* The reference keeps to decimal floats: hexadecimal ones need a p. */
errc expo_number(const struct expo *x, str s, double *out, struct err *e)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 'p' || s.p[i] == 'P' || s.p[i] == '_')
            return expo_while(x, e, "unsupported character in float");
    if (f64_parse(s, out)) return OK;
    struct buf b = { 0 };
    buf_fmt(&b, "strconv.ParseFloat: parsing ");
    buf_go_quote(&b, expo_cut(s));
    buf_fmt(
        &b, ": %s while parsing: ", expo_is_decimal(s) ? "value out of range" : "invalid syntax");
    buf_go_quote(&b, expo_cut(expo_so_far(x)));
    return expo_refuse(e, &b);
}

void expo_family(struct expo *x)
{
    str name = expo_token(x);
    if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
        name = str_slice(name, 1, name.n - 1);
    x->name = name;
    x->family_len = name.n;
}

/* A quoted string without a value: the metric's name. */
errc expo_quoted_name(struct expo *x, size_t from, size_t to, struct err *e)
{
    if (x->name_from != SIZE_MAX) return expo_while(x, e, "metric name already set");
    x->name_from = from + 1;
    x->name_to = to - 1;
    return OK;
}

/* After the equal sign. */
errc expo_label_value(
    struct expo *x, size_t name_from, size_t name_to, bool exemplar, struct err *e)
{
    enum expo_tok t = x->format == EXPO_OPENMETRICS ? openmetrics_lex(x) : text_lex(x);
    while (t == TOK_SPACE) t = text_lex(x);
    if (t != TOK_VALUE_OF_LABEL) return expo_unexpected(x, e, "expected label value", t);
    str quoted = expo_token(x);
    if (!utf8_valid(quoted)) return expo_quoting(e, "invalid UTF-8 label value: ", quoted, "");
    size_t four[4] = { name_from, name_to, x->tok + 1, x->i - 1 };
    for (size_t k = 0; k < 4; k++) {
        if (exemplar) vec_push(&x->ex_pairs, four[k]);
        else vec_push(&x->pairs, four[k]);
    }
    return OK;
}

/* \" \\ \n are one byte each; any other backslash stands for itself. */
str expo_unescape(struct arena *a, str s, bool quotes)
{
    if (str_index(s, '\\') == SIZE_MAX) return s;
    uint8_t *p = arena_alloc(a, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : 0;
        bool escape = c == '\\' && (next == '\\' || next == 'n' || (quotes && next == '"'));
        p[n++] = !escape ? c : next == 'n' ? '\n' : next;
        i += escape;
    }
    return str_of(p, n);
}

str expo_help(const struct expo *x, struct arena *a)
{
    if (x->format == EXPO_PROTOBUF) return x->text;
    return expo_unescape(a, x->text, x->format == EXPO_OPENMETRICS);
}

/* le of classic histograms and quantile of summaries are written as OpenMetrics writes floats. */
static str expo_canonical(const struct expo *x, struct arena *a, str name, str value)
{
    bool is_float = (x->type == TYPE_SUMMARY && str_eq(name, S("quantile"))) ||
                    (x->type == TYPE_HISTOGRAM && str_eq(name, S("le")));
    double v;
    if (!is_float || !f64_parse(value, &v)) return value;
    char text[F64_TEXT_MAX];
    size_t n = f64_text_openmetrics(text, v);
    return arena_str(a, str_of(text, n));
}

/* By name, in the order of the page where names repeat. Few labels, mostly sorted: insertion. */
static void expo_sort(struct label *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct label l = at[i];
        size_t k = i;
        for (; k > 0 && str_cmp(at[k - 1].name, l.name) > 0; k--) at[k] = at[k - 1];
        at[k] = l;
    }
}

static str expo_slice(const struct expo *x, size_t from, size_t to)
{
    return str_of(x->b + from, to - from);
}

/* Labels of the line as they stand in the page. */
static size_t expo_line_labels(const struct expo *x, struct arena *a, struct label *at)
{
    size_t n = 0;
    for (size_t i = 0; i < x->pairs.n; i += 4) {
        str label = expo_unescape(a, expo_slice(x, x->pairs.at[i], x->pairs.at[i + 1]), true);
        str value = expo_unescape(a, expo_slice(x, x->pairs.at[i + 2], x->pairs.at[i + 3]), true);
        at[n++] = (struct label){ label, expo_canonical(x, a, label, value) };
    }
    return n;
}

/* What type_and_unit_labels says itself, the page need not say. */
static bool expo_is_said(str label, bool named, bool typed, bool united)
{
    return (typed && str_eq(label, S("__type__"))) || (united && str_eq(label, S("__unit__"))) ||
           (named && str_eq(label, METRIC_NAME));
}

struct labels expo_labels(const struct expo *x, struct arena *a)
{
    if (x->kind == EXPO_HISTOGRAM && x->nhcb) return expo_nhcb_labels(x, a);
    assert(x->kind == EXPO_SERIES || x->pb);
    size_t max = x->pb ? expo_pb_labels_max(x) : x->pairs.n / 4;
    struct label *at = arena_array(a, max + 3, sizeof(*at));
    size_t n = 0;
    bool said = x->opts.type_and_unit_labels, typed = said && x->type != TYPE_UNKNOWN,
         united = said && x->unit.n > 0;
    str name = x->pb ? expo_pb_name(x, a)
                     : expo_unescape(a, expo_slice(x, x->name_from, x->name_to), true);
    bool named = !said || name.n > 0;
    if (named) at[n++] = (struct label){ METRIC_NAME, name };
    if (typed) at[n++] = (struct label){ S("__type__"), metric_type_name(x->type) };
    if (united) at[n++] = (struct label){ S("__unit__"), x->unit };
    size_t from = n;
    size_t all = n + (x->pb ? expo_pb_labels(x, a, at + n) : expo_line_labels(x, a, at + n));
    for (size_t i = from; i < all; i++)
        if (!said || !expo_is_said(at[i].name, named, typed, united)) at[n++] = at[i];
    expo_sort(at, n);
    return (struct labels){ at, n };
}

bool expo_line_exemplar(struct expo *x, struct arena *a, struct expo_exemplar *out)
{
    if (!x->has_exemplar || x->exemplars_told++) return false;
    size_t n = x->ex_pairs.n / 4;
    struct label *at = arena_array(a, n, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        const size_t *p = x->ex_pairs.at + i * 4;
        at[i] = (struct label){ expo_slice(x, p[0], p[1]), expo_slice(x, p[2], p[3]) };
    }
    expo_sort(at, n);
    *out = (struct expo_exemplar){ { at, n }, x->exemplar_value,
        x->exemplar_has_ts ? x->exemplar_ts : 0, x->exemplar_has_ts };
    return true;
}

bool expo_exemplar(struct expo *x, struct arena *a, struct expo_exemplar *out)
{
    if (x->pb) return expo_pb_exemplar(x, a, out);
    if (x->kind == EXPO_HISTOGRAM) return expo_nhcb_exemplar(x, out);
    return expo_line_exemplar(x, a, out);
}

struct expo_histogram expo_histogram(const struct expo *x, struct arena *a)
{
    assert(x->kind == EXPO_HISTOGRAM);
    return x->pb ? expo_pb_histogram(x, a) : expo_nhcb_histogram(x);
}

int64_t expo_start_ts(struct expo *x)
{
    if (x->pb) return expo_pb_start_ts(x);
    bool known = false;
    int64_t st = x->nhcb ? expo_nhcb_start_ts(x, &known) : 0;
    return known ? st : expo_line_start_ts(x);
}
