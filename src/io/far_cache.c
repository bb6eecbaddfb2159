#include "io/far_cache.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/vec.h"
#include "io/far_protocol.h"
#include "io/pool.h"
#include "io/resolver.h"
#include "io/socket.h"

#include <stdatomic.h>

enum {
    TIMEOUT_MS = 500,
    TTL_S = 24 * 3600,
    IDLE_MAX = 100,
    QUEUE_MAX = 10000,
    PUTTERS = 4,
    FAILURES_MAX = 5,
    PAUSE_MS = 5000
};
#define MAGIC "EPC1"
#define MS_NS INT64_C(1000000)

COUNTER_VEC(m_items, "epimetheus_far_cache_items_total",
    "Values that were asked for in caches of other processes: hit, miss, wrong (its checksum).",
    "result")
COUNTER_VEC(m_puts, "epimetheus_far_cache_puts_total",
    "Values for caches of other processes: put, failed, dropped (too many waited, or it is not "
    "asked).",
    "result")
COUNTER(m_pauses, "epimetheus_far_cache_pauses_total",
    "How often a cache of another process was not asked for a while after failures.")

/* One of the servers that share the keys. All but its names: GUARDED_BY(mu) of the cache. */
struct server {
    str address, host, port; /* const after init */
    VEC(struct far_wire) idle;
    unsigned failures; /* in a row */
    int64_t paused_until_ns;
    bool probing; /* somebody asks first after a pause */
};

struct far_cache {
    struct far_cache_opts o; /* const after init; texts lie in arena */
    const struct far_protocol *protocol;
    struct arena arena;
    struct pool *putters;
    struct resolver *names; /* NULL: all addresses are numbers */
    _Atomic size_t queued;
    struct server *servers;
    size_t n_servers;
    struct mtx mu;     /* LOCK_LEAF */
    struct cond heard; /* the resolver has answers */
    uint64_t news;     /* GUARDED_BY(mu): how many */
};

/* ---- connections */

static void on_news(void *ctx)
{
    struct far_cache *c = ctx;
    mtx_lock(&c->mu);
    c->news++;
    cond_broadcast(&c->heard);
    mtx_unlock(&c->mu);
}

static errc addresses_of(struct far_cache *c, const struct server *s, int64_t until_ns,
    struct arena *a, str *out, struct err *e)
{
    *out = s->host;
    if (!c->names || sock_is_ip(s->host)) return OK;
    for (bool late = false;;) {
        mtx_lock(&c->mu);
        uint64_t before = c->news;
        mtx_unlock(&c->mu);
        enum resolved rc = resolver_get(c->names, s->host, a, out, e);
        if (rc != RESOLVED_ASKED) return rc == RESOLVED_YES ? OK : ERR_IO;
        if (late)
            return err_set(e, ERR_TIMEOUT, "lookup %.*s: it takes too long", STR_ARG(s->host));
        mtx_lock(&c->mu);
        while (c->news == before && !late) late = !cond_wait_until(&c->heard, &c->mu, until_ns);
        mtx_unlock(&c->mu);
    }
}

static errc greeted(struct far_cache *c, struct far_wire *w, struct err *e)
{
    int64_t until_ns = clock_mono_ns() + c->o.timeout_ms * MS_NS;
    errc rc = c->protocol->greet ? c->protocol->greet(w, &c->o, until_ns, e) : OK;
    if (rc != OK) far_wire_close(w);
    return rc;
}

/* The first of its addresses that answers. */
static errc dial(struct far_cache *c, const struct server *s, struct far_wire *w, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    int64_t until_ns = clock_mono_ns() + c->o.dial_ms * MS_NS;
    str all, one;
    TRY(addresses_of(c, s, until_ns, &a, &all, e));
    errc rc = err_set(e, ERR_IO, "%.*s has no address", STR_ARG(s->host));
    while (rc != OK && all.n) {
        str_cut(all, ',', &one, &all);
        rc = far_wire_open(w, one, s->port, until_ns, e);
    }
    if (rc == OK) return greeted(c, w, e);
    if (c->names) resolver_forget(c->names, s->host);
    return rc;
}

/* ---- is it asked? */

/* False: not now. w->fd: -1 where a connection is to be made. */
static bool turn_begin(struct far_cache *c, struct server *s, struct far_wire *w)
{
    *w = (struct far_wire){ .fd = -1 };
    VEC(struct far_wire) gone = { 0 };
    mtx_lock(&c->mu);
    bool paused = s->failures >= c->o.failures_max;
    bool go = !paused || (!s->probing && clock_mono_ns() >= s->paused_until_ns);
    if (go && paused) s->probing = true;
    while (go && w->fd < 0 && s->idle.n) {
        struct far_wire one = vec_pop(&s->idle);
        if (far_wire_quiet(&one)) *w = one;
        else vec_push(&gone, one); /* the server went meanwhile */
    }
    mtx_unlock(&c->mu);
    for (size_t i = 0; i < gone.n; i++) far_wire_close(&gone.at[i]);
    vec_fini(&gone);
    return go;
}

