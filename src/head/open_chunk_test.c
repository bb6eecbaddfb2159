/* Open chunks against the reference: a list of samples cut by chunk/cut and encoded by
 * chunk/xor. */
#include "head/open_chunk.h"

#include "base/test.h"
#include "chunk/cut.h"
#include "chunk/xor.h"

enum { RANGE_MS = 7200 * 1000, MAX_SAMPLES = 4000 };

struct want { struct cut_state cut; struct xor_app app; uint8_t bytes[XOR_ROOM(256)]; };

/* Where a value comes from. Each shape forces another coding, or a switch between them. */
enum shape {
    SHAPE_CONST,
    SHAPE_COUNTER,
    SHAPE_PAGES,
    SHAPE_SMALL,
    SHAPE_DECIMAL,
    SHAPE_RANDOM,
    SHAPE_SPECIAL,
    SHAPE_MIXED,
    SHAPE_RARE,
    SHAPES
};

static double special(struct prng *r)
{
    static const uint64_t bits[] = { STALE_NAN_BITS, NORMAL_NAN_BITS, 0x7ff0000000000000,
        0xfff0000000000000, 0x8000000000000000, 0, 0x7ff8000000000abc, 0xfff8000000000001, 1,
        0x7fefffffffffffff, 0x4340000000000000, 0x4340000000000001, 0xc340000000000000 };
    return f64_of_bits(bits[prng_below(r, ARRAY_LEN(bits))]);
}

static double value_of(struct prng *r, enum shape s, double last)
{
    switch (s) {
    case SHAPE_CONST: return 42;
    case SHAPE_COUNTER:
        return (sample_is_stale(last) || !(last >= 0) ? 0 : last) + (double)prng_below(r, 1000);
    case SHAPE_PAGES: return (double)(prng_below(r, 4096) + 1) * (prng_below(r, 100) ? 4096 : 48);
    case SHAPE_SMALL: return (double)prng_below(r, 5) - 2;
    case SHAPE_DECIMAL: return (double)prng_below(r, 1000000) / (prng_below(r, 2) ? 100 : 1000);
    case SHAPE_RANDOM: return prng_unit(r) * 1e6;
    case SHAPE_SPECIAL: return special(r);
    case SHAPE_RARE:
        return prng_below(r, 40) ? last : value_of(r, (enum shape)prng_below(r, SHAPE_RARE), last);
    case SHAPE_MIXED:
    default: return value_of(r, (enum shape)prng_below(r, SHAPE_MIXED), last);
    }
}

static int64_t step_of(struct prng *r, unsigned kind)
{
    switch (kind) {
    case 0: return 15000;
    case 1: return 14990 + (int64_t)prng_below(r, 20);
    case 2: return 1 + (int64_t)prng_below(r, 200000);
    default: return prng_below(r, 10) ? 1000 : (int64_t)prng_below(r, 5000000) + 1;
    }
}

struct rig { struct store store; struct open_ctx ctx; struct open_steps steps; uint32_t slot; };

static void rig_init(struct rig *g, unsigned slots)
{
    store_init(&g->store, RANGE_MS, CUT_SAMPLES);
    open_ctx_init(&g->ctx, &g->store);
    for (unsigned i = 0; i < slots; i++) {
        g->slot = slab_take(&g->store.slots);
        slot_set_last_t(store_slot(&g->store, g->slot), INT64_MIN);
    }
}

static void rig_fini(struct rig *g)
{
    for (uint32_t i = 1; i <= g->slot; i++) open_drop(&g->store, store_slot(&g->store, i));
    for (uint32_t q = g->store.sealed_first; q;) {
        uint32_t next = ((struct sealed *)slab_at(&g->store.sealed, q))->queue_next;
        open_free_sealed(&g->store, q);
        q = next;
    }
    open_ctx_release(&g->ctx);
    EXPECT_EQ(g->store.cells.n_live, 0);       /* nothing is lost: cells, runs, sealed chunks */
    EXPECT_EQ(g->store.runs.n_live, 0);
    EXPECT_EQ(g->store.sealed.n_live, 0);
    store_fini(&g->store);
}

static void expect_copy(const struct chunk_copy *copy, struct want *w)
{
    double v[RUN_MAX], pre[RUN_MAX];
    uint8_t bytes[XOR_ROOM(256)];
    EXPECT_EQ(copy->n, w->app.len.n);
    chunk_copy_values(copy, copy->n, v);
    size_t n = xor_encode(bytes, copy->t, v, copy->n);
    EXPECT_EQ(n, xor_len_bytes(&w->app.len));
    EXPECT(memcmp(bytes, w->bytes, n) == 0);
    chunk_copy_values(copy, copy->n / 2, pre);
    EXPECT(memcmp(pre, v, copy->n / 2 * sizeof(*v)) == 0);
}

