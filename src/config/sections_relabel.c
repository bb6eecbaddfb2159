/* sections_relabel.c — relabel rules: their table, their checks, and the rules made of them. */
#include "config/sections.h"

static errc action_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    enum relabel_action a;
    if (!relabel_action_parse(*s, &a)) return quoted_fail(e, "unknown relabel action ", *s, "");
    *s = relabel_action_name(a);
    return OK;
}

static errc regex_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    struct relabel_rule r = { .pattern = *s };
    TRY(relabel_compile(&r, e));
    regex_free(r.regex);
    return OK;
}

static errc label_name_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    return label_name_valid_utf8(*s) ? OK : quoted_fail(e, "", *s, " is not a valid label name");
}

static const struct field relabel_fields[] = {
    { .name = "source_labels",
        .kind = F_STRS,
        .flags = OMIT | FLOW,
        .go_type = "model.LabelNames",
        .word = label_name_word },
    { .name = "separator", .kind = F_STR, .def = ";" },
    { .name = "regex", .kind = F_REGEX, .flags = OMIT, .def = "(.*)", .word = regex_word },
    { .name = "modulus", .kind = F_UINT, .flags = OMIT, .go_type = "uint64" },
    { .name = "target_label", .kind = F_STR, .flags = OMIT },
    { .name = "replacement", .kind = F_STR, .def = "$1" },
    { .name = "action", .kind = F_WORD, .flags = OMIT, .def = "replace", .word = action_word },
};
const struct section relabel_section = { .name = "relabel.plain", FIELDS_OF(relabel_fields) };

const struct field relabel_list = {
    .name = "", .kind = F_SECTIONS, .sub = &relabel_section, .go_type = "[]*relabel.Config"
};

static struct relabel_rule rule_of(const struct value *v, bool legacy_names)
{
    struct relabel_rule r = relabel_default();
    const struct value *source = value_field(v, "source_labels"), *regex = value_field(v, "regex");
    r.source = source->strs;
    r.n_source = source->n;
    r.source_set = !source->null;
    r.separator = value_str(v, "separator");
    r.target = value_str(v, "target_label");
    r.replacement = value_str(v, "replacement");
    r.pattern = regex->s;
    r.pattern_set = regex->set;
    r.modulus = value_field(v, "modulus")->u;
    r.legacy_names = legacy_names;
    if (!relabel_action_parse(value_str(v, "action"), &r.action)) r.action = RELABEL_ACTIONS;
    return r;
}

errc rules_check(const struct value *list, bool legacy_names, struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        struct relabel_rule r = rule_of(list->at[i], legacy_names);
        if (r.action == RELABEL_ACTIONS)
            return err_set(e, ERR_BAD_INPUT, "relabel action cannot be empty");
        TRY(relabel_check(&r, e));
    }
    return OK;
}

errc rules_of(struct load *l, const struct value *list, bool legacy_names,
    struct relabel_rules *out, struct err *e)
{
    TRY(rules_check(list, legacy_names, e));
    out->at = arena_array(l->a, list->n, sizeof(*out->at));
    out->n = 0;
    for (size_t i = 0; i < list->n; i++) {
        out->at[i] = rule_of(list->at[i], legacy_names);
        TRY(relabel_compile(&out->at[i], e));
        out->n++;
    }
    return OK;
}

errc rules_no_null(const struct value *list, const char *words, struct err *e)
{
    for (size_t i = 0; i < list->n; i++)
        if (!list->at[i]) return err_set(e, ERR_BAD_INPUT, "%s", words);
    return OK;
}
