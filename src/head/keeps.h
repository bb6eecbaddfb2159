/* keeps.h — what a head keeps beside samples, and how.
 *
 * What        Prometheus' feature flags of the storage, as they are set at the start.
 * Invariants  start times are kept in XOR2 chunks only: with them, float_xor2 is set
 * Ownership   values
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_KEEPS_H
#define EPI_HEAD_KEEPS_H

#include "base/defs.h"

struct head_keeps {
    size_t max_exemplars;              /* 0: none are kept, nor logged */
    bool metadata;                     /* is logged when it changes */
    bool start_times;                  /* in the log, and in chunks that have room for them */
    bool histogram_st;                 /* histograms get such chunks */
    bool float_xor2;                   /* floats get such chunks */
    bool zero_at_start;                /* a sample with a start time is preceded by a zero then */
};

#endif
