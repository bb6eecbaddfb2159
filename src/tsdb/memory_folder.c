#include "tsdb/memory_folder.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "head/chunk_disk.h"
#include "head/memory_snapshot.h"
#include "head/snapshot_load.h"
#include "io/fs.h"
#include "wal/wal.h"
#include "wal/wal_reader.h"

#define PREFIX S("chunk_snapshot.")
#define UNFINISHED S(".tmp")

static errc sync_root(struct fs *fs, struct err *e)
{
    return fault_dropped("memory.fsync") ? OK : fs_sync_dir(fs, S(""), e);
}

static str name_of(struct arena *a, uint32_t segment, uint64_t offset)
{
    return arena_fmt(a, "chunk_snapshot.%06" PRIu32 ".%010" PRIu64, segment, offset);
}

/* The name says how far of the log it stands for: its last segment and how long that is, or where
 * a segment begins. */
static errc folder_name(
    const struct memory_folder_of *of, struct arena *a, str *name, struct err *e)
{
    struct fs *fs = of->fs;
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    struct fs_stat st = { 0 };
    TRY(wal_dir_list(&d, fs, S("wal"), e));
    uint32_t last = d.segments.n ? vec_last(&d.segments) : 0;
    if (of->before) last = of->segment;
    else if (d.segments.n) TRY(fs_stat(fs, arena_fmt(a, "wal/%08" PRIu32, last), &st, e));
    *name = name_of(a, last, st.size_bytes);
    return OK;
}

static errc write_log(const struct memory_folder_of *of, str dir,
    struct memory_snapshot_counts *n, struct err *e)
{
    struct wal *w = NULL;
    struct wal_opts o = { .fs = of->fs,
        .dir = dir,
        .kind = WAL_PLAIN,
        .compress = of->compress,
        .fsync_interval_ms = 1000,
        .no_thread = true };
    TRY(fs_remove_tree(of->fs, dir, e));
    TRY(wal_open(&w, &o, e));
    errc rc = memory_snapshot_write(of->head, w, n, e);
    if (rc == OK) return wal_close_synced(w, e);
    wal_close(w);
    return rc;
}

/* What closed chunks have is not in the snapshot, and the log before it is not read beside it. */
static errc chunks_first(const struct memory_folder_of *of, struct err *e)
{
    return of->disk && !fault_dropped("memory.chunks_first") ? chunk_disk_sync(of->disk, e) : OK;
}

/* All but `keep`; of what is not finished only that, if unfinished. */
static errc drop(struct fs *fs, str keep, bool unfinished, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    errc rc = fs_list(fs, S(""), &a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        str name = all.at[i].name;
        bool ours = all.at[i].is_dir && str_has_prefix(name, PREFIX) && !str_eq(name, keep);
        if (ours && (!unfinished || str_has_suffix(name, UNFINISHED)))
            rc = fs_remove_tree(fs, name, e);
    }
    vec_fini(&all);
    return rc;
}

errc memory_folder_remove(struct fs *fs, struct err *e)
{
    TRY(drop(fs, STR_EMPTY, false, e));
    return sync_root(fs, e);
}

errc memory_folder_tidy(struct fs *fs, struct err *e) { return drop(fs, STR_EMPTY, true, e); }

errc memory_folder_write(const struct memory_folder_of *of, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct memory_snapshot_counts n = { 0 };
    int64_t began = clock_mono_ns();
    str name;
    TRY(folder_name(of, &a, &name, e));
    if (fs_exists(of->fs, name)) return OK;    /* nothing was logged since */
    str tmp = arena_fmt(&a, "%.*s.tmp", STR_ARG(name));
    errc rc = write_log(of, tmp, &n, e);
    if (rc == OK) rc = chunks_first(of, e);
    if (rc == OK) rc = fs_rename(of->fs, tmp, name, e);
    if (rc != OK) {
        errc left = fs_remove_tree(of->fs, tmp, NULL);         /* or the next opening does it */
        (void)left;
        return rc;
    }
    TRY(sync_root(of->fs, e));
    LOG(INFO, "memory snapshot written", kv_str("folder", name), kv_u64("series", n.series),
        kv_u64("chunks", n.chunks), kv_u64("tombstones", n.tombstones),
        kv_u64("exemplars", n.exemplars), kv_i64("took_ms", (clock_mono_ns() - began) / 1000000));
    return drop(of->fs, name, false, e);
}

