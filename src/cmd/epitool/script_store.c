#include "cmd/epitool/script_store.h"

#include "head/head.h"

static errc store_reset(void *ctx, struct err *e)
{
    struct script_store *s = ctx;
    struct head_opts o = { .chunk_range_ms = 24ll * 3600 * 1000,
        .keeps = { .start_times = true, .histogram_st = true, .float_xor2 = true } };
    script_store_fini(s);
    return head_open(&s->head, &o, e);
}

static struct appendable *store_appendable(void *ctx)
{
    return head_appendable(((struct script_store *)ctx)->head);
}

static struct queryable *store_queryable(void *ctx)
{
    return head_queryable(((struct script_store *)ctx)->head);
}

struct script_storage script_store_of(struct script_store *s)
{
    return (struct script_storage){
        s, store_reset, store_appendable, store_queryable };
}

void script_store_fini(struct script_store *s)
{
    head_close(s->head);
    s->head = NULL;
}
