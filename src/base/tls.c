#include "base/tls.h"
#include "base/lock.h"
#include "base/mem.h"

#include <stdlib.h>

struct tls_exit { void (*fn)(void *arg); void *arg; struct tls_exit *older; };

static pthread_key_t tls_key;
static pthread_once_t tls_once = PTHREAD_ONCE_INIT;

static void tls_run(void *list)
{
    for (struct tls_exit *x = list; x;) {
        struct tls_exit *older = x->older;
        x->fn(x->arg);
        mem_free(x);
        x = older;
    }
}

static void tls_setup(void)
{
    if (pthread_key_create(&tls_key, tls_run) != 0) abort();
}

void tls_on_exit(void (*fn)(void *arg), void *arg)
{
    if (pthread_once(&tls_once, tls_setup) != 0) abort();
    struct tls_exit *x = NEW(struct tls_exit);
    *x = (struct tls_exit){ fn, arg, pthread_getspecific(tls_key) };
    if (pthread_setspecific(tls_key, x) != 0) abort();
}
