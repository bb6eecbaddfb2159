#include "model/size.h"

#include <math.h>

static const char size_prefixes[] = "KMGTPE";

/* The power of 1024 of a unit; -1: unknown. One string uses either the form with i or the one
 * without. */
static int size_unit(str u, bool with_i)
{
    if (str_eq(u, S("B"))) return 0;
    if (u.n != (with_i ? 3u : 2u) || u.p[u.n - 1] != 'B' || (with_i && u.p[1] != 'i')) return -1;
    const char *at = u.p[0] ? strchr(size_prefixes, u.p[0]) : NULL;
    return at ? (int)(at - size_prefixes) + 1 : -1;
}

/* Digits at the start as a number; false if above INT64_MAX. */
static bool size_digits(str *s, double *v, unsigned *count)
{
    uint64_t m = 0;
    *count = 0;
    for (; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; (*count)++, *s = str_from(*s, 1))
        if (__builtin_mul_overflow(m, 10, &m) ||
            __builtin_add_overflow(m, (uint64_t)(s->p[0] - '0'), &m) || m > INT64_MAX)
            return false;
    *v = (double)m;
    return true;
}

/* One number with its unit off the start of *s, added to *sum. */
static errc size_part(str *s, str whole, bool with_i, double *sum, struct err *e)
{
    double v, frac = 0;
    unsigned before, after = 0;
    bool good = size_digits(s, &v, &before);
    if (good && s->n > 0 && s->p[0] == '.') {
        *s = str_from(*s, 1);
        good = size_digits(s, &frac, &after);
    }
    if (!good || before + after == 0)
        return err_set(e, ERR_BAD_INPUT, "units: invalid %.*s", STR_ARG(whole));
    double scale = 1;
    while (after-- > 0) scale *= 10;
    size_t n = 0;
    while (n < s->n && s->p[n] != '.' && !(s->p[n] >= '0' && s->p[n] <= '9')) n++;
    str unit = str_slice(*s, 0, n);
    *s = str_from(*s, n);
    int power = size_unit(unit, with_i);
    if (power < 0)
        return err_set(
            e, ERR_BAD_INPUT, "units: unknown unit %.*s in %.*s", STR_ARG(unit), STR_ARG(whole));
    *sum += ldexp(v + frac / scale, 10 * power);
    return OK;
}

static errc size_parse_units(str whole, bool with_i, int64_t *out, struct err *e)
{
    bool sign = whole.n > 0 && (whole.p[0] == '-' || whole.p[0] == '+');
    str s = str_from(whole, sign);
    double sum = 0;
    if (s.n == 0) return err_set(e, ERR_BAD_INPUT, "units: invalid %.*s", STR_ARG(whole));
    if (str_eq(s, S("0"))) s = STR_EMPTY;
    while (s.n > 0) TRY(size_part(&s, whole, with_i, &sum, e));
    if (sign && whole.p[0] == '-') sum = -sum;
    if (!(sum >= -0x1p63 && sum < 0x1p63))
        return err_set(e, ERR_BAD_INPUT, "units: overflow parsing unit");
    *out = (int64_t)sum;
    return OK;
}

errc size_parse(str s, int64_t *bytes_out, struct err *e)
{
    if (size_parse_units(s, true, bytes_out, NULL) == OK) return OK;
    return size_parse_units(s, false, bytes_out, e);
}

void buf_size(struct buf *b, int64_t bytes)
{
    uint64_t n = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;
    if (n == 0) buf_str(b, S("0B"));
    if (bytes < 0) buf_u8(b, '-');
    for (int power = 6; power >= 0; power--) {
        uint64_t part = n >> (10 * power);
        n -= part << (10 * power);
        if (part == 0) continue;
        buf_u64_text(b, part);
        if (power) buf_fmt(b, "%ci", size_prefixes[power - 1]);
        buf_u8(b, 'B');
    }
}
