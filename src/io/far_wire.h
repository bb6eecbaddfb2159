/* far_wire.h — a client's connection whose every step ends in time.
 *
 * What        Bytes to a server, and lines and counted bytes back, each until a moment: a server
 *             that drips keeps nobody longer than one that is mute.
 * Invariants  after an error a wire is of no use but to be closed
 * Ownership   the caller's; far_wire_open opens, far_wire_close closes. What was read is borrowed
 *             until the next call
 * Threads     one at a time
 * Errors      ERR_TIMEOUT, ERR_IO, ERR_CORRUPT (a line without end, a value that does not end where
 *             it says)
 * Format      lines end with CR LF, counted bytes too
 */
#ifndef EPI_IO_FAR_WIRE_H
#define EPI_IO_FAR_WIRE_H

#include "base/buf.h"
#include "base/err.h"

struct far_wire {
    int fd;
    struct buf in; /* came, from `at` not read yet */
    size_t at;
};
/* host: an address of the internet ("127.0.0.1", "[::1]"); until_ns: see clock_mono_ns() */
MUST_USE errc far_wire_open(
    struct far_wire *w, str host, str port, int64_t until_ns, struct err *e);
void far_wire_close(struct far_wire *w);
/* It was not hung up, and says nothing that was not asked for. */
bool far_wire_quiet(const struct far_wire *w);
MUST_USE errc far_wire_send(struct far_wire *w, str bytes, int64_t until_ns, struct err *e);
/* Without its end. */
MUST_USE errc far_wire_line(struct far_wire *w, int64_t until_ns, str *out, struct err *e);
/* n bytes. Those that are not `want` many are read, and empty here. */
MUST_USE errc far_wire_value(
    struct far_wire *w, uint64_t n, uint64_t want, int64_t until_ns, str *out, struct err *e);

#endif
