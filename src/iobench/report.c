#include "iobench/report.h"

#include "base/json.h"
#include "io/choice.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const part_words[LAB_PARTS] = { "costs", "maps", "reads", "queries" };
static const char *const part_titles[LAB_PARTS] = { "What single steps cost", "Kinds of memory",
    "Reads by backend", "Queries over the folder's blocks" };

void report_flag(struct buf *b, const struct lab_advice *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_fmt(b, "%s%s=%s", i ? "," : "", io_kind_word(a[i].kind), io_backend_word(a[i].backend));
}

static double mib(uint64_t n) { return (double)n / (1 << 20); }

/* A figure with as many digits as it is worth. */
static void put_figure(struct buf *b, double v)
{
    buf_fmt(b, "%.*f", v >= 100 ? 0 : v >= 10 ? 1 : 2, v);
}

/* The rows from i on that make one chart. */
static size_t chart_end(const struct lab *l, size_t i)
{
    size_t k = i + 1;
    while (k < l->rows.n && l->rows.at[k].part == l->rows.at[i].part &&
           strcmp(l->rows.at[k].what, l->rows.at[i].what) == 0)
        k++;
    return k;
}

/* ---- for a terminal ---- */

enum { NARROW = 110 }; /* what a whole row takes */

/* Text in lines of less than so many columns, 0: in one; from the second on they are indented. */
static void put_wrapped(struct buf *b, size_t columns, size_t indent, str text)
{
    size_t at = 0;
    for (bool first = true; text.n; first = false) {
        str word;
        str_cut(text, ' ', &word, &text);
        if (!first && columns && at + 1 + word.n >= columns) {
            buf_fmt(b, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            buf_u8(b, ' ');
            at++;
        }
        buf_str(b, word);
        at += word.n;
    }
    buf_u8(b, '\n');
}

__attribute__((format(printf, 4, 5))) static void put_line(
    struct buf *b, size_t columns, size_t indent, const char *fmt, ...)
{
    char room[2 * LAB_NOTE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(room, sizeof(room), fmt, ap);
    va_end(ap);
    put_wrapped(b, columns, indent, str_z(room));
}

static void row_wide(struct buf *b, const struct lab_row *r)
{
    size_t from = b->n;
    buf_fmt(b, "  %-32s", r->how);
    size_t at = b->n;
    put_figure(b, r->value);
    size_t wide = b->n - at;
    buf_fmt(b, " %s", r->unit);
    while (b->n - from < 54 + (wide > 8 ? wide - 8 : 0)) buf_str(b, S(" "));
    if (r->cpu_us > 0)
        buf_fmt(b, "CPU %8.2f us%s", r->cpu_us, r->part == LAB_READS ? " a read" : "");
    if (r->p99_us > 0) buf_fmt(b, "   p50 %7.1f us   p99 %8.1f us", r->p50_us, r->p99_us);
    while (b->n && b->p[b->n - 1] == ' ') b->n--;
    buf_str(b, S("\n"));
}

/* A line for each of its figures, at most 40 columns. */
static void row_narrow(struct buf *b, const struct lab_row *r)
{
    enum { HOW = 18 };
    if (strlen(r->how) > HOW) buf_fmt(b, "  %s\n  %-*s", r->how, HOW, "");
    else buf_fmt(b, "  %-*s", HOW, r->how);
    put_figure(b, r->value);
    buf_fmt(b, " %s\n", r->unit);
    if (r->cpu_us > 0)
        buf_fmt(b, "    CPU %.2f us%s\n", r->cpu_us, r->part == LAB_READS ? " a read" : "");
    if (r->p99_us > 0) buf_fmt(b, "    p50 %.1f us, p99 %.1f us\n", r->p50_us, r->p99_us);
}

static void table_rows(struct buf *b, const struct lab *l, size_t columns)
{
    bool narrow = columns && columns < NARROW;
    for (size_t i = 0, end; i < l->rows.n; i = end) {
        if (!i || l->rows.at[i].part != l->rows.at[i - 1].part)
            buf_fmt(b, "\n== %s ==\n", part_titles[l->rows.at[i].part]);
        end = chart_end(l, i);
        put_line(b, columns, 1, "%s", l->rows.at[i].what);
        for (size_t k = i; k < end; k++)
            (narrow ? row_narrow : row_wide)(b, &l->rows.at[k]);
    }
}

/* A line of flags breaks at its commas. */
static void table_flag(struct buf *b, const struct lab_advice *advice, size_t n, size_t columns)
{
    SCOPED(buf_fini) struct buf flag = { 0 };
    const str before = S("recommended: --storage.io=");
    report_flag(&flag, advice, n);
    buf_str(b, before);
    bool breaks = columns && before.n + flag.n >= columns;
    for (size_t i = 0; i < flag.n; i++) {
        if (breaks && (i == 0 || flag.p[i - 1] == ',')) buf_str(b, S("\\\n  "));
        buf_u8(b, flag.p[i]);
    }
    buf_str(b, S("\n"));
}

void report_table(struct buf *b, const struct lab *l, size_t columns)
{
    struct lab_advice advice[LAB_ADVICE_MAX];
    size_t n = lab_advise(l, advice);
    put_line(b, columns, 2,
        "%s, %u cores, %.0f MiB of memory, %s; %.0f MiB read, %.0f MiB of blocks; less memory than "
        "data: %.0f MiB by %s",
        l->kernel, l->cores, mib(l->memory_bytes), l->file_system, mib(l->file_bytes),
        mib(l->blocks_bytes), mib(l->memory_limit), l->limited_by);
    table_rows(b, l, columns);
    buf_str(b, S("\n"));
    for (size_t i = 0; i < l->notes.n; i++)
        put_line(b, columns, 2, "note: %s", l->notes.at[i].text);
    buf_str(b, S("\n"));
    if (lab_direct_ratio(l) > 0)
        put_line(b, columns, 2,
            "direct against mmap, random, 32 in flight, cold: %.2f times the reads",
            lab_direct_ratio(l));
    put_line(b, columns, 2, "buffered against mmap, random, cached: %.2f times the CPU",
        lab_cached_ratio(l));
    buf_str(b, S("\n"));
    table_flag(b, advice, n, columns);
    for (size_t i = 0; i < n; i++)
        put_line(b, columns, 4, "  %-7s %-9s %s", io_kind_word(advice[i].kind),
            io_backend_word(advice[i].backend), advice[i].why);
}

/* ---- for programs ---- */

static void json_kf64(struct json *j, str key, double v)
{
    json_key(j, key);
    json_f64(j, v);
}

static void json_machine(struct json *j, const struct lab *l)
{
    JSON_KEY(j, "machine");
    json_obj(j);
    json_kstr(j, S("kernel"), str_z(l->kernel));
    json_kstr(j, S("fileSystem"), str_z(l->file_system));
    json_kbool(j, S("remote"), l->remote);
    json_ku64(j, S("cores"), l->cores);
    json_ku64(j, S("memoryBytes"), l->memory_bytes);
    json_ku64(j, S("fileBytes"), l->file_bytes);
    json_ku64(j, S("blocksBytes"), l->blocks_bytes);
    json_ku64(j, S("memoryLimitBytes"), l->memory_limit);
    json_kstr(j, S("limitedBy"), str_z(l->limited_by));
    json_obj_end(j);
}

static void json_rows(struct json *j, const struct lab *l)
{
    JSON_KEY(j, "rows");
    json_arr(j);
    for (size_t i = 0; i < l->rows.n; i++) {
        const struct lab_row *r = &l->rows.at[i];
        json_obj(j);
        json_kstr(j, S("part"), str_z(part_words[r->part]));
        json_kstr(j, S("what"), str_z(r->what));
        json_kstr(j, S("how"), str_z(r->how));
        json_kstr(j, S("unit"), str_z(r->unit));
        json_kf64(j, S("value"), r->value);
        if (r->cpu_us > 0) json_kf64(j, S("cpuMicros"), r->cpu_us);
        if (r->p99_us > 0) {
            json_kf64(j, S("p50Micros"), r->p50_us);
            json_kf64(j, S("p99Micros"), r->p99_us);
        }
        json_obj_end(j);
    }
    json_arr_end(j);
}

void report_json(struct buf *b, const struct lab *l)
{
    SCOPED(buf_fini) struct buf flag = { 0 };
    struct lab_advice advice[LAB_ADVICE_MAX];
    size_t n = lab_advise(l, advice);
    struct json out = json_to(b), *j = &out;
    report_flag(&flag, advice, n);
    json_obj(j);
    json_machine(j, l);
    json_rows(j, l);
    JSON_KEY(j, "notes");
    json_arr(j);
    for (size_t i = 0; i < l->notes.n; i++) json_str(j, str_z(l->notes.at[i].text));
    json_arr_end(j);
    json_kf64(j, S("directToMmap"), lab_direct_ratio(l));
    json_kf64(j, S("bufferedToMmapCached"), lab_cached_ratio(l));
    JSON_KEY(j, "recommendation");
    json_obj(j);
    json_kstr(j, S("flag"), buf_view(&flag));
    JSON_KEY(j, "reasons");
    json_arr(j);
    for (size_t i = 0; i < n; i++) {
        json_obj(j);
        json_kstr(j, S("kind"), str_z(io_kind_word(advice[i].kind)));
        json_kstr(j, S("backend"), str_z(io_backend_word(advice[i].backend)));
        json_kstr(j, S("reason"), str_z(advice[i].why));
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
    json_obj_end(j);
    buf_str(b, S("\n"));
}

/* ---- for a browser ---- */

static void put_escaped(struct buf *b, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '<') buf_str(b, S("&lt;"));
        else if (*p == '>') buf_str(b, S("&gt;"));
        else if (*p == '&') buf_str(b, S("&amp;"));
        else if (*p == '"') buf_str(b, S("&quot;"));
        else buf_u8(b, (uint8_t)*p);
    }
}

static const char page_head[] =
    "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
    "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
    "<title>epitool iobench</title>\n<style>\n"
    ":root{color-scheme:light "
    "dark;--bg:#fafaf8;--fg:#1c1e21;--dim:#62666d;--card:#fff;--line:#e3e3df;"
    "--mmap:#3867c8;--buffered:#0f8f7c;--direct:#d9720c;--other:#75609e;--mark:#f2efe4}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#131518;--fg:#e8e6e1;--dim:#9a9ea6;--card:#"
    "1b1e22;"
    "--line:#2c3036;--mmap:#7ea2f5;--buffered:#43c3ad;--direct:#f39c4a;--other:#b49ddb;"
    "--mark:#262a22}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);"
    "font:15px/1.5 system-ui,sans-serif}main{max-width:1160px;margin:0 auto;padding:28px 20px "
    "60px}\n"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:36px 0 12px}"
    "h3{font-size:14px;font-weight:600;margin:0 0 8px}p{margin:6px 0}.dim{color:var(--dim)}"
    ".small{font-size:12px}\n"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:14px}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px "
    "16px}\n"
    ".advice{background:var(--mark);border-radius:8px;padding:16px 18px;margin-top:18px}"
    ".advice code{font-size:15px}.advice code span{white-space:nowrap}\n"
    ".key{display:flex;gap:18px;flex-wrap:wrap;margin:6px 0}.key i{display:inline-block;width:12px;"
    "height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px}\n"
    "svg{display:block;width:100%;height:auto}svg text{font:12px "
    "system-ui,sans-serif;fill:var(--fg)}"
    "svg .v{fill:var(--dim)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}"
    "th,td{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid var(--line)}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".big{font-size:28px;font-weight:600}ul{padding-left:20px}\n</style>\n<main>\n";

