#include "base/metric.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/f64.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* A ring of the newest observations of a summary. The lock is a leaf: nothing is taken under it. */
struct metric_window {
    struct mtx mu;
    size_t n, next;                                            /* GUARDED_BY(mu) */
    double value[METRIC_SUMMARY_WINDOW];
    int64_t at_ns[METRIC_SUMMARY_WINDOW];
};

static const int64_t WINDOW_NS = 600ll * 1000000000;
/* written before main only, in no order */
static struct metric_family *families;

static void series_init(struct metric *m, const struct metric_family *f)
{
    m->family = f;
    if (f->kind == METRIC_HISTOGRAM)
        m->buckets = mem_zalloc((f->n_bounds + 1) * sizeof(*m->buckets));
    if (f->kind != METRIC_SUMMARY) return;
    m->window = NEW(struct metric_window);
    mtx_init(&m->window->mu, LOCK_LEAF);
}

void metric_register(struct metric_family *f)
{
    for (const struct metric_family *o = families; o; o = o->next)
        assert(strcmp(o->name, f->name) != 0);
    assert(f->n_bounds < METRIC_BUCKETS_MAX);
    f->next = families;
    families = f;
    if (!f->labels[0]) series_init(&f->self, f);
}

/* One lock for making and forgetting children; finding one takes none, but an epoch section. */
static struct mtx children_mu = { PTHREAD_MUTEX_INITIALIZER, LOCK_LEAF };

static size_t label_count(const struct metric_family *f)
{
    size_t n = 0;
    while (n < METRIC_LABELS_MAX && f->labels[n]) n++;
    return n;
}

static bool has_values(const struct metric *m, const str *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!str_eq(str_z(m->values[i]), values[i])) return false;
    return true;
}

static struct metric *child_next(const struct metric *m)
{
    return atomic_load_explicit(&m->next, memory_order_acquire);
}

/* REQUIRES: inside an epoch section, or children_mu held. */
static struct metric *child_find(struct metric_family *f, const str *values, size_t n)
{
    for (struct metric *m = atomic_load_explicit(&f->children, memory_order_acquire); m;
         m = child_next(m))
        if (has_values(m, values, n)) return m;
    return NULL;
}

static void child_free(void *p)
{
    struct metric *m = p;
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++) mem_free(m->values[i]);
    mem_free(m->buckets);
    mem_free(m->window);
    mem_free(m);
}

struct metric *metric_with(struct metric_family *f, const str *values, size_t n)
{
    assert(n == label_count(f) && n > 0);
    epoch_enter();
    struct metric *m = child_find(f, values, n);
    epoch_leave();
    if (m) return m;
    mtx_lock(&children_mu);
    m = child_find(f, values, n);
    if (!m) {
        m = NEW(struct metric);
        series_init(m, f);
        for (size_t i = 0; i < n; i++) m->values[i] = mem_cstr(values[i]);
        atomic_init(&m->next, atomic_load_explicit(&f->children, memory_order_relaxed));
        atomic_store_explicit(&f->children, m, memory_order_release);
    }
    mtx_unlock(&children_mu);
    return m;
}

/* A collection may stand on the child: it goes when that has ended. Its own `next` stays, so that
 * the collection finds on. */
void metric_forget(struct metric_family *f, const str *values, size_t n)
{
    mtx_lock(&children_mu);
    struct metric *_Atomic *at = &f->children;
    struct metric *m = atomic_load_explicit(at, memory_order_relaxed);
    while (m && !has_values(m, values, n)) {
        at = &m->next;
        m = atomic_load_explicit(at, memory_order_relaxed);
    }
    if (m) atomic_store_explicit(at, child_next(m), memory_order_release);
    mtx_unlock(&children_mu);
    if (m) epoch_retire(m, child_free);
}

static void bits_add(_Atomic uint64_t *bits, double v)
{
    uint64_t was = atomic_load_explicit(bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        bits, &was, f64_bits(f64_of_bits(was) + v), memory_order_relaxed, memory_order_relaxed)) {}
}

void metric_add_to(struct metric *m, double v) { bits_add(&m->bits, v); }
void metric_set_of(struct metric *m, double v)
{
    atomic_store_explicit(&m->bits, f64_bits(v), memory_order_relaxed);
}
double metric_value(const struct metric *m)
{
    return f64_of_bits(atomic_load_explicit(&m->bits, memory_order_relaxed));
}

