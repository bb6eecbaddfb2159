/* gcs.c — a bucket of Google's store, by its JSON interface.
 *
 * A short object goes in one request. A long one is begun (an answer names where), sent in chunks
 * with their places, and is there when the last one is: 308 in between. */
#include "base/mem.h"
#include "bucket/gcs_auth.h"
#include "bucket/gcs_codec.h"
#include "bucket/kinds.h"
#include "bucket/range_reply.h"
#include "bucket/sigv4.h"

enum {
    ERROR_BYTES_MAX = 64 << 10,
    PAGE_BYTES_MAX = 16 << 20,
    CHUNK_BYTES = 16 << 20,
    CHUNK_UNIT = 256 << 10, /* chunks are whole multiples of it */
    RESUME_INCOMPLETE = 308
};

struct gcs {
    struct bucket base;
    struct caller *caller;
    struct gcs_auth *auth;
    struct arena arena; /* const after it was made */
    str url, bucket;    /* "https://host", escaped */
    uint64_t chunk_bytes;
};

static struct gcs *gcs_of(struct bucket *b) { return CONTAINER_OF(b, struct gcs, base); }

/* ---- asking */

struct gcs_ask {
    struct gcs *g;
    str method, url, body;
    size_t body_max;
    struct spans into; /* see struct call */
    const struct call_fields *fields; /* NULL: none */
    /* an answer with a status of 2xx, 308 or 416; NULL: all are fine */
    errc (*ok)(void *ctx, struct reply *r, bool *again, struct err *e);
    void *ctx;
};

static errc sign(
    void *ctx, const struct call *c, struct call_fields *f, struct arena *a, struct err *e)
{
    struct gcs_ask *q = ctx;
    str token;
    (void)c;
    TRY(gcs_auth_token(q->g->auth, a, &token, e));
    if (token.n) f->at[f->n++] = (struct http_field){ S("Authorization"), token };
    return OK;
}

static errc refused(struct gcs *g, const struct reply *r, bool *again, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str words = reply_words(gcs_error_words(buf_view(&r->body), &a), &a);
    if (r->status == 401) gcs_auth_forget(g->auth);
    *again = reply_may_pass(r->status) || r->status == 401;
    errc rc = r->status == 404                       ? ERR_NOT_FOUND
              : r->status == 401 || r->status == 403 ? ERR_BAD_INPUT
                                                     : ERR_IO;
    return err_set(e, rc, "status %d%s%.*s", r->status, words.n ? ", " : "", STR_ARG(words));
}

static errc judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct gcs_ask *q = ctx;
    bool fine = r->status >= 200 && r->status < 300;
    if (!fine && !(q->ok && (r->status == 416 || r->status == RESUME_INCOMPLETE)))
        return refused(q->g, r, again, e);
    return q->ok ? q->ok(q->ctx, r, again, e) : OK;
}

/* r->body: buf_fini() in any case. */
static errc ask(struct gcs_ask *q, struct arena *a, struct reply *r, struct err *e)
{
    struct call c = { .method = q->method,
        .url = q->url,
        .body = q->body,
        .body_max = MAX(q->body_max, (size_t)ERROR_BYTES_MAX),
        .into = q->into,
        .sign = sign,
        .sign_ctx = q,
        .judge = judge,
        .judge_ctx = q };
    if (q->fields) c.fields = *q->fields;
    return caller_ask(q->g->caller, &c, a, r, e);
}

/* What its judge took of the answer is all that is wanted. */
static errc ask_only(struct gcs_ask *q, struct arena *a, struct err *e)
{
    struct reply r = { 0 };
    errc rc = ask(q, a, &r, e);
    buf_fini(&r.body);
    return rc;
}

/* A name within a path, slashes and all. */
static void put_escaped(struct buf *b, str s) { sigv4_escape(b, s, false); }

static str object_url(const struct gcs *g, str name, const char *query, struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_fmt(&b, "%.*s/storage/v1/b/%.*s/o/", STR_ARG(g->url), STR_ARG(g->bucket));
    put_escaped(&b, name);
    buf_str(&b, str_z(query));
    return arena_str(a, buf_view(&b));
}

/* ---- reading */

static errc piece_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    str tag = reply_header(r, S("X-Goog-Generation"));
    return range_judge(ctx, r, tag.n ? tag : reply_header(r, S("ETag")), again, e);
}

