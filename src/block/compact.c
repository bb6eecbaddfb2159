#include "block/compact.h"

#include "base/heap.h"
#include "base/metric.h"
#include "block/block_writer.h"
#include "block/series_merge.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Symbols: the union. Series are then merged by the numbers that their symbols have in it, without
 * a look at any text. */

typedef VEC(uint32_t) num_list;
/* nums: what the symbols so far are called in the union */
struct symbol_source { struct symbol_set *set; str cur; num_list *nums; };

static bool symbol_less(const void *a, const void *b)
{
    return str_cmp(((const struct symbol_source *)a)->cur, ((const struct symbol_source *)b)->cur) <
           0;
}

static errc symbol_read(struct symbol_source *s, heap *h, struct err *e)
{
    bool more = false;
    TRY(s->set->ops->next(s->set, &more, &s->cur, e));
    if (more) heap_push(h, symbol_less, s);
    return OK;
}

static errc symbols_merge(struct block_writer *w, heap *h, struct err *e)
{
    SCOPED(buf_fini) struct buf last = { 0 };
    uint32_t n = 0;
    while (h->n) {
        struct symbol_source *s = heap_pop(h, symbol_less);
        if (!n || !str_eq(s->cur, buf_view(&last))) {
            TRY(block_writer_symbol(w, s->cur, e));
            buf_reset(&last);
            buf_str(&last, s->cur);
            n++;
        }
        vec_push(s->nums, n - 1);
        TRY(symbol_read(s, h, e));
    }
    return OK;
}

/* nums: a list for each block. */
static errc write_symbols(struct block_writer *w, struct block *const *blocks, size_t n,
    num_list *nums, struct err *e)
{
    struct symbol_source *all = mem_zalloc(n * sizeof(*all));
    heap h = { 0 };
    errc rc = OK;
    for (size_t i = 0; i < n; i++)
        all[i] = (struct symbol_source){ .set = block_symbols(blocks[i]), .nums = &nums[i] };
    for (size_t i = 0; rc == OK && i < n; i++) rc = symbol_read(&all[i], &h, e);
    if (rc == OK) rc = symbols_merge(w, &h, e);
    for (size_t i = 0; i < n; i++) symbol_set_free(all[i].set);
    vec_fini(&h);
    mem_free(all);
    return rc;
}

/* Series. */

static errc series_write(const struct compact_opts *o, struct block_writer *w,
    struct chunk_series_set *series, uint64_t total, struct err *e)
{
    for (uint64_t chunks = 0;;) {
        const struct chunk_series *s;
        if (o->stop && atomic_load_explicit(o->stop, memory_order_relaxed))
            return err_set(e, ERR_CANCELED, "compaction was stopped");
        TRY(series->ops->next(series, &s, e));
        if (!s) return OK;
        TRY(block_writer_series(w, s, e));
        chunks += s->n;
        progress_tell(o->progress, S("chunks"), MIN(chunks, total), total);
    }
}

static errc write_series(const struct compact_opts *o, struct block_writer *w,
    struct block *const *blocks, size_t n, const num_list *nums, struct err *e)
{
    struct chunk_series_set **sets = mem_zalloc(n * sizeof(*sets)), *all = NULL;
    uint64_t total = 0;
    errc rc = OK;
    for (size_t i = 0; i < n; i++) total += block_meta(blocks[i])->stats.chunks;
    for (size_t i = 0; rc == OK && i < n; i++)
        rc = block_chunks(blocks[i], nums[i].at, nums[i].n, &sets[i], e);
    if (rc == OK) {
        rc = series_merge(&all, sets, n, e);
        if (rc == OK) rc = series_write(o, w, all, total, e);
        chunk_series_set_free(all);
    } else {
        for (size_t i = 0; i < n; i++) chunk_series_set_free(sets[i]);
    }
    mem_free(sets);
    return rc;
}

static errc write_all(const struct compact_opts *o, struct block_writer *w,
    struct block *const *blocks, size_t n, struct err *e)
{
    num_list *nums = mem_zalloc(n * sizeof(*nums));
    errc rc = write_symbols(w, blocks, n, nums, e);
    if (rc == OK) rc = write_series(o, w, blocks, n, nums, e);
    for (size_t i = 0; i < n; i++) vec_fini(&nums[i]);
    mem_free(nums);
    return rc;
}

/* meta.json of the result. */

static int ulid_order(const void *a, const void *b)
{
    return ulid_cmp(*(const ulid *)a, *(const ulid *)b);
}

static void meta_merge(struct block_meta *m, struct block *const *blocks, size_t n, struct arena *a)
{
    size_t n_sources = 0, kept = 0;
    *m = (struct block_meta){
        .id = ulid_new(), .mint = INT64_MAX, .maxt = INT64_MIN, .hints = BLOCK_HINT_OOO
    };
    struct block_desc *parents = arena_array(a, n, sizeof(*parents));
    for (size_t i = 0; i < n; i++) n_sources += block_meta(blocks[i])->n_sources;
    ulid *sources = arena_array(a, n_sources, sizeof(*sources));
    n_sources = 0;
    for (size_t i = 0; i < n; i++) {
        const struct block_meta *from = block_meta(blocks[i]);
        m->mint = MIN(m->mint, from->mint);
        m->maxt = MAX(m->maxt, from->maxt);
        m->level = MAX(m->level, from->level + 1);
        m->hints = (m->hints & from->hints & BLOCK_HINT_OOO) |
                   ((m->hints | from->hints) & ~(unsigned)BLOCK_HINT_OOO);
        parents[i] = (struct block_desc){ from->id, from->mint, from->maxt };
        for (size_t k = 0; k < from->n_sources; k++) sources[n_sources++] = from->sources[k];
    }
    if (n_sources) qsort(sources, n_sources, sizeof(*sources), ulid_order);
    for (size_t i = 0; i < n_sources; i++)
        if (!kept || !ulid_eq(sources[kept - 1], sources[i])) sources[kept++] = sources[i];
    m->sources = sources;
    m->n_sources = kept;
    m->parents = parents;
    m->n_parents = n;
}

static void meta_anew(struct block_meta *m, struct arena *a)
{
    ulid *source = arena_array(a, 1, sizeof(*source));
    *source = m->id;
    m->level = 1;
    m->sources = source;
    m->n_sources = 1;
}

COUNTER(m_vertical, "prometheus_tsdb_vertical_compactions_total",
    "Total number of compactions done on overlapping blocks.")

static bool overlap(struct block *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct block_meta *x = block_meta(blocks[i]), *y = block_meta(blocks[k]);
            if (x->mint < y->maxt && y->mint < x->maxt) return true;
        }
    return false;
}

errc compact_blocks(
    const struct compact_opts *o, struct block *const *blocks, size_t n, ulid *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_meta meta;
    struct block_writer *w = NULL;
    struct block_stats stats;
    if (overlap(blocks, n)) metric_inc(&m_vertical);
    assert(!o->anew || n == 1);
    meta_merge(&meta, blocks, n, &a);
    if (o->anew) meta_anew(&meta, &a);
    struct block_writer_opts wo = { .fs = o->fs, .meta = &meta, .segment_bytes = o->segment_bytes };
    TRY(block_writer_begin(&w, &wo, e));
    errc rc = write_all(o, w, blocks, n, e);
    if (rc != OK) {
        block_writer_abort(w);
        return rc;
    }
    TRY(block_writer_finish(w, &stats, e));
    *out = stats.samples ? meta.id : (ulid){ { 0 } };
    return OK;
}
