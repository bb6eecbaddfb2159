/* parse_fuzz.c — any text as a query, as a selector and as a series description.
 *
 * What parses prints, in one line and in many, and what is printed parses again to the same
 * text; with all experimental features, and with none.
 *
 * But for one sign: Prometheus prints an infinity as +Inf, and as the base of a power that sign is
 * one of the power, before an infinity that has its own again. */
#include "promql/parse.h"
#include "promql/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct parse_opts all = { true, true, true, true }, none;

/* b is a, but for signs in front of signs. */
static bool same_but_signs(str a, str b)
{
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        while (i + 1 < a.n && a.p[i] == '+' && a.p[i + 1] == '+') i++;
        while (j + 1 < b.n && b.p[j] == '+' && b.p[j + 1] == '+') j++;
        if (i == a.n || j == b.n) return i == a.n && j == b.n;
        if (a.p[i] != b.p[j]) return false;
    }
}

/* text, which a tree was printed as, parses, and prints in one line as `want`. */
static void parse_again(str text, str want, const struct parse_opts *o)
{
    struct arena a = { 0 };
    struct err e;
    struct buf got = { 0 };
    struct expr *tree = NULL;
    errc rc = promql_parse(&tree, text, o, &a, NULL, &e);
    assert(rc == OK);
    promql_print(&got, tree);
    assert(same_but_signs(buf_view(&got), want));
    promql_tree_fini(tree);
    buf_fini(&got);
    arena_fini(&a);
}

static void print_again(struct expr *tree, const struct parse_opts *o)
{
    struct buf line = { 0 }, other = { 0 };
    promql_print(&line, tree);
    parse_again(buf_view(&line), buf_view(&line), o);
    promql_pretty(&other, tree);
    parse_again(buf_view(&other), buf_view(&line), o);
    buf_reset(&other);
    struct json j = json_to(&other);
    promql_json(&j, tree);
    buf_fini(&line);
    buf_fini(&other);
}

static void parse_as_query(str text, const struct parse_opts *o)
{
    struct arena a = { 0 };
    struct err e;
    struct expr *tree = NULL;
    struct matchers ms = { 0 };
    struct parse_errors errors = { 0 };
    if (promql_parse(&tree, text, o, &a, &errors, &e) == OK) print_again(tree, o);
    else assert(errors.n > 0);
    for (size_t i = 0; i < errors.n; i++) parse_error_text(&errors.at[i], text, &a);
    promql_tree_fini(tree);
    if (promql_parse_selector(&ms, text, o, &a, NULL) == OK) promql_matchers_fini(ms);
    arena_fini(&a);
}

/* Has text an `x` before four digits and more? Items repeat as often as they say: minutes of
 * histograms that are added, gigabytes of items. */
static bool repeats_often(str text)
{
    size_t digits = 0;
    bool times = false;
    for (size_t i = 0; i < text.n; i++) {
        bool digit = text.p[i] >= '0' && text.p[i] <= '9';
        if (!digit) times = text.p[i] == 'x';
        digits = digit ? digits + 1 : 0;
        if (times && digits > 3) return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct err e;
    struct series_description d;
    str text = str_of(p, n);
    parse_as_query(text, &all);
    parse_as_query(text, &none);
    if (n < 4096 && !repeats_often(text) && promql_parse_series(&d, text, &a, &e) == OK)
        assert(d.n == 0 || d.values);
    arena_fini(&a);
    return 0;
}
