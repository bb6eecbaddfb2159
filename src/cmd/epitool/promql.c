/* promql.c — `epitool promql …`: queries as text, printed pretty, their label matchers edited. */
#include <stdio.h>

#include "cmd/epitool/cmd.h"
#include "promql/parse.h"
#include "promql/print.h"

/* What is done to each selector: a matcher set, or taken away. */
struct edit { bool remove; struct matcher with; struct arena *a; };

static void selector_edit(void *ctx, struct expr *x)
{
    struct edit *d = ctx;
    if (x->kind != EXPR_VECTOR) return;
    struct matchers *ms = &x->vector.matchers;
    struct matcher *at = arena_array(d->a, ms->n + 1, sizeof(*at));
    size_t n = 0;
    bool found = false;
    for (size_t i = 0; i < ms->n; i++) {
        bool same = str_eq(ms->at[i].name, d->with.name);
        found = found || same;
        if (!same) at[n++] = ms->at[i];
        else if (!d->remove) at[n++] = d->with;
    }
    if (!found && !d->remove) at[n++] = d->with;
    *ms = (struct matchers){ at, n };
}

static const struct parse_opts everything = { true, true, true, true };

/* edit NULL: as it is */
static int show(const char *query, struct edit *edit)
{
    struct arena a = { 0 };
    struct parse_errors errors;
    struct expr *tree = NULL;
    struct buf text = { 0 };
    errc rc = promql_parse(&tree, str_z(query), &everything, &a, &errors, NULL);
    if (rc == OK) {
        if (edit) {
            edit->a = &a;
            expr_each(tree, selector_edit, edit);
        }
        promql_pretty(&text, tree);
        if (buf_ok(&text)) printf("%.*s\n", STR_ARG(buf_view(&text)));
        else fprintf(stderr, "the query is too long when it is formatted\n");
        rc = buf_ok(&text) ? OK : ERR_LIMIT;
    } else {
        fprintf(stderr, "%.*s\n", STR_ARG(parse_error_text(&errors.at[0], str_z(query), &a)));
    }
    /* compiled expressions that were edited away are the process's to end */
    buf_fini(&text);
    if (!edit) promql_tree_fini(tree);
    arena_fini(&a);
    return rc == OK ? EXIT_FINE : EXIT_FAILED;
}

static bool match_type(str word, enum match_type *out)
{
    static const struct { str word; enum match_type type;
    } all[] = {
        { S("="), MATCH_EQ },
        { S("!="), MATCH_NE },
        { S("=~"), MATCH_RE },
        { S("!~"), MATCH_NRE },
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!str_eq(all[i].word, word)) continue;
        *out = all[i].type;
        return true;
    }
    return false;
}

/* Takes -t TYPE, -tTYPE, --type TYPE and --type=TYPE out of the words, wherever they stand before a
 * `--`, which goes, too. */
static bool take_type(int *argc, char **argv, enum match_type *out)
{
    int n = 0;
    bool flags = true;
    for (int i = 0; i < *argc; i++) {
        str word = str_z(argv[i]);
        if (flags && str_eq(word, S("--"))) {
            flags = false;
            continue;
        }
        if (!flags) {
            argv[n++] = argv[i];
            continue;
        }
        if (str_has_prefix(word, S("--type="))) word = str_from(word, strlen("--type="));
        else if (str_has_prefix(word, S("-t")) && word.n > 2) word = str_from(word, 2);
        else if (!str_eq(word, S("-t")) && !str_eq(word, S("--type"))) {
            argv[n++] = argv[i];
            continue;
        } else if (++i < *argc) word = str_z(argv[i]);
        if (!match_type(word, out)) return false;
    }
    *argc = n;
    return true;
}

static int label_matchers(int argc, char **argv)
{
    if (argc < 2) return cmd_usage(&cmd_promql);
    struct edit d = { 0 };
    bool remove = str_eq(str_z(argv[1]), S("delete"));
    if ((!remove && !str_eq(str_z(argv[1]), S("set"))) ||
        !take_type(&argc, argv, &d.with.type) || argc != (remove ? 4 : 5))
        return cmd_usage(&cmd_promql);
    d.remove = remove;
    d.with.name = str_z(argv[3]);
    d.with.value = remove ? STR_EMPTY : str_z(argv[4]);
    return show(argv[2], &d);
}

/* promtool's word for these commands may stand anywhere before a `--`: it changes nothing. */
static int drop_experimental(int argc, char **argv)
{
    int n = 0;
    bool flags = true;
    for (int i = 0; i < argc; i++) {
        str word = str_z(argv[i]);
        if (flags && str_eq(word, S("--experimental"))) continue;
        flags = flags && !str_eq(word, S("--"));
        argv[n++] = argv[i];
    }
    return n;
}

static int run(int argc, char **argv)
{
    argc = drop_experimental(argc, argv);
    str what = argc > 1 ? str_z(argv[1]) : STR_EMPTY;
    int at = argc > 2 && str_eq(str_z(argv[2]), S("--")) ? 3 : 2;
    if (str_eq(what, S("format")) && argc == at + 1) return show(argv[at], NULL);
    if (str_eq(what, S("label-matchers"))) return label_matchers(argc - 1, argv + 1);
    return cmd_usage(&cmd_promql);
}

const struct cmd cmd_promql = { "promql",
    "format QUERY | label-matchers set [-t TYPE] QUERY NAME VALUE | label-matchers delete QUERY "
    "NAME",
    "print queries pretty, edit their label matchers", run };
