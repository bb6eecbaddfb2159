#include "block/block_impl.h"

#include "base/log.h"
#include "base/metric.h"
#include "block/float_cache.h"
#include "block/meta.h"
#include "chunk/aggr.h"
#include "chunk/chunk_iter.h"

COUNTER(m_left_out, "epimetheus_block_damage_met_total",
    "Damaged index entries and chunks of blocks that queries met and left out.")

enum { TOMBSTONES_MAX_BYTES = 1 << 30, RUN_MAX_BYTES = 64 << 10, TELL_SERIES = 128 };

/* Tombstones. */

struct block_deleted *block_deleted_ref(struct block *b)
{
    mtx_lock(&b->mu);
    struct block_deleted *d = b->deleted;
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    mtx_unlock(&b->mu);
    return d;
}

void block_deleted_unref(struct block_deleted *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1) return;
    tombstones_fini(&d->all);
    mem_free(d);
}

struct block_deleted *block_deleted_new(void)
{
    struct block_deleted *d = NEW(struct block_deleted);
    atomic_init(&d->refs, 1);
    return d;
}

struct block_deleted *block_deleted_swap(struct block *b, struct block_deleted *now)
{
    mtx_lock(&b->mu);
    struct block_deleted *was = b->deleted;
    b->deleted = now;
    mtx_unlock(&b->mu);
    return was;
}

/* No file: nothing was deleted. */
static errc tombstones_open(struct block *b, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str file, path = path_join(&a, b->dir, S("tombstones"));
    b->deleted = block_deleted_new();
    if (!fs_exists(b->fs, path)) return OK;
    TRY(fs_read_all(b->fs, path, &a, TOMBSTONES_MAX_BYTES, &file, e));
    b->bytes += file.n;
    return block_tombstones_decode(&b->deleted->all, file, e);
}

/* Opening and closing. */

static errc parts_open(struct block *b, enum io_backend backend, const struct index_samples *x,
    struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs_stat st;
    TRY(meta_read(&b->meta, b->fs, b->dir, &b->arena, e));
    str index = path_join(&a, b->dir, S("index"));
    TRY_IN(e, index_reader_open_sampled(&b->index, b->fs, index, backend, x, e), "index");
    TRY_IN(e,
        segments_open(
            &b->segments, b->fs, path_join(&a, b->dir, S("chunks")), backend, IO_PASSING, e),
        "chunks");
    TRY(tombstones_open(b, e));
    TRY(fs_stat(b->fs, path_join(&a, b->dir, S("meta.json")), &st, e));
    b->bytes += index_reader_size(b->index) + segments_bytes(b->segments) + st.size_bytes;
    return OK;
}

static void block_free(struct block *b)
{
    float_cache_forget(b->id);
    index_reader_close(b->index);
    segments_close(b->segments);
    block_deleted_unref(b->deleted);
    mtx_fini(&b->mu);
    arena_fini(&b->arena);
    mem_free(b);
}

static const struct queryable_ops block_queryable_ops = { .querier = block_querier };

errc block_open(struct block **out, const struct block_opts *o, str dir, struct err *e)
{
    struct block *b = NEW(struct block);
    b->queryable.ops = &block_queryable_ops;
    atomic_init(&b->refs, 1);
    b->fs = o->fs;
    b->id = float_cache_block_id();
    b->salvage = o->salvage;
    b->aggregates = o->aggregates;
    b->backend = o->backend;
    b->dir = arena_str(&b->arena, dir);
    mtx_init(&b->mu, LOCK_LEAF);
    errc rc = parts_open(b, o->backend, o->samples, e);
    if (rc == OK) *out = b;
    else block_free(b);
    return rc == OK ? OK : err_in(e, rc, "block %.*s", STR_ARG(dir));
}

bool block_leaves_out(const struct block *b, struct left_out *l, errc rc, const struct err *why)
{
    if (rc != ERR_CORRUPT && (!b->salvage || rc != ERR_UNSUPPORTED)) return false;
    metric_inc(&m_left_out);
    LOG_LIMITED(WARN, LEFT_OUT_WARN_EVERY_MS, "a damaged part of a block is left out",
        kv_str("block", b->dir), kv_err(why));
    left_out_add(l, S("block"), b->dir, why);
    return true;
}

struct block *block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void block_unref(struct block *b)
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) block_free(b);
}

