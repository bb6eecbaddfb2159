/* flood.h — how much of what costs us, and gives the other side nothing, a connection may send.
 *
 * What        Two allowances that fill up again with time: one of frames that are no request
 *             (pings, settings, windows, priorities, empty data), one of calls that end before we
 *             answered.
 * Invariants  (1) What went to the other side fills the first one up: who takes answers may say so
 *             as often as it likes. (2) The second one is filled by time alone.
 * Ownership   a value
 * Threads     the connection's
 * Errors      false: it is too much
 * Format      none
 */
#ifndef EPI_GRPC_FLOOD_H
#define EPI_GRPC_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FLOOD_FRAMES = 1000,               /* at once */
    FLOOD_FRAMES_A_SECOND = 100,
    FLOOD_ENDS = 200,
    FLOOD_ENDS_A_SECOND = 50
};
struct flood { double frames, ends; int64_t frames_ns, ends_ns; };

void flood_init(struct flood *f, int64_t now_ns);
bool flood_frame(struct flood *f, int64_t now_ns);
bool flood_end(struct flood *f, int64_t now_ns);
void flood_answered(struct flood *f);

#endif
