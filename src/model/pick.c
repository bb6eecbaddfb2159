#include "model/pick.h"

#include "base/strs.h"

#include <stdlib.h>

static bool is_re(const struct matcher *m) { return m->type == MATCH_RE || m->type == MATCH_NRE; }
static bool is_negative(const struct matcher *m)
{
    return m->type == MATCH_NE || m->type == MATCH_NRE;
}

/* False: the matcher changes nothing. *none: it accepts nothing. */
static bool pick_of(const str_list *named, const struct matcher *m, struct pick *p, bool *none)
{
    bool empty = matcher_matches_empty(m), set = strs_has(named->at, named->n, m->name);
    str pattern = is_re(m) ? regex_pattern(m->re) : STR_EMPTY;
    *p = (struct pick){ .m = m };
    if (!m->name.n && !is_re(m) && !m->value.n) {
        *none = m->type == MATCH_NE;           /* ""="": every series */
        return false;
    }
    if (is_re(m) && str_eq(pattern, S(".*"))) {
        *none = m->type == MATCH_NRE;
        return false;
    }
    if (is_re(m) && str_eq(pattern, S(".+"))) {
        p->kind = PICK_NAME;
        p->subtract = m->type == MATCH_NRE;
    } else if (!is_re(m) && !m->value.n && is_negative(m) == set) {
        /* l!="": who has the name; l="" alone: who has not */
        p->kind = PICK_NAME;
        p->subtract = !set;
    } else if (!set || (is_negative(m) && empty)) {
        p->kind = PICK_REFUSED;
        p->subtract = true;
    }
    return true;
}

static unsigned cost_of(const struct pick *p)
{
    if (p->subtract) return 4;
    if (p->kind == PICK_NAME) return 3;
    return p->m->type == MATCH_EQ ? 0 : is_re(p->m) ? 2 : 1;
}

static int pick_cmp(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    unsigned cx = cost_of(x), cy = cost_of(y);
    return cx != cy ? (cx > cy) - (cx < cy) : (x->m > y->m) - (x->m < y->m);
}

bool picks_of(picks *out, struct matchers ms)
{
    bool none = false;
    str_list named = { 0 };
    out->n = 0;
    matchers_named(&named, ms);
    for (size_t i = 0; i < ms.n && !none; i++) {
        struct pick p;
        if (pick_of(&named, &ms.at[i], &p, &none)) vec_push(out, p);
    }
    vec_fini(&named);
    if (none) return false;
    if (out->n) qsort(out->at, out->n, sizeof(*out->at), pick_cmp);
    return true;
}

/* What stands in a matcher: the values that = and =~ accept, that != and !~ refuse. */
const str *pick_values(const struct pick *p, size_t *n)
{
    *n = 0;
    if (p->kind == PICK_NAME || is_negative(p->m) != (p->kind == PICK_REFUSED)) return NULL;
    if (is_re(p->m)) return regex_set_matches(p->m->re, n);
    *n = 1;
    return &p->m->value;
}

str pick_prefix(const struct pick *p)
{
    bool accepted =
        is_re(p->m) && p->kind != PICK_NAME && is_negative(p->m) == (p->kind == PICK_REFUSED);
    return accepted ? regex_prefix(p->m->re) : STR_EMPTY;
}
