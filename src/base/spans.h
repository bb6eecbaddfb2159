/* spans.h — bytes that follow each other, put to where each stretch of them belongs.
 *
 * What        A list of places in memory that is filled as if it were one; of what lies in a place
 *             without memory only the length counts.
 * Invariants  none
 * Ownership   borrows
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_SPANS_H
#define EPI_BASE_SPANS_H

#include "base/str.h"

struct byte_span { uint8_t *p; size_t n; };         /* p NULL: these bytes are wanted by nobody */
struct spans { const struct byte_span *at; size_t n; };

size_t spans_bytes(struct spans s);
/* `bytes` at `off` of the whole; what does not fit is left out. */
void spans_put(struct spans s, size_t off, str bytes);
/* [off, off + n) of the whole, by as many places as it has at most: out has room for them. */
struct spans spans_slice(struct spans s, size_t off, size_t n, struct byte_span *out);

#endif
