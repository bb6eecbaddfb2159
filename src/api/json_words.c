#include "api/json_words.h"

#include "base/cursor.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 10000 };

/* The walk stops at the character that does not fit; where NULL: at the end of the text. */
struct walk { const uint8_t *p, *end; const char *where; char literal[40]; unsigned depth; };

static bool fail(struct walk *w, const char *where)
{
    w->where = where;
    return false;
}

static bool at_end(struct walk *w)
{
    if (w->p < w->end) return false;
    w->where = NULL;
    return true;
}

static void skip_blanks(struct walk *w)
{
    while (w->p < w->end && strchr(" \t\r\n", *w->p) && *w->p) w->p++;
}

static bool is_digit(const struct walk *w) { return *w->p >= '0' && *w->p <= '9'; }

static bool walk_digits(struct walk *w, const char *where)
{
    if (at_end(w)) return false;
    if (!is_digit(w)) return fail(w, where);
    while (w->p < w->end && is_digit(w)) w->p++;
    return true;
}

static bool walk_number(struct walk *w)
{
    if (*w->p == '-') w->p++;
    if (at_end(w)) return false;
    if (*w->p == '0') w->p++;
    else if (!walk_digits(w, "in numeric literal")) return false;
    if (w->p < w->end && *w->p == '.') {
        w->p++;
        if (!walk_digits(w, "after decimal point in numeric literal")) return false;
    }
    if (w->p < w->end && (*w->p | 32) == 'e') {
        w->p++;
        if (w->p < w->end && (*w->p == '+' || *w->p == '-')) w->p++;
        return walk_digits(w, "in exponent of numeric literal");
    }
    return true;
}

static bool walk_escape(struct walk *w)
{
    if (at_end(w)) return false;
    uint8_t c = *w->p;
    if (!c || !strchr("bfnrt\\/\"u", c)) return fail(w, "in string escape code");
    w->p++;
    for (int i = 0; c == 'u' && i < 4; i++, w->p++) {
        if (at_end(w)) return false;
        if (!*w->p || !strchr("0123456789abcdefABCDEF", *w->p))
            return fail(w, "in \\u hexadecimal character escape");
    }
    return true;
}

static bool walk_string(struct walk *w)
{
    for (w->p++; !at_end(w);) {
        uint8_t c = *w->p;
        if (c < 0x20) return fail(w, "in string literal");
        w->p++;
        if (c == '"') return true;
        if (c == '\\' && !walk_escape(w)) return false;
    }
    return false;
}

static bool walk_literal(struct walk *w, const char *word)
{
    for (const char *at = word; *at; at++, w->p++) {
        if (at_end(w)) return false;
        if (*w->p == (uint8_t)*at) continue;
        snprintf(w->literal, sizeof(w->literal), "in literal %s (expecting '%c')", word, *at);
        return fail(w, w->literal);
    }
    return true;
}

static bool walk_value(struct walk *w);

static bool walk_member(struct walk *w)
{
    skip_blanks(w);
    if (at_end(w)) return false;
    if (*w->p != '"') return fail(w, "looking for beginning of object key string");
    if (!walk_string(w)) return false;
    skip_blanks(w);
    if (at_end(w)) return false;
    if (*w->p != ':') return fail(w, "after object key");
    w->p++;
    return walk_value(w);
}

/* What stands between brackets, with commas between. */
static bool walk_list(struct walk *w, uint8_t close, bool (*one)(struct walk *), const char *after)
{
    w->p++;
    skip_blanks(w);
    if (at_end(w)) return false;
    bool empty = *w->p == close;
    while (!empty) {
        if (!one(w)) return false;
        skip_blanks(w);
        if (at_end(w)) return false;
        if (*w->p == close) break;
        if (*w->p != ',') return fail(w, after);
        w->p++;
    }
    w->p++;
    return true;
}

static bool walk_value(struct walk *w)
{
    skip_blanks(w);
    if (at_end(w)) return false;
    if (++w->depth > DEPTH_MAX) return true;                   /* not ours to judge */
    bool good = true;
    switch (*w->p) {
    case '{': good = walk_list(w, '}', walk_member, "after object key:value pair"); break;
    case '[': good = walk_list(w, ']', walk_value, "after array element"); break;
    case '"': good = walk_string(w); break;
    case 't': good = walk_literal(w, "true"); break;
    case 'f': good = walk_literal(w, "false"); break;
    case 'n': good = walk_literal(w, "null"); break;
    default:
        if (*w->p == '-' || is_digit(w)) good = walk_number(w);
        else return fail(w, "looking for beginning of value");
    }
    w->depth--;
    return good;
}

static void put_char(struct buf *out, uint8_t c)
{
    SCOPED(buf_fini) struct buf text = { 0 }, quoted = { 0 };
    if (c == '\'' || c == '"') {
        buf_str(out, c == '"' ? S("'\"'") : S("'\\''"));
        return;
    }
    buf_rune(&text, c);
    buf_go_quote(&quoted, buf_view(&text));
    buf_fmt(out, "'%.*s'", (int)quoted.n - 2, (const char *)quoted.p + 1);
}

bool json_words(struct buf *out, str text)
{
    struct walk w = { .p = text.p, .end = text.p + text.n };
    bool good = walk_value(&w);
    if (good) skip_blanks(&w);
    if (good && w.p == w.end) return false;
    if (good) w.where = "after top-level value";
    if (!w.where) {
        buf_str(out, S("unexpected end of JSON input"));
        return true;
    }
    buf_str(out, S("invalid character "));
    put_char(out, *w.p);
    buf_fmt(out, " %s", w.where);
    return true;
}
