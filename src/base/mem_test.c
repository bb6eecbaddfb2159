/* mem_test.c — memory that is never NULL, and sizes that do not wrap. */
#include "base/mem.h"

#include "base/test.h"

TEST(mem_of_no_bytes_is_no_null)
{
    void *p[] = { mem_alloc(0), mem_zalloc(0), mem_alloc_array(0, 8), mem_alloc_array(8, 0),
        mem_realloc(NULL, 0), mem_aligned(64, 0) };
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        EXPECT(p[i]);
        for (size_t j = 0; j < i; j++) EXPECT(p[i] != p[j]);
    }
    for (size_t i = 0; i < ARRAY_LEN(p); i++) mem_free(p[i]);
    mem_free(NULL);
}

TEST(mem_zero_aligned_grown)
{
    uint8_t *z = mem_zalloc(5000);
    for (size_t i = 0; i < 5000; i++) EXPECT_EQ(z[i], 0);
    memset(z, 7, 5000);
    z = mem_realloc(z, 100000);
    for (size_t i = 0; i < 5000; i++) EXPECT_EQ(z[i], 7);
    for (size_t align = sizeof(void *); align <= 4096; align *= 2) {
        void *p = mem_aligned(align, 3);
        EXPECT_EQ((uintptr_t)p % align, 0);
        mem_free(p);
    }
    void *freed = z;
    mem_freep(&freed);
}

TEST(mem_copies_of_text)
{
    static const struct { const char *name; str s; } cases[] = {
        { "nothing", { NULL, 0 } },
        { "empty", { (const uint8_t *)"", 0 } },
        { "text", { (const uint8_t *)"abc", 3 } },
        { "a NUL within", { (const uint8_t *)"a\0c", 3 } },
    };
    TEST_EACH(c, cases) {
        str copy = mem_str(c->s);
        EXPECT_STR(copy, c->s);
        EXPECT(copy.p != c->s.p && copy.p[copy.n] == 0);
        mem_free((void *)copy.p);
        char *z = mem_cstr(c->s);
        EXPECT(memcmp(z, c->s.n ? (const char *)c->s.p : "", c->s.n) == 0 && z[c->s.n] == 0);
        mem_free(z);
    }
}

static void array_that_wraps(void)
{
    volatile size_t n = SIZE_MAX / 4 + 2;
    mem_free(mem_alloc_array(n, 4));
}

TEST(mem_array_size_does_not_wrap) { EXPECT(test_aborts(array_that_wraps)); }

TEST(mem_pages_of_the_system)
{
    size_t page = mem_page_bytes(), n = 3 * page + 1;
    uint8_t *p = mem_map(&n);
    EXPECT_EQ(n, 4 * page);
    EXPECT_EQ((uintptr_t)p % page, 0);
    for (size_t i = 0; i < n; i++) EXPECT_EQ(p[i], 0);
    memset(p, 7, n);
    mem_unmap(p + 2 * page, 2 * page);
    for (size_t i = 0; i < 2 * page; i++) EXPECT_EQ(p[i], 7);
    mem_unmap(p, 2 * page);
}
