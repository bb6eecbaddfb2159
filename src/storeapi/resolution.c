#include "storeapi/resolution.h"

#include "base/mem.h"

#include <stdlib.h>

/* Parts of the same stream, in their order. */
struct group {
    const struct store_part **at;
    size_t n;
    const struct store_part *first;            /* of all parts */
    bool *wanted;
};

/* The coarsest that there is of those that will do; -1: none will. */
static int64_t coarsest(const struct group *g, int64_t window_ms)
{
    int64_t best = -1;
    for (size_t i = 0; i < g->n; i++) {
        int64_t every = g->at[i]->resolution_ms;
        if (every <= window_ms) best = MAX(best, every);
    }
    return best;
}

/* As deep as there are resolutions. */
static void cover(const struct group *g, struct interval asked, int64_t window_ms)
{
    int64_t every = coarsest(g, window_ms), from = asked.mint;
    bool whole = false;                        /* up to the end */
    for (size_t i = 0; every >= 0 && i < g->n; i++) {
        const struct store_part *p = g->at[i];
        if (p->resolution_ms != every || p->maxt < asked.mint || p->mint > asked.maxt) continue;
        if (every > 0 && !whole && p->mint > from)
            cover(g, (struct interval){ from, p->mint - 1 }, every - 1);
        g->wanted[p - g->first] = true;
        if (p->maxt >= asked.maxt) whole = true;
        else from = MAX(from, p->maxt + 1);
    }
    if (every > 0 && !whole) cover(g, (struct interval){ from, asked.maxt }, every - 1);
}

static int by_stream(const void *a, const void *b)
{
    const struct store_part *const *x = a, *const *y = b;
    int order = labels_cmp((*x)->stream, (*y)->stream);
    return order ? order : (*x > *y) - (*x < *y);
}

void parts_by_resolution(
    const store_parts *parts, struct interval asked, int64_t window_ms, bool *wanted)
{
    bool any = false;
    for (size_t i = 0; i < parts->n; i++) any |= parts->at[i].resolution_ms > 0;
    for (size_t i = 0; i < parts->n; i++) wanted[i] = !any || parts->at[i].unknown;
    if (!any) return;
    const struct store_part **all = mem_alloc_array(parts->n, sizeof(*all));
    for (size_t i = 0; i < parts->n; i++) all[i] = &parts->at[i];
    qsort(all, parts->n, sizeof(*all), by_stream);
    for (size_t i = 0, n; i < parts->n; i += n) {
        for (n = 1; i + n < parts->n && labels_eq(all[i]->stream, all[i + n]->stream);) n++;
        cover(&(struct group){ all + i, n, parts->at, wanted }, asked, MAX(window_ms, 0));
    }
    mem_free(all);
}
