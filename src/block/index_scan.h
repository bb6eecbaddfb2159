/* index_scan.h — an index file read from its first byte to its last, past what is damaged.
 *
 * What        For those who look at damage and save what is left of it: every part that checks, and
 *             in words what does not.
 * Invariants  (1) What is handed out passed its checksum. (2) A damaged part costs that part: the
 *             place of the series is found without the TOC, and series behind a damaged one are
 *             found by their alignment and checksums. (3) What index_reader reads of a whole file
 *             this reads, too.
 * Ownership   index_scan_open fills the caller's struct, index_scan_close ends it, also after a
 *             failure. Strings borrow the file's bytes until then.
 * Threads     one thread
 * Errors      ERR_IO, ERR_NOT_FOUND; damage is no error but a finding
 * Format      index_codec.h
 */
#ifndef EPI_BLOCK_INDEX_SCAN_H
#define EPI_BLOCK_INDEX_SCAN_H

#include "base/findings.h"
#include "block/index_codec.h"
#include "io/reader.h"

/* labels: symbols by their places in `symbols`, whatever the version; first … of index_scan. */
struct scan_series {
    uint64_t at;                               /* in the file */
    uint32_t ref;                              /* as postings have it */
    size_t label, n_labels, chunk, n_chunks;
};

struct index_scan {
    struct reader *reader;
    struct pin pin;
    str bytes;                                 /* the whole file */
    uint8_t version;                           /* 2 where the header does not say */
    bool has_toc, has_symbols, has_table;      /* they check */
    struct index_toc toc;                      /* zeros without one */
    uint64_t symbols_end, series_end;          /* where these sections were found to end */
    str_list symbols;
    VEC(uint32_t) symbol_at;                   /* version 1: place in the file, ascending */
    VEC(struct scan_series) series;            /* ascending by place */
    VEC(struct label_num) labels;
    VEC(struct index_chunk) chunks;
    VEC(struct index_entry) entries;           /* of the postings offset table, as they lie there */
};

/* name: of the file in findings (NULL: nobody wants them) */
MUST_USE errc index_scan_open(struct index_scan *out, struct fs *fs, str path,
    enum io_backend backend, struct findings *f, str name, struct err *e);
/* ERR_IO: the file could not be read after all, and nothing of it is to be believed */
MUST_USE errc index_scan_close(struct index_scan *s, struct err *e);

/* The list at an offset: big-endian refs. */
MUST_USE errc index_scan_list(
    const struct index_scan *s, uint64_t at, str *refs_be, size_t *bytes, struct err *e);
/* NULL: no good series has that ref */
const struct scan_series *index_scan_find(const struct index_scan *s, uint32_t ref);

#endif
