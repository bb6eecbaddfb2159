#include "model/regex.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "base/vec.h"

/* The texts of regexp_values.json: a string, or base64 where it is not UTF-8. */
static str value_text(struct arena *a, const json_t *o)
{
    const json_t *s = json_object_get(o, "s");
    if (s) return arena_str(a, str_of(json_string_value(s), json_string_length(s)));
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    str in = json_str_of(o, "b64");
    uint8_t *out = arena_alloc(a, in.n);
    size_t n = 0;
    unsigned bits = 0, held = 0;
    for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
        held = held << 6 | (unsigned)(strchr(digits, in.p[i]) - digits);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out[n++] = (uint8_t)(held >> bits);
    }
    return str_of(out, n);
}

static str_list regexp_values(struct arena *a)
{
    str_list values = { 0 };
    str text = vectors_file(a, "conformance/misc/regexp_values.json");
    json_t *all = json_loadb((const char *)text.p, text.n, JSON_ALLOW_NUL, NULL);
    if (!all) test_fail(__FILE__, __LINE__, "regexp_values.json is not JSON");
    for (size_t i = 0; i < json_array_size(all); i++)
        avec_push(a, &values, value_text(a, json_array_get(all, i)));
    json_decref(all);
    return values;
}

static bool listed(const json_t *array, size_t i)
{
    for (size_t k = 0; k < json_array_size(array); k++)
        if ((size_t)json_integer_value(json_array_get(array, k)) == i) return true;
    return false;
}

static void expect_set(const struct regex *re, const json_t *want)
{
    size_t n = 0;
    const str *got = regex_set_matches(re, &n);
    EXPECT_EQ(n, json_array_size(want));
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < n; k++) {
            const json_t *w = json_array_get(want, k);
            found |= str_eq(got[i], str_of(json_string_value(w), json_string_length(w)));
        }
        EXPECT(found);
    }
}

TEST_SHARED(regex_golden)
{
    SCOPED(arena_fini) struct arena a;
    arena_init(&a, NULL, 0);
    str_list values = regexp_values(&a);
    SCOPED(vectors_close) struct vectors v;
    vectors_open(&v, "conformance/misc/regexp.jsonl");
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        struct regex *re = NULL;
        struct err e = { 0 };
        errc rc = regex_new(&re, json_str_of(o, "pattern"), &e);
        if (!json_is_true(json_object_get(o, "ok"))) {
            EXPECT_EQ(rc, ERR_BAD_INPUT);
            EXPECT_STR(err_str(&e), json_str_of(o, "error"));
            continue;
        }
        EXPECT_OK_E(rc, &e);
        str prefix = regex_prefix(re);
        for (size_t i = 0; i < values.n; i++) {
            bool want = listed(json_object_get(o, "matches"), i);
            if (regex_match(re, values.at[i]) != want)
                test_fail(__FILE__, __LINE__, "value %zu \"%.*s\": expected %d", i,
                    STR_ARG(values.at[i]), want);
            EXPECT(!want || str_has_prefix(values.at[i], prefix));
        }
        const json_t *set = json_object_get(o, "set_matches");
        if (set) expect_set(re, set);
        if (json_object_get(o, "prefix")) EXPECT(str_has_prefix(prefix, json_str_of(o, "prefix")));
        regex_free(re);
    }
    EXPECT(v.n > 0);
}

/* A thousand nodes are no more than Go allows, anchors included. */
TEST(regex_refuses_what_is_too_high)
{
    static const struct { const char *name; size_t groups; bool fine;
    } cases[] = { { "groups", 998, true }, { "anchors on top", 999, false },
        { "too many", 1000, false } };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        for (size_t i = 0; i < c->groups; i++) buf_u8(&b, '(');
        buf_u8(&b, 'a');
        for (size_t i = 0; i < c->groups; i++) buf_u8(&b, ')');
        struct regex *re = NULL;
        struct err e = { 0 };
        EXPECT_EQ(regex_new(&re, buf_view(&b), &e), c->fine ? OK : ERR_BAD_INPUT);
        if (!c->fine)
            EXPECT(str_has_prefix(err_str(&e),
                c->groups < 1000
                    ? S("error parsing regexp: expression nests too deeply: `^(?s:(((")
                    : S("error parsing regexp: expression nests too deeply: `(((")));
        regex_free(re);
    }
}

