/* Remote write 2.0. What is good of a request is kept, and all that is not is told, one a line, in
 * the order of the message. Only what would be tried again with success ends a request whole. */
#include "api/write.h"

#include "base/log.h"
#include "ingest/remote_write2.h"

enum { KEY_MAX_BYTES = 64 << 10, KEY_FIRST_BYTES = 1 << 10, MORE_MAX_BYTES = 64 };

struct write_v2 {
    struct write w;
    struct write2_request r;
    struct write_v2_opts o;
    struct write_v2_stats *stats;
    struct buf key;
    struct buf *words;
    size_t said_at, unsaid;                    /* where the line began; lines without room */
    bool bad;
    uint64_t invalid, late_exemplars, refused;
};

/* ---- saying what is wrong */

static struct buf *say_begin(struct write_v2 *w)
{
    w->said_at = w->words->n;
    if (w->bad) buf_u8(w->words, '\n');
    w->bad = true;
    return w->words;
}

static void say_end(struct write_v2 *w)
{
    if (buf_ok(w->words)) return;
    w->words->n = w->said_at;
    w->words->bad = false;
    w->unsaid++;
}

static void say_unsaid(struct write_v2 *w)
{
    if (!w->unsaid) return;
    if (w->words->limit) w->words->limit += MORE_MAX_BYTES;
    buf_fmt(w->words, "\nand %zu more", w->unsaid);
}

/* The labels of a message that may be an earlier one; the one at hand is not touched. */
static bool labels_of(struct write_v2 *w, str message, struct labels *out)
{
    struct write2_request r = w->r;
    struct write2_series s;
    struct write_labels l;
    r.refs = (write2_refs){ 0 };
    write2_series_again(&r, message, &s);
    if (write2_series_labels(&r, &s, w->o.typed, &l, NULL) != OK) return false;
    *out = l.all;
    return true;
}

/* "before{labels}" */
static void say_series(struct write_v2 *w, str before, str message)
{
    struct arena_mark mark = arena_mark(&w->w.a);
    struct labels l;
    struct buf *b = say_begin(w);
    buf_str(b, before);
    if (labels_of(w, message, &l)) buf_labels(b, l);
    say_end(w);
    arena_reset(&w->w.a, mark);
}

static void say_for_series(struct write_v2 *w, const struct err *why, str message)
{
    struct buf before = { 0 };
    buf_str(&before, err_str(why));
    buf_str(&before, S(" for series "));
    say_series(w, buf_view(&before), message);
    buf_fini(&before);
}

/* "parsing labels for series [1 2]: words" */
static void say_references(
    struct write_v2 *w, str what, const struct write2_series *s, const struct err *why)
{
    struct buf *b = say_begin(w);
    buf_fmt(b, "parsing %.*s for series ", STR_ARG(what));
    write2_refs_text(b, s->refs, s->n_refs);
    buf_fmt(b, ": %.*s", STR_ARG(err_str(why)));
    say_end(w);
}

/* ---- the series */

static errc say_fault(
    struct write_v2 *w, const struct write2_series *s, const struct write_labels *l)
{
    struct buf *b = say_begin(w);
    if (l->fault == WRITE_INVALID) {
        buf_str(b, S("invalid metric name or labels, got "));
        buf_labels(b, l->all);
    } else {
        buf_str(b, S("invalid labels for series, labels "));
        buf_labels(b, l->all);
        buf_str(b, S(", duplicated label "));
        buf_str(b, l->twice);
    }
    say_end(w);
    w->invalid += s->n_samples + s->n_histograms;
    return ERR_BAD_INPUT;
}

static errc say_empty(struct write_v2 *w, const struct write2_series *s)
{
    if (s->n_samples || s->n_histograms) return OK;
    say_series(
        w, S("TimeSeries must contain at least one sample or histogram for series "), s->message);
    return ERR_BAD_INPUT;
}

static errc check_metadata(
    struct write_v2 *w, const struct write2_series *s, struct metadata *m)
{
    struct err why = { 0 };
    errc rc = write2_series_metadata(&w->r, s, m, &why);
    if (rc == OK) return OK;
    TRY(write_flush(&w->w));                   /* its words come before these */
    say_references(w, S("metadata"), s, &why);
    return rc;
}

