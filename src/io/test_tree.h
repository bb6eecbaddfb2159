/* test_tree.h — golden folders on a simulated disk.
 *
 * What        Copies a folder with all it holds from one fs to another.
 * Invariants  what was copied is durable
 * Ownership   none
 * Threads     none
 * Errors      end the test
 * Format      none
 *
 * Only test files include it.
 */
#ifndef EPI_IO_TEST_TREE_H
#define EPI_IO_TEST_TREE_H

#include "io/fs.h"

/* a folder that is absent stays so */
void tree_copy(struct fs *to, struct fs *from, str dir);
/* a simulated disk with golden/NAME/data of the shared folder */
struct fs *tree_golden(const char *name, uint64_t seed);

#endif
