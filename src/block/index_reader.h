/* index_reader.h — an index file, opened for queries.
 *
 * What        Looks up symbols, series, postings and the names and values of labels through an io
 *             reader. Of the tables it keeps samples in memory: the offset of every 8th symbol and
 *             of every 32nd entry of the postings offset table, no strings but the label names, of
 *             which the process has each once (base/intern.h). (Version 1 has an unsorted table:
 *             its entries are sorted in memory.) Who has samples already opens it without a walk.
 * Invariants  opened means: header, TOC, and the checksums of symbol table and postings offset
 *             table are right, and both tables were read whole; of samples that were given, that
 *             each points to what it says. Series and postings are checked each time they are
 *             read.
 * Ownership   index_reader_open allocates, index_reader_close frees; it borrows the fs. Strings are
 *             copied into the caller's arena, or borrowed until the callback returns.
 * Threads     any, once open
 * Errors      ERR_CORRUPT (part and offset), ERR_IO, ERR_UNSUPPORTED (a version unknown)
 * Format      index_codec.h
 */
#ifndef EPI_BLOCK_INDEX_READER_H
#define EPI_BLOCK_INDEX_READER_H

#include "block/index_codec.h"
#include "block/postings.h"
#include "io/reader.h"
#include "storage/chunk_series.h"

struct index_reader;
MUST_USE errc index_reader_open(
    struct index_reader **out, struct fs *fs, str path, enum io_backend backend, struct err *e);
/* Places in both tables, from the begin of a section (the first string or entry is at 8). */
struct index_sample { str name, value; uint32_t place; };
struct index_samples {
    uint32_t n_symbols, symbol_step;
    const uint32_t *symbols; /* place of every symbol_step-th */
    size_t n_symbol_places;
    const struct index_sample *entries; /* ascending; the first of each name among them */
    size_t n_entries;
};
/* ERR_CORRUPT, too, of samples that are another index's. Version 2 only: else ERR_UNSUPPORTED. */
MUST_USE errc index_reader_open_sampled(struct index_reader **out, struct fs *fs, str path,
    enum io_backend backend, const struct index_samples *s, struct err *e);
void index_reader_close(struct index_reader *r);               /* NULL is fine */
uint8_t index_reader_version(const struct index_reader *r);
uint64_t index_reader_size(const struct index_reader *r);
const struct index_toc *index_reader_toc(const struct index_reader *r);

/* Symbols. */
MUST_USE errc index_reader_symbol(
    struct index_reader *r, uint32_t ref, struct arena *a, str *out, struct err *e);
/* The symbols from one sample to the next, in the arena: what one read brings is decoded once. */
struct symbol_group { uint32_t first, n; const str *at; };     /* refs [first, first + n) */
/* Which group a ref is in: the same number for all of a group, another for each other. */
uint32_t index_reader_symbol_group_of(const struct index_reader *r, uint32_t ref);
MUST_USE errc index_reader_symbol_group(struct index_reader *r, uint32_t ref, struct arena *a,
    struct symbol_group *out, struct err *e);
/* Which one of all symbols a ref means, from 0. */
MUST_USE errc index_reader_symbol_num(
    struct index_reader *r, uint32_t ref, uint32_t *out, struct err *e);
/* all, ascending; ends before the reader */
struct symbol_set *index_reader_symbols(struct index_reader *r);

/* Series by their refs, as postings have them. */
MUST_USE errc index_reader_series(struct index_reader *r, uint32_t ref, bool labels_only,
    struct index_series *out, struct err *e);
/* What was pinned for one series is held for the next that follow it. The zero window is empty;
 * index_window_end leaves it so, and comes before the reader's end. ERR_IO: what was decoded
 * through it since it was empty is to be thrown away. */
struct index_window { struct pin pin; uint64_t from; };
MUST_USE errc index_window_end(struct index_window *w, struct err *e);
/* Through a reader of the caller's of the same file, which may read on and leave nothing in memory,
 * and a window on it; a failure of what was held before may be told here. by NULL: as
 * index_reader_series, and nothing is held. */
MUST_USE errc index_reader_series_by(struct index_reader *r, struct reader *by,
    struct index_window *w, uint32_t ref, bool labels_only, struct index_series *out,
    struct err *e);
/* Through a window on the index' own reader where the file is far away; elsewhere nothing is
 * held. */
MUST_USE errc index_reader_series_on(struct index_reader *r, struct index_window *w, uint32_t ref,
    bool labels_only, struct index_series *out, struct err *e);

/* The refs of all series whose entries check, read one after the other, and the first place of each
 * stretch where none does, so that who reads it meets the damage: for where lists do not check. */
MUST_USE errc index_reader_series_walk(
    struct index_reader *r, postings_list *out, struct err *e);

/* These series will be read soon, in this order: begun at once where the file is far away. */
void index_reader_want_series(struct index_reader *r, const uint32_t *refs, size_t n);
bool index_reader_far(const struct index_reader *r);

/* Where a list is; end 0: it is not known. */
struct index_list { uint64_t offset, end; };
/* *found false: there is no such list. The list itself is not read. */
MUST_USE errc index_reader_find(struct index_reader *r, str name, str value,
    struct index_list *out, bool *found, struct err *e);
void index_reader_want_list(struct index_reader *r, const struct index_list *l);

/* Postings: appended to out, which is empty when there are none. ("", "") is all series. */
MUST_USE errc index_reader_postings(
    struct index_reader *r, str name, str value, postings_list *out, struct err *e);
MUST_USE errc index_reader_postings_at(
    struct index_reader *r, uint64_t offset, postings_list *out, struct err *e);

/* Names of labels, ascending, without ""; they live as long as the reader. */
void index_reader_names(const struct index_reader *r, str_list *out);
bool index_reader_has_name(const struct index_reader *r, str name);

/* Values of a name, ascending, from the first >= `from`, until fn answers false. offset is for
 * index_reader_postings_at. */
typedef bool (*index_value_fn)(void *ctx, str value, uint64_t offset);
MUST_USE errc index_reader_values(
    struct index_reader *r, str name, str from, index_value_fn fn, void *ctx, struct err *e);

#endif
