#include "tsdb/snapshot.h"

#include "base/fault.h"
#include "base/log.h"
#include "block/block_writer.h"
#include "head/head.h"
#include "head/ooo_compact.h"
#include "tsdb/blocks.h"
#include "tsdb/head_block.h"

#define PARENT S("snapshots")
#define UNFINISHED S(".tmp-for-creation")

static errc sync_dir(struct fs *fs, str dir, struct err *e)
{
    return fault_dropped("snapshot.fsync") ? OK : fs_sync_dir(fs, dir, e);
}

/* Second names of all files of a folder, its folders included. */
static errc link_tree(struct fs *fs, struct arena *a, str from, str to, struct err *e)
{
    fs_entries all = { 0 };
    TRY(fs_mkdir(fs, to, e));
    errc rc = fs_list(fs, from, a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        str old = path_join(a, from, all.at[i].name), new = path_join(a, to, all.at[i].name);
        bool half = str_has_suffix(all.at[i].name, S(".tmp"));
        if (half) continue;
        rc = all.at[i].is_dir ? link_tree(fs, a, old, new, e) : fs_link_or_copy(fs, old, new, e);
    }
    vec_fini(&all);
    return rc == OK ? sync_dir(fs, to, e) : rc;
}

static errc write_blocks(const struct snapshot_of *of, struct arena *a, str dir, struct err *e)
{
    struct block_list *l = blocks_now(of->blocks);
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < l->n; i++) {
        str name = block_dir(l->at[i]);
        LOG(INFO, "block goes into the snapshot", kv_str("block", name));
        rc = link_tree(of->fs, a, name, path_join(a, dir, name), e);
        if (rc != OK) rc = err_in(e, rc, "error snapshotting block: %.*s", STR_ARG(name));
    }
    block_list_unref(l);
    return rc;
}

static errc write_head(const struct snapshot_of *of, str dir, struct err *e)
{
    int64_t mint = head_min_time(of->head), maxt = head_max_time(of->head);
    ulid id = ulid_new();
    if (mint > maxt) return OK;                                /* nothing is in it */
    struct block_meta meta = {
        .id = id, .mint = mint, .maxt = maxt + 1, .level = 1, .sources = &id, .n_sources = 1
    };
    struct block_writer_opts wo = {
        .fs = of->fs, .parent = dir, .meta = &meta, .segment_bytes = of->segment_bytes
    };
    struct block_stats stats;
    struct head_block_of what = {
        .fs = of->fs, .backend = of->backend, .head = of->head, .mint = mint, .maxt = maxt
    };
    errc rc = head_block_write(&what, &wo, &stats, e);
    return rc == OK ? OK : err_in(e, rc, "snapshot head block");
}

/* Arrays become chunks early by it, and nothing else: what a compaction does later is the same. */
static errc write_late(const struct snapshot_of *of, str dir, struct err *e)
{
    struct ooo_span span;
    ulid_list made = { 0 };
    if (!of->late_range_ms || !head_has_ooo(of->head)) return OK;
    struct head_part part = { .parent = dir, .range_ms = of->late_range_ms,
        .segment_bytes = of->segment_bytes, .hint = BLOCK_HINT_OOO, .of = "late samples" };
    struct head_block_of what = { .fs = of->fs, .backend = of->backend, .head = of->head };
    errc rc = head_ooo_begin(of->head, &span, e);
    if (rc == OK) rc = head_late_write(&what, &span, &part, &made, e);
    vec_fini(&made);
    return rc == OK ? OK : err_in(e, rc, "snapshot of late samples");
}

static errc write_all(const struct snapshot_of *of, struct arena *a, str dir, struct err *e)
{
    TRY(fs_remove_tree(of->fs, dir, e));
    TRY(fs_mkdir(of->fs, dir, e));
    TRY(write_blocks(of, a, dir, e));
    if (of->head) TRY(write_head(of, dir, e));
    if (of->head) TRY(write_late(of, dir, e));
    return sync_dir(of->fs, dir, e);
}

errc snapshot_write(const struct snapshot_of *of, str name, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir = path_join(&a, PARENT, name),
        tmp = arena_fmt(&a, "%.*s.tmp-for-creation", STR_ARG(dir));
    if (fs_exists(of->fs, dir))
        return err_set(e, ERR_EXISTS, "snapshot %.*s exists", STR_ARG(name));
    TRY_IN(e, fs_mkdir(of->fs, PARENT, e), "create snapshot directory");
    errc rc = write_all(of, &a, tmp, e);
    if (rc == OK) rc = fs_rename(of->fs, tmp, dir, e);
    if (rc == OK) rc = sync_dir(of->fs, PARENT, e);
    if (rc == OK) return sync_dir(of->fs, S(""), e);
    errc left = fs_remove_tree(of->fs, tmp, NULL);             /* or the next start removes it */
    (void)left;
    return rc;
}

errc snapshot_tidy(struct fs *fs, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    if (!fs_exists(fs, PARENT)) return OK;
    errc rc = fs_list(fs, PARENT, &a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++)
        if (str_has_suffix(all.at[i].name, UNFINISHED))
            rc = fs_remove_tree(fs, path_join(&a, PARENT, all.at[i].name), e);
    vec_fini(&all);
    return rc;
}
