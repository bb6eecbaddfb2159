#include "ingest/remote_write2.h"

#include "base/mem.h"
#include "base/pb_put.h"
#include "base/test.h"
#include "ingest/pb_histogram.h"

/* ---- messages */

static void put_refs(struct buf *b, unsigned number, const uint32_t *refs, size_t n)
{
    SCOPED(buf_fini) struct buf packed = { 0 };
    for (size_t i = 0; i < n; i++) buf_uvarint(&packed, refs[i]);
    pb_put_bytes(b, number, buf_view(&packed));
}

static void put_sample(struct buf *b, double v, int64_t t, int64_t st)
{
    SCOPED(buf_fini) struct buf s = { 0 };
    buf_u8(&s, 1 << 3 | 1);
    buf_le64(&s, f64_bits(v));
    pb_put_one(&s, 2, (uint64_t)t);
    if (st) pb_put_one(&s, 3, (uint64_t)st);
    pb_put_bytes(b, 2, buf_view(&s));
}

static void put_exemplar(struct buf *b, const uint32_t *refs, size_t n, double v, int64_t t)
{
    SCOPED(buf_fini) struct buf x = { 0 };
    put_refs(&x, 1, refs, n);
    buf_u8(&x, 2 << 3 | 1);
    buf_le64(&x, f64_bits(v));
    pb_put_one(&x, 3, (uint64_t)t);
    pb_put_bytes(b, 4, buf_view(&x));
}

static void put_metadata(struct buf *b, unsigned type, unsigned help, unsigned unit)
{
    SCOPED(buf_fini) struct buf m = { 0 };
    pb_put_one(&m, 1, type);
    pb_put_one(&m, 3, help);
    pb_put_one(&m, 4, unit);
    pb_put_bytes(b, 5, buf_view(&m));
}

#define REFS(...) (const uint32_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const uint32_t[]){ __VA_ARGS__ }))
static const char *const symbols[] = { "", "__name__", "m", "a", "1", "b", "seconds", "some help",
    "trace_id", "__type__" };

static void put_symbols(struct buf *b)
{
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) pb_put_bytes(b, 4, str_z(symbols[i]));
}

/* One of each kind; the symbols come between the series. */
static void put_request(struct buf *b)
{
    SCOPED(buf_fini) struct buf one = { 0 };
    SCOPED(buf_fini) struct buf two = { 0 };
    put_refs(&one, 1, REFS(1, 2, 3, 4));
    put_sample(&one, 1.5, 1000, 0);
    put_exemplar(&one, REFS(8, 4), 0.5, 999);
    put_sample(&one, 2.5, 2000, 500);
    put_metadata(&one, 1, 7, 6);
    pb_put_bytes(b, 5, buf_view(&one));
    put_symbols(b);
    pb_put_one(&two, 1, 1);                    /* not packed */
    pb_put_one(&two, 1, 2);
    pb_put_bytes(&two, 3, S("\x08\x03\x78\xe8\x07\x88\x01\x64"));  /* count 3, t 1000, st 100 */
    pb_put_bytes(b, 5, buf_view(&two));
}

