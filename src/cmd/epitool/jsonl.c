#include "cmd/epitool/jsonl.h"

#include "base/f64.h"
#include "base/utf8.h"

void jsonl_hex(struct buf *b, str bytes)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.n; i++) {
        buf_u8(b, (uint8_t)hex[bytes.p[i] >> 4]);
        buf_u8(b, (uint8_t)hex[bytes.p[i] & 15]);
    }
}

void jsonl_str(struct buf *b, str s)
{
    buf_u8(b, '"');
    if (!utf8_valid(s)) {
        buf_str(b, S("\xef\xbf\xbdhex:"));
        jsonl_hex(b, s);
        s = STR_EMPTY;
    }
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20) buf_fmt(b, "\\u%04x", c);
        else {
            if (c == '"' || c == '\\') buf_u8(b, '\\');
            buf_u8(b, c);
        }
    }
    buf_u8(b, '"');
}

void jsonl_bits(struct buf *b, double v)
{
    buf_fmt(b, "\"%016" PRIx64 "\"", f64_bits(v));
}

void jsonl_labels(struct buf *b, struct labels l)
{
    buf_u8(b, '[');
    for (size_t i = 0; i < l.n; i++) {
        buf_str(b, i ? S(",[") : S("["));
        jsonl_str(b, l.at[i].name);
        buf_u8(b, ',');
        jsonl_str(b, l.at[i].value);
        buf_u8(b, ']');
    }
    buf_u8(b, ']');
}

void jsonl_sample(struct buf *b, int64_t t, int64_t st, double v)
{
    buf_fmt(b, "{\"t\":%" PRId64, t);
    if (st) buf_fmt(b, ",\"st\":%" PRId64, st);
    buf_str(b, S(",\"v\":"));
    jsonl_bits(b, v);
    buf_str(b, S(",\"x\":\""));
    buf_f64_api(b, v);
    buf_str(b, S("\"}"));
}
