/* read.c — remote read: the samples of some queries in one packed message, or their chunks as
 * frames of a stream. Errors are plain text, as of all that is not for browsers. */
#include "api/room.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/snappy.h"
#include "promql/active.h"
#include "remote/read_codec.h"

enum { DECODED_MAX_BYTES = 32 << 20, GATE_LOOK_MS = 50 };

GAUGE(m_queries, "prometheus_remote_read_handler_queries",
    "The current number of remote read queries that are either in execution or queued on the "
    "handler.")

static void answer_line(struct http_req *r, struct http_resp *w, unsigned status, str words)
{
    api_http_error(w, status, arena_fmt(&r->arena, "%.*s\n", STR_ARG(words)));
}

/* A request, listed among the queries: at first without its queries, which are read behind the
 * gate. */
struct reading {
    struct api *a;
    struct http_req *r;
    struct active_query active;
    struct query_opts opts;                    /* of active */
    struct buf body;                           /* unpacked; the request's strings lie here */
    struct read_request req;
    struct labels external;
};

/* Nobody waits for it: its client is gone, or it was ended. */
static bool reading_ended(const struct reading *k)
{
    return active_ended(&k->active) || atomic_load_explicit(&k->r->gone, memory_order_relaxed);
}

/* At most so many at once; who hangs up while it waits is let go. */
static bool gate_enter(struct reading *k)
{
    struct api *a = k->a;
    bool in = false;
    mtx_lock(&a->read_mu);
    while (!in && !reading_ended(k)) {
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

static void reading_cut(void *r) { http_cut(r); }

static struct reading *reading_new(struct api *a, struct http_req *r)
{
    struct reading *k = NEW(struct reading);
    k->a = a;
    k->r = r;
    k->opts.origin = (struct query_origin){ http_client_ip(r), r->method_name, r->path };
    engine_active_enter(a->o.engine, &k->active, &k->opts, reading_cut, r);
    metric_add(&m_queries, 1);
    return k;
}

/* What it asks for: the selectors, one behind the other. */
static void reading_name(struct reading *k)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    for (size_t i = 0; i < k->req.n; i++) {
        struct matchers ms = k->req.queries[i].matchers;
        buf_str(&b, i ? S(", {") : S("{"));
        for (size_t m = 0; m < ms.n; m++) {
            if (m) buf_u8(&b, ',');
            buf_matcher(&b, &ms.at[m]);
        }
        buf_u8(&b, '}');
    }
    engine_active_query(k->a->o.engine, &k->opts, arena_str(&k->r->arena, buf_view(&b)));
}

static void reading_free(struct reading *k)
{
    engine_active_leave(k->a->o.engine, &k->active);
    read_request_fini(&k->req);
    buf_fini(&k->body);
    if (atomic_load_explicit(&k->active.entered_ns, memory_order_relaxed)) gate_leave(k->a);
    metric_add(&m_queries, -1);
    mem_free(k);
}
static void reading_freep(struct reading **k)
{
    if (*k) reading_free(*k);
}

static errc query_ready(const struct reading *k, struct read_query *q, struct err *e)
{
    read_query_strip(q, k->external);
    return q->bad.n ? err_set(e, ERR_BAD_INPUT, "%.*s", STR_ARG(q->bad)) : OK;
}

static void answer_failed(struct http_req *r, struct http_resp *w, errc rc, const struct err *e)
{
    answer_line(r, w, rc == ERR_LIMIT ? 400 : 500, err_str(e));
}

/* Samples: the answer is one packed message, so it is made whole. */

struct samples {
    struct reading *k;
    struct read_series series;
    struct buf result;
    uint64_t n;                                /* of this query */
};

static errc take_batch(struct samples *x, const struct sample_batch *b, struct err *e)
{
    uint64_t most = x->k->a->o.read_samples;
    if (reading_ended(x->k)) return err_set(e, ERR_CANCELED, "context canceled");
    active_add(&x->k->active.samples, b->n);
    x->n += b->n;
    if (most && x->n > most)
        return err_set(e, ERR_LIMIT, "exceeded sample limit (%" PRIu64 ")", most);
    for (size_t i = 0; i < b->n; i++) {
        if (b->kind == SAMPLE_FLOAT) read_series_float(&x->series, b->t[i], b->v[i]);
        else if (b->kind == SAMPLE_HISTOGRAM) read_series_whole(&x->series, b->t[i], b->ih[i]);
        else read_series_floats(&x->series, b->t[i], b->h[i]);
    }
    return OK;
}

static errc take_series(
    struct samples *x, struct series *s, struct sample_iter **it, struct err *e)
{
    TRY(s->ops->iterate(s, it, e));
    active_add(&x->k->active.series, 1);
    read_series_begin(&x->series, &x->result);
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        TRY(sample_iter_fill(*it, &b, e));
        TRY(take_batch(x, &b, e));
    }
    struct arena *scratch = &x->k->r->arena;
    struct arena_mark mark = arena_mark(scratch);
    read_series_end(&x->series, labels_join(scratch, s->labels, x->k->external));
    active_add(&x->k->active.series_done, 1);
    active_memory(&x->k->active, x->result.n);
    arena_reset(scratch, mark);
    return OK;
}

