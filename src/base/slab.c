/* The directory of pages is reserved once for the most pages there can be, so that it never moves
 * and slab_at needs no lock; untouched parts of it are address space only. Bitmaps of the pages
 * that have room, one a colour, and of the freed objects of a page are searched from their low
 * ends: objects of a slab that shrinks stay together, its high pages run empty, and so do the ends
 * of its pages. A page takes its colour with its first object and loses it with its last; page 0,
 * which holds the index that is never used, has colour 0. */
#include "base/slab.h"
#include "base/mem.h"

#include <string.h>

_Static_assert(SLAB_PAGE_BYTES / 8 <= UINT16_MAX, "the objects of a page are counted in 16 bits");

static size_t map_bytes(const struct slab *s)
{
    return (s->per_page + 63) / 64 * sizeof(uint64_t);
}

void slab_init(struct slab *s, struct account *acc, size_t object_bytes)
{
    assert(object_bytes >= 8 && object_bytes <= 4096);
    *s = (struct slab){
        .pages = mem_zalloc(SLAB_DIR * sizeof(*s->pages)),
        .size = (uint32_t)((object_bytes + 7) & ~(size_t)7),
        .acc = acc,
    };
    s->per_page = SLAB_PAGE_BYTES / s->size;
    s->inverse = UINT64_MAX / s->per_page + 1;
}

void slab_init_shrinking(struct slab *s, struct account *acc, size_t object_bytes)
{
    slab_init(s, acc, object_bytes);
    s->shrinks = true;
}

void slab_fini(struct slab *s)
{
    for (uint32_t i = 0; i < s->n_pages; i++) {
        mem_free(atomic_load_explicit(&s->pages[i], memory_order_relaxed));
        mem_free(s->info[i].freed);
    }
    account_charge(s->acc, -(int64_t)s->n_held * SLAB_PAGE_BYTES);
    account_charge(s->acc, -(int64_t)(s->n_maps * map_bytes(s)));
    mem_free((void *)s->pages);
    mem_free(s->info);
    mem_free(s->blank.bits);
    for (unsigned c = 0; c < SLAB_COLOURS; c++) mem_free(s->roomy[c].bits);
    *s = (struct slab){ 0 };
}

static void set_grow(struct slab_set *set)
{
    set->bits = mem_realloc(set->bits, (set->words + 1) * sizeof(*set->bits));
    set->bits[set->words++] = 0;
}

static void set_add(struct slab_set *set, uint32_t page)
{
    set->bits[page / 64] |= (uint64_t)1 << (page % 64);
    set->first = MIN(set->first, page / 64);
}

static void set_remove(struct slab_set *set, uint32_t page)
{
    set->bits[page / 64] &= ~((uint64_t)1 << (page % 64));
}

static bool set_lowest(struct slab_set *set, uint32_t *page)
{
    while (set->first < set->words && set->bits[set->first] == 0) set->first++;
    if (set->first == set->words) return false;
    *page = set->first * 64 + (unsigned)__builtin_ctzll(set->bits[set->first]);
    return true;
}

/* As zeroed memory of the system is: what is not used yet is not resident either. The allocator
 * aligns blocks of this size to its pages. */
static void slab_make_page(struct slab *s, uint32_t page)
{
    uint8_t *at = mem_zalloc(SLAB_PAGE_BYTES);
    account_charge(s->acc, SLAB_PAGE_BYTES);
    s->n_held++;
    atomic_store_explicit(&s->pages[page], at, memory_order_release);
}

static void slab_drop_page(struct slab *s, uint32_t page)
{
    uint8_t *at = atomic_load_explicit(&s->pages[page], memory_order_relaxed);
    atomic_store_explicit(&s->pages[page], NULL, memory_order_release);
    mem_free(at);
    account_charge(s->acc, -(int64_t)SLAB_PAGE_BYTES);
    s->n_held--;
    if (s->info[page].freed) {
        mem_free(s->info[page].freed);
        account_charge(s->acc, -(int64_t)map_bytes(s));
        s->n_maps--;
    }
    s->info[page] = (struct slab_page){ 0 };
}

static void slab_add_page(struct slab *s)
{
    assert(s->n_pages < SLAB_DIR);
    uint32_t page = s->n_pages;
    if (page % 64 == 0) {
        s->info = mem_realloc(s->info, (page + 64) * sizeof(*s->info));
        memset(s->info + page, 0, 64 * sizeof(*s->info));
        for (unsigned c = 0; c < SLAB_COLOURS; c++) set_grow(&s->roomy[c]);
        set_grow(&s->blank);
    }
    slab_make_page(s, page);
    s->n_pages++;
    if (!page) s->info[0] = (struct slab_page){ .live = 1, .fresh = 1 };       /* index 0 */
    set_add(page ? &s->blank : &s->roomy[0], page);
}

/* A page with room becomes this colour's: the one in memory, the lowest that was given back, or a
 * new one. */
