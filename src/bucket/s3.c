/* s3.c — a bucket of S3, or of what speaks like it. */
#include "base/base64.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "bucket/kinds.h"
#include "bucket/range_reply.h"
#include "bucket/s3_codec.h"
#include "bucket/s3_impl.h"
#include "io/fs.h"

enum {
    ERROR_BYTES_MAX = 64 << 10,
    PAGE_BYTES_MAX = 16 << 20,
    PART_BYTES = 16 << 20,
    BUCKET_CHARS_MAX = 63,
    SSE_KEY_BYTES = 32,
    /* those of a signature, and of a range or a body */
    FIELDS_SPARE = 10
};

/* ---- asking */

static errc sign(
    void *ctx, const struct call *c, struct call_fields *f, struct arena *a, struct err *e)
{
    struct s3_ask *q = ctx;
    struct s3 *s = q->s;
    (void)c, (void)e;
    if (!s->keys.access_key.n) return OK;
    mtx_lock(&s->mu);
    str region = s->region; /* never freed before the bucket */
    struct sigv4_derived d = s->derived;
    mtx_unlock(&s->mu);
    struct sigv4_request r = { q->method, s->host, q->path, q->query, q->hash, region,
        clock_wall_ms(), true };
    sigv4_sign(f, &r, &s->keys, &d, a);
    mtx_lock(&s->mu);
    s->derived = d;
    mtx_unlock(&s->mu);
    return OK;
}

/* The store says in which region it is: asked there, it will answer. */
static bool moved(struct s3 *s, const struct reply *r, str told)
{
    str region = told.n ? told : reply_header(r, S("x-amz-bucket-region"));
    bool wrong = r->status == 301 || r->status == 307 || r->status == 400;
    mtx_lock(&s->mu);
    bool news = wrong && region.n && !str_eq(region, s->region);
    if (news) s->region = arena_str(&s->arena, region);
    mtx_unlock(&s->mu);
    return news;
}

errc s3_refused(struct s3 *s, const struct reply *r, bool *again, struct err *e)
{
    static const str passing[] = { S("InternalError"), S("SlowDown"), S("RequestTimeout"),
        S("ServiceUnavailable"), S("OperationAborted"), S("BadDigest"), S("IncompleteBody") };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct s3_error why = { 0 };
    bool told = s3_error_decode(&why, buf_view(&r->body), &a);
    *again = reply_may_pass(r->status) || moved(s, r, why.region);
    for (size_t i = 0; i < ARRAY_LEN(passing); i++) *again = *again || str_eq(why.code, passing[i]);
    errc rc = ERR_IO;
    if (str_eq(why.code, S("NoSuchBucket"))) rc = ERR_BAD_INPUT;
    else if (r->status == 404) rc = ERR_NOT_FOUND;
    else if (r->status == 401 || r->status == 403) rc = ERR_BAD_INPUT;
    if (told)
        return err_set(e, rc, "status %d, %.*s: %.*s", r->status,
            STR_ARG(reply_words(why.code, &a)), STR_ARG(reply_words(why.message, &a)));
    return err_set(e, rc, "status %d", r->status);
}

static errc judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct s3_ask *q = ctx;
    bool fine = (r->status >= 200 && r->status < 300) || (r->status == 416 && q->ok);
    if (!fine) return s3_refused(q->s, r, again, e);
    return q->ok ? q->ok(q->ctx, r, again, e) : OK;
}