TEST(remote_write2_request)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct arena a = { 0 };
    struct write2_request r;
    struct write2_series s;
    struct write2_sample x;
    struct write_labels l;
    struct metadata m;
    struct exemplar ex;
    struct pb_histogram h;
    str message;
    put_request(&b);
    EXPECT_OK(write2_request_read(&r, buf_view(&b), &a, NULL));
    EXPECT_EQ(r.symbols.n, ARRAY_LEN(symbols));

    EXPECT(write2_request_next(&r, &s));
    EXPECT(s.n_samples == 2 && s.n_exemplars == 1 && s.n_histograms == 0);
    EXPECT_OK(write2_series_labels(&r, &s, false, &l, NULL));
    EXPECT(l.fault == WRITE_FINE && l.kept.n == 2);
    EXPECT_STR(l.kept.at[1].name, S("a"));
    EXPECT(write2_series_sample(&s, &x) && x.v == 1.5 && x.t == 1000 && x.st == 0);
    EXPECT(write2_series_sample(&s, &x) && x.v == 2.5 && x.t == 2000 && x.st == 500);
    EXPECT(!write2_series_sample(&s, &x));
    EXPECT_OK(write2_series_metadata(&r, &s, &m, NULL));
    EXPECT_EQ(m.type, TYPE_COUNTER);
    EXPECT_STR(m.unit, S("seconds"));
    EXPECT_STR(m.help, S("some help"));
    cursor c = cur_of(s.message);
    EXPECT(write2_series_other(&c, WRITE2_EXEMPLAR, &message));
    EXPECT_OK(write2_exemplar(&r, message, &ex, NULL));
    EXPECT(ex.v == 0.5 && ex.t == 999 && ex.has_t && ex.labels.n == 1);
    EXPECT_STR(ex.labels.at[0].name, S("trace_id"));
    EXPECT(!write2_series_other(&c, WRITE2_EXEMPLAR, &message));

    str first = s.message;
    EXPECT(write2_request_next(&r, &s));
    EXPECT(s.n_samples == 0 && s.n_exemplars == 0 && s.n_histograms == 1 && s.n_refs == 2);
    c = cur_of(s.message);
    EXPECT(write2_series_other(&c, WRITE2_HISTOGRAM, &message));
    EXPECT_OK(pb_histogram_decode(&h, message, &a, NULL));
    EXPECT(h.whole && h.whole->count == 3 && h.t == 1000 && h.st == 100);
    EXPECT(!write2_request_next(&r, &s));
    write2_series_again(&r, first, &s);
    EXPECT(s.n_refs == 4 && s.n_samples == 2);
    arena_fini(&a);
}

/* ---- references */

TEST(remote_write2_references)
{
    static const struct {
        const char *name;
        uint32_t refs[6];
        size_t n;
        unsigned type, unit;
        bool typed;
        errc rc;
        str labels, words;
    } cases[] = {
        { "fine", { 1, 2, 3, 4 }, 4, 0, 0, false, OK, S("{__name__=\"m\", a=\"1\"}"), S("") },
        { "not in order", { 3, 4, 1, 2 }, 4, 0, 0, false, OK, S("{__name__=\"m\", a=\"1\"}"),
            S("") },
        { "an empty value", { 1, 2, 3, 0 }, 4, 0, 0, false, OK, S("{__name__=\"m\", a=\"\"}"),
            S("") },
        { "none", { 0 }, 0, 0, 0, false, OK, S("{}"), S("") },
        { "odd", { 1, 2, 3 }, 3, 0, 0, false, ERR_BAD_INPUT, S(""),
            S("invalid labelRefs length 3") },
        { "no such value", { 1, 2, 3, 99 }, 4, 0, 0, false, ERR_BAD_INPUT, S(""),
            S("labelRefs 3 (name) = 99 (value) outside of symbols table (size 10)") },
        { "no such name", { 10, 2 }, 2, 0, 0, false, ERR_BAD_INPUT, S(""),
            S("labelRefs 10 (name) = 2 (value) outside of symbols table (size 10)") },
        { "type and unit, not asked for", { 1, 2 }, 2, 1, 6, false, OK, S("{__name__=\"m\"}"),
            S("") },
        { "type and unit", { 1, 2 }, 2, 1, 6, true, OK,
            S("{__name__=\"m\", __type__=\"counter\", __unit__=\"seconds\"}"), S("") },
        { "a type alone", { 1, 2 }, 2, 4, 0, true, OK,
            S("{__name__=\"m\", __type__=\"gaugehistogram\"}"), S("") },
        { "a unit takes the type's place", { 1, 2, 9, 4 }, 4, 0, 6, true, OK,
            S("{__name__=\"m\", __unit__=\"seconds\"}"), S("") },
        { "a type that came stays", { 1, 2, 9, 4 }, 4, 0, 0, true, OK,
            S("{__name__=\"m\", __type__=\"1\"}"), S("") },
        { "no such type", { 1, 2 }, 2, 8, 0, true, OK, S("{__name__=\"m\"}"), S("") },
    };
    struct arena a = { 0 };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        SCOPED(buf_fini) struct buf ts = { 0 };
        SCOPED(buf_fini) struct buf text = { 0 };
        struct write2_request r;
        struct write2_series s;
        struct write_labels l;
        struct err e = { 0 };
        put_symbols(&b);
        put_refs(&ts, 1, c->refs, c->n);
        put_metadata(&ts, c->type, 0, c->unit);
        pb_put_bytes(&b, 5, buf_view(&ts));
        EXPECT_OK(write2_request_read(&r, buf_view(&b), &a, NULL));
        EXPECT(write2_request_next(&r, &s));
        EXPECT_EQ(write2_series_labels(&r, &s, c->typed, &l, &e), c->rc);
        EXPECT_STR(c->rc == OK ? STR_EMPTY : err_str(&e), c->words);
        if (c->rc != OK) continue;
        buf_labels(&text, l.all);
        EXPECT_STR(buf_view(&text), c->labels);
    }
    arena_fini(&a);
}

