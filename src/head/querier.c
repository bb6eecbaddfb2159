/* querier.c — one consistent cut of the head.
 *
 * A querier is a reader of the reclaim (nothing that it can reach is freed) and of the isolation
 * (no batch that it must not see). Series are found by number; what a slot holds is looked at under
 * its lock, when a series is handed out and again when it is iterated: by then it may have been
 * collected, and is empty.
 */
#include "base/budget.h"
#include "base/strs.h"
#include "chunk/chunk.h"
#include "head/head_impl.h"
#include "head/head_iter.h"
#include "head/ooo_iter.h"

#include <stdlib.h>

ACCOUNT_YIELDING(queriers_account, "head_queriers")

struct head_querier {
    struct querier base;
    struct head *head;
    struct reclaim_reader reclaim;
    struct isolation_reader isolation;
    int64_t mint, maxt;
    VEC(struct arena *) arenas;                /* of its sets, which may end before it */
    struct left_out left;
};

struct head_series {
    struct series base;
    struct head_querier *q;
    uint32_t slot, generation;
    bool late;                                 /* it has late samples */
    int64_t mint, maxt;
};

/* Series. */

static struct head_iter_of series_of(const struct head_series *s)
{
    return (struct head_iter_of){ s->slot, s->generation, s->base.ref, s->mint, s->maxt,
        &s->q->isolation, &s->q->left };
}

static void series_iter_be(const struct head_series *s, struct sample_iter **it)
{
    if (s->late ? ooo_iter_is(*it) : head_iter_is(*it)) return;
    sample_iter_free(*it);
    *it = s->late ? ooo_iter_new(s->q->head) : head_iter_new(s->q->head);
}

static errc series_iterate(struct series *base, struct sample_iter **it, struct err *e)
{
    struct head_series *s = CONTAINER_OF(base, struct head_series, base);
    struct head_iter_of of = series_of(s);
    (void)e;
    series_iter_be(s, it);
    if (s->late) ooo_iter_reset(*it, &of);
    else head_iter_reset(*it, &of);
    return OK;
}

static void series_ahead(
    struct series *const *all, size_t n, int64_t mint, int64_t maxt, struct sample_iter **it)
{
    struct head_iter_of of[SERIES_AHEAD];
    size_t many = 0;
    for (size_t i = 0; i < n && many < SERIES_AHEAD; i++) {
        const struct head_series *s = CONTAINER_OF(all[i], struct head_series, base);
        if (all[i]->ops->ahead != series_ahead || s->late) continue;
        of[many] = series_of(s);
        of[many].mint = MAX(mint, s->mint);
        of[many].maxt = MIN(maxt, s->maxt);
        if (!many++) series_iter_be(s, it);
    }
    if (many) head_iter_ahead(*it, of, many);
}

static const struct series_ops head_series_ops = {
    .iterate = series_iterate, .ahead = series_ahead
};

static bool fully_deleted(const intervals *v, int64_t mint, int64_t maxt)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->at[i].mint <= mint && maxt <= v->at[i].maxt) return true;
    return false;
}

/* Has the series of `out` a chunk that may hold something of its span? Sets generation and late. */
static bool slot_overlaps(const struct head *h, struct head_series *out,
    const head_deletions *by_number, const intervals *deleted)
{
    const struct store *st = &h->store;
    struct slot *s = store_slot(st, out->slot);
    int64_t mint = out->mint, maxt = out->maxt;
    bool yes = false;
    slot_lock(s);
    out->generation = series_generation(s);
    const struct ooo *o = ooo_of(&h->ooo, s, out->slot);
    out->late = o && ooo_overlaps(o, mint, maxt);
    if (out->late) yes = ooo_shows(o, mint, maxt, by_number);
    int64_t last = slot_last_t(s);             /* its beginning lies elsewhere in memory */
    if (s->n && !yes) yes = last >= mint && (last <= maxt || open_mint(st, s) <= maxt);
    for (uint32_t i = s->sealed; i && !yes;) {
        const struct sealed *q = slab_at(&st->sealed, i);
        int64_t from = sealed_mint(st, q);
        yes = from <= maxt && q->maxt >= mint && !fully_deleted(deleted, from, q->maxt);
        i = q->next;
    }
    for (unsigned i = 0; i < s->n_closed && !yes; i++) {
        struct closed_chunk c = store_get_closed(st, s, i);
        yes = c.mint <= maxt && c.maxt >= mint && !fully_deleted(deleted, c.mint, c.maxt);
    }
    slot_unlock(s);
    return yes;
}

enum { CACHE_FROM = 16, AHEAD_NUM = 16, AHEAD_SLOT = 8, AHEAD_LABELS = 4 };

