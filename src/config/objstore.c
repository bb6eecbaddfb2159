#include "config/objstore.h"

#include "base/json.h"
#include "config/typed.h"

/* ---- the tables */

static errc lookup_word(struct load *l, str *s, struct err *e)
{
    static const str known[] = { S("auto"), S("virtual-hosted"), S("path") };
    (void)l;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(*s, known[i])) return OK;
    return err_set(e, ERR_BAD_INPUT, "unsupported bucket lookup type: %.*s", STR_ARG(*s));
}

static const struct field tls_fields[] = {
    { .name = "ca_file", .kind = F_STR },
    { .name = "cert_file", .kind = F_STR },
    { .name = "key_file", .kind = F_STR },
    { .name = "server_name", .kind = F_STR },
    { .name = "insecure_skip_verify", .kind = F_BOOL },
};
static const struct section tls = { .name = "exthttp.TLSConfig", FIELDS_OF(tls_fields) };
static const struct field http_fields[] = {
    { .name = "idle_conn_timeout", .kind = F_DURATION, .def = "1m30s" },
    { .name = "response_header_timeout", .kind = F_DURATION, .def = "2m" },
    { .name = "insecure_skip_verify", .kind = F_BOOL },
    { .name = "tls_handshake_timeout", .kind = F_DURATION, .def = "10s" },
    { .name = "expect_continue_timeout", .kind = F_DURATION, .def = "1s" },
    { .name = "max_idle_conns", .kind = F_INT, .def = "100" },
    { .name = "max_idle_conns_per_host", .kind = F_INT, .def = "100" },
    { .name = "max_conns_per_host", .kind = F_INT },
    { .name = "tls_config", .kind = F_SECTION, .sub = &tls },
    { .name = "disable_compression", .kind = F_BOOL },
};
static const struct section http = { .name = "exthttp.HTTPConfig", FIELDS_OF(http_fields) };
static const struct field trace_fields[] = { { .name = "enable", .kind = F_BOOL } };
static const struct section trace = { .name = "s3.TraceConfig", FIELDS_OF(trace_fields) };
static const struct field sse_fields[] = {
    { .name = "type", .kind = F_STR },
    { .name = "kms_key_id", .kind = F_STR },
    { .name = "kms_encryption_context", .kind = F_STR_MAP },
    { .name = "encryption_key", .kind = F_STR },
};
static const struct section sse = { .name = "s3.SSEConfig", FIELDS_OF(sse_fields) };
static const struct field s3_fields[] = {
    { .name = "bucket", .kind = F_STR },
    { .name = "endpoint", .kind = F_STR },
    { .name = "region", .kind = F_STR },
    { .name = "disable_dualstack", .kind = F_BOOL },
    { .name = "aws_sdk_auth", .kind = F_BOOL },
    { .name = "access_key", .kind = F_STR },
    { .name = "insecure", .kind = F_BOOL },
    { .name = "signature_version2", .kind = F_BOOL },
    { .name = "secret_key", .kind = F_STR },
    { .name = "session_token", .kind = F_STR },
    { .name = "put_user_metadata", .kind = F_STR_MAP },
    { .name = "http_config", .kind = F_SECTION, .sub = &http },
    { .name = "trace", .kind = F_SECTION, .sub = &trace },
    { .name = "list_objects_version", .kind = F_STR },
    { .name = "bucket_lookup_type", .kind = F_WORD, .def = "auto", .word = lookup_word },
    { .name = "send_content_md5", .kind = F_BOOL, .def = "true" },
    { .name = "disable_multipart", .kind = F_BOOL },
    { .name = "part_size", .kind = F_UINT, .go_type = "uint64" },
    { .name = "sse_config", .kind = F_SECTION, .sub = &sse },
    { .name = "sts_endpoint", .kind = F_STR },
    { .name = "max_retries", .kind = F_INT },
};
static const struct section s3 = { .name = "s3.Config", FIELDS_OF(s3_fields) };
static const struct field gcs_fields[] = {
    { .name = "bucket", .kind = F_STR },
    { .name = "service_account", .kind = F_STR },
    { .name = "use_grpc", .kind = F_BOOL },
    { .name = "grpc_conn_pool_size", .kind = F_INT },
    { .name = "http_config", .kind = F_SECTION, .sub = &http },
    { .name = "chunk_size_bytes", .kind = F_INT },
    { .name = "max_retries", .kind = F_INT },
};
static const struct section gcs = { .name = "gcs.Config", FIELDS_OF(gcs_fields) };
static const struct field folder_fields[] = { { .name = "directory", .kind = F_STR } };
static const struct section folder = { .name = "filesystem.Config", FIELDS_OF(folder_fields) };
static const struct field root_fields[] = {
    { .name = "type", .kind = F_STR },
    { .name = "prefix", .kind = F_STR },
};
static const struct section root = { .name = "client.BucketConfig", FIELDS_OF(root_fields) };

