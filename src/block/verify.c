#include "block/verify.h"

#include "base/path.h"
#include "block/block_impl.h"
#include "block/index_scan.h"
#include "block/meta.h"
#include "block/segment_codec.h"
#include "block/verify_lists.h"
#include "chunk/aggr.h"
#include "chunk/chunk.h"
#include "chunk/measure.h"

#include <stdlib.h>

enum { TOMBSTONES_MAX_BYTES = 1 << 30 };

struct verify {
    const struct block_verify_opts *o;
    struct block_verified *out;
    struct findings *f;
    struct arena arena;
    str dir, index, meta;                      /* paths */
    struct index_scan scan;
    struct chunk_iter iter;
    uint64_t tombstones;
};

/* Notes a part as wrong if it has findings that it did not have before. */
static void note(struct verify *v, uint64_t before, enum block_wrong part)
{
    if (findings_count(v->f) > before) v->out->wrong |= part;
}

/* Series: labels in order, chunks one behind the other. */

static void check_labels(struct verify *v, const struct scan_series *s)
{
    const struct label_num *l = v->scan.labels.at + s->label;
    for (size_t i = 0; i < s->n_labels; i++) {
        if (i && l[i].name <= l[i - 1].name)
            findings_add_at(v->f, v->index, s->at, "series: its labels are not in order");
        if (!v->scan.symbols.at[l[i].name].n || !v->scan.symbols.at[l[i].value].n)
            findings_add_at(v->f, v->index, s->at, "series: an empty label");
    }
}

static void check_chunk_times(struct verify *v, const struct scan_series *s)
{
    const struct index_chunk *c = v->scan.chunks.at + s->chunk;
    for (size_t i = 1; i < s->n_chunks; i++)
        if (c[i].mint <= c[i - 1].maxt)
            findings_add_at(
                v->f, v->index, s->at, "series: chunk %zu is not behind the one before", i);
}

/* Symbols ascend, so the order of their places is that of their texts. */
static int series_cmp(
    const struct index_scan *k, const struct scan_series *a, const struct scan_series *b)
{
    const struct label_num *x = k->labels.at + a->label, *y = k->labels.at + b->label;
    for (size_t i = 0; i < a->n_labels && i < b->n_labels; i++) {
        if (x[i].name != y[i].name) return x[i].name < y[i].name ? -1 : 1;
        if (x[i].value != y[i].value) return x[i].value < y[i].value ? -1 : 1;
    }
    return (a->n_labels > b->n_labels) - (a->n_labels < b->n_labels);
}

static void check_series(struct verify *v)
{
    const struct index_scan *k = &v->scan;
    for (size_t i = 0; i < k->series.n; i++) {
        const struct scan_series *s = &k->series.at[i];
        check_chunk_times(v, s);
        if (!k->has_symbols) continue;
        check_labels(v, s);
        if (i && series_cmp(k, s - 1, s) >= 0)
            findings_add_at(v->f, v->index, s->at, "series: its labels are not in order of series");
    }
    v->out->stats.series = k->series.n;
    v->out->stats.chunks = k->chunks.n;
}

/* A folder is no file, whatever its name. */
static bool is_folder(struct verify *v, str path)
{
    if (!fs_is_dir(v->o->fs, path)) return false;
    findings_add(v->f, path, "a folder with the name of a file");
    return true;
}

static errc check_index(struct verify *v, struct err *e)
{
    if (is_folder(v, v->index)) {
        v->out->wrong |= BLOCK_INDEX;
        return OK;
    }
    uint64_t before = findings_count(v->f);
    errc rc = index_scan_open(&v->scan, v->o->fs, v->index, v->o->backend, v->f, v->index, e);
    if (rc == ERR_NOT_FOUND) {
        findings_add(v->f, v->index, "there is none");
        rc = OK;
    } else if (rc == OK) {
        check_series(v);
        verify_lists(&v->scan, v->f, v->index);
        v->out->bytes += v->scan.bytes.n;
    }
    note(v, before, BLOCK_INDEX);
    return rc;
}

/* Chunks. */

static int chunk_ref_cmp(const void *a, const void *b)
{
    const struct index_chunk *x = a, *y = b;
    return (x->ref > y->ref) - (x->ref < y->ref);
}

static str segment_path(struct verify *v, uint32_t segment)
{
    return arena_fmt(&v->arena, "%.*s/chunks/%06" PRIu32, STR_ARG(v->dir), segment + 1);
}

static void count_chunk(struct verify *v, uint8_t enc, const struct chunk_measure *m)
{
    struct block_verified *out = v->out;
    out->stats.samples += m->n;
    *(chunk_enc_is_float(enc) ? &out->stats.float_samples : &out->stats.histogram_samples) += m->n;
    out->mint = MIN(out->mint, m->mint);
    out->maxt = MAX(out->maxt, m->maxt);
}

