/* opts.c — parsing in two passes, as the reference library does it: first the line is cut into
 * pairs of row and text, which finds unknown flags and missing values; then, unless help or version
 * was asked for, texts become values. So `--help` answers in spite of a bad value beside it, and an
 * unknown flag is told in spite of `--help`. */
#include "base/opts.h"

#include "base/f64.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

/* ---- kinds ---- */

static errc opts_bad_number(const char *what, str text, const char *why, struct err *e)
{
    SCOPED(buf_fini) struct buf q = { 0 };
    buf_go_quote(&q, text);
    return err_set(
        e, ERR_BAD_INPUT, "strconv.%s: parsing %.*s: %s", what, STR_ARG(buf_view(&q)), why);
}

static errc opt_bool_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)mem;
    static const struct { str text; bool value;
    } words[] = {
        { S("true"), true },
        { S("false"), false },
        { S("1"), true },
        { S("0"), false },
        { S("t"), true },
        { S("f"), false },
        { S("T"), true },
        { S("F"), false },
        { S("TRUE"), true },
        { S("FALSE"), false },
        { S("True"), true },
        { S("False"), false },
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_eq(text, words[i].text)) continue;
        *(bool *)at = words[i].value;
        return OK;
    }
    return opts_bad_number("ParseBool", text, "invalid syntax", e);
}

static void opt_bool_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    buf_str(b, *(const bool *)at ? S("true") : S("false"));
}

static errc opt_str_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)mem, (void)e;
    *(str *)at = text;
    return OK;
}

static void opt_str_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    buf_str(b, *(const str *)at);
}

static errc opt_strs_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)e;
    str_list *list = at;
    avec_push(mem, list, text);
    return OK;
}

static errc opt_words_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)e;
    str_list *list = at;
    for (str word; text.n > 0;) {
        str_cut(text, ',', &word, &text);
        if (word.n > 0) avec_push(mem, list, word);
    }
    return OK;
}

static void opt_strs_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    const str_list *list = at;
    for (size_t i = 0; i < list->n; i++) {
        if (i) buf_u8(b, ',');
        buf_str(b, list->at[i]);
    }
}

/* What was refused is too large, and no bad syntax, if it is well-formed once its exponent's digits
 * are a zero. */
static const char *opts_f64_why(str text)
{
    size_t at = text.n;
    while (at > 0 && ((text.p[at - 1] >= '0' && text.p[at - 1] <= '9') || text.p[at - 1] == '_'))
        at--;
    SCOPED(buf_fini) struct buf small = { 0 };
    buf_str(&small, str_slice(text, 0, at));
    buf_u8(&small, '0');
    double v;
    return at < text.n && f64_parse(buf_view(&small), &v) ? "value out of range" : "invalid syntax";
}

static errc opt_f64_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)mem;
    if (!f64_parse(text, at)) return opts_bad_number("ParseFloat", text, opts_f64_why(text), e);
    return OK;
}

static void opt_f64_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    buf_f64_g(b, *(const double *)at);
}

static errc opt_num_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    double v;
    TRY(opt_f64_set(&v, o, text, mem, e));
    /* as amd64's conversion has it */
    *(int64_t *)at = v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
    return OK;
}

/* The base of digits by their prefix, which is taken off. */
static unsigned opts_base(str *s)
{
    if (s->n == 0 || s->p[0] != '0') return 10;
    uint8_t c = s->n > 2 ? s->p[1] | 0x20 : 0;
    unsigned base = c == 'x' ? 16 : c == 'b' ? 2 : c == 'o' ? 8 : 0;
    *s = str_from(*s, base ? 2 : 1);
    return base ? base : 8;
}

static unsigned opts_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - (unsigned)'0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - (unsigned)'a' + 10 : 99;
}

static errc opt_int_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)mem;
    bool neg = text.n && text.p[0] == '-';
    str s = str_from(text, text.n && (neg || text.p[0] == '+'));
    if (s.n == 0) return opts_bad_number("ParseInt", text, "invalid syntax", e);
    bool prefixed = s.p[0] == '0';
    unsigned base = opts_base(&s);
    uint64_t v = 0;
    /* an underscore stands between digits, or after the prefix */
    bool over = false, digit = prefixed;
    for (size_t i = 0; i < s.n; i++) {
        bool gap = s.p[i] == '_';
        if (gap ? !digit || i + 1 == s.n : opts_digit(s.p[i]) >= base)
            return opts_bad_number("ParseInt", text, "invalid syntax", e);
        digit = !gap;
        if (!gap)
            over |= __builtin_mul_overflow(v, base, &v) ||
                    __builtin_add_overflow(v, opts_digit(s.p[i]), &v);
    }
    if (over || v > (uint64_t)INT64_MAX + neg)
        return opts_bad_number("ParseInt", text, "value out of range", e);
    *(int64_t *)at = (int64_t)(neg ? 0 - v : v);
    return OK;
}

