#include "head/batch_log.h"

#include "head/store.h"
#include "wal/rec_histogram.h"
#include "wal/wal.h"

/* One record has so many of these; so long that its overhead is nothing, and a reader's memory is
 * little. */
enum { RECORD_SAMPLES = 8192, RECORD_HISTOGRAMS = 512, RECORD_OTHERS = 4096 };

struct logging {
    const struct store *s;
    const struct batch *b;
    const struct pending *floats;
    bool with_st;
    struct wal_batch *to;
    struct ref_sample *samples; /* room for a record with start timestamps */
};

static sref ref_of(const struct logging *l, uint32_t slot) { return store_cold(l->s, slot)->ref; }

void float_log_end(struct float_log *l)
{
    wal_batch_seal(l->to);
    l->record = (struct samples_start){ 0 };
    l->record_n = 0;
}

void float_log_more(
    struct float_log *l, const struct store *s, const struct pending *floats, size_t n_floats)
{
    enum { PIECE = 256 };
    struct buf *b = wal_batch_room(l->to);
    while (l->n < n_floats) {
        size_t n = MIN(MIN(n_floats - l->n, (size_t)PIECE), RECORD_SAMPLES - l->record_n);
        uint8_t *from = buf_room(b, SAMPLES_HEAD_BYTES + PIECE * SAMPLE_MAX_BYTES), *to = from;
        if (!from) return; /* the batch is bad: its commit fails */
        for (const struct pending *p = floats + l->n, *end = p + n; p < end; p++)
            to = sample_encode(&l->record, to, store_cold(s, p->slot)->ref, p->t, p->v);
        buf_commit(b, (size_t)(to - from));
        l->n += n;
        l->record_n += n;
        if (l->record_n == RECORD_SAMPLES) float_log_end(l);
    }
}

static void log_floats(struct logging *l, size_t from, size_t end)
{
    if (!l->with_st) {
        struct float_log plain = { .to = l->to, .n = from };
        float_log_more(&plain, l->s, l->floats, end);
        float_log_end(&plain);
        return;
    }
    for (; from < end; from += RECORD_SAMPLES) {
        size_t n = MIN(end - from, (size_t)RECORD_SAMPLES);
        for (size_t i = 0; i < n; i++) {
            const struct pending *p = &l->floats[from + i];
            l->samples[i] =
                (struct ref_sample){ ref_of(l, p->slot), p->t, p->v, batch_st(l->b, from + i) };
        }
        samples_encode_v2(wal_batch_room(l->to), l->samples, n);
        wal_batch_seal(l->to);
    }
}

/* base: the first histogram of all, from which records without start timestamps count. */
static void put_record(struct wal_batch *to, enum rec_type type, const struct ref_histogram *base,
    const struct ref_histogram *at, size_t n)
{
    if (!n) return;
    struct buf *room = wal_batch_room(to);
    if (type >= REC_HISTOGRAMS_V2) histograms_encode_v2(room, type, at, n);
    else histograms_encode(room, type, base->ref, base->t, at, n);
    wal_batch_seal(to);
}

/* Those with custom buckets have a record of their own. It counts from the first of its own. */
static void log_split(struct wal_batch *to, struct ref_histogram *at, size_t n, bool is_float)
{
    struct ref_histogram first = at[0], *custom = mem_alloc_array(n, sizeof(*custom));
    size_t n_plain = 0, n_custom = 0;
    for (size_t i = 0; i < n; i++) {
        if (at[i].h.schema == HISTOGRAM_CUSTOM_SCHEMA) custom[n_custom++] = at[i];
        else at[n_plain++] = at[i];
    }
    put_record(to, is_float ? REC_FLOAT_HISTOGRAMS : REC_HISTOGRAMS, &first, at, n_plain);
    put_record(to, is_float ? REC_CUSTOM_FLOAT_HISTOGRAMS : REC_CUSTOM_HISTOGRAMS, custom, custom,
        n_custom);
    mem_free(custom);
}

