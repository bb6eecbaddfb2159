#include "bucket/plain_block.h"

#include "base/mem.h"
#include "block/block_writer.h"
#include "block/segment_writer.h"
#include "chunk/plain.h"

errc plain_block_check(struct block *b, bool *plain, struct err *e)
{
    SCOPED(chunk_series_set_freep) struct chunk_series_set *all = NULL;
    const struct chunk_series *s;
    *plain = true;
    TRY(block_chunks(b, NULL, 0, &all, e));
    for (;;) {
        TRY(all->ops->next(all, &s, e));
        if (!s) return OK;
        for (size_t i = 0; i < s->n; i++) *plain = *plain && chunk_enc_plain(s->chunks[i].enc);
    }
}

/* The series of a block, with chunks that are not plain written anew. */
struct plain_set {
    struct chunk_series_set base;
    struct chunk_series_set *in;
    struct chunk_series out;
    VEC(struct chunk_view) views;
    VEC(struct buf) data; /* of what was written anew, one each */
    struct chunk_encoder enc;
    struct chunk_iter it;
};

/* One chunk may become several; all go to views. */
static errc anew(struct plain_set *p, const struct chunk_view *c, struct err *e)
{
    errc rc = chunk_plain(&p->enc, &p->it, c->enc, c->data, e);
    TRY(segment_still_whole(c, 1, rc, e));
    for (size_t i = 0; i < p->enc.chunks.n; i++) {
        const struct encoded_chunk *x = &p->enc.chunks.at[i];
        struct buf copy = { 0 };
        buf_str(&copy, encoded_chunk_data(&p->enc, i));
        vec_push(&p->data, copy);
        vec_push(&p->views, ((struct chunk_view){ x->mint, x->maxt, x->enc, buf_view(&copy), 0 }));
    }
    return OK;
}

static void data_drop(struct plain_set *p)
{
    for (size_t i = 0; i < p->data.n; i++) buf_fini(&p->data.at[i]);
    p->data.n = 0;
}

static errc plain_next(
    struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct plain_set *p = CONTAINER_OF(base, struct plain_set, base);
    const struct chunk_series *s;
    data_drop(p);
    p->views.n = 0;
    TRY(p->in->ops->next(p->in, &s, e));
    *out = NULL;
    if (!s) return OK;
    for (size_t i = 0; i < s->n; i++) {
        if (chunk_enc_plain(s->chunks[i].enc)) vec_push(&p->views, s->chunks[i]);
        else TRY(anew(p, &s->chunks[i], e));
    }
    p->out = *s;
    p->out.chunks = p->views.at;
    p->out.n = p->views.n;
    *out = &p->out;
    return OK;
}

static void plain_free(struct chunk_series_set *base)
{
    struct plain_set *p = CONTAINER_OF(base, struct plain_set, base);
    data_drop(p);
    chunk_series_set_free(p->in);
    chunk_encoder_fini(&p->enc);
    chunk_iter_fini(&p->it);
    vec_fini(&p->views);
    vec_fini(&p->data);
    mem_free(p);
}

errc plain_block_write(
    struct block *b, struct fs *fs, str parent, struct block_stats *stats, struct err *e)
{
    static const struct chunk_series_set_ops ops = { plain_next, plain_free };
    struct block_meta meta = block_meta_now(b);
    struct block_writer_opts o = { .fs = fs, .parent = parent, .meta = &meta };
    struct plain_set *p = NEW(struct plain_set);
    p->base.ops = &ops;
    chunk_iter_init(&p->it);
    errc rc = block_chunks(b, NULL, 0, &p->in, e);
    if (rc != OK) {
        plain_free(&p->base);
        return rc;
    }
    return block_write(&o, block_symbols(b), &p->base, stats, e);
}
