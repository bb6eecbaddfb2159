/* label_num.h — labels by the numbers of their texts in a table of symbols.
 *
 * What        Pairs of numbers instead of texts: where both sides know the table, labels are
 *             compared and passed on without a look at any text.
 * Invariants  the numbers of a table ascend as its texts do
 * Ownership   struct label_nums borrows
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_LABEL_NUM_H
#define EPI_MODEL_LABEL_NUM_H

#include "base/vec.h"

struct label_num { uint32_t name, value; };
struct label_nums { const struct label_num *at; size_t n; };
typedef VEC(struct label_num) label_num_list;

/* as labels_cmp of the texts */
static inline int label_nums_cmp(struct label_nums a, struct label_nums b)
{
    size_t n = MIN(a.n, b.n);
    for (size_t i = 0; i < n; i++) {
        struct label_num x = a.at[i], y = b.at[i];
        if (x.name != y.name) return x.name < y.name ? -1 : 1;
        if (x.value != y.value) return x.value < y.value ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

#endif
