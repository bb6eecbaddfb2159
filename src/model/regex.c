/* Three ways to match, the cheapest that the pattern allows (model/regex_globs): a set of values,
 * literals with gaps, or the library's automaton behind a check of the literal prefix and suffix.
 * The library works on valid UTF-8: in a text that is not, each invalid byte is replaced by U+FFFD,
 * which is what Go's regexp reads there. */
#include "model/regex.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/regex_globs.h"
#include "model/regex_height.h"
#include "model/regex_shim.h"

/* below SET_HASHED: compared one by one */
enum { SET_MAX = 256, SET_HASHED = 8, GLOBS_BYTES = 8 << 20 };

struct regex {
    struct arena a;
    str pattern;
    struct regex_shim *re;
    struct globs globs;
    str *set;                                  /* of pure literals: the values */
    size_t n_set;
    struct map by_value;                       /* hash -> set entry, from SET_HASHED on */
    str prefix, suffix;
};

static const char *const regex_words[REGEX_SHIM_ERRORS] = {
    [REGEX_INTERNAL] = "regexp/syntax: internal error",
    [REGEX_BAD_ESCAPE] = "invalid escape sequence",
    [REGEX_BAD_CLASS] = "invalid character class",
    [REGEX_BAD_RANGE] = "invalid character class range",
    [REGEX_MISSING_BRACKET] = "missing closing ]",
    [REGEX_MISSING_PAREN] = "missing closing )",
    [REGEX_UNEXPECTED_PAREN] = "unexpected )",
    [REGEX_TRAILING_BACKSLASH] = "trailing backslash at end of expression",
    [REGEX_REPEAT_ARGUMENT] = "missing argument to repetition operator",
    [REGEX_REPEAT_SIZE] = "invalid repeat count",
    [REGEX_REPEAT_OP] = "invalid nested repetition operator",
    [REGEX_BAD_PERL_OP] = "invalid or unsupported Perl syntax",
    [REGEX_BAD_UTF8] = "invalid UTF-8",
    [REGEX_BAD_NAME] = "invalid named capture",
    [REGEX_TOO_LARGE] = "expression too large",
};

/* --- Go's syntax for the library --- */

/* Bytes of a number of a repetition, which has no zeros in front; 0: there is none. */
static size_t regex_count_size(str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') n++;
    return n > 1 && s.p[0] == '0' ? 0 : n;
}

/* Bytes of a repetition by a number so long that the library takes it for a text; 0: it is none. */
static size_t regex_endless_size(str s)
{
    enum { LONG = 10 };
    if (!str_has_prefix(s, S("{"))) return 0;
    size_t least = regex_count_size(str_from(s, 1)), most = 0, at = 1 + least;
    if (at < s.n && s.p[at] == ',') {
        most = regex_count_size(str_from(s, at + 1));
        at += 1 + most;
    }
    return least && MAX(least, most) >= LONG && at < s.n && s.p[at] == '}' ? at + 1 : 0;
}

/* The next token of pattern s as the library has to see it: (?<name> becomes (?P<name>; \C, which
 * the library has and Go has not, becomes an escape that neither has; a number of repetitions that
 * is beyond all bounds becomes one that is too large. *n: its bytes in s. */
static str regex_token(str s, size_t *n)
{
    static const str odd[][2] = { { S("(?<"), S("(?P<") }, { S("\\C"), S("\\y") } };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        if (!str_has_prefix(s, odd[i][0])) continue;
        *n = odd[i][0].n;
        return odd[i][1];
    }
    *n = regex_endless_size(s);
    if (*n) return S("{90210}");
    *n = regex_token_size(s);
    bool braced = str_has_prefix(s, S("\\p{")) || str_has_prefix(s, S("\\P{"));
    braced |= str_has_prefix(s, S("\\x{"));
    if (braced) *n += MIN(str_find(str_from(s, *n), S("}")), s.n - *n);
    return str_of(s.p, *n);
}

static void regex_rewrite(struct buf *b, str s)
{
    for (size_t n; s.n > 0; s = str_from(s, n)) {
        str token = regex_token(s, &n);
        buf_str(b, token);
    }
}

/* Where in the pattern is what the rewritten text has at `at`? */
static size_t regex_place(str pattern, size_t at)
{
    size_t done = 0, i = 0, n = 0;
    while (i < pattern.n) {
        str token = regex_token(str_from(pattern, i), &n);
        if (done + token.n > at) return i + MIN(at - done, n);
        done += token.n;
        i += n;
    }
    return i;
}

