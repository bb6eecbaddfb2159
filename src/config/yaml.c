#include "config/yaml.h"

#include "base/f64.h"
#include "base/rfc3339.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 200, NODES_MAX = 2000000 };

struct yaml_anchor { str name; struct yaml_node *node; };
struct yaml_builder {
    struct arena *a;
    str stand_in;                                  /* of hidden marks, else empty */
    VEC(struct yaml_node *) open;
    VEC(struct yaml_anchor) anchors;
    struct yaml_node *root;
    size_t nodes;
};

/* Of the order of bytes. The scanner leaves it out at the start of each line, Go's at that of the
 * text only. Others stand before it as a character that the text does not have, of as many bytes.
 */
static const str mark = S("\xef\xbb\xbf");

static void yaml_replace(uint8_t *p, size_t n, str old, str with)
{
    assert(old.n == with.n);
    for (size_t at, i = 0; (at = str_find(str_of(p + i, n - i), old)) != SIZE_MAX; i += at + old.n)
        memcpy(p + i + at, with.p, with.n);
}

/* The first character is the scanner's to leave out. */
static str yaml_hide_marks(struct yaml_builder *b, str text)
{
    size_t first = str_has_prefix(text, mark) ? mark.n : 0;
    if (str_find(str_from(text, first), mark) == SIZE_MAX) return text;
    for (unsigned i = 0; i < 6400; i++) {          /* for private use: U+E000 to U+F8FF */
        unsigned c = 0xe000 + i;
        uint8_t at[] = { (uint8_t)(c >> 12 | 0xe0), (uint8_t)((c >> 6 & 63) | 0x80),
            (uint8_t)((c & 63) | 0x80) };
        if (str_find(text, str_of(at, sizeof(at))) != SIZE_MAX) continue;
        b->stand_in = arena_str(b->a, str_of(at, sizeof(at)));
        uint8_t *copy = arena_alloc(b->a, text.n);
        memcpy(copy, text.p, text.n);
        yaml_replace(copy + first, text.n - first, mark, b->stand_in);
        return str_of(copy, text.n);
    }
    return text;
}

static str yaml_text(const struct yaml_builder *b, const yaml_char_t *p, size_t n)
{
    uint8_t *own = arena_alloc(b->a, n + 1);
    memcpy(own, p, n);
    own[n] = 0;
    if (b->stand_in.n) yaml_replace(own, n, b->stand_in, mark);
    return str_of(own, n);
}

static errc yaml_fail(const yaml_parser_t *p, struct err *e)
{
    size_t line = 0;
    if (p->problem_mark.line) line = p->problem_mark.line + (p->error == YAML_SCANNER_ERROR);
    else if (p->context_mark.line) line = p->context_mark.line;
    const char *problem = p->problem ? p->problem : "unknown problem parsing YAML content";
    return line ? err_set(e, ERR_BAD_INPUT, "yaml: line %zu: %s", line, problem)
                : err_set(e, ERR_BAD_INPUT, "yaml: %s", problem);
}

static void yaml_append(struct arena *a, struct yaml_node *to, struct yaml_node *child)
{
    avec_push(a, to, child);
}

static str yaml_own(struct arena *a, const yaml_char_t *z)
{
    return z ? arena_str(a, str_z((const char *)z)) : STR_EMPTY;
}

/* tag:yaml.org,2002:str is !!str. */
static str yaml_short_tag(struct arena *a, const yaml_char_t *tag)
{
    str full = str_z((const char *)tag);
    str prefix = S("tag:yaml.org,2002:");
    if (!tag || !str_has_prefix(full, prefix)) return yaml_own(a, tag);
    return arena_fmt(a, "!!%.*s", STR_ARG(str_from(full, prefix.n)));
}

static errc yaml_add(
    struct yaml_builder *b, struct yaml_node *n, const yaml_char_t *anchor, struct err *e)
{
    if (++b->nodes > NODES_MAX)
        return err_set(e, ERR_LIMIT, "yaml: document contains too many nodes");
    if (anchor) vec_push(&b->anchors, ((struct yaml_anchor){ yaml_own(b->a, anchor), n }));
    if (b->open.n) yaml_append(b->a, vec_last(&b->open), n);
    else b->root = n;
    return OK;
}

