#include "cmd/epitool/wal_lines.h"

#include "base/crc32c.h"
#include "base/digest.h"
#include "base/f64.h"
#include "cmd/epitool/jsonl.h"
#include "wal/page.h"
#include "wal/record.h"

/* ---- fragments ---- */

static void lines_place(struct buf *b, const char *kind, str file, size_t off)
{
    buf_fmt(b, "{\"k\":\"%s\",\"file\":", kind);
    jsonl_str(b, file);
    buf_fmt(b, ",\"off\":%zu", off);
}

/* A header byte of zero: nothing more in this page. Returns where the next page begins. */
static size_t lines_pad(struct buf *b, str file, str bytes, size_t off)
{
    size_t next = MIN((off / PAGE_BYTES + 1) * PAGE_BYTES, bytes.n);
    bool zero = true;
    for (size_t i = off; i < next; i++) zero = zero && bytes.p[i] == 0;
    lines_place(b, "pad", file, off);
    buf_fmt(b, ",\"len\":%zu,\"all_zero\":%s}\n", next - off, zero ? "true" : "false");
    return next;
}

void wal_lines_fragments(struct buf *b, str file, str bytes)
{
    for (size_t off = 0; off < bytes.n;) {
        cursor c = cur_of(str_from(bytes, off));
        uint8_t header = cur_u8(&c);
        if (header == 0) {
            off = lines_pad(b, file, bytes, off);
            continue;
        }
        uint16_t len = cur_be16(&c);
        uint32_t crc = cur_be32(&c);
        if (!cur_ok(&c)) {
            lines_place(b, "short", file, off);
            buf_fmt(b, ",\"len\":%zu}\n", bytes.n - off);
            return;
        }
        str data = cur_bytes(&c, len);
        bool ok = cur_ok(&c) && crc32c_str(data) == crc;
        lines_place(b, "frag", file, off);
        buf_fmt(b, ",\"hdr\":%u,\"len\":%u,\"crc32c\":\"%08" PRIx32 "\",\"ok\":%s}\n", header, len,
            crc, ok ? "true" : "false");
        if (!ok) return;
        off += FRAG_HEADER_BYTES + len;
    }
}

/* ---- records ---- */

static void lines_histogram(struct buf *b, const struct rec_histogram *h)
{
    jsonl_histogram(b, &(struct jsonl_histogram){ h->is_float, h->hint, h->schema,
        h->zero_threshold, h->sum, h->is_float ? f64_bits(h->zero_count.f) : h->zero_count.i,
        h->is_float ? f64_bits(h->count.f) : h->count.i,
        { { h->pos_spans, h->n_pos_spans, h->pos, h->n_pos },
          { h->neg_spans, h->n_neg_spans, h->neg, h->n_neg } },
        h->custom, h->n_custom });
}

/* The elements of a record of each type: {"ref":…, and what follows it. */

static void lines_ref(struct buf *b, size_t i, sref ref)
{
    buf_fmt(b, "%s{\"ref\":%" PRIu64, i ? "," : "", (uint64_t)ref);
}

static errc lines_series(struct buf *b, str rec, struct err *e)
{
    SCOPED(ref_seriess_fini) struct ref_seriess got = { 0 };
    TRY(series_decode(&got, rec, e));
    for (size_t i = 0; i < got.all.n; i++) {
        lines_ref(b, i, got.all.at[i].ref);
        buf_str(b, S(",\"labels\":"));
        jsonl_labels(b, got.all.at[i].labels);
        buf_u8(b, '}');
    }
    return OK;
}

static errc lines_samples(struct buf *b, str rec, struct err *e)
{
    ref_samples got = { 0 };
    errc rc = samples_decode(&got, rec, e);
    for (size_t i = 0; rc == OK && i < got.n; i++) {
        lines_ref(b, i, got.at[i].ref);
        buf_str(b, S(",\"s\":"));
        jsonl_sample(b, got.at[i].t, got.at[i].st, got.at[i].v);
        buf_u8(b, '}');
    }
    vec_fini(&got);
    return rc;
}

static errc lines_tombstones(struct buf *b, str rec, struct err *e)
{
    ref_tombstones got = { 0 };
    errc rc = tombstones_decode(&got, rec, e);
    for (size_t i = 0; rc == OK && i < got.n; i++) {
        lines_ref(b, i, got.at[i].ref);
        buf_fmt(b, ",\"intervals\":[[%" PRId64 ",%" PRId64 "]]}", got.at[i].mint, got.at[i].maxt);
    }
    vec_fini(&got);
    return rc;
}

