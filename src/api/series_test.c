#include "api/test_rig.h"

#include "base/test.h"

static void load(struct rig *r)
{
    rig_start(r, &(struct rig_opts){ 0 });
    rig_add(r, "up{job=\"a\"}", 1000000, 1);
    rig_add(r, "up{job=\"b\"}", 2000000, 1);
    rig_add(r, "odd{v=\"<&>\"}", 3000000000000, 1);
    rig_add(r, "{\"utf8.name\",\"utf8.label\"=\"x\",job=\"b\"}", 2000000, 1);
}

#define OK_OF(list) "{\"status\":\"success\",\"data\":" list "}"
#define CUT_OF(list)                                                                               \
    "{\"status\":\"success\",\"data\":" list ",\"warnings\":[\"results truncated due to limit\"]}"
#define UP_A "{\"__name__\":\"up\",\"job\":\"a\"}"
#define UP_B "{\"__name__\":\"up\",\"job\":\"b\"}"
#define UTF8 "{\"__name__\":\"utf8.name\",\"job\":\"b\",\"utf8.label\":\"x\"}"
#define NO_TIME(name)                                                                              \
    "invalid parameter \"" name "\": invalid time value for '" name                                \
    "': cannot parse \"x\" to a valid timestamp"
#define EMPTY_SET "match[] must contain at least one non-empty matcher"

