/* regex_height.h — how deep the tree of a regular expression is.
 *
 * What        Go's regexp refuses a pattern whose tree is higher than 1,000 nodes, which the
 *             library behind model/regex does not mind. Here a pattern is read for its height only.
 * Invariants  groups that capture, repetitions, and what stands side by side or in alternatives
 *             each are a level; (?:…) is none, nor are lists in lists of the same kind
 * Ownership   none
 * Threads     any
 * Errors      none
 * Format      the pattern is valid RE2 syntax
 */
#ifndef EPI_MODEL_REGEX_HEIGHT_H
#define EPI_MODEL_REGEX_HEIGHT_H

#include "base/str.h"

enum { REGEX_HEIGHT_MAX = 1000 };
struct regex_height {
    size_t itself;
    /* of ^(?s:pattern)$ */
    size_t anchored;
};
struct regex_height regex_height(str pattern);

/* Length of what starts here and holds no group: an escape, a class, a quoted text, a byte. */
size_t regex_token_size(str s);

#endif
