#include "model/exemplar.h"

#include "base/test.h"

TEST(exemplars_are_the_same)
{
    static const struct label a[] = { { S("id"), S("a") } }, b[] = { { S("id"), S("b") } };
    static const struct {
        const char *name;
        struct exemplar x, y;
        bool want;
    } cases[] = {
        { "all equal", { { a, 1 }, 1, 5, true }, { { a, 1 }, 1, 5, true }, true },
        { "labels", { { a, 1 }, 1, 5, true }, { { b, 1 }, 1, 5, true }, false },
        { "value", { { a, 1 }, 1, 5, true }, { { a, 1 }, 2, 5, true }, false },
        { "time", { { a, 1 }, 1, 5, true }, { { a, 1 }, 1, 6, true }, false },
        { "no times", { { a, 1 }, 1, 5, false }, { { a, 1 }, 1, 6, false }, true },
        { "one time", { { a, 1 }, 1, 5, false }, { { a, 1 }, 1, 6, true }, false },
    };
    TEST_EACH(c, cases) EXPECT_EQ(exemplar_same(&c->x, &c->y), c->want);
}

TEST(exemplar_characters)
{
    struct buf text = { 0 };
    for (int n = 0; n <= 130; n++, buf_str(&text, S("é"))) {
        struct label l[] = { { S("n"), buf_view(&text) } };
        struct exemplar x = { { l, 1 }, 1, 5, true };
        struct err e = { 0 };
        EXPECT_EQ(exemplar_check(&x, &e), n < 128 ? OK : ERR_LIMIT);
        str want = S("label length for exemplar exceeds maximum of 128 UTF-8 characters");
        if (n >= 128) EXPECT_STR(err_str(&e), want);
    }
    buf_fini(&text);
}
