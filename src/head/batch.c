#include "head/batch.h"

void batch_init(struct batch *b, struct account *acc)
{
    *b = (struct batch){ 0 };
    arena_init(&b->a, acc, 0);
}

void batch_reset(struct batch *b)
{
    for (int k = 0; k < BATCH_KINDS; k++) b->histograms[k].n = 0;
    b->exemplars.n = b->metadata.n = b->st.n = b->ends.n = 0;
    if (b->types.n) map_clear(&b->types);
    if (b->a.used) arena_reset(&b->a, (struct arena_mark){ 0 });
}

void batch_fini(struct batch *b)
{
    for (int k = 0; k < BATCH_KINDS; k++) vec_fini(&b->histograms[k]);
    vec_fini(&b->exemplars);
    vec_fini(&b->metadata);
    vec_fini(&b->st);
    vec_fini(&b->ends);
    map_fini(&b->types);
    arena_fini(&b->a);
}

struct batch_end batch_now(const struct batch *b, size_t n_floats)
{
    return (struct batch_end){ n_floats,
        { b->histograms[BATCH_WHOLE].n, b->histograms[BATCH_FLOATS].n }, b->exemplars.n,
        b->metadata.n };
}

bool batch_is_empty(const struct batch *b)
{
    return !b->histograms[BATCH_WHOLE].n && !b->histograms[BATCH_FLOATS].n && !b->exemplars.n &&
           !b->metadata.n;
}

/* ---- parts ---- */

/* What a series has in this part: 0: no histograms. */
enum { TYPE_IS_FLOATS = 1, TYPE_IS_CUSTOM = 2, TYPE_IS_ANY = 4 };

static uint64_t key_of(uint32_t slot) { return hash_bytes(&slot, sizeof(slot)); }

static uintptr_t type_in(const struct batch *b, uint32_t slot)
{
    return b->types.n ? (uintptr_t)map_find(&b->types, key_of(slot), NULL, NULL) : 0;
}

bool batch_has_histogram(const struct batch *b, uint32_t slot, enum batch_kind *kind)
{
    uintptr_t type = type_in(b, slot);
    *kind = type & TYPE_IS_FLOATS ? BATCH_FLOATS : BATCH_WHOLE;
    return type != 0;
}

void batch_split(struct batch *b, size_t n_floats)
{
    vec_push(&b->ends, batch_now(b, n_floats));
    map_clear(&b->types);
}

/* A histogram of this type comes: another type of the same series ends the part. */
static void type_put(struct batch *b, uint32_t slot, uintptr_t type, size_t n_floats)
{
    uintptr_t was = type_in(b, slot);
    if (was == type) return;
    if (was) batch_split(b, n_floats);
    map_put(&b->types, key_of(slot), (void *)type);
}

/* ---- putting ---- */

void batch_put_whole(struct batch *b, const struct batch_histogram *at,
    const struct int_histogram *h, size_t n_floats)
{
    struct batch_histogram put = *at;
    put.whole = int_histogram_copy(&b->a, h);
    bool custom = h->schema == HISTOGRAM_CUSTOM_SCHEMA;
    type_put(b, at->slot, TYPE_IS_ANY | (custom ? TYPE_IS_CUSTOM : 0), n_floats);
    vec_push(&b->histograms[BATCH_WHOLE], put);
}

void batch_put_floats(
    struct batch *b, const struct batch_histogram *at, const struct histogram *h, size_t n_floats)
{
    struct batch_histogram put = *at;
    put.floats = histogram_copy(&b->a, h);
    uintptr_t type = TYPE_IS_ANY | TYPE_IS_FLOATS;
    type_put(b, at->slot, type | (histogram_is_custom(h) ? TYPE_IS_CUSTOM : 0), n_floats);
    vec_push(&b->histograms[BATCH_FLOATS], put);
}

void batch_put_exemplar(
    struct batch *b, uint32_t slot, uint32_t generation, const struct exemplar *x)
{
    struct batch_exemplar put = { slot, generation, *x };
    put.x.labels = labels_copy(&b->a, x->labels);
    vec_push(&b->exemplars, put);
}

void batch_put_metadata(
    struct batch *b, uint32_t slot, uint32_t generation, const struct metadata *m)
{
    struct batch_metadata put = { slot, generation, *m };
    put.m.unit = arena_str(&b->a, m->unit);
    put.m.help = arena_str(&b->a, m->help);
    vec_push(&b->metadata, put);
}

void batch_put_st(struct batch *b, size_t i, int64_t st)
{
    if (!st) return;
    vec_reserve(&b->st, i + 1);
    while (b->st.n <= i) b->st.at[b->st.n++] = 0;
    b->st.at[i] = st;
}
