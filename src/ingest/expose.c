#include "ingest/expose.h"

#include "base/f64.h"

static void expose_escaped(struct buf *b, str s, bool quotes)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '\\') buf_str(b, S("\\\\"));
        else if (c == '\n') buf_str(b, S("\\n"));
        else if (c == '"' && quotes) buf_str(b, S("\\\""));
        else buf_u8(b, c);
    }
}

/* The name of a family in its HELP and TYPE lines: OpenMetrics names a counter without _total. */
static str expose_family_name(const struct expose *x, const struct metric_family *f)
{
    str name = str_z(f->name);
    bool cut = x->format == EXPO_OPENMETRICS && f->kind == METRIC_COUNTER &&
               str_has_suffix(name, S("_total"));
    return cut ? str_slice(name, 0, name.n - 6) : name;
}

static void expose_family(struct expose *x, const struct metric_family *f)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram", "summary" };
    str name = expose_family_name(x, f);
    buf_fmt(x->out, "# HELP %.*s ", STR_ARG(name));
    expose_escaped(x->out, str_z(f->help), x->format == EXPO_OPENMETRICS);
    buf_fmt(x->out, "\n# TYPE %.*s %s\n", STR_ARG(name), kinds[f->kind]);
    x->family = f;
}

/* name<suffix>{labels,extra="bound"} and the space before the value. */
static void expose_series(struct expose *x, const struct metric_point *p, const char *suffix,
    const char *extra, double bound)
{
    struct buf *b = x->out;
    buf_fmt(b, "%s%s", p->family->name, suffix);
    const char *sep = "{";
    for (size_t i = 0; i < METRIC_LABELS_MAX && p->family->labels[i]; i++, sep = ",") {
        buf_fmt(b, "%s%s=\"", sep, p->family->labels[i]);
        expose_escaped(b, str_z(p->values[i]), true);
        buf_u8(b, '"');
    }
    if (extra) {
        char text[F64_TEXT_MAX];
        size_t n = x->format == EXPO_OPENMETRICS ? f64_text_openmetrics(text, bound)
                                                 : f64_text_g(text, bound);
        buf_fmt(b, "%s%s=\"%.*s\"", sep, extra, (int)n, text);
        sep = ",";
    }
    buf_str(b, *sep == ',' ? S("} ") : S(" "));
}

static void expose_value(struct expose *x, double v)
{
    if (x->format == EXPO_OPENMETRICS) {
        char text[F64_TEXT_MAX];
        buf_bytes(x->out, text, f64_text_openmetrics(text, v));
    } else {
        buf_f64_g(x->out, v);
    }
    buf_u8(x->out, '\n');
}

static void expose_count(struct expose *x, uint64_t n)
{
    buf_u64_text(x->out, n);
    buf_u8(x->out, '\n');
}

static void expose_sum_and_count(struct expose *x, const struct metric_point *p)
{
    expose_series(x, p, "_sum", NULL, 0);
    expose_value(x, p->value);
    expose_series(x, p, "_count", NULL, 0);
    expose_count(x, p->count);
}

void expose_point(struct expose *x, const struct metric_point *p)
{
    const struct metric_family *f = p->family;
    if (f != x->family) expose_family(x, f);
    switch (f->kind) {
    case METRIC_COUNTER:
    case METRIC_GAUGE: {
        bool bare = x->format == EXPO_OPENMETRICS && f->kind == METRIC_COUNTER &&
                    !str_has_suffix(str_z(f->name), S("_total"));
        expose_series(x, p, bare ? "_total" : "", NULL, 0);
        expose_value(x, p->value);
        break;
    }
    case METRIC_HISTOGRAM:
        for (size_t i = 0; i <= f->n_bounds; i++) {
            expose_series(x, p, "_bucket", "le",
                i < f->n_bounds ? f->bounds[i] : f64_of_bits(0x7ff0000000000000u));
            expose_count(x, p->cumulative[i]);
        }
        expose_sum_and_count(x, p);
        break;
    case METRIC_SUMMARY:
        for (size_t i = 0; i < f->n_bounds; i++) {
            expose_series(x, p, "", "quantile", f->bounds[i]);
            expose_value(x, p->quantiles[i]);
        }
        expose_sum_and_count(x, p);
        break;
    }
}

void expose_begin(struct expose *x, struct buf *out, enum expo_format format)
{
    assert(format == EXPO_TEXT || format == EXPO_OPENMETRICS);
    *x = (struct expose){ .out = out, .format = format };
}

void expose_end(struct expose *x)
{
    if (x->format == EXPO_OPENMETRICS) buf_str(x->out, S("# EOF\n"));
}

static void expose_sink(void *ctx, const struct metric_point *p) { expose_point(ctx, p); }

void expose_metrics(struct buf *out, enum expo_format format)
{
    struct expose x;
    expose_begin(&x, out, format);
    metric_each(expose_sink, &x);
    expose_end(&x);
}
