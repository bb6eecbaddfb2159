#include "base/intern.h"

#include "base/mem.h"
#include "base/prng.h"
#include "base/test.h"

TEST(intern_once)
{
    char one[] = "instance", two[] = "instance";
    size_t before = intern_count();
    str a = intern_ref(str_z(one)), b = intern_ref(str_z(two)), c = intern_ref(S("job"));
    EXPECT(a.p == b.p && a.p != (const uint8_t *)one && c.p != a.p);
    EXPECT_STR(a, S("instance"));
    EXPECT_EQ(intern_count(), before + 2);
    intern_unref(a);
    EXPECT_STR(b, S("instance"));
    EXPECT_EQ(intern_count(), before + 2);
    intern_unref(b);
    intern_unref(c);
    EXPECT_EQ(intern_count(), before);
    EXPECT_EQ(intern_ref(STR_EMPTY).n, 0);
    intern_unref(STR_EMPTY);
}

/* Random holders against a count of their own. */
TEST(intern_many)
{
    enum { WORDS = 40, STEPS = 20000 };
    struct prng r = { 7 };
    str held[WORDS] = { 0 };
    unsigned refs[WORDS] = { 0 };
    size_t before = intern_count(), there = 0;
    for (int i = 0; i < STEPS; i++) {
        size_t k = (size_t)prng_below(&r, WORDS);
        char word[8] = { (char)('a' + k % 26), (char)('a' + k / 26) };
        if (prng_below(&r, 2)) {
            str s = intern_ref(str_of(word, 2));
            EXPECT(!refs[k] || s.p == held[k].p);
            held[k] = s;
            there += !refs[k]++;
        } else if (refs[k]) {
            intern_unref(held[k]);
            there -= !--refs[k];
        }
        EXPECT_EQ(intern_count(), before + there);
    }
    for (size_t k = 0; k < WORDS; k++)
        while (refs[k]--) intern_unref(held[k]);
    EXPECT_EQ(intern_count(), before);
}
