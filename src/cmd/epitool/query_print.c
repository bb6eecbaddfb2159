#include "cmd/epitool/query_print.h"

#include "base/f64.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static str text_of(const json_t *s)
{
    return json_is_string(s) ? str_of(json_string_value(s), json_string_length(s)) : STR_EMPTY;
}

/* ---- PromQL's form ---- */

static int key_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ends with NULL; the caller frees the list */
static const char **sorted_keys(const json_t *labels)
{
    size_t n = 0;
    const char **keys = mem_alloc_array(json_object_size(labels) + 1, sizeof(*keys));
    for (void *it = json_object_iter((json_t *)labels); it;
         it = json_object_iter_next((json_t *)labels, it))
        keys[n++] = json_object_iter_key(it);
    qsort(keys, n, sizeof(*keys), key_cmp);
    keys[n] = NULL;
    return keys;
}

/* a="b", c="d" by name; without the metric's name if `bare` */
static void put_pairs(struct buf *b, const json_t *labels, bool bare)
{
    const char **keys = sorted_keys(labels), *comma = "";
    for (size_t i = 0; keys[i]; i++) {
        if (bare && strcmp(keys[i], "__name__") == 0) continue;
        buf_fmt(b, "%s%s=", comma, keys[i]);
        buf_go_quote(b, text_of(json_object_get(labels, keys[i])));
        comma = ", ";
    }
    mem_free(keys);
}

void put_metric(struct buf *b, const json_t *labels)
{
    const json_t *name = json_object_get(labels, "__name__");
    size_t others = json_object_size(labels) - (name ? 1 : 0);
    buf_str(b, text_of(name));
    if (name && !others) return;
    buf_u8(b, '{');
    put_pairs(b, labels, true);
    buf_u8(b, '}');
}

static void put_time(struct buf *b, const json_t *pair)
{
    buf_str(b, S(" @["));
    buf_f64_f(b, json_number_value(json_array_get(pair, 0)));
    buf_u8(b, ']');
}

/* a number as the model prints it: never with an exponent */
static void put_number(struct buf *b, const json_t *s)
{
    double v;
    if (f64_parse(text_of(s), &v)) buf_f64_f(b, v);
    else buf_str(b, text_of(s));
}

static void put_fixed(struct buf *b, const json_t *s)
{
    double v;
    if (!f64_parse(text_of(s), &v)) return;
    if (isfinite(v)) buf_fmt(b, "%f", v);
    else buf_f64_f(b, v);
}

static void put_short(struct buf *b, const json_t *s)
{
    double v;
    if (f64_parse(text_of(s), &v)) buf_f64_g(b, v);
}

static void put_histogram(struct buf *b, const json_t *h)
{
    enum { UPPER_IN = 0, LOWER_IN = 1, BOTH_IN = 3 };
    buf_str(b, S("Count: "));
    put_fixed(b, json_object_get(h, "count"));
    buf_str(b, S(", Sum: "));
    put_fixed(b, json_object_get(h, "sum"));
    buf_str(b, S(", Buckets: ["));
    size_t i;
    json_t *k;
    json_array_foreach (json_object_get(h, "buckets"), i, k) {
        json_int_t bounds = json_integer_value(json_array_get(k, 0));
        if (i) buf_u8(b, ' ');
        buf_u8(b, bounds == LOWER_IN || bounds == BOTH_IN ? '[' : '(');
        put_short(b, json_array_get(k, 1));
        buf_u8(b, ',');
        put_short(b, json_array_get(k, 2));
        buf_u8(b, bounds == UPPER_IN || bounds == BOTH_IN ? ']' : ')');
        buf_u8(b, ':');
        put_number(b, json_array_get(k, 3));
    }
    buf_u8(b, ']');
}

/* one of [time, "value"] and [time, histogram] */
static void put_pair(struct buf *b, const json_t *pair)
{
    const json_t *v = json_array_get(pair, 1);
    if (json_is_object(v)) put_histogram(b, v);
    else put_number(b, v);
    put_time(b, pair);
}

static void put_sample(struct buf *b, const json_t *s)
{
    const json_t *h = json_object_get(s, "histogram");
    put_metric(b, json_object_get(s, "metric"));
    buf_str(b, S(" => "));
    put_pair(b, h ? h : json_object_get(s, "value"));
}

static void put_stream(struct buf *b, const json_t *s)
{
    static const char *const kinds[] = { "values", "histograms" };
    put_metric(b, json_object_get(s, "metric"));
    buf_str(b, S(" =>\n"));
    bool first = true;
    for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
        size_t i;
        json_t *pair;
        json_array_foreach (json_object_get(s, kinds[kind]), i, pair) {
            if (!first) buf_u8(b, '\n');
            first = false;
            put_pair(b, pair);
        }
    }
}

