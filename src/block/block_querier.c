/* block_querier.c — one block, asked. Series come out in the order of their refs, which is that of
 * their labels. */
#include "block/block_impl.h"

#include "base/budget.h"
#include "base/strs.h"

ACCOUNT_YIELDING(block_queriers_account, "block_queriers")

struct block_querier {
    struct querier base;
    struct block *block;
    struct block_deleted *deleted;
    int64_t mint, maxt;
    struct arena arena;   /* series, their labels and chunks */
    struct arena strings; /* that series and lists of names and values point to */
    struct symbol_memo symbols;
    struct left_out left;
};

struct block_series {
    struct series base;
    struct block_querier *q;
    const struct index_chunk *chunks;
    size_t n;
    int64_t first, last;                       /* that they may hold */
    int64_t mint, maxt;
    const intervals *deleted;
    bool few;
};

static struct block_series *series_of(struct series *s)
{
    return CONTAINER_OF(s, struct block_series, base);
}

static struct block_iter_of series_samples(const struct block_series *s)
{
    return (struct block_iter_of){ s->q->block, s->chunks, s->n, s->mint, s->maxt, s->deleted,
        &s->q->left, s->few };
}

static errc series_iterate(struct series *base, struct sample_iter **it, struct err *e)
{
    struct block_iter_of of = series_samples(series_of(base));
    (void)e;
    if (!block_iter_is(*it)) {
        sample_iter_free(*it);
        *it = block_iter_new();
    }
    block_iter_reset(*it, &of);
    return OK;
}

static bool series_apart(const struct block_series *x, const struct block_series *y)
{
    return x->last < y->first || y->last < x->first;
}

static bool series_chain(struct series *const *all, size_t n, struct sample_iter **it)
{
    for (size_t i = 1; i < n; i++) {
        if (all[i]->ops != all[0]->ops) return false;
        for (size_t k = 0; k < i; k++)
            if (!series_apart(series_of(all[k]), series_of(all[i]))) return false;
    }
    errc rc = series_iterate(all[0], it, NULL);
    assert(rc == OK);
    for (size_t i = 1; i < n; i++) {
        struct block_iter_of of = series_samples(series_of(all[i]));
        block_iter_add(*it, &of);
    }
    return rc == OK;
}

static const struct series_ops block_series_ops = { .iterate = series_iterate,
    .chain = series_chain };

/* Series sets. */

/* Where reads of chunks may be begun ahead (segments_wants), series are made up to AHEAD_MAX in
 * front of the one that is given, and the chunks of each are wanted at once. How far grows with
 * what is taken: who asks for one series reads no other's chunks. */
enum { AHEAD_MAX = 64, AHEAD_BYTES_MAX = 2 << 20, AHEAD_GAP_BYTES = 64 << 10 };
struct ahead_series {
    struct series *s;
    uint64_t bytes;
    errc rc;
};

struct block_set {
    struct series_set base;
    struct block_querier *q;
    postings_list found;
    size_t at, limit, given;
    int64_t mint, maxt;
    struct index_series entry;
    struct index_window window;
    struct ahead_series *ahead; /* a ring of AHEAD_MAX; NULL: none is made ahead */
    size_t ahead_at, ahead_n, ahead_far;
    uint64_t ahead_bytes; /* that are wanted for the ring */
    struct err ahead_why; /* of the failed one, which is the ring's last */
};

/* Of so few series the chunks are looked for among those that are decoded already, however fast
 * they would be decoded; of more the cache could not keep all, and the look is dear. */
enum { SERIES_FEW = 16 };

/* The chunks that may show something; how many. */
static size_t chunks_wanted(struct block_set *set, const intervals *deleted)
{
    size_t n = 0;
    for (size_t i = 0; i < set->entry.chunks.n; i++) {
        struct index_chunk c = set->entry.chunks.at[i];
        if (c.maxt < set->mint || c.mint > set->maxt) continue;
        if (!deleted || !intervals_cover(deleted, c.mint, c.maxt)) set->entry.chunks.at[n++] = c;
    }
    return n;
}

