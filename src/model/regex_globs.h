/* regex_globs.h — what a regular expression says in plain words: literals with gaps between.
 *
 * What        Reads a pattern as a list of alternatives, each a run of literals, gaps (.* and .+)
 *             and opaque parts. Most patterns that people write have no opaque part: they are
 *             matched without an automaton, or looked up as a set of values.
 * Invariants  (1) A text matches the pattern only if it matches an alternative, an opaque part
 *             matching anything. (2) Without opaque parts also the other way round. (3) Two
 *             literals never follow each other, nor do two gaps.
 * Ownership   alternatives lie in the arena; literals too, or in the pattern, which lives as long
 * Threads     const once made
 * Errors      none: what is not understood, or needs more than the arena's limit, is opaque
 * Format      the pattern is valid RE2 syntax and UTF-8, dot matches newline
 */
#ifndef EPI_MODEL_REGEX_GLOBS_H
#define EPI_MODEL_REGEX_GLOBS_H

#include "base/arena.h"
#include "base/vec.h"

enum glob_kind { GLOB_LITERAL, GLOB_ANY, GLOB_SOME, GLOB_OPAQUE };     /* ANY: .*   SOME: .+ */
struct glob_part { enum glob_kind kind; str lit; };
struct glob { const struct glob_part *at; size_t n; };                 /* n == 0: the empty text */
/* opaque: some part of some alternative is */
struct globs { VEC(struct glob) all; bool opaque; };

struct globs globs_of(struct arena *a, str pattern);
bool glob_match(struct glob g, str text);                      /* REQUIRES: no opaque part */
/* it is one text, and nothing else */
bool glob_literal(struct glob g, str *out);
str globs_prefix(const struct globs *g);                       /* what every match starts with */
str globs_suffix(const struct globs *g);

#endif