static uint32_t slab_colour_page(struct slab *s, unsigned colour)
{
    uint32_t page = s->empty;
    if (!page && !set_lowest(&s->blank, &page)) {
        slab_add_page(s);
        page = s->n_pages - 1;
        if (!page) return colour ? slab_colour_page(s, colour) : page;
    }
    s->empty = 0;
    if (!atomic_load_explicit(&s->pages[page], memory_order_relaxed)) slab_make_page(s, page);
    s->info[page].colour = (uint8_t)colour;
    set_remove(&s->blank, page);
    set_add(&s->roomy[colour], page);
    return page;
}

/* The lowest that was freed; there is one. */
static uint32_t page_take_freed(struct slab *s, struct slab_page *p, uint32_t page)
{
    while (!p->freed[p->first]) p->first++;
    uint64_t *word = &p->freed[p->first];
    uint32_t index = page * s->per_page + p->first * 64 + (unsigned)__builtin_ctzll(*word);
    *word &= *word - 1;
    memset(slab_at(s, index), 0, s->size);
    return index;
}

uint32_t slab_take_in(struct slab *s, unsigned colour)
{
    assert(colour < SLAB_COLOURS);
    uint32_t page;
    if (!set_lowest(&s->roomy[colour], &page)) page = slab_colour_page(s, colour);
    struct slab_page *p = &s->info[page];
    uint32_t index = p->live < p->fresh ? page_take_freed(s, p, page)
                                        : page * s->per_page + p->fresh++;
    if (++p->live == s->per_page) set_remove(&s->roomy[colour], page);
    s->n_live++;
    return index;
}

/* Of a slab that shrinks one blank page stays in memory, the lower of two: what is given and taken
 * around a page's border costs nothing. */
static void slab_emptied(struct slab *s, uint32_t page)
{
    set_remove(&s->roomy[s->info[page].colour], page);
    set_add(&s->blank, page);
    if (!s->shrinks) return;
    uint32_t drop = s->empty;
    if (drop < page && drop) {
        drop = page;
        page = s->empty;
    }
    if (drop) slab_drop_page(s, drop);
    s->empty = page;
}

void slab_give(struct slab *s, uint32_t index)
{
    uint32_t page = slab_page_of(s, index), i = index - page * s->per_page;
    struct slab_page *p = &s->info[page];
    assert(index > 0 && page < s->n_pages && p->live > 0 && s->n_live > 0);
    if (!p->freed) {
        p->freed = mem_zalloc(map_bytes(s));
        account_charge(s->acc, (int64_t)map_bytes(s));
        s->n_maps++;
    }
    assert(i < p->fresh && !(p->freed[i / 64] >> (i % 64) & 1));
    p->freed[i / 64] |= (uint64_t)1 << (i % 64);
    p->first = MIN(p->first, (uint16_t)(i / 64));
    p->untrimmed = true;
    p->live--;
    s->n_live--;
    set_add(&s->roomy[p->colour], page);
    if (!p->live) slab_emptied(s, page);
}

static bool page_freed(const struct slab_page *p, uint32_t i)
{
    return p->freed[i / 64] >> (i % 64) & 1;
}

/* Objects that were freed at the end of those ever handed out count as never handed out again. */
static void page_trim_end(struct slab *s, struct slab_page *p, uint8_t *at)
{
    size_t os_page = mem_page_bytes(), end = (size_t)p->fresh * s->size;
    while (p->fresh && page_freed(p, p->fresh - 1u)) {
        p->fresh--;
        p->freed[p->fresh / 64] &= ~((uint64_t)1 << (p->fresh % 64));
    }
    size_t from = (size_t)p->fresh * s->size, beyond = (size_t)((uintptr_t)(at + end) % os_page);
    if (beyond) end = MIN(end + os_page - beyond, (size_t)SLAB_PAGE_BYTES);
    if (from < end) mem_blank(at + from, end - from);
}

static void page_trim(struct slab *s, struct slab_page *p, uint8_t *at)
{
    page_trim_end(s, p, at);
    for (uint32_t i = 0; i < p->fresh; i++) {
        if (i % 64 == 0 && !p->freed[i / 64]) {
            i += 63;
            continue;
        }
        uint32_t begin = i;
        while (i < p->fresh && page_freed(p, i)) i++;
        size_t n = (size_t)(i - begin) * s->size;
        if (n >= mem_page_bytes()) mem_blank(at + (size_t)begin * s->size, n);
    }
}

bool slab_trim(struct slab *s, uint32_t *page, uint32_t most)
{
    assert(s->shrinks);
    for (; most && *page < s->n_pages; most--, ++*page) {
        struct slab_page *p = &s->info[*page];
        uint8_t *at = atomic_load_explicit(&s->pages[*page], memory_order_relaxed);
        if (at && p->untrimmed) page_trim(s, p, at);
        p->untrimmed = false;
    }
    return *page < s->n_pages;
}

void slab_reach(struct slab *s, uint32_t index)
{
    while (slab_end(s) <= index) slab_add_page(s);
}
