/* fs_check.h — one test holds every implementation of fs.h to its contract.
 *
 * What        fs_check runs all operations, good and bad, in a fresh folder of the fs and fails the
 *             test at the first difference.
 * Invariants  leaves the folder `dir` behind empty and removed
 * Ownership   borrows the fs
 * Threads     none
 * Errors      ends the test
 * Format      none
 *
 * Only test files include it.
 */
#ifndef EPI_IO_FS_CHECK_H
#define EPI_IO_FS_CHECK_H

#include "io/fs.h"

/* dir: a name that does not exist yet */
void fs_check(struct fs *fs, str dir);

/* `steps` random operations on the fs and on a naive twin in memory; everything readable is
 * compared as it goes. */
void fs_model_check(struct fs *fs, str dir, uint64_t seed, unsigned steps);

#endif
