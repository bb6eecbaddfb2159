/* chunk_disk.c — see chunk_disk.h
 *
 * Files are named by number: 000001, 000002, … Only the newest has bytes that were never fsynced: a
 * file is synced, with its name, before the next one is begun, so a power cut tears at most the end
 * of the last file. Opening always leaves the files as they are and begins a new one with the first
 * chunk.
 *
 * Setting aside keeps everything: a damaged file is copied to chunks_head.NNNNNN.bad before it is
 * cut to its good front; later files are renamed, the last one first, so that at no moment there is
 * a gap that another program would refuse.
 */
#include "head/chunk_disk.h"

#include "base/buf.h"
#include "base/fault.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "chunk/chunk.h"
#include "head/chunk_disk_files.h"
#include "io/numbered.h"
#include "io/pool.h"

enum {
    WINDOW_BYTES = 1 << 20,
    WRITE_BYTES = 128 << 10,                   /* written at once, and a chunk more */
    PIN_GUESS_BYTES = 1200,
    WARN_EVERY_MS = 10000
};

COUNTER(corruptions, "prometheus_tsdb_mmap_chunk_corruptions_total",
    "Total number of memory-mapped chunk corruptions.")

struct disk_file {
    uint32_t n;
    uint64_t size;                             /* GUARDED_BY(mu) */
    struct reader *reader;                     /* GUARDED_BY(mu): opened by the first pin */
    uint32_t pins;                             /* GUARDED_BY(mu) */
    /* GUARDED_BY(mu): truncated away, or read anew; freed with the last pin */
    bool gone;
};

struct chunk_disk {
    struct fs *fs;
    str dir;                                   /* heap */
    enum io_backend backend;
    uint64_t file_bytes;
    struct mtx mu;                             /* LOCK_CHUNK_DISK */
    VEC(struct disk_file *) files;             /* GUARDED_BY(mu): ascending */
    /* The writer's alone. */
    /* of the last file; NULL: the next chunk begins one */
    struct file *out;
    uint32_t last;                             /* the highest number in use */
    uint64_t off, synced;                      /* in out */
    bool dir_dirty, cut_ordered;
    bool shortened;                            /* out was, since its last fsync */
    /* the last fsync of out did: a further one promises nothing about what was there */
    bool sync_failed;
    /* a failed write has to be cut away before anything else is written */
    bool torn; uint64_t torn_at;
    /* what could not be taken back is taken back before anything is written */
    bool undo_waits; uint32_t undo_file; uint64_t undo_off;
    struct buf bytes;
};

static void arena_finip(struct arena *a) { arena_fini(a); }
static void file_closep(struct file **f) { file_close(*f); }

/* ---- files ---- */

static struct disk_file *file_new(uint32_t n, uint64_t size)
{
    struct disk_file *f = NEW(struct disk_file);
    f->n = n;
    f->size = size;
    return f;
}

static void file_free(struct disk_file *f)
{
    if (!f) return;
    reader_close(f->reader);
    mem_free(f);
}

static struct disk_file *file_find_locked(struct chunk_disk *d, uint32_t n) REQUIRES(d->mu)
{
    mtx_assert_held(&d->mu);
    size_t lo = 0, hi = d->files.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (d->files.at[mid]->n < n) lo = mid + 1;
        else hi = mid;
    }
    return lo < d->files.n && d->files.at[lo]->n == n ? d->files.at[lo] : NULL;
}

static void file_put(struct chunk_disk *d, struct disk_file *f)    /* a pin ends */
{
    mtx_lock(&d->mu);
    bool last = --f->pins == 0 && f->gone;
    mtx_unlock(&d->mu);
    if (last) file_free(f);
}

static errc sync_dir(struct chunk_disk *d, struct err *e)
{
    if (fault_dropped("chunks_head.dir_fsync")) return OK;
    if (FAULT("chunks_head.dir_fsync"))
        return err_set(e, ERR_IO, "chunks_head: fsync of the folder failed (fault)");
    return fs_sync_dir(d->fs, d->dir, e);
}

/* ---- opening ---- */

