#include "block/block_writer.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/metric.h"
#include "block/index_writer.h"
#include "block/meta.h"
#include "block/segment_writer.h"
#include "block/tombstones_codec.h"
#include "chunk/chunk.h"

static const double duration_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
    8192 };
static const double size_bounds[] = { 32, 48, 72, 108, 162, 243, 364.5, 546.75, 820.125, 1230.1875,
    1845.28125, 2767.921875 };
static const double samples_bounds[] = { 4, 6, 9, 13.5, 20.25, 30.375, 45.5625, 68.34375,
    102.515625, 153.7734375, 230.66015625, 345.990234375 };
static const double range_bounds[] = { 100, 400, 1600, 6400, 25600, 102400, 409600, 1638400,
    6553600, 26214400 };
HISTOGRAM(m_duration, "prometheus_tsdb_compaction_duration_seconds", "Duration of compaction runs",
    duration_bounds)
HISTOGRAM(m_size, "prometheus_tsdb_compaction_chunk_size_bytes",
    "Final size of chunks on their first compaction", size_bounds)
HISTOGRAM(m_samples, "prometheus_tsdb_compaction_chunk_samples",
    "Final number of samples on their first compaction", samples_bounds)
HISTOGRAM(m_range, "prometheus_tsdb_compaction_chunk_range_seconds",
    "Final time range of chunks on their first compaction", range_bounds)
GAUGE(m_populating, "prometheus_tsdb_compaction_populating_block",
    "Set to 1 when a block is currently being written to the disk.")

struct block_writer {
    int64_t began_ns;
    struct fs *fs;
    struct arena a;
    struct block_meta meta;
    str parent, dir, tmp;                      /* dir: parent/ULID; tmp: ULID.tmp-for-creation */
    struct segment_writer *segments;
    struct index_writer *index;
    VEC(uint64_t) refs;
    VEC(struct index_chunk) chunks;
};

static void meta_copy(struct block_writer *w, const struct block_meta *m)
{
    w->meta = *m;
    w->meta.stats = (struct block_stats){ 0 };
    ulid *sources = arena_array(&w->a, m->n_sources, sizeof(*sources));
    struct block_desc *parents = arena_array(&w->a, m->n_parents, sizeof(*parents));
    str *hints = arena_array(&w->a, m->n_other_hints, sizeof(*hints));
    for (size_t i = 0; i < m->n_sources; i++) sources[i] = m->sources[i];
    for (size_t i = 0; i < m->n_parents; i++) parents[i] = m->parents[i];
    for (size_t i = 0; i < m->n_other_hints; i++) hints[i] = arena_str(&w->a, m->other_hints[i]);
    w->meta.sources = sources;
    w->meta.parents = parents;
    w->meta.other_hints = hints;
    w->meta.more = arena_str(&w->a, m->more);
    w->meta.more_stats = arena_str(&w->a, m->more_stats);
    w->meta.more_compaction = arena_str(&w->a, m->more_compaction);
}

static void writer_free(struct block_writer *w)
{
    metric_set(&m_populating, 0);
    metric_observe(&m_duration, (double)(clock_mono_ns() - w->began_ns) * 1e-9);
    segment_writer_close(w->segments);
    index_writer_close(w->index);
    vec_fini(&w->refs);
    vec_fini(&w->chunks);
    arena_fini(&w->a);
    mem_free(w);
}

void block_writer_abort(struct block_writer *w)
{
    if (!w) return;
    segment_writer_close(STEAL(w->segments));
    index_writer_close(STEAL(w->index));
    /* what is left, the next opening removes */
    errc rc = fs_remove_tree(w->fs, w->tmp, NULL);
    (void)rc;
    writer_free(w);
}

static errc files_begin(struct block_writer *w, const struct block_writer_opts *o, struct err *e)
{
    TRY(fs_mkdir(w->fs, w->tmp, e));
    TRY(segment_writer_open(
        &w->segments, w->fs, path_join(&w->a, w->tmp, S("chunks")), o->segment_bytes, e));
    struct index_writer_opts io = { .fs = w->fs, .path = path_join(&w->a, w->tmp, S("index")) };
    return index_writer_open(&w->index, &io, e);
}

