#include "bucket/sigv4.h"

#include "base/prng.h"
#include "base/test.h"

static const struct sigv4_keys example = { S("AKIDEXAMPLE"),
    S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), STR_EMPTY };
static const struct sigv4_keys s3_example = { S("AKIAIOSFODNN7EXAMPLE"),
    S("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), STR_EMPTY };
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
static const int64_t AUG_30_2015_MS = INT64_C(1440938160000),
                     MAY_24_2013_MS = INT64_C(1369353600000);

/* The signatures that AWS publishes: its test suite of 2015, and the examples of the S3 manual. */
TEST(sigv4_published)
{
    static const struct {
        const char *name;
        struct sigv4_request q;
        struct http_field field;
        const char *signature;
    } cases[] = {
        { "get-vanilla",
            { S("GET"), S("example.amazonaws.com"), S("/"), STR_EMPTY, S(EMPTY_HASH),
                S("us-east-1"), AUG_30_2015_MS, false },
            { STR_EMPTY, STR_EMPTY },
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "get-vanilla-query-order-key-case",
            { S("GET"), S("example.amazonaws.com"), S("/"), S("Param2=value2&Param1=value1"),
                S(EMPTY_HASH), S("us-east-1"), AUG_30_2015_MS, false },
            { STR_EMPTY, STR_EMPTY },
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
        { "get-header-value-trim",
            { S("GET"), S("example.amazonaws.com"), S("/"), STR_EMPTY, S(EMPTY_HASH),
                S("us-east-1"), AUG_30_2015_MS, false },
            { S("My-Header1"), S(" value1 ") }, NULL },
        { "S3, range of an object",
            { S("GET"), S("examplebucket.s3.amazonaws.com"), S("/test.txt"), STR_EMPTY,
                S(EMPTY_HASH), S("us-east-1"), MAY_24_2013_MS, true },
            { S("Range"), S("bytes=0-9") },
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
        { "S3, lifecycle",
            { S("GET"), S("examplebucket.s3.amazonaws.com"), S("/"), S("lifecycle="), S(EMPTY_HASH),
                S("us-east-1"), MAY_24_2013_MS, true },
            { STR_EMPTY, STR_EMPTY },
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
        { "S3, list",
            { S("GET"), S("examplebucket.s3.amazonaws.com"), S("/"), S("prefix=J&max-keys=2"),
                S(EMPTY_HASH), S("us-east-1"), MAY_24_2013_MS, true },
            { STR_EMPTY, STR_EMPTY },
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
    };
    TEST_EACH (c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct call_fields f = { 0 };
        if (c->field.name.n) f.at[f.n++] = c->field;
        struct sigv4_derived d = { 0 };
        sigv4_sign(&f, &c->q, c->q.of_s3 ? &s3_example : &example, &d, &a);
        str got = f.at[f.n - 1].value;
        EXPECT_STR(f.at[f.n - 1].name, S("Authorization"));
        if (c->signature) EXPECT_STR(str_from(got, got.n - 64), str_z(c->signature));
        else EXPECT(str_find(got, S("SignedHeaders=host;my-header1;x-amz-date")) != SIZE_MAX);
    }
}

TEST(sigv4_whole_header)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct call_fields f = { 0 };
    struct sigv4_keys k = s3_example;
    k.session_token = S("TOKEN");
    struct sigv4_request q = { S("PUT"), S("h:1"), S("/b/x"), STR_EMPTY, S("UNSIGNED-PAYLOAD"),
        S("eu-west-1"), MAY_24_2013_MS, true };
    struct sigv4_derived d = { 0 };
    sigv4_sign(&f, &q, &k, &d, &a);
    EXPECT_EQ(f.n, 4);
    EXPECT_STR(f.at[0].value, S("UNSIGNED-PAYLOAD"));
    EXPECT_STR(f.at[1].value, S("20130524T000000Z"));
    EXPECT_STR(f.at[2].name, S("X-Amz-Security-Token"));
    EXPECT_STR(f.at[2].value, S("TOKEN"));
    EXPECT(str_has_prefix(f.at[3].value,
        S("AWS4-HMAC-SHA256 "
          "Credential=AKIAIOSFODNN7EXAMPLE/20130524/eu-west-1/s3/aws4_request, SignedHeaders="
          "host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=")));
}

TEST(sigv4_escapes)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    sigv4_escape(&b, S("a/b c+\xc3\xa9~._-*"), true);
    EXPECT_STR(buf_view(&b), S("a/b%20c%2B%C3%A9~._-%2A"));
    buf_reset(&b);
    sigv4_escape(&b, S("a/b"), false);
    EXPECT_STR(buf_view(&b), S("a%2Fb"));
}

static str signature(const struct sigv4_request *q, struct sigv4_derived *d, struct arena *a)
{
    struct call_fields f = { 0 };
    sigv4_sign(&f, q, &s3_example, d, a);
    return f.at[f.n - 1].value;
}

/* A key that was kept is that of the day, the region and the service, and of no other. */
TEST(sigv4_keeps_a_derived_key)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    const str regions[] = { S("us-east-1"), S("us-east-2"), S("eu"), S(""),
        S("a-region-whose-name-is-longer-than-any-name-that-a-region-has-had-so-far") };
    const int64_t times[] = { INT64_C(1369353600000), INT64_C(1369353601000),
        INT64_C(1369440000000), 0 };
    struct sigv4_derived kept = { 0 };
    struct prng r = { test_seed() };
    for (unsigned i = 0; i < 300; i++) {
        struct sigv4_derived fresh = { 0 };
        struct sigv4_request q = { S("GET"), S("b.s3.amazonaws.com"), S("/x"), S(""), S("hash"),
            regions[prng_below(&r, ARRAY_LEN(regions))], times[prng_below(&r, ARRAY_LEN(times))],
            prng_below(&r, 2) == 0 };
        EXPECT_STR(signature(&q, &kept, &a), signature(&q, &fresh, &a));
    }
}
