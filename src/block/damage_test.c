/* damage_test.c — a block with one bit changed, asked: all is there but what lies where the bit
 * is, and the querier says so. */
#include "base/log.h"
#include "base/map.h"
#include "base/test.h"
#include "block/block.h"
#include "block/index_codec.h"
#include "block/test_folder.h"
#include "chunk/chunk_iter.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"

#include <stdlib.h>

enum { FILE_MAX_BYTES = 1 << 28, FLIPS = 120 / TEST_STRIDE, CHUNK_SAMPLES_MAX = 240 };

static void log_nothing(void *ctx UNUSED, enum log_level level UNUSED, str line UNUSED) {}
static void hush(bool on) { log_capture(on ? log_nothing : NULL, NULL); }

typedef VEC(uint64_t) hashes;
struct answer { hashes samples; str_list names, values, warnings; size_t series; };

static void answer_fini(struct answer *x)
{
    vec_fini(&x->samples);
    vec_fini(&x->names);
    vec_fini(&x->values);
    vec_fini(&x->warnings);
}

static int u64_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t sample_hash(uint64_t labels, const struct sample_batch *b, size_t i)
{
    uint64_t x[3] = { labels, (uint64_t)b->t[i], (uint64_t)b->kind << 60 };
    if (b->kind == SAMPLE_FLOAT) memcpy(&x[2], &b->v[i], sizeof(x[2]));
    return hash_bytes(x, sizeof(x));
}

static uint64_t labels_hash_of(struct labels l)
{
    uint64_t h = 0;
    for (size_t i = 0; i < l.n; i++) {
        uint64_t x[3] = { h, hash_str(l.at[i].name), hash_str(l.at[i].value) };
        h = hash_bytes(x, sizeof(x));
    }
    return h;
}

/* Everything that matches, and what label lists say of it; strings live in `a`. */
static void ask(struct answer *out, struct block *b, struct matchers ms, struct arena *a)
{
    struct queryable *from = block_queryable(b);
    struct querier *q = NULL;
    struct series_set *set = NULL;
    struct sample_iter *it = NULL;
    struct err e = { 0 };
    bool cut;
    EXPECT_OK_E(from->ops->querier(from, INT64_MIN, INT64_MAX, &q, &e), &e);
    EXPECT_OK_E(q->ops->select(q, ms, NULL, &set, &e), &e);
    for (struct series *s;;) {
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) break;
        uint64_t h = labels_hash_of(s->labels);
        out->series++;
        EXPECT_OK_E(s->ops->iterate(s, &it, &e), &e);
        for (;;) {
            struct sample_batch batch = { 0 };
            EXPECT_OK_E(sample_iter_fill(it, &batch, &e), &e);
            if (!batch.n) break;
            for (size_t i = 0; i < batch.n; i++)
                vec_push(&out->samples, sample_hash(h, &batch, i));
        }
    }
    sample_iter_free(it);
    series_set_free(set);
    EXPECT_OK_E(q->ops->label_names(q, ms, 0, &out->names, &cut, &e), &e);
    EXPECT_OK_E(q->ops->label_values(q, S("__name__"), ms, 0, &out->values, &cut, &e), &e);
    querier_warnings(q, &out->warnings);
    for (size_t i = 0; i < out->names.n; i++) out->names.at[i] = arena_str(a, out->names.at[i]);
    for (size_t i = 0; i < out->values.n; i++) out->values.at[i] = arena_str(a, out->values.at[i]);
    for (size_t i = 0; i < out->warnings.n; i++)
        out->warnings.at[i] = arena_str(a, out->warnings.at[i]);
    querier_free(q);
    if (out->samples.n)
        qsort(out->samples.at, out->samples.n, sizeof(*out->samples.at), u64_order);
}

static errc chunk_samples(
    hashes *out, struct chunk_iter *it, uint64_t labels, const struct chunk_view *c)
{
    struct sample_batch b;
    TRY(chunk_iter_reset(it, c->enc, c->data, NULL));
    do {
        TRY(chunk_iter_fill(it, &b, NULL));
        for (size_t i = 0; i < b.n; i++) vec_push(out, sample_hash(labels, &b, i));
    } while (!it->ended);
    return OK;
}

