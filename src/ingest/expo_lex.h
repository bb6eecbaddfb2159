/* expo_lex.h — tokens of the two text formats, shared by their parsers.
 *
 * What        The lexers are state machines whose states and look-ahead are those of Prometheus'
 *             generated lexers, because what is accepted, and the words of an error, follow from
 *             where the look-ahead stands.
 * Invariants  after a token x->i is the first byte not taken; x->tok its start
 * Ownership   none
 * Threads     none
 * Errors      TOK_INVALID
 * Format      none
 */
#ifndef EPI_INGEST_EXPO_LEX_H
#define EPI_INGEST_EXPO_LEX_H

#include "ingest/exposition.h"

enum expo_tok {
    TOK_INVALID,
    TOK_EOF,
    TOK_LINEBREAK,
    TOK_SPACE,
    TOK_HELP,
    TOK_TYPE,
    TOK_UNIT,
    TOK_EOF_WORD,
    TOK_TEXT,
    TOK_COMMENT,
    TOK_NAME,
    TOK_QUOTED,
    TOK_OPEN,
    TOK_CLOSE,
    TOK_LABEL,
    TOK_VALUE_OF_LABEL,
    TOK_COMMA,
    TOK_EQUAL,
    TOK_TIMESTAMP,
    TOK_VALUE
};
enum expo_state {
    LEX_INIT,
    LEX_COMMENT,
    LEX_META1,
    LEX_META2,
    LEX_LABELS,
    LEX_LVALUE,
    LEX_VALUE,
    LEX_TIMESTAMP,
    LEX_EXEMPLAR,
    LEX_EVALUE,
    LEX_ETIMESTAMP
};

/* Classes of bytes. */
enum {
    C_NAME = 1,
    C_NAME1 = 2,
    C_LABEL = 4,
    C_LABEL1 = 8,
    C_TEXT_VALUE = 16,
    C_OM_VALUE = 32,
    C_DIGIT = 64,
    C_BLANK = 128
};
extern const uint8_t expo_class[256];

enum expo_tok text_lex(struct expo *x);
enum expo_tok openmetrics_lex(struct expo *x);

/* The next byte; 0 at the end. A NUL is passed over where the formats allow one: in label values,
 * help texts and comments. */
static inline uint8_t lex_next(struct expo *x)
{
    x->i++;
    if (x->i >= x->n) return 0;
    uint8_t c = x->b[x->i];
    if (LIKELY(c != 0)) return c;
    if (x->state != LEX_LVALUE && x->state != LEX_META2 && x->state != LEX_COMMENT) return 0;
    while (x->i < x->n && x->b[x->i] == 0) x->i++;
    return x->i < x->n ? x->b[x->i] : 0;
}

/* Takes bytes of a class, the look-ahead included. REQUIRES: b[i] is in the class */
static inline enum expo_tok lex_run(struct expo *x, uint8_t cls, uint8_t state, enum expo_tok tok)
{
    while (expo_class[lex_next(x)] & cls) { }
    x->state = state;
    return tok;
}

/* Takes one byte. The state changes after the look-ahead is read: it decides about NULs. */
static inline enum expo_tok lex_one(struct expo *x, uint8_t state, enum expo_tok tok)
{
    (void)lex_next(x);
    x->state = state;
    return tok;
}

/* Takes a word whose first letter is under x->i; false at the first other byte. The look-ahead
 * stands behind it then. */
bool lex_word(struct expo *x, const char *rest);

/* Takes a quoted string. REQUIRES: b[i] is the opening quote. False: no string, x->i stands where
 * it ended. */
bool lex_quoted(struct expo *x, bool newlines);

/* The entry parsers. */
errc text_next(struct expo *x, struct err *e);
errc openmetrics_next(struct expo *x, struct err *e);

/* Without NHCB between: what expo_next and its like do for the text formats. */
MUST_USE errc expo_line_next(struct expo *x, struct err *e);
MUST_USE bool expo_line_exemplar(struct expo *x, struct arena *a, struct expo_exemplar *out);
int64_t expo_line_start_ts(struct expo *x);                    /* OpenMetrics */
/* series of this type may have a start timestamp */
static inline bool expo_type_starts(enum metric_type t)
{
    return t == TYPE_COUNTER || t == TYPE_SUMMARY || t == TYPE_HISTOGRAM;
}

/* What both parsers share. */
/* \" (if quotes) \\ \n are one byte each; any other backslash stands for itself. */
str expo_unescape(struct arena *a, str s, bool quotes);
const char *expo_tok_name(enum expo_tok t);
errc expo_unexpected(const struct expo *x, struct err *e, const char *expected, enum expo_tok got);
/* <words> while parsing: "<entry so far>" */
errc expo_while(const struct expo *x, struct err *e, const char *words);
errc expo_quoting(struct err *e, const char *before, str quoted, const char *after);
MUST_USE errc expo_number(const struct expo *x, str s, double *out, struct err *e);
static inline str expo_token(const struct expo *x) { return str_of(x->b + x->tok, x->i - x->tok); }
static inline str expo_so_far(const struct expo *x)
{
    return str_of(x->b + x->start, x->i - x->start);
}
/* the token just read names the family of a comment */
void expo_family(struct expo *x);
MUST_USE errc expo_quoted_name(struct expo *x, size_t from, size_t to, struct err *e);
MUST_USE errc expo_label_value(
    struct expo *x, size_t name_from, size_t name_to, bool exemplar, struct err *e);

#endif
