/* chunk_series.h — the promise between those who have chunks and those who write them down.
 *
 * What        Series in the order of their labels, each with its chunks as bytes: what a block is
 *             written from, be it out of the head or out of older blocks.
 * Invariants  (1) Labels ascend strictly from series to series. (2) A series' chunks ascend by
 *             mint; those of one source do not overlap, those of a merge may. (3) maxt of a chunk
 *             is inclusive and is the time of its last sample. (4) Bytes are of the encoding named:
 *             chunks of any known encoding pass through, decoded or not.
 * Ownership   What next() hands out is borrowed until the next call of next() or free(). A set
 *             borrows its source, which outlives it.
 * Threads     one thread at a time
 * Errors      ERR_IO, ERR_CORRUPT, ERR_CANCELED; after an error the set is only freed
 * Format      chunk bytes: docs/format/chunks.md, without length, encoding byte and checksum
 */
#ifndef EPI_STORAGE_CHUNK_SERIES_H
#define EPI_STORAGE_CHUNK_SERIES_H

#include "base/err.h"
#include "model/interval.h"
#include "model/label_num.h"
#include "model/labels.h"

/* head: 0, or the data lie in a record of a segment, whose CRC was checked and whose length takes
 * no more bytes than it has to: so many bytes of it stand in front of the data (length and
 * encoding), and CHUNK_TAIL_BYTES, the CRC, behind. */
enum { CHUNK_TAIL_BYTES = 4 };
struct chunk_view { int64_t mint, maxt; uint8_t enc; str data; uint8_t head; };

/* deleted: samples in these intervals are to be left out; NULL: none. nums, if there are any, stand
 * for the labels: by the symbols that came with the set, or that it was given numbers of. */
struct chunk_series {
    struct labels labels;
    const struct chunk_view *chunks;
    size_t n;
    const intervals *deleted;
    struct label_nums nums;
};

struct chunk_series_set { const struct chunk_series_set_ops *ops; };
struct chunk_series_set_ops {
    /* *out NULL: the end */
    errc (*next)(struct chunk_series_set *s, const struct chunk_series **out, struct err *e);
    void (*free)(struct chunk_series_set *s);
    /* What was met so far that is damaged, and was left out, in words, appended to out: they live
     * as long as the set. NULL: what is damaged is an error, or cannot be. */
    void (*warnings)(struct chunk_series_set *s, str_list *out);
};
static inline void chunk_series_set_free(struct chunk_series_set *s) { if (s) s->ops->free(s); }
static inline void chunk_series_set_warnings(struct chunk_series_set *s, str_list *out)
{
    if (s && s->ops->warnings) s->ops->warnings(s, out);
}
static inline void chunk_series_set_freep(struct chunk_series_set **s)
{
    chunk_series_set_free(*s);
}

/* Strings in ascending order, without duplicates: the symbols of a source. Borrowed until the next
 * call. */
struct symbol_set { const struct symbol_set_ops *ops; };
struct symbol_set_ops {
    errc (*next)(struct symbol_set *s, bool *more, str *out, struct err *e);
    void (*free)(struct symbol_set *s);
};
static inline void symbol_set_free(struct symbol_set *s) { if (s) s->ops->free(s); }
static inline void symbol_set_freep(struct symbol_set **s) { symbol_set_free(*s); }

#endif
