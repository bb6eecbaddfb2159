/* fs_sim.h — a disk in memory that crashes, tears, fills up, fails and hangs, all from one seed.
 *
 * What        An implementation of fs.h for tests. Every file and every folder has a state in the
 *             page cache and one on the disk; sync carries the one to the other; a crash keeps what
 *             was synced and a seeded choice of the rest.
 * Invariants  (1) Synced bytes of a file, and synced names of a folder, survive a crash. (2)
 *             Unsynced changes of a file survive by sectors, in any order (sim_data.h). (3)
 *             Unsynced names survive in any subset that keeps the order of the changes of each
 *             name; a rename is seen whole or not at all, but a file moved between folders may
 *             still be in both until the old one is synced. (4) A file's sync does not make its
 *             name durable. (5) After a failed sync the pending changes may be lost, and a sync
 *             that succeeds later does not bring them back (as Linux does).
 * Ownership   fs_sim_new allocates, fs_free frees
 * Threads     any
 * Errors      as fs.h; after a crash every file opened before answers ERR_IO
 * Format      none
 */
#ifndef EPI_IO_FS_SIM_H
#define EPI_IO_FS_SIM_H

#include "io/fs.h"
#include "io/sim_data.h"
#include "io/stall.h"

/* SIM_OP(STALL_SYNC) | …: which operations */
#define SIM_OP(op) (1u << (op))
enum {
    SIM_OPS_ALL = (1u << STALL_OPS) - 1,
    SIM_OPS_CHANGE = SIM_OP(STALL_WRITE) | SIM_OP(STALL_SYNC) | SIM_OP(STALL_TRUNCATE) |
                     SIM_OP(STALL_RESERVE) | SIM_OP(STALL_SYNC_DIR) | SIM_OP(STALL_RENAME) |
                     SIM_OP(STALL_UNLINK) | SIM_OP(STALL_MKDIR) | SIM_OP(STALL_OPEN)
};

/* empty; the root exists and is durable */
struct fs *fs_sim_new(uint64_t seed);

/* The machine loses power now and is on again; or the process dies, and the page cache is written
 * out (SIM_LOSE_NOTHING) or stays as it is (SIM_KILLED). Open files are stale, locks are free,
 * faults set before are forgotten. */
void fs_sim_crash(struct fs *fs, enum fs_sim_loss loss);

/* The power goes in the n-th operation of SIM_OPS_CHANGE from now (1: the next; 0: never): it
 * fails, a write after a part of its bytes, and everything after it, until fs_sim_crash. So the
 * code under test unwinds by its own error paths first. */
void fs_sim_power_off_after(struct fs *fs, uint64_t n);
bool fs_sim_is_off(struct fs *fs);
/* operations of SIM_OPS_CHANGE so far */
uint64_t fs_sim_changes(struct fs *fs);

/* once: the nth of these operations from now (0: none) */
void fs_sim_fail_nth(struct fs *fs, unsigned ops, uint64_t nth, errc rc);
void fs_sim_fail_rate(struct fs *fs, unsigned ops, uint32_t per_million, errc rc);
void fs_sim_capacity(struct fs *fs, uint64_t bytes);           /* 0: no limit, as at the start */
uint64_t fs_sim_used(struct fs *fs);
/* each of these operations takes so long */
void fs_sim_delay(struct fs *fs, unsigned ops, int64_t ns);
/* these operations wait until they are no longer named here */
void fs_sim_hang(struct fs *fs, unsigned ops);

#endif
