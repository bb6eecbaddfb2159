#include "cmd/epitool/plot.h"

#include "base/f64.h"
#include "base/rfc3339.h"
#include "base/vec.h"
#include "cmd/epitool/query_print.h"

#include <math.h>
#include <string.h>

enum { SCALE_WIDTH = 11, DOTS_X = 2, DOTS_Y = 4, COLOURS = 6, SERIES_SHOWN = 20, WIDTH_MIN = 16 };

/* One character of the picture: its eight dots, and whose they are (the last to draw there). */
struct cell { uint8_t dots, series; };
struct range { double least, most; };
struct picture {
    const struct plot_opts *o;
    size_t columns, rows;              /* of cells */
    struct cell *at;
    struct range t, v;
};

static bool value_of(const json_t *pair, double *t, double *v)
{
    const json_t *s = json_array_get(pair, 1);
    *t = json_number_value(json_array_get(pair, 0));
    return json_is_string(s) && f64_parse(str_z(json_string_value(s)), v) && isfinite(*v);
}

static void range_add(struct range *r, double x)
{
    r->least = MIN(r->least, x);
    r->most = MAX(r->most, x);
}

static bool picture_ranges(struct picture *p, const json_t *matrix)
{
    p->t = p->v = (struct range){ INFINITY, -INFINITY };
    size_t i, k;
    json_t *series, *pair;
    json_array_foreach (matrix, i, series) {
        json_array_foreach (json_object_get(series, "values"), k, pair) {
            double t, v;
            if (!value_of(pair, &t, &v)) continue;
            range_add(&p->t, t);
            range_add(&p->v, v);
        }
    }
    if (p->t.least > p->t.most) return false;
    if (p->v.least == p->v.most) {
        double by = p->v.least == 0 ? 1 : fabs(p->v.least) / 2;
        p->v.least -= by;
        p->v.most += by;
    }
    return true;
}

static void picture_dot(struct picture *p, long x, long y, size_t series)
{
    /* Braille's bits: three rows of two by columns, then the fourth row */
    static const uint8_t bits[DOTS_Y][DOTS_X] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 },
        { 0x40, 0x80 } };
    struct cell *c = &p->at[(size_t)(y / DOTS_Y) * p->columns + (size_t)(x / DOTS_X)];
    c->dots |= bits[y % DOTS_Y][x % DOTS_X];
    c->series = (uint8_t)(series % COLOURS);
}

static long place(double x, const struct range *r, size_t dots)
{
    if (r->least == r->most) return 0;
    /* halves first: the difference of two doubles may not be one */
    double share = (x / 2 - r->least / 2) / (r->most / 2 - r->least / 2);
    return lround(MIN(MAX(share, 0), 1) * (double)(dots - 1));
}

/* From one dot to the next, each dot between them. */
static void picture_line(struct picture *p, long x0, long y0, long x1, long y1, size_t series)
{
    long steps = MAX(labs(x1 - x0), labs(y1 - y0));
    for (long i = 0; i <= steps; i++) {
        double share = steps ? (double)i / (double)steps : 0;
        picture_dot(p, x0 + lround(share * (double)(x1 - x0)),
            y0 + lround(share * (double)(y1 - y0)), series);
    }
}

/* The usual distance of two points: where it is much more, the line is broken. */
static double usual_step(const json_t *values)
{
    double least = INFINITY;
    for (size_t i = 1; i < json_array_size(values); i++) {
        double a = json_number_value(json_array_get(json_array_get(values, i - 1), 0)),
               b = json_number_value(json_array_get(json_array_get(values, i), 0));
        if (b > a) least = MIN(least, b - a);
    }
    return least;
}

static void picture_series(struct picture *p, const json_t *values, size_t series)
{
    double step = usual_step(values), last_t = -INFINITY;
    long last_x = 0, last_y = 0;
    size_t i;
    json_t *pair;
    json_array_foreach (values, i, pair) {
        double t, v;
        if (!value_of(pair, &t, &v)) continue;
        long x = place(t, &p->t, p->columns * DOTS_X);
        long y = (long)(p->rows * DOTS_Y) - 1 - place(v, &p->v, p->rows * DOTS_Y);
        bool joined = t - last_t < step * 1.5;
        picture_line(p, joined ? last_x : x, joined ? last_y : y, x, y, series);
        last_t = t;
        last_x = x;
        last_y = y;
    }
}

static void put_colour(struct buf *b, const struct plot_opts *o, size_t series)
{
    static const uint8_t codes[COLOURS] = { 36, 33, 35, 32, 34, 31 };
    if (o->colour) buf_fmt(b, "\033[%dm", codes[series % COLOURS]);
}
static void put_plain(struct buf *b, const struct plot_opts *o)
{
    if (o->colour) buf_str(b, S("\033[0m"));
}