errc s3_ask(struct s3_ask *q, struct arena *a, struct reply *r, struct err *e)
{
    struct s3 *s = q->s;
    SCOPED(buf_fini) struct buf path = { 0 };
    SCOPED(buf_fini) struct buf hash = { 0 };
    uint8_t sha[32];
    digest_sha256(sha, q->body);
    buf_hex(&hash, str_of(sha, sizeof(sha)));
    buf_fmt(&path, "%.*s/", STR_ARG(s->path));
    sigv4_escape(&path, q->name, true);
    q->path = arena_str(a, buf_view(&path));
    q->hash = arena_str(a, buf_view(&hash));
    struct call c = { .method = q->method,
        .url = arena_fmt(a, "%.*s%.*s%s%.*s", STR_ARG(s->url), STR_ARG(q->path),
            q->query.n ? "?" : "", STR_ARG(q->query)),
        .body = q->body,
        .body_max = MAX(q->body_max, (size_t)ERROR_BYTES_MAX),
        .into = q->into,
        .sign = sign,
        .sign_ctx = q,
        .judge = judge,
        .judge_ctx = q };
    if (q->fields) c.fields = *q->fields;
    return caller_ask(s->caller, &c, a, r, e);
}

/* ---- reading */

static errc piece_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    return range_judge(ctx, r, reply_header(r, S("ETag")), again, e);
}

static errc s3_piece(struct bucket *b, str name, const struct bucket_piece *x,
    struct bucket_version *v, size_t *got, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct range_ask p = { x->off, x->n, v };
    struct call_fields f = s3_of(b)->on_all;
    call_field(&f, S("Range"), range_field(&p, &a));
    struct s3_ask q = { .s = s3_of(b),
        .method = S("GET"),
        .name = name,
        .body_max = x->n,
        .into = x->into,
        .fields = &f,
        .ok = piece_judge,
        .ctx = &p };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, e);
    if (rc == OK) rc = range_take(x, &r, got, e);
    buf_fini(&r.body);
    return rc;
}

static errc attributes_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct bucket_attributes *out = ctx;
    if (!str_u64(reply_header(r, S("Content-Length")), &out->size_bytes))
        return answer_bad(again, e, "no Content-Length");
    if (!reply_modified(r, &out->modified_ms)) return answer_bad(again, e, "no Last-Modified");
    return OK;
}

static errc s3_attributes(struct bucket *b, str name, struct bucket_attributes *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct s3_ask q = { .s = s3_of(b),
        .method = S("HEAD"),
        .name = name,
        .fields = &s3_of(b)->on_all,
        .ok = attributes_judge,
        .ctx = out };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, e);
    buf_fini(&r.body);
    return rc;
}

/* ---- lists */

struct page {
    bucket_entries *out;
    struct s3_page got;
    bool v1;
    struct arena *a;
};

static errc page_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct page *p = ctx;
    *again = true;
    return s3_page_decode(&p->got, p->out, buf_view(&r->body), p->v1, p->a, e);
}

static errc s3_page(struct bucket *b, str prefix, bool recursive, str after, struct arena *a,
    bucket_entries *out, str *next, struct err *e)
{
    struct s3 *s = s3_of(b);
    SCOPED(arena_fini) struct arena mine = { 0 };
    SCOPED(buf_fini) struct buf query = { 0 };
    buf_fmt(&query, "%sencoding-type=url&max-keys=1000&prefix=", s->list_v1 ? "" : "list-type=2&");
    sigv4_escape(&query, prefix, false);
    if (!recursive) buf_str(&query, S("&delimiter=%2F"));
    if (after.n) buf_str(&query, s->list_v1 ? S("&marker=") : S("&continuation-token="));
    sigv4_escape(&query, after, false);
    struct page p = { out, { 0 }, s->list_v1, a };
    struct s3_ask q = { .s = s,
        .method = S("GET"),
        .query = buf_view(&query),
        .body_max = PAGE_BYTES_MAX,
        .ok = page_judge,
        .ctx = &p };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &mine, &r, e);
    buf_fini(&r.body);
    if (rc == ERR_NOT_FOUND) rc = ERR_BAD_INPUT; /* the bucket itself */
    if (rc == OK) *next = p.got.cut ? p.got.next : STR_EMPTY;
    return rc;
}

static errc s3_remove(struct bucket *b, str name, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct s3_ask q = { .s = s3_of(b), .method = S("DELETE"), .name = name };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, e);
    buf_fini(&r.body);
    return rc;
}

static void s3_stop(struct bucket *b) { caller_stop(s3_of(b)->caller); }