const struct block_meta *block_meta(const struct block *b) { return &b->meta; }
str block_dir(const struct block *b) { return b->dir; }
uint64_t block_bytes(const struct block *b) { return b->bytes; }
struct queryable *block_queryable(struct block *b) { return &b->queryable; }
struct index_reader *block_index(struct block *b) { return b->index; }

uint64_t block_tombstones(struct block *b)
{
    struct block_deleted *d = block_deleted_ref(b);
    uint64_t n = tombstones_count(&d->all);
    block_deleted_unref(d);
    return n;
}

struct block_meta block_meta_now(struct block *b)
{
    mtx_lock(&b->mu);
    struct block_meta m = b->meta;
    m.deletable = b->deletable;
    m.failed = b->failed;
    m.stats.tombstones = tombstones_count(&b->deleted->all);
    mtx_unlock(&b->mu);
    return m;
}

errc block_mark(struct block *b, bool deletable, bool failed, struct err *e)
{
    struct block_meta m = block_meta_now(b);
    m.deletable |= deletable;
    m.failed |= failed;
    TRY(meta_write(b->fs, b->dir, &m, e));
    mtx_lock(&b->mu);
    b->deletable = m.deletable;
    b->failed = m.failed;
    mtx_unlock(&b->mu);
    return OK;
}

/* Symbols, each looked up once. */

void symbol_memo_fini(struct symbol_memo *m) { map_fini(&m->found); }

static errc symbol_memo_find(
    struct symbol_memo *m, uint32_t ref, const struct symbol_group **out, struct err *e)
{
    uint32_t k = index_reader_symbol_group_of(m->block->index, ref);
    struct symbol_group *g = map_find(&m->found, k, NULL, NULL);
    if (!g) {
        struct symbol_group fresh;
        TRY(index_reader_symbol_group(m->block->index, ref, m->arena, &fresh, e));
        g = ANEW(m->arena, struct symbol_group);
        *g = fresh;
        map_put(&m->found, k, g);
    }
    *out = g;
    return OK;
}

static inline errc memo_get(struct symbol_memo *m, uint32_t ref, str *out, struct err *e)
{
    enum { NEAR_STEP = 8 };                    /* a group lies in a few of the places */
    const struct symbol_group **near = &m->near[ref / NEAR_STEP % SYMBOL_GROUPS_NEAR];
    if (UNLIKELY(!*near || ref - (*near)->first >= (*near)->n))
        TRY(symbol_memo_find(m, ref, near, e));
    *out = (*near)->at[ref - (*near)->first];
    return OK;
}

errc symbol_memo_get(struct symbol_memo *m, uint32_t ref, str *out, struct err *e)
{
    return memo_get(m, ref, out, e);
}

errc symbol_memo_labels(
    struct symbol_memo *m, const struct index_series *s, struct label *out, struct err *e)
{
    for (size_t i = 0; i < s->labels.n; i++) {
        TRY(memo_get(m, s->labels.at[i].name, &out[i].name, e));
        TRY(memo_get(m, s->labels.at[i].value, &out[i].value, e));
    }
    return OK;
}

/* All series with their chunks. */

struct block_chunk_set {
    struct chunk_series_set base;
    struct block *block;
    struct block_deleted *deleted;
    postings_list all;
    size_t at;
    struct index_series entry;
    struct index_window window;
    struct index_series *told;                 /* a ring of TELL_SERIES, or NULL; of the next */
    bool told_good[TELL_SERIES];
    struct arena arena;                        /* symbols */
    struct symbol_memo symbols;
    VEC(struct label) labels;
    const uint32_t *nums;                      /* of symbols; NULL: labels are given as texts */
    size_t n_nums;
    struct index_series next;                  /* with nums: the entry that comes next */
    bool has_next;
    struct segments *own;                      /* to be read on; NULL: those of the block */
    struct reader *own_index;                  /* the same */
    struct index_window own_window;            /* on own_index */
    bool far;                                  /* its segments are */
    struct segment_run wide;                   /* chunks of this series, and of the next */
    size_t fetched;                            /* of it, into the processor's cache */
    VEC(struct segment_run) runs;
    VEC(struct chunk_view) views;
    int64_t mint, maxt;
    intervals outside;                         /* with what was deleted, if a chunk reaches out */
    struct chunk_series series;
    bool selected;                             /* damage is left out; else it is an error */
    struct left_out left;                      /* what that was */
    struct err why;                            /* of the last failure, whatever becomes of it */
    struct chunk_iter iter;                    /* of first times */
};

