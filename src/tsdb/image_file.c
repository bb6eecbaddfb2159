#include "tsdb/image_file.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/fault.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"
#include "head/chunk_disk.h"
#include "head/image_load.h"
#include "head/image_write.h"
#include "head/replay.h"
#include "io/out.h"
#include "io/pool.h"
#include "wal/wal.h"
#include "wal/wal_reader.h"

#define IMAGE S("head.image")
#define UNFINISHED S("head.image.tmp")
enum { CRC_PIECE_BYTES = 1 << 20 };

COUNTER(m_written, "epimetheus_head_images_written_total",
    "Images of the open chunks of the head that were written.")
COUNTER(m_failed, "epimetheus_head_images_failed_total",
    "Images of the open chunks of the head that could not be written.")
GAUGE(m_bytes, "epimetheus_head_image_bytes",
    "Size of the newest image of the open chunks of the head; 0: this process wrote none.")

/* Of a segment's first `n` bytes. ERR_CORRUPT: it has not so many. */
static errc log_crc(struct fs *fs, uint32_t segment, uint64_t n, uint32_t *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct file *f = NULL;
    uint32_t crc = 0;
    errc rc = OK;
    TRY(fs_open(&f, fs, wal_segment_path(&a, S("wal"), segment), FS_READ, e));
    uint8_t *room = arena_alloc(&a, CRC_PIECE_BYTES);
    for (uint64_t at = 0; rc == OK && at < n;) {
        size_t got = 0;
        rc = file_pread(f, room, (size_t)MIN(n - at, (uint64_t)CRC_PIECE_BYTES), at, &got, e);
        if (rc == OK && !got)
            rc = err_set(e, ERR_CORRUPT, "segment %" PRIu32 " has %" PRIu64 " bytes only", segment,
                at);
        if (rc == OK) crc = crc32c(crc, room, got);
        at += got;
    }
    file_close(f);
    if (rc == OK) *out = crc;
    return rc;
}

/* ---- writing ---- */

static errc write_frames(const struct image_file_of *of, struct image_write *w, struct out *o,
    const struct image_place *at, struct err *e)
{
    uint64_t frames = 0;
    int64_t since = clock_cpu_ns();
    image_header_encode(out_buf(o), at);
    for (bool more = true; more;) {
        uint64_t before = out_at(o);
        if (of->rest && !of->rest(of->ctx, clock_cpu_ns() - since))
            return err_set(e, ERR_CANCELED, "head image: not wanted any more");
        since = clock_cpu_ns();
        more = image_write_frame(w, out_buf(o));
        frames += out_at(o) > before;
        TRY(out_step(o, e));
    }
    image_end_encode(out_buf(o), frames, image_write_series(w));
    return OK;
}

/* What the image has of after its place must be durable before it is: else a power cut leaves parts
 * of batches that the log has lost. And the chunk files, else the image would be refused after it.
 * A log that gave up a segment may have moved what was not synced. */
static errc log_first(const struct image_file_of *of, const struct image_place *at, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs_stat st;
    if (!fault_dropped("image.log_first")) TRY(wal_sync(of->wal, e));
    if (of->disk) TRY(chunk_disk_sync(of->disk, e));
    TRY(fs_stat(of->fs, wal_segment_path(&a, S("wal"), at->segment), &st, e));
    if (st.size_bytes >= at->offset) return OK;
    return err_set(e, ERR_IO, "the log was written anew meanwhile");
}

static errc write_out(const struct image_file_of *of, struct out *o,
    struct image_file_written *done, struct err *e)
{
    struct image_write *w = image_write_new(of->head);
    done->place.last_ref = image_write_last_ref(w);
    errc rc = log_crc(of->fs, done->place.segment, done->place.offset, &done->place.log_crc, e);
    if (rc == OK) rc = write_frames(of, w, o, &done->place, e);
    done->series = image_write_series(w);
    image_write_free(w);
    if (rc == OK) rc = log_first(of, &done->place, e);
    if (rc == OK) rc = fault_dropped("image.fsync") ? out_flush(o, e) : out_sync(o, e);
    done->bytes = out_at(o);
    return rc;
}

