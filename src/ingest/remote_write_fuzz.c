#include "ingest/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct write_request r;
    struct arena a;
    arena_init(&a, NULL, 0);
    write_request_init(&r, str_of(data, n));
    struct write_series s;
    bool more = true;
    while (write_request_next(&r, &s, &more, NULL) == OK && more) {
        struct labels l;
        if (write_series_labels(&s, &a, &l, NULL) == OK) assert(l.n >= 1);
        int64_t t;
        double v;
        uint32_t samples = 0;
        while (write_series_sample(&s, &t, &v)) samples++;
        assert(samples == s.n_samples);
    }
    arena_fini(&a);
    return 0;
}
