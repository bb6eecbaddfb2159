#include "model/matcher.h"
#include "base/strs.h"
#include "base/utf8.h"

static const str match_ops[] = {
    [MATCH_EQ] = S("="), [MATCH_NE] = S("!="), [MATCH_RE] = S("=~"), [MATCH_NRE] = S("!~")
};

errc matcher_init_words(struct matcher *m, struct arena *a, enum match_type type, str name,
    str value, struct buf *words)
{
    struct regex *re = NULL;
    if (type == MATCH_RE || type == MATCH_NRE) TRY(regex_new_matching(&re, value, words));
    *m = (struct matcher){
        .type = type, .name = arena_str(a, name), .value = arena_str(a, value), .re = re
    };
    return OK;
}

errc matcher_init(
    struct matcher *m, struct arena *a, enum match_type type, str name, str value, struct err *e)
{
    SCOPED(buf_fini) struct buf words = { 0 };
    errc rc = matcher_init_words(m, a, type, name, value, &words);
    return rc == OK ? OK : err_set_str(e, rc, buf_view(&words));
}

void matcher_fini(struct matcher *m)
{
    regex_free(m->re);
    m->re = NULL;
}

void matchers_fini(struct matchers ms)
{
    for (size_t i = 0; i < ms.n; i++) matcher_fini((struct matcher *)&ms.at[i]);
}

bool matcher_matches(const struct matcher *m, str value)
{
    switch (m->type) {
    case MATCH_EQ: return str_eq(value, m->value);
    case MATCH_NE: return !str_eq(value, m->value);
    case MATCH_RE: return regex_match(m->re, value);
    case MATCH_NRE: return !regex_match(m->re, value);
    }
    assert(!"a matcher without a type");
    return false;
}

bool matchers_match(struct matchers ms, struct labels l)
{
    for (size_t i = 0; i < ms.n; i++)
        if (!matcher_matches(&ms.at[i], labels_get(l, ms.at[i].name))) return false;
    return true;
}

void matchers_named(str_list *out, struct matchers ms)
{
    for (size_t i = 0; i < ms.n; i++)
        if (!matcher_matches_empty(&ms.at[i])) vec_push(out, ms.at[i].name);
    strs_sort(out->at, out->n);
}

bool matchers_left(
    struct matchers *out, struct matchers ms, struct labels fixed, struct arena *a)
{
    struct matcher *at = arena_array(a, ms.n, sizeof(*at));
    size_t n = 0;
    for (size_t i = 0; i < ms.n; i++) {
        if (!labels_has(fixed, ms.at[i].name)) at[n++] = ms.at[i];
        else if (!matcher_matches(&ms.at[i], labels_get(fixed, ms.at[i].name))) return false;
    }
    *out = (struct matchers){ at, n };
    return true;
}

void buf_matcher(struct buf *b, const struct matcher *m)
{
    buf_label_name(b, m->name);
    buf_str(b, match_ops[m->type]);
    buf_go_quote(b, m->value);
}
