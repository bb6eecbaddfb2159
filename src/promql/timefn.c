/* Days are counted in cycles of 400 years from 1 March of year 0, so that leap days come last
 * (Howard Hinnant's algorithm). Seconds before the year that Go counts from wrap around 2^64, as
 * they do there: infinite values reach that far. */
#include "promql/timefn.h"

#include "base/defs.h"

#include <string.h>

enum { DAY_S = 86400, CYCLE_DAYS = 146097, CYCLE_YEARS = 400, MARCH_0_TO_EPOCH_DAYS = 719468 };
static const int64_t oldest_s = -9223372028741760000;          /* the start of Go's calendar */

/* month, day and yearday from 1; Sunday is 0 */
struct date { int64_t year; unsigned month, day, yearday, weekday, second; };

static bool year_is_leap(int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }

static struct date date_of(double seconds)
{
    int64_t unix_s = seconds >= -0x1p63 && seconds < 0x1p63 ? (int64_t)seconds : INT64_MIN;
    __int128 s = unix_s;
    if (unix_s < oldest_s) s += (__int128)1 << 64;
    int64_t days = (int64_t)(s / DAY_S), rest = (int64_t)(s % DAY_S);
    if (rest < 0) {
        rest += DAY_S;
        days--;
    }
    int64_t z = days + MARCH_0_TO_EPOCH_DAYS,
            cycle = (z >= 0 ? z : z - (CYCLE_DAYS - 1)) / CYCLE_DAYS;
    unsigned of_cycle = (unsigned)(z - cycle * CYCLE_DAYS);
    unsigned year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
    /* from 1 March */
    unsigned of_year = of_cycle - (365 * year + year / 4 - year / 100),
             month = (5 * of_year + 2) / 153;
    struct date d = { .year = cycle * CYCLE_YEARS + year, .second = (unsigned)rest };
    d.day = of_year - (153 * month + 2) / 5 + 1;
    d.month = month < 10 ? month + 3 : month - 9;
    d.year += d.month <= 2;
    d.yearday = d.month <= 2 ? of_year - 305 : of_year + 60 + year_is_leap(d.year);
    d.weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
    return d;
}

static double fn_year(double s) { return (double)date_of(s).year; }
static double fn_month(double s) { return date_of(s).month; }
static double fn_day_of_month(double s) { return date_of(s).day; }
static double fn_day_of_week(double s) { return date_of(s).weekday; }
static double fn_day_of_year(double s) { return date_of(s).yearday; }
static double fn_hour(double s) { return date_of(s).second / 3600; }
static double fn_minute(double s) { return date_of(s).second / 60 % 60; }
static double fn_days_in_month(double s)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct date d = date_of(s);
    return days[d.month - 1] + (d.month == 2 && year_is_leap(d.year));
}

double (*time_function_find(const char *name))(double)
{
    static const struct { const char *name; double (*fn)(double);
    } table[] = {
        { "day_of_month", fn_day_of_month },
        { "day_of_week", fn_day_of_week },
        { "day_of_year", fn_day_of_year },
        { "days_in_month", fn_days_in_month },
        { "hour", fn_hour },
        { "minute", fn_minute },
        { "month", fn_month },
        { "year", fn_year },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].name, name)) return table[i].fn;
    return NULL;
}