struct scan { struct reader *r; uint64_t size; struct pin window; uint64_t from; };

/* The bytes at `off`, at least n of them or all up to the end. */
static errc scan_at(struct scan *s, uint64_t off, uint64_t n, str *out, struct err *e)
{
    uint64_t have = s->from + s->window.bytes.n, want = MIN(n, s->size - off);
    if (off < s->from || off > have || have - off < want) {
        TRY(reader_unpin(&s->window, e));
        s->window = (struct pin){ 0 };
        TRY(reader_pin(
            s->r, off, (size_t)MIN(MAX(n, (uint64_t)WINDOW_BYTES), s->size - off), &s->window, e));
        s->from = off;
    }
    *out = str_from(s->window.bytes, (size_t)(off - s->from));
    return OK;
}

/* Nothing but zeros from `off` on? */
static errc scan_zeros(struct scan *s, uint64_t off, struct err *e)
{
    for (str bytes; off < s->size; off += bytes.n) {
        TRY(scan_at(s, off, 1, &bytes, e));
        for (size_t i = 0; i < bytes.n; i++)
            if (bytes.p[i])
                return err_set(e, ERR_CORRUPT, "bytes behind the end, at %" PRIu64, off + i);
    }
    return OK;
}

/* What a file holds up to its end, or up to its damage: rc, why. */
struct file_scan {
    struct chunk_disk *d;
    uint32_t n;
    uint64_t good;                             /* the end of the good front */
    VEC(struct chunk_found) all;
    errc rc; struct err why;
};

/* ERR_CORRUPT: damage behind the good front. */
static errc scan_records(struct file_scan *f, struct scan *s, struct err *e)
{
    str bytes;
    struct chunk_desc c;
    size_t next = 0;
    if (s->size < CHUNK_FILE_HEADER_BYTES) return chunk_file_header_check(STR_EMPTY, e);
    TRY(scan_at(s, 0, CHUNK_FILE_HEADER_BYTES, &bytes, e));
    TRY(chunk_file_header_check(bytes, e));
    for (uint64_t off = f->good = CHUNK_FILE_HEADER_BYTES, need = CHUNK_RECORD_MIN_BYTES;
         off < s->size;) {
        TRY(scan_at(s, off, need, &bytes, e));
        switch (chunk_record_next(bytes, 0, &c, &next, e)) {
        case CHUNK_STEP_BAD: return ERR_CORRUPT;
        case CHUNK_STEP_END: return scan_zeros(s, off, e);
        case CHUNK_STEP_SHORT:
            if (next > s->size - off) return err_set(e, ERR_CORRUPT, "a chunk is cut short");
            need = next;
            continue;
        case CHUNK_STEP_RECORD: break;
        }
        struct chunk_found x = { (chunk_ref)f->n << 32 | off, c.series, c.mint, c.maxt,
            (uint32_t)c.data.n, (uint16_t)chunk_count(c.enc, c.data), c.enc, c.ooo };
        if (chunk_enc_known(c.enc)) vec_push(&f->all, x);
        need = CHUNK_RECORD_MIN_BYTES;
        f->good = off += next;
    }
    return OK;
}

static errc scan_file(struct file_scan *f, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    struct scan s = { 0 };
    TRY(reader_open(&s.r, f->d->fs, chunk_file_path(&a, f->d->dir, f->n),
        (struct read_as){ f->d->backend, IO_HEAD, IO_SEQUENTIAL }, e));
    s.size = reader_size(s.r);
    errc rc = scan_records(f, &s, e);
    errc unpinned = reader_unpin(&s.window, rc == OK ? e : NULL);
    reader_close(s.r);
    return rc == OK ? unpinned : rc;
}

static void scan_piece(void *ctx, size_t i)
{
    struct file_scan *f = (struct file_scan *)ctx + i;
    f->rc = scan_file(f, &f->why);
}

/* In the order of the file; one that is refused is where the good front ends. */
static errc hand_out(struct file_scan *f, chunk_found_fn found, void *ctx,
    struct chunk_disk_opened *what, struct err *e)
{
    for (size_t i = 0; i < f->all.n; i++) {
        errc rc = found(ctx, &f->all.at[i], e);
        if (rc != OK) f->good = chunk_ref_offset(f->all.at[i].ref);
        if (rc != OK) return rc;
        what->chunks++;
    }
    if (e) *e = f->why;
    return f->rc;
}