/* ---- from values to settings */

static errc http_of(struct bucket_http_config *out, const struct value *v, struct err *e)
{
    const struct value *h = value_field(v, "http_config"), *t = value_field(h, "tls_config");
    int64_t idle = value_int(h, "max_idle_conns"), retries = value_int(v, "max_retries");
    out->tls = (struct http_tls){ .ca_file = value_str(t, "ca_file"),
        .cert_file = value_str(t, "cert_file"),
        .key_file = value_str(t, "key_file"),
        .server_name = value_str(t, "server_name"),
        .insecure = value_bool(h, "insecure_skip_verify") };
    out->answer_timeout_ms = value_int(h, "response_header_timeout");
    out->connections_max = idle > 0 ? (size_t)idle : 0;
    out->attempts_max = retries > 0 ? (unsigned)MIN(retries, (int64_t)1000) : 0;
    str cert = out->tls.cert_file, key = out->tls.key_file;
    if (cert.n && !key.n)
        return err_set(e, ERR_BAD_INPUT,
            "client cert file \"%.*s\" specified without client key file", STR_ARG(cert));
    if (key.n && !cert.n)
        return err_set(e, ERR_BAD_INPUT,
            "client key file \"%.*s\" specified without client cert file", STR_ARG(key));
    return OK;
}

/* {"a":"b"}, names sorted: what is signed by KMS. */
static str json_of(const struct value *map, struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct json j = json_to(&b);
    json_obj(&j);
    for (size_t i = 0; i < map->n; i++) json_kstr(&j, map->pairs[i].name, map->pairs[i].value->s);
    json_obj_end(&j);
    return arena_str(a, buf_view(&b));
}

static errc sse_of(struct s3_config *out, const struct value *v, struct arena *a, struct err *e)
{
    str type = value_str(v, "type");
    out->sse = S3_SSE_NONE;
    out->kms_key_id = value_str(v, "kms_key_id");
    out->sse_key_file = value_str(v, "encryption_key");
    out->kms_context = json_of(value_field(v, "kms_encryption_context"), a);
    if (str_eq(type, S("SSE-S3"))) out->sse = S3_SSE_S3;
    else if (str_eq(type, S("SSE-KMS"))) out->sse = S3_SSE_KMS;
    else if (str_eq(type, S("SSE-C"))) out->sse = S3_SSE_C;
    else if (type.n)
        return err_set(e, ERR_BAD_INPUT,
            "Initialize s3 client SSE Config: Unsupported type \"%.*s\" was provided. Supported "
            "types are SSE-S3, SSE-KMS, SSE-C",
            STR_ARG(type));
    if (out->sse == S3_SSE_C && !out->sse_key_file.n)
        return err_set(
            e, ERR_BAD_INPUT, "encryption_key must be set if sse_config.type is set to 'SSE-C'");
    if (out->sse == S3_SSE_KMS && !out->kms_key_id.n)
        return err_set(
            e, ERR_BAD_INPUT, "kms_key_id must be set if sse_config.type is set to 'SSE-KMS'");
    return OK;
}

