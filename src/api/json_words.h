/* json_words.h — what is wrong with a text that is no JSON, in the reference's words.
 *
 * What        Walks the text by the grammar and names the first character that does not fit.
 * Invariants  none
 * Ownership   none
 * Threads     pure functions
 * Errors      none
 * Format      RFC 8259; the words of Go's encoding/json
 */
#ifndef EPI_API_JSON_WORDS_H
#define EPI_API_JSON_WORDS_H

#include "base/buf.h"

/* Appends "invalid character 'b' looking for beginning of value"; false: nothing is wrong. */
bool json_words(struct buf *out, str text);

#endif
