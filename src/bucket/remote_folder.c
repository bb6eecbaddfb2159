/* remote_folder.c — a block in a bucket as a folder.
 *
 *   index        [0, 5)                     magic and version, which every index has
 *                [symbols, series)          here, in the index-header
 *                between                    series and postings: the bucket
 *                [postings table, end)      here
 *   chunks/…     the bucket
 *   meta.json    as the view has it */
#include "bucket/remote_folder.h"

#include "base/path.h"
#include "block/index_codec.h"
#include "bucket/index_header.h"
#include "bucket/index_header_codec.h"
#include "io/far_cache.h"
#include "io/fs_impl.h"
#include "io/reader_impl.h"
#include "io/work.h"

#include <stdio.h>

enum {
    GAP_BYTES = 512 << 10,
    ALONG_BYTES = 128 << 10, /* of an index: fewer cost as much to ask for */
    PROOF_BYTES = INDEX_TOC_BYTES + INDEX_CRC_BYTES,
    SEGMENTS_MAX = 100000
};

/* What a read needs; it may end after everything else. */
struct core {
    _Atomic uint32_t refs;
    struct bucket *bucket;
    struct arena arena;
    str id, meta;
    struct reader *header;             /* const after init, all of these */
    struct index_header_layout l;
    struct index_toc toc;
    uint64_t header_bytes, index_bytes;
    struct buf head;                   /* of the index: INDEX_HEADER_BYTES */
    struct far_cache *far_index, *far_chunks;
    size_t index_page, chunk_page;     /* what lies there is cut at multiples of these */
    _Atomic bool distrusts;            /* what lies there */
    _Atomic bool *missed;              /* as in the options */
};
struct segment_core { struct core *c; uint32_t number; bool missing; };

struct remote_folder {
    struct fs base;
    struct core *c;
    struct range_source *index;
    VEC(struct range_source *) segments;
};
struct remote_file { struct file base; struct range_source *s; str bytes; };