/* Of a series that the look-up does not know. ERR_BAD_INPUT: it is said why not. */
static errc target_new(struct write_v2 *w, const struct write2_series *s, struct metadata *m,
    struct write_target *to)
{
    struct write_labels l;
    struct err why = { 0 };
    errc rc = write2_series_labels(&w->r, s, w->o.typed, &l, &why);
    if (rc != OK) {
        say_references(w, S("labels"), s, &why);
        w->invalid += s->n_samples + s->n_histograms;
        return rc;
    }
    TRY(check_metadata(w, s, m));
    if (l.fault != WRITE_FINE) return say_fault(w, s, &l);
    TRY(say_empty(w, s));
    to->labels = l.kept;
    return OK;
}

/* ERR_BAD_INPUT: nothing can be put, and it is said why. */
static errc target_of(struct write_v2 *w, const struct write2_series *s, struct metadata *m,
    struct write_target *to)
{
    struct appendable *st = w->w.st;
    *to = (struct write_target){ 0 };
    if (write2_series_key(&w->r, s, w->o.typed, &w->key)) to->key = buf_view(&w->key);
    bool known = to->key.n && st->ops->lookup &&
                 st->ops->lookup(st, to->key.p, to->key.n, &to->h);
    /* words come behind those of the samples before them */
    if (UNLIKELY(!known || (!s->n_samples && !s->n_histograms))) TRY(write_flush(&w->w));
    if (!known) return target_new(w, s, m, to);
    TRY(check_metadata(w, s, m));
    return say_empty(w, s);
}

static errc v2_series_again(struct write *base, str message, series_handle *h)
{
    struct write_v2 *w = CONTAINER_OF(base, struct write_v2, w);
    struct arena_mark mark = arena_mark(&base->a);
    struct labels l;
    errc rc = ERR_NOT_FOUND;
    if (labels_of(w, message, &l)) {
        struct label *at = arena_array(&base->a, l.n, sizeof(*at));
        memcpy(at, l.at, l.n * sizeof(*at));
        struct labels kept = write_labels_of(&base->a, at, l.n).kept;
        rc = base->app->ops->series(base->app, kept, h, base->e);
    }
    arena_reset(&base->a, mark);
    return rc;
}

static errc v2_refused(struct write *base, str message, int64_t t, errc rc, const struct err *why)
{
    struct write_v2 *w = CONTAINER_OF(base, struct write_v2, w);
    if (!write_is_refusal(rc)) {
        if (base->e) *base->e = *why;
        return rc;
    }
    w->refused++;
    struct arena_mark mark = arena_mark(&base->a);
    struct labels l;
    if (labels_of(w, message, &l)) write_log_refused(l, t, why);
    arena_reset(&base->a, mark);
    say_for_series(w, why, message);
    return OK;
}

static const struct write_ops v2_ops = { .series_again = v2_series_again, .refused = v2_refused };

/* ---- what it holds */

/* With its start timestamp: one by one, behind those that wait. */
static errc put_started(
    struct write *w, struct write_target *to, str message, const struct write2_sample *x)
{
    struct err why = { 0 };
    TRY(write_flush(w));
    errc rc = write_admit(w, to, x->t, &why);
    if (rc == OK) rc = w->app->ops->append(w->app, to->h, x->t, x->v, x->st, &why);
    if (rc == ERR_NOT_FOUND) {
        TRY(w->ops->series_again(w, message, &to->h));
        rc = w->app->ops->append(w->app, to->h, x->t, x->v, x->st, &why);
    }
    if (rc != OK) return w->ops->refused(w, message, x->t, rc, &why);
    w->taken++;
    return OK;
}

static errc put_floats(struct write_v2 *w, struct write2_series *s, struct write_target *to)
{
    for (struct write2_sample x; write2_series_sample(s, &x);) {
        if (w->o.start_times && x.st && x.t) TRY(put_started(&w->w, to, s->message, &x));
        else TRY(write_float(&w->w, to, s->message, x.t, x.v));
    }
    return OK;
}

static errc put_histogram(
    struct write_v2 *w, const struct write2_series *s, struct write_target *to, str message)
{
    struct pb_histogram x;
    TRY(pb_histogram_decode(&x, message, &w->w.a, w->w.e));
    if (!w->o.start_times || !x.t) x.st = 0;
    uint64_t refused = w->refused;
    TRY(write_histogram(&w->w, to, s->message, &x));
    w->stats->histograms += w->refused == refused;
    return OK;
}

