#include "base/xml.h"

#include "base/buf.h"

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static enum xml_kind xml_fail(struct xml *x)
{
    x->bad = true;
    x->left = STR_EMPTY;
    return XML_BAD;
}

/* Behind `what`; false: it is not there. */
static bool skip_past(struct xml *x, str what)
{
    size_t at = str_find(x->left, what);
    if (at == SIZE_MAX) return false;
    x->left = str_from(x->left, at + what.n);
    return true;
}

/* The '>' that ends a tag: not one inside of quotes. */
static size_t tag_end(str s)
{
    uint8_t quote = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (quote) quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'') quote = c;
        else if (c == '>') return i;
    }
    return SIZE_MAX;
}

static str tag_name(str tag)
{
    size_t n = 0;
    while (n < tag.n && !is_space(tag.p[n]) && tag.p[n] != '/') n++;
    str name = str_slice(tag, 0, n);
    size_t colon = str_rindex(name, ':');
    return colon == SIZE_MAX ? name : str_from(name, colon + 1);
}

static enum xml_kind xml_end(struct xml *x, str *s)
{
    assert(x->depth > 0);
    *s = x->open[--x->depth];
    return XML_END;
}

static enum xml_kind xml_tag(struct xml *x, str *s)
{
    size_t end = tag_end(x->left);
    if (end == SIZE_MAX) return xml_fail(x);
    str tag = str_slice(x->left, 1, end);
    x->left = str_from(x->left, end + 1);
    if (tag.n && tag.p[0] == '/') {
        str name = tag_name(str_from(tag, 1));
        if (!x->depth || !str_eq(x->open[x->depth - 1], name)) return xml_fail(x);
        return xml_end(x, s);
    }
    str name = tag_name(tag);
    if (!name.n || x->depth == XML_DEPTH_MAX || (!x->depth && x->any)) return xml_fail(x);
    x->open[x->depth++] = *s = name;
    x->any = true;
    x->closing = tag.p[tag.n - 1] == '/';
    return XML_BEGIN;
}

enum xml_kind xml_next(struct xml *x, str *s)
{
    x->cdata = false;
    if (x->bad) return XML_BAD;
    if (x->closing) {
        x->closing = false;
        return xml_end(x, s);
    }
    while (x->left.n) {
        if (str_has_prefix(x->left, S("<?"))) {
            if (!skip_past(x, S("?>"))) return xml_fail(x);
        } else if (str_has_prefix(x->left, S("<!--"))) {
            if (!skip_past(x, S("-->"))) return xml_fail(x);
        } else if (str_has_prefix(x->left, S("<![CDATA["))) {
            str from = str_from(x->left, 9);
            size_t end = str_find(from, S("]]>"));
            if (end == SIZE_MAX || !x->depth) return xml_fail(x);
            *s = str_slice(from, 0, end);
            x->left = str_from(from, end + 3);
            x->cdata = true;
            return XML_TEXT;
        } else if (str_has_prefix(x->left, S("<!"))) {
            if (!skip_past(x, S(">"))) return xml_fail(x);
        } else if (x->left.p[0] == '<') {
            return xml_tag(x, s);
        } else {
            size_t end = str_index(x->left, '<');
            str text = str_slice(x->left, 0, end);
            x->left = str_from(x->left, end);
            if (x->depth) {
                *s = text;
                return XML_TEXT;
            }
            /* a mark of the byte order may stand in front */
            if (!x->any && str_has_prefix(text, S("\xef\xbb\xbf"))) text = str_from(text, 3);
            if (str_trim(text).n) return xml_fail(x);
        }
    }
    if (x->depth || !x->any) return xml_fail(x);
    return XML_DONE;
}

static void put_rune(struct buf *b, uint32_t r)
{
    if (r < 0x80) {
        buf_u8(b, (uint8_t)r);
    } else if (r < 0x800) {
        buf_u8(b, (uint8_t)(0xc0 | r >> 6));
        buf_u8(b, (uint8_t)(0x80 | (r & 63)));
    } else if (r < 0x10000) {
        buf_u8(b, (uint8_t)(0xe0 | r >> 12));
        buf_u8(b, (uint8_t)(0x80 | (r >> 6 & 63)));
        buf_u8(b, (uint8_t)(0x80 | (r & 63)));
    } else {
        buf_u8(b, (uint8_t)(0xf0 | r >> 18));
        buf_u8(b, (uint8_t)(0x80 | (r >> 12 & 63)));
        buf_u8(b, (uint8_t)(0x80 | (r >> 6 & 63)));
        buf_u8(b, (uint8_t)(0x80 | (r & 63)));
    }
}

/* "#10" or "#xa"; false: none of these, or no character. */
static bool numbered(str ref, uint32_t *r)
{
    uint64_t v = 0;
    bool hex = ref.n > 2 && (ref.p[1] | 32) == 'x';
    str digits = str_from(ref, hex ? 2 : 1);
    if (!digits.n || digits.n > 8) return false;
    if (!hex && !str_u64(digits, &v)) return false;
    for (size_t i = 0; hex && i < digits.n; i++) {
        uint8_t c = digits.p[i], low = c | 32;
        if (c >= '0' && c <= '9') v = v << 4 | (uint64_t)(c - '0');
        else if (low >= 'a' && low <= 'f') v = v << 4 | (uint64_t)(low - 'a' + 10);
        else return false;
    }
    *r = (uint32_t)v;
    return v && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff);
}

static bool reference(str ref, uint32_t *r)
{
    static const struct {
        str name;
        uint32_t rune;
    } known[] = { { S("lt"), '<' }, { S("gt"), '>' }, { S("amp"), '&' }, { S("quot"), '"' },
        { S("apos"), '\'' } };
    if (ref.n && ref.p[0] == '#') return numbered(ref, r);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(ref, known[i].name)) return *r = known[i].rune, true;
    return false;
}

str xml_text(const struct xml *x, str raw, struct arena *a)
{
    if (x->cdata || str_index(raw, '&') == SIZE_MAX) return raw;
    SCOPED(buf_fini) struct buf b = { 0 };
    while (raw.n) {
        size_t amp = MIN(str_index(raw, '&'), raw.n);
        buf_str(&b, str_slice(raw, 0, amp));
        raw = str_from(raw, amp);
        if (!raw.n) break;
        size_t end = str_index(str_slice(raw, 0, 12), ';');
        uint32_t r;
        if (end != SIZE_MAX && reference(str_slice(raw, 1, end), &r)) {
            put_rune(&b, r);
            raw = str_from(raw, end + 1);
        } else {
            buf_u8(&b, '&');
            raw = str_from(raw, 1);
        }
    }
    return arena_str(a, buf_view(&b));
}

bool xml_content(struct xml *x, str *out, struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    size_t depth = x->depth;
    for (str s;;) {
        switch (xml_next(x, &s)) {
        case XML_TEXT:
            if (x->depth == depth) buf_str(&b, xml_text(x, s, a));
            break;
        case XML_END:
            if (x->depth < depth) return *out = arena_str(a, str_trim(buf_view(&b))), true;
            break;
        case XML_BEGIN: break;
        case XML_DONE:
        case XML_BAD: return false;
        }
    }
}