static void s3_free(struct bucket *b)
{
    struct s3 *s = s3_of(b);
    caller_free(s->caller);
    mtx_fini(&s->mu);
    arena_fini(&s->arena);
    mem_free(s);
}

/* ---- making */

/* "s3.eu-west-1.amazonaws.com", "s3-eu-west-1.amazonaws.com", "s3.dualstack.eu-west-1.…" */
static str region_of_host(str host)
{
    static const str fronts[] = { S("s3.dualstack."), S("s3."), S("s3-") };
    size_t end = str_find(host, S(".amazonaws.com"));
    for (size_t i = 0; end != SIZE_MAX && i < ARRAY_LEN(fronts); i++)
        if (str_has_prefix(host, fronts[i]) && fronts[i].n < end)
            return str_slice(host, fronts[i].n, end);
    return S("us-east-1");
}

/* A name that can be a part of a host's, under a certificate for one level of names. */
static bool host_name(str s)
{
    if (s.n < 3 || s.n > BUCKET_CHARS_MAX) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
                (s.p[i] == '-' && i > 0 && i + 1 < s.n)))
            return false;
    return true;
}

static void address(struct s3 *s, const struct s3_config *c)
{
    static const str named[] = { S(".amazonaws.com"), S("storage.googleapis.com"),
        S(".aliyuncs.com") };
    struct arena *a = &s->arena;
    str host = str_slice(c->endpoint, 0, str_index(c->endpoint, ':'));
    bool in_host = c->lookup == S3_LOOKUP_VIRTUAL_HOST;
    for (size_t i = 0; c->lookup == S3_LOOKUP_AUTO && i < ARRAY_LEN(named); i++)
        in_host = in_host || (str_has_suffix(host, named[i]) && host_name(c->bucket));
    SCOPED(buf_fini) struct buf path = { 0 };
    if (!in_host) {
        buf_u8(&path, '/');
        sigv4_escape(&path, c->bucket, false);
    }
    s->host = in_host ? arena_fmt(a, "%.*s.%.*s", STR_ARG(c->bucket), STR_ARG(c->endpoint))
                      : arena_str(a, c->endpoint);
    s->path = arena_str(a, buf_view(&path));
    s->url = arena_fmt(a, "%s://%.*s", c->insecure ? "http" : "https", STR_ARG(s->host));
    s->region = arena_str(a, c->region.n ? c->region : region_of_host(host));
    /* as it is sent, and so as it is signed */
    str port = c->insecure ? S(":80") : S(":443");
    if (str_has_suffix(s->host, port)) s->host.n -= port.n;
}

static errc sse_customer(struct s3 *s, const struct s3_config *c, struct err *e)
{
    SCOPED(buf_fini) struct buf key = { 0 };
    SCOPED(buf_fini) struct buf sum = { 0 };
    struct arena *a = &s->arena;
    str text;
    uint8_t md5[16];
    TRY_IN(e, fs_read_path(c->sse_key_file, a, ERROR_BYTES_MAX, &text, e), "encryption_key");
    if (text.n != SSE_KEY_BYTES)
        return err_set(
            e, ERR_BAD_INPUT, "encryption_key: a key of SSE-C has 32 bytes, not %zu", text.n);
    digest_md5(md5, text);
    buf_base64(&key, text, BASE64_PLAIN);
    buf_base64(&sum, str_of(md5, sizeof(md5)), BASE64_PLAIN);
    call_field(&s->on_all, S("X-Amz-Server-Side-Encryption-Customer-Algorithm"), S("AES256"));
    call_field(
        &s->on_all, S("X-Amz-Server-Side-Encryption-Customer-Key"), arena_str(a, buf_view(&key)));
    call_field(&s->on_all, S("X-Amz-Server-Side-Encryption-Customer-Key-Md5"),
        arena_str(a, buf_view(&sum)));
    return OK;
}

