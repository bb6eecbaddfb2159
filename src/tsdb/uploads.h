/* uploads.h — which blocks a shipper has uploaded, as its file says.
 *
 * What        Blocks of the head that are still to be uploaded are not compacted: a shipper would
 *             never see them. The file is Thanos' thanos.shipper.json or one like it.
 * Invariants  the file is read at most once a minute; one that cannot be read holds nothing back
 * Ownership   uploads_new/free; the path is copied
 * Threads     one
 * Errors      logged
 * Format      {"version": 1, "uploaded": ["ULID", …]}
 */
#ifndef EPI_TSDB_UPLOADS_H
#define EPI_TSDB_UPLOADS_H

#include "block/meta_codec.h"

struct uploads;
struct uploads *uploads_new(str path);
void uploads_free(struct uploads *u);          /* NULL is fine */
/* u NULL: nothing is */
bool uploads_pending(struct uploads *u, const struct block_meta *m);

#endif
