/* call.h — one call, between the thread of its method and the thread of its connection.
 *
 * What        The request as it comes, a queue of what is to be sent, the status, and why it ended
 *             early.
 * Invariants  (1) The queue holds less than CALL_QUEUE_BYTES before a message is put into it. (2)
 *             The status is decided once: by the method's end, or by what cut it.
 * Ownership   two references: the stream's and the method's
 * Threads     call_send, call_method_ends: the method's. The rest: the connection's. LOCK_CALL
 * Errors      as service.h
 * Format      none
 */
#ifndef EPI_GRPC_CALL_H
#define EPI_GRPC_CALL_H

#include "base/buf.h"
#include "base/lock.h"
#include "grpc/service.h"
#include "grpc/wire.h"

enum { CALL_QUEUE_BYTES = 256 << 10 };
struct stream_conn;
struct call {
    struct grpc_call base;
    _Atomic unsigned refs;
    const struct grpc_method *method;
    void *ctx;                                 /* the method's */
    struct buf request;                        /* the connection's until the method begins */
    struct grpc_frame frame;
    int64_t start_ns, deadline_ns;             /* deadline 0: none; const once the method runs */
    size_t max_message_bytes;
    struct mtx mu;                             /* LOCK_CALL */
    struct cond room;
    struct stream_conn *conn;                  /* GUARDED_BY(mu): NULL: gone, or in place */
    struct buf out;                            /* GUARDED_BY(mu) */
    size_t out_at;                             /* GUARDED_BY(mu): sent before */
    bool done;                                 /* GUARDED_BY(mu): the status is decided */
    errc rc;                                   /* GUARDED_BY(mu): the status */
    uint64_t sent;                             /* GUARDED_BY(mu): messages */
    int64_t moved_ns;                          /* GUARDED_BY(mu): when bytes went last */
    struct err why;                            /* GUARDED_BY(mu) */
};
struct call *call_new(size_t max_message_bytes);
void call_unref(struct call *c);

/* The method's end: what it returned. */
void call_method_ends(struct call *c, errc rc, const struct err *e);

/* Decides the status unless it is; the method is told. */
void call_cut(struct call *c, errc rc, const char *words);
/* Nothing is sent any more. */
void call_detach(struct call *c);

struct call_state { bool done; size_t waiting; errc rc; uint64_t sent; int64_t moved_ns; };
struct call_state call_look(struct call *c);
/* At most cap bytes of what waits. */
size_t call_pull(struct call *c, uint8_t *to, size_t cap);

#endif
