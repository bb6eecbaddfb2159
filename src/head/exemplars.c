/* exemplars.c — one ring for all series.
 *
 *     ring     [ e7 | e8 | e3 | e4 | e5 | e6 ]    at: where e3 is, the oldest that came
 *     series   oldest -- next --> … -- next --> newest    by time, through the ring
 *
 * Places are kept as index + 1, so that memory of zeros is an empty ring; its pages are first
 * touched when they are needed.
 */
#include "head/exemplars.h"

#include "base/lock.h"
#include "base/map.h"
#include "base/metric.h"

#include <stdlib.h>

ACCOUNT(exemplars_account, "exemplars")

COUNTER(m_appended, "prometheus_tsdb_exemplar_exemplars_appended_total",
    "Total number of appended exemplars.")
COUNTER(m_out_of_order, "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
    "Total number of out of order exemplar ingestion failed attempts.")
GAUGE(m_stored, "prometheus_tsdb_exemplar_exemplars_in_storage",
    "Number of exemplars currently in circular storage.")
GAUGE(m_series, "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
    "Number of series with exemplars currently in circular storage.")
GAUGE(m_last, "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
    "The timestamp of the oldest exemplar stored in circular storage. Useful to check for what "
    "timerange the current exemplar buffer limit allows. This usually means the last timestamp"
    "for all exemplars for a typical setup. This is not true though if one of the series timestamp "
    "is in future compared to rest series.")
GAUGE(m_max, "prometheus_tsdb_exemplar_max_exemplars",
    "Total number of exemplars the exemplar storage can store, resizeable.")

typedef uint32_t place; /* index + 1; 0: none */

struct owner {
    struct labels labels;
    uint64_t hash;
    size_t bytes;
    place oldest, newest;
};
struct entry {
    struct owner *of; /* NULL: free */
    int64_t t;
    double v;
    struct label *labels; /* heap, with the text behind it; NULL: none */
    uint32_t n_labels, bytes;
    place prev, next;
    bool has_t;
};

struct exemplars {
    struct exemplar_queryable queryable;
    struct rwlock mu; /* LOCK_LEAF: all below */
    struct entry *ring;
    size_t cap, n, at; /* at: the place that is taken next */
    struct map owners; /* by hash of labels */
    int64_t late_ms;
};

/* Labels and what stands before them in one piece of memory. */
static void *block_of(size_t head, struct labels l, struct label **at, size_t *bytes)
{
    size_t n = head + l.n * sizeof(struct label);
    for (size_t i = 0; i < l.n; i++) n += l.at[i].name.n + l.at[i].value.n;
    uint8_t *block = mem_alloc(n), *text = block + head + l.n * sizeof(struct label);
    *at = (struct label *)(void *)(block + head);
    for (size_t i = 0; i < l.n; i++) {
        const str from[] = { l.at[i].name, l.at[i].value };
        str to[2];
        for (int k = 0; k < 2; k++) {
            if (from[k].n) memcpy(text, from[k].p, from[k].n);
            to[k] = str_of(text, from[k].n);
            text += from[k].n;
        }
        (*at)[i] = (struct label){ to[0], to[1] };
    }
    account_charge(&exemplars_account, (int64_t)n);
    *bytes = n;
    return block;
}

static void block_free(void *block, size_t bytes)
{
    account_charge(&exemplars_account, -(int64_t)bytes);
    mem_free(block);
}

static struct entry *ring_new(size_t cap)
{
    account_charge(&exemplars_account, (int64_t)(cap * sizeof(struct entry)));
    return cap ? mem_zalloc(cap * sizeof(struct entry)) : NULL;
}

static void ring_free(struct entry *ring, size_t cap)
{
    account_charge(&exemplars_account, -(int64_t)(cap * sizeof(struct entry)));
    mem_free(ring);
}

static struct entry *entry_at(const struct exemplars *x, place p) { return &x->ring[p - 1]; }