/* From numbers.at[i] on nothing can be used but the first `good` bytes of that file. */
static errc set_aside_from(struct chunk_disk *d, const chunk_file_numbers *numbers, size_t i,
    uint64_t good, const struct err *why, struct chunk_disk_opened *what, struct err *e)
{
    metric_inc(&corruptions);
    what->corruptions++;
    LOG(WARN,
        "chunks_head: damage; what follows is set aside, and restored from the write-ahead log",
        kv_str("dir", d->dir), kv_u64("file", numbers->at[i]), kv_u64("good_bytes", good),
        kv_err(why));
    for (size_t k = numbers->n; k-- > i + 1; what->set_aside++)
        TRY(chunk_file_set_aside(d->fs, d->dir, numbers->at[k], e));
    what->set_aside++;
    if (good <= CHUNK_FILE_HEADER_BYTES)
        return chunk_file_set_aside(d->fs, d->dir, numbers->at[i], e);
    TRY(chunk_file_keep_front(d->fs, d->dir, numbers->at[i], good, e));
    vec_push(&d->files, file_new(numbers->at[i], good));
    return OK;
}

static errc tell_damage(const struct chunk_disk_opts *o, struct err *e)
{
    return o->damaged ? o->damaged(o->damaged_ctx, e) : OK;
}

/* The same, when who counts on these files knows. */
static errc told_set_aside_from(struct chunk_disk *d, const struct chunk_disk_opts *o,
    const chunk_file_numbers *numbers, size_t i, uint64_t good, const struct err *why,
    struct chunk_disk_opened *what, struct err *e)
{
    bool late = fault_dropped("chunks_head.damage_order");
    if (!late) TRY(tell_damage(o, e));
    TRY(set_aside_from(d, numbers, i, good, why, what, e));
    return late ? tell_damage(o, e) : OK;
}

/* None of the files is to be used, from the first on. */
static void forget_files(
    struct chunk_disk *d, struct chunk_disk_opened *what, size_t *first, uint64_t *good)
{
    for (size_t i = 0; i < d->files.n; i++)
        file_free(d->files.at[i]);
    d->files.n = 0;
    what->chunks = 0;
    *first = 0;
    *good = 0;
}

static void numbers_finip(chunk_file_numbers *n) { vec_fini(n); }

/* As many files as there are threads are looked at beside each other; what they hold is handed out
 * in their order. */
enum { SCANS_MAX = 8 };
struct scans { struct file_scan at[SCANS_MAX]; size_t from, n; struct pool *pool; };

static void scans_drop(struct scans *x)
{
    for (size_t i = 0; i < x->n; i++) vec_fini(&x->at[i].all);
    x->n = 0;
}

static struct file_scan *scan_of(
    struct scans *x, struct chunk_disk *d, const chunk_file_numbers *numbers, size_t i)
{
    if (x->n && i < x->from + x->n) {
        vec_fini(&x->at[i - 1 - x->from].all);
        return &x->at[i - x->from];
    }
    scans_drop(x);
    size_t threads = x->pool ? pool_threads(x->pool) + 1u : 1;
    x->from = i;
    x->n = MIN(numbers->n - i, MIN(threads, (size_t)SCANS_MAX));
    for (size_t k = 0; k < x->n; k++)
        x->at[k] = (struct file_scan){ .d = d, .n = numbers->at[i + k] };
    pool_each(x->pool, x->n, scan_piece, x->at);
    return x->at;
}

