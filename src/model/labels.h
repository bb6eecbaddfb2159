/* labels.h — the identity of a series: sorted pairs of name and value.
 *
 * What        A borrowed view on pairs, and a builder that sorts and checks.
 * Invariants  (1) Sorted by name as unsigned bytes, no name twice, no empty value.
 *             labels_builder_done establishes it.
 * Ownership   struct labels borrows; labels_copy puts pairs and bytes into one arena.
 * Threads     values
 * Errors      ERR_BAD_INPUT: duplicate name, empty set where a series is made
 * Format      the hash of labels_hash is Prometheus' Labels.Hash of its default build
 *             (conformance/misc/labels.jsonl)
 */
#ifndef EPI_MODEL_LABELS_H
#define EPI_MODEL_LABELS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#define METRIC_NAME S("__name__")

struct label { str name, value; };
struct labels { const struct label *at; size_t n; };

str labels_get(struct labels l, str name);                     /* empty: absent */
bool labels_has(struct labels l, str name);
int labels_cmp(struct labels a, struct labels b);              /* as Prometheus' labels.Compare */
bool labels_eq(struct labels a, struct labels b);
struct labels labels_copy(struct arena *a, struct labels l);
/* XXH64 over the flat encoding: decides limit_ratio */
uint64_t labels_hash(struct labels l);
uint64_t labels_stable_hash(struct labels l);                  /* Prometheus' StableHash */
/* {a="b", "utf-8 name"="c"} as Labels.String */
void buf_labels(struct buf *b, struct labels l);

/* quoted where it is not a legacy label name */
void buf_label_name(struct buf *b, str name);

/* Without / with only the named labels; the result borrows from l, its array lies in the arena.
 * names are sorted. */
struct labels labels_without(struct arena *a, struct labels l, const str *names, size_t n);
struct labels labels_only(struct arena *a, struct labels l, const str *names, size_t n);
struct labels labels_without_name(struct arena *a, struct labels l);        /* drops __name__ */
/* Both sets together; of a name that both have, the value of `first`. Borrows like these; with an
 * empty `second` it is `first` itself. */
struct labels labels_join(struct arena *a, struct labels first, struct labels second);

/* Collects pairs in any order; a later value of a name replaces the earlier one; an empty value
 * removes it. */
/* pairs: first what is left of the base as it was, then what was set, in the order in which it
 * first was. The order decides what a relabel rule that maps two names to one leaves. */
struct labels_builder { VEC(struct label) pairs; size_t n_base; struct arena *a; };
/* pairs and copies come from a */
void labels_builder_init(struct labels_builder *lb, struct arena *a);
/* starts over from base */
void labels_builder_from(struct labels_builder *lb, struct labels base);
/* copies neither: borrow, or arena_str first */
void labels_builder_set(struct labels_builder *lb, str name, str value);
void labels_builder_del(struct labels_builder *lb, str name);
str labels_builder_get(const struct labels_builder *lb, str name);
/* sorted, in the arena; the builder may go on */
struct labels labels_builder_done(struct labels_builder *lb);

bool label_name_valid_legacy(str name);                        /* [a-zA-Z_][a-zA-Z0-9_]* */
bool label_name_valid_utf8(str name);                          /* non-empty valid UTF-8 */
bool metric_name_valid_legacy(str name);                       /* [a-zA-Z_:][a-zA-Z0-9_:]* */
/* all names, the metric's name, and values as UTF-8 */
bool labels_valid(struct labels l, bool utf8);

#endif
