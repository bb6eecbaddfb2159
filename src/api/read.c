/* read.c — remote read: the samples of some queries in one packed message, or their chunks as
 * frames of a stream. Errors are plain text, as of all that is not for browsers. */
#include "api/room.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/metric.h"
#include "remote/read_codec.h"

enum { DECODED_MAX_BYTES = 32 << 20, GATE_LOOK_MS = 50 };

GAUGE(m_queries, "prometheus_remote_read_handler_queries",
    "The current number of remote read queries that are either in execution or queued on the "
    "handler.")

static void answer_line(struct http_req *r, struct http_resp *w, unsigned status, str words)
{
    api_http_error(w, status, arena_fmt(&r->arena, "%.*s\n", STR_ARG(words)));
}

/* At most so many at once; who hangs up while it waits is let go. */
static bool gate_enter(struct api *a, struct http_req *r)
{
    bool in = false;
    mtx_lock(&a->read_mu);
    while (!in && !atomic_load_explicit(&r->gone, memory_order_relaxed)) {
        in = !a->o.read_concurrent || a->reading < a->o.read_concurrent;
        if (in) a->reading++;
        else
            cond_wait_until(
                &a->read_done, &a->read_mu, clock_mono_ns() + GATE_LOOK_MS * 1000000ll);
    }
    mtx_unlock(&a->read_mu);
    return in;
}

static void gate_leave(struct api *a)
{
    mtx_lock(&a->read_mu);
    a->reading--;
    cond_signal(&a->read_done);
    mtx_unlock(&a->read_mu);
}

struct reading {
    const struct api *a;
    struct http_req *r;
    struct http_resp *w;
    struct labels external;
    struct read_series series;
    struct buf result;
    uint64_t samples;                          /* of this query */
};

static errc take_batch(struct reading *k, const struct sample_batch *b, struct err *e)
{
    uint64_t most = k->a->o.read_samples;
    k->samples += b->n;
    if (most && k->samples > most)
        return err_set(e, ERR_LIMIT, "exceeded sample limit (%" PRIu64 ")", most);
    for (size_t i = 0; i < b->n; i++) {
        if (b->kind == SAMPLE_FLOAT) read_series_float(&k->series, b->t[i], b->v[i]);
        else if (b->kind == SAMPLE_HISTOGRAM) read_series_whole(&k->series, b->t[i], b->ih[i]);
        else read_series_floats(&k->series, b->t[i], b->h[i]);
    }
    return OK;
}

static errc take_series(
    struct reading *k, struct series *s, struct sample_iter **it, struct err *e)
{
    TRY(s->ops->iterate(s, it, e));
    read_series_begin(&k->series, &k->result);
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        TRY(sample_iter_fill(*it, &b, e));
        TRY(take_batch(k, &b, e));
    }
    struct arena_mark mark = arena_mark(&k->r->arena);
    read_series_end(&k->series, read_labels_join(s->labels, k->external, &k->r->arena));
    arena_reset(&k->r->arena, mark);
    return OK;
}

static errc query_samples(struct reading *k, const struct read_query *q, struct err *e)
{
    SCOPED(querier_freep) struct querier *from = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct queryable *st = k->a->o.queryable;
    struct select_hints h = {
        .start = q->start, .end = q->end, .step = q->step, .range = q->range, .func = q->func
    };
    k->samples = 0;
    if (!q->matchers.n) return OK;
    TRY(st->ops->querier(st, q->mint, q->maxt, &from, e));
    TRY(from->ops->select(from, q->matchers, q->has_hints ? &h : NULL, &set, e));
    for (;;) {
        struct series *s = NULL;
        TRY(set->ops->next(set, &s, e));
        if (!s) return OK;
        TRY(take_series(k, s, &it, e));
    }
}

