#include "storage/clip.h"

static void keep(struct sample_batch *b, int64_t *st, size_t to, size_t from)
{
    if (to == from) return;
    b->t[to] = b->t[from];
    if (st) st[to] = st[from];
    if (b->kind == SAMPLE_FLOAT) b->v[to] = b->v[from];
    else if (b->kind == SAMPLE_HISTOGRAM) b->ih[to] = b->ih[from];
    else b->h[to] = b->h[from];
}

static void cut_deleted(struct sample_batch *b, int64_t *st, const intervals *deleted)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!intervals_have(deleted, b->t[i])) keep(b, st, n++, i);
    b->n = n;
}

bool sample_batch_clip(
    struct sample_batch *b, int64_t *st, int64_t mint, int64_t maxt, const intervals *deleted)
{
    bool beyond = b->n && b->t[b->n - 1] > maxt;
    size_t from = 0, n = 0;
    while (beyond && b->n && b->t[b->n - 1] > maxt) b->n--;
    while (from < b->n && b->t[from] < mint) from++;
    for (size_t i = from; from && i < b->n; i++) keep(b, st, n++, i);
    if (from) b->n = n;
    if (deleted && b->n && intervals_meet(deleted, b->t[0], b->t[b->n - 1]))
        cut_deleted(b, st, deleted);
    return beyond;
}

bool floats_clip(
    int64_t *t, double *v, size_t *n, int64_t mint, int64_t maxt, const intervals *deleted)
{
    bool beyond = *n && t[*n - 1] > maxt;
    size_t from = 0, to = *n, kept = 0;
    while (to > 0 && t[to - 1] > maxt) to--;
    while (from < to && t[from] < mint) from++;
    bool cut = deleted && to > from && intervals_meet(deleted, t[from], t[to - 1]);
    *n = to - from;
    if (from == 0 && !cut) return beyond;
    for (size_t i = from; i < to; i++) {
        if (cut && intervals_have(deleted, t[i])) continue;
        t[kept] = t[i];
        v[kept++] = v[i];
    }
    *n = kept;
    return beyond;
}

void sample_batch_forget_hint(struct sample_batch *b, size_t i, union sample_copy *room)
{
    if (b->kind == SAMPLE_FLOAT) return;
    bool whole = b->kind == SAMPLE_HISTOGRAM;
    enum reset_hint hint = whole ? b->ih[i]->hint : b->h[i]->hint;
    if (hint == RESET_GAUGE || hint == RESET_UNKNOWN) return;
    if (whole) {
        room->ih = *b->ih[i];
        room->ih.hint = RESET_UNKNOWN;
        b->ih[i] = &room->ih;
    } else {
        room->h = *b->h[i];
        room->h.hint = RESET_UNKNOWN;
        b->h[i] = &room->h;
    }
}
