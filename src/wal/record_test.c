/* record_test.c — every record type against Prometheus' bytes, and against damage. */
#include "wal/record.h"

#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"

#include <stdlib.h>

struct batches {
    struct ref_seriess series;
    ref_samples samples;
    ref_tombstones tombstones;
    struct ref_exemplars exemplars;
    ref_markers markers;
    ref_metadatas metadata;
    struct ref_histograms histograms;
};

static void batches_fini(struct batches *b)
{
    ref_seriess_fini(&b->series);
    vec_fini(&b->samples);
    vec_fini(&b->tombstones);
    ref_exemplars_fini(&b->exemplars);
    vec_fini(&b->markers);
    vec_fini(&b->metadata);
    ref_histograms_fini(&b->histograms);
}

/* Decodes, then encodes what was decoded; how many elements. */
static errc again(struct batches *b, str rec, struct buf *out, size_t *n)
{
    cursor c = cur_of(str_from(rec, 1));
    switch (record_type(rec)) {
    case REC_SERIES:
        TRY(series_decode(&b->series, rec, NULL));
        series_encode_type(out);
        *n = b->series.all.n;
        for (size_t i = 0; i < *n; i++)
            series_encode(out, b->series.all.at[i].ref, b->series.all.at[i].labels);
        return OK;
    case REC_SAMPLES:
    case REC_SAMPLES_V2:
        TRY(samples_decode(&b->samples, rec, NULL));
        *n = b->samples.n;
        (record_type(rec) == REC_SAMPLES ? samples_encode : samples_encode_v2)(
            out, b->samples.at, *n);
        return OK;
    case REC_TOMBSTONES:
        TRY(tombstones_decode(&b->tombstones, rec, NULL));
        *n = b->tombstones.n;
        tombstones_encode(out, b->tombstones.at, *n);
        return OK;
    case REC_EXEMPLARS:
        TRY(exemplars_decode(&b->exemplars, rec, NULL));
        *n = b->exemplars.all.n;
        exemplars_encode(out, b->exemplars.all.at, *n);
        return OK;
    case REC_MMAP_MARKERS:
        TRY(markers_decode(&b->markers, rec, NULL));
        *n = b->markers.n;
        markers_encode(out, b->markers.at, *n);
        return OK;
    case REC_METADATA:
        TRY(metadata_decode(&b->metadata, rec, NULL));
        *n = b->metadata.n;
        metadata_encode(out, b->metadata.at, *n);
        return OK;
    case REC_HISTOGRAMS_V2:
    case REC_FLOAT_HISTOGRAMS_V2:
        TRY(histograms_decode(&b->histograms, rec, NULL));
        *n = b->histograms.all.n;
        histograms_encode_v2(out, record_type(rec), b->histograms.all.at, *n);
        return OK;
    default:
        TRY(histograms_decode(&b->histograms, rec, NULL));
        *n = b->histograms.all.n;
        sref ref0 = cur_be64(&c);
        histograms_encode(
            out, record_type(rec), ref0, (int64_t)cur_be64(&c), b->histograms.all.at, *n);
        return OK;
    }
}

static void expect_labels(struct labels l, const json_t *want)
{
    EXPECT_EQ(l.n, json_array_size(want));
    for (size_t i = 0; i < l.n; i++) {
        const json_t *pair = json_array_get(want, i);
        EXPECT_STR(l.at[i].name, str_z(json_string_value(json_array_get(pair, 0))));
        EXPECT_STR(l.at[i].value, str_z(json_string_value(json_array_get(pair, 1))));
    }
}

static void expect_bits(const json_t *list, const int64_t *at, size_t n, bool hex)
{
    EXPECT_EQ(n, json_array_size(list));
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(list, i);
        uint64_t want =
            hex ? strtoull(json_string_value(x), NULL, 16) : (uint64_t)json_integer_value(x);
        EXPECT_EQ(at[i], want);
    }
}

static void expect_spans(const json_t *list, const struct span *at, size_t n)
{
    EXPECT_EQ(n, json_array_size(list));
    for (size_t i = 0; i < n; i++) {
        EXPECT_EQ(at[i].offset, json_integer_value(json_array_get(json_array_get(list, i), 0)));
        EXPECT_EQ(at[i].length, json_integer_value(json_array_get(json_array_get(list, i), 1)));
    }
}