/* What was written of that which the library refuses. */
static str regex_guilty(str pattern, str text, str arg)
{
    size_t at = str_find(pattern, arg) == SIZE_MAX ? str_find(text, arg) : SIZE_MAX;
    if (at == SIZE_MAX) return arg;
    size_t from = regex_place(pattern, at);
    return str_of(pattern.p + from, regex_place(pattern, at + arg.n) - from);
}

/* Of a repetition Go looks at the counts first, before it sees that it follows another, or a `?`
 * behind it. */
static bool regex_bad_counts(str *arg)
{
    enum { MOST = 1000 };
    size_t open = arg->n;
    while (open > 0 && arg->p[open - 1] != '{') open--;
    if (open == 0) return false;
    uint64_t least = 0, most = 0;
    str counts = str_from(*arg, open);
    size_t end = str_find(counts, S("}")), comma = str_find(counts, S(","));
    if (end == SIZE_MAX) return false;
    bool one = comma == SIZE_MAX, open_ended = !one && comma + 1 == end;
    bool known = str_u64(str_of(counts.p, one ? end : comma), &least);
    if (one || open_ended) most = least;
    else known &= str_u64(str_of(counts.p + comma + 1, end - comma - 1), &most);
    bool bad = !known || least > MOST || most > MOST || least > most;
    if (bad) *arg = str_of(counts.p - 1, end + 2);
    return bad;
}

/* The first bytes that are no UTF-8, and what follows them of what Go looks at: of a quotation the
 * rest of it, else that of the pattern. */
static str regex_bad_utf8(str pattern)
{
    size_t at = 0, width, end = pattern.n;
    while (utf8_rune(str_from(pattern, at), &width) != RUNE_ERROR || width != 1) at += width;
    for (size_t i = 0, n; i <= at; i += n) {
        str rest = str_from(pattern, i);
        n = regex_token_size(rest);
        bool quoted = str_has_prefix(rest, S("\\Q"));
        if (i + n > at && quoted && str_find(rest, S("\\E")) != SIZE_MAX) end = i + n - 2;
    }
    return str_of(pattern.p + at, end - at);
}

static bool is_class_escape(str s) { return s.n >= 2 && s.p[0] == '\\' && (s.p[1] | 0x20) == 'p'; }

/* The library takes a byte that is no UTF-8 behind \p, or none, for a class that it does not
 * know. */
static void regex_cut_class(enum regex_shim_error *code, str *arg, str pattern)
{
    if (*code == REGEX_BAD_ESCAPE && arg->n == 2 && is_class_escape(*arg)) *code = REGEX_BAD_RANGE;
    if (*code != REGEX_BAD_RANGE || arg->n != 2 || !is_class_escape(*arg)) return;
    size_t at = str_find(pattern, *arg), width;
    str behind = at == SIZE_MAX ? STR_EMPTY : str_from(pattern, at + 2);
    if (behind.n && utf8_rune(behind, &width) == RUNE_ERROR && width == 1) *code = REGEX_BAD_UTF8;
}

static errc regex_refuse(
    const struct regex_shim_why *why, str pattern, str text, struct buf *words)
{
    enum regex_shim_error code = why->code;
    str arg = str_of(why->arg, why->n);
    if (code == REGEX_REPEAT_OP || code == REGEX_REPEAT_SIZE)
        code = regex_bad_counts(&arg) ? REGEX_REPEAT_SIZE : code;
    if (code == REGEX_BAD_UTF8 && utf8_valid(pattern)) {
        size_t at = pattern.n;             /* an escape that the end cuts */
        while (at > 0 && pattern.p[at - 1] != '\\') at--;
        code = REGEX_BAD_ESCAPE;
        arg = str_from(pattern, at - (at > 0));
    }
    regex_cut_class(&code, &arg, pattern);
    arg = code == REGEX_BAD_UTF8 ? regex_bad_utf8(pattern) : regex_guilty(pattern, text, arg);
    if (code == REGEX_TRAILING_BACKSLASH) arg = STR_EMPTY;
    buf_fmt(words, "error parsing regexp: %s: `", regex_words[code]);
    buf_str(words, arg);
    buf_u8(words, '`');
    return ERR_BAD_INPUT;
}

