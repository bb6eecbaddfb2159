/* index_header_build.c — an index-header out of an index that is far away.
 *
 *   the last 52 bytes of the index: its TOC
 *   [TOC.symbols, TOC.series)            -> symbols
 *   [TOC.postings table, end of file)    -> table, and the TOC again
 *
 * Both ranges go straight into the file, piece by piece. Whether they are right is looked at when
 * it is opened, before it gets its name. */
#include "base/mem.h"
#include "block/index_codec.h"
#include "bucket/header_samples.h"
#include "bucket/index_header.h"
#include "bucket/index_header_codec.h"

struct writing {
    struct file *f;
    uint64_t at, read;
};

static errc put(void *ctx, str piece, struct err *e)
{
    struct writing *w = ctx;
    uint64_t done;
    TRY(file_pwrite(w->f, &piece, 1, w->at, &done, e));
    w->at += piece.n;
    return OK;
}

static errc range_put(
    struct bucket *b, str index, uint64_t from, uint64_t to, struct writing *w, struct err *e)
{
    uint64_t before = w->at;
    TRY(bucket_stream(b, index, from, to - from, put, w, e));
    w->read += w->at - before;
    if (w->at - before == to - from) return OK;
    return err_set(
        e, ERR_CORRUPT, "%" PRIu64 " bytes of %" PRIu64 " came", w->at - before, to - from);
}

static errc toc_read(struct bucket *b, str index, struct index_toc *toc, uint64_t *size,
    struct writing *w, struct err *e)
{
    SCOPED(buf_fini) struct buf tail = { 0 };
    struct bucket_attributes at;
    TRY(bucket_attributes(b, index, &at, e));
    if (at.size_bytes < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes are no index", at.size_bytes);
    TRY(bucket_get_range(b, index, at.size_bytes - INDEX_TOC_BYTES, INDEX_TOC_BYTES, &tail, e));
    w->read += tail.n;
    TRY(index_toc_decode(toc, buf_view(&tail), at.size_bytes, e));
    if (!toc->symbols || !toc->postings_table || toc->series < toc->symbols)
        return err_set(e, ERR_CORRUPT, "TOC: no symbols, or no postings");
    *size = at.size_bytes;
    return OK;
}

static errc index_version(
    struct bucket *b, str index, struct writing *w, uint8_t *version, struct err *e)
{
    SCOPED(buf_fini) struct buf head = { 0 };
    TRY(bucket_get_range(b, index, 0, INDEX_HEADER_BYTES, &head, e));
    w->read += head.n;
    TRY(index_header_check(buf_view(&head), version, e));
    return *version == INDEX_V2 ? OK : err_set(e, ERR_UNSUPPORTED, "index version %u", *version);
}

static errc build(struct bucket *b, str index, struct writing *w, uint64_t *size, struct err *e)
{
    SCOPED(buf_fini) struct buf own = { 0 };
    struct index_toc toc;
    uint8_t version;
    TRY(toc_read(b, index, &toc, size, w, e));
    TRY(index_version(b, index, w, &version, e));
    index_header_head_encode(&own, version, toc.postings_table);
    TRY(put(w, buf_view(&own), e));
    uint64_t symbols = w->at;
    TRY(range_put(b, index, toc.symbols, toc.series, w, e));
    uint64_t table = w->at;
    TRY(range_put(b, index, toc.postings_table, *size, w, e));
    buf_reset(&own);
    index_header_toc_encode(&own, symbols, table);
    TRY(put(w, buf_view(&own), e));
    return file_sync(w->f, e);
}

/* Opened once before it counts: what came is checked to the last byte. What was learned of it is
 * kept, so that it is not walked again. */
static errc proved(struct fs *fs, str dir, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf sparse = { 0 };
    struct index_header *h = NULL;
    TRY(index_header_open(&h, fs, dir, IO_BUFFERED, e));
    errc rc = index_header_sparse(h, &sparse, e);
    index_header_close(h);
    if (rc != OK) return rc;
    return fs_write_cache(
        fs, path_join(&a, dir, S(SPARSE_HEADER_FILE)), buf_view(&sparse), e);
}

/* The samples first: without a header they are nothing. */
static errc named(struct fs *fs, str tmp, str dir, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    static const str files[] = { S(SPARSE_HEADER_FILE), S("index-header") };
    TRY(fs_mkdir(fs, dir, e));
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        TRY(fs_rename(fs, path_join(&a, tmp, files[i]), path_join(&a, dir, files[i]), e));
    return fs_sync_dir(fs, dir, e);
}

errc index_header_build(
    struct bucket *b, ulid id, struct fs *fs, str dir, struct header_built *what, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct writing w = { 0 };
    uint64_t size = 0;
    str index = arena_fmt(&a, "%s/index", ulid_text(id).z);
    str tmp = arena_fmt(&a, "%.*s.tmp", STR_ARG(dir));
    TRY(fs_remove_tree(fs, tmp, e));
    TRY(fs_mkdir(fs, tmp, e));
    TRY(fs_open(
        &w.f, fs, path_join(&a, tmp, S("index-header")), FS_WRITE | FS_CREATE | FS_TRUNC, e));
    errc rc = build(b, index, &w, &size, e);
    file_close(w.f);
    if (rc == OK) rc = proved(fs, tmp, e);
    if (rc == OK) rc = named(fs, tmp, dir, e);
    errc left = fs_remove_tree(fs, tmp, NULL);
    (void)left; /* the next building removes it */
    if (rc != OK) return err_in(e, rc, "index-header of block %s", ulid_text(id).z);
    *what = (struct header_built){ size, w.read, w.at };
    return OK;
}
