/* wal_dir.c — what lies in the folder of a log (see wal_reader.h)
 *
 * Names that are only digits are segments, checkpoint.NNNNNNNN folders are checkpoints; everything
 * else is somebody else's and left alone, but for what an interrupted writer leaves
 * (checkpoint.NNNNNNNN.tmp and NNNNNNNN.repair) and for names over which Prometheus would stumble:
 * numbers written in another way, folders with a segment's name, files with a checkpoint's.
 */
#include "wal/wal_reader.h"

#include "base/log.h"
#include "io/numbered.h"

#include <stdlib.h>

enum { CHECKPOINT_PREFIX = 11, GAP_MAX = 1000 };

static bool checkpoint_number(const struct fs_entry *x, uint32_t *out)
{
    return x->is_dir && str_has_prefix(x->name, S("checkpoint.")) &&
           numbered_parse(str_from(x->name, CHECKPOINT_PREFIX), out);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

str wal_segment_path(struct arena *a, str dir, uint32_t seg)
{
    return arena_fmt(a, "%.*s/%0*" PRIu32, STR_ARG(dir), WAL_SEGMENT_DIGITS, seg);
}

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
        if (!all.at[i].is_dir && numbered_parse(all.at[i].name, &n)) vec_push(&out->segments, n);
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
        bool repair = str_has_suffix(name, S(".repair")) &&
                      numbered_parse(str_slice(name, 0, name.n - 7), &n);
        bool older = checkpoint_number(&all.at[i], &n) && n < d.checkpoint;
        if (!tmp && !repair && !older) continue;
        TRY(fs_remove_tree(fs, path_join(&a, dir, name), e));
    }
    return OK;
}

/* A checkpoint is a folder, and has its number's name. */
static errc settle_checkpoints(struct fs *fs, str dir, uint32_t *moved, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(entries_fini) fs_entries all = { 0 };
    TRY(dir_entries(&all, &a, fs, dir, e));
    for (size_t i = 0; i < all.n; i++) {
        str name = all.at[i].name;
        uint32_t n = 0;
        if (!str_has_prefix(name, S("checkpoint."))) continue;
        bool numbered = checkpoint_number(&all.at[i], &n);
        str right =
            numbered ? arena_fmt(&a, "checkpoint.%0*" PRIu32, WAL_SEGMENT_DIGITS, n) : name;
        if (all.at[i].is_dir && str_eq(name, right)) continue;
        ++*moved;
        if (numbered && !fs_exists(fs, path_join(&a, dir, right)))
            TRY(fs_rename(fs, path_join(&a, dir, name), path_join(&a, dir, right), e));
        else TRY(numbered_set_aside(fs, dir, name, "no checkpoint", e));
    }
    return OK;
}

/* A number far from those before it is a wrong name, not a thousand lost segments: it becomes the
 * next one. */
static errc close_chasms(struct fs *fs, str dir, uint32_t *moved, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    TRY(wal_dir_list(&d, fs, dir, e));
    bool known = d.has_checkpoint;
    uint32_t last = d.checkpoint;
    for (size_t i = 0; i < d.segments.n; i++) {
        uint32_t n = d.segments.at[i];
        if (d.has_checkpoint && n <= d.checkpoint) continue;
        if (known && n - last > GAP_MAX) {
            LOG(WARN, "a segment far from the one before it is renamed", kv_str("dir", dir),
                kv_u64("was", n), kv_u64("is", last + 1));
            TRY(fs_rename(
                fs, wal_segment_path(&a, dir, n), wal_segment_path(&a, dir, last + 1), e));
            n = last + 1;
            ++*moved;
        }
        last = n;
        known = true;
    }
    return OK;
}

errc wal_dir_stumbles(struct fs *fs, str dir, uint32_t *segment, bool *any, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(entries_fini) fs_entries all = { 0 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    *any = false;
    TRY(wal_dir_list(&d, fs, dir, e));
    TRY(dir_entries(&all, &a, fs, dir, e));
    for (size_t i = 0; i < all.n; i++) {
        uint32_t n;
        bool folder = all.at[i].is_dir && numbered_parse(all.at[i].name, &n);
        if (!folder || (d.has_checkpoint && n <= d.checkpoint) || (*any && n > *segment)) continue;
        *segment = n;
        *any = true;
    }
    return OK;
}

errc wal_dir_settle(struct fs *fs, str dir, uint32_t *moved, struct err *e)
{
    *moved = 0;
    if (!fs_exists(fs, dir)) return OK;
    TRY_IN(e, numbered_settle(fs, dir, WAL_SEGMENT_DIGITS, moved, e), "names in %.*s",
        STR_ARG(dir));
    uint32_t before = *moved;
    TRY_IN(e, settle_checkpoints(fs, dir, moved, e), "names in %.*s", STR_ARG(dir));
    TRY_IN(e, close_chasms(fs, dir, moved, e), "names in %.*s", STR_ARG(dir));
    return *moved > before ? numbered_sync(fs, dir, e) : OK;
}
