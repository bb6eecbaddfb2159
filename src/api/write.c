/* The remote-write receiver, protocol 1.0. A request is decoded in place; a series that is known
 * costs one look-up by the raw bytes of its labels, and its samples go into batches. As in
 * Prometheus the first sample that is refused ends the request: nothing of it is kept. */
#include "api/room.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/log.h"
#include "base/metric.h"
#include "ingest/pb_histogram.h"
#include "ingest/remote_write.h"

enum { BATCH = 512, DECODED_MAX_BYTES = 32 << 20, MAX_AHEAD_MS = 10 * 60 * 1000 };

COUNTER(m_invalid_labels, "prometheus_api_remote_write_invalid_labels_samples_total",
    "The total number of received remote write samples and histogram samples which were rejected "
    "due to invalid labels.")
COUNTER(m_no_metadata, "prometheus_api_remote_write_without_metadata_appended_samples_total",
    "The total number of received remote write samples (and histogram samples) which were ingested "
    "without corresponding metadata.")
ACCOUNT(api_write_account, "remote_write_requests")

struct write {
    struct appendable *st;
    struct appender *app;
    struct arena a;
    struct err *e;
    int64_t max_ms;
    uint64_t invalid, late_exemplars;
    size_t n;
    series_handle h[BATCH];
    int64_t t[BATCH];
    double v[BATCH];
    uint8_t results[BATCH];
};

static errc batch_flush(struct write *w)
{
    size_t n = w->n;
    w->n = 0;
    if (!n) return OK;
    TRY(w->app->ops->append_batch(w->app, w->h, w->t, w->v, n, w->results, w->e));
    for (size_t i = 0; i < n; i++)
        /* e has the words of the first */
        if (UNLIKELY(w->results[i] != OK)) return (errc)w->results[i];
    return OK;
}

/* The series by its labels, and taught to the look-up if that may be. ERR_BAD_INPUT: not valid, it
 * is left out. */
static errc series_slow(struct write *w, const struct write_series *s, series_handle *h)
{
    struct labels labels;
    struct err why = { 0 };
    errc rc = write_series_labels(s, &w->a, &labels, &why);
    if (rc != OK) {
        LOG_LIMITED(WARN, 10000, "Invalid metric names or labels", kv_err(&why));
        return rc;
    }
    TRY(w->app->ops->series(w->app, labels, h, w->e));
    if (s->labels_raw.n && w->st->ops->teach)
        w->st->ops->teach(w->st, s->labels_raw.p, s->labels_raw.n, *h);
    return OK;
}

static errc series_samples(struct write *w, struct write_series *s, series_handle h)
{
    int64_t t;
    double v;
    while (write_series_sample(s, &t, &v)) {
        if (t > w->max_ms)
            return err_set(
                w->e, ERR_OUT_OF_BOUNDS, "out of bounds: timestamp is too far in the future");
        w->h[w->n] = h;
        w->t[w->n] = t;
        w->v[w->n] = v;
        if (++w->n == BATCH) TRY(batch_flush(w));
    }
    return OK;
}

static errc too_far(const struct write *w, int64_t t, struct err *e)
{
    if (t <= w->max_ms) return OK;
    return err_set(e, ERR_OUT_OF_BOUNDS, "out of bounds: timestamp is too far in the future");
}

/* The request goes on without those that are not taken. */
static void series_exemplars(struct write *w, const struct write_series *s, series_handle h)
{
    cursor c = write_series_others(s);
    for (str message; write_series_other(&c, WRITE_EXEMPLAR, &message);) {
        struct exemplar x;
        struct arena_mark mark = arena_mark(&w->a);
        errc rc = pb_exemplar_decode(&x, message, &w->a, NULL);
        if (rc == OK) rc = too_far(w, x.t, NULL);
        if (rc == OK) rc = w->app->ops->exemplar(w->app, h, &x, NULL);
        w->late_exemplars += rc == ERR_OUT_OF_ORDER;
        arena_reset(&w->a, mark);
    }
}

static errc put_histogram(struct write *w, series_handle h, str message)
{
    struct pb_histogram x;
    TRY(pb_histogram_decode(&x, message, &w->a, w->e));
    TRY(too_far(w, x.t, w->e));
    if (x.whole && histogram_schema_is_reserved(x.whole->schema))
        x.whole = int_histogram_copy_to_schema(&w->a, x.whole, HISTOGRAM_SCHEMA_MAX);
    if (x.floats && histogram_schema_is_reserved(x.floats->schema))
        x.floats = histogram_copy_to_schema(&w->a, x.floats, HISTOGRAM_SCHEMA_MAX);
    return w->app->ops->histogram(w->app, h, x.t, 0, x.whole, x.floats, w->e);
}

/* Floats before them are in the appender, so that it knows their order. */
static errc series_histograms(struct write *w, const struct write_series *s, series_handle h)
{
    cursor c = write_series_others(s);
    TRY(batch_flush(w));
    for (str message; write_series_other(&c, WRITE_HISTOGRAM, &message);) {
        struct arena_mark mark = arena_mark(&w->a);
        errc rc = put_histogram(w, h, message);
        arena_reset(&w->a, mark);
        TRY(rc);
    }
    return OK;
}

