/* head.h — the newest data: every series that lives, in memory.
 *
 * What        Series with their labels, postings, open chunks, and references to the closed ones.
 *             Samples come in through an appendable, go out through a queryable. Built from
 *             symbols, series, postings, open_chunk, isolation, appender, querier, lookup, replay.
 * Invariants  (1) A series ref is given once and never again. (2) A series record is in the log
 *             exactly once, before any sample that names its ref. (3) A batch is seen whole or not
 *             at all, but for late samples: these are seen series by series. (4) A failed log
 *             leaves nothing of its batch; that of late samples nothing of those. (5) Chunks are
 *             cut where Prometheus cuts them and hold its bytes.
 * Ownership   head_open allocates, head_close frees; it borrows the log and the chunk files, which
 *             outlive it. No appender, querier or replay may be open at head_close.
 * Threads     any, but for head_open, head_close; head_truncate and head_write_sealed: one at a
 *             time each (they lock)
 * Errors      see each; nothing here fails for want of memory
 * Format      none of its own: chunk/xor, wal/record, head/chunk_disk
 */
#ifndef EPI_HEAD_HEAD_H
#define EPI_HEAD_HEAD_H

#include "base/vec.h"
#include "head/keeps.h"
#include "storage/appender.h"
#include "storage/querier.h"

struct changes;
struct chunk_disk;
struct wal;
struct head;

enum { HEAD_MANY_SEALED = 4096 };

struct head_opts {
    struct wal *wal;                   /* NULL: nothing is logged */
    struct chunk_disk *disk;           /* NULL: sealed chunks stay in memory */
    int64_t chunk_range_ms;            /* 0: two hours */
    uint32_t samples_per_chunk;        /* 0: 120 */
    size_t lookup_bytes;               /* bound of the cache of raw label bytes; 0: 64 MiB */
    size_t labels_max_bytes;           /* of one series; 0: 32 MiB */
    /* Told once, by a committing appender that holds no lock, when HEAD_MANY_SEALED chunks or more
     * wait for head_write_sealed; again after that was called. NULL: nobody is told. */
    void (*many_sealed)(void *ctx);
    void *many_sealed_ctx;
    int64_t exemplar_late_ms;          /* how late an exemplar may come */
    struct changes *changes;           /* NULL: nobody asks what changed */
    struct head_keeps keeps;
};

MUST_USE errc head_open(struct head **out, const struct head_opts *o, struct err *e);
void head_close(struct head *h);                               /* NULL is fine; writes nothing */

struct appendable *head_appendable(struct head *h);            /* lives as long as the head */
struct queryable *head_queryable(struct head *h);

struct exemplar_queryable;
struct exemplar_queryable *head_exemplars(struct head *h);
/* Any thread: what a reload changes. Exemplars that there is no more room for go, the oldest first;
 * chunks that are open stay what they are. */
void head_set_max_exemplars(struct head *h, size_t n);
void head_set_float_xor2(struct head *h, bool on);

/* Times in ms. Before the first sample min > max (INT64_MAX, INT64_MIN). */
int64_t head_min_time(const struct head *h);
int64_t head_max_time(const struct head *h);
int64_t head_min_valid_time(const struct head *h);
/* at start: the newest block's max time */
void head_set_min_valid_time(struct head *h, int64_t t);
bool head_compactable(const struct head *h);                   /* max - min > range / 2 * 3 */

/* Late samples: those within window_ms of the newest one are taken, out of order (0: none are);
 * exemplars, too.
 * Where there is a window there is a log for them, set before. Any thread; for appenders that begin
 * later. */
void head_set_ooo_window(struct head *h, int64_t window_ms);
void head_set_ooo_log(struct head *h, struct wal *wbl);        /* once; outlives the head */
/* Of late samples; none: min > max. */
int64_t head_min_ooo_time(const struct head *h);
int64_t head_max_ooo_time(const struct head *h);
/* May it have a sample of [mint, maxt], late ones too? Nothing is said of its newest. */
bool head_reaches(const struct head *h, int64_t mint, int64_t maxt);
bool head_has_ooo(const struct head *h);                       /* a log for them, or late samples */

/* How many chunks are sealed and wait to be written. What they hold was logged before; so once the
 * log is synced the first that many may go to the disk, and no chunk gets there ahead of its
 * log. */
size_t head_sealed_count(struct head *h);

/* Memory in which nothing lies goes back to the system; every minute or so. */
void head_give_back(struct head *h);

/* Recodes up to max_chunks sealed chunks and writes them to the chunk files; *written says how
 * many, 0: none are left.
 * Called by the tsdb's loop each second or so. On failure the chunks stay in memory. */
MUST_USE errc head_write_sealed(struct head *h, size_t max_chunks, size_t *written, struct err *e);
/* Frees what went while queries looked at it, and they are gone: they do not do that themselves.
 * Any thread, each second or so. */
void head_free_retired(struct head *h);

/* Frees what was dropped of the queue's oldest chunks: for who writes none. */
void head_free_dropped(struct head *h);

/* Drops what is older than mint: closed chunks with max time < mint, then series without chunks.
 * Waits for appenders that were open at the call. min time and min valid time rise to mint. */
MUST_USE errc head_truncate(struct head *h, int64_t mint, struct err *e);

/* Series that ended: the newest sample is a stale marker, and there are no late ones. Their
 * numbers, ascending, and that sample's time; zeroed, freed with head_ended_free. */
typedef struct {
    VEC(uint32_t) nums;
    VEC(int64_t) last;
} head_ended;
void head_ended_find(struct head *h, head_ended *out);
void head_ended_free(head_ended *x);
/* about as many */
uint64_t head_ended_count(const struct head *h);
/* Those of them that did not go on since leave with all they hold, and the log says so. It failed:
 * they left, but replay brings them back. */
MUST_USE errc head_ended_remove(struct head *h, const head_ended *x, size_t *gone, struct err *e);

/* The refs of all series, ascending, and those that a series had before in the log: for a
 * checkpoint; free with vec_fini. */
typedef VEC(sref) head_refs;
void head_live_refs(struct head *h, head_refs *out);
/* the lowest chunk file that a series refers to; 0: none */
uint32_t head_first_disk_file(const struct head *h);

/* Deletes [mint, maxt] of the series that match: logged, then applied at query. */
MUST_USE errc head_delete(
    struct head *h, struct matchers ms, int64_t mint, int64_t maxt, struct err *e);

/* What /api/v1/status/tsdb shows: each list sorted by value, at most `limit` of it; names live in
 * the arena. */
struct head_stat { str name; uint64_t value; };
struct head_stats {
    uint64_t series, label_pairs, chunks;
    int64_t min_time, max_time;
    struct head_stat *series_by_metric, *values_by_label, *bytes_by_label, *series_by_pair;
    size_t n_series_by_metric, n_values_by_label, n_bytes_by_label, n_series_by_pair;
};
void head_stats(struct head *h, size_t limit, struct arena *a, struct head_stats *out);
uint64_t head_series_count(const struct head *h);

/* Batch form of appendable.lookup: found[i] is the handle or 0. */
void head_lookup_batch(struct head *h, const str *raw, size_t n, series_handle *found);

#endif
