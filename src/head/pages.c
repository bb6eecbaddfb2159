#include "head/pages.h"

void pages_init(struct pages *p, struct account *acc)
{
    *p = (struct pages){
        .dir = mem_zalloc(PAGES_MAX * sizeof(*p->dir)), .acc = acc, .at = PAGES_BYTES
    };
}

void pages_fini(struct pages *p)
{
    for (size_t i = 0; i < p->info.n; i++) {
        if (!p->info.at[i].cap) continue;
        mem_free(atomic_load_explicit(&p->dir[i], memory_order_relaxed));
        account_charge(p->acc, -(int64_t)p->info.at[i].cap);
    }
    vec_fini(&p->info);
    vec_fini(&p->unused);
    mem_free(p->dir);
    p->dir = NULL;
}

/* The number of a fresh page of cap bytes, or UINT32_MAX. */
static uint32_t pages_add(struct pages *p, uint32_t cap)
{
    uint32_t page;
    if (p->unused.n) {
        page = vec_pop(&p->unused);
    } else {
        if (p->info.n == PAGES_MAX) return UINT32_MAX;
        page = (uint32_t)p->info.n;
        vec_push(&p->info, ((struct page_info){ 0 }));
    }
    p->info.at[page] = (struct page_info){ .cap = cap };
    atomic_store_explicit(&p->dir[page], (uint8_t *)mem_alloc(cap), memory_order_release);
    account_charge(p->acc, cap);
    return page;
}

uint32_t pages_take(struct pages *p, size_t n)
{
    assert(n > 0 && n < UINT32_MAX);
    /* one more byte: offset 0 of page 0 would be handle 0 */
    if (n >= PAGES_BYTES) {
        uint32_t page = pages_add(p, (uint32_t)n + 1);
        if (page == UINT32_MAX) return 0;
        p->info.at[page].live = (uint32_t)n;
        return page << 16 | 1;
    }
    if (p->at + n > PAGES_BYTES) {
        uint32_t page = pages_add(p, PAGES_BYTES);
        if (page == UINT32_MAX) return 0;
        p->current = page;
        p->at = 1;
        if (p->at + n > PAGES_BYTES) return 0;
    }
    uint32_t handle = p->current << 16 | p->at;
    p->at += (uint32_t)n;
    p->info.at[p->current].live += (uint32_t)n;
    return handle;
}

bool pages_give(struct pages *p, uint32_t handle, size_t n)
{
    uint32_t page = handle >> 16;
    assert(p->info.at[page].live >= n);
    p->info.at[page].live -= (uint32_t)n;
    return p->info.at[page].live == 0 && (page != p->current || p->at == PAGES_BYTES);
}

void pages_free_page(struct pages *p, uint32_t page)
{
    struct page_info *info = &p->info.at[page];
    if (info->live || !info->cap || (page == p->current && p->at < PAGES_BYTES)) return;
    mem_free(atomic_load_explicit(&p->dir[page], memory_order_relaxed));
    atomic_store_explicit(&p->dir[page], NULL, memory_order_release);
    account_charge(p->acc, -(int64_t)info->cap);
    if (page == p->current) p->at = PAGES_BYTES;
    info->cap = 0;
    vec_push(&p->unused, page);
}
