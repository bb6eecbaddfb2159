#include "io/resolver.h"

#include "base/clock.h"
#include "base/test.h"

#include <stdatomic.h>

static _Atomic unsigned asked, told, held;

static errc ask(void *ctx, const char *name, struct buf *out, struct err *e)
{
    (void)ctx;
    atomic_fetch_add(&asked, 1);
    while (atomic_load(&held)) clock_sleep_ns(1000000);
    if (strcmp(name, "none") == 0) return err_set(e, ERR_NOT_FOUND, "lookup none: no such host");
    buf_fmt(out, "10.0.0.%zu", strlen(name));
    return OK;
}

static void news(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&told, 1);
}

static struct resolver *start(resolver_ask with)
{
    atomic_store(&asked, 0);
    atomic_store(&told, 0);
    atomic_store(&held, 0);
    return resolver_new(&(struct resolver_opts){ .news = news, .ask = with });
}

static enum resolved wait_for(
    struct resolver *r, str name, struct arena *a, str *addresses, struct err *e)
{
    enum resolved rc;
    while ((rc = resolver_get(r, name, a, addresses, e)) == RESOLVED_ASKED) clock_sleep_ns(1000000);
    return rc;
}

TEST(resolver_asks_once)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct resolver *r = start(ask);
    str got = STR_EMPTY;
    struct err e = { 0 };
    atomic_store(&held, 1);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(resolver_get(r, S("host"), &a, &got, &e), RESOLVED_ASKED);
    atomic_store(&held, 0);
    EXPECT_EQ(wait_for(r, S("HOST"), &a, &got, &e), RESOLVED_YES);
    EXPECT_STR(got, S("10.0.0.4"));
    EXPECT_EQ(atomic_load(&asked), 1);
    while (!atomic_load(&told)) clock_sleep_ns(1000000);
    EXPECT_EQ(wait_for(r, S("none"), &a, &got, &e), RESOLVED_FAILED);
    EXPECT_STR(err_str(&e), S("lookup none: no such host"));
    EXPECT_EQ(wait_for(r, S("none"), &a, &got, &e), RESOLVED_FAILED);
    EXPECT_EQ(atomic_load(&asked), 2);
    resolver_forget(r, S("host"));
    EXPECT_EQ(wait_for(r, S("host"), &a, &got, &e), RESOLVED_YES);
    EXPECT_EQ(atomic_load(&asked), 3);
    resolver_free(r);
}

TEST(resolver_keeps_a_bound)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct resolver *r = start(ask);
    str got;
    for (int i = 0; i < RESOLVER_NAMES_MAX + 100; i++) {
        struct arena_mark mark = arena_mark(&a);
        (void)resolver_get(r, arena_fmt(&a, "h%d", i), &a, &got, NULL);
        arena_reset(&a, mark);
    }
    EXPECT_EQ(wait_for(r, S("last"), &a, &got, NULL), RESOLVED_YES);
    resolver_free(r);
}

/* Also where no file and no server knows a localhost. */
TEST(resolver_of_the_system)
{
    static const struct { const char *name; } cases[] = {
        { "localhost" }, { "LocalHost" }, { "localhost." }, { "a.b.localhost" },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct resolver *r = start(NULL);
    str got = STR_EMPTY;
    EXPECT_EQ(wait_for(r, S("127.0.0.1"), &a, &got, NULL), RESOLVED_YES);
    EXPECT_STR(got, S("127.0.0.1"));
    TEST_EACH(c, cases) {
        EXPECT_EQ(wait_for(r, str_z(c->name), &a, &got, NULL), RESOLVED_YES);
        EXPECT(str_find(got, S("127.0.0.1")) != SIZE_MAX || str_find(got, S("[::1]")) != SIZE_MAX);
    }
    resolver_free(r);
}
