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

TEST(strs_joined)
{
    static const struct {
        const char *name, *a[4];
        size_t a_n;
        const char *b[4];
        size_t b_n;
        const char *want;
    } cases[] = {
        { "none", { NULL }, 0, { NULL }, 0, "" },
        { "one", { "a" }, 1, { NULL }, 0, "a" },
        { "the other", { NULL }, 0, { "a", "b" }, 2, "a,b" },
        { "the same", { "a", "c" }, 2, { "a", "c" }, 2, "a,c" },
        { "mixed", { "a", "c", "d" }, 3, { "b", "c", "e", "f" }, 4, "a,b,c,d,e,f" },
        { "apart", { "x", "y" }, 2, { "", "a" }, 2, ",a,x,y" },
    };
    SCOPED(buf_fini) struct buf text = { 0 };
    TEST_EACH(c, cases) {
        str a[4], b[4], out[8];
        for (size_t i = 0; i < c->a_n; i++) a[i] = str_z(c->a[i]);
        for (size_t i = 0; i < c->b_n; i++) b[i] = str_z(c->b[i]);
        text_of(&text, out, strs_join(out, a, c->a_n, b, c->b_n));
        EXPECT_STR(buf_view(&text), str_z(c->want));
        text_of(&text, out, strs_join(out, b, c->b_n, a, c->a_n));
        EXPECT_STR(buf_view(&text), str_z(c->want));
    }
}