static errc disk_scan_files(struct chunk_disk *d, const struct chunk_disk_opts *o,
    const chunk_file_numbers *numbers, struct scans *scans, chunk_found_fn found, void *ctx,
    struct chunk_disk_opened *what, struct err *e)
{
    for (size_t i = 0; i < numbers->n; i++) {
        struct err why = { 0 };
        uint64_t good = 0;
        errc rc = OK;
        if (i > 0 && numbers->at[i] != numbers->at[i - 1] + 1) {
            rc = err_set(&why, ERR_CORRUPT, "a file is missing before this one");
        } else {
            struct file_scan *f = scan_of(scans, d, numbers, i);
            rc = hand_out(f, found, ctx, what, &why);
            good = f->good;
        }
        what->out_of_order = rc == ERR_OUT_OF_ORDER;
        if (what->out_of_order) forget_files(d, what, &i, &good);
        if (rc == ERR_CORRUPT || rc == ERR_IO || what->out_of_order) {
            TRY_IN(e, told_set_aside_from(d, o, numbers, i, good, &why, what, e), "chunks_head");
            break;
        }
        if (rc != OK) return err_set(e, rc, "%s", why.msg);
        vec_push(&d->files, file_new(numbers->at[i], good));
    }
    return OK;
}

static errc disk_scan(struct chunk_disk *d, const struct chunk_disk_opts *o, chunk_found_fn found,
    void *ctx, struct chunk_disk_opened *what, struct err *e)
{
    SCOPED(numbers_finip) chunk_file_numbers numbers = { 0 };
    struct scans scans = { 0 };
    uint32_t moved = 0;
    TRY(numbered_settle(d->fs, d->dir, CHUNK_FILE_DIGITS, &moved, e));
    what->set_aside += moved;
    TRY(chunk_files_list(&numbers, d->fs, d->dir, e));
    TRY(chunk_files_drop_unborn(&numbers, d->fs, d->dir, e));
    uint32_t highest = numbers.n ? vec_last(&numbers) : 0;
    if (o->workers > 1 && numbers.n > 1)
        scans.pool = pool_new(&(struct pool_opts){
            .name = "chunks", .threads = o->workers - 1, .queue_max = o->workers });
    errc rc = disk_scan_files(d, o, &numbers, &scans, found, ctx, what, e);
    pool_free(scans.pool);
    scans_drop(&scans);
    if (rc != OK) return rc;
    d->last = d->files.n ? vec_last(&d->files)->n : highest;
    what->files = d->files.n;
    what->last_file = d->last;
    return OK;
}

static void disk_free(struct chunk_disk *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->files.n; i++) file_free(d->files.at[i]);
    vec_fini(&d->files);
    file_close(d->out);
    buf_fini(&d->bytes);
    mtx_fini(&d->mu);
    mem_free((void *)(uintptr_t)d->dir.p);
    mem_free(d);
}
static void disk_freep(struct chunk_disk **d) { disk_free(*d); }

errc chunk_disk_open(struct chunk_disk **out, const struct chunk_disk_opts *o, chunk_found_fn found,
    void *ctx, struct chunk_disk_opened *what, struct err *e)
{
    SCOPED(disk_freep) struct chunk_disk *d = NEW(struct chunk_disk);
    struct chunk_disk_opened seen = { 0 };
    d->fs = o->fs;
    d->dir = mem_str(o->dir);
    d->backend = o->backend;
    d->file_bytes = o->file_bytes ? o->file_bytes : CHUNK_DISK_FILE_BYTES;
    mtx_init(&d->mu, LOCK_CHUNK_DISK);
    buf_init(&d->bytes, NULL, 0);
    if (!fs_exists(o->fs, o->dir)) {
        TRY_IN(e, fs_mkdir(o->fs, o->dir, e), "chunks_head");
        if (!fault_dropped("chunks_head.parent_fsync"))
            TRY_IN(e, fs_sync_dir(o->fs, chunk_files_parent(o->dir), e), "chunks_head");
    }
    TRY(disk_scan(d, o, found, ctx, &seen, e));
    if (what) *what = seen;
    *out = STEAL(d);
    return OK;
}

/* ---- writing ---- */

/* The bytes of the current file from `at` on, up to a whole number of records, into d->bytes;
 * ERR_CORRUPT: they do not check. */
