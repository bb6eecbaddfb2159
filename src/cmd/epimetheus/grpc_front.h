/* grpc_front.h — the StoreAPI on an address of its own.
 *
 * What        A gRPC server with the StoreAPI over a source; TLS by files that are read again at a
 *             reload.
 * Invariants  files that cannot be used leave the keys as they were
 * Ownership   grpc_front_open/grpc_front_close; borrows the source and the texts of the options
 * Threads     grpc_front_look: any
 * Errors      ERR_BAD_INPUT: files or address; ERR_IO
 * Format      none
 */
#ifndef EPI_CMD_GRPC_FRONT_H
#define EPI_CMD_GRPC_FRONT_H

#include "storeapi/store_api.h"

struct grpc_front;
struct grpc_front_opts {
    str address;                               /* empty: nothing is opened */
    str cert, key, client_ca;                  /* files; empty: no TLS, no certificates asked for */
    struct store_api_opts api;
};
/* *out NULL: it was not asked for */
MUST_USE errc grpc_front_open(
    struct grpc_front **out, const struct grpc_front_opts *o, struct err *e);
/* a reload: takes new keys, if there are some; NULL is fine */
void grpc_front_look(struct grpc_front *f);
/* No more calls; waits so long for those that run. NULL is fine */
void grpc_front_drain(struct grpc_front *f, int64_t grace_ms);
void grpc_front_close(struct grpc_front *f);   /* NULL is fine */

#endif
