/* map_test.c — random operations beside a naive twin, with few hashes, so that chains and removals
 * meet. */
#include "base/map.h"

#include "base/test.h"

enum { KEYS = 200, STEPS = 20000 };
struct thing { uint64_t key; bool in; };

static bool same_key(const void *val, const void *key)
{
    return ((const struct thing *)val)->key == *(const uint64_t *)key;
}

static void model_run(uint64_t hashes)
{
    struct prng r = { test_seed() + hashes };
    struct thing all[KEYS];
    struct map m = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++) all[i] = (struct thing){ i, false };
    for (size_t step = 0; step < STEPS; step++) {
        struct thing *x = &all[prng_below(&r, KEYS)];
        uint64_t hash = (x->key % hashes) * 0x9e3779b97f4a7c15u;
        EXPECT(map_find(&m, hash, same_key, &x->key) == (x->in ? x : NULL));
        /* it grows for a while, then shrinks */
        bool put = prng_below(&r, 100) < (step / 1000 % 2 ? 35u : 65u);
        if (put && !x->in) {
            map_put(&m, hash, x);
            x->in = true;
            n++;
        } else if (!put) {
            EXPECT(map_remove(&m, hash, same_key, &x->key) == (x->in ? x : NULL));
            n -= x->in;
            x->in = false;
        }
        EXPECT_EQ(m.n, n);
    }
    size_t seen = 0;
    const struct thing *x;
    for (size_t i = 0; (x = map_next(&m, &i)) != NULL; seen++) EXPECT(x->in);
    EXPECT_EQ(seen, n);
    map_clear(&m);
    EXPECT(m.n == 0 && !map_find(&m, 0, same_key, &all[0].key));
    map_fini(&m);
}

TEST(map_one_chain) { model_run(1); }
TEST(map_few_hashes) { model_run(7); }
TEST(map_own_hashes) { model_run(KEYS); }

TEST(map_hash_is_the_key)
{
    struct map m = { 0 };
    int a, b;
    EXPECT(map_find(&m, 5, NULL, NULL) == NULL && map_remove(&m, 5, NULL, NULL) == NULL);
    map_put(&m, 5, &a);
    map_put(&m, 0, &b);
    EXPECT(map_find(&m, 5, NULL, NULL) == &a && map_find(&m, 0, NULL, NULL) == &b);
    EXPECT(map_remove(&m, 5, NULL, NULL) == &a && map_find(&m, 5, NULL, NULL) == NULL);
    map_fini(&m);
}
