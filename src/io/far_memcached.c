/* far_memcached.c — libmemcached behind far_conn.h: keys are spread over all servers. */
#include "io/far_conn.h"

bool far_memcached_built(void)
{
#ifdef EPI_LIBMEMCACHED
    return true;
#else
    return false;
#endif
}

#ifdef EPI_LIBMEMCACHED
#include "base/clock.h"
#include "base/mem.h"

#include <libmemcached/memcached.h>

struct memcached_conn { struct far_conn base; memcached_st *m; };

static memcached_st *state_of(struct far_conn *c)
{
    return CONTAINER_OF(c, struct memcached_conn, base)->m;
}

static errc failed(memcached_st *m, memcached_return_t rc, struct err *e)
{
    errc code = rc == MEMCACHED_TIMEOUT ? ERR_TIMEOUT : ERR_IO;
    return err_set(e, code, "memcached: %s", memcached_strerror(m, rc));
}

static size_t index_of(const struct far_item *items, size_t n, size_t from, str key)
{
    for (size_t k = 0; k < n; k++) {
        size_t i = (from + k) % n;
        if (str_eq(items[i].key, key)) return i;
    }
    return SIZE_MAX;
}

static errc memcached_get_(struct far_conn *base, const struct far_item *items, size_t n,
    int64_t until_ns, void (*value)(void *ctx, size_t i, str bytes), void *ctx, struct err *e)
{
    memcached_st *m = state_of(base);
    const char **keys = mem_alloc_array(n, sizeof(*keys));
    size_t *sizes = mem_alloc_array(n, sizeof(*sizes));
    for (size_t i = 0; i < n; i++) {
        keys[i] = (const char *)items[i].key.p;
        sizes[i] = items[i].key.n;
    }
    memcached_return_t rc = memcached_mget(m, keys, sizes, n);
    mem_free(keys);
    mem_free(sizes);
    if (memcached_failed(rc)) return failed(m, rc, e);
    memcached_result_st *r;
    for (size_t at = 0; (r = memcached_fetch_result(m, NULL, &rc)) != NULL; at++) {
        str key = str_of(memcached_result_key_value(r), memcached_result_key_length(r));
        size_t i = index_of(items, n, at, key);
        if (i != SIZE_MAX)
            value(ctx, i, str_of(memcached_result_value(r), memcached_result_length(r)));
        memcached_result_free(r);
        if (clock_mono_ns() > until_ns)
            return err_set(e, ERR_TIMEOUT, "memcached: it takes too long");
    }
    return rc == MEMCACHED_END || rc == MEMCACHED_NOTFOUND || rc == MEMCACHED_SUCCESS
               ? OK
               : failed(m, rc, e);
}

static errc memcached_put_(struct far_conn *base, str key, str value, int64_t ttl_s, struct err *e)
{
    memcached_st *m = state_of(base);
    memcached_return_t rc = memcached_set(m, (const char *)key.p, key.n, (const char *)value.p,
        value.n, (time_t)ttl_s, 0);
    return memcached_success(rc) ? OK : failed(m, rc, e);
}

static void memcached_close_(struct far_conn *base)
{
    memcached_free(state_of(base));
    mem_free(CONTAINER_OF(base, struct memcached_conn, base));
}
static const struct far_conn_ops memcached_ops = { memcached_get_, memcached_put_,
    memcached_close_ };

static errc server_add(memcached_st *m, str address, struct err *e)
{
    str host, port;
    uint64_t number;
    if (!str_cut(address, ':', &host, &port) || !str_u64(port, &number) || number > 65535)
        return err_set(e, ERR_BAD_INPUT, "memcached: '%.*s' is no host:port", STR_ARG(address));
    str z = mem_str(host);
    memcached_return_t rc = memcached_server_add(m, (const char *)z.p, (in_port_t)number);
    mem_free((void *)z.p);
    return memcached_success(rc) ? OK : failed(m, rc, e);
}

/* Connections are made by the first question. */
errc far_memcached_dial(struct far_conn **out, const struct far_cache_opts *o, struct err *e)
{
    const struct { memcached_behavior_t what; uint64_t to; } set[] = {
        { MEMCACHED_BEHAVIOR_TCP_NODELAY, 1 },
        { MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, (uint64_t)o->dial_ms },
        { MEMCACHED_BEHAVIOR_POLL_TIMEOUT, (uint64_t)o->timeout_ms },
        { MEMCACHED_BEHAVIOR_RCV_TIMEOUT, (uint64_t)o->timeout_ms * 1000 },
        { MEMCACHED_BEHAVIOR_SND_TIMEOUT, (uint64_t)o->timeout_ms * 1000 },
        { MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_CONSISTENT_KETAMA },
    };
    memcached_st *m = memcached_create(NULL);
    if (!m) abort();
    for (size_t i = 0; i < ARRAY_LEN(set); i++) memcached_behavior_set(m, set[i].what, set[i].to);
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < o->n_addresses; i++) rc = server_add(m, o->addresses[i], e);
    if (rc != OK) {
        memcached_free(m);
        return rc;
    }
    struct memcached_conn *c = NEW(struct memcached_conn);
    *c = (struct memcached_conn){ { &memcached_ops }, m };
    *out = &c->base;
    return OK;
}
#else
errc far_memcached_dial(struct far_conn **out, const struct far_cache_opts *o, struct err *e)
{
    (void)out, (void)o;
    return err_set(e, ERR_UNSUPPORTED, "built without libmemcached");
}
#endif