static struct exemplar exemplar_of(const struct entry *n)
{
    return (struct exemplar){ { n->labels, n->n_labels }, n->v, n->t, n->has_t };
}

static bool owner_has(const void *val, const void *key)
{
    return labels_eq(((const struct owner *)val)->labels, *(const struct labels *)key);
}

static struct owner *owner_find(const struct exemplars *x, struct labels series)
{
    return map_find(&x->owners, labels_hash(series), owner_has, &series);
}

static struct owner *owner_new(struct exemplars *x, struct labels series)
{
    struct label *at;
    size_t bytes;
    struct owner *o = block_of(sizeof(*o), series, &at, &bytes);
    *o = (struct owner){ .labels = { at, series.n }, .hash = labels_hash(series), .bytes = bytes };
    map_put(&x->owners, o->hash, o);
    return o;
}

static void owner_drop(struct exemplars *x, struct owner *o)
{
    (void)map_remove(&x->owners, o->hash, owner_has, &o->labels);
    block_free(o, o->bytes);
}

/* Takes an entry out of its series, which may be without entries then. */
static void entry_drop(struct exemplars *x, struct entry *n)
{
    struct owner *o = n->of;
    *(n->prev ? &entry_at(x, n->prev)->next : &o->oldest) = n->next;
    *(n->next ? &entry_at(x, n->next)->prev : &o->newest) = n->prev;
    block_free(n->labels, n->bytes);
    *n = (struct entry){ 0 };
    x->n--;
}

static void show(const struct exemplars *x)
{
    metric_set(&m_stored, (double)x->n);
    metric_set(&m_series, (double)x->owners.n);
    if (!x->n) {
        metric_set(&m_last, 0);
        return;
    }
    const struct entry *oldest = x->n == x->cap ? &x->ring[x->at] : &x->ring[0];
    if (oldest->of) metric_set(&m_last, (double)oldest->t / 1000);
}

/* What becomes of an exemplar of a series: ERR_DUPLICATE: it is there. */
static errc check_locked(
    const struct exemplars *x, const struct owner *o, const struct exemplar *ex, struct err *e)
{
    TRY(exemplar_check(ex, e));
    if (!o) return OK;
    struct exemplar newest = exemplar_of(entry_at(x, o->newest));
    if (exemplar_same(&newest, ex)) return ERR_DUPLICATE;
    bool older = ex->t < newest.t, late = false;
    if (older) {
        int64_t bound;
        late = !__builtin_sub_overflow(newest.t, x->late_ms, &bound) && ex->t <= bound;
    } else if (ex->t == newest.t) {
        late = ex->v < newest.v ||
               (ex->v == newest.v && labels_hash(ex->labels) < labels_hash(newest.labels));
    }
    return late ? err_set(e, ERR_OUT_OF_ORDER, "out of order exemplar") : OK;
}

errc exemplars_check(
    struct exemplars *x, struct labels series, const struct exemplar *ex, bool *take, struct err *e)
{
    *take = false;
    rwlock_rdlock(&x->mu);
    errc rc = x->cap ? check_locked(x, owner_find(x, series), ex, e) : ERR_DUPLICATE;
    rwlock_unlock(&x->mu);
    *take = rc == OK;
    return rc == ERR_DUPLICATE ? OK : rc;
}

/* The newest entry of the series whose time is not after t; 0: there is none. */
static place place_before(const struct exemplars *x, const struct owner *o, int64_t t)
{
    place p = o->newest;
    while (p && entry_at(x, p)->t > t) p = entry_at(x, p)->prev;
    return p;
}

