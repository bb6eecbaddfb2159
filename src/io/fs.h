/* fs.h — files: the only way in which storage meets the kernel.
 *
 * What        One table of functions with three implementations: the real file system, a simulated
 *             disk with a seed that can crash, tear and fail, and an overlay whose reads fall
 *             through to a folder while every change stays in memory.
 * Invariants  (1) A path is relative to the fs's root, has no "." or ".." and no slash at its ends;
 *             the empty path is the root. (2) After file_sync() the bytes of that file that were
 *             written before survive a crash; after fs_sync_dir() the names in that folder do. (3)
 *             Nothing else is promised.
 * Ownership   fs_*_new allocate, fs_free frees; fs_open allocates a file, file_close frees it.
 * Threads     an fs: any. A file: positional reads from any thread, one writer at a time.
 * Errors      ERR_BAD_INPUT (a path that breaks (1)), ERR_NOT_FOUND, ERR_EXISTS, ERR_NO_SPACE
 *             (ENOSPC, EDQUOT), ERR_LOCKED, else ERR_IO; the words name the path.
 * Format      none
 */
#ifndef EPI_IO_FS_H
#define EPI_IO_FS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"

struct fs;
struct file;
/* FS_DIRECT: reads pass by the kernel's cache; their memory, offset and length are multiples of
 * 4096. ERR_UNSUPPORTED where that cannot be. */
enum fs_open_flags {
    FS_READ = 1,
    FS_WRITE = 2,
    FS_CREATE = 4,
    FS_EXCL = 8,
    FS_TRUNC = 16,
    FS_DIRECT = 32
};
struct fs_stat { uint64_t size_bytes; int64_t mtime_ms; bool is_dir; };
struct fs_entry { str name; bool is_dir; };
typedef VEC(struct fs_entry) fs_entries;

MUST_USE errc fs_open(struct file **out, struct fs *fs, str path, unsigned flags, struct err *e);
/* short only at the end */
MUST_USE errc file_pread(
    struct file *f, void *to, size_t n, uint64_t off, size_t *got, struct err *e);
/* Writes all slices, one after the other, at off. On failure *done bytes (a prefix) may have been
 * written. */
MUST_USE errc file_pwrite(
    struct file *f, const str *slices, size_t n, uint64_t off, uint64_t *done, struct err *e);
MUST_USE errc file_sync(struct file *f, struct err *e);        /* the bytes and the size */
MUST_USE errc file_truncate(struct file *f, uint64_t size, struct err *e);
/* blocks without changing the size; OK where unsupported */
MUST_USE errc file_reserve(struct file *f, uint64_t off, uint64_t n, struct err *e);
MUST_USE errc file_size(struct file *f, uint64_t *out, struct err *e);
str file_path(const struct file *f);
void file_close(struct file *f);                               /* NULL is fine; does not sync */

MUST_USE errc fs_sync_dir(struct fs *fs, str dir, struct err *e);
/* replaces a file atomically */
MUST_USE errc fs_rename(struct fs *fs, str from, str to, struct err *e);
/* A second name of a file. ERR_EXISTS; ERR_UNSUPPORTED: not on this file system, or not once
 * more. */
MUST_USE errc fs_link(struct fs *fs, str from, str to, struct err *e);
MUST_USE errc fs_unlink(struct fs *fs, str path, struct err *e);
/* OK if the folder is there; of "", the parents too */
MUST_USE errc fs_mkdir(struct fs *fs, str path, struct err *e);
/* ERR_EXISTS if it is not empty */
MUST_USE errc fs_rmdir(struct fs *fs, str path, struct err *e);
/* sorted by name; free with vec_fini */
MUST_USE errc fs_list(struct fs *fs, str dir, struct arena *a, fs_entries *out, struct err *e);
MUST_USE errc fs_stat(struct fs *fs, str path, struct fs_stat *out, struct err *e);
MUST_USE errc fs_space(struct fs *fs, uint64_t *total_bytes, uint64_t *free_bytes, struct err *e);

/* An exclusive lock file, as Prometheus' flock: ERR_LOCKED if another process holds it. *existed:
 * it was there unheld (unclean stop). */
struct fs_lock;
MUST_USE errc fs_lock_take(
    struct fs_lock **out, struct fs *fs, str path, bool *existed, struct err *e);
void fs_lock_release(struct fs_lock *l, bool remove);          /* NULL is fine */

/* Helpers on the table. */
MUST_USE errc fs_read_all(
    struct fs *fs, str path, struct arena *a, size_t max_bytes, str *out, struct err *e);
/* tmp, fsync, rename, fsync of the folder */
/* In place and not synced: for what can be told from a part of it after a crash, and made anew. */
MUST_USE errc fs_write_cache(struct fs *fs, str path, str content, struct err *e);
MUST_USE errc fs_write_durable(struct fs *fs, str path, str content, struct err *e);
MUST_USE errc fs_remove_tree(struct fs *fs, str path, struct err *e);      /* OK if absent */
/* A second name, or where there can be none a copy with its bytes synced; the folder is not. */
MUST_USE errc fs_link_or_copy(struct fs *fs, str from, str to, struct err *e);
/* the bytes are synced, the folder is not; what `to` was is overwritten */
MUST_USE errc fs_copy(struct fs *fs, str from, str to, struct err *e);
bool fs_exists(struct fs *fs, str path);
bool fs_is_dir(struct fs *fs, str path);
str path_join(struct arena *a, str dir, str name);

struct fs *fs_real_new(str root);                              /* the root need not exist */
/* Paths that users give: absolute or from the working folder, with ".." or without. The fs of the
 * path's folder, and the name in it. */
struct fs *fs_real_of(str path, str *name);
MUST_USE errc fs_read_path(str path, struct arena *a, size_t max_bytes, str *out, struct err *e);
/* borrows below; every change stays in memory; needs no lock */
struct fs *fs_overlay_new(struct fs *below);
/* NULL is fine; all its files are closed */
void fs_free(struct fs *fs);
str fs_root(const struct fs *fs);
const char *fs_kind(const struct fs *fs);                      /* "real", "simulated", "overlay" */

#endif
