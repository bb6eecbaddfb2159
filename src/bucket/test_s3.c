#include "bucket/test_s3.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "bucket/sigv4.h"
#include "io/test_server.h"

#include <stdlib.h>

enum { LONG_BYTES = 128 << 10, SLOW_MS = 400, TIMEOUT_MS = 150, RULES_MAX = 8 };

struct object {
    str name, bytes;
    unsigned version;
};
struct part {
    unsigned upload, number;
    str bytes;
};
struct test_s3 {
    struct test_server *server;
    struct mtx mu; /* LOCK_LEAF; guards all below */
    struct arena arena;
    VEC(struct object) all;
    VEC(struct part) parts;
    VEC(unsigned) uploads;
    unsigned versions, next_upload;
    size_t page;
    str hidden; /* in the arena */
    struct test_s3_rule rules[RULES_MAX];
    unsigned seen[RULES_MAX];
    size_t n_rules;
    struct buf log, headers;
};

static struct object *object_of(struct test_s3 *s, str name)
{
    for (size_t i = 0; i < s->all.n; i++)
        if (str_eq(s->all.at[i].name, name)) return &s->all.at[i];
    return NULL;
}

static void object_put(struct test_s3 *s, str name, str bytes)
{
    struct object *o = object_of(s, name);
    if (!o) {
        vec_push(&s->all, ((struct object){ .name = arena_str(&s->arena, name) }));
        o = &vec_last(&s->all);
    }
    o->bytes = arena_str(&s->arena, bytes);
    o->version = ++s->versions;
}

/* The value of a parameter, unescaped; p NULL: it is not there. */
static str param(struct test_s3 *s, const char *query, const char *name)
{
    for (str q = str_z(query), one, rest; q.n; q = rest) {
        str key, value;
        str_cut(q, '&', &one, &rest);
        str_cut(one, '=', &key, &value);
        if (!str_eq(key, str_z(name))) continue;
        uint8_t *p = arena_alloc(&s->arena, value.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < value.n; i++) {
            char hex[3] = { 0 };
            bool escaped = value.p[i] == '%' && i + 2 < value.n;
            if (escaped) memcpy(hex, value.p + i + 1, 2);
            p[n++] = escaped ? (uint8_t)strtoul(hex, NULL, 16) : value.p[i];
            if (escaped) i += 2;
        }
        return str_of(p, n);
    }
    return STR_EMPTY;
}

static struct test_reply status_of(unsigned status, const char *code, struct test_s3 *s)
{
    struct test_reply r = { .status = status };
    if (code)
        r.body = arena_fmt(&s->arena,
            "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>as told</Message></Error>",
            code);
    return r;
}

static struct test_reply object_get(struct test_s3 *s, const struct object *o, str range)
{
    struct test_reply r = { .status = 200, .body = o->bytes };
    str first, last;
    uint64_t from = 0, to = o->bytes.n;
    if (str_has_prefix(range, S("bytes=")) && str_cut(str_from(range, 6), '-', &first, &last) &&
        str_u64(first, &from) && str_u64(last, &to)) {
        if (from >= o->bytes.n) {
            r = status_of(416, "InvalidRange", s);
            r.more_headers = arena_cstr(
                &s->arena, arena_fmt(&s->arena, "Content-Range: bytes */%zu\n", o->bytes.n));
            return r;
        }
        to = MIN(to, (uint64_t)o->bytes.n - 1);
        r.status = 206;
        r.body = str_slice(o->bytes, from, to + 1);
    }
    r.more_headers = arena_cstr(&s->arena,
        arena_fmt(&s->arena,
            "ETag: \"%u\"\nLast-Modified: Fri, 02 Jan 2026 15:04:05 GMT\nContent-Range: bytes "
            "%" PRIu64 "-%" PRIu64 "/%zu\n",
            o->version, from, to, o->bytes.n));
    return r;
}

static int object_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct object *)a)->name, ((const struct object *)b)->name);
}

static void contents_put(struct buf *b, const struct object *o)
{
    buf_str(b, S("<Contents><Key>"));
    sigv4_escape(b, o->name, true);
    buf_fmt(b,
        "</Key><LastModified>2026-01-02T15:04:05.000Z</LastModified><Size>%zu</Size></Contents>",
        o->bytes.n);
}

