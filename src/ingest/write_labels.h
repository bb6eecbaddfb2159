/* write_labels.h — the labels of a pushed series, put in order and looked at.
 *
 * What        Senders should sort labels and leave out empty ones; the receiver does it for those
 *             who do not, and says what of them may not be.
 * Invariants  kept is a part of all: sorted, without empty values
 * Ownership   the caller's array is sorted in place; the rest borrows
 * Threads     pure functions
 * Errors      in fault
 * Format      none
 */
#ifndef EPI_INGEST_WRITE_LABELS_H
#define EPI_INGEST_WRITE_LABELS_H

#include "model/labels.h"

/* INVALID: no metric name, or a name or value that may not be. TWICE: a name is. */
enum write_fault { WRITE_FINE, WRITE_INVALID, WRITE_TWICE };
struct write_labels {
    struct labels all;                         /* sorted, empty values included */
    struct labels kept;                        /* of a series that is fine */
    enum write_fault fault;
    str twice;                                 /* the first name that is there twice */
};

/* at: n labels of the arena, sorted here. */
struct write_labels write_labels_of(struct arena *a, struct label *at, size_t n);

/* By name; those of one name stay as they came. */
void write_labels_sort(struct label *at, size_t n);

#endif