static void turn_end(
    struct far_cache *c, struct server *s, struct far_wire *w, errc rc, const struct err *e)
{
    bool close = w->fd >= 0, pause = false;
    mtx_lock(&c->mu);
    s->probing = false;
    s->failures = rc == OK ? 0 : s->failures + 1;
    if (rc == OK && s->idle.n < c->o.idle_max) {
        vec_push(&s->idle, *w);
        close = false;
    }
    if (s->failures >= c->o.failures_max) {
        pause = true;
        s->failures = c->o.failures_max;
        s->paused_until_ns = clock_mono_ns() + c->o.pause_ms * MS_NS;
    }
    mtx_unlock(&c->mu);
    if (close) far_wire_close(w);
    if (!pause) return;
    metric_inc(&m_pauses);
    LOG_LIMITED(WARN, 60000, "a cache is not asked for a while", kv_z("kind", c->protocol->name),
        kv_str("address", s->address), kv_err(e));
}

/* Each server has a score for each key: the highest has it. When one goes, no other's keys move. */
static struct server *server_of(struct far_cache *c, str key)
{
    struct server *best = c->servers;
    uint64_t most = 0;
    for (size_t i = 0; c->n_servers > 1 && i < c->n_servers; i++) {
        struct server *s = &c->servers[i];
        uint64_t x = (uint64_t)crc32c(crc32c_str(s->address), key.p, key.n);
        x = (x ^ x << 29) * UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
        x ^= x >> 29;
        if (x < most) continue;
        most = x;
        best = s;
    }
    return best;
}

/* ---- asking */

struct asked { size_t hits, wrong; };

static uint32_t checksum(str key, str bytes)
{
    return crc32c(crc32c_str(key), bytes.p, bytes.n);
}

static void value_take(void *ctx, struct far_item *x, str v)
{
    struct asked *a = ctx;
    cursor in = cur_of(v);
    str magic = cur_bytes(&in, sizeof(MAGIC) - 1);
    uint32_t sum = cur_be32(&in);
    str bytes = cur_bytes(&in, cur_left(&in));
    bool right = cur_ok(&in) && str_eq(magic, S(MAGIC)) && bytes.n == x->n &&
                 sum == checksum(x->key, bytes);
    if (!right) {
        a->wrong++;
        return;
    }
    if (bytes.n) memcpy(x->to, bytes.p, bytes.n);
    a->hits += !x->got;
    x->got = true;
}

/* Those of one server; nothing where it is not asked now. */
static void server_get(struct far_cache *c, struct server *s, struct far_item *const *items,
    size_t n, int64_t end_ns, struct asked *a)
{
    struct far_wire w;
    struct err e = { 0 };
    if (clock_mono_ns() >= end_ns || !turn_begin(c, s, &w)) return;
    errc rc = w.fd >= 0 ? OK : dial(c, s, &w, &e);
    int64_t until_ns = clock_mono_ns() + c->o.timeout_ms * MS_NS;
    if (rc == OK)
        rc = c->protocol->get(&w, items, n, MIN(until_ns, end_ns), value_take, a, &e);
    turn_end(c, s, &w, rc, &e);
}

void far_cache_get(struct far_cache *c, struct far_item *items, size_t n)
{
    SCOPED(arena_fini) struct arena mine = { 0 };
    struct asked a = { 0 };
    struct far_item **of = arena_array(&mine, n + 1, sizeof(struct far_item *));
    int64_t end_ns = clock_mono_ns() + (c->o.dial_ms + c->o.timeout_ms) * MS_NS;
    for (size_t i = 0; i < n; i++) items[i].got = false;
    for (size_t k = 0; k < c->n_servers; k++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if (server_of(c, items[i].key) == &c->servers[k]) of[m++] = &items[i];
        if (m) server_get(c, &c->servers[k], of, m, end_ns, &a);
    }
    metric_add_to(METRIC_WITH(&m_items, S("hit")), (double)a.hits);
    metric_add_to(METRIC_WITH(&m_items, S("wrong")), (double)a.wrong);
    metric_add_to(METRIC_WITH(&m_items, S("miss")), (double)(n - MIN(n, a.hits + a.wrong)));
}

/* ---- putting */

struct put { struct far_cache *c; struct buf value; str key; };

static void put_told(const char *how)
{
    metric_add_to(METRIC_WITH(&m_puts, str_z(how)), 1);
}