static void expect_histogram(const struct rec_histogram *h, const json_t *s)
{
    const json_t *want = json_object_get(s, h->is_float ? "fh" : "h");
    EXPECT_EQ(h->hint, json_i64_of(want, "crh"));
    EXPECT_EQ(h->schema, json_i64_of(want, "schema"));
    EXPECT_EQ(f64_bits(h->zero_threshold), json_bits_of(want, "zt"));
    EXPECT_EQ(f64_bits(h->sum), json_bits_of(want, "sum"));
    EXPECT_EQ(h->zero_count.i,
        h->is_float ? json_bits_of(want, "zc") : (uint64_t)json_i64_of(want, "zc"));
    EXPECT_EQ(h->count.i,
        h->is_float ? json_bits_of(want, "count") : (uint64_t)json_i64_of(want, "count"));
    expect_spans(json_object_get(want, "ps"), h->pos_spans, h->n_pos_spans);
    expect_spans(json_object_get(want, "ns"), h->neg_spans, h->n_neg_spans);
    expect_bits(json_object_get(want, "pb"), h->pos, h->n_pos, h->is_float);
    expect_bits(json_object_get(want, "nb"), h->neg, h->n_neg, h->is_float);
    expect_bits(
        json_object_get(want, "cv"), (const int64_t *)(const void *)h->custom, h->n_custom, true);
}

static void expect_element(const struct batches *b, enum rec_type type, size_t i, const json_t *x)
{
    const json_t *s = json_object_get(x, "s");
    if (type == REC_SERIES) {
        EXPECT_EQ(b->series.all.at[i].ref, json_i64_of(x, "ref"));
        expect_labels(b->series.all.at[i].labels, json_object_get(x, "labels"));
    } else if (type == REC_SAMPLES || type == REC_SAMPLES_V2) {
        const struct ref_sample *r = &b->samples.at[i];
        EXPECT_EQ(r->ref, json_i64_of(x, "ref"));
        EXPECT_EQ(r->t, json_i64_of(s, "t"));
        EXPECT_EQ(f64_bits(r->v), json_bits_of(s, "v"));
        EXPECT_EQ(r->st, json_object_get(s, "st") ? json_i64_of(s, "st") : 0);
    } else if (type == REC_TOMBSTONES) {
        const json_t *iv = json_array_get(json_object_get(x, "intervals"), 0);
        EXPECT_EQ(b->tombstones.at[i].ref, json_i64_of(x, "ref"));
        EXPECT_EQ(b->tombstones.at[i].mint, json_integer_value(json_array_get(iv, 0)));
        EXPECT_EQ(b->tombstones.at[i].maxt, json_integer_value(json_array_get(iv, 1)));
    } else if (type == REC_EXEMPLARS) {
        const struct ref_exemplar *r = &b->exemplars.all.at[i];
        EXPECT_EQ(r->ref, json_i64_of(x, "ref"));
        EXPECT_EQ(r->t, json_i64_of(x, "t"));
        EXPECT_EQ(f64_bits(r->v), json_bits_of(x, "v"));
        expect_labels(r->labels, json_object_get(x, "labels"));
    } else if (type == REC_MMAP_MARKERS) {
        EXPECT_EQ(b->markers.at[i].ref, json_i64_of(x, "ref"));
        EXPECT_EQ(b->markers.at[i].chunk, json_i64_of(x, "mmap_ref"));
    } else if (type == REC_METADATA) {
        EXPECT_EQ(b->metadata.at[i].ref, json_i64_of(x, "ref"));
        EXPECT_EQ(b->metadata.at[i].type_byte, json_i64_of(x, "type"));
        EXPECT_STR(b->metadata.at[i].meta.unit, json_str_of(x, "unit"));
        EXPECT_STR(b->metadata.at[i].meta.help, json_str_of(x, "help"));
    } else {
        const struct ref_histogram *r = &b->histograms.all.at[i];
        EXPECT_EQ(r->ref, json_i64_of(x, "ref"));
        EXPECT_EQ(r->t, json_i64_of(s, "t"));
        EXPECT_EQ(r->st, json_object_get(s, "st") ? json_i64_of(s, "st") : 0);
        expect_histogram(&r->h, s);
    }
}

/* Each vector decodes to its data and is encoded to its bytes; each of its prefixes is refused or a
 * record itself. */
TEST_SHARED(record_vectors)
{
    struct vectors v;
    struct batches b = { 0 };
    struct buf out;
    buf_init(&out, NULL, 0);
    vectors_open(&v, "golden/vectors/all/wal_records.jsonl");
    for (json_t *j; (j = vectors_next(&v)) != NULL;) {
        str rec = json_hex(&v.a, json_object_get(j, "bytes"));
        const json_t *data = json_object_get(j, "data");
        size_t n = 0;
        test_case(json_string_value(json_object_get(j, "name")));
        EXPECT_EQ(record_type(rec), json_i64_of(j, "type"));
        EXPECT_STR(record_type_name(record_type(rec)), json_str_of(j, "name"));
        EXPECT_OK(record_check(rec, NULL));
        buf_reset(&out);
        EXPECT_OK(again(&b, rec, &out, &n));
        EXPECT_EQ(n, json_array_size(data));
        EXPECT_STR(buf_view(&out), rec);
        for (size_t i = 0; i < n; i++)
            expect_element(&b, record_type(rec), i, json_array_get(data, i));
        for (size_t cut = 1; cut < rec.n; cut++) {
            str part = mem_str(str_of(rec.p, cut));
            size_t fewer = 0;
            buf_reset(&out);
            errc rc = again(&b, part, &out, &fewer);
            EXPECT(rc == ERR_CORRUPT || (rc == OK && fewer < n));
            EXPECT_EQ(record_check(part, NULL), rc);
            mem_free((void *)part.p);
        }
    }
    EXPECT_EQ(v.n, 140);
    vectors_close(&v);
    batches_fini(&b);
    buf_fini(&out);
}