static void entry_put(struct exemplars *x, struct owner *o, const struct exemplar *ex)
{
    struct entry *n = &x->ring[x->at];
    place me = (place)x->at + 1, before = place_before(x, o, ex->t);
    size_t bytes = 0;
    *n = (struct entry){ .of = o, .t = ex->t, .v = ex->v, .has_t = ex->has_t, .prev = before };
    if (ex->labels.n) (void)block_of(0, ex->labels, &n->labels, &bytes);
    n->n_labels = (uint32_t)ex->labels.n;
    n->bytes = (uint32_t)bytes;
    n->next = before ? entry_at(x, before)->next : o->oldest;
    *(before ? &entry_at(x, before)->next : &o->oldest) = me;
    *(n->next ? &entry_at(x, n->next)->prev : &o->newest) = me;
    x->n++;
    x->at = (x->at + 1) % x->cap;
}

static errc add_locked(
    struct exemplars *x, struct labels series, const struct exemplar *ex, struct err *e)
{
    struct owner *o = owner_find(x, series);
    errc rc = check_locked(x, o, ex, e);
    if (rc == ERR_OUT_OF_ORDER) metric_inc(&m_out_of_order);
    if (rc != OK) return rc == ERR_DUPLICATE ? OK : rc;
    if (o && ex->t < entry_at(x, o->newest)->t) {
        place before = place_before(x, o, ex->t);
        /* One of the same time: to compare with all of them would take too long under the lock. */
        if (before && entry_at(x, before)->t == ex->t) return OK;
    }
    if (!o) o = owner_new(x, series);
    struct entry *old = &x->ring[x->at];
    if (old->of) {
        struct owner *of = old->of;
        entry_drop(x, old);
        if (!of->oldest && of != o) owner_drop(x, of);
    }
    entry_put(x, o, ex);
    metric_inc(&m_appended);
    show(x);
    return OK;
}

errc exemplars_add(
    struct exemplars *x, struct labels series, const struct exemplar *ex, struct err *e)
{
    rwlock_wrlock(&x->mu);
    errc rc = x->cap ? add_locked(x, series, ex, e) : OK;
    rwlock_unlock(&x->mu);
    return rc;
}

/* Size. */

static place moved(const struct exemplars *x, place p, size_t first)
{
    return p ? (place)((p - 1 + x->cap - first) % x->cap) + 1 : 0;
}

/* Moves all to a ring of another size, the oldest to its beginning. */
static void ring_move(struct exemplars *x, size_t cap)
{
    struct entry *to = ring_new(cap);
    size_t first = x->n == x->cap ? x->at : (x->at + x->cap - x->n) % x->cap;
    for (size_t i = 0; i < x->n; i++) {
        to[i] = x->ring[(first + i) % x->cap];
        to[i].prev = moved(x, to[i].prev, first);
        to[i].next = moved(x, to[i].next, first);
    }
    struct owner *o;
    for (size_t i = 0; (o = map_next(&x->owners, &i)) != NULL;) {
        o->oldest = moved(x, o->oldest, first);
        o->newest = moved(x, o->newest, first);
    }
    ring_free(x->ring, x->cap);
    x->ring = to;
    x->cap = cap;
    x->at = cap ? x->n % cap : 0;
}

/* The oldest that came. */
static void drop_oldest(struct exemplars *x)
{
    size_t first = x->n == x->cap ? x->at : (x->at + x->cap - x->n) % x->cap;
    struct owner *o = x->ring[first].of;
    entry_drop(x, &x->ring[first]);
    if (!o->oldest) owner_drop(x, o);
}

void exemplars_resize(struct exemplars *x, size_t cap)
{
    rwlock_wrlock(&x->mu);
    if (cap != x->cap) {
        while (x->n > cap) drop_oldest(x);
        if (x->n) {
            ring_move(x, cap);
        } else {
            ring_free(x->ring, x->cap);
            x->ring = ring_new(cap);
            x->cap = cap;
            x->at = 0;
        }
        metric_set(&m_max, (double)cap);
        show(x);
    }
    rwlock_unlock(&x->mu);
}

