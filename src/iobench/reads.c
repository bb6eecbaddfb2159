/* reads.c — the three backends side by side, through the interface that storage reads by.
 *
 * Each figure is that of the whole way: asking for a range, having it, looking at each cache line
 * of it. Random reads never ask for the same 16 KiB twice while there are others, so that "cold"
 * stays cold; cached ones go round in a part of the file that fits every cache and was read before.
 * With less memory than data a control group limits the process where one can be made; else the
 * kernel's cache of the file is emptied each time so many bytes were read, and ours has a quarter
 * of them.
 */
#include "base/clock.h"
#include "io/page_cache.h"
#include "io/thread.h"
#include "io/work.h"
#include "iobench/lab.h"
#include "iobench/limit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    READ_BYTES = 4 << 10,
    RUN_BYTES = 128 << 10,
    BLOCK = 16 << 10,
    SPARSE_STRIDE = 64 << 10,
    SPARSE_ROUNDS = SPARSE_STRIDE / READ_BYTES,
    BATCH = 32,
    CACHED_BYTES = 48 << 20,
    SAMPLES = 1 << 16,
    CACHED_FAULTS_MAX = 100
};
enum pattern { IN_SEQUENCE, RANDOM, RANDOM_32, SPARSE, PATTERNS };
enum memory { CACHED, COLD, LIMITED, MEMORIES };
static const char *const pattern_words[] = { "in sequence", "random 4 KiB",
    "random 4 KiB, 32 in flight", "sparse, 4 KiB in 64" };
static const char *const memory_words[] = { "cached", "cold", "less memory than data" };
static const enum io_backend backends[] = { IO_MMAP, IO_BUFFERED, IO_DIRECT };

struct job {
    struct reader *reader;
    enum pattern pattern;
    uint64_t from, bytes; /* the part of the file that is read */
    uint64_t start;       /* threads begin at different places */
    uint64_t share;       /* of the places: 1 / share; those of a cold file are read once */
    bool again;           /* begin anew at the end */
    uint64_t round;       /* how often; sparse ones take other pages in each, or they were few */
    int64_t until_ns;
    uint64_t evict_every; /* 0: never */
    struct lab *lab;
    /* out */
    uint64_t reads, read_bytes, sum;
    int64_t took_ns;
    double *samples; /* us of each read, SAMPLES at most; NULL: not wanted */
    size_t n_samples;
    errc rc;
};

static uint64_t look(str s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s.n; i += 64) sum += s.p[i];
    return sum;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* All blocks, each once, in no order: a step that shares no factor with their number. */
static void scatter(const struct job *j, uint64_t *places, uint64_t blocks)
{
    uint64_t step = blocks * 5 / 13 | 1;
    while (gcd(blocks, step) != 1) step++;
    for (uint64_t i = 0; i < blocks; i++)
        places[i] = j->from + (i + j->start) * step % blocks * BLOCK;
}

static uint64_t job_places(const struct job *j)
{
    switch (j->pattern) {
    case IN_SEQUENCE: return j->bytes / RUN_BYTES;
    case SPARSE: return j->bytes / SPARSE_STRIDE;
    default: return j->bytes / BLOCK;
    }
}

static void job_read(struct job *j, uint64_t off, size_t n)
{
    struct pin p = { 0 };
    int64_t since = j->samples ? clock_mono_ns() : 0;
    j->rc = reader_pin(j->reader, off, n, &p, NULL);
    if (j->rc != OK) return;
    j->sum += look(p.bytes);
    j->rc = reader_unpin(&p, NULL);
    if (j->samples && j->n_samples < SAMPLES)
        j->samples[j->n_samples++] = (double)(clock_mono_ns() - since) / 1000;
    j->reads++;
    j->read_bytes += n;
}

/* One step of the pattern; 32 in flight: that many. How many places it took. */
static uint64_t job_step(struct job *j, const uint64_t *places, uint64_t i, uint64_t n)
{
    uint64_t all = job_places(j), k = (i + j->start) % all;
    switch (j->pattern) {
    case IN_SEQUENCE: job_read(j, j->from + k * RUN_BYTES, RUN_BYTES); return 1;
    case SPARSE:
        job_read(j, j->from + k * SPARSE_STRIDE + j->round % SPARSE_ROUNDS * READ_BYTES,
            READ_BYTES);
        return 1;
    case RANDOM: job_read(j, places[i], READ_BYTES); return 1;
    default: break;
    }
    uint64_t end = MIN(i + BATCH, n);
    for (k = i; k < end; k++) reader_want(j->reader, places[k], READ_BYTES);
    for (k = i; k < end && j->rc == OK; k++) job_read(j, places[k], READ_BYTES);
    return end - i;
}

