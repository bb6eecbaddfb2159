/* test_s3.h — a small S3 in memory, which fails as it is told: for tests.
 *
 * What        Objects, ranges, lists in pages, uploads in parts; and faults by the kind of request.
 * Invariants  none
 * Ownership   test_s3_new/free
 * Threads     any
 * Errors      NULL: it could not listen
 * Format      S3 API; signatures are not looked at (a real server does that, in tests/e2e)
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_BUCKET_TEST_S3_H
#define EPI_BUCKET_TEST_S3_H

#include "base/arena.h"
#include "bucket/bucket_config.h"

enum test_s3_fault {
    TEST_S3_STATUS,  /* status, with an error as body if there is a code */
    TEST_S3_CUT,     /* the body breaks off in the middle */
    TEST_S3_SHORT,   /* the body is half as long, and says so */
    TEST_S3_GARBLED, /* bytes that are none of the answer's format */
    TEST_S3_FLIPPED, /* as long as it should be, all bits wrong */
    TEST_S3_LONG,    /* again and again, and says so */
    TEST_S3_SLOW,    /* it comes too late */
    TEST_S3_OTHER_RANGE,
    TEST_S3_LOST, /* it is done, but the answer is a 503 */
    /* lists: pages of a thousand names that come after each other, `status` of them; pages without
     * a name for ever; the same page for ever, behind ever other marks */
    TEST_S3_PAGES,
    TEST_S3_EMPTY_PAGES,
    TEST_S3_SAME_PAGES
};
/* What happens to the requests of a method whose query holds `query`, and the object's name `name`
 * (NULL: any): from the skip-th on, so many times; UINT_MAX: always. */
struct test_s3_rule {
    const char *method, *query;
    enum test_s3_fault fault;
    unsigned status;
    const char *code;
    unsigned skip, times;
    const char *name;
};

struct test_s3;
struct test_s3 *test_s3_new(void);
void test_s3_free(struct test_s3 *s);
/* a bucket "b" of it, with short waits; texts lie in the arena */
struct bucket_config test_s3_config(struct test_s3 *s, struct arena *a);
void test_s3_put(struct test_s3 *s, str name, str bytes);
/* what is there under that name, in the arena; NULL p: nothing */
str test_s3_get(struct test_s3 *s, str name, struct arena *a);
size_t test_s3_objects(struct test_s3 *s);
size_t test_s3_uploads(struct test_s3 *s); /* begun, not ended */
/* takes the place of all rules; counts from 0 again */
void test_s3_rules(struct test_s3 *s, const struct test_s3_rule *rules, size_t n);
void test_s3_page(struct test_s3 *s, size_t entries);
/* lists leave it out; empty: they are whole */
void test_s3_hide(struct test_s3 *s, str name);
/* "PUT name?query" of all that was asked, lines; in the arena */
str test_s3_log(struct test_s3 *s, struct arena *a);
/* the headers of the last request */
str test_s3_last_header(struct test_s3 *s, str name, struct arena *a);

#endif
