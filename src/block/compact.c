#include "block/compact.h"

#include "base/heap.h"
#include "block/block_writer.h"
#include "block/chunk_merge.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Symbols: the union. */

struct symbol_source { struct symbol_set *set; str cur; };

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
    for (bool any = false; h->n; any = true) {
        struct symbol_source *s = heap_pop(h, symbol_less);
        if (!any || !str_eq(s->cur, buf_view(&last))) {
            TRY(block_writer_symbol(w, s->cur, e));
            buf_reset(&last);
            buf_str(&last, s->cur);
        }
        TRY(symbol_read(s, h, e));
    }
    return OK;
}

static errc write_symbols(
    struct block_writer *w, struct block *const *blocks, size_t n, struct err *e)
{
    struct symbol_source *all = mem_zalloc(n * sizeof(*all));
    heap h = { 0 };
    errc rc = OK;
    for (size_t i = 0; i < n; i++) all[i].set = block_symbols(blocks[i]);
    for (size_t i = 0; rc == OK && i < n; i++) rc = symbol_read(&all[i], &h, e);
    if (rc == OK) rc = symbols_merge(w, &h, e);
    for (size_t i = 0; i < n; i++) symbol_set_free(all[i].set);
    vec_fini(&h);
    mem_free(all);
    return rc;
}

/* Series. */

struct series_source {
    struct chunk_series_set *set;
    const struct chunk_series *cur;
};

/* No more than that: among equal ones the heap decides, as Prometheus' does. */
static bool series_less(const void *a, const void *b)
{
    const struct series_source *x = a, *y = b;
    return labels_cmp(x->cur->labels, y->cur->labels) < 0;
}

struct merging {
    const struct compact_opts *o;
    struct block_writer *w;
    heap waiting;
    VEC(struct series_source *) same;
    VEC(const struct chunk_series *) series;
    struct chunk_merge chunks;
};

static errc series_read(struct merging *m, struct series_source *s, struct err *e)
{
    TRY(s->set->ops->next(s->set, &s->cur, e));
    if (s->cur) heap_push(&m->waiting, series_less, s);
    return OK;
}

/* One series of the result. */
static errc series_merge(struct merging *m, struct err *e)
{
    m->same.n = m->series.n = 0;
    do {
        vec_push(&m->same, heap_pop(&m->waiting, series_less));
        vec_push(&m->series, vec_last(&m->same)->cur);
    } while (m->waiting.n && labels_eq(((struct series_source *)m->waiting.at[0])->cur->labels,
                                 m->series.at[0]->labels));
    TRY(chunk_merge(&m->chunks, m->series.at, m->series.n, e));
    struct chunk_series out = { m->series.at[0]->labels, m->chunks.out.at, m->chunks.out.n, NULL };
    TRY(block_writer_series(m->w, &out, e));
    for (size_t i = 0; i < m->same.n; i++) TRY(series_read(m, m->same.at[i], e));
    return OK;
}

static errc series_merge_all(struct merging *m, struct err *e)
{
    while (m->waiting.n) {
        if (m->o->stop && atomic_load_explicit(m->o->stop, memory_order_relaxed))
            return err_set(e, ERR_CANCELED, "compaction was stopped");
        TRY(series_merge(m, e));
    }
    return OK;
}

static errc write_series(const struct compact_opts *o, struct block_writer *w,
    struct block *const *blocks, size_t n, struct err *e)
{
    struct series_source *all = mem_zalloc(n * sizeof(*all));
    struct merging m = { .o = o, .w = w };
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < n; i++) {
        rc = block_chunks(blocks[i], &all[i].set, e);
        if (rc == OK) rc = series_read(&m, &all[i], e);
    }
    if (rc == OK) rc = series_merge_all(&m, e);
    for (size_t i = 0; i < n; i++) chunk_series_set_free(all[i].set);
    chunk_merge_fini(&m.chunks);
    vec_fini(&m.waiting);
    vec_fini(&m.same);
    vec_fini(&m.series);
    mem_free(all);
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

errc compact_blocks(
    const struct compact_opts *o, struct block *const *blocks, size_t n, ulid *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_meta meta;
    struct block_writer *w = NULL;
    struct block_stats stats;
    assert(!o->anew || n == 1);
    meta_merge(&meta, blocks, n, &a);
    if (o->anew) meta_anew(&meta, &a);
    struct block_writer_opts wo = { .fs = o->fs, .meta = &meta, .segment_bytes = o->segment_bytes };
    TRY(block_writer_begin(&w, &wo, e));
    errc rc = write_symbols(w, blocks, n, e);
    if (rc == OK) rc = write_series(o, w, blocks, n, e);
    if (rc != OK) {
        block_writer_abort(w);
        return rc;
    }
    TRY(block_writer_finish(w, &stats, e));
    *out = stats.samples ? meta.id : (ulid){ { 0 } };
    return OK;
}
