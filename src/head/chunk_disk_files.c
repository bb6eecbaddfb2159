/* chunk_disk_files.c — see chunk_disk_files.h */
#include "head/chunk_disk_files.h"

#include "base/fault.h"
#include "base/mem.h"
#include "io/numbered.h"

#include <stdlib.h>

enum { COPY_BYTES = 1 << 20, MAGIC_BYTES = 4 };

static void arena_finip(struct arena *a) { arena_fini(a); }
static void entries_finip(fs_entries *x) { vec_fini(x); }
static void file_closep(struct file **f) { file_close(*f); }

str chunk_file_path(struct arena *a, str dir, uint32_t n)
{
    return arena_fmt(a, "%.*s/%0*" PRIu32, STR_ARG(dir), CHUNK_FILE_DIGITS, n);
}

str chunk_files_parent(str dir)
{
    size_t slash = str_rindex(dir, '/');
    return str_slice(dir, 0, slash == SIZE_MAX ? 0 : slash);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

errc chunk_files_list(chunk_file_numbers *out, struct fs *fs, str dir, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(entries_finip) fs_entries all = { 0 };
    TRY(fs_list(fs, dir, &a, &all, e));
    out->n = 0;
    for (size_t i = 0; i < all.n; i++) {
        uint32_t n;
        if (!all.at[i].is_dir && numbered_parse(all.at[i].name, &n)) vec_push(out, n);
    }
    if (out->n) qsort(out->at, out->n, sizeof(*out->at), by_number);
    return OK;
}

errc chunk_files_drop_unborn(chunk_file_numbers *n, struct fs *fs, str dir, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    if (n->n == 0) return OK;
    str path = chunk_file_path(&a, dir, vec_last(n));
    uint8_t magic[MAGIC_BYTES] = { 0 };
    size_t got = 0;
    {
        SCOPED(file_closep) struct file *f = NULL;
        TRY(fs_open(&f, fs, path, FS_READ, e));
        TRY(file_pread(f, magic, MAGIC_BYTES, 0, &got, e));
    }
    if (got == MAGIC_BYTES && (magic[0] | magic[1] | magic[2] | magic[3]) != 0) return OK;
    TRY(fs_unlink(fs, path, e));
    n->n--;
    return OK;
}

static errc bad_name(struct arena *a, struct fs *fs, str dir, uint32_t n, str *out, struct err *e)
{
    return numbered_aside_name(
        out, a, fs, dir, arena_fmt(a, "%0*" PRIu32, CHUNK_FILE_DIGITS, n), e);
}

static errc sync_dirs(struct fs *fs, str dir, struct err *e)
{
    if (fault_dropped("chunks_head.bad_fsync")) return OK;
    TRY(fs_sync_dir(fs, chunk_files_parent(dir), e));
    return fs_sync_dir(fs, dir, e);
}

errc chunk_file_set_aside(struct fs *fs, str dir, uint32_t n, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    str to;
    TRY(bad_name(&a, fs, dir, n, &to, e));
    TRY(fs_rename(fs, chunk_file_path(&a, dir, n), to, e));
    return sync_dirs(fs, dir, e);
}

static errc copy_file(struct file *from, struct file *to, struct err *e)
{
    SCOPED(mem_freep) uint8_t *room = mem_alloc(COPY_BYTES);
    size_t got = COPY_BYTES;
    for (uint64_t off = 0; got == COPY_BYTES; off += got) {
        uint64_t done;
        TRY(file_pread(from, room, COPY_BYTES, off, &got, e));
        str bytes = str_of(room, got);
        if (got) TRY(file_pwrite(to, &bytes, 1, off, &done, e));
    }
    return fault_dropped("chunks_head.bad_fsync") ? OK : file_sync(to, e);
}

errc chunk_file_keep_front(struct fs *fs, str dir, uint32_t n, uint64_t good, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(file_closep) struct file *from = NULL, *to = NULL;
    str name;
    TRY(bad_name(&a, fs, dir, n, &name, e));
    TRY(fs_open(&from, fs, chunk_file_path(&a, dir, n), FS_READ | FS_WRITE, e));
    TRY(fs_open(&to, fs, name, FS_READ | FS_WRITE | FS_CREATE | FS_EXCL, e));
    TRY(copy_file(from, to, e));
    TRY(sync_dirs(fs, dir, e));
    TRY(file_truncate(from, good, e));
    return file_sync(from, e);
}