/* Go tells the whole pattern, with its anchors if only these make it too high. */
static errc regex_check_height(str pattern, struct buf *words)
{
    if (pattern.n < REGEX_HEIGHT_MAX) return OK;
    struct regex_height h = regex_height(pattern);
    if (h.anchored <= REGEX_HEIGHT_MAX) return OK;
    bool anchors = h.itself <= REGEX_HEIGHT_MAX;
    buf_str(words, S("error parsing regexp: expression nests too deeply: `"));
    if (anchors) buf_str(words, S("^(?s:"));
    buf_str(words, pattern);
    if (anchors) buf_str(words, S(")$"));
    buf_u8(words, '`');
    return ERR_BAD_INPUT;
}

/* --- making --- */

static void regex_make_set(struct regex *r)
{
    size_t n = r->globs.all.n;
    str *set = arena_array(&r->a, n, sizeof(*set));
    for (size_t i = 0; i < n; i++)
        if (!glob_literal(r->globs.all.at[i], &set[i])) return;
    r->set = set;
    r->n_set = n;
    for (size_t i = 0; n >= SET_HASHED && i < n; i++)
        map_put(&r->by_value, hash_str(set[i]), &set[i]);
}

static void regex_freep(struct regex **r) { regex_free(*r); }

static errc regex_make(struct regex **out, str pattern, struct buf *words)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    struct regex_shim_why why;
    regex_rewrite(&text, pattern);
    SCOPED(regex_freep) struct regex *r = NEW(struct regex);
    r->re = regex_shim_new((const char *)text.p, text.n, &why);
    if (!r->re) {
        errc rc = regex_refuse(&why, pattern, buf_view(&text), words);
        regex_shim_free(why.refused);
        return rc;
    }
    TRY(regex_check_height(pattern, words));
    arena_init(&r->a, NULL, GLOBS_BYTES);
    r->pattern = arena_str(&r->a, pattern);
    r->globs = globs_of(&r->a, r->pattern);
    r->prefix = globs_prefix(&r->globs);
    r->suffix = globs_suffix(&r->globs);
    regex_make_set(r);
    *out = STEAL(r);
    return OK;
}

/* Where it is valid UTF-8 such a pattern has the same set when it is parsed. */
static struct regex *regex_of_literals(str pattern)
{
    struct regex *r = NEW(struct regex);
    VEC(str) set = { 0 };
    r->pattern = arena_str(&r->a, pattern);
    str rest = r->pattern, literal;
    for (bool more = true; more;) {
        more = str_cut(rest, '|', &literal, &rest);
        avec_push(&r->a, &set, literal);
    }
    r->set = set.at;
    r->n_set = set.n;
    for (size_t i = 0; r->n_set >= SET_HASHED && i < r->n_set; i++)
        map_put(&r->by_value, hash_str(r->set[i]), &r->set[i]);
    return r;
}

errc regex_new_matching(struct regex **out, str pattern, struct buf *words)
{
    bool literals = !utf8_valid(pattern);
    for (size_t i = 0; literals && i < pattern.n; i++)
        literals = !strchr("\\.+*?()[]{}^$", pattern.p[i]) || !pattern.p[i];
    if (!literals) return regex_make(out, pattern, words);
    *out = regex_of_literals(pattern);
    return OK;
}

errc regex_new(struct regex **out, str pattern, struct err *e)
{
    SCOPED(buf_fini) struct buf words = { 0 };
    errc rc = regex_make(out, pattern, &words);
    return rc == OK ? OK : err_set_str(e, rc, buf_view(&words));
}

void regex_free(struct regex *r)
{
    if (!r) return;
    regex_shim_free(r->re);
    map_fini(&r->by_value);
    arena_fini(&r->a);
    mem_free(r);
}

/* --- matching --- */

static bool set_eq(const void *val, const void *key)
{
    return str_eq(*(const str *)val, *(const str *)key);
}

static bool regex_in_set(const struct regex *r, str s)
{
    if (r->n_set >= SET_HASHED) return map_find(&r->by_value, hash_str(s), set_eq, &s) != NULL;
    for (size_t i = 0; i < r->n_set; i++)
        if (str_eq(r->set[i], s)) return true;
    return false;
}

