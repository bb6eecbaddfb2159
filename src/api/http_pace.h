/* http_pace.h — who waits where uploads of samples want the cores.
 *
 * What        Answers that are there at once cost little each, but clients that ask for the next
 *             one as soon as they have one take the cores from uploads, by the answers and by all
 *             that they do with them themselves. So while uploads press, requests that give way
 *             begin at a pace: PACE_A_SECOND of each core, after a burst of PACE_BURST of each
 *             that begin at once. Who asks now and then waits for nothing: a connection that had
 *             its last answer PACE_RESTED_NS ago begins at once, however many wait. Uploads press
 *             when as many as half of the cores are at work, and for PACE_PRESSED_NS after that:
 *             who sends without a pause has pauses of a round trip.
 * Invariants  None waits longer than PACE_WAIT_NS for its turn, however many ask, and until the
 *             loop looks.
 * Ownership   a value
 * Threads     one at a time
 * Errors      none
 * Format      none
 */
#ifndef EPI_API_HTTP_PACE_H
#define EPI_API_HTTP_PACE_H

#include "base/defs.h"

enum {
    PACE_A_SECOND = 400,
    PACE_BURST = 8,
    PACE_WAIT_NS = 25 * 1000 * 1000,
    PACE_RESTED_NS = 20 * 1000 * 1000,
    PACE_PRESSED_NS = 10 * 1000 * 1000
};

struct pace {
    unsigned cores, uploads;               /* uploads: at work */
    int64_t pressed_ns;                    /* until then they press */
    int64_t next_ns;                       /* of the next request, had there been no burst */
};
/* Times: of one monotonic clock. */
void pace_init(struct pace *p, unsigned cores, int64_t now_ns);
void pace_upload_begins(struct pace *p, int64_t now_ns);
void pace_upload_ends(struct pace *p, int64_t now_ns);     /* REQUIRES: it began */
/* May a request begin out of its turn, whose connection had its last answer at answered_ns? It is
 * counted. */
bool pace_rested(struct pace *p, int64_t answered_ns, int64_t now_ns);
/* May a request begin, that came at came_ns? False: not before *due_ns, if nothing changes. */
bool pace_take(struct pace *p, int64_t came_ns, int64_t now_ns, int64_t *due_ns);

#endif
