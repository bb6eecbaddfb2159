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

void chunk_encoder_begin(struct chunk_encoder *w, const struct chunk_rules *by)
{
    assert(by->rule == CHUNKS_TRIMMED ? chunk_enc_known(by->enc) : chunk_enc_is_float(by->floats));
    hist_app_fini(&w->hist);                   /* a row that was given up */
    w->hist = (struct hist_app){ 0 };
    w->chunks.n = 0;
    buf_reset(&w->bytes);
    w->by = *by;
    w->enc = CHUNK_NONE;
}

static size_t open_bytes(const struct chunk_encoder *w)
{
    if (w->enc == CHUNK_XOR) return xor_app_bytes(&w->xor).n;
    return w->enc == CHUNK_XOR2 ? xor2_app_bytes(&w->xor2).n : hist_app_bytes(&w->hist).n;
}

static void close_chunk(struct chunk_encoder *w)
{
    if (w->enc == CHUNK_NONE) return;
    struct encoded_chunk c = { w->mint, w->maxt, w->enc, w->bytes.n, open_bytes(w) };
    if (chunk_enc_is_float(w->enc)) {
        buf_commit(&w->bytes, c.n);
    } else {
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
    if (w->by.rule == CHUNKS_TRIMMED) return w->by.enc;
    bool hist_st = w->by.rule == CHUNKS_FIXED ? w->by.hist_st : with_st;
    switch (kind) {
    case SAMPLE_HISTOGRAM: return hist_st ? CHUNK_HISTOGRAM_ST : CHUNK_HISTOGRAM;
    case SAMPLE_FLOAT_HISTOGRAM: return hist_st ? CHUNK_FLOAT_HISTOGRAM_ST : CHUNK_FLOAT_HISTOGRAM;
    default: return with_st && w->by.rule != CHUNKS_FIXED ? CHUNK_XOR2 : w->by.floats;
    }
}

static bool same_kind(uint8_t a, uint8_t b)
{
    if (chunk_enc_is_float(a) || chunk_enc_is_float(b))
        return chunk_enc_is_float(a) && chunk_enc_is_float(b);
    return chunk_enc_is_float_histogram(a) == chunk_enc_is_float_histogram(b);
}

/* A chunk of late samples that has start times goes on with samples that have none. */
static bool ends_by_bytes(const struct chunk_encoder *w, uint8_t enc, bool with_st)
{
    enum { TARGET_BYTES = 1024, SAMPLES_MIN = 10 };
    if (!same_kind(w->enc, enc) || (with_st && !w->with_st)) return true;
    if (chunk_enc_is_float(enc)) return open_bytes(w) > CUT_BYTES;
    return open_bytes(w) > TARGET_BYTES && hist_app_count(&w->hist) > SAMPLES_MIN;
}

/* XOR and XOR2 may stand for each other, as long as no start time is lost. */
static bool ends_joined(const struct chunk_encoder *w, uint8_t enc, bool with_st)
{
    if (w->n >= CUT_SAMPLES) return true;
    if (w->enc == enc) return false;
    bool floats = chunk_enc_is_float(w->enc) && chunk_enc_is_float(enc);
    return !floats || (with_st && w->enc == CHUNK_XOR);
}

static bool ends(const struct chunk_encoder *w, uint8_t enc, bool with_st)
{
    if (w->enc == CHUNK_NONE || w->n >= chunk_samples_max(w->enc)) return true;
    switch (w->by.rule) {
    case CHUNKS_JOINED: return ends_joined(w, enc, with_st);
    case CHUNKS_BY_BYTES: return ends_by_bytes(w, enc, with_st);
    default: return w->enc != enc;
    }
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
            w->with_st = st != 0;
        }
        if (b->kind == SAMPLE_FLOAT) put_float(w, b->t[i], b->v[i], st);
        else put_histogram(w, b, i, st);
        if (w->n++ == 0) w->mint = b->t[i];
        w->maxt = b->t[i];
    }
}
