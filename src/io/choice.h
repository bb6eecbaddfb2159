/* choice.h — which backend reads which kind of file, and why.
 *
 * What        The process' plan says for each kind of file mmap, buffered, direct or auto. Auto
 *             decides file by file, by what the file is, its file system (local, or across a
 *             network or FUSE), what is open against the memory there is, and how long a page fault
 *             takes there, which is measured once a device.
 * Invariants  a decision comes with its reason; the first of each (kind, backend) is logged
 * Ownership   none; one plan a process
 * Threads     io_plan_set: before the first reader; the rest: any
 * Errors      ERR_BAD_INPUT of a plan's text
 * Format      "mmap", or "index=mmap+populate,chunks=direct,head=auto,header=buffered"
 */
#ifndef EPI_IO_CHOICE_H
#define EPI_IO_CHOICE_H

#include "io/reader.h"

enum { CHOICE_WHY_MAX = 200 };

struct io_plan {
    enum io_backend of[IO_KINDS];
    /* "mmap+populate": a map for reads anywhere is filled when it is made, unless what is open of
     * its kind is more than half the memory */
    bool populate[IO_KINDS];
};
/* One word for all kinds but the log, which is read once and in sequence; or kind=word, ... */
MUST_USE errc io_plan_parse(struct io_plan *out, str text, struct err *e);
void io_plan_set(const struct io_plan *p);
/* the memory that the kernel's cache has at most; 0: not known */
void io_plan_memory(uint64_t bytes);
const char *io_kind_word(enum io_kind k);

/* What a decision is made of. */
struct io_facts {
    enum io_kind kind;
    bool mappable;         /* there is a descriptor to map */
    bool remote;           /* a network or FUSE file system */
    uint64_t open_bytes;   /* of this kind, this file included */
    uint64_t memory_bytes; /* 0: not known */
    int64_t fault_ns;      /* of a page that was not in memory; 0: not measured */
};
/* By which of auto's rules; the last two: of maps that were asked for filled. The log tells of
 * each once, for a kind of file and a backend. */
enum io_rule {
    IO_RULE_UNMAPPABLE,
    IO_RULE_REMOTE,
    IO_RULE_HEADER,
    IO_RULE_SLOW_FAULTS,
    IO_RULE_MUCH_DATA,
    IO_RULE_LOCAL,
    IO_RULE_FILLED,
    IO_RULE_TOO_MUCH_TO_FILL
};
struct io_choice {
    enum io_backend backend;
    enum io_rule rule;
    char why[CHOICE_WHY_MAX];
};
void io_choice_of(struct io_choice *out, const struct io_facts *facts);

/* For reader.c: the backend of a file that is to be opened, and the books of those that are. */
enum io_backend io_choose(struct file *f, uint64_t size, enum io_kind kind);
/* the plan wants a map of such a file, which is to be opened, filled */
bool io_populates(uint64_t size, enum io_kind kind);
void io_opened(enum io_kind kind, enum io_backend b, int64_t files, int64_t bytes);
/* `asked` cannot be: b runs in its place */
void io_fell_back(enum io_kind kind, enum io_backend asked, enum io_backend b, str why);

/* What is open, by kind and backend, with the newest reason; for status pages. */
struct io_state {
    enum io_kind kind;
    enum io_backend asked, runs;
    uint64_t files, bytes;
    char why[CHOICE_WHY_MAX];
};
enum { IO_STATES_MAX = IO_KINDS * IO_BACKENDS };
size_t io_states(struct io_state out[IO_STATES_MAX]);

#endif
