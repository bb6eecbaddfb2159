/* result_cache.c — a map from what is asked to a list of answers, and a ring of all of them by use.
 *
 * An answer is one piece of memory that never changes: its rows as a result has them, sorted by
 * labels, with columns of floats and times; rows with a value at each step share their times. So
 * some of its steps are a piece of each column. Texts are compared as they were written: who asks
 * again does so with the same words.
 */
#include "promql/result_cache.h"

#include "base/account.h"
#include "base/budget.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"
#include "storage/changes.h"

ACCOUNT(result_cache_account, "result_cache")
COUNTER_VEC(m_found, "epimetheus_query_result_cache_requests_total",
    "Range queries that asked for kept answers, by how much of theirs was found.", "found")
COUNTER(m_evicted, "epimetheus_query_result_cache_evictions_total",
    "Kept answers that went because there was no room.")
GAUGE(m_bytes, "epimetheus_query_result_cache_size_bytes", "Bytes of kept answers.")
GAUGE(m_entries, "epimetheus_query_result_cache_entries", "Kept answers.")
GAUGE(m_limit, "epimetheus_query_result_cache_limit_bytes", "How many bytes may be kept.")

__attribute__((constructor)) static void result_cache_metrics_begin(void)
{
    (void)METRIC_WITH(&m_found, S("all"));
    (void)METRIC_WITH(&m_found, S("some"));
    (void)METRIC_WITH(&m_found, S("none"));
}

enum { OF_A_QUERY_MAX = 8, PART_OF_LIMIT = 4, QUERY_BYTES_MAX = 1 << 16 };
/* times beyond are not added up */
static const int64_t TIME_MAX = INT64_C(1) << 52;

struct kept {
    _Atomic uint32_t refs;
    struct kept *prev, *next;              /* the ring, the last used first; by the cache's mu */
    struct kept *same;                     /* of the same query; likewise */
    uint64_t hash;
    size_t bytes;
    struct result_ask ask;
    struct result_origin from;
    size_t n_series;
    struct result_series *series;
};

struct result_cache {
    struct mtx mu;                         /* LOCK_LEAF */
    struct map map;                        /* GUARDED_BY(mu): by hash, the first of each */
    struct kept *used;                     /* GUARDED_BY(mu): the ring; NULL: empty */
    uint64_t limit, bytes, n;              /* limit: const; GUARDED_BY(mu) */
    struct result_cache *next;             /* GUARDED_BY(all_mu) */
};

/* All of the process: memory that is short takes from each. */
static struct mtx all_mu;                  /* LOCK_QUERY */
static struct result_cache *all;           /* GUARDED_BY(all_mu) */
__attribute__((constructor)) static void all_begin(void) { mtx_init(&all_mu, LOCK_QUERY); }

struct result_cache *result_cache_new(uint64_t limit_bytes)
{
    struct result_cache *c = NEW(struct result_cache);
    mtx_init(&c->mu, LOCK_LEAF);
    c->limit = limit_bytes;
    metric_add(&m_limit, (double)limit_bytes);
    mtx_lock(&all_mu);
    c->next = all;
    all = c;
    mtx_unlock(&all_mu);
    return c;
}

/* Answers */

uint64_t kept_peak(const struct kept *k) { return k->from.peak; }

void kept_unref(struct kept *k)
{
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1) return;
    account_charge(&result_cache_account, -(int64_t)k->bytes);
    mem_free(k);
}