static bool regex_in_globs(const struct regex *r, str s)
{
    for (size_t i = 0; i < r->globs.all.n; i++)
        if (glob_match(r->globs.all.at[i], s)) return true;
    return false;
}

/* Each invalid byte as U+FFFD. */
static void buf_repaired(struct buf *b, str s)
{
    for (size_t width; s.n > 0; s = str_from(s, width)) {
        uint32_t rune = utf8_rune(s, &width);
        if (rune == RUNE_ERROR) buf_rune(b, rune);
        else buf_bytes(b, s.p, width);
    }
}

bool regex_match(const struct regex *r, str s)
{
    if (r->set) return regex_in_set(r, s);
    if (!r->globs.opaque) return regex_in_globs(r, s);
    if (!str_has_prefix(s, r->prefix) || !str_has_suffix(s, r->suffix)) return false;
    if (utf8_valid(s)) return regex_shim_match(r->re, (const char *)s.p, s.n);
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_repaired(&b, s);
    return regex_shim_match(r->re, (const char *)b.p, b.n);
}

str regex_pattern(const struct regex *r) { return r->pattern; }

const str *regex_set_matches(const struct regex *r, size_t *n)
{
    *n = r->n_set <= SET_MAX ? r->n_set : 0;
    return *n ? r->set : NULL;
}

str regex_prefix(const struct regex *r) { return r->prefix; }

/* --- expanding a template --- */

/* The name behind a '$', in braces or not; what it takes of s. 0: it is none, and the '$' stands
 * for itself. */
static size_t template_name(str s, str *name)
{
    size_t brace = s.n > 0 && s.p[0] == '{', i = brace;
    for (size_t width; i < s.n; i += width) {
        uint32_t rune = utf8_rune(str_from(s, i), &width);
        if (rune != '_' && !rune_is_letter(rune) && !rune_is_digit(rune)) break;
    }
    *name = str_slice(s, brace, i);
    if (name->n == 0 || (brace && (i >= s.n || s.p[i] != '}'))) return 0;
    return i + brace;
}

/* A number without leading zero counts groups from the left; else a name. -1: no such group. */
static int64_t template_group(const struct regex *r, str name)
{
    enum { NUMBER_MAX = 100000000 };
    uint64_t number;
    bool digits =
        str_u64(name, &number) && number <= NUMBER_MAX && (name.n == 1 || name.p[0] != '0');
    if (!digits) return regex_shim_group_named(r->re, (const char *)name.p, name.n);
    return number <= (uint64_t)regex_shim_groups(r->re) ? (int64_t)number : -1;
}

/* What of the text as it was given a group of the repaired text covers: runes are the same in
 * number. */
static str unrepaired(str text, str repaired, str group)
{
    size_t from = utf8_count(str_slice(repaired, 0, (size_t)(group.p - repaired.p))),
           runes = utf8_count(group), width, n = 0;
    for (; from > 0; from--, text = str_from(text, width)) utf8_rune(text, &width);
    for (; runes > 0; runes--, n += width) utf8_rune(str_from(text, n), &width);
    return str_slice(text, 0, n);
}

bool regex_expand(const struct regex *r, str s, str tmpl, struct buf *out)
{
    assert(r->re);
    SCOPED(buf_fini) struct buf repaired = { 0 };
    bool valid = utf8_valid(s);
    if (!valid) buf_repaired(&repaired, s);
    str text = valid ? s : buf_view(&repaired);
    SCOPED(mem_freep)
    struct regex_shim_group *groups =
        mem_alloc_array((size_t)regex_shim_groups(r->re) + 1, sizeof(*groups));
    if (!regex_shim_match_groups(r->re, text.p ? (const char *)text.p : "", text.n, groups))
        return false;
    for (;;) {
        str before, name;
        bool more = str_cut(tmpl, '$', &before, &tmpl);
        buf_str(out, before);
        if (!more) return true;
        bool twice = tmpl.n > 0 && tmpl.p[0] == '$';
        size_t used = twice ? 1 : template_name(tmpl, &name);
        if (twice || used == 0) buf_u8(out, '$');
        tmpl = str_from(tmpl, used);
        int64_t g = twice || used == 0 ? -1 : template_group(r, name);
        if (g < 0 || !groups[g].p) continue;
        str found = str_of(groups[g].p, groups[g].n);
        buf_str(out, valid ? found : unrepaired(s, text, found));
    }
}
