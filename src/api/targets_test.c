#include "api/test_rig.h"

#include "base/test.h"

#define OK_OF(data) "{\"status\":\"success\",\"data\":" data "}"
#define T1 "/api/v1/targets"
#define ACTIVE(pool, n)                                                                            \
    "{\"discoveredLabels\":{\"__address__\":\"" n "\"},\"labels\":{\"instance\":\"" n              \
    "\"},\"scrapePool\":\"" pool "\",\"scrapeUrl\":\"http://" n "/metrics\","                      \
    "\"globalUrl\":\"http://g/metrics\",\"lastError\":\"a \\\"b\\\" "                              \
    "\\u003cc\\u003e\",\"lastScrape\":\"2017-07-14T02:40:00.5Z\",\"lastScrapeDuration\":0.25,"     \
    "\"health\":\"up\",\"scrapeInterval\":\"15s\",\"scrapeTimeout\":\"10s\"}"
#define DROPPED(pool, n)                                                                           \
    "{\"discoveredLabels\":{\"__address__\":\"" n "\"},\"scrapePool\":\"" pool "\"}"
#define LIST(active, dropped, counts)                                                              \
    OK_OF("{\"activeTargets\":[" active "],\"droppedTargets\":[" dropped                           \
          "],\"droppedTargetCounts\":" counts "}")

static struct labels one_label(struct rig *r, const char *name, const char *value)
{
    struct label *l = arena_array(&r->arena, 1, sizeof(*l));
    *l = (struct label){ str_z(name), str_z(value) };
    return (struct labels){ l, 1 };
}

static void add_target(
    struct rig *r, struct api_targets *all, const char *pool, const char *address)
{
    struct api_target t = {
        .pool = str_z(pool),
        .url = arena_fmt(&r->arena, "http://%s/metrics", address),
        .global_url = S("http://g/metrics"),
        .health = S("up"),
        .last_error = S("a \"b\" <c>"),
        .interval = S("15s"),
        .timeout = S("10s"),
        .discovered = one_label(r, "__address__", address),
        .labels = one_label(r, "instance", address),
        .last_scrape_ns = 1500000000500000000,
        .last_duration_s = 0.25,
    };
    avec_push(&r->arena, &all->active, t);
}

static void add_dropped(
    struct rig *r, struct api_targets *all, const char *pool, const char *address)
{
    avec_push(&r->arena, &all->dropped,
        ((struct api_dropped){ one_label(r, "__address__", address), str_z(pool) }));
    avec_push(&r->arena, &all->dropped_counts, ((struct api_count){ str_z(pool), 3 }));
}

