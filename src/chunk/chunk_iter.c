#include "chunk/chunk_iter.h"

#include "base/cursor.h"
#include "chunk/chunk.h"

void chunk_iter_init(struct chunk_iter *it)
{
    it->enc = CHUNK_NONE;
    it->ended = true;
    hist_iter_init(&it->hist);
}

void chunk_iter_fini(struct chunk_iter *it) { hist_iter_fini(&it->hist); }

errc chunk_iter_reset(struct chunk_iter *it, uint8_t enc, str chunk, struct err *e)
{
    TRY(chunk_check(enc, chunk, e));
    it->enc = enc;
    it->ended = chunk_count(enc, chunk) == 0;
    if (enc == CHUNK_XOR) xor_iter_init(&it->xor, chunk);
    else if (enc == CHUNK_XOR2) xor2_iter_init(&it->xor2, chunk);
    else hist_iter_reset(&it->hist, enc, chunk);
    return OK;
}

errc chunk_iter_begin(
    struct chunk_iter *it, uint8_t enc, str chunk, int64_t *t, bool *any, struct err *e)
{
    TRY(chunk_check(enc, chunk, e));
    *any = chunk_count(enc, chunk) > 0;
    if (!*any) return OK;
    if (enc == CHUNK_XOR || enc == CHUNK_XOR2) {
        cursor c = cur_of(str_from(chunk, enc == CHUNK_XOR ? XOR_HEADER_BYTES : XOR2_HEADER_BYTES));
        *t = cur_varint(&c);
        return c.bad ? err_set(e, ERR_CORRUPT, "chunk: no first time") : OK;
    }
    TRY(chunk_iter_reset(it, enc, chunk, e));
    arena_reset(&it->hist.arena, (struct arena_mark){ 0 });
    TRY(hist_state_take(&it->hist.s, &it->hist.in, &it->hist.arena, e));
    *t = it->hist.s.t;
    return OK;
}

static errc fill(struct chunk_iter *it, struct sample_batch *out, struct err *e)
{
    switch (it->enc) {
    case CHUNK_XOR:
        TRY(xor_iter_fill(&it->xor, out->t, out->v, SAMPLE_BATCH, &out->n, e));
        it->ended = it->xor.i == it->xor.n;
        return OK;
    case CHUNK_XOR2:
        TRY(xor2_iter_fill(&it->xor2, out->t, out->v, it->st, SAMPLE_BATCH, &out->n, e));
        it->ended = it->xor2.i == it->xor2.n;
        return OK;
    default:
        TRY(hist_iter_fill(&it->hist, out, it->st, e));
        it->ended = it->hist.s.n == it->hist.n;
        return OK;
    }
}

errc chunk_iter_fill(struct chunk_iter *it, struct sample_batch *out, struct err *e)
{
    out->kind = SAMPLE_FLOAT;
    out->n = 0;
    out->st = NULL;
    if (it->ended) return OK;
    TRY(fill(it, out, e));
    if (it->enc == CHUNK_XOR) return OK;
    for (size_t i = 0; i < out->n && !out->st; i++)
        if (it->st[i]) out->st = it->st;
    return OK;
}
