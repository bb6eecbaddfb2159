/* watch_fake.c — the test double of watch.h: it remembers folders, and a test says when something
 * happened. */
#include "io/watch_impl.h"

#include "base/lock.h"
#include "base/vec.h"

/* mu: LOCK_LEAF, guards folders */
struct fake { struct watch base; struct mtx mu; VEC(str) folders; };

static void fake_forget(struct fake *f)
{
    for (size_t i = 0; i < f->folders.n; i++) mem_free((void *)f->folders.at[i].p);
    f->folders.n = 0;
}

static void fake_folders(struct watch *w, const str *folders, size_t n)
{
    struct fake *f = CONTAINER_OF(w, struct fake, base);
    mtx_lock(&f->mu);
    fake_forget(f);
    for (size_t i = 0; i < n; i++) vec_push(&f->folders, mem_str(folders[i]));
    mtx_unlock(&f->mu);
}

static void fake_free(struct watch *w)
{
    struct fake *f = CONTAINER_OF(w, struct fake, base);
    fake_forget(f);
    vec_fini(&f->folders);
    mtx_fini(&f->mu);
    mem_free(f);
}

errc watch_fake_new(struct watch **out, const struct watch_sink *sink, struct err *e)
{
    static const struct watch_ops ops = { fake_folders, fake_free };
    (void)e;
    struct fake *f = NEW(struct fake);
    f->base = (struct watch){ &ops, *sink };
    mtx_init(&f->mu, LOCK_LEAF);
    *out = &f->base;
    return OK;
}

bool watch_fake_has(struct watch *w, str folder)
{
    struct fake *f = CONTAINER_OF(w, struct fake, base);
    bool has = false;
    mtx_lock(&f->mu);
    for (size_t i = 0; i < f->folders.n && !has; i++) has = str_eq(f->folders.at[i], folder);
    mtx_unlock(&f->mu);
    return has;
}

void watch_fake_change(struct watch *w, str folder)
{
    if (watch_fake_has(w, folder)) w->sink.changed(w->sink.ctx, folder);
}
