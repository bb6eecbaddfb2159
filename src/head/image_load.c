#include "head/image_load.h"

#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "head/byte_chunk.h"
#include "head/head_impl.h"
#include "head/image_codec.h"
#include "head/replay.h"
#include "wal/rec_histogram.h"

/* What one thread needs for a frame, used again for the next. */
struct loader {
    struct loader *next;
    struct open_ctx ctx;
    struct chunk_iter iter;
    struct image_series series;
    struct image_times times;                  /* of the frame, and the run that has them */
    uint32_t run;                              /* a reference; 0: none yet */
    unsigned run_n;                            /* times that it has */
    bool stale_run;                            /* the times are others by now */
    struct chunk_copy copy;
    int64_t mint, maxt;                        /* of what was taken */
    struct image_loaded n;
};

struct image_load {
    struct head_replay *replay;
    struct head *head;
    int64_t min_valid;
    bool with_st;
    struct mtx mu;                             /* LOCK_LEAF */
    struct loader *idle;                       /* GUARDED_BY(mu) */
};

struct image_load *image_load_new(struct head_replay *r, sref last_ref)
{
    struct image_load *l = NEW(struct image_load);
    l->replay = r;
    l->head = head_replay_head(r);
    l->min_valid = head_min_valid_time(l->head);
    l->with_st =
        atomic_load_explicit(&l->head->store.float_enc, memory_order_relaxed) == CHUNK_XOR2;
    mtx_init(&l->mu, LOCK_LEAF);
    series_reserve_ref(&l->head->series, last_ref);
    return l;
}

static struct loader *loader_take(struct image_load *l)
{
    mtx_lock(&l->mu);
    struct loader *x = l->idle;
    if (x) l->idle = x->next;
    mtx_unlock(&l->mu);
    if (x) return x;
    x = NEW(struct loader);
    open_ctx_init(&x->ctx, &l->head->store);
    chunk_iter_init(&x->iter);
    x->mint = INT64_MAX;
    x->maxt = INT64_MIN;
    return x;
}

static void loader_give(struct image_load *l, struct loader *x)
{
    mtx_lock(&l->mu);
    x->next = l->idle;
    l->idle = x;
    mtx_unlock(&l->mu);
}

struct image_loaded image_load_free(struct image_load *l)
{
    struct image_loaded sum = { 0 };
    if (!l) return sum;
    for (struct loader *x = l->idle, *next; x; x = next) {
        next = x->next;
        if (x->mint <= x->maxt) head_saw_time(l->head, x->mint, x->maxt);
        open_ctx_release(&x->ctx);
        head_count_opened(l->head, &x->ctx);
        sum.series += x->n.series;
        sum.samples += x->n.samples;
        sum.unknown += x->n.unknown;
        chunk_iter_fini(&x->iter);
        image_series_fini(&x->series);
        mem_free(x);
    }
    mtx_fini(&l->mu);
    mem_free(l);
    return sum;
}

/* ---- one series, its slot locked ---- */

/* All that was in chunk files, and is in no block, has to be there: only the log has what is
 * missing. Both lists ascend. */
static bool closed_are_there(const struct image_load *l, const struct loader *x,
    const struct slot *s)
{
    unsigned at = 0;
    for (size_t i = 0; i < x->series.closed.n; i++) {
        int64_t maxt = x->series.closed.at[i];
        if (maxt < l->min_valid) continue;
        while (at < s->n_closed && store_get_closed(&l->head->store, s, at).maxt < maxt) at++;
        if (at == s->n_closed || store_get_closed(&l->head->store, s, at).maxt != maxt)
            return false;
    }
    return true;
}

static bool is_there(const struct image_load *l, const struct slot *s, int64_t t)
{
    return t <= slot_last_t(s) || t < l->min_valid;
}

static void took(struct loader *x, int64_t t)
{
    x->mint = MIN(x->mint, t);
    x->maxt = MAX(x->maxt, t);
    x->n.samples++;
}

static void take_floats(const struct image_load *l, struct loader *x, uint32_t slot,
    struct slot *s, const struct sample_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        int64_t st = b->st && l->with_st ? b->st[i] : 0;
        if (is_there(l, s, b->t[i])) continue;
        if (LIKELY(!st && slot_takes_plain(&l->head->store, s)))
            open_append(&x->ctx, slot, s, b->t[i], b->v[i]);
        else byte_append_float(&x->ctx, slot, s, b->t[i], st, b->v[i]);
        took(x, b->t[i]);
    }
}

static errc take_histograms(const struct image_load *l, struct loader *x, uint32_t slot,
    struct slot *s, const struct sample_batch *b, struct err *e)
{
    bool whole = b->kind == SAMPLE_HISTOGRAM;
    for (size_t i = 0; i < b->n; i++) {
        if (is_there(l, s, b->t[i])) continue;
        struct rec_histogram r =
            whole ? rec_histogram_of_int(b->ih[i]) : rec_histogram_of_float(b->h[i]);
        TRY(rec_histogram_check(&r, e));
        struct hist_words w = whole ? hist_words_of_int(b->ih[i]) : hist_words_of_float(b->h[i]);
        byte_append_histogram(&x->ctx, slot, s, b->t[i], b->st ? b->st[i] : 0, &w);
        took(x, b->t[i]);
    }
    return OK;
}

/* ---- an open chunk as it was held ---- */

