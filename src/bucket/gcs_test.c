/* gcs_test.c — a small store of Google's kind, which gives tokens for signed claims only. */
#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"
#include "base/vec.h"
#include "bucket/bucket.h"
#include "bucket/bucket_config.h"
#include "bucket/gcs_codec.h"
#include "io/test_server.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

enum { GET_MAX = 1 << 24, PAGE = 2 };

struct object {
    str name, bytes;
};
struct rig {
    struct test_server *server;
    struct mtx mu; /* LOCK_LEAF; guards what the server's threads see */
    struct arena arena;
    VEC(struct object) all;
    struct buf upload;
    str upload_name;
    unsigned tokens, refuse, busy; /* given; answers of 401, of 503 that are to come */
    bool claim_good;
    gnutls_pubkey_t pub;
    struct arena a; /* the test's */
    struct bucket_config c;
    struct bucket *b;
};

/* base64url, for the signature alone */
static size_t from_base64(uint8_t *to, str s)
{
    uint32_t v = 0;
    size_t n = 0, bits = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        unsigned d = c == '-'   ? 62
                     : c == '_' ? 63
                     : c >= 'a' ? c - 'a' + 26u
                     : c >= 'A' ? c - 'A' + 0u
                                : c - '0' + 52u;
        v = v << 6 | d;
        bits += 6;
        if (bits >= 8) to[n++] = (uint8_t)(v >> (bits -= 8));
    }
    return n;
}

static bool signed_well(struct rig *r, str jwt)
{
    uint8_t sign[512];
    size_t dot = str_rindex(jwt, '.');
    if (dot == SIZE_MAX || jwt.n - dot > 600) return false;
    gnutls_datum_t text = { (unsigned char *)(uintptr_t)jwt.p, (unsigned)dot };
    gnutls_datum_t got = { sign, (unsigned)from_base64(sign, str_from(jwt, dot + 1)) };
    return gnutls_pubkey_verify_data2(r->pub, GNUTLS_SIGN_RSA_SHA256, 0, &text, &got) == 0;
}

static struct object *object_of(struct rig *r, str name)
{
    for (size_t i = 0; i < r->all.n; i++)
        if (str_eq(r->all.at[i].name, name)) return &r->all.at[i];
    return NULL;
}

static str figures(struct rig *r, const struct object *o)
{
    return arena_fmt(&r->arena,
        "{\"name\": \"%.*s\", \"size\": \"%zu\", \"updated\": \"2026-01-02T03:04:05.678Z\"}",
        STR_ARG(o->name), o->bytes.n);
}

static struct test_reply stored(struct rig *r, str name, str bytes)
{
    struct object *o = object_of(r, name);
    if (!o) {
        vec_push(&r->all, ((struct object){ .name = arena_str(&r->arena, name) }));
        o = &vec_last(&r->all);
    }
    o->bytes = arena_str(&r->arena, bytes);
    return (struct test_reply){ .status = 200, .body = figures(r, o) };
}

static str param(struct rig *r, const char *query, const char *name)
{
    for (str q = str_z(query), one, rest; q.n; q = rest) {
        str key, value;
        SCOPED(buf_fini) struct buf b = { 0 };
        str_cut(q, '&', &one, &rest);
        str_cut(one, '=', &key, &value);
        if (!str_eq(key, str_z(name))) continue;
        for (size_t i = 0; i < value.n; i++) {
            bool slash = value.p[i] == '%' && i + 2 < value.n;
            buf_u8(&b, slash ? '/' : value.p[i]);
            i += slash ? 2 : 0;
        }
        return arena_str(&r->arena, buf_view(&b));
    }
    return STR_EMPTY;
}

/* Names come in the order in which they were put, pages of PAGE: the token is a number. */
static struct test_reply list(struct rig *r, const char *query)
{
    SCOPED(buf_fini) struct buf items = { 0 }, dirs = { 0 };
    str prefix = param(r, query, "prefix"), delimiter = param(r, query, "delimiter");
    uint64_t from = 0;
    (void)(str_u64(param(r, query, "pageToken"), &from) || from);
    size_t i = from;
    for (; i < r->all.n && i < from + PAGE; i++) {
        str name = r->all.at[i].name, rest = str_from(name, prefix.n);
        size_t slash = delimiter.n ? str_index(rest, '/') : SIZE_MAX;
        if (!str_has_prefix(name, prefix)) continue;
        if (slash == SIZE_MAX)
            buf_fmt(&items, "%s%.*s", items.n ? "," : "", STR_ARG(figures(r, &r->all.at[i])));
        else
            buf_fmt(&dirs, "%s\"%.*s\"", dirs.n ? "," : "", (int)(prefix.n + slash + 1),
                (const char *)name.p);
    }
    return (struct test_reply){ .status = 200,
        .body = arena_fmt(&r->arena, "{\"items\": [%.*s], \"prefixes\": [%.*s]%s}",
            STR_ARG(buf_view(&items)), STR_ARG(buf_view(&dirs)),
            i < r->all.n ? (const char *)arena_fmt(&r->arena, ", \"nextPageToken\": \"%zu\"", i).p
                         : "") };
}

