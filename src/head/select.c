/* select.c — which series match: matchers to postings.
 *
 * A matcher that accepts the empty string also accepts series without the label, of which there is
 * no list. So a name is "set" if one of its matchers refuses the empty string; matchers on other
 * names, and negative ones that accept the empty string, are answered by subtracting what they do
 * not accept. Cheap look-ups first, subtractions last; an empty intersection ends it.
 */
#include "head/head_impl.h"

#include "base/strs.h"

#include <stdlib.h>

enum { ASK_COST = 16 };

static bool is_re(const struct matcher *m) { return m->type == MATCH_RE || m->type == MATCH_NRE; }
static bool is_negative(const struct matcher *m)
{
    return m->type == MATCH_NE || m->type == MATCH_NRE;
}

static void select_name(struct head *h, str name, runs *out)
{
    uint32_t id = symbols_find_name(&h->series.symbols, name);
    if (id) postings_read(&symbols_name_at(&h->series.symbols, id)->series, out);
}

static void select_value(struct head *h, uint32_t name, str value, runs *out)
{
    uint32_t pair = value.n ? symbols_find_pair(&h->series.symbols, name, value) : 0;
    if (pair) postings_gather(&symbols_pair_at(&h->series.symbols, pair)->series, out);
}

/* The union of the lists of all values of the name for which matcher_matches() is `accept`. */
static void select_scan(struct head *h, const struct matcher *m, bool accept, runs *out)
{
    struct symbols *sy = &h->series.symbols;
    uint32_t name = symbols_find_name(sy, m->name);
    if (!name) return;
    str prefix = m->re && m->type == MATCH_RE && accept ? regex_prefix(m->re) : STR_EMPTY;
    uint64_t begins = text_begins(prefix), mask = ~(prefix.n < 8 ? ~0ull >> 8 * prefix.n : 0);
    uint32_t id =
        atomic_load_explicit(&symbols_name_at(sy, name)->first_pair, memory_order_acquire);
    while (id) {
        const struct sym_pair *p = symbols_pair_at(sy, id);
        if ((p->begins & mask) == begins && matcher_matches(m, symbols_text(sy, p->text)) == accept)
            postings_gather(&p->series, out);
        id = atomic_load_explicit(&p->next, memory_order_acquire);
    }
}

static void select_list(struct head *h, const struct matcher *m, bool inverse, runs *out)
{
    bool negative = is_negative(m);
    uint32_t name = symbols_find_name(&h->series.symbols, m->name);
    if (!name) return;
    /* The values that stand in the matcher: those it accepts (=, =~), or does not (!=, !~). */
    if (negative == inverse && !is_re(m)) {
        select_value(h, name, m->value, out);
    } else {
        size_t n = 0;
        const str *v = negative == inverse ? regex_set_matches(m->re, &n) : NULL;
        for (size_t i = 0; i < n; i++) select_value(h, name, v[i], out);
        if (!n) select_scan(h, m, !inverse, out);
    }
    runs_sort(out);
}

/* How a matcher takes part. */
struct part {
    const struct matcher *m;
    bool subtract, inverse, whole_name;
    unsigned cost;
    uint64_t count;                            /* of exact ones: the fewest come first */
};

/* False: the matcher changes nothing. *none: it accepts nothing. */
static bool part_of(const str_list *named, const struct matcher *m, struct part *p, bool *none)
{
    bool empty = matcher_matches_empty(m), set = strs_has(named->at, named->n, m->name);
    *p = (struct part){ .m = m };
    if (is_re(m) && str_eq(regex_pattern(m->re), S(".*"))) {
        *none = m->type == MATCH_NRE;
        return false;
    }
    if (is_re(m) && str_eq(regex_pattern(m->re), S(".+"))) {
        p->whole_name = true;
        p->subtract = m->type == MATCH_NRE;
    } else if (!is_re(m) && !m->value.n && is_negative(m) == set) {
        /* l!="": who has the name; l="" alone: who has not */
        p->whole_name = true;
        p->subtract = !set;
    } else if (set && !(is_negative(m) && empty)) {
        p->cost = m->type == MATCH_EQ ? 0 : is_re(m) ? 2 : 1;
    } else {
        /* absent labels match: take away the values that do not */
        p->subtract = p->inverse = true;
    }
    if (p->subtract) p->cost = 3;
    return true;
}

