#include "tsdb/turn.h"

void turn_init(struct turn *t)
{
    mtx_init(&t->mu, LOCK_DB);
    cond_init(&t->changed);
}

void turn_fini(struct turn *t)
{
    cond_fini(&t->changed);
    mtx_fini(&t->mu);
}

static void turn_show_locked(struct turn *t) REQUIRES(t->mu)
{
    mtx_assert_held(&t->mu);
    bool wanted = t->waiting || t->stopped;
    atomic_store_explicit(&t->wanted, wanted, memory_order_relaxed);
    atomic_store_explicit(
        &t->hurry, t->stopped || (wanted && !t->insists), memory_order_relaxed);
}

void turn_take(struct turn *t)
{
    mtx_lock(&t->mu);
    t->waiting++;
    turn_show_locked(t);
    while (t->taken) cond_wait(&t->changed, &t->mu);
    t->taken = true;
    t->waiting--;
    turn_show_locked(t);
    mtx_unlock(&t->mu);
}

void turn_take_background(struct turn *t)
{
    mtx_lock(&t->mu);
    while (t->taken || t->waiting) cond_wait(&t->changed, &t->mu);
    t->taken = true;
    mtx_unlock(&t->mu);
}

static void turn_end_locked(struct turn *t) REQUIRES(t->mu)
{
    t->taken = false;
    turn_show_locked(t);
    cond_broadcast(&t->changed);
}

void turn_give(struct turn *t)
{
    mtx_lock(&t->mu);
    turn_end_locked(t);
    mtx_unlock(&t->mu);
}

void turn_give_background(struct turn *t, bool done)
{
    mtx_lock(&t->mu);
    t->insists = !done;
    turn_end_locked(t);
    mtx_unlock(&t->mu);
}

void turn_stop(struct turn *t)
{
    mtx_lock(&t->mu);
    t->stopped = true;
    turn_show_locked(t);
    mtx_unlock(&t->mu);
}