TEST(remote_write2_metadata_and_key_that_lead_nowhere)
{
    static const struct {
        const char *name;
        unsigned help, unit;
        str words;
    } cases[] = {
        { "fine", 7, 6, S("") },
        { "unit", 0, 10, S("metadata unit_ref 10 outside of symbols table (size 10)") },
        { "help", 11, 0, S("metadata help_ref 11 outside of symbols table (size 10)") },
        { "both", 11, 12, S("metadata unit_ref 12 outside of symbols table (size 10)") },
    };
    struct arena a = { 0 };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        SCOPED(buf_fini) struct buf ts = { 0 };
        SCOPED(buf_fini) struct buf key = { 0 };
        struct write2_request r;
        struct write2_series s;
        struct metadata m;
        struct err e = { 0 };
        put_symbols(&b);
        put_refs(&ts, 1, REFS(1, 2, 3, 99));
        put_metadata(&ts, 1, c->help, c->unit);
        pb_put_bytes(&b, 5, buf_view(&ts));
        EXPECT_OK(write2_request_read(&r, buf_view(&b), &a, NULL));
        EXPECT(write2_request_next(&r, &s));
        EXPECT_EQ(write2_series_metadata(&r, &s, &m, &e), c->words.n ? ERR_BAD_INPUT : OK);
        EXPECT_STR(e.n ? err_str(&e) : STR_EMPTY, c->words);
        EXPECT(!write2_series_key(&r, &s, false, &key));
    }
    arena_fini(&a);
}

/* ---- the key */

TEST(remote_write2_key)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    SCOPED(buf_fini) struct buf key = { 0 };
    struct buf small;
    struct arena a = { 0 };
    struct write2_request r;
    struct write2_series s;
    put_request(&b);
    EXPECT_OK(write2_request_read(&r, buf_view(&b), &a, NULL));
    EXPECT(write2_request_next(&r, &s));
    EXPECT(write2_series_key(&r, &s, false, &key));
    EXPECT_STR(buf_view(&key), S("\x0a\x0d\x0a\x08__name__\x12\x01m"
                                 "\x0a\x06\x0a\x01"
                                 "a"
                                 "\x12\x01"
                                 "1"));
    EXPECT(write2_series_key(&r, &s, true, &key));
    EXPECT_STR(str_from(buf_view(&key), 23), S("\x0a\x13\x0a\x08__type__\x12\x07"
                                               "counter"
                                               "\x0a\x13\x0a\x08__unit__\x12\x07seconds"));
    buf_init(&small, NULL, 16);
    EXPECT(!write2_series_key(&r, &s, false, &small));
    buf_fini(&small);
    arena_fini(&a);
}

/* ---- what is no message */

