/* mem.h — the heap: real out-of-memory ends the process with a line, it is never an error to
 * handle.
 *
 * What        malloc and friends that cannot fail, and struct account-free by design: what needs a
 *             budget draws from an arena, slab or buf, which charge accounts.
 * Invariants  a returned pointer is never NULL, also for size 0.
 * Ownership   the caller frees with mem_free.
 * Threads     any
 * Errors      none: aborts when the system has no memory
 * Format      none
 */
#ifndef EPI_BASE_MEM_H
#define EPI_BASE_MEM_H

#include "base/str.h"

void *mem_alloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_zalloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_alloc_array(size_t n, size_t size) __attribute__((malloc));   /* n * size is checked */
void *mem_realloc(void *p, size_t n);
void *mem_aligned(size_t align, size_t n) __attribute__((malloc));
void mem_free(void *p);                                        /* NULL is fine */
void mem_freep(void *pp);                                      /* for SCOPED: frees *(void **)pp */
/* a heap copy, NUL after the end; free with mem_free((void *)s.p) */
str mem_str(str s);
char *mem_cstr(str s);                                         /* a heap copy as a C string */

/* Zero pages of the system's, *n rounded up to whole ones. They go back with mem_unmap, also a part
 * of them at a time, in whole pages. */
void *mem_map(size_t *n);
void mem_unmap(void *p, size_t n);

/* The bytes are zero afterwards; whole pages of them are not resident until they are touched. */
void mem_blank(void *p, size_t n);
size_t mem_page_bytes(void);                                   /* the system's */

/* Pages that nobody uses go back to the system, where the allocator can be asked for that. */
void mem_give_back(void);
/* Those that nobody has used for a while. The allocator's own thread may sleep on a few MiB. */
void mem_give_back_old(void);

/* Of a process that had rather be small than quick; before its threads start. They all take memory
 * from one place, as what is free in one is of no use to another, and pages go back soon. */
void mem_be_small(void);
/* Each thread, before it does anything. */
void mem_thread_begin(void);
/* This thread will do nothing for a while: what its allocator keeps for it goes back. */
void mem_thread_idle(void);

#define NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
