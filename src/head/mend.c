/* mend.c — which records of a log are those of a chunk.
 *
 * In order: the head takes a sample if it is newer than all before it of its series. What the log
 * has besides (it was logged, and refused) is passed over in the same way; so of each series the
 * newest time is followed from the first record on.
 *
 * Late ones: an array of samples becomes chunks, and a marker in their log names these. The samples
 * of a chunk are those between the marker before it and its own, each time once: the first one,
 * as the array refuses a second.
 */
#include "head/mend.h"

#include "base/map.h"
#include "chunk/chunk.h"
#include "wal/rec_histogram.h"

#include <stdlib.h>

ACCOUNT(mend_account, "head_mend")

struct got {
    int64_t t, st;
    enum sample_kind kind;
    union { double v; const struct int_histogram *ih; const struct histogram *h; };
};
typedef VEC(struct got) gots;

struct lost {
    struct head_lost of;
    bool looked_for;
    gots samples;                              /* in order of time */
    size_t found;
    struct chunk_encoder made;
};

/* What is wanted of one series. */
struct wanted {
    VEC(struct lost *) lost;
    int64_t newest; bool begun;                /* of those in order */
    gots late;                                 /* since the last marker */
    bool marked;
};

struct head_mend {
    struct map series;                         /* by ref */
    struct map by_chunk;                       /* by disk_ref */
    VEC(struct lost *) all;
    struct arena arena;                        /* histograms */
};

struct head_mend *head_mend_new(void)
{
    struct head_mend *m = NEW(struct head_mend);
    arena_init(&m->arena, &mend_account, 0);
    return m;
}

static void series_forget(struct head_mend *m)
{
    struct wanted *w;
    for (size_t i = 0; (w = map_next(&m->series, &i)) != NULL;) {
        vec_fini(&w->lost);
        vec_fini(&w->late);
        mem_free(w);
    }
    map_fini(&m->series);
    m->series = (struct map){ 0 };
}

void head_mend_free(struct head_mend *m)
{
    if (!m) return;
    series_forget(m);
    for (size_t i = 0; i < m->all.n; i++) {
        vec_fini(&m->all.at[i]->samples);
        chunk_encoder_fini(&m->all.at[i]->made);
        mem_free(m->all.at[i]);
    }
    vec_fini(&m->all);
    map_fini(&m->by_chunk);
    arena_fini(&m->arena);
    mem_free(m);
}

static uint64_t hash_of(uint64_t ref) { return hash_bytes(&ref, sizeof(ref)); }

static struct wanted *wanted_of(const struct head_mend *m, sref ref)
{
    return map_find(&m->series, hash_of(ref), NULL, NULL);
}

static void note(struct head_mend *m, const struct head_lost *c)
{
    struct wanted *w = wanted_of(m, c->ref);
    struct lost *x = NEW(struct lost);
    x->of = *c;
    vec_push(&m->all, x);
    map_put(&m->by_chunk, hash_of(c->disk_ref), x);
    if (!w) map_put(&m->series, hash_of(c->ref), w = NEW(struct wanted));
    vec_push(&w->lost, x);
}

const struct chunk_encoder *head_mend_get(struct head_mend *m, const struct head_lost *c)
{
    const struct lost *x = map_find(&m->by_chunk, hash_of(c->disk_ref), NULL, NULL);
    if (!x) note(m, c);
    return x && x->looked_for ? &x->made : NULL;
}

bool head_mend_wanted(const struct head_mend *m)
{
    return m->all.n && !vec_last(&m->all)->looked_for;
}

static bool is_within(const struct lost *x, int64_t t)
{
    return x->of.mint <= t && t <= x->of.maxt;
}

/* Does the head take it, in order? */
static bool is_taken(struct wanted *w, int64_t t)
{
    bool newer = !w->begun || t > w->newest;
    if (newer) w->newest = t;
    w->begun = true;
    return newer;
}

/* Is it of a chunk that was noted, as far as its time says? A late one begins an array where a
 * marker ended one. */
static bool is_wanted(struct wanted *w, bool late, int64_t t)
{
    bool wanted = false;
    if (late && w->marked) w->late.n = 0;
    if (late) w->marked = false;
    for (size_t i = 0; i < w->lost.n && !wanted; i++)
        wanted = w->lost.at[i]->of.late == late && is_within(w->lost.at[i], t);
    return wanted;
}

