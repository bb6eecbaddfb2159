/* The way of a page: line_cache_next tells for each line whether it is known. Known lines only
 * carry a handle and a value and are collected into a batch of BATCH; new lines go the slow way
 * (labels, rules, limits, look-up) and are taught to the cache. Histograms, samples with a start
 * timestamp and those whose metadata changed go one by one, known or not.
 *
 * An exemplar is only stored if its sample was: those of lines in the batch wait for its verdict.
 */
#include "scrape/apply.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/utf8.h"
#include "scrape/family.h"
#include "scrape/resolution.h"

#include <stdlib.h>

enum { BATCH = 256, MAX_AHEAD_MS = 10 * 60 * 1000, SHOWN_RUNES = 50 };

COUNTER(m_sample_limit, "prometheus_target_scrapes_exceeded_sample_limit_total",
    "Total number of scrapes that hit the sample limit and were rejected.")
COUNTER(m_duplicate, "prometheus_target_scrapes_sample_duplicate_timestamp_total",
    "Total number of samples rejected due to duplicate timestamps but different values.")
COUNTER(m_out_of_order, "prometheus_target_scrapes_sample_out_of_order_total",
    "Total number of samples rejected due to not being out of the expected order.")
COUNTER(m_out_of_bounds, "prometheus_target_scrapes_sample_out_of_bounds_total",
    "Total number of samples rejected due to timestamp falling outside of the time bounds.")
COUNTER(m_flush_forced, "prometheus_target_scrapes_cache_flush_forced_total",
    "How many times a scrape cache was flushed due to getting big while scrapes are failing.")
COUNTER(m_exemplars, "prometheus_target_scrapes_exemplar_out_of_order_total",
    "Total number of exemplar rejected due to not being out of the expected order.")
COUNTER(m_buckets, "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
    "Total number of scrapes that hit the native histogram bucket limit and were rejected.")
COUNTER(m_label_limits, "prometheus_target_scrape_pool_exceeded_label_limits_total",
    "Total number of times scrape pools hit the label limits, during sync or config reload.")

typedef VEC(struct exemplar) exemplars;
struct waiting { size_t i; exemplars all; };   /* for the batch's i-th sample */

struct run {
    struct target *t;
    const struct scrape_config *c;
    struct appender *app;
    struct expo x;
    struct expo *again;                    /* reads lines once more; NULL: there were none */
    uint32_t parsed_types;                 /* x's own */
    struct arena a;                        /* labels of one line: reset after it */
    int32_t schema_max;                    /* of native histograms */
    struct family family;                  /* named last; kept where metadata are stored */
    int64_t t_ms, max_ms;
    uint64_t scraped, added, series_added, appended;
    uint64_t out_of_order, duplicates, out_of_bounds, late_exemplars;
    bool over_limit, over_buckets;
    bool half;                             /* the page failed on its way */
    struct err *e;
    size_t n;                              /* of the batch */
    series_handle h[BATCH];
    int64_t ts[BATCH];
    double v[BATCH];
    uint32_t line[BATCH];
    /* where the line starts, to read it again when its series was collected */
    size_t at[BATCH];
    uint8_t type[BATCH];
    uint8_t results[BATCH];
    str unit;                              /* of the batch's lines, where it is a label */
    struct expo_spot *spot;                /* protobuf: instead of at and type */
    VEC(struct waiting) waiting;
    struct arena waiting_arena;
};

/* The sample of a line that goes by itself. */
struct value { bool own; int64_t ts, st; double v; struct expo_histogram h; };

static size_t page_bytes(const struct scrape_page *page) { return page->taken + page->n; }

/* What a sample's code means for the scrape: counted and gone on, or the end of it. */
static errc take_result(struct run *r, errc rc)
{
    switch (rc) {
    case OK: return OK;
    case ERR_OUT_OF_ORDER: r->out_of_order++; return OK;
    case ERR_DUPLICATE: r->duplicates++; return OK;
    case ERR_OUT_OF_BOUNDS: r->out_of_bounds++; return OK;
    /* behind the window for late samples: as in the reference the page is not taken */
    case ERR_TOO_OLD: return err_set(r->e, rc, "%.*s", STR_ARG(sample_refusal(rc)));
    case ERR_UNAVAILABLE: return OK;           /* see series_of */
    default: return rc;
    }
}

