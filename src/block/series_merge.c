#include "block/series_merge.h"

#include "base/heap.h"
#include "block/chunk_merge.h"

struct series_source {
    struct chunk_series_set *set;
    const struct chunk_series *cur;
};

/* Sets of one merge all have numbers, or none has. */
static int order(const struct chunk_series *a, const struct chunk_series *b)
{
    assert(!a->nums.n == !b->nums.n);
    return a->nums.n ? label_nums_cmp(a->nums, b->nums) : labels_cmp(a->labels, b->labels);
}

/* No more than that: among equal ones the heap decides, as Prometheus' does. */
static bool series_less(const void *a, const void *b)
{
    const struct series_source *x = a, *y = b;
    return order(x->cur, y->cur) < 0;
}

struct merged_set {
    struct chunk_series_set base;
    struct series_source *all;
    size_t n;
    heap waiting;
    VEC(struct series_source *) same;          /* of the series that was handed out */
    VEC(const struct chunk_series *) series;
    struct chunk_merge chunks;
    struct chunk_series given;
};

static errc source_read(struct merged_set *m, struct series_source *s, struct err *e)
{
    TRY(s->set->ops->next(s->set, &s->cur, e));
    if (s->cur) heap_push(&m->waiting, series_less, s);
    return OK;
}

/* What was handed out last borrows its sources: they are read on now. */
static errc set_next(struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct merged_set *m = CONTAINER_OF(base, struct merged_set, base);
    *out = NULL;
    for (size_t i = 0; i < m->same.n; i++) TRY(source_read(m, m->same.at[i], e));
    m->same.n = m->series.n = 0;
    if (!m->waiting.n) return OK;
    do {
        vec_push(&m->same, heap_pop(&m->waiting, series_less));
        vec_push(&m->series, vec_last(&m->same)->cur);
    } while (m->waiting.n && !order(((struct series_source *)m->waiting.at[0])->cur,
                                 m->series.at[0]));
    TRY(chunk_merge(&m->chunks, m->series.at, m->series.n, e));
    m->given = (struct chunk_series){
        m->series.at[0]->labels, m->chunks.out.at, m->chunks.out.n, NULL, m->series.at[0]->nums
    };
    *out = &m->given;
    return OK;
}

static void set_free(struct chunk_series_set *base)
{
    struct merged_set *m = CONTAINER_OF(base, struct merged_set, base);
    for (size_t i = 0; i < m->n; i++) chunk_series_set_free(m->all[i].set);
    chunk_merge_fini(&m->chunks);
    vec_fini(&m->waiting);
    vec_fini(&m->same);
    vec_fini(&m->series);
    mem_free(m->all);
    mem_free(m);
}
static void set_warn(struct chunk_series_set *base, str_list *out)
{
    struct merged_set *m = CONTAINER_OF(base, struct merged_set, base);
    for (size_t i = 0; i < m->n; i++) chunk_series_set_warnings(m->all[i].set, out);
}
static const struct chunk_series_set_ops merged_set_ops = { set_next, set_free, set_warn };

errc series_merge(struct chunk_series_set **out, struct chunk_series_set *const *sets, size_t n,
    struct err *e)
{
    struct merged_set *m = NEW(struct merged_set);
    errc rc = OK;
    m->base.ops = &merged_set_ops;
    m->all = mem_zalloc((n + 1) * sizeof(*m->all));
    m->n = n;
    for (size_t i = 0; i < n; i++) m->all[i].set = sets[i];
    for (size_t i = 0; rc == OK && i < n; i++) rc = source_read(m, &m->all[i], e);
    if (rc != OK) set_free(&m->base);
    else *out = &m->base;
    return rc;
}