TEST(remote_write2_broken)
{
    static const struct {
        const char *name;
        str message, words;
    } cases[] = {
        { "no wire type", S("\x7f"), S("proto: illegal wireType 7") },
        { "symbols of numbers", S("\x20\x01"),
            S("proto: wrong wireType = 0 for field Symbols") },
        { "a symbol that is cut", S("\x22\x05"
                                    "ab"),
            S("unexpected EOF") },
        { "references in floats", S("\x2a\x05\x0d\0\0\0\0"),
            S("proto: wrong wireType = 5 for field LabelsRefs") },
        { "packed references that are cut", S("\x2a\x03\x0a\x01\x80"), S("unexpected EOF") },
        { "a packed reference without end",
            S("\x2a\x0d\x0a\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
            S("proto: integer overflow") },
        { "a start timestamp in text", S("\x2a\x04\x12\x02\x1a\x00"),
            S("proto: wrong wireType = 2 for field StartTimestamp") },
        { "a histogram's", S("\x2a\x05\x1a\x03\x8a\x01\x00"),
            S("proto: wrong wireType = 2 for field StartTimestamp") },
        { "deltas that are cut", S("\x2a\x05\x1a\x03\x62\x01\x80"), S("unexpected EOF") },
        { "an exemplar's references", S("\x2a\x05\x22\x03\x0a\x01\x80"), S("unexpected EOF") },
        { "metadata", S("\x2a\x04\x2a\x02\x1a\x00"),
            S("proto: wrong wireType = 2 for field HelpRef") },
        { "a group that ends", S("\x2a\x01\x0c"),
            S("proto: TimeSeries: wiretype end group for non-group") },
    };
    TEST_EACH(c, cases) {
        struct err e = { 0 };
        struct arena a = { 0 };
        struct write2_request r;
        EXPECT_EQ(write2_request_read(&r, c->message, &a, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), c->words);
        arena_fini(&a);
    }
}

/* All that can be asked of a message. */
static errc read_all(str body)
{
    struct arena a = { 0 };
    struct write2_request r;
    struct write2_series s;
    struct buf key;
    errc rc = write2_request_read(&r, body, &a, NULL);
    buf_init(&key, NULL, 4096);
    while (rc == OK && write2_request_next(&r, &s)) {
        struct write_labels l;
        struct write2_sample x;
        str message;
        errc named = write2_series_labels(&r, &s, true, &l, NULL);
        bool keyed = write2_series_key(&r, &s, true, &key);
        EXPECT(!keyed || named == OK);
        uint32_t n = 0;
        while (write2_series_sample(&s, &x)) n++;
        EXPECT_EQ(n, s.n_samples);
        for (cursor c = cur_of(s.message); write2_series_other(&c, WRITE2_HISTOGRAM, &message);) {
            struct pb_histogram h;
            EXPECT_OK(pb_histogram_decode(&h, message, &a, NULL));
        }
        for (cursor c = cur_of(s.message); write2_series_other(&c, WRITE2_EXEMPLAR, &message);) {
            struct exemplar ex;
            errc got = write2_exemplar(&r, message, &ex, NULL);
            EXPECT(got == OK || got == ERR_BAD_INPUT);
        }
    }
    buf_fini(&key);
    arena_fini(&a);
    return rc;
}

TEST(remote_write2_prefixes_and_flips)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    put_request(&b);
    size_t whole = 0;
    for (size_t n = 0; n <= b.n; n++) {
        uint8_t *exact = mem_alloc(n + 1);
        memcpy(exact, b.p, n);
        errc rc = read_all(str_of(exact, n));
        EXPECT(rc == OK || rc == ERR_BAD_INPUT);
        whole += rc == OK;
        mem_free(exact);
    }
    EXPECT_EQ(whole, 1 + 2 + ARRAY_LEN(symbols));      /* behind each field of the message */
    struct prng rng = { test_seed() };
    for (size_t i = 0; i < 20000; i++) {
        uint8_t *p = &b.p[prng_below(&rng, b.n)], was = *p;
        *p ^= (uint8_t)(1u << prng_below(&rng, 8));
        errc rc = read_all(buf_view(&b));
        EXPECT(rc == OK || rc == ERR_BAD_INPUT);
        *p = was;
    }
}
