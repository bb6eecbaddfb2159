/* test_vectors.h — golden files, line by line, for unit tests.
 *
 * What        Reads NAME or NAME.gz below the shared folder; each line is one JSON value.
 * Invariants  none
 * Ownership   vectors_open/vectors_close; a line's JSON lives until the next line. hex bytes come
 *             from the arena of the file.
 * Threads     none
 * Errors      a missing or malformed file ends the test
 * Format      golden/README.md of the shared folder
 *
 * Only test files include it.
 */
#ifndef EPI_BASE_TEST_VECTORS_H
#define EPI_BASE_TEST_VECTORS_H

#include "base/arena.h"

#include <jansson.h>

struct vectors {
    void *file;
    char *line;
    size_t cap;
    json_t *json;
    struct arena a;
    size_t n;
    const char *path;
    char name[400];
};

/* path below test_shared(), without .gz */
void vectors_open(struct vectors *v, const char *path);
/* NULL: the end; path:line and its text are the test's case */
json_t *vectors_next(struct vectors *v);
void vectors_close(struct vectors *v);

/* a whole binary file below test_shared() */
str vectors_file(struct arena *a, const char *path);

str json_hex(struct arena *a, const json_t *s);                /* "00ff" as bytes */
int64_t json_i64_of(const json_t *o, const char *key);
uint64_t json_bits_of(const json_t *o, const char *key);       /* 16 hex digits */
str json_str_of(const json_t *o, const char *key);

#endif
