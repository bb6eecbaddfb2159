/* histogram_test.c — histogram chunks against Prometheus' bytes, against themselves, and against
 * damage. */
#include "chunk/histogram.h"

#include "base/test.h"
#include "base/test_vectors.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"

/* One sample of either kind. */
struct sample_in { int64_t t, st; bool is_float; struct int_histogram i; struct histogram f; };

static struct hist_words words_of(const struct sample_in *s)
{
    return s->is_float ? hist_words_of_float(&s->f) : hist_words_of_int(&s->i);
}

/* ---- samples out of JSON ---- */

static uint64_t bits_of(const json_t *s)
{
    return strtoull(json_string_value(s), NULL, 16);
}

static size_t spans_of(struct arena *a, const json_t *list, struct span **out)
{
    size_t n = json_array_size(list);
    *out = arena_array(a, n, sizeof(**out));
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(list, i);
        (*out)[i] = (struct span){ (int32_t)json_integer_value(json_array_get(s, 0)),
                                   (uint32_t)json_integer_value(json_array_get(s, 1)) };
    }
    return n;
}

/* Numbers, or bits in quotes. */
static size_t numbers_of(struct arena *a, const json_t *list, void *out)
{
    size_t n = json_array_size(list);
    uint64_t *at = arena_array(a, n, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        at[i] = json_is_string(v) ? bits_of(v) : (uint64_t)json_integer_value(v);
    }
    memcpy(out, &at, sizeof(at));
    return n;
}

static void float_of(struct arena *a, const json_t *j, struct histogram *h)
{
    h->hint = (enum reset_hint)json_i64_of(j, "crh");
    h->schema = (int32_t)json_i64_of(j, "schema");
    h->zero_threshold = f64_of_bits(json_bits_of(j, "zt"));
    h->zero_count = f64_of_bits(json_bits_of(j, "zc"));
    h->count = f64_of_bits(json_bits_of(j, "count"));
    h->sum = f64_of_bits(json_bits_of(j, "sum"));
    h->pos.n_spans = spans_of(a, json_object_get(j, "ps"), &h->pos.spans);
    h->neg.n_spans = spans_of(a, json_object_get(j, "ns"), &h->neg.spans);
    h->pos.n = numbers_of(a, json_object_get(j, "pb"), &h->pos.at);
    h->neg.n = numbers_of(a, json_object_get(j, "nb"), &h->neg.at);
    h->n_custom = numbers_of(a, json_object_get(j, "cv"), &h->custom);
}

static void int_of(struct arena *a, const json_t *j, struct int_histogram *h)
{
    h->hint = (enum reset_hint)json_i64_of(j, "crh");
    h->schema = (int32_t)json_i64_of(j, "schema");
    h->zero_threshold = f64_of_bits(json_bits_of(j, "zt"));
    h->zero_count = (uint64_t)json_i64_of(j, "zc");
    h->count = (uint64_t)json_i64_of(j, "count");
    h->sum = f64_of_bits(json_bits_of(j, "sum"));
    h->pos.n_spans = spans_of(a, json_object_get(j, "ps"), &h->pos.spans);
    h->neg.n_spans = spans_of(a, json_object_get(j, "ns"), &h->neg.spans);
    h->pos.n = numbers_of(a, json_object_get(j, "pb"), &h->pos.deltas);
    h->neg.n = numbers_of(a, json_object_get(j, "nb"), &h->neg.deltas);
    h->n_custom = numbers_of(a, json_object_get(j, "cv"), &h->custom);
}

static struct sample_in sample_of(struct arena *a, const json_t *j)
{
    struct sample_in s = { .t = json_i64_of(j, "t"), .is_float = json_object_get(j, "fh") != NULL };
    if (json_object_get(j, "st")) s.st = json_i64_of(j, "st");
    if (s.is_float) float_of(a, json_object_get(j, "fh"), &s.f);
    else int_of(a, json_object_get(j, "h"), &s.i);
    return s;
}

/* ---- chunks ---- */

static bool layouts_same(const struct hist_layout *a, const struct hist_layout *b)
{
    for (int i = 0; i < 2; i++) {
        if (a->side[i].n != b->side[i].n || a->n_buckets[i] != b->n_buckets[i]) return false;
        if (a->side[i].n && memcmp(a->side[i].at, b->side[i].at, a->side[i].n * 8)) return false;
    }
    return a->schema == b->schema && hist_layout_bounds_equal(a, b)
        && f64_bits(a->zero_threshold) == f64_bits(b->zero_threshold);
}

