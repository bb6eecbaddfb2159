/* sigv4.c — the canonical request, hashed; the hash signed with a key that is derived for a day, a
 * region and a service.
 *
 *   method \n path \n sorted query \n sorted headers \n their names \n hash of the body
 *     -> SHA-256 -> "AWS4-HMAC-SHA256 \n time \n scope \n hash" -> HMAC with the derived key
 */
#include "bucket/sigv4.h"

#include "base/base64.h"
#include "base/digest.h"
#include "base/rfc3339.h"
#include "base/vec.h"

#include <stdlib.h>

void sigv4_escape(struct buf *b, str s, bool slash_stays)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (letter || (c && strchr("-._~", c)) || (slash_stays && c == '/')) buf_u8(b, c);
        else buf_bytes(b, (const uint8_t[]){ '%', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] }, 3);
    }
}

static void field_add(struct call_fields *f, str name, str value)
{
    assert(f->n < CALL_FIELDS_MAX);
    f->at[f->n++] = (struct http_field){ name, value };
}

static str lower(struct arena *a, str s)
{
    str out = arena_str(a, s);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= 'A' && s.p[i] <= 'Z') ((uint8_t *)(uintptr_t)out.p)[i] |= 32;
    return out;
}

static int field_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct http_field *)a)->name, ((const struct http_field *)b)->name);
}

/* "a=1&b=2" in the order of the names, and of the values where names are the same. */
static int param_cmp(const void *a, const void *b)
{
    str x = *(const str *)a, y = *(const str *)b, xn, yn, xv, yv;
    str_cut(x, '=', &xn, &xv);
    str_cut(y, '=', &yn, &yv);
    int c = str_cmp(xn, yn);
    return c ? c : str_cmp(xv, yv);
}

static void query_put(struct buf *b, str query, struct arena *a)
{
    VEC(str) all = { 0 };
    while (query.n) {
        str one, rest;
        str_cut(query, '&', &one, &rest);
        if (one.n) avec_push(a, &all, one);
        query = rest;
    }
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), param_cmp);
    for (size_t i = 0; i < all.n; i++) {
        if (i) buf_u8(b, '&');
        buf_str(b, all.at[i]);
    }
}

/* A value without white space around it, and with one blank for a run of it. */
static void value_put(struct buf *b, str value)
{
    bool blank = false;
    value = str_trim(value);
    for (size_t i = 0; i < value.n; i++) {
        bool space = value.p[i] == ' ' || value.p[i] == '\t';
        if (!space && blank) buf_u8(b, ' ');
        if (!space) buf_u8(b, value.p[i]);
        blank = space;
    }
}

static str hex_of(struct arena *a, const uint8_t *p, size_t n)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_hex(&b, str_of(p, n));
    return arena_str(a, buf_view(&b));
}

struct canonical {
    str names, hash;
};
static struct canonical canonical_of(
    const struct call_fields *f, const struct sigv4_request *q, struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    SCOPED(buf_fini) struct buf names = { 0 };
    struct http_field all[CALL_FIELDS_MAX + 1];
    size_t n = 0;
    all[n++] = (struct http_field){ S("host"), q->host };
    for (size_t i = 0; i < f->n; i++)
        all[n++] = (struct http_field){ lower(a, f->at[i].name), f->at[i].value };
    qsort(all, n, sizeof(all[0]), field_cmp);
    buf_fmt(&b, "%.*s\n%.*s\n", STR_ARG(q->method), STR_ARG(q->path));
    query_put(&b, q->query, a);
    buf_u8(&b, '\n');
    for (size_t i = 0; i < n; i++) {
        buf_fmt(&b, "%.*s:", STR_ARG(all[i].name));
        value_put(&b, all[i].value);
        buf_u8(&b, '\n');
        buf_fmt(&names, "%s%.*s", i ? ";" : "", STR_ARG(all[i].name));
    }
    buf_fmt(&b, "\n%.*s\n%.*s", STR_ARG(buf_view(&names)), STR_ARG(q->body_hash));
    uint8_t hash[32];
    digest_sha256(hash, buf_view(&b));
    return (struct canonical){ arena_str(a, buf_view(&names)), hex_of(a, hash, 32) };
}

static void derived_key(uint8_t key[32], str secret, str day, const struct sigv4_request *q)
{
    SCOPED(buf_fini) struct buf first = { 0 };
    buf_fmt(&first, "AWS4%.*s", STR_ARG(secret));
    digest_hmac_sha256(key, buf_view(&first), day);
    digest_hmac_sha256(key, str_of(key, 32), q->region);
    digest_hmac_sha256(key, str_of(key, 32), q->of_s3 ? S("s3") : S("service"));
    digest_hmac_sha256(key, str_of(key, 32), S("aws4_request"));
}

static bool derived_is(const struct sigv4_derived *d, str day, const struct sigv4_request *q)
{
    return d->known && d->of_s3 == q->of_s3 && str_eq(str_of(d->day, SIGV4_DAY_BYTES), day) &&
           str_eq(str_of(d->region, d->region_bytes), q->region);
}

static void derive(
    struct sigv4_derived *d, str secret, str day, const struct sigv4_request *q)
{
    if (derived_is(d, day, q)) return;
    *d = (struct sigv4_derived){ .of_s3 = q->of_s3 };
    derived_key(d->key, secret, day, q);
    d->known = day.n == SIGV4_DAY_BYTES && q->region.n <= SIGV4_REGION_MAX;
    if (!d->known) return;
    memcpy(d->day, day.p, day.n);
    if (q->region.n) memcpy(d->region, q->region.p, q->region.n);
    d->region_bytes = q->region.n;
}

void sigv4_sign(struct call_fields *f, const struct sigv4_request *q, const struct sigv4_keys *k,
    struct sigv4_derived *d, struct arena *a)
{
    struct civil t = civil_of(q->time_ms / 1000);
    str day = arena_fmt(a, "%04d%02u%02u", t.year, t.month, t.day);
    str time = arena_fmt(a, "%.*sT%02u%02u%02uZ", STR_ARG(day), t.hour, t.minute, t.second);
    if (q->of_s3) field_add(f, S("X-Amz-Content-Sha256"), q->body_hash);
    field_add(f, S("X-Amz-Date"), time);
    if (k->session_token.n) field_add(f, S("X-Amz-Security-Token"), k->session_token);
    struct canonical c = canonical_of(f, q, a);
    str scope = arena_fmt(a, "%.*s/%.*s/%s/aws4_request", STR_ARG(day), STR_ARG(q->region),
        q->of_s3 ? "s3" : "service");
    str text = arena_fmt(
        a, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%.*s", STR_ARG(time), STR_ARG(scope), STR_ARG(c.hash));
    uint8_t sign[32];
    derive(d, k->secret_key, day, q);
    digest_hmac_sha256(sign, str_of(d->key, 32), text);
    field_add(f, S("Authorization"),
        arena_fmt(a, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
            STR_ARG(k->access_key), STR_ARG(scope), STR_ARG(c.names),
            STR_ARG(hex_of(a, sign, 32))));
}
