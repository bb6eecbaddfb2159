/* The directory of pages is reserved once for the most pages there can be, so that it never moves and slab_at needs no lock;
 * untouched parts of it are address space only. Freed objects of a page are linked through their first four bytes. A bitmap of the
 * pages that have room is searched from its low end: objects of a slab that shrinks stay together, and its high pages run empty. */
#include "base/slab.h"
#include "base/mem.h"

#include <string.h>

enum { SLAB_WORDS = SLAB_DIR / 64 };
_Static_assert(SLAB_PAGE_BYTES / 8 <= UINT16_MAX, "the objects of a page are counted in 16 bits");

void slab_init(struct slab *s, struct account *acc, size_t object_bytes)
{
    assert(object_bytes >= 8 && object_bytes <= 4096);
    *s = (struct slab){
        .pages = mem_zalloc(SLAB_DIR * sizeof(*s->pages)),
        .info = mem_zalloc(SLAB_DIR * sizeof(*s->info)),
        .roomy = mem_zalloc(SLAB_WORDS * sizeof(*s->roomy)),
        .first_roomy = SLAB_WORDS,
        .size = (uint32_t)((object_bytes + 7) & ~(size_t)7),
        .acc = acc,
    };
    s->per_page = SLAB_PAGE_BYTES / s->size;
}

void slab_init_shrinking(struct slab *s, struct account *acc, size_t object_bytes)
{
    slab_init(s, acc, object_bytes);
    s->shrinks = true;
}

void slab_fini(struct slab *s)
{
    for (uint32_t i = 0; i < s->n_pages; i++) mem_free(atomic_load_explicit(&s->pages[i], memory_order_relaxed));
    account_charge(s->acc, -(int64_t)s->n_held * SLAB_PAGE_BYTES);
    mem_free((void *)s->pages);
    mem_free(s->info);
    mem_free(s->roomy);
    *s = (struct slab){ 0 };
}

static void slab_set_roomy(struct slab *s, uint32_t page)
{
    s->roomy[page / 64] |= (uint64_t)1 << (page % 64);
    s->first_roomy = MIN(s->first_roomy, page / 64);
}

/* As zeroed memory of the system is: what is not used yet is not resident either. The allocator aligns blocks of this size to its pages. */
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
    s->info[page] = (struct slab_page){ 0 };   /* stays roomy */
}

static void slab_add_page(struct slab *s)
{
    assert(s->n_pages < SLAB_DIR);
    uint32_t page = s->n_pages;
    slab_make_page(s, page);
    if (!page) s->info[0] = (struct slab_page){ .live = 1, .fresh = 1 };       /* index 0 */
    s->n_pages++;
    slab_set_roomy(s, page);
}

static uint32_t slab_roomy_page(struct slab *s)
{
    while (s->first_roomy < SLAB_WORDS && s->roomy[s->first_roomy] == 0) s->first_roomy++;
    if (s->first_roomy == SLAB_WORDS) slab_add_page(s);
    return s->first_roomy * 64 + (unsigned)__builtin_ctzll(s->roomy[s->first_roomy]);
}

uint32_t slab_take(struct slab *s)
{
    uint32_t page = slab_roomy_page(s), index;
    struct slab_page *p = &s->info[page];
    if (!p->live) {
        if (page == s->empty) s->empty = 0;
        else if (!atomic_load_explicit(&s->pages[page], memory_order_relaxed)) slab_make_page(s, page);
    }
    if (p->head) {
        index = p->head;
        void *object = slab_at(s, index);
        memcpy(&p->head, object, sizeof(p->head));
        memset(object, 0, s->size);
    } else {
        index = page * s->per_page + p->fresh++;
    }
    if (++p->live == s->per_page) s->roomy[page / 64] &= ~((uint64_t)1 << (page % 64));
    s->n_live++;
    return index;
}

/* One empty page stays, the lower of two: what is given and taken around a page's border costs nothing. */
static void slab_emptied(struct slab *s, uint32_t page)
{
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
    uint32_t page = index / s->per_page;
    struct slab_page *p = &s->info[page];
    assert(index > 0 && page < s->n_pages && p->live > 0 && s->n_live > 0);
    memcpy(slab_at(s, index), &p->head, sizeof(p->head));
    p->head = index;
    p->live--;
    s->n_live--;
    slab_set_roomy(s, page);
    if (!p->live && s->shrinks) slab_emptied(s, page);
}

void slab_reach(struct slab *s, uint32_t index)
{
    while (slab_end(s) <= index) slab_add_page(s);
}