TEST_SHARED(record_bit_flips)
{
    struct vectors v;
    struct prng r = { test_seed() };
    vectors_open(&v, "golden/vectors/all/wal_records.jsonl");
    for (json_t *j; (j = vectors_next(&v)) != NULL;) {
        str rec = json_hex(&v.a, json_object_get(j, "bytes"));
        for (int i = 0; i < 200; i++) {
            str copy = mem_str(rec);
            size_t bit = prng_below(&r, 8 * rec.n);
            ((uint8_t *)copy.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
            errc rc = record_check(copy, NULL);
            EXPECT(rc == OK || rc == ERR_CORRUPT);
            mem_free((void *)copy.p);
        }
    }
    vectors_close(&v);
}

TEST(record_odd_ones)
{
    static const struct { const char *name; str rec; errc want;
    } cases[] = {
        { "empty", STR_EMPTY, OK },
        { "unknown type",
            S("\x63"
              "anything"),
            OK },
        { "type 0", { (const uint8_t *)"\0", 1 }, OK },
        { "series of a hostile label count",
            S("\x01"
              "\1\2\3\4\5\6\7\1"
              "\xff\xff\xff\xff\x0f"),
            ERR_CORRUPT },
        { "samples without base time",
            S("\x02"
              "\1\2\3\4\5\6\7\1"),
            ERR_CORRUPT },
        { "overlong varint",
            S("\x06"
              "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            ERR_CORRUPT },
        { "metadata of many fields",
            S("\x06"
              "\x01"
              "\x01"
              "\xff\xff\xff\xff\xff\x0f"),
            ERR_CORRUPT },
    };
    TEST_EACH(c, cases) EXPECT_EQ(record_check(c->rec, NULL), c->want);
}

TEST(record_metadata_skips_unknown_fields)
{
    ref_metadatas m = { 0 };
    EXPECT_OK(metadata_decode(&m,
        S("\x06"
          "\x05"
          "\x09"
          "\x03"
          "\x03"
          "FOO"
          "\x03"
          "bar"
          "\x04"
          "HELP"
          "\x02"
          "hi"
          "\x04"
          "UNIT"
          "\x01"
          "s"),
        NULL));
    EXPECT_EQ(m.n, 1);
    EXPECT_EQ(m.at[0].type_byte, 9);
    EXPECT_EQ(m.at[0].meta.type, TYPE_UNKNOWN);
    EXPECT_STR(m.at[0].meta.help, S("hi"));
    EXPECT_STR(m.at[0].meta.unit, S("s"));
    vec_fini(&m);
}

/* Many samples with wild refs and times: through the pieces of the encoder and back. */
TEST(record_samples_round_trip)
{
    struct prng r = { test_seed() };
    ref_samples in = { 0 }, got = { 0 };
    struct buf b;
    buf_init(&b, NULL, 0);
    for (size_t n = 0; n < 3000; n = n * 3 + 1) {
        in.n = 0;
        for (size_t i = 0; i < n; i++)
            vec_push(
                &in, ((struct ref_sample){ prng_u64(&r) >> prng_below(&r, 64),
                         (int64_t)prng_u64(&r), f64_of_bits(prng_u64(&r)),
                         prng_below(&r, 3) ? (int64_t)prng_below(&r, 3) : (int64_t)prng_u64(&r) }));
        for (int v2 = 0; v2 < 2; v2++) {
            buf_reset(&b);
            (v2 ? samples_encode_v2 : samples_encode)(&b, in.at, n);
            EXPECT_OK(samples_decode(&got, buf_view(&b), NULL));
            EXPECT_EQ(got.n, n);
            for (size_t i = 0; i < n; i++) {
                EXPECT_EQ(got.at[i].ref, in.at[i].ref);
                EXPECT_EQ(got.at[i].t, in.at[i].t);
                EXPECT_EQ(f64_bits(got.at[i].v), f64_bits(in.at[i].v));
                EXPECT_EQ(got.at[i].st, v2 ? in.at[i].st : 0);
            }
        }
    }
    buf_fini(&b);
    vec_fini(&in);
    vec_fini(&got);
}
