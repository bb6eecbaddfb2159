/* matcher.h — one condition on one label.
 *
 * What        =, !=, =~, !~ with an absent label read as the empty string.
 * Invariants  a regex matcher holds its compiled regex
 * Ownership   matcher_init copies name and value into the arena; the regex is freed by matcher_fini
 * Threads     const after init: any
 * Errors      ERR_BAD_INPUT (the regex's words; matcher_init_words tells them as a whole)
 * Format      none
 */
#ifndef EPI_MODEL_MATCHER_H
#define EPI_MODEL_MATCHER_H

#include "model/labels.h"
#include "model/regex.h"

enum match_type { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };
struct matcher { enum match_type type; str name, value; struct regex *re; };
struct matchers { const struct matcher *at; size_t n; };

MUST_USE errc matcher_init(
    struct matcher *m, struct arena *a, enum match_type type, str name, str value, struct err *e);
MUST_USE errc matcher_init_words(struct matcher *m, struct arena *a, enum match_type type,
    str name, str value, struct buf *words);
void matcher_fini(struct matcher *m);
void matchers_fini(struct matchers ms);                        /* not the list */
bool matcher_matches(const struct matcher *m, str value);
static inline bool matcher_matches_empty(const struct matcher *m)
{
    return matcher_matches(m, STR_EMPTY);
}
bool matchers_match(struct matchers ms, struct labels l);
/* The names that one of them refuses to be empty, sorted, appended: only series that have all of
 * these can match. */
void matchers_named(str_list *out, struct matchers ms);
/* Of series that all have `fixed` in place of their own labels of these names: what is left to be
 * asked, in the arena. False: none of them match. */
bool matchers_left(
    struct matchers *out, struct matchers ms, struct labels fixed, struct arena *a);
/* name="value", name quoted where it must be */
void buf_matcher(struct buf *b, const struct matcher *m);

#endif