static errc write_series_all(struct write *w, struct write_series *s)
{
    series_handle h;
    bool known = s->labels_raw.n && w->st->ops->lookup &&
                 w->st->ops->lookup(w->st, s->labels_raw.p, s->labels_raw.n, &h);
    /* what holds only exemplars makes no series */
    if (!known && !s->n_samples && !s->n_histograms) return OK;
    if (!known) {
        struct arena_mark mark = arena_mark(&w->a);
        errc rc = series_slow(w, s, &h);
        arena_reset(&w->a, mark);
        if (rc == ERR_BAD_INPUT) {
            w->invalid += s->n_samples + s->n_histograms;
            return OK;
        }
        TRY(rc);
    }
    TRY(series_samples(w, s, h));
    if (s->n_exemplars) series_exemplars(w, s, h);
    return s->n_histograms ? series_histograms(w, s, h) : OK;
}

/* A first pass sees whether the whole message decodes: Prometheus decodes before it appends. */
static errc request_check(str body, struct err *e)
{
    struct write_request r;
    struct write_series s;
    errc rc = OK;
    write_request_init(&r, body);
    for (bool more = true; more && rc == OK;) rc = write_request_next(&r, &s, &more, e);
    bool others = r.n_exemplars || r.n_histograms || r.n_metadata;
    if (rc != OK || others) TRY(write_request_check(body, e));
    return rc;
}

static errc request_append(struct write *w, str body)
{
    struct write_request r;
    write_request_again(&r, body);
    for (;;) {
        struct write_series s;
        bool more;
        TRY(write_request_next(&r, &s, &more, w->e));
        if (!more) return batch_flush(w);
        TRY(write_series_all(w, &s));
    }
}

static errc request_store(struct appendable *st, str body, struct err *e)
{
    struct write *w = NEW(struct write);
    *w = (struct write){ .st = st, .e = e, .max_ms = clock_wall_ms() + MAX_AHEAD_MS };
    arena_init(&w->a, &api_write_account, 0);
    errc rc = st->ops->begin(st, &w->app, e);
    if (rc == OK) {
        rc = request_append(w, body);
        if (rc == OK) rc = w->app->ops->commit(w->app, e);
        else w->app->ops->rollback(w->app);
    }
    metric_add(&m_invalid_labels, (double)w->invalid);
    if (w->late_exemplars)
        LOG_LIMITED(WARN, 10000, "Error on ingesting out-of-order exemplars",
            kv_u64("num_dropped", w->late_exemplars));
    arena_fini(&w->a);
    mem_free(w);
    return rc;
}

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

static bool type_accepted(struct http_req *r, struct http_resp *resp)
{
    str type = str_trim(http_header(r, "Content-Type")),
        encoding = http_header(r, "Content-Encoding"), message;
    if (!message_of(r, resp, type.n ? type : S("application/x-protobuf"), &message)) return false;
    if (!str_eq(message, MESSAGE_1)) {
        answer_line(r, resp, 415,
            arena_fmt(&r->arena,
                "%.*s protobuf message is not accepted by this server; only accepts "
                "prometheus.WriteRequest",
                STR_ARG(message)));
        return false;
    }
    if (encoding.n && !str_eq(encoding, S("snappy"))) {
        answer_line(r, resp, 415,
            arena_fmt(&r->arena,
                "%.*s encoding (compression) is not accepted by this server; only snappy is "
                "acceptable",
                STR_ARG(encoding)));
        return false;
    }
    return true;
}

static unsigned status_of(errc rc)
{
    switch (rc) {
    case ERR_BAD_INPUT:
    case ERR_OUT_OF_ORDER:
    case ERR_OUT_OF_BOUNDS:
    case ERR_TOO_OLD:
    case ERR_DUPLICATE: return 400;
    case ERR_UNAVAILABLE:
    case ERR_NO_SPACE: return 503;
    default: return 500;
    }
}

void api_write(void *ctx, struct http_req *r, struct http_resp *resp)
{
    struct api *a = ctx;
    if (!api_is_ready(a, resp)) return;
    if (!a->o.remote_write) {
        answer_line(r, resp, 404,
            S("remote write receiver needs to be enabled with --web.enable-remote-write-receiver"));
        return;
    }
    if (!type_accepted(r, resp)) return;
    if (compress_unpack_hint(COMPRESS_SNAPPY, r->body) > DECODED_MAX_BYTES) {
        answer_line(r, resp, 400,
            arena_fmt(&r->arena, "decoded size exceeds the %d bytes limit", DECODED_MAX_BYTES));
        return;
    }
    struct err e = { 0 };
    struct buf body = buf_pool_take(
        &a->bodies, MIN(compress_unpack_hint(COMPRESS_SNAPPY, r->body), (size_t)DECODED_MAX_BYTES));
    bool whole = compress_unpack(&body, COMPRESS_SNAPPY, r->body, DECODED_MAX_BYTES, NULL) == OK;
    errc rc = whole ? request_check(buf_view(&body), &e) : ERR_CORRUPT;
    if (rc == OK) rc = request_store(a->o.appendable, buf_view(&body), &e);
    buf_pool_give(&a->bodies, &body);
    if (!whole) {
        answer_line(r, resp, 400, S("s2: corrupt input"));
        return;
    }
    if (rc == OK) {
        resp->status = 204;
        return;
    }
    unsigned status = status_of(rc);
    if (status >= 500) LOG_LIMITED(ERROR, 10000, "Error appending remote write", kv_err(&e));
    if (status == 503) http_resp_header(resp, S("Retry-After"), S("5"));
    answer_line(r, resp, status, err_str(&e));
}

void api_otlp_disabled(void *ctx, struct http_req *r, struct http_resp *w)
{
    if (api_is_ready(ctx, w))
        answer_line(r, w, 404,
            S("otlp write receiver needs to be enabled with --web.enable-otlp-receiver"));
}