static struct test_reply list_get(struct test_s3 *s, const char *query)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    str prefix = param(s, query, "prefix"), delimiter = param(s, query, "delimiter");
    str after = param(s, query, "continuation-token"), last = STR_EMPTY, dir = STR_EMPTY;
    bool v1 = strstr(query, "list-type=2") == NULL, cut = false;
    if (v1) after = param(s, query, "marker");
    size_t n = 0;
    if (s->all.n) qsort(s->all.at, s->all.n, sizeof(*s->all.at), object_cmp);
    for (size_t i = 0; i < s->all.n && !cut; i++) {
        str name = s->all.at[i].name, rest = str_from(name, prefix.n);
        if (s->hidden.n && str_eq(name, s->hidden)) continue;
        if (!str_has_prefix(name, prefix) || (after.n && str_cmp(name, after) <= 0)) continue;
        if (after.n && after.p[after.n - 1] == '/' && str_has_prefix(name, after)) continue;
        size_t slash = delimiter.n ? str_index(rest, '/') : SIZE_MAX;
        str group = str_slice(name, 0, slash == SIZE_MAX ? 0 : prefix.n + slash + 1);
        if (group.n && str_eq(group, dir)) continue;
        if (n++ == s->page) {
            cut = true;
            break;
        }
        dir = group;
        last = group.n ? group : name;
        if (group.n)
            buf_fmt(&b, "<CommonPrefixes><Prefix>%.*s</Prefix></CommonPrefixes>", STR_ARG(group));
        else contents_put(&b, &s->all.at[i]);
    }
    if (cut && (!v1 || delimiter.n))
        buf_fmt(&b, "<%s>%.*s</%s>", v1 ? "NextMarker" : "NextContinuationToken", STR_ARG(last),
            v1 ? "NextMarker" : "NextContinuationToken");
    return (struct test_reply){ .status = 200,
        .body = arena_fmt(&s->arena,
            "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>"
            "%.*s</ListBucketResult>",
            cut ? "true" : "false", STR_ARG(buf_view(&b))) };
}

static int part_cmp(const void *a, const void *b)
{
    return (int)((const struct part *)a)->number - (int)((const struct part *)b)->number;
}

static struct test_reply upload_post(struct test_s3 *s, str name, const struct test_request *q)
{
    if (strstr(q->query, "uploads")) {
        vec_push(&s->uploads, ++s->next_upload);
        return (struct test_reply){ .status = 200,
            .body = arena_fmt(&s->arena,
                "<InitiateMultipartUploadResult><UploadId>u/%u</UploadId>"
                "</InitiateMultipartUploadResult>",
                s->next_upload) };
    }
    SCOPED(buf_fini) struct buf all = { 0 };
    str id = param(s, q->query, "uploadId");
    uint64_t number = 0;
    bool known = str_u64(str_from(id, 2), &number), found = false;
    for (size_t i = 0; i < s->uploads.n && known && !found; i++)
        if (s->uploads.at[i] == number) {
            s->uploads.at[i] = vec_pop(&s->uploads);
            found = true;
        }
    if (!found) return status_of(404, "NoSuchUpload", s);
    if (s->parts.n) qsort(s->parts.at, s->parts.n, sizeof(*s->parts.at), part_cmp);
    for (size_t i = 0; i < s->parts.n; i++)
        if (s->parts.at[i].upload == number) buf_str(&all, s->parts.at[i].bytes);
    if (str_eq(str_z(q->method), S("DELETE"))) return (struct test_reply){ .status = 204 };
    object_put(s, name, buf_view(&all));
    return (struct test_reply){ .status = 200, .body = S("<CompleteMultipartUploadResult/>") };
}

static struct test_reply part_put(struct test_s3 *s, const struct test_request *q)
{
    uint64_t number = 0, upload = 0;
    bool fine = str_u64(param(s, q->query, "partNumber"), &number) &&
                str_u64(str_from(param(s, q->query, "uploadId"), 2), &upload);
    if (!fine) return status_of(400, "InvalidArgument", s);
    struct part p = { (unsigned)upload, (unsigned)number, arena_str(&s->arena, q->body) };
    struct part *was = NULL;
    for (size_t i = 0; i < s->parts.n; i++) {
        struct part *x = &s->parts.at[i];
        if (x->upload == p.upload && x->number == p.number) was = x;
    }
    if (was) *was = p;                 /* sent again: its answer came too late */
    else vec_push(&s->parts, p);
    return (struct test_reply){ .status = 200, .header = "ETag", .value = "\"part\"" };
}

