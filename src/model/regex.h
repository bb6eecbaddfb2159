/* regex.h — RE2 as PromQL and relabelling use it.
 *
 * What        Compiles a pattern anchored at both ends, dot matching newline, Go syntax ((?<name>)
 *             too); set, prefix, suffix and contains forms never reach RE2. And replacing by a
 *             template for relabelling.
 * Invariants  regex_match(compile(p), s) equals Go's regexp.MustCompile("^(?s:" + p +
 *             ")$").MatchString(s), invalid UTF-8 included
 * Ownership   regex_new/regex_free
 * Threads     a compiled regex is const: any
 * Errors      ERR_BAD_INPUT with Go's words: error parsing regexp: missing closing ): `(`
 * Format      RE2 syntax
 */
#ifndef EPI_MODEL_REGEX_H
#define EPI_MODEL_REGEX_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct regex;
MUST_USE errc regex_new(struct regex **out, str pattern, struct err *e);
/* As a label matcher has it: literals, and alternations of them, are never parsed, and may be of
 * any bytes. Its words are whole: they hold the pattern, which an err may have to cut. */
MUST_USE errc regex_new_matching(struct regex **out, str pattern, struct buf *words);
void regex_free(struct regex *r);                              /* NULL is fine */
bool regex_match(const struct regex *r, str s);
str regex_pattern(const struct regex *r);

/* A pure alternation of literals (at most 256, case-sensitive): its values; n == 0: it is not
 * one. */
const str *regex_set_matches(const struct regex *r, size_t *n);
/* a literal that every match starts with; may be empty */
str regex_prefix(const struct regex *r);

/* Go's Regexp.Expand of the template over the match of s; false if s does not match. Appends to
 * out. REQUIRES: of regex_new. */
MUST_USE bool regex_expand(const struct regex *r, str s, str tmpl, struct buf *out);

#endif
