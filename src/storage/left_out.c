#include "storage/left_out.h"

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

void left_out_add(struct left_out *l, str of, str name, const struct err *why)
{
    mtx_lock(&l->mu);
    struct arena_mark m = arena_mark(&l->a);
    str text = arena_fmt(&l->a, "damaged, and left out: %.*s%s%.*s: %s", STR_ARG(of),
        name.n ? " " : "", STR_ARG(name), why->msg);
    bool fresh = !is_there(l, text), fits = l->texts.n < LEFT_OUT_SHOWN;
    if (fresh && fits) vec_push(&l->texts, text);
    else arena_reset(&l->a, m);
    l->more |= fresh && !fits;
    mtx_unlock(&l->mu);
}

void left_out_list(struct left_out *l, str_list *out)
{
    for (size_t i = 0; i < l->texts.n; i++) vec_push(out, l->texts.at[i]);
    if (l->more) vec_push(out, S("damaged, and left out: more than these parts"));
}