static errc yaml_open(
    struct yaml_builder *b, struct yaml_node *n, const yaml_char_t *anchor, struct err *e)
{
    if (b->open.n >= DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "yaml: exceeded max depth of %d", DEPTH_MAX);
    TRY(yaml_add(b, n, anchor, e));
    vec_push(&b->open, n);
    return OK;
}

static errc yaml_alias(struct yaml_builder *b, const yaml_char_t *anchor, struct err *e)
{
    str name = str_z((const char *)anchor);
    for (size_t i = b->anchors.n; i-- > 0;) {
        struct yaml_node *n = b->anchors.at[i].node;
        if (!str_eq(b->anchors.at[i].name, name)) continue;
        for (size_t k = 0; k < b->open.n; k++)
            if (b->open.at[k] == n)
                return err_set(
                    e, ERR_BAD_INPUT, "yaml: anchor '%.*s' value contains itself", STR_ARG(name));
        return yaml_add(b, n, NULL, e);
    }
    return err_set(e, ERR_BAD_INPUT, "yaml: unknown anchor '%.*s' referenced", STR_ARG(name));
}

static errc yaml_event(struct yaml_builder *b, const yaml_event_t *ev, struct err *e)
{
    unsigned line = (unsigned)ev->start_mark.line + 1;
    struct yaml_node *n;
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        n = ANEW(b->a, struct yaml_node);
        *n = (struct yaml_node){ .kind = YAML_SCALAR, .line = line };
        n->text = yaml_text(b, ev->data.scalar.value, ev->data.scalar.length);
        n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        n->tag = yaml_short_tag(b->a, ev->data.scalar.tag);
        return yaml_add(b, n, ev->data.scalar.anchor, e);
    case YAML_SEQUENCE_START_EVENT:
        n = ANEW(b->a, struct yaml_node);
        *n = (struct yaml_node){
            .kind = YAML_SEQ, .line = line, .tag = yaml_short_tag(b->a, ev->data.sequence_start.tag)
        };
        return yaml_open(b, n, ev->data.sequence_start.anchor, e);
    case YAML_MAPPING_START_EVENT:
        n = ANEW(b->a, struct yaml_node);
        *n = (struct yaml_node){
            .kind = YAML_MAP, .line = line, .tag = yaml_short_tag(b->a, ev->data.mapping_start.tag)
        };
        return yaml_open(b, n, ev->data.mapping_start.anchor, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: b->open.n--; return OK;
    case YAML_ALIAS_EVENT: return yaml_alias(b, ev->data.alias.anchor, e);
    default: return OK;
    }
}

static errc yaml_build(struct yaml_builder *b, yaml_parser_t *p, struct err *e)
{
    for (bool done = false; !done;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(p, &ev)) return yaml_fail(p, e);
        /* the first document counts */
        done = ev.type == YAML_STREAM_END_EVENT || ev.type == YAML_DOCUMENT_END_EVENT;
        errc rc = yaml_event(b, &ev, e);
        yaml_event_delete(&ev);
        if (rc != OK) return rc;
    }
    return OK;
}

errc yaml_parse(struct arena *a, str text, struct yaml_node **out, struct err *e)
{
    yaml_parser_t p;
    if (!yaml_parser_initialize(&p)) return err_set(e, ERR_LIMIT, "yaml: no memory for the parser");
    static const unsigned char nothing[1];
    struct yaml_builder b = { .a = a };
    bool utf16 = str_has_prefix(text, S("\xff\xfe")) || str_has_prefix(text, S("\xfe\xff"));
    /* in the scanner it would be a column */
    if (str_has_prefix(text, mark)) text = str_from(text, mark.n);
    if (!utf16) text = yaml_hide_marks(&b, text);
    yaml_parser_set_input_string(&p, text.n ? text.p : nothing, text.n);
    if (!utf16) yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    errc rc = yaml_build(&b, &p, e);
    yaml_parser_delete(&p);
    vec_fini(&b.open);
    vec_fini(&b.anchors);
    if (rc == OK) *out = b.root;
    return rc;
}

