#include "storage/merge.h"

#include "base/test.h"
#include "storage/memstore.h"

#include <stdio.h>

enum { SERIES = 7, TIMES = 400, STORES = 4 };

static void put(struct memstore *m, unsigned id, int64_t t, double v)
{
    char text[8];
    int n = snprintf(text, sizeof(text), "%u", id);
    struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(text, (size_t)n) } };
    EXPECT_OK(memstore_add(m, (struct labels){ l, 2 }, t, v, NULL));
}

static struct querier *querier_over(struct memstore **all, size_t n)
{
    struct querier *qs[STORES];
    for (size_t i = 0; i < n; i++) {
        struct queryable *s = memstore_queryable(all[i]);
        EXPECT_OK(s->ops->querier(s, INT64_MIN, INT64_MAX, &qs[i], NULL));
    }
    return merge_querier(qs, n);
}

/* Which of the stores wrote a sample is the sample's value; `there` says who did. */
static void check_series(struct series *x, const uint8_t *there, int64_t from)
{
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    int64_t t = from;
    EXPECT_OK(x->ops->iterate(x, &it, NULL));
    if (from) EXPECT_OK(sample_iter_seek(it, from, NULL));
    unsigned turn = 0;
    for (struct sample_batch b = { .n = 1 }; b.n; turn++) {
        b.n = 0;
        b.kind = SAMPLE_FLOAT;
        if (turn % 3) EXPECT_OK(sample_iter_floats(it, b.t, b.v, SAMPLE_BATCH, &b.n, NULL));
        if (!b.n) EXPECT_OK(sample_iter_fill(it, &b, NULL));
        for (size_t i = 0; i < b.n; i++, t++) {
            while (t < TIMES && !there[t]) t++;
            EXPECT_EQ(b.t[i], t);
            EXPECT(there[t] >> (unsigned)b.v[i] & 1);
        }
    }
    while (t < TIMES && !there[t]) t++;
    EXPECT_EQ(t, TIMES);
}

static void check_all(struct querier *q, uint8_t there[SERIES][TIMES], int64_t from)
{
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct matcher all = { .type = MATCH_EQ };
    unsigned id = 0;
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, NULL, &set, NULL));
    for (struct series *x;; id++) {
        EXPECT_OK(set->ops->next(set, &x, NULL));
        if (!x) break;
        char text[8];
        int n = snprintf(text, sizeof(text), "%u", id);
        EXPECT_STR(labels_get(x->labels, S("id")), str_of(text, (size_t)n));
        check_series(x, there[id], from);
    }
    EXPECT_EQ(id, SERIES);
}

TEST(merge_model)
{
    struct prng rng = { test_seed() };
    for (int round = 0; round < 30; round++) {
        struct memstore *stores[STORES];
        uint8_t there[SERIES][TIMES] = { { 0 } };
        size_t n = 1 + prng_below(&rng, STORES);
        for (size_t s = 0; s < n; s++) stores[s] = memstore_new();
        for (unsigned id = 0; id < SERIES; id++) {
            put(stores[0], id, 0, 0);
            there[id][0] = 1;
            for (int64_t t = 1; t < TIMES; t++)
                for (size_t s = 0; s < n; s++) {
                    bool own = round % 2 ? (uint64_t)t * n / TIMES == s : prng_below(&rng, 3) == 0;
                    if (!own) continue;
                    put(stores[s], id, t, (double)s);
                    there[id][t] |= (uint8_t)(1u << s);
                }
        }
        struct querier *q = querier_over(stores, n);
        check_all(q, there, 0);
        check_all(q, there, 1 + (int64_t)prng_below(&rng, TIMES - 1));
        querier_free(q);
        for (size_t s = 0; s < n; s++) memstore_free(stores[s]);
    }
}

