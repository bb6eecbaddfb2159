/* The remote write receiver as HTTP shows it: what is taken at all, and how it is answered. */
#include "api/room.h"

#include "api/write.h"
#include "base/compress.h"
#include "base/cursor.h"
#include "base/log.h"

enum { DECODED_MAX_BYTES = 32 << 20, WORDS_MAX_BYTES = 1 << 20 };

static void answer_line(struct http_req *r, struct http_resp *resp, unsigned status, str words)
{
    api_http_error(resp, status, arena_fmt(&r->arena, "%.*s\n", STR_ARG(words)));
}

#define MESSAGE_1 S("prometheus.WriteRequest")
#define MESSAGE_2 S("io.prometheus.write.v2.Request")

/* The message that a content type names; false: the refusal is written. */
static bool message_of(struct http_req *r, struct http_resp *resp, str type, str *message)
{
    str media, rest, part, name, value;
    bool more = str_cut(type, ';', &media, &rest);
    *message = MESSAGE_1;
    if (!str_eq(media, S("application/x-protobuf"))) {
        answer_line(r, resp, 415,
            arena_fmt(&r->arena,
                "expected application/x-protobuf as the first (media) part, got %.*s content-type",
                STR_ARG(type)));
        return false;
    }
    while (more) {
        more = str_cut(rest, ';', &part, &rest);
        if (!str_cut(part, '=', &name, &value) || str_index(value, '=') != SIZE_MAX) {
            answer_line(r, resp, 415,
                arena_fmt(&r->arena,
                    "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters "
                    "to be key-values, got "
                    "%.*s in %.*s content-type",
                    STR_ARG(part), STR_ARG(type)));
            return false;
        }
        if (!str_eq(name, S("proto"))) continue;
        *message = value;
        if (str_eq(value, MESSAGE_1) || str_eq(value, MESSAGE_2)) return true;
        answer_line(r, resp, 415,
            arena_fmt(&r->arena,
                "got %.*s content type; unknown type for remote write protobuf message %.*s, "
                "supported: "
                "prometheus.WriteRequest, io.prometheus.write.v2.Request",
                STR_ARG(type), STR_ARG(value)));
        return false;
    }
    return true;
}

static bool version_of(
    const struct api *a, struct http_req *r, struct http_resp *resp, bool *v2)
{
    str type = str_trim(http_header(r, "Content-Type")), message;
    if (!message_of(r, resp, type.n ? type : S("application/x-protobuf"), &message)) return false;
    *v2 = str_eq(message, MESSAGE_2);
    if (*v2 ? a->o.write.v2 : a->o.write.v1) return true;
    answer_line(r, resp, 415,
        arena_fmt(&r->arena,
            "%.*s protobuf message is not accepted by this server; only accepts %.*s",
            STR_ARG(message), STR_ARG(a->o.write.accepted)));
    return false;
}

/* The body as it was before it was packed; false: the refusal is written. */
static bool body_unpacked(
    struct api *a, struct http_req *r, struct http_resp *resp, struct buf *body)
{
    str encoding = http_header(r, "Content-Encoding");
    if (encoding.n && !str_eq(encoding, S("snappy"))) {
        answer_line(r, resp, 415,
            arena_fmt(&r->arena,
                "%.*s encoding (compression) is not accepted by this server; only snappy is "
                "acceptable",
                STR_ARG(encoding)));
        return false;
    }
    if (r->body.n > DECODED_MAX_BYTES) {
        answer_line(r, resp, 413,
            arena_fmt(&r->arena, "request body exceeds the %d bytes limit", DECODED_MAX_BYTES));
        return false;
    }
    cursor c = cur_of(r->body);
    uint64_t size = cur_uvarint(&c);           /* as the block declares it */
    if (cur_ok(&c) && size > DECODED_MAX_BYTES && size <= UINT32_MAX) {
        answer_line(r, resp, 400,
            arena_fmt(&r->arena, "decoded size exceeds the %d bytes limit", DECODED_MAX_BYTES));
        return false;
    }
    *body = buf_pool_take(&a->bodies, compress_unpack_hint(COMPRESS_SNAPPY, r->body));
    if (compress_unpack(body, COMPRESS_SNAPPY, r->body, DECODED_MAX_BYTES, NULL) == OK) return true;
    buf_pool_give(&a->bodies, body);
    answer_line(r, resp, 400, S("s2: corrupt input"));
    return false;
}

static void put_stats(
    struct http_req *r, struct http_resp *resp, const struct write_v2_stats *stats)
{
    const struct { str name; uint64_t n; } headers[] = {
        { S("X-Prometheus-Remote-Write-Samples-Written"), stats->samples },
        { S("X-Prometheus-Remote-Write-Histograms-Written"), stats->histograms },
        { S("X-Prometheus-Remote-Write-Exemplars-Written"), stats->exemplars },
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        http_resp_header(
            resp, headers[i].name, arena_fmt(&r->arena, "%" PRIu64, headers[i].n));
}

static unsigned status_of(errc rc)
{
    if (write_is_refusal(rc)) return 400;
    return rc == ERR_UNAVAILABLE || rc == ERR_NO_SPACE ? 503 : 500;
}

static void answer_failure(struct http_req *r, struct http_resp *resp, errc rc, str words)
{
    unsigned status = status_of(rc);
    if (status >= 500)
        LOG_LIMITED(ERROR, 10000, "Error appending remote write", kv_str("err", words));
    if (status == 503) http_resp_header(resp, S("Retry-After"), S("5"));
    answer_line(r, resp, status, words);
}

static void store_v2(struct api *a, struct http_req *r, struct http_resp *resp, str body)
{
    struct write_v2_stats stats;
    struct buf words;
    struct err e = { 0 };
    buf_init(&words, &api_write_account, WORDS_MAX_BYTES);
    errc rc = write_v2_store(a->o.appendable, body, &a->o.write.opts, &stats, &words, &e);
    put_stats(r, resp, &stats);
    resp->status = 204;
    if (rc != OK) answer_failure(r, resp, rc, words.n && !e.n ? buf_view(&words) : err_str(&e));
    buf_fini(&words);
}

static void store_v1(struct api *a, struct http_req *r, struct http_resp *resp, str body)
{
    struct err e = { 0 };
    errc rc = write_v1_store(a->o.appendable, body, &e);
    resp->status = 204;
    if (rc != OK) answer_failure(r, resp, rc, err_str(&e));
}

void api_write(void *ctx, struct http_req *r, struct http_resp *resp)
{
    struct api *a = ctx;
    struct buf body;
    bool v2;
    if (!api_is_ready(a, resp)) return;
    if (!a->o.write.on) {
        answer_line(r, resp, 404,
            S("remote write receiver needs to be enabled with --web.enable-remote-write-receiver"));
        return;
    }
    /* in the order of the reference: it unpacks before it looks at the type */
    if (!body_unpacked(a, r, resp, &body)) return;
    if (version_of(a, r, resp, &v2)) {
        if (v2) store_v2(a, r, resp, buf_view(&body));
        else store_v1(a, r, resp, buf_view(&body));
    }
    buf_pool_give(&a->bodies, &body);
}

void api_otlp_disabled(void *ctx, struct http_req *r, struct http_resp *w)
{
    if (api_is_ready(ctx, w))
        answer_line(r, w, 404,
            S("otlp write receiver needs to be enabled with --web.enable-otlp-receiver"));
}
