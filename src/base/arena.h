/* arena.h — memory that ends all at once.
 *
 * What        Bump allocation in growing blocks; mark and reset give back what came after the
 *             mark.
 * Invariants  Every allocation is 16-byte aligned and valid until the arena is reset below it or
 *             ended.
 * Ownership   arena_init/arena_fini; the account is charged per block.
 * Threads     one thread at a time
 * Errors      sticky: past limit_bytes, and where a yielding account has to give way
 *             (base/budget), arena_spent() is true; allocations go on (harmless), so the owner
 *             asks once per step or record and answers ERR_LIMIT.
 * Format      none
 */
#ifndef EPI_BASE_ARENA_H
#define EPI_BASE_ARENA_H

#include "base/account.h"
#include "base/str.h"

struct arena_block;
struct arena {
    struct arena_block *block;         /* the newest; older ones behind it */
    size_t used, limit;                /* bytes in all blocks; 0: no limit */
    struct account *acc;               /* may be NULL */
    bool spent;
};
struct arena_mark { struct arena_block *block; size_t at; };

void arena_init(struct arena *a, struct account *acc, size_t limit_bytes);
void arena_fini(struct arena *a);                              /* the zero value is fine */
/* not zeroed; n == 0 gives a valid pointer */
void *arena_alloc(struct arena *a, size_t n) __attribute__((alloc_size(2)));
void *arena_zalloc(struct arena *a, size_t n);
/* not zeroed; an overflowing product aborts */
void *arena_array(struct arena *a, size_t n, size_t size);
str arena_str(struct arena *a, str s);                         /* a copy with a NUL after its end */
char *arena_cstr(struct arena *a, str s);
str arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct arena_mark arena_mark(const struct arena *a);
/* frees what came after m; {0}: everything */
void arena_reset(struct arena *a, struct arena_mark m);
static inline bool arena_spent(const struct arena *a) { return a->spent; }

#define ANEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))

#endif
