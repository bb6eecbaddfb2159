/* appender.c — one scrape or one write request on its way into the head.
 *
 *     append   check against the series as it is (that answers the caller), keep {slot, t, v}, and
 *              what is no plain float in a batch beside it; while there is none, the floats are
 *              encoded for the log and compressed as they come, for what that needs is in the cache
 *     commit   encode and log: one batch, in the caller's thread; a failure ends here and
 *              nothing was changed
 *              wait for those that lie before it in the log and may have samples of the same
 *              series: what was taken and what was refused is then what a replay takes and refuses
 *              take an append id
 *              apply in the order of appending: lock the slot, check again, append, note the id,
 *              unlock
 *              give the id back: from here on the batch is seen, as a whole
 *              what turned out to be too late for that, but within the window for late samples,
 *              goes the way of ooo_commit; if that fails, so does the commit, and what was in order
 *              stays: who tries again finds it there
 *
 * What costs is memory that is not in a cache: slots are fetched PREFETCH_SLOT samples ahead, the
 * cell that takes the value PREFETCH_CELL ahead. A page's series have neighbouring slots, so most
 * of it is one stream.
 */
#include "head/batch_log.h"
#include "head/byte_chunk.h"
#include "head/exemplars.h"
#include "base/waits.h"
#include "head/head_impl.h"
#include "head/ooo_commit.h"
#include "wal/wal.h"

ACCOUNT(appenders_account, "appenders")

COUNTER(appenders_created, "prometheus_tsdb_head_appenders_created_total",
    "Total number of appender transactions created.")
COUNTER_VEC(samples_appended, "prometheus_tsdb_head_samples_appended_total",
    "Total number of appended samples.", "type")
COUNTER_VEC(out_of_bounds, "prometheus_tsdb_out_of_bound_samples_total",
    "Total number of out of bound samples ingestion failed attempts with out of order support "
    "disabled.",
    "type")
COUNTER_VEC(out_of_order, "prometheus_tsdb_out_of_order_samples_total",
    "Total number of out of order samples ingestion failed attempts due to out of order being "
    "disabled.",
    "type")
COUNTER_VEC(too_old, "prometheus_tsdb_too_old_samples_total",
    "Total number of out of order samples ingestion failed attempts with out of support enabled, "
    "but sample outside of time window.",
    "type")
COUNTER_VEC(late_appended, "prometheus_tsdb_head_out_of_order_samples_appended_total",
    "Total number of appended out of order samples.", "type")
static const double late_bounds[] = { 600, 1800, 3600, 7200, 10800, 21600, 43200 };
static const double wait_bounds[] = { .000001, .00001, .0001, .001, .005, .01, .025, .05, .1, 1 };
HISTOGRAM(append_waits, "epimetheus_append_wait_seconds",
    "Time that an append, from its beginning to its commit, waited for locks, queues and turns.",
    wait_bounds)
HISTOGRAM(late_by, "prometheus_tsdb_sample_ooo_delta",
    "Delta in seconds by which a sample is considered out of order (reported regardless of OOO "
    "time window and whether sample is accepted or not).",
    late_bounds)

/* All that an appender counts is there from the start, at 0. */
__attribute__((constructor)) static void appender_metrics_begin(void)
{
    struct metric_family *all[] = { &samples_appended, &out_of_bounds, &out_of_order, &too_old,
        &late_appended };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        (void)METRIC_WITH(all[i], S("float"));
        (void)METRIC_WITH(all[i], S("histogram"));
    }
}

enum {
    PREFETCH_SLOT = 16,
    PREFETCH_CELL = 6,
    EARLY_SAMPLES = 256, /* fewer are encoded at the commit */
    /* appenders kept for the next commit, and how large */
    IDLE_MAX = 8,
    IDLE_PENDING_MAX = 1 << 17
};

struct head_appender {
    struct appender base;
    struct head *head;
    struct head_appender *prev, *next; /* ring of the active; next alone: the idle */
    uint64_t seq;
    int64_t min_valid;
    int64_t head_maxt, window_ms; /* of late samples; window_ms 0: none are taken */
    bool refuse_late;             /* asked for by who appends, this and the next */
    bool all_or_nothing;
    /* min_valid is set: the head had a time when this began, or got one */
    bool timed;
    VEC(struct pending) pending;
    ooo_puts late;     /* those of pending that are late, at the commit */
    struct batch more;      /* what is no plain float */
    struct float_log early; /* of pending; to NULL: none are encoded */
    /* In the log: greater than that of what lies before it; 0: not there yet. The slots that it
     * may change are const from then on. */
    _Atomic uint64_t place;
    uint32_t first_slot, last_slot;
    size_t charged;    /* bytes of pending on the account */
    const struct waits *waits; /* of the thread that began */
    int64_t waited_ns;         /* what it had waited by then */
    struct open_ctx ctx;
};

/* Beginning and ending. */