static struct test_reply answer(struct test_s3 *s, str name, const struct test_request *q)
{
    str method = str_z(q->method);
    struct object *o = object_of(s, name);
    bool in_parts = strstr(q->query, "upload") != NULL;
    if (in_parts && !str_eq(method, S("PUT"))) return upload_post(s, name, q);
    if (in_parts) return part_put(s, q);
    if (!name.n) return list_get(s, q->query);
    if (str_eq(method, S("PUT"))) {
        object_put(s, name, q->body);
        return (struct test_reply){ .status = 200, .header = "ETag", .value = "\"put\"" };
    }
    if (str_eq(method, S("DELETE"))) {
        if (o) *o = vec_pop(&s->all);
        return (struct test_reply){ .status = 204 };
    }
    if (!o) return status_of(404, "NoSuchKey", s);
    return object_get(s, o, test_request_header(q, S("Range")));
}

/* A page of a list that nobody could put. */
static struct test_reply made_page(struct test_s3 *s, const struct test_s3_rule *rule)
{
    enum { NAMES = 1000 };
    SCOPED(buf_fini) struct buf b = { 0 };
    unsigned nth = s->seen[rule - s->rules];
    bool more = rule->fault != TEST_S3_PAGES || nth < rule->status;
    for (unsigned i = 0; i < NAMES && rule->fault != TEST_S3_EMPTY_PAGES; i++)
        buf_fmt(&b, "<Contents><Key>%09u</Key><Size>1</Size></Contents>",
            i + (rule->fault == TEST_S3_PAGES ? nth * NAMES : 0));
    return (struct test_reply){ .status = 200,
        .body = arena_fmt(&s->arena,
            "<ListBucketResult><IsTruncated>%s</IsTruncated><NextContinuationToken>%u"
            "</NextContinuationToken>%.*s</ListBucketResult>",
            more ? "true" : "false", nth, STR_ARG(buf_view(&b))) };
}

static const struct test_s3_rule *rule_for(
    struct test_s3 *s, str name, const struct test_request *q)
{
    for (size_t i = 0; i < s->n_rules; i++) {
        const struct test_s3_rule *r = &s->rules[i];
        if (!str_eq(str_z(r->method), str_z(q->method))) continue;
        if (r->query && !strstr(q->query, r->query)) continue;
        if (r->name && str_find(name, str_z(r->name)) == SIZE_MAX) continue;
        unsigned nth = s->seen[i]++;
        if (nth >= r->skip && nth - r->skip < r->times) return r;
    }
    return NULL;
}

static struct test_reply spoilt(
    struct test_s3 *s, const struct test_s3_rule *rule, str name, const struct test_request *q)
{
    if (rule->fault == TEST_S3_STATUS) return status_of(rule->status, rule->code, s);
    if (rule->fault >= TEST_S3_PAGES) return made_page(s, rule);
    struct test_reply r = answer(s, name, q);
    switch (rule->fault) {
    case TEST_S3_CUT: r.cut_at = MAX(r.body.n / 2, (size_t)1); break;
    case TEST_S3_SHORT: r.body.n /= 2; break;
    case TEST_S3_GARBLED: r.body = S("<html>busy</html>"); break;
    case TEST_S3_FLIPPED: {
        uint8_t *bad = (uint8_t *)arena_str(&s->arena, r.body).p;
        for (size_t i = 0; i < r.body.n; i++) bad[i] ^= 0xff;
        r.body.p = bad;
        break;
    }
    case TEST_S3_LONG: {
        SCOPED(buf_fini) struct buf all = { 0 };
        while (r.body.n && all.n < LONG_BYTES) buf_str(&all, r.body);
        r.body = arena_str(&s->arena, buf_view(&all));
        break;
    }
    case TEST_S3_OTHER_RANGE: r.more_headers = "Content-Range: bytes 1-1/2\n"; break;
    case TEST_S3_LOST: r = status_of(503, "SlowDown", s); break;
    case TEST_S3_SLOW:
    case TEST_S3_STATUS:
    case TEST_S3_PAGES:
    case TEST_S3_EMPTY_PAGES:
    case TEST_S3_SAME_PAGES: break;
    }
    return r;
}

