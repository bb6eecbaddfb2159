/* path.h — names of files as text.
 *
 * What        Go's filepath.Clean, Dir, Base and Match on slashes, and joining with a folder.
 * Invariants  none
 * Ownership   results borrow from their input or lie in the arena
 * Threads     any
 * Errors      path_match: a pattern that cannot be read
 * Format      patterns: * any run without a slash, ? one rune but a slash, [a-z] and [^a-z]
 *             classes, \x quotes
 */
#ifndef EPI_BASE_PATH_H
#define EPI_BASE_PATH_H

#include "base/arena.h"

/* without //, . and .. where they can go */
str path_clean(struct arena *a, str path);
/* "." where there is none, "/" above the root's entries */
str path_dir(str path);
str path_base(str path);                                       /* behind the last slash */
/* dir/path; absolute and empty paths as they are */
str path_in(struct arena *a, str dir, str path);

/* *bad: the pattern has an error ("syntax error in pattern"); may be NULL */
bool path_match(str pattern, str name, bool *bad);
bool path_has_glob(str pattern);                               /* it holds one of *?[\ */

#endif
