/* reads.c — the three backends of io/reader against each other, in turns in one run. Prints lines
 * of words with tabs between them.
 *
 *     bench_reads DIR cold MIB
 *         Random reads of 4 KiB, 32 wanted at a time, each block of a file once, the kernel's cache
 *         emptied before. A line a round: "cold", backend, reads a second, microseconds of CPU.
 *     bench_reads DIR populate MIB
 *         A file mapped and mapped filled, in and not in the kernel's cache: its opening, then a
 *         look at each page once, in no order. A line a round: "cold" or "cached", "mmap" or
 *         "populate", milliseconds of the opening, milliseconds and CPU microseconds a page of the
 *         looks.
 *     bench_reads DIR cached
 *         Of files that fit, in turns: pins (512 bytes anywhere, each cache line of them looked at)
 *         and chunks (one anywhere pinned, decoded, given back, as queries do). A line a round:
 *         what, backend, reads, nanoseconds of CPU a read.
 *     bench_reads DIR count pins|chunks BACKEND
 *         The same once, to be counted: what pins_read or chunks_read do.
 */
#include "base/clock.h"
#include "base/prng.h"
#include "block/segment_writer.h"
#include "block/segments.h"
#include "chunk/chunk.h"
#include "chunk/xor.h"
#include "io/choice.h"
#include "io/fs_impl.h"
#include "io/page_cache.h"
#include "io/reader.h"
#include "iobench/lab.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_NAME LAB_FILE
#define CHUNKS_DIR "reads-chunks.tmp"
#define NOINLINE __attribute__((noinline))
enum {
    READ = 4096,
    PIN = 512,
    BATCH = 32,
    PAIRS = 9,
    COLD_PAIRS = 5,
    HOT = 32 << 20,
    CACHE = 256 << 20,
    HOT_PINS = 400000,
    CHUNKS = 100000,
    SAMPLES = 120,
    HOT_CHUNKS = 150000,
    COUNTED = 5000
};

static void must(errc rc, const struct err *e)
{
    if (rc == OK) return;
    fprintf(stderr, "reads: %s\n", e->msg);
    exit(1);
}

static struct reader *open_by(struct fs *fs, enum io_backend b)
{
    struct err e = { 0 };
    struct reader *r = NULL;
    must(reader_open(&r, fs, S(FILE_NAME), (struct read_as){ b, IO_CHUNKS, IO_RANDOM }, &e), &e);
    return r;
}

static uint64_t sum;
static void look(struct reader *r, uint64_t off, size_t n)
{
    struct err e = { 0 };
    struct pin p = { 0 };
    must(reader_pin(r, off, n, &p, &e), &e);
    for (size_t i = 0; i < n; i += 64) sum += p.bytes.p[i];
    must(reader_unpin(&p, &e), &e);
}

static void file_make(struct lab *l)
{
    enum { PIECE = 1 << 20 };
    struct err e = { 0 };
    struct prng rng = { 1 };
    struct file *f = NULL;
    uint64_t *room = mem_alloc(PIECE);
    must(fs_open(&f, l->fs, S(FILE_NAME), FS_WRITE | FS_CREATE | FS_TRUNC, &e), &e);
    for (uint64_t at = 0; at < l->file_bytes; at += PIECE) {
        for (size_t i = 0; i < PIECE / sizeof(*room); i++) room[i] = prng_u64(&rng);
        must(file_pwrite(f, &(str){ (uint8_t *)room, PIECE }, 1, at, NULL, &e), &e);
    }
    must(file_sync(f, &e), &e);
    file_close(f);
    mem_free(room);
}

/* ---- cold ---- */

static void cold(struct lab *l, enum io_backend b)
{
    enum { STRIDE = 16 << 10 };
    uint64_t blocks = l->file_bytes / STRIDE, step = blocks / 2 - 1, n = 0;
    struct reader *r = open_by(l->fs, b);
    lab_evict(l, S(FILE_NAME));
    int64_t began = clock_mono_ns(), cpu = lab_cpu_ns();
    for (; n + BATCH <= blocks / 4; n += BATCH) {
        for (uint64_t i = n; i < n + BATCH; i++)
            reader_want(r, (i * step + i / 2) % blocks * STRIDE, READ);
        for (uint64_t i = n; i < n + BATCH; i++)
            look(r, (i * step + i / 2) % blocks * STRIDE, READ);
    }
    double took = (double)(clock_mono_ns() - began) / 1e9;
    printf("cold\t%s\t%.0f\t%.2f\n", io_backend_word(reader_backend(r)), (double)n / took,
        (double)(lab_cpu_ns() - cpu) / 1000 / (double)n);
    reader_close(r);
}

