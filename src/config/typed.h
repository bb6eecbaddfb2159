/* typed.h — settings whose kind is a word: "type: S3", "config: {…}".
 *
 * What        Decodes the fields beside both, finds the kind by its word in any case, decodes
 *             "config" by the kind's table, and has it filled in.
 * Invariants  none
 * Ownership   values and texts lie in the arena
 * Threads     any
 * Errors      those of config/schema, and "FAMILY with type T is not supported", in Thanos' words
 * Format      Thanos' storage and cache configuration: docs/object-storage.md
 */
#ifndef EPI_CONFIG_TYPED_H
#define EPI_CONFIG_TYPED_H

#include "config/schema.h"

struct typed_kind {
    str type;
    const struct section *section;
    errc (*fill)(void *out, const struct value *v, struct arena *a, struct err *e);
};
struct typed {
    const char *family, *made; /* "bucket", of which a "client" is created */
    const struct section *root;
    const struct typed_kind *kinds;
    size_t n;
};
/* *root: the fields beside "config". */
errc typed_parse(void *out, const struct typed *t, str text, const struct value **root,
    struct arena *a, struct err *e);

/* The text of --flag, or of the file that --flag-file names; both are an error, none is "". */
errc typed_text(str *out, const char *flag, str text, str path, struct arena *a, struct err *e);

#endif