TEST(merge_lists)
{
    struct memstore *stores[2] = { memstore_new(), memstore_new() };
    struct label a[] = { { S("a"), S("1") }, { S("b"), S("x") } },
                 b[] = { { S("a"), S("2") }, { S("c"), S("x") } };
    EXPECT_OK(memstore_add(stores[0], (struct labels){ a, 2 }, 1, 1, NULL));
    EXPECT_OK(memstore_add(stores[1], (struct labels){ a, 2 }, 1, 1, NULL));
    EXPECT_OK(memstore_add(stores[1], (struct labels){ b, 2 }, 1, 1, NULL));
    struct querier *q = querier_over(stores, 2);
    str_list out = { 0 };
    bool truncated;
    EXPECT_OK(q->ops->label_names(q, (struct matchers){ 0 }, 0, &out, &truncated, NULL));
    EXPECT(out.n == 3 && !truncated);
    EXPECT_OK(q->ops->label_values(q, S("a"), (struct matchers){ 0 }, 0, &out, &truncated, NULL));
    EXPECT(out.n == 2 && str_eq(out.at[0], S("1")) && str_eq(out.at[1], S("2")));
    EXPECT_OK(q->ops->label_values(q, S("a"), (struct matchers){ 0 }, 1, &out, &truncated, NULL));
    EXPECT(out.n == 1 && truncated);
    struct series_set *set = NULL;
    struct series *x = NULL;
    struct matcher all = { .type = MATCH_EQ };
    struct select_hints h = { .start = INT64_MIN, .end = INT64_MAX, .limit = 1 };
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, &h, &set, NULL));
    EXPECT_OK(set->ops->next(set, &x, NULL));
    EXPECT(x != NULL);
    EXPECT_OK(set->ops->next(set, &x, NULL));
    EXPECT(x == NULL);
    series_set_free(set);
    querier_free(q);
    q = merge_querier(NULL, 0);
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, &h, &set, NULL));
    EXPECT_OK(set->ops->next(set, &x, NULL));
    EXPECT(x == NULL);
    series_set_free(set);
    querier_free(q);
    vec_fini(&out);
    memstore_free(stores[0]);
    memstore_free(stores[1]);
}

/* ---- hints of histograms ---- */

static void put_histogram(struct memstore *m, int64_t t, double count)
{
    static struct span one[] = { { 0, 1 } };
    struct label l[] = { { METRIC_NAME, S("h") } };
    struct appendable *to = memstore_appendable(m);
    struct histogram h = { .count = count, .pos = { one, 1, &count, 1 } };
    struct appender *a;
    series_handle s;
    EXPECT_OK(to->ops->begin(to, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ l, 1 }, &s, NULL));
    if (count < 0) EXPECT_OK(a->ops->append(a, s, t, count, 0, NULL));
    else EXPECT_OK(a->ops->histogram(a, s, t, 0, NULL, &h, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

/* One letter a sample: f a float, ? a histogram of which nothing is known, . one of which it is
 * known that there was no reset. */
static void expect_hints(struct memstore **all, size_t n, int64_t from, const char *want)
{
    SCOPED(querier_freep) struct querier *q = querier_over(all, n);
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct matcher everything = { .type = MATCH_EQ };
    struct series *x;
    char got[64] = "";
    size_t k = 0;
    EXPECT_OK(q->ops->select(q, (struct matchers){ &everything, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &x, NULL));
    EXPECT_OK(x->ops->iterate(x, &it, NULL));
    if (from) EXPECT_OK(sample_iter_seek(it, from, NULL));
    unsigned turn = 0;
    for (struct sample_batch b = { .n = 1 }; b.n; turn++) {
        b.n = 0;
        b.kind = SAMPLE_FLOAT;
        if (turn % 3) EXPECT_OK(sample_iter_floats(it, b.t, b.v, SAMPLE_BATCH, &b.n, NULL));
        if (!b.n) EXPECT_OK(sample_iter_fill(it, &b, NULL));
        for (size_t i = 0; i < b.n; i++) {
            bool no = b.kind != SAMPLE_FLOAT && b.h[i]->hint == RESET_NO;
            got[k++] = b.kind == SAMPLE_FLOAT ? 'f' : no ? '.' : '?';
        }
    }
    EXPECT_STR(str_z(got), str_z(want));
}

TEST(merge_forgets_hints_between_sources)
{
    struct memstore *a = memstore_new(), *b = memstore_new();
    for (int64_t t = 1; t <= 6; t++) put_histogram(a, 10 * t, (double)t);
    expect_hints((struct memstore *[]){ a }, 1, 0, "?.....");
    put_histogram(b, 35, 7);                   /* between the third and the fourth */
    put_histogram(b, 36, 8);
    expect_hints((struct memstore *[]){ a, b }, 2, 0, "?..?.?..");
    expect_hints((struct memstore *[]){ b, a }, 2, 0, "?..?.?..");
    expect_hints((struct memstore *[]){ a, b }, 2, 36, "??..");
    put_histogram(b, 45, -1);                  /* a float */
    expect_hints((struct memstore *[]){ a, b }, 2, 0, "?..?.?f?.");
    put_histogram(b, 55, 9);
    put_histogram(b, 60, 10);                  /* at the time of the last one of a */
    expect_hints((struct memstore *[]){ a, b }, 2, 0, "?..?.?f???");
    memstore_free(a);
    memstore_free(b);
}