static errc write_named(
    const struct image_file_of *of, struct image_file_written *done, struct err *e)
{
    struct out o = { 0 };
    errc rc = out_open(&o, of->fs, UNFINISHED, e);
    if (rc == OK) rc = write_out(of, &o, done, e);
    out_close(&o);
    if (rc == OK) rc = fs_rename(of->fs, UNFINISHED, IMAGE, e);
    if (rc == OK) return fault_dropped("image.dir_fsync") ? OK : fs_sync_dir(of->fs, S(""), e);
    errc left = fs_unlink(of->fs, UNFINISHED, NULL);           /* or the next one writes over it */
    (void)left;
    return rc;
}

/* Where the log ends. A segment without a record says nothing: then the end of one before. */
static errc end_of_log(const struct image_file_of *of, struct image_place *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct wal_stat at;
    struct fs_stat st = { 0 };
    wal_stat(of->wal, &at);
    *out = (struct image_place){ .segment = at.segment, .offset = at.offset };
    while (!out->offset && out->segment) {
        str before = wal_segment_path(&a, S("wal"), --out->segment);
        if (!fs_exists(of->fs, before)) return OK;
        TRY(fs_stat(of->fs, before, &st, e));
        out->offset = st.size_bytes;
    }
    return OK;
}

errc image_file_write(
    const struct image_file_of *of, struct image_file_written *out, struct err *e)
{
    struct image_file_written done = { 0 };
    int64_t began = clock_mono_ns(), cpu = clock_cpu_ns();
    *out = done;
    errc rc = end_of_log(of, &done.place, e);
    if (rc == OK && !done.place.offset) return OK;
    if (rc == OK) rc = write_named(of, &done, e);
    if (rc == ERR_CANCELED) return rc;
    metric_inc(rc == OK ? &m_written : &m_failed);
    if (rc != OK) return rc;
    done.cpu_ns = clock_cpu_ns() - cpu;
    metric_set(&m_bytes, (double)done.bytes);
    LOG(DEBUG, "head image written", kv_u64("series", done.series), kv_u64("bytes", done.bytes),
        kv_u64("segment", done.place.segment), kv_i64("cpu_ms", done.cpu_ns / 1000000),
        kv_i64("took_ms", (clock_mono_ns() - began) / 1000000));
    *out = done;
    return OK;
}

uint64_t image_file_behind(
    struct fs *fs, const struct wal_stat *now, const struct image_place *at)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    uint64_t bytes = 0;
    for (uint32_t n = at->segment; n < now->segment; n++) {
        struct fs_stat st = { 0 };
        errc rc = fs_stat(fs, wal_segment_path(&a, S("wal"), n), &st, NULL);
        if (rc != OK && n == at->segment) return UINT64_MAX;
        bytes += st.size_bytes;
    }
    bytes += now->offset;
    return bytes - MIN(bytes, at->offset);
}

/* ---- reading ---- */

struct place { uint64_t at; struct image_frame frame; };
struct image_file {
    struct fs *fs;
    struct reader *file;
    struct image_place place;
    VEC(struct place) frames;
};

void image_file_close(struct image_file *f)
{
    if (!f) return;
    reader_close(f->file);
    vec_fini(&f->frames);
    mem_free(f);
}
static void image_file_freep(struct image_file **f) { image_file_close(*f); }

struct image_place image_file_place(const struct image_file *f) { return f->place; }
uint64_t image_file_bytes(const struct image_file *f) { return reader_size(f->file); }

/* So many bytes from `at` on, copied. */
static errc read_at(struct image_file *f, uint64_t at, size_t n, uint8_t *to, struct err *e)
{
    struct pin p;
    TRY(reader_pin(f->file, at, n, &p, e));
    memcpy(to, p.bytes.p, n);
    return reader_unpin(&p, e);
}

/* The last frame is looked at as the others are loaded: here it is only told by its kind. */
static errc frames_find(struct image_file *f, struct err *e)
{
    uint64_t size = reader_size(f->file), at = IMAGE_HEADER_BYTES;
    bool ended = false;
    while (!ended) {
        uint8_t room[IMAGE_FRAME_BYTES + 1];
        struct place p = { .at = at + IMAGE_FRAME_BYTES };
        if (size - at < sizeof(room))
            return err_set(e, ERR_CORRUPT, "head image: cut short at %" PRIu64, at);
        TRY(read_at(f, at, sizeof(room), room, e));
        TRY(image_frame_decode(&p.frame, str_of(room, IMAGE_FRAME_BYTES), e));
        if (size - p.at < p.frame.n)
            return err_set(e, ERR_CORRUPT, "head image: cut short at %" PRIu64, at);
        at = p.at + p.frame.n;
        ended = room[IMAGE_FRAME_BYTES] == IMAGE_END;
        vec_push(&f->frames, p);
    }
    return at == size ? OK : err_set(e, ERR_CORRUPT, "head image: something behind its end");
}

