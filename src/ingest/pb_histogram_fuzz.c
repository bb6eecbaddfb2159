#include "ingest/pb_histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena a = { 0 };
    struct pb_histogram h;
    struct exemplar x;
    if (pb_histogram_decode(&h, str_of(data, n), &a, NULL) == OK) {
        assert(!h.whole != !h.floats);
        errc rc =
            h.whole ? int_histogram_validate(h.whole, NULL) : histogram_validate(h.floats, NULL);
        (void)rc;
    }
    if (pb_exemplar_decode(&x, str_of(data, n), &a, NULL) == OK) {
        errc rc = exemplar_check(&x, NULL);
        (void)rc;
    }
    arena_fini(&a);
    return 0;
}
