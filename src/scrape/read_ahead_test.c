/* read_ahead_test.c — pages that are read while they come, beside a twin of the target that is
 * given each page as a whole. */
#include "base/clock.h"
#include "base/f64.h"
#include "base/test.h"
#include "io/pool.h"
#include "io/test_server.h"
#include "scrape/apply.h"
#include "scrape/fetch.h"
#include "scrape/test_store.h"

#include <stdatomic.h>

enum { LINES = 2500, ROUNDS = 24, STEP_MS = 15000 };

static struct buf page_text;           /* written between two requests */

static struct test_reply serve(void *ctx, const struct test_request *q)
{
    (void)ctx, (void)q;
    return (struct test_reply){ 200, "text/plain; version=0.0.4", buf_view(&page_text) };
}

static void put_value(struct buf *b, struct prng *r)
{
    static const char *const odd[] = { "1.5e+09", "NaN", "+Inf", "-Inf", "12345678901234567890",
        "-7", "0.000000001234", "1e-300" };
    uint64_t dice = prng_below(r, 20);
    if (dice == 0) buf_str(b, str_z(odd[prng_below(r, ARRAY_LEN(odd))]));
    else buf_f64_g(b, (double)prng_below(r, 100000) / (dice < 10 ? 1 : 100));
}

/* shake: one line in so many is left out, is new, has a time stamp, or a comment in front of it. 0:
 * none. */
static void page_make(struct prng *r, size_t shake, int64_t t_ms)
{
    buf_reset(&page_text);
    for (size_t i = 0; i < LINES; i++) {
        uint64_t dice = shake ? prng_below(r, shake) : UINT64_MAX;
        if (i % 50 == 0)
            buf_fmt(&page_text, "# HELP m%zu Words.\n# TYPE m%zu gauge\n", i / 50, i / 50);
        if (dice == 0) continue;
        if (dice == 1) buf_fmt(&page_text, "# of %zu\n", (size_t)prng_below(r, 1000));
        if (dice == 2) buf_fmt(&page_text, "m_new{n=\"%zu\"} 1\n", (size_t)prng_below(r, 100000));
        buf_fmt(&page_text, "m%zu{instance_of=\"a thing with a rather long name\",n=\"%zu\"} ",
            i / 50, i);
        put_value(&page_text, r);
        if (dice == 3) buf_fmt(&page_text, " %" PRId64, t_ms - 1);
        buf_str(&page_text, S("\n"));
    }
}

struct seen {
    struct target *t;
    struct memstore *m;
    int64_t t_ms;
    size_t ahead, bytes;
    _Atomic bool there;
};

static void on_done(void *ctx, struct fetch_result *f)
{
    struct seen *s = ctx;
    struct scrape_page page = { .body = f->body.p,
        .n = f->body.n,
        .ahead = f->ahead,
        .taken = f->taken,
        .content_type = f->content_type,
        .t_ms = s->t_ms,
        .failed = f->failed ? &f->e : NULL };
    struct scrape_outcome out;
    s->ahead = f->taken;
    s->bytes = f->taken + f->body.n;
    scrape_apply(s->t, memstore_appendable(s->m), &page, clock_mono_ns(), &out);
    EXPECT_OK_E(out.rc, &out.e);
    atomic_store(&s->there, true);
}

static void apply_whole(struct target *t, struct memstore *m, int64_t t_ms)
{
    struct buf body = { 0 };
    buf_str(&body, buf_view(&page_text));
    memset(buf_room(&body, EXPO_PADDING), 0, EXPO_PADDING);
    struct scrape_page page = {
        .body = body.p, .n = body.n, .content_type = S("text/plain"), .t_ms = t_ms
    };
    struct scrape_outcome out;
    scrape_apply(t, memstore_appendable(m), &page, clock_mono_ns(), &out);
    EXPECT_OK_E(out.rc, &out.e);
    buf_fini(&body);
}

static struct target *target_at(const struct scrape_config *job, str address)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct labels out, discovered;
    bool keep;
    EXPECT_OK(
        target_labels(&out, &discovered, &keep, job, address, (struct labels){ 0 }, &a, NULL));
    return target_new(job, out, discovered);
}

TEST(read_ahead_equals_the_whole_page)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct prng r = { test_seed() };
    struct test_server *server = test_server_new(serve, NULL);
    struct pool *pool = pool_new(&(struct pool_opts){ "test_ahead", 2, 64 });
    struct fetcher *fetcher;
    EXPECT(server);
    EXPECT_OK(fetcher_new(&fetcher, pool, 0, NULL));
    struct scrape_config job = test_job("j");
    str address = arena_fmt(&a, "127.0.0.1:%u", test_server_port(server));
    struct target *twin = target_at(&job, address);
    struct seen s = { .t = target_at(&job, address), .m = memstore_new() };
    struct memstore *want = memstore_new();
    size_t whole_pages = 0;
    for (unsigned k = 0; k < ROUNDS; k++) {
        s.t_ms = 1000000 + (int64_t)k * STEP_MS;
        page_make(&r, k % 4 == 3 ? 400 + prng_below(&r, 4000) : 0, s.t_ms);
        atomic_store(&s.there, false);
        fetch_start(fetcher, s.t, true, on_done, &s);
        while (!atomic_load(&s.there)) clock_sleep_ns(200000);
        EXPECT_EQ(s.bytes, page_text.n);
        if (k == 0) EXPECT_EQ(s.ahead, 0);                     /* nothing is known yet */
        whole_pages += s.bytes - s.ahead < 200;
        apply_whole(twin, want, s.t_ms);
    }
    EXPECT(whole_pages >= ROUNDS / 4);
    EXPECT_STR(store_text(s.m, &a, S("m"), true), store_text(want, &a, S("m"), true));
    fetcher_free(fetcher);
    pool_free(pool);
    test_server_free(server);
    target_unref(s.t);
    target_unref(twin);
    memstore_free(s.m);
    memstore_free(want);
    buf_fini(&page_text);
}
