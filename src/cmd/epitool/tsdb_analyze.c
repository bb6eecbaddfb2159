/* tsdb_analyze.c — `epitool tsdb analyze`: which labels and names a block is made of, which come
 * and go, and how full its chunks are. */
#include "base/map.h"
#include "block/block.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "cmd/epitool/tsdb_commands.h"
#include "model/duration.h"
#include "promql/parse.h"
#include "storage/left_out.h"

#include <stdlib.h>

struct analyze_args { str dir, block; int64_t limit; bool extended; str match; };
static const struct opt analyze_opts[] = {
    { "limit", .help = "How many items to show in each list.",
        OPT_AT(struct analyze_args, limit), &opt_int, .def = "20" },
    { "extended", .help = "Look into the chunks, too.", OPT_AT(struct analyze_args, extended),
        &opt_bool },
    { "match", "SELECTOR", "Which series.", OPT_AT(struct analyze_args, match), &opt_str },
    { "dir", .help = "The data folder.", OPT_AT(struct analyze_args, dir), &opt_str,
        .def = "data/", .flags = OPT_ARG },
    { "block", .help = "The block; the newest if none is given.",
        OPT_AT(struct analyze_args, block), &opt_str, .flags = OPT_ARG },
};

/* Counts of one name, or of one pair. bytes, values: of a name's values. */
struct tally { str name, value; uint64_t uncovered, series, bytes, values; };
typedef VEC(struct tally *) tallies;

struct analysis {
    const struct analyze_args *args;
    struct block *block;
    struct matchers ms;
    struct arena arena;
    struct buf text;
    postings_list refs;
    struct left_out left;                      /* series and chunks that are damaged */
    str_list warnings;                         /* in the arena, each once */
    struct map by_pair, by_name;               /* of symbols */
    tallies pairs, names;
    uint64_t entries;
};

/* Gathering. */

static errc tally_of(struct analysis *k, struct map *by, tallies *all, uint32_t name,
    uint32_t value, struct tally **out, struct err *e)
{
    uint64_t key = (uint64_t)name << 32 | value, hash = hash_bytes(&key, sizeof(key));
    *out = map_find(by, hash, NULL, NULL);
    if (*out) return OK;
    struct tally *t = ANEW(&k->arena, struct tally);
    TRY(index_reader_symbol(block_index(k->block), name, &k->arena, &t->name, e));
    if (by == &k->by_pair)
        TRY(index_reader_symbol(block_index(k->block), value, &k->arena, &t->value, e));
    map_put(by, hash, t);
    vec_push(all, t);
    *out = t;
    return OK;
}

static errc gather_label(
    struct analysis *k, const struct label_num *l, uint64_t uncovered, struct err *e)
{
    struct tally *pair, *name;
    size_t known = k->pairs.n;
    TRY(tally_of(k, &k->by_pair, &k->pairs, l->name, l->value, &pair, e));
    TRY(tally_of(k, &k->by_name, &k->names, l->name, 0, &name, e));
    if (k->pairs.n > known) {
        name->values++;
        name->bytes += pair->value.n;
    }
    pair->series++;
    pair->uncovered += uncovered;
    name->uncovered += uncovered;
    k->entries++;
    return OK;
}

static errc gather(struct analysis *k, struct err *e)
{
    SCOPED(index_series_fini) struct index_series s = { 0 };
    const struct block_meta *m = block_meta(k->block);
    for (size_t i = 0; i < k->refs.n; i++) {
        struct err why = { 0 };
        errc rc = index_reader_series(block_index(k->block), k->refs.at[i], false, &s, &why);
        if (rc == ERR_CORRUPT) left_out_add(&k->left, S("block"), block_dir(k->block), &why);
        else if (rc != OK) return err_set(e, rc, "%s", why.msg);
        if (rc != OK || !s.chunks.n) continue;
        uint64_t covered = (uint64_t)vec_last(&s.chunks).maxt - (uint64_t)s.chunks.at[0].mint;
        uint64_t uncovered = (uint64_t)m->maxt - (uint64_t)m->mint - covered;
        for (size_t l = 0; l < s.labels.n; l++)
            TRY(gather_label(k, &s.labels.at[l], uncovered, e));
    }
    return OK;
}

/* Lists. */