size_t exemplars_cap(const struct exemplars *x)
{
    struct rwlock *mu = (struct rwlock *)(uintptr_t)&x->mu;
    rwlock_rdlock(mu);
    size_t cap = x->cap;
    rwlock_unlock(mu);
    return cap;
}

void exemplars_set_late(struct exemplars *x, int64_t late_ms)
{
    rwlock_wrlock(&x->mu);
    x->late_ms = MAX(late_ms, (int64_t)0);
    rwlock_unlock(&x->mu);
}

/* Reading. */

errc exemplars_each(struct exemplars *x, exemplars_fn fn, void *ctx, struct err *e)
{
    errc rc = OK;
    rwlock_rdlock(&x->mu);
    for (size_t i = 0; i < x->cap && rc == OK; i++) {
        const struct entry *n = &x->ring[(x->at + i) % x->cap];
        struct exemplar ex = exemplar_of(n);
        if (n->of) rc = fn(ctx, n->of->labels, &ex, e);
    }
    rwlock_unlock(&x->mu);
    return rc;
}

static bool is_wanted(const struct owner *o, const struct matchers *sets, size_t n_sets)
{
    for (size_t i = 0; i < n_sets; i++)
        if (matchers_match(sets[i], o->labels)) return true;
    return false;
}

static struct exemplar_series series_read(
    const struct exemplars *x, const struct owner *o, int64_t start, int64_t end, struct arena *a)
{
    VEC(struct exemplar) all = { 0 };
    for (place p = o->oldest; p && entry_at(x, p)->t <= end; p = entry_at(x, p)->next) {
        struct exemplar ex = exemplar_of(entry_at(x, p));
        if (ex.t < start) continue;
        ex.labels = labels_copy(a, ex.labels);
        avec_push(a, &all, ex);
    }
    struct exemplar_series s = { .at = all.at, .n = all.n };
    if (s.n) s.labels = labels_copy(a, o->labels);
    return s;
}

static int series_cmp(const void *a, const void *b)
{
    return labels_cmp(
        ((const struct exemplar_series *)a)->labels, ((const struct exemplar_series *)b)->labels);
}

static errc exemplars_select(struct exemplar_queryable *q, int64_t start, int64_t end,
    const struct matchers *sets, size_t n_sets, struct arena *a, struct exemplar_result *out,
    struct err *e)
{
    struct exemplars *x = CONTAINER_OF(q, struct exemplars, queryable);
    VEC(struct exemplar_series) all = { 0 };
    rwlock_rdlock(&x->mu);
    struct owner *o;
    for (size_t i = 0; !arena_spent(a) && (o = map_next(&x->owners, &i)) != NULL;) {
        if (!is_wanted(o, sets, n_sets)) continue;
        struct exemplar_series s = series_read(x, o, start, end, a);
        if (s.n) avec_push(a, &all, s);
    }
    rwlock_unlock(&x->mu);
    if (arena_spent(a)) return err_set(e, ERR_LIMIT, "too many exemplars");
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), series_cmp);
    *out = (struct exemplar_result){ all.at, all.n };
    return OK;
}

static const struct exemplar_queryable_ops exemplars_ops = { .select = exemplars_select };

/* Beginning and ending. */

struct exemplars *exemplars_new(size_t cap, int64_t late_ms)
{
    struct exemplars *x = NEW(struct exemplars);
    x->queryable.ops = &exemplars_ops;
    rwlock_init(&x->mu, LOCK_LEAF);
    x->ring = ring_new(cap);
    x->cap = cap;
    x->late_ms = MAX(late_ms, (int64_t)0);
    metric_set(&m_max, (double)cap);
    return x;
}

void exemplars_free(struct exemplars *x)
{
    if (!x) return;
    while (x->n) drop_oldest(x);
    ring_free(x->ring, x->cap);
    map_fini(&x->owners);
    rwlock_fini(&x->mu);
    mem_free(x);
}

struct exemplar_queryable *exemplars_queryable(struct exemplars *x) { return &x->queryable; }
