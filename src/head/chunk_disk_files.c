/* chunk_disk_files.c — see chunk_disk_files.h */
#include "head/chunk_disk_files.h"

#include "base/fault.h"
#include "base/mem.h"
#include "io/numbered.h"

#include <stdlib.h>

enum { MAGIC_BYTES = 4 };

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

static str file_name(struct arena *a, uint32_t n)
{
    return arena_fmt(a, "%0*" PRIu32, CHUNK_FILE_DIGITS, n);
}

errc chunk_file_set_aside(struct fs *fs, str dir, uint32_t n, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    str to;
    TRY(numbered_aside_name(&to, &a, fs, dir, file_name(&a, n), e));
    TRY(fs_rename(fs, chunk_file_path(&a, dir, n), to, e));
    if (fault_dropped("chunks_head.bad_fsync")) return OK;
    TRY(fs_sync_dir(fs, chunk_files_parent(dir), e));
    return fs_sync_dir(fs, dir, e);
}

errc chunk_file_keep_front(struct fs *fs, str dir, uint32_t n, uint64_t good, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(file_closep) struct file *f = NULL;
    TRY(fs_open(&f, fs, chunk_file_path(&a, dir, n), FS_READ | FS_WRITE, e));
    TRY(numbered_copy_aside(fs, dir, file_name(&a, n), e));
    TRY(file_truncate(f, good, e));
    return fault_dropped("chunks_head.front_fsync") ? OK : file_sync(f, e);
}
