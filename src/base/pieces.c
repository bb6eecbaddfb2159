#include "base/pieces.h"

#include "base/account.h"
#include "base/mem.h"

ACCOUNT(pieces_account, "spare_pieces")

/* Where what is freed is watched, nothing is kept. */
#if defined(__SANITIZE_ADDRESS__)
enum { WATCHED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { WATCHED = 1 };
#else
enum { WATCHED = 0 };
#endif
#else
enum { WATCHED = 0 };
#endif

/* The oldest first. */
static _Thread_local struct {
    struct { void *p; size_t n; } at[PIECES_MAX];
    size_t n, bytes;
    bool keeps;
} mine;

void pieces_keep(bool keeps) { mine.keeps = keeps && !WATCHED; }

static void *mine_remove(size_t i)
{
    void *p = mine.at[i].p;
    mine.bytes -= mine.at[i].n;
    account_charge(&pieces_account, -(int64_t)mine.at[i].n);
    mine.n--;
    memmove(&mine.at[i], &mine.at[i + 1], (mine.n - i) * sizeof(mine.at[0]));
    return p;
}

void *pieces_take(size_t *n)
{
    size_t best = mine.n, most = *n + *n / 4;
    for (size_t i = 0; i < mine.n; i++) {
        size_t is = mine.at[i].n;
        if (is >= *n && is <= most && (best == mine.n || is < mine.at[best].n)) best = i;
    }
    if (best == mine.n) return mem_alloc(*n);
    *n = mine.at[best].n;
    return mine_remove(best);
}

void pieces_give(void *p, size_t n)
{
    bool kept = mine.keeps && n >= PIECES_LEAST_BYTES && n <= PIECES_MOST_BYTES &&
                account_bytes(&pieces_account) < PIECES_ALL_BYTES;
    if (!kept) {
        mem_free(p);
        return;
    }
    while (mine.n == PIECES_MAX || mine.bytes + n > PIECES_THREAD_BYTES) mem_free(mine_remove(0));
    mine.at[mine.n].p = p;
    mine.at[mine.n++].n = n;
    mine.bytes += n;
    account_charge(&pieces_account, (int64_t)n);
}

void pieces_drop(void)
{
    while (mine.n) mem_free(mine_remove(mine.n - 1));
}
