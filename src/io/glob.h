/* glob.h — which files a pattern names.
 *
 * What        Go's filepath.Glob on the real file system.
 * Invariants  sorted within a folder; a pattern without special characters names the file if it is
 *             there; what cannot be read is passed over
 * Ownership   names lie in the arena
 * Threads     any
 * Errors      ERR_BAD_INPUT: "syntax error in pattern"
 * Format      patterns as in base/path.h; in folders, too
 */
#ifndef EPI_IO_GLOB_H
#define EPI_IO_GLOB_H

#include "base/err.h"
#include "base/vec.h"

/* appends with avec_push */
MUST_USE errc glob_paths(str pattern, struct arena *a, str_list *out, struct err *e);

#endif
