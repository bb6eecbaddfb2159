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
#include "io/far_conn.h"
#include "io/pool.h"

#include <stdatomic.h>

enum {
    TIMEOUT_MS = 500,
    TTL_S = 24 * 3600,
    IDLE_MAX = 100,
    QUEUE_MAX = 10000,
    PUTTERS = 4,
    FAILURES_MAX = 5,
    PAUSE_MS = 5000,
    HEAD_BYTES = 8
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

struct far_cache {
    struct far_cache_opts o; /* const after init; texts lie in arena */
    struct arena arena;
    struct pool *putters;
    _Atomic size_t queued;
    struct mtx mu; /* LOCK_LEAF; guards the rest */
    VEC(struct far_conn *) idle;
    unsigned failures;      /* in a row */
    int64_t paused_until_ns;
    bool probing;           /* somebody asks first after a pause */
};

static errc dial(struct far_cache *c, struct far_conn **out, struct err *e)
{
    return c->o.kind == FAR_REDIS ? far_redis_dial(out, &c->o, e)
                                  : far_memcached_dial(out, &c->o, e);
}

/* ---- is it asked? */

/* False: not now. */
static bool turn_begin(struct far_cache *c, struct far_conn **idle)
{
    *idle = NULL;
    mtx_lock(&c->mu);
    bool paused = c->failures >= c->o.failures_max;
    bool go = !paused || (!c->probing && clock_mono_ns() >= c->paused_until_ns);
    if (go && paused) c->probing = true;
    if (go && c->idle.n) *idle = vec_pop(&c->idle);
    mtx_unlock(&c->mu);
    return go;
}

/* conn NULL: there was none. */
static void turn_end(struct far_cache *c, struct far_conn *conn, errc rc, const struct err *e)
{
    bool close = conn && rc != OK, pause = false;
    mtx_lock(&c->mu);
    c->probing = false;
    c->failures = rc == OK ? 0 : c->failures + 1;
    if (rc == OK && conn && c->idle.n < c->o.idle_max) vec_push(&c->idle, conn);
    else close = conn != NULL;
    if (c->failures >= c->o.failures_max) {
        pause = true;
        c->failures = c->o.failures_max;
        c->paused_until_ns = clock_mono_ns() + c->o.pause_ms * MS_NS;
    }
    mtx_unlock(&c->mu);
    if (close) conn->ops->close(conn);
    if (!pause) return;
    metric_inc(&m_pauses);
    LOG_LIMITED(WARN, 60000, "a cache is not asked for a while", kv_err(e));
}

/* ---- asking */

struct asked { struct far_item *items; size_t wrong; };

static uint32_t checksum(str key, str bytes)
{
    return crc32c(crc32c_str(key), bytes.p, bytes.n);
}

static void value_take(void *ctx, size_t i, str v)
{
    struct asked *a = ctx;
    struct far_item *x = &a->items[i];
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
    x->got = true;
}

void far_cache_get(struct far_cache *c, struct far_item *items, size_t n)
{
    struct asked a = { .items = items };
    struct far_conn *conn;
    struct err e = { 0 };
    size_t hits = 0;
    for (size_t i = 0; i < n; i++) items[i].got = false;
    if (!n || !turn_begin(c, &conn)) return;
    errc rc = conn ? OK : dial(c, &conn, &e);
    int64_t until = clock_mono_ns() + c->o.timeout_ms * MS_NS;
    if (rc == OK) rc = conn->ops->get(conn, items, n, until, value_take, &a, &e);
    turn_end(c, conn, rc, &e);
    for (size_t i = 0; i < n; i++) hits += items[i].got;
    metric_add_to(METRIC_WITH(&m_items, S("hit")), (double)hits);
    metric_add_to(METRIC_WITH(&m_items, S("wrong")), (double)a.wrong);
    metric_add_to(METRIC_WITH(&m_items, S("miss")), (double)(n - hits - a.wrong));
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
    struct far_conn *conn;
    struct err e = { 0 };
    if (turn_begin(c, &conn)) {
        errc rc = conn ? OK : dial(c, &conn, &e);
        if (rc == OK) rc = conn->ops->put(conn, p->key, buf_view(&p->value), c->o.ttl_s, &e);
        turn_end(c, conn, rc, &e);
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
    if (c->o.item_max_bytes && bytes.n + HEAD_BYTES > c->o.item_max_bytes) return;
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

errc far_cache_new(struct far_cache **out, const struct far_cache_opts *o, struct err *e)
{
    bool built = o->kind == FAR_REDIS ? far_redis_built() : far_memcached_built();
    if (!built)
        return err_set(e, ERR_UNSUPPORTED, "this program was built without %s",
            o->kind == FAR_REDIS ? "hiredis" : "libmemcached");
    if (!o->n_addresses) return err_set(e, ERR_BAD_INPUT, "no address of a cache");
    struct far_cache *c = NEW(struct far_cache);
    c->o = *o;
    str *addresses = arena_array(&c->arena, o->n_addresses, sizeof(*addresses));
    for (size_t i = 0; i < o->n_addresses; i++)
        addresses[i] = arena_str(&c->arena, o->addresses[i]);
    c->o.addresses = addresses;
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
    c->putters = pool_new(&(struct pool_opts){ "far-cache", c->o.putters, c->o.queue_max });
    *out = c;
    return OK;
}

void far_cache_free(struct far_cache *c)
{
    if (!c) return;
    pool_free(c->putters);
    for (size_t i = 0; i < c->idle.n; i++) c->idle.at[i]->ops->close(c->idle.at[i]);
    vec_fini(&c->idle);
    mtx_fini(&c->mu);
    arena_fini(&c->arena);
    mem_free(c);
}
