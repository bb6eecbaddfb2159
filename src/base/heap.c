#include "base/heap.h"

static void swap(heap *h, size_t i, size_t j)
{
    void *was = h->at[i];
    h->at[i] = h->at[j];
    h->at[j] = was;
}

void heap_push(heap *h, heap_less less, void *x)
{
    vec_push(h, x);
    for (size_t j = h->n - 1; j > 0;) {
        size_t parent = (j - 1) / 2;
        if (!less(h->at[j], h->at[parent])) return;
        swap(h, parent, j);
        j = parent;
    }
}

void *heap_pop(heap *h, heap_less less)
{
    assert(h->n > 0);
    size_t n = h->n - 1;
    swap(h, 0, n);
    for (size_t i = 0, j; (j = 2 * i + 1) < n; i = j) {
        if (j + 1 < n && less(h->at[j + 1], h->at[j])) j++;
        if (!less(h->at[j], h->at[i])) break;
        swap(h, i, j);
    }
    return h->at[--h->n];
}
