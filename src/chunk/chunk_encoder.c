#include "chunk/chunk_encoder.h"

#include "chunk/chunk.h"
#include "chunk/cut.h"

enum { FLOAT_ROOM = 512 };                     /* a float chunk's buffer grows by so much */

void chunk_encoder_fini(struct chunk_encoder *w)
{
    hist_app_fini(&w->hist);
    vec_fini(&w->chunks);
    buf_fini(&w->bytes);
    *w = (struct chunk_encoder){ 0 };
}

static void encoder_reset(struct chunk_encoder *w)
{
    w->chunks.n = 0;
    buf_reset(&w->bytes);
    w->enc = CHUNK_NONE;
}

void chunk_encoder_begin(struct chunk_encoder *w, uint8_t floats)
{
    assert(chunk_enc_is_float(floats));
    encoder_reset(w);
    w->keep = CHUNK_NONE;
    w->floats = floats;
}

void chunk_encoder_begin_trim(struct chunk_encoder *w, uint8_t enc)
{
    assert(chunk_enc_known(enc));
    encoder_reset(w);
    w->keep = enc;
}

static void close_chunk(struct chunk_encoder *w)
{
    struct encoded_chunk c = { w->mint, w->maxt, w->enc, w->bytes.n, 0 };
    if (w->enc == CHUNK_NONE) return;
    if (chunk_enc_is_float(w->enc)) {
        c.n = w->enc == CHUNK_XOR ? xor_app_bytes(&w->xor).n : xor2_app_bytes(&w->xor2).n;
        buf_commit(&w->bytes, c.n);
    } else {
        c.n = hist_app_bytes(&w->hist).n;
        buf_str(&w->bytes, hist_app_bytes(&w->hist));
        hist_app_fini(&w->hist);
        w->hist = (struct hist_app){ 0 };
    }
    vec_push(&w->chunks, c);
    w->enc = CHUNK_NONE;
}

void chunk_encoder_end(struct chunk_encoder *w) { close_chunk(w); }

/* Floats are encoded behind the chunks that are done. */
static void open_chunk(struct chunk_encoder *w, uint8_t enc)
{
    w->enc = enc;
    w->n = 0;
    if (enc == CHUNK_XOR) xor_app_init(&w->xor, buf_room(&w->bytes, FLOAT_ROOM), FLOAT_ROOM);
    else if (enc == CHUNK_XOR2)
        xor2_app_init(&w->xor2, buf_room(&w->bytes, FLOAT_ROOM), FLOAT_ROOM);
    else hist_app_init(&w->hist, enc, NULL);
}

static uint8_t wanted(const struct chunk_encoder *w, enum sample_kind kind, bool with_st)
{
    if (w->keep != CHUNK_NONE) return w->keep;
    switch (kind) {
    case SAMPLE_HISTOGRAM: return with_st ? CHUNK_HISTOGRAM_ST : CHUNK_HISTOGRAM;
    case SAMPLE_FLOAT_HISTOGRAM: return with_st ? CHUNK_FLOAT_HISTOGRAM_ST : CHUNK_FLOAT_HISTOGRAM;
    default: return with_st ? CHUNK_XOR2 : w->floats;
    }
}

/* XOR and XOR2 may stand for each other, as long as no start time is lost. */
static bool ends(const struct chunk_encoder *w, uint8_t enc, bool with_st)
{
    if (w->enc == CHUNK_NONE) return true;
    size_t most = w->keep == CHUNK_NONE ? (size_t)CUT_SAMPLES : chunk_samples_max(w->enc);
    if (w->n >= most) return true;
    if (w->enc == enc) return false;
    bool floats = chunk_enc_is_float(w->enc) && chunk_enc_is_float(enc);
    return !floats || (with_st && w->enc == CHUNK_XOR);
}

/* The bytes of an open float chunk, with room for another FLOAT_ROOM. */
static uint8_t *float_room(struct chunk_encoder *w, size_t n, size_t *cap)
{
    *cap = n + FLOAT_ROOM;
    w->bytes.n += n;                           /* growing keeps only what is counted */
    uint8_t *room = buf_room(&w->bytes, FLOAT_ROOM);
    w->bytes.n -= n;
    assert(room);
    return w->bytes.p + w->bytes.n;
}

static void put_float(struct chunk_encoder *w, int64_t t, double v, int64_t st)
{
    if (w->enc == CHUNK_XOR) {
        while (!xor_append(&w->xor, t, v))
            w->xor.at = float_room(w, xor_app_bytes(&w->xor).n, &w->xor.cap);
    } else {
        while (!xor2_append(&w->xor2, t, v, st))
            w->xor2.at = float_room(w, xor2_app_bytes(&w->xor2).n, &w->xor2.cap);
    }
}

static void put_histogram(struct chunk_encoder *w, const struct sample_batch *b, size_t i,
                          int64_t st)
{
    struct hist_words h = b->kind == SAMPLE_HISTOGRAM ? hist_words_of_int(b->ih[i])
                                                      : hist_words_of_float(b->h[i]);
    struct hist_app fresh;
    if (hist_append(&w->hist, &fresh, b->t[i], st, &h) != HIST_NEW) return;
    uint8_t enc = w->enc;
    close_chunk(w);
    w->enc = enc;
    w->hist = fresh;
    w->n = 0;
}

void chunk_encoder_put(struct chunk_encoder *w, const struct sample_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        int64_t st = b->st ? b->st[i] : 0;
        uint8_t enc = wanted(w, b->kind, st != 0);
        if (ends(w, enc, st != 0)) {
            close_chunk(w);
            open_chunk(w, enc);
        }
        if (b->kind == SAMPLE_FLOAT) put_float(w, b->t[i], b->v[i], st);
        else put_histogram(w, b, i, st);
        if (w->n++ == 0) w->mint = b->t[i];
        w->maxt = b->t[i];
    }
}