static struct kept *kept_ref(struct kept *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

static int64_t ask_last(const struct result_ask *a)
{
    return a->start_ms + (int64_t)(a->steps - 1) * a->step_ms;
}

static size_t labels_bytes(struct labels l)
{
    size_t n = l.n * sizeof(*l.at);
    for (size_t i = 0; i < l.n; i++) n += l.at[i].name.n + l.at[i].value.n;
    return n;
}

/* A row of fewer steps has times of its own. */
static size_t kept_size(const struct result_ask *ask, const struct result *r)
{
    size_t n = sizeof(struct kept) + r->n_series * sizeof(struct result_series) + ask->query.n +
               ask->steps * sizeof(int64_t);
    for (size_t i = 0; i < r->n_series; i++) {
        const struct result_series *s = &r->series[i];
        n += labels_bytes(s->labels) + s->n * sizeof(*s->v);
        if (s->n != ask->steps) n += s->n * sizeof(*s->t);
    }
    return n;
}

/* Pieces of one piece of memory: what wants to be aligned comes first. */
struct carving { uint8_t *at; };
static void *carve(struct carving *c, const void *from, size_t n)
{
    void *to = c->at;
    if (n) memcpy(to, from, n);
    c->at += n;
    return to;
}
static str carve_str(struct carving *c, str s) { return (str){ carve(c, s.p, s.n), s.n }; }

static void carve_labels(struct carving *c, struct labels *l)
{
    struct label *at = (struct label *)l->at;
    for (size_t i = 0; i < l->n; i++) {
        at[i].name = carve_str(c, at[i].name);
        at[i].value = carve_str(c, at[i].value);
    }
}

/* n: its bytes. */
static struct kept *kept_new(const struct result_ask *ask, const struct result *r,
    const struct result_origin *from, size_t n)
{
    struct kept *k = mem_alloc(n);
    struct carving c = { (uint8_t *)(k + 1) };
    *k = (struct kept){ .bytes = n, .ask = *ask, .from = *from, .n_series = r->n_series };
    atomic_init(&k->refs, 1);
    k->series = carve(&c, r->series, r->n_series * sizeof(*k->series));
    int64_t *times = (int64_t *)(void *)c.at;
    for (size_t i = 0; i < ask->steps; i++) times[i] = ask->start_ms + (int64_t)i * ask->step_ms;
    c.at += ask->steps * sizeof(*times);
    for (size_t i = 0; i < k->n_series; i++) {
        struct result_series *s = &k->series[i];
        s->t = s->n == ask->steps ? times : carve(&c, s->t, s->n * sizeof(*s->t));
        s->v = carve(&c, s->v, s->n * sizeof(*s->v));
        s->labels.at = carve(&c, s->labels.at, s->labels.n * sizeof(*s->labels.at));
    }
    for (size_t i = 0; i < k->n_series; i++) carve_labels(&c, &k->series[i].labels);
    k->ask.query = carve_str(&c, ask->query);
    assert(c.at == (uint8_t *)k + n);
    account_charge(&result_cache_account, (int64_t)n);
    return k;
}

/* The first point of a row at or behind t. */
static size_t series_at(const struct result_series *s, int64_t t)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->t[mid] < t) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* What a row has of [from, last]. */
static struct result_series series_cut(const struct result_series *s, int64_t from, int64_t last)
{
    size_t lo = series_at(s, from), hi = series_at(s, last + 1);
    struct result_series cut = *s;
    cut.t += lo;
    cut.v += lo;
    cut.n = hi - lo;
    return cut;
}

/* Rows of the first n steps, in the arena; those without a point are none. */
static struct result_series *kept_rows(const struct kept *k, const struct result_ask *ask, size_t n,
    struct arena *a, size_t *rows)
{
    int64_t last = ask->start_ms + (int64_t)(n - 1) * ask->step_ms;
    struct result_series *to = arena_array(a, k->n_series, sizeof(*to));
    *rows = 0;
    for (size_t i = 0; i < k->n_series; i++) {
        to[*rows] = series_cut(&k->series[i], ask->start_ms, last);
        *rows += to[*rows].n > 0;
    }
    return to;
}

static bool kept_is_all_of(const struct kept *k, const struct result_ask *ask)
{
    return k->ask.start_ms == ask->start_ms && k->ask.steps == ask->steps;
}