/* The same out of its chunks as they are. */
static void ask_chunks(struct answer *out, struct block *b, struct matchers ms, struct arena *a)
{
    struct chunk_series_set *set = NULL;
    struct chunk_iter it;
    struct err e = { 0 };
    chunk_iter_init(&it);
    EXPECT_OK_E(block_chunks_select(b, ms, INT64_MIN, INT64_MAX, &set, &e), &e);
    for (const struct chunk_series *s;;) {
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) break;
        uint64_t h = labels_hash_of(s->labels);
        out->series++;
        for (size_t i = 0; i < s->n; i++)
            EXPECT_OK(chunk_samples(&out->samples, &it, h, &s->chunks[i]));
    }
    chunk_series_set_warnings(set, &out->warnings);
    for (size_t i = 0; i < out->warnings.n; i++)
        out->warnings.at[i] = arena_str(a, out->warnings.at[i]);
    chunk_series_set_free(set);
    chunk_iter_fini(&it);
    if (out->samples.n)
        qsort(out->samples.at, out->samples.n, sizeof(*out->samples.at), u64_order);
}

static size_t missing(const struct answer *whole, const struct answer *got)
{
    size_t i = 0;
    for (size_t k = 0; k < got->samples.n; k++, i++) {
        while (i < whole->samples.n && whole->samples.at[i] < got->samples.at[k]) i++;
        EXPECT(i < whole->samples.n && whole->samples.at[i] == got->samples.at[k]);
    }
    return whole->samples.n - got->samples.n;
}

static bool is_part(const str_list *part, const str_list *of)
{
    size_t i = 0;
    for (size_t k = 0; k < part->n; k++, i++) {
        while (i < of->n && !str_eq(of->at[i], part->at[k])) i++;
        if (i == of->n) return false;
    }
    return true;
}

struct trial { struct fs *fs; str dir; struct matchers ms; struct answer whole; };

/* What is missing after this change; *seen: the block opened. */
static size_t lost(struct trial *t, enum io_backend backend, bool *seen)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_opts o = { .fs = t->fs, .backend = backend };
    struct block *b = NULL;
    struct answer got = { 0 }, chunks = { 0 };
    *seen = block_open(&b, &o, t->dir, NULL) == OK;
    if (!*seen) return 0;
    ask(&got, b, t->ms, &a);
    size_t n = missing(&t->whole, &got);
    bool less = n || got.series < t->whole.series;
    EXPECT(!less || got.warnings.n > 0);
    EXPECT(is_part(&got.names, &t->whole.names) && is_part(&got.values, &t->whole.values));
    if (!less) EXPECT(got.names.n == t->whole.names.n && got.values.n == t->whole.values.n);
    EXPECT(got.series + 1 >= t->whole.series);
    ask_chunks(&chunks, b, t->ms, &a);
    EXPECT_EQ(missing(&t->whole, &chunks), n);
    EXPECT(!n || chunks.warnings.n > 0);
    EXPECT(chunks.series == got.series);
    answer_fini(&chunks);
    answer_fini(&got);
    block_unref(b);
    return n;
}

