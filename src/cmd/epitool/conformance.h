/* conformance.h — recorded questions, asked of our code.
 *
 * What        A kind of question (the name of its file of vectors) and what answers one: it reads
 *             the fields that ask, never those that were expected, and writes what our code makes
 *             of them. The runner in tests/conformance compares.
 * Invariants  one answer a line: {"line":N,"got":{…}}; a question that cannot be read:
 *             {"line":N,"got":{},"error":"words"}
 * Ownership   an answer's memory lies in the arena, which ends with the line
 * Threads     the main thread
 * Errors      ask's become the line's error
 * Format      conformance/README.md of the vectors
 */
#ifndef EPI_CMD_EPITOOL_CONFORMANCE_H
#define EPI_CMD_EPITOOL_CONFORMANCE_H

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

/* --dataset FILE, --values FILE; NULL: not given */
struct conformance_args { const char *dataset, *values; };

struct conformance_kind {
    const char *name;                      /* "parser/valid" */
    /* writes members of got */
    errc (*ask)(const json_t *q, struct arena *a, struct json *got, struct err *e);
    /* before the first line; may be NULL */
    errc (*begin)(const struct conformance_args *args, struct err *e);
    /* may be NULL */
    void (*end)(void);
};

extern const struct conformance_kind conformance_parser_valid, conformance_parser_invalid,
    conformance_parser_series, conformance_promql, conformance_exposition_text,
    conformance_exposition_openmetrics, conformance_exposition_protobuf,
    conformance_exposition_content_type, conformance_relabel,
    conformance_relabel_config, conformance_regexp, conformance_labels, conformance_float_format,
    conformance_float_parse, conformance_timestamp_format, conformance_durations,
    conformance_config;

str conformance_str(const json_t *q, const char *key);         /* empty: absent or null */
/* The bytes of KEY, or of KEY_b64 (and of b64 for s), which stands where they are no UTF-8. */
str conformance_bytes(const json_t *q, const char *key, struct arena *a);

#endif