void kept_give(struct kept *k, const struct result_ask *ask, size_t n, struct result *r)
{
    assert(n == ask->steps);
    r->type = VALUE_MATRIX;
    r->series = k->series;
    r->n_series = k->n_series;
    if (!kept_is_all_of(k, ask)) r->series = kept_rows(k, ask, n, &r->arena, &r->n_series);
    r->kept = kept_ref(k);
}

/* One row of both, or what there is of one; in the arena. times: of a row with all steps. */
static struct result_series series_join(const struct result_series *a,
    const struct result_series *b, size_t steps, const int64_t *times, struct arena *to)
{
    size_t n = a->n + b->n;
    double *v = arena_array(to, n, sizeof(*v));
    memcpy(v, a->v, a->n * sizeof(*v));
    memcpy(v + a->n, b->v, b->n * sizeof(*v));
    struct result_series s = { .labels = b->labels, .t = times, .v = v, .n = n };
    if (n == steps) return s;
    int64_t *t = arena_array(to, n, sizeof(*t));
    memcpy(t, a->t, a->n * sizeof(*t));
    memcpy(t + a->n, b->t, b->n * sizeof(*t));
    s.t = t;
    return s;
}

void kept_put_before(struct kept *k, const struct result_ask *ask, size_t n, struct result *r)
{
    struct arena *a = &r->arena;
    size_t n_old, i = 0, j = 0, made = 0;
    const struct result_series *old = kept_rows(k, ask, n, a, &n_old), *new = r->series;
    struct result_series *to = arena_array(a, n_old + r->n_series, sizeof(*to));
    int64_t *times = arena_array(a, ask->steps, sizeof(*times));
    for (size_t s = 0; s < ask->steps; s++) times[s] = ask->start_ms + (int64_t)s * ask->step_ms;
    while (i < n_old || j < r->n_series) {
        int cmp = i == n_old ? 1 : j == r->n_series ? -1 : labels_cmp(old[i].labels, new[j].labels);
        if (cmp == 0) to[made++] = series_join(&old[i++], &new[j++], ask->steps, times, a);
        else to[made++] = cmp < 0 ? old[i++] : new[j++];
    }
    r->series = to;
    r->n_series = made;
    r->kept = kept_ref(k);
}

/* Finding */

static uint64_t ask_hash(const struct result_ask *a)
{
    int64_t numbers[] = { a->step_ms, a->lookback_ms, a->default_step_ms,
        a->start_ms % a->step_ms };
    uint64_t h = hash_str(a->query);
    return h ^ hash_bytes(numbers, sizeof(numbers)) * 0x9e3779b97f4a7c15u;
}

static bool ask_is_like(const struct result_ask *a, const struct result_ask *b)
{
    return a->step_ms == b->step_ms && a->lookback_ms == b->lookback_ms &&
           a->default_step_ms == b->default_step_ms &&
           a->start_ms % a->step_ms == b->start_ms % a->step_ms && str_eq(a->query, b->query);
}

/* How many of the first steps of the query it has, be they true or not. */
static size_t kept_covers(const struct kept *k, const struct result_ask *ask)
{
    if (k->ask.start_ms == ask->start_ms && k->ask.end_ms == ask->end_ms) return ask->steps;
    if (!k->from.apart || ask->steps < 2 || k->ask.start_ms > ask->start_ms) return 0;
    int64_t last = MIN(ask_last(&k->ask), ask_last(ask));
    return last < ask->start_ms ? 0 : (size_t)((last - ask->start_ms) / ask->step_ms) + 1;
}

static void ring_take(struct result_cache *c, struct kept *k)
{
    if (c->used == k) c->used = k->next == k ? NULL : k->next;
    k->prev->next = k->next;
    k->next->prev = k->prev;
}

static void ring_put_first(struct result_cache *c, struct kept *k)
{
    k->next = k->prev = k;
    if (c->used) {
        k->next = c->used;
        k->prev = c->used->prev;
        k->prev->next = k->next->prev = k;
    }
    c->used = k;
}