enum key { KEY_NAME, KEY_PAIR, KEY_VALUE };
struct item { uint64_t n; const struct tally *t; enum key key; };
typedef VEC(struct item) items;

static int item_cmp(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    int names = str_cmp(x->t->name, y->t->name);
    return names ? names : str_cmp(x->t->value, y->t->value);
}

static void put_list(struct analysis *k, const char *title, items *all)
{
    buf_fmt(&k->text, "\n%s:\n", title);
    if (all->n) qsort(all->at, all->n, sizeof(*all->at), item_cmp);
    for (size_t i = 0; i < all->n && (int64_t)i < k->args->limit; i++) {
        const struct item *x = &all->at[i];
        buf_fmt(&k->text, "%" PRIu64 " ", x->n);
        if (x->key != KEY_VALUE) buf_str(&k->text, x->t->name);
        if (x->key == KEY_PAIR) buf_u8(&k->text, '=');
        if (x->key != KEY_NAME) buf_str(&k->text, x->t->value);
        buf_u8(&k->text, '\n');
    }
    all->n = 0;
}

static uint64_t churned(const struct analysis *k, uint64_t uncovered)
{
    const struct block_meta *m = block_meta(k->block);
    double span = (double)(m->maxt - m->mint);
    return span > 0 ? (uint64_t)((double)uncovered / span) : 0;
}

static void put_lists(struct analysis *k)
{
    items all = { 0 };
    for (size_t i = 0; i < k->pairs.n; i++) {
        const struct tally *t = k->pairs.at[i];
        vec_push(&all, ((struct item){ churned(k, t->uncovered), t, KEY_PAIR }));
    }
    put_list(k, "Label pairs most involved in churning", &all);
    for (size_t i = 0; i < k->names.n; i++) {
        const struct tally *t = k->names.at[i];
        vec_push(&all, ((struct item){ churned(k, t->uncovered), t, KEY_NAME }));
    }
    put_list(k, "Label names most involved in churning", &all);
    for (size_t i = 0; i < k->pairs.n; i++)
        vec_push(&all, ((struct item){ k->pairs.at[i]->series, k->pairs.at[i], KEY_PAIR }));
    put_list(k, "Most common label pairs", &all);
    for (size_t i = 0; i < k->names.n; i++)
        vec_push(&all, ((struct item){ k->names.at[i]->bytes, k->names.at[i], KEY_NAME }));
    put_list(k, "Label names with highest cumulative label value length", &all);
    for (size_t i = 0; i < k->names.n; i++)
        vec_push(&all, ((struct item){ k->names.at[i]->values, k->names.at[i], KEY_NAME }));
    put_list(k, "Highest cardinality labels", &all);
    for (size_t i = 0; i < k->pairs.n; i++)
        if (str_eq(k->pairs.at[i]->name, METRIC_NAME))
            vec_push(&all, ((struct item){ k->pairs.at[i]->series, k->pairs.at[i], KEY_VALUE }));
    put_list(k, "Highest cardinality metric names", &all);
    vec_fini(&all);
}

static void put_head(struct analysis *k)
{
    const struct block_meta *m = block_meta(k->block);
    struct buf *b = &k->text;
    buf_fmt(b, "Block ID: %s\nDuration: ", ulid_text(m->id).z);
    buf_go_duration(b, (int64_t)(((uint64_t)m->maxt - (uint64_t)m->mint) * 1000000));
    buf_fmt(b, "\nTotal Series: %" PRIu64 "\n", m->stats.series);
    if (k->args->match.n) buf_fmt(b, "Matcher: %.*s\n", STR_ARG(k->args->match));
    buf_fmt(b, "Label names: %zu\n", k->names.n);
    if (k->args->match.n) buf_fmt(b, "Matched series: %zu\n", k->refs.n);
    buf_fmt(b,
        "Postings (unique label pairs): %zu\nPostings entries (total label pairs): %" PRIu64 "\n",
        k->pairs.n, k->entries);
}

/* Chunks. */

typedef VEC(int64_t) figures;
struct chunk_figures {
    figures float_samples, float_bytes, hist_samples, hist_bytes, hist_buckets;
    int64_t chunks;
};

static int figure_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int digits(int64_t n)
{
    int d = 1;
    while (n /= 10) d++;
    return d;
}

