#include "base/heap.h"

#include "base/test.h"

struct item { int key, place; };
static bool item_less(const void *a, const void *b)
{
    return ((const struct item *)a)->key < ((const struct item *)b)->key;
}

TEST(heap_gives_the_least)
{
    struct prng rng = { test_seed() };
    struct item items[200];
    heap h = { 0 };
    for (int i = 0; i < 200; i++) {
        items[i] = (struct item){ (int)prng_below(&rng, 50), i };
        heap_push(&h, item_less, &items[i]);
    }
    int last = -1;
    while (h.n) {
        struct item *x = heap_pop(&h, item_less);
        EXPECT(x->key >= last);
        last = x->key;
    }
    vec_fini(&h);
}

/* As container/heap: the last element takes the place of the first. */
TEST(heap_order_of_equals)
{
    struct item items[] = { { 1, 0 }, { 1, 1 }, { 1, 2 }, { 1, 3 } };
    static const int want[] = { 0, 3, 2, 1 };
    heap h = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(items); i++) heap_push(&h, item_less, &items[i]);
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        EXPECT_EQ(((struct item *)heap_pop(&h, item_less))->place, want[i]);
    vec_fini(&h);
}