static errc lines_exemplars(struct buf *b, str rec, struct err *e)
{
    SCOPED(ref_exemplars_fini) struct ref_exemplars got = { 0 };
    TRY(exemplars_decode(&got, rec, e));
    for (size_t i = 0; i < got.all.n; i++) {
        const struct ref_exemplar *x = &got.all.at[i];
        lines_ref(b, i, x->ref);
        buf_fmt(b, ",\"t\":%" PRId64 ",\"v\":", x->t);
        jsonl_bits(b, x->v);
        buf_str(b, S(",\"labels\":"));
        jsonl_labels(b, x->labels);
        buf_u8(b, '}');
    }
    return OK;
}

static errc lines_markers(struct buf *b, str rec, struct err *e)
{
    ref_markers got = { 0 };
    errc rc = markers_decode(&got, rec, e);
    for (size_t i = 0; rc == OK && i < got.n; i++) {
        lines_ref(b, i, got.at[i].ref);
        buf_fmt(b, ",\"mmap_ref\":%" PRIu64 "}", got.at[i].chunk);
    }
    vec_fini(&got);
    return rc;
}

static errc lines_metadata(struct buf *b, str rec, struct err *e)
{
    ref_metadatas got = { 0 };
    errc rc = metadata_decode(&got, rec, e);
    for (size_t i = 0; rc == OK && i < got.n; i++) {
        lines_ref(b, i, got.at[i].ref);
        buf_fmt(b, ",\"type\":%u,\"unit\":", got.at[i].type_byte);
        jsonl_str(b, got.at[i].meta.unit);
        buf_str(b, S(",\"help\":"));
        jsonl_str(b, got.at[i].meta.help);
        buf_u8(b, '}');
    }
    vec_fini(&got);
    return rc;
}

static errc lines_histograms(struct buf *b, str rec, struct err *e)
{
    SCOPED(ref_histograms_fini) struct ref_histograms got = { 0 };
    TRY(histograms_decode(&got, rec, e));
    for (size_t i = 0; i < got.all.n; i++) {
        const struct ref_histogram *x = &got.all.at[i];
        lines_ref(b, i, x->ref);
        buf_fmt(b, ",\"s\":{\"t\":%" PRId64, x->t);
        if (x->st) buf_fmt(b, ",\"st\":%" PRId64, x->st);
        buf_str(b, x->h.is_float ? S(",\"fh\":") : S(",\"h\":"));
        lines_histogram(b, &x->h);
        buf_str(b, S("}}"));
    }
    return OK;
}

static errc lines_elements(struct buf *b, str rec, struct err *e)
{
    switch (record_kind(rec)) {
    case KIND_SERIES: return lines_series(b, rec, e);
    case KIND_SAMPLES: return lines_samples(b, rec, e);
    case KIND_TOMBSTONES: return lines_tombstones(b, rec, e);
    case KIND_EXEMPLARS: return lines_exemplars(b, rec, e);
    case KIND_MARKERS: return lines_markers(b, rec, e);
    case KIND_METADATA: return lines_metadata(b, rec, e);
    case KIND_HISTOGRAMS: return lines_histograms(b, rec, e);
    case KIND_NONE: break;
    }
    return OK;
}

void wal_lines_record(struct buf *b, const struct wal_rec *r, size_t index)
{
    uint8_t sum[32];
    digest_sha256(sum, r->bytes);
    buf_fmt(b,
        "{\"k\":\"rec\",\"seg\":%" PRIu32 ",\"i\":%zu,\"end\":%" PRIu64
        ",\"len\":%zu,\"sha256_8\":\"",
        r->seg, index, r->end, r->bytes.n);
    jsonl_hex(b, str_of(sum, 8));
    buf_u8(b, '"');
    if (r->bytes.n) buf_fmt(b, ",\"type\":%u", r->bytes.p[0]);
    enum rec_type type = record_type(r->bytes);
    buf_fmt(b, ",\"name\":\"%.*s\"", STR_ARG(record_type_name(type)));
    size_t before = b->n;
    struct err e = { 0 };
    if (type != REC_NONE) buf_str(b, S(",\"data\":["));
    errc rc = lines_elements(b, r->bytes, &e);
    if (rc == OK && type != REC_NONE) buf_u8(b, ']');
    if (rc != OK) {
        b->n = before;
        buf_str(b, S(",\"decode_error\":"));
        jsonl_str(b, err_str(&e));
    }
    buf_str(b, S("}\n"));
}
