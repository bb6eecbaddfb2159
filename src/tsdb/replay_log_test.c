/* replay_log_test.c — random logs, held against a replay in twenty lines that knows nothing of
 * rounds, pieces and threads. */
#include "tsdb/replay_log.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/test.h"
#include "head/head.h"
#include "head/replay.h"
#include "io/fs_sim.h"
#include "wal/page.h"
#include "wal/record.h"

#include <stdio.h>

enum { REFS = 60, LABELS = 40, RECORDS = 600, LOGS = 60, SEGMENTS = 3 };

/* ---- the model ---- */

typedef VEC(struct ref_sample) sample_list;
struct model {
    struct { unsigned series; bool stays; } refs[REFS];        /* series: index + 1 */
    struct { bool made, deleted; sample_list all; } series[LABELS];
    uint64_t unknown, records, bad;
};

static void model_series(struct model *m, sref ref, unsigned s)
{
    if (!m->series[s].made) {
        m->series[s].made = true;
        if (!m->refs[ref].stays) m->refs[ref].series = s + 1;
        return;
    }
    m->refs[ref].series = s + 1;
    m->refs[ref].stays |= !m->series[s].deleted;
    m->series[s].deleted = false;
    m->series[s].all.n = 0;
}

static void model_sample(struct model *m, const struct ref_sample *x)
{
    unsigned s = m->refs[x->ref].series;
    if (!s) {
        m->unknown++;
        return;
    }
    sample_list *all = &m->series[s - 1].all;
    if (!all->n || x->t > vec_last(all).t) vec_push(all, *x);
}

static void model_end(struct model *m, sref ref)
{
    unsigned s = m->refs[ref].series;
    if (!s) {
        m->unknown++;
        return;
    }
    m->series[s - 1].deleted = true;
    m->series[s - 1].all.n = 0;
    m->refs[ref].series = 0;
}

static void model_fini(struct model *m)
{
    for (unsigned i = 0; i < LABELS; i++) vec_fini(&m->series[i].all);
}

/* ---- the log ---- */

static sref any_ref(struct prng *r) { return 1 + prng_below(r, REFS - 1); }

static void make_series(struct prng *r, struct model *m, struct buf *rec)
{
    series_encode_type(rec);
    for (uint64_t n = 1 + prng_below(r, 4); n > 0; n--) {
        char text[16];
        unsigned s = (unsigned)prng_below(r, LABELS);
        sref ref = prng_below(r, 3) ? s + 1 : any_ref(r);      /* mostly each to its own */
        struct label l = { METRIC_NAME,
            str_of(text, (size_t)snprintf(text, sizeof(text), "m%u", s)) };
        series_encode(rec, ref, (struct labels){ &l, 1 });
        model_series(m, ref, s);
    }
}

static void make_samples(struct prng *r, struct model *m, struct buf *rec, int64_t t)
{
    ref_samples all = { 0 };
    for (uint64_t n = prng_below(r, 40); n > 0; n--)
        vec_push(&all, ((struct ref_sample){ any_ref(r), t - (int64_t)prng_below(r, 3),
                           (double)prng_below(r, 100), 0 }));
    samples_encode(rec, all.at, all.n);
    bool cut = prng_below(r, 30) == 0 && all.n > 1;
    if (cut) {
        rec->n--;
        m->bad++;
    }
    for (size_t i = 0; !cut && i < all.n; i++) model_sample(m, &all.at[i]);
    vec_fini(&all);
}

static void make_ends(struct prng *r, struct model *m, struct buf *rec)
{
    ref_tombstones all = { 0 };
    for (uint64_t n = 1 + prng_below(r, 3); n > 0; n--) {
        vec_push(&all, ((struct ref_tombstone){ any_ref(r), INT64_MIN, INT64_MAX }));
        model_end(m, vec_last(&all).ref);
    }
    tombstones_encode(rec, all.at, all.n);
    vec_fini(&all);
}

static void make_record(struct prng *r, struct model *m, struct buf *rec, int64_t t)
{
    struct ref_exemplar x = { .ref = REFS + 1, .t = t };
    buf_reset(rec);
    m->records++;
    switch (prng_below(r, 12)) {
    case 0: make_series(r, m, rec); break;
    case 1: if (prng_below(r, 3) == 0) { make_ends(r, m, rec); break; }    /* fall through */
    default: make_samples(r, m, rec, t); break;
    /* empty, or of no known type */
    case 2: if (prng_below(r, 4) == 0) buf_u8(rec, 200); break;
    case 3:
        exemplars_encode(rec, &x, 1);
        m->unknown++;
        break;
    }
}

