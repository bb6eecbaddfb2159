#include "api/fuzzy.h"

#include "base/utf8.h"
#include "base/vec.h"

typedef VEC(uint32_t) runes;

struct term { runes text; };
struct fuzzy {
    struct fuzzy_opts o;
    struct term *terms;
    size_t n;
    runes value;                               /* room */
    VEC(bool) used_a, used_b;                  /* room */
};

/* Of the alphabets that have upper case and are common in names; the rest stays as it is. */
static uint32_t rune_lower(uint32_t c)
{
    static const struct { uint32_t from, to, add; } ranges[] = {
        { 'A', 'Z', 32 }, { 0xc0, 0xd6, 32 }, { 0xd8, 0xde, 32 }, { 0x391, 0x3a1, 32 },
        { 0x3a3, 0x3ab, 32 }, { 0x400, 0x40f, 80 }, { 0x410, 0x42f, 32 },
    };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (c >= ranges[i].from && c <= ranges[i].to) return c + ranges[i].add;
    return c;
}

static void runes_of(runes *out, str s, bool fold)
{
    out->n = 0;
    while (s.n) {
        size_t n;
        uint32_t c = utf8_rune(s, &n);
        vec_push(out, fold ? rune_lower(c) : c);
        s = str_from(s, n);
    }
}

struct fuzzy *fuzzy_new(struct arena *a, const struct fuzzy_opts *o, const str *terms, size_t n)
{
    struct fuzzy *f = ANEW(a, struct fuzzy);
    *f = (struct fuzzy){ .o = *o, .terms = arena_array(a, n, sizeof(*f->terms)) };
    for (size_t i = 0; i < n; i++) {
        if (!terms[i].n) continue;
        f->terms[f->n] = (struct term){ 0 };
        runes_of(&f->terms[f->n++].text, terms[i], o->fold_case);
    }
    return f->n ? f : NULL;
}

void fuzzy_fini(struct fuzzy *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->n; i++) vec_fini(&f->terms[i].text);
    vec_fini(&f->value);
    vec_fini(&f->used_a);
    vec_fini(&f->used_b);
}

static bool runes_at(const runes *v, size_t at, const runes *what)
{
    if (v->n - at < what->n) return false;
    for (size_t i = 0; i < what->n; i++)
        if (v->at[at + i] != what->at[i]) return false;
    return true;
}

/* The earlier it stands the better: 1 at the beginning, down to 0.1. */
static bool substring(const runes *v, const runes *q, double *score)
{
    if (q->n > v->n) return false;
    for (size_t i = 0; i + q->n <= v->n; i++) {
        if (!runes_at(v, i, q)) continue;
        size_t most = v->n - q->n;
        *score = !i || !most ? 1.0 : 1.0 - 0.9 * (double)i / (double)most;
        return true;
    }
    return false;
}

/* One way to find q in v in its order, from `at` on: squares of the lengths of runs, less gaps. */
static bool subsequence_from(const runes *v, const runes *q, size_t at, double *out)
{
    double inv = 1.0 / (double)v->n, score = 0;
    size_t k = 0, i = at, end = 0;                             /* end: after the last run */
    while (i < v->n && k < q->n) {
        if (v->at[i] != q->at[k]) {
            i++;
            continue;
        }
        size_t from = i;
        while (i < v->n && k < q->n && v->at[i] == q->at[k]) i++, k++;
        size_t gap = from - end, size = i - from;
        if (gap) score -= (double)gap * inv;
        score += (double)(size * size);
        end = i;
    }
    if (k < q->n) return false;
    if (v->n > end) score -= (double)(v->n - end) * inv * 0.5;
    *out = score;
    return true;
}

static double subsequence(const runes *v, const runes *q)
{
    static const double NOT_EXACT = 0.999;
    double best = -1, one;
    if (q->n > v->n) return 0;
    if (v->n == q->n && runes_at(v, 0, q)) return 1;
    for (size_t i = 0; i + q->n <= v->n; i++) {
        if (v->at[i] != q->at[0]) continue;
        if (!subsequence_from(v, q, i, &one)) break;           /* nor from any later place */
        if (one > best) best = one;
    }
    return best < 0 ? 0 : best / (double)(q->n * q->n) * NOT_EXACT;
}

/* How many characters of a (the shorter) are in b near the same place; noted in used_a, used_b. */
static double jaro_matches(struct fuzzy *f, const runes *a, const runes *b)
{
    size_t reach = b->n / 2 > 0 ? b->n / 2 - 1 : 0;
    double matches = 0;
    vec_reserve(&f->used_a, a->n);
    vec_reserve(&f->used_b, b->n);
    memset(f->used_a.at, 0, a->n * sizeof(bool));
    memset(f->used_b.at, 0, b->n * sizeof(bool));
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = i > reach ? i - reach : 0; k < MIN(i + reach + 1, b->n); k++) {
            if (f->used_b.at[k] || a->at[i] != b->at[k]) continue;
            f->used_a.at[i] = f->used_b.at[k] = true;
            matches++;
            break;
        }
    }
    return matches;
}

static double jaro_winkler(struct fuzzy *f, const runes *x, const runes *y)
{
    if (x->n == y->n && runes_at(x, 0, y)) return 1;
    if (!x->n || !y->n) return 0;
    const runes *a = x->n > y->n ? y : x, *b = x->n > y->n ? x : y;
    double matches = jaro_matches(f, a, b), swapped = 0;
    if (matches == 0) return 0;
    for (size_t i = 0, k = 0; i < a->n; i++) {
        if (!f->used_a.at[i]) continue;
        while (!f->used_b.at[k]) k++;
        swapped += a->at[i] != b->at[k++];
    }
    double inv_a = 1.0 / (double)a->n, inv_b = 1.0 / (double)b->n;
    double jaro = (matches * inv_a + matches * inv_b + (matches - swapped * 0.5) / matches) / 3.0;
    size_t prefix = 0;
    while (prefix < MIN((size_t)4, a->n) && a->at[prefix] == b->at[prefix]) prefix++;
    return jaro + (double)prefix * 0.1 * (1.0 - jaro);
}

static bool term_accepts(struct fuzzy *f, const struct term *t, double *score)
{
    if (f->o.kind == FUZZY_SUBSEQUENCE) {
        *score = runes_at(&f->value, 0, &t->text) ? 1 : subsequence(&f->value, &t->text);
        return *score > 0 && *score >= f->o.threshold;
    }
    if (substring(&f->value, &t->text, score)) return true;
    if (f->o.threshold <= 0) return false;
    *score = jaro_winkler(f, &t->text, &f->value);
    return *score >= f->o.threshold;
}

bool fuzzy_accepts(struct fuzzy *f, str value, double *score)
{
    bool any = false;
    double one;
    *score = 0;
    runes_of(&f->value, value, f->o.fold_case);
    for (size_t i = 0; i < f->n && *score < 1; i++) {
        if (!term_accepts(f, &f->terms[i], &one)) continue;
        any = true;
        *score = MAX(*score, one);
    }
    return any;
}
