#include "scrape/target.h"

#include "base/test.h"
#include "scrape/test_store.h"

static struct labels labels_of(struct arena *a, const char *text)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    str rest = str_z(text), one, name, value;
    while (rest.n) {
        str_cut(rest, ' ', &one, &rest);
        if (str_cut(one, '=', &name, &value)) labels_builder_set(&lb, name, value);
    }
    return labels_builder_done(&lb);
}

static str text_of(struct arena *a, struct labels l)
{
    str s = STR_EMPTY;
    for (size_t i = 0; i < l.n; i++)
        s = arena_fmt(a, "%.*s%s%.*s=%.*s", STR_ARG(s), i ? " " : "", STR_ARG(l.at[i].name),
            STR_ARG(l.at[i].value));
    return s;
}

static struct relabel_rule rule_of(enum relabel_action action, const str *source,
    const char *pattern, const char *target, const char *replacement)
{
    struct relabel_rule r = relabel_default();
    r.action = action;
    r.source = source;
    r.n_source = source ? 1 : 0;
    r.source_set = source != NULL;
    if (pattern) {
        r.pattern = str_z(pattern);
        r.pattern_set = true;
    }
    if (target) r.target = str_z(target);
    if (replacement) r.replacement = str_z(replacement);
    EXPECT_OK(relabel_compile(&r, NULL));
    return r;
}

#define COMMON_HEAD                                                                                \
    "__address__=h:1 __always_scrape_classic_histograms__=false "                                  \
    "__convert_classic_histograms_to_nhcb__=false "

TEST(target_labels_of_a_group)
{
    static const struct {
        const char *name, *address, *group;
        errc rc;
        const char *want, *words;
    } cases[] = {
        { "plain", "h:1", "", OK,
            COMMON_HEAD "__metrics_path__=/metrics __scheme__=http __scrape_interval__=15s "
                        "__scrape_native_histograms__=false "
                        "__scrape_timeout__=10s instance=h:1 job=j",
            "" },
        { "labels of the group, meta ones go", "h:1", "zone=z __meta_x=y", OK,
            COMMON_HEAD "__metrics_path__=/metrics __scheme__=http __scrape_interval__=15s "
                        "__scrape_native_histograms__=false "
                        "__scrape_timeout__=10s instance=h:1 job=j zone=z",
            "" },
        { "what the group sets stays", "h:1",
            "job=k instance=i __scheme__=https __metrics_path__=/m __scrape_interval__=1m "
            "__scrape_timeout__=1s",
            OK,
            COMMON_HEAD "__metrics_path__=/m __scheme__=https __scrape_interval__=1m "
                        "__scrape_native_histograms__=false "
                        "__scrape_timeout__=1s instance=i job=k",
            "" },
        { "no address", "", "", ERR_BAD_INPUT, "", "no address" },
        { "a path in the address", "h:1/x", "", ERR_BAD_INPUT, "",
            "\"h:1/x\" is not a valid hostname" },
        { "interval", "h:1", "__scrape_interval__=x", ERR_BAD_INPUT, "",
            "error parsing scrape interval: not a valid duration string: \"x\"" },
        { "interval of nothing", "h:1", "__scrape_interval__=0", ERR_BAD_INPUT, "",
            "scrape interval cannot be 0" },
        { "timeout", "h:1", "__scrape_timeout__=1", ERR_BAD_INPUT, "",
            "error parsing scrape timeout: not a valid duration string: \"1\"" },
        { "timeout of nothing", "h:1", "__scrape_timeout__=0s", ERR_BAD_INPUT, "",
            "scrape timeout cannot be 0" },
        { "timeout above interval", "h:1", "__scrape_timeout__=20s", ERR_BAD_INPUT, "",
            "scrape timeout cannot be greater than scrape interval (\"20s\" > \"15s\")" },
        { "a switch", "h:1", "__scrape_native_histograms__=maybe", ERR_BAD_INPUT, "",
            "error parsing scrape native histograms: strconv.ParseBool: parsing \"maybe\": invalid "
            "syntax" },
        { "another address of the group", "h:1", "__address__=i:1", OK,
            "__address__=h:1 __always_scrape_classic_histograms__=false "
            "__convert_classic_histograms_to_nhcb__=false __metrics_path__=/metrics "
            "__scheme__=http __scrape_interval__=15s __scrape_native_histograms__=false "
            "__scrape_timeout__=10s instance=h:1 job=j",
            NULL },
        { "a value that is not UTF-8", "h:1", "a=\xff", ERR_BAD_INPUT, "",
            "invalid label value for \"a\": \"\\xff\"" },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct scrape_config job = test_job("j");
        struct labels out, discovered;
        struct err e = { 0 };
        bool keep = false;
        EXPECT_EQ(target_labels(&out, &discovered, &keep, &job, str_z(c->address),
                      labels_of(&a, c->group), &a, &e),
            c->rc);
        EXPECT(keep);
        if (c->rc != OK) EXPECT_STR(err_str(&e), str_z(c->words));
        else EXPECT_STR(text_of(&a, out), str_z(c->want));
    }
}

