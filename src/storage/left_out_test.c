#include "storage/left_out.h"

#include "base/test.h"

TEST(left_out_texts)
{
    static const struct { const char *name; unsigned parts, times; size_t lines; } cases[] = {
        { "nothing", 0, 1, 0 },
        { "one", 1, 1, 1 },
        { "the same part again is one line", 1, 3, 1 },
        { "all that are shown", LEFT_OUT_SHOWN, 2, LEFT_OUT_SHOWN },
        { "more than are shown", LEFT_OUT_SHOWN + 5, 2, LEFT_OUT_SHOWN + 1 },
    };
    TEST_EACH(c, cases) {
        struct left_out l;
        str_list got = { 0 };
        left_out_init(&l);
        for (unsigned i = 0; i < c->parts * c->times; i++) {
            struct err why = { 0 };
            errc rc = err_set(&why, ERR_CORRUPT, "chunk %u: wrong checksum", i % c->parts);
            EXPECT_EQ(rc, ERR_CORRUPT);
            left_out_add(&l, S("block"), S("01B"), &why);
        }
        left_out_list(&l, &got);
        EXPECT_EQ(got.n, c->lines);
        if (got.n)
            EXPECT(str_eq(
                got.at[0], S("damaged, and left out: block 01B: chunk 0: wrong checksum")));
        vec_fini(&got);
        left_out_fini(&l);
    }
}