/* Floats before them are in the appender, so that it knows their order. */
static errc put_histograms(
    struct write_v2 *w, const struct write2_series *s, struct write_target *to)
{
    cursor c = cur_of(s->message);
    TRY(write_flush(&w->w));
    for (str message; write2_series_other(&c, WRITE2_HISTOGRAM, &message);) {
        struct arena_mark mark = arena_mark(&w->w.a);
        errc rc = put_histogram(w, s, to, message);
        arena_reset(&w->w.a, mark);
        TRY(rc);
    }
    return OK;
}

static errc put_exemplar(
    struct write_v2 *w, const struct write2_series *s, series_handle h, str message)
{
    struct exemplar x;
    struct err why = { 0 };
    errc rc = write2_exemplar(&w->r, message, &x, &why);
    if (rc != OK) {
        TRY(write_flush(&w->w));
        struct buf *b = say_begin(w);
        struct labels l;
        buf_str(b, S("parsing exemplar for series "));
        if (labels_of(w, s->message, &l)) buf_labels(b, l);
        buf_fmt(b, ": %.*s", STR_ARG(err_str(&why)));
        say_end(w);
        return OK;
    }
    rc = h ? write_too_far(&w->w, x.t, &why) : err_set(&why, ERR_NOT_FOUND, "unknown series");
    if (rc == OK) rc = w->w.app->ops->exemplar(w->w.app, h, &x, &why);
    if (rc == OK) {
        w->stats->exemplars++;
    } else if (rc == ERR_OUT_OF_ORDER) {
        TRY(write_flush(&w->w));
        w->late_exemplars++;
        say_for_series(w, &why, s->message);
    } else {
        LOG_LIMITED(WARN, 10000, "failed to ingest exemplar", kv_err(&why));
    }
    return OK;
}

static errc put_exemplars(struct write_v2 *w, const struct write2_series *s, series_handle h)
{
    cursor c = cur_of(s->message);
    for (str message; write2_series_other(&c, WRITE2_EXEMPLAR, &message);) {
        struct arena_mark mark = arena_mark(&w->w.a);
        errc rc = put_exemplar(w, s, h, message);
        arena_reset(&w->w.a, mark);
        TRY(rc);
    }
    return OK;
}

static errc put_series(struct write_v2 *w, struct write2_series *s)
{
    struct metadata m;
    struct write_target to;
    errc rc = target_of(w, s, &m, &to);
    if (rc == ERR_BAD_INPUT) return OK;
    TRY(rc);
    TRY(put_floats(w, s, &to));
    if (s->n_histograms) TRY(put_histograms(w, s, &to));
    bool there = (!s->n_exemplars && !w->o.metadata) || write_target_is_there(&w->w, &to);
    if (s->n_exemplars) TRY(put_exemplars(w, s, to.h));
    if (!w->o.metadata || !there) return OK;
    rc = w->w.app->ops->metadata(w->w.app, to.h, &m, NULL);
    return rc == ERR_NOT_FOUND ? OK : rc;
}

static errc store_series(struct write_v2 *w, struct write2_series *s)
{
    struct arena_mark mark = arena_mark(&w->w.a);
    errc rc = put_series(w, s);
    arena_reset(&w->w.a, mark);
    return rc;
}

static errc store_all(struct write_v2 *w)
{
    for (struct write2_series s; write2_request_next(&w->r, &s);) TRY(store_series(w, &s));
    TRY(write_flush(&w->w));
    w->stats->samples = w->w.taken;
    say_unsaid(w);
    write_count_invalid(w->invalid);
    if (w->late_exemplars)
        LOG_LIMITED(WARN, 10000, "Error on ingesting out-of-order exemplars",
            kv_u64("num_dropped", w->late_exemplars));
    return OK;
}

errc write_v2_store(struct appendable *st, str body, const struct write_v2_opts *o,
    struct write_v2_stats *stats, struct buf *words, struct err *e)
{
    struct write_v2 *w = NEW(struct write_v2);
    w->o = *o;
    w->stats = stats;
    w->words = words;
    *stats = (struct write_v2_stats){ 0 };
    buf_init(&w->key, &api_write_account, KEY_MAX_BYTES);
    buf_grow(&w->key, KEY_FIRST_BYTES);
    errc rc = write_begin(&w->w, &v2_ops, st, e);
    if (rc == OK) {
        rc = write2_request_read(&w->r, body, &w->w.a, e);
        if (rc == OK) rc = store_all(w);
        rc = write_end(&w->w, rc);
        if (rc == OK && w->bad) rc = ERR_BAD_INPUT;
        else if (rc != OK) *stats = (struct write_v2_stats){ 0 };
    }
    buf_fini(&w->key);
    mem_free(w);
    return rc;
}
