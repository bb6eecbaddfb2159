/* xor2_fuzz.c — any bytes as an XOR2 chunk: decoding ends in OK or ERR_CORRUPT, and what decodes is
 * encoded and decoded to itself. */
#include "chunk/chunk.h"
#include "chunk/xor2.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { ROOM = 4096 };
struct decoded { int64_t t[ROOM], st[ROOM]; double v[ROOM]; size_t n; };

static errc decode(str chunk, struct decoded *d)
{
    struct xor2_iter it;
    xor2_iter_init(&it, chunk);
    d->n = 0;
    for (size_t got;; d->n += got) {
        size_t at = d->n;
        errc rc = xor2_iter_fill(&it, d->t + at, d->v + at, d->st + at, ROOM - at, &got, NULL);
        if (rc != OK || !got) return rc;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct decoded a, b;
    static uint8_t bytes[XOR2_ROOM(ROOM)];
    errc rc = decode(str_of(p, n), &a);
    assert(rc == OK || rc == ERR_CORRUPT);
    size_t len = xor2_encode(bytes, a.t, a.v, a.st, a.n);
    errc again = decode(str_of(bytes, len), &b);
    assert(again == OK && b.n == a.n);
    assert(memcmp(a.t, b.t, a.n * sizeof(*a.t)) == 0 && memcmp(a.v, b.v, a.n * sizeof(*a.v)) == 0);
    assert(memcmp(a.st, b.st, a.n * sizeof(*a.st)) == 0);
    return 0;
}