static void appender_charge(struct head_appender *a)
{
    size_t now = a->pending.cap * sizeof(*a->pending.at);
    account_charge(&appenders_account, (int64_t)now - (int64_t)a->charged);
    a->charged = now;
}

static void appender_free(struct head_appender *a)
{
    vec_fini(&a->pending);
    vec_fini(&a->late);
    batch_fini(&a->more);
    appender_charge(a);
    mem_free(a);
}

void head_free_idle(struct head *h)
{
    assert(!h->active);
    while (h->idle) {
        struct head_appender *a = h->idle;
        h->idle = a->next;
        appender_free(a);
    }
}

static void appender_drop_early(struct head_appender *a)
{
    wal_batch_drop(a->head->opts.wal, a->early.to);
    a->early = (struct float_log){ 0 };
}

static void appender_end(struct head_appender *a)
{
    struct head *h = a->head;
    open_ctx_release(&a->ctx);
    batch_reset(&a->more);
    appender_drop_early(a);
    a->pending.n = 0;
    if (a->late.n) vec_fini(&a->late);
    a->refuse_late = a->all_or_nothing = false;
    bool keep = a->pending.cap <= IDLE_PENDING_MAX;
    appender_charge(a);
    mtx_lock(&h->appenders_mu);
    if (a->next == a) h->active = NULL;
    else if (h->active == a) h->active = a->next;
    a->prev->next = a->next;
    a->next->prev = a->prev;
    keep = keep && h->n_idle < IDLE_MAX;
    if (keep) {
        a->next = h->idle;
        h->idle = a;
        h->n_idle++;
    }
    cond_broadcast(&h->appenders_gone);
    mtx_unlock(&h->appenders_mu);
    atomic_fetch_sub_explicit(&h->n_active, 1, memory_order_relaxed);
    if (!keep) appender_free(a);
}

/* The ring is in the order of beginning: it is enough to wait until its first is younger. */
void head_wait_appenders(struct head *h)
{
    mtx_lock(&h->appenders_mu);
    uint64_t seq = h->appender_seq;
    while (h->active && h->active->seq <= seq) cond_wait(&h->appenders_gone, &h->appenders_mu);
    mtx_unlock(&h->appenders_mu);
}

static void appender_set_time(struct head_appender *a)
{
    struct head *h = a->head;
    int64_t max = head_max_time(h), bound = head_min_valid_time(h), low;
    if (max == INT64_MIN) return;
    if (__builtin_sub_overflow(max, h->opts.chunk_range_ms / 2, &low)) low = INT64_MIN;
    a->min_valid = MAX(low, bound);
    a->head_maxt = max;
    a->timed = true;
}

/* A head without a time takes it from the first sample that comes. */
static void appender_first_time(struct head_appender *a, int64_t t)
{
    struct head *h = a->head;
    int64_t none = INT64_MAX;
    atomic_compare_exchange_strong_explicit(
        &h->min_time, &none, t, memory_order_relaxed, memory_order_relaxed);
    none = INT64_MIN;
    atomic_compare_exchange_strong_explicit(
        &h->max_time, &none, t, memory_order_relaxed, memory_order_relaxed);
    appender_set_time(a);
}

/* Appending. */

static errc appender_series(
    struct appender *base, struct labels l, series_handle *out, struct err *e)
{
    struct head *h = CONTAINER_OF(base, struct head_appender, base)->head;
    uint32_t slot;
    bool made;
    TRY(series_get(&h->series, l, h->opts.wal, 0, &slot, &made, e));
    *out = series_handle_of(&h->series, slot);
    if (made) metric_inc(&head_series_created);
    return OK;
}

static bool appender_find(struct appender *base, struct labels l, series_handle *out)
{
    struct head *h = CONTAINER_OF(base, struct head_appender, base)->head;
    uint32_t slot = series_find(&h->series, l);
    if (slot) *out = series_handle_of(&h->series, slot);
    return slot != 0;
}

/* A sample on its way: h NULL: a float. */
struct incoming {
    int64_t t;
    double v;
    const struct hist_words *h;
};

/* What an accepted sample is: one behind the newest, the newest once more, one out of order. */
enum fate { FATE_APPEND, FATE_REPEAT, FATE_LATE };

/* Not behind the newest, or out of bounds: is there a window in which that may be? */
static errc late_check(const struct head_appender *a, int64_t t, errc otherwise, enum fate *fate)
{
    int64_t oldest;
    if (!a->window_ms) return otherwise;
    *fate = FATE_LATE;
    if (__builtin_sub_overflow(a->head_maxt, a->window_ms, &oldest)) oldest = INT64_MIN;
    return t >= oldest ? OK : ERR_TOO_OLD;
}

static bool is_newest_locked(const struct store *st, const struct slot *s, const struct incoming *x)
{
    if (x->h) return byte_last_is(st, s, x->h);
    return !(slot_flags(s) & SLOT_LAST_ANY_HIST) && s->last_v == f64_bits(x->v);
}