static int bench_cold(struct lab *l, const char *mib)
{
    struct err e = { 0 };
    l->file_bytes = strtoull(mib, NULL, 10) << 20;
    file_make(l);
    for (size_t i = 0; i < COLD_PAIRS; i++) {
        cold(l, IO_MMAP);
        cold(l, IO_DIRECT);
    }
    must(fs_unlink(l->fs, S(FILE_NAME), &e), &e);
    return 0;
}

/* ---- filled when it is mapped ---- */

static void populate_round(struct lab *l, bool evicted, bool filled)
{
    uint64_t pages = l->file_bytes / READ, step = pages / 2 - 1;
    io_plan_set(&(struct io_plan){ .of[IO_CHUNKS] = IO_MMAP, .populate[IO_CHUNKS] = filled });
    if (evicted) lab_evict(l, S(FILE_NAME));
    int64_t began = clock_mono_ns();
    struct reader *r = open_by(l->fs, IO_AUTO);
    int64_t opened = clock_mono_ns(), cpu = lab_cpu_ns();
    for (uint64_t i = 0; i < pages; i++) look(r, (i * step + i / 2) % pages * READ, PIN);
    printf("%s\t%s\t%.1f\t%.1f\t%.2f\n", evicted ? "cold" : "cached", filled ? "populate" : "mmap",
        (double)(opened - began) / 1e6, (double)(clock_mono_ns() - opened) / 1e6,
        (double)(lab_cpu_ns() - cpu) / 1000 / (double)pages);
    reader_close(r);
}

static int bench_populate(struct lab *l, const char *mib)
{
    struct err e = { 0 };
    l->file_bytes = strtoull(mib, NULL, 10) << 20;
    file_make(l);
    for (size_t i = 0; i < 2 * COLD_PAIRS; i++)
        for (int filled = 0; filled < 2; filled++) populate_round(l, i < COLD_PAIRS, filled);
    must(fs_unlink(l->fs, S(FILE_NAME), &e), &e);
    return 0;
}

/* ---- cached: the file of the pins, and a segment with chunks ---- */

struct cached {
    struct lab *l;
    struct reader *file;
    struct segments *chunks;
    size_t n_chunks;
    uint64_t *refs;
};

/* Gauges that move by eighths, and counters. */
static void chunks_make(struct cached *c)
{
    static uint8_t room[XOR_ROOM(SAMPLES)];
    struct err e = { 0 };
    struct prng rng = { 3 };
    struct segment_writer *w = NULL;
    must(segment_writer_open(&w, c->l->fs, S(CHUNKS_DIR), 0, &e), &e);
    for (size_t k = 0; k < c->n_chunks; k++) {
        struct xor_app x;
        double v = (double)prng_below(&rng, 100000);
        xor_app_init(&x, room, sizeof(room));
        for (int i = 0; i < SAMPLES; i++) {
            v += k % 2 ? (double)prng_below(&rng, 100) : ((double)prng_below(&rng, 65) - 32) / 8;
            if (!xor_append(&x, i * (int64_t)15000, v)) abort();
        }
        int64_t maxt = (SAMPLES - 1) * (int64_t)15000;
        struct chunk_view view = { 0, maxt, CHUNK_XOR, xor_app_bytes(&x) };
        must(segment_writer_add(w, &view, 1, &c->refs[k], &e), &e);
    }
    must(segment_writer_finish(w, &e), &e);
    segment_writer_close(w);
}

static void chunk_look(struct cached *c, uint64_t ref)
{
    struct err e = { 0 };
    struct segment_pin p = { 0 };
    static int64_t t[SAMPLES];
    static double v[SAMPLES];
    size_t n = 0;
    must(segments_pin(c->chunks, ref, &p, &e), &e);
    must(xor_decode(p.data, t, v, SAMPLES, &n, &e), &e);
    must(segments_unpin(&p, &e), &e);
    sum += n;
}

