#include "bucket/bucket.h"

#include "base/clock.h"
#include "base/test.h"
#include "bucket/bucket_impl.h"
#include "bucket/test_s3.h"
#include "io/fs.h"
#include "io/thread.h"

#include <limits.h>

enum { GET_MAX = 1 << 20 };

struct rig {
    struct test_s3 *s3;
    struct arena a;
    struct bucket *b;
    struct bucket_config c;
};

static struct rig rig_new(enum bucket_kind kind, str prefix)
{
    struct rig r = { 0 };
    struct err e = { 0 };
    if (kind == BUCKET_S3) {
        r.s3 = test_s3_new();
        EXPECT(r.s3);
        r.c = test_s3_config(r.s3, &r.a);
    } else {
        r.c.directory = arena_fmt(&r.a, "%s/store", test_tmpdir());
    }
    r.c.kind = kind;
    r.c.prefix = prefix;
    EXPECT_OK_E(bucket_open(&r.b, &r.c, &e), &e);
    return r;
}

static void rig_again(struct rig *r)
{
    bucket_close(r->b);
    EXPECT_OK(bucket_open(&r->b, &r->c, NULL));
}

static void rig_end(struct rig *r)
{
    bucket_close(r->b);
    test_s3_free(r->s3);
    arena_fini(&r->a);
}

