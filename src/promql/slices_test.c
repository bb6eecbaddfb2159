#include "promql/slices.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"
#include "io/pool.h"
#include "io/thread.h"

#include <stdatomic.h>

enum { QUERIES = 6, PLACES = 2, SLICES = 20 };

struct crowd { struct slices all; _Atomic int heavy, most; _Atomic int64_t light_ns; };

static bool never_gone(void *ctx UNUSED) { return false; }
static bool always_gone(void *ctx UNUSED) { return true; }

static void busy(int64_t ns)
{
    for (int64_t end = clock_cpu_ns() + ns; clock_cpu_ns() < end;) {
    }
}

static void heavy(struct crowd *c)
{
    struct slice t;
    slice_begin(&t, &c->all);
    busy(SLICE_NS);
    for (int i = 0; i < SLICES; i++) {
        slice_take(&t, never_gone, NULL);
        int now = atomic_fetch_add(&c->heavy, 1) + 1, most = atomic_load(&c->most);
        while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) {
        }
        busy(SLICE_NS);
        atomic_fetch_sub(&c->heavy, 1);
    }
    slice_end(&t);
}

static void query(void *ctx, size_t i)
{
    struct crowd *c = ctx;
    if (i) {
        heavy(c);
        return;
    }
    struct slice t;
    slice_begin(&t, &c->all);
    slice_take(&t, never_gone, NULL);
    atomic_store(&c->light_ns, t.waited_ns);
    slice_end(&t);
}

TEST(slices_are_as_many_as_places)
{
    struct crowd c = { .most = 0 };
    struct pool *p = pool_new(
        &(struct pool_opts){ .name = "test", .threads = QUERIES, .queue_max = QUERIES });
    slices_init(&c.all, PLACES);
    pool_each(p, QUERIES, query, &c);
    EXPECT(c.most >= 1 && c.most <= PLACES);
    EXPECT_EQ(c.all.free, PLACES);
    EXPECT_EQ(c.light_ns, 0);
    slices_fini(&c.all);
    pool_free(p);
}

TEST(slice_ends_where_the_query_is_gone)
{
    struct slices all;
    struct slice a, b;
    slices_init(&all, 1);
    slice_begin(&a, &all);
    slice_begin(&b, &all);
    busy(SLICE_NS);
    slice_take(&a, never_gone, NULL);
    slice_take(&b, always_gone, NULL);
    EXPECT(a.placed && !b.placed && !all.first);
    slice_end(&b);
    slice_end(&a);
    EXPECT_EQ(all.free, 1);
    slices_fini(&all);
}

TEST(order_of_queries)
{
    enum { MS = 1000 * 1000 };
    static const struct {
        const char *name;
        struct slice a, b;                     /* a goes before b */
    } cases[] = {
        { "lighter", { .used_ns = 60 * MS, .begun_ns = 9 }, { .used_ns = 70 * MS, .begun_ns = 1 } },
        { "much lighter", { .used_ns = 20 * MS, .begun_ns = 9 },
            { .used_ns = 200 * (int64_t)MS, .begun_ns = 1 } },
        { "both heavy", { .used_ns = 3000 * (int64_t)MS, .begun_ns = 9 },
            { .used_ns = 33000 * (int64_t)MS, .begun_ns = 1 } },
        { "came first, both light", { .used_ns = 60 * MS, .begun_ns = 1 },
            { .used_ns = 2 * MS, .begun_ns = 9 } },
        { "came first, of one class", { .used_ns = 900 * MS, .begun_ns = 1 },
            { .used_ns = 70 * MS, .begun_ns = 9 } },
        { "waited long", { .used_ns = 1000 * (int64_t)MS, .waited_ns = 8000 * (int64_t)MS,
            .begun_ns = 1 }, { .used_ns = 2 * MS, .begun_ns = 9 } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].name);
        EXPECT(slice_goes_before(&cases[i].a, &cases[i].b));
        EXPECT(!slice_goes_before(&cases[i].b, &cases[i].a));
    }
}

struct waiter {
    struct slice t;
    struct slices *all;
    int64_t used_ns, begun_ns;
    _Atomic int *turn;
    int had;
};

