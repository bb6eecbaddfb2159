#include "grpc/call.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/stream_server.h"

enum { COMPACT_BYTES = 64 << 10 };

ACCOUNT(call_account, "grpc_calls")

static errc over_locked(struct call *c, struct err *e)
{
    return err_set(e, c->rc == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_CANCELED, "%.*s",
        STR_ARG(err_str(&c->why)));
}

static errc call_over(struct grpc_call *base, struct err *e)
{
    struct call *c = CONTAINER_OF(base, struct call, base);
    mtx_lock(&c->mu);
    errc rc = over_locked(c, e);
    mtx_unlock(&c->mu);
    return rc;
}

static void queue_locked(struct call *c, str message)
{
    uint8_t head[GRPC_HEAD_BYTES];
    bool was_empty = c->out_at == c->out.n;
    if (was_empty) {
        buf_reset(&c->out);
        c->out_at = 0;
        c->moved_ns = clock_mono_ns();
    }
    grpc_put_head(head, (uint32_t)message.n);
    buf_bytes(&c->out, head, sizeof(head));
    buf_str(&c->out, message);
    c->sent++;
    if (was_empty && c->conn) stream_wake(c->conn);
}

static errc call_send(struct grpc_call *base, str message, struct err *e)
{
    struct call *c = CONTAINER_OF(base, struct call, base);
    errc rc = OK;
    if (message.n > c->max_message_bytes)
        return err_set(e, ERR_LIMIT, "trying to send message larger than max (%zu vs. %zu)",
            message.n, c->max_message_bytes);
    mtx_lock(&c->mu);
    while (c->conn && !c->done && c->out.n - c->out_at >= CALL_QUEUE_BYTES) {
        if (!atomic_load_explicit(&base->waits_ns, memory_order_relaxed))
            atomic_store_explicit(&base->waits_ns, clock_mono_ns(), memory_order_relaxed);
        cond_wait(&c->room, &c->mu);
    }
    atomic_store_explicit(&base->waits_ns, 0, memory_order_relaxed);
    if (c->done) rc = over_locked(c, e);
    else queue_locked(c, message);
    mtx_unlock(&c->mu);
    return rc;
}

struct call *call_new(size_t max_message_bytes)
{
    static const struct grpc_call_ops ops = { call_send, call_over };
    struct call *c = NEW(struct call);
    c->base.ops = &ops;
    arena_init(&c->base.arena, &call_account, 0);
    buf_init(&c->request, &call_account, 0);
    buf_init(&c->out, &call_account, 0);
    mtx_init(&c->mu, LOCK_CALL);
    cond_init(&c->room);
    atomic_init(&c->refs, 1);
    c->start_ns = clock_mono_ns();
    c->max_message_bytes = max_message_bytes;
    return c;
}

void call_unref(struct call *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1) return;
    buf_fini(&c->request);
    buf_fini(&c->out);
    arena_fini(&c->base.arena);
    cond_fini(&c->room);
    mtx_fini(&c->mu);
    mem_free(c);
}

void call_method_ends(struct call *c, errc rc, const struct err *e)
{
    mtx_lock(&c->mu);
    if (!c->done) {
        c->done = true;
        c->rc = rc;
        if (rc != OK) c->why = *e;
        if (c->conn) stream_wake(c->conn);
    }
    mtx_unlock(&c->mu);
}

void call_cut(struct call *c, errc rc, const char *words)
{
    mtx_lock(&c->mu);
    if (!c->done) {
        c->done = true;
        (void)err_set(&c->why, rc, "%s", words);
        c->rc = rc;
        buf_fini(&c->out);
        c->out_at = 0;
    }
    atomic_store_explicit(&c->base.gone, true, memory_order_relaxed);
    cond_broadcast(&c->room);
    mtx_unlock(&c->mu);
}

void call_detach(struct call *c)
{
    call_cut(c, ERR_CANCELED, "context canceled");
    mtx_lock(&c->mu);
    c->conn = NULL;
    cond_broadcast(&c->room);
    mtx_unlock(&c->mu);
}

struct call_state call_look(struct call *c)
{
    mtx_lock(&c->mu);
    struct call_state s = { c->done, c->out.n - c->out_at, c->rc, c->sent, c->moved_ns };
    mtx_unlock(&c->mu);
    return s;
}

size_t call_pull(struct call *c, uint8_t *to, size_t cap)
{
    mtx_lock(&c->mu);
    size_t n = MIN(cap, c->out.n - c->out_at);
    if (n) memcpy(to, c->out.p + c->out_at, n);
    c->out_at += n;
    if (n) c->moved_ns = clock_mono_ns();
    if (c->out_at == c->out.n) {
        buf_reset(&c->out);
        c->out_at = 0;
    } else if (c->out_at >= COMPACT_BYTES && c->out_at >= c->out.n / 2) {
        memmove(c->out.p, c->out.p + c->out_at, c->out.n - c->out_at);
        c->out.n -= c->out_at;
        c->out_at = 0;
    }
    if (n && c->out.n - c->out_at < CALL_QUEUE_BYTES) cond_signal(&c->room);
    mtx_unlock(&c->mu);
    return n;
}