static errc read_back(struct chunk_disk *d, uint64_t at, struct err *e)
{
    size_t done = at == 0 ? CHUNK_FILE_HEADER_BYTES : 0, next = 0, got = 0;
    struct chunk_desc c;
    for (uint64_t want = WINDOW_BYTES;; want = next) {
        size_t n = (size_t)MIN(want, d->off - at);
        buf_reset(&d->bytes);
        uint8_t *room = buf_room(&d->bytes, n);
        if (!room) return err_set(e, ERR_LIMIT, "a chunk of %zu bytes", n);
        TRY(file_pread(d->out, room, n, at, &got, e));
        if (got < n) return err_set(e, ERR_CORRUPT, "%zu of %zu bytes at %" PRIu64, got, n, at);
        str bytes = str_of(room, n);
        enum chunk_step step = CHUNK_STEP_RECORD;
        while (
            done < n && (step = chunk_record_next(bytes, done, &c, &next, e)) == CHUNK_STEP_RECORD)
            done = next;
        if (step == CHUNK_STEP_SHORT && at + n == d->off)
            return err_set(e, ERR_CORRUPT, "cut short at %" PRIu64, at + done);
        if (step == CHUNK_STEP_END) return err_set(e, ERR_CORRUPT, "zeros at %" PRIu64, at + done);
        if (step == CHUNK_STEP_BAD) return ERR_CORRUPT;
        if (done > 0) break;
    }
    buf_commit(&d->bytes, done);
    return OK;
}

/* After a failed fsync the kernel believes pages clean that never reached the disk, and the next
 * fsync has nothing to do: what was not synced is written again. The page cache has it; if not,
 * then it is damage that the next opening meets, and restores from the log. */
static errc write_again(struct chunk_disk *d, struct err *e)
{
    for (uint64_t at = d->synced; at < d->off; at += d->bytes.n) {
        struct err why = { 0 };
        uint64_t done = 0;
        if (read_back(d, at, &why) != OK) {
            LOG(ERROR,
                "chunks_head: what an fsync failed for is not there any more; the log has it",
                kv_u64("file", d->last), kv_err(&why));
            return OK;
        }
        str bytes = buf_view(&d->bytes);
        TRY_IN(e, file_pwrite(d->out, &bytes, 1, at, &done, e), "chunks_head");
    }
    return OK;
}

/* A file was cut back to `size`. Its reader may have kept bytes from behind that, which others take
 * the place of: pins to come get a new one. */
static void read_anew(struct chunk_disk *d, uint32_t n, uint64_t size)
{
    struct disk_file *was = NULL;
    mtx_lock(&d->mu);
    for (size_t i = d->files.n; i > 0 && !was; i--)
        if (d->files.at[i - 1]->n == n) {
            was = d->files.at[i - 1];
            d->files.at[i - 1] = file_new(n, size);
            was->gone = true;
        }
    bool unused = was && was->pins == 0;
    mtx_unlock(&d->mu);
    if (unused) file_free(was);
}

static errc shorten(struct chunk_disk *d, uint64_t off, struct err *e)
{
    d->shortened = true;
    TRY_IN(e, file_truncate(d->out, off, e), "chunks_head");
    d->off = off;
    d->synced = MIN(d->synced, off);
    read_anew(d, d->last, off);
    return OK;
}

errc chunk_disk_sync(struct chunk_disk *d, struct err *e)
{
    if (d->dir_dirty) TRY_IN(e, sync_dir(d, e), "chunks_head");
    d->dir_dirty = false;
    if (!d->out || (d->synced == d->off && !d->shortened)) return OK;
    if (!fault_dropped("chunks_head.fsync")) {
        if (FAULT("chunks_head.fsync"))
            return err_set(e, ERR_IO, "chunks_head: fsync failed (fault)");
        if (d->sync_failed && d->shortened) TRY(shorten(d, d->off, e));
        if (d->sync_failed) TRY(write_again(d, e));
        d->sync_failed = true;
        TRY_IN(e, file_sync(d->out, e), "chunks_head");
        d->sync_failed = false;
    }
    d->synced = d->off;
    d->shortened = false;
    return OK;
}

