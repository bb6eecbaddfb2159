/* resync.c — see resync.h
 *
 * The file `lock` is not touched: where locks are the kernel's record locks, closing any descriptor
 * of it would free it. Chunks and index of a block were synced before it got its name; meta.json
 * and tombstones are replaced while it lives. Copies of damaged files were synced before they got
 * theirs.
 */
#include "tsdb/resync.h"

#include "base/fault.h"
#include "base/ulid.h"

enum { DEPTH_MAX = 4 };                        /* wal/checkpoint.N/SEGMENT, and room */

static void file_closep(struct file **f) { file_close(*f); }
static void entries_finip(fs_entries *x) { vec_fini(x); }

static errc sync_one(struct fs *fs, str path, struct err *e)
{
    SCOPED(file_closep) struct file *f = NULL;
    errc rc = fs_open(&f, fs, path, FS_READ, e);
    if (rc == ERR_NOT_FOUND) return OK;        /* a link to nowhere: somebody else's */
    return rc == OK ? file_sync(f, e) : rc;
}

static errc sync_tree(struct fs *fs, str dir, unsigned depth, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(entries_finip) fs_entries all = { 0 };
    if (depth > DEPTH_MAX || !fs_exists(fs, dir)) return OK;
    TRY(fs_list(fs, dir, &a, &all, e));
    for (size_t i = 0; i < all.n; i++) {
        str path = path_join(&a, dir, all.at[i].name);
        TRY(all.at[i].is_dir ? sync_tree(fs, path, depth + 1, e) : sync_one(fs, path, e));
    }
    return fs_sync_dir(fs, dir, e);
}

static errc sync_block(struct fs *fs, str dir, struct err *e)
{
    static const str changing[] = { S("meta.json"), S("tombstones") };
    SCOPED(arena_fini) struct arena a = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(changing); i++) {
        str path = path_join(&a, dir, changing[i]);
        /* the opening judges what is no file */
        if (fs_exists(fs, path) && !fs_is_dir(fs, path)) TRY(sync_one(fs, path, e));
    }
    return fs_sync_dir(fs, dir, e);
}

static errc sync_blocks(struct fs *fs, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(entries_finip) fs_entries all = { 0 };
    ulid id;
    if (fault_dropped("recover.block_fsync")) return OK;
    TRY(fs_list(fs, STR_EMPTY, &a, &all, e));
    for (size_t i = 0; i < all.n; i++)
        if (all.at[i].is_dir && ulid_parse(all.at[i].name, &id))
            TRY(sync_block(fs, all.at[i].name, e));
    return OK;
}

errc resync_folder(struct fs *fs, struct err *e)
{
    TRY(sync_blocks(fs, e));
    if (fault_dropped("recover.fsync")) return OK;
    TRY(sync_tree(fs, S("wal"), 0, e));
    TRY(sync_tree(fs, S("wbl"), 0, e));
    TRY(sync_tree(fs, S("chunks_head"), 0, e));
    return fs_sync_dir(fs, STR_EMPTY, e);
}
