/* parse.h — text to tree.
 *
 * What        Lexer, parser and checker of the whole 3.14 grammar; and the series descriptions of
 *             the promqltest load notation.
 * Invariants  the first error has Prometheus' words and position
 * Ownership   the tree lies in the given arena; promql_tree_fini frees the compiled regexes before
 *             the arena goes
 * Threads     any, one parse per arena
 * Errors      ERR_BAD_INPUT; words "1:5: parse error: unexpected …"; all errors in parse_errors
 * Format      promql/parser of Prometheus 3.14
 */
#ifndef EPI_PROMQL_PARSE_H
#define EPI_PROMQL_PARSE_H

#include "promql/ast.h"

struct parse_opts {                        /* what --enable-feature turns on */
    bool experimental_functions, duration_expr, extended_range_selectors, binop_fill_modifiers;
};
struct parse_error { struct pos pos; str message; };           /* message without the position */
struct parse_errors { struct parse_error *at; size_t n; };

MUST_USE errc promql_parse(struct expr **out, str query, const struct parse_opts *o,
    struct arena *a, struct parse_errors *errors, struct err *e);
/* match[] of the API. why: the words, which may be longer than an err, in the arena; may be NULL */
MUST_USE errc promql_parse_selector(
    struct matchers *out, str query, const struct parse_opts *o, struct arena *a, str *why);
/* Go's integer literals without sign: 0x, 0b, 0o, 0 prefixes, underscores between digits. False:
 * not one, or above INT64_MAX. */
bool promql_parse_integer(str s, int64_t *out);
void promql_tree_fini(struct expr *e);                         /* NULL is fine */
/* the same for promql_parse_selector's */
void promql_matchers_fini(struct matchers ms);

/* The words as the API shows them after `invalid parameter "query": `, in the arena. */
str parse_error_text(const struct parse_error *pe, str query, struct arena *a);

/* One line of a load block: labels and values; `omitted` of `_`. */
enum seq_kind { SEQ_VALUE, SEQ_OMITTED, SEQ_HISTOGRAM };
struct seq_value { enum seq_kind kind; double v; const struct histogram *h; bool hint_set; };
struct series_description { struct labels labels; struct seq_value *values; size_t n; };
MUST_USE errc promql_parse_series(
    struct series_description *out, str line, struct arena *a, struct err *e);

#endif
