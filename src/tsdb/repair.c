/* repair.c — what becomes of each block:
 *
 *     ULID ── verify ── fine ───────────────────────────────────────────────> ULID
 *        │          ├─ meta.json's figures, a file of tombstones missing ───> ULID, mended in place
 *        │          └─ index, chunks ── salvage ── a new block is durable ──> ULID.salvaged
 *        │                         └─ nothing left, tombstones unreadable ──> ULID.bad
 *     ULID.bad (set aside by a start) ── salvage ── a new block is durable ─> ULID.salvaged
 *
 * A new block names the one it comes from, so that a repair that was cut off between the two names
 * finds it and only renames.
 */
#include "tsdb/repair.h"

#include "base/fault.h"
#include "base/ulid.h"
#include "block/index_scan.h"
#include "block/meta.h"
#include "block/salvage.h"
#include "block/tombstones_codec.h"
#include "block/verify.h"
#include "io/numbered.h"
#include "tsdb/blocks.h"
#include "tsdb/memory_folder.h"
#include "tsdb/verify_log.h"

#define SALVAGED S("salvaged")
#define BAD S("bad")

void repaired_init(struct repaired *r)
{
    *r = (struct repaired){ 0 };
    findings_init(&r->found, 0);
    findings_init(&r->done, 0);
}

void repaired_fini(struct repaired *r)
{
    findings_fini(&r->found);
    findings_fini(&r->done);
}

struct repair {
    const struct repair_opts *o;
    struct fs *fs;
    struct repaired *out;
    struct arena arena;
    fs_entries entries;                        /* of the folder, at the begin */
    VEC(ulid) saved;                           /* of whom there is a block already */
};

/* Names. */

static bool is_block(const struct fs_entry *x, ulid *id)
{
    return x->is_dir && ulid_parse(x->name, id);
}

/* ULID.bad, ULID.bad2 … */
static bool is_aside(const struct fs_entry *x, ulid *id)
{
    str stem, rest;
    return x->is_dir && str_cut(x->name, '.', &stem, &rest) && ulid_parse(stem, id) &&
           str_has_prefix(rest, BAD);
}

static errc rename_aside(struct repair *r, str dir, ulid id, str suffix, struct err *e)
{
    str to = arena_fmt(&r->arena, "%s.%.*s", ulid_text(id).z, STR_ARG(suffix));
    for (unsigned n = 2; fs_exists(r->fs, to); n++)
        to = arena_fmt(&r->arena, "%s.%.*s%u", ulid_text(id).z, STR_ARG(suffix), n);
    TRY(fs_rename(r->fs, dir, to, e));
    findings_add(&r->out->done, dir, "renamed to %.*s", STR_ARG(to));
    return fault_dropped("mend.aside_fsync") ? OK : fs_sync_dir(r->fs, S(""), e);
}

static errc set_aside(struct repair *r, str dir, ulid id, const char *why, struct err *e)
{
    r->out->blocks_aside++;
    findings_add(&r->out->done, dir, "nothing of it is shown: %s", why);
    return ulid_parse(dir, &id) ? rename_aside(r, dir, id, BAD, e) : OK;
}

/* Who was saved before. */

static bool is_saved(const struct repair *r, ulid id)
{
    for (size_t i = 0; i < r->saved.n; i++)
        if (ulid_eq(r->saved.at[i], id)) return true;
    return false;
}

static void note_saved(struct repair *r, str dir)
{
    struct block_meta m;
    ulid origin;
    if (meta_read(&m, r->fs, dir, &r->arena, NULL) == OK && salvage_origin(&m, &origin))
        vec_push(&r->saved, origin);
}

/* The blocks that it was made of are still there. */
static bool parents_there(struct repair *r, str dir)
{
    struct block_meta m;
    if (meta_read(&m, r->fs, dir, &r->arena, NULL) != OK || !m.n_parents) return false;
    for (size_t i = 0; i < m.n_parents; i++)
        if (!fs_exists(r->fs, arena_fmt(&r->arena, "%s", ulid_text(m.parents[i].id).z)))
            return false;
    return true;
}

