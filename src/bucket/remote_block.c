#include "bucket/remote_block.h"

#include "base/clock.h"
#include "base/fault.h"
#include "block/tombstones_codec.h"

#include <stdlib.h>

enum { FILES_MAX = 100000 };

static str object_of(struct arena *a, ulid id, str rel)
{
    return arena_fmt(a, "%s/%.*s", ulid_text(id).z, STR_ARG(rel));
}

/* ---- there */

typedef VEC(struct thanos_file) file_list;

static errc file_add(
    struct fs *fs, str dir, str rel, struct arena *a, file_list *out, struct err *e)
{
    struct fs_stat st;
    TRY(fs_stat(fs, path_join(a, dir, rel), &st, e));
    struct thanos_file f = { rel, st.size_bytes };
    avec_push(a, out, f);
    return OK;
}

/* chunks/000001 … and index: in the order in which they go. */
static errc files_of(struct fs *fs, str dir, struct arena *a, file_list *out, struct err *e)
{
    fs_entries all = { 0 };
    errc rc = fs_list(fs, path_join(a, dir, S("chunks")), a, &all, e);
    if (rc == OK && all.n > FILES_MAX) rc = err_set(e, ERR_LIMIT, "%zu chunk files", all.n);
    for (size_t i = 0; rc == OK && i < all.n; i++)
        rc = file_add(fs, dir, path_join(a, S("chunks"), all.at[i].name), a, out, e);
    vec_fini(&all);
    if (rc == OK) rc = file_add(fs, dir, S("index"), a, out, e);
    return rc;
}

struct told {
    const struct progress *p;
    str what;
    uint64_t before, total;
};
static void on_bytes(void *ctx, uint64_t done)
{
    struct told *t = ctx;
    progress_tell(t->p, t->what, t->before + done, t->total);
}

static errc files_put(
    struct bucket *b, const struct remote_upload *u, const file_list *files, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct told t = { .p = u->progress };
    for (size_t i = 0; i < files->n; i++) t.total += files->at[i].size_bytes;
    for (size_t i = 0; i < files->n; i++) {
        t.what = files->at[i].rel_path;
        if (FAULT("bucket.upload.file")) return err_set(e, ERR_CANCELED, "killed before a file");
        TRY(bucket_put_file(b, object_of(&a, u->meta->id, t.what), u->fs,
            path_join(&a, u->dir, t.what), on_bytes, &t, e));
        t.before += files->at[i].size_bytes;
    }
    return OK;
}

/* What the block brought along (of a block that was fetched once), with our labels over its own. */
static errc section_of(
    const struct remote_upload *u, struct arena *a, struct thanos_section *out, struct err *e)
{
    struct thanos_section old = { 0 };
    struct labels_builder lb;
    str json = arena_fmt(a, "{%.*s}", STR_ARG(u->meta->more));
    TRY(thanos_section_decode(&old, json, a, e));
    labels_builder_init(&lb, a);
    labels_builder_from(&lb, old.labels);
    for (size_t i = 0; i < u->labels.n; i++)
        labels_builder_set(&lb, u->labels.at[i].name, u->labels.at[i].value);
    *out = (struct thanos_section){ .there = true,
        .labels = labels_builder_done(&lb),
        .resolution_ms = old.resolution_ms,
        .source = u->source,
        .upload_ms = clock_wall_ms() };
    return OK;
}

static errc meta_put(struct bucket *b, const struct remote_upload *u, file_list *files,
    struct arena *a, struct err *e)
{
    SCOPED(buf_fini) struct buf json = { 0 };
    struct block_meta m = *u->meta;
    struct thanos_file own = { S("meta.json"), 0 };
    avec_push(a, files, own);
    struct thanos_section s;
    TRY_IN(e, section_of(u, a, &s, e), "meta.json: thanos");
    s.files = files->at;
    s.n_files = files->n;
    m.more = thanos_section_more(&s, m.more, a);
    meta_encode(&json, &m);
    if (FAULT("bucket.upload.meta")) return err_set(e, ERR_CANCELED, "killed before meta.json");
    TRY(bucket_put_bytes(b, object_of(a, m.id, S("meta.json")), buf_view(&json), e));
    if (FAULT("bucket.upload.done")) return err_set(e, ERR_CANCELED, "killed behind meta.json");
    return OK;
}

