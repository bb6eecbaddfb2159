/* byte_chunk_test.c — series of mixed kinds give back what they were given. */
#include "head/byte_chunk.h"

#include "base/test.h"
#include "chunk/chunk_iter.h"

enum { SAMPLES = 600, RANGE_MS = 7200000, KINDS = 4 };
enum kind { A_FLOAT, A_WHOLE, A_FLOATS, A_STALE };

struct given {
    enum sample_kind kind; /* as it is stored: a marker is what it follows */
    int64_t t, st;
    double v; /* or the sum */
    int64_t buckets[3];
};

struct rig {
    struct store store;
    struct open_ctx ctx;
    uint32_t slot_i;
    struct given *all;
    size_t n;
};

static void rig_init(struct rig *g, uint8_t float_enc, bool st)
{
    *g = (struct rig){ 0 };
    store_init(&g->store, RANGE_MS, 120);
    g->store.float_enc = float_enc;
    g->store.keep_st = g->store.histogram_st = st;
    open_ctx_init(&g->ctx, &g->store);
    g->slot_i = slab_take(&g->store.slots);
    slot_set_last_t(store_slot(&g->store, g->slot_i), INT64_MIN);
    g->all = mem_alloc_array(SAMPLES, sizeof(*g->all));
}

static void rig_fini(struct rig *g)
{
    struct slot *s = store_slot(&g->store, g->slot_i);
    slot_lock(s);
    open_drop(&g->store, s);
    slot_unlock(s);
    open_ctx_release(&g->ctx);
    store_fini(&g->store);
    mem_free(g->all);
}

/* Three buckets; a counter unless it falls. */
static void append_histogram(struct rig *g, struct slot *s, const struct given *x)
{
    struct span span = { 1, 3 };
    double counts[3], sum = 0;
    int64_t deltas[3], before = 0;
    for (int i = 0; i < 3; i++) {
        counts[i] = (double)x->buckets[i];
        deltas[i] = x->buckets[i] - before;
        before = x->buckets[i];
        sum += counts[i];
    }
    struct int_histogram whole = {
        .schema = 1, .count = (uint64_t)sum, .sum = x->v, .pos = { &span, 1, deltas, 3 }
    };
    struct histogram floats = {
        .schema = 1, .count = sum, .sum = x->v, .pos = { &span, 1, counts, 3 }
    };
    bool is_float = x->kind == SAMPLE_FLOAT_HISTOGRAM;
    struct hist_words w = is_float ? hist_words_of_float(&floats) : hist_words_of_int(&whole);
    byte_append_histogram(&g->ctx, g->slot_i, s, x->t, x->st, &w);
    EXPECT(byte_last_is(&g->store, s, &w));
    whole.sum = floats.sum = x->v + 1;
    w = is_float ? hist_words_of_float(&floats) : hist_words_of_int(&whole);
    EXPECT(!byte_last_is(&g->store, s, &w));
}

static void append(struct rig *g, struct prng *rnd, int64_t t, int64_t st, enum kind kind)
{
    struct slot *s = store_slot(&g->store, g->slot_i);
    struct given x = { .t = t, .st = st, .v = (double)prng_below(rnd, 1000) };
    enum sample_kind before = g->n ? g->all[g->n - 1].kind : SAMPLE_FLOAT;
    x.kind = kind == A_WHOLE    ? SAMPLE_HISTOGRAM
             : kind == A_FLOATS ? SAMPLE_FLOAT_HISTOGRAM
                                : SAMPLE_FLOAT;
    if (kind == A_STALE) {
        x.v = stale_nan();
        x.kind = before;
    }
    if (kind == A_WHOLE || kind == A_FLOATS)
        for (int i = 0; i < 3; i++) x.buckets[i] = (int64_t)prng_below(rnd, 5) + (int64_t)g->n;
    slot_lock(s);
    if (kind == A_WHOLE || kind == A_FLOATS) append_histogram(g, s, &x);
    else byte_append_float(&g->ctx, g->slot_i, s, t, st, x.v);
    bool hist = x.kind != SAMPLE_FLOAT;
    EXPECT_EQ((slot_flags(s) & SLOT_LAST_ANY_HIST) != 0, hist);
    EXPECT_EQ((slot_flags(s) & SLOT_STALE) != 0, kind == A_STALE);
    slot_unlock(s);
    EXPECT_EQ(g->store.n_hist, hist);
    EXPECT_EQ(g->store.n_hist_buckets, hist && kind != A_STALE ? 3 : 0);
    g->all[g->n++] = x;
}

