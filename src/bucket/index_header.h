/* index_header.h — what a gateway keeps of a block's index: symbols, and where postings are.
 *
 * What        Built from the index in the bucket by ranged reads of its end, its symbols and its
 *             postings offset table, and of the rest only what lies within 100 KiB of them; read
 *             through io readers, with samples in memory: the place of every 32nd symbol, and of
 *             every 32nd entry of each name, no strings but names.
 * Invariants  (1) A file has its name when it is whole; its building syncs nothing, and what a
 *             power cut took of it opening tells: each byte is checked. (2) opened means: both
 *             tables were read whole, their checksums and their order are right. (3) Same index,
 *             same bytes as Thanos makes.
 * Ownership   index_header_open allocates, index_header_close frees; it borrows the fs. Strings are
 *             copied into the caller's arena, or borrowed until the callback returns; names live
 *             as long as the header.
 * Threads     any, once open
 * Errors      ERR_CORRUPT (it is to be built anew), ERR_IO, ERR_UNSUPPORTED (an index of version
 *             1), ERR_NOT_FOUND (no such name or value), those of the bucket while it is built
 * Format      index_header_codec.h
 */
#ifndef EPI_BUCKET_INDEX_HEADER_H
#define EPI_BUCKET_INDEX_HEADER_H

#include "base/ulid.h"
#include "base/vec.h"
#include "bucket/bucket.h"
#include "io/reader.h"

struct header_built {
    uint64_t index_bytes, read_bytes, header_bytes;
};
/* Bytes of an index that a building read along: [at, at + bytes.n) of each. */
struct index_seen { struct { uint64_t at; struct buf bytes; } begin, end; };
void index_seen_fini(struct index_seen *s);
enum { INDEX_SEEN_ALIGN = 16 << 10 };          /* both begin and end at multiples, or at its end */

/* Writes dir/index-header and dir/sparse-index-header, dir included. index_bytes: as far as is
 * known, which saves asking; 0: it is not. read_bytes: of the index, in the bucket. seen: zero; may
 * be NULL. */
MUST_USE errc index_header_build(struct bucket *b, ulid id, uint64_t index_bytes, struct fs *fs,
    str dir, struct header_built *what, struct index_seen *seen, struct err *e);

/* Checks dir/index-header to the last byte, and keeps what was learned of it as
 * dir/sparse-index-header, so that it is not walked again. */
MUST_USE errc index_header_sample(struct fs *fs, str dir, struct err *e);

struct index_header;
MUST_USE errc index_header_open(
    struct index_header **out, struct fs *fs, str dir, enum io_backend backend, struct err *e);
/* With the samples of a sparse index-header: nothing is walked, so only the TOC's checksum is
 * looked at. One that does not belong to the header is ERR_CORRUPT, or the look-ups are. */
MUST_USE errc index_header_open_sparse(struct index_header **out, struct fs *fs, str dir,
    str sparse, enum io_backend backend, struct err *e);
/* The samples, as such a file. */
MUST_USE errc index_header_sparse(struct index_header *h, struct buf *out, struct err *e);
void index_header_close(struct index_header *h);            /* NULL is fine */
uint64_t index_header_memory(const struct index_header *h); /* of the samples */

MUST_USE errc index_header_symbol(
    struct index_header *h, uint32_t ref, struct arena *a, str *out, struct err *e);
/* ascending, without "" */
void index_header_names(const struct index_header *h, str_list *out);

/* A list in the index: count and refs, without its length and checksum. */
struct postings_range {
    uint64_t start, end;
};
/* ("", ""): all series */
MUST_USE errc index_header_postings(
    struct index_header *h, str name, str value, struct postings_range *out, struct err *e);
/* Values of a name, ascending, from the first >= `from`, until fn answers false. */
typedef bool (*header_value_fn)(void *ctx, str value, struct postings_range at);
MUST_USE errc index_header_values(
    struct index_header *h, str name, str from, header_value_fn fn, void *ctx, struct err *e);

#endif