static errc series_make(struct block_set *set, uint32_t ref, struct series **out, struct err *e)
{
    struct block_querier *q = set->q;
    TRY(index_reader_series_on(q->block->index, &set->window, ref, false, &set->entry, e));
    const intervals *deleted = tombstones_of(&q->deleted->all, ref);
    size_t n = chunks_wanted(set, deleted);
    if (!n) return OK;
    struct label *labels = arena_array(&q->arena, set->entry.labels.n, sizeof(*labels));
    TRY(symbol_memo_labels(&q->symbols, &set->entry, labels, e));
    struct index_chunk *chunks = arena_array(&q->arena, n, sizeof(*chunks));
    memcpy(chunks, set->entry.chunks.at, n * sizeof(*chunks));
    struct block_series *s = ANEW(&q->arena, struct block_series);
    *s = (struct block_series){ .base = { { labels, set->entry.labels.n }, ref, &block_series_ops },
        .q = q,
        .chunks = chunks,
        .n = n,
        .mint = set->mint,
        .maxt = set->maxt,
        .deleted = deleted,
        .few = set->found.n <= SERIES_FEW };
    s->first = chunks[0].mint;
    s->last = chunks[0].maxt;
    for (size_t i = 1; i < n; i++) {
        s->first = MIN(s->first, chunks[i].mint);
        s->last = MAX(s->last, chunks[i].maxt);
    }
    *out = &s->base;
    return OK;
}

/* The next series of those found that shows something; none: NULL. */
static errc series_next(struct block_set *set, struct series **out, struct err *e)
{
    *out = NULL;
    while (!*out && set->at < set->found.n) {
        struct err why = { 0 };
        if (!set->limit) block_series_want(set->q->block, &set->found, set->at);
        errc rc = series_make(set, set->found.at[set->at++], out, &why);
        if (rc != OK && !block_leaves_out(set->q->block, &set->q->left, rc, &why))
            return err_set(e, rc, "block %.*s: %s", STR_ARG(block_dir(set->q->block)), why.msg);
    }
    return OK;
}

/* Its chunks, those at one go that lie near each other in one segment; how many bytes, but for the
 * length of the last of each. */
static uint64_t chunks_want(const struct block_series *s)
{
    const struct index_chunk *c = s->chunks;
    uint64_t bytes = 0;
    for (size_t i = 0, k; i < s->n; i = k) {
        for (k = i + 1; k < s->n && segment_of(c[k].ref) == segment_of(c[i].ref); k++)
            if (c[k].ref <= c[k - 1].ref || c[k].ref - c[k - 1].ref > AHEAD_GAP_BYTES) break;
        segments_want(s->q->block->segments, c[i].ref, c[k - 1].ref);
        bytes += c[k - 1].ref - c[i].ref;
    }
    return bytes;
}

static bool ahead_ended(const struct block_set *set)
{
    if (!set->ahead_n) return false;
    const struct ahead_series *last = &set->ahead[(set->ahead_at + set->ahead_n - 1) % AHEAD_MAX];
    return last->rc != OK || !last->s;
}

/* Keeps the ring as full as it may be, but for one that is asked for now. */
static errc series_next_ahead(struct block_set *set, struct series **out, struct err *e)
{
    set->ahead_far = MIN(set->ahead_far * 2 + 1, (size_t)AHEAD_MAX);
    while (set->ahead_n < set->ahead_far && !ahead_ended(set) &&
           (!set->ahead_n || set->ahead_bytes < AHEAD_BYTES_MAX)) {
        struct ahead_series next = { 0 };
        next.rc = series_next(set, &next.s, &set->ahead_why);
        if (next.rc == OK && next.s)
            next.bytes = chunks_want(CONTAINER_OF(next.s, struct block_series, base));
        set->ahead_bytes += next.bytes;
        set->ahead[(set->ahead_at + set->ahead_n++) % AHEAD_MAX] = next;
    }
    struct ahead_series one = set->ahead[set->ahead_at];
    *out = one.s;
    if (one.rc != OK) return err_set(e, one.rc, "%s", set->ahead_why.msg);
    if (!one.s) return OK; /* the end stays where it is */
    set->ahead_at = (set->ahead_at + 1) % AHEAD_MAX;
    set->ahead_n--;
    set->ahead_bytes -= one.bytes;
    return OK;
}

