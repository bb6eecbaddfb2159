#include "api/write.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

COUNTER(m_invalid_labels, "prometheus_api_remote_write_invalid_labels_samples_total",
    "The total number of received remote write samples and histogram samples which were rejected "
    "due to invalid labels.")
COUNTER(m_no_metadata, "prometheus_api_remote_write_without_metadata_appended_samples_total",
    "The total number of received remote write samples (and histogram samples) which were ingested "
    "without corresponding metadata.")
ACCOUNT(api_write_account, "remote_write_requests")

errc write_begin(
    struct write *w, const struct write_ops *ops, struct appendable *st, struct err *e)
{
    w->ops = ops;
    w->st = st;
    w->e = e;
    w->max_ms = clock_wall_ms() + WRITE_MAX_AHEAD_MS;
    w->taken = 0;
    w->n = 0;
    arena_init(&w->a, &api_write_account, 0);
    errc rc = st->ops->begin(st, &w->app, e);
    if (rc != OK) arena_fini(&w->a);
    return rc;
}

errc write_end(struct write *w, errc rc)
{
    if (rc == OK) rc = w->app->ops->commit(w->app, w->e);
    else w->app->ops->rollback(w->app);
    arena_fini(&w->a);
    return rc;
}

/* One of the batch that is not OK. why: its words, NULL: they went to another. */
static errc flush_again(struct write *w, size_t i, const struct err *why)
{
    errc rc = (errc)w->results[i];
    struct err own = { 0 };
    str words = sample_refusal(rc);
    if (rc == ERR_NOT_FOUND) {
        TRY(w->ops->series_again(w, w->message[i], &w->h[i]));
        rc = w->app->ops->append(w->app, w->h[i], w->t[i], w->v[i], 0, &own);
        why = &own;
    } else if (!why && words.n) {
        (void)err_set(&own, rc, "%.*s", STR_ARG(words));
        why = &own;
    } else if (!why) {
        rc = w->app->ops->append(w->app, w->h[i], w->t[i], w->v[i], 0, &own);
        why = &own;
    }
    if (rc != OK) return w->ops->refused(w, w->message[i], w->t[i], rc, why);
    w->taken++;
    return OK;
}

errc write_flush(struct write *w)
{
    size_t n = w->n;
    struct err why = { 0 };
    w->n = 0;
    if (!n) return OK;
    errc rc = w->app->ops->append_batch(w->app, w->h, w->t, w->v, n, w->results, &why);
    if (rc != OK) {
        if (w->e) *w->e = why;
        return rc;
    }
    bool told = false;
    for (size_t i = 0; i < n; i++) {
        if (LIKELY(w->results[i] == OK)) {
            w->taken++;
            continue;
        }
        TRY(flush_again(w, i, told ? NULL : &why));
        told = true;
    }
    return OK;
}

errc write_refuse(struct write *w, str message, int64_t t, errc rc, const struct err *why)
{
    TRY(write_flush(w));
    return w->ops->refused(w, message, t, rc, why);
}

errc write_too_far(const struct write *w, int64_t t, struct err *e)
{
    if (t <= w->max_ms) return OK;
    return err_set(e, ERR_OUT_OF_BOUNDS, "%.*s: timestamp is too far in the future",
        STR_ARG(sample_refusal(ERR_OUT_OF_BOUNDS)));
}

static errc make(struct write *w, struct write_target *to, struct err *e)
{
    TRY(w->app->ops->series(w->app, to->labels, &to->h, e));
    if (to->key.n && w->st->ops->teach) w->st->ops->teach(w->st, to->key.p, to->key.n, to->h);
    return OK;
}

bool write_target_is_there(struct write *w, struct write_target *to)
{
    if (to->h) return true;
    return w->app->ops->find && w->app->ops->find(w->app, to->labels, &to->h);
}

static errc admit(struct write *w, int64_t t, bool histogram, struct err *e)
{
    return w->app->ops->admits ? w->app->ops->admits(w->app, t, histogram, e) : OK;
}

errc write_admit(struct write *w, struct write_target *to, int64_t t, struct err *e)
{
    TRY(write_too_far(w, t, e));
    if (to->h) return OK;
    TRY(admit(w, t, false, e));
    return make(w, to, e);
}

errc write_float_slow(struct write *w, struct write_target *to, str message, int64_t t, double v)
{
    struct err why = { 0 };
    errc rc = write_admit(w, to, t, &why);
    return rc == OK ? write_float(w, to, message, t, v) : write_refuse(w, message, t, rc, &why);
}

static errc reduce(struct write *w, struct pb_histogram *x, struct err *e)
{
    if (x->whole && histogram_schema_is_reserved(x->whole->schema)) {
        TRY(int_histogram_reducible(x->whole, e));
        x->whole = int_histogram_copy_to_schema(&w->a, x->whole, HISTOGRAM_SCHEMA_MAX);
    }
    if (x->floats && histogram_schema_is_reserved(x->floats->schema)) {
        enum reset_hint hint = x->floats->hint;
        TRY(histogram_reducible(x->floats, e));
        x->floats = histogram_copy_to_schema(&w->a, x->floats, HISTOGRAM_SCHEMA_MAX);
        x->floats->hint = hint;
    }
    return OK;
}

static errc put_histogram(
    struct write *w, struct write_target *to, const struct pb_histogram *x, struct err *e)
{
    if (!to->h) {
        TRY(admit(w, x->t, true, e));
        TRY(x->whole ? int_histogram_validate(x->whole, e) : histogram_validate(x->floats, e));
        TRY(make(w, to, e));
    }
    return w->app->ops->histogram(w->app, to->h, x->t, x->st, x->whole, x->floats, e);
}

errc write_histogram(
    struct write *w, struct write_target *to, str message, struct pb_histogram *x)
{
    struct err why = { 0 };
    assert(!w->n);
    errc rc = write_too_far(w, x->t, &why);
    if (rc == OK) rc = reduce(w, x, &why);
    if (rc == OK) rc = put_histogram(w, to, x, &why);
    if (rc == ERR_NOT_FOUND) {
        TRY(w->ops->series_again(w, message, &to->h));
        rc = put_histogram(w, to, x, &why);
    }
    return rc == OK ? OK : w->ops->refused(w, message, x->t, rc, &why);
}

void write_log_refused(struct labels series, int64_t t, const struct err *why)
{
    struct buf b;
    buf_init(&b, NULL, 4096);
    buf_labels(&b, series);
    LOG_LIMITED(WARN, 10000, "Out of order sample from remote write", kv_err(why),
        kv_str("series", buf_ok(&b) ? buf_view(&b) : S("…")), kv_i64("timestamp", t));
    buf_fini(&b);
}

void write_count_invalid(uint64_t n) { metric_add(&m_invalid_labels, (double)n); }
void write_count_without_metadata(uint64_t n) { metric_add(&m_no_metadata, (double)n); }
