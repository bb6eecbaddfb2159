/* test_store.h — parts in memory and a call that keeps what is sent: for tests of the StoreAPI.
 *
 * What        Tables of series as queryables of both kinds, and a grpc_call without a network.
 * Invariants  a series has one chunk a row of its table
 * Ownership   test_part_init/test_part_fini; test_call_init/test_call_fini
 * Threads     one
 * Errors      fail: every select of that part answers it; left_out: its sets of chunks warn so
 * Format      none
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_STOREAPI_TEST_STORE_H
#define EPI_STOREAPI_TEST_STORE_H

#include "base/buf.h"
#include "grpc/service.h"
#include "storeapi/store_source.h"

/* labels as "a=1,b=2", ascending */
struct test_part {
    struct chunk_queryable chunks;
    struct queryable labels;
    const char *const *series;
    size_t n;
    struct chunk_view view;
    errc fail;
    str left_out;
    struct arena a;
};
void test_part_init(struct test_part *p, const char *const *series, size_t n);
void test_part_fini(struct test_part *p);
struct labels test_labels(struct arena *a, const char *text);
/* "{a=1,b=2}" */
void test_labels_text(struct buf *b, struct labels l);

struct test_call { struct grpc_call base; str_list messages; errc over; };
void test_call_init(struct test_call *c);
void test_call_fini(struct test_call *c);

#endif
