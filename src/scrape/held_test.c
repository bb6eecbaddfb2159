/* What waited is stored as if it had not. */
#include "scrape/held.h"

#include "base/clock.h"
#include "base/test.h"
#include "scrape/test_store.h"

enum { PAGES = 4, STEP_MS = 15000, ROOMY = 1 << 20 };

static struct target *target_of(const struct scrape_config *job, str address)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct labels out, discovered;
    bool keep;
    struct labels none = { 0 };
    EXPECT_OK(target_labels(&out, &discovered, &keep, job, address, none, &a, NULL));
    return target_new(job, out, discovered);
}

static unsigned released;
static void release(void *ctx) { released += *(unsigned *)ctx; }

/* Held, or stored by the caller where nothing is held; a NULL text is a scrape that failed. */
static bool give(
    struct held *h, struct memstore *m, struct target *t, const char *text, int64_t t_ms)
{
    static unsigned one = 1;
    struct buf body = { 0 };
    struct err failed = { 0 };
    struct scrape_outcome out;
    err_set(&failed, ERR_IO, "connection refused");
    if (text) buf_str(&body, str_z(text));
    memset(buf_room(&body, EXPO_PADDING), 0, EXPO_PADDING);
    struct scrape_page page = { .body = body.p,
        .n = body.n,
        .content_type = S("text/plain"),
        .t_ms = t_ms,
        .failed = text ? NULL : &failed };
    struct held_owner owner = { release, &one };
    bool held = held_put(h, t, &page, t_ms, clock_mono_ns(), owner);
    if (!held) scrape_apply(t, memstore_appendable(m), &page, clock_mono_ns(), &out);
    buf_fini(&body);
    return held;
}

static void end_of(struct held *h, struct memstore *m, struct target *t, int64_t t_ms)
{
    struct held_owner owner = { 0 };
    if (!held_put(h, t, NULL, t_ms, clock_mono_ns(), owner))
        scrape_end(t, memstore_appendable(m), t_ms);
}

/* The storage's content after two targets gave their pages; the first n pages were held. */
static str content(int n, size_t room, struct arena *a)
{
    static const char *const pages[PAGES] = { "a 1\nb 2\n", "a 2\n", NULL, "a 3\nc 4 1000\n" };
    struct memstore *m = memstore_new();
    struct scrape_config job = test_job("j");
    struct target *t[] = { target_of(&job, S("h:1")), target_of(&job, S("h:2")) };
    struct held h;
    unsigned before = released;
    held_init(&h, n == 0, room);
    for (int i = 0; i < PAGES; i++) {
        if (i == n && n) held_store(&h, memstore_appendable(m));
        EXPECT_EQ(held_is_on(&h), i < n);
        for (int k = 0; k < 2; k++)
            EXPECT_EQ(give(&h, m, t[k], pages[i], 1000000 + i * STEP_MS + k), i < n);
    }
    end_of(&h, m, t[1], 1000000 + PAGES * STEP_MS);
    target_unref(t[1]);
    held_store(&h, memstore_appendable(m));
    EXPECT_EQ(released - before, 2u * (unsigned)n);
    str all = store_text(m, a, S(""), true), got = STR_EMPTY, line;
    while (all.n) {
        str_cut(all, '\n', &line, &all);
        if (str_find(line, S("duration")) == SIZE_MAX)
            got = arena_fmt(a, "%.*s%.*s\n", STR_ARG(got), STR_ARG(line));
    }
    held_fini(&h);
    target_unref(t[0]);
    memstore_free(m);
    return got;
}

TEST(held_pages_are_stored_as_if_they_had_not_waited)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str want = content(0, ROOMY, &a);
    EXPECT(str_find(want, S("stale@")) != SIZE_MAX);
    for (int n = 1; n <= PAGES; n++) EXPECT_STR(content(n, ROOMY, &a), want);
}

TEST(held_pages_without_room_are_failures)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str got = content(PAGES, 0, &a);
    EXPECT(str_find(got, S("__name__=\"up\"")) != SIZE_MAX);
    EXPECT(str_find(got, S("__name__=\"a\"")) == SIZE_MAX);
    EXPECT(str_find(got, S(" 1@")) == SIZE_MAX);               /* no target was up */
}

TEST(held_is_thrown_away)
{
    struct scrape_config job = test_job("j");
    struct target *t = target_of(&job, S("h:1"));
    struct held h;
    unsigned before = released;
    held_init(&h, false, ROOMY);
    EXPECT(give(&h, NULL, t, "a 1\n", 1000));
    EXPECT(give(&h, NULL, t, "a 2\n", 2000));
    target_unref(t);
    held_fini(&h);
    EXPECT_EQ(released - before, 2);
}