/* SEGMENT.OFFSET behind the prefix; false: something else. */
static bool place_of(str name, uint32_t *segment, uint64_t *offset)
{
    str first, second;
    uint64_t seg;
    if (!str_has_prefix(name, PREFIX)) return false;
    if (!str_cut(str_from(name, PREFIX.n), '.', &first, &second)) return false;
    if (!str_u64(first, &seg) || seg > UINT32_MAX || !str_u64(second, offset)) return false;
    *segment = (uint32_t)seg;
    return true;
}

errc memory_folder_newest(
    struct memory_folder *out, struct fs *fs, struct arena *a, struct err *e)
{
    fs_entries all = { 0 };
    struct memory_folder best = { 0 };
    errc rc = fs_list(fs, S(""), a, &all, e);
    for (size_t i = 0; i < all.n; i++) {
        struct memory_folder f = { .name = all.at[i].name };
        if (!all.at[i].is_dir || !place_of(f.name, &f.segment, &f.offset)) continue;
        bool newer = f.segment != best.segment ? f.segment > best.segment : f.offset > best.offset;
        if (!best.name.n || newer) best = f;
    }
    vec_fini(&all);
    if (rc == OK) *out = best;
    return rc;
}

errc memory_folder_step_back(
    struct fs *fs, const uint32_t *segments, size_t n, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct memory_folder f = { 0 };
    bool named = false;
    TRY(memory_folder_newest(&f, fs, &a, e));
    for (size_t i = 0; i < n && !named; i++) named = f.name.n && segments[i] == f.segment;
    if (!named || !f.offset) return OK;
    str back = name_of(&a, f.segment, 0);
    TRY(drop(fs, f.name, false, e));           /* older ones; also of that name */
    TRY(fs_rename(fs, f.name, back, e));
    return sync_root(fs, e);
}

static errc read_records(
    struct wal_reader *from, struct snapshot_load *to, struct err *e)
{
    for (;;) {
        struct wal_rec rec;
        bool got = false;
        TRY_IN(e, wal_reader_next(from, &rec, &got, e), "read records");
        if (!got) return OK;
        TRY_IN(e, snapshot_load_record(to, rec.bytes, e), "decode loop");
    }
}

errc memory_folder_read(const struct memory_folder *f, struct fs *fs, enum io_backend backend,
    struct head_replay *to, struct err *e)
{
    struct wal_reader *from = NULL;
    struct wal_reader_opts o = {
        .fs = fs, .dir = f->name, .backend = backend, .mode = WAL_STRICT, .last = UINT32_MAX
    };
    int64_t began = clock_mono_ns();
    TRY_IN(e, wal_reader_open(&from, &o, e), "open chunk snapshot");
    struct snapshot_load *load = snapshot_load_new(to);
    errc rc = read_records(from, load, e);
    struct snapshot_loaded n = snapshot_load_counts(load);
    snapshot_load_free(load);
    wal_reader_close(from);
    if (rc != OK) return rc;
    if (!n.whole) return err_set(e, ERR_CORRUPT, "%.*s: it is cut short", STR_ARG(f->name));
    LOG(INFO, "chunk snapshot loaded", kv_str("dir", f->name), kv_u64("num_series", n.series),
        kv_i64("took_ms", (clock_mono_ns() - began) / 1000000));
    if (n.unknown)
        LOG(WARN, "unknown series references during chunk snapshot replay",
            kv_u64("count", n.unknown));
    return OK;
}
