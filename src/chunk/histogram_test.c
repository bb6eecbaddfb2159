/* histogram_test.c — histogram chunks against Prometheus' bytes, against themselves, and against
 * damage. */
#include "chunk/histogram.h"

#include "base/test.h"
#include "base/test_vectors.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "chunk/test_histograms.h"

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

TEST_SHARED(histogram_vectors)
{
    expect_vectors("golden/vectors/all/chunk_hist.jsonl", CHUNK_HISTOGRAM);
}
TEST_SHARED(histogram_float_vectors)
{
    expect_vectors("golden/vectors/all/chunk_floathist.jsonl", CHUNK_FLOAT_HISTOGRAM);
}
TEST_SHARED(histogram_st_vectors)
{
    expect_vectors("golden/vectors/all/chunk_hist_st.jsonl", CHUNK_HISTOGRAM_ST);
}
TEST_SHARED(histogram_float_st_vectors)
{
    expect_vectors("golden/vectors/all/chunk_floathist_st.jsonl", CHUNK_FLOAT_HISTOGRAM_ST);
}

/* ---- rows of histograms ---- */

/* What is counted in a bucket, by its number; 0 where there is none. */
static uint64_t count_at(const struct hist_words *w, int side, int64_t index)
{
    int64_t at = 0;
    uint64_t count = 0;
    for (size_t i = 0, k = 0; i < w->layout.side[side].n; i++) {
        struct span s = w->layout.side[side].at[i];
        at += s.offset;
        for (uint32_t j = 0; j < s.length; j++, at++, k++) {
            uint64_t v = hist_word(w, side, k);
            count = w->is_float ? v : count + v;
            if (at == index) return count;
        }
    }
    return 0;
}

/* The same but for empty buckets. */
static void expect_counts(const struct hist_words *got, const struct hist_words *want)
{
    EXPECT_EQ(got->head[HIST_SUM], want->head[HIST_SUM]);
    if (hist_words_stale(want)) return;
    EXPECT(memcmp(got->head, want->head, sizeof(got->head)) == 0);
    EXPECT_EQ(got->layout.schema, want->layout.schema);
    EXPECT(hist_layout_bounds_equal(&got->layout, &want->layout));
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < TEST_HISTOGRAM_BUCKETS; i++)
            EXPECT_EQ(count_at(got, side, i), count_at(want, side, i));
}

struct row { struct hist_words h[200]; int64_t t[200], st[200]; size_t at; };

/* The chunk holds the next samples of the row, and no reset within it. */
static void expect_row(struct row *row, const struct hist_app *a)
{
    struct chunk_iter it;
    struct sample_batch b;
    bool gauge = hist_chunk_header(a->enc, hist_app_bytes(a)) == HIST_GAUGE;
    size_t in_chunk = 0;
    chunk_iter_init(&it);
    EXPECT_OK(chunk_iter_reset(&it, a->enc, hist_app_bytes(a), NULL));
    for (;;) {
        EXPECT_OK(chunk_iter_fill(&it, &b, NULL));
        if (!b.n) break;
        for (size_t i = 0; i < b.n; i++, row->at++, in_chunk++) {
            struct hist_words got = batch_words(&b, i);
            EXPECT_EQ(b.t[i], row->t[row->at]);
            if (a->s.with_st) EXPECT_EQ(b.st ? b.st[i] : 0, row->st[row->at]);
            expect_counts(&got, &row->h[row->at]);
            if (hist_words_stale(&got)) EXPECT_EQ(got.hint, RESET_UNKNOWN);
            else EXPECT_EQ(got.hint, gauge ? RESET_GAUGE : in_chunk ? RESET_NO : RESET_UNKNOWN);
        }
    }
    EXPECT_EQ(in_chunk, hist_app_count(a));
    chunk_iter_fini(&it);
}

TEST(histogram_rows)
{
    static const uint8_t encodings[] = { CHUNK_HISTOGRAM, CHUNK_FLOAT_HISTOGRAM, CHUNK_HISTOGRAM_ST,
        CHUNK_FLOAT_HISTOGRAM_ST };
    struct prng r = { test_seed() };
    size_t steps[3] = { 0 };
    for (int round = 0; round < 200; round++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        uint8_t enc = encodings[round % 4];
        struct test_histograms h = test_histograms_of(&r, chunk_enc_is_float_histogram(enc));
        struct row *row = ANEW(&a, struct row);
        struct hist_app app, fresh;
        hist_app_init(&app, enc, NULL);
        for (size_t i = 0; i < ARRAY_LEN(row->h); i++) {
            row->h[i] = test_histograms_next(&h, &a);
            row->t[i] = h.t;
            row->st[i] = h.st;
            enum hist_step step = hist_append(&app, &fresh, h.t, h.st, &row->h[i]);
            steps[step]++;
            if (step != HIST_NEW) continue;
            expect_row(row, &app);
            hist_app_fini(&app);
            app = fresh;
        }
        expect_row(row, &app);
        EXPECT_EQ(row->at, ARRAY_LEN(row->h));
        hist_app_fini(&app);
    }
    EXPECT(steps[HIST_SAME] > 1000 && steps[HIST_RECODED] > 1000 && steps[HIST_NEW] > 1000);
}

/* A chunk that was cut by time or size says whether it began with a reset. */
TEST(histogram_first_of_a_chunk)
{
    static struct span one[] = { { 0, 1 } };
    int64_t few[] = { 1 }, many[] = { 5 };
    struct int_histogram small = { .count = 1, .pos = { one, 1, few, 1 } };
    struct int_histogram big = { .count = 5, .pos = { one, 1, many, 1 } };
    struct hist_words s = hist_words_of_int(&small), b = hist_words_of_int(&big);
    struct hist_app prev, next, other;
    hist_app_init(&prev, CHUNK_HISTOGRAM, NULL);
    hist_app_init(&other, CHUNK_FLOAT_HISTOGRAM, NULL);
    hist_append_first(&prev, NULL, 1, 0, &b);
    EXPECT_EQ(hist_chunk_header(prev.enc, hist_app_bytes(&prev)), HIST_UNKNOWN);
    const struct { const char *name; struct hist_words h; const struct hist_app *prev; int want;
                   enum reset_hint hint; } cases[] = {
        { "less", s, &prev, HIST_RESET, 0 },
        { "as much", b, &prev, HIST_NOT_RESET, 0 },
        { "nothing before", s, NULL, HIST_UNKNOWN, 0 },
        { "another kind before", s, &other, HIST_UNKNOWN, 0 },
        { "it says so", b, &prev, HIST_RESET, RESET_YES },
        { "a gauge", s, &prev, HIST_GAUGE, RESET_GAUGE },
    };
    TEST_EACH(c, cases) {
        struct hist_words h = c->h;
        h.hint = c->hint;
        hist_app_init(&next, CHUNK_HISTOGRAM_ST, NULL);
        hist_append_first(&next, c->prev, 2, 0, &h);
        EXPECT_EQ(hist_chunk_header(next.enc, hist_app_bytes(&next)), c->want);
        hist_chunk_forget(next.enc, next.bytes.p);
        EXPECT_EQ(hist_chunk_header(next.enc, hist_app_bytes(&next)),
                  c->want == HIST_GAUGE ? HIST_GAUGE : HIST_UNKNOWN);
        EXPECT_EQ(chunk_count(next.enc, hist_app_bytes(&next)), 1);
        hist_app_fini(&next);
    }
    hist_app_fini(&prev);
    hist_app_fini(&other);
}
