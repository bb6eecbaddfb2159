#include "head/exemplars.h"

#include "base/test.h"

#define ONE(var, n_, v_) static const struct label var[] = { { S(n_), S(v_) } };
#define E5 "ééééé"
#define E25 E5 E5 E5 E5 E5
#define E125 E25 E25 E25 E25 E25
#define NO_LABELS                                                                                  \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

ONE(series_1, "s", "1")
ONE(id_a, "id", "a")
ONE(long_128, "idx", E125)
ONE(long_129, "idxx", E125)
static const struct labels series = { series_1, 1 };

static struct exemplar_result all_of(
    struct exemplars *x, struct arena *a, int64_t start, int64_t end)
{
    struct matcher every = { .type = MATCH_NE, .name = S("no such name"), .value = S("x") };
    struct matchers set = { &every, 1 };
    struct exemplar_queryable *q = exemplars_queryable(x);
    struct exemplar_result r;
    EXPECT_OK(q->ops->select(q, start, end, &set, 1, a, &r, NULL));
    return r;
}

TEST(exemplars_taken)
{
    static const struct {
        const char *name;
        struct exemplar first, second;
        int64_t late_ms;
        errc want;
        size_t n;
    } cases[] = {
        { "newer", { NO_LABELS, 1, 10, true }, { NO_LABELS, 1, 20, true }, 0, OK, 2 },
        { "the same", { NO_LABELS, 1, 10, true }, { NO_LABELS, 1, 10, true }, 0, OK, 1 },
        { "again, without times", { NO_LABELS, 1, 10, false }, { NO_LABELS, 1, 20, false }, 0, OK,
            1 },
        { "one has a time", { NO_LABELS, 1, 10, false }, { NO_LABELS, 1, 20, true }, 0, OK, 2 },
        { "other labels", { NO_LABELS, 1, 10, true }, { { id_a, 1 }, 2, 10, true }, 0, OK, 2 },
        { "the value falls", { NO_LABELS, 2, 10, true }, { NO_LABELS, 1, 10, true }, 0,
            ERR_OUT_OF_ORDER, 1 },
        { "older", { NO_LABELS, 1, 20, true }, { NO_LABELS, 2, 10, true }, 0, ERR_OUT_OF_ORDER, 1 },
        { "older, in the window", { NO_LABELS, 1, 20, true }, { NO_LABELS, 2, 10, true }, 11, OK,
            2 },
        { "at its end", { NO_LABELS, 1, 20, true }, { NO_LABELS, 2, 10, true }, 10,
            ERR_OUT_OF_ORDER, 1 },
        { "128 characters", { NO_LABELS, 1, 10, true }, { { long_128, 1 }, 1, 20, true }, 0, OK,
            2 },
        { "129 characters", { NO_LABELS, 1, 10, true }, { { long_129, 1 }, 1, 20, true }, 0,
            ERR_LIMIT, 1 },
    };
    TEST_EACH(c, cases) {
        struct exemplars *x = exemplars_new(4, c->late_ms);
        struct arena a = { 0 };
        bool take;
        EXPECT_OK(exemplars_add(x, series, &c->first, NULL));
        EXPECT_EQ(exemplars_check(x, series, &c->second, &take, NULL), c->want);
        EXPECT_EQ(take, c->n == 2);
        EXPECT_EQ(exemplars_add(x, series, &c->second, NULL), c->want);
        struct exemplar_result r = all_of(x, &a, INT64_MIN, INT64_MAX);
        EXPECT_EQ(r.n, 1);
        EXPECT_EQ(r.at[0].n, c->n);
        for (size_t i = 1; i < r.at[0].n; i++) EXPECT(r.at[0].at[i - 1].t <= r.at[0].at[i].t);
        arena_fini(&a);
        exemplars_free(x);
    }
}

TEST(exemplars_are_off)
{
    struct exemplars *x = exemplars_new(0, 0);
    struct exemplar ex = { NO_LABELS, 1, 10, true };
    struct arena a = { 0 };
    bool take = true;
    EXPECT_OK(exemplars_check(x, series, &ex, &take, NULL));
    EXPECT(!take);
    EXPECT_OK(exemplars_add(x, series, &ex, NULL));
    EXPECT_EQ(all_of(x, &a, 0, 100).n, 0);
    exemplars_resize(x, 1);
    EXPECT_OK(exemplars_add(x, series, &ex, NULL));
    EXPECT_EQ(all_of(x, &a, 0, 100).n, 1);
    EXPECT_EQ(all_of(x, &a, 11, 100).n, 0);
    EXPECT_EQ(all_of(x, &a, 0, 9).n, 0);
    exemplars_resize(x, 0);
    EXPECT_EQ(all_of(x, &a, 0, 100).n, 0);
    arena_fini(&a);
    exemplars_free(x);
}

