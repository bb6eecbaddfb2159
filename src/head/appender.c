/* appender.c — one scrape or one write request on its way into the head.
 *
 *     append   check against the series as it is (that answers the caller), keep {slot, t, v}
 *     commit   encode and log: one batch, in the caller's thread; a failure ends here and
 *              nothing was changed
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
#include "head/head_impl.h"
#include "head/ooo_commit.h"
#include "wal/record.h"
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
    PREFETCH_SLOT = 16, PREFETCH_CELL = 6,
    /* a commit's samples go to the log in records of so many */
    RECORD_SAMPLES = 8192,
    /* appenders kept for the next commit, and how large */
    IDLE_MAX = 8, IDLE_PENDING_MAX = 1 << 17
};

struct pending { uint32_t slot, generation; int64_t t; double v; };

struct head_appender {
    struct appender base;
    struct head *head;
    struct head_appender *prev, *next;         /* ring of the active; next alone: the idle */
    uint64_t seq;
    int64_t min_valid;
    int64_t head_maxt, window_ms;              /* of late samples; window_ms 0: none are taken */
    bool refuse_late;                          /* asked for by who appends */
    /* min_valid is set: the head had a time when this began, or got one */
    bool timed;
    VEC(struct pending) pending;
    ooo_puts late;                             /* those of pending that are late, at the commit */
    size_t charged;                            /* bytes of pending on the account */
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

static void appender_end(struct head_appender *a)
{
    struct head *h = a->head;
    open_ctx_release(&a->ctx);
    a->pending.n = 0;
    if (a->late.n) vec_fini(&a->late);
    a->refuse_late = false;
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

/* What an accepted sample is: one behind the newest, the newest once more, one out of order. */
enum fate { FATE_APPEND, FATE_REPEAT, FATE_LATE };

/* Not behind the newest, or out of bounds: is there a window in which that may be? */
static errc late_check(
    const struct head_appender *a, int64_t t, errc otherwise, enum fate *fate)
{
    int64_t oldest;
    if (!a->window_ms) return otherwise;
    *fate = FATE_LATE;
    if (__builtin_sub_overflow(a->head_maxt, a->window_ms, &oldest)) oldest = INT64_MIN;
    return t >= oldest ? OK : ERR_TOO_OLD;
}

/* What becomes of (t, v), the slot being locked. */
static errc slot_check_locked(const struct head_appender *a, const struct slot *s, int64_t t,
    double v, enum fate *fate)
{
    int64_t last = slot_last_t(s);
    *fate = FATE_APPEND;
    if (t < a->min_valid) return late_check(a, t, ERR_OUT_OF_BOUNDS, fate);
    if (t > last) return OK;
    if (t < last) return late_check(a, t, s->n ? ERR_OUT_OF_ORDER : OK, fate);
    if (!s->n) return OK;                      /* closed chunks only: nobody knows the value */
    if (slot_flags(s) & SLOT_LAST_HIST || s->last_v != f64_bits(v)) return ERR_DUPLICATE;
    *fate = FATE_REPEAT;
    return OK;
}

static struct metric *float_of(struct metric_family *f) { return METRIC_WITH(f, S("float")); }

static void appender_note_late(const struct head_appender *a, int64_t t)
{
    int64_t late_ms;
    if (!__builtin_sub_overflow(a->head_maxt, t, &late_ms) && late_ms > 0)
        metric_observe(&late_by, (double)late_ms / 1000);
}

static errc appender_refuse(const struct slot *s, errc rc, int64_t t, double v, struct err *e)
{
    switch (rc) {
    case ERR_OUT_OF_BOUNDS:
        metric_add_to(float_of(&out_of_bounds), 1);
        return err_set(e, rc, "out of bounds");
    case ERR_OUT_OF_ORDER:
        metric_add_to(float_of(&out_of_order), 1);
        return err_set(e, rc, "out of order sample");
    case ERR_TOO_OLD: metric_add_to(float_of(&too_old), 1); return err_set(e, rc, "too old sample");
    default: break;
    }
    char was[F64_TEXT_MAX], is[F64_TEXT_MAX];
    size_t n = f64_text_g(is, v);
    if (slot_flags(s) & SLOT_LAST_HIST)
        return err_set(e, rc,
            "duplicate sample for timestamp %" PRId64
            "; overrides not allowed: existing is a histogram, new value %.*s",
            t, (int)n, is);
    size_t m = f64_text_g(was, f64_of_bits(s->last_v));
    return err_set(e, rc,
        "duplicate sample for timestamp %" PRId64
        "; overrides not allowed: existing %.*s, new value %.*s",
        t, (int)m, was, (int)n, is);
}

/* The slow half of a check: not simply newer than all before. */
static errc appender_check_slow(struct head_appender *a, struct slot *s, uint32_t generation,
    int64_t t, double v, enum fate *fate, struct err *e)
{
    slot_lock(s);
    errc rc = series_generation(s) == generation ? slot_check_locked(a, s, t, v, fate)
                                                 : ERR_NOT_FOUND;
    bool refused = rc == OK && *fate == FATE_LATE && a->refuse_late;
    bool late = rc == OK ? *fate == FATE_LATE : rc != ERR_NOT_FOUND && rc != ERR_DUPLICATE;
    if (refused) rc = ERR_OUT_OF_ORDER;
    else if (late) appender_note_late(a, t);
    if (rc != OK && rc != ERR_NOT_FOUND) (void)appender_refuse(s, rc, t, v, e);
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

static errc appender_add(
    struct head_appender *a, series_handle handle, int64_t t, double v, struct err *e)
{
    uint32_t i = (uint32_t)handle, generation = (uint32_t)(handle >> 32);
    if (UNLIKELY(!i)) return err_set(e, ERR_NOT_FOUND, "no such series");
    struct slot *s = store_slot(&a->head->store, i);
    if (UNLIKELY(series_generation(s) != generation))
        return err_set(e, ERR_NOT_FOUND, "the series is gone");
    if (UNLIKELY(!a->timed)) appender_first_time(a, t);
    if (!appender_is_plain(s, handle, t, a->min_valid)) {
        enum fate fate;
        TRY(appender_check_slow(a, s, generation, t, v, &fate, e));
        if (fate == FATE_REPEAT) return OK;
    }
    vec_push(&a->pending, ((struct pending){ i, generation, t, v }));
    return OK;
}

static errc appender_append(
    struct appender *base, series_handle h, int64_t t, double v, int64_t st, struct err *e)
{
    /* start timestamps are stored with their encodings, which are not written yet */
    (void)st;
    return appender_add(CONTAINER_OF(base, struct head_appender, base), h, t, v, e);
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
        if (i + PREFETCH_SLOT < n)
            __builtin_prefetch(store_slot(st, (uint32_t)h[i + PREFETCH_SLOT]));
        if (LIKELY(a->timed &&
                   appender_is_plain(store_slot(st, (uint32_t)h[i]), h[i], t[i], a->min_valid))) {
            *to++ = (struct pending){ (uint32_t)h[i], (uint32_t)(h[i] >> 32), t[i], v[i] };
            continue;
        }
        a->pending.n = (size_t)(to - a->pending.at);
        results[i] = (uint8_t)appender_add(a, h[i], t[i], v[i], e);
        to = a->pending.at + a->pending.n;
        if (UNLIKELY(results[i] != OK)) e = NULL;
    }
    a->pending.n = (size_t)(to - a->pending.at);
    return OK;
}

static errc appender_histogram(struct appender *base, series_handle h, int64_t t, int64_t st,
    const struct int_histogram *whole, const struct histogram *floats, struct err *e)
{
    (void)base, (void)h, (void)t, (void)st, (void)whole, (void)floats;
    return err_set(e, ERR_UNSUPPORTED, "native histograms are not stored yet");
}

static errc appender_exemplar(
    struct appender *base, series_handle h, const struct exemplar *x, struct err *e)
{
    (void)base, (void)h, (void)x, (void)e; /* kept only with a feature that is off by default */
    return OK;
}

static errc appender_metadata(
    struct appender *base, series_handle h, const struct metadata *m, struct err *e)
{
    /* kept in the log only with a feature that is off by default */
    (void)base, (void)h, (void)m, (void)e;
    return OK;
}

/* Committing. */

static errc appender_log(struct head_appender *a, struct err *e)
{
    struct head *h = a->head;
    if (!h->opts.wal) return OK;
    struct ref_sample *at = mem_alloc_array(MIN(a->pending.n, (size_t)RECORD_SAMPLES), sizeof(*at));
    struct wal_batch *b = wal_batch_new(h->opts.wal);
    for (size_t from = 0; from < a->pending.n; from += RECORD_SAMPLES) {
        size_t n = MIN(a->pending.n - from, (size_t)RECORD_SAMPLES);
        for (size_t i = 0; i < n; i++) {
            const struct pending *p = &a->pending.at[from + i];
            at[i] = (struct ref_sample){
                .ref = store_cold(&h->store, p->slot)->ref, .t = p->t, .v = p->v
            };
        }
        samples_encode(wal_batch_room(b), at, n);
        wal_batch_seal(b);
    }
    mem_free(at);
    return wal_commit(h->opts.wal, b, e);
}

struct applied { uint64_t n, out_of_order, out_of_bounds, too_old; int64_t mint, maxt; };

static void appender_apply_one(struct head_appender *a, const struct pending *p, uint64_t id,
    uint64_t low, struct applied *sum)
{
    struct store *st = &a->head->store;
    struct slot *s = store_slot(st, p->slot);
    enum fate fate = FATE_APPEND;
    slot_lock(s);
    errc rc = series_generation(s) == p->generation
                  ? slot_check_locked(a, s, p->t, p->v, &fate)
                  : ERR_NOT_FOUND;
    /* A series may hold closed chunks and no open one. */
    if (rc == OK && fate == FATE_APPEND && p->t <= slot_last_t(s)) rc = ERR_OUT_OF_ORDER;
    if (rc == OK && fate == FATE_APPEND) {
        open_append(&a->ctx, p->slot, s, p->t, p->v);
        isolation_note(st, s, id, low);
        if (UNLIKELY(slot_flags(s) & (SLOT_DYING | SLOT_LAST_HIST)))
            slot_flag(s, 0, SLOT_DYING | SLOT_LAST_HIST);
        sum->n++;
        sum->mint = MIN(sum->mint, p->t);
        sum->maxt = MAX(sum->maxt, p->t);
    }
    slot_unlock(s);
    if (UNLIKELY(rc == OK && fate == FATE_LATE))
        vec_push(&a->late, ((struct ooo_put){ p->slot, p->generation, p->t, p->v }));
    if (LIKELY(rc == OK)) return;
    if (rc == ERR_OUT_OF_BOUNDS) sum->out_of_bounds++;
    else if (rc == ERR_TOO_OLD) sum->too_old++;
    else if (rc != ERR_NOT_FOUND) sum->out_of_order++;
}

static void appender_apply(struct head_appender *a)
{
    struct head *h = a->head;
    struct applied sum = { .mint = INT64_MAX, .maxt = INT64_MIN };
    uint64_t id = isolation_begin(&h->isolation), low = isolation_low(&h->isolation);
    const struct pending *p = a->pending.at;
    for (size_t i = 0, n = a->pending.n; i < n; i++) {
        if (i + PREFETCH_SLOT < n)
            __builtin_prefetch(store_slot(&h->store, p[i + PREFETCH_SLOT].slot), 1);
        if (i + PREFETCH_CELL < n) {
            /* Unlocked and only a guess: which cell is written next may change until its turn
             * comes. */
            uint32_t cell = slot_last_cell(store_slot(&h->store, p[i + PREFETCH_CELL].slot));
            if (cell) __builtin_prefetch(store_cell(&h->store, cell), 1);
        }
        appender_apply_one(a, &p[i], id, low, &sum);
    }
    if (sum.n) head_saw_time(h, sum.mint, sum.maxt);
    head_count_opened(h, &a->ctx);
    isolation_end(&h->isolation, id);
    if (sum.n) metric_add_to(float_of(&samples_appended), (double)sum.n);
    if (sum.out_of_order) metric_add_to(float_of(&out_of_order), (double)sum.out_of_order);
    if (sum.out_of_bounds) metric_add_to(float_of(&out_of_bounds), (double)sum.out_of_bounds);
    if (sum.too_old) metric_add_to(float_of(&too_old), (double)sum.too_old);
}

static errc appender_commit_late(struct head_appender *a, struct err *e)
{
    size_t taken = 0;
    if (!a->late.n) return OK;
    TRY(ooo_commit(a->head, a->late.at, a->late.n, &taken, e));
    metric_add_to(float_of(&samples_appended), (double)taken);
    metric_add_to(float_of(&late_appended), (double)taken);
    return OK;
}

static errc appender_commit(struct appender *base, struct err *e)
{
    struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
    errc rc = OK;
    if (a->pending.n) {
        rc = appender_log(a, e);
        if (rc == OK) {
            appender_apply(a);
            rc = appender_commit_late(a, e);
        }
    }
    appender_end(a);
    return rc;
}

static void appender_refuse_late(struct appender *base, bool refuse)
{
    CONTAINER_OF(base, struct head_appender, base)->refuse_late = refuse;
}

static void appender_rollback(struct appender *base)
{
    appender_end(CONTAINER_OF(base, struct head_appender, base));
}

static const struct appender_ops head_appender_ops = {
    .series = appender_series,
    .append = appender_append,
    .append_batch = appender_append_batch,
    .histogram = appender_histogram,
    .exemplar = appender_exemplar,
    .metadata = appender_metadata,
    .refuse_late = appender_refuse_late,
    .commit = appender_commit,
    .rollback = appender_rollback,
};

errc head_begin(struct appendable *s, struct appender **out, struct err *e)
{
    (void)e;
    struct head *h = CONTAINER_OF(s, struct head, appendable);
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
    }
    a->timed = false;
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
