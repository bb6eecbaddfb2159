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
    errc rc;
    while ((rc = write_request_next(&r, &s, &more, NULL)) == OK && more) {
        struct write_labels l = write_series_labels(&s, &a);
        assert(l.fault != WRITE_FINE || l.kept.n >= 1);
        int64_t t;
        double v;
        uint32_t samples = 0;
        while (write_series_sample(&s, &t, &v)) samples++;
        assert(samples == s.n_samples);
    }
    if (rc == OK) {
        struct write_request again;
        write_request_again(&again, str_of(data, n));
        do rc = write_request_next(&again, &s, &more, NULL); while (rc == OK && more);
        assert(rc == OK && again.n_series == r.n_series && again.n_samples == r.n_samples);
    }
    arena_fini(&a);
    return 0;
}
