/* The value of a sub-expression is a list of alternatives (struct glob). Joining two
 * sub-expressions is the product of their lists, `|` the sum, `x?` the sum with the empty text.
 * What has no such form (classes beyond a few runes, repetition of anything but the dot, case
 * folding, anchors in the middle) is one opaque part, which stands for any text at all.
 *
 * A literal is compared byte by byte while the pattern counts runes. That is the same: a literal is
 * valid UTF-8, starts with the first byte of a rune, and so is never found inside another rune; a
 * gap between two finds is then a whole number of runes. The one exception is U+FFFD, which also
 * matches an invalid byte: a literal that holds it is opaque. */
#include "model/regex_globs.h"
#include "base/utf8.h"

enum { LITERALS_MAX = 4096, PRODUCT_MAX = 256, CLASS_MAX = 256, DEPTH_MAX = 64 };

/* fold: (?i) is on here */
struct reader { struct arena *a; str s; size_t at; unsigned depth; bool fold; };

static const struct glob_part opaque_part = { GLOB_OPAQUE, { NULL, 0 } };

static bool reader_more(const struct reader *r) { return r->at < r->s.n; }
static uint8_t reader_peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->s.n ? r->s.p[r->at + ahead] : 0;
}
static bool reader_eat(struct reader *r, str what)
{
    if (!str_has_prefix(str_from(r->s, r->at), what)) return false;
    r->at += what.n;
    return true;
}

/* --- algebra --- */

static struct globs globs_one(struct arena *a, struct glob_part part)
{
    struct globs g = { .opaque = part.kind == GLOB_OPAQUE };
    struct glob_part *at = ANEW(a, struct glob_part);
    *at = part;
    avec_push(a, &g.all, ((struct glob){ at, 1 }));
    return g;
}

static struct globs globs_empty_text(struct arena *a)
{
    struct globs g = { 0 };
    avec_push(a, &g.all, ((struct glob){ 0 }));
    return g;
}

static struct globs globs_opaque(struct arena *a) { return globs_one(a, opaque_part); }

static str str_join(struct arena *a, str x, str y)
{
    uint8_t *at = arena_alloc(a, x.n + y.n);
    if (x.n) memcpy(at, x.p, x.n);
    if (y.n) memcpy(at + x.n, y.p, y.n);
    return str_of(at, x.n + y.n);
}

/* Two parts side by side as one; false: they stay two. Two gaps of at least one rune are opaque (a
 * gap counts no further). */
static bool part_merge(struct arena *a, struct glob_part *x, struct glob_part y)
{
    if (x->kind == GLOB_LITERAL || y.kind == GLOB_LITERAL) {
        if (x->kind != y.kind) return false;
        x->lit = str_join(a, x->lit, y.lit);
        return true;
    }
    bool opaque = x->kind == GLOB_OPAQUE || y.kind == GLOB_OPAQUE ||
                  (x->kind == GLOB_SOME && y.kind == GLOB_SOME);
    x->kind = opaque ? GLOB_OPAQUE : MAX(x->kind, y.kind);
    return true;
}

static struct glob glob_join(struct arena *a, struct glob x, struct glob y)
{
    if (x.n == 0 || y.n == 0) return x.n ? x : y;
    struct glob_part *at = arena_array(a, x.n + y.n, sizeof(*at));
    memcpy(at, x.at, x.n * sizeof(*at));
    size_t n = x.n;
    bool merged = part_merge(a, &at[n - 1], y.at[0]);
    memcpy(at + n, y.at + merged, (y.n - merged) * sizeof(*at));
    return (struct glob){ at, n + y.n - merged };
}

static bool globs_has_opaque(const struct globs *g)
{
    for (size_t i = 0; i < g->all.n; i++)
        for (size_t k = 0; k < g->all.at[i].n; k++)
            if (g->all.at[i].at[k].kind == GLOB_OPAQUE) return true;
    return false;
}

static struct globs globs_join(struct arena *a, struct globs x, struct globs y)
{
    if (x.all.n > 1 && y.all.n > 1 && x.all.n * y.all.n > PRODUCT_MAX) y = globs_opaque(a);
    if (x.all.n * y.all.n > LITERALS_MAX) return globs_opaque(a);
    struct globs g = { 0 };
    for (size_t i = 0; i < x.all.n; i++)
        for (size_t k = 0; k < y.all.n; k++)
            avec_push(a, &g.all, glob_join(a, x.all.at[i], y.all.at[k]));
    g.opaque = globs_has_opaque(&g);
    return g;
}

static struct globs globs_sum(struct arena *a, struct globs x, struct globs y)
{
    if (x.all.n + y.all.n > LITERALS_MAX) return globs_opaque(a);
    for (size_t i = 0; i < y.all.n; i++) avec_push(a, &x.all, y.all.at[i]);
    x.opaque |= y.opaque;
    return x;
}