static void job_run(void *ctx)
{
    struct job *j = ctx;
    uint64_t all = job_places(j), n = MAX(all / j->share, (uint64_t)1), evicted_at = 0;
    SCOPED(mem_freep) uint64_t *places = mem_alloc_array((size_t)all, sizeof(*places));
    bool random = j->pattern == RANDOM || j->pattern == RANDOM_32;
    if (random) scatter(j, places, all);
    int64_t began = clock_mono_ns(), now = began;
    for (uint64_t i = 0; j->rc == OK;) { /* at least one round */
        for (int k = 0; k < 16 && i < n && j->rc == OK; k++) i += job_step(j, places, i, n);
        now = clock_mono_ns();
        if (now >= j->until_ns || (i >= n && !j->again)) break;
        if (i >= n) {
            i = 0;
            j->round++;
        }
        if (!j->evict_every || j->read_bytes - evicted_at < j->evict_every) continue;
        evicted_at = j->read_bytes;
        lab_evict(j->lab, S(LAB_FILE));
    }
    j->took_ns = now - began;
}

struct setting {
    enum pattern pattern;
    enum memory memory;
    enum io_backend backend;
    unsigned threads;
};

static int order_f64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void row_add(
    struct lab *l, const struct setting *s, struct job *jobs, int64_t cpu_ns, enum io_backend ran)
{
    char what[LAB_WHAT_MAX];
    uint64_t reads = 0, bytes = 0;
    int64_t took = 1;
    for (unsigned i = 0; i < s->threads; i++) {
        reads += jobs[i].reads;
        bytes += jobs[i].read_bytes;
        took = MAX(took, jobs[i].took_ns);
    }
    snprintf(what, sizeof(what), "%s, %s, %u thread%s", pattern_words[s->pattern],
        memory_words[s->memory], s->threads, s->threads > 1 ? "s" : "");
    bool run = s->pattern == IN_SEQUENCE;
    double seconds = (double)took / 1e9;
    lab_add(l, LAB_READS, what, io_backend_word(s->backend), run ? "MiB/s" : "reads/s",
        run ? (double)bytes / (1 << 20) / seconds : (double)reads / seconds);
    if (reads) lab_last(l)->cpu_us = (double)cpu_ns / 1000 / (double)reads;
    struct job *first = &jobs[0];
    if (first->samples && first->n_samples) {
        qsort(first->samples, first->n_samples, sizeof(*first->samples), order_f64);
        lab_last(l)->p50_us = first->samples[first->n_samples / 2];
        lab_last(l)->p99_us = first->samples[first->n_samples * 99 / 100];
    }
    if (ran != s->backend)
        lab_note(l, "%s was asked for, %s ran: %s", io_backend_word(s->backend),
            io_backend_word(ran), what);
}

/* Of the process: those that waited for the disk. */
static uint64_t faults_now(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (uint64_t)u.ru_majflt : 0;
}

static errc run_jobs(
    struct lab *l, const struct setting *s, struct reader *r, uint64_t evict_every, struct err *e)
{
    struct job jobs[LAB_THREADS_MAX];
    struct thread *threads[LAB_THREADS_MAX];
    SCOPED(mem_freep) double *samples = mem_alloc_array(SAMPLES, sizeof(*samples));
    uint64_t bytes =
        s->memory == CACHED ? MIN(l->file_bytes, (uint64_t)CACHED_BYTES) : l->file_bytes;
    int64_t until = clock_mono_ns() + l->slice_ns, cpu = lab_cpu_ns();
    uint64_t faults = faults_now();
    for (unsigned i = 0; i < s->threads; i++) {
        jobs[i] = (struct job){ .reader = r,
            .pattern = s->pattern,
            .bytes = bytes,
            .lab = l,
            .share = s->memory == COLD ? s->threads : 1,
            .again = s->memory != COLD,
            .round = s->memory == LIMITED ? i * SPARSE_ROUNDS / s->threads : 0,
            .until_ns = until,
            .evict_every = evict_every };
        jobs[i].start = job_places(&jobs[i]) / s->threads * i;
        if (!i && s->memory != CACHED) jobs[i].samples = samples;
        threads[i] = thread_start("reads", job_run, &jobs[i]);
    }
    errc rc = OK;
    for (unsigned i = 0; i < s->threads; i++) {
        thread_join(threads[i]);
        if (jobs[i].rc != OK) rc = jobs[i].rc;
    }
    if (rc != OK) return err_set(e, rc, "%s: reading failed", LAB_FILE);
    row_add(l, s, jobs, lab_cpu_ns() - cpu, reader_backend(r));
    if (s->memory == CACHED && faults_now() - faults > CACHED_FAULTS_MAX)
        lab_note(l, "%s by %s was not cached: %" PRIu64 " faults waited for the disk",
            lab_last(l)->what, io_backend_word(s->backend), faults_now() - faults);
    return OK;
}

