#include "cmd/epimetheus/web_front.h"

#include "api/gate.h"
#include "api/tls.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/web_config.h"
#include "io/thread.h"

enum { LOOK_MS = 1000 };

struct web_front {
    str path;                          /* of the flags */
    struct gate *gate;
    struct tls_box *tls;               /* NULL: plain HTTP */
    struct mtx mu;                     /* LOCK_LEAF: the next three */
    struct cond wake;
    bool stop, looking;
    uint64_t fingerprint;              /* of who looks */
    bool broken;
    struct thread *thread;
};

/* Whether the file, as it is, can be used; new keys only if there is TLS. */
static errc load(const struct web_front *f, struct arena *a, struct web_options *o,
    struct tls_keys **keys, struct err *e)
{
    *keys = NULL;
    TRY(web_config_load(o, f->path, a, e));
    return o->tls ? tls_keys_new(keys, o, e) : OK;
}

static void look(struct web_front *f)
{
    struct arena a;
    struct web_options o = { 0 };
    struct tls_keys *keys = NULL;
    struct err e = { 0 };
    arena_init(&a, NULL, 0);
    errc rc = load(f, &a, &o, &keys, &e);
    if (rc == OK && (o.fingerprint != f->fingerprint || f->broken)) {
        gate_set(f->gate, &o);
        if (keys && f->tls) tls_box_set(f->tls, STEAL(keys));
        LOG(INFO, "the web configuration was read again", kv_str("file", f->path));
        f->fingerprint = o.fingerprint;
    } else if (rc != OK && !f->broken) {
        gate_set(f->gate, NULL);
        LOG(ERROR, "Unable to parse configuration", kv_err(&e));
    }
    f->broken = rc != OK;
    tls_keys_free(keys);
    arena_fini(&a);
}

void web_front_look(struct web_front *f)
{
    if (!f) return;
    mtx_lock(&f->mu);
    bool mine = !f->looking;
    f->looking = true;
    mtx_unlock(&f->mu);
    if (!mine) return;
    look(f);
    mtx_lock(&f->mu);
    f->looking = false;
    mtx_unlock(&f->mu);
}

static void run(void *arg)
{
    struct web_front *f = arg;
    mtx_lock(&f->mu);
    while (!f->stop) {
        if (cond_wait_until(&f->wake, &f->mu, clock_mono_ns() + LOOK_MS * INT64_C(1000000)))
            continue;
        mtx_unlock(&f->mu);
        web_front_look(f);
        mtx_lock(&f->mu);
    }
    mtx_unlock(&f->mu);
}

errc web_front_open(struct web_front **out, str path, struct err *e)
{
    *out = NULL;
    if (!path.n) return OK;
    struct web_front *f = NEW(struct web_front);
    struct arena a;
    struct web_options o = { 0 };
    struct tls_keys *keys;
    arena_init(&a, NULL, 0);
    f->path = path;
    errc rc = load(f, &a, &o, &keys, e);
    if (rc == OK) {
        f->gate = gate_new(&o);
        f->tls = keys ? tls_box_new(keys) : NULL;
        f->fingerprint = o.fingerprint;
        mtx_init(&f->mu, LOCK_LEAF);
        cond_init(&f->wake);
        f->thread = thread_start("web-config", run, f);
        *out = f;
    } else {
        mem_free(f);
    }
    arena_fini(&a);
    return rc;
}

void web_front_put(const struct web_front *f, struct http_opts *o)
{
    if (!f) return;
    o->guard = gate_guard;
    o->guard_ctx = f->gate;
    o->tls = f->tls;
}

bool web_front_tls(const struct web_front *f) { return f && f->tls; }

void web_front_close(struct web_front *f)
{
    if (!f) return;
    mtx_lock(&f->mu);
    f->stop = true;
    cond_broadcast(&f->wake);
    mtx_unlock(&f->mu);
    thread_join(f->thread);
    gate_free(f->gate);
    tls_box_free(f->tls);
    cond_fini(&f->wake);
    mtx_fini(&f->mu);
    mem_free(f);
}
