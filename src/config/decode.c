#include "config/schema.h"

#include "base/utf8.h"
#include "model/duration.h"
#include "model/size.h"

#include <stdlib.h>

/* How yaml.v2 fills Go structs, by the tables of schema.h.
 *
 * Words about types ("line 3: cannot unmarshal !!str `x` into int") are collected: a value of a
 * wrong type leaves its field as it is, and the walk goes on. Any other failure ends the load at
 * once. A section's own check runs when its part of the file gave no words. A null makes the zero
 * value of the field's type, not its default, and no check sees it. */

enum { STEPS_MAX = 5000000 };

static const char *field_go_type(const struct field *f)
{
    if (f->go_type) return f->go_type;
    switch (f->kind) {
    case F_BOOL:
    case F_BOOL_PTR: return "bool";
    case F_INT: return "int";
    case F_UINT: return "uint";
    case F_FLOAT: return "float64";
    case F_STRS: return "[]string";
    case F_SECRETS: return "[]config.Secret";
    case F_STR_MAP:
    case F_LABELS: return "map[string]string";
    case F_STRS_MAP: return "url.Values";
    case F_LABEL_SET: return "model.LabelSet";
    case F_SECTION:
    case F_SECTION_PTR: return f->sub->name;
    default: return "string";
    }
}

static void load_say(struct load *l, str words) { avec_push(l->a, &l->words, words); }

static void load_say_twice(struct load *l, unsigned line, str key)
{
    struct buf b = { 0 };
    buf_fmt(&b, "line %u: key ", line);
    buf_go_quote(&b, key);
    buf_str(&b, S(" already set in map"));
    load_say(l, arena_str(l->a, buf_view(&b)));
    buf_fini(&b);
}

/* cannot unmarshal !!str `x` into int; a long text is cut */
static void load_wrong_type(struct load *l, const struct yaml_node *n, const char *into)
{
    struct yaml_scalar s = yaml_resolve(n);
    str tag = n->tag.n ? n->tag : str_z(yaml_tag_name(s.tag));
    str text = n->text;
    bool cut = text.n > 10;
    if (n->kind == YAML_SCALAR)
        load_say(l,
            arena_fmt(l->a, "line %u: cannot unmarshal %.*s `%.*s%s` into %s", n->line,
                STR_ARG(tag), cut ? 7 : (int)text.n, (const char *)text.p, cut ? "..." : "", into));
    else
        load_say(l,
            arena_fmt(l->a, "line %u: cannot unmarshal %.*s into %s", n->line, STR_ARG(tag), into));
}

errc load_words(const struct load *l, struct err *e)
{
    if (l->words.n == 0) return OK;
    struct buf b = { 0 };
    buf_str(&b, S("yaml: unmarshal errors:"));
    for (size_t i = 0; i < l->words.n; i++) buf_fmt(&b, "\n  %.*s", STR_ARG(l->words.at[i]));
    errc rc = err_set(e, ERR_BAD_INPUT, "%.*s", STR_ARG(buf_view(&b)));
    buf_fini(&b);
    return rc;
}

struct value *value_field(const struct value *v, const char *name)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->at[i]->f->name, name) == 0) return v->at[i];
    assert(!"a field that the table does not have");
    return NULL;
}

bool value_is_zero(const struct value *v)
{
    switch (v->f->kind) {
    case F_STR:
    case F_SECRET:
    case F_WORD: return v->s.n == 0;
    case F_URL: return v->null;
    case F_REGEX: return !v->set;
    case F_BOOL: return !v->b;
    case F_BOOL_PTR: return v->null;
    case F_INT:
    case F_DURATION:
    case F_SIZE: return v->i == 0;
    case F_UINT: return v->u == 0;
    case F_FLOAT: return v->d == 0;
    case F_SECTION:
        for (size_t i = 0; i < v->n; i++)
            if (!value_is_zero(v->at[i])) return false;
        return true;
    case F_SECTION_PTR: return v->null;
    default: return v->n == 0;
    }
}

static str value_size_text(struct arena *a, int64_t bytes)
{
    struct buf b = { 0 };
    buf_size(&b, bytes);
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}

static errc value_parse(struct load *l, struct value *v, str text, struct err *e);

static struct value *value_new(struct load *l, const struct field *f, bool defaults)
{
    struct value *v = ANEW(l->a, struct value);
    v->f = f;
    v->null =
        f->kind == F_BOOL_PTR || f->kind == F_URL || f->kind == F_SECTION_PTR || f->kind >= F_STRS;
    if (f->kind == F_SECTION) {
        struct value *made =
            defaults && !f->sub->keeps_zero ? value_default(l, f->sub) : value_zero(l, f->sub);
        v->at = made->at;
        v->n = made->n;
        v->null = false;
    } else if (defaults && f->def) {
        errc rc = value_parse(l, v, str_z(f->def), NULL);
        assert(rc == OK);
        (void)rc;
        v->set = false;
    } else if (f->kind == F_DURATION) {
        v->s = arena_duration(l->a, 0);
    }
    return v;
}

