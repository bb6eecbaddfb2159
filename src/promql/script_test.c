#include "promql/script_run.h"

#include <stdio.h>

#include "promql/test_script_store.h"

/* What the reference's runner makes of lines that are nearly right. */

#define LOADED "load 1m\n  x 0+1x10\n  h {{count:1 sum:2}}x10\n\n"

TEST(script_is_read_as_it_is_written)
{
    static const struct { const char *name, *text, *why;
    } cases[] = {
        { "a tab after expect",
            LOADED "eval instant at 1m x\n  expect\tno_warn\n  x 1\n",
            "line 6: 1:8: parse error: unexpected identifier \"no_warn\" in series values, "
            "expected number or \"stale\"" },
        { "two blanks after expect", LOADED "eval instant at 1m x\n  expect  no_warn\n  x 1\n",
            NULL },
        { "no words to match", LOADED "eval instant at 1m x\n  expect warn msg:\n  x 1\n",
            "line 6: invalid expect statement, must match `expect <type> <match_type>: <string>` "
            "format" },
        { "an eval in capitals", LOADED "EVAL instant at 1m x\n  x 1\n",
            "line 5: invalid evaluation command" },
        { "clear in capitals", "CLEAR all\n", NULL },
        { "words after the step of a range vector",
            LOADED "eval instant at 1m x[1m]\n  expect range vector from 1m to 1m step 1m 2\n",
            "line 6: invalid step definition \"1m 2\": unknown unit \"m \" in duration \"1m 2\"" },
        { "a range vector without step",
            LOADED "eval instant at 1m x[1m]\n  expect range vector from 1m to 1m\n",
            "line 6: invalid range vector definition \"expect range vector from 1m to 1m\"" },
        { "two blanks before to", LOADED "eval range from 0  to 1m step 1m x\n  x 0 1\n",
            "line 5: invalid start timestamp definition \"0 \": unknown unit \" \" in duration "
            "\"0 \"" },
        { "two blanks after to", LOADED "eval range from 0 to  1m step  1m  x\n  x 0 1\n", NULL },
        { "no string", LOADED "eval instant at 1m x\n  expect string\n",
            "line 6: expected string literal not valid - a quoted string literal is required" },
        { "two blanks before a string", LOADED "eval instant at 1m x\n  expect string  \"x\"\n",
            "line 6: expected string literal not valid - check that the string is correctly "
            "quoted" },
        { "a comment behind a string", LOADED "eval instant at 1m x\n  expect string \"x\" # y\n",
            "line 6: expected string literal not valid - check that the string is correctly "
            "quoted" },
        { "two characters in single quotes",
            LOADED "eval instant at 1m x\n  expect string 'xy'\n",
            "line 6: expected string literal not valid - check that the string is correctly "
            "quoted" },
    };
    TEST_EACH(c, cases) {
        struct script s = { 0 };
        struct err e = { 0 };
        errc rc = script_parse(&s, str_z(c->text), &e);
        EXPECT((rc == OK) == (c->why == NULL));
        EXPECT_STR(rc == OK ? STR_EMPTY : err_str(&e), str_z(c->why ? c->why : ""));
        script_fini(&s);
    }
}

struct seen { size_t passed; char why[256]; };
static void on_eval(void *ctx, size_t line UNUSED, enum script_outcome outcome, str why)
{
    struct seen *s = ctx;
    if (outcome == SCRIPT_PASSED) s->passed++;
    if (outcome == SCRIPT_FAILED)
        snprintf(s->why, sizeof(s->why), "%.*s", STR_ARG(why));
}

static errc reset(void *ctx, struct err *e UNUSED)
{
    memstore_clear(ctx);
    return OK;
}
static struct appendable *to(void *ctx) { return memstore_appendable(ctx); }
static struct queryable *from(void *ctx) { return memstore_queryable(ctx); }

static struct seen run(const char *text)
{
    struct script s = { 0 };
    struct err e = { 0 };
    struct seen seen = { 0 };
    EXPECT_OK_E(script_parse(&s, str_z(text), &e), &e);
    struct engine_opts o = script_engine_opts();
    struct engine *en = engine_new(&o);
    struct memstore *m = memstore_new();
    script_run(&s, &(struct script_storage){ m, reset, to, from }, en,
        &(struct script_report){ &seen, on_eval });
    engine_free(en);
    memstore_free(m);
    script_fini(&s);
    return seen;
}

/* why NULL: it passes */
TEST(script_judges_results)
{
    static const struct { const char *name, *text, *why;
    } cases[] = {
        { "binary", "eval instant at 1m 3\n  0b11\n", NULL },
        { "octal", "eval instant at 1m 15\n  017\n", NULL },
        { "a float with a zero before it", "eval instant at 1m 8\n  08\n", NULL },
        { "underscores", "eval instant at 1m -1000\n  -1_000\n", NULL },
        { "hexadecimal", "eval instant at 1m 16\n  +0x10\n", NULL },
        { "hexadecimal float", "eval instant at 1m 16\n  0x1p4\n", NULL },
        { "infinity", "eval instant at 1m -Inf\n  -infinity\n", NULL },
        { "another number", "eval instant at 1m 8\n  017\n",
            "8 at 60000 ms: expected scalar 15 but got 8" },
        { "a character in single quotes", "eval instant at 1m \"x\"\n  expect string 'x'\n", NULL },
        { "a range of one point without step", LOADED "eval range from 1m to 1m step 0 x\n  x 1\n",
            NULL },
        { "a range of one point without step, of numbers",
            "eval range from 0 to 0 step 0 1\n  1\n", NULL },
        { "one of what has no range", LOADED "eval range from 1m to 1m step 0 x[1m]\n  x 1\n",
            "error evaluating query: invalid expression type \"range vector\" for range query, "
            "must be Scalar or instant Vector" },
        { "a range of points without step", LOADED "eval range from 1m to 2m step 0 x\n  x 1\n",
            "error evaluating query: the step of a range query must be at least a millisecond" },
        { "a series too few", LOADED "eval range from 1m to 1m step 1m x\n  x 1\n  y 2\n",
            "expected metric {__name__=\"y\"} not found" },
        { "a series too many", LOADED "eval instant at 0 h\n  x 1\n",
            "h at 0 ms: unexpected metric {__name__=\"h\"} in result, has value {{count:1 "
            "sum:2}}" },
    };
    TEST_EACH(c, cases) {
        struct seen seen = run(c->text);
        EXPECT_EQ(seen.passed, c->why == NULL);
        EXPECT_STR(str_z(seen.why), str_z(c->why ? c->why : ""));
    }
}