const char *yaml_tag_name(enum yaml_tag t)
{
    static const char *const names[] = { "!!null", "!!bool", "!!int", "!!float", "!!str", "!!seq",
        "!!map", "!!binary", "!!timestamp", "!" };
    return names[t];
}

static bool yaml_word(str s, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(s, str_z(*words))) return true;
    return false;
}

static bool yaml_digits(str s, unsigned base, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        unsigned d = c >= '0' && c <= '9'   ? c - 48u
                     : c >= 'a' && c <= 'f' ? c - 87u
                     : c >= 'A' && c <= 'F' ? c - 55u
                                            : 99;
        if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
            return false;
    }
    *out = v;
    return s.n > 0;
}

static bool yaml_int(str s, struct yaml_scalar *out)
{
    bool neg = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = str_from(s, 1);
    unsigned base = 10;
    if (s.n > 2 && s.p[0] == '0') {
        uint8_t x = s.p[1] | 0x20;
        base = x == 'x' ? 16 : x == 'b' ? 2 : x == 'o' ? 8 : 10;
    }
    if (base != 10) s = str_from(s, 2);
    else if (s.n > 1 && s.p[0] == '0') base = 8;
    if (!yaml_digits(s, base, &out->u)) return false;
    out->neg = neg;
    out->tag = TAG_INT;
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool yaml_float(str s, struct yaml_scalar *out)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), digits = 0;
    for (bool dot = false; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') digits++;
        else if (s.p[i] == '.' && !dot) dot = true;
        else break;
    }
    if (!digits) return false;
    if (i < s.n && s.p[i] != 'e' && s.p[i] != 'E') return false;
    if (!f64_parse(s, &out->f)) return false;
    out->tag = TAG_FLOAT;
    return true;
}

/* A number may hold underscores anywhere but in front. */
static bool yaml_number(str s, struct yaml_scalar *out)
{
    enum { LONGEST = 512 };
    uint8_t room[LONGEST];
    if (!s.n || s.p[0] == '_') return false;
    if (s.p[0] != '.' && s.n <= LONGEST && str_index(s, '_') != SIZE_MAX) {
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++)
            if (s.p[i] != '_') room[n++] = s.p[i];
        s = (str){ room, n };
    }
    return yaml_int(s, out) || yaml_float(s, out);
}

