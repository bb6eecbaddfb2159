/* filesystem.c — a folder as a bucket: a file an object. An object appears by a rename, so that it
 * is seen whole or not at all; folders that become empty are removed, as if they had never been. */
#include "base/mem.h"
#include "base/path.h"
#include "bucket/kinds.h"
#include "io/fs.h"

enum { COPY_BYTES = 1 << 20, DEPTH_MAX = 64 };
/* Nobody lists what is not whole yet. */
static const char TMP_SUFFIX[] = ".objtmp";

struct folder {
    struct bucket base;
    struct fs *fs;
};

static struct folder *folder_of(struct bucket *b) { return CONTAINER_OF(b, struct folder, base); }

static errc parents_make(struct fs *fs, str name, struct err *e)
{
    TRY(fs_mkdir(fs, STR_EMPTY, e));
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '/') TRY(fs_mkdir(fs, str_slice(name, 0, i), e));
    return OK;
}

static errc copy_body(struct file *f, const struct bucket_body *body, struct err *e)
{
    SCOPED(buf_fini) struct buf part = { 0 };
    for (uint64_t off = 0; off < body->size_bytes;) {
        size_t n = (size_t)MIN(body->size_bytes - off, (uint64_t)COPY_BYTES);
        buf_reset(&part);
        void *to = buf_room(&part, n);
        TRY(body->read(body->ctx, to, n, off, e));
        buf_commit(&part, n);
        str s = buf_view(&part);
        uint64_t done;
        TRY(file_pwrite(f, &s, 1, off, &done, e));
        off += n;
    }
    return file_sync(f, e);
}

static errc folder_put(struct bucket *b, str name, const struct bucket_body *body, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = folder_of(b)->fs;
    struct file *f = NULL;
    str tmp = arena_fmt(&a, "%.*s%s", STR_ARG(name), TMP_SUFFIX);
    str dir = str_index(name, '/') == SIZE_MAX ? STR_EMPTY : path_dir(name);
    TRY(parents_make(fs, name, e));
    TRY(fs_open(&f, fs, tmp, FS_WRITE | FS_CREATE | FS_TRUNC, e));
    errc rc = copy_body(f, body, e);
    file_close(f);
    if (rc == OK) rc = fs_rename(fs, tmp, name, e);
    if (rc == OK) return fs_sync_dir(fs, dir, e);
    errc gone = fs_unlink(fs, tmp, NULL);
    (void)gone;
    return rc;
}

static errc regular(struct fs *fs, str name, struct fs_stat *st, struct err *e)
{
    TRY(fs_stat(fs, name, st, e));
    return st->is_dir ? err_set(e, ERR_NOT_FOUND, "it is a folder") : OK;
}

static errc file_piece(
    struct file *f, const struct bucket_piece *p, size_t n, size_t *got, struct err *e)
{
    if (!p->into.n) {
        void *to = buf_room(p->out, n);
        if (!to) return err_set(e, ERR_LIMIT, "%zu bytes are too many", n);
        TRY(file_pread(f, to, n, p->off, got, e));
        buf_commit(p->out, *got);
        return OK;
    }
    for (size_t i = 0; i < p->into.n && *got < n; i++) {
        const struct byte_span *s = &p->into.at[i];
        size_t want = MIN(s->n, n - *got), one = want;
        if (s->p) TRY(file_pread(f, s->p, want, p->off + *got, &one, e));
        *got += one;
        if (one < want) break;
    }
    return OK;
}

static errc folder_piece(struct bucket *b, str name, const struct bucket_piece *p,
    struct bucket_version *v, size_t *got, struct err *e)
{
    struct fs *fs = folder_of(b)->fs;
    struct file *f = NULL;
    struct fs_stat st;
    TRY(regular(fs, name, &st, e));
    if (v->known && v->size_bytes != st.size_bytes)
        return err_set(e, ERR_IO, "the object was replaced while it was read");
    v->known = true;
    v->size_bytes = st.size_bytes;
    if (p->off >= st.size_bytes) return OK;
    TRY(fs_open(&f, fs, name, FS_READ, e));
    errc rc = file_piece(f, p, (size_t)MIN(st.size_bytes - p->off, (uint64_t)p->n), got, e);
    file_close(f);
    return rc;
}

