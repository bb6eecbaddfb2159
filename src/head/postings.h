/* postings.h — which series have a label: ascending series numbers, as runs.
 *
 * What        A list is one 64-bit word: empty, one run in the word itself, or a pointer to a block
 *             of varint-coded runs. Series of a target are numbered one after the other, so what
 *             they share costs next to nothing. Queries decode lists into runs and join those.
 * Invariants  (1) Numbers are only ever appended in ascending order. (2) A reader beside an
 *             appender sees some prefix of the list.
 * Ownership   a list owns its block (postings_fini); replaced blocks go to the reclaim
 * Threads     postings_append, postings_remove: one at a time (the head's creation lock).
 *             postings_read: any reader of the reclaim.
 * Errors      none
 * Format      in memory only. block bytes: per run uvarint((start - end of the run before) << 1 |
 *             (length > 1)), then uvarint(length - 2)
 */
#ifndef EPI_HEAD_POSTINGS_H
#define EPI_HEAD_POSTINGS_H

#include "head/reclaim.h"

/* series number: order of creation in this process, from 1 */
typedef uint32_t snum;
struct run { snum start, end; };               /* [start, end) */
typedef VEC(struct run) runs;                  /* ascending, disjoint, none empty */

typedef struct { _Atomic uint64_t word; } postings;

void postings_append(postings *p, snum s, struct reclaim *rc);
void postings_remove(postings *p, const runs *dead, struct reclaim *rc);
/* appends to out, whose runs lie before it */
void postings_read(const postings *p, runs *out);
/* appends to out whatever it holds; runs_sort makes a set of it */
void postings_gather(const postings *p, runs *out);
uint64_t postings_count(const postings *p);
/* what reading it costs, in bytes to decode: little where the series are numbered in a row */
uint32_t postings_bytes(const postings *p);
void postings_fini(postings *p);

/* Sets as runs. a and b may not be out; out is replaced. */
uint64_t runs_count(const runs *r);
/* joins with the last; REQUIRES: start >= the last end */
void runs_push(runs *r, snum start, snum end);
bool runs_has(const runs *r, snum s);
void runs_and(runs *out, const runs *a, const runs *b);
void runs_sub(runs *out, const runs *a, const runs *b);
/* of runs in any order, overlapping or not, makes a set */
void runs_sort(runs *r);

#endif
