#include "ingest/expo_lex.h"

#include "base/map.h"
#include "base/utf8.h"
#include "model/sample.h"

#include <math.h>

/* OpenMetrics: one space between fields, # EOF at the end, exemplars, units, and _created lines
 * that say when a counter started. */

static const char no_eof[] = "data does not end with # EOF";

static errc openmetrics_type(struct expo *x, struct err *e)
{
    return metric_type_parse(x->text, &x->type)
               ? OK
               : expo_quoting(e, "invalid metric type ", x->text, "");
}

static errc openmetrics_unit(struct expo *x, struct err *e)
{
    str unit = x->unit = x->text, name = x->name;
    if (unit.n == 0) return OK;
    if (str_has_suffix(name, unit) && name.n > unit.n && name.p[name.n - unit.n - 1] == '_')
        return OK;
    struct buf b = { 0 };
    buf_fmt(&b, " not a suffix of metric ");
    buf_go_quote(&b, name);
    buf_u8(&b, 0);
    errc rc = expo_quoting(e, "unit ", unit, (const char *)b.p);
    buf_fini(&b);
    return rc;
}

/* # HELP, # TYPE and # UNIT: a name, a space, the rest of the line. */
static errc openmetrics_meta(struct expo *x, enum expo_tok what, struct err *e)
{
    enum expo_tok t = openmetrics_lex(x);
    if (t != TOK_NAME)
        return expo_unexpected(x, e, what == TOK_HELP   ? "expected metric name after HELP"
                                     : what == TOK_TYPE ? "expected metric name after TYPE"
                                                        : "expected metric name after UNIT", t);
    expo_family(x);
    if (openmetrics_lex(x) != TOK_TEXT)
        return err_set(e, ERR_BAD_INPUT, "expected text in %s", expo_tok_name(what));
    str line = expo_token(x);
    x->text = str_slice(line, 1, line.n - 1);
    switch (what) {
    case TOK_TYPE:
        x->kind = EXPO_TYPE;
        return openmetrics_type(x, e);
    case TOK_UNIT:
        x->kind = EXPO_UNIT;
        return openmetrics_unit(x, e);
    default:
        x->kind = EXPO_HELP;
        return utf8_valid(x->text)
                   ? OK
                   : expo_quoting(e, "help text ", x->text, " is not a valid utf8 string");
    }
}

static errc openmetrics_labels(struct expo *x, bool exemplar, struct err *e)
{
    enum expo_tok t = openmetrics_lex(x);
    while (t != TOK_CLOSE) {
        size_t from = x->tok, to = x->i;
        bool quoted = t == TOK_QUOTED;
        if (!quoted && t != TOK_LABEL) return expo_unexpected(x, e, "expected label name", t);
        t = openmetrics_lex(x);
        if (quoted && (t == TOK_COMMA || t == TOK_CLOSE)) {
            if (exemplar) return expo_unexpected(x, e, "expected label name", t);
            TRY(expo_quoted_name(x, from, to, e));
            if (t == TOK_COMMA) t = openmetrics_lex(x);
            continue;
        }
        if (t != TOK_EQUAL) return expo_unexpected(x, e, "expected equal", t);
        TRY(expo_label_value(x, from + quoted, to - quoted, exemplar, e));
        t = openmetrics_lex(x);
        if (t == TOK_COMMA) t = openmetrics_lex(x);
        else if (t != TOK_CLOSE) return expo_unexpected(x, e, "expected comma or brace close", t);
    }
    return OK;
}

static errc openmetrics_value(
    struct expo *x, enum expo_tok t, const char *expected, double *out, struct err *e)
{
    if (t != TOK_VALUE) return expo_unexpected(x, e, expected, t);
    TRY(expo_number(x, str_from(expo_token(x), 1), out, e));
    if (*out != *out) *out = normal_nan();
    return OK;
}

/* Seconds as a float, to ms as Go's conversion on x86-64 does it: out of range is the least
 * integer. */
