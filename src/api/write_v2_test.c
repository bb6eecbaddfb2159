#include "api/test_rig.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/metric.h"
#include "base/pb_put.h"
#include "base/test.h"

#define V2 "application/x-protobuf;proto=io.prometheus.write.v2.Request"

/* ---- messages */

/* A series in words, each kind with its own first letter:
 *     1 2 3            references
 *     s1000=2.5        a sample; s1000/500=2.5 with a start timestamp
 *     h1000=3          a histogram of 3 observations, all of them zeros
 *     x1000=8,4        an exemplar with two references
 *     m1,7,6           metadata: type, help, unit */
struct words { uint64_t n[4]; size_t count; };
static struct words numbers_of(str text)
{
    struct words w = { 0 };
    for (size_t i = 0; i < text.n && w.count < ARRAY_LEN(w.n);) {
        uint64_t v = 0;
        for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
            v = v * 10 + (uint64_t)(text.p[i] - '0');
        w.n[w.count++] = v;
        i++;                                   /* one character between them */
    }
    return w;
}

static void put_word(struct buf *ts, struct buf *refs, str word)
{
    SCOPED(buf_fini) struct buf m = { 0 };
    SCOPED(buf_fini) struct buf packed = { 0 };
    struct words w = numbers_of(str_from(word, word.p[0] > '9'));
    switch (word.p[0]) {
    case 's':
        buf_u8(&m, 1 << 3 | 1);
        buf_le64(&m, f64_bits((double)w.n[w.count - 1]));
        pb_put_one(&m, 2, w.n[0]);
        if (w.count == 3) pb_put_one(&m, 3, w.n[1]);
        pb_put_bytes(ts, 2, buf_view(&m));
        break;
    case 'h':
        pb_put_one(&m, 1, w.n[1]);
        pb_put_one(&m, 6, w.n[1]);
        pb_put_one(&m, 15, w.n[0]);
        pb_put_bytes(ts, 3, buf_view(&m));
        break;
    case 'x':
        for (size_t i = 1; i < w.count; i++) buf_uvarint(&packed, w.n[i]);
        pb_put_bytes(&m, 1, buf_view(&packed));
        pb_put_one(&m, 3, w.n[0]);
        pb_put_bytes(ts, 4, buf_view(&m));
        break;
    case 'm':
        pb_put_one(&m, 1, w.n[0]);
        pb_put_one(&m, 3, w.n[1]);
        pb_put_one(&m, 4, w.n[2]);
        pb_put_bytes(ts, 5, buf_view(&m));
        break;
    default: buf_uvarint(refs, w.n[0]); break;
    }
}

static const char *const symbols[] = { "", "__name__", "m", "a", "1", "b", "seconds", "n",
    "trace_id", "\xff", "__type__", "o", "p" };

/* Series lie between semicolons. */
static void put_request(struct buf *b, const char *series)
{
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) pb_put_bytes(b, 4, str_z(symbols[i]));
    for (str rest = str_z(series), one; rest.n;) {
        SCOPED(buf_fini) struct buf ts = { 0 };
        SCOPED(buf_fini) struct buf refs = { 0 };
        str_cut(rest, ';', &one, &rest);
        for (str word; one.n;) {
            str_cut(one, ' ', &word, &one);
            if (word.n) put_word(&ts, &refs, word);
        }
        if (refs.n) pb_put_bytes(&ts, 1, buf_view(&refs));
        pb_put_bytes(b, 5, buf_view(&ts));
    }
}

static struct test_answer post(struct rig *r, str message)
{
    SCOPED(buf_fini) struct buf packed = { 0 };
    EXPECT_OK(compress_pack(&packed, COMPRESS_SNAPPY, message, 1, NULL));
    const struct test_pair headers[] = { { S("Content-Type"), S(V2) },
        { S("Content-Encoding"), S("snappy") } };
    return rig_ask(r, S("POST"), S("/api/v1/write"), headers, 2, buf_view(&packed));
}

static struct test_answer post_series(struct rig *r, const char *series)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    put_request(&b, series);
    return post(r, buf_view(&b));
}

static str written(const struct rig *r, const struct test_answer *w, struct arena *a)
{
    (void)r;
    return arena_fmt(a, "%.*s %.*s %.*s",
        STR_ARG(test_answer_header(w, S("X-Prometheus-Remote-Write-Samples-Written"))),
        STR_ARG(test_answer_header(w, S("X-Prometheus-Remote-Write-Histograms-Written"))),
        STR_ARG(test_answer_header(w, S("X-Prometheus-Remote-Write-Exemplars-Written"))));
}