static void expect_list(struct rig *r, str dir, bool recursive, const char *want)
{
    bucket_entries all = { 0 };
    SCOPED(buf_fini) struct buf got = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(bucket_list(r->b, dir, recursive, &r->a, &all, &e), &e);
    for (size_t i = 0; i < all.n; i++) {
        EXPECT_EQ(all.at[i].is_dir, all.at[i].name.p[all.at[i].name.n - 1] == '/');
        EXPECT(all.at[i].is_dir || all.at[i].modified_ms > 0);
        buf_fmt(&got, "%s%.*s", i ? " " : "", STR_ARG(all.at[i].name));
    }
    EXPECT_STR(buf_view(&got), str_z(want));
    vec_fini(&all);
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

/* What every kind has to do, with a prefix and without. */
static void contract(enum bucket_kind kind, str prefix)
{
    struct rig r = rig_new(kind, prefix);
    struct bucket_attributes at = { 0 };
    struct err e = { 0 };
    str got;
    bool there;
    expect_list(&r, STR_EMPTY, true, "");
    EXPECT_EQ(bucket_get(r.b, S("a/x"), GET_MAX, &r.a, &got, &e), ERR_NOT_FOUND);
    EXPECT(str_has_prefix(err_str(&e), S("a/x: get: ")));
    EXPECT_OK_E(bucket_put_bytes(r.b, S("a/x"), S("0123456789"), &e), &e);
    EXPECT_OK(bucket_put_bytes(r.b, S("a/y z+%&"), S("odd"), NULL));
    EXPECT_OK(bucket_put_bytes(r.b, S("a/b/c"), STR_EMPTY, NULL));
    EXPECT_OK(bucket_put_bytes(r.b, S("top"), S("old"), NULL));
    EXPECT_OK(bucket_put_bytes(r.b, S("top"), S("t"), NULL));
    expect_list(&r, STR_EMPTY, false, "a/ top");
    expect_list(&r, S("a/"), false, "a/b/ a/x a/y z+%&");
    expect_list(&r, STR_EMPTY, true, "a/b/c a/x a/y z+%& top");
    expect_list(&r, S("none/"), true, "");
    EXPECT_OK_E(bucket_get(r.b, S("a/x"), GET_MAX, &r.a, &got, &e), &e);
    EXPECT_STR(got, S("0123456789"));
    EXPECT_OK_E(bucket_get(r.b, S("a/b/c"), GET_MAX, &r.a, &got, &e), &e);
    EXPECT_EQ(got.n, 0);
    EXPECT_OK(bucket_get(r.b, S("top"), 1, &r.a, &got, NULL));
    EXPECT_STR(got, S("t"));
    EXPECT_EQ(bucket_get(r.b, S("a/x"), 9, &r.a, &got, NULL), ERR_LIMIT);
    struct buf part = { 0 };
    EXPECT_OK_E(part_read(r.b, S("a/x"), 3, 4, &part, &e), &e);
    EXPECT_STR(buf_view(&part), S("3456"));
    EXPECT_OK(part_read(r.b, S("a/x"), 9, 1, &part, NULL));
    EXPECT_STR(buf_view(&part), S("34569"));
    EXPECT_EQ(part_read(r.b, S("a/x"), 9, 2, &part, NULL), ERR_CORRUPT);
    EXPECT_EQ(part_read(r.b, S("a/x"), 10, 1, &part, NULL), ERR_CORRUPT);
    EXPECT_EQ(part_read(r.b, S("no"), 0, 1, &part, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(part.n, 5);
    buf_fini(&part);
    EXPECT_OK_E(bucket_attributes(r.b, S("a/x"), &at, &e), &e);
    EXPECT_EQ(at.size_bytes, 10);
    EXPECT(at.modified_ms > 0);
    EXPECT_EQ(bucket_attributes(r.b, S("a"), &at, NULL), ERR_NOT_FOUND);
    EXPECT_OK(bucket_exists(r.b, S("top"), &there, NULL));
    EXPECT(there);
    EXPECT_OK(bucket_remove(r.b, S("top"), NULL));
    EXPECT_OK(bucket_remove(r.b, S("top"), NULL));
    EXPECT_OK(bucket_exists(r.b, S("top"), &there, NULL));
    EXPECT(!there);
    EXPECT_OK(bucket_remove(r.b, S("a/b/c"), NULL));
    expect_list(&r, STR_EMPTY, true, "a/x a/y z+%&");
    rig_end(&r);
}

TEST(bucket_contract_folder)
{
    contract(BUCKET_FILESYSTEM, STR_EMPTY);
}
TEST(bucket_contract_folder_prefix)
{
    contract(BUCKET_FILESYSTEM, S("/x/y/"));
}
TEST(bucket_contract_s3)
{
    contract(BUCKET_S3, STR_EMPTY);
}
TEST(bucket_contract_s3_prefix)
{
    contract(BUCKET_S3, S("x/y"));
}

TEST(bucket_names)
{
    static const struct {
        const char *name;
        str object;
    } cases[] = {
        { "none", S("") },
        { "root", S("/") },
        { "slash in front", S("/a") },
        { "slash behind", S("a/") },
        { "up", S("a/../b") },
        { "here", S("./a") },
        { "two slashes", S("a//b") },
    };
    struct rig r = rig_new(BUCKET_FILESYSTEM, STR_EMPTY);
    TEST_EACH (c, cases) {
        bool there;
        EXPECT_EQ(bucket_put_bytes(r.b, c->object, S("x"), NULL), ERR_BAD_INPUT);
        EXPECT_EQ(bucket_exists(r.b, c->object, &there, NULL), ERR_BAD_INPUT);
        EXPECT_EQ(bucket_remove(r.b, c->object, NULL), ERR_BAD_INPUT);
    }
    bucket_entries all;
    EXPECT_EQ(bucket_list(r.b, S("a"), true, &r.a, &all, NULL), ERR_BAD_INPUT);
    rig_end(&r);
}

static str bytes_of(struct arena *a, size_t n)
{
    uint8_t *p = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(i * 7 + i / 251);
    return str_of(p, n);
}

/* Large objects go and come in pieces. */
TEST(bucket_pieces)
{
    static const struct {
        const char *name;
        size_t n;
        bool v1, whole;
    } cases[] = {
        { "one part exactly", 1000, false, false },
        { "one byte more", 1001, false, false },
        { "many parts", 7777, false, false },
        { "never in parts", 7777, false, true },
    };
    struct rig r = rig_new(BUCKET_S3, S("p"));
    TEST_EACH (c, cases) {
        struct err e = { 0 };
        str in = bytes_of(&r.a, c->n), out;
        r.c.s3.part_bytes = 1000;
        r.c.s3.no_multipart = c->whole;
        rig_again(&r);
        r.b->piece_bytes = 500;
        EXPECT_OK_E(bucket_put_bytes(r.b, S("big"), in, &e), &e);
        EXPECT_OK_E(bucket_get(r.b, S("big"), GET_MAX, &r.a, &out, &e), &e);
        EXPECT_STR(out, in);
        EXPECT_STR(test_s3_get(r.s3, S("p/big"), &r.a), in);
        EXPECT_EQ(test_s3_uploads(r.s3), 0);
    }
    rig_end(&r);
}

TEST(bucket_lists_of_many_pages)
{
    struct rig r = rig_new(BUCKET_S3, S("p"));
    test_s3_put(r.s3, S("outside"), S("x"));
    static const char *const no_names[] = { "p/d01/../../up", "p/../up", "p//x", "p/d02/",
        "p/d03/./x", "p/d04/.." };
    for (size_t i = 0; i < ARRAY_LEN(no_names); i++) test_s3_put(r.s3, str_z(no_names[i]), S("x"));
    for (unsigned i = 0; i < 25; i++)
        test_s3_put(r.s3, arena_fmt(&r.a, "p/d%02u/x", i % 10), S("x"));
    for (int v1 = 0; v1 < 2; v1++) {
        r.c.s3.list_v1 = v1;
        rig_again(&r);
        test_s3_page(r.s3, 3);
        expect_list(&r, STR_EMPTY, false, "d00/ d01/ d02/ d03/ d04/ d05/ d06/ d07/ d08/ d09/");
        test_s3_page(r.s3, 4);
        expect_list(
            &r, STR_EMPTY, true, "d00/x d01/x d02/x d03/x d04/x d05/x d06/x d07/x d08/x d09/x");
    }
    rig_end(&r);
}

/* A bucket is as large as it is; a list that goes round in circles ends. */
TEST(bucket_lists_without_end)
{
    enum { PAGES = 101 };
    static const struct test_s3_rule rules[] = {
        { "GET", NULL, TEST_S3_PAGES, PAGES, NULL, 0, UINT_MAX },
        { "GET", NULL, TEST_S3_EMPTY_PAGES, 0, NULL, 0, UINT_MAX },
        { "GET", NULL, TEST_S3_SAME_PAGES, 0, NULL, 0, UINT_MAX },
    };
    struct rig r = rig_new(BUCKET_S3, STR_EMPTY);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        bucket_entries all = { 0 };
        struct err e = { 0 };
        test_s3_rules(r.s3, &rules[i], 1);
        errc rc = bucket_list(r.b, STR_EMPTY, true, &r.a, &all, &e);
        EXPECT_EQ(rc, i == 0 ? OK : ERR_CORRUPT);
        if (rc == OK) EXPECT_EQ(all.n, (size_t)PAGES * 1000);
        else EXPECT_STR(err_str(&e), S("list of '': the list has no end"));
        vec_fini(&all);
    }
    rig_end(&r);
}

enum act { ACT_GET, ACT_RANGE, ACT_LIST, ACT_PUT, ACT_PARTS, ACT_HEAD };
static errc act(struct rig *r, enum act what, struct err *e)
{
    str got;
    struct bucket_attributes at;
    bucket_entries all = { 0 };
    SCOPED(buf_fini) struct buf part = { 0 };
    errc rc = OK;
    switch (what) {
    case ACT_GET:
        rc = bucket_get(r->b, S("x"), GET_MAX, &r->a, &got, e);
        if (rc == OK) EXPECT_STR(got, S("0123456789"));
        break;
    case ACT_RANGE:
        rc = part_read(r->b, S("x"), 2, 4, &part, e);
        if (rc == OK) EXPECT_STR(buf_view(&part), S("2345"));
        break;
    case ACT_LIST:
        rc = bucket_list(r->b, STR_EMPTY, true, &r->a, &all, e);
        if (rc == OK) EXPECT_EQ(all.n, 3);
        vec_fini(&all);
        break;
    case ACT_PUT: rc = bucket_put_bytes(r->b, S("x"), S("0123456789"), e); break;
    case ACT_PARTS:
        rc = bucket_put_bytes(r->b, S("big"), bytes_of(&r->a, 2500), e);
        EXPECT_EQ(test_s3_uploads(r->s3), 0);
        if (rc == OK) EXPECT_STR(test_s3_get(r->s3, S("big"), &r->a), bytes_of(&r->a, 2500));
        break;
    case ACT_HEAD: rc = bucket_attributes(r->b, S("x"), &at, e); break;
    }
    return rc;
}

static const struct {
    const char *name;
    enum act act;
    struct test_s3_rule rule;
    errc want;
    const char *words;
} faults[] = {
    { "500 once", ACT_GET, { "GET", NULL, TEST_S3_STATUS, 500, "InternalError", 0, 1 }, OK,
        "" },
    { "503 twice", ACT_LIST, { "GET", NULL, TEST_S3_STATUS, 503, "SlowDown", 0, 2 }, OK, "" },
    { "429 without words", ACT_HEAD, { "HEAD", NULL, TEST_S3_STATUS, 429, NULL, 0, 1 }, OK,
        "" },
    { "500 for good", ACT_GET,
        { "GET", NULL, TEST_S3_STATUS, 500, "InternalError", 0, UINT_MAX }, ERR_IO,
        "x: get: status 500, InternalError: as told (asked 3 times)" },
    { "403", ACT_GET, { "GET", NULL, TEST_S3_STATUS, 403, "AccessDenied", 0, UINT_MAX },
        ERR_BAD_INPUT, "x: get: status 403, AccessDenied: as told" },
    { "no bucket", ACT_LIST, { "GET", NULL, TEST_S3_STATUS, 404, "NoSuchBucket", 0, UINT_MAX },
        ERR_BAD_INPUT, "list of '': status 404, NoSuchBucket: as told" },
    { "gone", ACT_HEAD, { "HEAD", NULL, TEST_S3_STATUS, 404, NULL, 0, UINT_MAX }, ERR_NOT_FOUND,
        "x: attributes: status 404" },
    { "cut once", ACT_GET, { "GET", NULL, TEST_S3_CUT, 0, NULL, 0, 1 }, OK, "" },
    { "cut for good", ACT_GET, { "GET", NULL, TEST_S3_CUT, 0, NULL, 0, UINT_MAX }, ERR_IO,
        NULL },
    { "short once", ACT_RANGE, { "GET", NULL, TEST_S3_SHORT, 0, NULL, 0, 1 }, OK, "" },
    { "short for good", ACT_RANGE, { "GET", NULL, TEST_S3_SHORT, 0, NULL, 0, UINT_MAX },
        ERR_CORRUPT,
        "x: get: the answer cannot be right: it has the wrong length (asked 3 times)" },
    { "too long for good", ACT_RANGE, { "GET", NULL, TEST_S3_LONG, 0, NULL, 0, UINT_MAX },
        ERR_CORRUPT, "x: get: the answer cannot be right: it is too long (asked 3 times)" },
    { "another range", ACT_RANGE, { "GET", NULL, TEST_S3_OTHER_RANGE, 0, NULL, 0, UINT_MAX },
        ERR_CORRUPT, NULL },
    { "half a list", ACT_LIST, { "GET", NULL, TEST_S3_SHORT, 0, NULL, 0, UINT_MAX },
        ERR_CORRUPT, "list of '': the list cannot be read (asked 3 times)" },
    { "half a list once", ACT_LIST, { "GET", NULL, TEST_S3_SHORT, 0, NULL, 0, 1 }, OK, "" },
    { "garbled list", ACT_LIST, { "GET", NULL, TEST_S3_GARBLED, 0, NULL, 0, 2 }, OK, "" },
    { "slow once", ACT_GET, { "GET", NULL, TEST_S3_SLOW, 0, NULL, 0, 1 }, OK, "" },
    { "slow for good", ACT_HEAD, { "HEAD", NULL, TEST_S3_SLOW, 0, NULL, 0, UINT_MAX },
        ERR_TIMEOUT, NULL },
    { "put refused once", ACT_PUT, { "PUT", NULL, TEST_S3_STATUS, 503, "SlowDown", 0, 1 }, OK,
        "" },
    { "put: the answer is lost", ACT_PUT, { "PUT", NULL, TEST_S3_LOST, 0, NULL, 0, 1 }, OK,
        "" },
    { "put: a proxy's page", ACT_PUT, { "PUT", NULL, TEST_S3_STATUS, 200, NULL, 0, 1 },
        ERR_CORRUPT, "x: put: status 200, but it is not there" },
    { "words for a terminal", ACT_GET,
        { "GET", NULL, TEST_S3_STATUS, 403, "No\033[2J\nNo", 0, UINT_MAX }, ERR_BAD_INPUT,
        "x: get: status 403, No [2J No: as told" },
    { "second part refused", ACT_PARTS,
        { "PUT", "partNumber=2", TEST_S3_STATUS, 500, NULL, 0, 2 }, OK, "" },
    { "second part denied", ACT_PARTS,
        { "PUT", "partNumber=2", TEST_S3_STATUS, 403, "AccessDenied", 0, UINT_MAX },
        ERR_BAD_INPUT, "big: put: status 403, AccessDenied: as told" },
    { "begin garbled", ACT_PARTS, { "POST", "uploads", TEST_S3_STATUS, 500, NULL, 0, 2 }, OK,
        "" },
    { "end fails with 200", ACT_PARTS,
        { "POST", "uploadId", TEST_S3_STATUS, 200, "InternalError", 0, 2 }, OK, "" },
    { "end denied with 200", ACT_PARTS,
        { "POST", "uploadId", TEST_S3_STATUS, 200, "InvalidPart", 0, UINT_MAX }, ERR_IO,
        "big: put: status 200, InvalidPart: as told" },
    { "end: the answer is lost", ACT_PARTS, { "POST", "uploadId", TEST_S3_LOST, 0, NULL, 0, 1 },
        OK, "" },
};

/* What may pass is asked again; what does not pass is an error with its reason, never a part. */
TEST(bucket_faults)
{
    struct rig r = rig_new(BUCKET_S3, STR_EMPTY);
    r.c.s3.part_bytes = 1000;
    rig_again(&r);
    TEST_EACH (c, faults) {
        struct err e = { 0 };
        test_s3_rules(r.s3, NULL, 0);
        test_s3_put(r.s3, S("x"), c->act == ACT_PUT ? S("old") : S("0123456789"));
        test_s3_put(r.s3, S("y"), S("y"));
        test_s3_put(r.s3, S("big"), S("z"));
        test_s3_rules(r.s3, &c->rule, 1);
        EXPECT_EQ(act(&r, c->act, &e), c->want);
        if (c->words) EXPECT_STR(str_of(e.msg, e.n), str_z(c->words));
    }
    rig_end(&r);
}

static errc replace(void *ctx, str piece, struct err *e)
{
    struct rig *r = ctx;
    (void)piece, (void)e;
    if (r->s3) test_s3_put(r->s3, S("x"), bytes_of(&r->a, 5000));
    else EXPECT_OK(bucket_put_bytes(r->b, S("x"), bytes_of(&r->a, 5000), NULL));
    return OK;
}

TEST(bucket_replaced_while_read)
{
    for (int k = BUCKET_FILESYSTEM; k <= BUCKET_S3; k++) {
        struct rig r = rig_new((enum bucket_kind)k, STR_EMPTY);
        struct err e = { 0 };
        r.b->piece_bytes = 1000;
        EXPECT_OK(bucket_put_bytes(r.b, S("x"), bytes_of(&r.a, 4000), NULL));
        EXPECT_EQ(bucket_stream(r.b, S("x"), 0, UINT64_MAX, replace, &r, &e), ERR_IO);
        EXPECT_STR(err_str(&e), S("x: get: the object was replaced while it was read"));
        rig_end(&r);
    }
}

/* The store is in another region than it was thought to be. */
TEST(bucket_s3_moves)
{
    struct rig r = rig_new(BUCKET_S3, STR_EMPTY);
    struct err e = { 0 };
    str got;
    test_s3_put(r.s3, S("x"), S("0123456789"));
    const struct test_s3_rule rule = { "GET", NULL, TEST_S3_STATUS, 400,
        "AuthorizationHeaderMalformed</Code><Region>eu-west-9</Region><Code>"
        "AuthorizationHeaderMalformed",
        0, 1 };
    test_s3_rules(r.s3, &rule, 1);
    EXPECT_OK_E(bucket_get(r.b, S("x"), GET_MAX, &r.a, &got, &e), &e);
    EXPECT(str_find(test_s3_last_header(r.s3, S("Authorization"), &r.a),
               S("/eu-west-9/s3/aws4_request")) != SIZE_MAX);
    rig_end(&r);
}

TEST(bucket_s3_headers)
{
    struct rig r = rig_new(BUCKET_S3, STR_EMPTY);
    struct http_field meta[] = { { S("team"), S("t") },
        { S("X-Amz-Storage-Class"), S("GLACIER") } };
    r.c.s3.metadata = meta;
    r.c.s3.n_metadata = 2;
    r.c.s3.sse = S3_SSE_KMS;
    r.c.s3.kms_key_id = S("key-1");
    r.c.s3.kms_context = S("{}");
    r.c.s3.session_token = S("session");
    rig_again(&r);
    EXPECT_OK(bucket_put_bytes(r.b, S("x"), S("hello"), NULL));
    static const struct {
        const char *name, *want;
    } cases[] = {
        { "X-Amz-Meta-team", "t" },
        { "X-Amz-Storage-Class", "GLACIER" },
        { "X-Amz-Server-Side-Encryption", "aws:kms" },
        { "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "key-1" },
        { "X-Amz-Server-Side-Encryption-Context", "e30=" },
        { "X-Amz-Security-Token", "session" },
        { "Content-Md5", "XUFAKrxLKna5cZ2REBfFkg==" },
        { "X-Amz-Content-Sha256",
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" },
    };
    TEST_EACH (c, cases)
        EXPECT_STR(test_s3_last_header(r.s3, str_z(c->name), &r.a), str_z(c->want));
    rig_end(&r);
}

TEST(bucket_settings_refused)
{
    static const struct {
        const char *name;
        struct bucket_config c;
        const char *words;
    } cases[] = {
        { "no folder", { .kind = BUCKET_FILESYSTEM }, "missing directory for filesystem bucket" },
        { "no endpoint", { .kind = BUCKET_S3, .s3 = { .bucket = S("b") } },
            "no s3 endpoint in config file" },
        { "a URL", { .kind = BUCKET_S3, .s3 = { .bucket = S("b"), .endpoint = S("http://h/") } },
            "endpoint: a host and a port, not 'http://h/'" },
        { "no bucket", { .kind = BUCKET_S3, .s3 = { .endpoint = S("h") } },
            "no s3 bucket in config file" },
        { "half a pair",
            { .kind = BUCKET_S3,
                .s3 = { .bucket = S("b"), .endpoint = S("h"), .access_key = S("k") } },
            "no s3 secret_key specified while access_key is present in config file; either both "
            "should be present in config or envvars/IAM should be used." },
    };
    TEST_EACH (c, cases) {
        struct bucket *b = NULL;
        struct err e = { 0 };
        EXPECT_EQ(bucket_open(&b, &c->c, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), str_z(c->words));
    }
}

static void ask_forever(void *ctx)
{
    struct rig *r = ctx;
    str got;
    struct arena a = { 0 };
    EXPECT_EQ(bucket_get(r->b, S("x"), GET_MAX, &a, &got, NULL), ERR_CANCELED);
    arena_fini(&a);
}

/* Who waits for an answer, or between two, goes at once. */
TEST(bucket_stops)
{
    static const struct {
        const char *name;
        struct test_s3_rule rule;
    } cases[] = {
        { "an answer", { "GET", NULL, TEST_S3_SLOW, 0, NULL, 0, UINT_MAX } },
        { "the next attempt", { "GET", NULL, TEST_S3_STATUS, 503, NULL, 0, UINT_MAX } },
    };
    TEST_EACH (c, cases) {
        struct rig r = rig_new(BUCKET_S3, STR_EMPTY);
        r.c.http = (struct bucket_http_config){ .attempts_max = 100, .backoff_ms = 60000 };
        rig_again(&r);
        test_s3_put(r.s3, S("x"), S("y"));
        test_s3_rules(r.s3, &c->rule, 1);
        struct thread *t = thread_start("asks", ask_forever, &r);
        while (!test_s3_log(r.s3, &r.a).n) clock_sleep_ns(1000000);
        bucket_stop(r.b);
        thread_join(t);
        rig_end(&r);
    }
}

/* What stays wrong, as a file that is not there, is not asked for again and again. */
TEST(bucket_s3_tls_that_cannot_be)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(bucket_closep) struct bucket *b = NULL;
    struct test_s3 *s = test_s3_new();
    struct bucket_config config = test_s3_config(s, &a);
    bucket_entries all = { 0 };
    struct err e = { 0 };
    config.s3.insecure = false;
    config.http.tls.ca_file = S("/no-such.pem");
    EXPECT_OK(bucket_open(&b, &config, NULL));
    EXPECT_EQ(bucket_list(b, STR_EMPTY, true, &a, &all, &e), ERR_IO);
    EXPECT_STR(str_from(err_str(&e), str_find(err_str(&e), S("unable"))),
        S("unable to read CA cert: unable to read file /no-such.pem: open /no-such.pem: no such "
          "file or directory"));
    vec_fini(&all);
    test_s3_free(s);
}
