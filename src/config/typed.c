#include "config/typed.h"

#include "io/fs.h"

enum { FILE_MAX_BYTES = 1 << 20 };

static errc kind_decode(void *out, const struct typed *t, str type, const struct yaml_node *config,
    struct arena *a, struct err *e)
{
    struct load l = { .a = a };
    for (size_t i = 0; i < t->n; i++) {
        const struct typed_kind *k = &t->kinds[i];
        if (!str_eq_nocase(type, k->type)) continue;
        struct value *v = value_default(&l, k->section);
        if (config && !yaml_is_null(config))
            TRY_IN(e, section_decode(&l, k->section, config, &v, e), "create %.*s %s",
                STR_ARG(type), t->made);
        TRY_IN(e, load_words(&l, e), "create %.*s %s", STR_ARG(type), t->made);
        TRY_IN(e, k->fill(out, v, a, e), "create %.*s %s", STR_ARG(type), t->made);
        return OK;
    }
    return err_set(
        e, ERR_BAD_INPUT, "%s with type %.*s is not supported", t->family, STR_ARG(type));
}

errc typed_parse(void *out, const struct typed *t, str text, const struct value **root,
    struct arena *a, struct err *e)
{
    static const char context[] = "parsing config YAML file";
    struct load l = { .a = a };
    struct yaml_node *tree = NULL, *config = NULL;
    TRY_IN(e, yaml_parse(a, text, &tree, e), context);
    struct value *v = value_default(&l, t->root);
    if (tree && !yaml_is_null(tree)) {
        struct yaml_node rest = yaml_without(tree, S("config"), &config, a);
        TRY_IN(e, section_decode(&l, t->root, &rest, &v, e), context);
    }
    TRY_IN(e, load_words(&l, e), context);
    TRY(kind_decode(out, t, value_str(v, "type"), config, a, e));
    *root = v;
    return OK;
}

errc typed_text(str *out, const char *flag, str text, str path, struct arena *a, struct err *e)
{
    if (text.n && path.n)
        return err_set(e, ERR_BAD_INPUT, "both %s and %s-file flags set.", flag, flag);
    if (path.n)
        TRY_IN(e, fs_read_path(path, a, FILE_MAX_BYTES, &text, e),
            "loading YAML file %.*s for %s-file", STR_ARG(path), flag);
    *out = text;
    return OK;
}
