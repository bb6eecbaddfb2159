#include "base/arena.h"

#include "base/mem.h"
#include "base/test.h"
#include "base/vec.h"

ACCOUNT(arena_account, "test_arena")

/* What was written into each allocation is still there, whatever came after, up to the reset below
 * it. */
TEST(arena_keeps_what_is_below_a_mark)
{
    enum { ROUNDS = 200, PIECES = 60 };
    struct prng r = { test_seed() };
    struct arena a;
    arena_init(&a, &arena_account, 0);
    struct { uint8_t *p; size_t n; uint8_t fill; } kept[PIECES];
    for (size_t round = 0; round < ROUNDS; round++) {
        arena_reset(&a, (struct arena_mark){ 0 });
        struct arena_mark mark = { 0 };
        size_t n = 0, below = prng_below(&r, PIECES);
        for (; n < PIECES; n++) {
            if (n == below) mark = arena_mark(&a);
            kept[n].n = prng_below(&r, prng_below(&r, 8) ? 200 : 200000);
            kept[n].p = arena_alloc(&a, kept[n].n);
            kept[n].fill = (uint8_t)prng_u64(&r);
            EXPECT((uintptr_t)kept[n].p % 16 == 0);
            memset(kept[n].p, kept[n].fill, kept[n].n);
        }
        arena_reset(&a, mark);
        memset(arena_alloc(&a, 5000), 0xEE, 5000);             /* lands above the mark only */
        for (size_t i = 0; i < below; i++)
            for (size_t k = 0; k < kept[i].n; k++) EXPECT(kept[i].p[k] == kept[i].fill);
    }
    EXPECT_EQ(account_bytes(&arena_account), a.used);
    arena_fini(&a);
    EXPECT_EQ(account_bytes(&arena_account), 0);
}

TEST(arena_limit_is_sticky_and_harmless)
{
    struct arena a;
    arena_init(&a, NULL, 1 << 16);
    EXPECT(!arena_spent(&a));
    uint8_t *p = arena_alloc(&a, 1 << 20);
    p[(1 << 20) - 1] = 1;
    EXPECT(arena_spent(&a));
    (void)arena_alloc(&a, 1);
    EXPECT(arena_spent(&a));
    arena_reset(&a, (struct arena_mark){ 0 });
    EXPECT(!arena_spent(&a));
    arena_fini(&a);
}

TEST(arena_texts)
{
    struct arena a = { 0 };
    str s = arena_str(&a, S("ab\0c"));
    EXPECT_STR(s, S("ab\0c"));
    EXPECT_EQ(s.p[4], 0);
    EXPECT_STR(str_z(arena_cstr(&a, S("xyz"))), S("xyz"));
    EXPECT_STR(arena_fmt(&a, "%d-%s", 5, "q"), S("5-q"));
    EXPECT_EQ(arena_str(&a, STR_EMPTY).n, 0);
    const uint64_t *zero = arena_zalloc(&a, 800);
    for (size_t i = 0; i < 100; i++) EXPECT_EQ(zero[i], 0);
    arena_fini(&a);
}

TEST(vec_grows_and_keeps)
{
    VEC(uint32_t) v = { 0 };
    struct { uint32_t *at; size_t n, cap; } w = { 0 };
    struct arena a = { 0 };
    for (uint32_t i = 0; i < 1000; i++) {
        vec_push(&v, i * 3);
        avec_push(&a, &w, i * 5);
        EXPECT(v.n <= v.cap && w.n <= w.cap);
    }
    for (uint32_t i = 0; i < 1000; i++) EXPECT(v.at[i] == i * 3 && w.at[i] == i * 5);
    EXPECT_EQ(vec_last(&v), 2997);
    EXPECT_EQ(vec_pop(&v), 2997);
    EXPECT_EQ(v.n, 999);
    vec_fini(&v);
    EXPECT(!v.at && !v.n && !v.cap);
    arena_fini(&a);
}

/* Blocks that are pages of the system: zero where that is asked for, whatever lay there before. */
TEST(arena_of_large_blocks)
{
    enum { LARGE = 20 << 20, ROUNDS = 4 };
    struct arena a;
    arena_init(&a, &arena_account, 0);
    (void)arena_alloc(&a, 1);
    struct arena_mark m = arena_mark(&a);
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t *p = arena_zalloc(&a, LARGE), *q = arena_alloc(&a, LARGE / 3);
        struct arena_mark within = arena_mark(&a);
        size_t any = 0;
        for (size_t k = 0; k < LARGE; k++) any |= p[k];
        EXPECT_EQ(any, 0);
        memset(p, 0xEE, LARGE);
        memset(q, 0xEE, LARGE / 3);
        uint8_t *small = arena_alloc(&a, LARGE / 5);
        memset(small, 0xEE, LARGE / 5);
        arena_reset(&a, within);
        small = arena_zalloc(&a, LARGE / 5);
        for (size_t k = 0; k < LARGE / 5; k++) any |= small[k];
        EXPECT_EQ(any, 0);
        arena_reset(&a, m);
    }
    EXPECT(a.used < LARGE);
    EXPECT_EQ(account_bytes(&arena_account), a.used);
    arena_fini(&a);
    EXPECT_EQ(account_bytes(&arena_account), 0);
}

struct asked { size_t n, until; };
static bool asked_over(void *ctx)
{
    struct asked *x = ctx;
    return ++x->n > x->until;
}

/* Between two looks at whether it is over at most ARENA_PART bytes are written. */
TEST(arena_asks_between_parts)
{
    enum { N = 3 << 20 };
    struct asked x = { 0, SIZE_MAX };
    struct arena a;
    arena_init(&a, &arena_account, 0);
    a.over = asked_over;
    a.over_ctx = &x;
    uint8_t *p = arena_zalloc(&a, N), *from = mem_zalloc(N);
    EXPECT(x.n >= N / ARENA_PART);
    memset(from, 7, N);
    x.n = 0;
    arena_copy(&a, p, from, N);
    EXPECT(x.n >= N / ARENA_PART);
    EXPECT(!memcmp(p, from, N));
    memset(p, 0, N);
    x = (struct asked){ 0, 4 };
    arena_copy(&a, p, from, N);
    EXPECT_EQ(x.n, 5);
    EXPECT_EQ(p[5 * ARENA_PART - 1], 7);
    EXPECT_EQ(p[5 * ARENA_PART], 0);
    struct arena_mark m = arena_mark(&a);
    (void)arena_alloc(&a, 20 << 20);           /* over: it stays until the end */
    size_t used = a.used;
    arena_reset(&a, m);
    EXPECT_EQ(a.used, used);
    arena_fini(&a);
    EXPECT_EQ(account_bytes(&arena_account), 0);
    mem_free(from);
}

TEST(arena_takes_over_what_another_has)
{
    struct arena a, b;
    arena_init(&a, &arena_account, 0);
    arena_init(&b, &arena_account, 0);
    arena_take(&a, &b);
    EXPECT_EQ(a.used, 0);
    str x = arena_str(&b, S("x"));
    (void)arena_alloc(&b, 1 << 20);
    str y = arena_str(&a, S("y"));
    size_t used = a.used + b.used;
    arena_take(&a, &b);
    EXPECT_EQ(a.used, used);
    EXPECT_EQ(b.used, 0);
    arena_fini(&b);
    EXPECT_STR(x, S("x"));
    EXPECT_STR(y, S("y"));
    arena_fini(&a);
    EXPECT_EQ(account_bytes(&arena_account), 0);
}