static void put_run(void *ctx)
{
    struct put *p = ctx;
    struct far_cache *c = p->c;
    struct server *s = server_of(c, p->key);
    struct far_wire w;
    struct err e = { 0 };
    if (turn_begin(c, s, &w)) {
        errc rc = w.fd >= 0 ? OK : dial(c, s, &w, &e);
        int64_t until_ns = clock_mono_ns() + c->o.timeout_ms * MS_NS;
        if (rc == OK)
            rc = c->protocol->put(&w, p->key, buf_view(&p->value), c->o.ttl_s, until_ns, &e);
        turn_end(c, s, &w, rc, &e);
        put_told(rc == OK ? "put" : "failed");
    } else {
        put_told("dropped");
    }
    atomic_fetch_sub_explicit(&c->queued, 1, memory_order_relaxed);
    buf_fini(&p->value);
    mem_free((void *)p->key.p);
    mem_free(p);
}

void far_cache_put(struct far_cache *c, str key, str bytes)
{
    if (c->o.item_max_bytes && bytes.n + FAR_HEAD_BYTES > c->o.item_max_bytes) return;
    if (atomic_fetch_add_explicit(&c->queued, 1, memory_order_relaxed) < c->o.queue_max) {
        struct put *p = NEW(struct put);
        *p = (struct put){ .c = c, .key = mem_str(key) };
        buf_str(&p->value, S(MAGIC));
        buf_be32(&p->value, checksum(key, bytes));
        buf_str(&p->value, bytes);
        if (pool_submit(c->putters, put_run, p)) return;
        buf_fini(&p->value);
        mem_free((void *)p->key.p);
        mem_free(p);
    }
    atomic_fetch_sub_explicit(&c->queued, 1, memory_order_relaxed);
    put_told("dropped");
}

/* ---- begin and end */

#define OR(field, value)                                                                         \
    do                                                                                           \
        if (!c->o.field) c->o.field = (value);                                                   \
    while (0)

static errc servers_take(struct far_cache *c, const struct far_cache_opts *o, struct err *e)
{
    c->servers = arena_zalloc(&c->arena, o->n_addresses * sizeof(*c->servers));
    c->n_servers = o->n_addresses;
    bool named = false;
    for (size_t i = 0; i < o->n_addresses; i++) {
        struct server *s = &c->servers[i];
        uint64_t number;
        s->address = arena_str(&c->arena, o->addresses[i]);
        if (!sock_addr_split(s->address, &s->host, &s->port) || !s->host.n ||
            !str_u64(s->port, &number) || number > UINT16_MAX)
            return err_set(e, ERR_BAD_INPUT, "%s: '%.*s' is no host:port", c->protocol->name,
                STR_ARG(s->address));
        named = named || !sock_is_ip(s->host);
    }
    if (named) c->names = resolver_new(&(struct resolver_opts){ .news = on_news, .ctx = c });
    return OK;
}

errc far_cache_new(struct far_cache **out, const struct far_cache_opts *o, struct err *e)
{
    if (!o->n_addresses) return err_set(e, ERR_BAD_INPUT, "no address of a cache");
    struct far_cache *c = NEW(struct far_cache);
    c->o = *o;
    c->protocol = o->kind == FAR_REDIS ? &far_redis : &far_memcached;
    c->o.username = arena_str(&c->arena, o->username);
    c->o.password = arena_str(&c->arena, o->password);
    OR(dial_ms, TIMEOUT_MS);
    OR(timeout_ms, TIMEOUT_MS);
    OR(ttl_s, TTL_S);
    OR(idle_max, IDLE_MAX);
    OR(queue_max, QUEUE_MAX);
    OR(putters, PUTTERS);
    OR(failures_max, FAILURES_MAX);
    OR(pause_ms, PAUSE_MS);
    mtx_init(&c->mu, LOCK_LEAF);
    cond_init(&c->heard);
    errc rc = servers_take(c, o, e);
    c->putters = pool_new(&(struct pool_opts){ "far-cache", c->o.putters, c->o.queue_max });
    if (rc == OK) *out = c;
    else far_cache_free(c);
    return rc;
}

void far_cache_free(struct far_cache *c)
{
    if (!c) return;
    pool_free(c->putters);
    resolver_free(c->names);
    for (size_t k = 0; k < c->n_servers; k++) {
        struct server *s = &c->servers[k];
        for (size_t i = 0; i < s->idle.n; i++) far_wire_close(&s->idle.at[i]);
        vec_fini(&s->idle);
    }
    cond_fini(&c->heard);
    mtx_fini(&c->mu);
    arena_fini(&c->arena);
    mem_free(c);
}