static void core_unref(struct core *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    reader_close(c->header);
    buf_fini(&c->head);
    arena_fini(&c->arena);
    mem_free(c);
}
static struct core *core_ref(struct core *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

/* ---- bytes */

static errc from_bucket(struct core *c, str rel, uint64_t off, struct spans to, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    return bucket_read(
        c->bucket, arena_fmt(&a, "%.*s/%.*s", STR_ARG(c->id), STR_ARG(rel)), off, to, e);
}

static void missed_told(struct core *c)
{
    if (c->missed) atomic_store_explicit(c->missed, true, memory_order_relaxed);
}

/* An answer that is wrong, or an object that ends too soon, is no damage of the block: who goes on
 * without what is damaged would ask for each part of it, and take what is left for the whole. */
static errc piece_of_bucket(struct core *c, str rel, uint64_t off, struct spans to, struct err *e)
{
    struct err why = { 0 };
    errc rc = from_bucket(c, rel, off, to, &why);
    if (rc == ERR_NOT_FOUND) missed_told(c);
    if (rc == ERR_CORRUPT) rc = ERR_IO;
    return rc == OK ? OK : err_set(e, bucket_refusal_of_query(rc), "%s", why.msg);
}

/* ---- caches of other processes */

typedef VEC(struct far_item) far_items;

/* A piece by pages: whatever is asked for together, a page has one name. */
static void pages_of(struct core *c, str rel, uint64_t off, size_t n, uint8_t *to, size_t page,
    struct arena *a, far_items *out)
{
    while (n) {
        size_t step = MIN(n, (size_t)(page - off % page));
        str key = arena_fmt(a, "epi:%.*s/%.*s:%" PRIu64 ":%zu", STR_ARG(c->id), STR_ARG(rel), off,
            step);
        vec_push(out, ((struct far_item){ .key = key, .to = to, .n = step }));
        off += step;
        to += step;
        n -= step;
    }
}

/* What is not there comes from the bucket, by one read from the first to the last of it. */
static errc pages_rest(struct core *c, str rel, uint64_t off, const far_items *all,
    struct far_cache *far, struct err *e)
{
    size_t first = 0, last = all->n;
    while (first < last && all->at[first].got) first++;
    while (last > first && all->at[last - 1].got) last--;
    if (first == last) return OK;
    const struct far_item *begin = &all->at[first], *end = &all->at[last - 1];
    size_t n = (size_t)(end->to - begin->to) + end->n;
    uint64_t skip = (uint64_t)(begin->to - all->at[0].to);
    struct byte_span to = { begin->to, n };
    TRY(piece_of_bucket(c, rel, off + skip, (struct spans){ &to, 1 }, e));
    for (size_t i = first; i < last; i++) {
        const struct far_item *x = &all->at[i];
        if (!x->got) far_cache_put(far, x->key, str_of(x->to, x->n));
    }
    return OK;
}

/* With a cache of other processes, which has whole pages. */
static errc piece_through(struct core *c, str rel, uint64_t off, struct spans to,
    struct far_cache *far, size_t page, bool anew, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    far_items all = { 0 };
    size_t n = spans_bytes(to);
    uint8_t *bytes = mem_alloc(n);
    pages_of(c, rel, off, n, bytes, page, &a, &all);
    if (!anew && !atomic_load_explicit(&c->distrusts, memory_order_relaxed))
        far_cache_get(far, all.at, all.n);
    errc rc = pages_rest(c, rel, off, &all, far, e);
    if (rc == OK) spans_put(to, 0, str_of(bytes, n));
    mem_free(bytes);
    vec_fini(&all);
    return rc;
}

/* anew: what others keep of it is not asked for, only put. */
static errc piece_of(
    struct core *c, str rel, uint64_t off, struct spans to, bool anew, struct err *e)
{
    bool index = str_eq(rel, S("index"));
    struct far_cache *far = index ? c->far_index : c->far_chunks;
    if (!far) return piece_of_bucket(c, rel, off, to, e);
    return piece_through(c, rel, off, to, far, index ? c->index_page : c->chunk_page, anew, e);
}

static errc from_header(struct core *c, uint64_t off, struct spans to, struct err *e)
{
    TRY_IN(e, reader_copy(c->header, off, to, e), "index-header");
    return OK;
}

static errc header_bytes(struct core *c, uint64_t off, size_t n, uint8_t *to, struct err *e)
{
    struct byte_span s = { to, n };
    return from_header(c, off, (struct spans){ &s, 1 }, e);
}

/* Where the place ends that off lies in. */
static uint64_t index_part_end(const struct core *c, uint64_t off)
{
    const uint64_t ends[] = { INDEX_HEADER_BYTES, c->toc.symbols, c->toc.series,
        c->toc.postings_table };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (off < ends[i]) return ends[i];
    return c->index_bytes;
}

/* All from one place. */
static errc index_part(struct core *c, uint64_t off, struct spans to, bool anew, struct err *e)
{
    const struct index_toc *t = &c->toc;
    if (off < INDEX_HEADER_BYTES) {
        spans_put(to, 0, str_from(buf_view(&c->head), (size_t)off));
        return OK;
    }
    if (off >= t->symbols && off < t->series)
        return from_header(c, c->l.symbols + (off - t->symbols), to, e);
    if (off >= t->postings_table)
        return from_header(c, c->l.table + (off - t->postings_table), to, e);
    return piece_of(c, S("index"), off, to, anew, e);
}

static errc index_fill(void *ctx, uint64_t off, struct spans to, bool anew, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct byte_span *part = arena_array(&a, to.n, sizeof(*part));
    size_t all = spans_bytes(to);
    for (size_t done = 0, n; done < all; done += n) {
        uint64_t at = off + done, left = index_part_end(ctx, at) - at;
        n = (size_t)MIN((uint64_t)(all - done), left);
        TRY(index_part(ctx, at, spans_slice(to, done, n, part), anew, e));
    }
    return OK;
}
static void index_free(void *ctx) { core_unref(ctx); }

static errc segment_fill(void *ctx, uint64_t off, struct spans to, bool anew, struct err *e)
{
    const struct segment_core *s = ctx;
    char rel[32];
    int len = snprintf(rel, sizeof(rel), "chunks/%06u", s->number);
    if (s->missing) {
        missed_told(s->c);
        return err_set(e, ERR_NOT_FOUND, "it is not in the bucket");
    }
    return piece_of(s->c, str_of(rel, (size_t)len), off, to, anew, e);
}
static void segment_free(void *ctx)
{
    struct segment_core *s = ctx;
    core_unref(s->c);
    mem_free(s);
}

/* ---- the header */

static errc layout_read(struct core *c, struct err *e)
{
    uint8_t head[INDEX_HEADER_HEAD_BYTES], tail[INDEX_HEADER_TOC_BYTES], toc[INDEX_TOC_BYTES];
    if (c->header_bytes < sizeof(head) + sizeof(tail) + sizeof(toc))
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes are no index-header", c->header_bytes);
    TRY(header_bytes(c, 0, sizeof(head), head, e));
    TRY(header_bytes(c, c->header_bytes - sizeof(tail), sizeof(tail), tail, e));
    TRY(index_header_layout_decode(&c->l, str_of(head, sizeof(head)), str_of(tail, sizeof(tail)),
        c->header_bytes, e));
    uint64_t end = c->header_bytes - sizeof(tail);
    TRY(header_bytes(c, end - sizeof(toc), sizeof(toc), toc, e));
    cursor at = cur_of(str_of(toc + 5 * sizeof(uint64_t), sizeof(uint64_t)));
    uint64_t table = cur_be64(&at), behind = end - c->l.table;
    if (table > UINT64_MAX / 2) return err_set(e, ERR_CORRUPT, "the index's TOC");
    c->index_bytes = table + behind;
    TRY(index_toc_decode(&c->toc, str_of(toc, sizeof(toc)), c->index_bytes, e));
    if (!c->toc.symbols || c->toc.series < c->toc.symbols || c->toc.series > table ||
        c->toc.series - c->toc.symbols != c->l.table - c->l.symbols)
        return err_set(e, ERR_CORRUPT, "the index's TOC is of another index");
    if (c->l.postings_end != table) return err_set(e, ERR_CORRUPT, "the end of postings");
    index_header_encode(&c->head);
    return OK;
}

static errc same_bytes(struct core *c, uint64_t at, uint64_t here, size_t n, struct err *e)
{
    uint8_t far[PROOF_BYTES], near[PROOF_BYTES];
    assert(n <= PROOF_BYTES);
    struct byte_span to = { far, n };
    TRY(from_bucket(c, S("index"), at, (struct spans){ &to, 1 }, e));
    TRY(header_bytes(c, here, n, near, e));
    if (memcmp(far, near, n) == 0) return OK;
    return err_set(e, ERR_CORRUPT, "the index-header is of another index");
}

/* The TOC, and the checksums of both tables, are those of the block's index. */
static errc prove(struct core *c, struct err *e)
{
    uint64_t end = c->header_bytes - INDEX_HEADER_TOC_BYTES;
    TRY(same_bytes(c, c->index_bytes - PROOF_BYTES, end - PROOF_BYTES, PROOF_BYTES, e));
    return same_bytes(
        c, c->toc.series - INDEX_CRC_BYTES, c->l.table - INDEX_CRC_BYTES, INDEX_CRC_BYTES, e);
}

static errc header_open(struct core *c, const struct remote_folder_opts *o, struct err *e)
{
    str path = path_join(&c->arena, c->id, S("index-header"));
    struct read_as as = { o->backend, IO_HEADER, IO_RANDOM };
    TRY(reader_open(&c->header, o->local, path, as, e));
    c->header_bytes = reader_size(c->header);
    TRY_IN(e, layout_read(c, e), "index-header");
    if (o->block->index_bytes && o->block->index_bytes != c->index_bytes)
        return err_set(e, ERR_CORRUPT,
            "index-header: of an index of %" PRIu64 " bytes, not %" PRIu64, c->index_bytes,
            o->block->index_bytes);
    return o->prove ? prove(c, e) : OK;
}

/* ---- files */

static struct remote_file *file_of(struct file *f)
{
    return CONTAINER_OF(f, struct remote_file, base);
}

static errc file_pread_(
    struct file *f, void *to, size_t n, uint64_t off, size_t *got, struct err *e)
{
    struct remote_file *r = file_of(f);
    uint64_t size = r->s ? range_source_size(r->s) : r->bytes.n;
    *got = off < size ? (size_t)MIN((uint64_t)n, size - off) : 0;
    if (!*got) return OK;
    if (!r->s) return memcpy(to, r->bytes.p + off, *got), OK;
    struct range_pin p;
    TRY(range_pin(r->s, off, *got, &p, e));
    memcpy(to, p.bytes.p, *got);
    range_unpin(r->s, p.frame);
    return OK;
}

static errc file_size_(struct file *f, uint64_t *out, struct err *e)
{
    struct remote_file *r = file_of(f);
    (void)e;
    *out = r->s ? range_source_size(r->s) : r->bytes.n;
    return OK;
}

static void file_close_(struct file *f)
{
    range_source_unref(file_of(f)->s);
    mem_free(file_of(f));
}

struct remote_reader { struct reader base; struct range_source *s; };

static errc rr_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    struct range_pin p;
    struct io_count *count = &io_work.by[IO_WORK_BUCKET];
    TRY(range_pin(CONTAINER_OF(r, struct remote_reader, base)->s, off, n, &p, e));
    if (p.waited_ns) count->misses++;
    else count->hits++;
    count->stalled_ns += (uint64_t)p.waited_ns;
    out->bytes = p.bytes;
    out->frame = p.frame;
    return OK;
}
static errc rr_unpin(struct reader *r, struct pin *p, struct err *e)
{
    (void)e;
    range_unpin(CONTAINER_OF(r, struct remote_reader, base)->s, p->frame);
    return OK;
}
static void rr_want(struct reader *r, uint64_t off, uint64_t n)
{
    range_want(CONTAINER_OF(r, struct remote_reader, base)->s, off, n);
}
static bool rr_again(struct reader *r, uint64_t off, uint64_t n)
{
    return range_again(CONTAINER_OF(r, struct remote_reader, base)->s, off, n);
}
static errc rr_resize(struct reader *r, uint64_t size, struct err *e)
{
    (void)r, (void)size, (void)e;
    return OK;
}
static void rr_free(struct reader *r)
{
    struct remote_reader *rr = CONTAINER_OF(r, struct remote_reader, base);
    range_source_unref(rr->s);
    mem_free(rr);
}