/* Each page is looked at, which for a map is what brings it: the sum is used, or nobody would
 * look. */
static errc warm(struct reader *r, uint64_t bytes, struct err *e)
{
    static volatile uint64_t seen UNUSED;
    for (uint64_t at = 0; at < bytes; at += RUN_BYTES) {
        struct pin p = { 0 };
        TRY(reader_pin(r, at, RUN_BYTES, &p, e));
        seen += look(p.bytes);
        TRY(reader_unpin(&p, e));
    }
    return OK;
}

static errc measure(struct lab *l, const struct setting *s, struct err *e)
{
    struct reader *r = NULL;
    struct limit limit = { 0 };
    uint64_t ours = cache_stats().limit_bytes;
    bool run = s->pattern == IN_SEQUENCE, limited = s->memory == LIMITED;
    lab_step(l, pattern_words[s->pattern]);
    lab_evict(l, S(LAB_FILE));
    if (limited) cache_set_limit(l->memory_limit / 4);
    /* whatever the server's limit: what is called cached here is in our cache, whole */
    if (s->memory == CACHED) cache_set_limit(MAX(ours, 2 * (uint64_t)CACHED_BYTES));
    bool grouped = limited && limit_begin(&limit, l->memory_limit);
    if (grouped) snprintf(l->limited_by, sizeof(l->limited_by), "%s", limit.version);
    else if (limited) snprintf(l->limited_by, sizeof(l->limited_by), "emptying the cache");
    errc rc = reader_open(&r, l->fs, S(LAB_FILE),
        (struct read_as){ s->backend, IO_CHUNKS, run ? IO_SEQUENTIAL : IO_RANDOM }, e);
    if (rc == OK && s->memory == CACHED)
        rc = warm(r, MIN(l->file_bytes, (uint64_t)CACHED_BYTES), e);
    if (rc == OK) rc = run_jobs(l, s, r, limited && !grouped ? l->memory_limit : 0, e);
    reader_close(r);
    if (grouped) l->left_group += limit_left(&limit);
    limit_end(&limit);
    cache_set_limit(ours);
    return rc;
}

/* Not all that could be: 32 in flight means nothing when nothing flies; threads are doubled, in
 * haste they are one or as many as may be. */
static bool is_measured(const struct setting *s, const struct lab *l)
{
    if (s->pattern == RANDOM_32 && s->memory == CACHED) return false;
    if (l->in_memory && s->memory != CACHED) return false;
    if (s->threads == 1 || s->threads == l->threads) return true;
    return !l->quick && (s->threads & (s->threads - 1)) == 0;
}

static errc each_setting(struct lab *l, bool count_only, size_t *n, struct err *e)
{
    *n = 0;
    for (unsigned m = 0; m < MEMORIES; m++)
        for (unsigned p = 0; p < PATTERNS; p++)
            for (unsigned t = 1; t <= l->threads; t++)
                for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
                    struct setting s = { (enum pattern)p, (enum memory)m, backends[b], t };
                    if (!is_measured(&s, l)) continue;
                    ++*n;
                    if (!count_only) TRY(measure(l, &s, e));
                }
    return OK;
}

size_t lab_reads_steps(const struct lab *l)
{
    struct lab twin = { .threads = l->threads, .quick = l->quick, .in_memory = l->in_memory };
    size_t n;
    errc rc = each_setting(&twin, true, &n, NULL);
    return rc == OK ? n : 0;
}

errc lab_reads(struct lab *l, struct err *e)
{
    size_t n;
    struct reclaim was = reclaim_now();
    TRY(each_setting(l, false, &n, e));
    struct reclaim now = reclaim_now();
    if (l->left_group)
        lab_note(l,
            "with less memory than data %" PRIu64 " pages left the control group, put out by the "
            "threads that read: a group has no kswapd",
            l->left_group);
    lab_note(l,
        "while files were read kswapd took back %" PRIu64 " pages of the machine, threads by "
        "themselves %" PRIu64 "; %" PRIu64 " of those that were dropped were wanted again",
        now.by_kswapd - was.by_kswapd, now.directly - was.directly, now.refaults - was.refaults);
    return OK;
}
