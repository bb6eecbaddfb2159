#include "storeapi/resolution.h"

#include "base/test.h"
#include "storeapi/test_store.h"

enum { RAW = 0, MINUTES = 300000, HOUR = 3600000, PARTS_MAX = 8 };

struct row { const char *stream; int64_t mint, maxt, resolution_ms; bool unknown; };

static void expect_wanted(const struct row *rows, size_t n, struct interval asked,
    int64_t window_ms, const char *want)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct store_part at[PARTS_MAX];
    bool wanted[PARTS_MAX];
    char got[PARTS_MAX + 1] = "";
    for (size_t i = 0; i < n; i++)
        at[i] = (struct store_part){ .stream = test_labels(&a, rows[i].stream),
            .mint = rows[i].mint, .maxt = rows[i].maxt, .resolution_ms = rows[i].resolution_ms,
            .unknown = rows[i].unknown };
    store_parts parts = { .at = at, .n = n };
    parts_by_resolution(&parts, asked, window_ms, wanted);
    for (size_t i = 0; i < n; i++) got[i] = wanted[i] ? 'x' : '-';
    EXPECT_STR(str_z(got), str_z(want));
}

TEST(resolution_choice)
{
    /* raw has gone before 50, and what is new was not downsampled yet */
    static const struct row rows[] = { { "a=1", 0, 99, HOUR }, { "a=1", 0, 99, MINUTES },
        { "a=2", 0, 99, RAW }, { "a=1", 50, 99, RAW }, { "a=1", 100, 199, MINUTES },
        { "a=1", 100, 199, RAW }, { "a=1", 200, 299, RAW } };
    static const struct { const char *name; struct interval asked; int64_t window_ms;
        const char *want; } cases[] = {
            { "raw", { 0, 299 }, 0, "--xx-xx" },
            { "less than any", { 0, 299 }, MINUTES - 1, "--xx-xx" },
            { "minutes", { 0, 299 }, MINUTES, "-xx-x-x" },
            { "hours, then minutes, then raw", { 0, 299 }, HOUR, "x-x-x-x" },
            { "a week", { 0, 299 }, INT64_MAX, "x-x-x-x" },
            { "the second half", { 150, 299 }, HOUR, "----x-x" },
            { "the end", { 250, 299 }, HOUR, "------x" },
            { "all times", { INT64_MIN, INT64_MAX }, HOUR, "x-x-x-x" },
            { "below zero", { 0, 299 }, -1, "--xx-xx" },
        };
    TEST_EACH(c, cases)
        expect_wanted(rows, ARRAY_LEN(rows), c->asked, c->window_ms, c->want);
}

TEST(resolution_overlaps_and_gaps)
{
    /* a gap of the coarse one between two, with a short block within a long one */
    static const struct row rows[] = { { "", 0, 99, MINUTES }, { "", 0, 299, RAW },
        { "", 20, 40, MINUTES }, { "", 200, INT64_MAX, MINUTES }, { "", 300, 400, RAW },
        { "", INT64_MIN, 50, RAW } };
    expect_wanted(rows, 6, (struct interval){ 0, 400 }, MINUTES, "xxxx--");
    expect_wanted(rows, 6, (struct interval){ 0, 99 }, MINUTES, "x-x---");
    expect_wanted(rows, 6, (struct interval){ -5, 99 }, MINUTES, "x-x--x");
    expect_wanted(rows, 6, (struct interval){ INT64_MIN, INT64_MAX }, MINUTES, "xxxx-x");
    static const struct row plain[] = { { "", 0, 9, RAW }, { "a=1", 0, 9, RAW } };
    expect_wanted(plain, 2, (struct interval){ 0, 9 }, HOUR, "xx");
}

/* Of two replicas whose series show no external labels one was downsampled; and of a block nobody
 * knows anything. */
TEST(resolution_covers_no_other_stream)
{
    static const struct row rows[] = { { "replica=A", 0, 99, MINUTES }, { "replica=A", 0, 99, RAW },
        { "replica=B", 0, 99, RAW }, { "", INT64_MIN, 99, RAW, .unknown = true },
        { "", 0, 99, MINUTES } };
    expect_wanted(rows, 5, (struct interval){ 0, 99 }, MINUTES, "x-xxx");
    expect_wanted(rows, 5, (struct interval){ 0, 99 }, 0, "-xxx-");
}