errc remote_block_upload(struct bucket *b, const struct remote_upload *u, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    file_list files = { 0 };
    TRY(files_of(u->fs, u->dir, &a, &files, e));
    errc rc = files_put(b, u, &files, e);
    if (rc == OK) rc = meta_put(b, u, &files, &a, e);
    if (rc != OK && rc != ERR_CANCELED) {
        errc left = remote_block_remove(b, u->meta->id, NULL);
        (void)left; /* best effort; the next upload takes its place */
    }
    return rc;
}

/* ---- looking */

errc remote_block_meta(
    struct bucket *b, ulid id, struct arena *a, struct remote_meta *out, struct err *e)
{
    str json, object = object_of(a, id, S("meta.json"));
    struct remote_meta m;
    struct err why = { 0 };
    TRY(bucket_get(b, object, META_MAX_BYTES, a, &json, e));
    errc rc = meta_decode(&m.meta, json, a, &why);
    if (rc != OK) return err_set(e, rc, "%s/%s", ulid_text(id).z, why.msg); /* it names the file */
    TRY_IN(e, thanos_section_decode(&m.thanos, json, a, e), "%.*s: thanos", STR_ARG(object));
    if (!ulid_eq(m.meta.id, id))
        return err_set(
            e, ERR_CORRUPT, "%.*s: it is of block %s", STR_ARG(object), ulid_text(m.meta.id).z);
    *out = m;
    return OK;
}

errc remote_blocks(struct bucket *b, ulid_list *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    TRY(bucket_list(b, STR_EMPTY, false, &a, &all, e));
    for (size_t i = 0; i < all.n; i++) {
        ulid id;
        str name = all.at[i].name;
        if (all.at[i].is_dir && ulid_parse(str_slice(name, 0, name.n - 1), &id)) vec_push(out, id);
    }
    vec_fini(&all);
    return OK;
}

static const struct bucket_entry *entry_of(const bucket_entries *all, str name)
{
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->at[i].name, name)) return &all->at[i];
    return NULL;
}

static void file_check(
    const bucket_entries *all, str object, uint64_t size, bool sized, struct findings *f)
{
    const struct bucket_entry *one = entry_of(all, object);
    if (!one) findings_add(f, object, "it is missing");
    else if (sized && one->size_bytes != size)
        findings_add(
            f, object, "%" PRIu64 " bytes, and meta.json says %" PRIu64, one->size_bytes, size);
}

/* What cannot be read of it, or not be understood; the object is named once. */
static void unreadable(struct findings *f, str object, const struct err *why)
{
    str words = err_str(why), rest = str_from(words, MIN(object.n, words.n));
    bool named = str_has_prefix(words, object) && str_has_prefix(rest, S(": "));
    findings_add(f, object, "%.*s", STR_ARG(named ? str_from(rest, S(": ").n) : words));
}

static void files_check(const bucket_entries *all, ulid id, const struct remote_meta *m,
    struct arena *a, struct findings *f)
{
    str chunks = object_of(a, id, S("chunks/"));
    bool any = false;
    for (size_t i = 0; i < m->thanos.n_files; i++)
        file_check(all, object_of(a, id, m->thanos.files[i].rel_path),
            m->thanos.files[i].size_bytes, m->thanos.files[i].size_bytes > 0, f);
    if (m->thanos.n_files) return;
    file_check(all, object_of(a, id, S("index")), 0, false, f);
    for (size_t i = 0; i < all->n; i++) any = any || str_has_prefix(all->at[i].name, chunks);
    if (!any && m->meta.stats.chunks) findings_add(f, chunks, "no chunks are there");
}