static errc encryption(struct s3 *s, const struct s3_config *c, struct err *e)
{
    SCOPED(buf_fini) struct buf context = { 0 };
    str kind = S("X-Amz-Server-Side-Encryption");
    struct call_fields *f = &s->on_put;
    if (c->sse == S3_SSE_C) return sse_customer(s, c, e);
    if (c->sse == S3_SSE_S3) call_field(f, kind, S("AES256"));
    if (c->sse != S3_SSE_KMS) return OK;
    call_field(f, kind, S("aws:kms"));
    call_field(
        f, S("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"), arena_str(&s->arena, c->kms_key_id));
    buf_base64(&context, c->kms_context, BASE64_PLAIN);
    if (context.n)
        call_field(
            f, S("X-Amz-Server-Side-Encryption-Context"), arena_str(&s->arena, buf_view(&context)));
    return OK;
}

/* What the user wants to be kept with each object; S3's own headers go as they are. */
static errc metadata(struct s3 *s, const struct s3_config *c, struct err *e)
{
    static const str known[] = { S("Content-Type"), S("Cache-Control"), S("Content-Encoding"),
        S("Content-Disposition"), S("Content-Language") };
    for (size_t i = 0; i < c->n_metadata; i++) {
        str name = c->metadata[i].name;
        bool own = name.n > 6 && str_eq_nocase(str_slice(name, 0, 6), S("x-amz-"));
        for (size_t k = 0; k < ARRAY_LEN(known); k++) own = own || str_eq_nocase(name, known[k]);
        if (s->on_put.n + s->on_all.n + FIELDS_SPARE >= CALL_FIELDS_MAX)
            return err_set(e, ERR_LIMIT, "put_user_metadata: too many");
        call_field(&s->on_put,
            arena_fmt(&s->arena, "%s%.*s", own ? "" : "X-Amz-Meta-", STR_ARG(name)),
            arena_str(&s->arena, c->metadata[i].value));
    }
    return OK;
}

static errc s3_check(const struct s3_config *c, struct err *e)
{
    if (!c->endpoint.n) return err_set(e, ERR_BAD_INPUT, "no s3 endpoint in config file");
    if (str_index(c->endpoint, '/') != SIZE_MAX)
        return err_set(
            e, ERR_BAD_INPUT, "endpoint: a host and a port, not '%.*s'", STR_ARG(c->endpoint));
    if (!c->bucket.n) return err_set(e, ERR_BAD_INPUT, "no s3 bucket in config file");
    if (!c->access_key.n != !c->secret_key.n)
        return err_set(e, ERR_BAD_INPUT,
            "no s3 %s specified while %s is present in config file; either both should be present "
            "in config or envvars/IAM should be used.",
            c->access_key.n ? "secret_key" : "access_key",
            c->access_key.n ? "access_key" : "secret_key");
    return OK;
}

static errc s3_fill(struct s3 *s, const struct bucket_config *c, struct err *e)
{
    TRY(s3_check(&c->s3, e));
    TRY(s3_keys_find(&s->keys, c, &s->arena, e));
    address(s, &c->s3);
    TRY(encryption(s, &c->s3, e));
    TRY(metadata(s, &c->s3, e));
    s->list_v1 = c->s3.list_v1;
    s->no_multipart = c->s3.no_multipart;
    s->content_md5 = c->s3.content_md5;
    s->part_bytes = c->s3.part_bytes ? c->s3.part_bytes : PART_BYTES;
    s->base.name = mem_str(arena_fmt(&s->arena, "s3://%.*s", STR_ARG(c->s3.bucket)));
    return caller_new(&s->caller, &c->http, S("s3"), e);
}

errc bucket_s3_new(struct bucket **out, const struct bucket_config *c, struct err *e)
{
    static const struct bucket_ops ops = { .put = s3_put,
        .piece = s3_piece,
        .attributes = s3_attributes,
        .page = s3_page,
        .remove = s3_remove,
        .stop = s3_stop,
        .free = s3_free };
    struct s3 *s = NEW(struct s3);
    s->base.ops = &ops;
    mtx_init(&s->mu, LOCK_LEAF);
    return bucket_made(out, &s->base, s3_fill(s, c, e));
}