/* Is it of this log? */
static errc log_is_ours(const struct image_file *f, struct err *e)
{
    uint32_t crc;
    TRY(log_crc(f->fs, f->place.segment, f->place.offset, &crc, e));
    if (crc == f->place.log_crc) return OK;
    return err_set(e, ERR_CORRUPT, "head image: of another log");
}

errc image_file_open(
    struct image_file **out, struct fs *fs, enum io_backend backend, struct err *e)
{
    *out = NULL;
    if (!image_file_exists(fs)) return OK;
    SCOPED(image_file_freep) struct image_file *f = NEW(struct image_file);
    uint8_t header[IMAGE_HEADER_BYTES];
    f->fs = fs;
    TRY(reader_open(&f->file, fs, IMAGE, (struct read_as){ backend, IO_LOG, IO_SEQUENTIAL }, e));
    if (reader_size(f->file) < sizeof(header))
        return err_set(e, ERR_CORRUPT, "head image: no header");
    TRY(read_at(f, 0, sizeof(header), header, e));
    TRY(image_header_decode(&f->place, str_of(header, sizeof(header)), e));
    TRY(frames_find(f, e));
    TRY(log_is_ours(f, e));
    *out = STEAL(f);
    return OK;
}

struct loading {
    struct image_file *f;
    struct image_load *to;
    struct mtx mu;                             /* LOCK_LEAF */
    errc rc;                                   /* GUARDED_BY(mu): of who failed first */
    struct err why;
};

static errc load_frame(struct loading *l, size_t i, struct err *e)
{
    const struct place *p = &l->f->frames.at[i];
    struct pin pin;
    bool is_end;
    TRY(reader_pin(l->f->file, p->at, p->frame.n, &pin, e));
    errc rc = image_frame_check(&p->frame, pin.bytes, e);
    if (rc == OK) rc = image_kind_decode(pin.bytes, l->f->frames.n - 1, &is_end, e);
    if (rc == OK && !is_end) rc = image_load_frame(l->to, pin.bytes, e);
    errc gone = reader_unpin(&pin, rc == OK ? e : NULL);
    return rc == OK ? gone : rc;
}

static void load_piece(void *ctx, size_t i)
{
    struct loading *l = ctx;
    struct err why = { 0 };
    errc rc = load_frame(l, i, &why);
    if (rc == OK) return;
    mtx_lock(&l->mu);
    if (l->rc == OK) {
        l->rc = rc;
        l->why = why;
    }
    mtx_unlock(&l->mu);
}

errc image_file_load(struct image_file *f, struct head_replay *to, struct pool *pool,
    uint64_t *unknown, struct err *e)
{
    struct loading l = { .f = f, .to = image_load_new(to, f->place.last_ref) };
    int64_t began = clock_mono_ns();
    mtx_init(&l.mu, LOCK_LEAF);
    pool_each(pool, f->frames.n, load_piece, &l);
    struct image_loaded n = image_load_free(l.to);
    mtx_fini(&l.mu);
    if (l.rc != OK) {
        if (e) *e = l.why;
        return l.rc;
    }
    head_replay_loaded(to, n.samples);
    *unknown = n.unknown;
    LOG(INFO, "head image loaded", kv_u64("segment", f->place.segment),
        kv_u64("offset", f->place.offset), kv_u64("series", n.series),
        kv_u64("samples", n.samples), kv_u64("unknown", n.unknown),
        kv_i64("took_ms", (clock_mono_ns() - began) / 1000000));
    return OK;
}

bool image_file_exists(struct fs *fs) { return fs_exists(fs, IMAGE); }

errc image_file_remove(struct fs *fs, struct err *e)
{
    return image_file_exists(fs) ? fs_unlink(fs, IMAGE, e) : OK;
}

errc image_file_tidy(struct fs *fs, struct err *e)
{
    return fs_exists(fs, UNFINISHED) ? fs_unlink(fs, UNFINISHED, e) : OK;
}
