/* descriptors.h — descriptors of files that are only read: as many open as a limit says.
 *
 * What        A file hands its descriptor over and borrows it for each read. Where more are open
 *             than the limit, those that were not used for the longest are closed (by the second
 *             chance: a hand goes round and takes what was not used since it came by), and opened
 *             again by name when they are needed.
 * Invariants  (1) What is opened again is the same file, by device, inode and time of birth, or it
 *             is an error; a file system that tells no time of birth has no part in this. (2) A
 *             name that is taken away or moved through descriptors_name_begin costs nobody a file:
 *             what lies under it is opened before and stays open. (3) More than the limit are open
 *             only while they are in use, or by (2).
 * Ownership   descriptor_new takes the descriptor, descriptor_free closes it; root is borrowed
 * Threads     any; a borrower that finds it open takes no lock. descriptor_free: nobody borrows it.
 *             The lock is a leaf and is not held over calls that may wait for a disk.
 * Errors      an errno; ESTALE: the name leads to another file now
 * Format      none
 */
#ifndef EPI_IO_DESCRIPTORS_H
#define EPI_IO_DESCRIPTORS_H

#include "base/defs.h"

#include <stddef.h>
#include <stdint.h>

struct descriptor;
/* A name that is changing; the caller's memory, from begin to end. */
struct name_change {
    uint64_t root_dev, root_ino;
    const char *path;                          /* borrowed */
    struct name_change *next;
};

/* fd: what openat(root, path) gave, for reading. in_order: how it will be read, which is advised
 * to the kernel each time. NULL: it stays the caller's, and open. */
struct descriptor *descriptor_new(int root, const char *path, int fd, bool in_order);
/* Until descriptor_release. < 0: the errno, negated; nothing is borrowed. */
int descriptor_borrow(struct descriptor *d);
void descriptor_release(struct descriptor *d);
void descriptor_free(struct descriptor *d);    /* NULL is fine */

/* Around the moving or removing of a file or folder. */
void descriptors_name_begin(struct name_change *c, int root, const char *path);
void descriptors_name_end(struct name_change *c);

/* 0, as at the start: half of what this process may have open */
void descriptors_set_limit(uint64_t n);
/* Closes some that nobody uses. False: there are none. */
bool descriptors_relieve(void);
/* As many as the machine lets this process have: for a program that starts. */
void descriptors_allow(void);

/* files: that take part; open: of these; reopened, closed: so far */
struct descriptor_stats { uint64_t files, open, limit, reopened, closed; };
struct descriptor_stats descriptors_stats(void);

#endif