static void opt_int_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    buf_i64_text(b, *(const int64_t *)at);
}

static errc opt_choice_set(
    void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)mem;
    SCOPED(buf_fini) struct buf all = { 0 };
    for (int i = 0; o->choices[i]; i++) {
        if (str_eq(text, str_z(o->choices[i]))) {
            *(int *)at = i;
            return OK;
        }
        buf_fmt(&all, "%s%s", i ? "," : "", o->choices[i]);
    }
    return err_set(e, ERR_BAD_INPUT, "enum value must be one of %.*s, got '%.*s'",
        STR_ARG(buf_view(&all)), STR_ARG(text));
}

static void opt_choice_show(struct buf *b, const struct opt *o, const void *at)
{
    buf_str(b, str_z(o->choices[*(const int *)at]));
}

const struct opt_kind opt_bool = { .bare = true, .set = opt_bool_set, .show = opt_bool_show };
const struct opt_kind opt_str = { .quoted = true, .set = opt_str_set, .show = opt_str_show };
const struct opt_kind opt_strs = { .many = true, .set = opt_strs_set, .show = opt_strs_show };
const struct opt_kind opt_words = { .many = true, .set = opt_words_set, .show = opt_strs_show };
const struct opt_kind opt_num = { .set = opt_num_set, .show = opt_int_show };
const struct opt_kind opt_int = { .set = opt_int_set, .show = opt_int_show };
const struct opt_kind opt_f64 = { .set = opt_f64_set, .show = opt_f64_show };
const struct opt_kind opt_choice = { .set = opt_choice_set, .show = opt_choice_show };

/* ---- first pass: words to pairs of row and text ---- */

enum { OPTS_BUILTINS = 4 };
static const struct opt opts_builtin[OPTS_BUILTINS] = {
    { .name = "help",
        .help = "Show context-sensitive help (also try --help-long and --help-man).",
        .kind = &opt_bool,
        .letter = 'h' },
    { .name = "help-long", .help = "Generate long help.", .kind = &opt_bool, .flags = OPT_HIDDEN },
    { .name = "help-man", .help = "Generate a man page.", .kind = &opt_bool, .flags = OPT_HIDDEN },
    { .name = "version", .help = "Show application version.", .kind = &opt_bool },
};

static bool opts_is_builtin(const struct opt *row)
{
    for (size_t i = 0; i < OPTS_BUILTINS; i++)
        if (row == &opts_builtin[i]) return true;
    return false;
}

struct opts_pair { const struct opt *row; str text; };
struct opts_line {
    const struct opt *table;
    size_t n;
    char **argv;
    int argc, next;
    str rest;                          /* of a bundle of letters: what follows the one in hand */
    bool only_args;                    /* after -- */
    VEC(struct opts_pair) pairs;
    size_t arg;                        /* the row of the next positional argument */
};

static const struct opt *opts_find(const struct opt *rows, size_t n, str name, char letter)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].flags & OPT_ARG) continue;
        if (letter ? rows[i].letter == letter : str_eq(str_z(rows[i].name), name)) return &rows[i];
    }
    return NULL;
}

static const struct opt *opts_row(const struct opts_line *l, str name, char letter)
{
    const struct opt *o = opts_find(l->table, l->n, name, letter);
    return o ? o : opts_find(opts_builtin, OPTS_BUILTINS, name, letter);
}

/* The next word as the value of a flag; false: there is none, or a flag. */
static bool opts_value(struct opts_line *l, str *out)
{
    if (!l->only_args && l->next < l->argc && str_eq(str_z(l->argv[l->next]), S("--"))) {
        l->only_args = true;
        l->next++;
    }
    if (l->next == l->argc) return false;
    const char *word = l->argv[l->next];
    if (!l->only_args && word[0] == '-' && word[1] != 0) return false;
    *out = str_z(l->argv[l->next++]);
    return true;
}

static errc opts_arg(struct opts_line *l, str text, struct arena *mem, struct err *e)
{
    while (l->arg < l->n && !(l->table[l->arg].flags & OPT_ARG)) l->arg++;
    if (l->arg == l->n) return err_set(e, ERR_BAD_INPUT, "unexpected %.*s", STR_ARG(text));
    const struct opt *row = &l->table[l->arg];
    avec_push(mem, &l->pairs, ((struct opts_pair){ row, text }));
    if (!row->kind->many) l->arg++;
    return OK;
}