static int part_cmp(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->cost != y->cost) return x->cost < y->cost ? -1 : 1;
    if (x->count != y->count) return x->count < y->count ? -1 : 1;
    return (x->m > y->m) - (x->m < y->m);
}

static void part_list(struct head *h, const struct part *p, runs *out)
{
    if (p->whole_name) select_name(h, p->m->name, out);
    else select_list(h, p->m, p->inverse, out);
}

/* Of few series each is asked whether it has the pair of an exact matcher, instead of reading the
 * list of all that have it. *done: so it was. */
static void part_ask(struct head *h, const struct part *p, const runs *of, runs *out, bool *done)
{
    struct symbols *sy = &h->series.symbols;
    const struct matcher *m = p->m;
    *done = false;
    if (p->subtract || p->whole_name || m->type != MATCH_EQ) return;
    uint32_t name = symbols_find_name(sy, m->name),
             pair = name ? symbols_find_pair(sy, name, m->value) : 0;
    if (!pair || runs_count(of) * ASK_COST > postings_bytes(&symbols_pair_at(sy, pair)->series))
        return;
    out->n = 0;
    for (size_t i = 0; i < of->n; i++)
        for (snum n = of->at[i].start; n < of->at[i].end; n++) {
            uint32_t slot = series_slot_of(&h->series, n);
            if (slot && series_has_pair(&h->series, slot, pair)) runs_push(out, n, n + 1);
        }
    *done = true;
}

/* How many series an exact matcher accepts, as far as that is known without reading. */
static uint64_t part_count(struct head *h, const struct part *p)
{
    struct symbols *sy = &h->series.symbols;
    if (p->subtract || p->whole_name || p->m->type != MATCH_EQ) return 0;
    uint32_t name = symbols_find_name(sy, p->m->name),
             pair = name ? symbols_find_pair(sy, name, p->m->value) : 0;
    return pair ? postings_count(&symbols_pair_at(sy, pair)->series) : 0;
}

errc head_select(struct head *h, struct matchers ms, runs *out, struct err *e)
{
    (void)e;
    out->n = 0;
    struct part *parts = mem_alloc_array(ms.n + 1, sizeof(*parts));
    size_t n = 0;
    bool none = false;
    str_list named = { 0 };
    matchers_named(&named, ms);
    for (size_t i = 0; i < ms.n && !none; i++)
        if (part_of(&named, &ms.at[i], &parts[n], &none)) n++;
    vec_fini(&named);
    for (size_t i = 0; n > 1 && i < n; i++) parts[i].count = part_count(h, &parts[i]);
    if (n) qsort(parts, n, sizeof(*parts), part_cmp);
    if (!none) {
        if (!n || parts[0].subtract) postings_read(&h->series.all, out);
        bool begun = !n || parts[0].subtract;
        runs list = { 0 }, joined = { 0 };
        for (size_t i = 0; i < n && (!begun || out->n); i++) {
            bool asked = false;
            list.n = 0;
            if (begun) part_ask(h, &parts[i], out, &joined, &asked);
            if (!asked) part_list(h, &parts[i], begun ? &list : out);
            if (begun) {
                if (parts[i].subtract) runs_sub(&joined, out, &list);
                else if (!asked) runs_and(&joined, out, &list);
                runs t = *out;
                *out = joined;
                joined = t;
            }
            begun = true;
        }
        vec_fini(&list);
        vec_fini(&joined);
    }
    mem_free(parts);
    return OK;
}
