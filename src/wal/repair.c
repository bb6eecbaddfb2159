/* repair.c — see repair.h
 *
 * A damaged segment N becomes a good one in steps of which each leaves the good records readable:
 *
 *     1  wal/N is copied to wal.N.bad in the data folder (never inside of wal/: what
 *        begins with checkpoint. there has to be one), and synced                         N is as
 *        it was
 *     2  its good records are written to wal/N.repair, and synced                         N is as
 *     it was 3  wal/N.repair is renamed to wal/N, and the folder synced                          N
 *     is the good one
 *
 * What step 2 leaves behind when it is interrupted, wal_dir_tidy() removes. Records keep their
 * stored bytes: nothing is packed again.
 */
#include "wal/repair.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/numbered.h"
#include "wal/page.h"
#include "wal/record.h"

enum { FLUSH_BYTES = 1 << 20 };

static void arena_finip(struct arena *a) { arena_fini(a); }
static void file_closep(struct file **f) { file_close(*f); }
static void reader_closep(struct wal_reader **r) { wal_reader_close(*r); }
static void dir_finip(struct wal_dir *d) { wal_dir_fini(d); }
static void buf_finip(struct buf *b) { buf_fini(b); }

static errc sync_dir(struct fs *fs, str dir, struct err *e)
{
    return fault_dropped("repair.dir_fsync") ? OK : fs_sync_dir(fs, dir, e);
}

static errc open_segment(struct wal_reader **out, struct fs *fs, str dir, enum io_backend backend,
    uint32_t seg, struct err *e)
{
    struct wal_reader_opts o = {
        .fs = fs, .dir = dir, .backend = backend, .mode = WAL_SALVAGE, .first = seg, .last = seg
    };
    return wal_reader_open(out, &o, e);
}

/* The next record that decodes. */
static errc next_good(struct wal_reader *r, struct wal_rec *rec, bool *got, struct err *e)
{
    for (;;) {
        struct err why = { 0 };
        TRY(wal_reader_next(r, rec, got, e));
        if (!*got || record_check(rec->bytes, &why) == OK) return OK;
        TRY(wal_reader_reject(r, &why, e));
    }
}

/* What a segment is worth: good records, where they end, damage. */
struct worth { uint32_t records; uint64_t end; size_t corruptions; bool only_tail, unread; };

static errc weigh(
    struct worth *out, struct fs *fs, str dir, enum io_backend backend, uint32_t seg, struct err *e)
{
    SCOPED(reader_closep) struct wal_reader *r = NULL;
    struct worth w = { .only_tail = true };
    struct wal_rec rec;
    bool got = true;
    TRY(open_segment(&r, fs, dir, backend, seg, e));
    for (;;) {
        TRY(next_good(r, &rec, &got, e));
        if (!got) break;
        w.records++;
        w.end = rec.end;
    }
    const struct wal_corruption *c = wal_reader_corruptions(r, &w.corruptions);
    for (size_t i = 0; i < w.corruptions; i++) w.only_tail &= c[i].tail && c[i].off >= w.end;
    if (w.corruptions)
        LOG(WARN, "wal: damage", kv_str("dir", dir), kv_u64("segment", seg),
            kv_u64("offset", c[0].off), kv_z("why", c[0].why), kv_u64("spots", w.corruptions),
            kv_u64("good_records", w.records));
    w.unread = wal_reader_unread(r);
    *out = w;
    return OK;
}

static errc copy_aside(struct fs *fs, str dir, uint32_t seg, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    return numbered_copy_aside(fs, dir, arena_fmt(&a, "%08" PRIu32, seg), e);
}

static errc flush(struct file *f, struct buf *b, uint64_t *at, struct err *e)
{
    str bytes = buf_view(b);
    uint64_t done;
    if (bytes.n) TRY(file_pwrite(f, &bytes, 1, *at, &done, e));
    *at += bytes.n;
    buf_reset(b);
    return OK;
}

