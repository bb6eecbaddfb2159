#include "model/labels.h"
#include "base/json.h"
#include "base/test.h"
#include "base/test_vectors.h"

static struct labels labels_from_json(struct arena *a, const json_t *pairs)
{
    size_t n = json_array_size(pairs);
    struct label *at = arena_array(a, n, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(json_array_get(pairs, i), 0),
                     *value = json_array_get(json_array_get(pairs, i), 1);
        at[i].name = str_of(json_string_value(name), json_string_length(name));
        at[i].value = str_of(json_string_value(value), json_string_length(value));
    }
    return (struct labels){ at, n };
}

static void buf_labels_json(struct buf *b, struct labels l)
{
    struct json j = { .b = b, .html = true };
    json_obj(&j);
    for (size_t i = 0; i < l.n; i++) json_kstr(&j, l.at[i].name, l.at[i].value);
    json_obj_end(&j);
}

TEST_SHARED(labels_golden)
{
    SCOPED(vectors_close) struct vectors v;
    vectors_open(&v, "conformance/misc/labels.jsonl");
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        SCOPED(buf_fini) struct buf b = { 0 };
        struct labels l = labels_from_json(&v.a, json_object_get(o, "labels"));
        buf_labels(&b, l);
        EXPECT_STR(buf_view(&b), json_str_of(o, "string"));
        EXPECT_EQ(labels_hash(l), json_bits_of(o, "hash"));
        EXPECT_EQ(labels_stable_hash(l), json_bits_of(o, "stable_hash"));
        EXPECT_EQ(labels_valid(l, true), json_is_true(json_object_get(o, "valid_utf8_scheme")));
        EXPECT_EQ(labels_valid(l, false), json_is_true(json_object_get(o, "valid_legacy_scheme")));
        buf_reset(&b);
        buf_labels_json(&b, l);
        EXPECT_STR(buf_view(&b), json_str_of(o, "json"));
        EXPECT(labels_eq(labels_copy(&v.a, l), l));
    }
    EXPECT(v.n > 0);
}

TEST(labels_order)
{
    static const struct label x1[] = { { S("a"), S("1") }, { S("b"), S("2") } };
    static const struct label x2[] = { { S("a"), S("1") }, { S("b"), S("3") } };
    static const struct label x3[] = { { S("a"), S("10") } };
    static const struct label x4[] = { { S("aa"), S("0") } };
    const struct labels sorted[] = { { NULL, 0 }, { x1, 1 }, { x1, 2 }, { x2, 2 }, { x3, 1 },
        { x4, 1 } };
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
        for (size_t k = 0; k < ARRAY_LEN(sorted); k++) {
            int c = labels_cmp(sorted[i], sorted[k]);
            EXPECT_EQ((c > 0) - (c < 0), (i > k) - (i < k));
            EXPECT_EQ(labels_eq(sorted[i], sorted[k]), i == k);
        }
}

TEST(labels_get_and_pick)
{
    SCOPED(arena_fini) struct arena a;
    arena_init(&a, NULL, 0);
    static const struct label at[] = { { S("__name__"), S("up") }, { S("job"), S("node") },
        { S("zone"), S("") } };
    struct labels l = { at, 3 }, got;
    const str names[] = { S("a"), S("job"), S("k") };
    EXPECT_STR(labels_get(l, S("job")), S("node"));
    EXPECT_STR(labels_get(l, S("jo")), S(""));
    EXPECT(labels_has(l, S("zone")) && !labels_has(l, S("zones")));
    got = labels_only(&a, l, names, 3);
    EXPECT_EQ(got.n, 1);
    EXPECT_STR(got.at[0].name, S("job"));
    got = labels_without(&a, l, names, 3);
    EXPECT_EQ(got.n, 2);
    EXPECT_STR(got.at[1].name, S("zone"));
    EXPECT_EQ(labels_without_name(&a, l).n, 2);
    EXPECT_EQ(labels_without_name(&a, labels_without_name(&a, l)).n, 2);
}

