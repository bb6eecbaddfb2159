/* queries.c — real queries over the blocks of the folder, by each backend. The blocks are opened to
 * be read; nothing of the folder is locked or written.
 *
 * What is asked follows from the data: the metric with the most series among the first ones of the
 * largest block is summed up as rates over the block's time, one of its series is drawn, and all
 * series are counted at one moment.
 */
#include "base/clock.h"
#include "base/ulid.h"
#include "block/block.h"
#include "io/page_cache.h"
#include "io/work.h"
#include "iobench/lab.h"
#include "promql/engine.h"
#include "storage/merge.h"

#include <stdio.h>

enum { BLOCKS_MAX = 64, METRICS_LOOKED_AT = 200, STEPS = 100, QUERIES = 3, WARM_ROUNDS = 3 };
static const enum io_backend backends[] = { IO_MMAP, IO_BUFFERED, IO_DIRECT };
static const char *const titles[QUERIES] = { "one series", "sum of rates of a metric",
    "count of all series" };

struct blocks {
    struct queryable base;
    struct block *at[BLOCKS_MAX];
    size_t n;
};
struct asked {
    str text[QUERIES];
    int64_t mint, maxt;
};

static errc blocks_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct blocks *all = CONTAINER_OF(s, struct blocks, base);
    struct querier *q[BLOCKS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct block_meta *m = block_meta(all->at[i]);
        if (m->mint > maxt || m->maxt <= mint) continue;
        struct queryable *one = block_queryable(all->at[i]);
        errc rc = one->ops->querier(one, mint, maxt, &q[n], e);
        if (rc == OK) n++;
        else {
            while (n) querier_free(q[--n]);
            return rc;
        }
    }
    *out = merge_querier(q, n);
    return OK;
}
static const struct queryable_ops blocks_ops = { .querier = blocks_querier };

static void blocks_close(struct blocks *all)
{
    for (size_t i = 0; i < all->n; i++) block_unref(all->at[i]);
    *all = (struct blocks){ 0 };
}

/* All blocks of the folder, or the first BLOCKS_MAX; a folder that is none has none. */
static errc blocks_open(struct blocks *all, struct lab *l, enum io_backend backend, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_opts o = { .fs = l->fs, .backend = backend };
    fs_entries entries = { 0 };
    *all = (struct blocks){ .base.ops = &blocks_ops };
    errc rc = fs_list(l->fs, S(""), &a, &entries, e);
    for (size_t i = 0; rc == OK && i < entries.n && all->n < BLOCKS_MAX; i++) {
        ulid id;
        if (!entries.at[i].is_dir || !ulid_parse(entries.at[i].name, &id)) continue;
        struct err why = { 0 };
        struct block *b = NULL;
        if (block_open(&b, &o, entries.at[i].name, &why) == OK) all->at[all->n++] = b;
        else lab_note(l, "left out: %s", why.msg);
    }
    vec_fini(&entries);
    return rc;
}

static void evict_tree(struct lab *l, str dir)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries entries = { 0 };
    if (fs_list(l->fs, dir, &a, &entries, NULL) == OK)
        for (size_t i = 0; i < entries.n; i++) {
            str path = path_join(&a, dir, entries.at[i].name);
            if (entries.at[i].is_dir) evict_tree(l, path);
            else lab_evict(l, path);
        }
    vec_fini(&entries);
}

static void evict_blocks(struct lab *l, const struct blocks *all)
{
    for (size_t i = 0; i < all->n; i++) evict_tree(l, block_dir(all->at[i]));
}

/* ---- what is asked ---- */

static errc metric_of(struct block *b, struct arena *a, str *metric, struct err *e)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    struct queryable *s = block_queryable(b);
    str_list names = { 0 };
    bool truncated;
    size_t most = 0;
    TRY(s->ops->querier(s, INT64_MIN, INT64_MAX, &q, e));
    errc rc = q->ops->label_values(
        q, S("__name__"), (struct matchers){ 0 }, METRICS_LOOKED_AT, &names, &truncated, e);
    for (size_t i = 0; rc == OK && i < names.n; i++) {
        struct matcher m = { .type = MATCH_EQ, .name = S("__name__"), .value = names.at[i] };
        postings_list found = { 0 };
        rc = block_select(b, (struct matchers){ &m, 1 }, &found, e);
        if (rc == OK && found.n > most) {
            most = found.n;
            *metric = arena_str(a, names.at[i]);
        }
        vec_fini(&found);
    }
    vec_fini(&names);
    return rc;
}

/* A selector of the metric's first series. */
static errc series_of(struct block *b, struct arena *a, str metric, str *out, struct err *e)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(buf_fini) struct buf text = { 0 };
    struct matcher m = { .type = MATCH_EQ, .name = S("__name__"), .value = metric };
    struct queryable *s = block_queryable(b);
    struct series *first = NULL;
    TRY(s->ops->querier(s, INT64_MIN, INT64_MAX, &q, e));
    TRY(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, e));
    TRY(set->ops->next(set, &first, e));
    if (!first) return err_set(e, ERR_NOT_FOUND, "no series of %.*s", STR_ARG(metric));
    buf_str(&text, S("{"));
    for (size_t i = 0; i < first->labels.n; i++) {
        struct matcher one = {
            .type = MATCH_EQ, .name = first->labels.at[i].name, .value = first->labels.at[i].value
        };
        if (i) buf_str(&text, S(","));
        buf_matcher(&text, &one);
    }
    buf_str(&text, S("}"));
    *out = arena_str(a, buf_view(&text));
    return OK;
}

