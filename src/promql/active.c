#include "promql/active.h"

#include "base/clock.h"

void active_init(struct active_list *l)
{
    *l = (struct active_list){ 0 };
    mtx_init(&l->mu, LOCK_QUERY);
}

void active_fini(struct active_list *l)
{
    assert(!l->first);
    mtx_fini(&l->mu);
}

void active_enter(struct active_list *l, struct active_query *a, const struct query_opts *o,
    void (*cut)(void *ctx), void *cut_ctx)
{
    *a = (struct active_query){ .opts = o,
        .start_ms = clock_wall_ms(),
        .began_ns = clock_mono_ns(),
        .cut = cut,
        .cut_ctx = cut_ctx };
    mtx_lock(&l->mu);
    a->id = ++l->last_id;
    a->next = l->first;
    l->first = a;
    mtx_unlock(&l->mu);
}

void active_leave(struct active_list *l, struct active_query *a)
{
    mtx_lock(&l->mu);
    struct active_query **at = &l->first;
    while (*at != a) at = &(*at)->next;
    *at = a->next;
    mtx_unlock(&l->mu);
}

void active_memory(struct active_query *a, uint64_t bytes)
{
    atomic_store_explicit(&a->memory, bytes, memory_order_relaxed);
    if (bytes > atomic_load_explicit(&a->memory_peak, memory_order_relaxed))
        atomic_store_explicit(&a->memory_peak, bytes, memory_order_relaxed);
}

static uint64_t figure(const _Atomic uint64_t *f)
{
    return atomic_load_explicit(f, memory_order_relaxed);
}

struct query_activity active_activity(const struct active_query *q)
{
    const struct query_opts *o = q->opts;
    int64_t now_ns = clock_mono_ns();
    int64_t entered = atomic_load_explicit(&q->entered_ns, memory_order_relaxed);
    int64_t queued = (entered ? entered : now_ns) - q->began_ns;
    return (struct query_activity){
        .id = q->id,
        .query = o->query,
        .origin = o->origin,
        .start_ms = q->start_ms,
        .age_ns = MAX(now_ns - q->began_ns, 0),
        .waited_ns = queued + atomic_load_explicit(&q->waited_ns, memory_order_relaxed),
        .running = entered != 0,
        .sending = atomic_load_explicit(&q->sending, memory_order_relaxed),
        .samples = figure(&q->samples),
        .series = figure(&q->series),
        .series_done = figure(&q->series_done),
        .bytes = figure(&q->bytes),
        .memory = figure(&q->memory),
        .memory_peak = figure(&q->memory_peak),
    };
}

void active_copy(struct active_list *l, struct arena *a, struct query_activity **out, size_t *n)
{
    mtx_lock(&l->mu);
    *n = 0;
    for (const struct active_query *q = l->first; q; q = q->next) ++*n;
    *out = arena_array(a, *n, sizeof(**out));
    size_t at = *n;
    for (const struct active_query *q = l->first; q; q = q->next) {
        struct query_activity *to = &(*out)[--at];
        *to = active_activity(q);
        to->query = arena_str(a, to->query);
        to->origin = (struct query_origin){ arena_str(a, to->origin.client),
            arena_str(a, to->origin.method), arena_str(a, to->origin.path) };
    }
    mtx_unlock(&l->mu);
}

bool active_end(struct active_list *l, uint64_t id)
{
    bool found = false;
    mtx_lock(&l->mu);
    for (struct active_query *q = l->first; q && !found; q = q->next) {
        found = q->id == id;
        if (!found) continue;
        atomic_store_explicit(&q->ended, true, memory_order_relaxed);
        if (q->cut) q->cut(q->cut_ctx);
    }
    mtx_unlock(&l->mu);
    return found;
}
