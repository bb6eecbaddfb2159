#include "cmd/epimetheus/gateway_store.h"

#include "bucket/gateway.h"

static errc list(
    struct store_source *base, struct arena *a, store_parts *out, void **pin, struct err *e)
{
    struct gateway *g = CONTAINER_OF(base, struct gateway_store, base)->g;
    struct gateway_info info;
    if (!gateway_ready(g)) return err_set(e, ERR_UNAVAILABLE, "Not ready");
    gateway_info(g, a, &info);
    avec_push(a, out,
        ((struct store_part){ .carried = info.sets,
            .n_carried = info.n_sets,
            .mint = info.mint,
            .maxt = info.maxt,
            .queryable = gateway_queryable(g),
            .chunks = gateway_chunks(g) }));
    *pin = NULL;
    return OK;
}

/* The gateway outlives who asks it. */
static void release(struct store_source *base, void *pin)
{
    (void)base, (void)pin;
}

void gateway_store_init(struct gateway_store *s, struct gateway *g)
{
    static const struct store_source_ops ops = { list, release };
    *s = (struct gateway_store){ { &ops }, g };
}
