#include "bucket/s3_codec.h"

#include "base/test.h"

static const str two_pages =
    S("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
      "<Prefix></Prefix><EncodingType>url</EncodingType><KeyCount>2</KeyCount>"
      "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>"
      "<Contents><Key>a%2Fb+c</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
      "<ETag>&quot;x&quot;</ETag><Size>12</Size><Owner><ID>i</ID></Owner></Contents>"
      "<CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes></ListBucketResult>");

TEST(s3_page)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    struct s3_page page;
    EXPECT_OK(s3_page_decode(&page, &all, two_pages, false, &a, NULL));
    EXPECT(page.cut);
    EXPECT_STR(page.next, S("t&1"));
    EXPECT_EQ(all.n, 2);
    EXPECT_STR(all.at[0].name, S("a/b c"));
    EXPECT_EQ(all.at[0].size_bytes, 12);
    EXPECT_EQ(all.at[0].modified_ms, INT64_C(1767323045678));
    EXPECT_STR(all.at[1].name, S("dir/"));
    EXPECT(all.at[1].is_dir);
    vec_fini(&all);
}

/* Version 1 names no continuation without a delimiter: the greatest name is it. */
TEST(s3_page_v1)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    struct s3_page page;
    EXPECT_OK(s3_page_decode(&page, &all, two_pages, true, &a, NULL));
    EXPECT_STR(page.next, S("dir/"));
    vec_fini(&all);
}

TEST(s3_page_refused)
{
    static const struct {
        const char *name;
        str xml;
    } cases[] = {
        { "no list", S("<html><body>busy</body></html>") },
        { "cut or not?", S("<ListBucketResult></ListBucketResult>") },
        { "no word for it",
            S("<ListBucketResult><IsTruncated>so</IsTruncated></ListBucketResult>") },
        { "cut, and no way on",
            S("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>") },
        { "no name", S("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Size>1</Size>"
                       "</Contents></ListBucketResult>") },
        { "no size", S("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key>"
                       "</Contents></ListBucketResult>") },
        { "no time", S("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key>"
                       "<Size>1</Size><LastModified>now</LastModified></Contents>"
                       "</ListBucketResult>") },
    };
    TEST_EACH (c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        bucket_entries all = { 0 };
        struct s3_page page;
        EXPECT_EQ(s3_page_decode(&page, &all, c->xml, false, &a, NULL), ERR_CORRUPT);
        EXPECT_EQ(all.n, 0);
        vec_fini(&all);
    }
}

TEST(s3_page_prefixes)
{
    for (size_t n = 0; n < two_pages.n; n++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        bucket_entries all = { 0 };
        struct s3_page page;
        EXPECT_EQ(
            s3_page_decode(&page, &all, str_slice(two_pages, 0, n), false, &a, NULL), ERR_CORRUPT);
        vec_fini(&all);
    }
}

TEST(s3_errors)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct s3_error e;
    EXPECT(s3_error_decode(&e,
        S("<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>The key &lt;k&gt;</Message>"
          "<Region>eu-west-1</Region></Error>"),
        &a));
    EXPECT_STR(e.code, S("NoSuchKey"));
    EXPECT_STR(e.message, S("The key <k>"));
    EXPECT_STR(e.region, S("eu-west-1"));
    EXPECT(!s3_error_decode(&e, S("<Error><Message>m</Message></Error>"), &a));
    EXPECT(!s3_error_decode(&e, S("502 Bad Gateway"), &a));
    EXPECT(!s3_error_decode(&e, S(""), &a));
}

TEST(s3_upload_ids)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str id;
    EXPECT_OK(s3_upload_id_decode(&id,
        S("<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u-1</UploadId>"
          "</InitiateMultipartUploadResult>"),
        &a, NULL));
    EXPECT_STR(id, S("u-1"));
    EXPECT_EQ(
        s3_upload_id_decode(&id, S("<InitiateMultipartUploadResult/>"), &a, NULL), ERR_CORRUPT);
    EXPECT_EQ(s3_upload_id_decode(&id, S("<Error/>"), &a, NULL), ERR_CORRUPT);
}