/* What becomes of it, the slot being locked. */
static errc slot_check_locked(
    const struct head_appender *a, const struct slot *s, const struct incoming *x, enum fate *fate)
{
    int64_t last = slot_last_t(s);
    *fate = FATE_APPEND;
    if (x->t < a->min_valid) return late_check(a, x->t, ERR_OUT_OF_BOUNDS, fate);
    if (x->t > last) return OK;
    if (x->t < last) return late_check(a, x->t, s->n ? ERR_OUT_OF_ORDER : OK, fate);
    if (!s->n) return OK; /* closed chunks only: nobody knows the value */
    if (!is_newest_locked(&a->head->store, s, x)) return ERR_DUPLICATE;
    *fate = FATE_REPEAT;
    return OK;
}

static struct metric *float_of(struct metric_family *f) { return METRIC_WITH(f, S("float")); }
static struct metric *histogram_of(struct metric_family *f)
{
    return METRIC_WITH(f, S("histogram"));
}

static void appender_note_late(const struct head_appender *a, int64_t t)
{
    int64_t late_ms;
    if (!__builtin_sub_overflow(a->head_maxt, t, &late_ms) && late_ms > 0)
        metric_observe(&late_by, (double)late_ms / 1000);
}

static errc refuse_duplicate(const struct slot *s, const struct incoming *x, struct err *e)
{
    char was[F64_TEXT_MAX], is[F64_TEXT_MAX];
    if (x->h) return err_set(e, ERR_DUPLICATE, "duplicate sample for timestamp");
    size_t n = f64_text_g(is, x->v);
    if (slot_flags(s) & SLOT_LAST_ANY_HIST)
        return err_set(e, ERR_DUPLICATE,
            "duplicate sample for timestamp %" PRId64
            "; overrides not allowed: existing is a histogram, new value %.*s",
            x->t, (int)n, is);
    size_t m = f64_text_g(was, f64_of_bits(s->last_v));
    return err_set(e, ERR_DUPLICATE,
        "duplicate sample for timestamp %" PRId64
        "; overrides not allowed: existing %.*s, new value %.*s",
        x->t, (int)m, was, (int)n, is);
}

static errc appender_refuse(const struct slot *s, errc rc, const struct incoming *x, struct err *e)
{
    struct metric *(*of)(struct metric_family *) = x->h ? histogram_of : float_of;
    switch (rc) {
    case ERR_OUT_OF_BOUNDS: metric_add_to(of(&out_of_bounds), 1); break;
    case ERR_OUT_OF_ORDER: metric_add_to(of(&out_of_order), 1); break;
    case ERR_TOO_OLD: metric_add_to(of(&too_old), 1); break;
    default: return refuse_duplicate(s, x, e);
    }
    return err_set(e, rc, "%.*s", STR_ARG(sample_refusal(rc)));
}

/* The slow half of a check: not simply newer than all before. quiet: nothing is counted. */
static errc appender_check_slow(struct head_appender *a, struct slot *s, uint32_t generation,
    const struct incoming *x, bool quiet, enum fate *fate, struct err *e)
{
    slot_lock(s);
    errc rc = series_generation(s) == generation ? slot_check_locked(a, s, x, fate) : ERR_NOT_FOUND;
    bool refused = rc == OK && *fate == FATE_LATE && a->refuse_late;
    bool late = rc == OK ? *fate == FATE_LATE : rc == ERR_OUT_OF_ORDER || rc == ERR_TOO_OLD;
    if (refused || (quiet && *fate == FATE_LATE)) rc = ERR_OUT_OF_ORDER;
    else if (late) appender_note_late(a, x->t);
    if (rc != OK && rc != ERR_NOT_FOUND && !quiet) (void)appender_refuse(s, rc, x, e);
    if (rc == OK) slot_flag(s, 0, SLOT_DYING);
    slot_unlock(s);
    return rc == ERR_NOT_FOUND ? err_set(e, rc, "the series is gone") : rc;
}

/* Newer than all before, and in bounds: no lock is needed to know that it may go in. */
static inline bool appender_is_plain(
    const struct slot *s, series_handle handle, int64_t t, int64_t min_valid)
{
    return (uint32_t)handle && series_generation(s) == handle >> 32 && t >= min_valid &&
           t > slot_last_t(s) && !(slot_flags(s) & SLOT_DYING);
}

static errc appender_slot(
    struct head_appender *a, series_handle handle, struct slot **out, struct err *e)
{
    uint32_t i = (uint32_t)handle;
    if (UNLIKELY(!i)) return err_set(e, ERR_NOT_FOUND, "no such series");
    *out = store_slot(&a->head->store, i);
    if (UNLIKELY(series_generation(*out) != handle >> 32))
        return err_set(e, ERR_NOT_FOUND, "the series is gone");
    return OK;
}

