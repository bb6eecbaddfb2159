/* Where the file has no descriptor, cannot be mapped, or a page of it could not be had, each note
 * is written by a call. */
#include "io/board.h"

#include "base/mem.h"
#include "io/fs_impl.h"
#include "io/guard.h"

#include <sys/mman.h>

struct board { struct file *file; uint8_t *at; size_t n; struct guard *guard; };

static void board_map(struct board *b)
{
    int fd = file_fd(b->file);
    void *at =
        fd < 0 ? MAP_FAILED : mmap(NULL, b->n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return;
    b->guard = guard_add(at, b->n);
    if (b->guard) b->at = at;
    else munmap(at, b->n);
}

struct board *board_open(struct file *f, size_t n)
{
    struct board *b = NEW(struct board);
    b->file = f;
    b->n = n;
    board_map(b);
    return b;
}

errc board_write(struct board *b, size_t at, str bytes, struct err *e)
{
    assert(at <= b->n && bytes.n <= b->n - at);
    if (b->at && !guard_faulted(b->guard)) {
        if (bytes.n) memcpy(b->at + at, bytes.p, bytes.n);
        if (!guard_faulted(b->guard)) return OK;
    }
    uint64_t done;
    return file_pwrite(b->file, &bytes, 1, at, &done, e);
}

void board_close(struct board *b)
{
    if (!b) return;
    guard_remove(b->guard);
    if (b->at) munmap(b->at, b->n);
    mem_free(b);
}
