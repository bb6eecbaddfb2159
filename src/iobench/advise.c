/* advise.c — from figures to flags. Each rule names the figures that it stands on. */
#include "iobench/lab.h"

#include <stdio.h>

enum { SLOW_FAULT_US = 10000 };

#define COLD_32 "random 4 KiB, 32 in flight, cold, 1 thread"
#define CACHED_1 "random 4 KiB, cached, 1 thread"

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

double lab_direct_ratio(const struct lab *l)
{
    const struct lab_row *direct = lab_find(l, COLD_32, "direct"),
                         *map = lab_find(l, COLD_32, "mmap");
    return direct && map ? ratio(direct->value, map->value) : 0;
}

double lab_cached_ratio(const struct lab *l)
{
    const struct lab_row *read = lab_find(l, CACHED_1, "buffered"),
                         *map = lab_find(l, CACHED_1, "mmap");
    return read && map ? ratio(read->cpu_us, map->cpu_us) : 0;
}

/* The median: a machine that is busy with other things makes single faults look slow. */
static double fault_us(const struct lab *l)
{
    const struct lab_row *r = lab_find(l, "page fault, major", "mapped file, cold");
    return r ? r->p50_us : 0;
}

static void put(struct lab_advice *out, enum io_kind kind, enum io_backend backend)
{
    out->kind = kind;
    out->backend = backend;
}

/* Of files that stay in memory: the index, and the head's chunks. */
static void advise_hot(const struct lab *l, struct lab_advice *out, enum io_kind kind)
{
    double cached = lab_cached_ratio(l), fault = fault_us(l);
    put(out, kind, IO_MMAP);
    if (l->remote) {
        put(out, kind, IO_BUFFERED);
        snprintf(out->why, sizeof(out->why),
            "%s is not a local file system: a page fault there cannot be timed out or given up",
            l->file_system);
    } else if (fault > SLOW_FAULT_US) {
        put(out, kind, IO_BUFFERED);
        snprintf(out->why, sizeof(out->why),
            "a page fault that misses takes %.0f ms here, and nobody else can change the address "
            "space's maps meanwhile",
            fault / 1000);
    } else if (l->in_memory) {
        snprintf(out->why, sizeof(out->why),
            "%s is memory, and a buffered read costs %.2f times the CPU of a mapped one",
            l->file_system, cached);
    } else {
        snprintf(out->why, sizeof(out->why),
            "when it is cached a buffered read costs %.2f times the CPU of a mapped one; a fault "
            "that misses takes %.0f us on this local disk",
            cached, fault);
    }
}

static void advise_chunks(const struct lab *l, struct lab_advice *out)
{
    double direct = lab_direct_ratio(l);
    uint64_t data = MAX(l->blocks_bytes, l->file_bytes);
    bool large = l->blocks_bytes && data > l->memory_bytes / 2;
    if (!l->remote && large && direct >= 1.5) {
        put(out, IO_CHUNKS, IO_DIRECT);
        snprintf(out->why, sizeof(out->why),
            "the blocks are more than half the memory, and with 32 reads in flight direct reads "
            "%.1f times what faults do",
            direct);
        return;
    }
    advise_hot(l, out, IO_CHUNKS);
    if (out->backend != IO_MMAP || direct <= 0) return;
    snprintf(out->why, sizeof(out->why),
        "the blocks fit in memory, where mapping is cheapest; once they do not, direct reads %.1f "
        "times what faults do (32 in flight)",
        direct);
}

size_t lab_advise(const struct lab *l, struct lab_advice out[LAB_ADVICE_MAX])
{
    advise_hot(l, &out[0], IO_INDEX);
    advise_chunks(l, &out[1]);
    advise_hot(l, &out[2], IO_HEAD);
    put(&out[3], IO_HEADER, IO_BUFFERED);
    snprintf(out[3].why, sizeof(out[3].why),
        "index-headers of buckets are loaded by hundreds, often from far away, while others must "
        "be answered; a read can wait on a thread of its own, a fault waits wherever it happens");
    return 4;
}
