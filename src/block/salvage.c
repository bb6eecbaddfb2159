/* salvage.c — what is left of a block becomes a block.
 *
 * An index names the labels of a series twice: by the symbols that its entry refers to, and by the
 * postings lists that it is in. Either alone is enough, if it is whole: when a symbol table is
 * damaged the labels of a series are those of the lists that have it, and it has to be in as many
 * of them as its entry has labels.
 */
#include "block/salvage.h"

#include "base/strs.h"
#include "block/block_writer.h"
#include "block/index_scan.h"
#include "block/meta.h"
#include "block/series_merge.h"
#include "block/segments.h"
#include "block/tombstones_codec.h"
#include "block/verify.h"
#include "chunk/measure.h"

#include <stdlib.h>

enum { TOMBSTONES_MAX_BYTES = 1 << 30 };

/* A series with all its labels. */
struct found { const struct scan_series *s; struct labels labels; };

struct salvage {
    const struct block_salvage_opts *o;
    str dir, index;
    struct findings *f;
    struct block_salvaged *out;
    struct arena arena;
    struct index_scan scan;
    struct segments *segments;
    struct tombstones deleted;
    struct label *labels;                      /* beside scan.labels */
    VEC(struct found) found;                   /* by labels */
};

/* Labels. */

static void labels_from_symbols(struct salvage *v)
{
    const struct index_scan *k = &v->scan;
    for (size_t i = 0; i < k->labels.n; i++)
        v->labels[i] = (struct label){ k->symbols.at[k->labels.at[i].name],
            k->symbols.at[k->labels.at[i].value] };
}

/* Puts a label to each series of a list; have[i]: how many the i-th has. */
static void labels_from_list(struct salvage *v, const struct index_entry *x, size_t *have)
{
    str refs;
    size_t bytes;
    if (index_scan_list(&v->scan, x->offset, &refs, &bytes, NULL) != OK) return;
    for (cursor c = cur_of(refs); cur_left(&c);) {
        const struct scan_series *s = index_scan_find(&v->scan, cur_be32(&c));
        if (!s) continue;
        size_t i = (size_t)(s - v->scan.series.at), n = have[i]++;
        if (n < s->n_labels) v->labels[s->label + n] = (struct label){ x->name, x->value };
    }
}

static int label_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static void labels_from_lists(struct salvage *v)
{
    const struct index_scan *k = &v->scan;
    size_t *have = mem_zalloc((k->series.n + 1) * sizeof(*have));
    for (size_t i = 0; i < k->entries.n; i++)
        if (k->entries.at[i].name.n) labels_from_list(v, &k->entries.at[i], have);
    for (size_t i = 0; i < k->series.n; i++) {
        const struct scan_series *s = &k->series.at[i];
        if (have[i] == s->n_labels)
            qsort(v->labels + s->label, s->n_labels, sizeof(*v->labels), label_cmp);
        else if (s->n_labels) v->labels[s->label] = (struct label){ STR_EMPTY, STR_EMPTY };
    }
    mem_free(have);
}

static bool labels_whole(struct labels l)
{
    for (size_t i = 0; i < l.n; i++) {
        if (!l.at[i].name.n || !l.at[i].value.n) return false;
        if (i && str_cmp(l.at[i - 1].name, l.at[i].name) >= 0) return false;
    }
    return l.n > 0;
}

static int found_cmp(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int order = labels_cmp(x->labels, y->labels);
    return order ? order : (x->s->at > y->s->at) - (x->s->at < y->s->at);
}

static void find_series(struct salvage *v)
{
    const struct index_scan *k = &v->scan;
    size_t kept = 0;
    v->labels = mem_zalloc((k->labels.n + 1) * sizeof(*v->labels));
    if (k->has_symbols) labels_from_symbols(v);
    else labels_from_lists(v);
    for (size_t i = 0; i < k->series.n; i++) {
        const struct scan_series *s = &k->series.at[i];
        struct labels l = { v->labels + s->label, s->n_labels };
        if (labels_whole(l)) vec_push(&v->found, ((struct found){ s, l }));
        else findings_add_at(v->f, v->index, s->at, "series: its labels are not known");
    }
    if (v->found.n) qsort(v->found.at, v->found.n, sizeof(*v->found.at), found_cmp);
    for (size_t i = 0; i < v->found.n; i++) {
        if (kept && labels_eq(v->found.at[kept - 1].labels, v->found.at[i].labels))
            findings_add_at(v->f, v->index, v->found.at[i].s->at, "series: it was there before");
        else v->found.at[kept++] = v->found.at[i];
    }
    v->found.n = kept;
    v->out->series_found = k->series.n;
    v->out->chunks_found = k->chunks.n;
}

/* Symbols: those of the series, each once. */

struct symbols { struct symbol_set base; str_list all; size_t at; };

