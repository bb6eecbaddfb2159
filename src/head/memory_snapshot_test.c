#include "head/memory_snapshot.h"

#include "base/test.h"
#include "chunk/xor.h"
#include "head/head.h"
#include "head/snapshot_codec.h"
#include "io/fs_sim.h"
#include "wal/record.h"
#include "wal/wal.h"
#include "wal/wal_reader.h"

enum { SERIES = 5, SAMPLES = 40 };

static void fill(struct head *h)
{
    struct appendable *s = head_appendable(h);
    for (int round = 0; round < SAMPLES; round++) {
        struct appender *a = NULL;
        EXPECT_OK(s->ops->begin(s, &a, NULL));
        for (unsigned i = 0; i < SERIES; i++) {
            uint8_t id = (uint8_t)('a' + i);
            struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(&id, 1) } };
            series_handle handle = 0;
            EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &handle, NULL));
            EXPECT_OK(a->ops->append(a, handle, 1000 + round * 15, round * 0.25 + i, 0, NULL));
        }
        EXPECT_OK(a->ops->commit(a, NULL));
    }
}

static struct wal *open_log(struct fs *fs)
{
    struct wal *w = NULL;
    struct wal_opts o = { .fs = fs, .dir = S("snap"), .kind = WAL_PLAIN, .no_thread = true };
    EXPECT_OK(wal_open(&w, &o, NULL));
    return w;
}

static void check_series(const struct snapshot_series *s)
{
    int64_t t[SAMPLES];
    double v[SAMPLES];
    size_t n;
    EXPECT(s->ref && s->labels.n == 2 && s->has_chunk);
    EXPECT_OK(xor_decode(s->data, t, v, SAMPLES, &n, NULL));
    EXPECT_EQ(n, SAMPLES);
    EXPECT(t[0] == s->mint && t[n - 1] == s->maxt && v[n - 1] == s->last);
    EXPECT_EQ(s->mint, 1000);
}

TEST(memory_snapshot_holds_the_head)
{
    struct fs *fs = fs_sim_new(1);
    struct head *h = NULL;
    struct wal *w = open_log(fs);
    struct wal_reader *r = NULL;
    struct memory_snapshot_counts n = { 0 };
    struct err e = { 0 };
    EXPECT_OK(head_open(&h, &(struct head_opts){ 0 }, NULL));
    fill(h);
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = S("b") };
    EXPECT_OK(head_delete(h, (struct matchers){ &m, 1 }, 1000, 1100, NULL));
    EXPECT_OK_E(memory_snapshot_write(h, w, &n, &e), &e);
    EXPECT(n.series == SERIES && n.chunks == SERIES && n.tombstones == 1 && n.exemplars == 0);
    EXPECT_OK(wal_close_synced(w, NULL));
    struct wal_reader_opts o = { .fs = fs, .dir = S("snap"), .backend = IO_BUFFERED };
    EXPECT_OK(wal_reader_open(&r, &o, NULL));
    for (unsigned i = 0;; i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct wal_rec rec;
        struct snapshot_series s;
        snapshot_tombstones t = { 0 };
        bool got;
        EXPECT_OK(wal_reader_next(r, &rec, &got, NULL));
        EXPECT_EQ(got, i <= SERIES);
        if (!got) break;
        if (i < SERIES) {
            EXPECT_OK(snapshot_series_decode(&s, rec.bytes, &a, NULL));
            check_series(&s);
        } else {
            EXPECT_OK(snapshot_tombstones_decode(&t, rec.bytes, NULL));
            EXPECT(t.n == 1 && t.at[0].deleted.mint == 1000 && t.at[0].deleted.maxt == 1100);
        }
        vec_fini(&t);
    }
    wal_reader_close(r);
    head_close(h);
    fs_free(fs);
}