static errc check_chunk(
    struct verify *v, const struct segment_pin *p, const struct index_chunk *c, struct err *e)
{
    struct chunk_measure m;
    if (v->o->aggregates && p->enc == CHUNK_AGGR) TRY(aggr_measure(&m, &v->iter, p->data, e));
    else TRY(chunk_measure(&m, &v->iter, p->enc, p->data, e));
    if (m.n == 0) return err_set(e, ERR_CORRUPT, "a chunk without samples");
    if (m.mint != c->mint || m.maxt != c->maxt)
        return err_set(e, ERR_CORRUPT,
            "a chunk of %" PRId64 " to %" PRId64 ", the index says %" PRId64 " to %" PRId64, m.mint,
            m.maxt, c->mint, c->maxt);
    count_chunk(v, p->enc, &m);
    return OK;
}

/* The chunk; *end: behind its record, unchanged if it cannot be told. */
static errc walk_chunk(struct verify *v, struct segments *all, const struct index_chunk *c,
    uint64_t *end, struct err *e)
{
    enum { GROUP_BITS = 7 };
    struct segment_pin pin = { 0 };
    struct err why = { 0 };
    errc rc = segments_pin(all, c->ref, &pin, &why);
    if (rc == OK) {
        uint64_t n = pin.data.n;
        *end = segment_offset(c->ref) + n + 1 + SEGMENT_RECORD_EXTRA_BYTES;
        while (n >>= GROUP_BITS) ++*end;
        rc = check_chunk(v, &pin, c, &why);
    }
    if (rc == ERR_CORRUPT) {
        uint32_t segment = segment_of(c->ref);
        findings_add_at(v->f, segment_path(v, segment), segment_offset(c->ref), "%s", why.msg);
    } else if (rc != OK) {
        (void)err_set(e, rc, "%s", why.msg);
    }
    errc un = segments_unpin(&pin, e);
    return un != OK ? un : rc == ERR_CORRUPT ? OK : rc;
}

/* Chunks that lie where others end: between two there is nothing, unless one of them is damaged. */
static errc walk_chunks(
    struct verify *v, struct segments *all, const struct index_chunk *at, size_t n, struct err *e)
{
    uint32_t segment = 0;
    uint64_t end = SEGMENT_HEADER_BYTES;
    for (size_t i = 0; i <= n; i++) {
        uint32_t next = i < n ? segment_of(at[i].ref) : UINT32_MAX;
        for (; segment < next && segment < segments_count(all); segment++) {
            uint64_t size = segments_size(all, segment);
            if (end && size > end)
                findings_add_at(v->f, segment_path(v, segment), end,
                    "%" PRIu64 " bytes that are no chunk of the index", size - end);
            end = SEGMENT_HEADER_BYTES;
        }
        if (i == n) break;
        uint64_t from = segment_offset(at[i].ref);
        if (end && from != end)
            findings_add_at(v->f, segment_path(v, next), MIN(from, end), "chunks %s",
                from < end ? "overlap" : "leave bytes that the index does not name");
        end = 0;
        TRY(walk_chunk(v, all, &at[i], &end, e));
    }
    return OK;
}

static errc check_chunks(struct verify *v, struct err *e)
{
    uint64_t before = findings_count(v->f);
    size_t n = v->scan.chunks.n;
    str dir = path_join(&v->arena, v->dir, S("chunks"));
    struct segments *all = NULL;
    errc rc = segments_open_damaged(&all, v->o->fs, dir, v->o->backend, v->f, e);
    if (rc == ERR_NOT_FOUND) {
        findings_add(v->f, dir, "there is none");
        rc = OK;
    }
    if (rc == OK && all) {
        struct index_chunk *at = mem_alloc_array(n, sizeof(*at));
        if (n) memcpy(at, v->scan.chunks.at, n * sizeof(*at));
        if (n) qsort(at, n, sizeof(*at), chunk_ref_cmp);
        rc = walk_chunks(v, all, at, n, e);
        v->out->bytes += segments_bytes(all);
        mem_free(at);
    }
    segments_close(all);
    note(v, before, BLOCK_CHUNKS);
    return rc;
}

/* Tombstones. */

static void check_deleted(struct verify *v, const struct tombstones *t, str path)
{
    for (size_t i = 0; i < t->at.n; i++) {
        uint64_t ref = t->at.at[i].ref;
        if (ref > UINT32_MAX || !index_scan_find(&v->scan, (uint32_t)ref))
            findings_add(v->f, path, "deleted of a series %" PRIu64 ", which is not there", ref);
    }
}