/* Fewer labels come first; then the label, by name, that differs decides: who lacks it is first. */
static int metric_cmp(const json_t *a, const json_t *b)
{
    size_t n = json_object_size(a), m = json_object_size(b);
    if (n != m) return n < m ? -1 : 1;
    const char **left = sorted_keys(a), **right = sorted_keys(b);
    int order = 0;
    for (size_t i = 0; i < n && !order; i++) {
        order = strcmp(right[i], left[i]);
        if (!order)
            order = str_cmp(
                text_of(json_object_get(a, left[i])), text_of(json_object_get(b, right[i])));
    }
    mem_free(left);
    mem_free(right);
    return order;
}

static int stream_cmp(const void *a, const void *b)
{
    return metric_cmp(json_object_get(*(json_t *const *)a, "metric"),
        json_object_get(*(json_t *const *)b, "metric"));
}

static void put_matrix(struct buf *b, const json_t *result)
{
    size_t i, n = json_array_size(result);
    json_t *s, **streams = mem_alloc_array(n + 1, sizeof(*streams));
    json_array_foreach (result, i, s) streams[i] = s;
    qsort(streams, n, sizeof(json_t *), stream_cmp);
    for (i = 0; i < n; i++) {
        if (i) buf_u8(b, '\n');
        put_stream(b, streams[i]);
    }
    mem_free(streams);
}

static void put_plain_value(struct buf *b, str type, const json_t *result)
{
    if (str_eq(type, S("scalar"))) {
        buf_str(b, S("scalar: "));
        put_pair(b, result);
    } else if (str_eq(type, S("string"))) {
        buf_str(b, text_of(json_array_get(result, 1)));
    } else if (str_eq(type, S("matrix"))) {
        put_matrix(b, result);
    } else {
        size_t i;
        json_t *s;
        json_array_foreach (result, i, s) {
            if (i) buf_u8(b, '\n');
            put_sample(b, s);
        }
    }
}

/* ---- JSON ---- */

static void json_labels(struct json *j, const json_t *labels)
{
    const char **keys = sorted_keys(labels);
    json_obj(j);
    for (size_t i = 0; keys[i]; i++)
        json_kstr(j, str_z(keys[i]), text_of(json_object_get(labels, keys[i])));
    json_obj_end(j);
    mem_free(keys);
}

/* Texts that are numbers become the model's form of them; the rest stays, in its order. The only
 * objects are histograms: one without buckets has null. */
static void json_numbers(struct json *j, const json_t *v)
{
    size_t i;
    json_t *one;
    struct buf number = { 0 };
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        json_obj(j);
        for (void *it = json_object_iter((json_t *)v); it;
             it = json_object_iter_next((json_t *)v, it)) {
            json_key(j, str_z(json_object_iter_key(it)));
            json_numbers(j, json_object_iter_value(it));
        }
        if (!json_object_get(v, "buckets")) json_key(j, S("buckets")), json_nil(j);
        json_obj_end(j);
        break;
    case JSON_ARRAY:
        json_arr(j);
        json_array_foreach (v, i, one) json_numbers(j, one);
        json_arr_end(j);
        break;
    case JSON_STRING:
        put_number(&number, v);
        json_str(j, buf_view(&number));
        break;
    case JSON_INTEGER: json_i64(j, json_integer_value(v)); break;
    case JSON_REAL: json_f64(j, json_real_value(v)); break;
    default: json_nil(j);
    }
    buf_fini(&number);
}

/* a sample or a stream */
static void json_sample(struct json *j, const json_t *s)
{
    static const char *const parts[] = { "value", "values", "histogram", "histograms" };
    json_obj(j);
    JSON_KEY(j, "metric");
    json_labels(j, json_object_get(s, "metric"));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const json_t *part = json_object_get(s, parts[i]);
        if (!part) continue;
        json_key(j, str_z(parts[i]));
        json_numbers(j, part);
    }
    json_obj_end(j);
}

static void json_value(struct json *j, str type, const json_t *result)
{
    size_t i;
    json_t *one;
    if (str_eq(type, S("string"))) {
        json_arr(j);
        json_numbers(j, json_array_get(result, 0));
        json_str(j, text_of(json_array_get(result, 1)));
        json_arr_end(j);
    } else if (str_eq(type, S("scalar"))) {
        json_numbers(j, result);
    } else {
        json_arr(j);
        json_array_foreach (result, i, one) json_sample(j, one);
        json_arr_end(j);
    }
}

static struct json json_line(struct buf *b)
{
    struct json j = json_to(b);
    j.html = true;
    return j;
}

/* ---- what is asked for ---- */

void put_value(struct buf *b, const json_t *data, bool json)
{
    const json_t *result = json_object_get(data, "result");
    str type = text_of(json_object_get(data, "resultType"));
    struct json j = json_line(b);
    if (json) json_value(&j, type, result);
    else put_plain_value(b, type, result);
    buf_u8(b, '\n');
}

void put_series(struct buf *b, const json_t *list, bool json)
{
    size_t i;
    json_t *s;
    struct json j = json_line(b);
    if (json) json_arr(&j);
    json_array_foreach (list, i, s) {
        if (json) {
            json_labels(&j, s);
            continue;
        }
        buf_u8(b, '{');
        put_pairs(b, s, false);
        buf_str(b, S("}\n"));
    }
    if (!json) return;
    json_arr_end(&j);
    buf_u8(b, '\n');
}