static errc opts_long(struct opts_line *l, str word, struct arena *mem, struct err *e)
{
    str name, text;
    bool equals = str_cut(str_from(word, 2), '=', &name, &text);
    const struct opt *row = opts_row(l, name, 0);
    bool invert = !row && str_has_prefix(name, S("no-"));
    if (invert) row = opts_row(l, str_from(name, 3), 0);
    if (!row || (invert && !row->kind->bare))
        return err_set(e, ERR_BAD_INPUT, "unknown long flag '--%.*s'", STR_ARG(name));
    if (row->kind->bare) {
        avec_push(mem, &l->pairs, ((struct opts_pair){ row, invert ? S("false") : S("true") }));
        /* --x=true: the value is a word of its own */
        return equals ? opts_arg(l, text, mem, e) : OK;
    }
    if (!equals && !opts_value(l, &text))
        return err_set(e, ERR_BAD_INPUT, "expected argument for flag '--%.*s'", STR_ARG(name));
    avec_push(mem, &l->pairs, ((struct opts_pair){ row, text }));
    return OK;
}

static errc opts_short(struct opts_line *l, str letters, struct arena *mem, struct err *e)
{
    size_t width = 0;
    utf8_rune(letters, &width);
    const struct opt *row = width == 1 ? opts_row(l, STR_EMPTY, (char)letters.p[0]) : NULL;
    if (!row)
        return err_set(
            e, ERR_BAD_INPUT, "unknown short flag '-%.*s'", STR_ARG(str_slice(letters, 0, width)));
    str text = str_from(letters, 1);
    if (row->kind->bare) {
        avec_push(mem, &l->pairs, ((struct opts_pair){ row, S("true") }));
        l->rest = text;
        return OK;
    }
    if (text.n == 0 && !opts_value(l, &text))
        return err_set(e, ERR_BAD_INPUT, "expected argument for flag '-%c'", row->letter);
    avec_push(mem, &l->pairs, ((struct opts_pair){ row, text }));
    return OK;
}

static errc opts_word(struct opts_line *l, str word, struct arena *mem, struct err *e)
{
    if (l->only_args || str_eq(word, S("-"))) return opts_arg(l, word, mem, e);
    if (str_eq(word, S("--"))) {
        l->only_args = true;
        return OK;
    }
    if (str_has_prefix(word, S("--"))) return opts_long(l, word, mem, e);
    if (str_has_prefix(word, S("-"))) return opts_short(l, str_from(word, 1), mem, e);
    return opts_arg(l, word, mem, e);
}

static errc opts_cut(struct opts_line *l, struct arena *mem, struct err *e)
{
    while (l->next < l->argc) {
        TRY(opts_word(l, str_z(l->argv[l->next++]), mem, e));
        while (l->rest.n) {
            str letters = l->rest;
            l->rest = STR_EMPTY;
            TRY(opts_short(l, letters, mem, e));
        }
    }
    return OK;
}

/* ---- second pass: texts to values ---- */

static void *opts_at(void *out, const struct opt *o) { return (uint8_t *)out + o->offset; }

static errc opts_set_default(void *out, const struct opt *o, struct arena *mem, struct err *e)
{
    str text = str_z(o->def);
    if (!o->def || (o->kind->many && text.n == 0)) return OK;
    if (!o->kind->many) return o->kind->set(opts_at(out, o), o, text, mem, e);
    for (bool more = true; more;) {
        str one;
        more = str_cut(text, ',', &one, &text);
        TRY(o->kind->set(opts_at(out, o), o, one, mem, e));
    }
    return OK;
}

static errc opts_defaults(void *out, const struct opts_line *l, struct opts_run *run, struct err *e)
{
    for (size_t i = 0; i < l->pairs.n; i++)
        if (!opts_is_builtin(l->pairs.at[i].row)) run->given[l->pairs.at[i].row - l->table] = true;
    for (size_t i = 0; i < l->n; i++)
        if (!run->given[i]) TRY(opts_set_default(out, &l->table[i], &run->mem, e));
    return OK;
}

