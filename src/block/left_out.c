#include "block/left_out.h"

#include "base/log.h"
#include "base/metric.h"

enum { WARN_EVERY_MS = 1000 };

COUNTER(m_left_out, "epimetheus_block_damage_met_total",
    "Damaged index entries and chunks of blocks that queries met and left out.")

void left_out_init(struct left_out *l)
{
    *l = (struct left_out){ 0 };
    mtx_init(&l->mu, LOCK_LEAF);
}

void left_out_fini(struct left_out *l)
{
    vec_fini(&l->texts);
    arena_fini(&l->a);
    mtx_fini(&l->mu);
}

static bool is_there(const struct left_out *l, str text)
{
    for (size_t i = 0; i < l->texts.n; i++)
        if (str_eq(l->texts.at[i], text)) return true;
    return false;
}

void left_out_add(struct left_out *l, str dir, const struct err *why)
{
    metric_inc(&m_left_out);
    LOG_LIMITED(WARN, WARN_EVERY_MS, "a damaged part of a block is left out", kv_str("block", dir),
        kv_err(why));
    mtx_lock(&l->mu);
    struct arena_mark m = arena_mark(&l->a);
    str text = arena_fmt(
        &l->a, "damaged, and left out: block %.*s: %s", STR_ARG(dir), why->msg);
    bool fresh = !is_there(l, text), fits = l->texts.n < LEFT_OUT_SHOWN;
    if (fresh && fits) vec_push(&l->texts, text);
    else arena_reset(&l->a, m);
    l->more |= fresh && !fits;
    mtx_unlock(&l->mu);
}

void left_out_list(struct left_out *l, str_list *out)
{
    for (size_t i = 0; i < l->texts.n; i++) vec_push(out, l->texts.at[i]);
    if (l->more) vec_push(out, S("damaged, and left out: more than these parts of blocks"));
}
