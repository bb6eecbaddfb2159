#include "base/losers.h"

#include "base/defs.h"
#include "base/mem.h"

void losers_init(struct losers *t, uint32_t n, losers_less less, const void *ctx)
{
    assert(n > 0);
    uint32_t *won = mem_alloc_array((size_t)n * 2, sizeof(*won));
    *t = (struct losers){ mem_alloc_array(n, sizeof(*t->at)), n, less, ctx };
    for (uint32_t i = 0; i < n; i++) won[n + i] = i;
    for (uint32_t k = n - 1; k > 0; k--) {
        uint32_t a = won[2 * k], b = won[2 * k + 1];
        bool second = less(ctx, b, a);
        won[k] = second ? b : a;
        t->at[k] = second ? a : b;
    }
    t->at[0] = n > 1 ? won[1] : 0;
    mem_free(won);
}

void losers_fini(struct losers *t)
{
    mem_free(t->at);
    *t = (struct losers){ 0 };
}

void losers_changed(struct losers *t)
{
    uint32_t best = t->at[0];
    for (uint32_t k = (best + t->n) / 2; k > 0; k /= 2) {
        if (!t->less(t->ctx, t->at[k], best)) continue;
        uint32_t other = t->at[k];
        t->at[k] = best;
        best = other;
    }
    t->at[0] = best;
}
