#include "api/test_rig.h"

#include "base/test.h"
#include "storage/exemplars.h"

#define V1 "/api/v1"
#define ADMIN V1 "/admin/tsdb"

static void expect_asked(struct rig *r, const char *want)
{
    EXPECT_STR(str_of(r->fakes.tsdb, r->fakes.n_tsdb), str_z(want));
    r->fakes.n_tsdb = 0;
}

TEST(admin_deletes)
{
    static const struct rig_case bad[] = {
        { "no matcher", "POST", ADMIN "/delete_series", .status = 400, .type = "bad_data",
            .error = "no match[] parameter provided" },
        { "no selector", "POST", ADMIN "/delete_series?match[]={", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"match[]\": 1:2: parse error: unexpected end of input "
                     "inside braces" },
        { "no time", "POST", ADMIN "/delete_series?match[]=up&start=x", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"start\": invalid time value for 'start': cannot parse "
                     "\"x\" to a valid timestamp" },
        { "no end", "PUT", ADMIN "/delete_series?match[]=up&end=y", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"end\": invalid time value for 'end': cannot parse "
                     "\"y\" to a valid timestamp" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .admin = true });
    RIG_CHECK(&r, bad);
    expect_asked(&r, "");
    struct test_answer got = rig_ask(&r, S("PUT"),
        S(ADMIN "/delete_series?match[]=up{a=\"b\"}&start=1.5&end=9"), NULL, 0, S(""));
    EXPECT_EQ(got.status, 204);
    EXPECT_EQ(got.body.n, 0);
    expect_asked(&r, "a=b __name__=up 1500..9000; ");
    got = rig_post(&r, S(ADMIN "/delete_series"), S("match[]=x&match[]=y{&start=1&end=2"));
    EXPECT_EQ(got.status, 400);
    expect_asked(&r, "__name__=x 1000..2000; ");               /* what came before stays done */
    r.fakes.tsdb_fails = true;
    static const struct rig_case fails[] = {
        { "deleting fails", "POST", ADMIN "/delete_series?match[]=up", .status = 500,
            .type = "internal", .error = "the disk is gone" },
        { "cleaning fails", "POST", ADMIN "/clean_tombstones", .status = 500, .type = "internal",
            .error = "the disk is gone" },
        { "a snapshot fails", "POST", ADMIN "/snapshot", .status = 500, .type = "internal",
            .error = "create snapshot: the disk is gone" },
    };
    RIG_CHECK(&r, fails);
    rig_stop(&r);
}

TEST(admin_cleans_and_snapshots)
{
    static const struct rig_case bad[] = {
        { "no truth", "POST", ADMIN "/snapshot?skip_head=foo", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"skip_head\": unable to parse boolean: "
                     "strconv.ParseBool: parsing \"foo\": invalid syntax" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .admin = true });
    RIG_CHECK(&r, bad);
    EXPECT_EQ(rig_post(&r, S(ADMIN "/clean_tombstones"), S("")).status, 204);
    expect_asked(&r, "clean; ");
    struct test_answer got = rig_post(&r, S(ADMIN "/snapshot"), S(""));
    EXPECT_EQ(got.status, 200);
    EXPECT(str_find(got.body, S("{\"status\":\"success\",\"data\":{\"name\":\"20")) == 0);
    rig_post(&r, S(ADMIN "/snapshot"), S("skip_head=T"));
    rig_post(&r, S(ADMIN "/snapshot?skip_head=0"), S(""));
    rig_post(&r, S(ADMIN "/snapshot?with_out_of_order=1"), S(""));
    rig_post(&r, S(ADMIN "/snapshot?with_out_of_order=1&skip_head=1"), S(""));
    expect_asked(&r, "snapshot of 33 characters with head; snapshot of 33 characters; "
                     "snapshot of 33 characters with head; "
                     "snapshot of 33 characters with head and late samples; "
                     "snapshot of 33 characters; ");
    rig_stop(&r);
}

