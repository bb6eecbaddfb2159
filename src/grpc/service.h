/* service.h — the promise between those who speak gRPC and those who answer.
 *
 * What        A service is a table of methods. A method gets the bytes of its one request and sends
 *             its answers, one message each.
 * Invariants  (1) A method is called once a request, with the whole message. (2) send() waits while
 *             the other side does not take what was sent: so much is in memory, never more. (3)
 *             After send() failed the call is over: the method ends soon, with what send said.
 * Ownership   a call, its arena and its request live until the method returns; messages are copied
 *             by send
 * Threads     methods run beside each other, each call in one thread
 * Errors      what a method returns becomes the status: grpc_code_of; its words the message.
 *             send: ERR_CANCELED (the client is gone, or asked for the end), ERR_TIMEOUT (its
 *             deadline), ERR_LIMIT (the message is larger than allowed)
 * Format      none
 */
#ifndef EPI_GRPC_SERVICE_H
#define EPI_GRPC_SERVICE_H

#include "base/arena.h"
#include "base/err.h"

#include <stdatomic.h>

struct grpc_call {
    const struct grpc_call_ops *ops;
    struct arena arena;
    /* the client hung up or gave up, or its time is over: look at it in long loops */
    _Atomic bool gone;
    _Atomic int64_t waits_ns;          /* since when send waits for the client; 0: it does not */
};
struct grpc_call_ops {
    errc (*send)(struct grpc_call *c, str message, struct err *e);
    /* why the call is gone: ERR_CANCELED or ERR_TIMEOUT, with words; OK: it is not */
    errc (*over)(struct grpc_call *c, struct err *e);
};
static inline errc grpc_send(struct grpc_call *c, str message, struct err *e)
{
    return c->ops->send(c, message, e);
}
static inline errc grpc_over(struct grpc_call *c, struct err *e)
{
    return atomic_load_explicit(&c->gone, memory_order_relaxed) ? c->ops->over(c, e) : OK;
}

enum grpc_method_flags {
    GRPC_STREAMS = 1,                  /* many answers; else one */
    /* never waits, touches no file: runs on the thread that moves bytes */
    GRPC_IN_PLACE = 2
};
struct grpc_method {
    const char *service, *name;        /* "thanos.Store", "Series" */
    unsigned flags;
    errc (*handle)(void *ctx, struct grpc_call *c, str request, struct err *e);
};
struct grpc_service { const struct grpc_method *methods; size_t n; void *ctx; };

#endif