/* Buckets of 10, 100 … up to 100000, so that there are not many more than ten. */
static void put_figures(struct buf *b, const char *what, figures *f, int64_t total)
{
    enum { PERCENT = 100, STEP_MAX = 10000 };
    if (!f->n) {
        buf_fmt(b, "%s: N/A\n\n", what);
        return;
    }
    qsort(f->at, f->n, sizeof(*f->at), figure_cmp);
    int64_t min = f->at[0], max = f->at[f->n - 1], step = 10, sum = 0, most = 0;
    while (step < (max - min) / 10 && step <= STEP_MAX) step *= 10;
    int64_t start = min - min % step, end = max - max % step + step;
    size_t n = (size_t)((end - start) / step + 1);
    int64_t *counts = mem_zalloc(n * sizeof(*counts));
    for (size_t i = 0; i < f->n; i++) {
        sum += f->at[i];
        int64_t *count = &counts[(f->at[i] - start) / step];
        ++*count;
        most = MAX(most, *count);
    }
    buf_fmt(b, "%s (min/avg/max): %" PRId64 "/%" PRId64 "/%" PRId64 "\n", what, min,
        sum / (int64_t)f->n, max);
    for (size_t i = 0; i < n; i++) {
        int64_t from = (int64_t)i * step + start;
        buf_fmt(b, "[%*" PRId64 ", %*" PRId64 "]: %*" PRId64 " ", digits(end), from + 1,
            digits(end + step), from + step, digits(most), counts[i]);
        for (int64_t p = PERCENT * counts[i] / total; p > 0; p--) buf_u8(b, '#');
        buf_u8(b, '\n');
    }
    buf_u8(b, '\n');
    mem_free(counts);
}

static errc count_buckets(struct chunk_iter *it, uint8_t enc, str data, int64_t *n, struct err *e)
{
    struct sample_batch b = { 0 };
    *n = 0;
    TRY(chunk_iter_reset(it, enc, data, e));
    do {
        TRY(chunk_iter_fill(it, &b, e));
        for (size_t i = 0; i < b.n; i++)
            *n += (int64_t)(b.kind == SAMPLE_HISTOGRAM ? b.ih[i]->pos.n + b.ih[i]->neg.n
                                                       : b.h[i]->pos.n + b.h[i]->neg.n);
    } while (b.n);
    return OK;
}

static errc look_into(
    struct chunk_figures *f, struct chunk_iter *it, const struct chunk_view *c, struct err *e)
{
    int64_t samples = (int64_t)chunk_count(c->enc, c->data), bytes = (int64_t)c->data.n, buckets;
    if (chunk_enc_is_float(c->enc)) {
        vec_push(&f->float_samples, samples);
        vec_push(&f->float_bytes, bytes);
        return OK;
    }
    TRY(count_buckets(it, c->enc, c->data, &buckets, e));
    vec_push(&f->hist_samples, samples);
    vec_push(&f->hist_bytes, bytes);
    vec_push(&f->hist_buckets, buckets);
    return OK;
}

/* A series that is damaged is met by who looks at labels, and by who looks at chunks. */
static void warn_once(struct analysis *k, const str_list *words)
{
    for (size_t i = 0; i < words->n; i++) {
        bool known = false;
        for (size_t j = 0; j < k->warnings.n; j++)
            known = known || str_eq(k->warnings.at[j], words->at[i]);
        if (!known) vec_push(&k->warnings, arena_str(&k->arena, words->at[i]));
    }
}

static void warn_of_chunks(struct analysis *k, struct chunk_series_set *set)
{
    str_list words = { 0 };
    chunk_series_set_warnings(set, &words);
    warn_once(k, &words);
    vec_fini(&words);
}

static errc walk_chunks(struct analysis *k, struct chunk_figures *f, struct err *e)
{
    SCOPED(chunk_series_set_freep) struct chunk_series_set *set = NULL;
    struct chunk_iter it;
    errc rc = OK;
    TRY(block_chunks_select(k->block, k->ms, INT64_MIN, INT64_MAX, &set, e));
    chunk_iter_init(&it);
    uint64_t total = block_meta(k->block)->stats.chunks, done = 0;
    struct progress_bar bar;
    progress_bar_begin(&bar);
    for (const struct chunk_series *s = NULL; rc == OK;) {
        rc = set->ops->next(set, &s, e);
        if (rc != OK || !s) break;
        progress_tell(&bar.base, S("chunks"), MIN(done, total), total);
        done += s->n;
        for (size_t i = 0; i < s->n; i++) {
            struct err why = { 0 };
            if (look_into(f, &it, &s->chunks[i], &why) == OK) f->chunks++;
            else left_out_add(&k->left, S("block"), block_dir(k->block), &why);
        }
    }
    progress_bar_end(&bar);
    chunk_iter_fini(&it);
    warn_of_chunks(k, set);
    return rc;
}

