/* parse_int.h — what the files of the parser share.
 *
 * What        The parser's state, the values on its stack, and the actions of productions.
 * Invariants  a production's action sees its symbols' values in v[0..n); what it writes to *out is
 *             the value of its left side
 * Ownership   all in the parse's arena; regexes are listed, so that a failed parse can free them
 * Threads     one parse, one thread
 * Errors      collected; an action goes on after one
 * Format      none
 */
#ifndef EPI_PROMQL_PARSE_INT_H
#define EPI_PROMQL_PARSE_INT_H

#include "base/vec.h"
#include "promql/grammar.h"
#include "promql/parse.h"

struct name_list { VEC(str) v; };
struct expr_list { VEC(struct expr *) v; };
struct matcher_list { VEC(struct matcher) v; };
struct label_list { VEC(struct label) v; };
struct value_list { VEC(struct seq_value) v; };
struct float_list { VEC(double) v; };
struct matching_mod { struct vector_matching m; bool return_bool; };
struct aggregation_mod { struct name_list *names; bool without; };
struct hist_map;                                               /* parse_series.c */

/* the value of a symbol: its token, or what its action made */
struct sem {
    struct item item;
    union {
        struct expr *e;
        struct name_list *names;
        struct expr_list *args;
        struct matcher_list *matchers;
        const struct matcher *matcher;     /* NULL: a wrong one */
        const struct label *label;
        struct label_list *label_list;
        struct labels labels;
        struct value_list *values;
        struct float_list *floats;
        struct matching_mod *matching;
        struct aggregation_mod *aggregation;
        struct hist_map *hist_map;
        const struct histogram *histogram;
        double f;
        uint64_t u;
        int64_t i;
    };
};

struct parser {
    struct lexer lex;
    struct item item;                      /* the last token read: what errors speak of */
    enum token inject;                     /* comes next; TOK_UNKNOWN: none */
    bool injected_end;                     /* the end of tokens comes next */
    uint32_t last_closing;                 /* end of the last token that may end an expression */
    const struct parse_opts *opts;
    struct arena *a;
    VEC(struct parse_error) errors;
    VEC(struct regex *) regexes;
    struct expr *result;
    struct series_description series;
    /* of the last histogram: its counter reset hint was spelled out */
    bool hint_set;
    bool too_deep;
};

void parser_error(struct parser *p, struct pos pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
void parser_error_str(struct parser *p, struct pos pos, str words);    /* may hold any byte */
void parser_unexpected(struct parser *p, str context, str expected);
str parser_unquote(struct parser *p, str quoted);
double parser_number(struct parser *p, str text);
double parser_duration_s(struct parser *p, const struct item *it);
static inline struct pos item_pos(const struct item *it)
{
    return (struct pos){ .start = it->pos, .end = item_end(it) };
}
struct expr *parser_node(struct parser *p, enum expr_kind kind, struct pos pos,
    const struct expr *below, const struct expr *beside);
str parser_quote(struct parser *p, str s);                     /* as Go's %q */

void parse_action(struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v);
void parse_duration_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v);
void parse_series_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v);
void parse_check(struct parser *p, struct expr *e);

#endif