static struct reader *file_reader(struct file *f)
{
    static const struct reader_ops ops = { .backend = IO_BUFFERED,
        .far = true,
        .pin = rr_pin,
        .unpin = rr_unpin,
        .want = rr_want,
        .again = rr_again,
        .resize = rr_resize,
        .free = rr_free };
    if (!file_of(f)->s) return NULL;
    struct remote_reader *r = NEW(struct remote_reader);
    r->base.ops = &ops;
    r->s = range_source_ref(file_of(f)->s);
    return &r->base;
}

static const struct file_ops remote_file_ops = {
    .pread = file_pread_, .size = file_size_, .close = file_close_, .reader = file_reader
};

/* ---- the folder */

/* Which of its files a path is; segments count on from PATH_SEGMENT. */
enum { PATH_NONE, PATH_META, PATH_INDEX, PATH_CHUNKS, PATH_SEGMENT };
static unsigned path_of(const struct remote_folder *f, str path)
{
    str id, rel;
    uint64_t number;
    if (!str_cut(path, '/', &id, &rel) || !str_eq(id, f->c->id)) return PATH_NONE;
    if (str_eq(rel, S("meta.json"))) return PATH_META;
    if (str_eq(rel, S("index"))) return PATH_INDEX;
    if (str_eq(rel, S("chunks"))) return PATH_CHUNKS;
    bool segment = str_has_prefix(rel, S("chunks/")) && str_u64(str_from(rel, 7), &number) &&
                   number >= 1 && number <= f->segments.n;
    return segment ? PATH_SEGMENT + (unsigned)number - 1 : PATH_NONE;
}