static errc symbols_next(struct symbol_set *base, bool *more, str *out, struct err *e)
{
    struct symbols *s = CONTAINER_OF(base, struct symbols, base);
    (void)e;
    *more = s->at < s->all.n;
    if (*more) *out = s->all.at[s->at++];
    return OK;
}

static void symbols_free(struct symbol_set *base)
{
    struct symbols *s = CONTAINER_OF(base, struct symbols, base);
    vec_fini(&s->all);
    mem_free(s);
}

static const struct symbol_set_ops symbols_ops = { symbols_next, symbols_free };

static struct symbol_set *symbols_new(const struct salvage *v)
{
    struct symbols *s = NEW(struct symbols);
    s->base.ops = &symbols_ops;
    for (size_t i = 0; i < v->found.n; i++)
        for (size_t k = 0; k < v->found.at[i].labels.n; k++) {
            vec_push(&s->all, v->found.at[i].labels.at[k].name);
            vec_push(&s->all, v->found.at[i].labels.at[k].value);
        }
    s->all.n = strs_sort_unique(s->all.at, s->all.n);
    return &s->base;
}

/* Series with their good chunks. */

struct survivors {
    struct chunk_series_set base;
    struct salvage *v;
    size_t at;
    struct chunk_iter iter;
    VEC(struct segment_pin) pins;
    VEC(struct chunk_view) views;
    struct chunk_series series;
};

static errc pins_drop(struct survivors *s, struct err *e)
{
    errc rc = OK;
    while (s->pins.n) {
        errc one = segments_unpin(&s->pins.at[--s->pins.n], e);
        if (one != OK) rc = one;
    }
    return rc;
}

static errc chunk_good(
    struct survivors *s, const struct segment_pin *p, const struct index_chunk *c, struct err *e)
{
    struct chunk_measure m;
    TRY(chunk_measure(&m, &s->iter, p->enc, p->data, e));
    if (m.n && m.mint == c->mint && m.maxt == c->maxt) return OK;
    return err_set(e, ERR_CORRUPT, "its times are not those that the index says");
}

/* One chunk, or a finding. */
static errc chunk_take(struct survivors *s, const struct index_chunk *c, struct err *e)
{
    struct segment_pin pin = { 0 };
    struct err why = { 0 };
    bool follows = !s->views.n || c->mint > s->views.at[s->views.n - 1].maxt;
    errc rc = follows ? segments_pin(s->v->segments, c->ref, &pin, &why)
                      : err_set(&why, ERR_CORRUPT, "it is not behind the one before");
    if (rc == OK) rc = chunk_good(s, &pin, c, &why);
    if (rc == OK) {
        vec_push(&s->pins, pin);
        vec_push(&s->views, ((struct chunk_view){ c->mint, c->maxt, pin.enc, pin.data }));
        return OK;
    }
    errc un = segments_unpin(&pin, e);
    if (un != OK) return un;
    if (rc != ERR_CORRUPT) return err_set(e, rc, "%s", why.msg);
    findings_add(s->v->f, s->v->dir, "a chunk of %" PRId64 " to %" PRId64 " is lost: %s", c->mint,
        c->maxt, why.msg);
    return OK;
}

static errc survivors_next(
    struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct survivors *s = CONTAINER_OF(base, struct survivors, base);
    *out = NULL;
    TRY(pins_drop(s, e));
    s->views.n = 0;
    while (s->at < s->v->found.n && !s->views.n) {
        const struct found *x = &s->v->found.at[s->at++];
        const struct index_chunk *c = s->v->scan.chunks.at + x->s->chunk;
        for (size_t i = 0; i < x->s->n_chunks; i++) TRY(chunk_take(s, &c[i], e));
        s->series = (struct chunk_series){ x->labels, s->views.at, s->views.n,
            tombstones_of(&s->v->deleted, x->s->ref) };
    }
    if (s->views.n) *out = &s->series;
    return OK;
}

static void survivors_free(struct chunk_series_set *base)
{
    struct survivors *s = CONTAINER_OF(base, struct survivors, base);
    errc rc = pins_drop(s, NULL);              /* the end: nobody looks at these bytes any more */
    (void)rc;
    chunk_iter_fini(&s->iter);
    vec_fini(&s->pins);
    vec_fini(&s->views);
    mem_free(s);
}

static const struct chunk_series_set_ops survivors_ops = { survivors_next, survivors_free };

static struct chunk_series_set *survivors_new(struct salvage *v)
{
    struct survivors *s = NEW(struct survivors);
    s->base.ops = &survivors_ops;
    s->v = v;
    chunk_iter_init(&s->iter);
    return &s->base;
}

/* meta.json. */

#define ORIGIN_BEFORE S("\"epimetheus\": {\"salvaged_from\": \"")
#define ORIGIN_AFTER S("\"}")

