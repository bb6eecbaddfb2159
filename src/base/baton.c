#include "base/baton.h"

void baton_init(struct baton *t, enum lock_rank rank)
{
    *t = (struct baton){ 0 };
    mtx_init(&t->mu, rank);
    cond_init(&t->given);
}

void baton_fini(struct baton *t)
{
    assert(!t->taken);
    cond_fini(&t->given);
    mtx_fini(&t->mu);
}

void baton_take(struct baton *t)
{
    mtx_lock(&t->mu);
    while (t->taken) cond_wait(&t->given, &t->mu);
    t->taken = true;
    mtx_unlock(&t->mu);
}

bool baton_try(struct baton *t)
{
    mtx_lock(&t->mu);
    bool mine = !t->taken;
    t->taken = true;
    mtx_unlock(&t->mu);
    return mine;
}

void baton_give(struct baton *t)
{
    mtx_lock(&t->mu);
    assert(t->taken);
    t->taken = false;
    cond_signal(&t->given);
    mtx_unlock(&t->mu);
}