static errc set_next(struct series_set *base, struct series **out, struct err *e)
{
    struct block_set *set = CONTAINER_OF(base, struct block_set, base);
    *out = NULL;
    if (set->limit && set->given == set->limit) return OK;
    TRY(set->ahead ? series_next_ahead(set, out, e) : series_next(set, out, e));
    if (arena_spent(&set->q->arena) || arena_spent(&set->q->strings)) return budget_query_error(e);
    if (*out) set->given++;
    return OK;
}

static void set_free(struct series_set *base)
{
    struct block_set *set = CONTAINER_OF(base, struct block_set, base);
    errc un = index_window_end(&set->window, NULL);    /* far: nothing is mapped */
    (void)un;
    index_series_fini(&set->entry);
    vec_fini(&set->found);
    mem_free(set);
}
static const struct series_set_ops block_set_ops = { .next = set_next, .free = set_free };

/* Of series that are asked for their labels alone; such a set is made one at a time. */
static void set_forget(struct series_set *base)
{
    arena_reset(&CONTAINER_OF(base, struct block_set, base)->q->arena, (struct arena_mark){ 0 });
}
static const struct series_set_ops block_labels_ops = {
    .next = set_next, .free = set_free, .forget = set_forget
};

static errc querier_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
    struct block_set *set = NEW(struct block_set);
    *set =
        (struct block_set){ .base.ops = &block_set_ops, .q = q, .mint = q->mint, .maxt = q->maxt };
    if (h && (h->start || h->end)) {
        set->mint = MAX(set->mint, h->start);
        set->maxt = MIN(set->maxt, h->end);
    }
    if (h) set->limit = h->limit;
    bool labels_only = h && str_eq(h->func, S("series"));
    if (labels_only) set->base.ops = &block_labels_ops;
    if (!labels_only && segments_wants(q->block->segments))
        set->ahead = arena_zalloc(&q->arena, AHEAD_MAX * sizeof(*set->ahead));
    errc rc = block_select(q->block, ms, &set->found, e);
    if (rc != OK) set_free(&set->base);
    else *out = &set->base;
    return rc == OK ? OK : err_in(e, rc, "block %.*s", STR_ARG(block_dir(q->block)));
}

/* Label names and values. */

struct value_walk {
    struct block_querier *q;
    str name;
    struct matchers ms;
    size_t limit;
    str_list *out;
    VEC(uint64_t) offsets;
    bool truncated;
};

static bool value_passes(const struct value_walk *w, str value)
{
    for (size_t i = 0; i < w->ms.n; i++)
        if (str_eq(w->ms.at[i].name, w->name) && !matcher_matches(&w->ms.at[i], value))
            return false;
    return true;
}

static bool value_add(void *ctx, str value, uint64_t offset)
{
    struct value_walk *w = ctx;
    if (!value.n || !value_passes(w, value)) return true;
    if (!w->ms.n && w->limit && w->out->n == w->limit) {
        w->truncated = true;
        return false;
    }
    vec_push(w->out, arena_str(&w->q->strings, value));
    if (w->ms.n) vec_push(&w->offsets, offset);
    return true;
}

/* Has one of the series found this value? For where the value's own list is damaged. */
static errc value_meets(struct value_walk *w, str value, const postings_list *found,
    postings_list *out, struct err *e)
{
    SCOPED(index_series_fini) struct index_series s = { 0 };
    for (size_t i = 0; i < found->n && !out->n; i++) {
        errc rc = index_reader_series(w->q->block->index, found->at[i], true, &s, e);
        if (rc == ERR_CORRUPT) continue;       /* told by who reads its samples */
        TRY(rc);
        for (size_t k = 0; k < s.labels.n; k++) {
            str name, is;
            TRY(symbol_memo_get(&w->q->symbols, s.labels.at[k].name, &name, e));
            TRY(symbol_memo_get(&w->q->symbols, s.labels.at[k].value, &is, e));
            if (str_eq(name, w->name) && str_eq(is, value)) vec_push(out, found->at[i]);
        }
    }
    return OK;
}

