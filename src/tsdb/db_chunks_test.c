/* db_chunks_test.c — the samples of the chunks are those that a querier shows, wherever they
 * lie. */
#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/xor.h"
#include "tsdb/test_small.h"

#include <stdio.h>

/* Samples in chunks of series id (-1: of all); each chunk within the interval and after the
 * last. */
static unsigned chunk_samples(struct db *db, int id, int from, int to, unsigned *series)
{
    SCOPED(chunk_series_set_freep) struct chunk_series_set *set = NULL;
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", id);
    struct matcher m = { .type = id < 0 ? MATCH_NE : MATCH_EQ,
        .name = S("id"),
        .value = str_of(text, (size_t)len) };
    int64_t mint = T0 + (int64_t)from * STEP_MS, maxt = T0 + (int64_t)to * STEP_MS;
    struct chunk_queryable *q = db_chunk_queryable(db);
    struct err e = { 0 };
    unsigned n = 0;
    *series = 0;
    EXPECT_OK_E(q->ops->select(q, (struct matchers){ &m, 1 }, mint, maxt, &set, &e), &e);
    for (;; ++*series) {
        const struct chunk_series *s = NULL;
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) return n;
        int64_t last = mint - 1;
        EXPECT(s->n > 0);
        for (size_t i = 0; i < s->n; i++) {
            int64_t t[200];
            double v[200];
            size_t got;
            EXPECT_EQ(s->chunks[i].enc, CHUNK_XOR);
            EXPECT_OK(xor_decode(s->chunks[i].data, t, v, 200, &got, NULL));
            EXPECT(got && t[0] > last && t[0] == s->chunks[i].mint);
            EXPECT(t[got - 1] == s->chunks[i].maxt && t[got - 1] <= maxt);
            last = t[got - 1];
            n += (unsigned)got;
        }
    }
}

TEST(chunks_are_those_of_the_samples)
{
    static const int spans[][2] = { { 0, ROUNDS }, { 5, 7 }, { 50, 200 }, { 100, 299 },
        { 250, 260 }, { -50, -1 }, { ROUNDS, ROUNDS + 9 } };
    struct fs *fs;
    struct db *db;
    unsigned series;
    begin(&fs, &db);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
            int from = spans[i][0], to = spans[i][1];
            EXPECT_EQ(chunk_samples(db, -1, from, to, &series), count(db, -1, from, to));
            EXPECT_EQ(chunk_samples(db, 2, from, to, &series), count(db, 2, from, to));
        }
        EXPECT_EQ(chunk_samples(db, -1, 0, ROUNDS, &series), SERIES * ROUNDS - (round ? 40 : 0));
        EXPECT_EQ(series, SERIES);
        EXPECT_OK(delete_of(db, 2, 10, 29));
        EXPECT_OK(delete_of(db, 2, ROUNDS - 20, ROUNDS));
    }
    EXPECT_OK(delete_of(db, 3, 0, ROUNDS));
    EXPECT_EQ(chunk_samples(db, 3, 0, ROUNDS, &series), 0);
    EXPECT_EQ(series, 0);
    end(fs, db);
}

/* A batch that is not committed, or was after the question, is not seen. */
TEST(chunks_of_whole_batches)
{
    struct fs *fs;
    struct db *db;
    unsigned series;
    SCOPED(chunk_series_set_freep) struct chunk_series_set *set = NULL;
    struct matcher m = { .type = MATCH_NE, .name = S("id"), .value = S("none") };
    begin(&fs, &db);
    struct chunk_queryable *q = db_chunk_queryable(db);
    EXPECT_OK(
        q->ops->select(q, (struct matchers){ &m, 1 }, T0, INT64_MAX, &set, NULL));
    fill(db, ROUNDS, ROUNDS + 200);
    unsigned n = 0;
    for (;;) {
        const struct chunk_series *s = NULL;
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        for (size_t i = 0; i < s->n; i++) n += chunk_count(s->chunks[i].enc, s->chunks[i].data);
    }
    EXPECT_EQ(n, SERIES * ROUNDS);
    chunk_series_set_free(STEAL(set));
    EXPECT_EQ(chunk_samples(db, -1, 0, ROUNDS + 200, &series), SERIES * (ROUNDS + 200));
    end(fs, db);
}
