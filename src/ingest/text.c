#include "ingest/expo_lex.h"

#include "base/utf8.h"
#include "model/sample.h"

/* The text format. White space is free between tokens; a blank before a metric's name belongs to
 * the name, as in Prometheus. */

static enum expo_tok text_token(struct expo *x)
{
    enum expo_tok t;
    do t = text_lex(x);
    while (t == TOK_SPACE);
    return t;
}

static errc text_type(struct expo *x, struct err *e)
{
    static const struct { str word; enum metric_type type;
    } types[] = {
        { S("counter"), TYPE_COUNTER },
        { S("gauge"), TYPE_GAUGE },
        { S("histogram"), TYPE_HISTOGRAM },
        { S("summary"), TYPE_SUMMARY },
        { S("untyped"), TYPE_UNKNOWN },
    };
    for (size_t k = 0; k < ARRAY_LEN(types); k++) {
        if (!str_eq(x->text, types[k].word)) continue;
        x->type = types[k].type;
        return OK;
    }
    return expo_quoting(e, "invalid metric type ", x->text, "");
}

/* # HELP name text, # TYPE name type. */
static errc text_meta(struct expo *x, enum expo_tok what, struct err *e)
{
    enum expo_tok t = text_token(x);
    if (t != TOK_NAME)
        return expo_unexpected(x, e,
            what == TOK_HELP ? "expected metric name after HELP"
                             : "expected metric name after TYPE",
            t);
    expo_family(x);
    t = text_token(x);
    if (t != TOK_TEXT)
        return err_set(
            e, ERR_BAD_INPUT, "expected text in %s, got %s", expo_tok_name(what), expo_tok_name(t));
    x->text = str_from(expo_token(x), 1);
    if (what == TOK_TYPE) TRY(text_type(x, e));
    else if (!utf8_valid(x->text))
        return expo_quoting(e, "help text ", x->text, " is not a valid utf8 string");
    t = text_token(x);
    if (t != TOK_LINEBREAK) return expo_unexpected(x, e, "linebreak expected after metadata", t);
    x->kind = what == TOK_HELP ? EXPO_HELP : EXPO_TYPE;
    return OK;
}

/* Inside the braces, up to and with the closing one. Commas between labels are optional, one may
 * trail. */
static errc text_labels(struct expo *x, struct err *e)
{
    enum expo_tok t = text_token(x);
    while (t != TOK_CLOSE) {
        size_t from = x->tok, to = x->i;
        bool quoted = t == TOK_QUOTED;
        if (!quoted && t != TOK_LABEL) return expo_unexpected(x, e, "expected label name", t);
        t = text_token(x);
        if (quoted && (t == TOK_COMMA || t == TOK_CLOSE)) {
            TRY(expo_quoted_name(x, from, to, e));
            if (t == TOK_COMMA) t = text_token(x);
            continue;
        }
        if (t != TOK_EQUAL) return expo_unexpected(x, e, "expected equal", t);
        TRY(expo_label_value(x, from + quoted, to - quoted, false, e));
        t = text_token(x);
        if (t == TOK_COMMA) t = text_token(x);
    }
    return OK;
}

static errc text_timestamp(struct expo *x, struct err *e)
{
    str digits = expo_token(x);
    if (!str_i64(digits, &x->ts)) {
        struct err words = { 0 };
        (void)expo_quoting(&words, "strconv.ParseInt: parsing ", digits, ": value out of range");
        return expo_while(x, e, words.msg);
    }
    x->has_ts = true;
    enum expo_tok t = text_token(x);
    return t == TOK_LINEBREAK ? OK
                              : expo_unexpected(x, e, "expected next entry after timestamp", t);
}

/* Value and time stamp; t is the token behind name and labels. */
static errc text_suffix(struct expo *x, enum expo_tok t, struct err *e)
{
    if (x->name_from == SIZE_MAX) return expo_while(x, e, "metric name not set");
    if (t != TOK_VALUE) return expo_unexpected(x, e, "expected value after metric", t);
    TRY(expo_number(x, expo_token(x), &x->value, e));
    if (x->value != x->value) x->value = normal_nan();
    x->has_ts = false;
    t = text_token(x);
    if (t == TOK_TIMESTAMP) TRY(text_timestamp(x, e));
    else if (t != TOK_LINEBREAK)
        return expo_unexpected(x, e, "expected timestamp or new record", t);
    x->kind = EXPO_SERIES;
    return OK;
}

static errc text_series(struct expo *x, enum expo_tok t, struct err *e)
{
    if (t == TOK_NAME) {
        x->name_from = x->start;
        x->name_to = x->i;
        x->series = expo_so_far(x);
        t = text_token(x);
    }
    if (t == TOK_OPEN) {
        TRY(text_labels(x, e));
        x->series = expo_so_far(x);
        t = text_token(x);
    }
    return text_suffix(x, t, e);
}

errc text_next(struct expo *x, struct err *e)
{
    enum expo_tok t;
    do {
        x->start = x->i;
        t = text_token(x);
    } while (t == TOK_LINEBREAK);

    x->pairs.n = 0;
    x->name_from = x->name_to = SIZE_MAX;
    switch (t) {
    case TOK_EOF:
        x->kind = EXPO_END;
        return OK;
    case TOK_HELP:
    case TOK_TYPE: return text_meta(x, t, e);
    case TOK_COMMENT:
        x->text = expo_token(x);
        t = text_token(x);
        if (t != TOK_LINEBREAK) return expo_unexpected(x, e, "linebreak expected after comment", t);
        x->kind = EXPO_COMMENT;
        return OK;
    case TOK_NAME:
    case TOK_OPEN: return text_series(x, t, e);
    default: return expo_unexpected(x, e, "expected a valid start token", t);
    }
}