/* The current file is done: durable before the next one begins. */
static errc finish(struct chunk_disk *d, struct err *e)
{
    if (!fault_dropped("chunks_head.finish_order")) TRY(chunk_disk_sync(d, e));
    file_close(STEAL(d->out));
    d->cut_ordered = false;
    return OK;
}

static errc begin(struct chunk_disk *d, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    TRY_IN(e,
        fs_open(&d->out, d->fs, chunk_file_path(&a, d->dir, d->last + 1),
            FS_READ | FS_WRITE | FS_CREATE | FS_EXCL, e),
        "chunks_head");
    d->last++;
    d->off = d->synced = 0;
    d->sync_failed = false;
    d->dir_dirty = true;
    return OK;
}

/* Removes the last file, for good before the one in front of it changes: where a chunk is missing
 * before one that is there, the replay takes neither the chunk nor its samples from the log. */
static errc drop_last(struct chunk_disk *d, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    str path = chunk_file_path(&a, d->dir, d->last);
    if (fs_exists(d->fs, path)) TRY_IN(e, fs_unlink(d->fs, path, e), "chunks_head");
    if (!fault_dropped("chunks_head.undo_order")) TRY_IN(e, sync_dir(d, e), "chunks_head");
    d->last--;
    return OK;
}

/* A write failed: nothing of it may stay. A file that it began goes as a whole. */
static errc cut_back(struct chunk_disk *d, struct err *e)
{
    d->torn = true;
    d->torn_at = d->off;
    if (d->off == 0) {
        TRY(drop_last(d, e));
        file_close(STEAL(d->out));
    } else {
        TRY(shorten(d, d->off, e));
    }
    d->torn = false;
    return OK;
}

static errc write_bytes(struct chunk_disk *d, struct err *e)
{
    str bytes = buf_view(&d->bytes);
    uint64_t done = 0;
    if (!buf_ok(&d->bytes)) return err_set(e, ERR_LIMIT, "chunks_head: too many chunks at once");
    if (FAULT("chunks_head.write")) return err_set(e, ERR_IO, "chunks_head: write failed (fault)");
    TRY_IN(e, file_pwrite(d->out, &bytes, 1, d->off, &done, e), "chunks_head");
    return OK;
}

/* Writes the first chunks that fit the current file and the buffer; *n how many. */
static errc write_some(struct chunk_disk *d, const struct chunk_desc *chunks, size_t *n,
    chunk_ref *refs, struct err *e)
{
    bool fresh = d->out == NULL;
    if (fresh) TRY(begin(d, e));
    uint64_t at = d->off;
    size_t i = 0;
    buf_reset(&d->bytes);
    if (at == 0) chunk_file_header_encode(&d->bytes);
    at += d->bytes.n;
    for (; i < *n; i++) {
        size_t len = chunk_record_bytes(chunks[i].data.n);
        if (at + len > d->file_bytes && at > CHUNK_FILE_HEADER_BYTES) break;
        if (d->bytes.n > WRITE_BYTES) break;
        refs[i] = (chunk_ref)d->last << 32 | at;
        chunk_record_encode(&d->bytes, &chunks[i]);
        at += len;
    }
    errc rc = write_bytes(d, e);
    if (rc != OK) {
        struct err why = { 0 };
        if (cut_back(d, &why) != OK)
            LOG_LIMITED(ERROR, WARN_EVERY_MS,
                "chunks_head: a failed write could not be taken back; nothing is written until it "
                "is",
                kv_err(&why));
        return rc;
    }
    d->off = at;
    mtx_lock(&d->mu);
    if (fresh) vec_push(&d->files, file_new(d->last, at));
    else vec_last(&d->files)->size = at;
    mtx_unlock(&d->mu);
    *n = i;
    return OK;
}

/* The same for a file that was finished. */
static errc shorten_finished(struct chunk_disk *d, uint32_t n, uint64_t off, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(file_closep) struct file *f = NULL;
    TRY(fs_open(&f, d->fs, chunk_file_path(&a, d->dir, n), FS_READ | FS_WRITE, e));
    TRY(file_truncate(f, off, e));
    read_anew(d, n, off);
    return fault_dropped("chunks_head.undo_fsync") ? OK : file_sync(f, e);
}