/* The twin: a plain list in the order of coming. */
enum { TWIN_MAX = 512, SERIES = 7 };
struct twin_one {
    unsigned series;
    int64_t t;
    double v;
};
struct twin {
    struct twin_one at[TWIN_MAX];
    size_t n, cap;
    int64_t late_ms;
};

static struct labels series_labels_of(unsigned s, struct label *l)
{
    static const char names[] = "abcdefg";
    *l = (struct label){ S("s"), str_of(names + s, 1) };
    return (struct labels){ l, 1 };
}

static void twin_cut(struct twin *w)
{
    size_t gone = w->n > w->cap ? w->n - w->cap : 0;
    memmove(w->at, w->at + gone, (w->n - gone) * sizeof(*w->at));
    w->n -= gone;
}

static errc twin_add(struct twin *w, struct twin_one one)
{
    const struct twin_one *newest = NULL, *equal = NULL;
    if (!w->cap) return OK;
    for (size_t i = 0; i < w->n; i++) {
        if (w->at[i].series != one.series) continue;
        if (!newest || w->at[i].t > newest->t ||
            (w->at[i].t == newest->t && w->at[i].v >= newest->v))
            newest = &w->at[i];
        if (w->at[i].t == one.t) equal = &w->at[i];
    }
    if (newest && newest->t == one.t && newest->v == one.v) return OK;
    if (newest && one.t < newest->t && one.t <= newest->t - w->late_ms) return ERR_OUT_OF_ORDER;
    if (newest && one.t == newest->t && one.v < newest->v) return ERR_OUT_OF_ORDER;
    if (newest && one.t < newest->t && equal) return OK;
    w->at[w->n++] = one;
    twin_cut(w);
    return OK;
}

static void twin_compare(struct exemplars *x, const struct twin *w)
{
    struct arena a = { 0 };
    struct exemplar_result r = all_of(x, &a, INT64_MIN, INT64_MAX);
    size_t n = 0;
    for (size_t i = 0; i < r.n; i++) {
        unsigned s = (unsigned)(r.at[i].labels.at[0].value.p[0] - 'a');
        if (i) EXPECT(labels_cmp(r.at[i - 1].labels, r.at[i].labels) < 0);
        for (size_t k = 0; k < r.at[i].n; k++, n++) {
            const struct exemplar *ex = &r.at[i].at[k];
            bool found = false;
            if (k) EXPECT(ex[-1].t <= ex->t);
            for (size_t j = 0; j < w->n && !found; j++)
                found = w->at[j].series == s && w->at[j].t == ex->t && w->at[j].v == ex->v;
            EXPECT(found);
        }
    }
    EXPECT_EQ(n, w->n);
    arena_fini(&a);
}

struct order {
    const struct twin *w;
    size_t n;
};
static errc order_one(void *ctx, struct labels of, const struct exemplar *ex, struct err *e UNUSED)
{
    struct order *o = ctx;
    EXPECT_EQ(of.at[0].value.p[0] - 'a', o->w->at[o->n].series);
    EXPECT_EQ(ex->t, o->w->at[o->n].t);
    o->n++;
    return OK;
}

TEST(exemplars_as_a_list)
{
    struct prng rnd = { test_seed() };
    for (int round = 0; round < 40; round++) {
        struct twin *w = NEW(struct twin);
        w->cap = prng_below(&rnd, 20);
        w->late_ms = (int64_t)prng_below(&rnd, 4) * 10;
        struct exemplars *x = exemplars_new(w->cap, w->late_ms);
        int64_t now = 0;
        for (int i = 0; i < 300; i++) {
            now += (int64_t)prng_below(&rnd, 3);
            struct twin_one one = { (unsigned)prng_below(&rnd, SERIES),
                now - (int64_t)prng_below(&rnd, 40) / 3, (double)prng_below(&rnd, 3) };
            struct exemplar ex = { NO_LABELS, one.v, one.t, true };
            struct label l;
            EXPECT_EQ(
                exemplars_add(x, series_labels_of(one.series, &l), &ex, NULL), twin_add(w, one));
            if (prng_below(&rnd, 20) == 0) {
                w->cap = prng_below(&rnd, 20);
                twin_cut(w);
                exemplars_resize(x, w->cap);
                EXPECT_EQ(exemplars_cap(x), w->cap);
            }
            twin_compare(x, w);
        }
        struct order o = { w, 0 };
        EXPECT_OK(exemplars_each(x, order_one, &o, NULL));
        EXPECT_EQ(o.n, w->n);
        exemplars_free(x);
        mem_free(w);
    }
}