static errc gcs_piece(struct bucket *b, str name, const struct bucket_piece *x,
    struct bucket_version *v, size_t *got, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct range_ask p = { x->off, x->n, v };
    struct call_fields f = { 0 };
    f.at[f.n++] = (struct http_field){ S("Range"), range_field(&p, &a) };
    struct gcs_ask q = { .g = gcs_of(b),
        .method = S("GET"),
        .url = object_url(gcs_of(b), name, "?alt=media", &a),
        .body_max = x->n,
        .into = x->into,
        .fields = &f,
        .ok = piece_judge,
        .ctx = &p };
    struct reply r = { 0 };
    errc rc = ask(&q, &a, &r, e);
    if (rc == OK) rc = range_take(x, &r, got, e);
    buf_fini(&r.body);
    return rc;
}

static errc attributes_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    *again = true;
    return gcs_object_decode(ctx, buf_view(&r->body), e);
}

static errc gcs_attributes(struct bucket *b, str name, struct bucket_attributes *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct gcs_ask q = { .g = gcs_of(b),
        .method = S("GET"),
        .url = object_url(gcs_of(b), name, "?fields=size%2Cupdated", &a),
        .ok = attributes_judge,
        .ctx = out };
    return ask_only(&q, &a, e);
}

struct page {
    bucket_entries *out;
    str next;
    struct arena *a;
};

static errc page_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct page *p = ctx;
    *again = true;
    return gcs_page_decode(p->out, &p->next, buf_view(&r->body), p->a, e);
}

static errc gcs_page(struct bucket *b, str prefix, bool recursive, str after, struct arena *a,
    bucket_entries *out, str *next, struct err *e)
{
    struct gcs *g = gcs_of(b);
    SCOPED(arena_fini) struct arena mine = { 0 };
    SCOPED(buf_fini) struct buf url = { 0 };
    struct page p = { .out = out, .a = a };
    buf_fmt(&url, "%.*s/storage/v1/b/%.*s/o?maxResults=1000&prefix=", STR_ARG(g->url),
        STR_ARG(g->bucket));
    put_escaped(&url, prefix);
    if (!recursive) buf_str(&url, S("&delimiter=%2F"));
    if (after.n) buf_str(&url, S("&pageToken="));
    put_escaped(&url, after);
    struct gcs_ask q = { .g = g,
        .method = S("GET"),
        .url = buf_view(&url),
        .body_max = PAGE_BYTES_MAX,
        .ok = page_judge,
        .ctx = &p };
    errc rc = ask_only(&q, &mine, e);
    if (rc == ERR_NOT_FOUND) return ERR_BAD_INPUT; /* the bucket itself */
    if (rc == OK) *next = p.next;
    return rc;
}

static errc gcs_remove(struct bucket *b, str name, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct gcs_ask q = {
        .g = gcs_of(b), .method = S("DELETE"), .url = object_url(gcs_of(b), name, "", &a)
    };
    return ask_only(&q, &a, e);
}

/* ---- writing */

static str upload_url(const struct gcs *g, str name, const char *kind, struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_fmt(&b, "%.*s/upload/storage/v1/b/%.*s/o?uploadType=%s&name=", STR_ARG(g->url),
        STR_ARG(g->bucket), kind);
    put_escaped(&b, name);
    return arena_str(a, buf_view(&b));
}

/* The store says how much it has: another length than was sent is an error. */
static errc stored_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    const uint64_t *size = ctx;
    struct bucket_attributes at;
    TRY(gcs_object_decode(&at, buf_view(&r->body), e));
    return at.size_bytes == *size ? OK : answer_bad(again, e, "it stored another length");
}

static errc put_whole(struct gcs *g, str name, const struct bucket_body *body, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf all = { 0 };
    struct call_fields f = { 0 };
    uint64_t size = body->size_bytes;
    f.at[f.n++] = (struct http_field){ S("Content-Type"), S("application/octet-stream") };
    TRY(bucket_body_part(body, 0, (size_t)size, &all, e));
    struct gcs_ask q = { .g = g,
        .method = S("POST"),
        .url = upload_url(g, name, "media", &a),
        .body = buf_view(&all),
        .fields = &f,
        .ok = stored_judge,
        .ctx = &size };
    return ask_only(&q, &a, e);
}

struct resumable {
    struct gcs *g;
    str url;
    struct arena *a;
    uint64_t size, end;
};

static errc begin_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct resumable *u = ctx;
    u->url = arena_str(u->a, reply_header(r, S("Location")));
    return u->url.n ? OK : answer_bad(again, e, "it names no place for the upload");
}

