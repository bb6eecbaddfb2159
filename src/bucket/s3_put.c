/* s3_put.c — objects to S3: a short one in one request, a long one in parts.
 *
 *   POST ?uploads -> id;  PUT ?partNumber=n&uploadId=id -> its ETag, for each;  POST ?uploadId=id
 *
 * Until the last answer there is no object. What fails is taken back (DELETE ?uploadId=id), as
 * parts that nobody ends are paid for. */
#include "base/base64.h"
#include "base/digest.h"
#include "bucket/s3_codec.h"
#include "bucket/s3_impl.h"

enum { PARTS_MAX = 10000, ANSWER_BYTES_MAX = 1 << 20 };

static void body_fields(struct s3 *s, struct call_fields *f, str body, struct arena *a)
{
    SCOPED(buf_fini) struct buf sum = { 0 };
    uint8_t md5[16];
    if (!s->content_md5) return;
    digest_md5(md5, body);
    buf_base64(&sum, str_of(md5, sizeof(md5)), BASE64_PLAIN);
    call_field(f, S("Content-Md5"), arena_str(a, buf_view(&sum)));
}

/* Those of an object, and of the beginning of one. */
static struct call_fields object_fields(const struct s3 *s)
{
    struct call_fields f = s->on_all;
    bool typed = false;
    for (size_t i = 0; i < s->on_put.n; i++) {
        f.at[f.n++] = s->on_put.at[i];
        typed = typed || str_eq_nocase(s->on_put.at[i].name, S("Content-Type"));
    }
    if (!typed) call_field(&f, S("Content-Type"), S("application/octet-stream"));
    return f;
}

/* It is in the store, as long as it was sent. */
static bool is_there(struct s3 *s, str name, uint64_t size)
{
    struct bucket_attributes at;
    return s->base.ops->attributes(&s->base, name, &at, NULL) == OK && at.size_bytes == size;
}

/* What says 200 without an ETag may be anything but the store: a proxy's page. */
static errc put_whole(struct s3 *s, str name, const struct bucket_body *body, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf all = { 0 };
    struct call_fields f = object_fields(s);
    TRY(bucket_body_part(body, 0, (size_t)body->size_bytes, &all, e));
    body_fields(s, &f, buf_view(&all), &a);
    struct s3_ask q = {
        .s = s, .method = S("PUT"), .name = name, .body = buf_view(&all), .fields = &f
    };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, e);
    if (rc == OK && !reply_header(&r, S("ETag")).n && !is_there(s, name, body->size_bytes))
        rc = err_set(e, ERR_CORRUPT, "status %d, but it is not there", r.status);
    buf_fini(&r.body);
    return rc;
}

/* ---- parts */

struct upload {
    struct s3 *s;
    str name, id, id_escaped;
    struct arena *a;
    uint64_t part_bytes;
    VEC(str) tags; /* of the parts, in order */
    str tag;       /* of the last answer */
};

static errc id_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct upload *u = ctx;
    *again = true;
    return s3_upload_id_decode(&u->id, buf_view(&r->body), u->a, e);
}

static errc upload_begin(struct upload *u, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf escaped = { 0 };
    struct call_fields f = object_fields(u->s);
    struct s3_ask q = { .s = u->s,
        .method = S("POST"),
        .name = u->name,
        .query = S("uploads="),
        .body_max = ANSWER_BYTES_MAX,
        .fields = &f,
        .ok = id_judge,
        .ctx = u };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, e);
    buf_fini(&r.body);
    if (rc != OK) return rc;
    sigv4_escape(&escaped, u->id, false);
    u->id_escaped = arena_str(u->a, buf_view(&escaped));
    return OK;
}

static errc tag_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct upload *u = ctx;
    u->tag = arena_str(u->a, reply_header(r, S("ETag")));
    if (u->tag.n) return OK;
    *again = true;
    return err_set(e, ERR_CORRUPT, "a part has no ETag");
}

static errc upload_part(
    struct upload *u, const struct bucket_body *body, uint64_t off, struct buf *part, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct call_fields f = u->s->on_all;
    TRY(bucket_body_part(body, off, (size_t)MIN(u->part_bytes, body->size_bytes - off), part, e));
    body_fields(u->s, &f, buf_view(part), &a);
    struct s3_ask q = { .s = u->s,
        .method = S("PUT"),
        .name = u->name,
        .query =
            arena_fmt(&a, "partNumber=%zu&uploadId=%.*s", u->tags.n + 1, STR_ARG(u->id_escaped)),
        .body = buf_view(part),
        .fields = &f,
        .ok = tag_judge,
        .ctx = u };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, e);
    buf_fini(&r.body);
    if (rc == OK) vec_push(&u->tags, u->tag);
    return rc;
}

/* The end may fail with status 200, which the store sends before it knows. */
static errc end_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct upload *u = ctx;
    struct s3_error why;
    SCOPED(arena_fini) struct arena a = { 0 };
    if (s3_error_decode(&why, buf_view(&r->body), &a)) return s3_refused(u->s, r, again, e);
    return OK;
}

static errc upload_end(struct upload *u, uint64_t size, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf xml = { 0 };
    struct err why = { 0 };
    buf_str(&xml, S("<CompleteMultipartUpload>"));
    for (size_t i = 0; i < u->tags.n; i++)
        buf_fmt(&xml, "<Part><PartNumber>%zu</PartNumber><ETag>%.*s</ETag></Part>", i + 1,
            STR_ARG(u->tags.at[i]));
    buf_str(&xml, S("</CompleteMultipartUpload>"));
    struct s3_ask q = { .s = u->s,
        .method = S("POST"),
        .name = u->name,
        .query = arena_fmt(&a, "uploadId=%.*s", STR_ARG(u->id_escaped)),
        .body = buf_view(&xml),
        .body_max = ANSWER_BYTES_MAX,
        .fields = &u->s->on_all,
        .ok = end_judge,
        .ctx = u };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, &why);
    buf_fini(&r.body);
    /* the end was asked for twice, the first answer was lost: the upload is gone */
    if (rc == ERR_NOT_FOUND && is_there(u->s, u->name, size)) return OK;
    return rc == OK ? OK : err_set(e, rc, "%s", why.msg);
}

static void upload_abandon(struct upload *u)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct s3_ask q = { .s = u->s,
        .method = S("DELETE"),
        .name = u->name,
        .query = arena_fmt(&a, "uploadId=%.*s", STR_ARG(u->id_escaped)) };
    struct reply r = { 0 };
    errc rc = s3_ask(&q, &a, &r, NULL);
    (void)rc; /* best effort: the put has failed already */
    buf_fini(&r.body);
}

static errc put_parts(struct s3 *s, str name, const struct bucket_body *body, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf part = { 0 };
    struct upload u = { .s = s, .name = name, .a = &a };
    u.part_bytes = MAX(s->part_bytes, body->size_bytes / PARTS_MAX + 1);
    TRY(upload_begin(&u, e));
    errc rc = OK;
    for (uint64_t off = 0; rc == OK && off < body->size_bytes; off += u.part_bytes)
        rc = upload_part(&u, body, off, &part, e);
    if (rc == OK) rc = upload_end(&u, body->size_bytes, e);
    if (rc != OK) upload_abandon(&u);
    vec_fini(&u.tags);
    return rc;
}

errc s3_put(struct bucket *b, str name, const struct bucket_body *body, struct err *e)
{
    struct s3 *s = s3_of(b);
    bool whole = s->no_multipart || body->size_bytes <= s->part_bytes;
    return whole ? put_whole(s, name, body, e) : put_parts(s, name, body, e);
}