static const char *color_of(const char *how)
{
    static const char *const named[] = { "mmap", "buffered", "direct" };
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (strcmp(how, named[i]) == 0) return named[i];
    return "other";
}

/* Bars of one chart, the longest as wide as there is room; a figure beside each. */
static void html_chart(struct buf *b, const struct lab_row *rows, size_t n)
{
    enum { WIDTH = 400, ROW = 26, LEFT = 4, NAME = 130, BAR = 150 };
    double most = 0;
    for (size_t i = 0; i < n; i++) most = MAX(most, rows[i].value);
    bool names_long = false;
    for (size_t i = 0; i < n; i++) names_long |= strlen(rows[i].how) > 18;
    int name = names_long ? 230 : NAME, bar = names_long ? 80 : BAR;
    buf_str(b, S("<div class=card><h3>"));
    put_escaped(b, rows[0].what);
    buf_fmt(b, "</h3>\n<svg viewBox=\"0 0 %d %zu\" role=img>", WIDTH, n * ROW);
    for (size_t i = 0; i < n; i++) {
        double w = most > 0 ? rows[i].value / most * bar : 0;
        int y = (int)i * ROW;
        buf_fmt(b, "<text x=%d y=%d>", LEFT, y + 17);
        put_escaped(b, rows[i].how);
        buf_fmt(b,
            "</text><rect x=%d y=%d width=%.1f height=16 rx=3 style=\"fill:var(--%s)\"></rect>"
            "<text class=v x=%.1f y=%d>",
            name, y + 5, MAX(w, 1.5), color_of(rows[i].how), name + MAX(w, 1.5) + 7, y + 17);
        put_figure(b, rows[i].value);
        buf_fmt(b, " %s</text>", rows[i].unit);
    }
    buf_str(b, S("</svg>\n"));
    if (rows[0].cpu_us > 0) {
        buf_str(b, S("<p class=\"dim small\">CPU: "));
        for (size_t i = 0; i < n; i++) {
            buf_fmt(b, "%s%s ", i ? ", " : "", rows[i].how);
            put_figure(b, rows[i].cpu_us);
        }
        buf_fmt(b, " us%s</p>", rows[0].part == LAB_READS ? " a read" : "");
    }
    buf_str(b, S("</div>\n"));
}

