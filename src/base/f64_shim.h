/* f64_shim.h — the C++ libraries behind f64, as C functions.
 *
 * What        Shortest decimal digits and correctly rounded reading (the C++ library's to_chars and
 *             from_chars; double-conversion reads what lies at the borders of the range).
 * Invariants  none
 * Ownership   none
 * Threads     pure functions
 * Errors      f64_shim_parse: false on overflow
 * Format      none
 */
#ifndef EPI_BASE_F64_SHIM_H
#define EPI_BASE_F64_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { F64_SHIM_DIGITS = 18 };             /* 17 digits and a NUL */

/* The fewest digits that read back as v: 0.d1d2d3… x 10^*point; gives their number. REQUIRES: v
 * finite and > 0 */
int f64_shim_digits(char digits[F64_SHIM_DIGITS], double v, int *point);

/* REQUIRES: digits with an optional point and exponent, no sign, nothing else. False on overflow,
 * *out untouched. */
bool f64_shim_parse(const char *text, size_t n, double *out);

#ifdef __cplusplus
}
#endif

#endif
