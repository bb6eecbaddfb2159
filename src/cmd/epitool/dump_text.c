#include "cmd/epitool/dump_text.h"

#include "base/f64.h"
#include "base/json.h"
#include "cmd/epitool/cmd.h"

struct text_dump {
    enum dump_text how;
    FILE *out;
    struct buf line, labels;
    struct arena arena;                        /* of a histogram */
    struct sample_iter *it;
    struct dump_progress *progress;
};

static void put_sample(struct text_dump *d, const struct sample_batch *b, size_t i)
{
    struct arena_mark mark = arena_mark(&d->arena);
    buf_str(&d->line, buf_view(&d->labels));
    buf_u8(&d->line, ' ');
    if (b->kind == SAMPLE_FLOAT) buf_f64_g(&d->line, b->v[i]);
    else if (b->kind == SAMPLE_HISTOGRAM)
        histogram_text_whole(&d->line, int_histogram_to_float(&d->arena, b->ih[i]));
    else histogram_text(&d->line, b->h[i]);
    if (d->how == DUMP_OPENMETRICS) buf_fmt(&d->line, " %.3f\n", (double)b->t[i] / 1000);
    else buf_fmt(&d->line, " %" PRId64 "\n", b->t[i]);
    arena_reset(&d->arena, mark);
}

/* {a="1",b="2"}, whatever the names look like */
static void put_condensed(struct buf *b, struct labels l)
{
    struct buf quoted = { 0 };
    buf_str(b, labels_get(l, METRIC_NAME));
    buf_u8(b, '{');
    for (size_t i = 0, n = 0; i < l.n; i++) {
        if (str_eq(l.at[i].name, METRIC_NAME)) continue;
        if (n++) buf_u8(b, ',');
        buf_str(b, l.at[i].name);
        buf_u8(b, '=');
        buf_reset(&quoted);                    /* {x="value"}: the value as labels quote it */
        buf_labels(&quoted, (struct labels){ &(struct label){ S("x"), l.at[i].value }, 1 });
        buf_str(b, str_slice(buf_view(&quoted), S("{x=").n, quoted.n - 1));
    }
    buf_u8(b, '}');
    buf_fini(&quoted);
}

static void put_json(struct buf *b, struct labels l)
{
    struct json j = { .b = b, .html = true };
    json_obj(&j);
    for (size_t i = 0; i < l.n; i++) json_kstr(&j, l.at[i].name, l.at[i].value);
    json_obj_end(&j);
    buf_u8(b, '\n');
}

static errc dump_samples(struct text_dump *d, struct series *s, struct err *e)
{
    TRY(s->ops->iterate(s, &d->it, e));
    for (;;) {
        struct sample_batch batch = { 0 };
        TRY(sample_iter_fill(d->it, &batch, e));
        if (!batch.n || (d->how == DUMP_OPENMETRICS && batch.kind != SAMPLE_FLOAT)) return OK;
        for (size_t i = 0; i < batch.n; i++) put_sample(d, &batch, i);
        dump_progress_add(d->progress, batch.n);
        TRY(cmd_write(d->out, buf_view(&d->line), e));
        buf_reset(&d->line);
    }
}

static errc dump_series(struct text_dump *d, struct series *s, struct err *e)
{
    buf_reset(&d->labels);
    if (d->how == DUMP_OPENMETRICS) put_condensed(&d->labels, s->labels);
    else if (d->how == DUMP_PROM) buf_labels(&d->labels, s->labels);
    else put_json(&d->labels, s->labels);
    if (d->how == DUMP_SERIES_JSON) return cmd_write(d->out, buf_view(&d->labels), e);
    return dump_samples(d, s, e);
}

/* The next series of sets that are sorted: the smallest, which leaves all that have it. */
static errc next_of(struct series_set *const *sets, struct series **heads, size_t n, bool begun,
    struct series **out, struct err *e)
{
    struct series *last = *out, *least = NULL;
    for (size_t i = 0; i < n; i++) {
        bool used = begun && last && heads[i] && labels_eq(heads[i]->labels, last->labels);
        if (!begun || used) TRY(sets[i]->ops->next(sets[i], &heads[i], e));
        if (heads[i] && (!least || labels_cmp(heads[i]->labels, least->labels) < 0))
            least = heads[i];
    }
    *out = least;
    return OK;
}

errc dump_text(struct series_set *const *sets, size_t n, enum dump_text how, FILE *out,
    struct dump_progress *p, struct err *e)
{
    struct text_dump d = { .how = how, .out = out, .progress = p };
    struct series **heads = mem_zalloc(n * sizeof(struct series *)), *s = NULL;
    errc rc = OK;
    for (bool begun = false; rc == OK; begun = true) {
        rc = next_of(sets, heads, n, begun, &s, e);
        if (rc == OK && !s) break;
        if (rc == OK) rc = dump_series(&d, s, e);
    }
    if (rc == OK && how == DUMP_OPENMETRICS) rc = cmd_write(out, S("# EOF\n"), e);
    sample_iter_free(d.it);
    mem_free(heads);
    buf_fini(&d.line);
    buf_fini(&d.labels);
    arena_fini(&d.arena);
    return rc;
}