/* ERR_UNAVAILABLE: there is no room for that series: it is left out, what is known goes on. */
static errc series_of(struct run *r, struct labels l, series_handle *h)
{
    struct err why = { 0 };
    errc rc = r->app->ops->series(r->app, l, h, &why);
    if (rc == OK) return OK;
    if (rc != ERR_LIMIT) return err_set(r->e, rc, "%s", why.msg);
    LOG_LIMITED(WARN, 10000, "A series was left out", kv_str("target", r->t->url), kv_err(&why));
    return ERR_UNAVAILABLE;
}

/* honor_labels: the target's labels fill what is missing. Else they win, and what the page said
 * moves to exported_<name>. */
static void add_target_labels(struct labels_builder *lb, struct labels page, const struct target *t,
    bool honor, struct arena *a)
{
    VEC(struct label) moved = { 0 };
    for (size_t i = 0; i < t->public_labels.n; i++) {
        struct label l = t->public_labels.at[i];
        if (honor) {
            if (!labels_has(page, l.name)) labels_builder_set(lb, l.name, l.value);
            continue;
        }
        str existing = labels_get(page, l.name);
        if (existing.n) avec_push(a, &moved, ((struct label){ l.name, existing }));
        labels_builder_set(lb, l.name, l.value);
    }
    for (size_t i = 1; i < moved.n; i++)                       /* short names first, stable */
        for (size_t k = i; k > 0 && moved.at[k - 1].name.n > moved.at[k].name.n; k--) {
            struct label l = moved.at[k];
            moved.at[k] = moved.at[k - 1];
            moved.at[k - 1] = l;
        }
    for (size_t i = 0; i < moved.n; i++) {
        str name = moved.at[i].name;
        do name = arena_fmt(a, "exported_%.*s", STR_ARG(name));
        while (labels_builder_get(lb, name).n);
        labels_builder_set(lb, name, moved.at[i].value);
    }
}

/* Go's %.50s. */
static str first_runes(str s)
{
    size_t at = 0;
    for (unsigned n = 0; n < SHOWN_RUNES && at < s.n; n++) {
        size_t width;
        (void)utf8_rune(str_from(s, at), &width);
        at += width;
    }
    return str_slice(s, 0, at);
}

static errc value_too_long(str metric, str name, str value, uint64_t limit, struct err *e)
{
    struct buf quoted = { 0 };
    buf_go_quote(&quoted, first_runes(value));
    err_set(e, ERR_LIMIT,
        "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %.*s, length: "
        "%zu, limit: %" PRIu64 ")",
        STR_ARG(metric), STR_ARG(name), STR_ARG(buf_view(&quoted)), value.n, limit);
    buf_fini(&quoted);
    return ERR_LIMIT;
}

static errc check_label_limits(const struct scrape_config *c, struct labels l, struct err *e)
{
    if (!c->label_limit && !c->label_name_length_limit && !c->label_value_length_limit) return OK;
    str metric = first_runes(labels_get(l, METRIC_NAME));
    if (c->label_limit && l.n > c->label_limit)
        return err_set(e, ERR_LIMIT,
            "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %" PRIu64 ")",
            STR_ARG(metric), l.n, c->label_limit);
    for (size_t i = 0; i < l.n; i++) {
        str name = first_runes(l.at[i].name);
        if (c->label_name_length_limit && l.at[i].name.n > c->label_name_length_limit)
            return err_set(e, ERR_LIMIT,
                "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, length: %zu, "
                "limit: %" PRIu64 ")",
                STR_ARG(metric), STR_ARG(name), l.at[i].name.n, c->label_name_length_limit);
        if (c->label_value_length_limit && l.at[i].value.n > c->label_value_length_limit)
            return value_too_long(metric, name, l.at[i].value, c->label_value_length_limit, e);
    }
    return OK;
}

static errc check_names(
    const struct scrape_config *c, struct labels l, struct arena *a, struct err *e)
{
    str metric = labels_get(l, METRIC_NAME);
    if (!metric.n) return err_set(e, ERR_BAD_INPUT, "missing metric name (__name__ label)");
    bool ok = c->legacy_names ? metric_name_valid_legacy(metric) : utf8_valid(metric);
    for (size_t i = 0; i < l.n && ok; i++)
        ok = (c->legacy_names ? label_name_valid_legacy(l.at[i].name)
                              : label_name_valid_utf8(l.at[i].name)) &&
             utf8_valid(l.at[i].value);
    if (ok) return OK;
    struct buf b;
    buf_init(&b, NULL, 0);
    buf_labels(&b, l);
    str text = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return err_set(e, ERR_BAD_INPUT, "invalid metric name or label names: %.*s", STR_ARG(text));
}

