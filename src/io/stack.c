/* stack.c — see stack.h.
 *
 * The contexts of the C library move registers and the signal mask; sanitizers keep books of stacks
 * of their own, and are told of each change. */
#include "io/stack.h"

#include "base/account.h"

#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define STACK_TSAN 1
#endif
#endif
#ifdef STACK_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef STACK_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Within the function that changes stacks, whose call and return the sanitizers thus see on one. */
#define INLINED inline __attribute__((always_inline))
/* The first call on a stack returns to nowhere: they see nothing of it. */
#ifdef STACK_TSAN
#define UNWATCHED __attribute__((disable_sanitizer_instrumentation))
#else
#define UNWATCHED
#endif

ACCOUNT(stack_account, "stacks")

struct stack {
    ucontext_t here, there;
    void (*run)(void *ctx);
    void *ctx;
    void *at;                              /* its lowest byte, above the page that guards it */
    size_t n;
    const void *caller_at;                 /* of the caller's stack, as sanitizers know it */
    size_t caller_n;
    void *caller_books, *books;
};

static INLINED void stack_leave_caller(struct stack *s UNUSED)
{
#ifdef STACK_ASAN
    __sanitizer_start_switch_fiber(&s->caller_books, s->at, s->n);
#endif
#ifdef STACK_TSAN
    s->caller_books = __tsan_get_current_fiber();
    s->books = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(s->books, 0);
#endif
}

static INLINED void stack_entered(struct stack *s UNUSED)
{
#ifdef STACK_ASAN
    __sanitizer_finish_switch_fiber(NULL, &s->caller_at, &s->caller_n);
#endif
}

static INLINED void stack_leave(struct stack *s UNUSED)
{
#ifdef STACK_ASAN
    __sanitizer_start_switch_fiber(NULL, s->caller_at, s->caller_n);
#endif
#ifdef STACK_TSAN
    __tsan_switch_to_fiber(s->caller_books, 0);
#endif
}

static INLINED void stack_back(struct stack *s UNUSED)
{
#ifdef STACK_ASAN
    __sanitizer_finish_switch_fiber(s->caller_books, NULL, NULL);
#endif
#ifdef STACK_TSAN
    __tsan_destroy_fiber(s->books);
#endif
}

/* makecontext hands on numbers only. */
static _Thread_local struct stack *stack_entering;

static UNWATCHED void stack_main(void)
{
    struct stack *s = stack_entering;
    stack_entered(s);
    s->run(s->ctx);
    stack_leave(s);
}

errc stack_run(size_t bytes, void (*run)(void *ctx), void *ctx)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (bytes + page - 1) / page * page;
    uint8_t *at = mmap(NULL, page + n, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED) return ERR_LIMIT;
    struct stack s = { .run = run, .ctx = ctx, .at = at + page, .n = n };
    errc rc = mprotect(at, page, PROT_NONE) == 0 && getcontext(&s.there) == 0 ? OK : ERR_LIMIT;
    if (rc == OK) {
        s.there.uc_stack.ss_sp = s.at;
        s.there.uc_stack.ss_size = n;
        s.there.uc_link = &s.here;
        makecontext(&s.there, stack_main, 0);
        stack_entering = &s;
        account_charge(&stack_account, (int64_t)n);
        stack_leave_caller(&s);
        swapcontext(&s.here, &s.there);
        stack_back(&s);
        account_charge(&stack_account, -(int64_t)n);
    }
    munmap(at, page + n);
    return rc;
}