static void html_charts(struct buf *b, const struct lab *l)
{
    for (unsigned part = 0; part < LAB_PARTS; part++) {
        bool any = false;
        for (size_t i = 0, end; i < l->rows.n; i = end) {
            end = chart_end(l, i);
            if (l->rows.at[i].part != part) continue;
            if (!any) buf_fmt(b, "<h2>%s</h2>\n<div class=grid>\n", part_titles[part]);
            any = true;
            html_chart(b, &l->rows.at[i], end - i);
        }
        if (any) buf_str(b, S("</div>\n"));
    }
}

/* It breaks at its commas alone: an editor's or a reader's copy is the flag. */
static void html_flag(struct buf *b, const struct lab_advice *advice, size_t n)
{
    SCOPED(buf_fini) struct buf flag = { 0 };
    report_flag(&flag, advice, n);
    buf_str(b, S("<code><span>--storage.io="));
    for (size_t i = 0; i < flag.n; i++) {
        buf_u8(b, flag.p[i]);
        if (flag.p[i] == ',') buf_str(b, S("</span><wbr><span>"));
    }
    buf_str(b, S("</span></code>"));
}

static void html_result(struct buf *b, const struct lab *l)
{
    struct lab_advice advice[LAB_ADVICE_MAX];
    size_t n = lab_advise(l, advice);
    buf_str(b, S("<div class=advice>"));
    html_flag(b, advice, n);
    buf_str(b, S("<p class=\"dim small\">Recommended here; the reasons stand at the end.</p></div>"
                 "\n<div class=grid style=\"margin-top:14px\">"));
    if (lab_direct_ratio(l) > 0)
        buf_fmt(b,
            "<div class=card><div class=big>%.2f x</div>the reads of mmap by direct: random, 32 in "
            "flight, cold</div>",
            lab_direct_ratio(l));
    buf_fmt(b,
        "<div class=card><div class=big>%.2f x</div>the CPU of mmap by buffered: random, "
        "cached</div></div>\n",
        lab_cached_ratio(l));
}

