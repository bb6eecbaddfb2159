#include "bucket/test_blocks.h"

#include "base/f64.h"
#include "base/test.h"
#include "block/block.h"
#include "block/block_writer.h"
#include "bucket/remote_block.h"
#include "chunk/chunk.h"
#include "chunk/aggr.h"
#include "chunk/chunk_encoder.h"
#include "chunk/chunk_iter.h"

#include <stdio.h>

enum { SAMPLES = 4, STEP_MS = 200, CHUNK_MS = 1000 };

struct all_series {
    struct chunk_series_set base;
    struct chunk_series s;
    VEC(struct chunk_view) views;
    struct chunk_encoder *encs;
    struct buf *aggregates; /* made of them */
    size_t n;
    unsigned count, given; /* series */
    char number[16];
    struct label labels[3];
};

static errc series_next(struct chunk_series_set *b, const struct chunk_series **out, struct err *e)
{
    struct all_series *o = CONTAINER_OF(b, struct all_series, base);
    (void)e;
    *out = o->given < o->count ? &o->s : NULL;
    snprintf(o->number, sizeof(o->number), "%06u", o->given++);
    o->labels[2].value = str_z(o->number);
    return OK;
}

static void series_free(struct chunk_series_set *b)
{
    struct all_series *o = CONTAINER_OF(b, struct all_series, base);
    for (size_t i = 0; i < o->n; i++) chunk_encoder_fini(&o->encs[i]);
    for (size_t i = 0; i < o->n; i++) buf_fini(&o->aggregates[i]);
    mem_free(o->encs);
    mem_free(o->aggregates);
    vec_fini(&o->views);
    mem_free(o);
}

static void chunk_make(struct chunk_encoder *c, const struct test_block *t, unsigned k)
{
    const struct chunk_rules rules = { .rule = CHUNKS_TRIMMED,
        .enc = t->xor2 ? CHUNK_XOR2 : CHUNK_XOR };
    int64_t st[SAMPLE_BATCH];
    struct sample_batch b = { .kind = SAMPLE_FLOAT, .n = SAMPLES, .st = t->xor2 ? st : NULL };
    for (int i = 0; i < SAMPLES; i++) {
        b.t[i] = t->mint + (int64_t)k * CHUNK_MS + i * STEP_MS;
        b.v[i] = (double)t->number + k + i / 4.0;
        st[i] = t->mint;
    }
    chunk_encoder_begin(c, &rules);
    chunk_encoder_put(c, &b);
    chunk_encoder_end(c);
}

static str chunk_data(struct all_series *o, const struct test_block *t, unsigned k)
{
    str data = encoded_chunk_data(&o->encs[k], 0);
    struct buf *b = &o->aggregates[k];
    if (!t->aggregates) return data;
    for (int i = 0; i < AGGR_KINDS; i++) {
        buf_uvarint(b, data.n);
        buf_u8(b, CHUNK_XOR);
        buf_str(b, data);
    }
    return buf_view(b);
}

static struct chunk_series_set *series_of(const struct test_block *t)
{
    static const struct chunk_series_set_ops ops = { series_next, series_free };
    struct all_series *o = NEW(struct all_series);
    o->base.ops = &ops;
    o->encs = mem_zalloc(t->chunks * sizeof(*o->encs));
    o->aggregates = mem_zalloc(t->chunks * sizeof(*o->aggregates));
    o->n = t->chunks;
    o->count = MAX(t->series, 1u);
    o->labels[0] = (struct label){ S("__name__"), S("m") };
    o->labels[1] = (struct label){ S("job"), S("j") };
    o->labels[2] = (struct label){ S("n"), S("") };
    for (unsigned k = 0; k < t->chunks; k++) {
        struct chunk_encoder *c = &o->encs[k];
        chunk_make(c, t, k);
        struct encoded_chunk x = c->chunks.at[0];
        uint8_t enc = t->aggregates ? CHUNK_AGGR : x.enc;
        vec_push(&o->views, ((struct chunk_view){ x.mint, x.maxt, enc, chunk_data(o, t, k), 0 }));
    }
    o->s = (struct chunk_series){
        .labels = { o->labels, t->series ? 3 : 2 }, .chunks = o->views.at, .n = o->views.n
    };
    return &o->base;
}

