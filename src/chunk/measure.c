#include "chunk/measure.h"

#include "chunk/chunk.h"

static errc take(struct chunk_measure *m, const struct sample_batch *b, struct err *e)
{
    for (size_t i = 0; i < b->n; i++) {
        if (m->n && b->t[i] <= m->maxt)
            return err_set(e, ERR_CORRUPT, "chunk: sample %" PRIu64 " is not behind the one before",
                m->n);
        if (!m->n++) m->mint = b->t[i];
        m->maxt = b->t[i];
    }
    return OK;
}

errc chunk_measure(struct chunk_measure *out, struct chunk_iter *it, uint8_t enc, str data,
    struct err *e)
{
    struct chunk_measure m = { 0 };
    struct sample_batch batch = { 0 };
    TRY(chunk_check(enc, data, e));
    TRY(chunk_iter_reset(it, enc, data, e));
    do {
        TRY(chunk_iter_fill(it, &batch, e));
        TRY(take(&m, &batch, e));
    } while (batch.n);
    size_t said = chunk_count(enc, data);
    if (m.n != said)
        return err_set(
            e, ERR_CORRUPT, "chunk: %" PRIu64 " samples, its header says %zu", m.n, said);
    *out = m;
    return OK;
}
