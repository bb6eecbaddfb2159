/* test_peer.h — a gRPC client for tests, which can be slow, rude and late.
 *
 * What        One connection; asks, reads answers frame by frame, and takes what comes or not.
 * Invariants  none
 * Ownership   test_peer_new/test_peer_free
 * Threads     one
 * Errors      in the reply
 * Format      grpc.io: PROTOCOL-HTTP2
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_GRPC_TEST_PEER_H
#define EPI_GRPC_TEST_PEER_H

#include "base/buf.h"

enum { TEST_REPLIES = 64 };
struct test_reply {
    int id, http, status;              /* status -1: none came */
    bool closed;                       /* the stream ended */
    uint32_t reset;                    /* its HTTP/2 error */
    struct buf words, body;            /* body: frames of messages */
};
struct test_peer;
/* window: how much a stream may send before test_peer_take; 0: all is taken as it comes */
struct test_peer *test_peer_new(str address, uint32_t window);
void test_peer_free(struct test_peer *p);
/* headers as "name: value" lines beside what must be; end: no more bytes of the request come */
struct test_reply *test_peer_ask(struct test_peer *p, const char *path, str body, const char *name,
    const char *value, bool end);
void test_peer_cancel(struct test_peer *p, const struct test_reply *r);
/* All that came of r may be forgotten: as much may come again. */
void test_peer_take(struct test_peer *p, struct test_reply *r);
/* Until r ended, or for a time. */
bool test_peer_wait(struct test_peer *p, const struct test_reply *r, int ms);
/* Did the server say that no more calls are welcome, and then hang up? Waits a second. */
bool test_peer_farewell(struct test_peer *p);
/* a message with its head */
void test_frame(struct buf *b, str message);
size_t test_messages(const struct test_reply *r);

#endif
