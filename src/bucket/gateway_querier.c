/* gateway_querier.c — the blocks of a bucket, asked together.
 *
 * For each block there is a part. A question goes to all parts at once, on the pool `selects`: each
 * opens its block (they wait together, not one behind the other), asks it, and puts the answer's
 * beginning aside; then the merge of all parts takes these. Series carry the external labels of
 * their block, which may change their order: with external labels a part's series are put in order
 * before the first is given. */
#include "bucket/gateway_impl.h"

#include "base/budget.h"
#include "base/clock.h"
#include "base/strs.h"
#include "io/work.h"
#include "storage/merge.h"

#include <stdlib.h>

ACCOUNT_YIELDING(gateway_account, "bucket_queriers")

/* ---- blocks that nobody knows the times of */

errc gateway_whole(
    const struct gateway *g, const struct bucket_view *v, int64_t mint, struct err *e)
{
    for (size_t i = 0; i < v->troubles.n && !g->o.partial; i++) {
        const struct view_trouble *t = &v->troubles.at[i];
        /* a block is made of samples that were there before it */
        if (!t->is_block || ulid_time_ms(t->id) < mint) continue;
        return err_set(e, ERR_UNAVAILABLE,
            "block %.*s cannot be read, and the answer might lack what it has: %.*s",
            STR_ARG(t->what), STR_ARG(t->why));
    }
    return OK;
}

/* ---- one block of a querier */

struct gateway_querier;
struct part {
    struct querier base;
    struct gateway_querier *q;
    const struct view_block *b;
    struct opened *opened;
    struct querier *in;         /* of the block */
    struct arena arena;
    /* what a question found; taken by the merge */
    bool asked;
    errc rc;
    str why; /* in the arena */
    struct series_set *set;
    str_list list;
    bool truncated;
};
struct gateway_querier {
    struct querier base;
    struct gateway *g;
    struct bucket_view *view;
    struct part **parts;
    size_t n;
    struct querier *merged;
    struct arena arena;
    int64_t mint, maxt;
    size_t bare;             /* downsampled blocks that the answers lack something of */
    str first_bare;          /* one of them */
    _Atomic uint64_t series; /* of this selection */
};

static struct labels external_of(const struct part *p)
{
    return p->q->g->o.without_external_labels ? (struct labels){ 0 } : p->b->labels;
}

/* A series as the block has it, with its labels. */
struct part_series {
    struct series base;
    struct series *in;
};
static errc part_series_iterate(struct series *base, struct sample_iter **it, struct err *e)
{
    struct series *in = CONTAINER_OF(base, struct part_series, base)->in;
    return in->ops->iterate(in, it, e);
}
static const struct series_ops part_series_ops = { .iterate = part_series_iterate };

/* The first ones, which were read already; then, where nothing was put in order, the rest. */
struct part_set {
    struct series_set base;
    struct part *p;
    struct series_set *in;
    VEC(struct series *) ready;
    size_t at;
};

/* The words are Thanos'. */
errc gateway_series_count(const struct gateway *g, uint64_t n, struct err *e)
{
    uint64_t max = g->o.series_max;
    if (!max || n <= max) return OK;
    return err_set(e, ERR_LIMIT,
        "exceeded series limit: limit %" PRIu64 " violated (got %" PRIu64 ")", max, n);
}

static errc part_count(struct part *p, struct err *e)
{
    uint64_t n = 1 + atomic_fetch_add_explicit(&p->q->series, 1, memory_order_relaxed);
    if (arena_spent(&p->arena)) return budget_query_error(e);
    return gateway_series_count(p->q->g, n, e);
}

static errc part_set_next(struct series_set *base, struct series **out, struct err *e)
{
    struct part_set *s = CONTAINER_OF(base, struct part_set, base);
    *out = NULL;
    if (s->at < s->ready.n) {
        *out = s->ready.at[s->at++];
        return OK;
    }
    if (external_of(s->p).n || !s->in) return OK;
    TRY(s->in->ops->next(s->in, out, e));
    return *out ? part_count(s->p, e) : OK;
}

static void part_set_free(struct series_set *base)
{
    struct part_set *s = CONTAINER_OF(base, struct part_set, base);
    series_set_free(s->in);
    vec_fini(&s->ready);
    mem_free(s);
}
static const struct series_set_ops part_set_ops = { .next = part_set_next, .free = part_set_free };