static void take(struct wanted *w, bool late, const struct got *g)
{
    if (late) {
        vec_push(&w->late, *g);
        return;
    }
    for (size_t i = 0; i < w->lost.n; i++)
        if (!w->lost.at[i]->of.late && is_within(w->lost.at[i], g->t))
            vec_push(&w->lost.at[i]->samples, *g);
}

void head_mend_samples(struct head_mend *m, bool late, const struct ref_sample *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct wanted *w = wanted_of(m, s[i].ref);
        if (!w || (!late && !is_taken(w, s[i].t)) || !is_wanted(w, late, s[i].t)) continue;
        struct got g = { .t = s[i].t, .st = s[i].st, .kind = SAMPLE_FLOAT, .v = s[i].v };
        take(w, late, &g);
    }
}

void head_mend_histograms(struct head_mend *m, bool late, const struct ref_histogram *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct wanted *w = wanted_of(m, h[i].ref);
        struct got g = { .t = h[i].t, .st = h[i].st };
        if (!w || rec_histogram_check(&h[i].h, NULL) != OK) continue;
        if ((!late && !is_taken(w, g.t)) || !is_wanted(w, late, g.t)) continue;
        struct arena *a = &m->arena;
        g.kind = h[i].h.is_float ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_HISTOGRAM;
        if (h[i].h.is_float) g.h = histogram_copy(a, rec_histogram_float(a, &h[i].h));
        else g.ih = int_histogram_copy(a, rec_histogram_int(a, &h[i].h));
        take(w, late, &g);
    }
}

void head_mend_markers(struct head_mend *m, const struct ref_marker *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct wanted *w = wanted_of(m, x[i].ref);
        if (!w) continue;
        w->marked = true;
        for (size_t k = 0; k < w->lost.n; k++) {
            struct lost *l = w->lost.at[k];
            if (!l->of.late || l->of.disk_ref != x[i].chunk) continue;
            for (size_t j = 0; j < w->late.n; j++)
                if (is_within(l, w->late.at[j].t)) vec_push(&l->samples, w->late.at[j]);
        }
    }
}

/* By time; of equal times what came first stays first. */
static void sort(gots *v)
{
    for (size_t i = 1; i < v->n; i++) {
        struct got g = v->at[i];
        size_t k = i;
        for (; k && v->at[k - 1].t > g.t; k--) v->at[k] = v->at[k - 1];
        v->at[k] = g;
    }
}

static void encode(struct lost *x)
{
    struct chunk_rules by = { .rule = CHUNKS_BY_BYTES,
        .floats = chunk_enc_is_float(x->of.enc) ? x->of.enc : CHUNK_XOR };
    if (x->of.late) sort(&x->samples);
    chunk_encoder_begin(&x->made, &by);
    for (size_t i = 0; i < x->samples.n; i++) {
        const struct got *g = &x->samples.at[i];
        struct sample_batch b = { .kind = g->kind, .n = 1, .t = { g->t } };
        if (i && g->t == g[-1].t) continue;
        if (g->st) b.st = &g->st;
        if (g->kind == SAMPLE_FLOAT) b.v[0] = g->v;
        else if (g->kind == SAMPLE_HISTOGRAM) b.ih[0] = g->ih;
        else b.h[0] = g->h;
        chunk_encoder_put(&x->made, &b);
        x->found++;
    }
    chunk_encoder_end(&x->made);
    vec_fini(&x->samples);
    x->looked_for = true;
}

void head_mend_end(struct head_mend *m)
{
    for (size_t i = 0; i < m->all.n; i++)
        if (!m->all.at[i]->looked_for) encode(m->all.at[i]);
    series_forget(m);
    arena_reset(&m->arena, (struct arena_mark){ 0 });
}

struct head_mend_counts head_mend_counts(const struct head_mend *m)
{
    struct head_mend_counts c = { 0 };
    for (size_t i = 0; i < m->all.n; i++) {
        if (!m->all.at[i]->looked_for) continue;
        c.chunks++;
        c.samples += m->all.at[i]->of.n;
        c.found += m->all.at[i]->found;
    }
    return c;
}