TEST(admin_blocks_and_features)
{
    static const struct rig_case cases[] = {
        { "blocks", "GET", V1 "/status/tsdb/blocks", .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"blocks\":[{\"ulid\":\"A\"},"
                    "{\"ulid\":\"B\"}]}}" },
        { "features", "GET", V1 "/features", .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"api\":{\"admin\":false,\"search\":true},"
                    "\"ui\":{\"ui_v3\":true}}}" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

/* One series with one exemplar for each set of matchers; a start of 7000 is an error. */
static errc fake_select(struct exemplar_queryable *q, int64_t start, int64_t end,
    const struct matchers *sets, size_t n_sets, struct arena *a, struct exemplar_result *out,
    struct err *e)
{
    (void)q;
    if (start == 7000) return err_set(e, ERR_LIMIT, "too many");
    struct exemplar_series *s = arena_array(a, n_sets, sizeof(*s));
    for (size_t i = 0; i < n_sets && start != 8000; i++) {
        struct exemplar *x = ANEW(a, struct exemplar);
        struct label *l = ANEW(a, struct label);
        *l = (struct label){ S("id"), S("<1>") };
        *x = (struct exemplar){ .labels = { l, 1 }, .v = 0.25, .t = end };
        struct label *name = ANEW(a, struct label);
        *name = (struct label){ METRIC_NAME, sets[i].at[sets[i].n - 1].value };
        s[out->n++] = (struct exemplar_series){ { name, 1 }, x, 1 };
    }
    out->at = s;
    return OK;
}

#define ONE(name, t)                                                                               \
    "{\"seriesLabels\":{\"__name__\":\"" name "\"},\"exemplars\":[{\"labels\":{\"id\":"            \
    "\"<1>\"},\"value\":\"0.25\",\"timestamp\":" t "}]}"

TEST(exemplars_of_all_selectors)
{
    static const struct exemplar_queryable_ops ops = { fake_select };
    static const struct rig_case cases[] = {
        { "one", "GET", V1 "/query_exemplars?query=a&end=2.5", .status = 200,
            .body = "{\"status\":\"success\",\"data\":[" ONE("a", "2.500") "]}" },
        { "all", "POST", V1 "/query_exemplars", .form = "query=rate(b[5m])+%2B+sum(c)&end=2",
            .status = 200,
            .body = "{\"status\":\"success\",\"data\":[" ONE("b", "2") "," ONE("c", "2") "]}" },
        { "none", "GET", V1 "/query_exemplars?query=a&start=8", .status = 200,
            .body = "{\"status\":\"success\",\"data\":[]}" },
        { "no query", "GET", V1 "/query_exemplars?query=", .status = 400, .type = "bad_data",
            .error = "unknown position: parse error: no expression found in input" },
        { "end before start", "GET", V1 "/query_exemplars?query=a&start=2&end=1", .status = 400,
            .type = "bad_data", .error = "end timestamp must not be before start timestamp" },
        { "no start", "GET", V1 "/query_exemplars?query=a&start=x", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"start\": invalid time value for 'start': cannot parse "
                     "\"x\" to a valid timestamp" },
        { "too many", "GET", V1 "/query_exemplars?query=a&start=7", .status = 422,
            .type = "execution", .error = "too many" },
    };
    struct exemplar_queryable q = { &ops };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .exemplars = &q });
    RIG_CHECK(&r, cases);
    EXPECT_EQ(rig_get(&r, S(V1 "/query_exemplars?query=1")).status, 204);
    rig_stop(&r);
    rig_start(&r, &(struct rig_opts){ 0 });
    static const struct rig_case off[] = { { "nothing keeps them", "GET",
        V1 "/query_exemplars?query=a", .status = 200,
        .body = "{\"status\":\"success\",\"data\":[]}" } };
    RIG_CHECK(&r, off);
    rig_stop(&r);
}
