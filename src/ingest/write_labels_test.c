#include "ingest/write_labels.h"

#include "base/test.h"

static struct write_labels of_pairs(struct arena *a, const char *const *pairs)
{
    VEC(struct label) at = { 0 };
    for (; pairs[0]; pairs += 2)
        avec_push(a, &at, ((struct label){ str_z(pairs[0]), str_z(pairs[1]) }));
    return write_labels_of(a, at.at, at.n);
}

TEST(write_labels)
{
    static const struct {
        const char *name;
        const char *pairs[9];
        enum write_fault fault;
        str all, kept, twice;
    } cases[] = {
        { "in order", { "__name__", "m", "a", "1" }, WRITE_FINE, S("{__name__=\"m\", a=\"1\"}"),
            S("{__name__=\"m\", a=\"1\"}"), S("") },
        { "not in order, one empty", { "b", "2", "a", "", "__name__", "m" }, WRITE_FINE,
            S("{__name__=\"m\", a=\"\", b=\"2\"}"), S("{__name__=\"m\", b=\"2\"}"), S("") },
        { "none", { NULL }, WRITE_INVALID, S("{}"), S("{}"), S("") },
        { "no name", { "a", "1" }, WRITE_INVALID, S("{a=\"1\"}"), S("{}"), S("") },
        { "an empty name", { "__name__", "", "a", "1" }, WRITE_INVALID,
            S("{__name__=\"\", a=\"1\"}"), S("{}"), S("") },
        { "a label without name", { "__name__", "m", "", "1" }, WRITE_INVALID,
            S("{\"\"=\"1\", __name__=\"m\"}"), S("{}"), S("") },
        { "a value that is no UTF-8", { "__name__", "m", "a", "\xff" }, WRITE_INVALID,
            S("{__name__=\"m\", a=\"\\xff\"}"), S("{}"), S("") },
        { "twice", { "__name__", "m", "a", "2", "a", "1" }, WRITE_TWICE,
            S("{__name__=\"m\", a=\"2\", a=\"1\"}"), S("{}"), S("a") },
        { "twice, once empty", { "a", "2", "__name__", "m", "a", "" }, WRITE_TWICE,
            S("{__name__=\"m\", a=\"2\", a=\"\"}"), S("{}"), S("a") },
        { "invalid is said first", { "__name__", "m", "a", "2", "a", "\xff" }, WRITE_INVALID,
            S("{__name__=\"m\", a=\"2\", a=\"\\xff\"}"), S("{}"), S("") },
    };
    struct arena a = { 0 };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf all = { 0 };
        SCOPED(buf_fini) struct buf kept = { 0 };
        struct write_labels got = of_pairs(&a, c->pairs);
        buf_labels(&all, got.all);
        buf_labels(&kept, got.kept);
        EXPECT_EQ(got.fault, c->fault);
        EXPECT_STR(buf_view(&all), c->all);
        EXPECT_STR(buf_view(&kept), c->kept);
        EXPECT_STR(got.twice, c->twice);
    }
    arena_fini(&a);
}

/* Sorted, and stable: the value of a name is the place at which it came. */
TEST(write_labels_sorted)
{
    struct prng rng = { test_seed() };
    struct arena a = { 0 };
    for (size_t n = 0; n < 300; n += 1 + n / 8) {
        struct label *at = arena_array(&a, n, sizeof(*at));
        for (size_t i = 0; i < n; i++) {
            at[i].name = arena_fmt(&a, "l%u", (unsigned)prng_below(&rng, n));
            at[i].value = arena_fmt(&a, "%05zu", i);
        }
        write_labels_sort(at, n);
        for (size_t i = 1; i < n; i++) {
            int order = str_cmp(at[i - 1].name, at[i].name);
            EXPECT(order < 0 || (order == 0 && str_cmp(at[i - 1].value, at[i].value) < 0));
        }
    }
    arena_fini(&a);
}