static void put_cell(struct buf *b, const struct plot_opts *o, const struct cell *c)
{
    if (!c->dots) {
        buf_u8(b, ' ');
        return;
    }
    enum { UPPER = 0x1b };
    put_colour(b, o, c->series);
    if (o->ascii) {
        bool above = (c->dots & UPPER) != 0, below = (c->dots & ~UPPER) != 0;
        buf_u8(b, above && below ? ':' : above ? '\'' : '.');
    } else {
        buf_u8(b, 0xe2);               /* U+2800 and the dots, in UTF-8 */
        buf_u8(b, (uint8_t)(0xa0 | (c->dots >> 6)));
        buf_u8(b, (uint8_t)(0x80 | (c->dots & 0x3f)));
    }
    put_plain(b, o);
}

static void put_scale(struct buf *b, double v)
{
    char text[32];
    for (int digits = 4, n = SCALE_WIDTH; n >= SCALE_WIDTH; digits--)
        n = snprintf(text, sizeof(text), "%.*g", digits, v);
    buf_fmt(b, "%*s", SCALE_WIDTH - 1, text);
}

/* what is too far for a date is a number */
static void put_instant(struct buf *b, double t)
{
    if (fabs(t) < 9e9) buf_rfc3339_ns(b, llround(t * 1e3) * 1000000);
    else buf_f64_g(b, t);
}

/* One line for both ends where there is room for it. */
static void put_times(struct buf *b, const struct picture *p)
{
    struct buf from = { 0 }, to = { 0 };
    put_instant(&from, p->t.least);
    put_instant(&to, p->t.most);
    int room = (int)p->columns, gap = room - (int)from.n - (int)to.n;
    if (gap > 0)
        buf_fmt(b, "%*s%.*s%*s%.*s\n", SCALE_WIDTH, "", STR_ARG(buf_view(&from)), gap, "",
            STR_ARG(buf_view(&to)));
    else
        buf_fmt(b, "%.*s\n%*.*s\n", STR_ARG(buf_view(&from)), SCALE_WIDTH + room,
            STR_ARG(buf_view(&to)));
    buf_fini(&from);
    buf_fini(&to);
}

static void picture_put(struct buf *b, const struct picture *p)
{
    for (size_t y = 0; y < p->rows; y++) {
        bool marked = y == 0 || y == p->rows - 1 || y == p->rows / 2;
        double share = p->rows > 1 ? (double)y / (double)(p->rows - 1) : 0;
        if (marked) put_scale(b, p->v.most * (1 - share) + p->v.least * share);
        else buf_fmt(b, "%*s", SCALE_WIDTH - 1, "");
        buf_str(b, p->o->ascii ? marked ? S("+") : S("|") : marked ? S("\u2524") : S("\u2502"));
        for (size_t x = 0; x < p->columns; x++) put_cell(b, p->o, &p->at[y * p->columns + x]);
        buf_u8(b, '\n');
    }
    buf_fmt(b, "%*s%s", SCALE_WIDTH - 1, "", p->o->ascii ? "+" : "\u2514");
    for (size_t x = 0; x < p->columns; x++) buf_str(b, p->o->ascii ? S("-") : S("\u2500"));
    buf_u8(b, '\n');
    put_times(b, p);
}

static void put_legend(struct buf *b, const json_t *matrix, const struct plot_opts *o)
{
    size_t i, n = json_array_size(matrix);
    json_t *series;
    json_array_foreach (matrix, i, series) {
        if (i == SERIES_SHOWN) break;
        const json_t *values = json_object_get(series, "values");
        const json_t *last = json_array_get(values, json_array_size(values) - 1);
        buf_fmt(b, "%*s", SCALE_WIDTH, "");
        put_colour(b, o, i);
        buf_str(b, o->ascii ? S("--") : S("\u2501\u2501"));
        put_plain(b, o);
        buf_u8(b, ' ');
        put_metric(b, json_object_get(series, "metric"));
        const char *v = json_string_value(json_array_get(last, 1));
        buf_fmt(b, " %s\n", v ? v : "");
    }
    if (n > SERIES_SHOWN)
        buf_fmt(b, "%*sand %zu more\n", SCALE_WIDTH, "", n - (size_t)SERIES_SHOWN);
}

void plot_matrix(struct buf *b, const json_t *matrix, const struct plot_opts *o)
{
    struct picture p = { .o = o,
        .columns = MAX(o->width, (unsigned)WIDTH_MIN) - (size_t)SCALE_WIDTH,
        .rows = MAX(o->height, 2u) };
    if (!picture_ranges(&p, matrix)) {
        buf_str(b, S("no numbers to draw\n"));
        return;
    }
    p.at = mem_zalloc(p.columns * p.rows * sizeof(*p.at));
    size_t i;
    json_t *series;
    json_array_foreach (matrix, i, series)
        picture_series(&p, json_object_get(series, "values"), i);
    picture_put(b, &p);
    put_legend(b, matrix, o);
    mem_free(p.at);
}
