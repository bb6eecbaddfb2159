#include "config/schema.h"

#include "base/f64.h"

#include <yaml.h>

/* Prints through libyaml's emitter, of which yaml.v2's is a translation: the same events give the
 * same text. */

struct printer { yaml_emitter_t em; bool bad; };

static int print_sink(void *ctx, unsigned char *p, size_t n)
{
    buf_bytes(ctx, p, n);
    return buf_ok(ctx);
}

static void print_event(struct printer *p, yaml_event_t *ev)
{
    if (p->bad) yaml_event_delete(ev);
    else p->bad = !yaml_emitter_emit(&p->em, ev);
}

static bool text_digit(str s, size_t i) { return i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; }

static size_t text_digits(str s, size_t i)
{
    while (text_digit(s, i) || (i < s.n && s.p[i] == '_'))
        i++;
    return i;
}

/* [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)? are numbers to the base 60 for other readers. */
static bool text_is_base60(str s)
{
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = str_from(s, 1);
    if (!text_digit(s, 0)) return false;
    size_t i = text_digits(s, 0), parts = 0;
    for (; i < s.n && s.p[i] == ':' && text_digit(s, i + 1); parts++) {
        bool two = text_digit(s, i + 2);
        if (two && s.p[i + 1] > '5') return false;
        i += two ? 3 : 2;
    }
    if (i < s.n && s.p[i] == '.') i = text_digits(s, i + 1);
    return parts && i == s.n;
}

/* A string: with line breaks as a literal block, without quotes where it reads back as a string. */
static void print_text(struct printer *p, str s)
{
    bool plain = yaml_resolve_text(s).tag == TAG_STR && !text_is_base60(s);
    yaml_scalar_style_t style = str_index(s, '\n') != SIZE_MAX ? YAML_LITERAL_SCALAR_STYLE
                                : plain                        ? YAML_PLAIN_SCALAR_STYLE
                                                               : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    yaml_event_t ev;
    static const unsigned char nothing[1];
    if (!yaml_scalar_event_initialize(&ev, NULL, NULL, s.n ? s.p : nothing, (int)s.n, 1, 1, style))
        p->bad = true;
    else print_event(p, &ev);
}

/* A word that is no string: a number, true, null. */
static void print_word(struct printer *p, str s)
{
    yaml_event_t ev;
    if (!yaml_scalar_event_initialize(
            &ev, NULL, NULL, s.p, (int)s.n, 1, 1, YAML_PLAIN_SCALAR_STYLE))
        p->bad = true;
    else print_event(p, &ev);
}

static void print_map(struct printer *p)
{
    yaml_event_t ev;
    if (!yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE))
        p->bad = true;
    else print_event(p, &ev);
}

static void print_map_end(struct printer *p)
{
    yaml_event_t ev;
    if (!yaml_mapping_end_event_initialize(&ev)) p->bad = true;
    else print_event(p, &ev);
}

static void print_list(struct printer *p, bool flow)
{
    yaml_event_t ev;
    yaml_sequence_style_t style = flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
    if (!yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1, style)) p->bad = true;
    else print_event(p, &ev);
}

static void print_list_end(struct printer *p)
{
    yaml_event_t ev;
    if (!yaml_sequence_end_event_initialize(&ev)) p->bad = true;
    else print_event(p, &ev);
}

static void print_float(struct printer *p, double v)
{
    char text[F64_TEXT_MAX];
    str s = { (const uint8_t *)text, f64_text_g(text, v) };
    if (v != v) s = S(".nan");
    else if (v > 1.7976931348623157e308) s = S(".inf");
    else if (v < -1.7976931348623157e308) s = S("-.inf");
    print_word(p, s);
}

static void print_number(struct printer *p, uint64_t magnitude, bool neg)
{
    struct buf b = { 0 };
    if (neg) buf_u8(&b, '-');
    buf_u64_text(&b, magnitude);
    print_word(p, buf_view(&b));
    buf_fini(&b);
}

static void print_section(struct printer *p, const struct value *v);
static void print_value(struct printer *p, const struct value *v);

static void print_strings(struct printer *p, const struct value *v)
{
    print_list(p, v->f->flags & FLOW);
    for (size_t i = 0; i < v->n; i++) {
        if (v->f->kind == F_SECRETS || (v->f->flags & HIDDEN)) print_text(p, S("<secret>"));
        else print_text(p, v->strs[i]);
    }
    print_list_end(p);
}

static void print_pairs(struct printer *p, const struct value *v)
{
    print_map(p);
    for (size_t i = 0; i < v->n; i++) {
        print_text(p, v->pairs[i].name);
        print_value(p, v->pairs[i].value);
    }
    print_map_end(p);
}

static void print_sections(struct printer *p, const struct value *v)
{
    print_list(p, false);
    for (size_t i = 0; i < v->n; i++) {
        if (v->at[i]) print_section(p, v->at[i]);
        else print_word(p, S("null"));
    }
    print_list_end(p);
}

static void print_value(struct printer *p, const struct value *v)
{
    switch (v->f->kind) {
    case F_SECRET:
        if (v->s.n) print_text(p, S("<secret>"));
        else print_word(p, S("null"));
        break;
    case F_BOOL_PTR:
    case F_BOOL:
        if (v->f->kind == F_BOOL_PTR && v->null) print_word(p, S("null"));
        else print_word(p, v->b ? S("true") : S("false"));
        break;
    case F_INT: print_number(p, v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i, v->i < 0); break;
    case F_UINT: print_number(p, v->u, false); break;
    case F_FLOAT: print_float(p, v->d); break;
    case F_URL:
        if (v->null) print_word(p, S("null"));
        else print_text(p, v->s);
        break;
    case F_STRS:
    case F_SECRETS: print_strings(p, v); break;
    case F_STR_MAP:
    case F_STRS_MAP:
    case F_LABELS:
    case F_SECTION_MAP:
    case F_LABEL_SET: print_pairs(p, v); break;
    case F_SECTION_PTR:
        if (v->null) print_word(p, S("null"));
        else print_section(p, v);
        break;
    case F_SECTION: print_section(p, v); break;
    case F_SECTIONS: print_sections(p, v); break;
    default: print_text(p, v->s); break;
    }
}

static void print_section(struct printer *p, const struct value *v)
{
    print_map(p);
    for (size_t i = 0; i < v->n; i++) {
        const struct value *field = v->at[i];
        if ((field->f->flags & OMIT) && value_is_zero(field)) continue;
        print_text(p, str_z(field->f->name));
        print_value(p, field);
    }
    print_map_end(p);
}

void value_print(struct buf *out, const struct value *v)
{
    struct printer p = { 0 };
    if (!yaml_emitter_initialize(&p.em)) {
        out->bad = true;
        return;
    }
    yaml_emitter_set_output(&p.em, print_sink, out);
    yaml_emitter_set_unicode(&p.em, 1);
    yaml_event_t ev;
    if (yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING)) print_event(&p, &ev);
    if (yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1)) print_event(&p, &ev);
    print_section(&p, v);
    if (yaml_document_end_event_initialize(&ev, 1)) print_event(&p, &ev);
    if (yaml_stream_end_event_initialize(&ev)) print_event(&p, &ev);
    if (!p.bad) p.bad = !yaml_emitter_flush(&p.em);
    yaml_emitter_delete(&p.em);
    if (p.bad) out->bad = true;
}