/* With a reference. */
static struct kept *cache_best(struct result_cache *c, const struct result_ask *ask, size_t *n)
{
    struct kept *best = NULL;
    *n = 0;
    mtx_lock(&c->mu);
    for (struct kept *k = map_find(&c->map, ask_hash(ask), NULL, NULL); k; k = k->same) {
        size_t covers = ask_is_like(&k->ask, ask) ? kept_covers(k, ask) : 0;
        if (covers <= *n) continue;
        *n = covers;
        best = k;
    }
    if (best) {
        ring_take(c, best);
        ring_put_first(c, best);
        kept_ref(best);
    }
    mtx_unlock(&c->mu);
    return best;
}

/* How many of the first n steps are true. */
static size_t kept_true(
    const struct kept *k, const struct result_ask *ask, size_t n, struct queryable *storage)
{
    const struct steps_reach *r = &k->from.reach;
    int64_t mint = 0, maxt = 0, last = ask->start_ms + (int64_t)(n - 1) * ask->step_ms;
    bool by_labels;
    bool reads = steps_reach_span(r, ask->start_ms, ask->end_ms, &mint, &maxt);
    struct changes *c = storage->ops->changes(storage, mint, maxt, &by_labels);
    if (!c || c->id != k->from.data) return 0;
    if (!reads) return n;
    if (by_labels != k->from.by_labels) return 0;
    if (changes_first(c, k->from.since, r->mint, r->maxt) != INT64_MAX) return 0;
    if (!r->moves) return n;
    int64_t t = changes_first(c, k->from.since, ask->start_ms - r->behind, last + r->ahead);
    if (t == INT64_MAX) return n;
    if (!k->from.apart || t <= ask->start_ms + r->ahead) return 0;
    return MIN(n, (size_t)((t - r->ahead - ask->start_ms - 1) / ask->step_ms) + 1);
}

bool kept_holds(
    const struct kept *k, const struct result_ask *ask, size_t n, struct queryable *storage)
{
    return kept_true(k, ask, n, storage) == n;
}

static bool ask_is_odd(const struct result_ask *a)
{
    return a->query.n > QUERY_BYTES_MAX || a->start_ms < -TIME_MAX || a->end_ms > TIME_MAX;
}

struct kept *result_cache_find(struct result_cache *c, const struct result_ask *ask,
    struct queryable *storage, size_t *n)
{
    *n = 0;
    struct kept *k = ask_is_odd(ask) ? NULL : cache_best(c, ask, n);
    if (k) *n = kept_true(k, ask, *n, storage);
    if (k && !*n) kept_unref(STEAL(k));
    return k;
}

void result_cache_note(const struct result_ask *ask, size_t n)
{
    str found = !n ? S("none") : n == ask->steps ? S("all") : S("some");
    metric_add_to(metric_with(&m_found, &found, 1), 1);
}

/* Keeping */

static void cache_drop_locked(struct result_cache *c, struct kept *k) REQUIRES(c->mu)
{
    mtx_assert_held(&c->mu);
    struct kept *first = map_remove(&c->map, k->hash, NULL, NULL), **at = &first;
    while (*at != k) at = &(*at)->same;
    *at = k->same;
    if (first) map_put(&c->map, k->hash, first);
    ring_take(c, k);
    c->bytes -= k->bytes;
    c->n--;
    metric_add(&m_bytes, -(double)k->bytes);
    metric_add(&m_entries, -1);
    kept_unref(k);
}

static void cache_shrink_locked(struct result_cache *c, uint64_t to) REQUIRES(c->mu)
{
    mtx_assert_held(&c->mu);
    while (c->used && c->bytes > to) {
        cache_drop_locked(c, c->used->prev);
        metric_inc(&m_evicted);
    }
}