/* In place. */

static errc read_tombstones(struct repair *r, str path, struct tombstones *out, struct err *e)
{
    enum { TOMBSTONES_MAX_BYTES = 1 << 30 };
    str file;
    if (!fs_exists(r->fs, path)) return OK;
    TRY(fs_read_all(r->fs, path, &r->arena, TOMBSTONES_MAX_BYTES, &file, e));
    return block_tombstones_mend(out, file, e);
}

/* Nothing can be deleted of a series that is not there. */
static errc drop_unknown(struct repair *r, str dir, struct tombstones *t, struct err *e)
{
    struct index_scan k;
    size_t kept = 0;
    str path = path_join(&r->arena, dir, S("index"));
    errc rc = index_scan_open(&k, r->fs, path, r->o->backend, NULL, path, e);
    for (size_t i = 0; rc == OK && i < t->at.n; i++) {
        uint64_t ref = t->at.at[i].ref;
        if (ref <= UINT32_MAX && index_scan_find(&k, (uint32_t)ref)) t->at.at[kept++] = t->at.at[i];
        else vec_fini(&t->at.at[i].deleted);
    }
    if (rc == OK) t->at.n = kept;
    errc closed = index_scan_close(&k, rc == OK ? e : NULL);
    return rc != OK ? rc : closed;
}

static errc mend_tombstones(struct repair *r, str dir, struct err *e)
{
    SCOPED(buf_fini) struct buf file = { 0 };
    struct tombstones t = { 0 };
    str path = path_join(&r->arena, dir, S("tombstones"));
    errc rc = read_tombstones(r, path, &t, e);
    if (rc == OK) rc = drop_unknown(r, dir, &t, e);
    if (rc == OK && fs_exists(r->fs, path))
        rc = numbered_copy_aside(r->fs, dir, S("tombstones"), e);
    block_tombstones_encode(&file, &t);
    if (rc == OK) rc = fs_write_durable(r->fs, path, buf_view(&file), e);
    if (rc == OK)
        findings_add(&r->out->done, dir, "the file of tombstones was written anew, with %" PRIu64,
            tombstones_count(&t));
    tombstones_fini(&t);
    return rc;
}

static errc mend_meta(
    struct repair *r, str dir, ulid id, const struct block_verified *v, struct err *e)
{
    struct block_meta known, m;
    str path = path_join(&r->arena, dir, S("meta.json"));
    bool there = fs_exists(r->fs, path);
    bool read = there && meta_read(&known, r->fs, dir, &r->arena, NULL) == OK;
    if (there && !read) TRY(numbered_copy_aside(r->fs, dir, S("meta.json"), e));
    salvage_meta(&m, read ? &known : NULL, v, id, &r->arena);
    TRY(meta_write(r->fs, dir, &m, e));
    findings_add(&r->out->done, dir, "meta.json was written anew");
    return OK;
}

static errc mend(struct repair *r, str dir, ulid id, const struct block_verified *v, struct err *e)
{
    if (v->wrong & (BLOCK_TOMBSTONES | BLOCK_NO_TOMBSTONES)) TRY(mend_tombstones(r, dir, e));
    if (v->wrong & (BLOCK_META | BLOCK_NO_META)) TRY(mend_meta(r, dir, id, v, e));
    r->out->blocks_mended++;
    return OK;
}

/* A new block. */

static errc salvage(struct repair *r, str dir, ulid id, struct err *e)
{
    struct block_salvage_opts so = { .fs = r->fs, .backend = r->o->backend };
    struct block_salvaged got;
    struct findings lost;
    struct err why = { 0 };
    findings_init(&lost, 0);
    errc rc = block_salvage(&got, &so, dir, id, &lost, &why);
    findings_fini(&lost);                      /* verify has named them */
    if (rc == ERR_CORRUPT) return set_aside(r, dir, id, why.msg, e);
    if (rc != OK) return err_set(e, rc, "%s", why.msg);
    if (ulid_is_zero(got.id)) return set_aside(r, dir, id, "no series could be read", e);
    findings_add(&r->out->done, dir,
        "%" PRIu64 " of %" PRIu64 " series with %" PRIu64 " of %" PRIu64 " chunks (%" PRIu64
        " samples) are in %s", got.kept.series, got.series_found, got.kept.chunks, got.chunks_found,
        got.kept.samples, ulid_text(got.id).z);
    r->out->blocks_salvaged++;
    return rename_aside(r, dir, id, SALVAGED, e);
}