/* *meta: of reading meta.json. */
static errc check(
    struct bucket *b, ulid id, struct findings *f, errc *meta, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    struct remote_meta m = { 0 };
    struct err why = { 0 };
    str dir = arena_fmt(&a, "%s/", ulid_text(id).z), object = object_of(&a, id, S("meta.json"));
    errc rc = *meta = remote_block_meta(b, id, &a, &m, &why);
    if (rc == ERR_CANCELED) return err_set(e, rc, "%s", why.msg);
    TRY(bucket_list(b, dir, true, &a, &all, e));
    if (rc == OK) files_check(&all, id, &m, &a, f);
    else if (rc != ERR_NOT_FOUND) unreadable(f, object, &why);
    else if (all.n) findings_add(f, object, "it is missing: a part of a block");
    else findings_add(f, dir, "there is no such block");
    vec_fini(&all);
    return OK;
}

errc remote_block_check(struct bucket *b, ulid id, struct findings *f, struct err *e)
{
    errc meta;
    return check(b, id, f, &meta, e);
}

/* ---- back */

struct into {
    struct file *f;
    uint64_t at;
    struct told *told;
    bool full; /* it was the file that failed, not the object */
};
static errc into_file(void *ctx, str piece, struct err *e)
{
    struct into *in = ctx;
    uint64_t done;
    errc rc = file_pwrite(in->f, &piece, 1, in->at, &done, e);
    in->full = rc != OK;
    if (rc != OK) return rc;
    in->at += piece.n;
    on_bytes(in->told, in->at);
    return OK;
}

static errc object_read(
    struct bucket *b, const struct bucket_entry *one, struct into *in, struct err *e)
{
    TRY(bucket_stream(b, one->name, 0, UINT64_MAX, into_file, in, e));
    if (in->at == one->size_bytes) return OK;
    return err_set(e, ERR_CORRUPT, "%.*s: get: %" PRIu64 " bytes, and the list says %" PRIu64,
        STR_ARG(one->name), in->at, one->size_bytes);
}

/* f: takes what cannot be read; NULL: that is an error. */
static errc object_fetch(struct bucket *b, const struct bucket_entry *one, struct fs *fs, str path,
    struct told *t, struct findings *f, struct err *e)
{
    struct into in = { .told = t };
    struct err why = { 0 };
    TRY(fs_open(&in.f, fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, e));
    errc rc = object_read(b, one, &in, &why);
    bool found = rc != OK && f && !in.full && rc != ERR_CANCELED;
    if (found) unreadable(f, one->name, &why);
    else if (rc != OK) err_set(e, rc, "%s", why.msg);
    else rc = file_sync(in.f, e);
    file_close(in.f);
    t->before += in.at;
    return found ? OK : rc;
}

static errc parents_of(struct fs *fs, str dir, str rel, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < rel.n; i++)
        if (rel.p[i] == '/') TRY(fs_mkdir(fs, path_join(a, dir, str_slice(rel, 0, i)), e));
    return OK;
}

static bool is_mark(str rel)
{
    for (int k = 0; k < MARK_KINDS; k++)
        if (str_eq(rel, block_mark_file((enum block_mark_kind)k))) return true;
    return false;
}

