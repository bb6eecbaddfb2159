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

static void spans(struct buf *b, const char *key, const struct span *at, size_t n)
{
    buf_fmt(b, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++)
        buf_fmt(b, "%s[%" PRId32 ",%" PRIu32 "]", i ? "," : "", at[i].offset, at[i].length);
    buf_u8(b, ']');
}

static void buckets(struct buf *b, const char *key, const void *at, size_t n, bool bits)
{
    buf_fmt(b, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        memcpy(&v, (const uint8_t *)at + 8 * i, 8);
        if (i) buf_u8(b, ',');
        if (bits) jsonl_bits(b, f64_of_bits(v));
        else buf_i64_text(b, (int64_t)v);
    }
    buf_u8(b, ']');
}

static void count(struct buf *b, const char *key, uint64_t v, bool bits)
{
    buf_fmt(b, ",\"%s\":", key);
    if (bits) jsonl_bits(b, f64_of_bits(v));
    else buf_u64_text(b, v);
}

void jsonl_histogram(struct buf *b, const struct jsonl_histogram *h)
{
    buf_fmt(b, "{\"crh\":%u,\"schema\":%" PRId64 ",\"zt\":", h->hint, h->schema);
    jsonl_bits(b, h->zero_threshold);
    count(b, "zc", h->zero_count, h->is_float);
    count(b, "count", h->count, h->is_float);
    buf_str(b, S(",\"sum\":"));
    jsonl_bits(b, h->sum);
    spans(b, "ps", h->side[0].spans, h->side[0].n_spans);
    spans(b, "ns", h->side[1].spans, h->side[1].n_spans);
    buckets(b, "pb", h->side[0].at, h->side[0].n, h->is_float);
    buckets(b, "nb", h->side[1].at, h->side[1].n, h->is_float);
    buckets(b, "cv", h->custom, h->n_custom, true);
    buf_u8(b, '}');
}
