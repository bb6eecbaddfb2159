/* json_far.h — JSON with numbers of any size.
 *
 * What        Go keeps members that it does not know whatever their numbers are; jansson refuses
 *             those beyond 64 bits or beyond a double. Such numbers are texts with a mark while the
 *             library has them, and are written as they stood.
 * Invariants  without such numbers all is as the library has it
 * Ownership   the caller's: json_decref
 * Threads     pure functions
 * Errors      those of json_loadb
 * Format      RFC 8259
 */
#ifndef EPI_BASE_JSON_FAR_H
#define EPI_BASE_JSON_FAR_H

#include "base/buf.h"

#include <jansson.h>

/* NULL: *why. *far: the length of the mark that numbers have; left alone where none has one. */
json_t *json_far_load(str json, size_t *far, json_error_t *why);
/* v on one line; far: of json_far_load: marked numbers as they stood; 0: there are none. */
void json_far_put(struct buf *b, const json_t *v, size_t far);

#endif
