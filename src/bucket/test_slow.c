#include "bucket/test_slow.h"

#include "base/lock.h"
#include "bucket/bucket_impl.h"

struct slow {
    struct bucket base;
    struct bucket *in;
    struct mtx mu; /* LOCK_LEAF: all of these */
    struct cond changed;
    str hang, fail, hide, count;
    errc rc;
    uint64_t bytes;
    bool stop;
};

static struct slow *slow_of(struct bucket *b) { return CONTAINER_OF(b, struct slow, base); }
static bool named(str name, str text) { return text.n && str_find(name, text) != SIZE_MAX; }

static errc pass(struct slow *s, str name, struct err *e)
{
    mtx_lock(&s->mu);
    while (named(name, s->hang) && !s->stop) cond_wait(&s->changed, &s->mu);
    errc rc = s->stop ? ERR_CANCELED : named(name, s->fail) ? s->rc : OK;
    mtx_unlock(&s->mu);
    return rc == OK ? OK : err_set(e, rc, "%.*s: it was to fail", STR_ARG(name));
}

static errc slow_put(struct bucket *b, str name, const struct bucket_body *body, struct err *e)
{
    return slow_of(b)->in->ops->put(slow_of(b)->in, name, body, e);
}
static errc slow_piece(struct bucket *b, str name, const struct bucket_piece *p,
    struct bucket_version *v, size_t *got, struct err *e)
{
    struct slow *s = slow_of(b);
    TRY(pass(s, name, e));
    mtx_lock(&s->mu);
    if (named(name, s->count)) s->bytes += p->n;
    mtx_unlock(&s->mu);
    return s->in->ops->piece(s->in, name, p, v, got, e);
}
static errc slow_attributes(
    struct bucket *b, str name, struct bucket_attributes *out, struct err *e)
{
    TRY(pass(slow_of(b), name, e));
    return slow_of(b)->in->ops->attributes(slow_of(b)->in, name, out, e);
}
static errc slow_page(struct bucket *b, str prefix, bool recursive, str after, struct arena *a,
    bucket_entries *out, str *next, struct err *e)
{
    struct slow *s = slow_of(b);
    TRY(pass(s, S("a list"), e));
    size_t n = out->n;
    TRY(s->in->ops->page(s->in, prefix, recursive, after, a, out, next, e));
    mtx_lock(&s->mu);
    size_t kept = n;
    for (size_t i = n; i < out->n; i++)
        if (!named(out->at[i].name, s->hide)) out->at[kept++] = out->at[i];
    mtx_unlock(&s->mu);
    out->n = kept;
    return OK;
}
static errc slow_remove(struct bucket *b, str name, struct err *e)
{
    return slow_of(b)->in->ops->remove(slow_of(b)->in, name, e);
}
static void slow_stop(struct bucket *b)
{
    struct slow *s = slow_of(b);
    mtx_lock(&s->mu);
    s->stop = true;
    cond_broadcast(&s->changed);
    mtx_unlock(&s->mu);
    bucket_stop(s->in);
}
static void slow_free(struct bucket *b)
{
    struct slow *s = slow_of(b);
    bucket_close(s->in);
    cond_fini(&s->changed);
    mtx_fini(&s->mu);
    mem_free(s);
}

struct bucket *test_slow_new(struct bucket *inner)
{
    static const struct bucket_ops ops = { slow_put, slow_piece, slow_attributes, slow_page,
        slow_remove, slow_stop, slow_free };
    struct slow *s = NEW(struct slow);
    s->base = (struct bucket){ .ops = &ops,
        .prefix = mem_str(inner->prefix),
        .name = mem_str(inner->name),
        .piece_bytes = inner->piece_bytes };
    s->in = inner;
    mtx_init(&s->mu, LOCK_LEAF);
    cond_init(&s->changed);
    return &s->base;
}

static void set(struct bucket *b, str *what, str text, errc rc)
{
    struct slow *s = slow_of(b);
    mtx_lock(&s->mu);
    *what = text;
    if (rc != OK) s->rc = rc;
    if (what == &s->count) s->bytes = 0;
    cond_broadcast(&s->changed);
    mtx_unlock(&s->mu);
}
void test_slow_hang(struct bucket *b, str text) { set(b, &slow_of(b)->hang, text, OK); }
void test_slow_fail(struct bucket *b, str text, errc rc) { set(b, &slow_of(b)->fail, text, rc); }
void test_slow_hide(struct bucket *b, str text) { set(b, &slow_of(b)->hide, text, OK); }
void test_slow_count(struct bucket *b, str text) { set(b, &slow_of(b)->count, text, OK); }
uint64_t test_slow_bytes(struct bucket *b)
{
    struct slow *s = slow_of(b);
    mtx_lock(&s->mu);
    uint64_t n = s->bytes;
    mtx_unlock(&s->mu);
    return n;
}
