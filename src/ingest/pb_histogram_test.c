#include "ingest/pb_histogram.h"

#include "base/test.h"

#define F64(hex) "\0\0\0\0\0\0" hex /* the two high bytes, little endian */

/* count 3, sum 1.5, schema 2, zero count 1, one span (offset -1, length 2), deltas 1 0, hint YES,
 * t 1000 */
#define WHOLE_HEAD                                                                                 \
    "\x08\x03"                                                                                     \
    "\x19" F64("\xf8\x3f") "\x20\x04"                                                              \
                           "\x30\x01"                                                              \
                           "\x5a\x04\x08\x01\x10\x02"
#define WHOLE_TAIL                                                                                 \
    "\x70\x01"                                                                                     \
    "\x78\xe8\x07"
static const str packed = S(WHOLE_HEAD "\x62\x02\x02\x00" WHOLE_TAIL);
static const str single = S(WHOLE_HEAD "\x60\x02"
                                       "\x60\x00" WHOLE_TAIL);
/* count 2.0, one span (0, 1), counts 2.0, custom 1.5, schema -53 */
static const str floats =
    S("\x11" F64("\x00\x40") "\x20\x69"
                             "\x5a\x02\x10\x01"
                             "\x6a\x08" F64("\x00\x40") "\x82\x01\x08" F64("\xf8\x3f"));

TEST(pb_histogram_of_integers)
{
    static const struct {
        const char *name;
        const str *message;
    } cases[] = { { "packed", &packed }, { "one by one", &single } };
    struct arena a = { 0 };
    TEST_EACH(c, cases) {
        struct pb_histogram x;
        EXPECT_OK(pb_histogram_decode(&x, *c->message, &a, NULL));
        EXPECT(x.whole && !x.floats);
        EXPECT_EQ(x.t, 1000);
        EXPECT_EQ(x.whole->count, 3);
        EXPECT_EQ(x.whole->zero_count, 1);
        EXPECT_EQ(x.whole->schema, 2);
        EXPECT_EQ(x.whole->hint, RESET_YES);
        EXPECT(x.whole->sum == 1.5);
        EXPECT_EQ(x.whole->pos.n_spans, 1);
        EXPECT_EQ(x.whole->pos.spans[0].offset, -1);
        EXPECT_EQ(x.whole->pos.n, 2);
        EXPECT_EQ(x.whole->pos.deltas[0], 1);
        EXPECT_EQ(x.whole->pos.deltas[1], 0);
        EXPECT_OK(int_histogram_validate(x.whole, NULL));
    }
    arena_fini(&a);
}

TEST(pb_histogram_of_floats)
{
    struct arena a = { 0 };
    struct pb_histogram x;
    EXPECT_OK(pb_histogram_decode(&x, floats, &a, NULL));
    EXPECT(x.floats && !x.whole);
    EXPECT_EQ(x.floats->schema, HISTOGRAM_CUSTOM_SCHEMA);
    EXPECT(x.floats->count == 2 && x.floats->pos.at[0] == 2 && x.floats->custom[0] == 1.5);
    EXPECT_OK(histogram_validate(x.floats, NULL));
    arena_fini(&a);
}

TEST(pb_exemplar)
{
    static const str message = S("\x0a\x06\x0a\x01z\x12\x01"
                                 "1"
                                 "\x0a\x06\x0a\x01"
                                 "a\x12\x01"
                                 "2"
                                 "\x11" F64("\xf8\x3f") "\x18\xe8\x07");
    struct arena a = { 0 };
    struct exemplar x;
    EXPECT_OK(pb_exemplar_decode(&x, message, &a, NULL));
    EXPECT_EQ(x.labels.n, 2);
    EXPECT_STR(x.labels.at[0].name, S("a"));
    EXPECT_STR(x.labels.at[1].value, S("1"));
    EXPECT(x.v == 1.5 && x.t == 1000 && x.has_t);
    EXPECT_OK(pb_exemplar_decode(&x, STR_EMPTY, &a, NULL));
    EXPECT(!x.has_t);
    arena_fini(&a);
}

/* Every prefix is refused, or is a message itself; a wrong wire type is told with its field. */
TEST(pb_histogram_of_damage)
{
    static const str *const good[] = { &packed, &single, &floats };
    struct arena a = { 0 };
    struct err e = { 0 };
    struct pb_histogram x;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        for (size_t n = 0; n < good[i]->n; n++) {
            errc rc = pb_histogram_decode(&x, str_slice(*good[i], 0, n), &a, NULL);
            EXPECT(rc == OK || rc == ERR_BAD_INPUT);
        }
    EXPECT_EQ(pb_histogram_decode(&x, S("\x18\x01"), &a, &e), ERR_BAD_INPUT);
    EXPECT(str_has_suffix(err_str(&e), S("Sum")));
    arena_fini(&a);
}
