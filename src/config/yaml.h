/* yaml.h — a YAML document as a tree with line numbers.
 *
 * What        Built from libyaml's events. What a plain scalar means (YAML 1.1: yes, 0x10, ~ …) is
 *             asked of the scalar, as Go's yaml.v2 answers it.
 * Invariants  children of a map come in pairs; depth and number of nodes are bounded; aliases point
 *             to nodes that are complete
 * Ownership   all lies in the arena
 * Threads     none
 * Errors      ERR_BAD_INPUT with yaml.v2's words: yaml: line 2: did not find expected key
 * Format      YAML 1.1
 */
#ifndef EPI_CONFIG_YAML_H
#define EPI_CONFIG_YAML_H

#include "base/arena.h"
#include "base/err.h"

enum yaml_kind { YAML_SCALAR, YAML_SEQ, YAML_MAP };
enum yaml_tag {
    TAG_NULL,
    TAG_BOOL,
    TAG_INT,
    TAG_FLOAT,
    TAG_STR,
    TAG_SEQ,
    TAG_MAP,
    TAG_BINARY,
    TAG_TIMESTAMP,
    TAG_OTHER
};

struct yaml_node {
    enum yaml_kind kind;
    bool plain;                        /* a scalar without quotes: its text decides what it is */
    unsigned line;                     /* from 1 */
    str text;                          /* scalar */
    str tag;                           /* explicit, as in "!!str"; empty: none */
    struct yaml_node **at;             /* seq: elements; map: key, value, … */
    size_t n, cap;
};

/* *out NULL: an empty document. */
MUST_USE errc yaml_parse(struct arena *a, str text, struct yaml_node **out, struct err *e);

/* int: magnitude in u */
struct yaml_scalar { enum yaml_tag tag; bool b; bool neg; uint64_t u; double f; };
struct yaml_scalar yaml_resolve(const struct yaml_node *n);
struct yaml_scalar yaml_resolve_text(str text);                /* of a plain scalar */
bool yaml_is_null(const struct yaml_node *n);
/* The map without one of its members, which is handed out: what that is depends on the others.
 * NULL: there is none. */
struct yaml_node yaml_without(
    const struct yaml_node *n, str member, struct yaml_node **out, struct arena *a);
const char *yaml_tag_name(enum yaml_tag t);                    /* "!!str" */

#endif
