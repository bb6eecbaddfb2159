#include "tsdb/verify.h"

#include "base/ulid.h"
#include "block/verify.h"
#include "chunk/chunk.h"
#include "chunk/measure.h"
#include "head/chunk_disk.h"
#include "head/chunk_disk_files.h"
#include "tsdb/recover.h"
#include "tsdb/verify_log.h"

#define CHUNKS_HEAD S("chunks_head")

void verified_init(struct verified *v)
{
    *v = (struct verified){ 0 };
    findings_init(&v->findings, 0);
    findings_init(&v->notes, 0);
}

void verified_fini(struct verified *v)
{
    findings_fini(&v->findings);
    findings_fini(&v->notes);
}

/* Does a server have the folder? Its lock file tells, if there is one. */
static bool is_live(struct fs *fs)
{
    struct fs_lock *lock = NULL;
    bool existed;
    if (!fs_exists(fs, S("lock"))) return false;
    errc rc = fs_lock_take(&lock, fs, S("lock"), &existed, NULL);
    if (rc == OK) fs_lock_release(lock, false);
    return rc == ERR_LOCKED;
}

/* Blocks. */

static void verify_block(struct verified *out, const struct verify_opts *o, str dir)
{
    struct block_verified v;
    struct findings found;
    struct err why = { 0 };
    struct block_verify_opts bo = { .fs = o->fs, .backend = o->backend };
    findings_init(&found, 0);
    errc rc = block_verify(&v, &bo, dir, &found, &why);
    bool gone = out->live && !fs_exists(o->fs, dir);           /* compacted away meanwhile */
    if (!gone) findings_join(&out->findings, &found);
    if (!gone && rc != OK) verify_unread(out, dir, &why);
    findings_fini(&found);
    out->blocks += !gone;
    out->series += v.stats.series;
    out->chunks += v.stats.chunks;
    out->samples += v.stats.samples;
    out->bytes += v.bytes;
}

/* The head's chunk files. */

struct chunk_walk {
    struct verified *out;
    const struct verify_opts *o;
    struct chunk_iter iter;
    struct recover_chunks order;               /* of the chunks of each series */
    str path;
    uint32_t number;
    bool newest;
};

static void check_head_chunk(struct chunk_walk *w, const struct chunk_desc *c, uint64_t at)
{
    struct err why = { 0 };
    struct chunk_measure m = { 0 };
    w->out->head_chunks++;
    if (!chunk_enc_known(c->enc)) return;                      /* of a later version */
    errc rc = chunk_measure(&m, &w->iter, c->enc, c->data, &why);
    if (rc == OK && (m.n == 0 || m.mint != c->mint || m.maxt != c->maxt))
        rc = err_set(&why, ERR_CORRUPT, "its times are not those of its samples");
    struct chunk_found found = { .ref = (uint64_t)w->number << 32 | at,
        .series = c->series,
        .mint = c->mint,
        .maxt = c->maxt,
        .len = (uint32_t)c->data.n,
        .n = (uint16_t)chunk_count(c->enc, c->data),
        .enc = c->enc,
        .ooo = c->ooo };
    if (rc == OK) rc = recover_chunk_found(&w->order, &found, &why);
    if (rc != OK) findings_add_at(&w->out->findings, w->path, at, "%s", why.msg);
}

static bool all_zero(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i]) return false;
    return true;
}

static void walk_chunk_file(struct chunk_walk *w, str bytes)
{
    struct err why = { 0 };
    struct findings *f = &w->out->findings;
    bool growing = w->out->live && w->newest;
    if (chunk_file_header_check(bytes, &why) != OK) {
        if (!growing) findings_add_at(f, w->path, 0, "%s", why.msg);
        return;
    }
    for (size_t at = CHUNK_FILE_HEADER_BYTES, next; at < bytes.n; at = next) {
        struct chunk_desc c;
        switch (chunk_record_next(bytes, at, &c, &next, &why)) {
        case CHUNK_STEP_RECORD: check_head_chunk(w, &c, at); continue;
        case CHUNK_STEP_END:
            if (!all_zero(str_from(bytes, at)) && !growing)
                findings_add_at(f, w->path, at, "bytes behind the last chunk");
            return;
        case CHUNK_STEP_SHORT:
            if (!growing) findings_add_at(f, w->path, at, "a chunk is cut short");
            return;
        case CHUNK_STEP_BAD:
            if (!growing) findings_add_at(f, w->path, at, "%s", why.msg);
            return;
        }
    }
}