TEST(regex_refuses_in_the_words_of_go)
{
    static const struct { const char *name; str in; const char *words;
    } cases[] = {
        { "a name that is none", S("(?<a-b>c)"),
            "error parsing regexp: invalid named capture: `(?<a-b>`" },
        { "any byte", S("a\\C"), "error parsing regexp: invalid escape sequence: `\\C`" },
        { "any byte, behind another fault", S("a**\\C"),
            "error parsing regexp: invalid nested repetition operator: `**`" },
        { "the whole pattern, with a name", S("(?<n>a)(?P<m>b)\\.("),
            "error parsing regexp: missing closing ): `(?<n>a)(?P<m>b)\\.(`" },
        { "no name, behind one", S("(?<n>a)(?P<>b)"),
            "error parsing regexp: invalid named capture: `(?P<>`" },
        { "a name within what is refused", S("(?<=(?<n>"),
            "error parsing regexp: invalid named capture: `(?<=(?<n>`" },
        { "a reference, behind a name", S("(?<n>a)(?P=n)"),
            "error parsing regexp: invalid or unsupported Perl syntax: `(?P`" },
        { "too many repetitions of a repetition", S("a*{1001}?"),
            "error parsing regexp: invalid repeat count: `{1001}`" },
        { "less than the least, of a repetition", S("a*{3,1}"),
            "error parsing regexp: invalid repeat count: `{3,1}`" },
        { "beyond all numbers", S("(?<n>a){2,10000000000}"),
            "error parsing regexp: invalid repeat count: `{2,10000000000}`" },
        { "not greedily", S("a{1001}?"), "error parsing regexp: invalid repeat count: `{1001}`" },
        { "a rune that the end cuts", S("é\\x{1"),
            "error parsing regexp: invalid escape sequence: `\\x{1`" },
        { "beyond all numbers, of a repetition", S("a*{99999999999999999999,}"),
            "error parsing regexp: invalid repeat count: `{99999999999999999999,}`" },
        { "a repetition of a repetition", S("a{2}{3}?"),
            "error parsing regexp: invalid nested repetition operator: `{2}{3}?`" },
        { "too many repetitions", S("a{1001}"),
            "error parsing regexp: invalid repeat count: `{1001}`" },
        { "invalid UTF-8", S("a\xff"), "error parsing regexp: invalid UTF-8: `\xff`" },
        { "invalid UTF-8 before more", S("[a.\xe2(\xff"),
            "error parsing regexp: invalid UTF-8: `\xe2(\xff`" },
        { "invalid UTF-8 in a quotation", S("\u20ac\\Qa\xff\xe2z\\E)"),
            "error parsing regexp: invalid UTF-8: `\xff\xe2z`" },
        { "invalid UTF-8 in place of a class", S("a\\p\xff("),
            "error parsing regexp: invalid UTF-8: `\xff(`" },
        { "no class at the end", S("[{\\P"),
            "error parsing regexp: invalid character class range: `\\P`" },
        { "an unknown script", S("\\p{Foo}"),
            "error parsing regexp: invalid character class range: `\\p{Foo}`" },
        { "a bad flag", S("(?z:a)"),
            "error parsing regexp: invalid or unsupported Perl syntax: `(?z`" },
    };
    TEST_EACH(c, cases) {
        struct regex *re = NULL;
        struct err e = { 0 };
        EXPECT_EQ(regex_new(&re, c->in, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), str_z(c->words));
        EXPECT(re == NULL);
    }
}