/* The flags that must be given and are not, all in one sentence; then the first argument. */
static errc opts_missing(const struct opts_line *l, const struct opts_run *run, struct err *e)
{
    SCOPED(buf_fini) struct buf names = { 0 };
    for (size_t i = 0; i < l->n; i++)
        if (!run->given[i] && (l->table[i].flags & (OPT_REQUIRED | OPT_ARG)) == OPT_REQUIRED)
            buf_fmt(&names, "%s'--%s'", names.n ? ", " : "", l->table[i].name);
    if (names.n)
        return err_set(
            e, ERR_BAD_INPUT, "required flag(s) %.*s not provided", STR_ARG(buf_view(&names)));
    for (size_t i = 0; i < l->n; i++)
        if (!run->given[i] &&
            (l->table[i].flags & (OPT_REQUIRED | OPT_ARG)) == (OPT_REQUIRED | OPT_ARG))
            return err_set(
                e, ERR_BAD_INPUT, "required argument '%s' not provided", l->table[i].name);
    return OK;
}

static errc opts_values(void *out, const struct opts_line *l, struct arena *mem, struct err *e)
{
    for (size_t i = 0; i < l->pairs.n; i++) {
        const struct opts_pair *p = &l->pairs.at[i];
        if (opts_is_builtin(p->row)) continue;
        bool again = false;
        for (size_t k = 0; k < i && !again; k++) again = l->pairs.at[k].row == p->row;
        if (again && !p->row->kind->many)
            return err_set(e, ERR_BAD_INPUT, "flag '%s' cannot be repeated", p->row->name);
        TRY(p->row->kind->set(opts_at(out, p->row), p->row, p->text, mem, e));
    }
    return OK;
}

static bool opts_asked(const struct opts_line *l, const char *name)
{
    for (size_t i = 0; i < l->pairs.n; i++)
        if (l->pairs.at[i].row == opts_find(opts_builtin, OPTS_BUILTINS, str_z(name), 0))
            return true;
    return false;
}

errc opts_parse(void *out, const struct opt *table, size_t n, int argc, char **argv,
    struct opts_run *run, struct err *e)
{
    assert(argc > 0 && !run->given);
    arena_init(&run->mem, NULL, 0);
    run->given = arena_zalloc(&run->mem, n + 1);
    struct opts_line l = { .table = table, .n = n, .argv = argv, .argc = argc, .next = 1 };
    errc rc = opts_cut(&l, &run->mem, e);
    run->version = opts_asked(&l, "version");
    /* told before anything behind it is found wrong */
    if (run->version) return OK;
    TRY(rc);
    run->help = opts_asked(&l, "help") || opts_asked(&l, "help-long") ||
                opts_asked(&l, "help-man");
    if (run->help) return OK;
    TRY(opts_defaults(out, &l, run, e));
    TRY(opts_missing(&l, run, e));
    return opts_values(out, &l, &run->mem, e);
}

void opts_fini(struct opts_run *run)
{
    arena_fini(&run->mem);
    *run = (struct opts_run){ 0 };
}

bool opts_given(const struct opts_run *run, const struct opt *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_z(table[i].name), str_z(name))) return run->given && run->given[i];
    assert(!"a flag that is not in the table");
    return false;
}

/* ---- help ---- */

enum { HELP_WIDTH = 80, HELP_INDENT = 2, HELP_PADDING = 2, HELP_LEFT_MAX = 30 };

/* Words of text in lines of at most `width` runes; the second and later ones begin `indent` to the
 * right. */
static void opts_wrap(struct buf *b, str text, size_t width, size_t indent)
{
    size_t at = 0;
    for (str word; text.n > 0;) {
        str_cut(text, ' ', &word, &text);
        size_t n = utf8_count(word);
        if (at > 0 && at + 1 + n > width) {
            buf_fmt(b, "\n%*s", (int)indent, "");
            at = 0;
        } else if (at > 0) {
            buf_u8(b, ' ');
            at++;
        }
        buf_str(b, word);
        at += n;
    }
    buf_u8(b, '\n');
}

/* What stands for the value of a flag. */
static void opts_place(struct buf *b, const struct opt *o)
{
    if (o->arg) {
        buf_str(b, str_z(o->arg));
        return;
    }
    str first, rest;
    bool several = str_cut(str_z(o->def), ',', &first, &rest) && o->kind->many;
    if (!o->kind->many) first = str_z(o->def);
    if (o->def && o->kind->quoted) buf_go_quote(b, first);
    else if (o->def) buf_str(b, first);
    else
        for (const char *c = o->name; *c; c++)
            buf_u8(b, (uint8_t)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c));
    if (several) buf_str(b, S("..."));
}