static void html_advice(struct buf *b, const struct lab *l)
{
    struct lab_advice advice[LAB_ADVICE_MAX];
    size_t n = lab_advise(l, advice);
    buf_str(b, S("<h2>Recommendation</h2>\n<div class=advice>"));
    html_flag(b, advice, n);
    buf_str(b, S("<ul>"));
    for (size_t i = 0; i < n; i++) {
        buf_fmt(b, "<li><b>%s: %s</b>. ", io_kind_word(advice[i].kind),
            io_backend_word(advice[i].backend));
        put_escaped(b, advice[i].why);
        buf_str(b, S("</li>"));
    }
    buf_str(b, S("</ul></div>\n"));
}

static void html_table(struct buf *b, const struct lab *l)
{
    buf_str(b, S("<h2>All figures</h2><div class=wide><table><tr><th>what<th>how<th class=n>figure"
                 "<th>unit<th class=n>CPU, us<th class=n>p50, us<th class=n>p99, us</tr>\n"));
    for (size_t i = 0; i < l->rows.n; i++) {
        const struct lab_row *r = &l->rows.at[i];
        const double more[] = { r->cpu_us, r->p50_us, r->p99_us };
        buf_str(b, S("<tr><td>"));
        put_escaped(b, r->what);
        buf_str(b, S("<td>"));
        put_escaped(b, r->how);
        buf_str(b, S("<td class=n>"));
        put_figure(b, r->value);
        buf_fmt(b, "<td>%s", r->unit);
        for (size_t k = 0; k < ARRAY_LEN(more); k++) {
            buf_str(b, S("<td class=n>"));
            if (more[k] > 0) put_figure(b, more[k]);
        }
        buf_str(b, S("</tr>\n"));
    }
    buf_str(b, S("</table></div>\n"));
}

