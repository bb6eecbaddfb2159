#include "base/test.h"
#include "model/opt_kinds.h"

struct limits { int64_t age, room; };
static const struct opt table[] = {
    { "age", .help = "How old.", OPT_AT(struct limits, age), &opt_duration, .def = "90m" },
    { "room", .help = "How much.", OPT_AT(struct limits, room), &opt_size },
};

TEST(opt_kinds)
{
    static const struct {
        const char *name;
        char word[16];
        int64_t age, room;
        const char *want;
    } cases[] = {
        { "a duration", "--age=2h", 7200000, 0, NULL },
        { "a size", "--room=1.5KB", 5400000, 1536, NULL },
        { "no duration", "--age=2", 0, 0, "not a valid duration string: \"2\"" },
        { "no unit", "--room=2", 0, 0, "units: unknown unit  in 2" },
    };
    TEST_EACH(c, cases) {
        struct limits l = { 0 };
        struct opts_run run = { 0 };
        struct err e = { 0 };
        char *argv[] = { NULL, (char *)(uintptr_t)c->word, NULL };
        EXPECT_EQ(opts_parse(&l, table, ARRAY_LEN(table), 2, argv, &run, &e),
            c->want ? ERR_BAD_INPUT : OK);
        if (c->want) EXPECT_STR(err_str(&e), str_z(c->want));
        else EXPECT(l.age == c->age && l.room == c->room);
        opts_fini(&run);
    }
}

static void add_pair(void *ctx, str name, str value)
{
    buf_fmt(ctx, "%.*s=%.*s ", STR_ARG(name), STR_ARG(value));
}

TEST(opt_kinds_shown)
{
    struct buf b = { 0 };
    opts_each(&(struct limits){ 5400000, 1536 }, table, ARRAY_LEN(table), add_pair, &b);
    EXPECT_STR(buf_view(&b), S("age=1h30m room=1KiB512B "));
    buf_fini(&b);
}
