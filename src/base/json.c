#include "base/json.h"
#include "base/f64.h"
#include "base/utf8.h"

static void json_sep(struct json *j)
{
    if (j->comma) buf_u8(j->b, ',');
    j->comma = true;
}

static void json_open(struct json *j, uint8_t c)
{
    json_sep(j);
    buf_u8(j->b, c);
    j->comma = false;
}

static void json_close(struct json *j, uint8_t c)
{
    buf_u8(j->b, c);
    j->comma = true;
}

void json_obj(struct json *j) { json_open(j, '{'); }
void json_obj_end(struct json *j) { json_close(j, '}'); }
void json_arr(struct json *j) { json_open(j, '['); }
void json_arr_end(struct json *j) { json_close(j, ']'); }

static bool json_safe(uint8_t c, bool html)
{
    if (c < 0x20 || c == '"' || c == '\\') return false;
    return !html || (c < 0x80 && c != '<' && c != '>' && c != '&');
}

/* One character that is not safe; gives its width. Control characters without a letter of their own
 * are \u00xx. */
static size_t json_escape(struct buf *b, str s)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t c = s.p[0];
    if (c < 0x80) {
        uint8_t letter = c == '"' || c == '\\' ? c
                         : c == '\n'           ? 'n'
                         : c == '\r'           ? 'r'
                         : c == '\t'           ? 't'
                                               : 0;
        buf_u8(b, '\\');
        if (letter) buf_u8(b, letter);
        else
            buf_bytes(
                b, (uint8_t[]){ 'u', '0', '0', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] }, 5);
        return 1;
    }
    size_t width;
    uint32_t r = utf8_rune(s, &width);
    if (r == RUNE_ERROR && width == 1) buf_str(b, S("\\ufffd"));
    else if (r == 0x2028 || r == 0x2029) buf_fmt(b, "\\u%04x", r);
    else buf_bytes(b, s.p, width);
    return width;
}

static void json_text(struct json *j, str v)
{
    buf_u8(j->b, '"');
    while (v.n > 0) {
        size_t run = 0;
        while (run < v.n && json_safe(v.p[run], j->html)) run++;
        buf_bytes(j->b, v.p, run);
        v = str_from(v, run);
        if (v.n > 0) v = str_from(v, json_escape(j->b, v));
    }
    buf_u8(j->b, '"');
}

void json_key(struct json *j, str key)
{
    json_sep(j);
    json_text(j, key);
    buf_u8(j->b, ':');
    j->comma = false;
}

void json_str(struct json *j, str v)
{
    json_sep(j);
    json_text(j, v);
}

void json_i64(struct json *j, int64_t v)
{
    json_sep(j);
    buf_i64_text(j->b, v);
}

void json_u64(struct json *j, uint64_t v)
{
    json_sep(j);
    buf_u64_text(j->b, v);
}

/* Go's encoding/json: exponents from 1e21 and below 1e-6, without a leading zero. */
void json_f64(struct json *j, double v)
{
    char text[F64_TEXT_MAX];
    size_t n = f64_text_api(text, v);
    json_sep(j);
    bool padded = n > 4 && text[n - 4] == 'e' && text[n - 3] == '-' && text[n - 2] == '0';
    if (padded) {
        text[n - 2] = text[n - 1];
        n--;
    }
    buf_bytes(j->b, text, n);
}

void json_bool(struct json *j, bool v) { json_raw(j, v ? S("true") : S("false")); }
void json_nil(struct json *j) { json_raw(j, S("null")); }

void json_raw(struct json *j, str v)
{
    json_sep(j);
    buf_str(j->b, v);
}