struct symbols {
    struct symbol_set base;
    unsigned i, series;
    char number[16];
};
/* Numbers come before words. */
static errc symbols_next(struct symbol_set *b, bool *more, str *out, struct err *e)
{
    static const str words[] = { S("__name__"), S("j"), S("job"), S("m"), S("n") };
    struct symbols *s = CONTAINER_OF(b, struct symbols, base);
    (void)e;
    unsigned i = s->i++, n = s->series ? 5 : 4;
    *more = i < s->series + n;
    snprintf(s->number, sizeof(s->number), "%06u", i);
    if (*more) *out = i < s->series ? str_z(s->number) : words[i - s->series];
    return OK;
}
static void symbols_free(struct symbol_set *b) { mem_free(CONTAINER_OF(b, struct symbols, base)); }

ulid test_block_write(struct fs *fs, str parent, const struct test_block *t)
{
    static const struct symbol_set_ops ops = { symbols_next, symbols_free };
    struct symbols *symbols = NEW(struct symbols);
    struct block_stats stats;
    struct err e = { 0 };
    ulid id = ulid_of(1000 + (int64_t)t->number, t->number, t->number);
    struct block_meta m = { .id = id,
        .mint = t->mint,
        .maxt = t->mint + t->chunks * CHUNK_MS,
        .level = t->level ? t->level : 1,
        .sources = &id,
        .n_sources = 1 };
    struct block_writer_opts o = { .fs = fs, .parent = parent, .meta = &m };
    symbols->base.ops = &ops;
    symbols->series = t->series;
    EXPECT_OK_E(block_write(&o, &symbols->base, series_of(t), &stats, &e), &e);
    if (!t->aggregates) EXPECT_EQ(stats.samples, MAX(t->series, 1u) * t->chunks * SAMPLES);
    return id;
}

str test_block_samples(struct fs *fs, str dir, struct arena *a)
{
    SCOPED(buf_fini) struct buf out = { 0 };
    SCOPED(block_unrefp) struct block *b = NULL;
    SCOPED(chunk_series_set_freep) struct chunk_series_set *all = NULL;
    struct block_opts o = { .fs = fs, .backend = IO_BUFFERED };
    struct err e = { 0 };
    const struct chunk_series *s;
    struct chunk_iter it;
    EXPECT_OK_E(block_open(&b, &o, dir, &e), &e);
    EXPECT_OK_E(block_chunks(b, NULL, 0, &all, &e), &e);
    chunk_iter_init(&it);
    for (;;) {
        EXPECT_OK_E(all->ops->next(all, &s, &e), &e);
        if (!s) break;
        buf_labels(&out, s->labels);
        for (size_t i = 0; i < s->n; i++) {
            EXPECT_OK_E(chunk_iter_reset(&it, s->chunks[i].enc, s->chunks[i].data, &e), &e);
            for (struct sample_batch x;;) {
                EXPECT_OK(chunk_iter_fill(&it, &x, NULL));
                if (!x.n) break;
                for (size_t k = 0; k < x.n; k++) buf_fmt(&out, " %" PRId64 "=%g", x.t[k], x.v[k]);
            }
        }
    }
    chunk_iter_fini(&it);
    return arena_str(a, buf_view(&out));
}

ulid test_block_upload(
    struct bucket *b, struct fs *fs, const struct test_block *t, const struct label *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_meta m;
    struct err e = { 0 };
    str json;
    ulid id = test_block_write(fs, STR_EMPTY, t);
    str dir = arena_fmt(&a, "%s", ulid_text(id).z);
    EXPECT_OK(fs_read_all(fs, path_join(&a, dir, S("meta.json")), &a, META_MAX_BYTES, &json, NULL));
    EXPECT_OK(meta_decode(&m, json, &a, NULL));
    struct thanos_section coarse = { .resolution_ms = 300000 };
    if (t->aggregates) m.more = thanos_section_more(&coarse, m.more, &a);
    struct remote_upload u = { .fs = fs,
        .dir = dir,
        .meta = &m,
        .labels = { l, l ? 1 : 0 },
        .source = S("bucket.upload") };
    EXPECT_OK_E(remote_block_upload(b, &u, &e), &e);
    return id;
}
