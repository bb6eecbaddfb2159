/* sim_data.h — the bytes of one file of the simulated disk: what the page cache holds, and what the
 * disk holds.
 *
 * What        Writes and truncations change the cached bytes at once and are remembered until a
 *             sync carries them to the disk. A crash before that keeps any part of them that real
 *             disks and file systems may keep.
 * Invariants  (1) With no operation pending, now equals durable, but for what a failed sync has
 *             dropped. (2) After a loss each 512-byte sector of durable is one that the file had at
 *             some moment since the last sync, or zeros where the size grew without its data; the
 *             size is one that the file had. (3) What a truncation cut, and the disk has seen,
 *             stays cut.
 * Ownership   the zero value is an empty file; sim_data_fini frees
 * Threads     none: fs_sim locks
 * Errors      none
 * Format      none
 */
#ifndef EPI_IO_SIM_DATA_H
#define EPI_IO_SIM_DATA_H

#include "base/prng.h"
#include "base/vec.h"

struct sim_bytes { uint8_t *p; uint64_t n, cap; };
/* truncate: n is the size */
struct sim_change { bool is_truncate; uint64_t off, n, size_after; uint8_t *bytes; };
struct sim_data { struct sim_bytes now, durable; VEC(struct sim_change) changes; };

/* SIM_KILLED: what was pending still is */
enum fs_sim_loss { SIM_LOSE_SOME, SIM_LOSE_ALL, SIM_LOSE_NOTHING, SIM_KILLED };

void sim_data_write(struct sim_data *d, uint64_t off, str bytes);
void sim_data_truncate(struct sim_data *d, uint64_t size);
void sim_data_sync(struct sim_data *d);
/* decides what of the pending is durable; none is pending then */
void sim_data_lose(struct sim_data *d, struct prng *r, enum fs_sim_loss loss);
/* after a crash: the cache is empty, now is durable */
void sim_data_reload(struct sim_data *d);
void sim_data_fini(struct sim_data *d);

#endif
