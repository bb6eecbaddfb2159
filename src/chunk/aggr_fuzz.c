/* aggr_fuzz.c — any bytes as a chunk of aggregates: it is taken apart, or ERR_CORRUPT; each part
 * lies within the bytes, and looking at all of it ends. */
#include "chunk/aggr.h"
#include "chunk/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct aggr_one all[AGGR_KINDS];
    struct chunk_measure m;
    struct chunk_iter it;
    errc rc = aggr_split(all, str_of(p, n), NULL);
    assert(rc == OK || rc == ERR_CORRUPT);
    for (size_t i = 0; rc == OK && i < AGGR_KINDS; i++) {
        if (all[i].enc == CHUNK_NONE) continue;
        assert(chunk_enc_plain(all[i].enc) && all[i].data.p > p);
        assert(all[i].data.p + all[i].data.n <= p + n);
    }
    chunk_iter_init(&it);
    errc whole = aggr_measure(&m, &it, str_of(p, n), NULL);
    assert(whole == OK || whole == ERR_CORRUPT);
    chunk_iter_fini(&it);
    return 0;
}
