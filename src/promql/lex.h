/* lex.h — PromQL text to tokens.
 *
 * What        One token a call, as Prometheus' lexer cuts them: the position and text of each
 *             decide the words of syntax errors.
 * Invariants  an ERROR's val is its words
 * Ownership   vals borrow from the text; words of errors lie in the arena
 * Threads     one lexer, one thread
 * Errors      as tokens
 * Format      promql/parser/lex.go of Prometheus 3.14
 */
#ifndef EPI_PROMQL_LEX_H
#define EPI_PROMQL_LEX_H

#include "promql/tokens.h"

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

#endif
