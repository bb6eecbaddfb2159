/* tokens.h — the tokens of PromQL, their words and their names.
 *
 * What        All that is true of a token wherever it stands: which words it is written as, and
 *             how errors name it.
 * Invariants  token order is that of promql.grammar (checked where the tables are built)
 * Ownership   texts are literals, or lie in the arena
 * Threads     pure
 * Errors      none
 * Format      promql/parser/lex.go of Prometheus 3.14
 */
#ifndef EPI_PROMQL_TOKENS_H
#define EPI_PROMQL_TOKENS_H

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

/* Words of one place: of expressions, of the brackets of a range, of histograms' descriptions. */
enum token_words { WORDS_KEYWORDS, WORDS_DURATION, WORDS_DESCRIPTORS, WORDS_RESET_HINTS };
/* In whichever case; TOK_UNKNOWN: it is none of them. inf and nan are keywords: TOK_NUMBER */
enum token token_find(enum token_words of, str word);

str token_text(enum token t);              /* empty: has none that is always the same */
str item_desc(const struct item *it, struct arena *a);         /* as "unexpected …" names it */

#endif
