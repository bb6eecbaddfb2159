#include "head/snapshot_codec.h"

#include "base/cursor.h"
#include "base/f64.h"
#include "chunk/chunk.h"

/* Older versions kept the last four samples of an open chunk here; the newest value is still
 * read. */
enum { OLD_SAMPLES_BYTES = 3 * 16 + 8, LABEL_MIN_BYTES = 2, TOMBSTONES_FORMAT = 1 };

static bool is_float(uint8_t enc) { return chunk_enc_is_float(enc); }

void snapshot_series_encode(struct buf *b, const struct snapshot_series *s)
{
    static const uint8_t zeros[OLD_SAMPLES_BYTES];
    buf_u8(b, SNAPSHOT_SERIES);
    buf_be64(b, s->ref);
    buf_uvarint(b, s->labels.n);
    for (size_t i = 0; i < s->labels.n; i++) {
        buf_lenstr(b, s->labels.at[i].name);
        buf_lenstr(b, s->labels.at[i].value);
    }
    buf_be64(b, 0);                            /* was the chunk range */
    buf_uvarint(b, s->has_chunk);
    if (!s->has_chunk) return;
    buf_be64(b, (uint64_t)s->mint);
    buf_be64(b, (uint64_t)s->maxt);
    buf_u8(b, s->enc);
    buf_lenstr(b, s->data);
    if (is_float(s->enc)) {
        buf_bytes(b, zeros, sizeof(zeros));
        buf_be64(b, f64_bits(s->last));
    } else {
        buf_str(b, s->last_histogram);
    }
}

static struct labels read_labels(cursor *c, struct arena *a)
{
    uint64_t n = cur_uvarint(c);
    if (n > cur_left(c) / LABEL_MIN_BYTES) {
        cur_fail(c);
        return (struct labels){ 0 };
    }
    struct label *at = arena_array(a, (size_t)n, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        at[i].name = cur_lenstr(c);
        at[i].value = cur_lenstr(c);
    }
    return (struct labels){ at, (size_t)n };
}

errc snapshot_series_decode(
    struct snapshot_series *out, str rec, struct arena *a, struct err *e)
{
    cursor c = cur_of(rec);
    struct snapshot_series s = { 0 };
    if (cur_u8(&c) != SNAPSHOT_SERIES)
        return err_set(e, ERR_CORRUPT, "memory snapshot: no record of a series");
    s.ref = cur_be64(&c);
    s.labels = read_labels(&c, a);
    (void)cur_be64(&c);
    s.has_chunk = cur_uvarint(&c) != 0;
    if (s.has_chunk) {
        s.mint = (int64_t)cur_be64(&c);
        s.maxt = (int64_t)cur_be64(&c);
        s.enc = cur_u8(&c);
        s.data = cur_lenstr(&c);
        if (is_float(s.enc)) {
            (void)cur_bytes(&c, OLD_SAMPLES_BYTES);
            s.last = f64_of_bits(cur_be64(&c));
        } else {
            s.last_histogram = cur_rest(&c);
        }
    }
    if (!cur_done(&c))
        return err_set(e, ERR_CORRUPT, "memory snapshot: a series is cut short or too long");
    *out = s;
    return OK;
}

void snapshot_tombstones_encode(struct buf *b, const struct snapshot_tombstone *at, size_t n)
{
    SCOPED(buf_fini) struct buf list = { 0 };
    buf_u8(&list, TOMBSTONES_FORMAT);
    for (size_t i = 0; i < n; i++) {
        buf_uvarint(&list, at[i].ref);
        buf_varint(&list, at[i].deleted.mint);
        buf_varint(&list, at[i].deleted.maxt);
    }
    buf_u8(b, SNAPSHOT_TOMBSTONES);
    buf_lenstr(b, buf_view(&list));
}

errc snapshot_tombstones_decode(snapshot_tombstones *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    size_t had = out->n;
    bool ours = cur_u8(&c) == SNAPSHOT_TOMBSTONES;
    cursor list = cur_of(cur_lenstr(&c));
    ours = ours && cur_done(&c) && cur_u8(&list) == TOMBSTONES_FORMAT;
    while (ours && cur_left(&list)) {
        struct snapshot_tombstone t = { .ref = cur_uvarint(&list) };
        t.deleted.mint = cur_varint(&list);
        t.deleted.maxt = cur_varint(&list);
        if (cur_ok(&list)) vec_push(out, t);
    }
    if (ours && cur_ok(&list)) return OK;
    out->n = had;
    return err_set(e, ERR_CORRUPT, "memory snapshot: no list of deleted intervals");
}
