/* paths.h — paths in a configuration, as text.
 *
 * What        Joining and cleaning as Go's path/filepath does it, and its globs.
 * Invariants  none
 * Ownership   results lie in the arena
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_CONFIG_PATHS_H
#define EPI_CONFIG_PATHS_H

#include "base/arena.h"

str path_clean(struct arena *a, str path);                     /* without //, . and .. where they can go */
str path_dir(str path);                                        /* "." where there is none */
str path_in(struct arena *a, str dir, str path);               /* dir/path; absolute and empty paths as they are */
bool path_glob(str pattern, str name);                         /* * ? [a-z] \x; no / is matched by * */

#endif
