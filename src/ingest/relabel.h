/* relabel.h — rules that rewrite, keep or drop a set of labels.
 *
 * What        The relabel actions of Prometheus: on targets before they are scraped, on samples
 *             before they are stored.
 * Invariants  relabel_check passed and the regex is compiled before relabel_apply runs
 * Ownership   strings are borrowed (a configuration's arena); relabel_fini frees the regex
 * Threads     a rule is const after relabel_check: any
 * Errors      ERR_BAD_INPUT with Prometheus' words
 * Format      conformance/misc/relabel.jsonl, relabel_config.jsonl
 */
#ifndef EPI_INGEST_RELABEL_H
#define EPI_INGEST_RELABEL_H

#include "model/labels.h"
#include "model/regex.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
    RELABEL_ACTIONS
};

struct relabel_rule {
    enum relabel_action action;
    const str *source;                 /* names of source labels */
    size_t n_source;
    bool source_set;                   /* source_labels was given, perhaps empty */
    str separator, target, replacement;
    str pattern;
    bool pattern_set;                  /* a regex was given, be it the default's text */
    struct regex *regex;
    uint64_t modulus;
    bool legacy_names;                 /* label names are [a-zA-Z_][a-zA-Z0-9_]*, not any UTF-8 */
};
struct relabel_rules { struct relabel_rule *at; size_t n; };

struct relabel_rule relabel_default(void);                     /* replace, ";", (.*), $1 */
MUST_USE bool relabel_action_parse(str word, enum relabel_action *out);   /* any case */
str relabel_action_name(enum relabel_action a);

MUST_USE errc relabel_compile(struct relabel_rule *r, struct err *e);    /* the regex */
/* that the fields fit the action */
MUST_USE errc relabel_check(const struct relabel_rule *r, struct err *e);
void relabel_fini(struct relabel_rules rules);

/* Applies the rules in order; false: dropped. What is made lies in the builder's arena. */
bool relabel_apply(struct relabel_rules rules, struct labels_builder *lb);

#endif