TEST(targets_lists)
{
    static const struct rig_case cases[] = {
        { "all", "GET", T1, .status = 200,
            .body = LIST(ACTIVE("api", "a:1") "," ACTIVE("web", "w:1"), DROPPED("api", "d:1"),
                "{\"api\":3}") },
        { "any", "GET", T1 "?state=any", .status = 200,
            .body = LIST(ACTIVE("api", "a:1") "," ACTIVE("web", "w:1"), DROPPED("api", "d:1"),
                "{\"api\":3}") },
        { "active", "GET", T1 "?state=active", .status = 200,
            .body = LIST(ACTIVE("api", "a:1") "," ACTIVE("web", "w:1"), "", "null") },
        { "cases do not count", "GET", T1 "?state=DROPPED", .status = 200,
            .body = LIST("", DROPPED("api", "d:1"), "{\"api\":3}") },
        { "another word shows nothing", "GET", T1 "?state=x", .status = 200,
            .body = LIST("", "", "null") },
        { "of a pool; counts are of all", "GET", T1 "?scrapePool=web", .status = 200,
            .body = LIST(ACTIVE("web", "w:1"), "", "{\"api\":3}") },
        { "of no pool", "GET", T1 "?state=active&scrapePool=none", .status = 200,
            .body = LIST("", "", "null") },
        { "by POST", .target = T1, .form = "state=active", .status = 405,
            .body = "Method Not Allowed\n" },
    };
    struct rig r;
    struct api_targets all = { 0 };
    rig_start(&r, &(struct rig_opts){ 0 });
    add_target(&r, &all, "api", "a:1");
    add_target(&r, &all, "web", "w:1");
    add_dropped(&r, &all, "api", "d:1");
    r.fakes.targets = &all;
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

TEST(targets_that_were_not_scraped)
{
    struct rig r;
    struct api_targets all = { 0 };
    rig_start(&r, &(struct rig_opts){ 0 });
    add_target(&r, &all, "api", "a:1");
    all.active.at[0].last_scrape_ns = 0;
    r.fakes.targets = &all;
    struct test_answer w = rig_get(&r, S(T1));
    EXPECT(str_find(w.body, S("\"lastScrape\":\"0001-01-01T00:00:00Z\"")) != SIZE_MAX);
    rig_stop(&r);
}

#define M1 "/api/v1/metadata"
#define MT "/api/v1/targets/metadata"
#define UP "{\"type\":\"gauge\",\"unit\":\"\",\"help\":\"Up.\"}"
#define UP2 "{\"type\":\"counter\",\"unit\":\"x\",\"help\":\"\\u003cUp\\u003e\"}"
#define REQ "{\"type\":\"counter\",\"unit\":\"\",\"help\":\"\"}"
#define OF(instance, metric, type, help, unit)                                                     \
    "{\"target\":{\"instance\":\"" instance "\"}," metric "\"type\":\"" type "\",\"help\":\"" help \
    "\",\"unit\":\"" unit "\"}"

static void add_metadata(struct rig *r, api_metadata_list *all, struct labels target,
    const char *metric, enum metric_type type, const char *help, const char *unit)
{
    struct metadata m = { .type = type, .unit = str_z(unit), .help = str_z(help) };
    avec_push(&r->arena, all, ((struct api_metadata){ target, str_z(metric), m }));
}

TEST(targets_metadata)
{
    static const struct rig_case cases[] = {
        { "all", "GET", M1, .status = 200,
            .body = OK_OF("{\"req_total\":[" REQ "],\"up\":[" UP "," UP2 "]}") },
        { "of one", "GET", M1 "?metric=up", .status = 200,
            .body = OK_OF("{\"up\":[" UP "," UP2 "]}") },
        { "of none", "GET", M1 "?metric=none", .status = 200, .body = OK_OF("{}") },
        { "limit", "GET", M1 "?limit=1", .status = 200,
            .body = OK_OF("{\"req_total\":[" REQ "]}") },
        { "limit 0", "GET", M1 "?limit=0", .status = 200, .body = OK_OF("{}") },
        { "limit below 0 is none", "GET", M1 "?limit=-1&metric=req_total", .status = 200,
            .body = OK_OF("{\"req_total\":[" REQ "]}") },
        { "limit a metric", "GET", M1 "?limit_per_metric=1", .status = 200,
            .body = OK_OF("{\"req_total\":[" REQ "],\"up\":[" UP "]}") },
        { "limit: a word", "GET", M1 "?limit=x", .status = 400, .type = "bad_data",
            .error = "limit must be a number" },
        { "limit a metric: a word", "GET", M1 "?limit_per_metric=x", .status = 400,
            .type = "bad_data", .error = "limit_per_metric must be a number" },
        { "of targets", "GET", MT, .status = 200,
            .body = OK_OF("[" OF("a", "\"metric\":\"up\",", "gauge", "Up.", "") "," OF("a",
                "\"metric\":\"req_total\",", "counter", "",
                "") "," OF("b", "\"metric\":\"up\",", "counter", "\\u003cUp\\u003e", "x") "]") },
        { "of targets: one metric", "GET", MT "?metric=up", .status = 200,
            .body = OK_OF("[" OF("a", "", "gauge", "Up.", "") "," OF(
                "b", "", "counter", "\\u003cUp\\u003e", "x") "]") },
        { "of targets: one target", "GET", MT "?match_target=%7Binstance=%22b%22%7D", .status = 200,
            .body =
                OK_OF("[" OF("b", "\"metric\":\"up\",", "counter", "\\u003cUp\\u003e", "x") "]") },
        { "of targets: limit", "GET", MT "?limit=1&metric=up", .status = 200,
            .body = OK_OF("[" OF("a", "", "gauge", "Up.", "") "]") },
        { "of targets: limit 0", "GET", MT "?limit=0", .status = 200, .body = OK_OF("[]") },
        { "of targets: the last is whole", "GET", MT "?limit=1", .status = 200,
            .body = OK_OF("[" OF("a", "\"metric\":\"up\",", "gauge", "Up.", "") "," OF(
                "a", "\"metric\":\"req_total\",", "counter", "", "") "]") },
        { "of targets: limit: a word", "GET", MT "?limit=x", .status = 400, .type = "bad_data",
            .error = "limit must be a number" },
        { "of targets: no selector", "GET", MT "?match_target=%7B", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"match_target\": 1:2: parse error: unexpected end of "
                     "input inside braces" },
    };
    struct rig r;
    api_metadata_list all = { 0 };
    rig_start(&r, &(struct rig_opts){ 0 });
    struct labels a = one_label(&r, "instance", "a"), b = one_label(&r, "instance", "b");
    add_metadata(&r, &all, a, "up", TYPE_GAUGE, "Up.", "");
    add_metadata(&r, &all, a, "req_total", TYPE_COUNTER, "", "");
    add_metadata(&r, &all, b, "up", TYPE_COUNTER, "<Up>", "x");
    r.fakes.metadata = &all;
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

#define P1 "/api/v1/scrape_pools"
#define RS "/api/v1/targets/relabel_steps"
TEST(targets_pools)
{
    static const struct rig_case cases[] = {
        { "pools", "GET", P1, .status = 200, .body = OK_OF("{\"scrapePools\":[\"api\",\"web\"]}") },
        { "its configuration", "GET", P1 "/config?scrapePool=api", .status = 200,
            .body = OK_OF("{\"yaml\":\"job_name: api\\n\"}") },
        { "of no pool", "GET", P1 "/config", .status = 400, .type = "bad_data",
            .error = "no scrapePool parameter provided" },
        { "of an unknown pool", "GET", P1 "/config?scrapePool=x", .status = 400, .type = "bad_data",
            .error = "error retrieving scrape config: scrape pool \"x\" not found" },
        { "steps", "GET", RS "?scrapePool=api&labels=%7B%22b%22:%22%3C%22,%22a%22:%221%22%7D",
            .status = 200,
            .body = OK_OF("{\"steps\":[{\"rule\":{\"action\":\"replace\"},\"output\":{\"a\":\"1\","
                          "\"b\":\"<\"},\"keep\":true}]}") },
        { "steps of no pool", "GET", RS, .status = 400, .type = "bad_data",
            .error = "no scrapePool parameter provided" },
        { "steps without labels", "GET", RS "?scrapePool=api", .status = 400, .type = "bad_data",
            .error = "no labels parameter provided" },
        { "steps of an unknown pool", "GET", RS "?scrapePool=x&labels=%7B%7D", .status = 400,
            .type = "bad_data",
            .error = "error retrieving scrape config: scrape pool \"x\" not found" },
        { "null is no label", "GET", RS "?scrapePool=api&labels=null", .status = 200,
            .body = OK_OF(
                "{\"steps\":[{\"rule\":{\"action\":\"replace\"},\"output\":{},\"keep\":true}]}") },
        { "a list", "GET", RS "?scrapePool=api&labels=[1]", .status = 400, .type = "bad_data",
            .error = "error parsing labels: json: cannot unmarshal array into Go value of type "
                     "map[string]string" },
        { "a number", "GET", RS "?scrapePool=api&labels=1.5", .status = 400, .type = "bad_data",
            .error = "error parsing labels: json: cannot unmarshal number into Go value of type "
                     "map[string]string" },
        { "a number inside", "GET", RS "?scrapePool=api&labels=%7B%22a%22:1%7D", .status = 400,
            .type = "bad_data",
            .error = "error parsing labels: json: cannot unmarshal number into Go value of type "
                     "string" },
        { "an object inside", "GET", RS "?scrapePool=api&labels=%7B%22a%22:%7B%7D%7D",
            .status = 400, .type = "bad_data",
            .error = "error parsing labels: json: cannot unmarshal object into Go value of type "
                     "string" },
        { "cut", "GET", RS "?scrapePool=api&labels=%7B", .status = 400, .type = "bad_data",
            .error = "error parsing labels: unexpected end of JSON input" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}