static errc repair_damaged(struct repair *r, str dir, ulid id, struct err *e)
{
    if (is_saved(r, id)) {
        findings_add(&r->out->done, dir, "an earlier repair has saved it");
        return rename_aside(r, dir, id, SALVAGED, e);
    }
    if (parents_there(r, dir))
        return set_aside(r, dir, id, "the blocks that it was made of are still there", e);
    return salvage(r, dir, id, e);
}

static errc move_file(struct repair *r, str dir, str name, struct err *e)
{
    uint32_t moved = 0;
    TRY(numbered_want_folder(r->fs, dir, name, &moved, e));
    if (moved) findings_add(&r->out->done, path_join(&r->arena, dir, name), "a file went aside");
    return OK;
}

/* A folder with the name of a file. */
static errc move_folders(struct repair *r, str dir, bool numbers, struct err *e)
{
    static const str files[] = { S("index"), S("meta.json") };
    fs_entries all = { 0 };
    uint32_t n;
    bool moved = false;
    errc rc = fs_exists(r->fs, dir) ? fs_list(r->fs, dir, &r->arena, &all, e) : OK;
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        const struct fs_entry *x = &all.at[i];
        bool is_file = numbers && numbered_parse(x->name, &n);
        for (size_t k = 0; !numbers && k < ARRAY_LEN(files); k++)
            is_file = is_file || str_eq(x->name, files[k]);
        if (!x->is_dir || !is_file) continue;
        rc = numbered_set_aside(r->fs, dir, x->name, "a folder with the name of a file", e);
        if (rc == OK)
            findings_add(&r->out->done, path_join(&r->arena, dir, x->name), "a folder went aside");
        moved = true;
    }
    vec_fini(&all);
    if (rc != OK || !moved) return rc;
    return fault_dropped("mend.aside_fsync") ? OK : numbered_sync(r->fs, dir, e);
}

static errc repair_block(struct repair *r, str dir, ulid id, struct err *e)
{
    enum { IN_PLACE = BLOCK_META | BLOCK_NO_META | BLOCK_NO_TOMBSTONES | BLOCK_TOMBSTONES };
    struct block_verify_opts vo = { .fs = r->fs, .backend = r->o->backend };
    struct block_verified v;
    TRY(blocks_mend_version(r->fs, dir, e));
    TRY(block_verify(&v, &vo, dir, &r->out->found, e));
    if (!v.wrong) r->out->blocks_whole++;
    if (!v.wrong) return OK;
    if ((v.wrong & ~(unsigned)IN_PLACE) || !v.stats.samples) return repair_damaged(r, dir, id, e);
    struct err why = { 0 };
    errc rc = mend(r, dir, id, &v, &why);
    if (rc == ERR_CORRUPT) return set_aside(r, dir, id, why.msg, e);
    return rc == OK ? OK : err_set(e, rc, "%s", why.msg);
}

/* Memory snapshots: what is in one is in the log and the chunk files, too. */

static bool is_memory(const struct fs_entry *x)
{
    return x->is_dir && str_has_prefix(x->name, S("chunk_snapshot.")) &&
           !str_has_suffix(x->name, S(".tmp")) && !str_has_suffix(x->name, S(".bad"));
}