static errc put_chunks(struct analysis *k, struct err *e)
{
    struct chunk_figures f = { 0 };
    errc rc = walk_chunks(k, &f, e);
    if (rc == OK) {
        buf_str(&k->text, S("\nCompaction analysis:\n\n"));
        put_figures(&k->text, "samples per float chunk", &f.float_samples, f.chunks);
        put_figures(&k->text, "bytes per float chunk", &f.float_bytes, f.chunks);
        put_figures(&k->text, "samples per histogram chunk", &f.hist_samples, f.chunks);
        put_figures(&k->text, "bytes per histogram chunk", &f.hist_bytes, f.chunks);
        put_figures(&k->text, "buckets per histogram chunk", &f.hist_buckets, f.chunks);
    }
    vec_fini(&f.float_samples);
    vec_fini(&f.float_bytes);
    vec_fini(&f.hist_samples);
    vec_fini(&f.hist_bytes);
    vec_fini(&f.hist_buckets);
    return rc;
}

/* All of it. */

static errc newest_block(struct fs *fs, struct arena *a, str *out, struct err *e)
{
    fs_entries all = { 0 };
    ulid id;
    errc rc = fs_list(fs, S(""), a, &all, e);
    for (size_t i = 0; i < all.n; i++)
        if (all.at[i].is_dir && ulid_parse(all.at[i].name, &id)) *out = all.at[i].name;
    vec_fini(&all);
    if (rc == OK && !out->n) return err_set(e, ERR_NOT_FOUND, "no blocks found");
    return rc;
}

static errc analyze_block(struct analysis *k, struct err *e)
{
    static const struct parse_opts po = { 0 };
    struct matcher all = { .type = MATCH_EQ };                 /* "" = "": every series */
    bool some = k->args->match.n;
    k->ms = (struct matchers){ &all, 1 };
    str why;
    errc rc = some ? promql_parse_selector(&k->ms, k->args->match, &po, &k->arena, &why) : OK;
    if (rc != OK) return err_set_str(e, rc, why);
    rc = block_select(k->block, k->ms, &k->refs, e);
    if (rc == OK) rc = gather(k, e);
    if (rc == OK) {
        put_head(k);
        put_lists(k);
        if (k->args->extended) rc = put_chunks(k, e);
    }
    if (some) promql_matchers_fini(k->ms);
    str_list words = { 0 };
    left_out_list(&k->left, &words);
    warn_once(k, &words);
    cmd_warnings(&k->warnings);
    vec_fini(&words);
    return rc == OK ? cmd_write(stdout, buf_view(&k->text), e) : rc;
}

static errc analyze(const struct analyze_args *a, struct err *e)
{
    struct analysis k = { .args = a };
    struct fs *fs = NULL;
    str name = a->block;
    TRY(tsdb_folder(&fs, a->dir, e));
    left_out_init(&k.left);
    struct block_opts o = { .fs = fs, .backend = IO_AUTO };
    errc rc = name.n ? OK : newest_block(fs, &k.arena, &name, e);
    if (rc == OK) rc = block_open(&k.block, &o, name, e);
    if (rc == OK) rc = analyze_block(&k, e);
    block_unref(k.block);
    map_fini(&k.by_pair);
    map_fini(&k.by_name);
    vec_fini(&k.pairs);
    vec_fini(&k.names);
    vec_fini(&k.refs);
    buf_fini(&k.text);
    left_out_fini(&k.left);
    vec_fini(&k.warnings);
    arena_fini(&k.arena);
    fs_free(fs);
    return rc;
}

int tsdb_analyze_run(int argc, char **argv)
{
    struct analyze_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (tsdb_line(&a, analyze_opts, ARRAY_LEN(analyze_opts),
            "Show churn, cardinality and chunks of a block.", argc, argv, &run, &code)) {
        errc rc = analyze(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}