/* Of the values that pass, those whose series match. */
static errc values_meet(struct value_walk *w, const postings_list *found, struct err *e)
{
    postings_list list = { 0 };
    errc rc = OK;
    size_t n = 0;
    for (size_t i = 0; rc == OK && i < w->out->n && !w->truncated; i++) {
        list.n = 0;
        rc = index_reader_postings_at(w->q->block->index, w->offsets.at[i], &list, e);
        if (rc == ERR_CORRUPT) rc = value_meets(w, w->out->at[i], found, &list, e);
        if (rc != OK || postings_disjoint(&list, found)) continue;
        if (w->limit && n == w->limit) w->truncated = true;
        else w->out->at[n++] = w->out->at[i];
    }
    w->out->n = n;
    vec_fini(&list);
    return rc;
}

static errc querier_label_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
    struct value_walk w = { .q = q, .name = name, .ms = ms, .limit = limit, .out = out };
    postings_list found = { 0 };
    out->n = 0;
    errc rc = ms.n ? block_select(q->block, ms, &found, e) : OK;
    if (rc == OK && (!ms.n || found.n))
        rc = index_reader_values(q->block->index, name, STR_EMPTY, value_add, &w, e);
    if (rc == OK && ms.n) rc = values_meet(&w, &found, e);
    vec_fini(&found);
    vec_fini(&w.offsets);
    *truncated = w.truncated;
    return rc == OK ? OK : err_in(e, rc, "block %.*s", STR_ARG(block_dir(q->block)));
}

/* The names of the series found, each once: a name's symbol is known after its first series. */
static errc names_of(
    struct block_querier *q, const postings_list *found, str_list *out, struct err *e)
{
    SCOPED(index_series_fini) struct index_series s = { 0 };
    struct index_window window = { 0 };
    struct map seen = { 0 };
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < found->n; i++) {
        struct err why = { 0 };
        block_series_want(q->block, found, i);
        rc = index_reader_series_on(q->block->index, &window, found->at[i], true, &s, &why);
        if (rc != OK) {
            if (!block_leaves_out(q->block, &q->left, rc, &why)) err_set(e, rc, "%s", why.msg);
            else rc = OK;
            continue;
        }
        for (size_t k = 0; rc == OK && k < s.labels.n; k++) {
            uint32_t ref = s.labels.at[k].name;
            str name;
            if (map_find(&seen, ref, NULL, NULL)) continue;
            map_put(&seen, ref, q);
            rc = symbol_memo_get(&q->symbols, ref, &name, e);
            if (rc == OK) vec_push(out, name);
        }
    }
    errc un = index_window_end(&window, NULL); /* far: nothing is mapped */
    (void)un;
    map_fini(&seen);
    strs_sort(out->at, out->n);
    return rc;
}

static errc querier_label_names(struct querier *base, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
    postings_list found = { 0 };
    errc rc = OK;
    out->n = 0;
    if (!ms.n) {
        index_reader_names(q->block->index, out);
    } else {
        rc = block_select(q->block, ms, &found, e);
        if (rc == OK) rc = names_of(q, &found, out, e);
        vec_fini(&found);
    }
    *truncated = limit && out->n > limit;
    if (*truncated) out->n = limit;
    return rc == OK ? OK : err_in(e, rc, "block %.*s", STR_ARG(block_dir(q->block)));
}

static void querier_warn(struct querier *base, str_list *out)
{
    left_out_list(&CONTAINER_OF(base, struct block_querier, base)->left, out);
}

static void querier_end(struct querier *base)
{
    struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
    left_out_fini(&q->left);
    symbol_memo_fini(&q->symbols);
    arena_fini(&q->arena);
    arena_fini(&q->strings);
    block_deleted_unref(q->deleted);
    block_unref(q->block);
    mem_free(q);
}

static const struct querier_ops block_querier_ops = {
    .select = querier_select,
    .label_values = querier_label_values,
    .label_names = querier_label_names,
    .free = querier_end,
    .warnings = querier_warn,
};

errc block_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct block_querier *q = NEW(struct block_querier);
    (void)e;
    q->base.ops = &block_querier_ops;
    q->block = block_ref(CONTAINER_OF(s, struct block, queryable));
    q->deleted = block_deleted_ref(q->block);
    q->mint = mint;
    q->maxt = maxt;
    arena_init(&q->arena, &block_queriers_account, 0);
    arena_init(&q->strings, &block_queriers_account, 0);
    left_out_init(&q->left);
    q->symbols = (struct symbol_memo){ .block = q->block, .arena = &q->strings };
    *out = &q->base;
    return OK;
}
