/* What changed, against a list of all notes: never less is told, and not more than the cell. */
#include "storage/changes.h"

#include "base/prng.h"
#include "base/test.h"
#include "base/vec.h"

struct note { uint64_t n; int64_t mint, maxt; };
typedef VEC(struct note) notes;

/* The first time of [mint, maxt] that a note behind `since` names. */
static int64_t naive_first(const notes *all, uint64_t since, int64_t mint, int64_t maxt)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < all->n; i++) {
        const struct note *x = &all->at[i];
        if (x->n > since && x->mint <= maxt && x->maxt >= mint)
            first = MIN(first, MAX(x->mint, mint));
    }
    return first;
}

static int64_t cell_begin(int64_t t) { return t & ~(int64_t)((1 << CHANGES_FINE_BITS) - 1); }

/* span: of all times; within four hours no cell stands for two times. */
static void against_notes(int64_t from, int64_t span, bool exact)
{
    struct prng r = { test_seed() };
    struct changes c;
    notes all = { 0 };
    changes_init(&c);
    for (int i = 0; i < 3000; i++) {
        int64_t t = from + (int64_t)prng_below(&r, (uint64_t)span), n;
        n = (int64_t)prng_below(&r, prng_below(&r, 4) ? 5000 : (uint64_t)span);
        uint64_t since = changes_last(&c) - prng_below(&r, MIN(changes_last(&c) + 1, 50));
        if (prng_below(&r, 3) == 0) {
            changes_note(&c, t, t + n);
            vec_push(&all, ((struct note){ changes_last(&c), t, t + n }));
            continue;
        }
        int64_t got = changes_first(&c, since, t, t + n), want;
        EXPECT(got <= naive_first(&all, since, t, t + n));
        EXPECT(got >= t);
        if (!exact) continue;
        int64_t end = cell_begin(t + n) + (1 << CHANGES_FINE_BITS) - 1;
        want = naive_first(&all, since, cell_begin(t), end);
        EXPECT_EQ(got, want == INT64_MAX ? want : MAX(cell_begin(want), t));
    }
    vec_fini(&all);
    changes_fini(&c);
}

TEST(changes_against_a_list_of_notes)
{
    against_notes(0, 3600000, true);
    against_notes(1700000000000, 2 * 3600000, true);
    against_notes(-3600000, 2 * 3600000, true);
    against_notes(-86400000, INT64_C(20) * 86400000, false);
    against_notes(INT64_MIN / 4, INT64_MAX / 2, false);
}

TEST(changes_at_the_ends_of_time)
{
    struct changes c;
    changes_init(&c);
    uint64_t since = changes_last(&c);
    EXPECT_EQ(changes_first(&c, since, INT64_MIN, INT64_MAX), INT64_MAX);
    EXPECT_EQ(changes_first(&c, since, 5, 4), INT64_MAX);
    changes_note(&c, 1, 0);
    EXPECT_EQ(changes_last(&c), since);
    changes_note(&c, INT64_MAX, INT64_MAX);
    changes_note(&c, INT64_MIN, INT64_MIN);
    EXPECT(changes_first(&c, since, INT64_MIN, INT64_MAX) == INT64_MIN);
    EXPECT_EQ(changes_first(&c, since, INT64_MAX - 1, INT64_MAX), INT64_MAX - 1);
    EXPECT_EQ(changes_first(&c, since + 2, INT64_MIN, INT64_MAX), INT64_MAX);
    changes_note(&c, INT64_MIN, INT64_MAX);
    EXPECT_EQ(changes_first(&c, since + 2, 77, 78), 77);
    changes_fini(&c);
}

TEST(changes_of_everything_and_under_way)
{
    struct changes c;
    changes_init(&c);
    uint64_t since = changes_last(&c);
    changes_begin(&c);
    EXPECT_EQ(changes_first(&c, since, 100, 200), 100);
    changes_end(&c, 1, 0);
    EXPECT_EQ(changes_first(&c, since, 100, 200), INT64_MAX);
    changes_begin(&c);
    changes_end(&c, 1 << 20, 1 << 20);
    EXPECT_EQ(changes_first(&c, since, 100, 200), INT64_MAX);
    EXPECT_EQ(changes_first(&c, since, 100, 1 << 20), 1 << 20);
    changes_note_all(&c);
    EXPECT_EQ(changes_first(&c, since, 100, 200), 100);
    EXPECT_EQ(changes_first(&c, changes_last(&c), 100, 200), INT64_MAX);
    changes_fini(&c);
}
