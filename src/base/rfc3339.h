/* rfc3339.h — times as text.
 *
 * What        RFC 3339 with fractional seconds, as Go's time.RFC3339Nano reads and writes it.
 * Invariants  format(parse(s)) is s in UTC for ms-resolution times
 * Ownership   none
 * Threads     pure
 * Errors      false
 * Format      RFC 3339
 */
#ifndef EPI_BASE_RFC3339_H
#define EPI_BASE_RFC3339_H

#include "base/buf.h"

/* nanoseconds are truncated to ms; years 0000 … 9999 */
MUST_USE bool rfc3339_parse(str s, int64_t *ms_out);
/* 2026-01-02T15:04:05.678Z, always three digits: as log lines have it */
void buf_rfc3339_ms(struct buf *b, int64_t ms);
/* without trailing zeros: Go's RFC3339Nano */
void buf_rfc3339_ns(struct buf *b, int64_t ns);

/* UTC; weekday 0 = Sunday, yearday from 1 */
struct civil { int year; unsigned month, day, hour, minute, second, weekday, yearday; };
/* proleptic Gregorian, any int64 within Go's range */
struct civil civil_of(int64_t unix_s);
unsigned civil_days_in_month(int year, unsigned month);

#endif
