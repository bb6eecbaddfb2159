/* test_slow.h — a bucket in front of another that hangs, fails and leaves out: for tests.
 *
 * What        Passes everything on to a bucket; what concerns names with a text in them can be made
 *             to wait, to fail, or to be missing in lists.
 * Invariants  none
 * Ownership   test_slow_new takes over the bucket; bucket_close frees both
 * Threads     any
 * Errors      those that are set
 * Format      none
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_BUCKET_TEST_SLOW_H
#define EPI_BUCKET_TEST_SLOW_H

#include "bucket/bucket.h"

struct bucket *test_slow_new(struct bucket *inner);
/* Each: names with this text in them; empty: none. Literals. */
void test_slow_hang(struct bucket *b, str text);
void test_slow_fail(struct bucket *b, str text, errc rc);
void test_slow_hide(struct bucket *b, str text);
/* Pieces that were read, and their bytes, of names with this text. */
void test_slow_count(struct bucket *b, str text);
uint64_t test_slow_bytes(struct bucket *b);

#endif