bool salvage_origin(const struct block_meta *m, ulid *out)
{
    size_t at = str_find(m->more, S("\"salvaged_from\""));
    if (at == SIZE_MAX) return false;
    str rest = str_from(m->more, at + S("\"salvaged_from\"").n);
    size_t quote = str_index(rest, '"');
    return quote != SIZE_MAX && ulid_parse(str_slice(rest, quote + 1, quote + 1 + ULID_CHARS), out);
}

void salvage_meta(struct block_meta *m, const struct block_meta *known,
    const struct block_verified *counted, ulid id, struct arena *a)
{
    *m = known ? *known : (struct block_meta){ .level = 1, .hints = BLOCK_HINT_OOO };
    m->id = id;
    m->version2 = false;
    m->stats = counted->stats;
    if (!known || counted->mint < m->mint) m->mint = counted->mint;
    if (!known || counted->maxt >= m->maxt) m->maxt = counted->maxt + 1;
    if (m->n_sources) return;
    ulid *source = ANEW(a, ulid);
    *source = id;
    m->sources = source;
    m->n_sources = 1;
}

static void meta_of(struct salvage *v, ulid origin, struct block_meta *m)
{
    struct block_meta known;
    bool read = meta_read(&known, v->o->fs, v->dir, &v->arena, NULL) == OK;
    struct block_verified span = { .mint = INT64_MAX, .maxt = INT64_MIN };
    for (size_t i = 0; i < v->found.n; i++) {
        const struct scan_series *s = v->found.at[i].s;
        for (size_t k = 0; k < s->n_chunks; k++) {
            span.mint = MIN(span.mint, v->scan.chunks.at[s->chunk + k].mint);
            span.maxt = MAX(span.maxt, v->scan.chunks.at[s->chunk + k].maxt);
        }
    }
    salvage_meta(m, read ? &known : NULL, &span, ulid_new(), &v->arena);
    ulid before;
    m->parents = NULL;                         /* who takes it for their child deletes them */
    m->n_parents = 0;
    m->deletable = m->failed = false;
    if (!salvage_origin(m, &before))
        m->more = arena_fmt(&v->arena, "%.*s%s%.*s%s%.*s", STR_ARG(m->more), m->more.n ? "," : "",
            STR_ARG(ORIGIN_BEFORE), ulid_text(origin).z, STR_ARG(ORIGIN_AFTER));
}

/* All of it. */

static errc read_deleted(struct salvage *v, struct err *e)
{
    str file, path = path_join(&v->arena, v->dir, S("tombstones"));
    if (!fs_exists(v->o->fs, path)) return OK;
    TRY(fs_read_all(v->o->fs, path, &v->arena, TOMBSTONES_MAX_BYTES, &file, e));
    return block_tombstones_mend(&v->deleted, file, e);
}

static errc open_parts(struct salvage *v, struct err *e)
{
    str chunks = path_join(&v->arena, v->dir, S("chunks"));
    TRY(read_deleted(v, e));
    if (!fs_exists(v->o->fs, v->index) || !fs_exists(v->o->fs, chunks)) return OK;
    TRY(index_scan_open(&v->scan, v->o->fs, v->index, v->o->backend, v->f, v->index, e));
    return segments_open_damaged(&v->segments, v->o->fs, chunks, v->o->backend, v->f, e);
}

static errc write_block(struct salvage *v, ulid origin, struct err *e)
{
    struct block_meta meta;
    struct chunk_series_set *all = survivors_new(v), *cut = NULL;
    meta_of(v, origin, &meta);
    struct block_writer_opts wo = {
        .fs = v->o->fs, .meta = &meta, .segment_bytes = v->o->segment_bytes
    };
    TRY(series_merge(&cut, &all, 1, e));
    TRY(block_write(&wo, symbols_new(v), cut, &v->out->kept, e));
    if (v->out->kept.samples) v->out->id = meta.id;
    return OK;
}

errc block_salvage(struct block_salvaged *out, const struct block_salvage_opts *o, str dir,
    ulid origin, struct findings *f, struct err *e)
{
    struct salvage v = { .o = o, .dir = dir, .f = f, .out = out };
    *out = (struct block_salvaged){ 0 };
    v.index = path_join(&v.arena, dir, S("index"));
    errc rc = open_parts(&v, e);
    if (rc == OK && v.segments) {
        find_series(&v);
        if (v.found.n) rc = write_block(&v, origin, e);
    }
    segments_close(v.segments);
    errc closed = index_scan_close(&v.scan, rc == OK ? e : NULL);
    tombstones_fini(&v.deleted);
    mem_free(v.labels);
    vec_fini(&v.found);
    arena_fini(&v.arena);
    return rc != OK ? rc : closed;
}