static void make_log(struct fs *fs, struct prng *r, struct model *m)
{
    static const enum compress_kind kinds[] = { COMPRESS_NONE, COMPRESS_SNAPPY, COMPRESS_ZSTD };
    struct buf rec = { 0 }, packed = { 0 }, file = { 0 };
    struct arena a;
    arena_init(&a, NULL, 0);
    int64_t t = 1700000000000;
    EXPECT_OK(fs_mkdir(fs, S("wal"), NULL));
    for (unsigned seg = 0; seg < SEGMENTS; seg++) {
        uint64_t off = 0;
        buf_reset(&file);
        for (unsigned i = 0; i < RECORDS / SEGMENTS; i++) {
            enum compress_kind kind = kinds[prng_below(r, 3)];
            make_record(r, m, &rec, t += (int64_t)prng_below(r, 3));
            if (!rec.n) kind = COMPRESS_NONE;
            buf_reset(&packed);
            EXPECT_OK(compress_pack(&packed, kind, buf_view(&rec), 0, NULL));
            page_put(&file, &off, frag_flag_of(kind), buf_view(&packed), NULL);
        }
        page_pad(&file, &off);
        EXPECT_OK(fs_write_durable(fs, arena_fmt(&a, "wal/%08u", seg), buf_view(&file), NULL));
    }
    arena_fini(&a);
    buf_fini(&rec);
    buf_fini(&packed);
    buf_fini(&file);
}

/* ---- both ---- */

static void expect_series(struct head *h, const struct model *m, unsigned s)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct sample_iter *it = NULL;
    struct series *found = NULL;
    char text[16];
    struct matcher match = { .type = MATCH_EQ,
        .name = METRIC_NAME,
        .value = str_of(text, (size_t)snprintf(text, sizeof(text), "m%u", s)) };
    EXPECT_OK(head_queryable(h)->ops->querier(head_queryable(h), INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &match, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &found, NULL));
    const sample_list *want = &m->series[s].all;
    EXPECT_EQ(found != NULL, want->n > 0);
    if (!found) return;
    size_t n = 0;
    EXPECT_OK(found->ops->iterate(found, &it, NULL));
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        EXPECT_OK(sample_iter_fill(it, &b, NULL));
        for (size_t i = 0; i < b.n; i++, n++)
            if (n < want->n) EXPECT(b.t[i] == want->at[n].t && b.v[i] == want->at[n].v);
    }
    EXPECT_EQ(n, want->n);
    sample_iter_free(it);
}

static void replay(struct fs *fs, const struct model *m, unsigned workers, size_t piece_bytes,
    size_t waiting_bytes)
{
    struct head *h = NULL;
    struct err e = { 0 };
    struct replay_found found = { 0 };
    EXPECT_OK(head_open(&h, &(struct head_opts){ .samples_per_chunk = 8 }, NULL));
    struct head_replay *r = head_replay_begin(h);
    struct replay_log_opts o = { .fs = fs,
        .backend = IO_BUFFERED,
        .replay = r,
        .workers = workers,
        .piece_bytes = piece_bytes,
        .waiting_bytes = waiting_bytes };
    struct replay_log *l = replay_log_new(&o);
    struct replay_log_counts counts;
    struct head_replay_stats st;
    struct replay_span span = { .dir = S("wal"), .last = SEGMENTS - 1 };
    EXPECT_OK_E(replay_log_span(l, &span, &found, &e), &e);
    replay_log_end(l, &counts);
    replay_log_free(l);
    head_replay_finish(r, &st);
    EXPECT_EQ(counts.records, m->records);
    EXPECT_EQ(counts.corruptions, m->bad);
    EXPECT(found.bad.n <= SEGMENTS && (found.bad.n > 0) == (m->bad > 0));
    for (size_t i = 1; i < found.bad.n; i++) EXPECT(found.bad.at[i - 1] < found.bad.at[i]);
    EXPECT_EQ(
        st.unknown[REPLAY_SAMPLES] + st.unknown[REPLAY_EXEMPLARS] + st.unknown[REPLAY_TOMBSTONES],
        m->unknown);
    for (unsigned s = 0; s < LABELS; s++) expect_series(h, m, s);
    replay_found_fini(&found);
    head_close(h);
}

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

/* Refs given twice, moved, ended and begun anew between samples; records that do not decode; any
 * compression. */
TEST(rounds_give_what_one_by_one_gives)
{
    log_capture(log_nothing, NULL);
    for (unsigned i = 0; i < LOGS; i++) {
        struct prng r = { test_seed() + i };
        struct model m = { 0 };
        struct fs *fs = fs_sim_new(test_seed() + i);
        make_log(fs, &r, &m);
        replay(fs, &m, 1, 1, 1);
        replay(fs, &m, 1, 0, 0);
        replay(fs, &m, 3, 1 + prng_below(&r, 2000), 1 + prng_below(&r, 100000));
        model_fini(&m);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}
