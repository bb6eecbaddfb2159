#include "base/str.h"

size_t str_find(str s, str what)
{
    if (what.n == 0) return 0;
    const uint8_t *at = s.n ? memmem(s.p, s.n, what.p, what.n) : NULL;
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t str_rindex(str s, uint8_t c)
{
    const uint8_t *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

static uint8_t ascii_lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c; }

bool str_eq_nocase(str a, str b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i])) return false;
    return true;
}

static bool ascii_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

str str_trim(str s)
{
    while (s.n && ascii_space(s.p[0])) s = str_from(s, 1);
    while (s.n && ascii_space(s.p[s.n - 1])) s.n--;
    return s;
}

bool str_cut(str s, uint8_t c, str *left, str *right)
{
    size_t i = str_index(s, c);
    bool found = i != SIZE_MAX;
    *left = found ? str_slice(s, 0, i) : s;
    *right = found ? str_from(s, i + 1) : STR_EMPTY;
    return found;
}

bool str_u64(str s, uint64_t *out)
{
    if (s.n == 0) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned d = s.p[i] - (unsigned)'0';
        if (d > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, d, &v))
            return false;
    }
    *out = v;
    return true;
}

bool str_i64(str s, int64_t *out)
{
    bool neg = s.n && s.p[0] == '-';
    if (s.n && (neg || s.p[0] == '+')) s = str_from(s, 1);
    uint64_t v = 0;
    if (!str_u64(s, &v) || v > (uint64_t)INT64_MAX + neg) return false;
    *out = (int64_t)(neg ? 0 - v : v);
    return true;
}
