/* f64_digits.h — the digits of numbers.
 *
 * What        The fewest decimal digits that read back as a double, of several so short the nearest
 *             one, and the digits of whole numbers.
 * Invariants  no zero at the end of the digits of a double
 * Ownership   writes into the caller's array
 * Threads     pure functions
 * Errors      none
 * Format      ASCII
 */
#ifndef EPI_BASE_F64_DIGITS_H
#define EPI_BASE_F64_DIGITS_H

#include "base/defs.h"

enum { F64_DIGITS_ROOM = 20 };             /* of the largest u64 */

unsigned f64_digits_count(uint64_t v);     /* 1 of 0 */
/* Writes them from digits[0] on, without zeros before them; returns how many. At least eight bytes
 * are written. */
unsigned f64_digits_u64(char digits[F64_DIGITS_ROOM], uint64_t v);

/* Four digits, with zeros before them. REQUIRES: v < 10000 */
void f64_digits_four(char digits[4], uint32_t v);

/* v is nearest to m 10^exponent; m may end with zeros. REQUIRES: v finite and > 0 */
struct f64_decimal { uint64_t m; int exponent; };
struct f64_decimal f64_decimal_of(double v);

/* v is 0.d1d2d3… x 10^*point. REQUIRES: v finite and > 0 */
unsigned f64_digits_shortest(char digits[F64_DIGITS_ROOM], double v, int *point);

#endif
