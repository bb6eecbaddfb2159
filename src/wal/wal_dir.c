/* wal_dir.c — what lies in the folder of a log (see wal_reader.h)
 *
 * Names that are only digits are segments, checkpoint.NNNNNNNN folders are checkpoints; everything else is somebody else's and left alone,
 * but for what an interrupted writer leaves: checkpoint.NNNNNNNN.tmp and NNNNNNNN.repair.
 */
#include "wal/wal_reader.h"

#include <stdlib.h>

static bool number(str s, uint32_t *out)
{
    uint64_t n;
    if (s.n > 9 || !str_u64(s, &n)) return false;
    *out = (uint32_t)n;
    return true;
}

static bool checkpoint_number(const struct fs_entry *x, uint32_t *out)
{
    return x->is_dir && str_has_prefix(x->name, S("checkpoint.")) && number(str_from(x->name, 11), out);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

str wal_segment_path(struct arena *a, str dir, uint32_t seg) { return arena_fmt(a, "%.*s/%08" PRIu32, STR_ARG(dir), seg); }

static void entries_fini(fs_entries *x) { vec_fini(x); }

static errc dir_entries(fs_entries *out, struct arena *a, struct fs *fs, str dir, struct err *e)
{
    struct err why = { 0 };
    errc rc = fs_list(fs, dir, a, out, &why);
    return rc == OK || rc == ERR_NOT_FOUND ? OK : err_set(e, rc, "%s", why.msg);
}

errc wal_dir_list(struct wal_dir *out, struct fs *fs, str dir, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(entries_fini) fs_entries all = { 0 };
    TRY(dir_entries(&all, &a, fs, dir, e));
    *out = (struct wal_dir){ 0 };
    for (size_t i = 0; i < all.n; i++) {
        uint32_t n;
        if (!all.at[i].is_dir && number(all.at[i].name, &n)) vec_push(&out->segments, n);
        if (!checkpoint_number(&all.at[i], &n)) continue;
        if (out->has_checkpoint) vec_push(&out->older_checkpoints, MIN(n, out->checkpoint));
        out->checkpoint = out->has_checkpoint ? MAX(n, out->checkpoint) : n;
        out->has_checkpoint = true;
    }
    if (out->segments.n) qsort(out->segments.at, out->segments.n, sizeof(uint32_t), by_number);
    return OK;
}

void wal_dir_fini(struct wal_dir *d)
{
    vec_fini(&d->segments);
    vec_fini(&d->older_checkpoints);
}

errc wal_dir_tidy(struct fs *fs, str dir, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(entries_fini) fs_entries all = { 0 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    TRY(wal_dir_list(&d, fs, dir, e));
    TRY(dir_entries(&all, &a, fs, dir, e));
    for (size_t i = 0; i < all.n; i++) {
        str name = all.at[i].name;
        uint32_t n;
        bool tmp = str_has_prefix(name, S("checkpoint.")) && str_has_suffix(name, S(".tmp"));
        bool repair = str_has_suffix(name, S(".repair")) && number(str_slice(name, 0, name.n - 7), &n);
        bool older = checkpoint_number(&all.at[i], &n) && n < d.checkpoint;
        if (!tmp && !repair && !older) continue;
        TRY(fs_remove_tree(fs, path_join(&a, dir, name), e));
    }
    return OK;
}
