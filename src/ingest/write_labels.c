#include "ingest/write_labels.h"

#include "base/utf8.h"

enum { FEW = 32, RUN = 16 };

static void insert_sorted(struct label *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct label l = at[i];
        size_t k = i;
        for (; k > 0 && str_cmp(at[k - 1].name, l.name) > 0; k--) at[k] = at[k - 1];
        at[k] = l;
    }
}

static void merge(
    struct label *to, const struct label *x, size_t n, const struct label *y, size_t m)
{
    size_t i = 0, k = 0;
    while (i < n && k < m)
        *to++ = str_cmp(x[i].name, y[k].name) <= 0 ? x[i++] : y[k++];
    memcpy(to, x + i, (n - i) * sizeof(*x));
    memcpy(to + (n - i), y + k, (m - k) * sizeof(*y));
}

/* Many labels are rare: runs of RUN are merged, two by two, to and fro. */
static void merge_sorted(struct label *at, size_t n)
{
    struct label *other = mem_alloc(n * sizeof(*other)), *from = at, *to = other;
    for (size_t i = 0; i < n; i += RUN) insert_sorted(at + i, MIN(n - i, (size_t)RUN));
    for (size_t run = RUN; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            size_t x = MIN(n - i, run), y = MIN(n - i - x, run);
            merge(to + i, from + i, x, from + i + x, y);
        }
        struct label *was = from;
        from = to;
        to = was;
    }
    if (from != at) memcpy(at, from, n * sizeof(*at));
    mem_free(other);
}

void write_labels_sort(struct label *at, size_t n)
{
    if (n <= FEW) insert_sorted(at, n);
    else merge_sorted(at, n);
}

static bool all_valid(struct labels l)
{
    bool named = false;
    for (size_t i = 0; i < l.n; i++) {
        bool name = str_eq(l.at[i].name, METRIC_NAME);
        named |= name;
        if (!label_name_valid_utf8(l.at[i].name) || !utf8_valid(l.at[i].value)) return false;
        if (name && !l.at[i].value.n) return false;
    }
    return named;
}

struct write_labels write_labels_of(struct arena *a, struct label *at, size_t n)
{
    struct write_labels out = { .all = { at, n } };
    write_labels_sort(at, n);
    if (!all_valid(out.all)) {
        out.fault = WRITE_INVALID;
        return out;
    }
    size_t empty = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(at[i - 1].name, at[i].name)) {
            out.fault = WRITE_TWICE;
            out.twice = at[i].name;
            return out;
        }
        empty += at[i].value.n == 0;
    }
    out.kept = out.all;
    if (empty) {
        struct label *kept = arena_array(a, n - empty, sizeof(*kept));
        out.kept = (struct labels){ kept, 0 };
        for (size_t i = 0; i < n; i++)
            if (at[i].value.n) kept[out.kept.n++] = at[i];
    }
    return out;
}