static errc repair_memory(struct repair *r, str dir, struct err *e)
{
    struct verified v;
    struct verify_opts vo = { .fs = r->fs, .backend = r->o->backend };
    str to = arena_fmt(&r->arena, "%.*s.bad", STR_ARG(dir));
    verified_init(&v);
    errc rc = verify_memory_snapshot(&v, &vo, dir, e);
    bool damaged = rc == OK && findings_count(&v.findings);
    findings_join(&r->out->found, &v.findings);
    verified_fini(&v);
    if (!damaged) return rc;
    if (fs_exists(r->fs, to)) return err_set(e, ERR_EXISTS, "%.*s is there", STR_ARG(to));
    TRY(fs_rename(r->fs, dir, to, e));
    findings_add(&r->out->done, dir, "renamed to %.*s: the log has all of it", STR_ARG(to));
    return fault_dropped("mend.aside_fsync") ? OK : fs_sync_dir(r->fs, S(""), e);
}

static errc repair_entry(struct repair *r, const struct fs_entry *x, struct err *e)
{
    ulid id;
    if (is_memory(x)) return repair_memory(r, x->name, e);
    bool block = is_block(x, &id);
    if (!block && !is_aside(x, &id)) return OK;
    str deleted = path_join(&r->arena, x->name, S("tombstones"));
    if (fs_is_dir(r->fs, deleted)) {
        findings_add(&r->out->found, deleted, "a folder with the name of a file");
        return set_aside(r, x->name, id, "a folder lies where its tombstones were", e);
    }
    TRY(move_folders(r, x->name, false, e));
    TRY(move_file(r, x->name, S("chunks"), e));
    TRY(move_folders(r, path_join(&r->arena, x->name, S("chunks")), true, e));
    return block ? repair_block(r, x->name, id, e) : repair_damaged(r, x->name, id, e);
}

static errc repair_each(struct repair *r, struct err *e)
{
    ulid id;
    for (size_t i = 0; i < r->entries.n; i++)
        if (is_block(&r->entries.at[i], &id)) note_saved(r, r->entries.at[i].name);
    for (size_t i = 0; i < r->entries.n; i++) {
        const struct fs_entry *x = &r->entries.at[i];
        progress_tell(r->o->progress, x->name, i, r->entries.n);
        errc rc = repair_entry(r, x, e);
        if (rc != OK) return err_in(e, rc, "%.*s", STR_ARG(x->name));
    }
    progress_tell(r->o->progress, S("blocks"), r->entries.n, r->entries.n);
    return OK;
}

errc repair_blocks(struct repaired *out, const struct repair_opts *o, struct err *e)
{
    struct repair r = { .o = o, .fs = o->fs, .out = out };
    errc rc = fs_list(o->fs, S(""), &r.arena, &r.entries, e);
    if (rc == OK) rc = repair_each(&r, e);
    vec_fini(&r.entries);
    vec_fini(&r.saved);
    arena_fini(&r.arena);
    return rc;
}

/* A memory snapshot that is left may have what a damaged log lost. Were the head opened without it,
 * the chunks that are written at its end would be in the way of that. */
static errc has_memory(struct fs *fs, bool *has, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct memory_folder f = { 0 };
    TRY(memory_folder_newest(&f, fs, &a, e));
    *has = f.name.n > 0;
    return OK;
}

errc folder_repair(struct repaired *out, const struct repair_opts *o, struct err *e)
{
    struct db_opts db_o = { .fs = o->fs,
        .backend = o->backend,
        .wal_compress = COMPRESS_SNAPPY,
        .no_lock = true,
        .no_thread = true,
        .check_all = true };
    struct fs_lock *lock = NULL;
    struct db *db = NULL;
    bool existed = false;
    TRY(folder_check(o->fs, e));
    TRY(fs_lock_take(&lock, o->fs, S("lock"), &existed, e));
    errc rc = repair_blocks(out, o, e);
    if (rc == OK) rc = has_memory(o->fs, &db_o.memory_snapshot, e);
    if (rc == OK) rc = db_open(&db, &db_o, &out->head, e);
    if (rc == OK) rc = db_close(db, e);
    out->head.unclean = existed;
    fs_lock_release(lock, rc == OK || !existed);               /* what is left tells of an end */
    return rc;
}