static errc query_chunks(struct reading *k, const struct read_query *q, size_t i, struct err *e)
{
    SCOPED(chunk_series_set_freep) struct chunk_series_set *set = NULL;
    struct chunk_queryable *st = k->a->o.chunks;
    int64_t mint = q->mint, maxt = q->maxt;
    if (!q->matchers.n) return OK;
    if (q->has_hints) {
        mint = MAX(mint, q->start);
        maxt = MIN(maxt, q->end);
    }
    TRY(st->ops->select(st, q->matchers, mint, maxt, &set, e));
    for (;;) {
        const struct chunk_series *s = NULL;
        TRY(set->ops->next(set, &s, e));
        if (!s) return OK;
        struct arena_mark mark = arena_mark(&k->r->arena);
        struct labels labels = read_labels_join(s->labels, k->external, &k->r->arena);
        read_frames(&k->w->body, labels, s->chunks, s->n, i, k->a->o.read_frame_bytes);
        arena_reset(&k->r->arena, mark);
        if (!buf_ok(&k->w->body)) return err_set(e, ERR_LIMIT, "the answer is too large");
    }
}

/* One query; its result goes to the response, or to the stream. */
static errc query_one(struct reading *k, struct read_request *req, size_t i, struct buf *response,
    struct err *e)
{
    struct read_query *q = &req->queries[i];
    read_query_strip(q, k->external);
    if (q->bad.n) return err_set(e, ERR_BAD_INPUT, "%.*s", STR_ARG(q->bad));
    if (req->kind == READ_CHUNKS) return query_chunks(k, q, i, e);
    buf_reset(&k->result);
    TRY(query_samples(k, q, e));
    read_result_end(response, buf_view(&k->result));
    return buf_ok(response) ? OK : err_set(e, ERR_LIMIT, "the answer is too large");
}

/* An error of the stream's first query is told; after frames have begun the stream only ends. */
static void answer(struct reading *k, struct read_request *req)
{
    SCOPED(buf_fini) struct buf response = { 0 };
    struct err e = { 0 };
    errc rc = OK;
    bool stream = req->kind == READ_CHUNKS;
    for (size_t i = 0; rc == OK && i < req->n; i++) rc = query_one(k, req, i, &response, &e);
    if (!stream) http_resp_header(k->w, S("Content-Encoding"), S("snappy"));
    if (rc == OK && !stream)
        rc = compress_pack(&k->w->body, COMPRESS_SNAPPY, buf_view(&response), 0, &e);
    if (rc != OK && !(stream && k->w->body.n)) {
        answer_line(k->r, k->w, rc == ERR_LIMIT ? 400 : 500, err_str(&e));
        return;
    }
    if (rc != OK) buf_str(&k->w->body, arena_fmt(&k->r->arena, "%s\n", e.msg));
    k->w->status = 200;
    http_resp_header(k->w, S("Content-Type"),
        stream ? S("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")
               : S("application/x-protobuf"));
}

static void read_request(struct api *a, struct http_req *r, struct http_resp *w)
{
    SCOPED(buf_fini) struct buf body = { 0 };
    SCOPED(read_request_fini) struct read_request req = { 0 };
    struct err e = { 0 };
    if (compress_unpack(&body, COMPRESS_SNAPPY, r->body, DECODED_MAX_BYTES, NULL) != OK) {
        answer_line(r, w, 400, S("snappy: corrupt input"));
        return;
    }
    if (read_request_decode(&req, buf_view(&body), &r->arena, &e) != OK) {
        answer_line(r, w, 400, err_str(&e));
        return;
    }
    if (req.bad_kind.n) {
        answer_line(r, w, 400, req.bad_kind);
        return;
    }
    struct reading k = { .a = a, .r = r, .w = w };
    a->o.sources->external_labels(a->o.sources->ctx, &r->arena, &k.external);
    answer(&k, &req);
    read_series_fini(&k.series);
    buf_fini(&k.result);
}

void api_read(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    metric_add(&m_queries, 1);
    if (gate_enter(a, r)) {
        read_request(a, r, w);
        gate_leave(a);
    } else {
        answer_line(r, w, 500, S("context canceled"));
    }
    metric_add(&m_queries, -1);
}
