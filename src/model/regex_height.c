#include "model/regex_height.h"

#include "base/defs.h"
#include "base/vec.h"

/* Length of the class that starts here: its end is the first ] that is not the first rune, escaped,
 * or of [:name:]. */
static size_t class_size(str s)
{
    size_t i = 1;
    if (i < s.n && s.p[i] == '^') i++;
    for (bool first = true; i < s.n && (first || s.p[i] != ']'); first = false) {
        size_t named =
            str_has_prefix(str_from(s, i), S("[:")) ? str_find(str_from(s, i), S(":]")) : SIZE_MAX;
        i += named != SIZE_MAX ? named + 2 : s.p[i] == '\\' ? 2 : 1;
    }
    return MIN(i + 1, s.n);
}

size_t regex_token_size(str s)
{
    if (str_has_prefix(s, S("\\Q"))) {
        size_t end = str_find(s, S("\\E"));
        return end == SIZE_MAX ? s.n : end + 2;
    }
    if (s.p[0] == '\\') return MIN((size_t)2, s.n);
    return s.p[0] == '[' ? class_size(s) : 1;
}

enum node_kind { NODE_OTHER, NODE_CONCAT, NODE_ALTERNATE };
struct node { enum node_kind kind; size_t height; };

/* Nodes of one list; what is a list of the same kind gives its nodes. */
struct list { size_t n, below; struct node last; };

static size_t height_within(struct node x, enum node_kind kind)
{
    return x.kind == kind ? x.height - 1 : x.height;
}

/* The last node stays apart, for a repetition may follow. */
static void list_settle(struct list *l, enum node_kind kind)
{
    if (l->n) l->below = MAX(l->below, height_within(l->last, kind));
}
static void list_add(struct list *l, enum node_kind kind, struct node x)
{
    list_settle(l, kind);
    l->last = x;
    l->n++;
}
static struct node list_end(struct list *l, enum node_kind kind)
{
    if (l->n == 0) return (struct node){ NODE_OTHER, 1 };
    if (l->n == 1) return l->last;
    list_settle(l, kind);
    return (struct node){ kind, l->below + 1 };
}

static const struct node leaf = { NODE_OTHER, 1 };

/* A group that is open. runes: of the literal at the end of its items. */
struct level { struct list alternatives, items; bool captures; size_t runes; };

static void level_item(struct level *l, struct node x)
{
    list_add(&l->items, NODE_CONCAT, x);
    l->runes = 0;
}
static void level_rune(struct level *l)
{
    if (!l->runes) list_add(&l->items, NODE_CONCAT, leaf);
    l->runes++;
}
static void level_bar(struct level *l)
{
    list_add(&l->alternatives, NODE_ALTERNATE, list_end(&l->items, NODE_CONCAT));
    l->items = (struct list){ 0 };
    l->runes = 0;
}
static struct node level_end(struct level *l)
{
    level_bar(l);
    struct node x = list_end(&l->alternatives, NODE_ALTERNATE);
    return l->captures ? (struct node){ NODE_OTHER, x.height + 1 } : x;
}

/* A repetition takes one rune of a literal; what was before it stays a node. */
static void level_repeat(struct level *l)
{
    if (!l->items.n) return;
    if (l->runes > 1) list_add(&l->items, NODE_CONCAT, leaf);
    l->items.last = (struct node){ NODE_OTHER, l->items.last.height + 1 };
    l->runes = 0;
}

/* "{2}", "{2,}", "{2,3}"; 0: the brace is a literal. */
static size_t braces_size(str s)
{
    size_t i = 1, digits = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) digits++;
    if (i < s.n && s.p[i] == ',')
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9';) i++;
    return digits && i < s.n && s.p[i] == '}' ? i + 1 : 0;
}

/* "(", "(?:", "(?i:", "(?P<name>", "(?<name>"; *opens: not for "(?i)". */
static size_t group_size(str s, bool *opens, bool *captures)
{
    *opens = *captures = true;
    if (s.n < 2 || s.p[1] != '?') return 1;
    *captures = s.n > 2 && (s.p[2] == 'P' || s.p[2] == '<');
    size_t i = 2;
    while (i < s.n && s.p[i] != (*captures ? '>' : ':') && s.p[i] != ')') i++;
    *opens = i >= s.n || s.p[i] != ')';
    return MIN(i + 1, s.n);
}

struct levels { VEC(struct level) open; };

static size_t read_group(struct levels *ls, str s)
{
    bool opens, captures;
    size_t n = group_size(s, &opens, &captures);
    if (opens) vec_push(&ls->open, ((struct level){ .captures = captures }));
    return n;
}

static void read_closing(struct levels *ls)
{
    if (ls->open.n < 2) return;
    struct node x = level_end(&vec_pop(&ls->open));
    level_item(&vec_last(&ls->open), x);
}

static bool is_literal(str s, size_t n)
{
    bool classes = s.p[0] == '[' || s.p[0] == '.' || s.p[0] == '^' || s.p[0] == '$';
    bool word = n > 1 && (s.p[1] == '_' || (s.p[1] >= '0' && s.p[1] <= '9') ||
                          ((s.p[1] | 0x20) >= 'a' && (s.p[1] | 0x20) <= 'z'));
    return !classes && !(s.p[0] == '\\' && word);
}

/* What starts here; its length. */
static size_t read_token(struct levels *ls, str s)
{
    struct level *l = &vec_last(&ls->open);
    size_t n = regex_token_size(s), braces = s.p[0] == '{' ? braces_size(s) : 0;
    if (s.p[0] == '(') return read_group(ls, s);
    if (s.p[0] == ')') read_closing(ls);
    else if (s.p[0] == '|') level_bar(l);
    else if (s.p[0] == '*' || s.p[0] == '+' || s.p[0] == '?' || braces) {
        level_repeat(l);
        n = MAX(n, braces);
        return n < s.n && s.p[n] == '?' ? n + 1 : n;
    } else if (!is_literal(s, n)) level_item(l, leaf);
    else if ((s.p[0] & 0xc0) != 0x80) level_rune(l);
    return n;
}

struct regex_height regex_height(str pattern)
{
    struct levels ls = { 0 };
    vec_push(&ls.open, (struct level){ 0 });
    for (str s = pattern; s.n > 0;) s = str_from(s, read_token(&ls, s));
    while (ls.open.n > 1) read_closing(&ls);
    struct node all = level_end(&ls.open.at[0]);
    vec_fini(&ls.open);
    struct list anchored = { 0 };
    list_add(&anchored, NODE_CONCAT, leaf);
    list_add(&anchored, NODE_CONCAT, all);
    list_add(&anchored, NODE_CONCAT, leaf);
    return (struct regex_height){ all.height, list_end(&anchored, NODE_CONCAT).height };
}
