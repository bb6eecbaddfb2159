/* replay.h — a head rebuilt from its chunk files and its log.
 *
 * What        One router thread hands over, in the order of the log, what the records say; the samples come out again as batches by
 *             worker, which may be applied beside each other. Order within a series is kept: a series belongs to one worker.
 * Invariants  (1) Every series record replaces the series' closed chunks by those of the record's ref and drops its open chunk. (2) A
 *             sample at or before the newest closed chunk, or at or before the newest sample, is dropped. (3) A ref that was seen
 *             is never given again.
 * Ownership   head_replay_begin allocates, head_replay_finish frees. A batch belongs to who got it from submit, until head_replay_apply.
 * Threads     all but head_replay_apply: one router thread. head_replay_apply: one thread at a time per worker number, batches of a
 *             worker in the order of their submission. The head takes no appender before finish; queriers are fine.
 * Errors      ERR_BAD_INPUT: labels that are no series (that record is to be skipped)
 * Format      none
 */
#ifndef EPI_HEAD_REPLAY_H
#define EPI_HEAD_REPLAY_H

#include "model/labels.h"
#include "model/sample.h"

struct head;
struct head_replay;
struct head_replay_batch;

struct head_replay_opts {
    unsigned workers;                                          /* 1 … 64; 0: 1 */
    /* Takes a full batch of a worker; NULL: applied at once in the router's thread. May wait (that bounds memory). */
    void (*submit)(void *ctx, unsigned worker, struct head_replay_batch *b);
    void *ctx;
};
struct head_replay_chunk { sref ref; int64_t mint, maxt; uint64_t disk_ref; uint16_t samples; uint8_t encoding; bool ooo; };
struct head_replay_stats { uint64_t series, duplicates, samples, dropped_old, unknown_samples, unknown_other, chunks; };

struct head_replay *head_replay_begin(struct head *h, const struct head_replay_opts *o);

/* A chunk of the chunk files, in the order of the files; before the first record. encoding: as stored, without the OOO bit. One that
 * does not follow the chunk before it of its ref is left out (the opening of the files refuses it before). */
void head_replay_chunk(struct head_replay *r, const struct head_replay_chunk *c);

/* Records. A ref of any record is reserved. */
struct ref_sample;                                             /* wal/record.h */
MUST_USE errc head_replay_series(struct head_replay *r, sref ref, struct labels labels, struct err *e);
void head_replay_samples(struct head_replay *r, const struct ref_sample *s, size_t n);
void head_replay_tombstone(struct head_replay *r, sref ref, int64_t mint, int64_t maxt);
void head_replay_reserve(struct head_replay *r, sref ref);     /* histogram, exemplar and metadata records */

void head_replay_flush(struct head_replay *r);                 /* submits what is left of every worker */
void head_replay_apply(struct head_replay *r, struct head_replay_batch *b);   /* and frees it */

/* After the last batch was applied: series without samples go, postings are published, the head takes appenders. */
void head_replay_finish(struct head_replay *r, struct head_replay_stats *stats);

#endif
