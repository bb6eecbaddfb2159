#include "storeapi/test_store.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/strs.h"
#include "chunk/chunk.h"

struct labels test_labels(struct arena *a, const char *text)
{
    VEC(struct label) all = { 0 };
    for (str rest = str_z(text), one; rest.n;) {
        struct label l;
        str_cut(rest, ',', &one, &rest);
        str_cut(one, '=', &l.name, &l.value);
        avec_push(a, &all, l);
    }
    return (struct labels){ all.at, all.n };
}

void test_labels_text(struct buf *b, struct labels l)
{
    buf_u8(b, '{');
    for (size_t i = 0; i < l.n; i++)
        buf_fmt(b, "%s%.*s=%.*s", i ? "," : "", STR_ARG(l.at[i].name), STR_ARG(l.at[i].value));
    buf_u8(b, '}');
}

struct test_set {
    struct chunk_series_set chunks;
    struct series_set labels;
    struct test_part *p;
    struct matchers ms;
    size_t at;
    struct chunk_series now;
    struct series bare;
};

static bool test_step(struct test_set *s)
{
    while (s->at < s->p->n) {
        struct labels l = test_labels(&s->p->a, s->p->series[s->at++]);
        if (!matchers_match(s->ms, l)) continue;
        s->now = (struct chunk_series){ .labels = l, .chunks = &s->p->view, .n = 1 };
        s->bare.labels = l;
        return true;
    }
    return false;
}

static errc chunks_next(
    struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct test_set *s = CONTAINER_OF(base, struct test_set, chunks);
    (void)e;
    *out = test_step(s) ? &s->now : NULL;
    return OK;
}
static void chunks_free(struct chunk_series_set *base)
{
    mem_free(CONTAINER_OF(base, struct test_set, chunks));
}
static void chunks_warn(struct chunk_series_set *base, str_list *out)
{
    struct test_part *p = CONTAINER_OF(base, struct test_set, chunks)->p;
    if (p->left_out.n) vec_push(out, p->left_out);
}
static errc labels_next(struct series_set *base, struct series **out, struct err *e)
{
    struct test_set *s = CONTAINER_OF(base, struct test_set, labels);
    (void)e;
    *out = test_step(s) ? &s->bare : NULL;
    return OK;
}
static void labels_free(struct series_set *base)
{
    mem_free(CONTAINER_OF(base, struct test_set, labels));
}

static struct test_set *set_new(struct test_part *p, struct matchers ms)
{
    static const struct chunk_series_set_ops chunks = {
        chunks_next, chunks_free, chunks_warn
    };
    static const struct series_set_ops labels = { .next = labels_next, .free = labels_free };
    struct test_set *s = NEW(struct test_set);
    *s = (struct test_set){ .chunks.ops = &chunks, .labels.ops = &labels, .p = p, .ms = ms };
    return s;
}

static errc chunks_select(struct chunk_queryable *q, struct matchers ms, int64_t mint, int64_t maxt,
    struct chunk_series_set **out, struct err *e)
{
    struct test_part *p = CONTAINER_OF(q, struct test_part, chunks);
    (void)mint, (void)maxt;
    if (p->fail) return err_set(e, p->fail, "this part fails");
    *out = &set_new(p, ms)->chunks;
    return OK;
}

struct test_querier { struct querier base; struct test_part *p; };

static errc labels_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    struct test_querier *q = CONTAINER_OF(base, struct test_querier, base);
    if (q->p->fail) return err_set(e, q->p->fail, "this part fails");
    assert(h->sorted && str_eq(h->func, S("series")));
    *out = &set_new(q->p, ms)->labels;
    return OK;
}

/* Names, or the values of one. */
static errc words(struct querier *base, str name, struct matchers ms, size_t limit, str_list *out,
    struct err *e)
{
    struct test_querier *q = CONTAINER_OF(base, struct test_querier, base);
    struct test_set s = { .p = q->p, .ms = ms };
    if (q->p->fail) return err_set(e, q->p->fail, "this part fails");
    while (test_step(&s))
        for (size_t i = 0; i < s.bare.labels.n; i++) {
            struct label l = s.bare.labels.at[i];
            if (!name.n) vec_push(out, l.name);
            else if (str_eq(l.name, name)) vec_push(out, l.value);
        }
    strs_finish(out, limit);
    return OK;
}
static errc label_values(struct querier *q, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    *truncated = false;
    return words(q, name, ms, limit, out, e);
}
static errc label_names(struct querier *q, struct matchers ms, size_t limit, str_list *out,
    bool *truncated, struct err *e)
{
    *truncated = false;
    return words(q, STR_EMPTY, ms, limit, out, e);
}
static void test_querier_free(struct querier *q)
{
    mem_free(CONTAINER_OF(q, struct test_querier, base));
}

static errc labels_querier(
    struct queryable *base, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    static const struct querier_ops ops = {
        labels_select, label_values, label_names, test_querier_free
    };
    struct test_querier *q = NEW(struct test_querier);
    (void)mint, (void)maxt, (void)e;
    *q = (struct test_querier){ { &ops }, CONTAINER_OF(base, struct test_part, labels) };
    *out = &q->base;
    return OK;
}

void test_part_init(struct test_part *p, const char *const *series, size_t n)
{
    static const struct chunk_queryable_ops chunks = { chunks_select };
    static const struct queryable_ops labels = { labels_querier };
    *p = (struct test_part){ .chunks.ops = &chunks,
        .labels.ops = &labels,
        .series = series,
        .n = n,
        .view = { 1, 2, CHUNK_XOR, S("chunk"), 0 } };
}
void test_part_fini(struct test_part *p) { arena_fini(&p->a); }

static errc call_send(struct grpc_call *base, str message, struct err *e)
{
    struct test_call *c = CONTAINER_OF(base, struct test_call, base);
    if (c->over) return err_set(e, c->over, "the call is over");
    vec_push(&c->messages, mem_str(message));
    return OK;
}
static errc call_over(struct grpc_call *base, struct err *e)
{
    struct test_call *c = CONTAINER_OF(base, struct test_call, base);
    return err_set(e, c->over, "the call is over");
}
void test_call_init(struct test_call *c)
{
    static const struct grpc_call_ops ops = { call_send, call_over };
    *c = (struct test_call){ .base.ops = &ops };
}
void test_call_fini(struct test_call *c)
{
    for (size_t i = 0; i < c->messages.n; i++) mem_free((void *)(uintptr_t)c->messages.at[i].p);
    vec_fini(&c->messages);
    arena_fini(&c->base.arena);
}