/* The labels under which the parser's series is stored; *keep false: rules dropped it. */
static errc line_labels(struct run *r, const struct expo *x, struct labels *out, bool *keep)
{
    struct labels page = expo_labels(x, &r->a);
    struct labels_builder lb;
    labels_builder_init(&lb, &r->a);
    labels_builder_from(&lb, page);
    add_target_labels(&lb, page, r->t, r->c->honor_labels, &r->a);
    *keep = relabel_apply(r->c->metric_relabel, &lb);
    if (!*keep) return OK;
    *out = labels_builder_done(&lb);
    *keep = out->n > 0;
    if (!*keep) return OK;
    TRY(check_names(r->c, *out, &r->a, r->e));
    errc rc = check_label_limits(r->c, *out, r->e);
    if (rc != OK) metric_inc(&m_label_limits);
    return rc;
}

static bool within_sample_limit(struct run *r)
{
    if (!r->c->sample_limit || ++r->appended <= r->c->sample_limit) return true;
    r->over_limit = true;
    return false;
}

/* Exemplars */

static int exemplar_cmp(const void *a, const void *b)
{
    const struct exemplar *x = a, *y = b;
    if (x->t != y->t) return x->t < y->t ? -1 : 1;
    if (x->v < y->v) return -1;
    return x->v > y->v ? 1 : labels_cmp(x->labels, y->labels);
}

static struct labels without_empty(struct labels l, struct arena *a)
{
    struct label *at = arena_array(a, l.n, sizeof(*at));
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++)
        if (l.at[i].value.n) at[n++] = l.at[i];
    return (struct labels){ at, n };
}

/* What the parser holds of the line; a time that they have not is the sample's. Those of
 * histograms have to have one. */
static exemplars line_exemplars(struct run *r, const struct line *l, int64_t ts, struct arena *a)
{
    exemplars all = { 0 };
    if (!l->has_exemplar || (!l->histogram && sample_is_stale(l->value))) return all;
    for (struct expo_exemplar x; expo_exemplar(&r->x, a, &x);) {
        if (!x.has_ts && l->histogram) continue;
        struct exemplar put = { without_empty(x.labels, a), x.value, x.has_ts ? x.ts : ts,
            x.has_ts };
        avec_push(a, &all, put);
    }
    if (all.n > 1) qsort(all.at, all.n, sizeof(*all.at), exemplar_cmp);
    return all;
}

/* They are late if all of them are: else some were there already. */
static void put_exemplars(struct run *r, series_handle h, const exemplars *all)
{
    size_t late = 0;
    for (size_t i = 0; i < all->n; i++)
        late += r->app->ops->exemplar(r->app, h, &all->at[i], NULL) == ERR_OUT_OF_ORDER;
    if (late == all->n) r->late_exemplars += late;
}

/* The batch */

/* A known line whose series was collected meanwhile: read again, found or made by its labels. */
static errc append_again(struct run *r, size_t i)
{
    if (!r->spot && r->at[i] == SIZE_MAX)
        return err_set(r->e, ERR_NOT_FOUND,
            "a series of the page before is gone: the next scrape finds it anew");
    if (!r->again) expo_again(r->again = NEW(struct expo), &r->x);
    struct expo *x = r->again;
    struct arena_mark mark = arena_mark(&r->a);
    enum expo_entry kind;
    struct labels labels;
    bool keep = false;
    if (!r->spot) expo_seek(x, r->at[i], (enum metric_type)r->type[i]);
    x->unit = r->unit;
    errc rc = r->spot ? expo_return(x, r->spot[i], r->e) : expo_next(x, &kind, r->e);
    if (rc == OK) rc = line_labels(r, x, &labels, &keep);
    if (rc == OK && keep) rc = series_of(r, labels, &r->h[i]);
    if (rc == OK && keep) rc = r->app->ops->append(r->app, r->h[i], r->ts[i], r->v[i], 0, r->e);
    if (rc == OK && keep) line_cache_learn(r->t->cache, r->line[i], r->h[i], false);
    arena_reset(&r->a, mark);
    return rc;
}

