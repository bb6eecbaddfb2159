/* losers.h — the least of many sources that go on one after the other: a tree of losers.
 *
 * What        Which of n sources, 0 to n - 1, has the least element. When the least one's element
 *             changes, it plays again against those that lost on its way: one comparison a level,
 *             where a heap needs two and one more way up.
 * Invariants  losers_least is a source that no other is less than
 * Ownership   losers_init allocates, losers_fini frees; ctx is borrowed
 * Threads     none
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_LOSERS_H
#define EPI_BASE_LOSERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is source a's element before b's? A source that has ended is behind all others. A total order: of
 * equal elements one has to be first. */
typedef bool (*losers_less)(const void *ctx, uint32_t a, uint32_t b);
struct losers {
    uint32_t *at; /* [0]: the least; [k]: who lost at node k, whose children are 2k and 2k + 1 */
    uint32_t n;
    losers_less less;
    const void *ctx;
};

void losers_init(struct losers *t, uint32_t n, losers_less less, const void *ctx); /* n > 0 */
void losers_fini(struct losers *t); /* the zero value is fine */
static inline uint32_t losers_least(const struct losers *t) { return t->at[0]; }
void losers_changed(struct losers *t); /* the least one has another element, or ended */

#endif
