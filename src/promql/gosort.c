/* The order of equal elements under an unstable sort is part of what users see (topk, sort), so the
 * algorithm is fixed: pattern-defeating quicksort (Orson Peters) with insertion sort up to 12
 * elements, median of three or Tukey's ninther, breaking of patterns by a xorshift seeded with the
 * length, and heap sort when the recursion has seen too many bad pivots. */
#include "promql/gosort.h"

struct sorting { const struct gosort_ops *ops; void *ctx; };
enum sort_hint { HINT_UNKNOWN, HINT_INCREASING, HINT_DECREASING };

static inline bool sort_less(const struct sorting *s, size_t i, size_t j)
{
    return s->ops->less(s->ctx, i, j);
}
static inline void sort_swap(const struct sorting *s, size_t i, size_t j)
{
    s->ops->swap(s->ctx, i, j);
}

static void sort_insertion(const struct sorting *s, size_t a, size_t b)
{
    for (size_t i = a + 1; i < b; i++)
        for (size_t j = i; j > a && sort_less(s, j, j - 1); j--) sort_swap(s, j, j - 1);
}

static void sort_sift_down(const struct sorting *s, size_t lo, size_t hi, size_t first)
{
    for (size_t root = lo;;) {
        size_t child = 2 * root + 1;
        if (child >= hi) return;
        if (child + 1 < hi && sort_less(s, first + child, first + child + 1)) child++;
        if (!sort_less(s, first + root, first + child)) return;
        sort_swap(s, first + root, first + child);
        root = child;
    }
}

static void sort_heap(const struct sorting *s, size_t a, size_t b)
{
    size_t n = b - a;
    for (size_t i = (n - 1) / 2 + 1; i-- > 0;) sort_sift_down(s, i, n, a);
    for (size_t i = n; i-- > 0;) {
        sort_swap(s, a, a + i);
        sort_sift_down(s, 0, i, a);
    }
}

static size_t sort_median(const struct sorting *s, size_t a, size_t b, size_t c, int *swaps)
{
    size_t t;
    if (sort_less(s, b, a)) { ++*swaps; t = a; a = b; b = t; }
    if (sort_less(s, c, b)) { ++*swaps; t = b; b = c; c = t; }
    if (sort_less(s, b, a)) { ++*swaps; t = a; a = b; b = t; }
    return b;
}

static size_t sort_choose_pivot(const struct sorting *s, size_t a, size_t b, enum sort_hint *hint)
{
    enum { NINTHER_FROM = 50, MAX_SWAPS = 4 * 3 };
    size_t l = b - a, i = a + l / 4, j = a + l / 4 * 2, k = a + l / 4 * 3;
    int swaps = 0;
    if (l >= 8) {
        if (l >= NINTHER_FROM) {
            i = sort_median(s, i - 1, i, i + 1, &swaps);
            j = sort_median(s, j - 1, j, j + 1, &swaps);
            k = sort_median(s, k - 1, k, k + 1, &swaps);
        }
        j = sort_median(s, i, j, k, &swaps);
    }
    *hint = swaps == 0 ? HINT_INCREASING : swaps == MAX_SWAPS ? HINT_DECREASING : HINT_UNKNOWN;
    return j;
}

static void sort_reverse(const struct sorting *s, size_t a, size_t b)
{
    for (size_t i = a, j = b - 1; i < j; i++, j--) sort_swap(s, i, j);
}

static unsigned sort_bit_len(size_t n) { return n ? 64 - (unsigned)__builtin_clzll(n) : 0; }

static void sort_break_patterns(const struct sorting *s, size_t a, size_t b)
{
    size_t length = b - a;
    if (length < 8) return;
    uint64_t random = length, modulus = (uint64_t)1 << sort_bit_len(length);
    size_t idx = a + length / 4 * 2 - 1;
    for (size_t i = 0; i < 3; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t other = (size_t)(random & (modulus - 1));
        if (other >= length) other -= length;
        sort_swap(s, idx + i, a + other);
    }
}

