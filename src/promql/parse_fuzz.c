/* parse_fuzz.c — any text as a query, as a selector and as a series description.
 *
 * What parses prints, and what is printed parses again to the same text. */
#include "promql/parse.h"
#include "promql/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct parse_opts opts = { true, true, true, true };

static void print_again(const struct expr *tree)
{
    struct arena a = { 0 };
    struct buf once = { 0 }, twice = { 0 };
    struct expr *again = NULL;
    promql_print(&once, tree);
    if (promql_parse(&again, buf_view(&once), &opts, &a, NULL, NULL) == OK) {
        promql_print(&twice, again);
        assert(str_eq(buf_view(&once), buf_view(&twice)));
        buf_reset(&twice);
        promql_pretty(&twice, again);
        buf_reset(&twice);
        struct json j = json_to(&twice);
        promql_json(&j, again);
    }
    promql_tree_fini(again);
    buf_fini(&once);
    buf_fini(&twice);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct err e;
    struct expr *tree = NULL;
    struct matchers ms = { 0 };
    struct series_description d;
    struct parse_errors errors = { 0 };
    str text = str_of(p, n);
    if (promql_parse(&tree, text, &opts, &a, &errors, &e) == OK) print_again(tree);
    else assert(errors.n > 0);
    for (size_t i = 0; i < errors.n; i++) parse_error_text(&errors.at[i], text, &a);
    promql_tree_fini(tree);
    if (promql_parse_selector(&ms, text, &opts, &a, &e) == OK) promql_matchers_fini(ms);
    if (n < 4096 && promql_parse_series(&d, text, &a, &e) == OK) assert(d.n == 0 || d.values);
    arena_fini(&a);
    return 0;
}
