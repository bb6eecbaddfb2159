/* What changed, beside commits: who finds that nothing did has what everybody has who looks. */
#include "head/isolation.h"

#include "base/prng.h"
#include "base/test.h"
#include "io/thread.h"

/* Of a place as many samples as commits were shown of it; of commits, two at a time. */
enum { PLACES = 8, ROUNDS = 20000, LOOKERS = 3, WRITERS = 2 };
static struct {
    struct changes c;
    struct isolation isolation;
    _Atomic uint64_t ids[PLACES][ROUNDS];      /* of commits, in the order of their samples */
    _Atomic uint32_t n[PLACES];
    _Atomic bool over;
    _Atomic int wrong, kept;
} shown;

static int64_t place_time(unsigned k) { return (int64_t)k << CHANGES_FINE_BITS; }

static bool is_seen(const struct isolation_reader *r, uint64_t id)
{
    if (!id || id > r->max_id) return false;
    for (unsigned i = 0; i < r->n_open; i++)
        if (r->open[i] == id) return false;
    return true;
}

/* How many samples of a place are seen, by who comes now. */
static uint32_t look(unsigned k)
{
    struct isolation_reader r;
    uint32_t seen = 0;
    isolation_enter(&shown.isolation, &r);
    uint32_t n = atomic_load_explicit(&shown.n[k], memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) seen += is_seen(&r, atomic_load(&shown.ids[k][i]));
    isolation_leave(&shown.isolation, &r);
    return seen;
}

static void looker(void *arg)
{
    struct prng r = { (uintptr_t)arg };
    uint64_t since[PLACES];
    uint32_t had[PLACES];
    for (unsigned k = 0; k < PLACES; k++) {
        since[k] = changes_last(&shown.c);
        had[k] = look(k);
    }
    while (!atomic_load(&shown.over)) {
        unsigned k = (unsigned)prng_below(&r, PLACES);
        uint32_t now = look(k);
        int64_t t = place_time(k);
        if (changes_first(&shown.c, since[k], t, t) == INT64_MAX) {
            if (had[k] != now) atomic_fetch_add(&shown.wrong, 1);
            atomic_fetch_add(&shown.kept, 1);
            continue;
        }
        since[k] = changes_last(&shown.c);
        had[k] = look(k);
    }
}

static void writer(void *arg)
{
    struct prng r = { (uintptr_t)arg };
    for (int i = 0; i < ROUNDS / (WRITERS * 8); i++) {
        unsigned k = (unsigned)prng_below(&r, PLACES);
        struct isolation_batch b;
        isolation_begin(&shown.isolation, &b);
        uint32_t at = atomic_fetch_add(&shown.n[k], 1);
        atomic_store(&shown.ids[k][at], b.id);
        isolation_show(&shown.isolation, b.id, &shown.c, place_time(k), place_time(k));
    }
}

TEST(changes_beside_commits_are_never_missed)
{
    struct thread *lookers[LOOKERS], *writers[WRITERS];
    changes_init(&shown.c);
    isolation_init(&shown.isolation);
    for (size_t i = 0; i < LOOKERS; i++)
        lookers[i] = thread_start("looker", looker, (void *)(uintptr_t)(test_seed() + i));
    for (size_t i = 0; i < WRITERS; i++)
        writers[i] = thread_start("writer", writer, (void *)(uintptr_t)(test_seed() + 77 + i));
    for (size_t i = 0; i < WRITERS; i++) thread_join(writers[i]);
    int kept = atomic_load(&shown.kept);
    while (atomic_load(&shown.kept) == kept) (void)look(0);
    atomic_store(&shown.over, true);
    for (size_t i = 0; i < LOOKERS; i++) thread_join(lookers[i]);
    EXPECT_EQ(atomic_load(&shown.wrong), 0);
    isolation_fini(&shown.isolation);
    changes_fini(&shown.c);
}