static struct value *value_of_section(struct load *l, const struct section *s, bool defaults)
{
    struct value *v = ANEW(l->a, struct value);
    v->at = arena_array(l->a, s->n, sizeof(*v->at));
    v->n = s->n;
    for (size_t i = 0; i < s->n; i++) v->at[i] = value_new(l, &s->fields[i], defaults);
    return v;
}

struct value *value_default(struct load *l, const struct section *s)
{
    return value_of_section(l, s, true);
}
struct value *value_zero(struct load *l, const struct section *s)
{
    return value_of_section(l, s, false);
}

/* A text into a field that is written as a string. */
static errc value_parse(struct load *l, struct value *v, str text, struct err *e)
{
    v->set = true;
    v->null = false;
    v->s = v->raw = text;
    switch (v->f->kind) {
    case F_DURATION:
        TRY(duration_parse(text, &v->i, e));
        v->s = arena_duration(l->a, v->i);
        return OK;
    case F_SIZE:
        TRY(size_parse(text, &v->i, e));
        v->s = value_size_text(l->a, v->i);
        return OK;
    case F_BOOL:
    case F_BOOL_PTR: v->b = yaml_resolve_text(text).b; return OK;
    case F_INT: v->i = (int64_t)yaml_resolve_text(text).u; return OK;
    case F_UINT: v->u = yaml_resolve_text(text).u; return OK;
    case F_FLOAT: v->d = (double)yaml_resolve_text(text).u; return OK;
    default: return v->f->word ? v->f->word(l, &v->s, e) : OK;
    }
}

void value_put_str(struct value *v, const char *name, str s)
{
    struct value *f = value_field(v, name);
    f->s = s;
    f->null = false;
}

errc value_put_word(struct load *l, struct value *v, const char *name, str text, struct err *e)
{
    return value_parse(l, value_field(v, name), text, e);
}

/* The text of a scalar as a Go string gets it; false: words were said. */
static bool decode_text(struct load *l, const struct yaml_node *n, const char *into, str *out)
{
    if (n->kind != YAML_SCALAR || str_eq(n->tag, S("!!float"))) {
        load_wrong_type(l, n, into);
        return false;
    }
    *out = yaml_is_null(n) ? STR_EMPTY : n->text;
    return true;
}

static int8_t base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return (int8_t)(c - 'A');
    if (c >= 'a' && c <= 'z') return (int8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9') return (int8_t)(c - '0' + 52);
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* !!binary: base64, with line breaks allowed. */
static errc decode_binary(struct load *l, const struct yaml_node *n, str *out, struct err *e)
{
    uint8_t *p = arena_alloc(l->a, n->text.n);
    size_t k = 0, have = 0, chars = 0, pads = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < n->text.n; i++) {
        uint8_t c = n->text.p[i];
        if (c == '\n' || c == '\r') continue;
        int8_t d = base64_digit(c);
        chars++;
        if (c == '=' && ++pads <= 2) continue;
        if (d < 0 || pads)
            return err_set(e, ERR_BAD_INPUT, "yaml: !!binary value contains invalid base64 data");
        bits = bits << 6 | (uint8_t)d;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        p[k++] = (uint8_t)(bits >> have);
    }
    if (chars % 4)
        return err_set(e, ERR_BAD_INPUT, "yaml: !!binary value contains invalid base64 data");
    *out = str_of(p, k);
    return OK;
}

static errc decode_string(struct load *l, const struct yaml_node *n, struct value *v, struct err *e)
{
    str text;
    if (!decode_text(l, n, field_go_type(v->f), &text)) return OK;
    if (str_eq(n->tag, S("!!binary"))) TRY(decode_binary(l, n, &text, e));
    return value_parse(l, v, text, e);
}

static void decode_number(struct load *l, const struct yaml_node *n, struct value *v)
{
    struct yaml_scalar s = yaml_resolve(n);
    bool fits = false;
    switch (v->f->kind) {
    case F_INT:
        if (s.tag == TAG_INT) {
            fits = s.u <= (uint64_t)INT64_MAX + s.neg;
            if (fits) v->i = s.neg ? (int64_t)(0 - s.u) : (int64_t)s.u;
        } else if (s.tag == TAG_FLOAT && s.f >= -0x1p63 && s.f < 0x1p63) {
            fits = true;
            v->i = (int64_t)s.f;
        }
        break;
    case F_UINT:
        if (s.tag == TAG_INT) {
            fits = !s.neg || s.u == 0;
            if (fits) v->u = s.u;
        } else if (s.tag == TAG_FLOAT && s.f >= 0 && s.f < 0x1p64) {
            fits = true;
            v->u = (uint64_t)s.f;
        }
        break;
    default:
        fits = s.tag == TAG_INT || s.tag == TAG_FLOAT;
        if (fits) v->d = s.tag == TAG_FLOAT ? s.f : s.neg ? -(double)s.u : (double)s.u;
        break;
    }
    if (fits) v->set = true;
    else load_wrong_type(l, n, field_go_type(v->f));
}

