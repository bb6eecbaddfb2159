#include "config/objstore.h"

#include "base/test.h"
#include "io/fs.h"

static const char *env(const char *name)
{
    return str_eq(str_z(name), S("SECRET")) ? "s3cret" : NULL;
}

TEST(objstore_s3)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct bucket_config c;
    struct err e = { 0 };
    EXPECT_OK_E(
        objstore_parse(&c,
            S("type: s3\n"
              "config:\n"
              "  bucket: b\n"
              "  endpoint: 127.0.0.1:9000\n"
              "  region: r\n"
              "  access_key: a\n"
              "  secret_key: $(SECRET)$(not one)$5\n"
              "  insecure: true\n"
              "  bucket_lookup_type: virtual-hosted\n"
              "  list_objects_version: v1\n"
              "  part_size: 5242880\n"
              "  put_user_metadata: {x: y}\n"
              "  max_retries: 4\n"
              "  http_config:\n"
              "    response_header_timeout: 3s\n"
              "    insecure_skip_verify: true\n"
              "    tls_config: {ca_file: ca.pem, server_name: n}\n"
              "  sse_config: {type: SSE-KMS, kms_key_id: k, kms_encryption_context: {b: 1, a: z}}\n"
              "prefix: p/q\n"),
            env, &a, &e),
        &e);
    EXPECT_EQ(c.kind, BUCKET_S3);
    EXPECT_STR(c.prefix, S("p/q"));
    EXPECT_STR(c.s3.secret_key, S("s3cret$(not one)$5"));
    EXPECT(c.s3.insecure && c.s3.list_v1 && c.s3.content_md5 && !c.s3.no_multipart);
    EXPECT_EQ(c.s3.lookup, S3_LOOKUP_VIRTUAL_HOST);
    EXPECT_EQ(c.s3.part_bytes, 5242880);
    EXPECT_EQ(c.s3.n_metadata, 1);
    EXPECT_STR(c.s3.metadata[0].value, S("y"));
    EXPECT_EQ(c.s3.sse, S3_SSE_KMS);
    EXPECT_STR(c.s3.kms_context, S("{\"a\":\"z\",\"b\":\"1\"}"));
    EXPECT_EQ(c.http.attempts_max, 4);
    EXPECT_EQ(c.http.answer_timeout_ms, 3000);
    EXPECT(c.http.tls.insecure);
    EXPECT_STR(c.http.tls.ca_file, S("ca.pem"));
}

TEST(objstore_others)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct bucket_config c;
    struct err e = { 0 };
    EXPECT_OK_E(
        objstore_parse(&c, S("type: FILESYSTEM\nconfig: {directory: d}\n"), env, &a, &e), &e);
    EXPECT_EQ(c.kind, BUCKET_FILESYSTEM);
    EXPECT_STR(c.directory, S("d"));
    EXPECT_OK_E(objstore_parse(&c,
                    S("type: GCS\nconfig:\n  bucket: g\n  service_account: |-\n    {\"a\": 1}\n"),
                    env, &a, &e),
        &e);
    EXPECT_EQ(c.kind, BUCKET_GCS);
    EXPECT_STR(c.gcs.service_account, S("{\"a\": 1}"));
    EXPECT_EQ(c.http.answer_timeout_ms, 120000);
}

TEST(objstore_refused)
{
    static const struct {
        const char *name;
        str text;
        const char *words;
    } cases[] = {
        { "nothing", S(""), "bucket with type  is not supported" },
        { "another kind", S("type: AZURE\nconfig: {}\n"),
            "bucket with type AZURE is not supported" },
        { "unknown beside it", S("type: S3\nbucket: b\n"),
            "parsing config YAML file: yaml: unmarshal errors:\n  line 2: field bucket not found "
            "in "
            "type client.BucketConfig" },
        { "unknown in it", S("type: S3\nconfig:\n  bukket: b\n"),
            "create S3 client: yaml: unmarshal errors:\n  line 3: field bukket not found in type "
            "s3.Config" },
        { "unknown in the folder's", S("type: FILESYSTEM\nconfig: {directory: d, x: y}\n"),
            "create FILESYSTEM client: yaml: unmarshal errors:\n  line 2: field x not found in "
            "type "
            "filesystem.Config" },
        { "no folder", S("type: FILESYSTEM\nconfig: {}\n"),
            "create FILESYSTEM client: missing directory for filesystem bucket" },
        { "lookup", S("type: S3\nconfig: {bucket_lookup_type: dns}\n"),
            "create S3 client: unsupported bucket lookup type: dns" },
        { "list", S("type: S3\nconfig: {list_objects_version: v3}\n"),
            "create S3 client: Initialize s3 client list objects version: Unsupported version "
            "\"v3\" was provided. Supported values are v1, v2" },
        { "both auths", S("type: S3\nconfig: {aws_sdk_auth: true, access_key: a}\n"),
            "create S3 client: aws_sdk_auth and access_key are mutually exclusive configurations" },
        { "a certificate alone",
            S("type: S3\nconfig: {http_config: {tls_config: {cert_file: c.pem}}}\n"),
            "create S3 client: client cert file \"c.pem\" specified without client key file" },
        { "a key alone",
            S("type: GCS\nconfig: {bucket: b, http_config: {tls_config: {key_file: k}}}\n"),
            "create GCS client: client key file \"k\" specified without client cert file" },
        { "no KMS key", S("type: S3\nconfig: {sse_config: {type: SSE-KMS}}\n"),
            "create S3 client: kms_key_id must be set if sse_config.type is set to 'SSE-KMS'" },
        { "no GCS bucket", S("type: GCS\nconfig: {}\n"),
            "create GCS client: missing Google Cloud Storage bucket name for stored blocks" },
        { "unset", S("type: $(NO_SUCH)\n"),
            "found reference to unset environment variable \"NO_SUCH\"" },
    };
    TEST_EACH (c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct bucket_config out;
        struct err e = { 0 };
        EXPECT_EQ(objstore_parse(&out, c->text, env, &a, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), str_z(c->words));
    }
}

TEST(objstore_files)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct bucket_config c;
    struct err e = { 0 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    str path = arena_fmt(&a, "%s/b.yml", test_tmpdir()),
        text = S("type: FILESYSTEM\nconfig: {directory: d}\n");
    EXPECT_OK(fs_write_durable(fs, S("b.yml"), text, NULL));
    fs_free(fs);
    EXPECT_OK_E(objstore_load(&c, STR_EMPTY, path, env, &a, &e), &e);
    EXPECT_STR(c.directory, S("d"));
    EXPECT_EQ(objstore_load(&c, text, path, env, &a, &e), ERR_BAD_INPUT);
    EXPECT_EQ(objstore_load(&c, STR_EMPTY, S("no such file"), env, &a, &e), ERR_NOT_FOUND);
}
