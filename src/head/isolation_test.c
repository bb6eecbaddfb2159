/* Isolation against the definition: a reader sees the samples of the commits that had ended when it
 * came, and of a series what lies behind one that it does not see is hidden, too. */
#include "head/isolation.h"

#include "base/test.h"
#include "base/vec.h"

enum { SLOTS = 3, COMMITS = 4, LOOKS = 40, STEPS = 20000 };

struct look {
    bool in;
    struct isolation_reader reader;
    VEC(uint64_t) open;                        /* commits that had not ended when it came */
};
struct world {
    struct store store;
    struct isolation isolation;
    struct slot slots[SLOTS];
    VEC(uint64_t) samples[SLOTS];              /* the commit of each, oldest first */
    struct isolation_batch open[COMMITS];
    unsigned n_open;
    struct look looks[LOOKS];
};

static void world_init(struct world *w, uint64_t last_id)
{
    *w = (struct world){ 0 };
    store_init(&w->store, 7200000, 120);
    isolation_init(&w->isolation);
    w->isolation.last_id = last_id;
}

static void world_end_commit(struct world *w, unsigned k)
{
    isolation_end(&w->isolation, w->open[k].id);
    w->open[k] = w->open[--w->n_open];
}

static void look_enter(struct world *w, struct look *l)
{
    isolation_enter(&w->isolation, &l->reader);
    l->in = true;
    l->open.n = 0;
    for (unsigned k = 0; k < w->n_open; k++) vec_push(&l->open, w->open[k].id);
}

static void look_leave(struct world *w, struct look *l)
{
    isolation_leave(&w->isolation, &l->reader);
    l->in = false;
}

static void world_fini(struct world *w)
{
    for (unsigned k = 0; k < LOOKS; k++) {
        if (w->looks[k].in) look_leave(w, &w->looks[k]);
        vec_fini(&w->looks[k].open);
    }
    while (w->n_open) world_end_commit(w, 0);
    for (unsigned k = 0; k < SLOTS; k++) {
        isolation_forget(&w->store, &w->slots[k]);
        vec_fini(&w->samples[k]);
    }
    EXPECT_EQ(w->store.ids.n_live, 0);
    isolation_fini(&w->isolation);
    store_fini(&w->store);
}

static bool look_sees(const struct look *l, uint64_t id)
{
    for (size_t k = 0; k < l->open.n; k++)
        if (l->open.at[k] == id) return false;
    return id <= l->reader.max_id;
}

static void expect_hidden(struct world *w, unsigned slot)
{
    for (unsigned k = 0; k < LOOKS; k++) {
        const struct look *l = &w->looks[k];
        size_t i = 0, n = w->samples[slot].n;
        if (!l->in) continue;
        while (i < n && look_sees(l, w->samples[slot].at[i])) i++;
        EXPECT_EQ(isolation_hidden(&w->store, &w->slots[slot], &l->reader), n - i);
    }
}

static void note(struct world *w, unsigned slot, const struct isolation_batch *b)
{
    isolation_note(&w->store, &w->slots[slot], b);
    vec_push(&w->samples[slot], b->id);
}

static void random_step(struct world *w, struct prng *r, unsigned looks)
{
    struct look *l = &w->looks[prng_below(r, looks)];
    unsigned slot = (unsigned)prng_below(r, SLOTS);
    switch (prng_below(r, 9)) {
    case 0:
        if (l->in) look_leave(w, l);
        else look_enter(w, l);
        break;
    case 1: case 2:
        if (w->n_open < COMMITS) isolation_begin(&w->isolation, &w->open[w->n_open++]);
        break;
    case 3: case 4:
        if (w->n_open) world_end_commit(w, (unsigned)prng_below(r, w->n_open));
        break;
    case 5:
        isolation_forget_seen(&w->store, &w->slots[slot], isolation_low(&w->isolation));
        expect_hidden(w, slot);
        break;
    default:
        if (w->n_open) note(w, slot, &w->open[prng_below(r, w->n_open)]);
        expect_hidden(w, slot);
    }
}

TEST(readers_see_what_had_ended_when_they_came)
{
    static const struct {
        const char *name;
        uint64_t last_id;
        unsigned looks;
    } cases[] = {
        { "one reader", 0, 1 },
        { "a few", 0, 5 },
        { "more than a batch remembers one by one", 0, LOOKS },
        { "ids pass 2^31", (1ull << 31) - STEPS / 10, 5 },
        { "ids pass 2^32 from behind it", (1ull << 32) + 1, 5 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = mem_alloc(sizeof(*w));
        struct prng r = { test_seed() };
        test_case(cases[i].name);
        world_init(w, cases[i].last_id);
        for (unsigned k = 0; k < STEPS; k++) {
            random_step(w, &r, cases[i].looks);
            /* a series of the head has as many as fit into what is not collected: so do these */
            if (k % 1000 == 999)
                for (unsigned s = 0; s < SLOTS; s++) {
                    isolation_forget(&w->store, &w->slots[s]);
                    w->samples[s].n = 0;
                }
        }
        world_fini(w);
        mem_free(w);
    }
}

static unsigned chain_length(const struct world *w, unsigned slot)
{
    unsigned n = 0;
    for (uint32_t i = w->slots[slot].older_ids; i;
         i = ((struct batch_id *)slab_at(&w->store.ids, i))->next)
        n++;
    return n;
}

static void commit_one(struct world *w, unsigned slot)
{
    struct isolation_batch b;
    isolation_begin(&w->isolation, &b);
    note(w, slot, &b);
    isolation_end(&w->isolation, b.id);
}

/* What comes beside a query that takes long costs as much as beside a short one. */
TEST(a_long_query_keeps_no_batch_apart)
{
    enum { BATCHES = 5000, MOST = 8 };
    struct world *w = mem_alloc(sizeof(*w));
    world_init(w, 0);
    commit_one(w, 0);
    look_enter(w, &w->looks[0]);
    for (unsigned k = 0; k < BATCHES; k++) {
        commit_one(w, 0);
        /* short ones come and go */
        if (w->looks[1].in) look_leave(w, &w->looks[1]);
        else look_enter(w, &w->looks[1]);
        EXPECT(chain_length(w, 0) <= MOST);
    }
    expect_hidden(w, 0);
    EXPECT_EQ(isolation_hidden(&w->store, &w->slots[0], &w->looks[0].reader), BATCHES);
    world_fini(w);
    mem_free(w);
}
