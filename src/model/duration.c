#include "model/duration.h"

#include "base/f64.h"
#include "base/utf8.h"

enum { UNITS = 7 };
static const struct { str name; uint64_t ms; bool whole; } units[UNITS] = {
    /* the order in which they may follow each other; `whole`: written only if nothing is left
     * over */
    { S("y"), 365ull * 24 * 3600 * 1000, true },
    { S("w"), 7ull * 24 * 3600 * 1000, true },
    { S("d"), 24ull * 3600 * 1000, false },
    { S("h"), 3600 * 1000, false },
    { S("m"), 60 * 1000, false },
    { S("s"), 1000, false },
    { S("ms"), 1, false },
};
#define DURATION_MAX_MS (INT64_MAX / 1000000)   /* the reference counts nanoseconds in an int64 */

static bool duration_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static errc duration_invalid(str s, struct buf *words)
{
    buf_str(words, S("not a valid duration string: "));
    buf_go_quote(words, s);
    return ERR_BAD_INPUT;
}

static errc duration_unknown_unit(str unit, str s, struct buf *words)
{
    buf_str(words, S("unknown unit "));
    buf_go_quote(words, unit);
    buf_str(words, S(" in duration "));
    buf_go_quote(words, s);
    return ERR_BAD_INPUT;
}

static errc duration_refuse(str why, struct buf *words)
{
    buf_str(words, why);
    return ERR_BAD_INPUT;
}

static size_t duration_run(str s, bool digits)
{
    size_t n = 0;
    while (n < s.n && duration_digit(s.p[n]) == digits) n++;
    return n;
}

errc duration_parse_words(str s, int64_t *ms_out, struct buf *words)
{
    if (s.n == 0) return duration_refuse(S("empty duration string"), words);
    uint64_t sum = 0;
    size_t next = 0;                       /* the first unit that may come */
    str rest = str_eq(s, S("0")) ? STR_EMPTY : s;
    while (rest.n > 0) {
        size_t digits = duration_run(rest, true);
        uint64_t v;
        if (!str_u64(str_slice(rest, 0, digits), &v)) return duration_invalid(s, words);
        rest = str_from(rest, digits);
        str unit = str_slice(rest, 0, duration_run(rest, false));
        rest = str_from(rest, unit.n);
        if (unit.n == 0) return duration_invalid(s, words);
        size_t u = 0;
        while (u < UNITS && !str_eq(unit, units[u].name)) u++;
        if (u == UNITS) return duration_unknown_unit(unit, s, words);
        if (u < next) return duration_invalid(s, words);
        next = u + 1;
        if (v > (uint64_t)DURATION_MAX_MS / units[u].ms)
            return duration_refuse(S("duration out of range"), words);
        sum += v * units[u].ms;
        if (sum > (uint64_t)DURATION_MAX_MS)
            return duration_refuse(S("duration out of range"), words);
    }
    *ms_out = (int64_t)sum;
    return OK;
}

errc duration_parse(str s, int64_t *ms_out, struct err *e)
{
    SCOPED(buf_fini) struct buf words = { 0 };
    errc rc = duration_parse_words(s, ms_out, &words);
    return rc == OK ? OK : err_set_str(e, rc, buf_view(&words));
}

errc duration_parse_signed(str s, int64_t *ms_out, struct err *e)
{
    bool neg = s.n > 0 && s.p[0] == '-';
    int64_t ms;
    TRY(duration_parse(neg ? str_from(s, 1) : s, &ms, e));
    *ms_out = neg ? -ms : ms;
    return OK;
}

void buf_duration(struct buf *b, int64_t ms)
{
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (left == 0) {
        buf_str(b, S("0s"));
        return;
    }
    if (ms < 0) buf_u8(b, '-');
    for (size_t u = 0; u < UNITS; u++) {
        if (left < units[u].ms || (units[u].whole && left % units[u].ms != 0)) continue;
        buf_u64_text(b, left / units[u].ms);
        buf_str(b, units[u].name);
        left %= units[u].ms;
    }
}

str arena_duration(struct arena *a, int64_t ms)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_duration(&b, ms);
    return arena_str(a, buf_view(&b));
}

/* The fraction's digits without zeros at the end, with its point; none: nothing. */
static void buf_fraction(struct buf *b, uint64_t frac, unsigned digits)
{
    if (frac == 0) return;
    for (; frac % 10 == 0; frac /= 10) digits--;
    buf_fmt(b, ".%0*" PRIu64, (int)digits, frac);
}

void buf_go_duration(struct buf *b, int64_t ns)
{
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0) buf_u8(b, '-');
    if (left < 1000000000) {
        static const struct {
            uint64_t ns;
            unsigned digits;
            const char *name;
        } small[] = { { 1000000, 6, "ms" }, { 1000, 3, "µs" }, { 1, 0, "ns" } };
        size_t u = 0;
        while (u < 2 && left < small[u].ns) u++;
        buf_u64_text(b, left / small[u].ns);
        buf_fraction(b, left % small[u].ns, small[u].digits);
        buf_str(b, left == 0 ? S("s") : str_z(small[u].name));
        return;
    }
    uint64_t s = left / 1000000000;
    if (s >= 3600) buf_fmt(b, "%" PRIu64 "h", s / 3600);
    if (s >= 60) buf_fmt(b, "%" PRIu64 "m", s / 60 % 60);
    buf_u64_text(b, s % 60);
    buf_fraction(b, left % 1000000000, 9);
    buf_u8(b, 's');
}

bool go_duration_parse(str s, int64_t *ns_out)
{
    static const struct { str name; double ns;
    } go_units[] = {
        { S("ns"), 1 },
        { S("us"), 1e3 },
        { S("µs"), 1e3 },
        { S("ms"), 1e6 },
        { S("s"), 1e9 },
        { S("m"), 60e9 },
        { S("h"), 3600e9 },
    };
    double sum = 0;
    bool minus = str_has_prefix(s, S("-"));
    if (minus || str_has_prefix(s, S("+"))) s = str_from(s, 1);
    if (str_eq(s, S("0"))) return *ns_out = 0, true;
    for (bool any = false; s.n || !any; any = true) {
        size_t n = 0, u = 0;
        double v;
        while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '.')) n++;
        if (!n || !f64_parse(str_slice(s, 0, n), &v)) return false;
        s = str_from(s, n);
        while (u < s.n && s.p[u] != '.' && (s.p[u] < '0' || s.p[u] > '9')) u++;
        str unit = str_slice(s, 0, u);
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(go_units); i++)
            if (str_eq(go_units[i].name, unit)) sum += v * go_units[i].ns, known = true;
        if (!known) return false;
        s = str_from(s, u);
    }
    if (sum > 9e18) return false;
    *ns_out = minus ? -(int64_t)sum : (int64_t)sum;
    return true;
}