static NOINLINE void pins_read(struct cached *c, size_t n)
{
    struct prng rng = { 7 };
    for (size_t i = 0; i < n; i++) look(c->file, prng_below(&rng, HOT - PIN), PIN);
}
static NOINLINE void chunks_read(struct cached *c, size_t n)
{
    struct prng rng = { 7 };
    for (size_t i = 0; i < n; i++) chunk_look(c, c->refs[prng_below(&rng, c->n_chunks)]);
}

static void cached_make(struct cached *c, struct lab *l, size_t chunks)
{
    *c = (struct cached){ .l = l, .n_chunks = chunks };
    cache_set_limit(CACHE); /* hits are asked about: all readers have room at once */
    c->refs = mem_alloc(chunks * sizeof(*c->refs));
    l->file_bytes = HOT;
    file_make(l);
    chunks_make(c);
}

/* Everything of both was looked at once. */
static void cached_open(struct cached *c, enum io_backend b)
{
    struct err e = { 0 };
    c->file = open_by(c->l->fs, b);
    must(segments_open(&c->chunks, c->l->fs, S(CHUNKS_DIR), b, IO_RANDOM, &e), &e);
    for (uint64_t at = 0; at < HOT; at += READ) look(c->file, at, READ);
    for (size_t i = 0; i < c->n_chunks; i++) chunk_look(c, c->refs[i]);
}

static void cached_close(struct cached *c)
{
    reader_close(c->file);
    segments_close(c->chunks);
}

static void cached_end(struct cached *c)
{
    struct err e = { 0 };
    must(fs_unlink(c->l->fs, S(FILE_NAME), &e), &e);
    must(fs_unlink(c->l->fs, S(CHUNKS_DIR "/000001"), &e), &e);
    must(fs_rmdir(c->l->fs, S(CHUNKS_DIR), &e), &e);
    mem_free(c->refs);
}

static const struct {
    const char *word;
    void (*read)(struct cached *c, size_t n);
    size_t n;
} kinds[] = { { "pins", pins_read, HOT_PINS }, { "chunks", chunks_read, HOT_CHUNKS } };

static int bench_cached(struct lab *l)
{
    static const enum io_backend by[] = { IO_MMAP, IO_BUFFERED, IO_DIRECT };
    struct cached made, c[ARRAY_LEN(by)];
    cached_make(&made, l, CHUNKS);
    for (size_t b = 0; b < ARRAY_LEN(by); b++) {
        c[b] = made;
        cached_open(&c[b], by[b]);
    }
    for (size_t i = 0; i < PAIRS; i++)
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
            for (size_t b = 0; b < ARRAY_LEN(by); b++) {
                int64_t cpu = lab_cpu_ns();
                kinds[k].read(&c[b], kinds[k].n);
                printf("%s\t%s\t%zu\t%.2f\n", kinds[k].word, io_backend_word(by[b]), kinds[k].n,
                    (double)(lab_cpu_ns() - cpu) / (double)kinds[k].n);
            }
    for (size_t b = 0; b < ARRAY_LEN(by); b++) cached_close(&c[b]);
    cached_end(&made);
    return 0;
}

static int bench_count(struct lab *l, const char *kind, const char *backend)
{
    struct cached c;
    enum io_backend b;
    if (!io_backend_parse(str_z(backend), &b)) return 2;
    cached_make(&c, l, COUNTED);
    cached_open(&c, b);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        if (str_eq(str_z(kind), str_z(kinds[k].word))) kinds[k].read(&c, COUNTED);
    printf("count\t%s\t%s\t%d\n", kind, backend, COUNTED);
    cached_close(&c);
    cached_end(&c);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    struct lab_opts o = { .dir = str_z(argv[1]) };
    struct lab l = { .o = &o, .fs = fs_real_new(o.dir) };
    str what = str_z(argv[2]);
    int rc = 2;
    if (argc == 4 && str_eq(what, S("cold"))) rc = bench_cold(&l, argv[3]);
    if (argc == 4 && str_eq(what, S("populate"))) rc = bench_populate(&l, argv[3]);
    if (argc == 3 && str_eq(what, S("cached"))) rc = bench_cached(&l);
    if (argc == 5 && str_eq(what, S("count"))) rc = bench_count(&l, argv[3], argv[4]);
    lab_fini(&l);
    return sum == 1 ? 3 : rc; /* what was read is used */
}
