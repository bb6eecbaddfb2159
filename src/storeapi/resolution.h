/* resolution.h — which parts of a storage answer where some are downsampled.
 *
 * What        Of parts of the same stream: the coarsest that will do, and where these have
 *             gaps finer ones.
 * Invariants  a time that any part fine enough of a stream has is asked of one of them; parts that
 *             are unknown are asked always
 * Ownership   borrows
 * Threads     pure
 * Errors      none
 * Format      none; the choice is that of Thanos' store
 */
#ifndef EPI_STOREAPI_RESOLUTION_H
#define EPI_STOREAPI_RESOLUTION_H

#include "storeapi/store_source.h"

/* window_ms: the coarsest resolution that will do. wanted: one for each part; those without samples
 * in `asked` may be among them. REQUIRES: resolutions as bucket_view.h has them */
void parts_by_resolution(
    const store_parts *parts, struct interval asked, int64_t window_ms, bool *wanted);

#endif
