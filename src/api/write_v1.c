/* Remote write 1.0. A request is decoded in place; a series that is known costs one look-up by the
 * raw bytes of its labels, and its samples go into batches. */
#include "api/write.h"

#include "base/log.h"
#include "ingest/remote_write.h"

struct write_v1 {
    struct write w;
    uint64_t late_exemplars;
    uint64_t invalid, appended;                /* series; samples and histograms */
    errc limited;                              /* a series that there was no room for; its words */
    struct err limited_e;
};

static void log_invalid(const struct write_labels *l)
{
    struct buf b;
    buf_init(&b, NULL, 4096);
    buf_labels(&b, l->all);
    str text = buf_ok(&b) ? buf_view(&b) : S("…");
    if (l->fault == WRITE_TWICE)
        LOG_LIMITED(WARN, 10000, "Invalid labels for series.", kv_str("labels", text),
            kv_str("duplicated_label", l->twice));
    else
        LOG_LIMITED(WARN, 10000, "Invalid metric names or labels", kv_str("got", text));
    buf_fini(&b);
}

static errc v1_series_again(struct write *w, str message, series_handle *h)
{
    struct write_series s;
    struct arena_mark mark = arena_mark(&w->a);
    write_series_of(&s, message);
    errc rc = w->app->ops->series(w->app, write_series_labels(&s, &w->a).kept, h, w->e);
    arena_reset(&w->a, mark);
    return rc;
}

/* A series that there is no room for does not keep the others away. */
static errc v1_refused(struct write *base, str message, int64_t t, errc rc, const struct err *why)
{
    struct write_v1 *w = CONTAINER_OF(base, struct write_v1, w);
    if (rc == ERR_LIMIT) {
        if (w->limited == OK) w->limited_e = *why;
        w->limited = rc;
        return OK;
    }
    if (base->e) *base->e = *why;
    if (write_is_refusal(rc)) {
        struct write_series s;
        write_series_of(&s, message);
        struct arena_mark mark = arena_mark(&base->a);
        write_log_refused(write_series_labels(&s, &base->a).all, t, why);
        arena_reset(&base->a, mark);
    }
    return rc;
}

static const struct write_ops v1_ops = { .series_again = v1_series_again, .refused = v1_refused };

/* The request goes on without those that are not taken. */
static void series_exemplars(struct write_v1 *w, const struct write_series *s, series_handle h)
{
    struct write *b = &w->w;
    cursor c = write_series_others(s);
    for (str message; write_series_other(&c, WRITE_EXEMPLAR, &message);) {
        struct exemplar x;
        struct arena_mark mark = arena_mark(&b->a);
        errc rc = pb_exemplar_decode(&x, message, &b->a, NULL);
        if (rc == OK) rc = write_too_far(b, x.t, NULL);
        if (rc == OK) rc = b->app->ops->exemplar(b->app, h, &x, NULL);
        w->late_exemplars += rc == ERR_OUT_OF_ORDER;
        arena_reset(&b->a, mark);
    }
}

static errc put_histogram(
    struct write *w, const struct write_series *s, struct write_target *to, str message)
{
    struct pb_histogram x;
    TRY(pb_histogram_decode(&x, message, &w->a, w->e));
    x.st = 0;                                  /* 1.0 has none */
    return write_histogram(w, to, s->message, &x);
}

/* Floats before them are in the appender, so that it knows their order. */
static errc series_histograms(
    struct write *w, const struct write_series *s, struct write_target *to)
{
    cursor c = write_series_others(s);
    TRY(write_flush(w));
    for (str message; write_series_other(&c, WRITE_HISTOGRAM, &message);) {
        struct arena_mark mark = arena_mark(&w->a);
        errc rc = put_histogram(w, s, to, message);
        arena_reset(&w->a, mark);
        TRY(rc);
    }
    return OK;
}

static errc store_samples(struct write_v1 *w, struct write_series *s, struct write_target *to)
{
    int64_t t;
    double v;
    w->appended += s->n_samples + s->n_histograms;
    while (write_series_sample(s, &t, &v)) TRY(write_float(&w->w, to, s->message, t, v));
    if (s->n_exemplars && write_target_is_there(&w->w, to)) series_exemplars(w, s, to->h);
    return s->n_histograms ? series_histograms(&w->w, s, to) : OK;
}

static errc store_new(struct write_v1 *w, struct write_series *s)
{
    struct write_labels l = write_series_labels(s, &w->w.a);
    struct write_target to = { .labels = l.kept, .key = s->labels_raw };
    if (l.fault == WRITE_FINE) return store_samples(w, s, &to);
    log_invalid(&l);
    w->invalid++;
    return OK;
}

static errc store_series(struct write_v1 *w, struct write_series *s)
{
    struct appendable *st = w->w.st;
    struct write_target to = { 0 };
    if (s->labels_raw.n && st->ops->lookup &&
        st->ops->lookup(st, s->labels_raw.p, s->labels_raw.n, &to.h))
        return store_samples(w, s, &to);
    struct arena_mark mark = arena_mark(&w->w.a);
    errc rc = store_new(w, s);
    arena_reset(&w->w.a, mark);
    return rc;
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

static errc store_all(struct write_v1 *w, str body)
{
    struct write_request r;
    struct write_series s;
    write_request_again(&r, body);
    for (bool more;;) {
        TRY(write_request_next(&r, &s, &more, w->w.e));
        if (!more) return write_flush(&w->w);
        TRY(store_series(w, &s));
    }
}

errc write_v1_store(struct appendable *st, str body, struct err *e)
{
    TRY(request_check(body, e));
    struct write_v1 *w = NEW(struct write_v1);
    errc rc = write_begin(&w->w, &v1_ops, st, e);
    if (rc == OK) {
        if (w->w.app->ops->all_or_nothing) w->w.app->ops->all_or_nothing(w->w.app);
        rc = store_all(w, body);
        bool commits = rc == OK;
        if (commits) {
            write_count_invalid(w->invalid);
            if (w->late_exemplars)
                LOG_LIMITED(WARN, 10000, "Error on ingesting out-of-order exemplars",
                    kv_u64("num_dropped", w->late_exemplars));
        }
        rc = write_end(&w->w, rc);
        /* as the reference counts them: those of a commit that failed */
        if (commits && rc != OK) write_count_without_metadata(w->appended);
    }
    if (rc == OK && w->limited != OK) {
        rc = w->limited;
        if (e) *e = w->limited_e;
    }
    mem_free(w);
    return rc;
}