static void decode_bool(struct load *l, const struct yaml_node *n, struct value *v)
{
    struct yaml_scalar s = yaml_resolve(n);
    if (s.tag != TAG_BOOL) {
        load_wrong_type(l, n, field_go_type(v->f));
        return;
    }
    v->b = s.b;
    v->set = true;
    v->null = false;
}

static errc decode_strings(
    struct load *l, const struct yaml_node *n, struct value *v, struct err *e)
{
    if (n->kind != YAML_SEQ) {
        load_wrong_type(l, n, field_go_type(v->f));
        return OK;
    }
    str *at = arena_array(l->a, n->n, sizeof(*at));
    size_t k = 0;
    for (size_t i = 0; i < n->n; i++) {
        size_t words = l->words.n;
        if (!decode_text(l, n->at[i],
                v->f->kind == F_STRS && v->f->go_type ? v->f->go_type + 2 : "string", &at[k]))
            continue;
        if (v->f->word && !yaml_is_null(n->at[i])) TRY(v->f->word(l, &at[k], e));
        k += l->words.n == words;
    }
    v->strs = at;
    v->n = k;
    v->set = true;
    v->null = false;
    return OK;
}

static int pair_by_name(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static bool label_name_word(str name, struct err *e)
{
    if (label_name_valid_utf8(name)) return true;
    struct buf b = { 0 };
    buf_go_quote(&b, name);
    err_set(e, ERR_BAD_INPUT, "%.*s is not a valid label name", STR_ARG(buf_view(&b)));
    buf_fini(&b);
    return false;
}

static errc decode_into(struct load *l, const struct yaml_node *n, struct value *v, struct err *e);

/* name: value …; the values are of the kind that the map's kind says. */
static errc decode_map(struct load *l, const struct yaml_node *n, struct value *v, struct err *e)
{
    if (n->kind != YAML_MAP) {
        load_wrong_type(l, n, field_go_type(v->f));
        return OK;
    }
    static const struct field text = { "", F_STR, 0, NULL, NULL, NULL, NULL };
    static const struct field texts = { "", F_STRS, 0, NULL, NULL, NULL, NULL },
                              secrets = { "", F_SECRETS, 0, NULL, NULL, NULL, NULL };
    struct field *section = ANEW(l->a, struct field);
    *section = (struct field){ .name = "", .kind = F_SECTION, .sub = v->f->sub };
    const struct field *of = v->f->kind == F_STRS_MAP ? (v->f->flags & HIDDEN ? &secrets : &texts)
                             : v->f->kind == F_SECTION_MAP ? section
                                                           : &text;
    v->pairs = arena_array(l->a, n->n / 2, sizeof(*v->pairs));
    v->n = 0;
    for (size_t i = 0; i + 1 < n->n; i += 2) {
        str name;
        size_t words = l->words.n;
        if (!decode_text(l, n->at[i], "string", &name)) continue;
        if (str_eq(n->at[i]->tag, S("!!binary"))) TRY(decode_binary(l, n->at[i], &name, e));
        if (v->f->kind == F_LABEL_SET && !label_name_word(name, e)) return ERR_BAD_INPUT;
        struct value *item = value_new(l, of, true);
        TRY(decode_into(l, n->at[i + 1], item, e));
        if (l->words.n > words) continue;
        bool twice = false;
        for (size_t k = 0; k < v->n && !twice; k++) twice = str_eq(v->pairs[k].name, name);
        if (twice) load_say_twice(l, n->at[i + 1]->line, name);
        else v->pairs[v->n++] = (struct pair){ name, item };
    }
    qsort(v->pairs, v->n, sizeof(*v->pairs), pair_by_name);
    v->set = true;
    v->null = false;
    return OK;
}

static size_t section_find(const struct section *s, str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(name, str_z(s->fields[i].name)) && !(s->fields[i].flags & DERIVED)) return i;
    return SIZE_MAX;
}

/* A merge key takes what is not there from other maps; it comes first, so that the map's own fields
 * win. */