/* The last failure ends the step, unless it is damage that is left out. */
static errc set_failed(struct block_chunk_set *s, errc rc, struct err *e)
{
    if (s->selected && block_leaves_out(s->block, &s->left, rc, &s->why)) return OK;
    return err_set(e, rc, "%s", s->why.msg);
}

/* Who compacts has written by now what he made of it, but not finished the block. What changed in
 * memory is no damage of the block: it may be whole when it is read anew. */
static errc run_unpin(struct block_chunk_set *s, struct segment_run *run, struct err *e)
{
    errc rc = s->selected ? OK : reader_check(&run->pin, e), un = segments_unpin_run(run, e);
    return un != OK ? un : rc == ERR_CORRUPT ? ERR_IO : rc;
}

static errc set_unpin(struct block_chunk_set *s, struct err *e)
{
    errc rc = OK;
    while (s->runs.n) {
        errc one = run_unpin(s, &s->runs.at[--s->runs.n], e);
        if (one != OK) rc = one;
    }
    return rc;
}

/* The last that can tell of a fault. */
static errc windows_end(struct block_chunk_set *s, struct err *e)
{
    errc rc = index_window_end(&s->own_window, e), un = run_unpin(s, &s->wide, e);
    return rc != OK ? rc : un;
}

static bool set_wants(const struct block_chunk_set *s, const struct index_chunk *c)
{
    return c->maxt >= s->mint && c->mint <= s->maxt;
}

/* Behind the last chunk that is pinned with chunk i: those that lie near, in their order. */
static size_t run_end(const struct block_chunk_set *s, size_t i)
{
    uint64_t first = s->entry.chunks.at[i].ref, last = first;
    size_t k = i + 1;
    for (; k < s->entry.chunks.n && set_wants(s, &s->entry.chunks.at[k]); k++) {
        uint64_t ref = s->entry.chunks.at[k].ref;
        if (segment_of(ref) != segment_of(first) || ref <= last || ref - first > RUN_MAX_BYTES)
            break;
        last = ref;
    }
    return k;
}

static errc view_begin(struct block_chunk_set *s, const struct segment_record *r, int64_t *t,
    bool *any, struct err *e)
{
    if (s->block->aggregates && r->enc == CHUNK_AGGR)
        return aggr_begin(&s->iter, r->data, t, any, e);
    return chunk_iter_begin(&s->iter, r->enc, r->data, t, any, e);
}

/* Of a file far away what does not check in a run is looked for alone, and read anew. */
static errc record_find(struct block_chunk_set *s, const struct segment_run *run,
    const struct index_chunk *c, struct segment_record *out)
{
    struct segment_pin one;
    errc rc = run ? segment_run_chunk(run, c->ref, out, &s->why) : ERR_CORRUPT;
    if (rc != ERR_CORRUPT || !s->far) return rc;
    TRY(segments_pin(s->block->segments, c->ref, &one, &s->why));
    vec_push(&s->runs, ((struct segment_run){ c->ref, one.pin }));
    return segment_run_chunk(&vec_last(&s->runs), c->ref, out, &s->why);
}

static errc view_add(struct block_chunk_set *s, const struct segment_run *run,
    const struct index_chunk *c, struct err *e)
{
    struct segment_record r;
    errc rc = record_find(s, run, c, &r);
    int64_t t = 0;
    bool any = false;
    if (rc == OK) rc = view_begin(s, &r, &t, &any, &s->why);
    if (rc == OK && any && (t < c->mint || t > c->maxt)) rc = index_chunk_other(c, &s->why);
    if (rc != OK) return set_failed(s, rc, e);
    uint8_t head = segment_record_head(&r);
    vec_push(&s->views, ((struct chunk_view){ c->mint, c->maxt, r.enc, r.data, head }));
    return OK;
}

/* The processor's own guesses end at each page. */
static void fetch_ahead(struct block_chunk_set *s, uint64_t last)
{
    enum { AHEAD_BYTES = 4 << 10, LINE_BYTES = 64 };
    str all = s->wide.pin.bytes;
    size_t at = (size_t)(last - s->wide.first), end = MIN(all.n, at + AHEAD_BYTES);
    for (at = MAX(at, s->fetched); at < end; at += LINE_BYTES) __builtin_prefetch(all.p + at);
    s->fetched = at;
}

