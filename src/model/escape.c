#include "model/escape.h"
#include "base/utf8.h"
#include "model/labels.h"

static const str escape_names[ESCAPE_SCHEMES] = {
    [ESCAPE_NONE] = S("allow-utf-8"),
    [ESCAPE_UNDERSCORES] = S("underscores"),
    [ESCAPE_DOTS] = S("dots"),
    [ESCAPE_VALUES] = S("values"),
};
/* hex digits and the closing underscore of one value, as the reference reads it */
enum { VALUE_MAX = 6 };

str escape_scheme_name(enum escape_scheme s)
{
    assert(s < ESCAPE_SCHEMES);
    return escape_names[s];
}

bool escape_scheme_parse(str word, enum escape_scheme *out)
{
    for (unsigned s = 0; s < ESCAPE_SCHEMES; s++) {
        if (!str_eq(word, escape_names[s])) continue;
        *out = (enum escape_scheme)s;
        return true;
    }
    return false;
}

static bool rune_legacy(uint32_t r, bool first)
{
    return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || r == '_' || r == ':' ||
           (r >= '0' && r <= '9' && !first);
}

static void escape_rune(struct buf *b, uint32_t r, bool first, enum escape_scheme s)
{
    bool legacy = rune_legacy(r, first);
    if (s == ESCAPE_UNDERSCORES) buf_u8(b, legacy ? (uint8_t)r : '_');
    else if (r == '_') buf_str(b, S("__"));
    else if (legacy) buf_u8(b, (uint8_t)r);
    else if (s == ESCAPE_VALUES) buf_fmt(b, "_%x_", r);
    else buf_str(b, r == '.' ? S("_dot_") : S("__"));
}

void buf_name_escape(struct buf *b, str name, enum escape_scheme s)
{
    bool as_is =
        s == ESCAPE_NONE || name.n == 0 || (s != ESCAPE_DOTS && metric_name_valid_legacy(name));
    if (as_is) {
        buf_str(b, name);
        return;
    }
    if (s == ESCAPE_VALUES) buf_str(b, S("U__"));
    bool first = true;
    for (size_t width; name.n > 0; name = str_from(name, width), first = false)
        escape_rune(b, utf8_rune(name, &width), first, s);
}

static void buf_replaced(struct buf *b, str s, str what, str with)
{
    for (size_t at; (at = str_find(s, what)) != SIZE_MAX; s = str_from(s, at + what.n)) {
        buf_str(b, str_slice(s, 0, at));
        buf_str(b, with);
    }
    buf_str(b, s);
}

/* One replacement after the other, over the whole name: "__dot__" becomes "_._". */
static void unescape_dots(struct buf *b, str name)
{
    SCOPED(buf_fini) struct buf once = { 0 };
    buf_replaced(&once, name, S("_dot_"), S("."));
    buf_replaced(b, buf_view(&once), S("__"), S("_"));
}

/* Behind an underscore: hex digits and a closing underscore. 0: it is not so; else the bytes
 * used. */
static size_t unescape_value(struct buf *b, str s)
{
    uint32_t r = 0;
    for (size_t i = 0; i < s.n && i < VALUE_MAX; i++) {
        uint8_t c = s.p[i], low = c | 0x20;
        bool digit = c >= '0' && c <= '9', letter = low >= 'a' && low <= 'f';
        if (c == '_') {
            if (r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff)) return 0;
            buf_rune(b, r);
            return i + 1;
        }
        if (!digit && !letter) return 0;
        r = r * 16 + (uint32_t)(digit ? c - '0' : low - 'a' + 10);
    }
    return 0;
}

/* False: the name was not written by this scheme. */
static bool unescape_values(struct buf *b, str s)
{
    while (s.n > 0) {
        size_t used = 1;
        if (s.p[0] != '_') {
            buf_u8(b, s.p[0]);
        } else if (s.n > 1 && s.p[1] == '_') {
            buf_u8(b, '_');
            used = 2;
        } else {
            size_t value = unescape_value(b, str_from(s, 1));
            if (value == 0) return false;
            used = 1 + value;
        }
        s = str_from(s, used);
    }
    return true;
}

void buf_name_unescape(struct buf *b, str name, enum escape_scheme s)
{
    size_t start = b->n;
    if (s == ESCAPE_DOTS) {
        unescape_dots(b, name);
        return;
    }
    if (s == ESCAPE_VALUES && str_has_prefix(name, S("U__")) &&
        unescape_values(b, str_from(name, 3)))
        return;
    b->n = start;
    buf_str(b, name);
}
