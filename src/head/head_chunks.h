/* head_chunks.h — the head as what a block is written from.
 *
 * What        All its symbols, and its series in label order with the chunks of a span of time:
 *             closed ones as they are, sealed and open ones encoded, those that reach out of the
 *             span or hold deleted samples rewritten.
 * Invariants  (1) Nothing of the span that was committed before the call is missing: the call waits
 *             for appenders that are open. (2) Bytes and cuts are Prometheus'. (3) Series without a
 *             sample in the span are left out; symbols are those of the whole head.
 * Ownership   head_chunks_open allocates, its two sets are the caller's; head_chunks_close after
 *             both are freed
 * Threads     one thread, beside appenders and queriers; head_truncate waits for nobody, so its
 *             caller runs it after the close
 * Errors      ERR_IO, ERR_CORRUPT of a closed chunk
 * Format      none
 */
#ifndef EPI_HEAD_HEAD_CHUNKS_H
#define EPI_HEAD_HEAD_CHUNKS_H

#include "model/matcher.h"
#include "storage/chunk_series.h"

struct head;
struct head_chunks;
/* maxt inclusive */
MUST_USE errc head_chunks_open(
    struct head_chunks **out, struct head *h, int64_t mint, int64_t maxt, struct err *e);
/* The same of the series with these numbers, ascending; those that are gone are left out. */
MUST_USE errc head_chunks_open_some(struct head_chunks **out, struct head *h, const uint32_t *nums,
    size_t n, int64_t mint, int64_t maxt, struct err *e);
/* The same of late samples: their chunks with references up to last_ref, merged where they
 * overlap. */
MUST_USE errc head_chunks_open_ooo(struct head_chunks **out, struct head *h, int64_t mint,
    int64_t maxt, uint64_t last_ref, struct err *e);
/* The series that match; nothing is waited for, a batch is seen whole or not at all. Has no
 * symbols. */
MUST_USE errc head_chunks_select(struct head_chunks **out, struct head *h, struct matchers ms,
    int64_t mint, int64_t maxt, struct err *e);
/* What is damaged on the disk is asked for there, before the first series: what it has not looked
 * for ends the series with ERR_CORRUPT, when all of it was noted. Outlives the view. */
struct head_mend;
void head_chunks_mend(struct head_chunks *c, struct head_mend *m);
struct head_mend *head_chunks_mended_by(const struct head_chunks *c);
/* at the end of the series */
MUST_USE errc head_chunks_check(const struct head_chunks *c, struct err *e);
void head_chunks_close(struct head_chunks *c);                 /* NULL is fine */
struct symbol_set *head_chunks_symbols(struct head_chunks *c);
struct chunk_series_set *head_chunks_series(struct head_chunks *c);

/* For the sets of a view: the labels of a series by the numbers of the view's symbols, into room of
 * the caller. REQUIRES: the view has symbols */
void head_chunks_nums(const struct head_chunks *c, uint32_t slot, label_num_list *out);
/* For the sets of a view: its series in label order; *at begins at 0. False: the end. */
bool head_chunks_next(const struct head_chunks *c, size_t *at, uint32_t *num, uint32_t *slot);

#endif