/* Those of this step are given back by the next, the wide one when another takes its place. */
static errc run_open(struct block_chunk_set *s, uint64_t first, uint64_t last,
    const struct segment_run **out, struct err *e)
{
    struct segment_run run;
    struct segments *from = s->own ? s->own : s->block->segments;
    bool wide = s->own || s->far;
    *out = &s->wide;
    if (wide && segment_run_holds(&s->wide, first, last)) {
        if (s->own) fetch_ahead(s, last);
        return OK;
    }
    if (wide) TRY(segments_pin_wide(from, first, last, &run, e));
    else TRY(segments_pin_run(from, first, last, &run, e));
    struct segment_run now = run;
    if (wide) {
        run = s->wide;
        s->wide = now;
        s->fetched = 0;
    }
    if (run.pin.reader) vec_push(&s->runs, run);
    if (!wide) *out = &vec_last(&s->runs);
    return OK;
}

/* Where a run cannot be had because of damage its chunks are tried one by one. */
static errc run_pin(struct block_chunk_set *s, size_t first, size_t end, struct err *e)
{
    const struct index_chunk *c = s->entry.chunks.at;
    const struct segment_run *run;
    errc rc = run_open(s, c[first].ref, c[end - 1].ref, &run, &s->why);
    if (rc == ERR_CORRUPT && s->far) {
        for (size_t i = first; i < end; i++) TRY(view_add(s, NULL, &c[i], e));
        return OK;
    }
    bool apart = rc == ERR_CORRUPT && s->selected && end - first > 1;
    for (size_t i = first; apart && i < end; i++) TRY(run_pin(s, i, i + 1, e));
    if (rc != OK) return apart ? OK : set_failed(s, rc, e);
    for (size_t i = first; i < end; i++) TRY(view_add(s, run, &c[i], e));
    return OK;
}

static errc set_pin(struct block_chunk_set *s, struct err *e)
{
    s->views.n = 0;
    for (size_t i = 0, end; i < s->entry.chunks.n; i = end) {
        bool wanted = set_wants(s, &s->entry.chunks.at[i]);
        end = wanted ? run_end(s, i) : i + 1;
        if (wanted) TRY(run_pin(s, i, end, e));
    }
    return OK;
}

/* What is not to be seen of the chunks at hand. */
static const intervals *set_deleted(struct block_chunk_set *s, uint32_t ref)
{
    const intervals *deleted = tombstones_of(&s->deleted->all, ref);
    bool inside = true;
    for (size_t i = 0; i < s->views.n; i++)
        inside &= s->views.at[i].mint >= s->mint && s->views.at[i].maxt <= s->maxt;
    if (inside) return deleted;
    s->outside.n = 0;
    for (size_t i = 0; deleted && i < deleted->n; i++) vec_push(&s->outside, deleted->at[i]);
    if (s->mint > INT64_MIN)
        intervals_add(&s->outside, (struct interval){ INT64_MIN, s->mint - 1 });
    if (s->maxt < INT64_MAX)
        intervals_add(&s->outside, (struct interval){ s->maxt + 1, INT64_MAX });
    return &s->outside;
}

static errc set_name(struct block_chunk_set *s, struct err *e)
{
    vec_reserve(&s->labels, s->entry.labels.n);
    s->labels.n = s->entry.labels.n;
    return symbol_memo_labels(&s->symbols, &s->entry, s->labels.at, e);
}

/* In their place. */
static errc set_number(struct block_chunk_set *s, struct err *e)
{
    struct index_reader *index = s->block->index;
    bool by_place = index_reader_version(index) == INDEX_V1;
    for (size_t i = 0; i < s->entry.labels.n; i++) {
        struct label_num *l = &s->entry.labels.at[i];
        if (by_place) TRY(index_reader_symbol_num(index, l->name, &l->name, e));
        if (by_place) TRY(index_reader_symbol_num(index, l->value, &l->value, e));
        if (l->name >= s->n_nums || l->value >= s->n_nums)
            return err_set(e, ERR_CORRUPT, "index: no symbol %u", MAX(l->name, l->value));
        *l = (struct label_num){ s->nums[l->name], s->nums[l->value] };
    }
    return OK;
}