static errc appender_check(struct head_appender *a, series_handle handle, const struct incoming *x,
    bool quiet, enum fate *fate, struct err *e)
{
    struct slot *s;
    *fate = FATE_APPEND;
    TRY(appender_slot(a, handle, &s, e));
    if (UNLIKELY(!a->timed)) appender_first_time(a, x->t);
    if (appender_is_plain(s, handle, x->t, a->min_valid)) return OK;
    return appender_check_slow(a, s, (uint32_t)(handle >> 32), x, quiet, fate, e);
}

static errc appender_put_histogram(struct head_appender *a, series_handle handle, int64_t t,
    int64_t st, const struct int_histogram *whole, const struct histogram *floats, bool quiet,
    struct err *e)
{
    struct hist_words w = whole ? hist_words_of_int(whole) : hist_words_of_float(floats);
    struct batch_histogram put = { (uint32_t)handle, (uint32_t)(handle >> 32), t, st, { NULL } };
    enum fate fate;
    TRY(appender_check(a, handle, &(struct incoming){ t, 0, &w }, quiet, &fate, e));
    if (fate == FATE_REPEAT) { /* counted so by the reference, too */
        metric_add_to(histogram_of(&out_of_order), 1);
        return OK;
    }
    if (whole) batch_put_whole(&a->more, &put, whole, a->pending.n);
    else batch_put_floats(&a->more, &put, floats, a->pending.n);
    return OK;
}

/* A float of a series that has histograms in this part: the marker that it ends becomes one of
 * theirs, any other ends the part. *done: there is nothing to put. */
static errc appender_after_histogram(struct head_appender *a, series_handle handle, int64_t t,
    int64_t st, double v, bool *done, struct err *e)
{
    enum batch_kind kind;
    struct int_histogram whole = { .sum = v };
    struct histogram floats = { .sum = v };
    *done = false;
    if (!batch_has_histogram(&a->more, (uint32_t)handle, &kind)) return OK;
    *done = sample_is_stale(v);
    if (*done && kind == BATCH_WHOLE)
        return appender_put_histogram(a, handle, t, st, &whole, NULL, false, e);
    if (*done) return appender_put_histogram(a, handle, t, st, NULL, &floats, false, e);
    batch_split(&a->more, a->pending.n);
    return OK;
}

static errc appender_put_float(struct head_appender *a, series_handle handle, int64_t t, double v,
    int64_t st, bool quiet, struct err *e)
{
    enum fate fate;
    bool done;
    TRY(appender_check(a, handle, &(struct incoming){ t, v, NULL }, quiet, &fate, e));
    if (fate == FATE_REPEAT) return OK;
    if (UNLIKELY(a->more.types.n)) {
        TRY(appender_after_histogram(a, handle, t, st, v, &done, e));
        if (done) return OK;
    }
    batch_put_st(&a->more, a->pending.n, st);
    vec_push(&a->pending, ((struct pending){ (uint32_t)handle, (uint32_t)(handle >> 32), t, v }));
    return OK;
}

static errc appender_add(
    struct head_appender *a, series_handle handle, int64_t t, double v, struct err *e)
{
    return appender_put_float(a, handle, t, v, 0, false, e);
}

/* What counts from st on begins with a zero there, if that may be; nobody is told if not. */
static bool wants_zero(const struct head_appender *a, int64_t t, int64_t st)
{
    return UNLIKELY(st && a->head->opts.keeps.zero_at_start) && st < t && st >= a->min_valid;
}

static errc appender_append(
    struct appender *base, series_handle h, int64_t t, double v, int64_t st, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    if (wants_zero(a, t, st)) {
        errc rc = appender_put_float(a, h, st, 0, 0, true, NULL);
        (void)rc;
    }
    return appender_put_float(a, h, t, v, st, false, e);
}

/* Floats alone, without start timestamps: the records need nothing that comes later. */
static bool appender_is_simple(const struct head_appender *a)
{
    return !a->head->opts.keeps.start_times && batch_is_empty(&a->more);
}

static void appender_encode(struct head_appender *a)
{
    struct head *h = a->head;
    if (!a->early.to) a->early.to = wal_batch_new(h->opts.wal);
    float_log_more(&a->early, &h->store, a->pending.at, a->pending.n);
}

static errc appender_append_batch(struct appender *base, const series_handle *h, const int64_t *t,
    const double *v, size_t n, uint8_t *results, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    const struct store *st = &a->head->store;
    vec_reserve(&a->pending, a->pending.n + n);
    struct pending *to = a->pending.at + a->pending.n;
    memset(results, OK, n);
    for (size_t i = 0; i < n; i++) {
        if (i + PREFETCH_SLOT < n) {
            __builtin_prefetch(store_slot(st, (uint32_t)h[i + PREFETCH_SLOT]));
            __builtin_prefetch(store_cold(st, (uint32_t)h[i + PREFETCH_SLOT]));
        }
        if (LIKELY(a->timed && !a->more.types.n &&
                   appender_is_plain(store_slot(st, (uint32_t)h[i]), h[i], t[i], a->min_valid))) {
            *to++ = (struct pending){ (uint32_t)h[i], (uint32_t)(h[i] >> 32), t[i], v[i] };
            continue;
        }
        a->pending.n = (size_t)(to - a->pending.at);
        results[i] = (uint8_t)appender_add(a, h[i], t[i], v[i], e);
        to = a->pending.at + a->pending.n;
        if (LIKELY(results[i] == OK)) continue;
        if (a->all_or_nothing && results[i] != ERR_NOT_FOUND) break;
        e = NULL;
    }
    a->pending.n = (size_t)(to - a->pending.at);
    if (a->pending.n - a->early.n >= EARLY_SAMPLES && a->head->opts.wal && appender_is_simple(a))
        appender_encode(a);
    return OK;
}

