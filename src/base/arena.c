#include "base/arena.h"

#include "base/budget.h"
#include "base/pieces.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum { ARENA_ALIGN = _Alignof(max_align_t), ARENA_FIRST = 4096 - 32, ARENA_LARGEST = 1 << 20 };

struct arena_block {
    struct arena_block *older;
    size_t cap, at;
    _Alignas(ARENA_ALIGN) uint8_t room[];
};

void arena_init(struct arena *a, struct account *acc, size_t limit_bytes)
{
    *a = (struct arena){ .acc = acc, .limit = limit_bytes };
}

static void arena_drop_block(struct arena *a)
{
    struct arena_block *b = a->block;
    size_t bytes = sizeof(*b) + b->cap;
    assert(a->used >= bytes);
    a->block = b->older;
    a->used -= bytes;
    account_charge(a->acc, -(int64_t)bytes);
    pieces_give(b, bytes);
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
    struct arena_block *b = pieces_take(&bytes);
    *b = (struct arena_block){ .older = a->block, .cap = bytes - sizeof(*b) };
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

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    memset(p, 0, n);
    return p;
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

void arena_reset(struct arena *a, struct arena_mark m)
{
    while (a->block != m.block) {
        assert(a->block);
        arena_drop_block(a);
    }
    if (a->block) a->block->at = m.at;
    if (!a->limit || a->used <= a->limit) a->spent = false;
}