/* Chunks of this call that lie in an earlier file stay there when a later file fails: none of them
 * is referenced, so the files that the call touched are cut back, too. */
static errc undo(struct chunk_disk *d, uint32_t file, uint64_t off, struct err *e)
{
    bool current = d->out && d->last == file;
    if (!current) file_close(STEAL(d->out));
    /* what is torn is in a file that goes, or behind `off` */
    d->torn = false;
    mtx_lock(&d->mu);
    while (d->files.n && vec_last(&d->files)->n > file) {
        struct disk_file *f = vec_pop(&d->files);
        assert(f->pins == 0);
        file_free(f);
    }
    mtx_unlock(&d->mu);
    while (d->last > file) TRY(drop_last(d, e));
    if (off == 0) return OK;
    return current ? shorten(d, off, e) : shorten_finished(d, file, off, e);
}

/* What an earlier call could not take back. */
static errc take_back(struct chunk_disk *d, struct err *e)
{
    if (d->undo_waits) {
        TRY(undo(d, d->undo_file, d->undo_off, e));
        d->undo_waits = false;
    }
    return d->torn ? cut_back(d, e) : OK;
}

errc chunk_disk_write(
    struct chunk_disk *d, const struct chunk_desc *chunks, size_t n, chunk_ref *refs, struct err *e)
{
    TRY(take_back(d, e));
    uint32_t file = d->last;
    uint64_t off = d->out ? d->off : 0;
    if (d->out && d->cut_ordered) {
        TRY(finish(d, e));
        off = 0;
    }
    for (size_t done = 0; done < n;) {
        bool full = d->out && d->off > CHUNK_FILE_HEADER_BYTES &&
                    d->off + chunk_record_bytes(chunks[done].data.n) > d->file_bytes;
        size_t more = n - done;
        errc rc = full ? finish(d, e) : OK;
        if (rc == OK) rc = write_some(d, chunks + done, &more, refs + done, e);
        if (rc != OK) {
            struct err why = { 0 };
            d->undo_waits = done > 0 && undo(d, file, off, &why) != OK;
            if (d->undo_waits) {
                d->undo_file = file;
                d->undo_off = off;
                LOG_LIMITED(ERROR, WARN_EVERY_MS,
                    "chunks_head: chunks that nobody refers to are on disk; nothing is written "
                    "until they are gone",
                    kv_err(&why));
            }
            return rc;
        }
        done += more;
    }
    d->cut_ordered = false;
    return OK;
}

void chunk_disk_cut(struct chunk_disk *d)
{
    d->cut_ordered = d->out && d->off > CHUNK_FILE_HEADER_BYTES;
}

errc chunk_disk_truncate(struct chunk_disk *d, uint32_t file, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    for (;;) {
        mtx_lock(&d->mu);
        struct disk_file *f =
            d->files.n && d->files.at[0]->n < file && !(d->out && d->files.at[0]->n == d->last)
                ? d->files.at[0]
                : NULL;
        mtx_unlock(&d->mu);
        if (!f) break;
        TRY_IN(e, fs_unlink(d->fs, chunk_file_path(&a, d->dir, f->n), e), "chunks_head");
        mtx_lock(&d->mu);
        memmove(d->files.at, d->files.at + 1, --d->files.n * sizeof(*d->files.at));
        f->gone = true;
        bool unused = f->pins == 0;
        mtx_unlock(&d->mu);
        if (unused) file_free(f);
        /* one by one from the low end: a crash leaves no gap */
        TRY_IN(e, sync_dir(d, e), "chunks_head");
    }
    chunk_disk_cut(d);
    return OK;
}

uint64_t chunk_disk_bytes(struct chunk_disk *d)
{
    uint64_t sum = 0;
    mtx_lock(&d->mu);
    for (size_t i = 0; i < d->files.n; i++) sum += d->files.at[i]->size;
    mtx_unlock(&d->mu);
    return sum;
}

