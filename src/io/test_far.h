/* test_far.h — a cache's server that says any bytes, for fuzz targets.
 *
 * What        Its first byte says which question is answered and where the answer is cut in two:
 *             the first part came already, the other comes later.
 * Invariants  an answer is taken for keys that were asked for, once each, with the length that was
 *             wanted or none
 * Ownership   none
 * Threads     one at a time
 * Errors      none
 * Format      far_protocol.h
 */
#ifndef EPI_IO_TEST_FAR_H
#define EPI_IO_TEST_FAR_H

#include "base/clock.h"
#include "io/far_protocol.h"
#include "io/socket.h"

#include <sys/socket.h>

enum { FAR_FUZZ_KEYS = 3, FAR_FUZZ_SAID_MAX = 64 << 10, FAR_FUZZ_WAIT_S = 5, FAR_FUZZ_CUTS = 32 };

struct far_fuzz_taken { const struct far_item *items; unsigned times[FAR_FUZZ_KEYS]; };

static inline void far_fuzz_take(void *ctx, struct far_item *x, str value)
{
    struct far_fuzz_taken *t = ctx;
    size_t i = (size_t)(x - t->items);
    assert(i < FAR_FUZZ_KEYS && !t->times[i]);
    assert(!value.n || value.n == x->n + FAR_HEAD_BYTES);
    t->times[i]++;
    for (size_t k = 0; k < value.n; k++) x->got ^= value.p[k] & 1; /* each byte is there */
}

/* What was said stands in the wire up to `cut`; the rest comes, then it hangs up. */
static inline struct far_wire far_fuzz_wire(str said, size_t cut, int *other)
{
    int both[2];
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both);
    assert(rc == 0);
    str rest = str_from(said, cut);
    struct far_wire w = { .fd = both[0] };
    buf_str(&w.in, str_slice(said, 0, cut));
    ssize_t sent = rest.n ? send(both[1], rest.p, rest.n, MSG_NOSIGNAL) : 0;
    assert(sent == (ssize_t)rest.n);
    rc = shutdown(both[1], SHUT_WR);
    assert(rc == 0);
    *other = both[1];
    return w;
}

static inline void far_fuzz(const struct far_protocol *protocol, str said)
{
    struct far_item items[FAR_FUZZ_KEYS] = { { .key = S("one"), .n = 4 },
        { .key = S("two"), .n = 0 }, { .key = S("three"), .n = 40 } };
    struct far_item *const wanted[FAR_FUZZ_KEYS] = { &items[0], &items[1], &items[2] };
    struct far_fuzz_taken taken = { items, { 0 } };
    struct far_cache_opts o = { .username = S("u"), .password = S("p"), .db = 1 };
    if (!said.n || said.n > FAR_FUZZ_SAID_MAX) return;
    uint8_t how = said.p[0];
    said = str_from(said, 1);
    int other;
    struct far_wire w = far_fuzz_wire(said, said.n * (how % FAR_FUZZ_CUTS) / FAR_FUZZ_CUTS, &other);
    int64_t until_ns = clock_mono_ns() + FAR_FUZZ_WAIT_S * INT64_C(1000000000);
    errc rc = OK;
    if (how >= 128 && protocol->greet) rc = protocol->greet(&w, &o, until_ns, NULL);
    if (rc == OK) rc = protocol->get(&w, wanted, FAR_FUZZ_KEYS, until_ns, far_fuzz_take, &taken,
            NULL);
    if (rc == OK) rc = protocol->put(&w, S("one"), S("value"), 60, until_ns, NULL);
    assert(rc != ERR_TIMEOUT); /* all of it was there */
    far_wire_close(&w);
    sock_close(other);
}

#endif
