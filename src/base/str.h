/* str.h — a borrowed slice of bytes.
 *
 * What        Pointer and length, not NUL-ended, never owned. S("lit") makes one, STR_ARG prints
 *             one.
 * Invariants  p may be NULL only if n == 0.
 * Ownership   borrows; who keeps one beyond the call copies it (arena_str, mem_str).
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_STR_H
#define EPI_BASE_STR_H

#include "base/defs.h"

#include <string.h>

typedef struct str { const uint8_t *p; size_t n; } str;

#define S(lit) ((str){ (const uint8_t *)("" lit ""), sizeof(lit) - 1 })
#define STR_EMPTY ((str){ NULL, 0 })
#define STR_ARG(s) (int)(s).n, (const char *)(s).p            /* for "%.*s" */

static inline str str_of(const void *p, size_t n) { return (str){ (const uint8_t *)p, n }; }
static inline str str_z(const char *z) { return (str){ (const uint8_t *)z, z ? strlen(z) : 0 }; }

static inline bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Order of unsigned bytes, as Go's strings compare; a prefix comes first. */
static inline int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool str_has_prefix(str s, str pre)
{
    return s.n >= pre.n && (pre.n == 0 || memcmp(s.p, pre.p, pre.n) == 0);
}
static inline bool str_has_suffix(str s, str suf)
{
    return s.n >= suf.n && (suf.n == 0 || memcmp(s.p + s.n - suf.n, suf.p, suf.n) == 0);
}

/* s[from, to), clamped to s. */
static inline str str_slice(str s, size_t from, size_t to)
{
    if (to > s.n) to = s.n;
    if (from > to) from = to;
    return (str){ s.p ? s.p + from : NULL, to - from };
}
static inline str str_from(str s, size_t from) { return str_slice(s, from, s.n); }

/* Index of the first byte c, of the first occurrence of `what`; SIZE_MAX: none. */
static inline size_t str_index(str s, uint8_t c)
{
    const uint8_t *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}
size_t str_find(str s, str what);
size_t str_rindex(str s, uint8_t c);
bool str_eq_nocase(str a, str b);                              /* ASCII only */
/* without ASCII white space at both ends */
str str_trim(str s);

/* Cuts s at the first c: *left before it, *right after it. False if there is no c: left = s, right
 * empty. */
bool str_cut(str s, uint8_t c, str *left, str *right);

/* A whole decimal number without sign; false if empty, not digits, or above UINT64_MAX. */
MUST_USE bool str_u64(str s, uint64_t *out);
MUST_USE bool str_i64(str s, int64_t *out);                    /* an optional sign, then digits */

#endif
