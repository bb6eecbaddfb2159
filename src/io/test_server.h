/* test_server.h — a small HTTP server on loopback: for tests.
 *
 * What        One handler answers every request, each connection on a thread of its own; so it may
 *             wait.
 * Invariants  none
 * Ownership   test_server_new/free; an answer's body is copied
 * Threads     the handler: any
 * Errors      NULL: it could not listen
 * Format      HTTP/1.1
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_IO_TEST_SERVER_H
#define EPI_IO_TEST_SERVER_H

#include "base/str.h"

/* headers: "Name: value\n" for each; query: behind the '?', as it was sent. */
struct test_request {
    const char *method, *path, *headers, *query;
    str body;
};
/* The value of a header, by its name in any case; empty: none. */
str test_request_header(const struct test_request *q, str name);
/* echo: the body is what the request looked like, its line and its headers; cut: the connection
 * ends after that many bytes of a body that is announced as longer. */
struct test_reply {
    unsigned status;
    const char *content_type;
    str body;
    const char *header, *value;
    const char *more_headers; /* "Name: value\n" for each */
    bool echo;
    size_t cut_at; /* 0: it is whole; SIZE_MAX: nothing of it comes */
};
typedef struct test_reply (*test_handler)(void *ctx, const struct test_request *q);
struct test_server;
struct test_server *test_server_new(test_handler handle, void *ctx);
unsigned test_server_port(const struct test_server *s);
void test_server_free(struct test_server *s);

#endif