void metric_observe_in(struct metric *m, double v)
{
    const struct metric_family *f = m->family;
    if (f->kind == METRIC_HISTOGRAM) {
        size_t i = 0;
        while (i < f->n_bounds && v > f->bounds[i]) i++;
        atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    } else {
        struct metric_window *w = m->window;
        mtx_lock(&w->mu);
        w->value[w->next] = v;
        w->at_ns[w->next] = clock_mono_ns();
        w->next = (w->next + 1) % METRIC_SUMMARY_WINDOW;
        w->n = MIN(w->n + 1, (size_t)METRIC_SUMMARY_WINDOW);
        mtx_unlock(&w->mu);
    }
    bits_add(&m->bits, v);
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
}

/* ---- collection */

typedef void (*metric_sink)(void *ctx, const struct metric_point *p);

static int f64_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void window_quantiles(struct metric_window *w, const struct metric_family *f, double *out)
{
    double kept[METRIC_SUMMARY_WINDOW];
    size_t n = 0;
    int64_t oldest = clock_mono_ns() - WINDOW_NS;
    mtx_lock(&w->mu);
    for (size_t i = 0; i < w->n; i++)
        if (w->at_ns[i] >= oldest) kept[n++] = w->value[i];
    mtx_unlock(&w->mu);
    qsort(kept, n, sizeof(*kept), f64_order);
    for (size_t i = 0; i < f->n_bounds; i++) {
        size_t rank = (size_t)ceil(f->bounds[i] * (double)n);
        out[i] = n ? kept[rank ? rank - 1 : 0] : (double)NAN;
    }
}

static void series_collect(
    const struct metric_family *f, const struct metric *m, metric_sink sink, void *ctx)
{
    uint64_t cumulative[METRIC_BUCKETS_MAX];
    double quantiles[METRIC_BUCKETS_MAX];
    struct metric_point p = {
        .family = f,
        .values = (const char *const *)m->values,
        .value = f->read ? f->read(f->read_ctx) : metric_value(m),
        .count = atomic_load_explicit(&m->count, memory_order_relaxed),
    };
    if (f->kind == METRIC_HISTOGRAM) {
        uint64_t sum = 0;
        for (size_t i = 0; i <= f->n_bounds; i++)
            cumulative[i] = sum += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        p.cumulative = cumulative;
        /* the buckets and the count of one point agree */
        p.count = sum;
    }
    if (f->kind == METRIC_SUMMARY) {
        window_quantiles(m->window, f, quantiles);
        p.quantiles = quantiles;
    }
    sink(ctx, &p);
}

static int values_order(const void *a, const void *b)
{
    const struct metric *x = *(const struct metric *const *)a,
                        *y = *(const struct metric *const *)b;
    for (size_t i = 0; i < METRIC_LABELS_MAX && x->values[i] && y->values[i]; i++) {
        int c = strcmp(x->values[i], y->values[i]);
        if (c) return c;
    }
    return 0;
}

static void family_collect(struct metric_family *f, metric_sink sink, void *ctx)
{
    if (!f->labels[0]) {
        series_collect(f, &f->self, sink, ctx);
        return;
    }
    size_t n = 0, cap = 0;
    const struct metric **all = NULL;
    epoch_enter();
    for (const struct metric *m = atomic_load_explicit(&f->children, memory_order_acquire); m;
         m = child_next(m)) {
        if (n == cap) all = mem_realloc(all, (cap = cap ? cap * 2 : 16) * sizeof(*all));
        all[n++] = m;
    }
    if (n) qsort(all, n, sizeof(*all), values_order);
    for (size_t i = 0; i < n; i++) series_collect(f, all[i], sink, ctx);
    epoch_leave();
    mem_free(all);
}

static int family_order(const void *a, const void *b)
{
    return strcmp(
        (*(struct metric_family *const *)a)->name, (*(struct metric_family *const *)b)->name);
}

void metric_each(metric_sink sink, void *ctx)
{
    size_t n = 0;
    for (struct metric_family *f = families; f; f = f->next) n++;
    struct metric_family **all = mem_alloc_array(n + 1, sizeof(*all));
    n = 0;
    for (struct metric_family *f = families; f; f = f->next) all[n++] = f;
    qsort(all, n, sizeof(*all), family_order);
    for (size_t i = 0; i < n; i++) family_collect(all[i], sink, ctx);
    mem_free(all);
}