TEST_SHARED(query_of_a_block_with_one_bit_changed)
{
    static const struct {
        const char *name, *file;
        size_t lost_max;                       /* samples */
        struct matcher m;
    } cases[] = {
        { "dirs/bad_block_none", "index", 4 * CHUNK_SAMPLES_MAX, { MATCH_EQ } },
        { "dirs/bad_block_none", "index", 4 * CHUNK_SAMPLES_MAX, { MATCH_NE, S("i"), S("3") } },
        { "dirs/bad_block_none", "index", 4 * CHUNK_SAMPLES_MAX,
            { MATCH_EQ, S("__name__"), S("left") } },
        { "dirs/bad_block_none", "chunks/000001", CHUNK_SAMPLES_MAX, { MATCH_EQ } },
        { "blocks/index_v1", "index", 4 * CHUNK_SAMPLES_MAX, { MATCH_EQ } },
        { "blocks/mixed", "index", 40 * CHUNK_SAMPLES_MAX, { MATCH_EQ } },
        { "blocks/mixed", "chunks/000001", CHUNK_SAMPLES_MAX, { MATCH_EQ } },
    };
    size_t opened = 0, with_loss = 0, without = 0;
    hush(true);
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct prng r = { test_seed() };
        struct trial t = { .fs = tree_golden(c->name, 1), .ms = { &c->m, 1 } };
        struct block_opts o = { .fs = t.fs, .backend = IO_BUFFERED };
        struct block *b = NULL;
        str bytes;
        t.dir = test_block_dir(t.fs, &a);
        str path = path_join(&a, t.dir, str_z(c->file));
        EXPECT_OK(block_open(&b, &o, t.dir, NULL));
        ask(&t.whole, b, t.ms, &a);
        EXPECT(t.whole.samples.n > 0 && t.whole.warnings.n == 0);
        block_unref(b);
        EXPECT_OK(fs_read_all(t.fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
        uint8_t *copy = arena_alloc(&a, bytes.n);
        for (size_t i = 0; i < FLIPS; i++) {
            size_t at = prng_below(&r, bytes.n);
            bool seen;
            memcpy(copy, bytes.p, bytes.n);
            copy[at] ^= (uint8_t)(1u << prng_below(&r, 8));
            EXPECT_OK(fs_write_durable(t.fs, path, str_of(copy, bytes.n), NULL));
            size_t n = lost(&t, i % 2 ? IO_BUFFERED : IO_MMAP, &seen);
            if (n > c->lost_max) test_fail(__FILE__, __LINE__, "byte %zu: %zu lost", at, n);
            opened += seen;
            with_loss += n > 0;
            without += seen && !n;
        }
        answer_fini(&t.whole);
        fs_free(t.fs);
    }
    EXPECT(opened * TEST_STRIDE > 300 && with_loss * TEST_STRIDE > 100 &&
           without * TEST_STRIDE > 50);
    hush(false);
}

/* Where a disk has a bad place whole lists go, and series with them: nothing is missing in silence,
 * neither behind a list that is read nor where labels are read for want of it. */
TEST_SHARED(query_of_a_block_with_a_bad_stretch_in_its_index)
{
    static const struct {
        const char *name;
        struct matcher m;
    } cases[] = {
        { "dirs/bad_block_none", { MATCH_NE, S("i"), S("3") } },
        { "dirs/bad_block_none", { MATCH_EQ, S("__name__"), S("left") } },
        { "blocks/mixed", { MATCH_EQ } },
    };
    enum { STRETCHES = 60, STRETCH_MAX = 4096 };
    size_t with_loss = 0;
    hush(true);
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct prng r = { test_seed() };
        struct trial t = { .fs = tree_golden(c->name, 1), .ms = { &c->m, 1 } };
        struct block_opts o = { .fs = t.fs, .backend = IO_BUFFERED };
        struct block *b = NULL;
        struct index_toc toc;
        str bytes;
        t.dir = test_block_dir(t.fs, &a);
        str path = path_join(&a, t.dir, S("index"));
        EXPECT_OK(block_open(&b, &o, t.dir, NULL));
        ask(&t.whole, b, t.ms, &a);
        block_unref(b);
        EXPECT_OK(fs_read_all(t.fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
        EXPECT_OK(index_toc_decode(
            &toc, str_from(bytes, bytes.n - INDEX_TOC_BYTES), bytes.n, NULL));
        uint8_t *copy = arena_alloc(&a, bytes.n);
        for (size_t i = 0; i < STRETCHES; i++) {
            SCOPED(arena_fini) struct arena once = { 0 };
            struct answer got = { 0 };
            uint64_t from = toc.series + prng_below(&r, toc.postings_table - toc.series);
            uint64_t n = 1 + prng_below(&r, STRETCH_MAX);
            n = MIN(n, toc.postings_table - from);
            memcpy(copy, bytes.p, bytes.n);
            memset(copy + from, (int)prng_below(&r, 256), n);
            EXPECT_OK(fs_write_durable(t.fs, path, str_of(copy, bytes.n), NULL));
            if (block_open(&b, &o, t.dir, NULL) != OK) continue;
            ask(&got, b, t.ms, &once);
            block_unref(b);
            bool less = missing(&t.whole, &got) || got.series < t.whole.series;
            EXPECT(!less || got.warnings.n > 0);
            with_loss += less;
            answer_fini(&got);
        }
        answer_fini(&t.whole);
        fs_free(t.fs);
    }
    EXPECT(with_loss > 20);
    hush(false);
}
