/* thread.c — see thread.h */
#include "io/thread.h"

#include "base/mem.h"
#include "base/pieces.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct thread { pthread_t id; void (*run)(void *ctx); void *ctx; char name[16]; };

static void *thread_main(void *p)
{
    struct thread *t = p;
    mem_thread_begin();
    pthread_setname_np(pthread_self(), t->name);
    t->run(t->ctx);
    pieces_drop();
    return NULL;
}

struct thread *thread_try(const char *name, void (*run)(void *ctx), void *ctx)
{
    struct thread *t = NEW(struct thread);
    t->run = run;
    t->ctx = ctx;
    size_t n = strnlen(name, sizeof(t->name) - 1);
    memcpy(t->name, name, n);
    sigset_t all, before;
    sigfillset(&all);
    /* what an instruction of the thread itself causes: blocked, it ends the process in spite of a
     * handler (guard.c) */
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->id, NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) return t;
    mem_free(t);
    return NULL;
}

struct thread *thread_start(const char *name, void (*run)(void *ctx), void *ctx)
{
    struct thread *t = thread_try(name, run, ctx);
    if (!t) abort();                           /* out of memory or of threads: as mem_alloc */
    return t;
}

void thread_join(struct thread *t)
{
    if (!t) return;
    pthread_join(t->id, NULL);
    mem_free(t);
}
