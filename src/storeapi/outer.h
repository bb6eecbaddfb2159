/* outer.h — what a series is called outside: external labels put in, others left out.
 *
 * What        The labels of a series of one part as the StoreAPI shows them; matchers cut to what
 *             the part itself can know; whether a shard wants a series.
 * Invariants  (1) External labels win over a series' own ones. (2) Where none of a series' own
 *             labels goes or is replaced, two series change their order only if one's labels are
 *             the beginning of the other's: outer.last says behind which name that cannot be.
 * Ownership   borrows; lists lie in the given arena. A memo owns what it keeps, outer_memo_fini.
 * Threads     values; one at a time a memo
 * Errors      none
 * Format      the hash of a shard: XXH64 over name 0xFF value 0xFF …
 */
#ifndef EPI_STOREAPI_OUTER_H
#define EPI_STOREAPI_OUTER_H

#include "base/buf.h"
#include "base/vec.h"
#include "storeapi/store_codec.h"

struct outer {
    struct labels external;            /* but for those that are left out */
    str_list taken;                    /* names that a series' own labels lose, ascending */
    str last;                          /* the greatest external name; empty: none */
};
void outer_init(struct outer *o, struct labels external, str_list without, struct arena *a);
/* For series after series of one part: most have the names of the one before. {0} is empty. */
struct outer_memo {
    struct buf names;                  /* of the series that came last, one behind the other */
    VEC(size_t) lengths;               /* of each */
    VEC(size_t) places;                /* of each label outside: of its own, then of the external */
    VEC(struct label) labels;
    bool known, lost;
};
void outer_memo_fini(struct outer_memo *m);
/* Its list is the memo's until the next call, strings are those of own. *lost: one of its own
 * labels is gone. All calls of a memo: with one `o`. */
struct labels outer_labels(
    struct outer_memo *m, const struct outer *o, struct labels own, bool *lost);

bool shard_wants(const struct store_shard *s, struct labels labels, struct buf *scratch);

#endif
