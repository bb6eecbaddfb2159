/* index_writer.h — an index file, version 2, written from first byte to last.
 *
 * What        Symbols, then series, then finish: postings are kept while series pass, or if the
 *             memory allowed does not hold them made by reading the series again, as many label
 *             names at a time as it does.
 * Invariants  (1) The bytes are those that Prometheus writes for the same calls. (2) Symbols
 *             ascend; series ascend by labels, their chunk refs over the whole file. (3) Memory is
 *             the symbols, and postings_bytes_max or what one label name needs, if that is more (16
 *             bytes a series that has it).
 * Ownership   index_writer_open allocates, index_writer_close frees. Everything is copied.
 * Threads     one thread
 * Errors      ERR_IO, ERR_NO_SPACE, ERR_LIMIT (64 GiB, 4 GiB tables), ERR_BAD_INPUT (out of order,
 *             a symbol that was not named)
 * Format      index_codec.h
 *
 * Durability step for fault_dropped(): block.index_fsync.
 */
#ifndef EPI_BLOCK_INDEX_WRITER_H
#define EPI_BLOCK_INDEX_WRITER_H

#include "block/index_codec.h"
#include "io/fs.h"
#include "model/label_num.h"
#include "model/labels.h"

struct index_writer_opts { struct fs *fs; str path; size_t postings_bytes_max; };   /* 0: 32 MiB */
struct index_writer;
MUST_USE errc index_writer_open(
    struct index_writer **out, const struct index_writer_opts *o, struct err *e);
MUST_USE errc index_writer_symbol(struct index_writer *w, str symbol, struct err *e);
MUST_USE errc index_writer_series(struct index_writer *w, struct labels labels,
    const struct index_chunk *chunks, size_t n, struct err *e);
/* The same by the numbers of the symbols, as they came. */
MUST_USE errc index_writer_series_nums(struct index_writer *w, struct label_nums labels,
    const struct index_chunk *chunks, size_t n, struct err *e);
/* the rest of the file, fsynced; then only close */
MUST_USE errc index_writer_finish(struct index_writer *w, struct err *e);
void index_writer_close(struct index_writer *w);               /* NULL is fine */
uint64_t index_writer_bytes(const struct index_writer *w);     /* of the file so far */

#endif
