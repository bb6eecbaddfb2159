/* sections_remote.c — remote write and remote read: endpoints, queues, and how the clouds are asked
 * for leave. */
#include "config/sections.h"

errc remote_headers_check(const struct value *headers, const char *authorization, struct err *e)
{
    static const str reserved[] = {
        S("host"),
        S("content-encoding"),
        S("content-length"),
        S("content-type"),
        S("user-agent"),
        S("connection"),
        S("keep-alive"),
        S("proxy-authenticate"),
        S("proxy-authorization"),
        S("www-authenticate"),
        S("accept-encoding"),
        S("x-prometheus-remote-write-version"),
        S("x-prometheus-remote-read-version"),
        S("x-amz-date"),
        S("x-amz-security-token"),
        S("x-amz-content-sha256"),
    };
    for (size_t i = 0; i < headers->n; i++) {
        str name = headers->pairs[i].name;
        if (str_eq_nocase(name, S("authorization")))
            return err_set(e, ERR_BAD_INPUT, "%s", authorization);
        for (size_t k = 0; k < ARRAY_LEN(reserved); k++)
            if (str_eq_nocase(name, reserved[k]))
                return err_set(e, ERR_BAD_INPUT,
                    "%.*s is a reserved header. It must not be changed", STR_ARG(name));
    }
    return OK;
}

static const char remote_authorization[] =
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
    "azuread or google_iam parameter";

static errc queue_check(const struct value *v, struct err *e)
{
    static const struct { const char *name, *words; } positive[] = {
        { "max_shards", "remote write queue max_shards must be positive" },
        { "min_shards", "remote write queue min_shards must be positive" },
    };
    for (size_t i = 0; i < ARRAY_LEN(positive); i++)
        if (value_int(v, positive[i].name) <= 0)
            return err_set(e, ERR_BAD_INPUT, "%s", positive[i].words);
    if (value_int(v, "min_shards") > value_int(v, "max_shards"))
        return err_set(
            e, ERR_BAD_INPUT, "remote write queue min_shards must not be greater than max_shards");
    if (value_int(v, "max_samples_per_send") <= 0)
        return err_set(
            e, ERR_BAD_INPUT, "remote write queue max_samples_per_send must be positive");
    if (value_int(v, "capacity") <= 0)
        return err_set(e, ERR_BAD_INPUT, "remote write queue capacity must be positive");
    if (value_int(v, "max_backoff") < value_int(v, "min_backoff"))
        return err_set(
            e, ERR_BAD_INPUT, "remote write queue max_backoff must not be less than min_backoff");
    return OK;
}

static errc remote_auth_check(const struct value *v, struct err *e)
{
    static const char *const kinds[] = { "basic_auth", "authorization", "oauth2", "sigv4",
        "azuread", "google_iam" };
    struct buf b = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (value_field(v, kinds[i])->null) continue;
        buf_fmt(&b, "%s%s", n ? " " : "", kinds[i]);
        n++;
    }
    errc rc = OK;
    if (n > 1)
        rc = err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must "
            "be configured. "
            "Currently configured: [%.*s]",
            STR_ARG(buf_view(&b)));
    buf_fini(&b);
    return rc;
}

static errc remote_write_check(struct load *l, struct value *v, struct err *e)
{
    if (value_field(v, "url")->null)
        return err_set(e, ERR_BAD_INPUT, "url for remote_write is empty");
    TRY(rules_no_null(value_field(v, "write_relabel_configs"),
        "empty or null relabeling rule in remote write config", e));
    TRY(remote_headers_check(value_field(v, "headers"), remote_authorization, e));
    str message = value_str(v, "protobuf_message");
    if (!str_eq(message, S("prometheus.WriteRequest")) &&
        !str_eq(message, S("io.prometheus.write.v2.Request")))
        return err_set(e, ERR_BAD_INPUT,
            "invalid protobuf_message value: unknown type for remote write protobuf message %.*s, "
            "supported: "
            "prometheus.WriteRequest, io.prometheus.write.v2.Request",
            STR_ARG(message));
    TRY(http_client_check(l, v, e));
    TRY(queue_check(value_field(v, "queue_config"), e));
    return remote_auth_check(v, e);
}

static const struct field queue_fields[] = {
    { .name = "capacity", .kind = F_INT, .flags = OMIT, .def = "10000" },
    { .name = "max_shards", .kind = F_INT, .flags = OMIT, .def = "50" },
    { .name = "min_shards", .kind = F_INT, .flags = OMIT, .def = "1" },
    { .name = "max_samples_per_send", .kind = F_INT, .flags = OMIT, .def = "2000" },
    { .name = "batch_send_deadline", .kind = F_DURATION, .flags = OMIT, .def = "5s" },
    { .name = "min_backoff", .kind = F_DURATION, .flags = OMIT, .def = "30ms" },
    { .name = "max_backoff", .kind = F_DURATION, .flags = OMIT, .def = "5s" },
    { .name = "retry_on_http_429", .kind = F_BOOL, .flags = OMIT },
    { .name = "sample_age_limit", .kind = F_DURATION, .flags = OMIT },
};
static const struct section queue_section = { .name = "config.QueueConfig",
    FIELDS_OF(queue_fields) };