void put_words(struct buf *b, const json_t *list, bool json)
{
    size_t i;
    json_t *s;
    struct json j = json_line(b);
    if (json) json_arr(&j);
    json_array_foreach (list, i, s) {
        if (json) json_str(&j, text_of(s));
        else buf_str(b, text_of(s)), buf_u8(b, '\n');
    }
    if (!json) return;
    json_arr_end(&j);
    buf_u8(b, '\n');
}

/* ---- a plan ---- */

static double seconds_below(const json_t *node)
{
    double sum = json_number_value(json_object_get(node, "cpuSeconds"));
    size_t i;
    json_t *child;
    json_array_foreach (json_object_get(node, "children"), i, child) sum += seconds_below(child);
    return sum;
}

static void put_count(struct buf *b, const char *words, const json_t *n)
{
    if (json_integer_value(n))
        buf_fmt(b, "  %s %" JSON_INTEGER_FORMAT, words, json_integer_value(n));
}

static void put_cost(struct buf *b, const json_t *node, double all)
{
    double cpu = json_number_value(json_object_get(node, "cpuSeconds")),
           wait = json_number_value(json_object_get(node, "waitSeconds"));
    const json_t *read = json_object_get(node, "read"), *bytes = json_object_get(read, "bytes");
    buf_fmt(b, "  %.3f ms (%.0f %%)", cpu * 1e3, all > 0 ? cpu / all * 100 : 0);
    if (wait > 0) buf_fmt(b, "  waited %.3f ms", wait * 1e3);
    put_count(b, "series", json_object_get(node, "series"));
    put_count(b, "samples", json_object_get(node, "samples"));
    put_count(b, "| read series", json_object_get(read, "series"));
    put_count(b, "samples", json_object_get(read, "samples"));
    put_count(b, "chunks", json_object_get(read, "chunks"));
    put_count(b, "head bytes", json_object_get(bytes, "head"));
    put_count(b, "cache bytes", json_object_get(bytes, "cache"));
    put_count(b, "disk bytes", json_object_get(bytes, "disk"));
    put_count(b, "bucket bytes", json_object_get(bytes, "bucket"));
}

struct plan { struct buf *b; double all; size_t width; bool ascii; };

/* The first bytes of n characters. */
static str text_cut(str s, size_t n)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] & 0xc0) != 0x80 && n-- == 0) return str_slice(s, 0, i);
    return s;
}

static void put_text_cut(const struct plan *p, struct buf *b, str s, size_t width)
{
    str dots = p->ascii ? S("...") : S("…");
    size_t wide = utf8_count(dots);
    if (!width || utf8_count(s) <= width) {
        buf_str(b, s);
        return;
    }
    buf_str(b, text_cut(s, width > wide ? width - wide : 0));
    buf_str(b, dots);
}

/* The lines in front of a node may take half of the width: those of the nodes above go first. */
static void put_lines(const struct plan *p, struct buf *b, str lines)
{
    str dots = p->ascii ? S("...") : S("…");
    size_t room = p->width / 2, n = utf8_count(lines), wide = utf8_count(dots);
    if (p->width && n > room) {
        buf_str(b, dots);
        lines = str_from(lines, text_cut(lines, n - (room > wide ? room - wide : 0)).n);
    }
    buf_str(b, lines);
}

/* own: the lines in front of this node; below: those in front of its children */
static void put_plan_node(const struct plan *p, const json_t *node, str own, str below)
{
    enum { TEXT_MAX = 60, TEXT_MIN = 12, COST_WIDTH = 24 };
    const json_t *children = json_object_get(node, "children");
    size_t i, n = json_array_size(children);
    json_t *child;
    struct buf line = { 0 };
    put_lines(p, &line, own);
    size_t used = utf8_count(buf_view(&line)) + COST_WIDTH, text = TEXT_MAX + 1;
    if (p->width)
        text = MIN(text, MAX(p->width > used ? p->width - used : 0, (size_t)TEXT_MIN));
    put_text_cut(p, &line, text_of(json_object_get(node, "node")), text);
    put_cost(&line, node, p->all);
    put_text_cut(p, p->b, buf_view(&line), p->width);
    buf_u8(p->b, '\n');
    buf_fini(&line);
    json_array_foreach (children, i, child) {
        struct buf first = { 0 }, rest = { 0 };
        bool last = i + 1 == n;
        buf_str(&first, below);
        buf_str(&first, p->ascii ? (last ? S("`- ") : S("|- ")) : last ? S("└─ ") : S("├─ "));
        buf_str(&rest, below);
        buf_str(&rest, last ? S("   ") : p->ascii ? S("|  ") : S("│  "));
        put_plan_node(p, child, buf_view(&first), buf_view(&rest));
        buf_fini(&first);
        buf_fini(&rest);
    }
}

void put_plan(struct buf *b, const json_t *explain, size_t width, bool ascii)
{
    struct plan p = { b, seconds_below(explain), width, ascii };
    if (!explain) buf_str(b, S("the server tells no plan\n"));
    else put_plan_node(&p, explain, STR_EMPTY, STR_EMPTY);
}
