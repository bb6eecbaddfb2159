#include "base/ulid.h"

#include "base/clock.h"
#include "base/test.h"

TEST(ulid_parses_what_it_prints)
{
    static const struct { const char *name; str text; bool good; int64_t time_ms; } cases[] = {
        { "zero", S("00000000000000000000000000"), true, 0 },
        { "the example of its inventors", S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), true, 1469922850259 },
        { "the greatest", S("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), true, 281474976710655 },
        { "too great", S("80000000000000000000000000"), false, 0 },
        { "a letter that is none", S("01ARZ3NDEKTSV4RRFFQ69G5FAU"), false, 0 },
        { "lower case", S("01arz3ndektsv4rrffq69g5fav"), false, 0 },
        { "short", S("01ARZ3NDEKTSV4RRFFQ69G5FA"), false, 0 },
        { "long", S("01ARZ3NDEKTSV4RRFFQ69G5FAV0"), false, 0 },
        { "empty", S(""), false, 0 },
    };
    TEST_EACH(c, cases) {
        ulid id = { { 1 } };
        EXPECT_EQ(ulid_parse(c->text, &id), c->good);
        if (!c->good) continue;
        EXPECT_STR(str_z(ulid_text(id).z), c->text);
        EXPECT_EQ(ulid_time_ms(id), c->time_ms);
    }
}

TEST(ulid_new_ones_differ_and_have_the_time)
{
    clock_fake_set(1700000000123);
    ulid a = ulid_new(), b = ulid_new();
    clock_fake_advance(1);
    ulid later = ulid_new();
    clock_fake_off();
    EXPECT(!ulid_eq(a, b));
    EXPECT_EQ(ulid_time_ms(a), 1700000000123);
    EXPECT(ulid_cmp(later, a) > 0 && ulid_cmp(later, b) > 0);
    EXPECT(ulid_is_zero(ulid_of(0, 0, 0)) && !ulid_is_zero(a));
}