/* One or two digits of at most `max`, taken from the front. */
static bool yaml_date_part(str *s, unsigned max, unsigned *out)
{
    size_t n = 0;
    unsigned v = 0;
    for (; n < 2 && n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        v = v * 10 + (s->p[n] - '0');
    *s = str_from(*s, n);
    *out = v;
    return n > 0 && v <= max;
}

static bool yaml_date_char(str *s, const char *set)
{
    if (!s->n || !strchr(set, s->p[0]) || !s->p[0]) return false;
    *s = str_from(*s, 1);
    return true;
}

/* 15:4:5, and digits behind a point */
static bool yaml_clock(str *s)
{
    unsigned v;
    if (!yaml_date_part(s, 23, &v) || !yaml_date_char(s, ":") || !yaml_date_part(s, 59, &v) ||
        !yaml_date_char(s, ":") || !yaml_date_part(s, 59, &v))
        return false;
    if (s->n < 2 || (s->p[0] != '.' && s->p[0] != ',') || s->p[1] < '0' || s->p[1] > '9')
        return true;
    size_t n = 1;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    *s = str_from(*s, n);
    return true;
}

/* Z, or +07:00 */
static bool yaml_zone(str s)
{
    unsigned hours, minutes;
    if (str_eq(s, S("Z"))) return true;
    if (s.n != 6 || s.p[3] != ':' || !yaml_date_char(&s, "+-")) return false;
    str m = str_from(s, 3);
    s = str_slice(s, 0, 2);
    return yaml_date_part(&s, 24, &hours) && !s.n && yaml_date_part(&m, 60, &minutes) && !m.n;
}

/* 2006-1-2, 2006-1-2 15:4:5.9 without a zone, 2006-1-2T15:4:5.9Z with one */
static bool yaml_timestamp(str s)
{
    unsigned year = 0, month, day;
    if (s.n < 5 || s.p[4] != '-') return false;
    for (size_t i = 0; i < 4; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        year = year * 10 + (s.p[i] - '0');
    }
    s = str_from(s, 5);
    if (!yaml_date_part(&s, 12, &month) || !month || !yaml_date_char(&s, "-") ||
        !yaml_date_part(&s, civil_days_in_month((int)year, month), &day) || !day)
        return false;
    if (!s.n) return true;
    bool zoned = s.p[0] != ' ';
    if (!yaml_date_char(&s, " Tt") || !yaml_clock(&s)) return false;
    return zoned ? yaml_zone(s) : !s.n;
}

struct yaml_scalar yaml_resolve_text(str s)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
    static const char *const trues[] = { "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE",
        "on", "On", "ON", NULL };
    static const char *const falses[] = { "n", "N", "no", "No", "NO", "false", "False", "FALSE",
        "off", "Off", "OFF", NULL };
    static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
    static const char *const infs[] = { ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL };
    static const char *const minus_infs[] = { "-.inf", "-.Inf", "-.INF", NULL };
    struct yaml_scalar out = { .tag = TAG_STR };
    if (yaml_word(s, nulls)) out.tag = TAG_NULL;
    else if (yaml_word(s, trues)) out = (struct yaml_scalar){ .tag = TAG_BOOL, .b = true };
    else if (yaml_word(s, falses)) out = (struct yaml_scalar){ .tag = TAG_BOOL };
    else if (yaml_word(s, nans))
        out = (struct yaml_scalar){ .tag = TAG_FLOAT, .f = f64_of_bits(0x7ff8000000000001u) };
    else if (yaml_word(s, infs))
        out = (struct yaml_scalar){ .tag = TAG_FLOAT, .f = f64_of_bits(0x7ff0000000000000u) };
    else if (yaml_word(s, minus_infs))
        out = (struct yaml_scalar){ .tag = TAG_FLOAT, .f = f64_of_bits(0xfff0000000000000u) };
    else if (yaml_timestamp(s)) out.tag = TAG_TIMESTAMP;
    else (void)yaml_number(s, &out);
    return out;
}

struct yaml_scalar yaml_resolve(const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR)
        return (struct yaml_scalar){ .tag = n->kind == YAML_SEQ ? TAG_SEQ : TAG_MAP };
    if (str_eq(n->tag, S("!!binary"))) return (struct yaml_scalar){ .tag = TAG_BINARY };
    if (n->tag.n && str_eq(n->tag, S("!!str"))) return (struct yaml_scalar){ .tag = TAG_STR };
    if (n->tag.n == 0 && !n->plain) return (struct yaml_scalar){ .tag = TAG_STR };
    return yaml_resolve_text(n->text);
}

bool yaml_is_null(const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR) return false;
    if (n->tag.n) return str_eq(n->tag, S("!!null"));
    return n->plain && yaml_resolve_text(n->text).tag == TAG_NULL;
}

struct yaml_node yaml_without(
    const struct yaml_node *n, str member, struct yaml_node **out, struct arena *a)
{
    struct yaml_node rest = *n;
    *out = NULL;
    if (n->kind != YAML_MAP) return rest;
    rest.at = arena_array(a, n->n + 1, sizeof(*rest.at));
    rest.n = 0;
    for (size_t i = 0; i + 1 < n->n; i += 2) {
        if (n->at[i]->kind == YAML_SCALAR && str_eq(n->at[i]->text, member) && !*out) {
            *out = n->at[i + 1];
            continue;
        }
        rest.at[rest.n++] = n->at[i];
        rest.at[rest.n++] = n->at[i + 1];
    }
    return rest;
}