void batch_log_histograms(
    struct wal_batch *to, struct ref_histogram *at, size_t n, bool is_float, bool with_st)
{
    enum rec_type v2 = is_float ? REC_FLOAT_HISTOGRAMS_V2 : REC_HISTOGRAMS_V2;
    if (with_st) put_record(to, v2, at, at, n);
    else log_split(to, at, n, is_float);
}

static void log_histograms(struct logging *l, enum batch_kind kind, size_t from, size_t end)
{
    bool is_float = kind == BATCH_FLOATS;
    struct ref_histogram *at = NULL;
    if (from < end) at = mem_alloc_array(MIN(end - from, (size_t)RECORD_HISTOGRAMS), sizeof(*at));
    for (; from < end; from += RECORD_HISTOGRAMS) {
        size_t n = MIN(end - from, (size_t)RECORD_HISTOGRAMS);
        for (size_t i = 0; i < n; i++) {
            const struct batch_histogram *p = &l->b->histograms[kind].at[from + i];
            at[i] = (struct ref_histogram){ .ref = ref_of(l, p->slot),
                .t = p->t,
                .st = p->st,
                .h =
                    is_float ? rec_histogram_of_float(p->floats) : rec_histogram_of_int(p->whole) };
        }
        batch_log_histograms(l->to, at, n, is_float, l->with_st);
    }
    mem_free(at);
}

static void log_metadata(struct logging *l, size_t from, size_t end)
{
    VEC(struct ref_metadata) all = { 0 };
    for (; from < end; from += all.n) {
        all.n = 0;
        for (size_t i = from; i < end && all.n < RECORD_OTHERS; i++) {
            const struct batch_metadata *p = &l->b->metadata.at[i];
            vec_push(&all,
                ((struct ref_metadata){
                    .ref = ref_of(l, p->slot), .type_byte = (uint8_t)p->m.type, .meta = p->m }));
        }
        metadata_encode(wal_batch_room(l->to), all.at, all.n);
        wal_batch_seal(l->to);
    }
    vec_fini(&all);
}

static void log_exemplars(struct logging *l, size_t from, size_t end)
{
    VEC(struct ref_exemplar) all = { 0 };
    for (; from < end; from += all.n) {
        all.n = 0;
        for (size_t i = from; i < end && all.n < RECORD_OTHERS; i++) {
            const struct batch_exemplar *p = &l->b->exemplars.at[i];
            vec_push(
                &all, ((struct ref_exemplar){ ref_of(l, p->slot), p->x.t, p->x.v, p->x.labels }));
        }
        exemplars_encode(wal_batch_room(l->to), all.at, all.n);
        wal_batch_seal(l->to);
    }
    vec_fini(&all);
}

static void log_part(struct logging *l, const struct batch_end *from, const struct batch_end *end)
{
    log_metadata(l, from->metadata, end->metadata);
    log_floats(l, from->floats, end->floats);
    for (int k = 0; k < BATCH_KINDS; k++)
        log_histograms(l, (enum batch_kind)k, from->histograms[k], end->histograms[k]);
    log_exemplars(l, from->exemplars, end->exemplars);
}

void batch_log(const struct store *s, const struct batch *b, const struct pending *floats,
    size_t n_floats, bool with_st, struct wal_batch *to)
{
    struct logging l = { .s = s, .b = b, .floats = floats, .with_st = with_st, .to = to };
    struct batch_end from = { 0 }, last = batch_now(b, n_floats);
    if (n_floats && with_st)
        l.samples = mem_alloc_array(MIN(n_floats, (size_t)RECORD_SAMPLES), sizeof(*l.samples));
    for (size_t i = 0; i < b->ends.n; i++) {
        log_part(&l, &from, &b->ends.at[i]);
        from = b->ends.at[i];
    }
    log_part(&l, &from, &last);
    mem_free(l.samples);
}
