/* range_cache_test.c — bytes are those of the file, in few reads, within the budget, in time. */
#include "bucket/range_cache.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"

enum { PAGE = 64, FILE_BYTES = 64 * 100 + 10, GAP = 128, PATIENCE_MS = 50 };

struct file {
    struct mtx mu;
    struct cond changed;
    bool hang, freed;
    errc fail;
    unsigned reads;
    uint64_t last_off;
    size_t last_n;
};

static uint8_t byte_at(uint64_t off) { return (uint8_t)(off * 7 + off / 256); }

static errc fill(void *ctx, uint64_t off, size_t n, uint8_t *to, struct err *e)
{
    struct file *f = ctx;
    mtx_lock(&f->mu);
    f->reads++;
    f->last_off = off;
    f->last_n = n;
    while (f->hang) cond_wait(&f->changed, &f->mu);
    errc rc = f->fail;
    mtx_unlock(&f->mu);
    for (size_t i = 0; i < n; i++) to[i] = byte_at(off + i);
    return rc == OK ? OK : err_set(e, rc, "it was to fail");
}
static void freed(void *ctx) { ((struct file *)ctx)->freed = true; }

struct rig {
    struct file f;
    struct pool *pool;
    struct range_cache *c;
    struct range_source *s;
};

static void rig_init(struct rig *r, uint64_t budget)
{
    *r = (struct rig){ 0 };
    mtx_init(&r->f.mu, LOCK_LEAF);
    cond_init(&r->f.changed);
    r->pool = pool_new(&(struct pool_opts){ "test", 2, 100 });
    r->c = range_cache_new("test", budget, PAGE);
    r->s = range_source_new(&(struct range_source_opts){ .cache = r->c,
        .pool = r->pool,
        .what = "a file",
        .size_bytes = FILE_BYTES,
        .gap_bytes = GAP,
        .patience_ms = PATIENCE_MS,
        .fill = fill,
        .free = freed,
        .ctx = &r->f });
}

static void rig_fini(struct rig *r)
{
    range_source_unref(r->s);
    pool_free(r->pool);
    EXPECT(r->f.freed);
    range_cache_free(r->c);
    cond_fini(&r->f.changed);
    mtx_fini(&r->f.mu);
}

static void set_hang(struct rig *r, bool hang)
{
    mtx_lock(&r->f.mu);
    r->f.hang = hang;
    cond_broadcast(&r->f.changed);
    mtx_unlock(&r->f.mu);
}

static void expect_bytes(struct rig *r, uint64_t off, size_t n)
{
    struct range_pin p;
    struct err e = { 0 };
    EXPECT_OK_E(range_pin(r->s, off, n, &p, &e), &e);
    EXPECT_EQ(p.bytes.n, n);
    for (size_t i = 0; i < n; i++) EXPECT_EQ(p.bytes.p[i], byte_at(off + i));
    range_unpin(r->s, p.frame);
}

TEST(any_range_is_read)
{
    struct rig r;
    struct prng rng = { test_seed() };
    rig_init(&r, 20 * PAGE);
    for (int i = 0; i < 2000; i++) {
        uint64_t off = prng_below(&rng, FILE_BYTES);
        expect_bytes(&r, off, 1 + (size_t)prng_below(&rng, MIN(FILE_BYTES - off, 600u)));
    }
    expect_bytes(&r, 0, FILE_BYTES);
    EXPECT(range_cache_stats(r.c).bytes <= 20 * PAGE);
    EXPECT(range_cache_stats(r.c).evicted > 0);
    rig_fini(&r);
}

TEST(what_was_announced_comes_along)
{
    struct rig r;
    rig_init(&r, 1 << 20);
    range_want(r.s, 10 * PAGE, PAGE);
    range_want(r.s, 12 * PAGE + 5, 10); /* within the gap */
    range_want(r.s, 40 * PAGE, 2 * PAGE);
    EXPECT_EQ(r.f.reads, 0);
    expect_bytes(&r, 9 * PAGE, 3);
    EXPECT(r.f.reads >= 1);
    expect_bytes(&r, 10 * PAGE, PAGE);
    expect_bytes(&r, 12 * PAGE, PAGE);
    expect_bytes(&r, 40 * PAGE, 2 * PAGE);
    EXPECT_EQ(r.f.reads, 2);
    rig_fini(&r);
}

TEST(who_asks_waits_for_a_time)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_init(&r, 1 << 20);
    set_hang(&r, true);
    int64_t since = clock_mono_ns();
    EXPECT_EQ(range_pin(r.s, 0, 1, &p, &e), ERR_TIMEOUT);
    EXPECT(clock_mono_ns() - since >= (PATIENCE_MS - 1) * INT64_C(1000000));
    EXPECT_EQ(range_pin(r.s, 0, 1, &p, &e), ERR_UNAVAILABLE);
    EXPECT_EQ(range_pin(r.s, 50 * PAGE, 1, &p, &e), ERR_UNAVAILABLE);
    set_hang(&r, false);
    errc rc = ERR_UNAVAILABLE;
    for (int i = 0; i < 1000 && rc != OK; i++) {
        rc = range_pin(r.s, 0, 1, &p, &e);
        if (rc != OK) clock_sleep_ns(1000000);
    }
    EXPECT_OK(rc);
    range_unpin(r.s, p.frame);
    rig_fini(&r);
}

TEST(a_failure_is_told_and_forgotten)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_init(&r, 1 << 20);
    r.f.fail = ERR_CORRUPT;
    EXPECT_EQ(range_pin(r.s, 100, 300, &p, &e), ERR_CORRUPT);
    EXPECT_STR(err_str(&e), S("a file: it was to fail"));
    r.f.fail = OK;
    expect_bytes(&r, 100, 300);
    rig_fini(&r);
}