struct head_series_set {
    struct series_set base;
    struct head_querier *q;
    runs found;
    size_t run, limit, given;
    snum next;
    int64_t mint, maxt;
    struct arena *arena;                       /* the querier's: series and their label arrays */
    size_t named;                              /* series whose labels were looked up */
    struct label_cache *cache;                 /* NULL until there are many */
    VEC(struct head_series *) sorted;          /* all, in label order; used if is_sorted */
    bool is_sorted;
};

/* The series of the runs to come lie far apart: what they need is fetched in three steps. */
static void set_ahead(const struct head_series_set *set)
{
    const struct head *h = set->q->head;
    if (set->run + AHEAD_NUM < set->found.n)
        series_slot_ahead(&h->series, set->found.at[set->run + AHEAD_NUM].start);
    for (unsigned step = 0; step < 2; step++) {
        size_t run = set->run + (step ? AHEAD_LABELS : AHEAD_SLOT);
        uint32_t slot =
            run < set->found.n ? series_slot_of(&h->series, set->found.at[run].start) : 0;
        if (!slot) continue;
        if (step) {
            __builtin_prefetch(pages_at(&h->series.labels, store_cold(&h->store, slot)->labels));
        } else {
            __builtin_prefetch(store_slot(&h->store, slot));
            __builtin_prefetch(store_cold(&h->store, slot));
        }
    }
}

static bool set_labels(struct head_series_set *set, snum n, uint32_t slot, struct labels *out)
{
    if (++set->named == CACHE_FROM) set->cache = NEW(struct label_cache);
    return series_labels_cached(
        &set->q->head->series, n, slot, set->cache, set->arena, out);
}

/* The next series by number that has something; NULL: the end. */
static struct head_series *set_next(struct head_series_set *set)
{
    struct head_querier *q = set->q;
    struct head *h = q->head;
    head_deletions by_number = { 0 };
    intervals deleted = { 0 };
    struct head_series *out = NULL;
    while (!out && set->run < set->found.n) {
        snum n = set->next;
        if (n < set->found.at[set->run].start) n = set->found.at[set->run].start;
        set->next = n + 1;
        if (set->next == set->found.at[set->run].end) {
            set->run++;
            set_ahead(set);
        }
        uint32_t slot = series_slot_of(&h->series, n);
        if (!slot) continue;
        sref ref = store_cold(&h->store, slot)->ref;
        by_number.n = deleted.n = 0;
        head_tombstones_list(&h->tombstones, ref, &by_number);
        head_deletions_since(&by_number, 0, &deleted);
        struct head_series found = { .q = q, .slot = slot, .mint = set->mint, .maxt = set->maxt };
        if (!slot_overlaps(h, &found, &by_number, &deleted)) continue;
        struct labels labels;
        if (!set_labels(set, n, slot, &labels)) continue;
        out = ANEW(set->arena, struct head_series);
        *out = found;
        out->base = (struct series){ labels, ref, &head_series_ops };
    }
    vec_fini(&by_number);
    vec_fini(&deleted);
    return out;
}

static int series_cmp(const void *a, const void *b)
{
    return labels_cmp((*(struct head_series *const *)a)->base.labels,
        (*(struct head_series *const *)b)->base.labels);
}

static errc set_give(struct series_set *base, struct series **out, struct err *e)
{
    struct head_series_set *set = CONTAINER_OF(base, struct head_series_set, base);
    *out = NULL;
    if (set->limit && set->given == set->limit) return OK;
    struct head_series *s = NULL;
    if (!set->is_sorted) s = set_next(set);
    else if (set->given < set->sorted.n) s = set->sorted.at[set->given];
    if (arena_spent(set->arena)) return budget_query_error(e);
    if (!s) return OK;
    set->given++;
    *out = &s->base;
    return OK;
}

static void set_free(struct series_set *base)
{
    struct head_series_set *set = CONTAINER_OF(base, struct head_series_set, base);
    vec_fini(&set->found);
    vec_fini(&set->sorted);
    mem_free(set->cache);
    mem_free(set);
}

static void set_forget(struct series_set *base)
{
    struct head_series_set *set = CONTAINER_OF(base, struct head_series_set, base);
    arena_reset(set->arena, (struct arena_mark){ 0 });
}

static const struct series_set_ops head_series_set_ops = {
    .next = set_give, .free = set_free, .forget = set_forget
};
static const struct series_set_ops head_sorted_set_ops = { .next = set_give, .free = set_free };

