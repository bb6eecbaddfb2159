#include "config/typed.h"

#include "base/test.h"

static const struct field root_fields[] = {
    { .name = "type", .kind = F_STR },
    { .name = "prefix", .kind = F_STR },
};
static const struct section root = { .name = "Root", FIELDS_OF(root_fields) };
static const struct field one_fields[] = { { .name = "n", .kind = F_INT, .def = "7" } };
static const struct section one = { .name = "One", FIELDS_OF(one_fields) };

static errc fill(void *out, const struct value *v, struct arena *a, struct err *e)
{
    (void)a;
    *(int64_t *)out = value_int(v, "n");
    return *(int64_t *)out < 0 ? err_set(e, ERR_BAD_INPUT, "n is negative") : OK;
}

static const struct typed_kind kinds[] = { { S("ONE"), &one, fill } };
static const struct typed things = { "thing", "one", &root, kinds, ARRAY_LEN(kinds) };

TEST(typed_kinds)
{
    static const struct {
        const char *name, *text;
        errc rc;
        int64_t n;
        const char *says;
    } cases[] = {
        { "given", "{type: ONE, config: {n: 3}, prefix: p}", OK, 3, "" },
        { "in any case, by default", "{type: one, prefix: p}", OK, 7, "" },
        { "another", "type: TWO", ERR_BAD_INPUT, 0, "thing with type TWO is not supported" },
        { "none", "", ERR_BAD_INPUT, 0, "thing with type  is not supported" },
        { "refused", "{type: ONE, config: {n: -1}}", ERR_BAD_INPUT, 0,
            "create ONE one: n is negative" },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct err e = { 0 };
        const struct value *v = NULL;
        int64_t n = 0;
        EXPECT_EQ(typed_parse(&n, &things, str_z(c->text), &v, &a, &e), c->rc);
        if (c->rc == OK) EXPECT_EQ(n, c->n);
        if (c->rc == OK) EXPECT(str_eq(value_str(v, "prefix"), S("p")));
        if (c->rc != OK) EXPECT(strcmp(e.msg, c->says) == 0);
    }
}

TEST(typed_text_of_flags)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    str text = { 0 };
    EXPECT_OK(typed_text(&text, "x", S("type: ONE"), STR_EMPTY, &a, &e));
    EXPECT(str_eq(text, S("type: ONE")));
    EXPECT_OK(typed_text(&text, "x", STR_EMPTY, STR_EMPTY, &a, &e));
    EXPECT_EQ(text.n, 0);
    EXPECT_EQ(typed_text(&text, "x", S("a"), S("b"), &a, &e), ERR_BAD_INPUT);
    EXPECT(strcmp(e.msg, "both x and x-file flags set.") == 0);
}