void report_html(struct buf *b, const struct lab *l)
{
    buf_str(b, str_z(page_head));
    buf_str(b, S("<h1>Reading storage on this machine</h1>\n<p class=dim>"));
    put_escaped(b, l->kernel);
    buf_fmt(b,
        ", %u cores, %.0f MiB of memory, %s%s; a file of %.0f MiB, %.0f MiB of blocks; less memory "
        "than data: %.0f MiB by %s</p>\n",
        l->cores, mib(l->memory_bytes), l->file_system, l->remote ? " (not local)" : "",
        mib(l->file_bytes), mib(l->blocks_bytes), mib(l->memory_limit), l->limited_by);
    buf_str(b, S("<div class=key><span><i style=\"background:var(--mmap)\"></i>mmap</span>"
                 "<span><i style=\"background:var(--buffered)\"></i>buffered</span>"
                 "<span><i style=\"background:var(--direct)\"></i>direct</span></div>\n"));
    html_result(b, l);
    html_charts(b, l);
    html_table(b, l);
    buf_str(b, S("<h2>Notes</h2><ul>"));
    for (size_t i = 0; i < l->notes.n; i++) {
        buf_str(b, S("<li>"));
        put_escaped(b, l->notes.at[i].text);
        buf_str(b, S("</li>"));
    }
    buf_str(
        b, S("<li>Made by epitool iobench. Bars of reads/s and MiB/s: longer is better; of ns, us "
             "and ms: shorter is.</li></ul>\n"));
    html_advice(b, l);
    buf_str(b, S("</main>\n"));
}