static int64_t openmetrics_ms(double seconds)
{
    double ms = seconds * 1000;
    return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}

static errc openmetrics_time(struct expo *x, const char *what, int64_t *out, struct err *e)
{
    double seconds;
    TRY(expo_number(x, str_from(expo_token(x), 1), &seconds, e));
    if (isnan(seconds)) return err_set(e, ERR_BAD_INPUT, "invalid %s NaN", what);
    if (isinf(seconds))
        return err_set(e, ERR_BAD_INPUT, "invalid %s %sInf", what, seconds < 0 ? "-" : "+");
    *out = openmetrics_ms(seconds);
    return OK;
}

/* After " # {". While looking ahead for start timestamps exemplars are passed over. */
static errc openmetrics_exemplar(struct expo *x, struct err *e)
{
    if (x->peeking) {
        for (enum expo_tok t = openmetrics_lex(x); t != TOK_LINEBREAK; t = openmetrics_lex(x))
            if (t == TOK_EOF || t == TOK_INVALID) return err_set(e, ERR_BAD_INPUT, "%s", no_eof);
        return OK;
    }
    TRY(openmetrics_labels(x, true, e));
    x->has_exemplar = true;
    TRY(openmetrics_value(
        x, openmetrics_lex(x), "expected value after exemplar labels", &x->exemplar_value, e));
    enum expo_tok t = openmetrics_lex(x);
    if (t == TOK_EOF) return err_set(e, ERR_BAD_INPUT, "%s", no_eof);
    if (t == TOK_LINEBREAK) return OK;
    if (t != TOK_TIMESTAMP) return expo_unexpected(x, e, "expected timestamp or comment", t);
    TRY(openmetrics_time(x, "exemplar timestamp", &x->exemplar_ts, e));
    x->exemplar_has_ts = true;
    t = openmetrics_lex(x);
    return t == TOK_LINEBREAK
               ? OK
               : expo_unexpected(x, e, "expected next entry after exemplar timestamp", t);
}

/* Value, time stamp, exemplar. What can't be lexed behind the value is left for the next entry to
 * stumble over, as in Prometheus. */
static errc openmetrics_suffix(struct expo *x, enum expo_tok t, struct err *e)
{
    if (x->name_from == SIZE_MAX) return expo_while(x, e, "metric name not set");
    TRY(openmetrics_value(x, t, "expected value after metric", &x->value, e));
    x->has_ts = false;
    t = openmetrics_lex(x);
    if (t == TOK_EOF) return err_set(e, ERR_BAD_INPUT, "%s", no_eof);
    if (t == TOK_COMMENT) return openmetrics_exemplar(x, e);
    if (t != TOK_TIMESTAMP) return OK;
    x->has_ts = true;
    TRY(openmetrics_time(x, "timestamp", &x->ts, e));
    t = openmetrics_lex(x);
    if (t == TOK_COMMENT) return openmetrics_exemplar(x, e);
    return t == TOK_LINEBREAK ? OK
                              : expo_unexpected(x, e, "expected next entry after timestamp", t);
}

static errc openmetrics_series(struct expo *x, enum expo_tok t, struct err *e)
{
    if (t == TOK_NAME) {
        x->name_from = x->start;
        x->name_to = x->i;
        x->series = expo_so_far(x);
        t = openmetrics_lex(x);
    }
    if (t == TOK_OPEN) {
        TRY(openmetrics_labels(x, false, e));
        x->series = expo_so_far(x);
        t = openmetrics_lex(x);
    }
    TRY(openmetrics_suffix(x, t, e));
    x->kind = EXPO_SERIES;
    return OK;
}

static bool openmetrics_is_created(const struct expo *x)
{
    return str_has_suffix(str_of(x->b + x->name_from, x->name_to - x->name_from), S("_created"));
}