static const struct field metadata_fields[] = {
    { .name = "send", .kind = F_BOOL, .def = "true" },
    { .name = "send_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "max_samples_per_send", .kind = F_INT, .flags = OMIT, .def = "2000" },
};
static const struct section metadata_section = { .name = "config.MetadataConfig",
    FIELDS_OF(metadata_fields) };

static const struct field azure_managed_fields[] = { { .name = "client_id", .kind = F_STR } };
static const struct section azure_managed_section = { .name = "azuread.ManagedIdentityConfig",
    FIELDS_OF(azure_managed_fields) };
static const struct field azure_oauth_fields[] = {
    { .name = "client_id", .kind = F_STR, .flags = OMIT },
    { .name = "client_secret", .kind = F_STR, .flags = OMIT },
    { .name = "tenant_id", .kind = F_STR, .flags = OMIT },
};
static const struct section azure_oauth_section = { .name = "azuread.OAuthConfig",
    FIELDS_OF(azure_oauth_fields) };
static const struct field azure_sdk_fields[] = {
    { .name = "tenant_id", .kind = F_STR, .flags = OMIT }
};
static const struct section azure_sdk_section = { .name = "azuread.SDKConfig",
    FIELDS_OF(azure_sdk_fields) };
static const struct field azure_workload_fields[] = {
    { .name = "client_id", .kind = F_STR, .flags = OMIT },
    { .name = "tenant_id", .kind = F_STR, .flags = OMIT },
    { .name = "token_file_path", .kind = F_STR, .flags = OMIT },
};
static const struct section azure_workload_section = { .name = "azuread.WorkloadIdentityConfig",
    FIELDS_OF(azure_workload_fields) };
static const struct field azuread_fields[] = {
    { .name = "managed_identity",
        .kind = F_SECTION_PTR,
        .flags = OMIT,
        .sub = &azure_managed_section },
    { .name = "workload_identity",
        .kind = F_SECTION_PTR,
        .flags = OMIT,
        .sub = &azure_workload_section },
    { .name = "oauth", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &azure_oauth_section },
    { .name = "sdk", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &azure_sdk_section },
    { .name = "cloud", .kind = F_STR, .flags = OMIT, .def = "AzurePublic" },
    { .name = "scope", .kind = F_STR, .flags = OMIT },
};
static const struct section azuread_section = { .name = "azuread.plain",
    FIELDS_OF(azuread_fields) };
static const struct field google_iam_fields[] = {
    { .name = "credentials_file", .kind = F_STR, .flags = OMIT }
};
static const struct section google_iam_section = { .name = "googleiam.Config",
    FIELDS_OF(google_iam_fields) };

static const struct field remote_write_fields[] = {
    { .name = "url", .kind = F_URL, .word = url_word },
    { .name = "remote_timeout", .kind = F_DURATION, .flags = OMIT, .def = "30s" },
    { .name = "headers", .kind = F_STR_MAP, .flags = OMIT },
    RELABEL_FIELD("write_relabel_configs"),
    { .name = "name", .kind = F_STR, .flags = OMIT },
    { .name = "send_exemplars", .kind = F_BOOL, .flags = OMIT },
    { .name = "send_native_histograms", .kind = F_BOOL, .flags = OMIT },
    { .name = "round_robin_dns", .kind = F_BOOL, .flags = OMIT },
    { .name = "protobuf_message",
        .kind = F_STR,
        .flags = OMIT,
        .def = "prometheus.WriteRequest",
        .go_type = "remote.WriteMessageType" },
    { .name = "failed_request_logging", .kind = F_BOOL, .flags = OMIT },
    HTTP_CLIENT_FIELDS("false"),
    { .name = "queue_config", .kind = F_SECTION, .flags = OMIT, .sub = &queue_section },
    { .name = "metadata_config", .kind = F_SECTION, .flags = OMIT, .sub = &metadata_section },
    { .name = "sigv4", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &sigv4_section },
    { .name = "azuread", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &azuread_section },
    { .name = "google_iam", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &google_iam_section },
};
const struct section remote_write_section = {
    .name = "config.plain", FIELDS_OF(remote_write_fields), .check = remote_write_check
};

static errc remote_read_check(struct load *l, struct value *v, struct err *e)
{
    if (value_field(v, "url")->null)
        return err_set(e, ERR_BAD_INPUT, "url for remote_read is empty");
    TRY(remote_headers_check(value_field(v, "headers"), remote_authorization, e));
    return http_client_check(l, v, e);
}

static const struct field remote_read_fields[] = {
    { .name = "url", .kind = F_URL, .word = url_word },
    { .name = "remote_timeout", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "chunked_read_limit",
        .kind = F_UINT,
        .flags = OMIT,
        .def = "50000000",
        .go_type = "uint64" },
    { .name = "headers", .kind = F_STR_MAP, .flags = OMIT },
    { .name = "read_recent", .kind = F_BOOL, .flags = OMIT },
    { .name = "name", .kind = F_STR, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "required_matchers", .kind = F_LABEL_SET, .flags = OMIT },
    { .name = "filter_external_labels", .kind = F_BOOL, .flags = OMIT, .def = "true" },
};
const struct section remote_read_section = {
    .name = "config.plain", FIELDS_OF(remote_read_fields), .check = remote_read_check
};