static errc appender_admits(struct appender *base, int64_t t, bool histogram, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    if (UNLIKELY(!a->timed)) appender_first_time(a, t);
    if (a->window_ms || t >= a->min_valid) return OK;
    metric_add_to((histogram ? histogram_of : float_of)(&out_of_bounds), 1);
    return err_set(e, ERR_OUT_OF_BOUNDS, "%.*s", STR_ARG(sample_refusal(ERR_OUT_OF_BOUNDS)));
}

static errc appender_histogram(struct appender *base, series_handle h, int64_t t, int64_t st,
    const struct int_histogram *whole, const struct histogram *floats, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    TRY(appender_admits(base, t, true, e));
    TRY(whole ? int_histogram_validate(whole, e) : histogram_validate(floats, e));
    if (wants_zero(a, t, st)) {
        struct int_histogram zero_whole = { .hint = RESET_YES };
        struct histogram zero_floats = { .hint = RESET_YES };
        if (whole) {
            zero_whole.schema = whole->schema;
            zero_whole.zero_threshold = whole->zero_threshold;
            zero_whole.custom = whole->custom;
            zero_whole.n_custom = whole->n_custom;
        } else {
            zero_floats.schema = floats->schema;
            zero_floats.zero_threshold = floats->zero_threshold;
            zero_floats.custom = floats->custom;
            zero_floats.n_custom = floats->n_custom;
        }
        errc rc = appender_put_histogram(
            a, h, st, 0, whole ? &zero_whole : NULL, whole ? NULL : &zero_floats, true, NULL);
        (void)rc;
    }
    return appender_put_histogram(a, h, t, st, whole, floats, false, e);
}

/* Calls fn with the labels of a series, if it lives; they are good until then. */
static errc with_labels(struct head_appender *a, uint32_t slot,
    errc (*fn)(
        struct exemplars *to, struct labels l, const struct exemplar *x, bool *take, struct err *e),
    const struct exemplar *x, bool *take, struct err *e)
{
    struct head *h = a->head;
    struct reclaim_reader me;
    struct labels l;
    struct arena_mark mark = arena_mark(&a->more.a);
    errc rc = ERR_NOT_FOUND;
    reclaim_enter(&h->reclaim, &me);
    snum num = store_cold(&h->store, slot)->num;
    if (series_labels(&h->series, num, slot, &a->more.a, &l)) rc = fn(h->exemplars, l, x, take, e);
    reclaim_leave(&h->reclaim, &me);
    arena_reset(&a->more.a, mark);
    return rc;
}

static errc add_exemplar(struct exemplars *to, struct labels l, const struct exemplar *x,
    bool *take UNUSED, struct err *e)
{
    return exemplars_add(to, l, x, e);
}

static struct labels without_empty(struct arena *a, struct labels l)
{
    struct label *at = arena_array(a, l.n, sizeof(*at));
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++)
        if (l.at[i].value.n) at[n++] = l.at[i];
    return (struct labels){ at, n };
}

static errc appender_exemplar(
    struct appender *base, series_handle h, const struct exemplar *x, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    struct exemplar put = *x;
    struct slot *s;
    bool take = false;
    if (!exemplars_cap(a->head->exemplars)) return OK;
    TRY(appender_slot(a, h, &s, e));
    struct arena_mark mark = arena_mark(&a->more.a);
    put.labels = without_empty(&a->more.a, x->labels);
    errc rc = with_labels(a, (uint32_t)h, exemplars_check, &put, &take, e);
    if (take) batch_put_exemplar(&a->more, (uint32_t)h, (uint32_t)(h >> 32), &put);
    else arena_reset(&a->more.a, mark);
    return rc;
}

static errc appender_metadata(
    struct appender *base, series_handle h, const struct metadata *m, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    struct slot *s;
    if (!a->head->opts.keeps.metadata) return OK;
    TRY(appender_slot(a, h, &s, e));
    if (!meta_table_has(&a->head->metadata, (uint32_t)h, (uint32_t)(h >> 32), m))
        batch_put_metadata(&a->more, (uint32_t)h, (uint32_t)(h >> 32), m);
    return OK;
}

/* Committing. */

static inline void appender_reach(struct head_appender *a, uint32_t slot)
{
    a->first_slot = MIN(a->first_slot, slot);
    a->last_slot = MAX(a->last_slot, slot);
}

