#include "base/utf8.h"
#include "base/utf8_tables.h"

static bool rune_in(const struct rune_range *at, size_t n, uint32_t r)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r > at[mid].hi) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && r >= at[lo].lo;
}

bool rune_is_print(uint32_t r)
{
    if (r < 0x80) return r >= 0x20 && r < 0x7f;
    return rune_in(rune_print, ARRAY_LEN(rune_print), r);
}
bool rune_is_letter(uint32_t r) { return rune_in(rune_letter, ARRAY_LEN(rune_letter), r); }
bool rune_is_digit(uint32_t r) { return rune_in(rune_digit, ARRAY_LEN(rune_digit), r); }

/* Of a sequence that starts with c: its length, and the allowed range of its second byte (which
 * excludes overlong forms, surrogates and what lies above U+10FFFF). 0: c starts none. */
static size_t utf8_lead(uint8_t c, uint8_t *lo, uint8_t *hi)
{
    *lo = 0x80;
    *hi = 0xbf;
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    if (c < 0xe0) return 2;
    if (c == 0xe0) *lo = 0xa0;
    if (c == 0xed) *hi = 0x9f;
    if (c == 0xf0) *lo = 0x90;
    if (c == 0xf4) *hi = 0x8f;
    return c < 0xf0 ? 3 : 4;
}

uint32_t utf8_rune(str s, size_t *width)
{
    assert(s.n > 0);
    uint8_t lo, hi;
    size_t n = utf8_lead(s.p[0], &lo, &hi);
    *width = 1;
    if (n == 1) return s.p[0];
    if (n == 0 || s.n < n || s.p[1] < lo || s.p[1] > hi) return RUNE_ERROR;
    uint32_t r = s.p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s.p[i] & 0xc0) != 0x80) return RUNE_ERROR;
        r = r << 6 | (s.p[i] & 0x3f);
    }
    *width = n;
    return r;
}

/* Length of the run of ASCII at the start. */
static size_t utf8_ascii(str s)
{
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t w;
        memcpy(&w, s.p + i, 8);
        if (w & 0x8080808080808080u) break;
    }
    while (i < s.n && s.p[i] < 0x80) i++;
    return i;
}

bool utf8_valid(str s)
{
    while (s.n > 0) {
        s = str_from(s, utf8_ascii(s));
        if (s.n == 0) return true;
        size_t width;
        if (utf8_rune(s, &width) == RUNE_ERROR && width == 1) return false;
        s = str_from(s, width);
    }
    return true;
}

size_t utf8_count(str s)
{
    size_t count = 0;
    for (size_t width; s.n > 0; s = str_from(s, width), count++) utf8_rune(s, &width);
    return count;
}

void buf_rune(struct buf *b, uint32_t r)
{
    if (r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff)) r = RUNE_ERROR;
    if (r < 0x80) {
        buf_u8(b, (uint8_t)r);
        return;
    }
    unsigned more = r < 0x800 ? 1 : r < 0x10000 ? 2 : 3;
    static const uint8_t mark[] = { 0, 0xc0, 0xe0, 0xf0 };
    uint8_t at[4] = { (uint8_t)(mark[more] | r >> (6 * more)) };
    for (unsigned i = 1; i <= more; i++) at[i] = (uint8_t)(0x80 | ((r >> (6 * (more - i))) & 0x3f));
    buf_bytes(b, at, more + 1);
}

static void quote_rune(struct buf *b, uint32_t r)
{
    static const char named[] = "abtnvfr";     /* of 7 … 13 */
    if (r == '"' || r == '\\') buf_fmt(b, "\\%c", (int)r);
    else if (r >= 7 && r <= 13) buf_fmt(b, "\\%c", named[r - 7]);
    else if (rune_is_print(r)) buf_rune(b, r);
    else if (r < 0x80) buf_fmt(b, "\\x%02x", r);
    else if (r < 0x10000) buf_fmt(b, "\\u%04x", r);
    else buf_fmt(b, "\\U%08x", r);
}

static bool quote_plain(uint8_t c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

void buf_go_quote(struct buf *b, str s)
{
    buf_u8(b, '"');
    while (s.n > 0) {
        size_t run = 0;
        while (run < s.n && quote_plain(s.p[run])) run++;
        buf_bytes(b, s.p, run);
        s = str_from(s, run);
        if (s.n == 0) break;
        size_t width;
        uint32_t r = utf8_rune(s, &width);
        if (r == RUNE_ERROR && width == 1) buf_fmt(b, "\\x%02x", s.p[0]);
        else quote_rune(b, r);
        s = str_from(s, width);
    }
    buf_u8(b, '"');
}