/* A run that has the times of the frame. False: it cannot be had. */
static bool run_for(const struct image_load *l, struct loader *x, bool fresh)
{
    struct store *st = &l->head->store;
    if (fresh && x->run) {
        store_unref_run(st, x->run);
        x->run = 0;
    }
    x->stale_run = false;
    if (!x->run) {
        x->run = store_new_run(st, x->times.t[0], &x->ctx.stock);
        x->run_n = 1;
    }
    for (; x->run_n < x->times.n; x->run_n++)
        if (!store_extend_run(
                st, x->run, (uint16_t)x->run_n, x->times.t[x->run_n], &x->ctx.stock))
            return false;
    return true;
}

/* What is covered in part goes in sample by sample. */
static void take_values(
    const struct image_load *l, struct loader *x, uint32_t slot, struct slot *s)
{
    double v[RUN_MAX];
    struct sample_batch b = { .kind = SAMPLE_FLOAT };
    chunk_copy_values(&x->copy, x->copy.n, v);
    for (unsigned from = 0; from < x->copy.n; from += SAMPLE_BATCH) {
        b.n = MIN(x->copy.n - from, (unsigned)SAMPLE_BATCH);
        memcpy(b.t, x->copy.t + from, b.n * sizeof(*b.t));
        memcpy(b.v, v + from, b.n * sizeof(*b.v));
        take_floats(l, x, slot, s, &b);
    }
}

static errc take_held(const struct image_load *l, struct loader *x, uint32_t slot,
    struct slot *s, str data, struct err *e)
{
    struct open_state state;
    bool fresh;
    TRY(image_held_decode(&x->copy, &state, &x->times, &fresh, data, e));
    if (is_there(l, s, x->copy.maxt)) {        /* a chunk file has it by now */
        x->stale_run = x->stale_run || fresh;
        return OK;
    }
    bool alone = !s->n && !s->sealed && !is_there(l, s, x->copy.mint);
    bool has_run = run_for(l, x, fresh || x->stale_run);
    bool whole = alone && has_run && slot_takes_plain(&l->head->store, s);
    if (!whole && !open_state_holds(&x->copy, &state))
        return err_set(e, ERR_CORRUPT, "head image: an open chunk that is none");
    if (!whole) {
        take_values(l, x, slot, s);
        return OK;
    }
    if (!open_restore(&x->ctx, s, x->run, &x->copy, &state))
        return err_set(e, ERR_CORRUPT, "head image: an open chunk that is none");
    x->mint = MIN(x->mint, x->copy.mint);
    x->maxt = MAX(x->maxt, x->copy.maxt);
    x->n.samples += x->copy.n;
    return OK;
}

static errc take_chunk(const struct image_load *l, struct loader *x, uint32_t slot,
    struct slot *s, const struct image_chunk *c, struct err *e)
{
    struct sample_batch b;
    if (c->enc == IMAGE_AS_HELD) return take_held(l, x, slot, s, c->data, e);
    if (is_there(l, s, c->maxt)) return OK;    /* a chunk file has it by now, or a block */
    TRY(chunk_iter_reset(&x->iter, c->enc, c->data, e));
    for (;;) {
        TRY(chunk_iter_fill(&x->iter, &b, e));
        if (!b.n) return OK;
        if (b.kind == SAMPLE_FLOAT) take_floats(l, x, slot, s, &b);
        else TRY(take_histograms(l, x, slot, s, &b, e));
    }
}

/* The times of its open chunk may be those of the next. */
static errc pass_over(struct loader *x, struct err *e)
{
    struct open_state state;
    bool fresh;
    for (size_t i = 0; i < x->series.chunks.n; i++) {
        const struct image_chunk *c = &x->series.chunks.at[i];
        if (c->enc != IMAGE_AS_HELD) continue;
        TRY(image_held_decode(&x->copy, &state, &x->times, &fresh, c->data, e));
        x->stale_run = x->stale_run || fresh;
    }
    return OK;
}

static errc take_series(const struct image_load *l, struct loader *x, struct err *e)
{
    uint32_t slot = head_replay_slot(l->replay, x->series.ref);
    if (!slot) {
        x->n.unknown++;
        return pass_over(x, e);
    }
    struct slot *s = store_slot(&l->head->store, slot);
    slot_lock(s);
    errc rc = closed_are_there(l, x, s)
                  ? OK
                  : err_set(e, ERR_CORRUPT,
                        "head image: of series ref %" PRIu64 " a closed chunk is missing",
                        x->series.ref);
    for (size_t i = 0; rc == OK && i < x->series.chunks.n; i++)
        rc = take_chunk(l, x, slot, s, &x->series.chunks.at[i], e);
    slot_unlock(s);
    x->n.series++;
    return rc == OK ? OK : ERR_CORRUPT;
}

errc image_load_frame(struct image_load *l, str frame, struct err *e)
{
    struct image_frame_iter it;
    bool got = false;
    TRY(image_frame_iter_init(&it, frame, e));
    struct loader *x = loader_take(l);
    errc rc;
    x->times.n = 0;
    x->stale_run = false;
    do {
        rc = image_frame_next(&it, &x->series, &got, e);
        if (rc == OK && got) rc = take_series(l, x, e);
    } while (rc == OK && got);
    if (x->run) store_unref_run(&l->head->store, x->run);
    x->run = 0;
    loader_give(l, x);
    return rc;
}