static errc decode_fields(struct load *l, const struct section *s, const struct yaml_node *n,
    struct value *v, bool *done, struct err *e)
{
    for (size_t i = 0; i + 1 < n->n; i += 2) {
        const struct yaml_node *key = n->at[i], *val = n->at[i + 1];
        if (key->kind == YAML_SCALAR && key->plain && str_eq(key->text, S("<<"))) {
            bool *merged = arena_zalloc(l->a, s->n);
            if (val->kind == YAML_MAP) TRY(decode_fields(l, s, val, v, merged, e));
            else if (val->kind != YAML_SEQ)
                return err_set(e, ERR_BAD_INPUT,
                    "yaml: map merge requires map or sequence of maps as the value");
            for (size_t k = val->kind == YAML_SEQ ? val->n : 0; k-- > 0;) {
                if (val->at[k]->kind != YAML_MAP)
                    return err_set(e, ERR_BAD_INPUT,
                        "yaml: map merge requires map or sequence of maps as the value");
                memset(merged, 0, s->n);
                TRY(decode_fields(l, s, val->at[k], v, merged, e));
            }
            continue;
        }
        str name;
        if (!decode_text(l, key, "string", &name)) continue;
        size_t k = section_find(s, name);
        if (k == SIZE_MAX) {
            load_say(l, arena_fmt(l->a, "line %u: field %.*s not found in type %s", key->line,
                            STR_ARG(name), s->name));
        } else if (done[k]) {
            load_say(l, arena_fmt(l->a, "line %u: field %.*s already set in type %s", key->line,
                            STR_ARG(name), s->name));
        } else {
            done[k] = true;
            TRY(decode_into(l, val, v->at[k], e));
        }
    }
    return OK;
}

errc section_decode(struct load *l, const struct section *s, const struct yaml_node *n,
    struct value **out, struct err *e)
{
    struct value *v = s->from_zero ? value_zero(l, s) : value_default(l, s);
    v->set = true;
    size_t words = l->words.n;
    if (n->kind == YAML_MAP) TRY(decode_fields(l, s, n, v, arena_zalloc(l->a, s->n), e));
    else load_wrong_type(l, n, s->name);
    if (l->words.n == words && s->check) TRY(s->check(l, v, e));
    *out = v;
    return OK;
}

static errc decode_section(
    struct load *l, const struct yaml_node *n, struct value *v, struct err *e)
{
    struct value *made;
    TRY(section_decode(l, v->f->sub, n, &made, e));
    v->at = made->at;
    v->n = made->n;
    v->set = true;
    v->null = false;
    return OK;
}

static errc decode_sections(
    struct load *l, const struct yaml_node *n, struct value *v, struct err *e)
{
    if (n->kind != YAML_SEQ) {
        load_wrong_type(l, n, field_go_type(v->f));
        return OK;
    }
    v->at = arena_array(l->a, n->n, sizeof(*v->at));
    v->n = 0;
    for (size_t i = 0; i < n->n; i++) {
        struct value *item = NULL;
        size_t words = l->words.n;
        if (yaml_is_null(n->at[i]))
            item = v->f->flags & LIST_OF_VALUES ? value_zero(l, v->f->sub) : NULL;
        else TRY(section_decode(l, v->f->sub, n->at[i], &item, e));
        if (l->words.n == words) v->at[v->n++] = item;
    }
    v->set = true;
    v->null = false;
    return OK;
}

/* Null: the zero value. */
static void decode_null(struct load *l, struct value *v)
{
    const struct field *f = v->f;
    struct value *zero = value_new(l, f, false);
    *v = *zero;
    v->set = true;
}

static errc decode_into(struct load *l, const struct yaml_node *n, struct value *v, struct err *e)
{
    if (++l->steps > STEPS_MAX)
        return err_set(e, ERR_LIMIT, "yaml: document contains excessive aliasing");
    if (yaml_is_null(n)) {
        decode_null(l, v);
        return OK;
    }
    switch (v->f->kind) {
    case F_BOOL:
    case F_BOOL_PTR: decode_bool(l, n, v); return OK;
    case F_INT:
    case F_UINT:
    case F_FLOAT: decode_number(l, n, v); return OK;
    case F_STRS:
    case F_SECRETS: return decode_strings(l, n, v, e);
    case F_STR_MAP:
    case F_STRS_MAP:
    case F_LABELS:
    case F_SECTION_MAP:
    case F_LABEL_SET: return decode_map(l, n, v, e);
    case F_SECTION:
    case F_SECTION_PTR: return decode_section(l, n, v, e);
    case F_SECTIONS: return decode_sections(l, n, v, e);
    default: return decode_string(l, n, v, e);
    }
}

errc sections_decode(struct load *l, const struct field *f, const struct yaml_node *n,
    struct value **out, struct err *e)
{
    *out = value_new(l, f, true);
    return decode_sections(l, n, *out, e);
}