static int by_labels(const void *a, const void *b)
{
    const struct series *const *x = a, *const *y = b;
    return labels_cmp((*x)->labels, (*y)->labels);
}

static struct series *series_named(struct part *p, struct series *in)
{
    struct part_series *s = ANEW(&p->arena, struct part_series);
    struct labels l = labels_join(&p->arena, external_of(p), in->labels);
    *s = (struct part_series){ { l, in->ref, &part_series_ops }, in };
    return &s->base;
}

static errc set_begin(struct part_set *s, struct err *e)
{
    bool all = external_of(s->p).n > 0;
    struct series *one = NULL;
    do {
        TRY(s->in->ops->next(s->in, &one, e));
        if (!one) break;
        TRY(part_count(s->p, e));
        vec_push(&s->ready, all ? series_named(s->p, one) : one);
    } while (all);
    if (all && s->ready.n > 1)
        qsort(s->ready.at, s->ready.n, sizeof(*s->ready.at), by_labels);
    return OK;
}

/* ---- questions */

struct question {
    struct gateway_querier *q;
    enum { ASK_SERIES, ASK_VALUES, ASK_NAMES } kind;
    struct matchers ms;
    const struct select_hints *h;
    str name;
    size_t limit;
    int64_t until_ns;
    const struct io_work *own;         /* of the thread that asks */
    _Atomic uint64_t bytes_of_others;  /* that other threads had from the bucket for it */
};

static errc part_open(struct part *p, int64_t until_ns, struct err *e)
{
    struct gateway_querier *q = p->q;
    if (p->in) return OK;
    if (!p->opened) TRY(gateway_take(q->g, p->b, until_ns, &p->opened, e));
    struct queryable *from = block_queryable(p->opened->block);
    return from->ops->querier(from, q->mint, q->maxt, &p->in, e);
}

static errc ask_series(
    struct part *p, const struct question *x, struct matchers left, struct err *e)
{
    struct select_hints h = x->h ? *x->h : (struct select_hints){ 0 };
    struct part_set *s = NEW(struct part_set);
    s->base.ops = &part_set_ops;
    s->p = p;
    h.sorted = true;
    if (external_of(p).n) h.limit = 0; /* the first by other names */
    errc rc = p->in->ops->select(p->in, left, &h, &s->in, e);
    if (rc == OK) rc = set_begin(s, e);
    if (rc == OK) p->set = &s->base;
    else part_set_free(&s->base);
    return rc;
}

/* Does anything of the block match? */
static errc any_match(struct part *p, struct matchers left, bool *out, struct err *e)
{
    struct select_hints h = { .func = S("series"), .limit = 1 };
    struct series_set *set = NULL;
    struct series *one = NULL;
    *out = true;
    if (!left.n) return OK;
    TRY(p->in->ops->select(p->in, left, &h, &set, e));
    errc rc = set->ops->next(set, &one, e);
    series_set_free(set);
    *out = one != NULL;
    return rc;
}

static errc ask_values(
    struct part *p, const struct question *x, struct matchers left, struct err *e)
{
    struct labels external = external_of(p);
    bool any;
    if (!labels_has(external, x->name))
        return p->in->ops->label_values(
            p->in, x->name, left, x->limit, &p->list, &p->truncated, e);
    TRY(any_match(p, left, &any, e));
    if (any) vec_push(&p->list, labels_get(external, x->name));
    return OK;
}

static errc ask_names(
    struct part *p, const struct question *x, struct matchers left, struct err *e)
{
    struct labels external = external_of(p);
    size_t limit = external.n ? 0 : x->limit;
    TRY(p->in->ops->label_names(p->in, left, limit, &p->list, &p->truncated, e));
    if (!p->list.n || !external.n) return OK;
    for (size_t i = 0; i < external.n; i++) vec_push(&p->list, external.at[i].name);
    p->list.n = strs_sort_unique(p->list.at, p->list.n);
    return OK;
}