/* Appends to the slot and to the reference; at each cut the sealed chunk is held against it. */
static void append_both(struct rig *g, uint32_t slot, struct want *w, int64_t t, double v)
{
    struct slot *s = store_slot(&g->store, slot);
    struct chunk_copy copy;
    bool first = w->app.len.n == 0, cut = false;
    if (!first) {
        w->cut.n = w->app.len.n;
        w->cut.bytes = xor_len_bytes(&w->app.len);
        cut = cut_float(&w->cut, t, RANGE_MS, CUT_SAMPLES);
    }
    uint32_t sealed_before = s->sealed;
    open_append(&g->ctx, slot, s, t, v);
    if (cut) {
        uint32_t newest = s->sealed;
        EXPECT(newest != 0);
        while (((struct sealed *)slab_at(&g->store.sealed, newest))->next)
            newest = ((struct sealed *)slab_at(&g->store.sealed, newest))->next;
        sealed_copy(&g->store, slab_at(&g->store.sealed, newest), &copy);
        expect_copy(&copy, w);
    } else {
        EXPECT_EQ(s->sealed, sealed_before);
    }
    if (first || cut) {
        xor_app_init(&w->app, w->bytes, sizeof(w->bytes));
        w->cut = cut_begin(t, RANGE_MS);
    }
    EXPECT(xor_append(&w->app, t, v));
    w->cut.maxt = t;
    EXPECT_EQ(s->n, w->app.len.n);
    EXPECT_EQ(s->xor_bits, w->app.len.bits);
}

TEST(open_chunk_equals_reference)
{
    for (unsigned round = 0; round < SHAPES * 4 * 3; round++) {
        struct prng r = { test_seed() + round };
        struct rig g;
        struct want w = { 0 };
        rig_init(&g, 1);
        int64_t t = (int64_t)prng_below(&r, 1u << 30) - (1 << 29);
        double v = 0;
        struct chunk_copy copy;
        for (unsigned i = 0; i < 700; i++) {
            v = value_of(&r, (enum shape)(round % SHAPES), v);
            t += step_of(&r, round / SHAPES % 4);
            append_both(&g, 1, &w, t, v);
            if (i % 37 == 0) {
                open_copy(&g.store, store_slot(&g.store, 1), &copy);
                expect_copy(&copy, &w);
            }
        }
        rig_fini(&g);
    }
}

/* Series that go along one run, each many samples at a time, as a replay appends them; now and then
 * one of them leaves the others' times. */
TEST(open_chunk_steps_are_those_of_the_run)
{
    enum { SERIES = 5, ROUNDS = 40, AT_A_TIME = 23 };
    for (unsigned kind = 0; kind < 4; kind++) {
        struct prng r = { test_seed() + kind };
        struct rig g = { 0 };
        static struct want w[SERIES];
        memset(w, 0, sizeof(w));
        rig_init(&g, SERIES);
        g.ctx.steps = &g.steps;
        int64_t begin = 1000000;
        for (unsigned round = 0; round < ROUNDS; round++) {
            int64_t t[AT_A_TIME];
            for (unsigned i = 0; i < AT_A_TIME; i++) t[i] = begin += 2 + step_of(&r, kind);
            for (unsigned s = 0; s < SERIES; s++) {
                unsigned other = prng_below(&r, 8) ? AT_A_TIME : (unsigned)prng_below(&r, 20);
                for (unsigned i = 0; i < AT_A_TIME; i++)
                    append_both(&g, s + 1, &w[s], t[i] + (i == other),
                        value_of(&r, (enum shape)(s % SHAPES), 1));
            }
        }
        rig_fini(&g);
    }
}

/* A change of shape at every index of a chunk. */
TEST(open_chunk_switches_anywhere)
{
    for (unsigned from = 0; from < SHAPE_RARE; from++) {
        for (unsigned to = 0; to < SHAPE_RARE; to++) {
            for (unsigned at = 0; at < 125; at += TEST_STRIDE + at / 20) {
                struct prng r = { test_seed() + from * 1000 + to * 10 + at };
                struct rig g;
                struct want w = { 0 };
                rig_init(&g, 1);
                double v = 0;
                for (unsigned i = 0; i < 125; i++) {
                    v = value_of(&r, (enum shape)(i < at ? from : to), v);
                    append_both(&g, 1, &w, 1000000 + i * 15000, v);
                }
                struct chunk_copy copy;
                open_copy(&g.store, store_slot(&g.store, 1), &copy);
                expect_copy(&copy, &w);
                rig_fini(&g);
            }
        }
    }
}

