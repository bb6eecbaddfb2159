#include "head/snapshot_load.h"

#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/xor.h"
#include "head/head_impl.h"
#include "head/replay.h"
#include "head/snapshot_codec.h"
#include "wal/record.h"

enum { SAMPLES = 7 };

/* A chunk of samples 10 ms apart, from 1000 on. */
static str chunk_of(struct buf *b)
{
    int64_t t[SAMPLES];
    double v[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        t[i] = 1000 + 10 * i;
        v[i] = i * 1.5;
    }
    uint8_t room[XOR_ROOM(SAMPLES)];
    buf_bytes(b, room, xor_encode(room, t, v, SAMPLES));
    return buf_view(b);
}

static void record_of(struct buf *out, sref ref, str id, int64_t mint, int64_t maxt, str data)
{
    struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), id } };
    struct snapshot_series s = { .ref = ref,
        .labels = { l, 2 },
        .has_chunk = data.n > 0,
        .mint = mint,
        .maxt = maxt,
        .enc = CHUNK_XOR,
        .data = data,
        .last = 9 };
    buf_reset(out);
    snapshot_series_encode(out, &s);
}

static void begin(struct head **h, struct head_replay **r, struct snapshot_load **l)
{
    struct head_opts o = { .keeps = { .max_exemplars = 4 } };
    EXPECT_OK(head_open(h, &o, NULL));
    *r = head_replay_begin(*h);
    *l = snapshot_load_new(*r);
}

static void end(struct head *h, struct head_replay *r, struct snapshot_load *l)
{
    snapshot_load_free(l);
    head_replay_drop(r);
    head_close(h);
}

TEST(snapshot_records)
{
    static const struct {
        const char *name;
        sref ref;
        str id;
        int64_t mint, maxt;
        bool no_chunk;
        errc want;
    } cases[] = {
        { "a series with its chunk", 7, S("a"), 1000, 1060, false, OK },
        { "without a chunk", 7, S("a"), 0, 0, true, OK },
        { "ref 0", 0, S("a"), 1000, 1060, false, ERR_CORRUPT },
        { "a ref twice", 1, S("a"), 1000, 1060, false, ERR_CORRUPT },
        { "labels twice", 7, S("first"), 1000, 1060, false, ERR_CORRUPT },
        { "begins elsewhere", 7, S("a"), 999, 1060, false, ERR_CORRUPT },
        { "ends elsewhere", 7, S("a"), 1000, 1061, false, ERR_CORRUPT },
    };
    TEST_EACH(c, cases) {
        struct head *h;
        struct head_replay *r;
        struct snapshot_load *l;
        struct buf chunk = { 0 }, rec = { 0 };
        begin(&h, &r, &l);
        record_of(&rec, 1, S("first"), 0, 0, STR_EMPTY);
        EXPECT_OK(snapshot_load_record(l, buf_view(&rec), NULL));
        str data = c->no_chunk ? STR_EMPTY : chunk_of(&chunk);
        record_of(&rec, c->ref, c->id, c->mint, c->maxt, data);
        EXPECT_EQ(snapshot_load_record(l, buf_view(&rec), NULL), c->want);
        EXPECT_EQ(snapshot_load_counts(l).series, c->want == OK ? 2 : 1);
        if (c->want == OK && !c->no_chunk) EXPECT_EQ(head_max_time(h), 1060);
        end(h, r, l);
        buf_fini(&chunk);
        buf_fini(&rec);
    }
}

/* Cut short, or with a bit turned, a record is refused or another one. */
TEST(snapshot_records_damaged)
{
    struct buf chunk = { 0 }, rec = { 0 };
    record_of(&rec, 7, S("a"), 1000, 1060, chunk_of(&chunk));
    unsigned refused = 0;
    for (size_t i = 0; i < rec.n * 9; i += TEST_STRIDE) {
        struct head *h;
        struct head_replay *r;
        struct snapshot_load *l;
        struct buf bad = { 0 };
        buf_bytes(&bad, rec.p, i < rec.n ? i : rec.n);
        if (i >= rec.n) bad.p[(i - rec.n) / 8] ^= (uint8_t)(1u << i % 8);
        begin(&h, &r, &l);
        errc rc = snapshot_load_record(l, buf_view(&bad), NULL);
        EXPECT(rc == OK || rc == ERR_CORRUPT || rc == ERR_BAD_INPUT);
        EXPECT(rc != OK || i >= rec.n);
        refused += rc != OK;
        end(h, r, l);
        buf_fini(&bad);
    }
    EXPECT(refused * TEST_STRIDE > rec.n);     /* the values of samples may be any */
    buf_fini(&chunk);
    buf_fini(&rec);
}

TEST(snapshot_others)
{
    struct head *h;
    struct head_replay *r;
    struct snapshot_load *l;
    struct buf rec = { 0 };
    struct snapshot_tombstone t = { 7, { 5, 9 } };
    struct ref_exemplar x[] = { { 7, 1000, 2, { 0 } }, { 8, 1000, 2, { 0 } } };
    begin(&h, &r, &l);
    record_of(&rec, 7, S("a"), 0, 0, STR_EMPTY);
    EXPECT_OK(snapshot_load_record(l, buf_view(&rec), NULL));
    buf_reset(&rec);
    snapshot_tombstones_encode(&rec, &t, 1);
    EXPECT_OK(snapshot_load_record(l, buf_view(&rec), NULL));
    intervals gone = { 0 };
    head_tombstones_get(&h->tombstones, 7, &gone);
    EXPECT(gone.n == 1 && gone.at[0].mint == 5 && gone.at[0].maxt == 9);
    vec_fini(&gone);
    buf_reset(&rec);
    exemplars_encode(&rec, x, 2);
    rec.p[0] = SNAPSHOT_EXEMPLARS;
    EXPECT_OK(snapshot_load_record(l, buf_view(&rec), NULL));
    EXPECT_EQ(snapshot_load_counts(l).unknown, 1);             /* nobody has ref 8 */
    rec.p[0] = 9;
    EXPECT_EQ(snapshot_load_record(l, buf_view(&rec), NULL), ERR_CORRUPT);
    EXPECT_EQ(snapshot_load_record(l, STR_EMPTY, NULL), ERR_CORRUPT);
    end(h, r, l);
    buf_fini(&rec);
}
