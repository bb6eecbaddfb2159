/* wire.h — the small texts of gRPC over HTTP/2.
 *
 * What        Deadlines, paths, the frame around a message, status codes with their names, the
 *             words of a status.
 * Invariants  none
 * Ownership   borrows
 * Threads     pure functions
 * Errors      grpc_frame_read: ERR_LIMIT, ERR_BAD_INPUT
 * Format      grpc.io: PROTOCOL-HTTP2
 */
#ifndef EPI_GRPC_WIRE_H
#define EPI_GRPC_WIRE_H

#include "base/buf.h"
#include "base/err.h"

enum grpc_code {
    GRPC_OK,
    GRPC_CANCELED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
    GRPC_CODES
};
enum grpc_code grpc_code_of(errc rc);
str grpc_code_name(enum grpc_code code);       /* "DeadlineExceeded", as Go has it */

/* "100m": in ns, at most a year; false: that is no time. */
bool grpc_timeout(str text, int64_t *ns);
/* "/thanos.Store/Series" */
bool grpc_path(str path, str *service, str *method);
/* printable ASCII but '%' stays, the rest is %XX; at most so much of words */
enum { GRPC_WORDS_MAX = 4096 };
void grpc_put_words(struct buf *b, str words);

enum { GRPC_HEAD_BYTES = 5 };
void grpc_put_head(uint8_t head[static GRPC_HEAD_BYTES], uint32_t n);

/* The one message of a request; bytes may be its beginning. ERR_LIMIT: it is longer than allowed,
 * known as soon as its head is there. whole: no more bytes come. */
struct grpc_frame { bool packed; str body; };
MUST_USE errc grpc_frame_read(
    struct grpc_frame *out, str bytes, bool whole, size_t max_bytes, struct err *e);

#endif
