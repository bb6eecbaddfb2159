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
    /* NULL, or: is what it is used for over? Asked between the parts of what takes long, as zeroing
     * many bytes or giving them back; it may wait. Once true, always. */
    bool (*over)(void *ctx);
    void *over_ctx;
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
/* frees what came after m; {0}: everything; when it is over large blocks may stay until the end */
void arena_reset(struct arena *a, struct arena_mark m);
/* All that is in from belongs to a then, and ends with it; from is empty. They have one account. */
void arena_take(struct arena *a, struct arena *from);
/* A loop over many bytes: in parts of ARENA_PART, as long as it is not over. */
enum { ARENA_PART = 128 << 10 };
static inline bool arena_over(const struct arena *a) { return a->over && a->over(a->over_ctx); }
void arena_zero(const struct arena *a, void *p, size_t n);
/* Copies; when it is over the rest of `to` is as it was. */
void arena_copy(const struct arena *a, void *to, const void *from, size_t n);
static inline bool arena_spent(const struct arena *a) { return a->spent; }

#define ANEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))

#endif
