/* reader_impl.h — what a backend of reader.h fills in; included by the backends only.
 *
 * What        The table of functions behind struct reader.
 * Invariants  reader.c has checked that a pinned range lies within size and is not empty; it counts
 *             the references: one of the owner, one a pin.
 * Ownership   file belongs to the reader; ops->free frees the whole reader, the file excepted. A
 *             backend's new() borrows the file until then.
 * Threads     as reader.h
 * Errors      as reader.h
 * Format      none
 */
#ifndef EPI_IO_READER_IMPL_H
#define EPI_IO_READER_IMPL_H

#include "io/reader.h"

#include <stdatomic.h>

struct reader_ops {
    enum io_backend backend;
    bool far; /* reader_far */
    /* sets bytes and frame */
    errc (*pin)(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e);
    errc (*unpin)(struct reader *r, struct pin *p, struct err *e);
    /* n > 0 bytes past all that is kept; NULL: by pins */
    errc (*copy)(struct reader *r, uint64_t off, uint8_t *to, size_t n, struct err *e);
    /* reader_again, within the size; NULL: it changes nothing */
    bool (*again)(struct reader *r, uint64_t off, uint64_t n);
    /* these bytes are wanted soon; NULL: the kernel reads ahead as it sees fit */
    void (*want)(struct reader *r, uint64_t off, uint64_t n);
    /* the pinned bytes are what came from the disk; NULL: nobody can tell */
    errc (*check)(struct reader *r, const struct pin *p, struct err *e);
    /* the file has this size: make it readable */
    errc (*resize)(struct reader *r, uint64_t size, struct err *e);
    void (*free)(struct reader *r);
};

struct reader {
    const struct reader_ops *ops; /* const after init */
    struct file *file;            /* const after init */
    enum io_kind kind;            /* const after init */
    uint64_t opened_bytes;        /* its size at open; const after init */
    /* release after a backend can read that far, acquire before a pin */
    _Atomic uint64_t size;
    _Atomic uint32_t refs;
};

/* In builds with fault points EPI_TEST_IO=mmap|buffered|direct takes the place of buffered, which
 * is what tests ask for that do not care, and of what auto would choose: so they run again with
 * each. IO_AUTO: nothing does; so it is where the word is empty or absent. */
#ifdef EPI_FAULTS
enum io_backend io_forced(void);
#else
static inline enum io_backend io_forced(void) { return IO_AUTO; }
#endif

/* NULL: the file cannot be mapped (no descriptor, no address space, no slot in the guard's
 * table). populate: of a file that is read anywhere all pages are read and mapped now. */
struct reader *reader_mmap_new(
    struct file *f, uint64_t size, enum io_pattern pattern, bool populate);
struct reader *reader_buffered_new(struct file *f, enum io_pattern pattern);
/* f was opened with FS_DIRECT. Reads of it that fail for what they are, not for the disk, are found
 * at once: ERR_UNSUPPORTED. */
MUST_USE errc reader_direct_new(
    struct reader **out, struct file *f, enum io_pattern pattern, struct err *e);

#endif