static void opts_left(struct buf *b, const struct opt *o)
{
    if (o->flags & OPT_ARG) {
        buf_fmt(b, o->flags & OPT_REQUIRED ? "<%s>" : "[<%s>]", o->name);
        return;
    }
    if (o->letter) buf_fmt(b, "-%c, --", o->letter);
    else buf_str(b, S("    --"));
    if (o->kind->bare) buf_str(b, S("[no-]"));
    buf_str(b, str_z(o->name));
    if (!o->kind->bare) {
        buf_u8(b, '=');
        opts_place(b, o);
    }
    if (o->kind->many) buf_str(b, S(" ..."));
}

static void opts_row_help(struct buf *b, const struct opt *o, size_t left)
{
    SCOPED(buf_fini) struct buf name = { 0 };
    opts_left(&name, o);
    size_t indent = HELP_INDENT + left + HELP_PADDING;
    buf_fmt(
        b, "%*s%-*.*s%*s", HELP_INDENT, "", (int)left, STR_ARG(buf_view(&name)), HELP_PADDING, "");
    if (name.n >= HELP_LEFT_MAX) buf_fmt(b, "\n%*s", (int)indent, "");
    opts_wrap(b, str_z(o->help), HELP_WIDTH - indent, indent);
}

/* The rows of one kind, flags or arguments, under their title. */
static void opts_section(struct buf *b, const char *title, const struct opt *const *rows, size_t n)
{
    if (n == 0) return;
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        SCOPED(buf_fini) struct buf name = { 0 };
        opts_left(&name, rows[i]);
        if (name.n > left && name.n < HELP_LEFT_MAX) left = name.n;
    }
    buf_fmt(b, "\n%s:\n", title);
    for (size_t i = 0; i < n; i++) opts_row_help(b, rows[i], left);
}

static void opts_usage(struct buf *b, const char *prog, const struct opt *table, size_t n)
{
    buf_fmt(b, "usage: %s", prog);
    for (size_t i = 0; i < n; i++) {
        if ((table[i].flags & (OPT_ARG | OPT_REQUIRED)) != OPT_REQUIRED) continue;
        buf_fmt(b, " --%s=", table[i].name);
        opts_place(b, &table[i]);
    }
    buf_str(b, S(" [<flags>]"));
    for (size_t i = 0; i < n; i++) {
        if (!(table[i].flags & OPT_ARG)) continue;
        const char *dots = table[i].kind->many ? "..." : "";
        buf_fmt(b, table[i].flags & OPT_REQUIRED ? " <%s>%s" : " [<%s>%s]", table[i].name, dots);
    }
    buf_u8(b, '\n');
}

void opts_help(
    struct buf *b, const char *prog, const char *about, const struct opt *table, size_t n)
{
    opts_usage(b, prog, table, n);
    if (about) {
        buf_u8(b, '\n');
        opts_wrap(b, str_z(about), HELP_WIDTH, 0);
        buf_u8(b, '\n');
    }
    SCOPED(arena_fini) struct arena mem = { 0 };
    VEC(const struct opt *) flags = { 0 }, args = { 0 };
    for (size_t i = 0; i < OPTS_BUILTINS; i++)
        if (!(opts_builtin[i].flags & OPT_HIDDEN)) avec_push(&mem, &flags, &opts_builtin[i]);
    for (size_t i = 0; i < n; i++) {
        if (table[i].flags & OPT_HIDDEN) continue;
        if (table[i].flags & OPT_ARG) avec_push(&mem, &args, &table[i]);
        else avec_push(&mem, &flags, &table[i]);
    }
    opts_section(b, "Flags", flags.at, flags.n);
    opts_section(b, "Args", args.at, args.n);
}

/* ---- values as text ---- */

static int opts_by_name(const void *a, const void *b)
{
    return str_cmp(
        str_z((*(const struct opt *const *)a)->name), str_z((*(const struct opt *const *)b)->name));
}

void opts_each(const void *out, const struct opt *table, size_t n, opts_each_fn *fn, void *ctx)
{
    SCOPED(arena_fini) struct arena mem = { 0 };
    SCOPED(buf_fini) struct buf value = { 0 };
    const struct opt **rows = arena_array(&mem, n, sizeof(const struct opt *));
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!(table[i].flags & OPT_ARG)) rows[count++] = &table[i];
    qsort(rows, count, sizeof(*rows), opts_by_name);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&value);
        rows[i]->kind->show(&value, rows[i], (const uint8_t *)out + rows[i]->offset);
        fn(ctx, str_z(rows[i]->name), buf_view(&value));
    }
}
