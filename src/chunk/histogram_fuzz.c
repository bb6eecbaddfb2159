/* histogram_fuzz.c — any bytes as a histogram chunk: decoding ends in OK or ERR_CORRUPT, and what
 * decodes can be appended to other chunks and read from them again. */
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct writing { struct hist_app app; int64_t t; size_t n; };

static void append(struct writing *w, const struct sample_batch *b, size_t i, int64_t st)
{
    struct hist_words h = b->kind == SAMPLE_HISTOGRAM ? hist_words_of_int(b->ih[i])
                                                      : hist_words_of_float(b->h[i]);
    struct hist_app fresh;
    if (hist_append(&w->app, &fresh, b->t[i], st, &h) != HIST_NEW) return;
    hist_app_fini(&w->app);
    w->app = fresh;
}

static void read_again(const struct hist_app *a)
{
    struct hist_app open;
    errc rc = hist_app_open(&open, a->enc, hist_app_bytes(a), NULL, NULL);
    assert(rc == OK && hist_app_count(&open) == hist_app_count(a));
    assert(str_eq(hist_app_bytes(&open), hist_app_bytes(a)));
    hist_app_fini(&open);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const uint8_t encodings[] = { CHUNK_HISTOGRAM, CHUNK_FLOAT_HISTOGRAM, CHUNK_HISTOGRAM_ST,
                                         CHUNK_FLOAT_HISTOGRAM_ST };
    if (n == 0) return 0;
    uint8_t enc = encodings[p[0] % ARRAY_LEN(encodings)];
    struct chunk_iter it;
    struct sample_batch b;
    struct writing w = { 0 };
    int64_t first = 0;
    size_t taken = 0;
    bool any = false;
    chunk_iter_init(&it);
    errc begun = chunk_iter_begin(&it, enc, str_of(p + 1, n - 1), &first, &any, NULL);
    hist_app_init(&w.app, enc, NULL);
    errc rc = chunk_iter_reset(&it, enc, str_of(p + 1, n - 1), NULL);
    while (rc == OK) {
        rc = chunk_iter_fill(&it, &b, NULL);
        if (rc != OK || !b.n) break;
        assert(begun == OK && any && (taken++ || first == b.t[0]));
        for (size_t i = 0; i < b.n; i++) append(&w, &b, i, b.st ? b.st[i] : 0);
    }
    assert(rc == OK || rc == ERR_CORRUPT);
    if (hist_app_count(&w.app)) read_again(&w.app);
    hist_app_fini(&w.app);
    chunk_iter_fini(&it);
    return 0;
}
