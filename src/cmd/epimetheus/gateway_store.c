#include "cmd/epimetheus/gateway_store.h"

#include "base/mem.h"
#include "bucket/gateway_parts.h"

static errc list(
    struct store_source *base, struct arena *a, store_parts *out, void **pin, struct err *e)
{
    struct gateway *g = CONTAINER_OF(base, struct gateway_store, base)->g;
    if (!gateway_ready(g)) return err_set(e, ERR_UNAVAILABLE, "Not ready");
    struct gateway_parts *parts = NEW(struct gateway_parts);
    errc rc = gateway_parts_list(g, a, parts, e);
    if (rc != OK) {
        mem_free(parts);
        return rc;
    }
    for (size_t i = 0; i < parts->n; i++) {
        struct gateway_part *p = &parts->at[i];
        avec_push(a, out,
            ((struct store_part){ .external = p->external,
                .stream = p->stream,
                .mint = p->mint,
                .maxt = p->maxt,
                .resolution_ms = p->resolution_ms,
                .block = p->id,
                .unknown = !p->block,
                .queryable = &p->queryable,
                .chunks = &p->chunks }));
    }
    *pin = parts;
    return OK;
}

static void begin(struct store_source *base, const struct store_part *p)
{
    (void)base;
    gateway_part_begin(CONTAINER_OF(p->queryable, struct gateway_part, queryable));
}

static void release(struct store_source *base, void *pin)
{
    (void)base;
    gateway_parts_end(pin);
    mem_free(pin);
}

void gateway_store_init(struct gateway_store *s, struct gateway *g)
{
    static const struct store_source_ops ops = { list, release, begin };
    *s = (struct gateway_store){ { &ops }, g };
}
