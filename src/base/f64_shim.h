/* f64_shim.h — the C++ libraries behind f64, as C functions.
 *
 * What        Correctly rounded reading (the C++ library's from_chars; double-conversion reads what
 *             lies at the borders of the range).
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

/* REQUIRES: digits with an optional point and exponent, no sign, nothing else. False on overflow,
 * *out untouched. */
bool f64_shim_parse(const char *text, size_t n, double *out);

#ifdef __cplusplus
}
#endif

#endif
