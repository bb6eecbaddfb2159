#include "chunk/aggr.h"

#include "base/cursor.h"
#include "chunk/plain.h"

const char *aggr_name(enum aggr which)
{
    static const char *const names[AGGR_KINDS] = { "count", "sum", "min", "max", "counter" };
    return names[which];
}

errc aggr_split(struct aggr_one out[static AGGR_KINDS], str data, struct err *e)
{
    cursor c = cur_of(data);
    for (size_t i = 0; i < AGGR_KINDS; i++) {
        uint64_t n = cur_uvarint(&c);
        out[i] = (struct aggr_one){ 0 };
        if (!n) continue;
        out[i].enc = cur_u8(&c);
        out[i].data = cur_bytes(&c, n);
        if (!cur_ok(&c)) break;
        if (!chunk_enc_plain(out[i].enc))
            return err_set(e, ERR_CORRUPT, "chunk of aggregates: %s: unknown encoding %u",
                aggr_name((enum aggr)i), out[i].enc);
        TRY_IN(e, chunk_check(out[i].enc, out[i].data, e), "chunk of aggregates: %s",
            aggr_name((enum aggr)i));
    }
    if (cur_done(&c)) return OK;
    return err_set(e, ERR_CORRUPT, "chunk of aggregates: it has another length");
}

errc aggr_begin(struct chunk_iter *it, str data, int64_t *t, bool *any, struct err *e)
{
    struct aggr_one all[AGGR_KINDS];
    *any = false;
    TRY(aggr_split(all, data, e));
    for (size_t i = 0; !*any && i < AGGR_COUNTER; i++)
        if (all[i].enc != CHUNK_NONE)
            TRY(chunk_iter_begin(it, all[i].enc, all[i].data, t, any, e));
    return OK;
}

static errc counter_measure(struct chunk_iter *it, const struct aggr_one *x, struct err *e)
{
    struct sample_batch b = { 0 };
    int64_t last = INT64_MIN;
    uint64_t n = 0;
    TRY(chunk_iter_reset(it, x->enc, x->data, e));
    do {
        TRY(chunk_iter_fill(it, &b, e));
        for (size_t i = 0; i < b.n; i++) {
            if (b.t[i] < last) return err_set(e, ERR_CORRUPT, "chunk: a sample goes back in time");
            last = b.t[i];
        }
        n += b.n;
    } while (b.n);
    size_t said = chunk_count(x->enc, x->data);
    if (n == said) return OK;
    return err_set(e, ERR_CORRUPT, "chunk: %" PRIu64 " samples, its header says %zu", n, said);
}

/* Joins what one aggregate has to what the others have. */
static void measure_join(struct chunk_measure *all, const struct chunk_measure *one)
{
    if (!one->n) return;
    all->mint = all->n ? MIN(all->mint, one->mint) : one->mint;
    all->maxt = all->n ? MAX(all->maxt, one->maxt) : one->maxt;
    all->n = MAX(all->n, one->n);
}

errc aggr_measure(struct chunk_measure *out, struct chunk_iter *it, str data, struct err *e)
{
    struct aggr_one all[AGGR_KINDS];
    struct chunk_measure m = { 0 };
    TRY(aggr_split(all, data, e));
    for (size_t i = 0; i < AGGR_KINDS; i++) {
        struct chunk_measure one = { 0 };
        if (all[i].enc == CHUNK_NONE) continue;
        errc rc = i == AGGR_COUNTER ? counter_measure(it, &all[i], e)
                                    : chunk_measure(&one, it, all[i].enc, all[i].data, e);
        if (rc != OK)
            return err_in(e, rc, "chunk of aggregates: %s", aggr_name((enum aggr)i));
        measure_join(&m, &one);
    }
    *out = m;
    return OK;
}