static struct test_reply upload(struct rig *r, const struct test_request *q)
{
    str name = param(r, q->query, "name");
    if (strstr(q->query, "uploadType=media")) return stored(r, name, q->body);
    if (str_eq(str_z(q->method), S("POST"))) {
        buf_reset(&r->upload);
        r->upload_name = name;
        return (struct test_reply){ .status = 200,
            .header = "Location",
            .value = arena_cstr(&r->arena, arena_fmt(&r->arena, "http://127.0.0.1:%u/upload/x?id=1",
                                               test_server_port(r->server))) };
    }
    str range = test_request_header(q, S("Content-Range")), first, rest, last, total;
    uint64_t from = 0, size = 0;
    bool good = str_cut(str_from(range, 6), '-', &first, &rest) &&
                str_cut(rest, '/', &last, &total) && str_u64(first, &from) && str_u64(total, &size);
    EXPECT(good && from <= r->upload.n);
    r->upload.n = from;
    buf_str(&r->upload, q->body);
    if (r->upload.n == size) return stored(r, r->upload_name, buf_view(&r->upload));
    return (struct test_reply){ .status = 308,
        .header = "Range",
        .value = arena_cstr(&r->arena, arena_fmt(&r->arena, "bytes=0-%zu", r->upload.n - 1)) };
}

static struct test_reply object_get(
    struct rig *r, const struct object *o, const struct test_request *q)
{
    str range = test_request_header(q, S("Range")), first, last;
    uint64_t from = 0, to = 0;
    if (!strstr(q->query, "alt=media"))
        return (struct test_reply){ .status = 200, .body = figures(r, o) };
    str_cut(str_from(range, 6), '-', &first, &last);
    EXPECT(str_u64(first, &from) && str_u64(last, &to));
    if (from >= o->bytes.n) return (struct test_reply){ .status = 416 };
    to = MIN(to, (uint64_t)o->bytes.n - 1);
    return (struct test_reply){ .status = 206,
        .body = str_slice(o->bytes, from, to + 1),
        .more_headers = arena_cstr(&r->arena,
            arena_fmt(&r->arena,
                "X-Goog-Generation: 7\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%zu\n", from,
                to, o->bytes.n)) };
}

static struct test_reply answer(struct rig *r, const struct test_request *q)
{
    str path = str_z(q->path), method = str_z(q->method);
    if (str_eq(path, S("/token"))) {
        size_t at = str_find(q->body, S("assertion="));
        r->claim_good = at != SIZE_MAX && signed_well(r, str_from(q->body, at + 10));
        r->tokens++;
        if (!r->claim_good)
            return (struct test_reply){ .status = 400,
                .body = S("{\"error\": \"invalid_grant\", \"error_description\": \"bad claim\"}") };
        return (struct test_reply){ .status = 200,
            .body = arena_fmt(
                &r->arena, "{\"access_token\": \"t%u\", \"expires_in\": 3600}", r->tokens) };
    }
    str want = arena_fmt(&r->arena, "Bearer t%u", r->tokens);
    bool known = str_eq(test_request_header(q, S("Authorization")), want);
    if (r->refuse || !known) {
        r->refuse -= r->refuse > 0;
        return (struct test_reply){ .status = 401,
            .body = S("{\"error\": {\"code\": 401, \"message\": \"Invalid Credentials\"}}") };
    }
    if (r->busy) {
        r->busy--;
        return (struct test_reply){ .status = 503 };
    }
    if (str_has_prefix(path, S("/upload/"))) return upload(r, q);
    str name = str_from(path, S("/storage/v1/b/b/o/").n);
    if (!name.n) return list(r, q->query);
    struct object *o = object_of(r, name);
    if (!o)
        return (struct test_reply){ .status = 404,
            .body = S("{\"error\": {\"code\": 404, \"message\": \"No such object\"}}") };
    if (!str_eq(method, S("DELETE"))) return object_get(r, o, q);
    *o = vec_pop(&r->all);
    return (struct test_reply){ .status = 204 };
}

