/* schema.h — the configuration's schema: one table of fields a section.
 *
 * What        A section is a table of fields: name, kind, default, whether it is printed when zero.
 *             From the same tables a file is decoded (strictly: what is not in the table is an
 *             error with its line), defaulted, checked and printed for /status/config.
 * Invariants  a struct value has one value a field, in the table's order, which is the order of
 *             printing
 * Ownership   values lie in the load's arena
 * Threads     none
 * Errors      ERR_BAD_INPUT with Prometheus' words. Words about types are collected over the whole
 *             file; the first word of another kind ends the load.
 * Format      docs: configuration reference
 */
#ifndef EPI_CONFIG_SCHEMA_H
#define EPI_CONFIG_SCHEMA_H

#include "base/vec.h"
#include "config/yaml.h"
#include "ingest/relabel.h"

enum field_kind {
    F_STR, F_SECRET, F_WORD,           /* F_WORD: a string with a check of its own */
    F_BOOL, F_BOOL_PTR, F_INT, F_UINT, F_FLOAT, F_DURATION, F_SIZE, F_URL, F_REGEX,
    F_STRS,                            /* a list of strings; with `word`: each is checked */
    F_SECRETS, F_STR_MAP, F_STRS_MAP, F_LABELS, F_LABEL_SET, F_SECTION_MAP,
    F_SECTION,                         /* a section in place */
    F_SECTION_PTR,                     /* a section that may be absent */
    F_SECTIONS                         /* a list of sections, whose elements may be null */
};
enum field_flags {
    OMIT = 1,                          /* not printed when zero */
    FLOW = 2,                          /* printed as [a, b] */
    LIST_OF_VALUES = 4,                /* elements are structs, not pointers: a null is a zero */
    /* relative paths are joined with the configuration's folder */
    PATH = 8,
    HIDDEN = 16,                       /* texts are secrets */
    DERIVED = 32                       /* printed, but no field of a file */
};

struct value;
struct load;
struct section;
struct field {
    const char *name;
    enum field_kind kind;
    unsigned flags;
    const char *def;                   /* default, as it would stand in a file; NULL: zero */
    const struct section *sub;
    const char *go_type;               /* in words about types, where the kind does not tell */
    errc (*word)(struct load *l, str *s, struct err *e);
};
struct section {
    const char *name;                  /* in words about types */
    const struct field *fields;
    size_t n;
    errc (*check)(struct load *l, struct value *v, struct err *e);
    /* an absent section of F_SECTION is zero, not made of defaults */
    bool keeps_zero;
    /* a section in the file starts from zero; its defaults are those of an absent one */
    bool from_zero;
};

struct pair { str name; struct value *value; };
struct value {
    const struct field *f;
    bool set;                          /* stood in the file */
    bool null;                         /* pointer, list, map: none */
    /* strings; durations, sizes and URLs as they will be printed */
    str s;
    str raw;                           /* as it stood in the file */
    bool b;
    int64_t i;                         /* ints, durations in ms, sizes in bytes */
    uint64_t u;
    double d;
    str *strs;                         /* F_STRS */
    struct value **at;                 /* section: its fields; sections: elements, NULL: null */
    struct pair *pairs;                /* maps, sorted by name; F_STR_MAP, F_LABELS: value->s */
    size_t n;
};

struct load {
    struct arena *a;
    str_list words;                    /* about types, in the order of the file */
    size_t steps;                      /* of decoding: bounds what aliases multiply */
    /* of a storage whose section says nothing; empty: none */
    str retention_time, retention_size;
    bool exemplars;                    /* the section exemplars is there if nobody writes it */
    bool extra_scrape_metrics;         /* the default of global.extra_scrape_metrics */
    bool protobuf_first;               /* the default of global.scrape_protocols */
};

#define FIELDS_OF(t) .fields = (t), .n = ARRAY_LEN(t)

/* The value of a section with all defaults. */
struct value *value_default(struct load *l, const struct section *s);
struct value *value_zero(struct load *l, const struct section *s);
MUST_USE errc section_decode(struct load *l, const struct section *s, const struct yaml_node *n,
    struct value **out, struct err *e);
/* A list of sections that is a document of its own; f is of kind F_SECTIONS. */
MUST_USE errc sections_decode(struct load *l, const struct field *f, const struct yaml_node *n,
    struct value **out, struct err *e);
/* ERR_BAD_INPUT and all words about types, if there are any. */
MUST_USE errc load_words(const struct load *l, struct err *e);

/* The field of a section by name; it must be in the table. */
struct value *value_field(const struct value *v, const char *name);
static inline str value_str(const struct value *v, const char *name)
{
    return value_field(v, name)->s;
}
static inline bool value_bool(const struct value *v, const char *name)
{
    return value_field(v, name)->b;
}
static inline int64_t value_int(const struct value *v, const char *name)
{
    return value_field(v, name)->i;
}
bool value_is_zero(const struct value *v);
void value_put_str(struct value *v, const char *name, str s);
/* as if it stood in the file */
MUST_USE errc value_put_word(
    struct load *l, struct value *v, const char *name, str text, struct err *e);

/* Prints a section as YAML, as Go's yaml.v2 prints the struct. */
void value_print(struct buf *out, const struct value *v);

#endif
