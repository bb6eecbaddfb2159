#include "base/arena.h"

#include "base/budget.h"
#include "base/mem.h"
#include "base/pieces.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum {
    ARENA_ALIGN = _Alignof(max_align_t),
    ARENA_FIRST = 4096 - 32,
    ARENA_LARGEST = 1 << 20,
    /* blocks of so many bytes are the system's pages, which are zero when they come */
    ARENA_MAPPED = 8 << 20,
    ARENA_UNMAPPED_AT_ONCE = 2 << 20
};

struct arena_block {
    struct arena_block *older;
    size_t cap, at;
    bool mapped;
    _Alignas(ARENA_ALIGN) uint8_t room[];
};

void arena_init(struct arena *a, struct account *acc, size_t limit_bytes)
{
    *a = (struct arena){ .acc = acc, .limit = limit_bytes };
}

/* From its end, for the block is what it begins with. */
static void arena_unmap(const struct arena *a, struct arena_block *b, size_t bytes)
{
    while (bytes > ARENA_UNMAPPED_AT_ONCE) {
        size_t left = (bytes - 1) / ARENA_UNMAPPED_AT_ONCE * ARENA_UNMAPPED_AT_ONCE;
        mem_unmap((uint8_t *)b + left, bytes - left);
        bytes = left;
        (void)arena_over(a);
    }
    mem_unmap(b, bytes);
}

static void arena_drop_block(struct arena *a)
{
    struct arena_block *b = a->block;
    size_t bytes = sizeof(*b) + b->cap;
    assert(a->used >= bytes);
    a->block = b->older;
    a->used -= bytes;
    account_charge(a->acc, -(int64_t)bytes);
    if (b->mapped) arena_unmap(a, b, bytes);
    else pieces_give(b, bytes);
}

void arena_fini(struct arena *a)
{
    while (a->block) arena_drop_block(a);
}

static void arena_grow(struct arena *a, size_t n)
{
    size_t next = a->block ? MIN(a->block->cap * 2, (size_t)ARENA_LARGEST) : (size_t)ARENA_FIRST;
    size_t cap = MAX(next, n);
    size_t bytes = sizeof(struct arena_block) + cap;
    bool mapped = bytes >= ARENA_MAPPED;
    struct arena_block *b = mapped ? mem_map(&bytes) : pieces_take(&bytes);
    *b = (struct arena_block){ .older = a->block, .cap = bytes - sizeof(*b), .mapped = mapped };
    a->block = b;
    a->used += bytes;
    account_charge(a->acc, (int64_t)bytes);
    if (a->limit && a->used > a->limit) a->spent = true;
    if (!a->spent && a->acc && a->acc->yields && budget_ends_query(a->used)) a->spent = true;
}

void *arena_alloc(struct arena *a, size_t n)
{
    assert(n < SIZE_MAX / 2);
    size_t want = (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (!a->block || a->block->cap - a->block->at < want) arena_grow(a, want);
    void *p = a->block->room + a->block->at;
    a->block->at += want;
    return p;
}

/* Whole, for there may be pointers; when it is over the pages go back, which is quicker. */
void arena_zero(const struct arena *a, void *p, size_t n)
{
    for (size_t at = 0, part; at < n; at += part) {
        part = MIN(n - at, (size_t)ARENA_PART);
        memset((uint8_t *)p + at, 0, part);
        if (n <= ARENA_PART || !arena_over(a)) continue;
        mem_blank((uint8_t *)p + at + part, n - at - part);
        return;
    }
}

void *arena_zalloc(struct arena *a, size_t n)
{
    const struct arena_block *before = a->block;
    uint8_t *p = arena_alloc(a, n);
    if (a->block != before && a->block->mapped) return p;
    arena_zero(a, p, n);
    return p;
}

void arena_copy(const struct arena *a, void *to, const void *from, size_t n)
{
    for (size_t at = 0, part; at < n; at += part) {
        part = MIN(n - at, (size_t)ARENA_PART);
        memcpy((uint8_t *)to + at, (const uint8_t *)from + at, part);
        if (n > ARENA_PART && arena_over(a)) return;
    }
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes = 0;
    bool over = __builtin_mul_overflow(n, size, &bytes);
    assert(!over);
    return arena_alloc(a, over ? 0 : bytes);
}

str arena_str(struct arena *a, str s)
{
    return (str){ (const uint8_t *)arena_cstr(a, s), s.n };
}

char *arena_cstr(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

str arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    char *p = arena_alloc(a, len + 1);
    vsnprintf(p, len + 1, fmt, again);
    va_end(again);
    return str_of(p, len);
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->block, a->block ? a->block->at : 0 };
}

void arena_take(struct arena *a, struct arena *from)
{
    struct arena_block **oldest = &from->block;
    assert(a->acc == from->acc);
    while (*oldest) oldest = &(*oldest)->older;
    *oldest = a->block;
    if (from->block) a->block = from->block;
    a->used += from->used;
    from->block = NULL;
    from->used = 0;
}

void arena_reset(struct arena *a, struct arena_mark m)
{
    while (a->block != m.block) {
        assert(a->block);
        if (a->block->mapped && arena_over(a)) return;
        arena_drop_block(a);
    }
    if (a->block) a->block->at = m.at;
    if (!a->limit || a->used <= a->limit) a->spent = false;
}