static errc batch_flush(struct run *r)
{
    size_t n = r->n;
    r->n = 0;
    if (!n) return OK;
    TRY(r->app->ops->append_batch(r->app, r->h, r->ts, r->v, n, r->results, NULL));
    for (size_t i = 0; i < n; i++) {
        errc rc = r->results[i];
        if (LIKELY(rc == OK)) continue;
        if (rc == ERR_NOT_FOUND) rc = append_again(r, i);
        if (rc != OK) line_cache_miss(r->t->cache, r->line[i]);
        errc ends = take_result(r, rc);
        if (ends != OK) {                      /* it is the last one looked at, and not added */
            r->scraped -= n - i - 1;
            r->added -= n - i;
            return ends;
        }
        r->results[i] = (uint8_t)rc;
    }
    if (LIKELY(!r->waiting.n)) return OK;
    for (size_t k = 0; k < r->waiting.n; k++) {
        const struct waiting *w = &r->waiting.at[k];
        if (r->results[w->i] == OK) put_exemplars(r, r->h[w->i], &w->all);
    }
    r->waiting.n = 0;
    arena_reset(&r->waiting_arena, (struct arena_mark){ 0 });
    return OK;
}

/* The unit that lines of the batch have as a label is told once for all of them. */
static errc batch_unit(struct run *r)
{
    if (LIKELY(!r->x.opts.type_and_unit_labels) || str_eq(r->unit, r->x.unit)) return OK;
    TRY(batch_flush(r));
    r->unit = r->x.unit;
    return OK;
}

static errc batch_put(struct run *r, const struct line *l, int64_t ts)
{
    TRY(batch_unit(r));
    size_t i = r->n++;
    r->h[i] = l->handle;
    r->ts[i] = ts;
    r->v[i] = l->value;
    r->line[i] = l->index;
    r->at[i] = l->at;
    r->type[i] = (uint8_t)l->type;
    if (r->spot) r->spot[i] = expo_spot(&r->x);
    if (UNLIKELY(l->has_exemplar)) {
        struct waiting w = { i, line_exemplars(r, l, ts, &r->waiting_arena) };
        if (w.all.n) vec_push(&r->waiting, w);
    }
    return r->n == BATCH ? batch_flush(r) : OK;
}

/* One by one */

/* The parser holds the line, and h is its series, unless that was collected. */
static errc put_value(struct run *r, series_handle h, const struct value *v)
{
    const struct appender_ops *ops = r->app->ops;
    if (!v->h.whole && !v->h.floats) return ops->append(r->app, h, v->ts, v->v, v->st, r->e);
    return ops->histogram(r->app, h, v->ts, v->st, v->h.whole, v->h.floats, r->e);
}

static errc no_histogram(struct run *r)
{
    struct labels labels = { 0 };
    struct buf text = { 0 };
    bool keep;
    TRY(line_labels(r, &r->x, &labels, &keep));
    buf_labels(&text, labels);
    err_set(r->e, ERR_BAD_INPUT,
        "parser returned nil histogram/float histogram for a histogram entry type for %.*s series; "
        "parser bug; aborting",
        STR_ARG(buf_view(&text)));
    buf_fini(&text);
    return ERR_BAD_INPUT;
}

/* *within false: a limit keeps the line out, and the page will fail. */
static errc line_value(struct run *r, const struct line *l, struct value *v, bool *within)
{
    v->v = l->value;
    v->h = (struct expo_histogram){ 0 };
    if (l->histogram) {
        v->h = expo_histogram(&r->x, &r->a);
        if (!v->h.whole && !v->h.floats) return no_histogram(r);
        errc rc = resolution_keep(
            &v->h, r->schema_max, r->c->histogram_bucket_limit, &r->a, r->e);
        r->over_buckets |= rc == ERR_LIMIT;
        *within = false;
        if (rc != OK) return rc == ERR_LIMIT ? OK : rc;
    }
    *within = within_sample_limit(r);
    return OK;
}

/* labels NULL: they are asked for if it takes them. *h 0: not known. *taken: the sample is
 * stored. */