/* Series of one page share a run; those that miss a scrape fork, together if they miss the same
 * ones. */
TEST(open_chunk_runs_are_shared)
{
    enum { SERIES = 300 };
    struct rig g;
    static struct want w[SERIES + 1];
    memset(w, 0, sizeof(w));
    struct prng r = { test_seed() };
    rig_init(&g, SERIES);
    for (unsigned k = 0; k < 100; k++) {
        for (uint32_t i = 1; i <= SERIES; i++) {
            /* a tenth misses every third scrape of the second half */
            if (k >= 50 && k % 3 == 0 && i % 10 == 0) continue;
            append_both(&g, i, &w[i], (int64_t)k * 15000, (double)prng_below(&r, 100));
        }
        if (k == 49) EXPECT_EQ(g.store.runs.n_live, 1);
        open_ctx_release(&g.ctx);
    }
    EXPECT_EQ(g.store.runs.n_live, 2);
    struct chunk_copy copy;
    for (uint32_t i = 1; i <= SERIES; i++) {
        open_copy(&g.store, store_slot(&g.store, i), &copy);
        expect_copy(&copy, &w[i]);
    }
    rig_fini(&g);
}

/* A constant costs nothing; the others what their steps are long, and little more. */
TEST(open_chunk_is_small)
{
    enum { N = 100 };
    static const struct {
        const char *name;
        double from, step, unit;
        unsigned of, bits;
    } cases[] = {
        { "constant", 7, 0, 1, 1, 0 },
        { "counter with an even step", 0, 50, 1, 1, 8 },
        { "counter below 1024 a step", 12345, 1, 1, 1024, 12 },
        { "counter of bytes in pages", 1e9, 1, 4096, 1024, 12 },
        { "counter of hundredths", 3, 1, 0.01, 1024, 12 },
    };
    struct prng r = { test_seed() };
    TEST_EACH(c, cases) {
        struct rig g;
        rig_init(&g, 1);
        struct slot *s = store_slot(&g.store, g.slot);
        int64_t m = (int64_t)(c->from / c->unit);
        for (int64_t k = 0; k < N; k++) {
            open_append(&g.ctx, g.slot, s, k * 15000,
                c->unit < 1 ? (double)m / (1 / c->unit) : (double)m * c->unit);
            m += c->of > 1 ? (int64_t)prng_below(&r, c->of) : (int64_t)c->step;
        }
        EXPECT(s->payload_bits <= N * c->bits);
        if (!c->bits) EXPECT_EQ(s->first_cell, 0);
        rig_fini(&g);
    }
}

/* A gauge's chunks begin with steps of either sign once it has fallen early; a counter's reset late
 * in a chunk stays in that chunk. */
TEST(open_chunk_knows_what_falls)
{
    struct rig g;
    rig_init(&g, 2);
    struct slot *gauge = store_slot(&g.store, 1), *counter = store_slot(&g.store, 2);
    for (int64_t k = 0; k < 300; k++) {
        open_append(&g.ctx, 1, gauge, k * 15000, (double)(k % 5));
        open_append(&g.ctx, 2, counter, k * 15000, (double)(k < 60 ? 1000 + k : k));
    }
    EXPECT_EQ(gauge->coding, CODING_DEC);
    EXPECT(gauge->falls);
    EXPECT_EQ(counter->coding, CODING_UP);
    EXPECT(!counter->falls);
    rig_fini(&g);
}

/* Two appenders fill chunks of one series in turn: the queue to the files holds them in the order
 * of the series, so that none is written before an older one. */
TEST(sealed_queue_keeps_the_order_of_a_series)
{
    struct rig g;
    rig_init(&g, 1);
    struct open_ctx other;
    open_ctx_init(&other, &g.store);
    struct slot *s = store_slot(&g.store, g.slot);
    for (int64_t i = 0; i < 2000; i++) {
        slot_lock(s);
        open_append(i / 150 % 2 ? &g.ctx : &other, g.slot, s, i * 15000, (double)i);
        slot_unlock(s);
    }
    size_t n = 0;
    uint32_t in_slot = s->sealed;
    for (uint32_t q = g.store.sealed_first; q; n++) {
        const struct sealed *at = slab_at(&g.store.sealed, q);
        EXPECT_EQ(q, in_slot);
        in_slot = at->next;
        q = at->queue_next;
    }
    EXPECT(n >= 10 && !in_slot);
    open_ctx_release(&other);
    rig_fini(&g);
}