/* True: [a, b) is sorted. Tries a few steps of insertion sort on what looks nearly sorted. */
static bool sort_partial_insertion(const struct sorting *s, size_t a, size_t b)
{
    enum { MAX_STEPS = 5, SHORTEST_SHIFTING = 50 };
    size_t i = a + 1;
    for (int j = 0; j < MAX_STEPS; j++) {
        while (i < b && !sort_less(s, i, i - 1)) i++;
        if (i == b) return true;
        if (b - a < SHORTEST_SHIFTING) return false;
        sort_swap(s, i, i - 1);
        if (i - a >= 2)
            for (size_t k = i - 1; k >= 1 && sort_less(s, k, k - 1); k--) sort_swap(s, k, k - 1);
        if (b - i >= 2)
            for (size_t k = i + 1; k < b && sort_less(s, k, k - 1); k++) sort_swap(s, k, k - 1);
    }
    return false;
}

static size_t sort_partition_equal(const struct sorting *s, size_t a, size_t b, size_t pivot)
{
    sort_swap(s, a, pivot);
    size_t i = a + 1, j = b - 1;
    for (;;) {
        while (i <= j && !sort_less(s, a, i)) i++;
        while (i <= j && sort_less(s, a, j)) j--;
        if (i > j) return i;
        sort_swap(s, i, j);
        i++;
        j--;
    }
}

static size_t sort_partition(
    const struct sorting *s, size_t a, size_t b, size_t pivot, bool *was_partitioned)
{
    sort_swap(s, a, pivot);
    size_t i = a + 1, j = b - 1;
    *was_partitioned = true;
    for (;;) {
        while (i <= j && sort_less(s, i, a)) i++;
        while (i <= j && !sort_less(s, j, a)) j--;
        if (i > j) break;
        *was_partitioned = false;
        sort_swap(s, i, j);
        i++;
        j--;
    }
    sort_swap(s, j, a);
    return j;
}

static void sort_pdq(const struct sorting *s, size_t a, size_t b, unsigned limit)
{
    enum { INSERTION_MAX = 12 };
    bool was_balanced = true, was_partitioned = true;
    for (;;) {
        size_t length = b - a;
        if (length <= INSERTION_MAX) {
            sort_insertion(s, a, b);
            return;
        }
        if (limit == 0) {
            sort_heap(s, a, b);
            return;
        }
        if (!was_balanced) {
            sort_break_patterns(s, a, b);
            limit--;
        }
        enum sort_hint hint;
        size_t pivot = sort_choose_pivot(s, a, b, &hint);
        if (hint == HINT_DECREASING) {
            sort_reverse(s, a, b);
            pivot = b - 1 - (pivot - a);
            hint = HINT_INCREASING;
        }
        if (was_balanced && was_partitioned && hint == HINT_INCREASING &&
            sort_partial_insertion(s, a, b))
            return;
        if (a > 0 && !sort_less(s, a - 1, pivot)) {
            a = sort_partition_equal(s, a, b, pivot);
            continue;
        }
        size_t mid = sort_partition(s, a, b, pivot, &was_partitioned);
        size_t left = mid - a, right = b - mid, threshold = length / 8;
        if (left < right) {
            was_balanced = left >= threshold;
            sort_pdq(s, a, mid, limit);
            a = mid + 1;
        } else {
            was_balanced = right >= threshold;
            sort_pdq(s, mid + 1, b, limit);
            b = mid;
        }
    }
}

void gosort(const struct gosort_ops *ops, void *ctx, size_t n)
{
    struct sorting s = { ops, ctx };
    sort_pdq(&s, 0, n, sort_bit_len(n));
}

void goheap_up(const struct gosort_ops *ops, void *ctx, size_t j)
{
    while (j > 0) {
        size_t parent = (j - 1) / 2;
        if (!ops->less(ctx, j, parent)) return;
        ops->swap(ctx, parent, j);
        j = parent;
    }
}

/* heap.Fix(h, 0): down from the root; nothing above it to go up to. */
void goheap_fix_root(const struct gosort_ops *ops, void *ctx, size_t n)
{
    for (size_t i = 0;;) {
        size_t left = 2 * i + 1, least = left;
        if (left >= n) return;
        if (left + 1 < n && ops->less(ctx, left + 1, left)) least = left + 1;
        if (!ops->less(ctx, least, i)) return;
        ops->swap(ctx, i, least);
        i = least;
    }
}
