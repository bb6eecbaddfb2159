/* xor_fuzz.c — any bytes as an XOR chunk: decoding ends in OK or ERR_CORRUPT, the same in both
 * builds of the loops, and what decodes is encoded and decoded to itself. */
#include "chunk/chunk.h"
#include "chunk/xor.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    enum { ROOM = 4096 };
    static int64_t t[ROOM], t2[ROOM];
    static double v[ROOM], v2[ROOM];
    static uint8_t bytes[XOR_ROOM(ROOM)];
    size_t got, again;
    errc rc = chunk_check(CHUNK_XOR, str_of(p, n), NULL);
    xor_use_plain(true);
    errc plain = xor_decode(str_of(p, n), t2, v2, ROOM, &again, NULL);
    xor_use_plain(false);
    errc best = xor_decode(str_of(p, n), t, v, ROOM, &got, NULL);
    assert(best == plain);
    if (best != OK) return 0;
    assert(rc == OK && again == got);
    assert(memcmp(t, t2, got * sizeof(*t)) == 0 && memcmp(v, v2, got * sizeof(*v)) == 0);
    size_t len = xor_encode(bytes, t, v, got);
    errc rc2 = xor_decode(str_of(bytes, len), t2, v2, ROOM, &again, NULL);
    assert(rc2 == OK && again == got);
    assert(memcmp(t, t2, got * sizeof(*t)) == 0 && memcmp(v, v2, got * sizeof(*v)) == 0);
    return 0;
}