/* Requests to one store, one after the other. */
struct write_case { const char *name, *series; int status; str written, words; };
static void check_all(struct rig *r, const struct write_case *cases, size_t n)
{
    struct arena a = { 0 };
    for (const struct write_case *c = cases; c < cases + n; c++) {
        test_case(c->name);
        struct test_answer w = post_series(r, c->series);
        EXPECT_STR(w.body, c->words);
        EXPECT_EQ(w.status, c->status);
        EXPECT_STR(written(r, &w, &a), c->written);
    }
    arena_fini(&a);
}

TEST(write_v2_samples)
{
    static const struct write_case cases[] = {
        { "nothing", "", 204, S("0 0 0"), S("") },
        { "one", "1 2 3 4 s1000=1", 204, S("1 0 0"), S("") },
        { "the same again", "1 2 3 4 s1000=1", 204, S("1 0 0"), S("") },
        { "not in order, and an empty one", "3 4 1 2 5 0 s2000=2", 204, S("1 0 0"), S("") },
        { "two of a series, and another", "1 2 3 4 s3000=3 s4000=4; 1 7 s4000=1", 204, S("3 0 0"),
            S("") },
        { "with all that there is", "1 2 3 4 s5000/4500=5 x4999=8,4 m1,6,6; 1 11 h5000=3", 204,
            S("1 1 1"), S("") },
        { "another value", "1 2 3 4 s5000=6", 400, S("0 0 0"),
            S("duplicate for series {__name__=\"m\", a=\"1\"}\n") },
        { "good and bad ones",
            "1 2 3 4 s4000=7 s4500=8 s6000=9; 3 4 s6000=1; 1 7 s6000=1; 1 7 s5000=1; 1 2 3",
            400, S("2 0 0"),
            S("out of order sample for series {__name__=\"m\", a=\"1\"}\n"
              "out of order sample for series {__name__=\"m\", a=\"1\"}\n"
              "invalid metric name or labels, got {a=\"1\"}\n"
              "out of order sample for series {__name__=\"n\"}\n"
              "parsing labels for series [1 2 3]: invalid labelRefs length 3\n") },
        { "no sample", "1 2 3 4", 400, S("0 0 0"),
            S("TimeSeries must contain at least one sample or histogram for series "
              "{__name__=\"m\", a=\"1\"}\n") },
        { "an exemplar alone", "1 12 x1=8,4", 400, S("0 0 0"),
            S("TimeSeries must contain at least one sample or histogram for series "
              "{__name__=\"p\"}\n") },
        { "no labels", "s7000=1", 400, S("0 0 0"), S("invalid metric name or labels, got {}\n") },
        { "no UTF-8", "1 2 3 9 s7000=1", 400, S("0 0 0"),
            S("invalid metric name or labels, got {__name__=\"m\", a=\"\\xff\"}\n") },
        { "a label twice", "1 2 3 4 3 2 s7000=1", 400, S("0 0 0"),
            S("invalid labels for series, labels {__name__=\"m\", a=\"1\", a=\"m\"}, duplicated "
              "label a\n") },
        { "no such symbol", "1 99 s7000=1", 400, S("0 0 0"),
            S("parsing labels for series [1 99]: labelRefs 1 (name) = 99 (value) outside of "
              "symbols table (size 13)\n") },
        { "a unit that is not there", "1 2 3 4 s7000=1 m1,0,99", 400, S("0 0 0"),
            S("parsing metadata for series [1 2 3 4]: metadata unit_ref 99 outside of symbols "
              "table (size 13)\n") },
        { "of a series that nobody knows", "1 12 s7000=1 m1,99,0", 400, S("0 0 0"),
            S("parsing metadata for series [1 12]: metadata help_ref 99 outside of symbols table "
              "(size 13)\n") },
        { "an exemplar's", "1 2 3 4 s7000=1 x1=1 x2=8,4", 400, S("1 0 1"),
            S("parsing exemplar for series {__name__=\"m\", a=\"1\"}: invalid labelRefs length "
              "1\n") },
        { "a histogram at the time of another", "1 11 h5000=2 h7000=2", 400, S("0 1 0"),
            S("duplicate for series {__name__=\"o\"}\n") },
        { "too far ahead", "1 2 3 4 s9000000000000000=1 s8000=1 x9000000000000000=8,4", 400,
            S("1 0 0"),
            S("out of bounds: timestamp is too far in the future for series {__name__=\"m\", "
              "a=\"1\"}\n") },
        { "a histogram, too", "1 11 h9000000000000000=1", 400, S("0 0 0"),
            S("out of bounds: timestamp is too far in the future for series "
              "{__name__=\"o\"}\n") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    check_all(&r, cases, ARRAY_LEN(cases));
    static const struct rig_case asked[] = {
        { "what is there", "GET", "/api/v1/query?query=m%5B1h%5D&time=60", .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{"
                    "\"metric\":{\"__name__\":\"m\",\"a\":\"1\"},\"values\":"
                    "[[1,\"1\"],[2,\"2\"],[3,\"3\"],[4,\"4\"],[5,\"5\"],[6,\"9\"],[7,\"1\"],"
                    "[8,\"1\"]]}]}}" },
    };
    RIG_CHECK(&r, asked);
    rig_stop(&r);
}

TEST(write_v2_types_and_units_as_labels)
{
    static const struct write_case cases[] = {
        { "without", "1 2 s1000=1", 204, S("1 0 0"), S("") },
        { "both", "1 2 s2000=1 m1,0,6", 204, S("1 0 0"), S("") },
        { "the same series by its look-up", "1 2 s3000=2 m1,0,6", 204, S("1 0 0"), S("") },
        { "another type", "1 2 s3000=3 m2,0,0", 204, S("1 0 0"), S("") },
        { "in words", "1 2 s1000=9 m1,0,6", 400, S("0 0 0"),
            S("out of order sample for series {__name__=\"m\", __type__=\"counter\", "
              "__unit__=\"seconds\"}\n") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true, .write_v2 = { .typed = true } });
    check_all(&r, cases, ARRAY_LEN(cases));
    static const struct rig_case asked[] = {
        { "three", "GET", "/api/v1/query?query=count(%7B__name__%3D%22m%22%7D)&time=4",
            .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{"
                    "\"metric\":{},\"value\":[4,\"3\"]}]}}" },
    };
    RIG_CHECK(&r, asked);
    rig_stop(&r);
}

/* Batches are full, and words without number are cut at a line. */
TEST(write_v2_many)
{
    enum { SERIES = 2000 };
    SCOPED(buf_fini) struct buf b = { 0 };
    struct arena a = { 0 };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    for (int round = 0; round < 3; round++) {
        buf_reset(&b);
        pb_put_bytes(&b, 4, S(""));
        pb_put_bytes(&b, 4, S("__name__"));
        pb_put_bytes(&b, 4, arena_fmt(&a, "%01000d", 7));
        pb_put_bytes(&b, 4, S("i"));
        for (unsigned i = 0; i < SERIES; i++) {
            SCOPED(buf_fini) struct buf ts = { 0 };
            SCOPED(buf_fini) struct buf refs = { 0 };
            pb_put_bytes(&b, 4, arena_fmt(&a, "%u", i));
            put_word(&ts, &refs, S("1"));
            put_word(&ts, &refs, S("2"));
            put_word(&ts, &refs, S("3"));
            buf_uvarint(&refs, 4 + i);
            put_word(&ts, &refs, arena_fmt(&a, "s%u=1", round == 2 ? 500 : 1000 * (round + 1)));
            pb_put_bytes(&ts, 1, buf_view(&refs));
            pb_put_bytes(&b, 5, buf_view(&ts));
        }
        struct test_answer w = post(&r, buf_view(&b));
        EXPECT_EQ(w.status, round == 2 ? 400 : 204);
        EXPECT_STR(written(&r, &w, &a), round == 2 ? S("0 0 0") : S("2000 0 0"));
        if (round == 2) {
            EXPECT(w.body.n < (1 << 20) + 100);
            EXPECT(str_find(w.body, S("\nand ")) != SIZE_MAX);
            EXPECT(str_has_suffix(w.body, S(" more\n")));
        }
    }
    arena_fini(&a);
    rig_stop(&r);
}

TEST(write_v2_not_a_message)
{
    struct rig r;
    struct arena a = { 0 };
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    struct test_answer w = post(&r, S("\x2a\x7f"));
    EXPECT_EQ(w.status, 400);
    EXPECT_STR(w.body, S("unexpected EOF\n"));
    EXPECT_STR(written(&r, &w, &a), S("0 0 0"));
    arena_fini(&a);
    rig_stop(&r);
}

TEST(write_v2_not_accepted)
{
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true, .only_v1 = true });
    struct test_answer w = post_series(&r, "1 2 s1000=1");
    EXPECT_EQ(w.status, 415);
    EXPECT_STR(w.body,
        S("io.prometheus.write.v2.Request protobuf message is not accepted by this server; only "
          "accepts prometheus.WriteRequest\n"));
    EXPECT(!test_answer_header(&w, S("X-Prometheus-Remote-Write-Samples-Written")).n);
    rig_stop(&r);
}