static errc s3_of_value(void *into, const struct value *v, struct arena *a, struct err *e)
{
    struct bucket_config *out = into;
    out->kind = BUCKET_S3;
    struct s3_config *c = &out->s3;
    const struct value *meta = value_field(v, "put_user_metadata");
    str lookup = value_str(v, "bucket_lookup_type"), list = value_str(v, "list_objects_version");
    struct http_field *fields = arena_array(a, meta->n + 1, sizeof(*fields));
    for (size_t i = 0; i < meta->n; i++)
        fields[i] = (struct http_field){ meta->pairs[i].name, meta->pairs[i].value->s };
    *c = (struct s3_config){ .bucket = value_str(v, "bucket"),
        .endpoint = value_str(v, "endpoint"),
        .region = value_str(v, "region"),
        .access_key = value_str(v, "access_key"),
        .secret_key = value_str(v, "secret_key"),
        .session_token = value_str(v, "session_token"),
        .insecure = value_bool(v, "insecure"),
        .lookup = str_eq(lookup, S("path"))             ? S3_LOOKUP_PATH
                  : str_eq(lookup, S("virtual-hosted")) ? S3_LOOKUP_VIRTUAL_HOST
                                                        : S3_LOOKUP_AUTO,
        .list_v1 = str_eq(list, S("v1")),
        .no_multipart = value_bool(v, "disable_multipart"),
        .content_md5 = value_bool(v, "send_content_md5"),
        .part_bytes = value_field(v, "part_size")->u,
        .metadata = fields,
        .n_metadata = meta->n };
    if (value_bool(v, "signature_version2"))
        return err_set(e, ERR_UNSUPPORTED, "signature_version2 is not served");
    if (value_bool(v, "aws_sdk_auth") && c->access_key.n)
        return err_set(
            e, ERR_BAD_INPUT, "aws_sdk_auth and access_key are mutually exclusive configurations");
    if (list.n && !c->list_v1 && !str_eq(list, S("v2")))
        return err_set(e, ERR_BAD_INPUT,
            "Initialize s3 client list objects version: Unsupported version \"%.*s\" was "
            "provided. Supported values are v1, v2",
            STR_ARG(list));
    TRY(http_of(&out->http, v, e));
    return sse_of(c, value_field(v, "sse_config"), a, e);
}

static errc gcs_of_value(void *into, const struct value *v, struct arena *a, struct err *e)
{
    struct bucket_config *out = into;
    out->kind = BUCKET_GCS;
    (void)a;
    int64_t chunk = value_int(v, "chunk_size_bytes");
    out->gcs = (struct gcs_config){ .bucket = value_str(v, "bucket"),
        .service_account = value_str(v, "service_account"),
        .chunk_bytes = chunk > 0 ? (uint64_t)chunk : 0 };
    if (!out->gcs.bucket.n)
        return err_set(
            e, ERR_BAD_INPUT, "missing Google Cloud Storage bucket name for stored blocks");
    if (value_bool(v, "use_grpc")) return err_set(e, ERR_UNSUPPORTED, "use_grpc is not served");
    return http_of(&out->http, v, e);
}

static errc folder_of_value(void *into, const struct value *v, struct arena *a, struct err *e)
{
    struct bucket_config *out = into;
    out->kind = BUCKET_FILESYSTEM;
    (void)a;
    out->directory = value_str(v, "directory");
    if (out->directory.n) return OK;
    return err_set(e, ERR_BAD_INPUT, "missing directory for filesystem bucket");
}

static const struct typed_kind kinds[] = {
    { S("FILESYSTEM"), &folder, folder_of_value },
    { S("S3"), &s3, s3_of_value },
    { S("GCS"), &gcs, gcs_of_value },
};
static const struct typed buckets = { "bucket", "client", &root, kinds, ARRAY_LEN(kinds) };

/* ---- text */

static bool name_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
}

static errc env_expand(
    struct buf *out, str text, const char *(*env)(const char *name), struct arena *a, struct err *e)
{
    while (text.n) {
        size_t at = str_find(text, S("$("));
        buf_str(out, str_slice(text, 0, at));
        if (at == SIZE_MAX) break;
        text = str_from(text, at);
        size_t n = 2;
        while (n < text.n && name_byte(text.p[n])) n++;
        if (n == 2 || n == text.n || text.p[n] != ')') { /* no reference */
            buf_str(out, str_slice(text, 0, 2));
            text = str_from(text, 2);
            continue;
        }
        str name = arena_str(a, str_slice(text, 2, n));
        const char *value = env((const char *)name.p);
        if (!value)
            return err_set(e, ERR_BAD_INPUT,
                "found reference to unset environment variable \"%.*s\"", STR_ARG(name));
        buf_str(out, str_z(value));
        text = str_from(text, n + 1);
    }
    return OK;
}

errc objstore_parse(struct bucket_config *out, str text, const char *(*env)(const char *name),
    struct arena *a, struct err *e)
{
    SCOPED(buf_fini) struct buf expanded = { 0 };
    struct bucket_config c = { .env = env };
    const struct value *v;
    if (env) TRY(env_expand(&expanded, text, env, a, e));
    else buf_str(&expanded, text);
    text = arena_str(a, buf_view(&expanded));
    TRY(typed_parse(&c, &buckets, text, &v, a, e));
    c.prefix = value_str(v, "prefix");
    *out = c;
    return OK;
}

errc objstore_load(struct bucket_config *out, str text, str path,
    const char *(*env)(const char *name), struct arena *a, struct err *e)
{
    TRY(typed_text(&text, "objstore.config", text, path, a, e));
    return objstore_parse(out, text, env, a, e);
}
