#include "cmd/epimetheus/shipping.h"

#include "base/log.h"
#include "bucket/shipper.h"
#include "cmd/epimetheus/parts.h"
#include "config/objstore.h"

#include <stdlib.h>

struct shipping {
    struct server *s;
    struct bucket *bucket;
    struct shipper *shipper;
    str state;
};

static const char *env_get(const char *name) { return getenv(name); }

static errc shipping_fill(struct shipping *p, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct server *s = p->s;
    struct bucket_config c;
    TRY_IN(e, objstore_load(&c, s->flags.objstore, s->flags.objstore_file, env_get, &a, e),
        "getting object store config");
    TRY_IN(e, bucket_open(&p->bucket, &c, e), "getting object store config");
    TRY(shipper_state_begin(s->data_fs, e));
    p->state = path_join(&s->arena, s->flags.storage_path, S(SHIPPER_STATE));
    LOG(INFO, "finished blocks are uploaded", kv_str("bucket", bucket_name(p->bucket)));
    return OK;
}

errc shipping_open(struct shipping **out, struct server *s, bool labelled, struct err *e)
{
    if (!s->flags.objstore.n && !s->flags.objstore_file.n) return OK;
    if (!labelled)
        return err_set(e, ERR_BAD_INPUT,
            "no external labels configured on Prometheus server, uniquely identifying external "
            "labels must be configured; see "
            "https://thanos.io/tip/thanos/storage.md#external-labels "
            "for details.");
    struct shipping *p = NEW(struct shipping);
    p->s = s;
    errc rc = shipping_fill(p, e);
    if (rc == OK) *out = p;
    else shipping_close(p);
    return rc;
}

str shipping_state(const struct shipping *p) { return p ? p->state : STR_EMPTY; }

static struct labels labels_now(void *ctx, struct arena *a)
{
    struct server *s = ctx;
    mtx_lock(&s->mu);
    struct labels l = labels_copy(a, s->external);
    mtx_unlock(&s->mu);
    return l;
}

errc shipping_start(struct shipping *p, struct err *e)
{
    if (!p) return OK;
    struct shipper_opts o = { .bucket = p->bucket,
        .fs = p->s->data_fs,
        .backend = IO_AUTO,
        .labels = labels_now,
        .labels_ctx = p->s,
        .upload_compacted = p->s->flags.ship_compacted,
        .allow_out_of_order = p->s->flags.ship_out_of_order };
    return shipper_open(&p->shipper, &o, e);
}

void shipping_close(struct shipping *p)
{
    if (!p) return;
    if (p->bucket) bucket_stop(p->bucket);
    shipper_close(p->shipper);
    bucket_close(p->bucket);
    mem_free(p);
}
