#include "head/image_codec.h"

#include "base/crc32c.h"

enum { IMAGE_VERSION = 2, MAGIC_BYTES = 8 };
#define IMAGE_MAGIC S("EPIIMAGE")

void image_header_encode(struct buf *b, const struct image_place *p)
{
    size_t from = b->n;
    buf_str(b, IMAGE_MAGIC);
    buf_u8(b, IMAGE_VERSION);
    buf_be32(b, p->segment);
    buf_be64(b, p->offset);
    buf_be32(b, p->log_crc);
    buf_be64(b, p->last_ref);
    if (buf_ok(b)) buf_be32(b, crc32c(0, b->p + from, b->n - from));
}

errc image_header_decode(struct image_place *out, str header, struct err *e)
{
    cursor c = cur_of(header);
    str magic = cur_bytes(&c, MAGIC_BYTES);
    uint8_t version = cur_u8(&c);
    struct image_place p = { .segment = cur_be32(&c) };
    p.offset = cur_be64(&c);
    p.log_crc = cur_be32(&c);
    p.last_ref = cur_be64(&c);
    uint32_t crc = cur_be32(&c);
    if (!cur_done(&c) || !str_eq(magic, IMAGE_MAGIC))
        return err_set(e, ERR_CORRUPT, "head image: no header");
    if (version != IMAGE_VERSION)
        return err_set(e, ERR_CORRUPT, "head image: unknown version %u", version);
    if (crc != crc32c(0, header.p, header.n - sizeof(crc)))
        return err_set(e, ERR_CORRUPT, "head image: wrong checksum of the header");
    *out = p;
    return OK;
}

/* ---- frames ---- */

size_t image_frame_begin(struct buf *b)
{
    buf_be64(b, 0);
    return b->n;
}

void image_frame_end(struct buf *b, size_t mark)
{
    struct buf head = { 0 };
    if (!buf_ok(b)) return;
    buf_be32(&head, (uint32_t)(b->n - mark));
    buf_be32(&head, crc32c(0, b->p + mark, b->n - mark));
    memcpy(b->p + mark - IMAGE_FRAME_BYTES, head.p, IMAGE_FRAME_BYTES);
    buf_fini(&head);
}

errc image_frame_decode(struct image_frame *out, str header, struct err *e)
{
    cursor c = cur_of(header);
    struct image_frame f = { .n = cur_be32(&c) };
    f.crc = cur_be32(&c);
    if (!cur_ok(&c) || !f.n || f.n > IMAGE_FRAME_MAX_BYTES)
        return err_set(e, ERR_CORRUPT, "head image: a frame of a wrong length");
    *out = f;
    return OK;
}

errc image_frame_check(const struct image_frame *f, str bytes, struct err *e)
{
    if (bytes.n == f->n && crc32c_str(bytes) == f->crc) return OK;
    return err_set(e, ERR_CORRUPT, "head image: wrong checksum of a frame");
}

void image_end_encode(struct buf *b, uint64_t frames, uint64_t series)
{
    size_t mark = image_frame_begin(b);
    buf_u8(b, IMAGE_END);
    buf_uvarint(b, frames);
    buf_uvarint(b, series);
    image_frame_end(b, mark);
}

errc image_kind_decode(str frame, uint64_t frames, bool *is_end, struct err *e)
{
    cursor c = cur_of(frame);
    uint8_t kind = cur_u8(&c);
    if (kind == IMAGE_SERIES) {
        *is_end = false;
        return OK;
    }
    uint64_t counted = cur_uvarint(&c);
    cur_uvarint(&c);                           /* series: for who looks at the file */
    if (kind != IMAGE_END || !cur_done(&c) || counted != frames)
        return err_set(e, ERR_CORRUPT, "head image: a wrong last frame");
    *is_end = true;
    return OK;
}

/* ---- series ---- */

void image_series_fini(struct image_series *s)
{
    vec_fini(&s->closed);
    vec_fini(&s->chunks);
}

void image_series_begin(struct buf *b) { buf_u8(b, IMAGE_SERIES); }

void image_series_encode(struct buf *b, const struct image_series *s, sref *prev)
{
    int64_t before = 0;
    buf_varint(b, (int64_t)(s->ref - *prev));
    *prev = s->ref;
    buf_uvarint(b, s->closed.n);
    for (size_t i = 0; i < s->closed.n; i++) {
        buf_varint(b, (int64_t)((uint64_t)s->closed.at[i] - (uint64_t)before));
        before = s->closed.at[i];
    }
    buf_uvarint(b, s->chunks.n);
    for (size_t i = 0; i < s->chunks.n; i++) {
        buf_u8(b, s->chunks.at[i].enc);
        if (s->chunks.at[i].enc != IMAGE_AS_HELD) buf_varint(b, s->chunks.at[i].maxt);
        buf_lenstr(b, s->chunks.at[i].data);
    }
}

/* ---- chunks as they are held ---- */

enum { CODING_MASK = 3, HELD_FALLS = 4, HELD_SAME_TIMES = 8, WORD_BITS = 32 };

static unsigned words_of(const struct open_state *s)
{
    return (s->payload_bits + WORD_BITS - 1u) / WORD_BITS;
}

