/* reads.c — the three backends of io/reader against each other, in turns in one run.
 *
 *     bench_reads [DIR [MIB]]
 *
 * Cold: random reads of 4 KiB, 32 wanted at a time, each block of the file once, the kernel's cache
 * emptied before: direct against mmap. Cached: random reads of 512 bytes, as chunks are, in a part
 * that fits: CPU seconds of buffered against mmap, median of nine alternating pairs.
 */
#include "base/clock.h"
#include "base/prng.h"
#include "io/fs_impl.h"
#include "io/reader.h"
#include "iobench/lab.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_NAME LAB_FILE
enum {
    READ = 4096,
    CHUNK = 512,
    BATCH = 32,
    PAIRS = 9,
    COLD_PAIRS = 5,
    HOT = 32 << 20,
    HOT_READS = 400000
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
    for (size_t i = 0; i < n; i += 64)
        sum += p.bytes.p[i];
    must(reader_unpin(&p, &e), &e);
}

/* Reads a second; *cpu_us: of one. */
static double cold(struct lab *l, enum io_backend b, double *cpu_us)
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
    *cpu_us = (double)(lab_cpu_ns() - cpu) / 1000 / (double)n;
    reader_close(r);
    return (double)n / took;
}

/* Nanoseconds of CPU a read. */
static double cached(struct reader *r)
{
    struct prng rng = { 7 };
    int64_t cpu = lab_cpu_ns();
    for (int i = 0; i < HOT_READS; i++)
        look(r, prng_below(&rng, HOT - CHUNK), CHUNK);
    return (double)(lab_cpu_ns() - cpu) / HOT_READS;
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), order);
    return v[n / 2];
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
        for (size_t i = 0; i < PIECE / sizeof(*room); i++)
            room[i] = prng_u64(&rng);
        must(file_pwrite(f, &(str){ (uint8_t *)room, PIECE }, 1, at, NULL, &e), &e);
    }
    must(file_sync(f, &e), &e);
    file_close(f);
    mem_free(room);
}

static void bench_cold(struct lab *l)
{
    double speed[2][COLD_PAIRS], cpu[2][COLD_PAIRS], ratio[COLD_PAIRS];
    for (size_t i = 0; i < COLD_PAIRS; i++) {
        speed[0][i] = cold(l, IO_MMAP, &cpu[0][i]);
        speed[1][i] = cold(l, IO_DIRECT, &cpu[1][i]);
        ratio[i] = speed[1][i] / speed[0][i];
    }
    printf("cold, random 4 KiB, 32 in flight (medians of %d pairs)\n", COLD_PAIRS);
    printf("  mmap    %8.0f reads/s, %5.1f us of CPU a read\n", median(speed[0], COLD_PAIRS),
        median(cpu[0], COLD_PAIRS));
    printf("  direct  %8.0f reads/s, %5.1f us of CPU a read\n", median(speed[1], COLD_PAIRS),
        median(cpu[1], COLD_PAIRS));
    printf("  direct / mmap = %.2f\n", median(ratio, COLD_PAIRS));
}

static void bench_cached(struct lab *l)
{
    static const enum io_backend by[] = { IO_MMAP, IO_BUFFERED, IO_DIRECT };
    struct reader *r[ARRAY_LEN(by)];
    double ns[ARRAY_LEN(by)][PAIRS], ratio[ARRAY_LEN(by)][PAIRS];
    for (size_t b = 0; b < ARRAY_LEN(by); b++) {
        r[b] = open_by(l->fs, by[b]);
        for (uint64_t at = 0; at < HOT; at += READ)
            look(r[b], at, READ);
    }
    for (size_t i = 0; i < PAIRS; i++)
        for (size_t b = 0; b < ARRAY_LEN(by); b++) {
            ns[b][i] = cached(r[b]);
            ratio[b][i] = ns[b][i] / ns[0][i];
        }
    printf("cached, random 512 bytes (medians of %d rounds)\n", PAIRS);
    for (size_t b = 0; b < ARRAY_LEN(by); b++) {
        printf("  %-8s %6.0f ns of CPU a read, %.2f of mmap's\n", io_backend_word(by[b]),
            median(ns[b], PAIRS), median(ratio[b], PAIRS));
        reader_close(r[b]);
    }
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    struct lab_opts o = { .dir = argc > 1 ? str_z(argv[1]) : S(".") };
    struct lab l = { .o = &o, .fs = fs_real_new(o.dir) };
    l.file_bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 512) << 20;
    file_make(&l);
    bench_cold(&l);
    bench_cached(&l);
    must(fs_unlink(l.fs, S(FILE_NAME), &e), &e);
    lab_fini(&l);
    return sum == 1; /* what was read is used */
}