/* The protocol has no room for words: what was left out as damaged stands in the log. */
static void log_left_out(const str_list *words)
{
    for (size_t i = 0; i < words->n; i++)
        LOG(WARN, "a remote read goes without what is damaged", kv_str("warning", words->at[i]));
}

static errc query_samples(struct samples *x, const struct read_query *q, struct err *e)
{
    SCOPED(querier_freep) struct querier *from = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct queryable *st = x->k->a->o.queryable;
    str_list words = { 0 };
    struct select_hints h = {
        .start = q->start, .end = q->end, .step = q->step, .range = q->range, .func = q->func
    };
    x->n = 0;
    /* a hint of "series" asks for no samples, and there is no other word for a series */
    if (!q->matchers.n || (q->has_hints && str_eq(q->func, S("series")))) return OK;
    TRY(st->ops->querier(st, q->mint, q->maxt, &from, e));
    TRY(from->ops->select(from, q->matchers, q->has_hints ? &h : NULL, &set, e));
    for (;;) {
        struct series *s = NULL;
        TRY(set->ops->next(set, &s, e));
        if (!s) break;
        TRY(take_series(x, s, &it, e));
    }
    querier_warnings(from, &words);
    log_left_out(&words);
    vec_fini(&words);
    return OK;
}

static errc all_samples(
    struct samples *x, struct read_request *req, struct buf *response, struct err *e)
{
    for (size_t i = 0; i < req->n; i++) {
        TRY(query_ready(x->k, &req->queries[i], e));
        buf_reset(&x->result);
        TRY(query_samples(x, &req->queries[i], e));
        read_result_end(response, buf_view(&x->result));
        if (!buf_ok(response)) return err_set(e, ERR_LIMIT, "the answer is too large");
    }
    return OK;
}

static void answer_samples(struct reading *k, struct http_resp *w)
{
    SCOPED(buf_fini) struct buf response = { 0 };
    struct samples x = { .k = k };
    struct err e = { 0 };
    http_resp_header(w, S("Content-Encoding"), S("snappy"));
    errc rc = all_samples(&x, &k->req, &response, &e);
    if (rc == OK) rc = compress_pack(&w->body, COMPRESS_SNAPPY, buf_view(&response), 0, &e);
    if (rc != OK) answer_failed(k->r, w, rc, &e);
    else http_resp_header(w, S("Content-Type"), S("application/x-protobuf"));
    read_series_fini(&x.series);
    buf_fini(&x.result);
}

/* Chunks: frames are made while the answer is sent, a frame's worth at a time. */

struct frames {
    struct http_stream base;
    struct reading *k;
    size_t query;                              /* at work */
    struct chunk_series_set *set;              /* of the query; NULL: it has not begun */
    const struct chunk_series *series;         /* of the set; NULL: the next one */
    size_t chunk;                              /* of the series, next */
    struct labels labels;                      /* of the series, as they are told */
    struct arena arena;                        /* for these */
};

static errc frames_query(struct frames *f, struct read_query *q, struct err *e)
{
    struct chunk_queryable *st = f->k->a->o.chunks;
    int64_t mint = q->mint, maxt = q->maxt;
    TRY(query_ready(f->k, q, e));
    if (q->has_hints) {
        mint = MAX(mint, q->start);
        maxt = MIN(maxt, q->end);
    }
    if (q->matchers.n) return st->ops->select(st, q->matchers, mint, maxt, &f->set, e);
    f->query++;
    return OK;
}

static void frames_query_end(struct frames *f)
{
    str_list words = { 0 };
    chunk_series_set_warnings(f->set, &words);
    log_left_out(&words);
    vec_fini(&words);
    chunk_series_set_free(STEAL(f->set));
    f->query++;
}

static errc frames_series(struct frames *f, struct err *e)
{
    TRY(f->set->ops->next(f->set, &f->series, e));
    if (!f->series) {
        frames_query_end(f);
        return OK;
    }
    active_add(&f->k->active.series, 1);
    active_add(&f->k->active.series_done, 1);
    arena_reset(&f->arena, (struct arena_mark){ 0 });
    f->labels = labels_join(&f->arena, f->series->labels, f->k->external);
    f->chunk = 0;
    return OK;
}

