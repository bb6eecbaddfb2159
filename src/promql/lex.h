/* lex.h — PromQL text to tokens.
 *
 * What        One token a call, as Prometheus' lexer cuts them: the position and text of each
 *             decide the words of syntax errors.
 * Invariants  token order is that of promql.grammar (checked where the tables are built); an
 *             ERROR's val is its words
 * Ownership   vals borrow from the text; words of errors lie in the arena
 * Threads     one lexer, one thread
 * Errors      as tokens
 * Format      promql/parser/lex.go of Prometheus 3.14
 */
#ifndef EPI_PROMQL_LEX_H
#define EPI_PROMQL_LEX_H

#include "base/arena.h"

enum token {
    TOK_END_OF_TOKENS,
    TOK_ERROR_SYMBOL,
    TOK_UNKNOWN,
    TOK_EQL,
    TOK_BLANK,
    TOK_COLON,
    TOK_COMMA,
    TOK_COMMENT,
    TOK_DURATION,
    TOK_EOF,
    TOK_ERROR,
    TOK_IDENTIFIER,
    TOK_LEFT_BRACE,
    TOK_LEFT_BRACKET,
    TOK_LEFT_PAREN,
    TOK_OPEN_HIST,
    TOK_CLOSE_HIST,
    TOK_METRIC_IDENTIFIER,
    TOK_NUMBER,
    TOK_RIGHT_BRACE,
    TOK_RIGHT_BRACKET,
    TOK_RIGHT_PAREN,
    TOK_SEMICOLON,
    TOK_SPACE,
    TOK_STRING,
    TOK_TIMES,
    TOK_HISTOGRAM_DESC_START,
    TOK_SUM_DESC,
    TOK_COUNT_DESC,
    TOK_SCHEMA_DESC,
    TOK_OFFSET_DESC,
    TOK_NEGATIVE_OFFSET_DESC,
    TOK_BUCKETS_DESC,
    TOK_NEGATIVE_BUCKETS_DESC,
    TOK_ZERO_BUCKET_DESC,
    TOK_ZERO_BUCKET_WIDTH_DESC,
    TOK_CUSTOM_VALUES_DESC,
    TOK_COUNTER_RESET_HINT_DESC,
    TOK_HISTOGRAM_DESC_END,
    TOK_OPERATORS_START,
    TOK_ADD,
    TOK_DIV,
    TOK_EQLC,
    TOK_EQL_REGEX,
    TOK_GTE,
    TOK_GTR,
    TOK_TRIM_UPPER,
    TOK_TRIM_LOWER,
    TOK_LAND,
    TOK_LOR,
    TOK_LSS,
    TOK_LTE,
    TOK_LUNLESS,
    TOK_MOD,
    TOK_MUL,
    TOK_NEQ,
    TOK_NEQ_REGEX,
    TOK_POW,
    TOK_SUB,
    TOK_AT,
    TOK_ATAN2,
    TOK_OPERATORS_END,
    TOK_AGGREGATORS_START,
    TOK_AVG,
    TOK_BOTTOMK,
    TOK_COUNT,
    TOK_COUNT_VALUES,
    TOK_GROUP,
    TOK_MAX,
    TOK_MIN,
    TOK_QUANTILE,
    TOK_STDDEV,
    TOK_STDVAR,
    TOK_SUM,
    TOK_TOPK,
    TOK_LIMITK,
    TOK_LIMIT_RATIO,
    TOK_AGGREGATORS_END,
    TOK_KEYWORDS_START,
    TOK_BOOL,
    TOK_BY,
    TOK_GROUP_LEFT,
    TOK_GROUP_RIGHT,
    TOK_FILL,
    TOK_FILL_LEFT,
    TOK_FILL_RIGHT,
    TOK_IGNORING,
    TOK_OFFSET,
    TOK_SMOOTHED,
    TOK_ANCHORED,
    TOK_ON,
    TOK_WITHOUT,
    TOK_KEYWORDS_END,
    TOK_PREPROCESSORS_START,
    TOK_START,
    TOK_END,
    TOK_STEP,
    TOK_RANGE,
    TOK_MAX_OF,
    TOK_MIN_OF,
    TOK_PREPROCESSORS_END,
    TOK_RESET_HINTS_START,
    TOK_HINT_UNKNOWN,
    TOK_HINT_RESET,
    TOK_HINT_NOT_RESET,
    TOK_HINT_GAUGE,
    TOK_RESET_HINTS_END,
    TOK_BEGIN_START,
    TOK_BEGIN_METRIC,
    TOK_BEGIN_SERIES,
    TOK_BEGIN_EXPRESSION,
    TOK_BEGIN_SELECTOR,
    TOK_BEGIN_END,
    TOKENS
};

struct item { enum token typ; uint32_t pos; str val; };
static inline uint32_t item_end(const struct item *it) { return it->pos + (uint32_t)it->val.n; }

enum lex_state {
    LEX_DONE,
    LEX_STATEMENTS,
    LEX_BRACES,
    LEX_VALUES,
    LEX_HISTOGRAM,
    LEX_BUCKETS,
    LEX_DURATION,
    LEX_STRING,
    LEX_RAW_STRING,
    LEX_SPACE,
    LEX_NUMBER,
    LEX_NUMBER_OR_DURATION,
    LEX_WORD,
    LEX_IDENTIFIER,
    LEX_DESCRIPTOR,
    LEX_COMMENT
};
enum lex_hist { LEX_HIST_NONE, LEX_HIST_OPEN, LEX_HIST_TIMES, LEX_HIST_ADD, LEX_HIST_SUB };

struct lexer {
    str in;
    /* here, of the token, of the last rune, of the last token handed out */
    uint32_t pos, start, width, last_pos;
    enum lex_state state;
    struct item *out;
    bool scanned;
    int paren_depth;
    bool brace_open, bracket_open, got_colon, got_duration;
    uint32_t string_open;                  /* the quote of the string that is read */
    bool series;                           /* a series description, not an expression */
    enum lex_hist hist;
    struct arena *a;
};

void lex_init(struct lexer *l, str in, bool series, struct arena *a);
void lex_next(struct lexer *l, struct item *out);

str token_text(enum token t);              /* empty: has none that is always the same */
str item_desc(const struct item *it, struct arena *a);         /* as "unexpected …" names it */
#endif
