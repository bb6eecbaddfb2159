/* vec.h — growable arrays: VEC(struct series *) all; then vec_push(&all, s).
 *
 * What        A struct of pointer, count and capacity, on the heap; or, with avec_push, in an
 *             arena.
 * Invariants  n <= cap; at is NULL only if cap == 0. The zero value is an empty vector.
 * Ownership   vec_fini frees the array, never what the elements point to. An arena's vector is
 *             never freed.
 * Threads     none
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_VEC_H
#define EPI_BASE_VEC_H

#include "base/arena.h"
#include "base/mem.h"

#define VEC(T) struct { T *at; size_t n, cap; }
typedef VEC(str) str_list;

#define vec_reserve(v, want) \
    do { \
        size_t vec_want = (want); \
        if (vec_want > (v)->cap) { \
            size_t vec_cap = MAX(vec_want, (v)->cap + (v)->cap / 2 + 8); \
            assert(vec_cap < SIZE_MAX / sizeof(*(v)->at)); \
            (v)->at = mem_realloc((v)->at, vec_cap * sizeof(*(v)->at)); \
            (v)->cap = vec_cap; \
        } \
    } while (0)
#define vec_push(v, x) do { vec_reserve((v), (v)->n + 1); (v)->at[(v)->n++] = (x); } while (0)
#define vec_last(v) ((v)->at[assert((v)->n > 0), (v)->n - 1])
#define vec_pop(v) ((v)->at[assert((v)->n > 0), --(v)->n])
#define vec_fini(v) do { mem_free((v)->at); (v)->at = NULL; (v)->n = (v)->cap = 0; } while (0)

/* The same in an arena: growing leaves the smaller array behind until the arena is reset. */
#define avec_push(a, v, x) \
    do { \
        if ((v)->n == (v)->cap) { \
            size_t vec_cap = (v)->cap ? (v)->cap * 2 : 8; \
            void *vec_p = arena_alloc((a), vec_cap * sizeof(*(v)->at)); \
            if ((v)->n) memcpy(vec_p, (v)->at, (v)->n * sizeof(*(v)->at)); \
            (v)->at = vec_p; \
            (v)->cap = vec_cap; \
        } \
        (v)->at[(v)->n++] = (x); \
    } while (0)

#endif
