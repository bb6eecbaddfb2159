#include "chunk/recode.h"

#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"

struct recoding {
    struct chunk_iter it;
    struct hist_app hist;
    struct buf bytes; /* room of a float chunk */
    struct xor_app xor ;
    struct xor2_app xor2;
    uint8_t enc;
    struct recoded sum;
};

static void recoding_fini(struct recoding *c)
{
    chunk_iter_fini(&c->it);
    hist_app_fini(&c->hist);
    buf_fini(&c->bytes);
}

/* Floats: room for all of them at once. */
static void begin(struct recoding *c, uint8_t enc, str chunk)
{
    size_t n = chunk_count(enc, chunk), room = enc == CHUNK_XOR ? XOR_ROOM(n) : XOR2_ROOM(n);
    c->enc = enc;
    if (!chunk_enc_is_float(enc)) {
        hist_app_init(&c->hist, enc, NULL);
        return;
    }
    uint8_t *at = buf_room(&c->bytes, room);
    if (enc == CHUNK_XOR) xor_app_init(&c->xor, at, room);
    else xor2_app_init(&c->xor2, at, room);
}

static errc put_histogram(
    struct recoding *c, const struct sample_batch *b, size_t i, int64_t st, struct err *e)
{
    struct hist_words w =
        b->kind == SAMPLE_HISTOGRAM ? hist_words_of_int(b->ih[i]) : hist_words_of_float(b->h[i]);
    struct hist_app fresh;
    if (hist_append(&c->hist, &fresh, b->t[i], st, &w) != HIST_NEW) return OK;
    hist_app_fini(&fresh);
    return err_set(e, ERR_CORRUPT, "histogram counter reset");
}

static errc put(struct recoding *c, const struct sample_batch *b, size_t i, struct err *e)
{
    int64_t st = b->st ? b->st[i] : 0;
    bool ok = true;
    if (b->kind != SAMPLE_FLOAT) TRY(put_histogram(c, b, i, st, e));
    else if (c->enc == CHUNK_XOR) ok = xor_append(&c->xor, b->t[i], b->v[i]);
    else ok = xor2_append(&c->xor2, b->t[i], b->v[i], st);
    assert(ok);
    if (!c->sum.n++) c->sum.mint = b->t[i];
    c->sum.maxt = b->t[i];
    return OK;
}

static errc put_all(
    struct recoding *c, int64_t mint, int64_t maxt, const intervals *deleted, struct err *e)
{
    struct sample_batch b;
    do {
        TRY(chunk_iter_fill(&c->it, &b, e));
        for (size_t i = 0; i < b.n; i++) {
            bool out =
                b.t[i] < mint || b.t[i] > maxt || (deleted && intervals_have(deleted, b.t[i]));
            if (!out) TRY(put(c, &b, i, e));
        }
    } while (b.n);
    return OK;
}

static str view(const struct recoding *c)
{
    if (c->enc == CHUNK_XOR) return xor_app_bytes(&c->xor);
    return c->enc == CHUNK_XOR2 ? xor2_app_bytes(&c->xor2) : hist_app_bytes(&c->hist);
}

errc chunk_recode(struct recoded *r, struct buf *out, uint8_t enc, str chunk, int64_t mint,
    int64_t maxt, const intervals *deleted, struct err *e)
{
    SCOPED(recoding_fini) struct recoding c = { 0 };
    chunk_iter_init(&c.it);
    TRY(chunk_iter_reset(&c.it, enc, chunk, e));
    begin(&c, enc, chunk);
    TRY(put_all(&c, mint, maxt, deleted, e));
    if (c.sum.n) {
        c.sum.bytes = view(&c).n;
        buf_str(out, view(&c));
    }
    *r = c.sum;
    return OK;
}