static errc line_alone(struct run *r, const struct line *l, const struct labels *labels,
    struct value *v, series_handle *h, bool *taken)
{
    struct labels found;
    bool within, keep = true;
    *taken = false;
    TRY(line_value(r, l, v, &within));
    if (!within) return OK;
    if (v->own && v->ts > r->max_ms) return take_result(r, ERR_OUT_OF_BOUNDS);
    if (!labels && family_changed(&r->family)) {
        TRY(line_labels(r, &r->x, &found, &keep));
        labels = &found;
    }
    errc rc = *h ? put_value(r, *h, v) : ERR_NOT_FOUND;
    if (rc == ERR_NOT_FOUND) {
        if (!labels) TRY(line_labels(r, &r->x, &found, &keep));
        labels = labels ? labels : &found;
        rc = keep ? series_of(r, *labels, h) : OK;
        if (rc == OK && keep) rc = put_value(r, *h, v);
    }
    TRY(take_result(r, rc));
    if (rc != OK || !keep) return OK;
    *taken = true;
    exemplars all = line_exemplars(r, l, v->ts, &r->a);
    put_exemplars(r, *h, &all);
    if (labels) family_tell(&r->family, labels_get(*labels, METRIC_NAME), r->app, *h);
    return OK;
}

static int64_t line_time(const struct run *r, const struct line *l, bool *own)
{
    *own = l->has_ts && r->c->honor_timestamps;
    return *own ? l->ts : r->t_ms;
}

static int64_t line_start(struct run *r, const struct line *l)
{
    return r->c->features.start_times && l->parsed ? expo_start_ts(&r->x) : 0;
}

static errc known_alone(struct run *r, const struct line *l, struct value *v)
{
    series_handle h = l->handle;
    bool taken = false;
    struct arena_mark mark = arena_mark(&r->a);
    if (v->own) TRY(batch_flush(r));           /* what the page said of the series before */
    errc rc = line_alone(r, l, NULL, v, &h, &taken);
    arena_reset(&r->a, mark);
    if (!taken) line_cache_miss(r->t->cache, l->index);
    else if (h != l->handle) line_cache_learn(r->t->cache, l->index, h, false);
    return rc;
}

static errc known_line(struct run *r, const struct line *l)
{
    r->scraped++;
    if (l->dropped) return OK;
    r->added++;
    struct value v;
    v.ts = line_time(r, l, &v.own);
    if (l->again && !v.own) return take_result(r, ERR_DUPLICATE);
    v.st = line_start(r, l);
    if (UNLIKELY(l->histogram || v.st || family_changed(&r->family)))
        return known_alone(r, l, &v);
    bool within = LIKELY(r->c->sample_limit == 0) || within_sample_limit(r);
    bool ahead = v.own && v.ts > r->max_ms;
    if (!within || ahead) {
        line_cache_miss(r->t->cache, l->index);
        return take_result(r, within ? ERR_OUT_OF_BOUNDS : OK);
    }
    return batch_put(r, l, v.ts);
}

/* Lines that go on as last time, into the batch: those that were read ahead, or as many as there
 * are. A limit is counted line by line. */
static errc known_lines(struct run *r, struct line_ahead *ahead)
{
    if (UNLIKELY(r->c->sample_limit != 0)) return OK;
    TRY(batch_unit(r));
    struct line_run lines = {
        .cap = BATCH, .handle = r->h, .value = r->v, .index = r->line, .at = r->at, .type = r->type
    };
    for (;;) {
        lines.n = r->n;
        if (ahead) line_cache_take_ahead(r->t->cache, ahead, &lines);
        else line_cache_run(r->t->cache, &lines);
        size_t n = lines.n - r->n;
        for (size_t i = r->n; i < lines.n; i++) r->ts[i] = r->t_ms;
        r->n = lines.n;
        r->scraped += n;
        r->added += n;
        if (r->n < BATCH) return OK;
        TRY(batch_flush(r));
    }
}

static errc new_line(struct run *r, const struct line *l)
{
    r->scraped++;
    struct labels labels;
    struct value v;
    bool keep, taken = false;
    TRY(line_labels(r, &r->x, &labels, &keep));
    if (!keep) {
        line_cache_learn(r->t->cache, l->index, 0, true);
        return OK;
    }
    v.ts = line_time(r, l, &v.own);
    v.st = line_start(r, l);
    series_handle h = 0;
    TRY(line_alone(r, l, &labels, &v, &h, &taken));
    r->added++;                        /* of a line that ends the scrape nothing is counted */
    if (!taken) return OK;
    line_cache_learn(r->t->cache, l->index, h, false);
    r->series_added += !r->over_limit && !r->over_buckets;
    return OK;
}

