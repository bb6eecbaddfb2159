/* pieces_test.c — what a thread keeps, how much of it, and that it ends. */
#include "base/pieces.h"

#include "base/account.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/test.h"

static int64_t kept_bytes(void)
{
    for (struct account *a = account_first(); a; a = a->next)
        if (!strcmp(a->name, "spare_pieces")) return account_bytes(a);
    return -1;
}

static void *taken(size_t n, size_t *is)
{
    *is = n;
    void *p = pieces_take(is);
    EXPECT(*is >= n && *is <= n + n / 4);
    memset(p, 0x5a, *is);
    return p;
}

/* A thread that does not say that it keeps any has none. */
TEST(pieces_of_others_go_back)
{
    size_t n;
    void *p = taken(10000, &n);
    pieces_give(p, n);
    EXPECT_EQ(kept_bytes(), 0);
}

TEST(pieces_are_used_again)
{
    size_t a, b, c;
    pieces_keep(true);
    void *p = taken(10000, &a), *q = taken(20000, &b);
    pieces_give(p, a);
    pieces_give(q, b);
    bool keeps = kept_bytes() > 0;             /* not under a sanitizer */
    EXPECT_EQ(kept_bytes(), keeps ? 30000 : 0);
    void *again = taken(9000, &c);
    EXPECT_EQ(c, keeps ? 10000 : 9000);
    EXPECT(!keeps || again == p);
    /* much larger than asked for: not this one */
    void *small = taken(5000, &a);
    EXPECT_EQ(a, 5000);
    pieces_give(again, c);
    pieces_give(small, a);
    mem_thread_idle();
    pieces_keep(false);
    EXPECT_EQ(kept_bytes(), 0);
}

TEST(pieces_have_bounds)
{
    struct prng r = { test_seed() };
    pieces_keep(true);
    for (int turn = 0; turn < 200; turn++) {
        void *p[40];
        size_t n[40], some = 1 + prng_below(&r, ARRAY_LEN(p));
        for (size_t i = 0; i < some; i++) p[i] = taken(1 + prng_below(&r, 200000), &n[i]);
        for (size_t i = 0; i < some; i++) pieces_give(p[i], n[i]);
        EXPECT(kept_bytes() <= PIECES_THREAD_BYTES);
    }
    pieces_drop();
    pieces_keep(false);
    EXPECT_EQ(kept_bytes(), 0);
}

/* The account of an arena holds what its blocks are, be they used again or not. */
TEST(pieces_of_arenas)
{
    static struct account acc;
    pieces_keep(true);
    for (int turn = 0; turn < 3; turn++) {
        struct arena a;
        arena_init(&a, &acc, 0);
        for (size_t n = 1; n < 200000; n *= 3) memset(arena_alloc(&a, n), 1, n);
        EXPECT_EQ(account_bytes(&acc), a.used);
        arena_fini(&a);
        EXPECT_EQ(account_bytes(&acc), 0);
    }
    pieces_drop();
    pieces_keep(false);
    EXPECT_EQ(kept_bytes(), 0);
}