static errc frames_one(struct frames *f, struct buf *out, struct err *e)
{
    const struct chunk_series *s = f->series;
    size_t left = s->n - f->chunk;
    if (left)
        f->chunk += read_frame(out, f->labels, s->chunks + f->chunk, left, f->query,
            f->k->a->o.read_frame_bytes);
    if (f->chunk == s->n) f->series = NULL;
    return buf_ok(out) ? OK : err_set(e, ERR_LIMIT, "a frame is too large");
}

static errc frames_make(struct frames *f, struct buf *out, bool *more, struct err *e)
{
    struct reading *k = f->k;
    size_t enough = MAX(k->a->o.read_frame_bytes, 1);
    while (f->query < k->req.n && out->n < enough) {
        if (reading_ended(k)) return err_set(e, ERR_CANCELED, "context canceled");
        if (f->series) TRY(frames_one(f, out, e));
        else if (f->set) TRY(frames_series(f, e));
        else TRY(frames_query(f, &k->req.queries[f->query], e));
    }
    *more = f->query < k->req.n;
    return OK;
}

/* An error behind the first frame is told in the stream, and ends it. */
static bool frames_more(struct http_stream *base, struct buf *out)
{
    struct frames *f = CONTAINER_OF(base, struct frames, base);
    struct err e = { 0 };
    bool more = false;
    if (frames_make(f, out, &more, &e) == OK) return more;
    buf_fmt(out, "%.*s\n", STR_ARG(err_str(&e)));
    return false;
}

static void frames_free(struct http_stream *base)
{
    struct frames *f = CONTAINER_OF(base, struct frames, base);
    chunk_series_set_free(f->set);
    arena_fini(&f->arena);
    reading_free(f->k);
    mem_free(f);
}
static const struct http_stream_ops frames_ops = { frames_more, frames_free };

/* An error before the first frame is an answer of its own. Takes k. */
static void answer_chunks(struct reading *k, struct http_resp *w)
{
    struct frames *f = NEW(struct frames);
    struct err e = { 0 };
    bool more = false;
    f->base.ops = &frames_ops;
    f->k = k;
    errc rc = frames_make(f, &w->body, &more, &e);
    if (rc != OK && !w->body.n) {
        answer_failed(k->r, w, rc, &e);
    } else {
        if (rc != OK) buf_fmt(&w->body, "%.*s\n", STR_ARG(err_str(&e)));
        http_resp_header(w, S("Content-Type"),
            S("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"));
    }
    if (rc != OK || !more) {
        frames_free(&f->base);
        return;
    }
    atomic_store_explicit(&k->active.sending, true, memory_order_relaxed);
    w->stream = &f->base;
}

/* False: the answer says what is wrong. */
static bool reading_unpack(struct reading *k, struct http_resp *w)
{
    struct http_req *r = k->r;
    uint32_t n = 0;
    if (snappy_length(r->body, &n) && n > DECODED_MAX_BYTES)
        answer_line(r, w, 400,
            arena_fmt(&r->arena, "snappy: decoded length %" PRIu32 " exceeds limit %d", n,
                DECODED_MAX_BYTES));
    else if (compress_unpack(&k->body, COMPRESS_SNAPPY, r->body, DECODED_MAX_BYTES, NULL) != OK)
        answer_line(r, w, 400, S("snappy: corrupt input"));
    else return true;
    return false;
}

/* Takes k. */
static void read_request(struct reading *taken, struct http_resp *w)
{
    SCOPED(reading_freep) struct reading *k = taken;
    struct http_req *r = k->r;
    struct api *a = k->a;
    struct err e = { 0 };
    if (!reading_unpack(k, w)) return;
    if (read_request_decode(&k->req, buf_view(&k->body), &r->arena, &e) != OK) {
        answer_line(r, w, 400, err_str(&e));
        return;
    }
    if (k->req.bad_kind.n) {
        answer_line(r, w, 400, k->req.bad_kind);
        return;
    }
    reading_name(k);
    a->o.sources->external_labels(a->o.sources->ctx, &r->arena, &k->external);
    if (k->req.kind == READ_CHUNKS) answer_chunks(STEAL(k), w);
    else answer_samples(k, w);
}

void api_read(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    struct reading *k = reading_new(a, r);
    if (gate_enter(k)) {
        atomic_store_explicit(&k->active.entered_ns, clock_mono_ns(), memory_order_relaxed);
        read_request(k, w);
        return;
    }
    answer_line(r, w, 500, S("context canceled"));
    reading_free(k);
}
