#include "block/index_codec.h"

#include "base/crc32c.h"

enum {
    SECTION_HEAD_BYTES = 4,
    TOC_FIELDS = 6,
    LABEL_MIN_BYTES = 2,
    CHUNK_MIN_BYTES = 3,
    STRINGS_OF_ENTRY = 2
};

void index_header_encode(struct buf *b)
{
    buf_be32(b, INDEX_MAGIC);
    buf_u8(b, INDEX_V2);
}

errc index_header_check(str file_head, uint8_t *version, struct err *e)
{
    cursor c = cur_of(file_head);
    uint32_t magic = cur_be32(&c);
    uint8_t v = cur_u8(&c);
    if (!cur_ok(&c)) return err_set(e, ERR_CORRUPT, "header: cut short");
    if (magic != INDEX_MAGIC)
        return err_set(e, ERR_CORRUPT, "header: wrong magic number %08x", magic);
    if (v < INDEX_V1 || v > INDEX_V3)
        return err_set(e, ERR_CORRUPT, "header: unknown version %u", v);
    *version = v;
    return OK;
}

errc index_chunk_other(const struct index_chunk *c, struct err *e)
{
    return err_set(e, ERR_CORRUPT,
        "chunk %" PRIx64 ": its samples are not of %" PRId64 " to %" PRId64, c->ref, c->mint,
        c->maxt);
}

/* TOC. */

void index_toc_encode(struct buf *b, const struct index_toc *t)
{
    const uint64_t all[TOC_FIELDS] = { t->symbols, t->series, t->label_indices, t->label_table,
        t->postings, t->postings_table };
    size_t from = b->n;
    for (size_t i = 0; i < TOC_FIELDS; i++) buf_be64(b, all[i]);
    if (buf_ok(b)) buf_be32(b, crc32c_str(str_from(buf_view(b), from)));
}

errc index_toc_decode(struct index_toc *out, str bytes, uint64_t file_bytes, struct err *e)
{
    if (bytes.n != INDEX_TOC_BYTES) return err_set(e, ERR_CORRUPT, "TOC: %zu bytes", bytes.n);
    cursor c = cur_of(bytes);
    uint64_t at[TOC_FIELDS];
    for (size_t i = 0; i < TOC_FIELDS; i++) at[i] = cur_be64(&c);
    uint32_t crc = cur_be32(&c);
    assert(cur_done(&c));
    if (crc != crc32c_str(str_slice(bytes, 0, INDEX_TOC_BYTES - INDEX_CRC_BYTES)))
        return err_set(e, ERR_CORRUPT, "TOC: wrong checksum");
    for (size_t i = 0; i < TOC_FIELDS; i++)
        if (at[i] > file_bytes) return err_set(e, ERR_CORRUPT, "TOC: an offset beyond the file");
    *out = (struct index_toc){ at[0], at[1], at[2], at[3], at[4], at[5] };
    return OK;
}

errc index_section_body(str bytes, bool check, str *body, struct err *e)
{
    cursor c = cur_of(bytes);
    uint32_t n = cur_be32(&c);
    str in = cur_bytes(&c, n);
    uint32_t crc = cur_be32(&c);
    if (!cur_ok(&c)) return err_set(e, ERR_CORRUPT, "cut short");
    if (check && crc != crc32c_str(in)) return err_set(e, ERR_CORRUPT, "wrong checksum");
    *body = in;
    return OK;
}

/* Series. */

void index_series_fini(struct index_series *s)
{
    vec_fini(&s->labels);
    vec_fini(&s->chunks);
}

static uint64_t zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }

static uint8_t *chunks_encode(uint8_t *p, const struct index_chunk *chunks, size_t n)
{
    p = uvarint_put(p, n);
    for (size_t i = 0; i < n; i++) {
        const struct index_chunk *c = &chunks[i];
        uint64_t after = i ? (uint64_t)c->mint - (uint64_t)c[-1].maxt : zigzag(c->mint);
        p = uvarint_put(p, after);
        p = uvarint_put(p, (uint64_t)c->maxt - (uint64_t)c->mint);
        p = uvarint_put(p, i ? zigzag((int64_t)(c->ref - c[-1].ref)) : c->ref);
    }
    return p;
}

/* The body is put where it stands if its length takes one byte, and moved if that takes more. */
void index_series_encode(
    struct buf *b, struct label_nums labels, const struct index_chunk *chunks, size_t n_chunks)
{
    size_t room = UVARINT_MAX_BYTES * (3 + 2 * labels.n + 3 * n_chunks);
    uint8_t *at = buf_room(b, room), *body = at + 1, *p = body, len[UVARINT_MAX_BYTES];
    if (!at) return;
    p = uvarint_put(p, labels.n);
    for (size_t i = 0; i < labels.n; i++) {
        p = uvarint_put(p, labels.at[i].name);
        p = uvarint_put(p, labels.at[i].value);
    }
    size_t n = (size_t)(chunks_encode(p, chunks, n_chunks) - body),
           n_len = (size_t)(uvarint_put(len, n) - len);
    uint32_t crc = crc32c(0, body, n);
    if (n_len > 1) memmove(at + n_len, body, n);
    memcpy(at, len, n_len);
    buf_commit(b, n_len + n);
    buf_be32(b, crc);
}

