#include "block/postings.h"

enum { GALLOP_RATIO = 16, RADIX_BITS = 11 };   /* a list that much longer is searched, not walked */

errc postings_from_be(postings_list *out, str refs_be, struct err *e)
{
    assert(refs_be.n % 4 == 0);
    size_t n = refs_be.n / 4;
    vec_reserve(out, out->n + n);
    uint32_t *at = out->at + out->n;
    for (size_t i = 0; i < n; i++) {
        memcpy(&at[i], refs_be.p + 4 * i, 4);
        at[i] = __builtin_bswap32(at[i]);
    }
    uint32_t wrong = 0;                        /* of as many bits as the refs: several at once */
    for (size_t i = 1; i < n; i++) wrong |= at[i] <= at[i - 1];
    if (wrong) return err_set(e, ERR_CORRUPT, "postings: refs do not ascend");
    out->n += n;
    return OK;
}

/* The first place at or after `from` with a ref >= want: steps that double, then halves. */
static size_t seek(const postings_list *v, size_t from, uint32_t want)
{
    size_t step = 1, lo = from;
    while (lo + step < v->n && v->at[lo + step] < want) {
        lo += step;
        step *= 2;
    }
    size_t hi = MIN(lo + step, v->n);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v->at[mid] < want) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Where `want` is or would be, walking or searching. */
static size_t advance(const postings_list *v, size_t at, uint32_t want, bool gallop)
{
    if (gallop) return seek(v, at, want);
    while (at < v->n && v->at[at] < want) at++;
    return at;
}

void postings_intersect(postings_list *a, const postings_list *b)
{
    size_t n = 0, i = 0, j = 0;
    bool gallop_b = b->n / GALLOP_RATIO > a->n, gallop_a = a->n / GALLOP_RATIO > b->n;
    while (i < a->n && j < b->n) {
        uint32_t x = a->at[i], y = b->at[j];
        if (x == y) {
            a->at[n++] = x;
            i++, j++;
        } else if (x < y) {
            i = advance(a, i, y, gallop_a);
        } else {
            j = advance(b, j, x, gallop_b);
        }
    }
    a->n = n;
}

bool postings_disjoint(const postings_list *a, const postings_list *b)
{
    size_t i = 0, j = 0;
    bool gallop_b = b->n / GALLOP_RATIO > a->n, gallop_a = a->n / GALLOP_RATIO > b->n;
    while (i < a->n && j < b->n) {
        if (a->at[i] == b->at[j]) return false;
        if (a->at[i] < b->at[j]) i = advance(a, i, b->at[j], gallop_a);
        else j = advance(b, j, a->at[i], gallop_b);
    }
    return true;
}

void postings_subtract(postings_list *a, const postings_list *b)
{
    size_t n = 0, j = 0;
    bool gallop = b->n / GALLOP_RATIO > a->n;
    for (size_t i = 0; i < a->n; i++) {
        j = advance(b, j, a->at[i], gallop);
        if (j == b->n || b->at[j] != a->at[i]) a->at[n++] = a->at[i];
    }
    a->n = n;
}

static bool ascends(const postings_list *v)
{
    for (size_t i = 1; i < v->n; i++)
        if (v->at[i] <= v->at[i - 1]) return false;
    return true;
}

/* Three passes of 11 bits, least significant first. */
void postings_sort(postings_list *v)
{
    if (ascends(v)) return;
    uint32_t *room = mem_alloc_array(v->n, sizeof(*room)), *from = v->at, *to = room;
    for (unsigned shift = 0; shift < 32; shift += RADIX_BITS) {
        size_t at[(1 << RADIX_BITS) + 1] = { 0 };
        unsigned mask = (1 << RADIX_BITS) - 1;
        for (size_t i = 0; i < v->n; i++) at[(from[i] >> shift & mask) + 1]++;
        for (size_t i = 1; i <= mask; i++) at[i] += at[i - 1];
        for (size_t i = 0; i < v->n; i++) to[at[from[i] >> shift & mask]++] = from[i];
        uint32_t *was = from;
        from = to;
        to = was;
    }
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (!n || from[i] != v->at[n - 1]) v->at[n++] = from[i];
    v->n = n;
    mem_free(room);
}
