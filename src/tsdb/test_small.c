#include "tsdb/test_small.h"

#include "base/log.h"
#include "base/test.h"
#include "block/meta_codec.h"

#include <stdio.h>

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

struct db *open_small(const struct db_opts *of, struct db_opened *what)
{
    struct db *db = NULL;
    struct err e = { 0 };
    struct db_opts o = *of;
    o.backend = IO_BUFFERED;
    o.no_thread = true;
    o.wal_segment_bytes = 32768;
    o.samples_per_chunk = 20;
    EXPECT_OK_E(db_open(&db, &o, what, &e), &e);
    return db;
}

struct db *open_db(struct fs *fs, int64_t fsync_interval_ms)
{
    return open_small(&(struct db_opts){ .fs = fs,
                          .wal_compress = COMPRESS_NONE,
                          .fsync_interval_ms = fsync_interval_ms },
        NULL);
}

void close_db(struct db *db)
{
    struct err e = { 0 };
    EXPECT_OK_E(db_close(db, &e), &e);
}

void fill(struct db *db, int from, int to)
{
    struct appendable *s = db_appendable(db);
    for (int round = from; round < to; round++) {
        struct appender *a = NULL;
        EXPECT_OK(s->ops->begin(s, &a, NULL));
        for (unsigned i = 0; i < SERIES; i++) {
            char id[16];
            int n = snprintf(id, sizeof(id), "%u", i);
            struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(id, (size_t)n) } };
            series_handle h = 0;
            int64_t t = T0 + (int64_t)round * STEP_MS;
            EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
            EXPECT_OK(a->ops->append(a, h, t, round * 0.5 + i, 0, NULL));
        }
        EXPECT_OK(a->ops->commit(a, NULL));
    }
}

void late_sample(struct db *db, int64_t round)
{
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), S("1") } };
    series_handle h = 0;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
    EXPECT_OK(a->ops->append(a, h, T0 + round * STEP_MS + 1000, 0.5, 0, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

unsigned count_in(struct queryable *all, struct matcher m, int64_t mint, int64_t maxt)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    unsigned n = 0;
    EXPECT_OK(all->ops->querier(all, mint, maxt, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    for (;;) {
        struct series *s = NULL;
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) return n;
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        for (struct sample_batch b = { .n = 1 }; b.n; n += (unsigned)b.n)
            EXPECT_OK(sample_iter_fill(it, &b, NULL));
    }
}

unsigned count(struct db *db, int id, int from, int to)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", id);
    struct matcher m = { .type = id < 0 ? MATCH_NE : MATCH_EQ, .name = S("id"),
        .value = str_of(text, (size_t)len) };
    return count_in(db_queryable(db), m, T0 + (int64_t)from * STEP_MS, T0 + (int64_t)to * STEP_MS);
}

errc delete_of(struct db *db, unsigned id, int from, int to)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", id);
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = str_of(text, (size_t)len) };
    return db_delete(db, (struct matchers){ &m, 1 }, T0 + (int64_t)from * STEP_MS,
        T0 + (int64_t)to * STEP_MS, NULL);
}

static void add_meta(void *ctx, const struct block_meta *m)
{
    struct block_stats *sum = ctx;
    sum->samples += m->stats.samples;
    sum->tombstones += m->stats.tombstones;
    sum->series += m->level;
}

void metas_of(struct db *db, struct block_stats *sum)
{
    *sum = (struct block_stats){ 0 };
    db_block_metas(db, add_meta, sum);
}

struct db *open_snapshot(struct fs *fs, str name, struct fs **copy)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries blocks = { 0 };
    str from = path_join(&a, S("snapshots"), name);
    *copy = fs_sim_new(1);
    EXPECT_OK(fs_list(fs, from, &a, &blocks, NULL));
    for (size_t i = 0; i < blocks.n; i++) {
        static const str files[] = { S("meta.json"), S("index"), S("tombstones"),
            S("chunks/000001") };
        str dir = path_join(&a, from, blocks.at[i].name);
        EXPECT_OK(fs_mkdir(*copy, blocks.at[i].name, NULL));
        EXPECT_OK(fs_mkdir(*copy, path_join(&a, blocks.at[i].name, S("chunks")), NULL));
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            str content;
            struct err e = { 0 };
            EXPECT_OK_E(
                fs_read_all(fs, path_join(&a, dir, files[k]), &a, 1 << 20, &content, &e), &e);
            EXPECT_OK(fs_write_durable(*copy,
                path_join(&a, blocks.at[i].name, files[k]), content, NULL));
        }
    }
    vec_fini(&blocks);
    return open_db(*copy, 0);
}

void hush(bool on) { log_capture(on ? log_nothing : NULL, NULL); }

void block_name(struct fs *fs, char name[ULID_CHARS + 1])
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    ulid id;
    EXPECT_OK(fs_list(fs, STR_EMPTY, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++)
        if (ulid_parse(all.at[i].name, &id)) memcpy(name, all.at[i].name.p, ULID_CHARS);
    name[ULID_CHARS] = 0;
    vec_fini(&all);
}

void begin(struct fs **fs, struct db **db)
{
    hush(true);
    *fs = fs_sim_new(test_seed());
    *db = open_db(*fs, 0);
    fill(*db, 0, ROUNDS);
    EXPECT_OK(db_compact(*db, NULL));
    struct block_stats sum;
    metas_of(*db, &sum);
    EXPECT(sum.samples > 0);
}

void end(struct fs *fs, struct db *db)
{
    close_db(db);
    fs_free(fs);
    hush(false);
}