#define S1 "/api/v1/series"
TEST(series_lists)
{
    static const struct rig_case cases[] = {
        { "one set", "GET", S1 "?match[]=up", .status = 200, .body = OK_OF("[" UP_A "," UP_B "]") },
        { "two sets are merged", "GET", S1 "?match[]=%7Bjob%3D%22b%22%7D&match[]=up", .status = 200,
            .body = OK_OF("[" UP_A "," UP_B "," UTF8 "]") },
        { "by form", .target = S1, .form = "match%5B%5D=up%7Bjob%3D%22a%22%7D", .status = 200,
            .body = OK_OF("[" UP_A "]") },
        { "form and URL", .target = S1 "?match[]=up%7Bjob%3D%22b%22%7D",
            .form = "match[]=up%7Bjob%3D%22a%22%7D", .status = 200,
            .body = OK_OF("[" UP_A "," UP_B "]") },
        { "within times", "GET", S1 "?match[]=up&start=1500&end=2500", .status = 200,
            .body = OK_OF("[" UP_B "]") },
        { "end before start has nothing", "GET", S1 "?match[]=up&start=2500&end=1500",
            .status = 200, .body = OK_OF("[]") },
        { "quoted names", "GET", S1 "?match[]=%7B%22utf8.name%22%7D", .status = 200,
            .body = OK_OF("[" UTF8 "]") },
        { "labels are bare", "GET", S1 "?match[]=odd", .status = 200,
            .body = OK_OF("[{\"__name__\":\"odd\",\"v\":\"<&>\"}]") },
        { "nothing", "GET", S1 "?match[]=none", .status = 200, .body = OK_OF("[]") },
        { "limit", "GET", S1 "?match[]=up&limit=1", .status = 200, .body = CUT_OF("[" UP_A "]") },
        { "limit over sets", "GET", S1 "?match[]=%7Bjob%3D%22b%22%7D&match[]=up&limit=2",
            .status = 200, .body = CUT_OF("[" UP_A "," UP_B "]") },
        { "limit that is enough", "GET", S1 "?match[]=up&limit=2", .status = 200,
            .body = OK_OF("[" UP_A "," UP_B "]") },
        { "limit 0", "GET", S1 "?match[]=up&limit=0", .status = 200,
            .body = OK_OF("[" UP_A "," UP_B "]") },
        { "no match[]", "GET", S1, .status = 400, .type = "bad_data",
            .error = "no match[] parameter provided" },
        { "empty match[]", "GET", S1 "?match[]=", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"match[]\": unknown position: parse error: unexpected end "
                     "of input" },
        { "bad match[]", "GET", S1 "?match[]=up%7B", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"match[]\": 1:4: parse error: unexpected end of input "
                     "inside braces" },
        { "no selector", "GET", S1 "?match[]=sum(up)", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"match[]\": 1:4: parse error: unexpected \"(\"" },
        { "everything", "GET", S1 "?match[]=%7B%7D", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"match[]\": " EMPTY_SET },
        { "everything, said otherwise", "GET", S1 "?match[]=%7Bx%3D~%22.*%22%7D", .status = 400,
            .type = "bad_data", .error = "invalid parameter \"match[]\": " EMPTY_SET },
        { "one bad set of two", "GET", S1 "?match[]=up&match[]=%7Bx%3D%22%22%7D", .status = 400,
            .type = "bad_data", .error = "invalid parameter \"match[]\": " EMPTY_SET },
        { "limit: a word", "GET", S1 "?match[]=up&limit=x", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax" },
        { "limit: below 0", "GET", S1 "?match[]=up&limit=-1", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"limit\": limit must be non-negative" },
        { "start", "GET", S1 "?match[]=up&start=x", .status = 400, .type = "bad_data",
            .error = NO_TIME("start") },
        { "end", "GET", S1 "?match[]=up&end=x", .status = 400, .type = "bad_data",
            .error = NO_TIME("end") },
        { "a bad escape", "GET", S1 "?match[]=up&x=%zz", .status = 400, .type = "bad_data",
            .error = "error parsing form values: invalid URL escape \"%zz\"" },
    };
    struct rig r;
    load(&r);
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

#define L "/api/v1/labels"
#define V(name) "/api/v1/label/" name "/values"
TEST(series_words)
{
    static const struct rig_case cases[] = {
        { "names", "GET", L "?end=10000", .status = 200,
            .body = OK_OF("[\"__name__\",\"job\",\"utf8.label\"]") },
        { "names of a set", "GET", L "?match[]=up", .status = 200,
            .body = OK_OF("[\"__name__\",\"job\"]") },
        { "names of two", .target = L, .form = "match[]=up&match[]=%7B%22utf8.name%22%7D",
            .status = 200, .body = OK_OF("[\"__name__\",\"job\",\"utf8.label\"]") },
        { "names within times", "GET", L "?start=0&end=1500", .status = 200,
            .body = OK_OF("[\"__name__\",\"job\"]") },
        { "no names", "GET", L "?match[]=none", .status = 200, .body = OK_OF("[]") },
        { "names: limit", "GET", L "?end=10000&limit=2", .status = 200,
            .body = CUT_OF("[\"__name__\",\"job\"]") },
        { "names: limit that is enough", "GET", L "?end=10000&limit=3", .status = 200,
            .body = OK_OF("[\"__name__\",\"job\",\"utf8.label\"]") },
        { "names: bad limit", "GET", L "?limit=-3", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"limit\": limit must be non-negative" },
        { "names: start", "GET", L "?start=x", .status = 400, .type = "bad_data",
            .error = NO_TIME("start") },
        { "names: end", .target = L, .form = "end=x", .status = 400, .type = "bad_data",
            .error = NO_TIME("end") },
        { "names: bad match[]", "GET", L "?match[]=up%7B", .status = 400, .type = "bad_data",
            .error = "1:4: parse error: unexpected end of input inside braces" },
        { "names: everything", "GET", L "?match[]=%7B%7D", .status = 400, .type = "bad_data",
            .error = EMPTY_SET },
        { "names: a bad escape is left out", "GET", L "?limit=1&start=%zz", .status = 200,
            .body = CUT_OF("[\"__name__\"]") },
        { "values", "GET", V("job"), .status = 200, .body = OK_OF("[\"a\",\"b\"]") },
        { "values of metrics", "GET", V("__name__") "?end=10000", .status = 200,
            .body = OK_OF("[\"up\",\"utf8.name\"]") },
        { "values of a set", "GET", V("job") "?match[]=up%7Bjob!%3D%22a%22%7D", .status = 200,
            .body = OK_OF("[\"b\"]") },
        { "values of two", "GET", V("job") "?match[]=up&match[]=%7B%22utf8.name%22%7D",
            .status = 200, .body = OK_OF("[\"a\",\"b\"]") },
        { "values within times", "GET", V("job") "?start=1500", .status = 200,
            .body = OK_OF("[\"b\"]") },
        { "values: limit", "GET", V("job") "?limit=1", .status = 200, .body = CUT_OF("[\"a\"]") },
        { "values are not", "GET", V("v"), .status = 200,
            .body = OK_OF("[\"\\u003c\\u0026\\u003e\"]") },
        { "values of no label", "GET", V("none"), .status = 200, .body = OK_OF("[]") },
        { "an escaped name", "GET", V("U__utf8_2e_label"), .status = 200,
            .body = OK_OF("[\"x\"]") },
        { "a name with a dot", "GET", V("utf8.label"), .status = 200, .body = OK_OF("[\"x\"]") },
        { "an escape that is none", "GET", V("U__utf8_zz_label"), .status = 200,
            .body = OK_OF("[]") },
        { "no UTF-8", "GET", V("%ff"), .status = 400, .type = "bad_data",
            .error = "invalid label name: \"\\xff\"" },
        { "the name is looked at first", "GET", V("%ff") "?limit=x", .status = 400,
            .type = "bad_data", .error = "invalid label name: \"\\xff\"" },
        { "values: limit: a word", "GET", V("job") "?limit=x", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax" },
        { "values: start", "GET", V("job") "?start=x", .status = 400, .type = "bad_data",
            .error = NO_TIME("start") },
        { "values: end", "GET", V("job") "?end=x", .status = 400, .type = "bad_data",
            .error = NO_TIME("end") },
        { "values: bad match[]", "GET", V("job") "?match[]=up%7B", .status = 400,
            .type = "bad_data",
            .error = "1:4: parse error: unexpected end of input inside braces" },
        { "values: everything", "GET", V("job") "?match[]=%7B%7D", .status = 400,
            .type = "bad_data", .error = EMPTY_SET },
    };
    struct rig r;
    load(&r);
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}
