/* tokens.c — tables of words, and how errors name what they have met. */
#include "promql/tokens.h"

#include "base/utf8.h"

struct word { const char *text; enum token tok; };

/* Sorted by text. */
static const struct word keywords[] = {
    { "anchored", TOK_ANCHORED },
    { "and", TOK_LAND },
    { "atan2", TOK_ATAN2 },
    { "avg", TOK_AVG },
    { "bool", TOK_BOOL },
    { "bottomk", TOK_BOTTOMK },
    { "by", TOK_BY },
    { "count", TOK_COUNT },
    { "count_values", TOK_COUNT_VALUES },
    { "end", TOK_END },
    { "fill", TOK_FILL },
    { "fill_left", TOK_FILL_LEFT },
    { "fill_right", TOK_FILL_RIGHT },
    { "group", TOK_GROUP },
    { "group_left", TOK_GROUP_LEFT },
    { "group_right", TOK_GROUP_RIGHT },
    { "ignoring", TOK_IGNORING },
    { "inf", TOK_NUMBER },
    { "limit_ratio", TOK_LIMIT_RATIO },
    { "limitk", TOK_LIMITK },
    { "max", TOK_MAX },
    { "max_of", TOK_MAX_OF },
    { "min", TOK_MIN },
    { "min_of", TOK_MIN_OF },
    { "nan", TOK_NUMBER },
    { "offset", TOK_OFFSET },
    { "on", TOK_ON },
    { "or", TOK_LOR },
    { "quantile", TOK_QUANTILE },
    { "range", TOK_RANGE },
    { "smoothed", TOK_SMOOTHED },
    { "start", TOK_START },
    { "stddev", TOK_STDDEV },
    { "stdvar", TOK_STDVAR },
    { "step", TOK_STEP },
    { "sum", TOK_SUM },
    { "topk", TOK_TOPK },
    { "unless", TOK_LUNLESS },
    { "without", TOK_WITHOUT },
};
static const struct word duration_words[] = {
    { "max_of", TOK_MAX_OF },
    { "min_of", TOK_MIN_OF },
    { "range", TOK_RANGE },
    { "step", TOK_STEP },
};
static const struct word descriptors[] = {
    { "buckets", TOK_BUCKETS_DESC },
    { "count", TOK_COUNT_DESC },
    { "counter_reset_hint", TOK_COUNTER_RESET_HINT_DESC },
    { "custom_values", TOK_CUSTOM_VALUES_DESC },
    { "n_buckets", TOK_NEGATIVE_BUCKETS_DESC },
    { "n_offset", TOK_NEGATIVE_OFFSET_DESC },
    { "offset", TOK_OFFSET_DESC },
    { "schema", TOK_SCHEMA_DESC },
    { "sum", TOK_SUM_DESC },
    { "z_bucket", TOK_ZERO_BUCKET_DESC },
    { "z_bucket_w", TOK_ZERO_BUCKET_WIDTH_DESC },
};
static const struct word reset_hints[] = {
    { "gauge", TOK_HINT_GAUGE },
    { "not_reset", TOK_HINT_NOT_RESET },
    { "reset", TOK_HINT_RESET },
    { "unknown", TOK_HINT_UNKNOWN },
};

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

/* -1, 0, 1: a, in lower case, against z. */
static int word_cmp(str a, const char *z)
{
    for (size_t i = 0; i < a.n; i++) {
        /* ends at z's NUL at the latest: no word holds one */
        int c = (int)lower(a.p[i]) - (int)(uint8_t)z[i];
        if (c) return c;
    }
    return z[a.n] ? -1 : 0;
}

/* TOK_UNKNOWN: not in the table. */
static enum token word_find(const struct word *at, size_t n, str w)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = word_cmp(w, at[mid].text);
        if (c == 0) return at[mid].tok;
        if (c > 0) lo = mid + 1;
        else hi = mid;
    }
    return TOK_UNKNOWN;
}
enum token token_find(enum token_words of, str word)
{
    switch (of) {
    case WORDS_KEYWORDS: return word_find(keywords, ARRAY_LEN(keywords), word);
    case WORDS_DURATION: return word_find(duration_words, ARRAY_LEN(duration_words), word);
    case WORDS_DESCRIPTORS: return word_find(descriptors, ARRAY_LEN(descriptors), word);
    case WORDS_RESET_HINTS: return word_find(reset_hints, ARRAY_LEN(reset_hints), word);
    }
    return TOK_UNKNOWN;
}