/* Random settings and deletions against a naive twin: one slot a name. */
TEST(labels_builder_model)
{
    enum { NAMES = 60 };
    SCOPED(arena_fini) struct arena a;
    arena_init(&a, NULL, 0);
    struct prng r = { test_seed() };
    str names[NAMES], twin[NAMES] = { 0 };
    for (int i = 0; i < NAMES; i++) names[i] = arena_fmt(&a, "n%02d", i);
    struct labels_builder lb;
    labels_builder_init(&lb, &a);
    for (int step = 0; step < 3000; step++) {
        size_t i = prng_below(&r, step % 1000 < 500 ? 8 : NAMES);
        unsigned what = (unsigned)prng_below(&r, 4);
        str value = what < 2 ? arena_fmt(&a, "v%d", step) : STR_EMPTY;
        if (what == 3) labels_builder_del(&lb, names[i]);
        else labels_builder_set(&lb, names[i], value);
        twin[i] = value;
        EXPECT_STR(labels_builder_get(&lb, names[i]), value);
        struct labels l = labels_builder_done(&lb);
        size_t at = 0;
        for (int k = 0; k < NAMES; k++) {
            if (twin[k].n == 0) continue;
            EXPECT(at < l.n);
            EXPECT_STR(l.at[at].name, names[k]);
            EXPECT_STR(l.at[at].value, twin[k]);
            at++;
        }
        EXPECT_EQ(at, l.n);
        if (step % 97 == 0) labels_builder_from(&lb, l);
    }
}

/* What is left of the base comes first, then what was set, by when it first was. */
TEST(labels_builder_order)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct label base[] = { { S("a"), S("1") }, { S("b"), S("2") }, { S("c"), S("3") } };
    struct labels_builder lb;
    labels_builder_init(&lb, &a);
    labels_builder_from(&lb, (struct labels){ base, 3 });
    labels_builder_set(&lb, S("d"), S("4"));
    labels_builder_set(&lb, S("a"), S("5"));
    labels_builder_set(&lb, S("d"), S("6"));
    labels_builder_del(&lb, S("b"));
    labels_builder_set(&lb, S("b"), S("7"));
    static const char *const want[] = { "c3", "d6", "a5", "b7" };
    EXPECT_EQ(lb.pairs.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        EXPECT_STR(
            arena_fmt(&a, "%.*s%.*s", STR_ARG(lb.pairs.at[i].name), STR_ARG(lb.pairs.at[i].value)),
            str_z(want[i]));
}

TEST(labels_joined)
{
    static const struct { const char *name, *first, *second, *want; } cases[] = {
        { "nothing", "", "", "" },
        { "only the first", "a1b2", "", "a1b2" },
        { "only the second", "", "a1b2", "a1b2" },
        { "around", "b1d2", "axcyez", "axb1cyd2ez" },
        { "the first wins", "a1c2", "bxcy", "a1bxc2" },
        { "all the same", "a1b2", "axby", "a1b2" },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        SCOPED(buf_fini) struct buf text = { 0 };
        struct label at[2][4];
        struct labels side[2] = { { at[0], 0 }, { at[1], 0 } };
        for (int k = 0; k < 2; k++)
            for (str s = str_z(k ? c->second : c->first); s.n; s = str_from(s, 2))
                at[k][side[k].n++] = (struct label){ str_slice(s, 0, 1), str_slice(s, 1, 2) };
        struct labels all = labels_join(&a, side[0], side[1]);
        for (size_t i = 0; i < all.n; i++) {
            buf_str(&text, all.at[i].name);
            buf_str(&text, all.at[i].value);
        }
        EXPECT_STR(buf_view(&text), str_z(c->want));
    }
}

TEST(label_names)
{
    static const struct { const char *name; str in; bool label, metric, utf8;
    } cases[] = {
        { "empty", S(""), false, false, false },
        { "plain", S("abc_9"), true, true, true },
        { "colon", S("a:b"), false, true, true },
        { "digit first", S("9a"), false, false, true },
        { "dot", S("a.b"), false, false, true },
        { "accent", S("é"), false, false, true },
        { "invalid", S("\xff"), false, false, false },
        { "at sign", S("a@"), false, false, true },
        { "brace", S("a{"), false, false, true },
    };
    TEST_EACH(c, cases) {
        EXPECT_EQ(label_name_valid_legacy(c->in), c->label);
        EXPECT_EQ(metric_name_valid_legacy(c->in), c->metric);
        EXPECT_EQ(label_name_valid_utf8(c->in), c->utf8);
    }
}