TEST(regex_named_groups_are_rewritten_only_where_they_are)
{
    static const struct { const char *name; str in, text;
    } cases[] = {
        { "a group", S("(?<x>a)b"), S("ab") },
        { "escaped", S("\\(?<x>"), S("<x>") },
        { "in a class", S("[(?<x>]+"), S("<(x?>") },
        { "in a class after a bracket", S("[](?<x>]+"), S("](") },
        { "quoted", S("\\Q(?<x>\\E"), S("(?<x>") },
        { "after a named class", S("[[:digit:](?<]+(?<y>b)"), S("1(b") },
    };
    TEST_EACH(c, cases) {
        struct regex *re = NULL;
        struct err e = { 0 };
        EXPECT_OK_E(regex_new(&re, c->in, &e), &e);
        EXPECT(regex_match(re, c->text));
        regex_free(re);
    }
}

TEST(regex_expand)
{
    static const struct { const char *name; str re, text, tmpl; bool ok; str want;
    } cases[] = {
        { "whole", S("a(.*)"), S("abc"), S("<$0>"), true, S("<abc>") },
        { "numbers", S("(.*);(.*)"), S("a;b"), S("$2-${1}x"), true, S("b-ax") },
        { "a number with letters is a name", S("(.*)"), S("a"), S("[$1x]"), true, S("[]") },
        { "names", S("(?P<x>.)(?<y>.)"), S("ab"), S("${y}$x"), true, S("ba") },
        { "unknown", S("(.)"), S("a"), S("<$2$zz${nope}>"), true, S("<>") },
        { "dollars", S("(.)"), S("a"), S("$$1 $ ${ ${} $- $"), true, S("$1 $ ${ ${} $- $") },
        { "leading zero", S("(.)"), S("a"), S("[${01}]"), true, S("[]") },
        { "no match", S("b"), S("a"), S("x"), false, S("") },
        { "a group that took no part", S("(a)|(b)"), S("b"), S("[$1][$2]"), true, S("[][b]") },
        { "invalid bytes come through", S("x(.*)y(.*)"), S("x\xff\xfey\xc3\xa9\xff"), S("$1|$2"),
            true, S("\xff\xfe|\xc3\xa9\xff") },
        { "empty", S(".*"), S(""), S("$0."), true, S(".") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        struct regex *re = NULL;
        EXPECT_OK(regex_new(&re, c->re, NULL));
        EXPECT_EQ(regex_expand(re, c->text, c->tmpl, &b), c->ok);
        EXPECT_STR(buf_view(&b), c->want);
        regex_free(re);
    }
}

TEST(regex_large_sets)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    for (int i = 0; i < 1000; i++) buf_fmt(&b, "%svalue-%d", i ? "|" : "", i);
    struct regex *re = NULL;
    EXPECT_OK(regex_new(&re, buf_view(&b), NULL));
    size_t n = 1;
    EXPECT(regex_set_matches(re, &n) == NULL);
    EXPECT_EQ(n, 0);
    EXPECT(regex_match(re, S("value-999")) && !regex_match(re, S("value-1000")) &&
           !regex_match(re, S("value-")));
    EXPECT_STR(regex_prefix(re), S("value-"));
    regex_free(re);
}

/* A matcher of literals alone takes any bytes; what would have to be parsed does not. */
TEST(regex_matching_literals_of_any_bytes)
{
    static const struct { const char *name, *pattern, *yes, *no; } cases[] = {
        { "one", "\xff", "\xff", "\xef\xbf\xbd" },
        { "among", "a|\xff|b", "\xff", "" },
        { "beside", "a|\xff|b", "b", "a|\xff|b" },
        { "empty", "\xff|", "", "\xff|" },
        { "many", "1|2|3|4|5|6|7|8|9|\xc3", "\xc3", "\xff" },
        { "group", "(\xff)", NULL, NULL },
        { "dot", "\xff.", NULL, NULL },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf words = { 0 };
        struct regex *re = NULL;
        struct err e = { 0 };
        EXPECT_EQ(regex_new(&re, str_z(c->pattern), &e), ERR_BAD_INPUT);
        errc rc = regex_new_matching(&re, str_z(c->pattern), &words);
        EXPECT_EQ(rc, c->yes ? OK : ERR_BAD_INPUT);
        if (!c->yes) continue;
        EXPECT(regex_match(re, str_z(c->yes)));
        EXPECT(!regex_match(re, str_z(c->no)));
        EXPECT_STR(regex_pattern(re), str_z(c->pattern));
        regex_free(re);
    }
}
