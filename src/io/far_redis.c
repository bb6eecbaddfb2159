/* far_redis.c — hiredis behind far_conn.h. */
#include "io/far_conn.h"

bool far_redis_built(void)
{
#ifdef EPI_HIREDIS
    return true;
#else
    return false;
#endif
}

#ifdef EPI_HIREDIS
#include "base/clock.h"
#include "base/mem.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

struct redis_conn { struct far_conn base; redisContext *c; };

static redisContext *context_of(struct far_conn *c)
{
    return CONTAINER_OF(c, struct redis_conn, base)->c;
}

static errc failed(redisContext *c, struct err *e)
{
    return err_set(e, ERR_IO, "redis: %s", c && c->err ? c->errstr : "no connection");
}

static struct timeval timeval_of(int64_t ms)
{
    return (struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
}

/* One reply, in the time that is left. */
static errc reply_await(redisContext *c, int64_t until_ns, redisReply **out, struct err *e)
{
    int64_t left_ms = (until_ns - clock_mono_ns()) / 1000000;
    if (left_ms < 1) return err_set(e, ERR_TIMEOUT, "redis: it takes too long");
    if (redisSetTimeout(c, timeval_of(left_ms)) != REDIS_OK) return failed(c, e);
    void *reply = NULL;
    if (redisGetReply(c, &reply) != REDIS_OK || !reply) return failed(c, e);
    *out = reply;
    if ((*out)->type != REDIS_REPLY_ERROR) return OK;
    errc rc = err_set(e, ERR_IO, "redis: %s", (*out)->str);
    freeReplyObject(reply);
    return rc;
}

static errc redis_get(struct far_conn *base, const struct far_item *items, size_t n,
    int64_t until_ns, void (*value)(void *ctx, size_t i, str bytes), void *ctx, struct err *e)
{
    redisContext *c = context_of(base);
    for (size_t i = 0; i < n; i++)
        if (redisAppendCommand(c, "GET %b", items[i].key.p, items[i].key.n) != REDIS_OK)
            return failed(c, e);
    for (size_t i = 0; i < n; i++) {
        redisReply *r;
        TRY(reply_await(c, until_ns, &r, e));
        if (r->type == REDIS_REPLY_STRING) value(ctx, i, str_of(r->str, (size_t)r->len));
        freeReplyObject(r);
    }
    return OK;
}

static errc told(redisContext *c, redisReply *r, struct err *e)
{
    if (!r) return failed(c, e);
    errc rc = r->type == REDIS_REPLY_ERROR ? err_set(e, ERR_IO, "redis: %s", r->str) : OK;
    freeReplyObject(r);
    return rc;
}

static errc redis_put(struct far_conn *base, str key, str value, int64_t ttl_s, struct err *e)
{
    redisContext *c = context_of(base);
    return told(c,
        redisCommand(c, "SET %b %b EX %lld", key.p, key.n, value.p, value.n, (long long)ttl_s),
        e);
}

static void redis_close(struct far_conn *base)
{
    redisFree(context_of(base));
    mem_free(CONTAINER_OF(base, struct redis_conn, base));
}
static const struct far_conn_ops redis_ops = { redis_get, redis_put, redis_close };

static errc redis_greet(redisContext *c, const struct far_cache_opts *o, struct err *e)
{
    if (redisSetTimeout(c, timeval_of(o->timeout_ms)) != REDIS_OK) return failed(c, e);
    if (o->username.n)
        TRY(told(c, redisCommand(c, "AUTH %b %b", o->username.p, o->username.n, o->password.p,
            o->password.n), e));
    else if (o->password.n)
        TRY(told(c, redisCommand(c, "AUTH %b", o->password.p, o->password.n), e));
    if (o->db) TRY(told(c, redisCommand(c, "SELECT %lld", (long long)o->db), e));
    return OK;
}

errc far_redis_dial(struct far_conn **out, const struct far_cache_opts *o, struct err *e)
{
    str host, port;
    uint64_t number;
    if (!str_cut(o->addresses[0], ':', &host, &port) || !str_u64(port, &number) || number > 65535)
        return err_set(e, ERR_BAD_INPUT, "redis: '%.*s' is no host:port", STR_ARG(o->addresses[0]));
    str z = mem_str(host);
    redisContext *c =
        redisConnectWithTimeout((const char *)z.p, (int)number, timeval_of(o->dial_ms));
    mem_free((void *)z.p);
    errc rc = !c || c->err ? failed(c, e) : redis_greet(c, o, e);
    if (rc != OK) {
        if (c) redisFree(c);
        return rc;
    }
    struct redis_conn *r = NEW(struct redis_conn);
    *r = (struct redis_conn){ { &redis_ops }, c };
    *out = &r->base;
    return OK;
}
#else
errc far_redis_dial(struct far_conn **out, const struct far_cache_opts *o, struct err *e)
{
    (void)out, (void)o;
    return err_set(e, ERR_UNSUPPORTED, "built without hiredis");
}
#endif
