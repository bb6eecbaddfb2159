#include "promql/timefn.h"

#include "base/rfc3339.h"

static struct civil civil_of_f64(double s)
{
    return civil_of(s >= -0x1p63 && s < 0x1p63 ? (int64_t)s : INT64_MIN);
}

static double fn_year(double s) { return civil_of_f64(s).year; }
static double fn_month(double s) { return civil_of_f64(s).month; }
static double fn_day_of_month(double s) { return civil_of_f64(s).day; }
static double fn_day_of_week(double s) { return civil_of_f64(s).weekday; }
static double fn_day_of_year(double s) { return civil_of_f64(s).yearday; }
static double fn_hour(double s) { return civil_of_f64(s).hour; }
static double fn_minute(double s) { return civil_of_f64(s).minute; }
static double fn_days_in_month(double s)
{
    struct civil c = civil_of_f64(s);
    return civil_days_in_month(c.year, c.month);
}

double (*time_function_find(const char *name))(double)
{
    static const struct { const char *name; double (*fn)(double); } table[] = {
        { "day_of_month", fn_day_of_month }, { "day_of_week", fn_day_of_week }, { "day_of_year", fn_day_of_year },
        { "days_in_month", fn_days_in_month }, { "hour", fn_hour }, { "minute", fn_minute }, { "month", fn_month }, { "year", fn_year },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].name, name)) return table[i].fn;
    return NULL;
}