/* Texts that a token has always; those of keywords come from their tables. */
static const struct word token_texts[] = {
    { "{{", TOK_OPEN_HIST },
    { "}}", TOK_CLOSE_HIST },
    { "(", TOK_LEFT_PAREN },
    { ")", TOK_RIGHT_PAREN },
    { "{", TOK_LEFT_BRACE },
    { "}", TOK_RIGHT_BRACE },
    { "[", TOK_LEFT_BRACKET },
    { "]", TOK_RIGHT_BRACKET },
    { ",", TOK_COMMA },
    { "=", TOK_EQL },
    { ":", TOK_COLON },
    { ";", TOK_SEMICOLON },
    { "_", TOK_BLANK },
    { "x", TOK_TIMES },
    { "<space>", TOK_SPACE },
    { "-", TOK_SUB },
    { "+", TOK_ADD },
    { "*", TOK_MUL },
    { "%", TOK_MOD },
    { "/", TOK_DIV },
    { "==", TOK_EQLC },
    { "!=", TOK_NEQ },
    { "<=", TOK_LTE },
    { "<", TOK_LSS },
    { ">=", TOK_GTE },
    { ">", TOK_GTR },
    { "</", TOK_TRIM_UPPER },
    { ">/", TOK_TRIM_LOWER },
    { "=~", TOK_EQL_REGEX },
    { "!~", TOK_NEQ_REGEX },
    { "^", TOK_POW },
    { "@", TOK_AT },
};

str token_text(enum token t)
{
    for (size_t i = 0; i < ARRAY_LEN(token_texts); i++)
        if (token_texts[i].tok == t) return str_z(token_texts[i].text);
    if (t == TOK_NUMBER) return STR_EMPTY;
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (keywords[i].tok == t) return str_z(keywords[i].text);
    return STR_EMPTY;
}

static bool token_between(enum token t, enum token first, enum token last)
{
    return t > first && t < last;
}

/* The first ten runes, quoted; or all of it. */
static void buf_item_quote(struct buf *b, str s)
{
    if (s.n <= 10) {
        buf_go_quote(b, s);
        return;
    }
    size_t at = 0;
    for (int i = 0; i < 10 && at < s.n; i++) {
        size_t w;
        utf8_rune(str_from(s, at), &w);
        at += w;
    }
    buf_go_quote(b, str_slice(s, 0, at));
    buf_str(b, S("..."));
}

static void buf_item(struct buf *b, const struct item *it)
{
    enum token t = it->typ;
    if (t == TOK_EOF) buf_str(b, S("EOF"));
    else if (t == TOK_ERROR) buf_str(b, it->val);
    else if (t == TOK_IDENTIFIER || t == TOK_METRIC_IDENTIFIER) buf_go_quote(b, it->val);
    else if (token_between(t, TOK_KEYWORDS_START, TOK_KEYWORDS_END))
        buf_fmt(b, "<%.*s>", STR_ARG(it->val));
    else if (token_between(t, TOK_OPERATORS_START, TOK_OPERATORS_END))
        buf_fmt(b, "<op:%.*s>", STR_ARG(it->val));
    else if (token_between(t, TOK_AGGREGATORS_START, TOK_AGGREGATORS_END))
        buf_fmt(b, "<aggr:%.*s>", STR_ARG(it->val));
    else buf_item_quote(b, it->val);
}

str item_desc(const struct item *it, struct arena *a)
{
    /* what yacc calls the first token of a grammar: EQL */
    enum { FIRST_TOKEN_NUMBER = 57346 };
    struct buf b = { 0 };
    switch (it->typ) {
    case TOK_EOF: return S("end of input");
    case TOK_ERROR: buf_str(&b, S("error ")); break;
    case TOK_COMMENT: buf_str(&b, S("comment ")); break;
    case TOK_IDENTIFIER: buf_str(&b, S("identifier ")); break;
    case TOK_METRIC_IDENTIFIER: buf_str(&b, S("metric identifier ")); break;
    case TOK_STRING: buf_str(&b, S("string ")); break;
    case TOK_NUMBER: buf_str(&b, S("number ")); break;
    case TOK_DURATION: buf_str(&b, S("duration ")); break;
    default:
        if (token_text(it->typ).n == 0)
            buf_fmt(&b, "\"<Item %d>\" ", FIRST_TOKEN_NUMBER + (int)it->typ - (int)TOK_EQL);
        break;
    }
    buf_item(&b, it);
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}