static void appender_set_reach(struct head_appender *a)
{
    a->first_slot = UINT32_MAX;
    a->last_slot = 0;
    for (size_t i = 0; i < a->pending.n; i++) appender_reach(a, a->pending.at[i].slot);
    for (int k = 0; k < BATCH_KINDS; k++)
        for (size_t i = 0; i < a->more.histograms[k].n; i++)
            appender_reach(a, a->more.histograms[k].at[i].slot);
}

/* Is one not yet applied that lies before it in the log? appenders_mu held. */
static bool appender_is_behind(const struct head_appender *a)
{
    uint64_t mine = atomic_load_explicit(&a->place, memory_order_relaxed);
    for (const struct head_appender *b = a->next; b != a; b = b->next) {
        uint64_t place = atomic_load_explicit(&b->place, memory_order_acquire);
        if (place && place < mine && b->first_slot <= a->last_slot &&
            a->first_slot <= b->last_slot)
            return true;
    }
    return false;
}

/* Whoever it waits for has been written, and waits only for places before its own. */
static void appender_wait_turn(struct head_appender *a)
{
    struct head *h = a->head;
    if (atomic_load_explicit(&h->n_active, memory_order_relaxed) == 1) return;
    mtx_lock(&h->appenders_mu);
    while (appender_is_behind(a)) cond_wait(&h->appenders_gone, &h->appenders_mu);
    mtx_unlock(&h->appenders_mu);
}

static errc appender_log(struct head_appender *a, struct err *e)
{
    struct head *h = a->head;
    if (!h->opts.wal) return OK;
    appender_set_reach(a);
    if (appender_is_simple(a)) {
        appender_encode(a);
        a->early.n = 0;
        return wal_commit_placed(h->opts.wal, STEAL(a->early.to), &a->place, e);
    }
    appender_drop_early(a);
    struct wal_batch *b = wal_batch_new(h->opts.wal);
    batch_log(&h->store, &a->more, a->pending.at, a->pending.n, h->opts.keeps.start_times, b);
    return wal_commit_placed(h->opts.wal, b, &a->place, e);
}

struct counts {
    uint64_t n, out_of_order, out_of_bounds, too_old;
};
struct applied {
    struct isolation_batch batch;
    struct counts floats, histograms;
    int64_t mint, maxt;
};

/* Is it to go in? The slot is locked. */
static errc apply_check(const struct head_appender *a, const struct slot *s,
    uint32_t generation, const struct incoming *x, enum fate *fate)
{
    *fate = FATE_APPEND;
    if (series_generation(s) != generation) return ERR_NOT_FOUND;
    errc rc = slot_check_locked(a, s, x, fate);
    /* A series may hold closed chunks and no open one. */
    if (rc == OK && *fate == FATE_APPEND && x->t <= slot_last_t(s)) rc = ERR_OUT_OF_ORDER;
    return rc;
}

static inline void apply_note(
    struct head_appender *a, struct slot *s, int64_t t, struct counts *n, struct applied *sum)
{
    isolation_note(&a->head->store, s, &sum->batch);
    if (UNLIKELY(slot_flags(s) & SLOT_DYING)) slot_flag(s, 0, SLOT_DYING);
    n->n++;
    sum->mint = MIN(sum->mint, t);
    sum->maxt = MAX(sum->maxt, t);
}

static void apply_refused(errc rc, struct counts *n)
{
    if (rc == ERR_OUT_OF_BOUNDS) n->out_of_bounds++;
    else if (rc == ERR_TOO_OLD) n->too_old++;
    else if (rc != ERR_NOT_FOUND && rc != ERR_DUPLICATE) n->out_of_order++;
}

/* A float that came late. A stale marker behind a histogram becomes one of its kind; slot
 * locked. */
static struct ooo_value late_float(struct head_appender *a, const struct slot *s, size_t i)
{
    struct ooo_value x = ooo_float(a->pending.at[i].v);
    if (a->head->opts.keeps.start_times) x.st = batch_st(&a->more, i);
    if (!sample_is_stale(x.v) || !(slot_flags(s) & SLOT_LAST_ANY_HIST)) return x;
    if (slot_flags(s) & SLOT_LAST_HIST) {
        struct int_histogram *ih = ANEW(&a->more.a, struct int_histogram);
        ih->sum = x.v;
        x.kind = SAMPLE_HISTOGRAM;
        x.ih = ih;
    } else {
        struct histogram *h = ANEW(&a->more.a, struct histogram);
        h->sum = x.v;
        x.kind = SAMPLE_FLOAT_HISTOGRAM;
        x.h = h;
    }
    return x;
}

/* What nearly all are: newer than all before, and of a series of floats alone. False: not so, and
 * nothing was done. */
