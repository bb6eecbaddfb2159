/* f64.h — doubles as bits and as text.
 *
 * What        Bit access (stale markers and NaN payloads survive), and the text forms of the HTTP
 *             API, of Go's strconv and of OpenMetrics.
 * Invariants  parse(format(x)) == x for every finite x
 * Ownership   none
 * Threads     pure functions
 * Errors      f64_parse: false
 * Format      shortest round trip, as Go's strconv.FormatFloat(x, fmt, -1, 64)
 */
#ifndef EPI_BASE_F64_H
#define EPI_BASE_F64_H

#include "base/buf.h"

static inline uint64_t f64_bits(double v) { uint64_t b; memcpy(&b, &v, 8); return b; }
static inline double f64_of_bits(uint64_t b) { double v; memcpy(&v, &b, 8); return v; }

/* 'f' of the largest double with sign and NUL */
enum { F64_TEXT_MAX = 400 };

/* Each writes at most F64_TEXT_MAX bytes and returns how many; no NUL. "NaN", "+Inf", "-Inf" for
 * the specials. */
size_t f64_text_f(char out[F64_TEXT_MAX], double v);           /* Go 'f', -1: never an exponent */
/* Go 'g', -1: exponent below 1e-4 and from 1e6: "1e+06" */
size_t f64_text_g(char out[F64_TEXT_MAX], double v);
/* 'f' for 1e-6 <= |v| < 1e21 and 0, else 'e' as Prometheus' JSON has it */
size_t f64_text_api(char out[F64_TEXT_MAX], double v);
/* as OpenMetrics le and quantile values: "1.0", "+Inf" */
size_t f64_text_openmetrics(char out[F64_TEXT_MAX], double v);

void buf_f64_f(struct buf *b, double v);
void buf_f64_g(struct buf *b, double v);
void buf_f64_api(struct buf *b, double v);

/* Go's strconv.ParseFloat(s, 64): decimal, hex floats, underscores between digits, Inf/Infinity in
 * any case with sign, NaN without.
 * False on a syntax error and on overflow (Go's ErrRange); *out is then untouched. Exactly
 * rounded. */
MUST_USE bool f64_parse(str s, double *out);

#endif