static errc folder_attributes(
    struct bucket *b, str name, struct bucket_attributes *out, struct err *e)
{
    struct fs_stat st;
    TRY(regular(folder_of(b)->fs, name, &st, e));
    *out = (struct bucket_attributes){ st.size_bytes, st.mtime_ms };
    return OK;
}

struct walk {
    struct fs *fs;
    bool recursive;
    struct arena *a;
    bucket_entries *out;
};

static bool dir_empty(struct walk *w, str dir)
{
    fs_entries all = { 0 };
    bool empty = fs_list(w->fs, dir, w->a, &all, NULL) != OK || all.n == 0;
    vec_fini(&all);
    return empty;
}

static errc walk_dir(struct walk *w, str dir, unsigned depth, struct err *e);
static errc walk_entry(struct walk *w, str path, bool is_dir, unsigned depth, struct err *e)
{
    struct bucket_entry one = { .name = path, .is_dir = is_dir };
    if (is_dir && w->recursive) return walk_dir(w, path, depth + 1, e);
    if (is_dir) {
        if (dir_empty(w, path)) return OK;
        one.name = arena_fmt(w->a, "%.*s/", STR_ARG(path));
    } else {
        struct fs_stat st;
        errc rc = fs_stat(w->fs, path, &st, e);
        if (rc == ERR_NOT_FOUND) return OK; /* it went away meanwhile */
        TRY(rc);
        one.size_bytes = st.size_bytes;
        one.modified_ms = st.mtime_ms;
    }
    vec_push(w->out, one);
    return OK;
}

static errc walk_dir(struct walk *w, str dir, unsigned depth, struct err *e)
{
    fs_entries all = { 0 };
    if (depth > DEPTH_MAX) return err_set(e, ERR_LIMIT, "folders are nested too deep");
    errc rc = fs_list(w->fs, dir, w->a, &all, e);
    if (rc == ERR_NOT_FOUND) return OK;
    for (size_t i = 0; rc == OK && i < all.n; i++)
        if (!str_has_suffix(all.at[i].name, str_z(TMP_SUFFIX)))
            rc = walk_entry(w, path_join(w->a, dir, all.at[i].name), all.at[i].is_dir, depth, e);
    vec_fini(&all);
    return rc;
}

static errc folder_page(struct bucket *b, str prefix, bool recursive, str after, struct arena *a,
    bucket_entries *out, str *next, struct err *e)
{
    struct walk w = { folder_of(b)->fs, recursive, a, out };
    (void)after;
    *next = STR_EMPTY;
    if (prefix.n) prefix.n--;
    return walk_dir(&w, prefix, 0, e);
}

static errc folder_remove(struct bucket *b, str name, struct err *e)
{
    struct fs *fs = folder_of(b)->fs;
    struct fs_stat st;
    TRY(regular(fs, name, &st, e));
    TRY(fs_unlink(fs, name, e));
    /* up to the first folder that holds something */
    for (size_t cut; (cut = str_rindex(name, '/')) != SIZE_MAX;) {
        name.n = cut;
        if (fs_rmdir(fs, name, NULL) != OK) break;
    }
    return OK;
}

static void folder_free(struct bucket *b)
{
    struct folder *f = folder_of(b);
    fs_free(f->fs);
    mem_free(f);
}

errc bucket_filesystem_new(struct bucket **out, const struct bucket_config *c, struct err *e)
{
    static const struct bucket_ops ops = { .put = folder_put,
        .piece = folder_piece,
        .attributes = folder_attributes,
        .page = folder_page,
        .remove = folder_remove,
        .free = folder_free };
    SCOPED(arena_fini) struct arena a = { 0 };
    if (!c->directory.n)
        return err_set(e, ERR_BAD_INPUT, "missing directory for filesystem bucket");
    struct folder *f = NEW(struct folder);
    f->base.ops = &ops;
    f->base.name = mem_str(arena_fmt(&a, "file://%.*s", STR_ARG(c->directory)));
    f->fs = fs_real_new(c->directory);
    *out = &f->base;
    return OK;
}