static struct remote_folder *folder_of(struct fs *fs)
{
    return CONTAINER_OF(fs, struct remote_folder, base);
}

static errc no_such(str path, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "%.*s: no such object", STR_ARG(path));
}

static errc folder_open(struct file **out, struct fs *fs, str path, unsigned flags, struct err *e)
{
    struct remote_folder *f = folder_of(fs);
    unsigned what = path_of(f, path);
    if (flags & FS_WRITE) return err_set(e, ERR_UNSUPPORTED, "a block in a bucket is not changed");
    if (what == PATH_NONE || what == PATH_CHUNKS) return no_such(path, e);
    struct remote_file *r = NEW(struct remote_file);
    r->base.ops = &remote_file_ops;
    if (what == PATH_META) r->bytes = f->c->meta;
    else if (what == PATH_INDEX) r->s = range_source_ref(f->index);
    else r->s = range_source_ref(f->segments.at[what - PATH_SEGMENT]);
    *out = &r->base;
    return OK;
}

static errc folder_list(struct fs *fs, str dir, struct arena *a, fs_entries *out, struct err *e)
{
    struct remote_folder *f = folder_of(fs);
    if (path_of(f, dir) != PATH_CHUNKS) return no_such(dir, e);
    for (size_t i = 0; i < f->segments.n; i++)
        vec_push(out, ((struct fs_entry){ arena_fmt(a, "%06zu", i + 1), false }));
    return OK;
}

