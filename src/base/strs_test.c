#include "base/strs.h"

#include "base/buf.h"
#include "base/test.h"

/* "a,b" of a list. */
static void text_of(struct buf *out, const str *at, size_t n)
{
    buf_reset(out);
    for (size_t i = 0; i < n; i++) buf_fmt(out, "%s%.*s", i ? "," : "", STR_ARG(at[i]));
}

TEST(strs_sorted_and_cut)
{
    static const struct { const char *in[4]; size_t n, limit; const char *sorted, *left; bool cut;
    } cases[] = {
        { { NULL }, 0, 0, "", "", false },
        { { "b" }, 1, 1, "b", "b", false },
        { { "b", "a", "b", "ab" }, 4, 0, "a,ab,b,b", "a,ab,b", false },
        { { "b", "a", "b", "ab" }, 4, 3, "a,ab,b,b", "a,ab,b", false },
        { { "b", "a", "b", "ab" }, 4, 2, "a,ab,b,b", "a,ab", true },
        { { "x", "x", "x", "x" }, 4, 1, "x,x,x,x", "x", false },
        { { "\xff", "", "z", "" }, 4, 0, ",,z,\xff", ",z,\xff", false },
    };
    SCOPED(buf_fini) struct buf text = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        str_list l = { 0 };
        for (size_t k = 0; k < cases[i].n; k++) vec_push(&l, str_z(cases[i].in[k]));
        strs_sort(l.at, l.n);
        text_of(&text, l.at, l.n);
        EXPECT_STR(buf_view(&text), str_z(cases[i].sorted));
        EXPECT_EQ(strs_finish(&l, cases[i].limit), cases[i].cut);
        text_of(&text, l.at, l.n);
        EXPECT_STR(buf_view(&text), str_z(cases[i].left));
        vec_fini(&l);
    }
}

TEST(strs_finds)
{
    const str list[] = { S("a"), S("ab"), S("c") };
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        for (size_t n = 0; n <= ARRAY_LEN(list); n++) EXPECT_EQ(strs_has(list, n, list[i]), i < n);
    EXPECT(!strs_has(list, 3, S("")) && !strs_has(list, 3, S("b")) && !strs_has(list, 3, S("d")));
    EXPECT(!strs_has(NULL, 0, S("a")));
}
