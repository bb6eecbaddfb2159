#include "head/replay_item.h"

#include "head/exemplars.h"
#include "head/head_impl.h"
#include "wal/rec_histogram.h"

struct replay_item *replay_item_float(struct arena *a, int64_t t, int64_t st, double v)
{
    struct replay_item *x = ANEW(a, struct replay_item);
    *x = (struct replay_item){ .t = t, .st = st, .kind = SAMPLE_FLOAT, .v = v };
    return x;
}

struct replay_item *replay_item_histogram(struct arena *a, const struct ref_histogram *r)
{
    if (rec_histogram_check(&r->h, NULL) != OK) return NULL;
    struct replay_item *x = ANEW(a, struct replay_item);
    *x = (struct replay_item){
        .t = r->t, .st = r->st, .kind = r->h.is_float ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_HISTOGRAM
    };
    if (r->h.is_float) x->floats = histogram_copy(a, rec_histogram_float(a, &r->h));
    else x->whole = int_histogram_copy(a, rec_histogram_int(a, &r->h));
    return x;
}

void replay_item_apply(
    struct open_ctx *c, uint32_t slot_i, struct slot *slot, const struct replay_item *x)
{
    if (x->kind == SAMPLE_FLOAT) {
        byte_append_float(c, slot_i, slot, x->t, x->st, x->v);
        return;
    }
    struct hist_words w =
        x->kind == SAMPLE_HISTOGRAM ? hist_words_of_int(x->whole) : hist_words_of_float(x->floats);
    byte_append_histogram(c, slot_i, slot, x->t, x->st, &w);
}

struct replay_other *replay_other_exemplar(struct arena *a, uint32_t slot, const struct exemplar *x)
{
    struct replay_other *o = ANEW(a, struct replay_other);
    o->slot = slot;
    o->is_exemplar = true;
    o->exemplar = *x;
    o->exemplar.labels = labels_copy(a, x->labels);
    return o;
}

struct replay_other *replay_other_metadata(struct arena *a, uint32_t slot, const struct metadata *m)
{
    struct replay_other *o = ANEW(a, struct replay_other);
    o->slot = slot;
    o->metadata = (struct metadata){ m->type, arena_str(a, m->unit), arena_str(a, m->help) };
    return o;
}

void replay_other_apply(struct head *h, const struct replay_other *x)
{
    struct arena a = { 0 };
    struct reclaim_reader me;
    struct labels l;
    if (!x->is_exemplar) {
        uint32_t generation = series_generation(store_slot(&h->store, x->slot));
        meta_table_set(&h->metadata, x->slot, generation, &x->metadata);
        return;
    }
    reclaim_enter(&h->reclaim, &me);
    if (series_labels(&h->series, store_cold(&h->store, x->slot)->num, x->slot, &a, &l)) {
        /* out of order: of a log that was written so; it was not taken then */
        errc rc = exemplars_add(h->exemplars, l, &x->exemplar, NULL);
        (void)rc;
    }
    reclaim_leave(&h->reclaim, &me);
    arena_fini(&a);
}