/* The chunks of one series that will be pinned, told by runs. */
static void chunks_tell(const struct block_chunk_set *s, const struct index_series *x)
{
    const struct index_chunk *c = x->chunks.at;
    for (size_t i = 0, k; i < x->chunks.n; i = k) {
        k = i + 1;
        if (!set_wants(s, &c[i])) continue;
        while (k < x->chunks.n && set_wants(s, &c[k]) && c[k].ref > c[k - 1].ref &&
               segment_of(c[k].ref) == segment_of(c[i].ref) &&
               c[k].ref - c[i].ref <= RUN_MAX_BYTES)
            k++;
        segments_want(s->block->segments, c[i].ref, c[k - 1].ref);
    }
}

/* Where each read is a way there and back: what the next series need, now and then. What cannot be
 * read of them is told by their own step. */
static void chunk_set_tell(struct block_chunk_set *s)
{
    struct index_reader *index = s->block->index;
    if (s->own || !index_reader_far(index)) return;
    block_series_want(s->block, &s->all, s->at);
    if (s->at % TELL_SERIES) return;
    size_t end = MIN(s->all.n, s->at + TELL_SERIES);
    if (!s->told) s->told = arena_zalloc(&s->arena, TELL_SERIES * sizeof(*s->told));
    for (size_t i = s->at; i < end; i++) {
        struct index_series *x = &s->told[i % TELL_SERIES];
        bool good = index_reader_series_on(index, &s->window, s->all.at[i], false, x, NULL) == OK;
        if (good) chunks_tell(s, x);
        s->told_good[i % TELL_SERIES] = good;
    }
}

/* The numbers of the symbols lie far apart, and seldom in the processor's cache: those of the next
 * entry come there while this one is looked at. A failure is told by its own step. */
static void set_look_ahead(struct block_chunk_set *s)
{
    s->has_next = s->at < s->all.n &&
                  index_reader_series_by(s->block->index, s->own_index, &s->own_window,
                      s->all.at[s->at], false, &s->next, NULL) == OK;
    if (!s->has_next) return;
    for (size_t i = 0; i < s->next.labels.n; i++)
        if (s->next.labels.at[i].value < s->n_nums)
            __builtin_prefetch(&s->nums[s->next.labels.at[i].value]);
}

/* What was read of it ahead is taken. */
static errc set_read(struct block_chunk_set *s, size_t i, struct err *e)
{
    size_t k = i % TELL_SERIES;
    if (s->has_next) {
        struct index_series x = s->entry;
        s->entry = s->next;
        s->next = x;
        s->has_next = false;
        return OK;
    }
    if (!s->told || !s->told_good[k])
        return index_reader_series_by(s->block->index, s->own_index, &s->own_window, s->all.at[i],
            false, &s->entry, e);
    struct index_series x = s->entry;
    s->entry = s->told[k];
    s->told[k] = x;
    return OK;
}

static errc set_entry(struct block_chunk_set *s, size_t i, struct err *e)
{
    TRY(set_read(s, i, e));
    TRY(s->nums ? set_number(s, e) : set_name(s, e));
    if (s->nums) set_look_ahead(s);
    return OK;
}

/* *out NULL: its entry is damaged, and left out. */
static errc chunk_set_step(
    struct block_chunk_set *s, const struct chunk_series **out, struct err *e)
{
    chunk_set_tell(s);
    uint32_t ref = s->all.at[s->at];
    errc rc = set_entry(s, s->at++, &s->why);
    if (rc != OK) return set_failed(s, rc, e);
    TRY(set_pin(s, e));
    s->series = (struct chunk_series){
        .chunks = s->views.at, .n = s->views.n, .deleted = set_deleted(s, ref)
    };
    if (s->nums) s->series.nums = (struct label_nums){ s->entry.labels.at, s->entry.labels.n };
    else s->series.labels = (struct labels){ s->labels.at, s->labels.n };
    *out = &s->series;
    return OK;
}

static errc chunk_set_next(
    struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct block_chunk_set *s = CONTAINER_OF(base, struct block_chunk_set, base);
    *out = NULL;
    /* a fault of what was handed out last is told now: it is not to be believed */
    errc rc = set_unpin(s, e);
    while (rc == OK && !*out && s->at < s->all.n) rc = chunk_set_step(s, out, e);
    if (rc == OK && !*out) rc = windows_end(s, e);
    return rc == OK ? OK : err_in(e, rc, "block %.*s", STR_ARG(block_dir(s->block)));
}

