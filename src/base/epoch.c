/* One counter, and a record for each thread with the counter's value when it entered (0: outside).
 * Retiring stamps the object with the counter and raises it; the object may go when every record is
 * 0 or above the stamp.
 *
 * Why that holds: a reader announces e and reads the counter again until it finds e. A collector
 * that missed the announcement scanned before it, so its raise came before the second read, which
 * would have found more than e. And a reader that announces more than a stamp has read the counter
 * after that raise, hence sees the unlinking that came before it. */
#include "base/epoch.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/tls.h"

struct epoch_record {
    _Alignas(64) _Atomic uint64_t at;          /* seq_cst: its thread writes, collectors read */
    _Atomic bool used;                         /* by a living thread */
    unsigned depth;                            /* its thread only */
    struct epoch_record *next;                 /* const after publication */
};
struct retired {
    void *p, *ctx;
    void (*free_fn)(void *p);
    void (*free_ctx_fn)(void *p, void *ctx);
    uint64_t stamp;
    struct retired *next;
};

static _Atomic uint64_t epoch_now = 1;
static struct epoch_record *_Atomic epoch_records;             /* pushed, never removed: reused */
static _Thread_local struct epoch_record *epoch_mine;

static struct mtx epoch_mu = { PTHREAD_MUTEX_INITIALIZER, LOCK_LEAF };
/* GUARDED_BY(epoch_mu): in the order of stamps */
static struct retired *retired_first, **retired_end = &retired_first;
static uint64_t retired_count, freed_count;                    /* GUARDED_BY(epoch_mu) */
/* GUARDED_BY(epoch_mu): one at a time keeps the order */
static bool collecting;

static void epoch_thread_end(void *arg)
{
    struct epoch_record *r = arg;
    assert(r->depth == 0);
    atomic_store(&r->used, false);
}

static struct epoch_record *epoch_record_get(void)
{
    for (struct epoch_record *r = atomic_load(&epoch_records); r; r = r->next) {
        bool used = false;
        if (atomic_compare_exchange_strong(&r->used, &used, true)) return r;
    }
    struct epoch_record *r = mem_aligned(64, sizeof(*r));
    *r = (struct epoch_record){ .used = true };
    struct epoch_record *first = atomic_load(&epoch_records);
    do r->next = first; while (!atomic_compare_exchange_weak(&epoch_records, &first, r));
    return r;
}

void epoch_enter(void)
{
    if (!epoch_mine) tls_on_exit(epoch_thread_end, epoch_mine = epoch_record_get());
    struct epoch_record *r = epoch_mine;
    if (r->depth++ > 0) return;
    for (uint64_t e = atomic_load(&epoch_now), again;; e = again) {
        atomic_store(&r->at, e);
        again = atomic_load(&epoch_now);
        if (again == e) return;
    }
}

void epoch_leave(void)
{
    assert(epoch_mine && epoch_mine->depth > 0);
    if (--epoch_mine->depth == 0) atomic_store(&epoch_mine->at, 0);
}

static void retire(struct retired r)
{
    struct retired *at = NEW(struct retired);
    mtx_lock(&epoch_mu);
    r.stamp = atomic_fetch_add(&epoch_now, 1);
    *at = r;
    *retired_end = at;
    retired_end = &at->next;
    retired_count++;
    mtx_unlock(&epoch_mu);
}

void epoch_retire(void *p, void (*free_fn)(void *p))
{
    retire((struct retired){ .p = p, .free_fn = free_fn });
}

void epoch_retire_ctx(void *p, void *ctx, void (*free_fn)(void *p, void *ctx))
{
    retire((struct retired){ .p = p, .ctx = ctx, .free_ctx_fn = free_fn });
}

static uint64_t epoch_oldest(void)
{
    uint64_t oldest = UINT64_MAX;
    for (struct epoch_record *r = atomic_load(&epoch_records); r; r = r->next) {
        uint64_t at = atomic_load(&r->at);
        if (at && at < oldest) oldest = at;
    }
    return oldest;
}

/* The list's start, up to the first that a reader may still see. NULL: none, or another thread is
 * at it. */
static struct retired *retired_cut(void)
{
    mtx_lock(&epoch_mu);
    struct retired *first = NULL, **at = &retired_first;
    if (!collecting && retired_first) {
        uint64_t oldest = epoch_oldest();
        while (*at && (*at)->stamp < oldest) at = &(*at)->next;
        if (at != &retired_first) {
            first = retired_first;
            retired_first = *at;
            *at = NULL;
            if (!retired_first) retired_end = &retired_first;
            collecting = true;
        }
    }
    mtx_unlock(&epoch_mu);
    return first;
}

void epoch_collect(void)
{
    uint64_t n = 0;
    struct retired *r = retired_cut();
    if (!r) return;
    for (; r; n++) {
        struct retired *next = r->next;
        if (r->free_fn) r->free_fn(r->p);
        else r->free_ctx_fn(r->p, r->ctx);
        mem_free(r);
        r = next;
    }
    mtx_lock(&epoch_mu);
    collecting = false;
    freed_count += n;
    mtx_unlock(&epoch_mu);
}

void epoch_drain(void)
{
    assert(!epoch_mine || epoch_mine->depth == 0);
    mtx_lock(&epoch_mu);
    uint64_t want = retired_count;
    mtx_unlock(&epoch_mu);
    for (bool done = false; !done;) {
        epoch_collect();
        mtx_lock(&epoch_mu);
        done = freed_count >= want;
        mtx_unlock(&epoch_mu);
        if (!done) clock_sleep_ns(100000);
    }
}