static errc ask_what(struct asked *out, const struct blocks *all, struct arena *a, struct err *e)
{
    struct block *largest = all->at[0];
    str metric = STR_EMPTY;
    for (size_t i = 1; i < all->n; i++)
        if (block_bytes(all->at[i]) > block_bytes(largest)) largest = all->at[i];
    TRY(metric_of(largest, a, &metric, e));
    if (!metric.n) return err_set(e, ERR_NOT_FOUND, "the largest block has no metric");
    out->mint = block_meta(largest)->mint;
    out->maxt = block_meta(largest)->maxt - 1;
    TRY(series_of(largest, a, metric, &out->text[0], e));
    out->text[1] = arena_fmt(a, "sum(rate({__name__=\"%.*s\"}[5m]))", STR_ARG(metric));
    out->text[2] = S("count({__name__!=\"\"})");
    return OK;
}

/* ---- asking ---- */

static errc ask(struct engine *en, struct blocks *all, const struct asked *w, size_t i,
    int64_t *wall_ns, struct err *e)
{
    bool instant = i == 2;
    struct result r = { 0 };
    struct query_opts o = { .query = w->text[i],
        .instant = instant,
        .start_ms = instant ? w->maxt : w->mint,
        .end_ms = w->maxt,
        .step_ms = instant ? 0 : MAX((w->maxt - w->mint) / STEPS, (int64_t)1000) };
    int64_t began = clock_mono_ns();
    TRY(engine_query(en, &all->base, &o, &r, e));
    *wall_ns = clock_mono_ns() - began;
    promql_result_fini(&r);
    return OK;
}

static void row_add(struct lab *l, size_t i, const char *memory, enum io_backend b, int64_t wall_ns,
    int64_t cpu_ns, uint64_t queries)
{
    char what[LAB_WHAT_MAX];
    snprintf(what, sizeof(what), "query, %s, %s", titles[i], memory);
    lab_add(l, LAB_QUERIES, what, io_backend_word(b), "ms", (double)wall_ns / 1e6);
    lab_last(l)->cpu_us = (double)cpu_ns / 1000 / (double)queries;
}

struct took { int64_t cold_ns, cold_cpu_ns, best_ns, warm_cpu_ns; };

static errc ask_by(struct lab *l, struct engine *en, const struct asked *w, enum io_backend backend,
    size_t i, struct took *out, struct err *e)
{
    struct blocks all;
    int64_t cpu = lab_cpu_ns();
    *out = (struct took){ .best_ns = INT64_MAX };
    lab_step(l, titles[i]);
    TRY(blocks_open(&all, l, backend, e));
    evict_blocks(l, &all);
    errc rc = ask(en, &all, w, i, &out->cold_ns, e);
    out->cold_cpu_ns = lab_cpu_ns() - cpu;
    cpu = lab_cpu_ns();
    for (int k = 0; rc == OK && k < WARM_ROUNDS; k++) {
        int64_t one;
        rc = ask(en, &all, w, i, &one, e);
        if (rc == OK) out->best_ns = MIN(out->best_ns, one);
    }
    out->warm_cpu_ns = lab_cpu_ns() - cpu;
    blocks_close(&all);
    return rc;
}

/* One query by all backends; its rows are two charts. */
static errc ask_by_all(
    struct lab *l, struct engine *en, const struct asked *w, size_t i, struct err *e)
{
    struct took t[ARRAY_LEN(backends)];
    lab_note(l, "query, %s: %.*s", titles[i], STR_ARG(w->text[i]));
    for (size_t b = 0; b < ARRAY_LEN(backends); b++)
        TRY(ask_by(l, en, w, backends[b], i, &t[b], e));
    for (size_t b = 0; b < ARRAY_LEN(backends); b++)
        row_add(l, i, "cold", backends[b], t[b].cold_ns, t[b].cold_cpu_ns, 1);
    for (size_t b = 0; b < ARRAY_LEN(backends); b++)
        row_add(l, i, "cached", backends[b], t[b].best_ns, t[b].warm_cpu_ns, WARM_ROUNDS);
    return OK;
}

size_t lab_queries_steps(const struct lab *l)
{
    (void)l;
    return QUERIES * ARRAY_LEN(backends);
}

errc lab_queries(struct lab *l, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct asked w = { 0 };
    struct blocks all;
    TRY(blocks_open(&all, l, IO_AUTO, e));
    for (size_t i = 0; i < all.n; i++) l->blocks_bytes += block_bytes(all.at[i]);
    if (!all.n) {
        lab_note(l, "the folder holds no blocks: no queries were measured (--dir=DATA does)");
        return OK;
    }
    errc rc = ask_what(&w, &all, &a, e);
    blocks_close(&all);
    TRY(rc);
    struct engine_opts o = { .lookback_ms = 300000,
        .timeout_ms = 120000,
        .max_samples = 50000000,
        .default_step_ms = 60000,
        .max_concurrency = 1 };
    struct engine *en = engine_new(&o);
    for (size_t i = 0; rc == OK && i < QUERIES; i++) {
        if (lab_is_late(l)) lab_note(l, "query, %s: left out, the time was over", titles[i]);
        else rc = ask_by_all(l, en, &w, i, e);
    }
    engine_free(en);
    return rc;
}
