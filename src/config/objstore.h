/* objstore.h — where a bucket is, from YAML as Thanos reads it.
 *
 * What        type, config and prefix, strictly by tables of fields: FILESYSTEM, S3, GCS. A
 *             reference $(NAME) stands for a variable of the environment.
 * Invariants  none
 * Ownership   all lies in the arena
 * Threads     none
 * Errors      ERR_BAD_INPUT with the words of Thanos' client, ERR_UNSUPPORTED (signatures of
 *             version 2, gRPC), ERR_NOT_FOUND and ERR_IO of a file
 * Format      docs/object-storage.md
 */
#ifndef EPI_CONFIG_OBJSTORE_H
#define EPI_CONFIG_OBJSTORE_H

#include "base/arena.h"
#include "base/err.h"
#include "bucket/bucket_config.h"

/* env NULL: no environment; then references stay as they are. */
MUST_USE errc objstore_parse(struct bucket_config *out, str text,
    const char *(*env)(const char *name), struct arena *a, struct err *e);
/* One of both, as flags give them: text, or a file's name. */
MUST_USE errc objstore_load(struct bucket_config *out, str text, str path,
    const char *(*env)(const char *name), struct arena *a, struct err *e);

#endif