static void wait_for_turn(void *ctx)
{
    struct waiter *w = ctx;
    slice_begin(&w->t, w->all);
    w->t.used_ns = w->used_ns;
    w->t.begun_ns = w->begun_ns;
    busy(SLICE_NS);
    slice_take(&w->t, never_gone, NULL);
    w->had = atomic_fetch_add(w->turn, 1);
    slice_end(&w->t);
}

static unsigned waiting(struct slices *all)
{
    unsigned n = 0;
    mtx_lock(&all->mu);
    for (const struct slice *t = all->first; t; t = t->next) n++;
    mtx_unlock(&all->mu);
    return n;
}

/* One place, held by a query: the others have it in their order, not in that of their asking. */
TEST(turns_are_had_in_order)
{
    static const int64_t used_ns[] = { 30000000000, 1500000000, 1000000, 2000000000, 2000000 };
    static const int turn_of[] = { 4, 2, 0, 3, 1 };
    enum { N = ARRAY_LEN(used_ns) };
    struct slices all;
    struct slice holder;
    struct waiter w[N];
    struct thread *threads[N];
    _Atomic int turn = 0;
    slices_init(&all, 1);
    slice_begin(&holder, &all);
    busy(SLICE_NS);
    slice_take(&holder, never_gone, NULL);
    atomic_store(&holder.waits, true);         /* it is not taken from who stands still */
    for (int i = N; i-- > 0;) {
        w[i] = (struct waiter){
            .all = &all, .used_ns = used_ns[i], .begun_ns = i + 1, .turn = &turn
        };
        threads[i] = thread_start("waiter", wait_for_turn, &w[i]);
        while (waiting(&all) < (unsigned)(N - i)) busy(SLICE_NS);
    }
    slice_end(&holder);
    for (int i = 0; i < N; i++) thread_join(threads[i]);
    for (int i = 0; i < N; i++) EXPECT_EQ(w[i].had, turn_of[i]);
    slices_fini(&all);
}

/* Queries whose read hangs until the test lets it go. */
struct disk { struct mtx mu; struct cond changed; unsigned waiting; bool well; };
struct reading {
    struct slices *all;
    struct disk *disk;
    struct pool *threads;
    bool helped, had, lost, back;
    unsigned borrowed;
};

static void disk_init(struct disk *d)
{
    *d = (struct disk){ 0 };
    mtx_init(&d->mu, LOCK_LEAF);
    cond_init(&d->changed);
}

static void disk_fini(struct disk *d)
{
    cond_fini(&d->changed);
    mtx_fini(&d->mu);
}

static void disk_read(struct disk *d)
{
    mtx_lock(&d->mu);
    d->waiting++;
    cond_broadcast(&d->changed);
    while (!d->well) cond_wait(&d->changed, &d->mu);
    mtx_unlock(&d->mu);
}

static void disk_await(struct disk *d, unsigned waiting)
{
    mtx_lock(&d->mu);
    while (d->waiting < waiting) cond_wait(&d->changed, &d->mu);
    mtx_unlock(&d->mu);
}

static void disk_mend(struct disk *d)
{
    mtx_lock(&d->mu);
    d->well = true;
    cond_broadcast(&d->changed);
    mtx_unlock(&d->mu);
}

static bool slice_has(struct slice *t, bool places)
{
    mtx_lock(&t->all->mu);
    bool has = places ? t->placed || t->borrowed : t->placed;
    mtx_unlock(&t->all->mu);
    return has;
}

struct helping { struct slice *of; struct disk *disk; bool done; };

static void help_read(void *ctx)
{
    struct helping *w = ctx;
    struct slice_help h;
    slice_help_begin(w->of, &h);
    disk_read(w->disk);
    slice_help_end(w->of, &h);
    mtx_lock(&w->disk->mu);
    w->done = true;
    cond_broadcast(&w->disk->changed);
    mtx_unlock(&w->disk->mu);
}

static void help_await(struct helping *w)
{
    mtx_lock(&w->disk->mu);
    while (!w->done) cond_wait(&w->disk->changed, &w->disk->mu);
    mtx_unlock(&w->disk->mu);
}

