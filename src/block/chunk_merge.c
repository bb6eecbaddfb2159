#include "block/chunk_merge.h"

#include "chunk/chunk.h"
#include "chunk/cut.h"
#include "chunk/xor.h"

#include <stdlib.h>

void chunk_merge_fini(struct chunk_merge *m)
{
    vec_fini(&m->in);
    vec_fini(&m->out);
    vec_fini(&m->encoded);
    vec_fini(&m->t);
    vec_fini(&m->tmp_t);
    vec_fini(&m->v);
    vec_fini(&m->tmp_v);
    buf_fini(&m->bytes);
}

static int by_time(const void *a, const void *b)
{
    const struct merge_chunk *x = a, *y = b;
    if (x->view.mint != y->view.mint) return x->view.mint < y->view.mint ? -1 : 1;
    if (x->view.maxt != y->view.maxt) return x->view.maxt < y->view.maxt ? -1 : 1;
    return (x->source > y->source) - (x->source < y->source);
}

static bool cut_by_deletion(const struct merge_chunk *c)
{
    return c->deleted && intervals_meet(c->deleted, c->view.mint, c->view.maxt);
}

static bool same(const struct merge_chunk *a, const struct merge_chunk *b)
{
    return a->view.mint == b->view.mint && a->view.maxt == b->view.maxt &&
           a->view.enc == b->view.enc && str_eq(a->view.data, b->view.data) &&
           !cut_by_deletion(a) && !cut_by_deletion(b);
}

static void push_copy(struct chunk_merge *m, const struct merge_chunk *c)
{
    vec_push(&m->out, c->view);
    vec_push(&m->encoded, 0);
}

/* The samples of a chunk that are left, into tmp. */
static errc decode(struct chunk_merge *m, const struct merge_chunk *c, struct err *e)
{
    size_t n = chunk_count(c->view.enc, c->view.data), kept = 0;
    if (c->view.enc != CHUNK_XOR)
        return err_set(e, ERR_UNSUPPORTED,
            "chunks of encoding %.*s cannot be rewritten by this version",
            STR_ARG(chunk_enc_name(c->view.enc)));
    vec_reserve(&m->tmp_t, n);
    vec_reserve(&m->tmp_v, n);
    TRY(xor_decode(c->view.data, m->tmp_t.at, m->tmp_v.at, n, &n, e));
    for (size_t i = 0; i < n; i++) {
        if (c->deleted && intervals_have(c->deleted, m->tmp_t.at[i])) continue;
        m->tmp_t.at[kept] = m->tmp_t.at[i];
        m->tmp_v.at[kept++] = m->tmp_v.at[i];
    }
    m->tmp_t.n = m->tmp_v.n = kept;
    return OK;
}

/* tmp into t and v, which keep their own where times are equal. From the back, in place. */
static void join(struct chunk_merge *m)
{
    size_t i = m->t.n, k = m->tmp_t.n, doubles = 0;
    for (size_t a = 0, b = 0; a < i && b < k;) {
        int64_t x = m->t.at[a], y = m->tmp_t.at[b];
        doubles += x == y;
        a += x <= y;
        b += y <= x;
    }
    size_t to = i + k - doubles;
    vec_reserve(&m->t, to);
    vec_reserve(&m->v, to);
    m->t.n = m->v.n = to;
    while (k > 0) {
        bool own = i > 0 && m->t.at[i - 1] >= m->tmp_t.at[k - 1];
        if (own && m->t.at[i - 1] == m->tmp_t.at[k - 1]) k--;
        to--;
        m->t.at[to] = own ? m->t.at[i - 1] : m->tmp_t.at[k - 1];
        m->v.at[to] = own ? m->v.at[i - 1] : m->tmp_v.at[k - 1];
        if (own) i--;
        else k--;
    }
}

static void push_encoded(struct chunk_merge *m, const int64_t *t, const double *v, size_t n)
{
    uint8_t *at = buf_room(&m->bytes, XOR_ROOM(n));
    size_t bytes = xor_encode(at, t, v, n);
    vec_push(&m->encoded, m->bytes.n + 1);
    vec_push(&m->out, ((struct chunk_view){ t[0], t[n - 1], CHUNK_XOR, { NULL, bytes } }));
    buf_commit(&m->bytes, bytes);
}

/* Chunks first … end - 1, each of which overlaps one before it or has something deleted. The order
 * of sources decides about equal times. */
static errc rewrite(
    struct chunk_merge *m, size_t first, size_t end, size_t n_sources, struct err *e)
{
    size_t per_chunk = end - first == 1 ? XOR_SAMPLES_MAX : CUT_SAMPLES;
    m->t.n = m->v.n = 0;
    for (size_t s = 0; s < n_sources; s++) {
        for (size_t i = first; i < end; i++) {
            if (m->in.at[i].source != s) continue;
            TRY(decode(m, &m->in.at[i], e));
            join(m);
        }
    }
    for (size_t i = 0; i < m->t.n; i += per_chunk)
        push_encoded(m, m->t.at + i, m->v.at + i, MIN(per_chunk, m->t.n - i));
    return OK;
}

static void gather(struct chunk_merge *m, const struct chunk_series *const *sources, size_t n)
{
    m->in.n = m->out.n = m->encoded.n = 0;
    buf_reset(&m->bytes);
    for (size_t s = 0; s < n; s++) {
        for (size_t i = 0; i < sources[s]->n; i++) {
            struct merge_chunk c = { sources[s]->chunks[i], sources[s]->deleted, s };
            if (!c.deleted || !intervals_cover(c.deleted, c.view.mint, c.view.maxt))
                vec_push(&m->in, c);
        }
    }
    if (n > 1 && m->in.n) qsort(m->in.at, m->in.n, sizeof(*m->in.at), by_time);
    size_t kept = 0;
    for (size_t i = 0; i < m->in.n; i++)
        if (!kept || !same(&m->in.at[kept - 1], &m->in.at[i])) m->in.at[kept++] = m->in.at[i];
    m->in.n = kept;
}

errc chunk_merge(
    struct chunk_merge *m, const struct chunk_series *const *sources, size_t n, struct err *e)
{
    gather(m, sources, n);
    for (size_t i = 0, end; i < m->in.n; i = end) {
        int64_t reach = m->in.at[i].view.maxt;
        for (end = i + 1; end < m->in.n && m->in.at[end].view.mint <= reach; end++)
            reach = MAX(reach, m->in.at[end].view.maxt);
        if (end == i + 1 && !cut_by_deletion(&m->in.at[i])) push_copy(m, &m->in.at[i]);
        else TRY(rewrite(m, i, end, n, e));
    }
    for (size_t i = 0; i < m->out.n; i++)
        if (m->encoded.at[i]) m->out.at[i].data.p = m->bytes.p + m->encoded.at[i] - 1;
    return OK;
}