void chunk_disk_close(struct chunk_disk *d)
{
    struct err e = { 0 };
    if (d && take_back(d, &e) != OK)
        LOG(WARN, "chunks_head: a failed write stays at its end", kv_err(&e));
    else if (d && chunk_disk_sync(d, &e) != OK)
        LOG(WARN, "chunks_head: not durable at close; the log has it", kv_err(&e));
    disk_free(d);
}

/* ---- reading ---- */

/* The file of a reference, pinned, with a reader that sees `size` bytes. */
static errc file_get(
    struct chunk_disk *d, uint32_t n, struct disk_file **out, uint64_t *size, struct err *e)
{
    mtx_lock(&d->mu);
    struct disk_file *f = file_find_locked(d, n);
    struct reader *have = f ? f->reader : NULL;
    if (f) {
        f->pins++;
        *size = f->size;
    }
    mtx_unlock(&d->mu);
    if (!f) return err_set(e, ERR_NOT_FOUND, "chunks_head: no file %06" PRIu32, n);
    if (!have) {
        SCOPED(arena_finip) struct arena a = { 0 };
        struct reader *mine = NULL;
        errc rc = reader_open(&mine, d->fs, chunk_file_path(&a, d->dir, n),
            (struct read_as){ d->backend, IO_HEAD, IO_RANDOM }, e);
        if (rc != OK) {
            file_put(d, f);
            return rc;
        }
        mtx_lock(&d->mu);
        if (!f->reader) f->reader = STEAL(mine);
        mtx_unlock(&d->mu);
        reader_close(mine);                    /* somebody was faster */
    }
    *out = f;
    return OK;
}

static errc pin_record(
    struct disk_file *f, uint64_t off, size_t n, uint64_t size, struct pin *out, struct err *e)
{
    if (off >= size)
        return err_set(e, ERR_CORRUPT, "no chunk at %" PRIu64 " of %" PRIu64, off, size);
    if (size > reader_size(f->reader)) TRY(reader_refresh(f->reader, e));
    return reader_pin(f->reader, off, (size_t)MIN(n, size - off), out, e);
}

static errc pin_chunk(struct disk_file *f, uint64_t off, size_t guess, uint64_t size,
    struct pin *pin, struct chunk_desc *c, struct err *e)
{
    size_t next = 0;
    TRY(pin_record(f, off, guess, size, pin, e));
    enum chunk_step step = chunk_record_next(pin->bytes, 0, c, &next, e);
    if (step == CHUNK_STEP_SHORT && next <= size - off) {      /* longer than guessed */
        TRY(reader_unpin(pin, e));
        *pin = (struct pin){ 0 };
        TRY(pin_record(f, off, next, size, pin, e));
        step = chunk_record_next(pin->bytes, 0, c, &next, e);
    }
    if (step == CHUNK_STEP_RECORD) return OK;
    return step == CHUNK_STEP_BAD ? ERR_CORRUPT : err_set(e, ERR_CORRUPT, "no whole chunk");
}

errc chunk_disk_pin(
    struct chunk_disk *d, chunk_ref ref, size_t hint, struct chunk_pin *out, struct err *e)
{
    struct disk_file *f = NULL;
    struct chunk_desc c;
    struct pin pin = { 0 };
    uint64_t size = 0, off = chunk_ref_offset(ref);
    TRY(file_get(d, chunk_ref_file(ref), &f, &size, e));
    errc rc =
        pin_chunk(f, off, hint ? chunk_record_bytes(hint) : PIN_GUESS_BYTES, size, &pin, &c, e);
    if (rc != OK) {
        errc ignored = reader_unpin(&pin, NULL);
        (void)ignored;
        file_put(d, f);
        return err_in(e, rc, "chunks_head/%06" PRIu32 " at %" PRIu64, chunk_ref_file(ref), off);
    }
    *out = (struct chunk_pin){ c.series, c.mint, c.maxt, c.enc, c.ooo, c.data, pin, f };
    return OK;
}

errc chunk_disk_unpin(struct chunk_disk *d, struct chunk_pin *p, struct err *e)
{
    struct disk_file *f = p->file;
    if (!f) return OK;
    errc rc = reader_unpin(&p->pin, e);
    *p = (struct chunk_pin){ 0 };
    file_put(d, f);
    return rc;
}