size_t index_series_bytes(str bytes)
{
    str head = str_slice(bytes, 0, UVARINT_MAX_BYTES);
    cursor c = cur_of(head);
    uint64_t n = cur_uvarint(&c);
    if (!cur_ok(&c) || n > UINT32_MAX) return 0;
    return head.n - cur_left(&c) + (size_t)n + INDEX_CRC_BYTES;
}

static void labels_decode(struct index_series *out, cursor *in)
{
    cursor c = *in;
    uint64_t n = cur_uvarint_of_4(&c);
    /* bounds the count before any memory is taken */
    if (n > cur_left(&c) / LABEL_MIN_BYTES) cur_fail(&c);
    out->labels.n = 0;
    if (cur_ok(&c)) {
        vec_reserve(&out->labels, n);
        struct label_num *at = out->labels.at, *end = at + n;
        uint64_t most = 0;
        for (; at < end; at++) {
            uint64_t name = cur_uvarint_of_4(&c), value = cur_uvarint_of_4(&c);
            most |= name | value;
            *at = (struct label_num){ (uint32_t)name, (uint32_t)value };
        }
        if (most > UINT32_MAX) cur_fail(&c);
        if (cur_ok(&c)) out->labels.n = n;
    }
    *in = c;
}

static uint64_t zigzag_of(uint64_t u) { return (u >> 1) ^ (0 - (u & 1)); }

static void chunks_decode(struct index_series *out, cursor *in)
{
    cursor c = *in;
    uint64_t n = cur_uvarint_of_4(&c);
    if (n > cur_left(&c) / CHUNK_MIN_BYTES) cur_fail(&c);
    out->chunks.n = 0;
    if (cur_ok(&c)) {
        vec_reserve(&out->chunks, n);
        struct index_chunk *at = out->chunks.at, *end = at + n;
        uint64_t maxt = 0, ref = 0;
        for (; at < end; at++) {
            bool first = at == out->chunks.at;
            uint64_t after = cur_uvarint_of_4(&c), lasts = cur_uvarint_of_4(&c),
                     to = cur_uvarint_of_4(&c), mint = maxt + (first ? zigzag_of(after) : after);
            maxt = mint + lasts;
            ref = first ? to : ref + zigzag_of(to);
            if ((int64_t)maxt < (int64_t)mint) cur_fail(&c);
            *at = (struct index_chunk){ (int64_t)mint, (int64_t)maxt, ref };
        }
        if (cur_ok(&c)) out->chunks.n = n;
    }
    *in = c;
}

/* The cursor reaches as far as there are bytes, so that few of its reads stand near its end: that
 * the body is what was read is asked afterwards. */
errc index_series_decode(
    struct index_series *out, str bytes, bool labels_only, size_t *used, struct err *e)
{
    cursor c = cur_of(bytes);
    str body = cur_lenstr(&c);
    uint32_t crc = cur_be32(&c);
    if (!cur_ok(&c)) return err_set(e, ERR_CORRUPT, "series: cut short");
    if (crc != crc32c_str(body)) return err_set(e, ERR_CORRUPT, "series: wrong checksum");
    const uint8_t *end = body.p + body.n;
    cursor in = { body.p, c.end, false };
    labels_decode(out, &in);
    if (!labels_only) chunks_decode(out, &in);
    if (!cur_ok(&in) || (labels_only ? in.p > end : in.p != end))
        return err_set(e, ERR_CORRUPT, "series: does not decode");
    *used = bytes.n - cur_left(&c);
    return OK;
}

/* Postings and their offset table. */

void index_postings_encode(struct buf *b, const uint32_t *refs, size_t n)
{
    buf_be32(b, (uint32_t)(4 + 4 * n));
    size_t from = b->n;
    buf_be32(b, (uint32_t)n);
    uint8_t *at = buf_room(b, 4 * n);
    if (!at) return;
    for (size_t i = 0; i < n; i++) {
        uint32_t be = __builtin_bswap32(refs[i]);
        memcpy(at + 4 * i, &be, 4);
    }
    buf_commit(b, 4 * n);
    buf_be32(b, crc32c_str(str_from(buf_view(b), from)));
}

errc index_postings_decode(str body, str *refs_be, struct err *e)
{
    cursor c = cur_of(body);
    uint32_t n = cur_be32(&c);
    str refs = cur_bytes(&c, (uint64_t)n * 4);
    if (!cur_done(&c)) return err_set(e, ERR_CORRUPT, "postings: %u refs in %zu bytes", n, body.n);
    *refs_be = refs;
    return OK;
}

void index_entry_encode(struct buf *b, const struct index_entry *entry)
{
    buf_uvarint(b, STRINGS_OF_ENTRY);
    buf_lenstr(b, entry->name);
    buf_lenstr(b, entry->value);
    buf_uvarint(b, entry->offset);
}

bool index_entry_next(cursor *c, struct index_entry *out)
{
    if (cur_uvarint(c) != STRINGS_OF_ENTRY) cur_fail(c);
    out->name = cur_lenstr(c);
    out->value = cur_lenstr(c);
    out->offset = cur_uvarint(c);
    return cur_ok(c);
}
