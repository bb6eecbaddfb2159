/* base64.h — bytes as text: base64 and hexadecimal.
 *
 * What        Writes them; reading is done where a format asks for it.
 * Invariants  none
 * Ownership   writes into the caller's buffer
 * Threads     any
 * Errors      the buffer's sticky flag
 * Format      RFC 4648; BASE64_URL has no padding
 */
#ifndef EPI_BASE_BASE64_H
#define EPI_BASE_BASE64_H

#include "base/buf.h"

enum base64_kind { BASE64_PLAIN, BASE64_URL };
void buf_base64(struct buf *b, str s, enum base64_kind kind);
void buf_hex(struct buf *b, str s); /* lower case */

#endif