static struct test_reply handle(void *ctx, const struct test_request *q)
{
    struct rig *r = ctx;
    mtx_lock(&r->mu);
    struct test_reply reply = answer(r, q);
    mtx_unlock(&r->mu);
    return reply;
}

static str key_make(struct rig *r)
{
    gnutls_x509_privkey_t key;
    gnutls_privkey_t abstract;
    gnutls_datum_t pem;
    EXPECT_EQ(gnutls_x509_privkey_init(&key), 0);
    EXPECT_EQ(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
    EXPECT_EQ(
        gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem),
        0);
    EXPECT_EQ(gnutls_privkey_init(&abstract), 0);
    EXPECT_EQ(gnutls_privkey_import_x509(abstract, key, 0), 0);
    EXPECT_EQ(gnutls_pubkey_init(&r->pub), 0);
    EXPECT_EQ(gnutls_pubkey_import_privkey(r->pub, abstract, 0, 0), 0);
    SCOPED(buf_fini) struct buf escaped = { 0 };
    for (size_t i = 0; i < pem.size; i++) {
        if (pem.data[i] == '\n') buf_str(&escaped, S("\\n"));
        else buf_u8(&escaped, pem.data[i]);
    }
    gnutls_free(pem.data);
    gnutls_privkey_deinit(abstract);
    gnutls_x509_privkey_deinit(key);
    return arena_str(&r->a, buf_view(&escaped));
}

static struct rig *rig_new(void)
{
    struct rig *r = NEW(struct rig);
    struct err e = { 0 };
    mtx_init(&r->mu, LOCK_LEAF);
    r->server = test_server_new(handle, r);
    EXPECT(r->server);
    str endpoint = arena_fmt(&r->a, "http://127.0.0.1:%u", test_server_port(r->server));
    r->c = (struct bucket_config){ .kind = BUCKET_GCS,
        .gcs = { .bucket = S("b"), .endpoint = endpoint, .chunk_bytes = 1 },
        .http = { .attempts_max = 3, .backoff_ms = 2 } };
    str key = key_make(r);
    r->c.gcs.service_account = arena_fmt(&r->a,
        "{\"type\": \"service_account\", \"client_email\": \"me@x\", \"private_key_id\": \"k\", "
        "\"private_key\": \"%.*s\", \"token_uri\": \"%.*s/token\"}",
        STR_ARG(key), STR_ARG(endpoint));
    EXPECT_OK_E(bucket_open(&r->b, &r->c, &e), &e);
    return r;
}

static void rig_end(struct rig *r)
{
    bucket_close(r->b);
    test_server_free(r->server);
    gnutls_pubkey_deinit(r->pub);
    vec_fini(&r->all);
    buf_fini(&r->upload);
    arena_fini(&r->arena);
    arena_fini(&r->a);
    mtx_fini(&r->mu);
    mem_free(r);
}

/* n bytes at off, behind what is in out: in two places, the second of one byte. */
static errc part_read(
    struct bucket *b, str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
    uint8_t *at = buf_room(out, n);
    struct byte_span to[] = { { at, n - 1 }, { at + n - 1, 1 } };
    TRY(bucket_read(b, name, off, (struct spans){ to, ARRAY_LEN(to) }, e));
    buf_commit(out, n);
    return OK;
}

static void expect_list(struct rig *r, str dir, bool recursive, const char *want)
{
    bucket_entries all = { 0 };
    SCOPED(buf_fini) struct buf got = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(bucket_list(r->b, dir, recursive, &r->a, &all, &e), &e);
    for (size_t i = 0; i < all.n; i++)
        buf_fmt(&got, "%s%.*s", i ? " " : "", STR_ARG(all.at[i].name));
    EXPECT_STR(buf_view(&got), str_z(want));
    vec_fini(&all);
}