static void meta_line(struct run *r, const struct line *l)
{
    const struct expo *x = &r->x;
    struct meta_cache *c = &r->t->meta;
    bool changed = false;
    line_cache_learn(r->t->cache, l->index, x->kind == EXPO_COMMENT ? 0 : hash_str(x->name), false);
    if (x->kind == EXPO_COMMENT) return;
    if (x->kind == EXPO_TYPE) changed = meta_cache_type(c, x->name, x->type);
    if (x->kind == EXPO_HELP) changed = meta_cache_help(c, x->name, expo_help(x, &r->a));
    if (x->kind == EXPO_UNIT) changed = meta_cache_unit(c, x->name, x->text);
    if (!r->c->features.metadata) return;
    family_named(&r->family, x->name, changed);
    /* so that the labels of its known series can be had */
    r->x.parsed_types = family_changed(&r->family) ? UINT32_MAX : r->parsed_types;
}

static errc append_lines(struct run *r, struct line_ahead *ahead)
{
    if (ahead) TRY(known_lines(r, ahead));
    for (;;) {
        struct line l;
        TRY(known_lines(r, NULL));
        TRY(line_cache_next(r->t->cache, &l, r->e));
        switch (l.kind) {
        case LINE_END: return batch_flush(r);
        case LINE_KNOWN: TRY(known_line(r, &l)); break;
        case LINE_META: meta_line(r, &l); break;
        case LINE_NEW: {
            struct arena_mark mark = arena_mark(&r->a);
            TRY(new_line(r, &l));
            arena_reset(&r->a, mark);
            break;
        }
        }
    }
}

static void append_stale(void *ctx, uint64_t handle)
{
    struct run *r = ctx;
    /* Out of order or a duplicate: the series goes on elsewhere. Not found: it was collected.
     * Neither needs a marker. */
    const struct appender_ops *ops = r->app->ops;
    /* never out of order: the target is back, and its series have newer samples */
    if (ops->refuse_late) ops->refuse_late(r->app, true);
    errc rc = ops->append(r->app, handle, r->t_ms, stale_nan(), 0, NULL);
    if (ops->refuse_late) ops->refuse_late(r->app, false);
    (void)rc;
}

static void warn_counts(const struct run *r)
{
    metric_add(&m_out_of_order, (double)r->out_of_order);
    metric_add(&m_duplicate, (double)r->duplicates);
    metric_add(&m_out_of_bounds, (double)r->out_of_bounds);
    metric_add(&m_exemplars, (double)r->late_exemplars);
    if (r->late_exemplars)
        LOG_LIMITED(WARN, 10000, "Error on ingesting out-of-order exemplars",
            kv_str("scrape_pool", r->c->job_name), kv_str("target", r->t->url),
            kv_u64("num_dropped", r->late_exemplars));
    str url = r->t->url;
    if (r->out_of_order)
        LOG_LIMITED(WARN, 10000, "Error on ingesting out-of-order samples",
            kv_str("scrape_pool", r->c->job_name), kv_str("target", url),
            kv_u64("num_dropped", r->out_of_order));
    if (r->duplicates)
        LOG_LIMITED(WARN, 10000,
            "Error on ingesting samples with different value but same timestamp",
            kv_str("scrape_pool", r->c->job_name), kv_str("target", url),
            kv_u64("num_dropped", r->duplicates));
    if (r->out_of_bounds)
        LOG_LIMITED(WARN, 10000,
            "Error on ingesting samples that are too old or are too far into the future",
            kv_str("scrape_pool", r->c->job_name), kv_str("target", url),
            kv_u64("num_dropped", r->out_of_bounds));
}

static void run_open(struct run *r, enum expo_format format, const struct scrape_page *page)
{
    const struct scrape_config *c = r->c;
    struct expo_opts opts = { .type_and_unit_labels = c->features.type_and_unit_labels,
        .skip_created = c->features.start_times,
        .ignore_native = !r->t->native_histograms,
        .keep_classic = r->t->classic_histograms,
        .convert_classic = r->t->convert_histograms };
    expo_init(&r->x, format, page->body, page->n, &opts);
    r->parsed_types = r->x.parsed_types;
    arena_init(&r->a, NULL, 0);
    if (format == EXPO_PROTOBUF) r->spot = mem_zalloc(BATCH * sizeof(*r->spot));
    r->schema_max = resolution_schema(c->histogram_min_bucket_factor);
    family_init(&r->family, &r->t->meta);
    if (c->features.metadata) line_cache_tell_comments(r->t->cache);
}

