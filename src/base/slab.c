/* The directory of pages is reserved once for the most pages there can be, so that it never moves and slab_at needs no lock;
 * untouched parts of it are address space only. Freed objects of a page are linked through their first four bytes. A bitmap of the
 * pages that have some is searched from its low end: objects of a slab that shrank and grows again stay together. */
#include "base/slab.h"
#include "base/mem.h"

#include <string.h>

enum { SLAB_ALIGN = 64, SLAB_WORDS = SLAB_DIR / 64 };

struct slab_page { uint32_t head; };           /* index of a freed object; 0: none */

void slab_init(struct slab *s, struct account *acc, size_t object_bytes)
{
    assert(object_bytes >= 8 && object_bytes <= 4096);
    *s = (struct slab){
        .pages = mem_zalloc(SLAB_DIR * sizeof(*s->pages)),
        .free = mem_zalloc(SLAB_DIR * sizeof(*s->free)),
        .roomy = mem_zalloc(SLAB_WORDS * sizeof(*s->roomy)),
        .first_roomy = SLAB_WORDS,
        .size = (uint32_t)((object_bytes + 7) & ~(size_t)7),
        .next_fresh = 1,
        .acc = acc,
    };
    s->per_page = SLAB_PAGE_BYTES / s->size;
}

void slab_fini(struct slab *s)
{
    for (uint32_t i = 0; i < s->n_pages; i++) mem_free(atomic_load_explicit(&s->pages[i], memory_order_relaxed));
    account_charge(s->acc, -(int64_t)s->n_pages * SLAB_PAGE_BYTES);
    mem_free((void *)s->pages);
    mem_free(s->free);
    mem_free(s->roomy);
    *s = (struct slab){ 0 };
}

static void slab_new_page(struct slab *s)
{
    assert(s->n_pages < SLAB_DIR);
    uint8_t *page = mem_aligned(SLAB_ALIGN, SLAB_PAGE_BYTES);
    memset(page, 0, SLAB_PAGE_BYTES);
    account_charge(s->acc, SLAB_PAGE_BYTES);
    atomic_store_explicit(&s->pages[s->n_pages++], page, memory_order_release);
}

static uint32_t slab_take_freed(struct slab *s)
{
    while (s->first_roomy < SLAB_WORDS && s->roomy[s->first_roomy] == 0) s->first_roomy++;
    if (s->first_roomy == SLAB_WORDS) return 0;
    unsigned bit = (unsigned)__builtin_ctzll(s->roomy[s->first_roomy]);
    struct slab_page *page = &s->free[s->first_roomy * 64 + bit];
    uint32_t index = page->head;
    assert(index != 0);
    void *object = slab_at(s, index);
    memcpy(&page->head, object, sizeof(page->head));
    if (page->head == 0) s->roomy[s->first_roomy] &= ~((uint64_t)1 << bit);
    memset(object, 0, s->size);
    return index;
}

uint32_t slab_take(struct slab *s)
{
    uint32_t index = slab_take_freed(s);
    if (index == 0) {
        index = s->next_fresh++;
        if (index / s->per_page >= s->n_pages) slab_new_page(s);
    }
    s->n_live++;
    return index;
}

void slab_give(struct slab *s, uint32_t index)
{
    assert(index > 0 && index < s->next_fresh && s->n_live > 0);
    uint32_t at = index / s->per_page;
    memcpy(slab_at(s, index), &s->free[at].head, sizeof(uint32_t));
    s->free[at].head = index;
    s->roomy[at / 64] |= (uint64_t)1 << (at % 64);
    s->first_roomy = MIN(s->first_roomy, at / 64);
    s->n_live--;
}
