/* The head with late samples against a model that is a sorted list of times. */
#include "head/ooo_iter.h"

#include "head/ooo_commit.h"
#include "head/test_ooo.h"

#include <stdlib.h>

enum { MODEL_SERIES = 7, MODEL_ROUNDS = 400 };
struct model { str name; VEC(int64_t) times; };

static double value_at(unsigned series, int64_t t) { return (double)(t % 1009) * 0.5 + series; }

static bool model_has(const struct model *m, int64_t t)
{
    for (size_t i = 0; i < m->times.n; i++)
        if (m->times.at[i] == t) return true;
    return false;
}

static int time_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void expect_model(struct head *h, struct model *m, unsigned series, struct prng *rng,
    int64_t oldest, int64_t newest)
{
    samples got = { 0 };
    uint64_t span = (uint64_t)(newest - oldest) + 1;
    int64_t mint = oldest + (int64_t)prng_below(rng, span), seek = INT64_MIN;
    int64_t maxt = oldest + (int64_t)prng_below(rng, span);
    if (prng_below(rng, 3) == 0) mint = INT64_MIN, maxt = INT64_MAX;
    if (prng_below(rng, 3) == 0) seek = oldest + (int64_t)prng_below(rng, span);
    read_back(h, m->name, mint, maxt, seek, &got);
    if (m->times.n) qsort(m->times.at, m->times.n, sizeof(*m->times.at), time_cmp);
    size_t k = 0;
    for (size_t i = 0; i < m->times.n; i++) {
        int64_t t = m->times.at[i];
        if (t < mint || t > maxt || t < seek) continue;
        EXPECT(k < got.n && got.at[k].t == t && got.at[k].v == value_at(series, t));
        k++;
    }
    EXPECT_EQ(got.n, k);
    vec_fini(&got);
}

/* Some samples of some series, most behind the newest, some up to the window late. */
static void model_round(struct head *h, struct model *all, struct prng *rng, int64_t now)
{
    struct appender *a = begin(h);
    for (uint64_t n = 1 + prng_below(rng, 30); n > 0; n--) {
        unsigned s = (unsigned)prng_below(rng, MODEL_SERIES);
        bool late = prng_below(rng, 4) < s % 4;
        int64_t t = late ? now - (int64_t)prng_below(rng, 3 * HOUR)
                         : now - (int64_t)prng_below(rng, 2000);
        errc rc = add(a, all[s].name, t, value_at(s, t), NULL);
        EXPECT(rc == OK || rc == ERR_TOO_OLD);
        if (rc == OK && !model_has(&all[s], t)) vec_push(&all[s].times, t);
    }
    EXPECT_OK(a->ops->commit(a, NULL));
}

TEST(late_samples_model)
{
    static const char *const names[MODEL_SERIES] = { "a", "b", "c", "d", "e", "f", "g" };
    struct model all[MODEL_SERIES] = { 0 };
    struct prng rng = { test_seed() };
    struct rig r;
    rig_open(&r, 3 * HOUR);
    int64_t begun = 100 * HOUR, now = begun;
    for (unsigned s = 0; s < MODEL_SERIES; s++) all[s].name = str_z(names[s]);
    put(r.head, S("clock"), now, 0);           /* bounds come from the head's newest sample */
    for (int round = 0; round < MODEL_ROUNDS; round++) {
        size_t written;
        now += (int64_t)prng_below(&rng, 3 * MINUTE);
        model_round(r.head, all, &rng, now);
        unsigned s = (unsigned)prng_below(&rng, MODEL_SERIES);
        expect_model(r.head, &all[s], s, &rng, begun - 3 * HOUR, now);
        if (prng_below(&rng, 5) == 0) EXPECT_OK(head_write_sealed(r.head, 100, &written, NULL));
        if (prng_below(&rng, 50) == 0) EXPECT_OK(ooo_seal_all(r.head, NULL));
    }
    for (unsigned s = 0; s < MODEL_SERIES; s++) {
        expect_model(r.head, &all[s], s, &rng, begun - 3 * HOUR, now);
        vec_fini(&all[s].times);
    }
    rig_close(&r);
}