static void run_close(struct run *r)
{
    if (r->again) expo_fini(r->again);
    mem_free(r->again);
    mem_free(r->spot);
    vec_fini(&r->waiting);
    arena_fini(&r->waiting_arena);
    family_fini(&r->family);
    arena_fini(&r->a);
    expo_fini(&r->x);
}

/* The page's series into r->app. On failure the cache stays open (r->half): the caller rolls both
 * back. */
static errc append_page(struct run *r, const struct scrape_page *page)
{
    enum expo_format format;
    bool warn = false;
    str fallback = r->c->has_fallback ? scrape_protocol_media_type(r->c->fallback) : STR_EMPTY;
    TRY(expo_format_of(page->content_type, fallback, &format, &warn, r->e));
    run_open(r, format, page);
    line_cache_begin(
        r->t->cache, &r->x, r->c->track_timestamps_staleness || !r->c->honor_timestamps);
    errc rc = append_lines(r, page->ahead);
    if (r->over_limit) metric_inc(&m_sample_limit);
    if (r->over_buckets) metric_inc(&m_buckets);
    if (rc == OK && r->over_limit) rc = err_set(r->e, ERR_LIMIT, "sample limit exceeded");
    if (rc == OK && r->over_buckets)
        rc = err_set(r->e, ERR_LIMIT, "histogram bucket limit exceeded");
    if (rc == OK) line_cache_commit(r->t->cache, append_stale, r);
    else r->half = true;
    warn_counts(r);
    run_close(r);
    return rc;
}

/* Nothing to begin a batch with: no marker can be stored. */
static void not_told(void *ctx, uint64_t handle)
{
    (void)ctx;
    (void)handle;
}

/* What the target had and has no more is marked stale. Of a page that failed on its way, the lines
 * before that are what it has. */
static void mark_gone(struct run *r, bool begun)
{
    line_gone tell = begun ? append_stale : not_told;
    if (!r->half) {
        if (begun) line_cache_gone_all(r->t->cache, tell, r);
    } else if (line_cache_rollback(r->t->cache, tell, r)) {
        metric_inc(&m_flush_forced);
    }
}

/* The target's labels. As in Prometheus, one that is named like another's exported_ form goes when
 * the other is set. */
static struct labels report_labels(const struct target *t, enum report which, struct arena *a)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    for (size_t i = 0; i < t->public_labels.n; i++) {
        struct label l = t->public_labels.at[i];
        labels_builder_set(&lb, arena_fmt(a, "exported_%.*s", STR_ARG(l.name)), STR_EMPTY);
        labels_builder_set(&lb, l.name, l.value);
    }
    labels_builder_set(&lb, METRIC_NAME, report_name(which));
    return labels_builder_done(&lb);
}

static void report_one(struct run *r, enum report which, double v)
{
    struct target *t = r->t;
    errc rc = ERR_NOT_FOUND;
    if (t->reports[which]) rc = r->app->ops->append(r->app, t->reports[which], r->t_ms, v, 0, NULL);
    if (rc != ERR_NOT_FOUND) return;
    struct arena a;
    arena_init(&a, NULL, 0);
    struct err e = { 0 };
    struct labels labels = report_labels(t, which, &a);
    rc = r->app->ops->series(r->app, labels, &t->reports[which], &e);
    if (rc == OK) rc = r->app->ops->append(r->app, t->reports[which], r->t_ms, v, 0, &e);
    if (rc == OK && r->c->features.metadata)
        (void)r->app->ops->metadata(r->app, t->reports[which], report_metadata(which), NULL);
    if (rc != OK && rc != ERR_OUT_OF_ORDER && rc != ERR_DUPLICATE)
        LOG_LIMITED(
            WARN, 10000, "Appending scrape report failed", kv_str("target", t->url), kv_err(&e));
    arena_fini(&a);
}