static void chunk_set_free(struct chunk_series_set *base)
{
    struct block_chunk_set *s = CONTAINER_OF(base, struct block_chunk_set, base);
    errc rc = set_unpin(s, NULL), un = windows_end(s, NULL),
         far = index_window_end(&s->window, NULL);
    (void)rc, (void)un, (void)far;
    symbol_memo_fini(&s->symbols);
    chunk_iter_fini(&s->iter);
    index_series_fini(&s->entry);
    index_series_fini(&s->next);
    for (size_t i = 0; s->told && i < TELL_SERIES; i++) index_series_fini(&s->told[i]);
    arena_fini(&s->arena);
    vec_fini(&s->all);
    vec_fini(&s->labels);
    vec_fini(&s->runs);
    vec_fini(&s->views);
    vec_fini(&s->outside);
    left_out_fini(&s->left);
    block_deleted_unref(s->deleted);
    segments_close(s->own);
    reader_close(s->own_index);
    block_unref(s->block);
    mem_free(s);
}
static void chunk_set_warn(struct chunk_series_set *base, str_list *out)
{
    left_out_list(&CONTAINER_OF(base, struct block_chunk_set, base)->left, out);
}
static const struct chunk_series_set_ops block_chunk_set_ops = { chunk_set_next, chunk_set_free,
    chunk_set_warn };

static struct block_chunk_set *chunk_set_new(struct block *b, int64_t mint, int64_t maxt)
{
    struct block_chunk_set *s = NEW(struct block_chunk_set);
    s->base.ops = &block_chunk_set_ops;
    s->block = block_ref(b);
    s->deleted = block_deleted_ref(b);
    s->symbols = (struct symbol_memo){ .block = b, .arena = &s->arena };
    s->far = segments_far(b->segments);
    s->mint = mint;
    s->maxt = maxt;
    left_out_init(&s->left);
    chunk_iter_init(&s->iter);
    return s;
}

/* Through readers of its own, which leave nothing behind in memory. */
errc block_chunks(struct block *b, const uint32_t *nums, size_t n_nums,
    struct chunk_series_set **out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_chunk_set *s = chunk_set_new(b, INT64_MIN, INT64_MAX);
    s->nums = nums;
    s->n_nums = n_nums;
    errc rc = segments_open(
        &s->own, b->fs, path_join(&a, b->dir, S("chunks")), b->backend, IO_SEQUENTIAL, e);
    struct read_as on = { b->backend, IO_INDEX, IO_SEQUENTIAL };
    if (rc == OK) rc = reader_open(&s->own_index, b->fs, path_join(&a, b->dir, S("index")), on, e);
    if (rc == OK) rc = index_reader_postings(b->index, STR_EMPTY, STR_EMPTY, &s->all, e);
    if (rc != OK) chunk_set_free(&s->base);
    else *out = &s->base;
    return rc;
}

errc block_chunks_select(struct block *b, struct matchers ms, int64_t mint, int64_t maxt,
    struct chunk_series_set **out, struct err *e)
{
    struct block_chunk_set *s = chunk_set_new(b, mint, maxt);
    s->selected = true;
    errc rc = block_select(b, ms, &s->all, e);
    if (rc != OK) chunk_set_free(&s->base);
    else *out = &s->base;
    return rc == OK ? OK : err_in(e, rc, "block %.*s", STR_ARG(block_dir(b)));
}

void block_chunks_list(struct block *b, postings_list *refs, int64_t mint, int64_t maxt,
    struct chunk_series_set **out)
{
    struct block_chunk_set *s = chunk_set_new(b, mint, maxt);
    s->all = *refs;
    *refs = (postings_list){ 0 };
    *out = &s->base;
}

struct block_symbol_set { struct symbol_set base; struct block *block; struct symbol_set *in; };

static errc block_symbols_next(struct symbol_set *base, bool *more, str *out, struct err *e)
{
    struct block_symbol_set *s = CONTAINER_OF(base, struct block_symbol_set, base);
    return s->in->ops->next(s->in, more, out, e);
}

static void block_symbols_free(struct symbol_set *base)
{
    struct block_symbol_set *s = CONTAINER_OF(base, struct block_symbol_set, base);
    symbol_set_free(s->in);
    block_unref(s->block);
    mem_free(s);
}
static const struct symbol_set_ops block_symbol_set_ops = { block_symbols_next,
    block_symbols_free };

struct symbol_set *block_symbols(struct block *b)
{
    struct block_symbol_set *s = NEW(struct block_symbol_set);
    *s = (struct block_symbol_set){ { &block_symbol_set_ops }, block_ref(b),
        index_reader_symbols(b->index) };
    return &s->base;
}
