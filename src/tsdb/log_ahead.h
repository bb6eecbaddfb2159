/* log_ahead.h — the records of a log, read ahead of who routes them.
 *
 * What        A thread frames the records, checks them, and copies those that are wanted, so that
 *             some MiB of stored bytes lie ready; some of what comes next it has unpacked and
 *             decoded: the records of series and of tombstones. Those of others stay as they are
 *             stored. Without a thread the same is done when it is asked for.
 * Invariants  (1) Records come in the order of the log. (2) What does not decode is a reject of the
 *             reader, and is not handed out. (3) With or without a thread the same comes.
 * Ownership   log_ahead_new allocates, log_ahead_end frees; borrows the reader, which is nobody
 *             else's until then
 * Threads     one, beside the thread within
 * Errors      those of the reader
 * Format      none
 */
#ifndef EPI_TSDB_LOG_AHEAD_H
#define EPI_TSDB_LOG_AHEAD_H

#include "wal/record.h"
#include "wal/wal_reader.h"

/* A place in the log. all: everything that is read lies before it. */
struct log_place { uint32_t seg; uint64_t off; bool all; };
static inline bool log_is_before(const struct log_place *p, uint32_t seg, uint64_t end)
{
    return p->all || seg < p->seg || (seg == p->seg && end <= p->off);
}

/* Damage of the log, or a record that does not decode; what is missing as a whole is none: there
 * nobody else reads anything. passed_over: what follows it lies where samples are. */
struct ahead_damage { uint32_t seg; uint64_t off; bool passed_over; };

/* type: REC_SERIES and REC_TOMBSTONES with their lists; REC_SAMPLES of samples of any kind and
 * REC_NONE of what else there is, with their bytes: flags 0: unpacked. */
struct ahead_rec {
    uint32_t seg; uint64_t end;
    enum rec_type type;
    uint8_t flags;
    str stored;
    const struct ref_seriess *series;
    const ref_tombstones *tombstones;
    uint32_t deletion;                         /* of tombstones: as the record before it says */
    const struct ahead_damage *damage;         /* the first before it; NULL: none */
};

/* samples_from: samples before it are passed over; NULL: none are. checks: those are decoded all
 * the same, to find damage that only a decoder can. damage: a place that is damaged, whatever the
 * reader finds there; NULL: none is known. Both copied. */
struct log_ahead;
struct log_ahead *log_ahead_new(struct wal_reader *r, const struct log_place *samples_from,
    bool checks, const struct log_place *damage, bool with_thread);
/* *got false: the end. What it gives lives until the next call. */
MUST_USE errc log_ahead_next(
    struct log_ahead *l, struct ahead_rec *out, bool *got, struct err *e);
/* how many records were read, those passed over and those rejected among them; 0 of NULL */
uint64_t log_ahead_end(struct log_ahead *l);

#endif
