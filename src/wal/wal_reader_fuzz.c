/* wal_reader_fuzz.c — two questions to the reader of a log. Any bytes as a segment: both ways of
 * reading come to an end, and salvage begins with what strict reading gives. And a log of records
 * that the input describes, damaged where it says: whatever comes back was written, in order, and
 * everything before the damage comes back. */
#include "base/cursor.h"
#include "base/mem.h"
#include "io/fs_sim.h"
#include "wal/page.h"
#include "wal/wal_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { RECORDS_MAX = 16, RECORD_BYTES_MAX = 40000, DAMAGES_MAX = 8 };

static void put_segment(struct fs *fs, str bytes)
{
    struct file *f = NULL;
    uint64_t done = 0;
    errc rc = fs_mkdir(fs, S("wal"), NULL);
    assert(rc == OK);
    rc = fs_open(&f, fs, S("wal/00000000"), FS_WRITE | FS_CREATE | FS_TRUNC, NULL);
    assert(rc == OK);
    rc = file_pwrite(f, &bytes, 1, 0, &done, NULL);
    assert(rc == OK && done == bytes.n);
    file_close(f);
}

static struct wal_reader *open_log(struct fs *fs, enum wal_mode mode)
{
    struct wal_reader *r = NULL;
    struct wal_reader_opts o = { .fs = fs, .dir = S("wal"), .backend = IO_BUFFERED, .mode = mode };
    errc rc = wal_reader_open(&r, &o, NULL);
    assert(rc == OK);
    return r;
}

/* Reads both ways side by side until the strict one stops, then salvage alone. Each record of
 * salvage is shown to `see`. */
static void read_both(struct fs *fs, void (*see)(void *ctx, str rec), void *ctx)
{
    struct wal_reader *strict = open_log(fs, WAL_STRICT), *salvage = open_log(fs, WAL_SALVAGE);
    struct wal_rec a, b;
    bool got = true, more = true;
    while (more) {
        errc rc = wal_reader_next(salvage, &b, &more, NULL);
        assert(rc == OK);
        if (got && wal_reader_next(strict, &a, &got, NULL) != OK) got = false;
        assert(!got || (more && str_eq(a.bytes, b.bytes) && a.end == b.end));
        if (more) see(ctx, b.bytes);
    }
    wal_reader_close(strict);
    wal_reader_close(salvage);
}

static void see_any(void *ctx, str rec) { *(size_t *)ctx += rec.n; }

struct written { str recs[RECORDS_MAX]; size_t n, next, whole; };

/* The next of those that were written, some left out; none of the first `whole`. */
static void see_written(void *ctx, str rec)
{
    struct written *w = ctx;
    while (w->next < w->n && !str_eq(w->recs[w->next], rec)) {
        assert(w->next >= w->whole);
        w->next++;
    }
    assert(w->next < w->n);
    w->next++;
}

/* A record for every three bytes: its length, and what it is filled with. Its first byte tells it
 * from the others. */
static void write_records(struct written *w, struct buf *log, size_t *ends, cursor *c)
{
    uint64_t off = 0;
    for (; w->n < RECORDS_MAX && cur_left(c) >= 3; w->n++) {
        size_t n = 1 + cur_be16(c) % RECORD_BYTES_MAX;
        uint8_t *at = mem_alloc(n);
        memset(at, cur_u8(c), n);
        at[0] = (uint8_t)(w->n + 1);
        w->recs[w->n] = str_of(at, n);
        page_put(log, &off, 0, w->recs[w->n], NULL);
        ends[w->n] = log->n;
    }
}

/* Is a fragment's header byte at `off`? No CRC covers it: changed, it may make another record of
 * good parts. */
static bool is_header(str log, size_t off)
{
    static uint8_t room[FRAG_HEADER_BYTES + FRAG_MAX_BYTES];
    struct frag f;
    size_t next = 0;
    for (size_t at = 0; at < log.n && at <= off; at = next) {
        if (at == off) return true;
        if (frag_next(log, at, room, &f, &next, NULL) != FRAG_STEP_OK) break;
    }
    return false;
}

static void fuzz_damaged(struct fs *fs, str input)
{
    cursor c = cur_of(input);
    struct { size_t off; uint8_t bits; } damages[DAMAGES_MAX];
    size_t n = cur_u8(&c) % DAMAGES_MAX, ends[RECORDS_MAX];
    for (size_t i = 0; i < n; i++) {
        damages[i].off = cur_be32(&c);
        damages[i].bits = cur_u8(&c);
    }
    struct written w = { .n = 0 };
    struct buf log = { 0 };
    write_records(&w, &log, ends, &c);
    size_t first = SIZE_MAX, hit[DAMAGES_MAX];
    for (size_t i = 0; i < n; i++)
        hit[i] = log.n && !is_header(buf_view(&log), damages[i].off % log.n)
                     ? damages[i].off % log.n
                     : SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (hit[i] == SIZE_MAX || damages[i].bits == 0) continue;
        log.p[hit[i]] ^= damages[i].bits;
        first = MIN(first, hit[i]);
    }
    while (w.whole < w.n && ends[w.whole] <= first) w.whole++;
    put_segment(fs, buf_view(&log));
    read_both(fs, see_written, &w);
    assert(w.next >= w.whole);
    for (size_t i = 0; i < w.n; i++) mem_free((void *)(uintptr_t)w.recs[i].p);
    buf_fini(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct fs *fs = fs_sim_new(1);
    size_t bytes = 0;
    put_segment(fs, str_of(p, n));
    read_both(fs, see_any, &bytes);
    fuzz_damaged(fs, str_of(p, n));
    fs_free(fs);
    return 0;
}