TEST(gcs_contract)
{
    struct rig *r = rig_new();
    struct err e = { 0 };
    struct bucket_attributes at;
    SCOPED(buf_fini) struct buf part = { 0 };
    str got;
    EXPECT_EQ(bucket_get(r->b, S("a/x"), GET_MAX, &r->a, &got, &e), ERR_NOT_FOUND);
    EXPECT_STR(err_str(&e), S("a/x: get: status 404, No such object"));
    EXPECT(r->claim_good);
    EXPECT_OK_E(bucket_put_bytes(r->b, S("a/x"), S("0123456789"), &e), &e);
    EXPECT_OK(bucket_put_bytes(r->b, S("a/b/c"), STR_EMPTY, NULL));
    EXPECT_OK(bucket_put_bytes(r->b, S("top"), S("t"), NULL));
    expect_list(r, STR_EMPTY, false, "a/ top");
    expect_list(r, S("a/"), true, "a/b/c a/x");
    EXPECT_OK_E(bucket_get(r->b, S("a/x"), GET_MAX, &r->a, &got, &e), &e);
    EXPECT_STR(got, S("0123456789"));
    EXPECT_OK_E(bucket_get(r->b, S("a/b/c"), GET_MAX, &r->a, &got, &e), &e);
    EXPECT_EQ(got.n, 0);
    EXPECT_OK(part_read(r->b, S("a/x"), 3, 4, &part, NULL));
    EXPECT_STR(buf_view(&part), S("3456"));
    EXPECT_EQ(part_read(r->b, S("a/x"), 8, 4, &part, NULL), ERR_CORRUPT);
    EXPECT_OK_E(bucket_attributes(r->b, S("a/x"), &at, &e), &e);
    EXPECT_EQ(at.size_bytes, 10);
    EXPECT_EQ(at.modified_ms, INT64_C(1767323045678));
    EXPECT_OK(bucket_remove(r->b, S("a/x"), NULL));
    EXPECT_OK(bucket_remove(r->b, S("a/x"), NULL));
    expect_list(r, STR_EMPTY, true, "a/b/c top");
    EXPECT_EQ(r->tokens, 1);
    rig_end(r);
}

/* More than one chunk of 256 KiB; a 503 and a token that ended in between. */
TEST(gcs_chunks)
{
    struct rig *r = rig_new();
    struct err e = { 0 };
    enum { N = 700001 };
    uint8_t *p = arena_alloc(&r->a, N);
    str got;
    for (size_t i = 0; i < N; i++)
        p[i] = (uint8_t)(i * 7 + i / 251);
    r->busy = 2;
    EXPECT_OK_E(bucket_put_bytes(r->b, S("big"), str_of(p, N), &e), &e);
    r->refuse = 1;
    EXPECT_OK_E(bucket_get(r->b, S("big"), GET_MAX, &r->a, &got, &e), &e);
    EXPECT(str_eq(got, str_of(p, N)));
    EXPECT_EQ(r->tokens, 2);
    rig_end(r);
}

TEST(gcs_refusals)
{
    struct rig *r = rig_new();
    struct err e = { 0 };
    str got;
    r->refuse = 100;
    EXPECT_EQ(bucket_get(r->b, S("x"), GET_MAX, &r->a, &got, &e), ERR_BAD_INPUT);
    EXPECT_STR(err_str(&e), S("x: get: status 401, Invalid Credentials (asked 3 times)"));
    r->refuse = 0;
    r->busy = 100;
    EXPECT_EQ(bucket_put_bytes(r->b, S("x"), S("y"), &e), ERR_IO);
    struct bucket *b = NULL;
    r->c.gcs.service_account = S("{\"type\": \"external_account\"}");
    EXPECT_EQ(bucket_open(&b, &r->c, &e), ERR_BAD_INPUT);
    r->c.gcs.service_account = S("[]");
    EXPECT_EQ(bucket_open(&b, &r->c, &e), ERR_BAD_INPUT);
    r->c.gcs.bucket = STR_EMPTY;
    EXPECT_EQ(bucket_open(&b, &r->c, &e), ERR_BAD_INPUT);
    rig_end(r);
}

TEST(gcs_answers_refused)
{
    static const struct {
        const char *name;
        str json;
    } cases[] = {
        { "nothing", S("") },
        { "array", S("[]") },
        { "items", S("{\"items\": {}}") },
        { "no size", S("{\"items\": [{\"name\": \"a\", \"updated\": \"2026-01-02T03:04:05Z\"}]}") },
        { "no time", S("{\"items\": [{\"name\": \"a\", \"size\": \"1\"}]}") },
        { "no name", S("{\"items\": [{\"size\": \"1\", \"updated\": \"2026-01-02T03:04:05Z\"}]}") },
        { "prefixes", S("{\"prefixes\": [1]}") },
        { "cut", S("{\"items\": [") },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        bucket_entries all = { 0 };
        struct bucket_attributes at;
        struct gcs_token t;
        str next;
        EXPECT_EQ(gcs_page_decode(&all, &next, c->json, &a, NULL), ERR_CORRUPT);
        EXPECT_EQ(gcs_object_decode(&at, c->json, NULL), ERR_CORRUPT);
        EXPECT_EQ(gcs_token_decode(&t, c->json, &a, NULL), ERR_CORRUPT);
        EXPECT_EQ(all.n, 0);
        vec_fini(&all);
    }
}
