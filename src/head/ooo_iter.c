#include "head/ooo_iter.h"

#include "head/ooo_parts.h"

struct ooo_iter {
    struct sample_iter base;
    struct ooo_parts parts;
    size_t next;                               /* the part with which the next group begins */
    struct sample_iter *group;                 /* the iterator of the one before; may be NULL */
    bool reading;                              /* it is not at its end */
    int64_t from;                              /* grows with seek */
    errc failed;
    struct err why;
};

/* The next group, or groups of single chunks in order that follow each other: one iterator. */
static errc group_open(struct ooo_iter *it, struct err *e)
{
    const struct ooo_parts *p = &it->parts;
    size_t first = it->next, end = ooo_parts_group(p, first);
    while (end == it->next + 1 && p->all.at[it->next].in_order && end < p->all.n &&
           p->all.at[end].in_order && ooo_parts_group(p, end) == end + 1) {
        it->next = end++;
    }
    it->next = end;
    TRY(ooo_parts_open(&it->parts, first, end, &it->group, e));
    it->reading = true;
    return it->from > p->of.mint ? sample_iter_seek(it->group, it->from, e) : OK;
}

static errc iter_fill(struct sample_iter *base, struct sample_batch *out, struct err *e)
{
    struct ooo_iter *it = CONTAINER_OF(base, struct ooo_iter, base);
    out->kind = SAMPLE_FLOAT;
    out->st = NULL;
    out->n = 0;
    while (it->failed == OK && !out->n && (it->reading || it->next < it->parts.all.n)) {
        if (!it->reading) it->failed = group_open(it, &it->why);
        if (it->failed == OK) it->failed = sample_iter_fill(it->group, out, &it->why);
        it->reading = out->n > 0;
    }
    if (it->failed == OK) return OK;
    out->n = 0;
    return err_set(e, it->failed, "%.*s", STR_ARG(err_str(&it->why)));
}

static errc iter_seek(struct sample_iter *base, int64_t t, struct err *e)
{
    struct ooo_iter *it = CONTAINER_OF(base, struct ooo_iter, base);
    it->from = MAX(it->from, t);
    if (it->failed == OK && it->reading) it->failed = sample_iter_seek(it->group, t, &it->why);
    return it->failed == OK ? OK
                            : err_set(e, it->failed, "%.*s", STR_ARG(err_str(&it->why)));
}

static void iter_free(struct sample_iter *base)
{
    struct ooo_iter *it = CONTAINER_OF(base, struct ooo_iter, base);
    sample_iter_free(it->group);
    ooo_parts_fini(&it->parts);
    mem_free(it);
}

static const struct sample_iter_ops ooo_iter_ops = { iter_fill, iter_seek, iter_free };

struct sample_iter *ooo_iter_new(struct head *h)
{
    struct ooo_iter *it = NEW(struct ooo_iter);
    it->base.ops = &ooo_iter_ops;
    ooo_parts_init(&it->parts, h);
    return &it->base;
}

bool ooo_iter_is(const struct sample_iter *it) { return it && it->ops == &ooo_iter_ops; }

void ooo_iter_reset(struct sample_iter *base, const struct head_iter_of *of)
{
    struct ooo_iter *it = CONTAINER_OF(base, struct ooo_iter, base);
    ooo_parts_take(&it->parts,
        &(struct ooo_parts_of){ .slot = of->slot, .generation = of->generation, .ref = of->ref,
            .mint = of->mint, .maxt = of->maxt, .reader = of->reader, .left = of->left });
    it->next = 0;
    it->reading = false;
    it->from = of->mint;
    it->failed = OK;
    it->why.n = 0;
}