/* From number `from` on, each less the one before. */
static void put_times(struct buf *b, const int64_t *t, unsigned from, unsigned n)
{
    for (unsigned i = from; i < n; i++)
        buf_uvarint(b, (uint64_t)t[i] - (i ? (uint64_t)t[i - 1] : 0));
}

void image_held_encode(struct buf *b, const struct chunk_copy *c, const struct open_state *s,
    struct image_times *before)
{
    unsigned common = MIN(before->n, c->n);
    bool same = common && !memcmp(before->t, c->t, common * sizeof(*c->t));
    buf_u8(b, (uint8_t)((c->coding & CODING_MASK) | (s->falls ? HELD_FALLS : 0) |
                        (same ? HELD_SAME_TIMES : 0)));
    buf_u8(b, c->unit);
    buf_u8(b, s->rice);
    buf_u8(b, s->xor_lead);
    buf_u8(b, s->xor_trail);
    buf_be16(b, s->xor_bits);
    buf_be16(b, s->payload_bits);
    buf_be64(b, c->last_v);
    buf_uvarint(b, c->n);
    put_times(b, c->t, same ? common : 0, c->n);
    if (!same || c->n > before->n) {
        memcpy(before->t, c->t, c->n * sizeof(*c->t));
        before->n = c->n;
    }
    for (unsigned i = 0; i < words_of(s); i++) buf_be32(b, c->words[i]);
}

/* Into before: it has c->n times at least, then. */
static bool take_times(cursor *in, struct chunk_copy *c, struct image_times *before, bool same)
{
    bool good = same ? before->n > 0 : true;
    if (!same) before->n = 0;
    for (; good && before->n < c->n; before->n++) {
        uint64_t step = cur_uvarint(in);
        int64_t last = before->n ? before->t[before->n - 1] : 0;
        int64_t t = (int64_t)((uint64_t)last + step);
        good = cur_ok(in) && (!before->n || t > last);
        before->t[before->n] = t;
    }
    if (!good) return false;
    uint64_t span = (uint64_t)before->t[c->n - 1] - (uint64_t)before->t[0];
    if (span > UINT32_MAX) return false;
    memcpy(c->t, before->t, c->n * sizeof(*c->t));
    return true;
}

errc image_held_decode(struct chunk_copy *c, struct open_state *s, struct image_times *before,
    bool *fresh, str data, struct err *e)
{
    cursor in = cur_of(data);
    uint8_t flags = cur_u8(&in);
    c->coding = flags & CODING_MASK;
    c->unit = cur_u8(&in);
    *s = (struct open_state){ .falls = flags & HELD_FALLS, .rice = cur_u8(&in) };
    s->xor_lead = cur_u8(&in);
    s->xor_trail = cur_u8(&in);
    s->xor_bits = cur_be16(&in);
    s->payload_bits = cur_be16(&in);
    c->last_v = cur_be64(&in);
    uint64_t n = cur_uvarint(&in);
    c->n = (unsigned)MIN(n, (uint64_t)RUN_MAX);
    *fresh = !(flags & HELD_SAME_TIMES);
    bool good = cur_ok(&in) && n && n <= RUN_MAX && take_times(&in, c, before, !*fresh);
    c->n_words = words_of(s);
    if (!good || c->n_words > COPY_CELLS * CELL_BITS / WORD_BITS ||
        cur_left(&in) != c->n_words * sizeof(*c->words))
        return err_set(e, ERR_CORRUPT, "head image: an open chunk that is none");
    for (unsigned i = 0; i < c->n_words; i++) c->words[i] = cur_be32(&in);
    memset(c->words + c->n_words, 0, (COPY_WORDS - c->n_words) * sizeof(*c->words));
    c->mint = c->t[0];
    c->maxt = c->t[c->n - 1];
    return OK;
}

errc image_frame_iter_init(struct image_frame_iter *it, str frame, struct err *e)
{
    *it = (struct image_frame_iter){ .c = cur_of(frame) };
    if (cur_u8(&it->c) == IMAGE_SERIES) return OK;
    return err_set(e, ERR_CORRUPT, "head image: no frame of series");
}

/* Counts are bounded by what is left: an entry of either list has a byte at least. */
errc image_frame_next(
    struct image_frame_iter *it, struct image_series *out, bool *got, struct err *e)
{
    cursor *c = &it->c;
    uint64_t before = 0;
    *got = cur_left(c) > 0;
    if (!*got) return OK;
    out->closed.n = out->chunks.n = 0;
    out->ref = it->prev += (uint64_t)cur_varint(c);
    for (uint64_t n = cur_uvarint(c); n && cur_ok(c); n--) {
        before += (uint64_t)cur_varint(c);
        vec_push(&out->closed, (int64_t)before);
    }
    for (uint64_t n = cur_uvarint(c); n && cur_ok(c); n--) {
        struct image_chunk chunk = { .enc = cur_u8(c) };
        if (chunk.enc != IMAGE_AS_HELD) chunk.maxt = cur_varint(c);
        chunk.data = cur_lenstr(c);
        vec_push(&out->chunks, chunk);
    }
    if (cur_ok(c)) return OK;
    return err_set(e, ERR_CORRUPT, "head image: a frame that is cut short");
}