/* --- reading --- */

static struct globs rune_globs(struct arena *a, uint32_t rune)
{
    if (rune == RUNE_ERROR) return globs_opaque(a);
    struct buf b = { .p = arena_alloc(a, 4), .cap = 4, .limit = 4 };
    buf_rune(&b, rune);
    return globs_one(a, (struct glob_part){ GLOB_LITERAL, buf_view(&b) });
}

static int hex_digit(uint8_t c)
{
    uint8_t low = c | 0x20;
    return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Behind "\x": two digits, or {digits}. */
static bool read_hex(struct reader *r, uint32_t *rune)
{
    bool braces = reader_eat(r, S("{"));
    *rune = 0;
    for (unsigned n = 0; n < (braces ? 8u : 2u) && hex_digit(reader_peek(r, 0)) >= 0; n++)
        *rune = *rune * 16 + (uint32_t)hex_digit(r->s.p[r->at++]);
    return !braces || reader_eat(r, S("}"));
}

/* At a backslash: true if it stands for one known rune. Past it either way; *whole is cleared where
 * the reader lost its way. */
static bool read_escape(struct reader *r, uint32_t *rune, bool *whole)
{
    uint8_t c = reader_peek(r, 1);
    r->at += 2;
    switch (c) {
    case 'a': *rune = '\a'; return true;
    case 'f': *rune = '\f'; return true;
    case 'n': *rune = '\n'; return true;
    case 'r': *rune = '\r'; return true;
    case 't': *rune = '\t'; return true;
    case 'v': *rune = '\v'; return true;
    case 'x': return (*whole = read_hex(r, rune));
    case 'd': case 'D': case 's': case 'S': case 'w': case 'W': return false;
    default: break;
    }
    bool word =
        (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80 || c == 0;
    if (word) *whole = false;                  /* properties, octal, \Q, \b, \A: not read here */
    *rune = c;
    return !word;
}

/* One rune of a class; false: not a plain one. */
static bool class_rune(struct reader *r, uint32_t *rune, bool *whole)
{
    size_t width;
    if (reader_peek(r, 0) == '\\') return read_escape(r, rune, whole);
    if (reader_peek(r, 0) == '[' && reader_peek(r, 1) == ':') return (*whole = false);
    *rune = utf8_rune(str_from(r->s, r->at), &width);
    r->at += width;
    return true;
}

/* At '[': a small set of runes as alternatives. *whole is cleared where its end is not found this
 * way. */
static struct globs read_class(struct reader *r, bool *whole)
{
    struct globs g = { 0 };
    bool negated = reader_peek(r, 1) == '^', plain = !negated;
    r->at += negated ? 2 : 1;
    for (bool first = true; first || reader_peek(r, 0) != ']'; first = false) {
        uint32_t lo = 0, hi;
        plain &= reader_more(r) && class_rune(r, &lo, whole);
        if (!*whole || !reader_more(r)) return globs_opaque(r->a);
        hi = lo;
        if (reader_peek(r, 0) == '-' && reader_peek(r, 1) != ']') {
            r->at++;
            plain &= class_rune(r, &hi, whole);
        }
        if (!*whole || !reader_more(r)) return globs_opaque(r->a);
        plain &= hi >= lo && hi - lo < CLASS_MAX && g.all.n + (hi - lo) < CLASS_MAX;
        for (uint32_t c = lo; plain && c <= hi; c++) g = globs_sum(r->a, g, rune_globs(r->a, c));
    }
    r->at++;
    return plain ? g : globs_opaque(r->a);
}

static struct globs read_alternation(struct reader *r, bool *whole);

/* Behind "(?": flags, up to ':' or ')'. False: one that is not followed here (m moves the anchors,
 * -s narrows the dot). */
static bool read_flags(struct reader *r)
{
    bool on = true;
    for (; reader_more(r) && reader_peek(r, 0) != ':' && reader_peek(r, 0) != ')'; r->at++) {
        uint8_t c = reader_peek(r, 0);
        if (c == '-') on = false;
        else if (c == 'i') r->fold = on;
        else if (c != 'U' && !(c == 's' && on)) return false;
    }
    return reader_more(r);
}

/* At '(': a group, or flags for the rest of the group around it. */
static struct globs read_group(struct reader *r, bool *whole)
{
    bool fold = r->fold;
    r->at++;
    if (reader_eat(r, S("?P<")) || reader_eat(r, S("?<"))) {
        while (reader_more(r) && r->s.p[r->at] != '>') r->at++;
        r->at++;
    } else if (reader_eat(r, S("?"))) {
        *whole &= read_flags(r);
        if (reader_eat(r, S(")"))) return globs_empty_text(r->a);
        r->at++;
    }
    if (++r->depth > DEPTH_MAX) *whole = false;
    struct globs g = *whole ? read_alternation(r, whole) : globs_opaque(r->a);
    r->depth--;
    r->fold = fold;
    if (!reader_eat(r, S(")"))) *whole = false;
    return g;
}

static size_t anchor_size(str s, bool start)
{
    if (str_has_prefix(s, start ? S("^") : S("$"))) return 1;
    return str_has_prefix(s, start ? S("\\A") : S("\\z")) ? 2 : 0;
}

/* An anchor changes nothing where the pattern is anchored anyway: at the ends of a branch that is
 * in no group. */
static struct globs read_anchor(struct reader *r, size_t branch, bool start, bool *whole)
{
    bool harmless = r->depth == 0;
    size_t at = start ? branch : r->at, end = start ? r->at : r->s.n;
    r->at += anchor_size(str_from(r->s, r->at), start);
    while (harmless && at < end && r->s.p[at] != '|') {
        size_t n = anchor_size(str_from(r->s, at), start);
        harmless = n > 0;
        at += n;
    }
    if (reader_more(r) && strchr("*+?{", reader_peek(r, 0))) *whole = false;
    return harmless ? globs_empty_text(r->a) : globs_opaque(r->a);
}

/* Behind "\Q": all up to "\E" is literal. */
static struct globs read_quoted(struct reader *r, bool *whole)
{
    str rest = str_from(r->s, r->at);
    size_t end = str_find(rest, S("\\E"));
    str lit = str_slice(rest, 0, end);
    r->at += MIN(lit.n + 2, rest.n);
    /* of its last rune alone */
    if ((reader_more(r) && strchr("*+?{", reader_peek(r, 0))) ||
        str_find(lit, S("\ufffd")) != SIZE_MAX)
        *whole = false;
    return lit.n ? globs_one(r->a, (struct glob_part){ GLOB_LITERAL, lit })
                 : globs_empty_text(r->a);
}

/* At a backslash. */
static struct globs read_escaped(struct reader *r, bool *whole)
{
    uint8_t c = reader_peek(r, 1);
    uint32_t rune;
    if (reader_eat(r, S("\\Q"))) return read_quoted(r, whole);
    if (read_escape(r, &rune, whole)) return rune_globs(r->a, rune);
    if (!*whole || (c != 's' && c != 'd')) return globs_opaque(r->a);
    struct globs g = { 0 };
    for (const char *p = c == 's' ? "\t\n\f\r " : "0123456789"; *p; p++)
        g = globs_sum(r->a, g, rune_globs(r->a, (uint32_t)*p));
    return g;
}

/* Plain runes up to the next that means something; the last one is left where a repetition follows,
 * which counts for it alone. */
static struct globs read_literal(struct reader *r)
{
    size_t start = r->at, last = r->at, width;
    bool invalid_too = false;
    do {
        last = r->at;
        invalid_too |= utf8_rune(str_from(r->s, r->at), &width) == RUNE_ERROR;
        r->at += width;
    } while (reader_more(r) && !strchr("\\.[()|*+?{^$", r->s.p[r->at]));
    if (last > start && reader_more(r) && strchr("*+?{", r->s.p[r->at])) r->at = last;
    if (invalid_too) return globs_opaque(r->a);
    return globs_one(r->a, (struct glob_part){ GLOB_LITERAL, str_slice(r->s, start, r->at) });
}

static struct globs read_atom_as_is(struct reader *r, size_t branch, bool *whole, bool *dot)
{
    str rest = str_from(r->s, r->at);
    *dot = false;
    if (anchor_size(rest, true)) return read_anchor(r, branch, true, whole);
    if (anchor_size(rest, false)) return read_anchor(r, branch, false, whole);
    switch (reader_peek(r, 0)) {
    case '(': return read_group(r, whole);
    case '[': return read_class(r, whole);
    case '\\': return read_escaped(r, whole);
    case '.':
        r->at++;
        *dot = true;
        return globs_opaque(r->a);
    default: return read_literal(r);
    }
}

/* Where case is folded, what is not a group or an anchor stands for more than it says. */
static struct globs read_atom(struct reader *r, size_t branch, bool *whole, bool *dot)
{
    str rest = str_from(r->s, r->at);
    bool fold =
        r->fold && rest.p[0] != '(' && !anchor_size(rest, true) && !anchor_size(rest, false);
    struct globs g = read_atom_as_is(r, branch, whole, dot);
    return fold ? globs_opaque(r->a) : g;
}

/* Length of a counted repetition {n}, {n,} or {n,m} here; 0: there is none (a brace of another form
 * is a literal). */
static size_t repeat_size(const struct reader *r)
{
    size_t i = 1, digits = 0;
    if (reader_peek(r, 0) != '{') return 0;
    for (; hex_digit(reader_peek(r, i)) >= 0 && reader_peek(r, i) <= '9'; i++) digits++;
    if (digits == 0) return 0;
    if (reader_peek(r, i) == ',') i++;
    while (reader_peek(r, i) >= '0' && reader_peek(r, i) <= '9') i++;
    return reader_peek(r, i) == '}' ? i + 1 : 0;
}

/* The atom with what follows it: * + ? {n,m}, each lazy or not (which changes nothing for a whole
 * match). */
static struct globs read_repeat(struct reader *r, struct globs atom, bool dot)
{
    uint8_t c = reader_peek(r, 0);
    size_t counted = repeat_size(r);
    if (c != '*' && c != '+' && c != '?' && counted == 0) return atom;
    r->at += counted ? counted : 1;
    if (reader_peek(r, 0) == '?') r->at++;
    if (c == '?') return globs_sum(r->a, atom, globs_empty_text(r->a));
    if (!dot || counted) return globs_opaque(r->a);
    return globs_one(r->a, (struct glob_part){ .kind = c == '*' ? GLOB_ANY : GLOB_SOME });
}

static struct globs read_branch(struct reader *r, bool *whole)
{
    struct globs g = globs_empty_text(r->a);
    size_t start = r->at;
    while (*whole && reader_more(r) && reader_peek(r, 0) != '|' && reader_peek(r, 0) != ')') {
        bool dot;
        struct globs atom = read_atom(r, start, whole, &dot);
        g = globs_join(r->a, g, read_repeat(r, atom, dot));
        if (arena_spent(r->a)) *whole = false;
    }
    return g;
}

static struct globs read_alternation(struct reader *r, bool *whole)
{
    struct globs g = read_branch(r, whole);
    while (*whole && reader_eat(r, S("|"))) g = globs_sum(r->a, g, read_branch(r, whole));
    return g;
}

struct globs globs_of(struct arena *a, str pattern)
{
    struct reader r = { .a = a, .s = pattern };
    bool whole = true;
    struct arena_mark mark = arena_mark(a);
    struct globs g = read_alternation(&r, &whole);
    if (whole && !reader_more(&r)) return g;
    arena_reset(a, mark);
    return globs_opaque(a);
}

/* --- use --- */

/* Each literal is taken where it is found first: what is left over for the rest is then the most
 * there can be. */
bool glob_match(struct glob g, str text)
{
    size_t gap_least = 0;
    bool gap = false;
    for (size_t i = 0; i < g.n; i++) {
        struct glob_part p = g.at[i];
        assert(p.kind != GLOB_OPAQUE);
        if (p.kind != GLOB_LITERAL) {
            gap = true;
            gap_least = p.kind == GLOB_SOME;
            continue;
        }
        if (text.n < gap_least + p.lit.n) return false;
        bool last = i + 1 == g.n;
        if (last && gap) return str_has_suffix(text, p.lit);
        if (!gap && !str_has_prefix(text, p.lit)) return false;
        size_t at = gap ? str_find(str_from(text, gap_least), p.lit) : 0;
        if (at == SIZE_MAX) return false;
        text = str_from(text, (gap ? gap_least : 0) + at + p.lit.n);
        gap = false;
        gap_least = 0;
    }
    return gap ? text.n >= gap_least : text.n == 0;
}

bool glob_literal(struct glob g, str *out)
{
    if (g.n > 1 || (g.n == 1 && g.at[0].kind != GLOB_LITERAL)) return false;
    *out = g.n ? g.at[0].lit : STR_EMPTY;
    return true;
}

static size_t common_prefix(str a, str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n]) n++;
    return n;
}

static size_t common_suffix(str a, str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[a.n - 1 - n] == b.p[b.n - 1 - n]) n++;
    return n;
}

static str part_literal(struct glob g, bool last)
{
    if (g.n == 0) return STR_EMPTY;
    struct glob_part p = g.at[last ? g.n - 1 : 0];
    return p.kind == GLOB_LITERAL ? p.lit : STR_EMPTY;
}

str globs_prefix(const struct globs *g)
{
    str common = g->all.n ? part_literal(g->all.at[0], false) : STR_EMPTY;
    for (size_t i = 1; i < g->all.n; i++)
        common.n = common_prefix(common, part_literal(g->all.at[i], false));
    return common;
}

str globs_suffix(const struct globs *g)
{
    str common = g->all.n ? part_literal(g->all.at[0], true) : STR_EMPTY;
    for (size_t i = 1; i < g->all.n; i++)
        common =
            str_from(common, common.n - common_suffix(common, part_literal(g->all.at[i], true)));
    return common;
}