errc block_writer_begin(struct block_writer **out, const struct block_writer_opts *o, struct err *e)
{
    struct block_writer *w = NEW(struct block_writer);
    w->fs = o->fs;
    w->began_ns = clock_mono_ns();
    metric_set(&m_populating, 1);
    meta_copy(w, o->meta);
    w->parent = arena_str(&w->a, o->parent);
    str name = arena_fmt(&w->a, "%s", ulid_text(w->meta.id).z);
    w->dir = path_join(&w->a, w->parent, name);
    w->tmp = arena_fmt(&w->a, "%.*s.tmp-for-creation", STR_ARG(w->dir));
    errc rc = fs_remove_tree(w->fs, w->tmp, e);
    if (rc == OK) rc = files_begin(w, o, e);
    if (rc != OK) block_writer_abort(w);
    else *out = w;
    return rc;
}

errc block_writer_symbol(struct block_writer *w, str symbol, struct err *e)
{
    return index_writer_symbol(w->index, symbol, e);
}

/* The range in milliseconds, whatever its name says: so the reference has it. */
static void observe_chunk(const struct chunk_view *c, uint64_t samples)
{
    metric_observe(&m_size, (double)c->data.n);
    metric_observe(&m_samples, (double)samples);
    metric_observe(&m_range, (double)(c->maxt - c->mint));
}

errc block_writer_series(struct block_writer *w, const struct chunk_series *s, struct err *e)
{
    if (!s->n) return OK;
    vec_reserve(&w->refs, s->n);
    TRY(segment_writer_add(w->segments, s->chunks, s->n, w->refs.at, e));
    w->chunks.n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct chunk_view *c = &s->chunks[i];
        vec_push(&w->chunks, ((struct index_chunk){ c->mint, c->maxt, w->refs.at[i] }));
        uint64_t n = chunk_count(c->enc, c->data);
        w->meta.stats.samples += n;
        if (w->meta.level == 1) observe_chunk(c, n);
        *(chunk_enc_is_float(c->enc) ? &w->meta.stats.float_samples
                                     : &w->meta.stats.histogram_samples) += n;
    }
    w->meta.stats.chunks += s->n;
    w->meta.stats.series++;
    return s->nums.n ? index_writer_series_nums(w->index, s->nums, w->chunks.at, w->chunks.n, e)
                     : index_writer_series(w->index, s->labels, w->chunks.at, w->chunks.n, e);
}

static errc files_end(struct block_writer *w, struct err *e)
{
    SCOPED(buf_fini) struct buf none = { 0 };
    TRY(segment_writer_finish(w->segments, e));
    TRY(index_writer_finish(w->index, e));
    TRY(meta_write(w->fs, w->tmp, &w->meta, e));
    block_tombstones_encode(&none, &(struct tombstones){ 0 });
    /* and with it all names of the folder */
    return fs_write_durable(w->fs, path_join(&w->a, w->tmp, S("tombstones")), buf_view(&none), e);
}

errc block_writer_finish(struct block_writer *w, struct block_stats *stats, struct err *e)
{
    errc rc = OK;
    *stats = w->meta.stats;
    if (!w->meta.stats.samples) {
        block_writer_abort(w);
        return OK;
    }
    rc = files_end(w, e);
    if (rc == OK) rc = fs_rename(w->fs, w->tmp, w->dir, e);
    if (rc != OK) {
        block_writer_abort(w);
        return rc;
    }
    if (!fault_dropped("block.rename_fsync")) rc = fs_sync_dir(w->fs, w->parent, e);
    writer_free(w);
    return rc;
}

static errc symbols_write(struct block_writer *w, struct symbol_set *symbols, struct err *e)
{
    for (;;) {
        bool more;
        str s;
        TRY(symbols->ops->next(symbols, &more, &s, e));
        if (!more) return OK;
        TRY(block_writer_symbol(w, s, e));
    }
}

static errc series_write(struct block_writer *w, struct chunk_series_set *series, struct err *e)
{
    for (;;) {
        const struct chunk_series *s;
        TRY(series->ops->next(series, &s, e));
        if (!s) return OK;
        TRY(block_writer_series(w, s, e));
    }
}

errc block_write(const struct block_writer_opts *o, struct symbol_set *symbols,
    struct chunk_series_set *series, struct block_stats *stats, struct err *e)
{
    struct block_writer *w = NULL;
    errc rc = block_writer_begin(&w, o, e);
    if (rc == OK) rc = symbols_write(w, symbols, e);
    if (rc == OK) rc = series_write(w, series, e);
    symbol_set_free(symbols);
    chunk_series_set_free(series);
    if (rc == OK) return block_writer_finish(w, stats, e);
    block_writer_abort(w);
    return rc;
}