static errc objects_fetch(struct bucket *b, const bucket_entries *all, struct fs *fs, str dir,
    const struct progress *p, struct findings *f, struct arena *a, struct err *e)
{
    struct told t = { .p = p };
    for (size_t i = 0; i < all->n; i++) t.total += all->at[i].size_bytes;
    for (size_t i = 0; i < all->n; i++) {
        str rel = str_from(all->at[i].name, ULID_CHARS + 1);
        if (is_mark(rel)) continue;
        t.what = rel;
        TRY(parents_of(fs, dir, rel, a, e));
        TRY(object_fetch(b, &all->at[i], fs, path_join(a, dir, rel), &t, f, e));
    }
    /* the file of deletions is never in a bucket: there are none */
    SCOPED(buf_fini) struct buf none = { 0 };
    block_tombstones_encode(&none, &(struct tombstones){ 0 });
    TRY(fs_write_durable(fs, path_join(a, dir, S("tombstones")), buf_view(&none), e));
    TRY(fs_sync_dir(fs, path_join(a, dir, S("chunks")), e));
    return fs_sync_dir(fs, dir, e);
}

static errc fetch(struct bucket *b, ulid id, struct fs *fs, str dir, const struct progress *p,
    struct findings *f, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    TRY(bucket_list(b, arena_fmt(&a, "%s/", ulid_text(id).z), true, &a, &all, e));
    errc rc = fs_mkdir(fs, dir, e);
    if (rc == OK) rc = objects_fetch(b, &all, fs, dir, p, f, &a, e);
    vec_fini(&all);
    return rc;
}

errc remote_block_objects(struct bucket *b, ulid id, struct fs *fs, str dir,
    const struct progress *p, struct findings *f, struct err *e)
{
    assert(f);
    return fetch(b, id, fs, dir, p, f, e);
}

/* The first thing that is wrong with it, if anything is. */
static errc whole(struct bucket *b, ulid id, struct err *e)
{
    SCOPED(findings_fini) struct findings f = { 0 };
    SCOPED(buf_fini) struct buf words = { 0 };
    errc meta;
    findings_init(&f, 0);
    TRY(check(b, id, &f, &meta, e));
    if (!findings_count(&f)) return OK;
    findings_text(&words, &f.all.at[0]);
    bool unread = meta != OK && meta != ERR_NOT_FOUND;
    return err_set(e, unread ? meta : ERR_CORRUPT, "%.*s", STR_ARG(buf_view(&words)));
}

errc remote_block_download(
    struct bucket *b, ulid id, struct fs *fs, str parent, const struct progress *p, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str name = str_z(ulid_text(id).z);
    str dir = path_join(&a, parent, arena_str(&a, name));
    str tmp = arena_fmt(&a, "%.*s.tmp-for-creation", STR_ARG(dir));
    if (fs_exists(fs, dir)) return err_set(e, ERR_EXISTS, "%.*s is there already", STR_ARG(dir));
    TRY(whole(b, id, e));
    errc rc = fs_remove_tree(fs, tmp, e);
    if (rc == OK) rc = fetch(b, id, fs, tmp, p, NULL, e);
    if (rc == OK) rc = fs_rename(fs, tmp, dir, e);
    if (rc == OK) return fs_sync_dir(fs, parent, e);
    errc gone = fs_remove_tree(fs, tmp, NULL);
    (void)gone;
    return rc;
}

/* ---- away */

errc remote_block_remove(struct bucket *b, ulid id, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    str mark = object_of(&a, id, block_mark_file(MARK_DELETION));
    TRY(bucket_remove(b, object_of(&a, id, S("meta.json")), e));
    TRY(bucket_list(b, arena_fmt(&a, "%s/", ulid_text(id).z), true, &a, &all, e));
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < all.n; i++)
        if (!str_eq(all.at[i].name, mark)) rc = bucket_remove(b, all.at[i].name, e);
    vec_fini(&all);
    return rc == OK ? bucket_remove(b, mark, e) : rc;
}

errc remote_block_mark(struct bucket *b, const struct block_mark *m, bool *marked, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf json = { 0 };
    bool there;
    str object = object_of(&a, m->id, block_mark_file(m->kind));
    TRY(bucket_exists(b, object, &there, e));
    *marked = false;
    if (there) return OK;
    block_mark_encode(&json, m);
    TRY(bucket_put_bytes(b, object, buf_view(&json), e));
    *marked = true;
    return OK;
}