static errc folder_stat(struct fs *fs, str path, struct fs_stat *out, struct err *e)
{
    struct remote_folder *f = folder_of(fs);
    unsigned what = path_of(f, path);
    if (what == PATH_NONE) return no_such(path, e);
    *out = (struct fs_stat){ .is_dir = what == PATH_CHUNKS };
    if (what == PATH_META) out->size_bytes = f->c->meta.n;
    if (what == PATH_INDEX) out->size_bytes = range_source_size(f->index);
    if (what >= PATH_SEGMENT)
        out->size_bytes = range_source_size(f->segments.at[what - PATH_SEGMENT]);
    return OK;
}

static void folder_free(struct fs *fs)
{
    struct remote_folder *f = folder_of(fs);
    range_source_unref(f->index);
    for (size_t i = 0; i < f->segments.n; i++) range_source_unref(f->segments.at[i]);
    vec_fini(&f->segments);
    core_unref(f->c);
    mem_free(f);
}

static const struct fs_ops remote_folder_ops = { .kind = "bucket",
    .open = folder_open,
    .list = folder_list,
    .stat = folder_stat,
    .free = folder_free };

static struct range_source *source_new(struct core *c, const struct remote_folder_opts *o,
    struct range_cache *cache, const char *rel, uint64_t size)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str what = arena_fmt(&a, "%.*s/%.*s/%s", STR_ARG(bucket_name(c->bucket)), STR_ARG(c->id), rel);
    return range_source_new(&(struct range_source_opts){ .cache = cache,
        .pool = o->reads,
        .what = (const char *)what.p,
        .size_bytes = size,
        .gap_bytes = GAP_BYTES,
        .along = { ALONG_BYTES, c->toc.series, c->toc.postings_table },
        .patience_ms = o->patience_ms,
        .fill = index_fill,
        .free = index_free,
        .ctx = core_ref(c) });
}