static errc querier_select(struct querier *base, struct matchers ms,
    const struct select_hints *hints, struct series_set **out, struct err *e)
{
    struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
    struct head_series_set *set = NEW(struct head_series_set);
    set->base.ops = &head_series_set_ops;
    set->q = q;
    set->mint = q->mint;
    set->maxt = q->maxt;
    if (hints && (hints->start || hints->end)) {
        set->mint = MAX(set->mint, hints->start);
        set->maxt = MIN(set->maxt, hints->end);
    }
    if (hints) set->limit = hints->limit;
    set->arena = NEW(struct arena);
    arena_init(set->arena, &queriers_account, 0);
    vec_push(&q->arenas, set->arena);
    errc rc = head_select(q->head, ms, &set->found, e);
    if (rc != OK) {
        set_free(&set->base);
        return rc;
    }
    if (hints && hints->sorted) {
        struct head_series *s;
        while (!arena_spent(set->arena) && (s = set_next(set)) != NULL) vec_push(&set->sorted, s);
        if (set->sorted.n)
            qsort(set->sorted.at, set->sorted.n, sizeof(*set->sorted.at), series_cmp);
        set->is_sorted = true;
        set->base.ops = &head_sorted_set_ops;
    }
    *out = &set->base;
    return OK;
}

/* Label names and values. */

static bool querier_outside(const struct head_querier *q)
{
    const struct head *h = q->head;
    bool in_order = q->maxt >= head_min_time(h) && q->mint <= head_max_time(h);
    bool late = q->maxt >= head_min_ooo_time(h) && q->mint <= head_max_ooo_time(h);
    return !in_order && !late;
}

static bool runs_meet(const runs *a, const postings *p, runs *list, runs *joined)
{
    list->n = 0;
    postings_read(p, list);
    runs_and(joined, a, list);
    return joined->n > 0;
}

static bool values_pass(struct matchers ms, str name, str value)
{
    for (size_t i = 0; i < ms.n; i++)
        if (str_eq(ms.at[i].name, name) && !matcher_matches(&ms.at[i], value)) return false;
    return true;
}

static errc querier_label_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
    struct symbols *sy = &q->head->series.symbols;
    *truncated = false;
    out->n = 0;
    uint32_t id = querier_outside(q) ? 0 : symbols_find_name(sy, name);
    if (!id) return OK;
    runs found = { 0 }, list = { 0 }, joined = { 0 };
    errc rc = ms.n ? head_select(q->head, ms, &found, e) : OK;
    uint32_t pair =
        atomic_load_explicit(&symbols_name_at(sy, id)->first_pair, memory_order_acquire);
    for (; rc == OK && pair;
         pair = atomic_load_explicit(&symbols_pair_at(sy, pair)->next, memory_order_acquire)) {
        const struct sym_pair *p = symbols_pair_at(sy, pair);
        str value = symbols_text(sy, p->text);
        if (!postings_count(&p->series) || !values_pass(ms, name, value)) continue;
        if (!ms.n || runs_meet(&found, &p->series, &list, &joined)) vec_push(out, value);
    }
    vec_fini(&found);
    vec_fini(&list);
    vec_fini(&joined);
    if (rc == OK) *truncated = strs_finish(out, limit);
    return rc;
}

static errc querier_label_names(struct querier *base, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
    struct symbols *sy = &q->head->series.symbols;
    *truncated = false;
    out->n = 0;
    if (querier_outside(q)) return OK;
    runs found = { 0 }, list = { 0 }, joined = { 0 };
    errc rc = ms.n ? head_select(q->head, ms, &found, e) : OK;
    for (uint32_t i = 1, n = symbols_n_names(sy); rc == OK && i <= n; i++) {
        const struct sym_name *name = symbols_name_at(sy, i);
        if (!postings_count(&name->series)) continue;
        if (!ms.n || runs_meet(&found, &name->series, &list, &joined))
            vec_push(out, symbols_name(sy, i));
    }
    vec_fini(&found);
    vec_fini(&list);
    vec_fini(&joined);
    if (rc == OK) *truncated = strs_finish(out, limit);
    return rc;
}

static void querier_warn(struct querier *base, str_list *out)
{
    left_out_list(&CONTAINER_OF(base, struct head_querier, base)->left, out);
}

static void querier_end(struct querier *base)
{
    struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
    for (size_t i = 0; i < q->arenas.n; i++) {
        arena_fini(q->arenas.at[i]);
        mem_free(q->arenas.at[i]);
    }
    vec_fini(&q->arenas);
    left_out_fini(&q->left);
    isolation_leave(&q->head->isolation, &q->isolation);
    reclaim_leave(&q->head->reclaim, &q->reclaim);
    mem_free(q);
}

static const struct querier_ops head_querier_ops = {
    .select = querier_select,
    .label_values = querier_label_values,
    .label_names = querier_label_names,
    .free = querier_end,
    .warnings = querier_warn,
};

errc head_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    (void)e;
    struct head_querier *q = NEW(struct head_querier);
    q->base.ops = &head_querier_ops;
    q->head = CONTAINER_OF(s, struct head, queryable);
    q->mint = mint;
    q->maxt = maxt;
    q->base.nothing = !head_reaches(q->head, mint, maxt);
    left_out_init(&q->left);
    reclaim_enter(&q->head->reclaim, &q->reclaim);
    isolation_enter(&q->head->isolation, &q->isolation);
    *out = &q->base;
    return OK;
}
