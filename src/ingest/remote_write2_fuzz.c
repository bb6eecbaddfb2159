#include "ingest/pb_histogram.h"
#include "ingest/remote_write.h"
#include "ingest/remote_write2.h"

/* What the key spells out is read back by the decoder of 1.0: the same labels. */
static void check_key(struct write2_request *r, const struct write2_series *s, bool typed)
{
    struct buf key, series, body;
    struct write_labels want, got;
    buf_init(&key, NULL, 1 << 16);
    buf_init(&series, NULL, 0);
    buf_init(&body, NULL, 0);
    if (write2_series_key(r, s, typed, &key) &&
        write2_series_labels(r, s, typed, &want, NULL) == OK) {
        struct write_request one;
        struct write_series ts;
        bool more = false;
        buf_u8(&body, 1 << 3 | 2);
        buf_lenstr(&body, buf_view(&key));
        write_request_init(&one, buf_view(&body));
        errc rc = write_request_next(&one, &ts, &more, NULL);
        assert(rc == OK && more && ts.labels_raw.n == key.n);
        got = write_series_labels(&ts, r->a);
        assert(got.fault == want.fault && got.all.n == want.all.n);
        for (size_t i = 0; i < got.all.n; i++)
            assert(str_eq(got.all.at[i].name, want.all.at[i].name) &&
                   str_eq(got.all.at[i].value, want.all.at[i].value));
    }
    buf_fini(&key);
    buf_fini(&series);
    buf_fini(&body);
}

static void check_series(struct write2_request *r, struct write2_series *s)
{
    struct metadata m;
    struct write2_sample x;
    uint32_t samples = 0, histograms = 0, exemplars = 0;
    str message;
    check_key(r, s, false);
    check_key(r, s, true);
    (void)!write2_series_metadata(r, s, &m, NULL);
    while (write2_series_sample(s, &x)) samples++;
    for (cursor c = cur_of(s->message); write2_series_other(&c, WRITE2_HISTOGRAM, &message);) {
        struct pb_histogram h;
        (void)!pb_histogram_decode(&h, message, r->a, NULL);
        histograms++;
    }
    for (cursor c = cur_of(s->message); write2_series_other(&c, WRITE2_EXEMPLAR, &message);) {
        struct exemplar e;
        (void)!write2_exemplar(r, message, &e, NULL);
        exemplars++;
    }
    assert(samples == s->n_samples && histograms == s->n_histograms);
    assert(exemplars == s->n_exemplars);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct write2_request r;
    struct arena a;
    arena_init(&a, NULL, 0);
    if (write2_request_read(&r, str_of(data, n), &a, NULL) == OK)
        for (struct write2_series s; write2_request_next(&r, &s);) check_series(&r, &s);
    arena_fini(&a);
    return 0;
}