static errc rewrite(struct fs *fs, str dir, enum io_backend backend, uint32_t seg,
    wal_rewrite_fn anew, void *ctx, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(reader_closep) struct wal_reader *r = NULL;
    SCOPED(file_closep) struct file *f = NULL;
    SCOPED(buf_finip) struct buf b = { 0 };
    str path = wal_segment_path(&a, dir, seg), tmp = arena_fmt(&a, "%.*s.repair", STR_ARG(path));
    struct wal_rec rec;
    uint64_t off = 0, at = 0;
    TRY(open_segment(&r, fs, dir, backend, seg, e));
    TRY(fs_open(&f, fs, tmp, FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC, e));
    for (bool got = true;;) {
        TRY(next_good(r, &rec, &got, e));
        if (!got) break;
        bool keep = true;
        str stored = rec.stored;
        if (anew) TRY(anew(ctx, &rec, &stored, &keep, e));
        if (keep) page_put(&b, &off, rec.flags, stored, NULL);
        if (b.n >= FLUSH_BYTES) TRY(flush(f, &b, &at, e));
    }
    if (wal_reader_unread(r))
        return err_set(e, ERR_IO, "%.*s cannot be read", STR_ARG(path));
    page_pad(&b, &off);
    TRY(flush(f, &b, &at, e));
    if (!fault_dropped("repair.segment_fsync")) TRY(file_sync(f, e));
    TRY(fs_rename(fs, tmp, path, e));
    return sync_dir(fs, dir, e);
}

static errc cut_tail(struct fs *fs, str dir, uint32_t seg, uint64_t end, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(file_closep) struct file *f = NULL;
    TRY(fs_open(&f, fs, wal_segment_path(&a, dir, seg), FS_READ | FS_WRITE, e));
    TRY(file_truncate(f, end, e));
    return fault_dropped("repair.tail_fsync") ? OK : file_sync(f, e);
}

errc wal_repair_segment(struct fs *fs, str dir, enum io_backend backend, uint32_t seg, bool is_last,
    struct wal_repair_result *out, struct err *e)
{
    struct worth w;
    TRY_IN(e, weigh(&w, fs, dir, backend, seg, e), "repair of segment %" PRIu32, seg);
    if (w.corruptions == 0) return OK;
    if (w.unread) {
        LOG(ERROR, "wal: a segment cannot be read and stays as it is", kv_str("dir", dir),
            kv_u64("segment", seg));
        return OK;
    }
    if (is_last && w.only_tail) {
        TRY_IN(e, cut_tail(fs, dir, seg, w.end, e), "repair of segment %" PRIu32, seg);
    } else {
        TRY_IN(e, copy_aside(fs, dir, seg, e), "repair of segment %" PRIu32, seg);
        TRY_IN(e, rewrite(fs, dir, backend, seg, NULL, NULL, e), "repair of segment %" PRIu32, seg);
    }
    out->segments++;
    out->records_kept += w.records;
    out->corruptions += (uint32_t)w.corruptions;
    return OK;
}

errc wal_rewrite_segment(struct fs *fs, str dir, enum io_backend backend, uint32_t seg,
    wal_rewrite_fn anew, void *ctx, struct err *e)
{
    TRY(copy_aside(fs, dir, seg, e));
    return rewrite(fs, dir, backend, seg, anew, ctx, e);
}

errc wal_repair_gaps(
    struct fs *fs, str dir, uint32_t first, uint32_t last, uint32_t *filled, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(dir_finip) struct wal_dir d = { 0 };
    uint32_t want = first, n = 0;
    TRY(wal_dir_list(&d, fs, dir, e));
    for (size_t i = 0; i < d.segments.n && d.segments.at[i] <= last; i++) {
        if (d.segments.at[i] < first) continue;
        for (; want < d.segments.at[i]; want++, n++) {
            SCOPED(file_closep) struct file *f = NULL;
            TRY(fs_open(&f, fs, wal_segment_path(&a, dir, want),
                FS_READ | FS_WRITE | FS_CREATE | FS_EXCL, e));
        }
        want++;
    }
    *filled = n;
    return n ? sync_dir(fs, dir, e) : OK;
}

errc wal_repair(struct fs *fs, str dir, enum io_backend backend, uint32_t first, uint32_t last,
    struct wal_repair_result *out, struct err *e)
{
    SCOPED(dir_finip) struct wal_dir d = { 0 };
    struct wal_repair_result done = { 0 };
    TRY(wal_dir_list(&d, fs, dir, e));
    for (size_t i = 0; i < d.segments.n; i++) {
        uint32_t seg = d.segments.at[i];
        if (seg >= first && seg <= last)
            TRY(wal_repair_segment(fs, dir, backend, seg, i + 1 == d.segments.n, &done, e));
    }
    TRY(wal_repair_gaps(fs, dir, first, last, &done.gaps, e));
    *out = done;
    return OK;
}