static errc read_chunk_file(struct chunk_walk *w, struct err *e)
{
    struct reader *r = NULL;
    struct pin pin = { 0 };
    errc rc = reader_open(&r, w->o->fs, w->path,
        (struct read_as){ w->o->backend, IO_HEAD, IO_SEQUENTIAL }, e);
    TRY(rc);
    size_t n = (size_t)reader_size(r);
    rc = n ? reader_pin(r, 0, n, &pin, e) : OK;
    if (rc == OK) {
        walk_chunk_file(w, pin.bytes);
        w->out->bytes += n;
        rc = reader_unpin(&pin, e);
    }
    reader_close(r);
    return rc;
}

static errc verify_chunk_files(struct verified *out, const struct verify_opts *o, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct chunk_walk w = { .out = out, .o = o };
    chunk_file_numbers all = { 0 };
    chunk_iter_init(&w.iter);
    errc rc = verify_names(out, o, CHUNKS_HEAD, CHUNK_FILE_DIGITS, e);
    if (rc == OK) rc = chunk_files_list(&all, o->fs, CHUNKS_HEAD, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        progress_tell(o->progress, CHUNKS_HEAD, i, all.n);
        w.path = chunk_file_path(&a, CHUNKS_HEAD, all.at[i]);
        w.number = all.at[i];
        w.newest = i + 1 == all.n;
        for (uint32_t gap = i ? all.at[i - 1] + 1 : all.at[i]; gap < all.at[i]; gap++)
            findings_add(&out->findings, chunk_file_path(&a, CHUNKS_HEAD, gap), "there is none");
        struct err why = { 0 };
        errc read = read_chunk_file(&w, &why);
        bool gone = out->live && !fs_exists(o->fs, w.path);    /* truncated away meanwhile */
        if (read != OK && !gone) verify_unread(out, w.path, &why);
    }
    progress_tell(o->progress, CHUNKS_HEAD, all.n, all.n);
    vec_fini(&all);
    recover_chunks_fini(&w.order);
    chunk_iter_fini(&w.iter);
    return rc;
}

/* The folder. */

static bool is_memory(str name)
{
    return str_has_prefix(name, S("chunk_snapshot.")) && !str_has_suffix(name, S(".tmp")) &&
           !str_has_suffix(name, S(".bad"));
}

static void verify_entry(
    struct verified *out, const struct verify_opts *o, const struct fs_entry *x)
{
    ulid id;
    struct err why = { 0 };
    str name = x->name, stem, rest;
    str_cut(name, '.', &stem, &rest);
    bool block = ulid_parse(name, &id), memory = is_memory(name);
    bool aside = !block && ulid_parse(stem, &id) && str_has_prefix(rest, S("bad"));
    if (block && x->is_dir) verify_block(out, o, name);
    else if (memory && x->is_dir && verify_memory_snapshot(out, o, name, &why) != OK)
        verify_unread(out, name, &why);
    else if ((block || memory) && !x->is_dir)
        findings_add(&out->notes, name, "a file with the name of a folder; nobody reads it");
    else if (aside && x->is_dir)
        findings_add(&out->notes, name, "a block that was set aside; repair saves what it can");
}

errc folder_check(struct fs *fs, struct err *e)
{
    static const str parts[] = { S("wal"), S("wbl"), S("chunks_head") };
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    ulid id;
    bool is = false;
    TRY(fs_list(fs, S(""), &a, &all, e));
    for (size_t i = 0; i < all.n; i++) {
        str name = all.at[i].name, stem, rest;
        str_cut(name, '.', &stem, &rest);
        is = is || ulid_parse(stem, &id) || is_memory(name);
        for (size_t k = 0; k < ARRAY_LEN(parts); k++) is = is || str_eq(name, parts[k]);
    }
    is = is || !all.n;
    vec_fini(&all);
    if (is) return OK;
    return err_set(e, ERR_NOT_FOUND,
        "%.*s is no data folder: there is neither a block nor wal, wbl or chunks_head in it",
        STR_ARG(fs_root(fs)));
}

errc folder_verify(struct verified *out, const struct verify_opts *o, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    out->live = is_live(o->fs);
    TRY(folder_check(o->fs, e));
    TRY(fs_list(o->fs, S(""), &a, &all, e));
    if (!all.n) findings_add(&out->notes, S("."), "an empty folder");
    for (size_t i = 0; i < all.n; i++) {
        progress_tell(o->progress, all.at[i].name, i, all.n);
        verify_entry(out, o, &all.at[i]);
    }
    vec_fini(&all);
    verify_logs(out, o);
    struct err why = { 0 };
    if (verify_is_folder(out, o, CHUNKS_HEAD) && verify_chunk_files(out, o, &why) != OK)
        verify_unread(out, CHUNKS_HEAD, &why);
    return OK;
}