TEST(target_rules)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    static const str zone = S("zone"), port = S("__address__");
    struct relabel_rule rules[] = {
        rule_of(RELABEL_DROP, &zone, "away", NULL, NULL),
        rule_of(RELABEL_REPLACE, &port, "(.*):.*", "host", NULL),
        rule_of(RELABEL_REPLACE, &zone, "new", "__address__", "other:99"),
    };
    struct scrape_config job = test_job("j");
    struct labels out, discovered;
    bool keep;
    job.relabel = (struct relabel_rules){ rules, ARRAY_LEN(rules) };
    EXPECT_OK(target_labels(
        &out, &discovered, &keep, &job, S("h:1"), labels_of(&a, "zone=away __meta_m=1"), &a, NULL));
    EXPECT(!keep);
    EXPECT_EQ(out.n, 0);
    EXPECT_STR(labels_get(discovered, S("__meta_m")), S("1"));
    EXPECT(!labels_has(discovered, S("instance")));
    EXPECT_OK(target_labels(
        &out, &discovered, &keep, &job, S("h:1"), labels_of(&a, "zone=new"), &a, NULL));
    EXPECT(keep);
    EXPECT_STR(labels_get(out, S("host")), S("h"));
    EXPECT_STR(labels_get(out, S("instance")), S("other:99"));
    EXPECT_STR(labels_get(discovered, S("__address__")), S("h:1"));
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) regex_free(rules[i].regex);
}

TEST(target_urls)
{
    static const str values[] = { S("x y"), S("2nd") };
    static const struct http_param params[] = { { S("b"), values, 2 }, { S("a"), values, 1 } };
    static const struct { const char *name, *group; size_t n_params; const char *want;
    } cases[] = {
        { "plain", "", 0, "http://h:1/metrics" },
        { "path without a slash", "__metrics_path__=m", 0, "http://h:1/m" },
        { "what a path may not hold", "__metrics_path__=/a?b=%/\xc3\xa4", 0,
            "http://h:1/a%3Fb=%25/%C3%A4" },
        { "an address of a socket", "__unix_socket__=/s", 0, "http://h:1/metrics" },
        { "scheme", "__scheme__=https", 0, "https://h:1/metrics" },
        { "parameters sorted and escaped", "", 2, "http://h:1/metrics?a=x+y&b=x+y&b=2nd" },
        { "a label replaces the first value", "__param_b=l", 2,
            "http://h:1/metrics?a=x+y&b=l&b=2nd" },
        { "a label adds one", "__param_c=/?&", 1, "http://h:1/metrics?b=x+y&b=2nd&c=%2F%3F%26" },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct scrape_config job = test_job("j");
        struct labels out, discovered;
        bool keep;
        job.params = params;
        job.n_params = c->n_params;
        EXPECT_OK(target_labels(
            &out, &discovered, &keep, &job, S("h:1"), labels_of(&a, c->group), &a, NULL));
        struct target *t = target_new(&job, out, discovered);
        EXPECT_STR(t->url, str_z(c->want));
        EXPECT_STR(t->unix_socket, labels_get(out, S("__unix_socket__")));
        EXPECT_EQ(t->hash, target_hash_of(out, &job, &a));
        for (size_t i = 0; i < t->public_labels.n; i++)
            EXPECT(!str_has_prefix(t->public_labels.at[i].name, S("__")));
        target_unref(t);
    }
}

TEST(target_offsets_spread_and_stay)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct scrape_config job = test_job("j");
    struct labels out, discovered;
    bool keep;
    size_t early = 0;
    enum { TARGETS = 200 };
    for (int i = 0; i < TARGETS; i++) {
        EXPECT_OK(target_labels(&out, &discovered, &keep, &job, arena_fmt(&a, "h%d:1", i),
            (struct labels){ 0 }, &a, NULL));
        struct target *t = target_new(&job, out, discovered);
        int64_t at = 1700000000123 + target_offset_ms(t, 7, 1700000000123);
        EXPECT(at > 1700000000123 && at <= 1700000000123 + 15000);
        /* the same place in every interval */
        EXPECT_EQ((at - (1700000004567 + target_offset_ms(t, 7, 1700000004567))) % 15000, 0);
        early += at % 15000 < 7500;
        target_unref(t);
    }
    EXPECT(early > TARGETS / 4 && early < TARGETS * 3 / 4);
}