static errc check_tombstones(struct verify *v, struct err *e)
{
    struct err why = { 0 };
    struct tombstones t = { 0 };
    str file, path = path_join(&v->arena, v->dir, S("tombstones"));
    bool folder = is_folder(v, path);
    if (folder || !fs_exists(v->o->fs, path)) {
        if (!folder) findings_add(v->f, path, "there is none");
        v->out->wrong |= BLOCK_NO_TOMBSTONES;
        return OK;
    }
    uint64_t before = findings_count(v->f);
    TRY(fs_read_all(v->o->fs, path, &v->arena, TOMBSTONES_MAX_BYTES, &file, e));
    errc rc = block_tombstones_decode(&t, file, &why);
    if (rc != OK) findings_add(v->f, path, "%s", why.msg);
    else if (!(v->out->wrong & BLOCK_INDEX)) check_deleted(v, &t, path);
    note(v, before, BLOCK_TOMBSTONES);
    v->out->bytes += file.n;
    v->out->stats.tombstones = tombstones_count(&t);
    tombstones_fini(&t);
    return OK;
}

/* meta.json. */

static void check_figure(struct verify *v, const char *name, uint64_t said, uint64_t is)
{
    if (said != is)
        findings_add(v->f, v->meta, "%s is %" PRIu64 ", there are %" PRIu64, name, said, is);
}

/* Not the number of tombstones: a deletion writes their file first, and may end there. */
static void check_meta_stats(struct verify *v, const struct block_stats *m)
{
    const struct block_stats *is = &v->out->stats;
    check_figure(v, "numSeries", m->series, is->series);
    check_figure(v, "numChunks", m->chunks, is->chunks);
    check_figure(v, "numSamples", m->samples, is->samples);
    if (m->float_samples || m->histogram_samples) {            /* older versions write neither */
        check_figure(v, "numFloatSamples", m->float_samples, is->float_samples);
        check_figure(v, "numHistogramSamples", m->histogram_samples, is->histogram_samples);
    }
}

static void check_meta_words(struct verify *v, const struct block_meta *m, bool counted)
{
    if (m->misnamed) findings_add(v->f, v->meta, "names another block");
    if (m->version2) findings_add(v->f, v->meta, "its version is 2");
    if (m->mint > m->maxt)
        findings_add(v->f, v->meta, "minTime %" PRId64 " is behind maxTime %" PRId64, m->mint,
            m->maxt);
    if (counted && v->out->mint <= v->out->maxt &&
        (v->out->mint < m->mint || v->out->maxt >= m->maxt))
        findings_add(v->f, v->meta,
            "samples from %" PRId64 " to %" PRId64 " are not within minTime %" PRId64
            " and maxTime %" PRId64, v->out->mint, v->out->maxt, m->mint, m->maxt);
    if (counted) check_meta_stats(v, &m->stats);
}

static errc check_meta(struct verify *v, struct err *e)
{
    struct err why = { 0 };
    struct block_meta m;
    if (is_folder(v, v->meta)) {
        v->out->wrong |= BLOCK_NO_META;
        return OK;
    }
    uint64_t before = findings_count(v->f);
    bool counted = !(v->out->wrong & ~(unsigned)BLOCK_NO_TOMBSTONES);
    errc rc = meta_read(&m, v->o->fs, v->dir, &v->arena, &why);
    if (rc != OK && rc != ERR_NOT_FOUND && rc != ERR_CORRUPT) return err_set(e, rc, "%s", why.msg);
    if (rc == OK) check_meta_words(v, &m, counted);
    else findings_add(v->f, v->meta, "%s", rc == ERR_NOT_FOUND ? "there is none" : why.msg);
    note(v, before, rc == OK ? BLOCK_META : BLOCK_NO_META);
    return OK;
}

errc block_verify(struct block_verified *out, const struct block_verify_opts *o, str dir,
    struct findings *f, struct err *e)
{
    struct verify v = { .o = o, .out = out, .f = f, .dir = dir };
    *out = (struct block_verified){ .mint = INT64_MAX, .maxt = INT64_MIN };
    v.index = path_join(&v.arena, dir, S("index"));
    v.meta = path_join(&v.arena, dir, S("meta.json"));
    chunk_iter_init(&v.iter);
    errc rc = check_index(&v, e);
    if (rc == OK) rc = check_chunks(&v, e);
    if (rc == OK) rc = check_tombstones(&v, e);
    if (rc == OK) rc = check_meta(&v, e);
    errc closed = index_scan_close(&v.scan, rc == OK ? e : NULL);
    chunk_iter_fini(&v.iter);
    arena_fini(&v.arena);
    return rc != OK ? rc : closed;
}