static inline bool apply_plain(
    struct head_appender *a, struct store *st, const struct pending *p, struct applied *sum)
{
    struct slot *s = store_slot(st, p->slot);
    slot_lock(s);
    bool plain = p->t > slot_last_t(s) && p->t >= a->min_valid &&
                 series_generation(s) == p->generation && slot_takes_plain(st, s);
    if (LIKELY(plain)) {
        open_append(&a->ctx, p->slot, s, p->t, p->v);
        apply_note(a, s, p->t, &sum->floats, sum);
    }
    slot_unlock(s);
    return plain;
}

static void apply_float(struct head_appender *a, size_t i, struct applied *sum)
{
    const struct pending *p = &a->pending.at[i];
    struct slot *s = store_slot(&a->head->store, p->slot);
    struct counts *n = &sum->floats;
    enum fate fate;
    slot_lock(s);
    errc rc = apply_check(a, s, p->generation, &(struct incoming){ p->t, p->v, NULL }, &fate);
    if (rc == OK && fate == FATE_APPEND) {
        if (slot_takes_plain(&a->head->store, s)) {
            open_append(&a->ctx, p->slot, s, p->t, p->v);
        } else {
            if (sample_is_stale(p->v) && slot_flags(s) & SLOT_LAST_ANY_HIST) n = &sum->histograms;
            byte_append_float(&a->ctx, p->slot, s, p->t, batch_st(&a->more, i), p->v);
        }
        apply_note(a, s, p->t, n, sum);
    }
    bool late = rc == OK && fate == FATE_LATE;
    struct ooo_value x = late ? late_float(a, s, i) : (struct ooo_value){ 0 };
    slot_unlock(s);
    if (late) vec_push(&a->late, ((struct ooo_put){ p->slot, p->generation, p->t, x }));
    if (rc != OK) apply_refused(rc, n);
}

static void apply_histogram(struct head_appender *a, enum batch_kind kind,
    const struct batch_histogram *p, struct applied *sum)
{
    struct slot *s = store_slot(&a->head->store, p->slot);
    struct hist_words w =
        kind == BATCH_WHOLE ? hist_words_of_int(p->whole) : hist_words_of_float(p->floats);
    enum fate fate;
    slot_lock(s);
    errc rc = apply_check(a, s, p->generation, &(struct incoming){ p->t, 0, &w }, &fate);
    if (rc == OK && fate == FATE_APPEND) {
        byte_append_histogram(&a->ctx, p->slot, s, p->t, p->st, &w);
        apply_note(a, s, p->t, &sum->histograms, sum);
    }
    slot_unlock(s);
    if (rc == OK && fate == FATE_LATE) {
        struct ooo_value x = { .st = a->head->opts.keeps.start_times ? p->st : 0 };
        x.kind = kind == BATCH_WHOLE ? SAMPLE_HISTOGRAM : SAMPLE_FLOAT_HISTOGRAM;
        if (kind == BATCH_WHOLE) x.ih = p->whole;
        else x.h = p->floats;
        vec_push(&a->late, ((struct ooo_put){ p->slot, p->generation, p->t, x }));
        return;
    }
    /* the same once more counts as out of order here, as it does in the reference */
    if (rc != OK || fate != FATE_APPEND)
        apply_refused(rc != OK ? rc : ERR_OUT_OF_ORDER, &sum->histograms);
}

static void apply_floats(struct head_appender *a, size_t from, size_t end, struct applied *sum)
{
    struct store *st = &a->head->store;
    const struct pending *p = a->pending.at;
    for (size_t i = from; i < end; i++) {
        if (i + PREFETCH_SLOT < end)
            __builtin_prefetch(store_slot(st, p[i + PREFETCH_SLOT].slot), 1);
        if (i + PREFETCH_CELL < end) {
            /* Unlocked and only a guess: which cell is written next may change until its turn
             * comes. */
            uint32_t cell = slot_last_cell(store_slot(st, p[i + PREFETCH_CELL].slot));
            if (cell) __builtin_prefetch(store_cell(st, cell), 1);
        }
        if (UNLIKELY(!apply_plain(a, st, &p[i], sum))) apply_float(a, i, sum);
    }
}

static void apply_part(struct head_appender *a, const struct batch_end *from,
    const struct batch_end *end, struct applied *sum)
{
    apply_floats(a, from->floats, end->floats, sum);
    for (int k = 0; k < BATCH_KINDS; k++)
        for (size_t i = from->histograms[k]; i < end->histograms[k]; i++)
            apply_histogram(a, (enum batch_kind)k, &a->more.histograms[k].at[i], sum);
}

static void apply_others(struct head_appender *a)
{
    struct head *h = a->head;
    for (size_t i = 0; i < a->more.exemplars.n; i++) {
        const struct batch_exemplar *p = &a->more.exemplars.at[i];
        bool take;
        /* one that is out of order by now is counted there */
        errc rc = with_labels(a, p->slot, add_exemplar, &p->x, &take, NULL);
        (void)rc;
    }
    for (size_t i = 0; i < a->more.metadata.n; i++) {
        const struct batch_metadata *p = &a->more.metadata.at[i];
        meta_table_set(&h->metadata, p->slot, p->generation, &p->m);
    }
}

