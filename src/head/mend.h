/* mend.h — damaged chunks of the head made again of what the log has of them.
 *
 * What        Who writes a block of the head notes the closed chunks that are damaged on the disk;
 *             then the log is told record by record, and gives chunks in their place.
 * Invariants  (1) Nothing is invented: a sample counts where the head would have taken it, in the
 *             order of the log, and within the times of a chunk that was noted. (2) Each chunk is
 *             looked for once: what the log does not have is lost, and counted.
 * Ownership   head_mend_new, head_mend_free; what is told is copied
 * Threads     one
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_MEND_H
#define EPI_HEAD_MEND_H

#include "chunk/chunk_encoder.h"
#include "wal/record.h"

struct head_mend;
/* late: a chunk of late samples, to be found in their log */
struct head_lost {
    sref ref;
    int64_t mint, maxt;
    uint64_t disk_ref;
    uint32_t n;
    uint8_t enc;
    bool late;
};

struct head_mend *head_mend_new(void);
void head_mend_free(struct head_mend *m);                      /* NULL is fine */

/* The chunks in place of a damaged one. NULL: none are known, and it is noted. */
const struct chunk_encoder *head_mend_get(struct head_mend *m, const struct head_lost *c);
/* Some are noted that were not looked for. */
bool head_mend_wanted(const struct head_mend *m);

/* All of a log in its order, samples of whatever series; then head_mend_end. */
void head_mend_samples(struct head_mend *m, bool late, const struct ref_sample *s, size_t n);
void head_mend_histograms(
    struct head_mend *m, bool late, const struct ref_histogram *h, size_t n);
void head_mend_markers(struct head_mend *m, const struct ref_marker *x, size_t n);
void head_mend_end(struct head_mend *m);

/* Of those that were looked for: how many, with how many samples, and how many the log had. */
struct head_mend_counts { uint64_t chunks, samples, found; };
struct head_mend_counts head_mend_counts(const struct head_mend *m);

#endif
