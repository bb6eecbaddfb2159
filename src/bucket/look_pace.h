/* look_pace.h — when a bucket is looked at next.
 *
 * What        Looks come each `every`. When something says that the last one no longer holds (it
 *             failed, a block that it found could not be read, an object of a block has gone) the
 *             next comes `first` after it, then after twice as long, and so on, up to `every`.
 *             When nothing was amiss for a while the next such look is soon again.
 * Invariants  Two looks are never closer than `first`.
 * Ownership   none
 * Threads     one
 * Errors      none
 * Format      none
 */
#ifndef EPI_BUCKET_LOOK_PACE_H
#define EPI_BUCKET_LOOK_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct look_pace {
    int64_t first_ns, every_ns;
    int64_t soon_ns;                           /* how long a look holds for sure */
    int64_t last_ns;                           /* when it ended */
    bool looked;                               /* there was one */
};
/* The first look is due at once. */
void look_pace_init(struct look_pace *p, int64_t first_ns, int64_t every_ns);
/* amiss: the last look may no longer hold. */
bool look_pace_due(const struct look_pace *p, int64_t now_ns, bool amiss);
/* A look ended; amiss: one that said so was the reason, and looks may be put off for it. */
void look_pace_looked(struct look_pace *p, int64_t now_ns, bool amiss);

#endif
