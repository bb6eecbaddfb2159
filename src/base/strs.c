#include "base/strs.h"

#include <stdlib.h>

int strs_order(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

void strs_sort(str *at, size_t n)
{
    if (n > 1) qsort(at, n, sizeof(*at), strs_order);
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

bool strs_has(const str *at, size_t n, str s)
{
    return n && bsearch(&s, at, n, sizeof(*at), strs_order);
}