static void part_answer(const struct question *x, size_t i)
{
    struct part *p = x->q->parts[i];
    struct matchers left;
    struct err e = { 0 };
    p->asked = true;
    p->truncated = false;
    p->list.n = 0;
    p->rc = OK;
    if (!matchers_left(&left, x->ms, external_of(p), &p->arena)) return;
    errc rc = part_open(p, x->until_ns, &e);
    if (rc == OK && x->kind == ASK_SERIES) rc = ask_series(p, x, left, &e);
    if (rc == OK && x->kind == ASK_VALUES) rc = ask_values(p, x, left, &e);
    if (rc == OK && x->kind == ASK_NAMES) rc = ask_names(p, x, left, &e);
    p->rc = rc;
    if (rc != OK) p->why = arena_str(&p->arena, err_str(&e));
}

static void part_ask(void *ctx, size_t i)
{
    struct question *x = ctx;
    uint64_t before = io_work.bucket_bytes;
    part_answer(x, i);
    if (x->own != &io_work)
        atomic_fetch_add_explicit(
            &x->bytes_of_others, io_work.bucket_bytes - before, memory_order_relaxed);
}

/* Samples that are there downsampled only: PromQL asks for samples as they were. */
static void bare_note(struct gateway_querier *q, struct matchers ms)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct matchers left;
    size_t n = 0;
    for (size_t i = 0; q->view->downsampled && i < q->view->blocks.n; i++) {
        const struct view_block *b = &q->view->blocks.at[i];
        if (!b->resolution_ms || b->bare_mint >= b->bare_maxt) continue;
        if (b->bare_mint > q->maxt || b->bare_maxt <= q->mint) continue;
        bool plain = q->g->o.without_external_labels;
        if (!matchers_left(&left, ms, plain ? (struct labels){ 0 } : b->labels, &a)) continue;
        if (!n++ && !q->bare) q->first_bare = arena_str(&q->arena, str_z(ulid_text(b->id).z));
    }
    q->bare = MAX(q->bare, n);
}

/* Blocks that are not open begin to be opened before anybody waits for one. */
static void question_ask(struct question *x)
{
    struct gateway_querier *q = x->q;
    SCOPED(arena_fini) struct arena a = { 0 };
    x->until_ns = clock_mono_ns() + q->g->o.patience_ms * INT64_C(1000000);
    bare_note(q, x->ms);
    for (size_t i = 0; i < q->n; i++) {
        struct matchers left;
        if (!q->parts[i]->opened && matchers_left(&left, x->ms, external_of(q->parts[i]), &a))
            gateway_begin(q->g, q->parts[i]->b);
    }
    x->own = &io_work;
    pool_each_far(q->g->selects, q->n, part_ask, x);
    io_work.bucket_bytes += atomic_load_explicit(&x->bytes_of_others, memory_order_relaxed);
}

/* ---- what the merge asks of a part: it was answered before */

static errc part_told(struct part *p, struct err *e)
{
    assert(p->asked);
    p->asked = false;
    return p->rc == OK ? OK : err_set(e, p->rc, "%.*s", STR_ARG(p->why));
}

static errc part_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    struct part *p = CONTAINER_OF(base, struct part, base);
    (void)ms, (void)h;
    TRY(part_told(p, e));
    if (!p->set) { /* nothing of it matches */
        struct part_set *none = NEW(struct part_set);
        none->base.ops = &part_set_ops;
        none->p = p;
        p->set = &none->base;
    }
    *out = STEAL(p->set);
    return OK;
}

static errc part_list(struct part *p, str_list *out, bool *truncated, struct err *e)
{
    TRY(part_told(p, e));
    out->n = 0;
    for (size_t i = 0; i < p->list.n; i++) vec_push(out, p->list.at[i]);
    *truncated = p->truncated;
    return OK;
}
static errc part_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    (void)name, (void)ms, (void)limit;
    return part_list(CONTAINER_OF(base, struct part, base), out, truncated, e);
}
static errc part_names(struct querier *base, struct matchers ms, size_t limit, str_list *out,
    bool *truncated, struct err *e)
{
    (void)ms, (void)limit;
    return part_list(CONTAINER_OF(base, struct part, base), out, truncated, e);
}

/* Did it meet damage? */
static void part_doubt(struct part *p)
{
    str_list words = { 0 };
    querier_warnings(p->in, &words);
    if (words.n || p->rc == ERR_CORRUPT) opened_doubt(p->opened);
    vec_fini(&words);
}

