#include "base/json_far.h"

#include "base/f64.h"

#include <math.h>

static int put_piece(const char *p, size_t n, void *b)
{
    buf_bytes(b, p, n);
    return 0;
}

static size_t digits_len(str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') n++;
    return n;
}

/* As JSON has it; 0: s does not begin with a number. */
static size_t number_len(str s, bool *real)
{
    size_t n = str_has_prefix(s, S("-")), digits = digits_len(str_from(s, n));
    *real = false;
    if (!digits) return 0;
    n += s.p[n] == '0' ? 1 : digits;
    digits = n < s.n && s.p[n] == '.' ? digits_len(str_from(s, n + 1)) : 0;
    *real |= digits > 0;
    n += digits ? digits + 1 : 0;
    if (n == s.n || (s.p[n] | 0x20) != 'e') return n;
    size_t sign = n + 1 < s.n && (s.p[n + 1] == '+' || s.p[n + 1] == '-');
    digits = digits_len(str_from(s, MIN(n + 1 + sign, s.n)));
    *real |= digits > 0;
    return digits ? n + 1 + sign + digits : n;
}

/* Numbers that the library cannot hold are texts while it has them. They begin with this, more
 * often in a row than it stands anywhere in the JSON. */
#define MARK S("\\u0001")

static size_t marks_len(str s)
{
    size_t n = 0;
    while (str_has_prefix(str_from(s, n * MARK.n), MARK)) n++;
    return n;
}

static size_t longest_marks(str json)
{
    size_t longest = 0;
    for (size_t at = 0, n; at < json.n; at += MAX(n * MARK.n, 1)) {
        n = marks_len(str_from(json, at));
        longest = MAX(longest, n);
    }
    return longest;
}

/* The number at the beginning of s, which is behind a quote; empty: it is none. */
static str marked_number(str s, size_t far)
{
    bool real;
    if (marks_len(s) != far) return STR_EMPTY;
    str number = str_from(s, far * MARK.n);
    return str_slice(number, 0, number_len(number, &real));
}

/* The length of what stands next in a text of JSON, as far as texts go. */
static size_t piece_len(str json, bool *in_text)
{
    if (*in_text && json.p[0] == '\\' && json.n > 1) return 2;
    *in_text ^= json.p[0] == '"';
    return 1;
}

static void put_unmarked(struct buf *b, str json, size_t far)
{
    bool in_text = false;
    for (size_t n; json.n; json = str_from(json, n)) {
        bool begins = !in_text && json.p[0] == '"';
        str number = begins ? marked_number(str_from(json, 1), far) : STR_EMPTY;
        n = piece_len(json, &in_text);
        buf_str(b, number.n ? number : str_slice(json, 0, n));
        if (!number.n) continue;
        n = far * MARK.n + number.n + 2;
        in_text = false;
    }
}

void json_far_put(struct buf *b, const json_t *v, size_t far)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    int failed = json_dump_callback(v, put_piece, &text, JSON_ENCODE_ANY);
    assert(!failed);                           /* it was read by the same library */
    if (far) put_unmarked(b, buf_view(&text), far);
    else buf_str(b, buf_view(&text));
}

static bool is_far(str number, bool real)
{
    int64_t i;
    double d;
    return real ? !f64_parse(number, &d) || !isfinite(d) : !str_i64(number, &i);
}

static void mark_far_numbers(struct buf *out, str json, size_t marks)
{
    bool in_text = false;
    for (size_t n; json.n; json = str_from(json, n)) {
        bool real = false;
        size_t number = in_text ? 0 : number_len(json, &real);
        bool far = number && is_far(str_slice(json, 0, number), real);
        n = number ? number : piece_len(json, &in_text);
        if (far) buf_u8(out, '"');
        for (size_t i = 0; far && i < marks; i++) buf_str(out, MARK);
        buf_str(out, str_slice(json, 0, n));
        if (far) buf_u8(out, '"');
    }
}

json_t *json_far_load(str json, size_t *far, json_error_t *why)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    json_t *root = json_loadb((const char *)json.p, json.n, JSON_ALLOW_NUL, why);
    if (root || json_error_code(why) != json_error_numeric_overflow) return root;
    *far = longest_marks(json) + 1;
    mark_far_numbers(&b, json, *far);
    return json_loadb((const char *)b.p, b.n, JSON_ALLOW_NUL, why);
}
