#include "base/rfc3339.h"

enum { SECONDS_A_DAY = 86400 };

static bool leap(int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }

unsigned civil_days_in_month(int year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    assert(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && leap(year));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Days since 1970-01-01 of a date; years are counted from March so that the leap day comes last
 * (eras of 400 years). */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = floor_div(y, 400), year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

struct civil civil_of(int64_t unix_s)
{
    int64_t days = floor_div(unix_s, SECONDS_A_DAY), rest = unix_s - days * SECONDS_A_DAY;
    int64_t z = days + 719468, era = floor_div(z, 146097), day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t mp = (5 * day_of_year + 2) / 153;
    struct civil c = { .day = (unsigned)(day_of_year - (153 * mp + 2) / 5 + 1),
        .month = (unsigned)(mp < 10 ? mp + 3 : mp - 9) };
    c.year = (int)(year_of_era + era * 400 + (c.month <= 2));
    c.hour = (unsigned)(rest / 3600);
    c.minute = (unsigned)(rest / 60 % 60);
    c.second = (unsigned)(rest % 60);
    c.weekday = (unsigned)((days % 7 + 11) % 7);               /* 1970-01-01 was a Thursday */
    c.yearday = (unsigned)(days - days_of(c.year, 1, 1) + 1);
    return c;
}

/* n decimal digits at *s, which moves on. */
static bool take_digits(str *s, size_t n, unsigned *out)
{
    unsigned v = 0;
    if (s->n < n) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned d = s->p[i] - (unsigned)'0';
        if (d > 9) return false;
        v = v * 10 + d;
    }
    *s = str_from(*s, n);
    *out = v;
    return true;
}

/* One digit or two, as Go reads hours. */
static bool take_hour(str *s, unsigned *out)
{
    bool two = s->n > 1 && s->p[1] >= '0' && s->p[1] <= '9';
    return take_digits(s, two ? 2 : 1, out);
}

static bool take_byte(str *s, uint8_t c)
{
    if (!s->n || s->p[0] != c) return false;
    *s = str_from(*s, 1);
    return true;
}

/* The fraction in ms, further digits are checked and cut off. */
static bool take_fraction(str *s, unsigned *ms)
{
    *ms = 0;
    if (!take_byte(s, '.') && !take_byte(s, ',')) return true;
    size_t n = 0;
    for (unsigned scale = 100; s->n && s->p[0] >= '0' && s->p[0] <= '9'; n++, scale /= 10) {
        *ms += (s->p[0] - (unsigned)'0') * scale;
        *s = str_from(*s, 1);
    }
    return n > 0;
}

static bool take_zone(str *s, int64_t *offset_s)
{
    *offset_s = 0;
    if (take_byte(s, 'Z')) return true;
    bool minus = s->n && s->p[0] == '-';
    unsigned h, m;
    if (!take_byte(s, minus ? '-' : '+') || !take_digits(s, 2, &h) || !take_byte(s, ':') ||
        !take_digits(s, 2, &m))
        return false;
    if (h > 24 || m > 60) return false;
    *offset_s = (int64_t)(h * 3600 + m * 60) * (minus ? -1 : 1);
    return true;
}

bool rfc3339_parse(str s, int64_t *ms_out)
{
    unsigned y, mo, d, h, mi, sec, ms;
    int64_t offset;
    if (!take_digits(&s, 4, &y) || !take_byte(&s, '-') || !take_digits(&s, 2, &mo) ||
        !take_byte(&s, '-') || !take_digits(&s, 2, &d))
        return false;
    if (!take_byte(&s, 'T') || !take_hour(&s, &h) || !take_byte(&s, ':') ||
        !take_digits(&s, 2, &mi))
        return false;
    if (!take_byte(&s, ':') || !take_digits(&s, 2, &sec) || !take_fraction(&s, &ms) ||
        !take_zone(&s, &offset) || s.n)
        return false;
    if (mo < 1 || mo > 12 || d < 1 || d > civil_days_in_month((int)y, mo) || h > 23 || mi > 59 ||
        sec > 59)
        return false;
    int64_t unix_s = days_of(y, mo, d) * SECONDS_A_DAY + h * 3600 + mi * 60 + sec - offset;
    *ms_out = unix_s * 1000 + ms;
    return true;
}

void buf_rfc3339_ns(struct buf *b, int64_t ns)
{
    int64_t s = floor_div(ns, 1000000000), frac = ns - s * 1000000000;
    struct civil c = civil_of(s);
    buf_fmt(b, "%04d-%02u-%02uT%02u:%02u:%02u", c.year, c.month, c.day, c.hour, c.minute, c.second);
    if (frac) {
        int digits = 9;
        while (frac % 10 == 0) {
            frac /= 10;
            digits--;
        }
        buf_fmt(b, ".%0*" PRId64, digits, frac);
    }
    buf_u8(b, 'Z');
}

void buf_rfc3339_ms(struct buf *b, int64_t ms)
{
    int64_t s = floor_div(ms, 1000), frac = ms - s * 1000;
    struct civil c = civil_of(s);
    buf_fmt(b, "%04d-%02u-%02uT%02u:%02u:%02u.%03" PRId64 "Z", c.year, c.month, c.day, c.hour,
        c.minute, c.second, frac);
}
