#include "storage/merge.h"

#include "base/heap.h"
#include "storage/merge_iter.h"

struct merge_querier { struct querier base; struct arena arena; struct querier **all; size_t n; };

/* Series. */

struct merge_series { struct series base; struct series *const *sources; size_t n; };

static errc series_iterate(struct series *base, struct sample_iter **it, struct err *e)
{
    struct merge_series *s = CONTAINER_OF(base, struct merge_series, base);
    const struct series_ops *ops = s->sources[0]->ops;
    if (ops->chain && ops->chain(s->sources, s->n, it)) return OK;
    return merge_iter_open(it, s->sources, s->n, e);
}
static const struct series_ops merge_series_ops = { .iterate = series_iterate };

/* Sources wait in a heap by the labels of their current series; those that gave the last one are
 * read on when the next is wanted. */
struct merge_source { struct series_set *set; struct series *cur; };
struct merge_set {
    struct series_set base;
    struct arena *arena;                       /* the querier's */
    VEC(struct merge_source) all;
    heap waiting;
    /* no heap: in the order in which they came out of it */
    heap given_by;
    size_t limit, given;
};

static bool before(const void *a, const void *b)
{
    const struct merge_source *x = a, *y = b;
    return labels_cmp(x->cur->labels, y->cur->labels) < 0;
}

static errc read_on(struct merge_set *s, struct merge_source *x, struct err *e)
{
    TRY(x->set->ops->next(x->set, &x->cur, e));
    if (x->cur) heap_push(&s->waiting, before, x);
    return OK;
}

static struct series *series_of(struct merge_set *s)
{
    size_t n = s->given_by.n;
    struct series *first = ((struct merge_source *)s->given_by.at[0])->cur;
    if (n == 1) return first;
    struct merge_series *m = ANEW(s->arena, struct merge_series);
    struct series **sources = arena_array(s->arena, n, sizeof(*sources));
    for (size_t i = 0; i < n; i++) sources[i] = ((struct merge_source *)s->given_by.at[i])->cur;
    *m = (struct merge_series){
        .base = { first->labels, first->ref, &merge_series_ops }, .sources = sources, .n = n
    };
    return &m->base;
}

static errc set_next(struct series_set *base, struct series **out, struct err *e)
{
    struct merge_set *s = CONTAINER_OF(base, struct merge_set, base);
    *out = NULL;
    if (s->limit && s->given == s->limit) return OK;
    for (size_t i = 0; i < s->given_by.n; i++) TRY(read_on(s, s->given_by.at[i], e));
    s->given_by.n = 0;
    if (!s->waiting.n) return OK;
    struct labels labels = ((struct merge_source *)s->waiting.at[0])->cur->labels;
    while (
        s->waiting.n && labels_eq(((struct merge_source *)s->waiting.at[0])->cur->labels, labels))
        vec_push(&s->given_by, heap_pop(&s->waiting, before));
    s->given++;
    *out = series_of(s);
    return OK;
}

static void set_free(struct series_set *base)
{
    struct merge_set *s = CONTAINER_OF(base, struct merge_set, base);
    for (size_t i = 0; i < s->all.n; i++) series_set_free(s->all.at[i].set);
    vec_fini(&s->all);
    vec_fini(&s->waiting);
    vec_fini(&s->given_by);
    mem_free(s);
}
static const struct series_set_ops merge_set_ops = { .next = set_next, .free = set_free };

static errc querier_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
    struct select_hints sorted =
        h ? *h : (struct select_hints){ .start = INT64_MIN, .end = INT64_MAX };
    sorted.sorted = true;
    struct merge_set *s = NEW(struct merge_set);
    s->base.ops = &merge_set_ops;
    s->arena = &q->arena;
    s->limit = sorted.limit;
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < q->n; i++) {
        struct merge_source x = { 0 };
        rc = q->all[i]->ops->select(q->all[i], ms, &sorted, &x.set, e);
        if (rc == OK) vec_push(&s->all, x);
    }
    for (size_t i = 0; rc == OK && i < s->all.n; i++) rc = read_on(s, &s->all.at[i], e);
    if (rc != OK) {
        set_free(&s->base);
        return rc;
    }
    *out = &s->base;
    return OK;
}

/* Label names and values: sorted lists, joined two at a time. */

typedef errc (*list_fn)(struct querier *q, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e);

static errc values_of(struct querier *q, str name, struct matchers ms, size_t limit, str_list *out,
    bool *truncated, struct err *e)
{
    return q->ops->label_values(q, name, ms, limit, out, truncated, e);
}

static errc names_of(struct querier *q, str name, struct matchers ms, size_t limit, str_list *out,
    bool *truncated, struct err *e)
{
    (void)name;
    return q->ops->label_names(q, ms, limit, out, truncated, e);
}

static void join(str_list *to, const str_list *a, const str_list *b)
{
    size_t i = 0, k = 0;
    to->n = 0;
    while (i < a->n || k < b->n) {
        int order = i == a->n ? 1 : k == b->n ? -1 : str_cmp(a->at[i], b->at[k]);
        vec_push(to, order <= 0 ? a->at[i] : b->at[k]);
        i += order <= 0;
        k += order >= 0;
    }
}

static errc lists(struct merge_querier *q, list_fn of, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    str_list one = { 0 }, joined = { 0 };
    errc rc = OK;
    out->n = 0;
    *truncated = false;
    for (size_t i = 0; rc == OK && i < q->n; i++) {
        bool cut = false;
        one.n = 0;
        rc = of(q->all[i], name, ms, limit, &one, &cut, e);
        if (rc != OK) break;
        *truncated |= cut;
        join(&joined, out, &one);
        str_list was = *out;
        *out = joined;
        joined = was;
    }
    vec_fini(&one);
    vec_fini(&joined);
    if (limit && out->n > limit) {
        out->n = limit;
        *truncated = true;
    }
    return rc;
}

static errc querier_label_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    return lists(CONTAINER_OF(base, struct merge_querier, base), values_of, name, ms, limit, out,
        truncated, e);
}

static errc querier_label_names(struct querier *base, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    return lists(CONTAINER_OF(base, struct merge_querier, base), names_of, STR_EMPTY, ms, limit,
        out, truncated, e);
}

static void merge_free(struct querier *base)
{
    struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
    for (size_t i = 0; i < q->n; i++) querier_free(q->all[i]);
    arena_fini(&q->arena);
    mem_free(q);
}

static void querier_warn(struct querier *base, str_list *out)
{
    struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
    for (size_t i = 0; i < q->n; i++) querier_warnings(q->all[i], out);
}

static const struct querier_ops merge_querier_ops = { querier_select, querier_label_values,
    querier_label_names, merge_free, querier_warn };

struct querier *merge_querier(struct querier *const *all, size_t n)
{
    if (n == 1) return all[0];
    struct merge_querier *q = NEW(struct merge_querier);
    q->base.ops = &merge_querier_ops;
    q->base.nothing = n == 0;
    q->all = arena_array(&q->arena, n, sizeof(*q->all));
    q->n = n;
    for (size_t i = 0; i < n; i++) q->all[i] = all[i];
    return &q->base;
}
