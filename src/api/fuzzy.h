/* fuzzy.h — how well a word fits what was typed.
 *
 * What        Substrings, subsequences and Jaro-Winkler similarity of characters, each with a score
 *             from 0 to 1; terms of which one has to fit.
 * Invariants  the scores are those of the reference, to the bit; a term at the beginning scores 1
 * Ownership   a fuzzy lies in the given arena
 * Threads     const after fuzzy_new, but for the room that it scores in: one thread
 * Errors      none
 * Format      none
 */
#ifndef EPI_API_FUZZY_H
#define EPI_API_FUZZY_H

#include "base/arena.h"

enum fuzzy_kind { FUZZY_SUBSEQUENCE, FUZZY_JARO_WINKLER };
struct fuzzy_opts {
    enum fuzzy_kind kind;
    double threshold;                          /* 0 … 1; Jaro-Winkler: 0: substrings alone */
    bool fold_case;
};
struct fuzzy;
/* NULL: there is no term but empty ones, everything fits */
struct fuzzy *fuzzy_new(
    struct arena *a, const struct fuzzy_opts *o, const str *terms, size_t n);
void fuzzy_fini(struct fuzzy *f);              /* NULL is fine */
bool fuzzy_accepts(struct fuzzy *f, str value, double *score);

#endif
