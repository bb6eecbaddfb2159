/* lab.h — the laboratory: what mapping, reading and reading past the cache cost on this machine.
 *
 * What        lab_run measures in a folder: system calls, context switches, page faults, maps under
 *             many threads, TLB shootdowns, kinds of memory, reads by each backend (in sequence,
 *             random, 32 at a time, sparse; by one thread and by many; cached, cold, with less
 *             memory than data; and then by the system's calls alone), and where the folder holds
 *             blocks, queries over them. lab_advise draws a conclusion from the figures.
 * Invariants  a row is one figure with its unit; the rows of one chart follow each other
 * Ownership   lab_fini frees the rows; the opts are borrowed until then
 * Threads     one; it starts and joins its own
 * Errors      ERR_IO and the like of the folder; what a kernel does not allow becomes a note
 * Format      report.h
 */
#ifndef EPI_IOBENCH_LAB_H
#define EPI_IOBENCH_LAB_H

#include "base/progress.h"
#include "base/vec.h"
#include "io/reader.h"

enum lab_part { LAB_COSTS, LAB_MAPS, LAB_READS, LAB_QUERIES, LAB_PARTS };
enum { LAB_WHAT_MAX = 72, LAB_HOW_MAX = 32, LAB_NOTE_MAX = 240, LAB_THREADS_MAX = 16 };

struct lab_row {
    enum lab_part part;
    char what[LAB_WHAT_MAX]; /* of a chart: "random 4 KiB reads, cold, 1 thread" */
    char how[LAB_HOW_MAX];   /* of a bar: "mmap", "2 threads" */
    const char *unit;        /* "ns", "us", "MiB/s", "reads/s", "ms" */
    double value;
    double cpu_us;         /* per read; 0: not measured */
    double p50_us, p99_us; /* of a read; 0: not measured */
};
struct lab_note {
    char text[LAB_NOTE_MAX];
};

/* What the process itself takes has room below it: where there is none, the kernel ends it. */
#define LAB_MEMORY_MIN ((uint64_t)32 << 20)
struct lab_opts {
    str dir;
    bool quick;
    bool fill_memory;      /* the machine's, to see kswapd at work */
    uint64_t file_bytes;   /* of the file that is made; 0: by quick and the limit */
    uint64_t memory_limit; /* 0: a quarter of the file; LAB_MEMORY_MIN at the least */
    int64_t slice_ns;      /* of one figure; 0: by quick */
    const struct progress *progress;
};
struct lab {
    const struct lab_opts *o;
    struct fs *fs; /* rooted at dir */
    VEC(struct lab_row) rows;
    VEC(struct lab_note) notes;
    uint64_t file_bytes, memory_limit, memory_bytes, blocks_bytes;
    uint64_t left_group; /* pages, while there was less memory than data */
    unsigned cores, threads; /* threads: the most that a measurement has */
    int64_t slice_ns;        /* how long one figure is measured; lab_step shortens it */
    int64_t until_ns;        /* by clock_mono_ns: it should be over; 0: it takes what it takes */
    bool quick;              /* as the opts have it */
    bool remote;             /* a network or FUSE file system */
    bool in_memory;          /* tmpfs, ramfs: nothing there is cold, or can be evicted */
    char kernel[64], file_system[32], limited_by[32];
    size_t steps, steps_done;
};
#define LAB_FILE "epitool-iobench.tmp"
#define LAB_HOLE "epitool-iobench-hole.tmp"

MUST_USE errc lab_run(struct lab *l, const struct lab_opts *o, struct err *e);
void lab_fini(struct lab *l);

/* ---- the parts ---- */

void lab_add(struct lab *l, enum lab_part part, const char *what, const char *how, const char *unit,
    double value);
struct lab_row *lab_last(struct lab *l); /* just added */
void lab_note(struct lab *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Where time runs out, the figures that are left get shares of half of what there is: the other
 * half is for opening and emptying caches. */
void lab_step(struct lab *l, const char *what);
bool lab_is_late(const struct lab *l);   /* what takes long and may be left out is to be */
/* NULL: there is none */
const struct lab_row *lab_find(const struct lab *l, const char *what, const char *how);

size_t lab_costs_steps(const struct lab *l);
MUST_USE errc lab_costs(struct lab *l, struct err *e);
size_t lab_evictions_steps(const struct lab *l);
MUST_USE errc lab_evictions(struct lab *l, struct err *e);
size_t lab_maps_steps(const struct lab *l);
MUST_USE errc lab_maps(struct lab *l, struct err *e);
size_t lab_calls_steps(const struct lab *l);
MUST_USE errc lab_calls(struct lab *l, struct err *e);
size_t lab_reads_steps(const struct lab *l);
MUST_USE errc lab_reads(struct lab *l, struct err *e);
size_t lab_queries_steps(const struct lab *l);
MUST_USE errc lab_queries(struct lab *l, struct err *e);

/* the file's pages leave the kernel's cache, as far as it lets them */
void lab_evict(struct lab *l, str path);
int64_t lab_cpu_ns(void); /* of the process */

/* ---- the conclusion ---- */

struct lab_advice {
    enum io_kind kind;
    enum io_backend backend;
    char why[LAB_NOTE_MAX];
};
enum { LAB_ADVICE_MAX = IO_KINDS };
size_t lab_advise(const struct lab *l, struct lab_advice out[LAB_ADVICE_MAX]);
/* direct against mmap in random reads, 32 in flight, cold; 0: not measured */
double lab_direct_ratio(const struct lab *l);
/* CPU of a cached buffered read against a mapped one; 0: not measured */
double lab_cached_ratio(const struct lab *l);

#endif
