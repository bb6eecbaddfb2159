#include "head/snapshot_codec.h"

#include "base/test.h"
#include "chunk/chunk.h"
#include "io/fs.h"
#include "wal/wal_reader.h"

static struct label l[] = { { S("__name__"), S("up") }, { S("a"), S("") } };

static void expect_same(const struct snapshot_series *a, const struct snapshot_series *b)
{
    EXPECT(a->ref == b->ref && labels_eq(a->labels, b->labels) && a->has_chunk == b->has_chunk);
    EXPECT(a->mint == b->mint && a->maxt == b->maxt && a->enc == b->enc && a->last == b->last);
    EXPECT_STR(a->data, b->data);
    EXPECT_STR(a->last_histogram, b->last_histogram);
}

TEST(snapshot_series_round)
{
    const struct snapshot_series cases[] = {
        { .ref = 1 },
        { .ref = UINT64_MAX, .labels = { l, 2 } },
        { .ref = 7, .labels = { l, 1 }, .has_chunk = true, .mint = -5, .maxt = 9,
            .enc = CHUNK_XOR, .data = S("chunk"), .last = 0.5 },
        { .ref = 8, .labels = { l, 1 }, .has_chunk = true, .mint = 1, .maxt = 2, .enc = 2,
            .data = S("histograms"), .last_histogram = S("the last") },
    };
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        const struct snapshot_series *c = &cases[k];
        SCOPED(buf_fini) struct buf b = { 0 };
        SCOPED(arena_fini) struct arena a = { 0 };
        struct snapshot_series got;
        struct err e = { 0 };
        snapshot_series_encode(&b, c);
        EXPECT_OK_E(snapshot_series_decode(&got, buf_view(&b), &a, &e), &e);
        expect_same(&got, c);
        for (size_t n = 0; n < b.n; n++) {
            errc rc = snapshot_series_decode(&got, str_of(b.p, n), &a, NULL);
            EXPECT(rc == ERR_CORRUPT || c->last_histogram.n);  /* its end is not known here */
        }
        for (size_t i = 0; i < b.n * 8; i++) {
            b.p[i / 8] ^= (uint8_t)(1 << i % 8);
            errc rc = snapshot_series_decode(&got, buf_view(&b), &a, NULL);
            EXPECT(rc == OK || rc == ERR_CORRUPT);
            b.p[i / 8] ^= (uint8_t)(1 << i % 8);
        }
    }
}

TEST(snapshot_tombstones_round)
{
    static const struct snapshot_tombstone all[] = { { 1, { -5, 9 } }, { 1, { 20, 30 } },
        { 900, { INT64_MIN, INT64_MAX } } };
    SCOPED(buf_fini) struct buf b = { 0 };
    snapshot_tombstones got = { 0 };
    for (size_t k = 0; k <= ARRAY_LEN(all); k++) {
        buf_reset(&b);
        got.n = 0;
        snapshot_tombstones_encode(&b, all, k);
        EXPECT_OK(snapshot_tombstones_decode(&got, buf_view(&b), NULL));
        EXPECT_EQ(got.n, k);
        for (size_t i = 0; i < k; i++)
            EXPECT(got.at[i].ref == all[i].ref && got.at[i].deleted.mint == all[i].deleted.mint &&
                   got.at[i].deleted.maxt == all[i].deleted.maxt);
    }
    for (size_t n = 0; n < b.n; n++)
        EXPECT_EQ(snapshot_tombstones_decode(&got, str_of(b.p, n), NULL), ERR_CORRUPT);
    EXPECT_EQ(got.n, ARRAY_LEN(all));                          /* nothing of what failed stayed */
    vec_fini(&got);
}

/* What Prometheus wrote, taken apart and put together again. */
TEST_SHARED(snapshot_of_prometheus_to_the_byte)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct wal_reader *r = NULL;
    struct err e = { 0 };
    struct fs *fs = fs_real_new(arena_fmt(&a, "%s/golden/dirs/snapshot/data", test_shared()));
    struct wal_reader_opts o = { .fs = fs,
        .dir = S("chunk_snapshot.000011.0000065536"),
        .backend = IO_BUFFERED };
    EXPECT_OK_E(wal_reader_open(&r, &o, &e), &e);
    unsigned kinds[4] = { 0 };
    for (;;) {
        SCOPED(buf_fini) struct buf b = { 0 };
        struct wal_rec rec;
        bool got;
        EXPECT_OK_E(wal_reader_next(r, &rec, &got, &e), &e);
        if (!got) break;
        struct snapshot_series s;
        snapshot_tombstones t = { 0 };
        unsigned kind = rec.bytes.p[0];
        EXPECT(kind >= SNAPSHOT_SERIES && kind <= SNAPSHOT_EXEMPLARS);
        kinds[kind]++;
        if (kind == SNAPSHOT_SERIES) {
            EXPECT_OK_E(snapshot_series_decode(&s, rec.bytes, &a, &e), &e);
            snapshot_series_encode(&b, &s);
        } else if (kind == SNAPSHOT_TOMBSTONES) {
            EXPECT_OK_E(snapshot_tombstones_decode(&t, rec.bytes, &e), &e);
            snapshot_tombstones_encode(&b, t.at, t.n);
        }
        if (kind != SNAPSHOT_EXEMPLARS) EXPECT_STR(buf_view(&b), rec.bytes);
        vec_fini(&t);
    }
    EXPECT(kinds[SNAPSHOT_SERIES] > 10 && kinds[SNAPSHOT_TOMBSTONES] == 1);
    wal_reader_close(r);
    fs_free(fs);
}
