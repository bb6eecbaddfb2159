/* thanos_codec.h — what Thanos keeps in JSON beside a block's bytes.
 *
 * What        The section "thanos" of meta.json, the marks, and the shipper's list of what it has
 *             uploaded.
 * Invariants  what is encoded is decoded again; members that we do not know are ignored (marks) or
 *             not kept (the section is made anew at each upload)
 * Ownership   what is decoded lies in the arena
 * Threads     pure
 * Errors      ERR_CORRUPT: no JSON, a member of the wrong type, a version other than 1
 * Format      pkg/block/metadata and pkg/shipper of Thanos
 */
#ifndef EPI_BUCKET_THANOS_CODEC_H
#define EPI_BUCKET_THANOS_CODEC_H

#include "block/meta_codec.h"
#include "model/labels.h"

struct thanos_file {
    str rel_path;
    uint64_t size_bytes;
};
struct thanos_section {
    bool there;
    struct labels labels; /* external ones: whose block it is */
    int64_t resolution_ms;
    str source;                      /* "sidecar", "bucket.upload", … */
    const struct thanos_file *files; /* sorted by path; meta.json without a size */
    size_t n_files;
    int64_t upload_ms; /* 0: unknown */
};
MUST_USE errc thanos_section_decode(
    struct thanos_section *out, str meta_json, struct arena *a, struct err *e);
/* The members that m.more holds beside ours, with the section anew: for m.more. */
str thanos_section_more(const struct thanos_section *s, str more, struct arena *a);

enum block_mark_kind { MARK_DELETION, MARK_NO_COMPACT, MARK_NO_DOWNSAMPLE, MARK_KINDS };
struct block_mark {
    enum block_mark_kind kind;
    ulid id;
    int64_t time_s;
    str details, reason;
};
/* "deletion-mark.json" and so on */
str block_mark_file(enum block_mark_kind kind);
void block_mark_encode(struct buf *b, const struct block_mark *m);
MUST_USE errc block_mark_decode(
    struct block_mark *out, enum block_mark_kind kind, str json, struct arena *a, struct err *e);

void uploaded_encode(struct buf *b, const ulid *ids, size_t n);
/* appended; free with vec_fini */
MUST_USE errc uploaded_decode(ulid_list *out, str json, struct err *e);

#endif