static struct test_reply handle(void *ctx, const struct test_request *q)
{
    struct test_s3 *s = ctx;
    str name = str_from(str_z(q->path), 3); /* "/b/" */
    mtx_lock(&s->mu);
    buf_fmt(&s->log, "%s %.*s?%s\n", q->method, STR_ARG(name), q->query);
    buf_reset(&s->headers);
    buf_str(&s->headers, str_z(q->headers));
    const struct test_s3_rule *rule = rule_for(s, name, q);
    struct test_reply r = rule ? spoilt(s, rule, name, q) : answer(s, name, q);
    bool slow = rule && rule->fault == TEST_S3_SLOW;
    mtx_unlock(&s->mu);
    if (slow) clock_sleep_ns(INT64_C(1000000) * SLOW_MS);
    return r;
}

struct test_s3 *test_s3_new(void)
{
    struct test_s3 *s = NEW(struct test_s3);
    mtx_init(&s->mu, LOCK_LEAF);
    s->page = 1000;
    s->server = test_server_new(handle, s);
    if (s->server) return s;
    mem_free(s);
    return NULL;
}

void test_s3_free(struct test_s3 *s)
{
    if (!s) return;
    test_server_free(s->server);
    vec_fini(&s->all);
    vec_fini(&s->parts);
    vec_fini(&s->uploads);
    buf_fini(&s->log);
    buf_fini(&s->headers);
    arena_fini(&s->arena);
    mtx_fini(&s->mu);
    mem_free(s);
}

struct bucket_config test_s3_config(struct test_s3 *s, struct arena *a)
{
    return (struct bucket_config){ .kind = BUCKET_S3,
        .s3 = { .bucket = S("b"),
            .endpoint = arena_fmt(a, "127.0.0.1:%u", test_server_port(s->server)),
            .access_key = S("key"),
            .secret_key = S("secret"),
            .insecure = true,
            .content_md5 = true },
        .http = { .attempts_max = 3, .backoff_ms = 2, .answer_timeout_ms = TIMEOUT_MS } };
}

void test_s3_put(struct test_s3 *s, str name, str bytes)
{
    mtx_lock(&s->mu);
    object_put(s, name, bytes);
    mtx_unlock(&s->mu);
}

str test_s3_get(struct test_s3 *s, str name, struct arena *a)
{
    mtx_lock(&s->mu);
    struct object *o = object_of(s, name);
    str out = o ? arena_str(a, o->bytes) : STR_EMPTY;
    mtx_unlock(&s->mu);
    return out;
}

size_t test_s3_objects(struct test_s3 *s)
{
    mtx_lock(&s->mu);
    size_t n = s->all.n;
    mtx_unlock(&s->mu);
    return n;
}

size_t test_s3_uploads(struct test_s3 *s)
{
    mtx_lock(&s->mu);
    size_t n = s->uploads.n;
    mtx_unlock(&s->mu);
    return n;
}

void test_s3_rules(struct test_s3 *s, const struct test_s3_rule *rules, size_t n)
{
    assert(n <= RULES_MAX);
    mtx_lock(&s->mu);
    for (size_t i = 0; i < n; i++) {
        s->rules[i] = rules[i];
        s->seen[i] = 0;
    }
    s->n_rules = n;
    mtx_unlock(&s->mu);
}

void test_s3_page(struct test_s3 *s, size_t entries)
{
    mtx_lock(&s->mu);
    s->page = entries;
    mtx_unlock(&s->mu);
}

void test_s3_hide(struct test_s3 *s, str name)
{
    mtx_lock(&s->mu);
    s->hidden = arena_str(&s->arena, name);
    mtx_unlock(&s->mu);
}

str test_s3_log(struct test_s3 *s, struct arena *a)
{
    mtx_lock(&s->mu);
    str out = arena_str(a, buf_view(&s->log));
    buf_reset(&s->log);
    mtx_unlock(&s->mu);
    return out;
}

str test_s3_last_header(struct test_s3 *s, str name, struct arena *a)
{
    mtx_lock(&s->mu);
    const char *lines = arena_cstr(&s->arena, buf_view(&s->headers));
    str out = arena_str(a, test_request_header(&(struct test_request){ .headers = lines }, name));
    mtx_unlock(&s->mu);
    return out;
}