static void expect_sample(const struct sample_batch *b, size_t i, const struct given *x, bool st)
{
    EXPECT_EQ(b->kind, x->kind);
    EXPECT_EQ(b->t[i], x->t);
    EXPECT_EQ(b->st ? b->st[i] : 0, st ? x->st : 0);
    double v = b->kind == SAMPLE_FLOAT       ? b->v[i]
               : b->kind == SAMPLE_HISTOGRAM ? b->ih[i]->sum
                                             : b->h[i]->sum;
    EXPECT(f64_bits(v) == f64_bits(x->v));
    if (b->kind == SAMPLE_FLOAT || sample_is_stale(v)) return;
    double count = b->kind == SAMPLE_HISTOGRAM ? (double)b->ih[i]->count : b->h[i]->count;
    EXPECT(count == (double)(x->buckets[0] + x->buckets[1] + x->buckets[2]));
}

/* The samples of a chunk, from the n-th given one on; where the next chunk begins. */
static size_t expect_chunk(const struct rig *g, struct chunk_copy *c, size_t n, bool st)
{
    struct buf bytes = { 0 };
    struct chunk_iter it;
    struct sample_batch b;
    (void)chunk_copy_encode(c, &bytes);
    EXPECT_EQ(c->mint, g->all[n].t);
    EXPECT_EQ(c->maxt, g->all[n + c->n - 1].t);
    bool has_st = st && chunk_copy_enc(c) != CHUNK_XOR;
    chunk_iter_init(&it);
    EXPECT_OK(chunk_iter_reset(&it, chunk_copy_enc(c), buf_view(&bytes), NULL));
    do {
        EXPECT_OK(chunk_iter_fill(&it, &b, NULL));
        for (size_t i = 0; i < b.n; i++) expect_sample(&b, i, &g->all[n++], has_st);
    } while (b.n);
    chunk_iter_fini(&it);
    buf_fini(&bytes);
    return n;
}

static void expect_all(const struct rig *g, bool st)
{
    const struct slot *s = store_slot(&g->store, g->slot_i);
    struct chunk_copy *c = NEW(struct chunk_copy);
    size_t n = 0;
    EXPECT_EQ(slot_mint(&g->store, s), g->all[0].t);
    for (uint32_t i = s->sealed; i;) {
        const struct sealed *q = slab_at(&g->store.sealed, i);
        sealed_copy(&g->store, q, c);
        EXPECT_EQ(sealed_mint(&g->store, q), g->all[n].t);
        n = expect_chunk(g, c, n, st);
        i = q->next;
    }
    open_copy(&g->store, s, c);
    EXPECT_EQ(open_mint(&g->store, s), g->all[n].t);
    EXPECT_EQ(expect_chunk(g, c, n, st), g->n);
    buf_fini(&c->bytes);
    mem_free(c);
}

TEST(byte_chunks_of_mixed_series)
{
    static const struct {
        const char *name;
        uint8_t float_enc;
        bool st;
        unsigned change;
    } cases[] = {
        { "plain floats, often something else", CHUNK_XOR, false, 3 },
        { "plain floats, rarely", CHUNK_XOR, false, 100 },
        { "XOR2", CHUNK_XOR2, false, 20 },
        { "XOR2, start timestamps", CHUNK_XOR2, true, 20 },
    };
    struct prng rnd = { test_seed() };
    TEST_EACH(c, cases) {
        struct rig g;
        rig_init(&g, c->float_enc, c->st);
        enum kind kind = A_FLOAT;
        int64_t t = 1000;
        for (size_t i = 0; i < SAMPLES; i++) {
            if (prng_below(&rnd, c->change) == 0) kind = (enum kind)prng_below(&rnd, KINDS);
            t += 1000 + (int64_t)prng_below(&rnd, 30000);
            append(&g, &rnd, t, c->st ? t - (int64_t)prng_below(&rnd, 3) * 500 : 0, kind);
        }
        expect_all(&g, c->st);
        rig_fini(&g);
    }
}

/* A chunk of XOR that is open when XOR2 is asked for goes on, unless start timestamps are kept. */
TEST(byte_chunks_change_of_floats)
{
    struct prng rnd = { test_seed() };
    for (int keep = 0; keep < 2; keep++) {
        struct rig g;
        rig_init(&g, CHUNK_XOR, false);
        const struct slot *s = store_slot(&g.store, g.slot_i);
        for (int i = 0; i < 10; i++) append(&g, &rnd, 1000 * (i + 1), 0, A_FLOAT);
        g.store.float_enc = CHUNK_XOR2;
        g.store.keep_st = keep;
        append(&g, &rnd, 20000, 0, A_FLOAT);
        EXPECT_EQ((slot_flags(s) & SLOT_BYTES) != 0, keep);
        EXPECT_EQ(s->sealed != 0, keep);
        for (int i = 0; i < 200; i++) append(&g, &rnd, 30000 + 15000 * i, 0, A_FLOAT);
        EXPECT(slot_flags(s) & SLOT_BYTES);
        expect_all(&g, false);
        rig_fini(&g);
    }
}
