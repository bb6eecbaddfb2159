/* bucket.c — what is alike for all stores: names and the prefix, objects in pieces, lists in pages.
 *
 * A read is cut into pieces, each a request of its own: so memory is bounded, a piece that failed
 * is asked for again alone, and all pieces after the first have to be of the version of the first.
 */
#include "bucket/bucket_impl.h"

#include "base/mem.h"
#include "bucket/kinds.h"
#include "io/fs.h"
#include "io/work.h"

#include <stdlib.h>

enum { NAME_BYTES_MAX = 1024, PIECE_BYTES = 8 << 20 };
/* of a list: names, and pages in a row that bring none */
enum { ENTRIES_MAX = 10 << 20, IDLE_PAGES_MAX = 1000 };

errc bucket_open(struct bucket **out, const struct bucket_config *c, struct err *e)
{
    static errc (*const make[])(struct bucket **, const struct bucket_config *, struct err *) = {
        [BUCKET_FILESYSTEM] = bucket_filesystem_new,
        [BUCKET_S3] = bucket_s3_new,
        [BUCKET_GCS] = bucket_gcs_new,
    };
    SCOPED(buf_fini) struct buf prefix = { 0 };
    str p = c->prefix;
    while (p.n && p.p[0] == '/') p = str_from(p, 1);
    while (p.n && p.p[p.n - 1] == '/') p.n--;
    if (p.n) buf_fmt(&prefix, "%.*s/", STR_ARG(p));
    struct bucket *b = NULL;
    if (c->kind >= ARRAY_LEN(make)) return err_set(e, ERR_UNSUPPORTED, "no such kind of bucket");
    TRY(make[c->kind](&b, c, e));
    b->prefix = mem_str(buf_view(&prefix));
    if (!b->piece_bytes) b->piece_bytes = PIECE_BYTES;
    *out = b;
    return OK;
}

void bucket_close(struct bucket *b)
{
    if (!b) return;
    mem_free((void *)b->prefix.p);
    mem_free((void *)b->name.p);
    b->ops->free(b);
}

errc bucket_body_part(
    const struct bucket_body *body, uint64_t off, size_t n, struct buf *part, struct err *e)
{
    buf_reset(part);
    if (!n) return OK;
    TRY(body->read(body->ctx, buf_room(part, n), n, off, e));
    buf_commit(part, n);
    return OK;
}

void bucket_stop(struct bucket *b)
{
    if (b->ops->stop) b->ops->stop(b);
}

str bucket_name(const struct bucket *b) { return b->name; }

/* No empty part, none of dots; dir: it may end in a slash. */
static bool name_fine(str name, bool dir)
{
    if (dir && name.n && name.p[name.n - 1] == '/') name.n--;
    if (name.n > NAME_BYTES_MAX) return false;
    for (bool more = true; more;) {
        str part, rest;
        more = str_cut(name, '/', &part, &rest);
        if (!part.n || str_eq(part, S(".")) || str_eq(part, S(".."))) return false;
        name = rest;
    }
    return true;
}

static errc whole_name(struct bucket *b, str name, struct arena *a, str *out, struct err *e)
{
    if (!name_fine(name, false))
        return err_set(e, ERR_BAD_INPUT, "'%.*s' cannot be the name of an object", STR_ARG(name));
    *out = arena_fmt(a, "%.*s%.*s", STR_ARG(b->prefix), STR_ARG(name));
    return OK;
}

errc bucket_put(struct bucket *b, str name, const struct bucket_body *body, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str full;
    TRY(whole_name(b, name, &a, &full, e));
    TRY_IN(e, b->ops->put(b, full, body, e), "%.*s: put", STR_ARG(name));
    return OK;
}

static errc bytes_read(void *ctx, void *to, size_t n, uint64_t off, struct err *e)
{
    const str *s = ctx;
    (void)e;
    assert(off <= s->n && n <= s->n - off);
    if (n) memcpy(to, s->p + off, n);
    return OK;
}

errc bucket_put_bytes(struct bucket *b, str name, str bytes, struct err *e)
{
    struct bucket_body body = { bytes.n, bytes_read, &bytes };
    return bucket_put(b, name, &body, e);
}

