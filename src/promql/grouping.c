#include "promql/grouping.h"

#include "base/strs.h"

void grouping_init(
    struct grouping *g, struct query *q, bool without, struct strs names, const str *extra)
{
    *g = (struct grouping){ .q = q, .without = without };
    str *at = arena_array(q->arena, names.n + 2, sizeof(*at));
    for (size_t i = 0; i < names.n; i++) at[g->n_names++] = names.at[i];
    if (extra) at[g->n_names++] = *extra;
    if (without) at[g->n_names++] = METRIC_NAME;
    strs_sort(at, g->n_names);
    g->names = at;
    label_set_init(&g->set, q->arena);
}

void grouping_fini(struct grouping *g)
{
    label_set_fini(&g->set);
    vec_fini(&g->labels);
}

size_t grouping_of(struct grouping *g, struct labels l, bool *fresh)
{
    struct arena *a = &g->q->scratch;
    struct arena_mark m = arena_mark(a);
    struct labels key = { 0 };
    if (g->without) key = labels_without(a, l, g->names, g->n_names);
    else if (g->n_names) key = labels_only(a, l, g->names, g->n_names);
    size_t i = label_set_add(&g->set, key, fresh);
    if (*fresh) {
        struct label *at = arena_array(g->q->arena, key.n, sizeof(*at));
        if (key.n) memcpy(at, key.at, key.n * sizeof(*at));
        vec_push(&g->labels, ((struct labels){ at, key.n }));
    }
    arena_reset(a, m);
    return i;
}
