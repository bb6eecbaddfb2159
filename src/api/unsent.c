#include "api/unsent.h"

#include "base/log.h"
#include "base/metric.h"

#define STANDS_NS INT64_C(2000000000)
static const uint64_t BYTES_MAX = 512 << 20;

GAUGE(m_bytes, "epimetheus_http_unsent_bytes",
    "Bytes of query results that wait in memory for clients to read their answers.")
COUNTER(m_cut, "epimetheus_http_unsent_cut_total",
    "Answers that were cut: too much waited in memory, and their clients took nothing.")

void unsent_init(struct unsent_list *l, uint64_t bytes_max)
{
    *l = (struct unsent_list){ .bytes_max = bytes_max ? bytes_max : BYTES_MAX };
    mtx_init(&l->mu, LOCK_QUERY);
}

void unsent_fini(struct unsent_list *l)
{
    assert(!l->first);
    mtx_fini(&l->mu);
}

static int64_t stands_since(const struct unsent *u)
{
    int64_t moved = atomic_load_explicit(&u->of->moved_ns, memory_order_relaxed);
    return MAX(MAX(moved, u->since_ns), u->kernel_ns);
}

/* A socket's buffer may take megabytes before it asks for more: a slow client is seen in it. Looks
 * begin before room is needed, so that they tell how long nothing was taken. */
static void look_locked(struct unsent_list *l, int64_t now_ns) REQUIRES(l->mu)
{
    mtx_assert_held(&l->mu);
    if (l->bytes <= l->bytes_max / 2) return;
    for (struct unsent *u = l->first; u; u = u->next) {
        int n = u->cut ? -1 : http_unsent(u->of);
        if (n >= 0 && (n != u->kernel || !u->kernel_ns)) u->kernel_ns = now_ns;
        u->kernel = n;
    }
}

static struct unsent *longest_locked(struct unsent_list *l) REQUIRES(l->mu)
{
    struct unsent *most = NULL;
    mtx_assert_held(&l->mu);
    for (struct unsent *u = l->first; u; u = u->next)
        if (!u->cut && (!most || stands_since(u) < stands_since(most))) most = u;
    return most;
}

static void make_room_locked(struct unsent_list *l, int64_t now_ns) REQUIRES(l->mu)
{
    mtx_assert_held(&l->mu);
    while (l->bytes > l->bytes_max) {
        struct unsent *u = longest_locked(l);
        if (!u || now_ns - stands_since(u) < STANDS_NS) return;
        u->cut = true;
        l->bytes -= u->bytes;
        metric_inc(&m_cut);
        LOG_LIMITED(WARN, 1000, "an answer is cut: too many of them wait, and nobody reads it",
            kv_str("client", http_client_ip(u->of)), kv_u64("bytes", u->bytes));
        http_cut(u->of);
    }
}

void unsent_enter(
    struct unsent_list *l, struct unsent *u, struct http_req *r, uint64_t bytes, int64_t now_ns)
{
    *u = (struct unsent){ .of = r, .bytes = bytes, .since_ns = now_ns };
    mtx_lock(&l->mu);
    u->next = l->first;
    if (l->first) l->first->prev = u;
    l->first = u;
    l->bytes += bytes;
    look_locked(l, now_ns);
    make_room_locked(l, now_ns);
    metric_set(&m_bytes, (double)l->bytes);
    mtx_unlock(&l->mu);
}

void unsent_leave(struct unsent_list *l, struct unsent *u)
{
    if (!u->of) return;
    mtx_lock(&l->mu);
    if (u->prev) u->prev->next = u->next;
    else l->first = u->next;
    if (u->next) u->next->prev = u->prev;
    if (!u->cut) l->bytes -= u->bytes;
    metric_set(&m_bytes, (double)l->bytes);
    mtx_unlock(&l->mu);
    u->of = NULL;
}