static void count_applied(const struct counts *n, struct metric *(*of)(struct metric_family *))
{
    if (n->n) metric_add_to(of(&samples_appended), (double)n->n);
    if (n->out_of_order) metric_add_to(of(&out_of_order), (double)n->out_of_order);
    if (n->out_of_bounds) metric_add_to(of(&out_of_bounds), (double)n->out_of_bounds);
    if (n->too_old) metric_add_to(of(&too_old), (double)n->too_old);
}

static void appender_apply(struct head_appender *a)
{
    struct head *h = a->head;
    struct applied sum = { .mint = INT64_MAX, .maxt = INT64_MIN };
    struct batch_end from = { 0 }, last = batch_now(&a->more, a->pending.n);
    apply_others(a);
    isolation_begin(&h->isolation, &sum.batch);
    for (size_t i = 0; i < a->more.ends.n; i++) {
        apply_part(a, &from, &a->more.ends.at[i], &sum);
        from = a->more.ends.at[i];
    }
    apply_part(a, &from, &last, &sum);
    if (sum.mint <= sum.maxt) head_saw_time(h, sum.mint, sum.maxt);
    head_count_opened(h, &a->ctx);
    isolation_show(&h->isolation, sum.batch.id, h->opts.changes, sum.mint, sum.maxt);
    count_applied(&sum.floats, float_of);
    count_applied(&sum.histograms, histogram_of);
}

static errc appender_commit_late(struct head_appender *a, struct err *e)
{
    struct ooo_taken taken = { 0 };
    if (!a->late.n) return OK;
    TRY(ooo_commit(a->head, a->late.at, a->late.n, &taken, e));
    metric_add_to(float_of(&samples_appended), (double)taken.floats);
    metric_add_to(float_of(&late_appended), (double)taken.floats);
    metric_add_to(histogram_of(&samples_appended), (double)taken.histograms);
    metric_add_to(histogram_of(&late_appended), (double)taken.histograms);
    return OK;
}

static errc appender_commit(struct appender *base, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    errc rc = OK;
    bool same = a->waits == waits_of_thread();
    int64_t from = same ? a->waited_ns : waits_ns();
    if (a->pending.n || !batch_is_empty(&a->more)) {
        rc = appender_log(a, e);
        if (rc == OK) {
            appender_wait_turn(a);
            appender_apply(a);
            rc = appender_commit_late(a, e);
        }
    }
    appender_end(a);
    metric_observe(&append_waits, (double)(waits_ns() - from) * 1e-9);
    return rc;
}

static void appender_refuse_late(struct appender *base, bool refuse)
{
    CONTAINER_OF(base, struct head_appender, base)->refuse_late = refuse;
}

static void appender_all_or_nothing(struct appender *base)
{
    CONTAINER_OF(base, struct head_appender, base)->all_or_nothing = true;
}

static void appender_rollback(struct appender *base)
{
    appender_end(CONTAINER_OF(base, struct head_appender, base));
}

static const struct appender_ops head_appender_ops = {
    .series = appender_series,
    .find = appender_find,
    .append = appender_append,
    .append_batch = appender_append_batch,
    .histogram = appender_histogram,
    .exemplar = appender_exemplar,
    .metadata = appender_metadata,
    .admits = appender_admits,
    .refuse_late = appender_refuse_late,
    .all_or_nothing = appender_all_or_nothing,
    .commit = appender_commit,
    .rollback = appender_rollback,
};

errc head_begin(struct appendable *s, struct appender **out, struct err *e)
{
    (void)e;
    struct head *h = CONTAINER_OF(s, struct head, appendable);
    int64_t waited = waits_ns();
    mtx_lock(&h->appenders_mu);
    struct head_appender *a = h->idle;
    if (a) {
        h->idle = a->next;
        h->n_idle--;
    }
    mtx_unlock(&h->appenders_mu);
    if (!a) {
        a = NEW(struct head_appender);
        a->base.ops = &head_appender_ops;
        a->head = h;
        open_ctx_init(&a->ctx, &h->store);
        batch_init(&a->more, &appenders_account);
    }
    a->waits = waits_of_thread();
    a->waited_ns = waited;
    a->timed = false;
    atomic_store_explicit(&a->place, 0, memory_order_relaxed);
    a->window_ms = atomic_load_explicit(&h->ooo_window_ms, memory_order_relaxed);
    appender_set_time(a);
    mtx_lock(&h->appenders_mu);
    a->seq = ++h->appender_seq;
    if (h->active) {
        a->next = h->active;
        a->prev = h->active->prev;
        a->prev->next = a->next->prev = a;
    } else {
        h->active = a->prev = a->next = a;
    }
    mtx_unlock(&h->appenders_mu);
    atomic_fetch_add_explicit(&h->n_active, 1, memory_order_relaxed);
    metric_inc(&appenders_created);
    *out = &a->base;
    return OK;
}