static void part_free(struct querier *base)
{
    struct part *p = CONTAINER_OF(base, struct part, base);
    series_set_free(p->set);
    if (p->in) part_doubt(p);
    querier_free(p->in);
    opened_unref(p->opened);
    vec_fini(&p->list);
    arena_fini(&p->arena);
    mem_free(p);
}
static void part_warn(struct querier *base, str_list *out)
{
    querier_warnings(CONTAINER_OF(base, struct part, base)->in, out);
}
static const struct querier_ops part_ops = { part_select, part_values, part_names, part_free,
    part_warn };

/* ---- all of them */

/* What a part found and nobody took: another part failed before. */
static void leftovers_drop(struct gateway_querier *q)
{
    for (size_t i = 0; i < q->n; i++) {
        series_set_free(q->parts[i]->set);
        q->parts[i]->set = NULL;
        q->parts[i]->asked = false;
    }
}

static struct gateway_querier *querier_of(struct querier *base)
{
    return CONTAINER_OF(base, struct gateway_querier, base);
}

static errc all_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    struct gateway_querier *q = querier_of(base);
    struct question x = { .q = q, .kind = ASK_SERIES, .ms = ms, .h = h };
    atomic_store_explicit(&q->series, 0, memory_order_relaxed);
    question_ask(&x);
    errc rc = q->merged->ops->select(q->merged, ms, h, out, e);
    leftovers_drop(q);
    return rc;
}

static errc all_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct gateway_querier *q = querier_of(base);
    struct question x = { .q = q, .kind = ASK_VALUES, .ms = ms, .name = name, .limit = limit };
    question_ask(&x);
    errc rc = q->merged->ops->label_values(q->merged, name, ms, limit, out, truncated, e);
    leftovers_drop(q);
    return rc;
}

static errc all_names(struct querier *base, struct matchers ms, size_t limit, str_list *out,
    bool *truncated, struct err *e)
{
    struct gateway_querier *q = querier_of(base);
    struct question x = { .q = q, .kind = ASK_NAMES, .ms = ms, .limit = limit };
    question_ask(&x);
    errc rc = q->merged->ops->label_names(q->merged, ms, limit, out, truncated, e);
    leftovers_drop(q);
    return rc;
}

static void all_free(struct querier *base)
{
    struct gateway_querier *q = querier_of(base);
    querier_free(q->merged);
    bucket_view_unref(q->view);
    arena_fini(&q->arena);
    mem_free(q);
}
/* What a block left out of its answers because it is damaged, or has downsampled. */
static void all_warn(struct querier *base, str_list *out)
{
    struct gateway_querier *q = querier_of(base);
    querier_warnings(q->merged, out);
    if (!q->bare) return;
    str words = arena_fmt(&q->arena,
        "%zu downsampled blocks have what no other block has any more, and are left out: %.*s%s",
        q->bare, STR_ARG(q->first_bare), q->bare > 1 ? ", ..." : "");
    vec_push(out, words);
}
static const struct querier_ops all_ops = { all_select, all_values, all_names, all_free, all_warn };

static struct part *part_new(struct gateway_querier *q, const struct view_block *b)
{
    struct part *p = NEW(struct part);
    p->base.ops = &part_ops;
    p->q = q;
    p->b = b;
    arena_init(&p->arena, &gateway_account, 0);
    return p;
}

errc gateway_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct gateway *g = CONTAINER_OF(s, struct gateway, queryable);
    struct bucket_view *v = NULL;
    TRY(gateway_view(g, &v, e));
    gateway_window(g, &mint, &maxt);
    errc whole = gateway_whole(g, v, mint, e);
    if (whole != OK) {
        bucket_view_unref(v);
        return whole;
    }
    struct gateway_querier *q = NEW(struct gateway_querier);
    q->base.ops = &all_ops;
    q->g = g;
    q->view = v;
    q->mint = mint;
    q->maxt = maxt;
    q->parts = arena_array(&q->arena, v->blocks.n + 1, sizeof(struct part *));
    struct querier **all = arena_array(&q->arena, v->blocks.n + 1, sizeof(struct querier *));
    for (size_t i = 0; i < v->blocks.n; i++) {
        const struct view_block *b = &v->blocks.at[i];
        if (b->mint > maxt || b->maxt <= mint || b->resolution_ms) continue;
        q->parts[q->n] = part_new(q, b);
        all[q->n] = &q->parts[q->n]->base;
        q->n++;
    }
    q->merged = merge_querier(all, q->n);
    *out = &q->base;
    return OK;
}