struct file_body {
    struct file *f;
    void (*told)(void *ctx, uint64_t done);
    void *ctx;
};

static errc file_read(void *ctx, void *to, size_t n, uint64_t off, struct err *e)
{
    struct file_body *fb = ctx;
    size_t got = 0;
    if (fb->told) fb->told(fb->ctx, off);
    TRY(file_pread(fb->f, to, n, off, &got, e));
    if (got == n) return OK;
    return err_set(e, ERR_CORRUPT, "the file became shorter while it was read");
}

errc bucket_put_file(struct bucket *b, str name, struct fs *fs, str path,
    void (*told)(void *ctx, uint64_t done), void *ctx, struct err *e)
{
    struct file_body fb = { NULL, told, ctx };
    struct bucket_body body = { 0, file_read, &fb };
    TRY(fs_open(&fb.f, fs, path, FS_READ, e));
    errc rc = file_size(fb.f, &body.size_bytes, e);
    if (rc == OK) rc = bucket_put(b, name, &body, e);
    if (rc == OK && told) told(ctx, body.size_bytes);
    file_close(fb.f);
    return rc;
}

/* ---- reading */

/* Up to p->n bytes: *got, and whether the object ends with them. */
static errc piece_read(struct bucket *b, str full, const struct bucket_piece *p,
    struct bucket_version *v, size_t *got, bool *ends, struct err *e)
{
    *got = 0;
    TRY(b->ops->piece(b, full, p, v, got, e));
    if (*got > p->n)
        return err_set(e, ERR_CORRUPT, "%zu bytes came where %zu were asked for", *got, p->n);
    *ends = *got < p->n || (v->known && p->off + *got >= v->size_bytes);
    return OK;
}

static errc stream_pieces(struct bucket *b, str full, uint64_t off, uint64_t max, bucket_sink sink,
    void *ctx, struct err *e)
{
    SCOPED(buf_fini) struct buf piece = { 0 };
    struct bucket_version v = { 0 };
    for (bool ends = false; max && !ends;) {
        struct bucket_piece p = { off, (size_t)MIN(max, (uint64_t)b->piece_bytes), { 0 }, &piece };
        size_t got;
        buf_reset(&piece);
        TRY(piece_read(b, full, &p, &v, &got, &ends, e));
        if (got) TRY(sink(ctx, buf_view(&piece), e));
        off += got;
        max -= got;
    }
    return OK;
}

errc bucket_stream(struct bucket *b, str name, uint64_t off, uint64_t max_bytes, bucket_sink sink,
    void *ctx, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str full;
    TRY(whole_name(b, name, &a, &full, e));
    TRY_IN(e, stream_pieces(b, full, off, max_bytes, sink, ctx, e), "%.*s: get", STR_ARG(name));
    return OK;
}

static errc append(void *ctx, str piece, struct err *e)
{
    struct buf *out = ctx;
    buf_str(out, piece);
    return buf_ok(out) ? OK : err_set(e, ERR_LIMIT, "it is longer than %zu bytes", out->limit);
}

errc bucket_get(
    struct bucket *b, str name, size_t max_bytes, struct arena *a, str *out, struct err *e)
{
    SCOPED(buf_fini) struct buf all = { 0 };
    TRY(bucket_stream(b, name, 0, (uint64_t)max_bytes + 1, append, &all, e));
    if (all.n > max_bytes)
        return err_set(
            e, ERR_LIMIT, "%.*s: get: it is longer than %zu bytes", STR_ARG(name), max_bytes);
    *out = arena_str(a, buf_view(&all));
    return OK;
}

static errc read_pieces(struct bucket *b, str full, uint64_t off, struct spans to,
    struct arena *a, struct err *e)
{
    struct byte_span *part = arena_array(a, to.n, sizeof(*part));
    struct bucket_version v = { 0 };
    size_t all = spans_bytes(to), done = 0;
    for (bool ends = false; done < all && !ends;) {
        size_t n = MIN(all - done, b->piece_bytes), got;
        struct bucket_piece p = { off + done, n, spans_slice(to, done, n, part), NULL };
        TRY(piece_read(b, full, &p, &v, &got, &ends, e));
        done += got;
    }
    if (done == all) return OK;
    return err_set(e, ERR_CORRUPT, "%zu bytes of %zu at %" PRIu64 ": the object ends", done, all,
        off);
}