static void report_all(struct run *r, const struct scrape_page *page, double duration_s, bool up)
{
    report_one(r, REPORT_UP, up ? 1 : 0);
    report_one(r, REPORT_DURATION, duration_s);
    report_one(r, REPORT_SAMPLES, (double)r->scraped);
    report_one(r, REPORT_POST_RELABEL, (double)r->added);
    report_one(r, REPORT_ADDED, (double)r->series_added);
    if (!r->c->extra_scrape_metrics) return;
    report_one(r, REPORT_TIMEOUT, (double)r->t->timeout_ms / 1000);
    report_one(r, REPORT_SAMPLE_LIMIT, (double)r->c->sample_limit);
    report_one(r, REPORT_BODY_SIZE,
        page->too_large ? -1
        : page->failed  ? 0
                        : (double)page_bytes(page));
}

static void family_stays(void *ctx, uint64_t name_hash)
{
    struct target *t = ctx;
    if (!meta_cache_stays(&t->meta, name_hash)) line_cache_tell_comments(t->cache);
}

/* A page ended; whole: it was taken. Comments that stay as they are are not read: now and then it
 * is told which families they name. */
static void metadata_stays(struct target *t, bool whole)
{
    enum { EVERY = 4 };
    _Static_assert(META_KEPT > 2 * EVERY, "what stays on the page is heard of in time");
    if (++t->pages_unsaid < EVERY || !whole) return;
    t->pages_unsaid = 0;
    line_cache_comments(t->cache, family_stays, t);
}

static struct run *run_new(struct target *t, int64_t t_ms, struct err *e)
{
    struct run *r = NEW(struct run);
    r->t = t;
    r->c = t->config;
    r->t_ms = t_ms;
    r->max_ms = clock_wall_ms() + MAX_AHEAD_MS;
    r->e = e;
    return r;
}

void scrape_apply(struct target *t, struct appendable *st, const struct scrape_page *page,
    int64_t start_mono_ns, struct scrape_outcome *out)
{
    *out = (struct scrape_outcome){ 0 };
    struct run *r = run_new(t, page->t_ms, &out->e);
    struct err begin_err = { 0 };
    if (page->failed) {
        out->e = *page->failed;
        out->rc = page->failed->code ? page->failed->code : ERR_IO;
    }
    errc rc = st->ops->begin(st, &r->app, &begin_err);
    if (rc == OK && !page->failed && page_bytes(page)) {
        out->rc = append_page(r, page);
        if (out->rc != OK) {
            r->app->ops->rollback(STEAL(r->app));
            rc = st->ops->begin(st, &r->app, &begin_err);
        }
    }
    bool stale = page->failed || !page_bytes(page) || out->rc != OK;
    /* none of the next page's comments may be passed over while it comes */
    if (t->config->features.metadata) line_cache_tell_comments(t->cache);
    metadata_stays(t, !stale);
    meta_cache_page(&t->meta, !stale);
    double duration_s = (double)(clock_mono_ns() - start_mono_ns) / 1e9;
    if (stale) mark_gone(r, rc == OK);
    if (rc == OK) {
        report_all(r, page, duration_s, out->rc == OK);
        rc = r->app->ops->commit(STEAL(r->app), &begin_err);
    }
    if (rc != OK) {
        LOG_LIMITED(
            ERROR, 10000, "Scrape commit failed", kv_str("target", t->url), kv_err(&begin_err));
        if (out->rc == OK) out->e = begin_err;
        out->rc = out->rc == OK ? rc : out->rc;
    }
    out->scraped = r->scraped;
    out->added = r->added;
    out->series_added = r->series_added;
    target_show(t, page->t_ms * 1000000, duration_s, out->rc == OK ? NULL : &out->e);
    mem_free(r);
}

void scrape_end(struct target *t, struct appendable *st, int64_t t_ms)
{
    struct err e = { 0 };
    struct run *r = run_new(t, t_ms, &e);
    errc rc = st->ops->begin(st, &r->app, &e);
    if (rc == OK) {
        line_cache_gone_all(t->cache, append_stale, r);
        for (int which = 0; which < REPORTS; which++)
            if (t->reports[which]) append_stale(r, t->reports[which]);
        rc = r->app->ops->commit(STEAL(r->app), &e);
    }
    if (rc != OK)
        LOG_LIMITED(WARN, 10000, "Stale commit failed", kv_str("target", t->url), kv_err(&e));
    mem_free(r);
}