static errc openmetrics_entry(struct expo *x, struct err *e)
{
    x->start = x->i;
    x->pairs.n = 0;
    x->name_from = x->name_to = SIZE_MAX;
    if (!x->peeking) {
        x->ex_pairs.n = 0;
        x->has_exemplar = x->exemplar_has_ts = false;
    }
    enum expo_tok t = openmetrics_lex(x);
    switch (t) {
    case TOK_EOF_WORD:
        x->kind = EXPO_END;
        return openmetrics_lex(x) == TOK_EOF
                   ? OK
                   : err_set(e, ERR_BAD_INPUT, "unexpected data after # EOF");
    case TOK_EOF: return err_set(e, ERR_BAD_INPUT, "%s", no_eof);
    case TOK_HELP:
    case TOK_TYPE:
    case TOK_UNIT: return openmetrics_meta(x, t, e);
    case TOK_NAME:
    case TOK_OPEN: return openmetrics_series(x, t, e);
    default: return expo_unexpected(x, e, "expected a valid start token", t);
    }
}

errc openmetrics_next(struct expo *x, struct err *e)
{
    do TRY(openmetrics_entry(x, e));
    while (x->kind == EXPO_SERIES && x->opts.skip_created && expo_type_starts(x->type) &&
           openmetrics_is_created(x));
    return OK;
}

/* Family and labels without those that tell the family's own series apart. */
static uint64_t openmetrics_family_hash(const struct expo *x, str family)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < x->pairs.n; i += 4) {
        const size_t *p = x->pairs.at + i;
        str name = str_of(x->b + p[0], p[1] - p[0]);
        if (x->type == TYPE_SUMMARY && str_eq(name, S("quantile"))) continue;
        if (x->type == TYPE_HISTOGRAM && str_eq(name, S("le"))) continue;
        buf_str(&b, name);
        buf_bytes(&b, x->b + p[2], p[3] - p[2]);
    }
    buf_str(&b, family);
    uint64_t h = hash_str(buf_view(&b));
    buf_fini(&b);
    return h;
}

/* The first _created line ahead in this family decides; 0 if it is another series' or there is
 * none. */
static int64_t openmetrics_find_created(struct expo *x, uint64_t want, bool *found)
{
    for (;;) {
        if (openmetrics_next(x, NULL) != OK || x->kind != EXPO_SERIES) return 0;
        if (!openmetrics_is_created(x)) continue;
        str family =
            str_of(x->b + x->name_from, x->name_to - x->name_from - (sizeof("_created") - 1));
        *found = openmetrics_family_hash(x, family) == want;
        return *found ? openmetrics_ms(x->value) : 0;
    }
}

/* Looking ahead is a parse of its own, whose traces (the unit and family read last, and that
 * _created lines are skipped from then on) stay, as they do in Prometheus. */
int64_t expo_line_start_ts(struct expo *x)
{
    if (x->format != EXPO_OPENMETRICS) return 0;
    assert(x->kind == EXPO_SERIES);
    if (!expo_type_starts(x->type)) {
        x->st_hash = 0;
        return 0;
    }
    bool braced = x->series.n > 1 && x->series.p[0] == '{' && x->series.p[1] == '"';
    size_t from = x->name_from - x->start, to = x->family_len + (braced ? 2 : 0);
    if (from > to || to > x->series.n) return 0;
    uint64_t want = openmetrics_family_hash(x, str_slice(x->series, from, to));
    if (want == x->st_hash && x->st > 0) return x->st;

    struct expo ahead = *x;
    ahead.pairs.at = NULL;
    ahead.pairs.n = ahead.pairs.cap = 0;
    ahead.opts.skip_created = false;
    ahead.peeking = true;
    bool found = false;
    int64_t st = openmetrics_find_created(&ahead, want, &found);
    vec_fini(&ahead.pairs);
    x->unit = ahead.unit;
    x->family_len = ahead.family_len;
    x->opts.skip_created = true;
    x->st_hash = found ? want : 0;
    if (found) x->st = st;
    return st;
}
