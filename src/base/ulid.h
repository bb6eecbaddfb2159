/* ulid.h — names that sort by the time of their making: 26 characters for 48 bits of milliseconds
 * and 80 random ones.
 *
 * What        Makes, parses and prints ULIDs as block folders are named.
 * Invariants  order of bytes == order of texts == order of times of making, to the millisecond
 * Ownership   values
 * Threads     pure functions; ulid_new reads clock and kernel randomness
 * Errors      ulid_parse: false unless it is 26 characters of upper-case Crockford base 32, the
 *             first at most '7'
 * Format      github.com/ulid/spec
 */
#ifndef EPI_BASE_ULID_H
#define EPI_BASE_ULID_H

#include "base/str.h"
#include "base/vec.h"

enum { ULID_BYTES = 16, ULID_CHARS = 26 };
typedef struct ulid { uint8_t b[ULID_BYTES]; } ulid;
typedef VEC(ulid) ulid_list;
struct ulid_text { char z[ULID_CHARS + 1]; };

MUST_USE bool ulid_parse(str text, ulid *out);
struct ulid_text ulid_text(ulid id);                           /* NUL-ended */
ulid ulid_new(void);                                           /* of the wall clock's time */
ulid ulid_of(int64_t time_ms, uint64_t random_high16, uint64_t random_low64);
int64_t ulid_time_ms(ulid id);
static inline int ulid_cmp(ulid a, ulid b) { return memcmp(a.b, b.b, ULID_BYTES); }
static inline bool ulid_eq(ulid a, ulid b) { return ulid_cmp(a, b) == 0; }
static inline bool ulid_is_zero(ulid id) { return ulid_eq(id, (ulid){ { 0 } }); }

#endif
