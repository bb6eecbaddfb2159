/* test_client.h — one HTTP request, waited for: for tests.
 *
 * What        A blocking call over io/http_client, and one that reads slowly.
 * Invariants  none
 * Ownership   the answer lies in the given arena
 * Threads     any
 * Errors      in the answer
 * Format      none
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_IO_TEST_CLIENT_H
#define EPI_IO_TEST_CLIENT_H

#include "base/arena.h"
#include "base/err.h"

struct test_pair { str name, value; };
struct test_answer {
    errc rc;
    int status;
    str body;                          /* NUL behind it */
    struct test_pair *headers;
    size_t n_headers;
};

struct test_client;
struct test_client *test_client_new(void);
void test_client_free(struct test_client *c);

/* timeout_ms 0: twenty seconds. A client that gives up hangs up. */
struct test_answer test_client_ask(struct test_client *c, struct arena *a, str method, str url,
    const struct test_pair *headers, size_t n_headers, str body, int64_t timeout_ms);
/* One that asks and then takes nothing of the answer's body, until it is asked for the rest: how
 * many bytes there were. Who frees it before hangs up. */
struct test_reader;
struct test_reader *test_reader_new(str url);
size_t test_reader_rest(struct test_reader *r);
void test_reader_free(struct test_reader *r);                  /* NULL is fine */
/* the first of that name in any case; empty: none */
str test_answer_header(const struct test_answer *r, str name);

#endif