/* Past its first slice it reads; by itself, or with a helper in a borrowed place. */
static void read_query(void *ctx)
{
    struct reading *r = ctx;
    struct slice t;
    slice_begin(&t, r->all);
    if (r->helped) {
        struct helping w = { &t, r->disk, false };
        r->borrowed = slice_borrow(&t, 1);
        EXPECT(pool_submit(r->threads, help_read, &w));
        disk_read(r->disk);
        help_await(&w);
    } else {
        busy(SLICE_NS);
        slice_take(&t, never_gone, NULL);
        r->had = slice_has(&t, false);
        disk_read(r->disk);
    }
    r->lost = !slice_has(&t, true);
    if (r->helped) slice_return(&t);
    busy(SLICE_NS);
    slice_take(&t, never_gone, NULL);
    r->back = slice_has(&t, false);
    slice_end(&t);
}

/* All places are with queries that hang: one that computes has one of theirs. When they go on they
 * ask for places anew. Had they kept them the query would wait until it is gone. */
static bool waits_too_long(void *end) { return clock_real_mono_ns() > *(int64_t *)end; }

static unsigned lend(struct reading *hung, bool helped)
{
    enum { LIMIT_S = 120 };
    struct slices all;
    struct disk d;
    struct slice t;
    struct pool *p = pool_new(
        &(struct pool_opts){ .name = "test", .threads = 2 * PLACES, .queue_max = 2 * PLACES });
    unsigned lost = 0;
    disk_init(&d);
    slices_init(&all, PLACES);
    for (int i = 0; i < PLACES; i++) {
        hung[i] = (struct reading){
            .all = &all, .disk = &d, .threads = p, .helped = helped
        };
        EXPECT(pool_submit(p, read_query, &hung[i]));
    }
    disk_await(&d, helped ? 2 * PLACES : PLACES);
    slice_begin(&t, &all);
    busy(SLICE_NS);
    int64_t end = clock_real_mono_ns() + (int64_t)LIMIT_S * 1000000000;
    slice_take(&t, waits_too_long, &end);
    EXPECT(slice_has(&t, false));
    slice_end(&t);                         /* before: so that nobody waits for a place any more */
    disk_mend(&d);
    pool_free(p);
    for (int i = 0; i < PLACES; i++) {
        lost += hung[i].lost;
        EXPECT(hung[i].back);
    }
    EXPECT_EQ(all.free, PLACES);
    EXPECT(!all.holders && !all.first);
    slices_fini(&all);
    disk_fini(&d);
    return lost;
}

TEST(slice_of_who_stands_still_is_lent_and_had_again)
{
    struct reading hung[PLACES];
    EXPECT(lend(hung, false) >= 1);
    for (int i = 0; i < PLACES; i++) EXPECT(hung[i].had);
}

TEST(slice_borrowed_for_helpers_that_stand_still_is_lent)
{
    struct reading hung[PLACES];
    EXPECT(lend(hung, true) >= 1);
    for (int i = 0; i < PLACES; i++) EXPECT_EQ(hung[i].borrowed, 1);
}

/* One place, given to a query whose thread has not been run since: who waits does not take it. It
 * would be in no list, and wait for ever. */
static void want_place(void *ctx)
{
    struct slice t;
    int64_t end = clock_real_mono_ns() + 3 * SLICE_STANDS_NS;
    slice_begin(&t, ctx);
    busy(SLICE_NS);
    slice_take(&t, waits_too_long, &end);
    slice_end(&t);
}

TEST(slice_that_has_not_woken_keeps_what_it_was_given)
{
    struct slices all;
    struct slice given;
    struct pool *p = pool_new(&(struct pool_opts){ .name = "test", .threads = 1, .queue_max = 1 });
    slices_init(&all, 1);
    slice_begin(&given, &all);
    busy(SLICE_NS);
    slice_take(&given, never_gone, NULL);
    atomic_store(&given.waits, true);
    EXPECT(pool_submit(p, want_place, &all));
    pool_free(p);                          /* this thread stands still until the other is gone */
    EXPECT(slice_has(&given, false));
    slice_end(&given);
    EXPECT_EQ(all.free, 1);
    slices_fini(&all);
}
