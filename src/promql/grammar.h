/* grammar.h — the tables of promql.grammar and the actions of its productions.
 *
 * What        What tools/lalr.py makes at build time: action and goto rows, defaults, productions;
 *             and the driver's view on them.
 * Invariants  rows are indexed by state, then by token or left-hand side
 * Ownership   static
 * Threads     const
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_GRAMMAR_H
#define EPI_PROMQL_GRAMMAR_H

#include "promql/lex.h"

enum { GRAMMAR_TOKENS = TOKENS, GRAMMAR_FAIL = 32000, GRAMMAR_ACCEPT = 32001 };

enum grammar_action {
    ACT_NONE,
    ACT_SECOND,
    ACT_RESULT_LABELS,
    ACT_RESULT_NOTHING,
    ACT_RESULT_EXPR,
    ACT_AGGREGATE_MOD_FIRST,
    ACT_AGGREGATE_MOD_LAST,
    ACT_AGGREGATE_BARE,
    ACT_AGGREGATE_ERROR,
    ACT_BY,
    ACT_WITHOUT,
    ACT_BINARY,
    ACT_MATCHING,
    ACT_MATCHING_BOOL,
    ACT_MATCHING_IGNORING,
    ACT_MATCHING_ON,
    ACT_MATCHING_LEFT,
    ACT_MATCHING_RIGHT,
    ACT_FILL,
    ACT_FILL_LEFT,
    ACT_FILL_RIGHT,
    ACT_FILL_LEFT_RIGHT,
    ACT_FILL_RIGHT_LEFT,
    ACT_FILL_SIGNED,
    ACT_NAMES_EMPTY,
    ACT_NAMES_NONE,
    ACT_NAMES_MORE,
    ACT_NAMES_FIRST,
    ACT_NAME_WORD,
    ACT_NAME_STRING,
    ACT_CALL,
    ACT_ARGS_EMPTY,
    ACT_ARGS_MORE,
    ACT_ARGS_FIRST,
    ACT_ARGS_TRAILING_COMMA,
    ACT_PAREN,
    ACT_POSITIVE,
    ACT_OFFSET,
    ACT_ANCHORED,
    ACT_SMOOTHED,
    ACT_AT,
    ACT_AT_START_END,
    ACT_MATRIX,
    ACT_SUBQUERY_STEP,
    ACT_SUBQUERY,
    ACT_UNARY,
    ACT_SELECTOR_NAME_MATCHERS,
    ACT_SELECTOR_NAME,
    ACT_SELECTOR_MATCHERS,
    ACT_MATCHERS,
    ACT_MATCHERS_COMMA,
    ACT_MATCHERS_EMPTY,
    ACT_MATCHER_MORE,
    ACT_MATCHER_FIRST,
    ACT_MATCHER,
    ACT_MATCHER_NAME,
    ACT_LITERAL_NUMBER,
    ACT_LITERAL_DURATION,
    ACT_NUMBER,
    ACT_NUMBER_DURATION,
    ACT_NEGATED,
    ACT_TEXT,
    ACT_QUOTED_NAME,
    ACT_DURATION_LITERAL,
    ACT_DURATION_SIGNED_LITERAL,
    ACT_DURATION_STEP,
    ACT_DURATION_SIGNED_STEP,
    ACT_DURATION_EXTREME,
    ACT_DURATION_SIGNED_EXTREME,
    ACT_DURATION_SIGNED_PAREN,
    ACT_DURATION_SIGNED,
    ACT_DURATION_BINARY,
    ACT_DURATION_PAREN,
    /* series descriptions */
    ACT_SERIES_FIRST,
    ACT_METRIC,
    ACT_LABELS,
    ACT_LABELS_EMPTY,
    ACT_LABEL_MORE,
    ACT_LABEL_FIRST,
    ACT_LABEL,
    ACT_LABEL_NAME,
    ACT_SERIES,
    ACT_VALUES_EMPTY,
    ACT_VALUES_MORE,
    ACT_ITEM_BLANK,
    ACT_ITEM_BLANK_TIMES,
    ACT_ITEM,
    ACT_ITEM_TIMES,
    ACT_ITEM_STEP_TIMES,
    ACT_ITEM_HIST,
    ACT_ITEM_HIST_TIMES,
    ACT_ITEM_HIST_ADD,
    ACT_ITEM_HIST_SUB,
    ACT_VALUE_WORD,
    ACT_HIST,
    ACT_HIST_EMPTY,
    ACT_HIST_MERGE,
    ACT_HIST_INT,
    ACT_HIST_FLOAT,
    ACT_HIST_BUCKETS,
    ACT_HIST_HINT,
    ACT_BUCKET_MORE,
    ACT_BUCKET_FIRST,
    ACT_COUNT,
    ACT_INT_NEGATED,
    /* what is said where `error` was shifted */
    ACT_ERROR_FIRST,
    ACT_UNEXPECTED,
    ACT_NAMES_ERROR,
    ACT_NAMES_LIST_ERROR,
    ACT_NAME_ERROR,
    ACT_OFFSET_ERROR,
    ACT_AT_ERROR,
    ACT_SUBQUERY_ERROR_END,
    ACT_SUBQUERY_ERROR_STEP,
    ACT_SUBQUERY_ERROR_COLON,
    ACT_SUBQUERY_ERROR_RANGE,
    ACT_MATCHER_LIST_ERROR,
    ACT_MATCHER_ERROR_STRING,
    ACT_MATCHER_ERROR_OP,
    ACT_MATCHER_ERROR,
    ACT_LABEL_LIST_ERROR,
    ACT_LABEL_ERROR_STRING,
    ACT_LABEL_ERROR_EQL,
    ACT_LABEL_ERROR,
    ACT_VALUES_ERROR,
    ACT_HIST_ERROR,
    ACTIONS
};

struct grammar_rule { uint8_t lhs, length; uint8_t action; };
extern const struct grammar_rule grammar_rules[];
/* > 0 shift, < 0 reduce, 0 the default, GRAMMAR_FAIL, GRAMMAR_ACCEPT */
extern const int16_t *const grammar_action_row[];
extern const int16_t *const grammar_goto_row[];
extern const int16_t grammar_default[];                        /* < 0 reduce, 0 error */
/* reduces by default without a look at the next token */
extern const bool grammar_blind[];

#endif
