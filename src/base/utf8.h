/* utf8.h — UTF-8 as Go sees it.
 *
 * What        Validation and decoding of runes; invalid bytes give U+FFFD of width 1, as Go's range
 *             loop does.
 * Invariants  surrogates and code points above U+10FFFF are invalid
 * Ownership   none
 * Threads     pure
 * Errors      none
 * Format      RFC 3629
 */
#ifndef EPI_BASE_UTF8_H
#define EPI_BASE_UTF8_H

#include "base/buf.h"

enum { RUNE_ERROR = 0xFFFD };

bool utf8_valid(str s);                                        /* fast for ASCII */
/* REQUIRES: s.n > 0; RUNE_ERROR with width 1 if invalid */
uint32_t utf8_rune(str s, size_t *width);
/* runes, an invalid byte counts one */
size_t utf8_count(str s);
void buf_rune(struct buf *b, uint32_t r);                      /* invalid code points as U+FFFD */
/* Go's unicode.IsPrint, for quoting */
bool rune_is_print(uint32_t r);
bool rune_is_letter(uint32_t r);
bool rune_is_digit(uint32_t r);

/* Go's strconv.Quote, and strconv.QuoteRune's body. */
void buf_go_quote(struct buf *b, str s);

#endif
