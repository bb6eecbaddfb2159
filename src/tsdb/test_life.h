/* test_life.h — lives of data folders on simulated disks: what the crash tests share.
 *
 * What        A life is a disk, a database and a clock from one seed; the disk fails and crashes as
 *             the seed has it. And what a series of a life has at a time: floats, native histograms
 *             of whole numbers and of floats, of custom buckets, gauges, stale markers, or a series
 *             that changes between them.
 * Invariants  everything follows from the seed; a sample follows from (seed, series, time)
 * Ownership   life_begin, life_end; a sample's histogram lies in the caller's arena
 * Threads     one test
 * Errors      a failure fails the test
 * Format      none
 *
 * Only test files include it. SEED=n begins with the disk of seed n, CRASH_POINTS=n in place of the
 * usual number, TEST_VERBOSE=1 tells the lives.
 */
#ifndef EPI_TSDB_TEST_LIFE_H
#define EPI_TSDB_TEST_LIFE_H

#include "base/arena.h"
#include "base/prng.h"
#include "io/fs_sim.h"
#include "tsdb/db.h"

#include <stdio.h>
#include <stdlib.h>

struct life {
    uint64_t seed;
    struct prng rng;
    struct fs *fs;
    struct db *db;
    struct db_opts o;
    int64_t now;
    /* a fault was injected in this life: files may have been given up */
    bool faulty;
    bool failing;                      /* … and is injected at this moment */
    uint64_t crashes;
    char name[48];
};

#define TELL(l, ...)                                                                               \
    do {                                                                                           \
        if (getenv("TEST_VERBOSE")) {                                                              \
            fprintf(stderr, "# %" PRId64 " ", (l)->now);                                           \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

uint64_t mix(uint64_t a, uint64_t b);
static inline uint64_t below(struct life *l, uint64_t n) { return prng_below(&l->rng, n); }
static inline bool one_in(struct life *l, uint64_t n) { return below(l, n) == 0; }
static inline bool is_off(const struct life *l) { return fs_sim_is_off(l->fs); }
/* An operation may be refused now: the disk is off or fails. */
static inline bool may_refuse(const struct life *l) { return is_off(l) || l->failing; }

/* Options are small, so that segments, files and blocks end often. Not yet opened. */
void life_begin(struct life *l, uint64_t seed);
void life_end(struct life *l);                     /* closes what is open */

/* The disk fails or is full from now on, at times. */
void life_fault(struct life *l);
void life_faults_end(struct life *l);
/* The power goes, or the process dies: what died writes nothing more. */
enum fs_sim_loss life_crash(struct life *l);
static inline bool loss_is_power(enum fs_sim_loss loss)
{
    return loss == SIM_LOSE_SOME || loss == SIM_LOSE_ALL;
}

/* What lies below a folder of a life's disk, on a disk of its own. */
struct fs *life_copy(struct life *l, str dir);

/* Lives from test_seed() on, until there were that many crashes (under sanitizers a fifth of it,
 * or a 25th, of other seeds).
 * live gives those of one life. Logs nothing. */
void lives(uint64_t points, uint64_t (*live)(uint64_t seed, void *ctx), void *ctx);

/* What a series has at a time. */
struct given {
    enum sample_kind kind;
    bool stale;
    int64_t t, st;                     /* st 0: none */
    double v;                          /* SAMPLE_FLOAT */
    const struct int_histogram *whole; /* SAMPLE_HISTOGRAM */
    const struct histogram *floats;    /* SAMPLE_FLOAT_HISTOGRAM */
};
struct given given_of(const struct life *l, unsigned series, int64_t t, struct arena *a);
/* which of the log's records holds it */
enum { GIVEN_RECORDS = 5 };
unsigned given_record(const struct given *g);
errc given_append(const struct given *g, struct appender *a, series_handle h, struct err *e);
/* Number i of the batch is that one. Empty buckets do not count: others of its chunk have them. */
void given_expect(const struct given *g, const struct sample_batch *b, size_t i, struct arena *a);

/* The samples of everything between two times, series by series. */
struct seen_ops {
    void (*series)(void *ctx, struct labels labels);
    void (*samples)(void *ctx, const struct sample_batch *b);
};
void see_everything(struct db *db, const struct seen_ops *ops, void *ctx);

#endif