static void expect_same(const struct hist_words *got, const struct hist_words *want)
{
    EXPECT_EQ(got->hint, want->hint);
    EXPECT(memcmp(got->head, want->head, sizeof(got->head)) == 0);
    EXPECT(layouts_same(&got->layout, &want->layout));
    for (int i = 0; i < 2; i++)
        EXPECT(want->layout.n_buckets[i] == 0
               || memcmp(got->at[i], want->at[i], 8 * want->layout.n_buckets[i]) == 0);
}

static struct hist_words batch_words(const struct sample_batch *b, size_t i)
{
    return b->kind == SAMPLE_HISTOGRAM ? hist_words_of_int(b->ih[i]) : hist_words_of_float(b->h[i]);
}

static void expect_reads(uint8_t enc, str chunk, struct arena *a, const json_t *want)
{
    struct chunk_iter it;
    struct sample_batch b;
    size_t k = 0;
    chunk_iter_init(&it);
    EXPECT_OK(chunk_iter_reset(&it, enc, chunk, NULL));
    for (;;) {
        EXPECT_OK(chunk_iter_fill(&it, &b, NULL));
        if (!b.n) break;
        for (size_t i = 0; i < b.n; i++, k++) {
            struct sample_in s = sample_of(a, json_array_get(want, k));
            struct hist_words w = words_of(&s), g = batch_words(&b, i);
            EXPECT_EQ(b.t[i], s.t);
            EXPECT_EQ(b.st ? b.st[i] : 0, s.st);
            expect_same(&g, &w);
        }
    }
    EXPECT(it.ended);
    EXPECT_EQ(k, json_array_size(want));
    chunk_iter_fini(&it);
}

/* A closed chunk, taken up again and written on from there, is the same to its reader. */
static void expect_opens(uint8_t enc, str chunk)
{
    struct hist_app a;
    EXPECT_OK(hist_app_open(&a, enc, chunk, NULL, NULL));
    EXPECT_STR(hist_app_bytes(&a), chunk);
    EXPECT_EQ(hist_app_count(&a), chunk_count(enc, chunk));
    hist_app_fini(&a);
}

static void expect_chunk(uint8_t enc, const struct hist_app *got, struct vectors *v, json_t *j,
                         size_t i)
{
    str want = json_hex(&v->a, json_array_get(json_object_get(j, "chunks"), i));
    EXPECT_STR(hist_app_bytes(got), want);
    EXPECT_OK(chunk_check(enc, want, NULL));
    expect_opens(enc, want);
    expect_reads(enc, want, &v->a, json_array_get(json_object_get(j, "read"), i));
}

static void expect_vectors(const char *path, uint8_t enc)
{
    static const char *const names[] = { "same", "recoded", "new" };
    struct vectors v;
    size_t i, chunks = 0;
    json_t *s;
    vectors_open(&v, path);
    for (json_t *j; (j = vectors_next(&v)) != NULL; chunks = 0) {
        struct hist_app a, fresh;
        EXPECT_EQ(json_i64_of(j, "enc"), enc);
        hist_app_init(&a, enc, NULL);
        json_array_foreach(json_object_get(j, "samples"), i, s) {
            struct sample_in in = sample_of(&v.a, s);
            struct hist_words w = words_of(&in);
            enum hist_step step = hist_append(&a, &fresh, in.t, in.st, &w);
            EXPECT_STR(str_z(names[step]),
                       str_z(json_string_value(json_array_get(json_object_get(j, "steps"), i))));
            if (step != HIST_NEW) continue;
            expect_chunk(enc, &a, &v, j, chunks++);
            hist_app_fini(&a);
            a = fresh;
        }
        expect_chunk(enc, &a, &v, j, chunks++);
        EXPECT_EQ(chunks, json_array_size(json_object_get(j, "chunks")));
        hist_app_fini(&a);
    }
    EXPECT_EQ(v.n, 60);
    vectors_close(&v);
}

TEST(histogram_vectors)
{
    expect_vectors("golden/vectors/all/chunk_hist.jsonl", CHUNK_HISTOGRAM);
}
TEST(histogram_float_vectors)
{
    expect_vectors("golden/vectors/all/chunk_floathist.jsonl", CHUNK_FLOAT_HISTOGRAM);
}
TEST(histogram_st_vectors)
{
    expect_vectors("golden/vectors/all/chunk_hist_st.jsonl", CHUNK_HISTOGRAM_ST);
}
TEST(histogram_float_st_vectors)
{
    expect_vectors("golden/vectors/all/chunk_floathist_st.jsonl", CHUNK_FLOAT_HISTOGRAM_ST);
}
