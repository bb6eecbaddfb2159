#include "base/strs.h"

#include <stdlib.h>

int strs_order(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

/* Lists of blocks and indexes mostly come in order. */
void strs_sort(str *at, size_t n)
{
    size_t i = 1;
    while (i < n && str_cmp(at[i - 1], at[i]) <= 0) i++;
    if (i < n) qsort(at, n, sizeof(*at), strs_order);
}

size_t strs_sort_unique(str *at, size_t n)
{
    size_t left = 0;
    strs_sort(at, n);
    for (size_t i = 0; i < n; i++)
        if (!left || !str_eq(at[left - 1], at[i])) at[left++] = at[i];
    return left;
}

bool strs_finish(str_list *l, size_t limit)
{
    size_t n = strs_sort_unique(l->at, l->n);
    l->n = limit ? MIN(n, limit) : n;
    return l->n < n;
}

size_t strs_join(str *out, const str *a, size_t a_n, const str *b, size_t b_n)
{
    size_t n = 0;
    while (a_n && b_n) {
        int order = str_cmp(*a, *b);
        out[n++] = order <= 0 ? *a : *b;
        if (order <= 0) a++, a_n--;
        if (order >= 0) b++, b_n--;
    }
    if (a_n) memcpy(out + n, a, a_n * sizeof(*a));
    if (b_n) memcpy(out + n, b, b_n * sizeof(*b));
    return n + a_n + b_n;
}

bool strs_has(const str *at, size_t n, str s)
{
    return n && bsearch(&s, at, n, sizeof(*at), strs_order);
}
