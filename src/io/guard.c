/* The table is an array of slots that the handler walks from the start to the highest slot ever
 * used. It needs no lock: a thread that faults in a region holds a pin of it, so the slot was
 * entered before and cannot go away under the handler; slots of other regions may change meanwhile
 * and do not match the address, because their memory is not ours as long as ours is mapped.
 *
 *      free --guard_add--> guarded --SIGBUS--> guarded, faulted
 *        ^-------------------guard_remove------------'
 */
#include "io/guard.h"

#include "base/lock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARDS = 1 << 16 };

struct guard {
    /* start 0: free; written by add and remove (release), read by the handler (acquire) */
    _Atomic uintptr_t start, end;
    /* set by the handler (release), read at each unpin (acquire) */
    _Atomic bool faulted;
    struct guard *next_free;           /* GUARDED_BY(guard_mu) */
};

static struct guard guards[GUARDS];
/* slots ever used; grows under guard_mu, read by the handler */
static _Atomic uint32_t guard_used;
static struct guard *guard_free_list;          /* GUARDED_BY(guard_mu) */
static struct mtx guard_mu;                    /* LOCK_LEAF */
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static struct sigaction guard_before;          /* const after guard_init */
static uintptr_t guard_page;                   /* const after guard_init */

static struct guard *guard_of(uintptr_t addr)
{
    uint32_t used = atomic_load_explicit(&guard_used, memory_order_acquire);
    for (uint32_t i = 0; i < used; i++) {
        uintptr_t start = atomic_load_explicit(&guards[i].start, memory_order_acquire);
        if (start && addr >= start &&
            addr < atomic_load_explicit(&guards[i].end, memory_order_acquire))
            return &guards[i];
    }
    return NULL;
}

/* Not ours: what stood there before handles it, or the default action does, when the instruction
 * runs into it again. */
static void guard_pass_on(int sig, siginfo_t *info, void *ctx)
{
    if ((guard_before.sa_flags & SA_SIGINFO) && guard_before.sa_sigaction) {
        guard_before.sa_sigaction(sig, info, ctx);
        return;
    }
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigaction(SIGBUS, &dfl, NULL);
    /* sent by a process: there is no instruction to run again */
    if (info->si_code <= 0) raise(sig);
}

static void guard_on_sigbus(int sig, siginfo_t *info, void *ctx)
{
    int saved = errno;
    uintptr_t addr = (uintptr_t)info->si_addr;
    struct guard *g = info->si_code > 0 ? guard_of(addr) : NULL;
    void *page = (void *)(addr & ~(guard_page - 1));
    if (g &&
        mmap(page, guard_page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page)
        atomic_store_explicit(&g->faulted, true, memory_order_release);
    else guard_pass_on(sig, info, ctx);
    errno = saved;
}

static void guard_init(void)
{
    mtx_init(&guard_mu, LOCK_LEAF);
    guard_page = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction act = { .sa_sigaction = guard_on_sigbus,
        .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
    sigemptyset(&act.sa_mask);
    if (sigaction(SIGBUS, &act, &guard_before) < 0) abort();
}

static struct guard *guard_take_locked(void) REQUIRES(guard_mu)
{
    mtx_assert_held(&guard_mu);
    struct guard *g = guard_free_list;
    uint32_t used = atomic_load_explicit(&guard_used, memory_order_relaxed);
    if (g) {
        guard_free_list = g->next_free;
    } else if (used < GUARDS) {
        g = &guards[used];
        atomic_store_explicit(&guard_used, used + 1, memory_order_release);
    }
    return g;
}

struct guard *guard_add(void *start, size_t n)
{
    pthread_once(&guard_once, guard_init);
    assert(((uintptr_t)start & (guard_page - 1)) == 0 && start);
    mtx_lock(&guard_mu);
    struct guard *g = guard_take_locked();
    mtx_unlock(&guard_mu);
    if (!g) return NULL;
    uintptr_t end = ((uintptr_t)start + n + guard_page - 1) & ~(guard_page - 1);
    atomic_store_explicit(&g->faulted, false, memory_order_relaxed);
    atomic_store_explicit(&g->end, end, memory_order_release);
    atomic_store_explicit(&g->start, (uintptr_t)start, memory_order_release);
    return g;
}

bool guard_faulted(const struct guard *g)
{
    return atomic_load_explicit(&g->faulted, memory_order_acquire);
}

void guard_remove(struct guard *g)
{
    if (!g) return;
    atomic_store_explicit(&g->start, 0, memory_order_release);
    mtx_lock(&guard_mu);
    g->next_free = guard_free_list;
    guard_free_list = g;
    mtx_unlock(&guard_mu);
}
