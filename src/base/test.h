/* test.h — a thin layer over cmocka: registration, case names, counts.
 *
 * What        TEST(name) { … } registers a test; EXPECT* ends it on failure, naming the case of
 *             TEST_EACH that ran. TEST_SHARED(name) is one that reads the shared vectors: where
 *             they are absent it is skipped before it begins. test_main prints a line a failure
 *             and ends with "N passed, N failed, N skipped".
 * Invariants  a test runs in any order and alone (arguments: names, or parts of several)
 * Ownership   none
 * Threads     EXPECT only on the main thread: other threads hand their findings over
 * Errors      exit code 1 if a test failed
 * Format      none
 *
 * Only test files include it.
 */
#ifndef EPI_BASE_TEST_H
#define EPI_BASE_TEST_H

#include "base/err.h"
#include "base/prng.h"

struct test {
    const char *name, *file;
    void (*run)(void);
    bool shared;
    struct test *next;
};
void test_register(struct test *t);
NORETURN void test_fail(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
NORETURN void test_skip(const char *why);
void test_case(const char *name);                              /* named in the next failure */
/* SEED=… in the environment, else fixed per test; printed on failure */
uint64_t test_seed(void);
/* EPI_SHARED or ../shared, for a TEST_SHARED alone */
const char *test_shared(void);
/* a fresh folder of this test, removed when it passes */
const char *test_tmpdir(void);
/* runs it in a child: did an assert or abort end it? */
bool test_aborts(void (*step)(void));

/* Tests of one thread that go over hundreds of crash points take one of so many where each
 * instruction costs more: all without a sanitizer, and few where it is threads that are watched.
 * (Odd: every bit of a byte has its turn.) */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(thread_sanitizer)
enum { TEST_STRIDE = 7 };
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { TEST_STRIDE = 3 };
#else
enum { TEST_STRIDE = 1 };
#endif

#define TEST(id) TEST_OF_KIND(id, false)
#define TEST_SHARED(id) TEST_OF_KIND(id, true)
#define TEST_OF_KIND(id, is_shared)                                                                \
    static void test_##id(void);                                                                   \
    static struct test test_entry_##id = { #id, __FILE__, test_##id, is_shared, NULL };            \
    __attribute__((constructor)) static void test_add_##id(void)                                   \
    {                                                                                              \
        test_register(&test_entry_##id);                                                           \
    }                                                                                              \
    static void test_##id(void)

/* Loops over a static table whose rows have a `name`. */
#define TEST_EACH(c, table)                                                                        \
    for (const __typeof__((table)[0]) *c = (table);                                                \
         c < (table) + ARRAY_LEN(table) && (test_case(c->name), true); c++)

#define EXPECT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond)) test_fail(__FILE__, __LINE__, "expected: %s", #cond);                         \
    } while (0)
#define EXPECT_EQ(got, want)                                                                       \
    do {                                                                                           \
        int64_t ex_got = (int64_t)(got), ex_want = (int64_t)(want);                                \
        if (ex_got != ex_want)                                                                     \
            test_fail(__FILE__, __LINE__, "%s is %" PRId64 ", expected %" PRId64, #got, ex_got,    \
                ex_want);                                                                          \
    } while (0)
#define EXPECT_STR(got, want)                                                                      \
    do {                                                                                           \
        str ex_got = (got), ex_want = (want);                                                      \
        if (!ex_got.p) ex_got = S("");                                                             \
        if (!ex_want.p) ex_want = S("");                                                           \
        if (!str_eq(ex_got, ex_want))                                                              \
            test_fail(__FILE__, __LINE__, "%s is \"%.*s\", expected \"%.*s\"", #got,               \
                STR_ARG(ex_got), STR_ARG(ex_want));                                                \
    } while (0)
#define EXPECT_OK(call) \
    do { \
        errc ex_rc = (call); \
        if (ex_rc != OK) test_fail(__FILE__, __LINE__, "%s: %s", #call, errc_name(ex_rc)); \
    } while (0)
#define EXPECT_OK_E(call, e)                                                                       \
    do {                                                                                           \
        errc ex_rc = (call);                                                                       \
        if (ex_rc != OK)                                                                           \
            test_fail(__FILE__, __LINE__, "%s: %s: %s", #call, errc_name(ex_rc), (e)->msg);        \
    } while (0)

#endif