/* 308 with the range that is there, until the last chunk. */
static errc chunk_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct resumable *u = ctx;
    if (u->end == u->size) {
        if (r->status != RESUME_INCOMPLETE) return stored_judge(&u->size, r, again, e);
        return answer_bad(again, e, "the last chunk did not end the upload");
    }
    str range = reply_header(r, S("Range"));
    uint64_t last = 0;
    size_t dash = str_index(range, '-');
    bool there = dash != SIZE_MAX && str_u64(str_from(range, dash + 1), &last);
    if (r->status == RESUME_INCOMPLETE && there && last + 1 == u->end) return OK;
    return answer_bad(again, e, "it has another part of the upload");
}

static errc chunk_put(struct resumable *u, const struct bucket_body *body, uint64_t off,
    struct buf *part, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct call_fields f = { 0 };
    size_t n = (size_t)MIN(u->g->chunk_bytes, u->size - off);
    TRY(bucket_body_part(body, off, n, part, e));
    u->end = off + n;
    f.at[f.n++] = (struct http_field){ S("Content-Range"),
        arena_fmt(&a, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, off, u->end - 1, u->size) };
    struct gcs_ask q = { .g = u->g,
        .method = S("PUT"),
        .url = u->url,
        .body = buf_view(part),
        .fields = &f,
        .ok = chunk_judge,
        .ctx = u };
    return ask_only(&q, &a, e);
}

static errc put_chunks(struct gcs *g, str name, const struct bucket_body *body, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 }, mine = { 0 };
    SCOPED(buf_fini) struct buf part = { 0 };
    struct resumable u = { .g = g, .a = &a, .size = body->size_bytes };
    struct gcs_ask q = { .g = g,
        .method = S("POST"),
        .url = upload_url(g, name, "resumable", &mine),
        .ok = begin_judge,
        .ctx = &u };
    TRY(ask_only(&q, &mine, e));
    for (uint64_t off = 0; off < u.size; off += g->chunk_bytes)
        TRY(chunk_put(&u, body, off, &part, e));
    return OK;
}

static errc gcs_put(struct bucket *b, str name, const struct bucket_body *body, struct err *e)
{
    struct gcs *g = gcs_of(b);
    return body->size_bytes <= g->chunk_bytes ? put_whole(g, name, body, e)
                                              : put_chunks(g, name, body, e);
}

/* ---- making */

static void gcs_stop(struct bucket *b) { caller_stop(gcs_of(b)->caller); }

static void gcs_free(struct bucket *b)
{
    struct gcs *g = gcs_of(b);
    gcs_auth_free(g->auth);
    caller_free(g->caller);
    arena_fini(&g->arena);
    mem_free(g);
}

static errc gcs_fill(struct gcs *g, const struct bucket_config *c, struct err *e)
{
    SCOPED(buf_fini) struct buf bucket = { 0 };
    str host = c->gcs.endpoint;
    if (!c->gcs.bucket.n)
        return err_set(
            e, ERR_BAD_INPUT, "missing Google Cloud Storage bucket name for stored blocks");
    if (!host.n && c->env) host = str_z(c->env("STORAGE_EMULATOR_HOST"));
    put_escaped(&bucket, c->gcs.bucket);
    g->bucket = arena_str(&g->arena, buf_view(&bucket));
    bool whole = str_find(host, S("://")) != SIZE_MAX;
    g->url = host.n ? arena_fmt(&g->arena, "%s%.*s", whole ? "" : "http://", STR_ARG(host))
                    : S("https://storage.googleapis.com");
    g->chunk_bytes = c->gcs.chunk_bytes ? c->gcs.chunk_bytes : CHUNK_BYTES;
    g->chunk_bytes = (g->chunk_bytes + CHUNK_UNIT - 1) / CHUNK_UNIT * CHUNK_UNIT;
    g->base.name = mem_str(arena_fmt(&g->arena, "gs://%.*s", STR_ARG(c->gcs.bucket)));
    TRY(caller_new(&g->caller, &c->http, S("gcs"), e));
    return gcs_auth_new(&g->auth, g->caller, c, e);
}

errc bucket_gcs_new(struct bucket **out, const struct bucket_config *c, struct err *e)
{
    static const struct bucket_ops ops = { .put = gcs_put,
        .piece = gcs_piece,
        .attributes = gcs_attributes,
        .page = gcs_page,
        .remove = gcs_remove,
        .stop = gcs_stop,
        .free = gcs_free };
    struct gcs *g = NEW(struct gcs);
    g->base.ops = &ops;
    return bucket_made(out, &g->base, gcs_fill(g, c, e));
}
