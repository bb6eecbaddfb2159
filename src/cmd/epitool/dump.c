#include "cmd/epitool/dump.h"

#include "base/digest.h"
#include "base/f64.h"
#include "chunk/histogram_state.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/jsonl.h"

struct dump {
    struct buf line, samples;
    struct sha256 *digest;
    size_t n;
    int64_t mint, maxt;
    bool with_samples;
    struct dump_progress *progress;
};

void dump_progress_add(struct dump_progress *p, size_t samples)
{
    p->done += samples;
    p->total = MAX(p->total, p->done);
    progress_tell(p->to, S("samples"), p->done, p->total);
}

static void put_value(struct dump *d, int64_t t, double v, int64_t st)
{
    uint64_t be[3] = { __builtin_bswap64((uint64_t)t), __builtin_bswap64(f64_bits(v)),
        __builtin_bswap64((uint64_t)st) };
    digest_sha256_add(d->digest, str_of(be, st ? 24 : 16));
    if (d->with_samples) jsonl_sample(&d->samples, t, st, v);
}

static void put_histogram(struct dump *d, const struct sample_batch *batch, size_t i, int64_t st)
{
    bool whole = batch->kind == SAMPLE_HISTOGRAM;
    struct hist_words w = whole ? hist_words_of_int(batch->ih[i])
                                : hist_words_of_float(batch->h[i]);
    const struct hist_layout *l = &w.layout;
    size_t from = d->samples.n;
    buf_fmt(&d->samples, "{\"t\":%" PRId64, batch->t[i]);
    if (st) buf_fmt(&d->samples, ",\"st\":%" PRId64, st);
    buf_str(&d->samples, whole ? S(",\"h\":") : S(",\"fh\":"));
    jsonl_histogram(&d->samples, &(struct jsonl_histogram){ w.is_float, w.hint, l->schema,
        l->zero_threshold, f64_of_bits(w.head[HIST_SUM]), w.head[HIST_ZERO_COUNT],
        w.head[HIST_COUNT],
        { { l->side[0].at, l->side[0].n, w.at[0], l->n_buckets[0] },
          { l->side[1].at, l->side[1].n, w.at[1], l->n_buckets[1] } }, l->custom, l->n_custom });
    buf_u8(&d->samples, '}');
    digest_sha256_add(d->digest, str_from(buf_view(&d->samples), from));
    if (!d->with_samples) d->samples.n = from;
}

static void put_sample(struct dump *d, const struct sample_batch *batch, size_t i)
{
    int64_t st = batch->st ? batch->st[i] : 0;
    if (!d->n++) d->mint = batch->t[i];
    d->maxt = batch->t[i];
    if (d->samples.n) buf_u8(&d->samples, ',');
    if (batch->kind == SAMPLE_FLOAT) put_value(d, batch->t[i], batch->v[i], st);
    else put_histogram(d, batch, i, st);
}

static errc read_samples(struct dump *d, struct series *s, struct sample_iter **it, struct err *e)
{
    TRY(s->ops->iterate(s, it, e));
    for (;;) {
        struct sample_batch batch = { 0 };
        TRY(sample_iter_fill(*it, &batch, e));
        if (!batch.n) return OK;
        for (size_t i = 0; i < batch.n; i++) put_sample(d, &batch, i);
        dump_progress_add(d->progress, batch.n);
    }
}

static void put_series(struct dump *d, struct labels l)
{
    uint8_t sum[32];
    digest_sha256_end(d->digest, sum);
    d->digest = NULL;
    struct buf *b = &d->line;
    buf_reset(b);
    buf_str(b, S("{\"k\":\"series\",\"labels\":"));
    jsonl_labels(b, l);
    buf_fmt(b, ",\"n\":%zu,\"mint\":%" PRId64 ",\"maxt\":%" PRId64 ",\"dig\":\"", d->n, d->mint,
        d->maxt);
    jsonl_hex(b, str_of(sum, 8));
    buf_u8(b, '"');
    if (d->with_samples) buf_fmt(b, ",\"samples\":[%.*s]", STR_ARG(buf_view(&d->samples)));
    buf_str(b, S("}\n"));
}

static errc dump_set(struct dump *d, struct series_set *set, size_t every, FILE *out, struct err *e)
{
    struct sample_iter *it = NULL;
    errc rc = OK;
    for (size_t i = 0; rc == OK;) {
        struct series *s = NULL;
        rc = set->ops->next(set, &s, e);
        if (rc != OK || !s) break;
        buf_reset(&d->samples);
        d->n = 0;
        d->with_samples = i % every == 0;
        d->digest = digest_sha256_new();
        rc = read_samples(d, s, &it, e);
        if (rc == OK && d->n) {
            put_series(d, s->labels);
            i++;
            if (fprintf(out, "%.*s", STR_ARG(buf_view(&d->line))) < 0)
                rc = err_set(e, ERR_IO, "the output cannot be written");
        } else if (d->digest) {
            uint8_t unused[32];
            digest_sha256_end(d->digest, unused);
        }
    }
    sample_iter_free(it);
    return rc;
}

void dump_warnings(struct querier *q)
{
    str_list words = { 0 };
    querier_warnings(q, &words);
    cmd_warnings(&words);
    vec_fini(&words);
}

errc dump_jsonl(struct queryable *q, size_t every, FILE *out, struct dump_progress *p,
    struct err *e)
{
    SCOPED(querier_freep) struct querier *querier = NULL;
    TRY(q->ops->querier(q, INT64_MIN, INT64_MAX, &querier, e));
    struct matcher all = { .type = MATCH_EQ };                 /* "" = "": every series */
    struct select_hints hints = { .start = INT64_MIN, .end = INT64_MAX, .sorted = true };
    SCOPED(series_set_freep) struct series_set *set = NULL;
    TRY(querier->ops->select(querier, (struct matchers){ &all, 1 }, &hints, &set, e));
    struct dump d = { .progress = p };
    errc rc = dump_set(&d, set, every ? every : 1, out, e);
    dump_warnings(querier);
    buf_fini(&d.line);
    buf_fini(&d.samples);
    return rc;
}