static struct range_source *segment_new(
    struct core *c, const struct remote_folder_opts *o, uint32_t number, uint64_t size)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct segment_core *s = NEW(struct segment_core);
    *s = (struct segment_core){ core_ref(c), number, size == UINT64_MAX };
    str what = arena_fmt(&a, "%.*s/%.*s/chunks/%06u", STR_ARG(bucket_name(c->bucket)),
        STR_ARG(c->id), number);
    return range_source_new(&(struct range_source_opts){ .cache = o->chunks,
        .pool = o->reads,
        .what = (const char *)what.p,
        .size_bytes = s->missing ? INDEX_TOC_BYTES : size,
        .gap_bytes = GAP_BYTES,
        .patience_ms = o->patience_ms,
        .fill = segment_fill,
        .free = segment_free,
        .ctx = s });
}

static errc segments_make(
    struct remote_folder *f, const struct remote_folder_opts *o, struct err *e)
{
    const struct view_block *b = o->block;
    if (b->n_segments > SEGMENTS_MAX) return err_set(e, ERR_LIMIT, "%zu segments", b->n_segments);
    for (size_t i = 0; i < b->n_segments; i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct bucket_attributes at = { .size_bytes = b->segment_bytes[i] };
        str name = arena_fmt(&a, "%.*s/chunks/%06zu", STR_ARG(f->c->id), i + 1);
        if (!at.size_bytes) TRY(bucket_attributes(o->bucket, name, &at, e));
        vec_push(&f->segments, segment_new(f->c, o, (uint32_t)i + 1, at.size_bytes));
    }
    return OK;
}

/* As it stands in the bucket, or what a bucket index tells of it. */
static str meta_of(const struct view_block *b, struct arena *a)
{
    SCOPED(buf_fini) struct buf json = { 0 };
    if (b->meta.n) return arena_str(a, b->meta);
    struct block_meta m = { .id = b->id, .mint = b->mint, .maxt = b->maxt, .level = b->level };
    meta_encode(&json, &m);
    return arena_str(a, buf_view(&json));
}

errc remote_folder_new(struct fs **out, const struct remote_folder_opts *o, struct err *e)
{
    struct remote_folder *f = NEW(struct remote_folder);
    struct core *c = NEW(struct core);
    atomic_init(&c->refs, 1);
    f->base.ops = &remote_folder_ops;
    f->base.root = mem_str(bucket_name(o->bucket));
    f->c = c;
    c->bucket = o->bucket;
    c->far_index = o->far_index;
    c->far_chunks = o->far_chunks;
    c->index_page = range_cache_page_bytes(o->index);
    c->chunk_page = range_cache_page_bytes(o->chunks);
    c->id = arena_str(&c->arena, str_z(ulid_text(o->block->id).z));
    c->meta = meta_of(o->block, &c->arena);
    errc rc = header_open(c, o, e);
    if (rc == OK) f->index = source_new(c, o, o->index, "index", c->index_bytes);
    if (rc == OK) rc = segments_make(f, o, e);
    if (rc == OK) *out = &f->base;
    else fs_free(&f->base);
    return rc;
}

void remote_folder_seen(struct fs *fs, const struct index_seen *seen)
{
    struct remote_folder *f = folder_of(fs);
    range_put(f->index, seen->begin.at, buf_view(&seen->begin.bytes));
    range_put(f->index, seen->end.at, buf_view(&seen->end.bytes));
}

void remote_folder_patient(struct fs *fs, bool patient)
{
    struct remote_folder *f = folder_of(fs);
    range_source_patient(f->index, patient);
    for (size_t i = 0; i < f->segments.n; i++) range_source_patient(f->segments.at[i], patient);
}

void remote_folder_forget(struct fs *fs)
{
    struct remote_folder *f = folder_of(fs);
    atomic_store_explicit(&f->c->distrusts, true, memory_order_relaxed);
    range_source_forget(f->index);
    for (size_t i = 0; i < f->segments.n; i++) range_source_forget(f->segments.at[i]);
}