errc bucket_read(struct bucket *b, str name, uint64_t off, struct spans to, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str full;
    TRY(whole_name(b, name, &a, &full, e));
    TRY_IN(e, read_pieces(b, full, off, to, &a, e), "%.*s: get", STR_ARG(name));
    io_work.bucket_bytes += spans_bytes(to);
    return OK;
}

errc bucket_attributes(struct bucket *b, str name, struct bucket_attributes *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str full;
    TRY(whole_name(b, name, &a, &full, e));
    TRY_IN(e, b->ops->attributes(b, full, out, e), "%.*s: attributes", STR_ARG(name));
    return OK;
}

errc bucket_exists(struct bucket *b, str name, bool *out, struct err *e)
{
    struct bucket_attributes at;
    struct err why = { 0 };
    errc rc = bucket_attributes(b, name, &at, &why);
    if (rc != OK && rc != ERR_NOT_FOUND) return err_set(e, rc, "%s", why.msg);
    *out = rc == OK;
    return OK;
}

errc bucket_remove(struct bucket *b, str name, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str full;
    TRY(whole_name(b, name, &a, &full, e));
    errc rc = b->ops->remove(b, full, e);
    if (rc == OK || rc == ERR_NOT_FOUND) return OK;
    return err_in(e, rc, "%.*s: remove", STR_ARG(name));
}

/* ---- lists */

static int entry_cmp(const void *x, const void *y)
{
    return str_cmp(((const struct bucket_entry *)x)->name, ((const struct bucket_entry *)y)->name);
}

/* Sorted, without what lies outside of dir, is dir itself, came twice, or has a name that nobody
 * can ask for (and that would lead elsewhere among files). */
static void entries_tidy(struct bucket *b, str prefix, bucket_entries *all)
{
    size_t n = 0;
    if (all->n) qsort(all->at, all->n, sizeof(*all->at), entry_cmp);
    for (size_t i = 0; i < all->n; i++) {
        struct bucket_entry one = all->at[i];
        if (!str_has_prefix(one.name, prefix) || one.name.n == prefix.n) continue;
        one.name = str_from(one.name, b->prefix.n);
        if (!name_fine(one.name, one.is_dir)) continue;
        if (n && str_eq(all->at[n - 1].name, one.name)) continue;
        all->at[n++] = one;
    }
    all->n = n;
}

static errc list_pages(struct bucket *b, str prefix, bool recursive, struct arena *a,
    bucket_entries *all, struct err *e)
{
    str after = STR_EMPTY;
    size_t page = 0, idle = 0;
    while (all->n <= ENTRIES_MAX) {
        str next = STR_EMPTY;
        size_t before = page;
        page = all->n;
        TRY(b->ops->page(b, prefix, recursive, after, a, all, &next, e));
        if (!next.n) return OK;
        bool same = page > before && all->n > page &&
                    str_eq(all->at[page].name, all->at[before].name);
        idle = all->n > page && !same ? 0 : idle + 1;
        if (str_eq(next, after) || idle > IDLE_PAGES_MAX)
            return err_set(e, ERR_CORRUPT, "the list has no end");
        after = next;
    }
    return err_set(e, ERR_LIMIT, "it has more than %d names", ENTRIES_MAX);
}

errc bucket_list(
    struct bucket *b, str dir, bool recursive, struct arena *a, bucket_entries *out, struct err *e)
{
    if (dir.n && (dir.p[dir.n - 1] != '/' || !name_fine(dir, true)))
        return err_set(e, ERR_BAD_INPUT, "'%.*s' cannot be listed", STR_ARG(dir));
    bucket_entries all = { 0 };
    str prefix = arena_fmt(a, "%.*s%.*s", STR_ARG(b->prefix), STR_ARG(dir));
    errc rc = list_pages(b, prefix, recursive, a, &all, e);
    if (rc != OK) {
        vec_fini(&all);
        return err_in(e, rc, "list of '%.*s'", STR_ARG(dir));
    }
    entries_tidy(b, prefix, &all);
    *out = all;
    return OK;
}
