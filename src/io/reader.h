/* reader.h — the one interface through which storage is read.
 *
 * What        pin(offset, length) gives a slice of a file, unpin gives it back. Backends: mmap (the
 *             slice points into the map), buffered (pread into a shared page cache with a budget)
 *             and direct (past the kernel's cache into the same page cache, many reads in flight).
 *             Nothing above io knows which one runs.
 * Invariants  (1) A pinned slice is readable until its unpin, whatever happens to the file. (2) A
 *             fault of a mapped page (an I/O error, a file cut short) never kills the process: the
 *             slice reads zeros from there and reader_unpin answers ERR_IO, so what was decoded
 *             from it is to be thrown away. (3) Bytes may change between two reads of a map:
 *             decoders are bounds-checked all the same.
 *             A fault is sticky: from then on every pin and unpin of this reader answers ERR_IO
 *             until it is closed and opened again.
 * Ownership   reader_open allocates, reader_close frees (pins keep the underlying object alive).
 * Threads     any; a pin may be given back by another thread than took it
 * Errors      ERR_IO; ERR_LIMIT (past the pins' account); a range beyond the end is ERR_CORRUPT
 *             with path, offset and length
 * Format      none
 */
#ifndef EPI_IO_READER_H
#define EPI_IO_READER_H

#include "base/spans.h"
#include "io/fs.h"

enum io_backend { IO_AUTO, IO_MMAP, IO_BUFFERED, IO_DIRECT, IO_BACKENDS };
/* passing: in any order, and much more of it than should stay in our memory */
enum io_pattern { IO_RANDOM, IO_SEQUENTIAL, IO_PASSING };
/* What a file is: the choice of a backend may be made for each of them (choice.h). */
enum io_kind { IO_INDEX, IO_CHUNKS, IO_HEAD, IO_HEADER, IO_LOG, IO_KINDS };

/* How a file is to be read. A zero backend is IO_AUTO: choice.h decides. */
struct read_as {
    enum io_backend backend;
    enum io_kind kind;
    enum io_pattern pattern;
};

struct reader;
struct pin {
    str bytes;
    struct reader *reader;
    void *frame;
};

MUST_USE errc reader_open(
    struct reader **out, struct fs *fs, str path, struct read_as as, struct err *e);
/* at open, or after reader_refresh */
uint64_t reader_size(const struct reader *r);
/* the file has grown: look again; pins stay as they are */
MUST_USE errc reader_refresh(struct reader *r, struct err *e);
MUST_USE errc reader_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e);
MUST_USE errc reader_unpin(struct pin *p, struct err *e); /* the zero pin is fine */
/* Into `to`, for who keeps them himself: a buffered reader has nothing of them afterwards. */
MUST_USE errc reader_copy(struct reader *r, uint64_t off, struct spans to, struct err *e);
/* What came of them is wrong. True: whatever keeps them has forgotten it, and they come anew, past
 * all caches, with the next pin. False: they did a short time ago, or it changes nothing. */
bool reader_again(struct reader *r, uint64_t off, uint64_t n);
/* These bytes will be pinned soon. A backend that reads by itself begins now, everything at once;
 * to the others it means nothing. Ranges may reach past the end. */
void reader_want(struct reader *r, uint64_t off, uint64_t n);
bool reader_wants(const struct reader *r); /* reader_want does something */
/* Each read costs a way there and back: what will be needed is to be told early, as a whole. What
 * lies between two multiples of READER_FAR_BYTES comes and is pinned in one piece. */
bool reader_far(const struct reader *r);
enum { READER_FAR_BYTES = 16 << 10 };
/* Before bytes that were derived from it are written: it is what came from the disk. ERR_CORRUPT,
 * ERR_IO (as unpin). Of a map only that it has not faulted. */
MUST_USE errc reader_check(const struct pin *p, struct err *e);
void reader_close(struct reader *r); /* NULL is fine */
/* what runs: mmap falls back to buffered where nothing can be mapped, direct where the kernel or
 * the file system refuses; the log says so once a reason */
enum io_backend reader_backend(const struct reader *r);

MUST_USE bool io_backend_parse(str word, enum io_backend *out); /* auto, mmap, buffered, direct */
const char *io_backend_word(enum io_backend b);

#endif