/* What a newer answer leaves nothing to do for: most of its steps are there once more, or it is one
 * of the same times. */
static bool kept_is_replaced(const struct kept *old, const struct kept *k)
{
    if (old->ask.start_ms == k->ask.start_ms && old->ask.end_ms == k->ask.end_ms) return true;
    if (!old->from.apart || !k->from.apart || old->ask.start_ms > ask_last(&k->ask)) return false;
    int64_t from = MAX(old->ask.start_ms, k->ask.start_ms);
    int64_t last = MIN(ask_last(&old->ask), ask_last(&k->ask));
    return last - from >= (ask_last(&old->ask) - old->ask.start_ms) / 2;
}

static void cache_add_locked(struct result_cache *c, struct kept *k) REQUIRES(c->mu)
{
    size_t others = 0;
    mtx_assert_held(&c->mu);
    for (struct kept *o = map_find(&c->map, k->hash, NULL, NULL), *next; o; o = next) {
        next = o->same;
        bool gone = ask_is_like(&o->ask, &k->ask) && kept_is_replaced(o, k);
        if (gone || ++others >= OF_A_QUERY_MAX) cache_drop_locked(c, o);
    }
    cache_shrink_locked(c, c->limit - k->bytes);
    k->same = map_remove(&c->map, k->hash, NULL, NULL);
    map_put(&c->map, k->hash, k);
    ring_put_first(c, k);
    c->bytes += k->bytes;
    c->n++;
    metric_add(&m_bytes, (double)k->bytes);
    metric_add(&m_entries, 1);
}

static bool result_is_plain(const struct result *r)
{
    if (r->type != VALUE_MATRIX || r->n_warnings || r->n_infos) return false;
    for (size_t i = 0; i < r->n_series; i++)
        if (r->series[i].h) return false;
    return true;
}

static bool reach_is_odd(const struct steps_reach *r)
{
    return r->behind < -TIME_MAX || r->behind > TIME_MAX || r->ahead < -TIME_MAX ||
           r->ahead > TIME_MAX;
}

void result_cache_put(struct result_cache *c, const struct result_ask *ask, const struct result *r,
    const struct result_origin *from)
{
    if (!result_is_plain(r) || ask_is_odd(ask) || reach_is_odd(&from->reach)) return;
    size_t n = kept_size(ask, r);
    if (n > c->limit / PART_OF_LIMIT) return;
    struct kept *k = kept_new(ask, r, from, n);
    k->hash = ask_hash(ask);
    mtx_lock(&c->mu);
    cache_add_locked(c, k);
    mtx_unlock(&c->mu);
}

struct result_cache_stats result_cache_stats(struct result_cache *c)
{
    mtx_lock(&c->mu);
    struct result_cache_stats s = { c->bytes, c->n };
    mtx_unlock(&c->mu);
    return s;
}

/* What is too much goes from here, all of it if need be: it can be computed again. */
static void caches_yield(uint64_t too_much)
{
    mtx_lock(&all_mu);
    for (struct result_cache *c = all; c && too_much; c = c->next) {
        mtx_lock(&c->mu);
        uint64_t had = c->bytes;
        cache_shrink_locked(c, had > too_much ? had - too_much : 0);
        too_much -= MIN(too_much, had - c->bytes);
        mtx_unlock(&c->mu);
    }
    mtx_unlock(&all_mu);
}
BUDGET_CACHE(result_caches, caches_yield)

void result_cache_free(struct result_cache *c)
{
    if (!c) return;
    mtx_lock(&all_mu);
    struct result_cache **at = &all;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    mtx_unlock(&all_mu);
    mtx_lock(&c->mu);
    while (c->used) cache_drop_locked(c, c->used);
    mtx_unlock(&c->mu);
    metric_add(&m_limit, -(double)c->limit);
    map_fini(&c->map);
    mtx_fini(&c->mu);
    mem_free(c);
}
