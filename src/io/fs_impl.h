/* fs_impl.h — what an implementation of fs.h fills in; included by those only, and by the reader.
 *
 * What        The two tables of functions behind struct fs and struct file, and the words for a
 *             failed call.
 * Invariants  fs.c has checked every path before an implementation sees it. An implementation sets
 *             its ops and root and nothing else of struct fs; fs.c sets fs and path of a file after
 *             a successful open.
 * Ownership   root and path are heap copies, freed by fs_free and file_close
 * Threads     as fs.h
 * Errors      as fs.h
 * Format      none
 */
#ifndef EPI_IO_FS_IMPL_H
#define EPI_IO_FS_IMPL_H

#include "io/fs.h"

struct reader;

/* bytes of a path, the NUL included */
enum { FS_PATH_MAX = 4096 };

struct fs_ops {
    const char *kind;
    bool has_direct; /* open knows FS_DIRECT */
    errc (*open)(struct file **out, struct fs *fs, str path, unsigned flags, struct err *e);
    /* NULL: never. As fs_open_below. */
    errc (*open_below)(struct file **out, struct fs *fs, str path, struct err *e);
    errc (*sync_dir)(struct fs *fs, str dir, struct err *e);
    errc (*rename)(struct fs *fs, str from, str to, struct err *e);
    errc (*link)(struct fs *fs, str from, str to, struct err *e);
    errc (*unlink)(struct fs *fs, str path, struct err *e);
    errc (*mkdir)(struct fs *fs, str path, struct err *e);
    errc (*rmdir)(struct fs *fs, str path, struct err *e);
    /* in any order */
    errc (*list)(struct fs *fs, str dir, struct arena *a, fs_entries *out, struct err *e);
    errc (*stat)(struct fs *fs, str path, struct fs_stat *out, struct err *e);
    errc (*space)(struct fs *fs, uint64_t *total_bytes, uint64_t *free_bytes, struct err *e);
    errc (*lock_take)(struct fs_lock **out, struct fs *fs, str path, bool *existed, struct err *e);
    void (*lock_release)(struct fs_lock *l, bool remove);
    void (*free)(struct fs *fs);
};

struct file_ops {
    errc (*pread)(struct file *f, void *to, size_t n, uint64_t off, size_t *got, struct err *e);
    errc (*pwrite)(
        struct file *f, const str *slices, size_t n, uint64_t off, uint64_t *done, struct err *e);
    errc (*sync)(struct file *f, struct err *e);
    errc (*truncate)(struct file *f, uint64_t size, struct err *e);
    errc (*reserve)(struct file *f, uint64_t off, uint64_t n, struct err *e);
    errc (*size)(struct file *f, uint64_t *out, struct err *e);
    /* NULL: there is no descriptor to map */
    int (*fd)(const struct file *f);
    /* NULL: there is no descriptor to close */
    void (*pool)(struct file *f, bool in_order);
    void (*close)(struct file *f);
    /* A reader of its own, for bytes that are no file of the kernel's; NULL: the backends of io. */
    struct reader *(*reader)(struct file *f);
};

struct fs {
    const struct fs_ops *ops;
    str root;
}; /* const after init */
struct file {
    const struct file_ops *ops;
    struct fs *fs;
    str path;
};
struct fs_lock {
    struct fs *fs;
};

/* A file to read that has these bytes as long as they are not changed here, opened where they lie:
 * of an overlay the file below. What is written here later does not show in it. *out NULL: there is
 * none, or it was changed. */
MUST_USE errc fs_open_below(struct file **out, struct fs *fs, str path, struct err *e);

int file_fd(const struct file *f); /* -1: no descriptor, or none that stays */
/* Its descriptor may be closed while nobody reads (descriptors.h). REQUIRES: it is read only, and
 * by nobody yet. in_order: how it will be read. */
void file_pool(struct file *f, bool in_order);

/* The failure of a call in words, "open data/wal/00000000: no such file or directory", and its
 * code. */
errc fs_errno(struct err *e, int errnum, const char *op, const struct fs *fs, str path);

/* The parent of a path ("" for a top-level name) and its last name. */
str fs_path_parent(str path);
str fs_path_name(str path);

#endif
