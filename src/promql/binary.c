/* Binary operators.
 *
 * Both sides are kept as columns. Rows are matched once: a signature (the labels that must be
 * equal) gets a number, and every pair of a left and a right row of one number is one operation on
 * two columns. What Prometheus checks at each step (two rows of one signature on the "one" side,
 * two matches for one result) becomes an overlap of bitmaps; of the errors found, the one that a
 * walk step by step would have met first is reported. */
#include "promql/eval.h"

#include "base/f64_math.h"
#include "base/strs.h"

#include <math.h>

/* A remainder is exact, so there is a short way to it: of a quotient that is rounded to an integer
 * too large by one the remainder has the other sign, and is exact, too. */
static double exact_mod(double a, double b)
{
    double q = a / b;
    if (!(fabs(q) < 0x1p52)) return fmod(a, b);
    double whole = (double)(int64_t)q;
    if (whole == 0) return a;
    double r = fma(-whole, b, a);
    if (r == 0) return copysign(r, a);
    return (r < 0) == (a < 0) ? r : r + copysign(b, a);
}

double binary_op(enum promql_op op, double a, double b)
{
    switch (op) {
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_MUL: return a * b;
    case OP_DIV: return a / b;
    case OP_MOD: return exact_mod(a, b);
    case OP_POW: return f64_pow(a, b);
    case OP_ATAN2: return f64_atan2(a, b);
    case OP_EQL: return a == b;
    case OP_NEQ: return a != b;
    case OP_LSS: return a < b;
    case OP_LTE: return a <= b;
    case OP_GTR: return a > b;
    case OP_GTE: return a >= b;
    default: return NAN;
    }
}

static bool op_drops_name(enum promql_op op) { return op >= OP_ADD && op <= OP_ATAN2; }

static void columns_part(
    enum promql_op op, double *out, const double *a, const double *b, size_t n)
{
    switch (op) {
    case OP_ADD: for (size_t i = 0; i < n; i++) out[i] = a[i] + b[i]; break;
    case OP_SUB: for (size_t i = 0; i < n; i++) out[i] = a[i] - b[i]; break;
    case OP_MUL: for (size_t i = 0; i < n; i++) out[i] = a[i] * b[i]; break;
    case OP_DIV: for (size_t i = 0; i < n; i++) out[i] = a[i] / b[i]; break;
    case OP_EQL: for (size_t i = 0; i < n; i++) out[i] = a[i] == b[i]; break;
    case OP_NEQ: for (size_t i = 0; i < n; i++) out[i] = a[i] != b[i]; break;
    case OP_LSS: for (size_t i = 0; i < n; i++) out[i] = a[i] < b[i]; break;
    case OP_LTE: for (size_t i = 0; i < n; i++) out[i] = a[i] <= b[i]; break;
    case OP_GTR: for (size_t i = 0; i < n; i++) out[i] = a[i] > b[i]; break;
    case OP_GTE: for (size_t i = 0; i < n; i++) out[i] = a[i] >= b[i]; break;
    default: for (size_t i = 0; i < n; i++) out[i] = binary_op(op, a[i], b[i]); break;
    }
}

/* What ends the query is seen at its next check: out is then of no use. */
static void columns_op(
    struct query *q, enum promql_op op, double *out, const double *a, const double *b, size_t n)
{
    STEPS_PARTS(p, q, n)
    columns_part(op, out + p.from, a + p.from, b + p.from, p.to - p.from);
}

/* The result of one pair of columns. A comparison without bool filters: present loses the steps
 * where it is false, and the value is `keep`. a or b may be the same as out. present: the steps
 * where both are, and what is left of them. */
static void pair_apply(struct query *q, enum promql_op op, bool return_bool, double *out,
    uint64_t *present, const double *a, const double *b, const double *keep, size_t n)
{
    struct arena *scratch = &q->scratch;
    if (!promql_op_is_comparison(op) || return_bool) {
        columns_op(q, op, out, a, b, n);
        return;
    }
    struct arena_mark m = arena_mark(scratch);
    double *truth = arena_array(scratch, MIN(n, (size_t)STEPS_PART), sizeof(*truth));
    STEPS_PARTS(p, q, n)
    {
        columns_part(op, truth, a + p.from, b + p.from, p.to - p.from);
        for (size_t w = p.from / 64; w < bits_words(p.to); w++) {
            uint64_t yes = 0;
            for (size_t k = w * 64; present[w] && k < MIN(w * 64 + 64, n); k++)
                yes |= (uint64_t)(truth[k - p.from] != 0) << (k % 64);
            present[w] &= yes;
        }
    }
    if (out != keep) arena_copy(scratch, out, keep, n * sizeof(*out));
    arena_reset(scratch, m);
}

/* Neither side is a vector */

static errc binary_push_joined(struct joiner *j, uint64_t before,
    const struct step_counts *const *in, size_t n_in, struct sink *out)
{
    TRY(joiner_check(j));
    TRY(samples_node_end(j->ev, before, in, n_in, &j->counts));
    return joiner_push(j, out);
}

static errc binary_scalars(struct eval *ev, struct expr *x, struct sink *out)
{
    const double *a, *b;
    int64_t before = ev->q->samples;
    TRY(eval_column(ev, x->binary.lhs, &a));
    TRY(eval_column(ev, x->binary.rhs, &b));
    SCOPED(joiner_fini) struct joiner j;
    joiner_init(&j, ev);
    struct row r = { .v = arena_array(ev->q->arena, ev->g.n, sizeof(double)) };
    columns_op(ev->q, x->binary.op, r.v, a, b, ev->g.n);
    joiner_add(&j, &r);
    const struct step_counts *in[] = { &j.counts, &j.counts };
    return binary_push_joined(&j, before, in, 2, out);
}

/* Histograms */

/* What Prometheus notes of a step: what the last pair that something is to be said of gave. */
enum pair_note { NOTE_NONE, NOTE_TYPES, NOTE_BUCKETS, NOTE_COLLISION, NOTE_RECONCILED };
/* types: bit 0: the left is a histogram, bit 1: the right */
struct step_notes { uint8_t *kind, *types; size_t n; bool any; };

static void step_notes_init(struct step_notes *s, struct arena *a, size_t n)
{
    *s = (struct step_notes){ .kind = arena_zalloc(a, n), .types = arena_zalloc(a, n), .n = n };
}

static void step_notes_set(
    struct step_notes *s, size_t step, enum pair_note kind, bool left, bool right)
{
    s->kind[step] = (uint8_t)kind;
    s->types[step] = (uint8_t)(left | right << 1);
    s->any = true;
}

static void step_notes_tell(const struct step_notes *s, struct query *q, const struct expr *x)
{
    static const char *const types[] = { "float", "histogram" };
    struct annotations *an = &q->annotations;
    str op = promql_op_text(x->binary.op);
    enum histogram_operation what =
        x->binary.op == OP_SUB ? HISTOGRAM_SUBTRACTION : HISTOGRAM_ADDITION;
    STEPS_EACH(i, q, s->any ? s->n : 0) {
        switch ((enum pair_note)s->kind[i]) {
        case NOTE_NONE: break;
        case NOTE_TYPES:
            anno_incompatible_types(
                an, types[s->types[i] & 1], op, types[s->types[i] >> 1], x->pos);
            break;
        case NOTE_BUCKETS: anno_incompatible_buckets(an, op, x->pos); break;
        case NOTE_COLLISION: anno_reset_collision(an, what, x->pos); break;
        case NOTE_RECONCILED: anno_bounds_reconciled(an, what, x->pos); break;
        }
    }
}

struct pair_value { double v; const struct histogram *h; bool keep; enum pair_note note; };

static struct pair_value histograms_op(
    enum promql_op op, const struct histogram *a, const struct histogram *b, struct arena *room)
{
    struct pair_value r = { .keep = true };
    if (op == OP_EQL || op == OP_NEQ)
        return (struct pair_value){ .h = a, .keep = histogram_equal(a, b) == (op == OP_EQL) };
    if (op != OP_ADD && op != OP_SUB) return (struct pair_value){ .note = NOTE_TYPES };
    struct histogram *h = histogram_copy(room, a);
    struct histogram_merge m;
    if (histogram_add(room, h, b, op == OP_SUB ? -1 : 1, &m) != OK)
        return (struct pair_value){ .note = NOTE_BUCKETS };
    if (op == OP_SUB) h->hint = RESET_GAUGE;
    histogram_compact(room, h);
    r.h = h;
    r.note = m.reset_collision ? NOTE_COLLISION : m.bounds_reconciled ? NOTE_RECONCILED : NOTE_NONE;
    return r;
}

/* One step of one pair in which at least one side is a histogram. */
static struct pair_value pair_op(enum promql_op op, double a, const struct histogram *ha, double b,
    const struct histogram *hb, struct arena *room)
{
    if (ha && hb) return histograms_op(op, ha, hb, room);
    struct histogram *h;
    if (op == OP_MUL) {
        h = histogram_copy(room, ha ? ha : hb);
        histogram_scale(h, ha ? b : a);
    } else if (op == OP_DIV && ha) {
        h = histogram_copy(room, ha);
        histogram_divide(h, b);
    } else if ((op == OP_TRIM_UPPER || op == OP_TRIM_LOWER) && ha) {
        h = histogram_copy(room, ha);
        histogram_trim(room, h, b, op == OP_TRIM_UPPER);
        return (struct pair_value){ .h = h, .keep = true };
    } else {
        return (struct pair_value){ .note = NOTE_TYPES };
    }
    histogram_compact(room, h);
    return (struct pair_value){ .h = h, .keep = true };
}

static bool op_is_trim(enum promql_op op) { return op == OP_TRIM_UPPER || op == OP_TRIM_LOWER; }

/* The steps of a pair with a histogram on a side (or of a trim, which knows nothing else). Columns
 * are set for them, and present loses those that fail or are filtered. *failed: the steps at which
 * there is no result because the two do not go together. */
struct pair { const double *a, *b; const struct histogram **ha, **hb; };
static void pair_histograms(enum promql_op op, bool return_bool, const struct pair *p,
    struct row *out, uint64_t *failed, size_t n, struct step_notes *notes, struct arena *room)
{
    BITS_EACH(i, out->present, n) {
        const struct histogram *ha = p->ha ? p->ha[i] : NULL, *hb = p->hb ? p->hb[i] : NULL;
        if (!ha && !hb && !op_is_trim(op)) continue;
        struct pair_value r = ha || hb ? pair_op(op, p->a[i], ha, p->b[i], hb, room)
                                       : (struct pair_value){ .note = NOTE_TYPES };
        if (r.note) step_notes_set(notes, i, r.note, ha, hb);
        if (r.note == NOTE_TYPES || r.note == NOTE_BUCKETS || r.note == NOTE_COLLISION) {
            bits_clear(out->present, i);
            bits_set(failed, i);
        } else if (return_bool && promql_op_is_comparison(op)) {
            out->v[i] = r.keep;
        } else if (!r.keep) {
            bits_clear(out->present, i);
        } else {
            if (!out->hist) out->hist = arena_zalloc(room, n * sizeof(*out->hist));
            out->hist[i] = r.h;
        }
    }
}

/* A vector and a scalar */

struct scalar_side {
    struct sink base;
    struct eval *ev;
    const struct expr *x;
    const double *scalar;
    bool swap;
    struct joiner out;
    struct step_counts in;
    struct step_notes notes;
};

static errc scalar_side_row(struct sink *base, struct row *r)
{
    struct scalar_side *s = CONTAINER_OF(base, struct scalar_side, base);
    struct query *q = s->ev->q;
    enum promql_op op = s->x->binary.op;
    bool swap = s->swap, return_bool = s->x->binary.return_bool;
    size_t n = s->ev->g.n;
    struct arena_mark m = arena_mark(&q->scratch);
    step_counts_add(&s->in, r);
    struct row out = *r;
    if (r->hist || op_is_trim(op)) {
        row_own_present(&q->scratch, &out, n);
        out.hist = NULL;
        struct pair p = { swap ? s->scalar : r->v, swap ? r->v : s->scalar, swap ? NULL : r->hist,
            swap ? r->hist : NULL };
        uint64_t *failed = arena_zalloc(&q->scratch, bits_words(n) * sizeof(*failed));
        pair_histograms(op, return_bool, &p, &out, failed, n, &s->notes, &q->scratch);
    }
    if (!op_is_trim(op)) {
        bool filter = promql_op_is_comparison(op) && !return_bool;
        if (filter) row_own_present(&q->scratch, &out, n);
        pair_apply(q, op, return_bool, out.v, out.present, swap ? s->scalar : r->v,
            swap ? r->v : s->scalar, r->v, n);
    }
    if (op_drops_name(op) || return_bool) row_drop_name(q, &out);
    errc rc = joiner_put(&s->out, &out);
    arena_reset(&q->scratch, m);
    return rc;
}

static void scalar_side_fini(struct scalar_side *s) { joiner_fini(&s->out); }

static errc binary_with_scalar(struct eval *ev, struct expr *x, bool swap, struct sink *out)
{
    SCOPED(scalar_side_fini)
    struct scalar_side s = { .base = { scalar_side_row }, .ev = ev, .x = x, .swap = swap };
    joiner_init(&s.out, ev);
    step_counts_init(&s.in, ev->q->arena, ev->g.n);
    step_notes_init(&s.notes, ev->q->arena, ev->g.n);
    int64_t before = ev->q->samples;
    struct late late = { 0 };
    errc rc = swap ? eval_column(ev, x->binary.lhs, &s.scalar)
                   : eval_column_late(ev, x->binary.rhs, &s.scalar, &late);
    if (rc != OK) return swap ? rc : eval_fail_behind(ev, x->binary.lhs, rc);
    s.in.dense++;
    TRY(joiner_direct(&s.out, swap ? x->binary.rhs : x->binary.lhs, out));
    TRY(eval_expr(ev, swap ? x->binary.rhs : x->binary.lhs, &s.base));
    TRY(late_count(ev, &late));
    step_notes_tell(&s.notes, ev->q, x);
    const struct step_counts *in[] = { &s.in };
    return binary_push_joined(&s.out, before, in, 1, out);
}

/* Two vectors */

struct side { struct rows_sink in; size_t *sig; uint64_t *any; };           /* sig: of each row */
/* the earliest found; step == n: none */
struct failure { size_t step; unsigned phase; size_t order; const struct row *a, *b; };
enum { PHASE_ONE_SIDE, PHASE_MATCH, PHASE_MATCH_FILL, PHASE_RESULT };

struct joining {
    struct eval *ev;
    const struct expr *x;
    const struct vector_matching *m;
    size_t n;                              /* steps */
    struct side l, r;
    struct label_set sigs;
    const str *names;                      /* of the signature, sorted */
    size_t n_names;
    struct joiner out;
    struct failure fail;
    struct step_notes notes;
    struct watch watch;
};

static struct labels joining_signature(const struct joining *j, struct labels l)
{
    struct arena *a = &j->ev->q->scratch;
    return j->m->on ? labels_only(a, l, j->names, j->n_names)
                    : labels_without(a, l, j->names, j->n_names);
}

static void joining_names(struct joining *j)
{
    struct arena *a = j->ev->q->arena;
    str *at = arena_array(a, j->m->labels.n + 1, sizeof(*at));
    for (size_t i = 0; i < j->m->labels.n; i++) at[j->n_names++] = j->m->labels.at[i];
    if (!j->m->on) at[j->n_names++] = METRIC_NAME;
    strs_sort(at, j->n_names);
    j->names = at;
}

static errc side_finish(struct joining *j, struct side *s)
{
    struct arena *a = j->ev->q->arena, *scratch = &j->ev->q->scratch;
    s->sig = arena_array(a, s->in.rows.all.n, sizeof(*s->sig));
    s->any = arena_zalloc(a, bits_words(j->n) * sizeof(uint64_t));
    struct arena_mark m = arena_mark(scratch);
    for (size_t i = 0; i < s->in.rows.all.n && !watch_ends(&j->watch); i++) {
        bool fresh;
        struct row *r = &s->in.rows.all.at[i];
        s->sig[i] = label_set_add(&j->sigs, joining_signature(j, r->labels), &fresh);
        if (!r->present) {
            r->present = arena_array(a, bits_words(j->n), sizeof(uint64_t));
            bits_fill(r->present, j->n);
        }
        for (size_t w = 0; w < bits_words(j->n); w++) s->any[w] |= r->present[w];
        arena_reset(scratch, m);
    }
    return j->watch.rc;
}

static void joining_init(struct joining *j, struct eval *ev, const struct expr *x)
{
    *j = (struct joining){
        .ev = ev, .x = x, .m = x->binary.matching, .n = ev->g.n, .watch = { ev->q }
    };
    rows_sink_init(&j->l.in, ev->q->arena, j->n);
    rows_sink_init(&j->r.in, ev->q->arena, j->n);
    label_set_init(&j->sigs, ev->q->arena);
    joiner_init(&j->out, ev);
    step_notes_init(&j->notes, ev->q->arena, j->n);
    j->fail.step = j->n;
    joining_names(j);
}

static void joining_fini(struct joining *j)
{
    rows_fini(&j->l.in.rows);
    rows_fini(&j->r.in.rows);
    label_set_fini(&j->sigs);
    joiner_fini(&j->out);
}

static uint64_t *joining_bits(struct joining *j)
{
    return arena_zalloc(j->ev->q->arena, bits_words(j->n) * sizeof(uint64_t));
}

/* Presence of each signature on a side. */
static uint64_t **side_presence(struct joining *j, const struct side *s)
{
    uint64_t **of = arena_zalloc(j->ev->q->arena, j->sigs.n * sizeof(*of));
    for (size_t i = 0; i < s->in.rows.all.n && !watch_ends(&j->watch); i++) {
        uint64_t **b = &of[s->sig[i]];
        if (!*b) *b = joining_bits(j);
        for (size_t w = 0; w < bits_words(j->n); w++) (*b)[w] |= s->in.rows.all.at[i].present[w];
    }
    return of;
}

/* and, or, unless: rows go on where their signature is, or is not, on the other side */

enum set_keep { KEEP_ALL, KEEP_IF, KEEP_UNLESS };

static void set_rows(struct joining *j, struct side *s, uint64_t *const *other, enum set_keep keep)
{
    for (size_t i = 0; i < s->in.rows.all.n && !watch_ends(&j->watch); i++) {
        struct row *r = &s->in.rows.all.at[i];
        const uint64_t *o = other[s->sig[i]];
        if (keep != KEEP_ALL)
            for (size_t w = 0; w < bits_words(j->n); w++) {
                uint64_t there = o ? o[w] : 0;
                r->present[w] &= keep == KEEP_IF ? there : ~there;
            }
        joiner_add_staying(&j->out, r);
    }
}

static void binary_set(struct joining *j)
{
    switch (j->x->binary.op) {
    case OP_AND: set_rows(j, &j->l, side_presence(j, &j->r), KEEP_IF); break;
    case OP_UNLESS: set_rows(j, &j->l, side_presence(j, &j->r), KEEP_UNLESS); break;
    default: {
        uint64_t **left = side_presence(j, &j->l);
        set_rows(j, &j->l, left, KEEP_ALL);
        set_rows(j, &j->r, left, KEEP_UNLESS);
    }
    }
}

/* Arithmetic and comparisons */

static void joining_fail(struct joining *j, size_t step, unsigned phase, size_t order,
    const struct row *a, const struct row *b)
{
    struct failure *f = &j->fail;
    if (step > f->step || step >= j->n) return;
    if (step == f->step && (phase > f->phase || (phase == f->phase && order >= f->order))) return;
    *f = (struct failure){ step, phase, order, a, b };
}

static struct labels match_labels(const struct joining *j, struct arena *a, struct labels l)
{
    return j->m->on ? labels_only(a, l, j->names, j->n_names)
                    : labels_without(a, l, j->names, j->n_names);
}

static errc joining_raise(struct joining *j)
{
    struct query *q = j->ev->q;
    const struct failure *f = &j->fail;
    if (f->phase == PHASE_RESULT) return eval_fail_same_labels(q);
    if (f->phase != PHASE_ONE_SIDE) {
        bool one = j->m->card == CARD_ONE_TO_ONE;
        return eval_fail(q, "multiple matches for labels: %s",
            one ? "many-to-one matching must be explicit (group_left/group_right)"
                : "grouping labels must ensure unique matches");
    }
    struct buf group = { 0 }, a = { 0 }, b = { 0 };
    buf_labels(&group, match_labels(j, &q->scratch, f->b->labels));
    buf_labels(&a, f->a->labels);
    buf_labels(&b, f->b->labels);
    bool swap = str_cmp(buf_view(&b), buf_view(&a)) < 0;
    errc rc = eval_fail(q,
        "found duplicate series for the match group %.*s on the %s hand-side of the operation: "
        "[%.*s, %.*s]"
        ";many-to-many matching not allowed: matching labels must be unique on one side",
        STR_ARG(buf_view(&group)), j->m->card == CARD_ONE_TO_MANY ? "left" : "right",
        STR_ARG(buf_view(swap ? &b : &a)), STR_ARG(buf_view(swap ? &a : &b)));
    buf_fini(&group);
    buf_fini(&a);
    buf_fini(&b);
    return rc;
}

/* Labels of a result: the "many" side's, without the name if the operator makes another thing of
 * it, with what group_x includes. */
static struct labels result_labels(
    const struct joining *j, struct arena *a, struct labels many, struct labels one)
{
    const struct vector_matching *m = j->m;
    enum promql_op op = j->x->binary.op;
    bool drop = op_drops_name(op) || (j->x->binary.return_bool && !j->ev->q->delayed_names);
    struct labels l = drop ? labels_drop_metadata(a, many) : many;
    if (m->card == CARD_ONE_TO_ONE) {
        if (m->on) return labels_only(a, l, j->names, j->n_names);
        struct labels_builder lb;
        labels_builder_init(&lb, a);
        labels_builder_from(&lb, l);
        for (size_t i = 0; i < m->labels.n; i++) labels_builder_del(&lb, m->labels.at[i]);
        return labels_builder_done(&lb);
    }
    if (!m->include.n) return l;
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    labels_builder_from(&lb, l);
    for (size_t i = 0; i < m->include.n; i++)
        labels_builder_set(&lb, m->include.at[i], labels_get(one, m->include.at[i]));
    return labels_builder_done(&lb);
}

/* What has been matched so far: of a signature, and, for group_x, of a signature and the labels of
 * a result. */
struct matching_state {
    struct side *many, *one;
    uint64_t *active;                      /* steps at which anything is matched at all */
    uint64_t **matched;                    /* by signature */
    struct map by_result;                  /* group_x: (signature, result labels) -> bitmap */
};

struct result_key { size_t sig; struct labels labels; };
struct result_entry { struct result_key key; uint64_t *matched; };
static bool result_is(const void *val, const void *key)
{
    const struct result_key *a = &((const struct result_entry *)val)->key, *b = key;
    return a->sig == b->sig && labels_eq(a->labels, b->labels);
}

static uint64_t *result_matched(
    struct joining *j, struct matching_state *s, size_t sig, struct labels l)
{
    struct result_key key = { sig, l };
    uint64_t hash = labels_hash(l) ^ (sig * 0x9e3779b97f4a7c15u);
    struct result_entry *e = map_find(&s->by_result, hash, result_is, &key);
    if (e) return e->matched;
    struct arena *a = j->ev->q->arena;
    e = ANEW(a, struct result_entry);
    struct label *at = arena_array(a, l.n, sizeof(*at));
    if (l.n) memcpy(at, l.at, l.n * sizeof(*at));
    *e = (struct result_entry){ { sig, { at, l.n } }, joining_bits(j) };
    map_put(&s->by_result, hash, e);
    return e->matched;
}

/* Both present and active; false: at no step. */
static bool pair_present(const struct joining *j, const struct matching_state *s, uint64_t *out,
    const uint64_t *a, const uint64_t *b, bool not_b)
{
    uint64_t any = 0;
    for (size_t w = 0; w < bits_words(j->n); w++) {
        uint64_t there = b ? b[w] : 0;
        out[w] = s->active[w] & a[w] & (not_b ? ~there : there);
        any |= out[w];
    }
    return any != 0;
}

/* The steps of a pair at which both sides are floats; the others' columns are set. */
static void joining_floats(
    const struct joining *j, const struct pair *p, struct row *out, struct arena *scratch)
{
    enum promql_op op = j->x->binary.op;
    bool return_bool = j->x->binary.return_bool;
    if (op_is_trim(op)) return;
    if (!p->ha && !p->hb) {
        pair_apply(j->ev->q, op, return_bool, out->v, out->present, p->a, p->b, p->a, j->n);
        return;
    }
    double *v = arena_array(scratch, j->n, sizeof(*v));
    uint64_t *floats = arena_array(scratch, bits_words(j->n), sizeof(*floats));
    memcpy(floats, out->present, bits_words(j->n) * sizeof(*floats));
    for (size_t i = 0; i < j->n; i++)
        if ((p->ha && p->ha[i]) || (p->hb && p->hb[i])) bits_clear(floats, i);
    uint64_t *kept = arena_array(scratch, bits_words(j->n), sizeof(*kept));
    memcpy(kept, floats, bits_words(j->n) * sizeof(*kept));
    pair_apply(j->ev->q, op, return_bool, v, kept, p->a, p->b, p->a, j->n);
    BITS_EACH(i, floats, j->n) out->v[i] = v[i];
    for (size_t w = 0; w < bits_words(j->n); w++) out->present[w] &= ~(floats[w] & ~kept[w]);
}

/* One pair: many and one are rows, or one of them a fill value with the other's match labels.
 * order: its place in a walk of the step. once: nobody looks at `many` again, so that floats become
 * the result where they stand. */
static void joining_pair(struct joining *j, struct matching_state *s, size_t sig,
    const struct row *many, const struct row *one, uint64_t *present, unsigned phase, size_t order,
    bool once)
{
    struct arena *scratch = &j->ev->q->scratch;
    struct arena_mark m = arena_mark(scratch);
    bool swap = j->m->card == CARD_ONE_TO_MANY;
    enum promql_op op = j->x->binary.op;
    struct row out = { .labels = result_labels(j, scratch, many->labels, one->labels),
        .drop_name = j->x->binary.return_bool,
        .present = present };
    struct pair p = { swap ? one->v : many->v, swap ? many->v : one->v,
        swap ? one->hist : many->hist, swap ? many->hist : one->hist };
    once &= !p.ha && !p.hb && !op_is_trim(op);
    if (once) {
        out.v = many->v;
        out.present = memcpy(many->present, present, bits_words(j->n) * sizeof(*present));
    } else {
        out.v = arena_array(scratch, j->n, sizeof(double));
    }
    /* the steps at which there is a result, also one that is filtered out */
    uint64_t *paired = present;
    if (p.ha || p.hb || op_is_trim(op)) {
        uint64_t *failed = arena_zalloc(scratch, bits_words(j->n) * sizeof(*failed));
        paired = arena_array(scratch, bits_words(j->n), sizeof(*paired));
        memcpy(paired, present, bits_words(j->n) * sizeof(*paired));
        arena_zero(scratch, out.v, j->n * sizeof(*out.v));
        pair_histograms(op, j->x->binary.return_bool, &p, &out, failed, j->n, &j->notes, scratch);
        for (size_t w = 0; w < bits_words(j->n); w++) paired[w] &= ~failed[w];
    }
    uint64_t *matched = s->matched[sig];
    if (!matched) matched = s->matched[sig] = joining_bits(j);
    uint64_t *unique =
        j->m->card == CARD_ONE_TO_ONE ? matched : result_matched(j, s, sig, out.labels);
    joining_fail(j, bits_first_common(paired, unique, j->n), phase, order, NULL, NULL);
    for (size_t w = 0; w < bits_words(j->n); w++) {
        matched[w] |= paired[w];
        if (unique != matched) unique[w] |= paired[w];
    }
    joining_floats(j, &p, &out, scratch);
    size_t clash = j->out.clash;
    if (once) joiner_add_staying(&j->out, &out);
    else joiner_add(&j->out, &out);
    if (j->out.clash < clash) joining_fail(j, j->out.clash, PHASE_RESULT, order, NULL, NULL);
    arena_reset(scratch, m);
}

static void joining_many(struct joining *j, struct matching_state *s, struct rows_sink *many)
{
    uint64_t **ones = side_presence(j, s->one);
    uint64_t *present = joining_bits(j);
    /* of the "one" side, also where that stands on the left */
    const double *fill = j->m->fill_rhs;
    /* rows of the "one" side by signature */
    size_t n_one = s->one->in.rows.all.n,
           *next = arena_array(j->ev->q->arena, n_one, sizeof(*next));
    size_t *first = arena_array(j->ev->q->arena, j->sigs.n, sizeof(*first));
    for (size_t i = 0; i < j->sigs.n; i++) first[i] = SIZE_MAX;
    for (size_t i = n_one; i-- > 0;) {
        next[i] = first[s->one->sig[i]];
        first[s->one->sig[i]] = i;
    }
    for (size_t i = 0; i < many->rows.all.n && !watch_ends(&j->watch); i++) {
        const struct row *l = &many->rows.all.at[i];
        size_t sig = s->many->sig[i];
        for (size_t k = first[sig]; k != SIZE_MAX && !watch_ends(&j->watch); k = next[k]) {
            const struct row *o = &s->one->in.rows.all.at[k];
            bool once = k == first[sig] && next[k] == SIZE_MAX && !fill;
            if (pair_present(j, s, present, l->present, o->present, false))
                joining_pair(j, s, sig, l, o, present, PHASE_MATCH, i, once);
        }
        if (!fill || !pair_present(j, s, present, l->present, ones[sig], true)) continue;
        struct row o = { .labels = match_labels(j, j->ev->q->arena, l->labels),
            .v = arena_array(j->ev->q->arena, j->n, sizeof(double)) };
        STEPS_EACH(k, j->ev->q, j->n) o.v[k] = *fill;
        joining_pair(j, s, sig, l, &o, present, PHASE_MATCH, i, false);
    }
}

/* Rows of the "one" side that nothing matched meet the other side's fill value. */
static void joining_fill_many(struct joining *j, struct matching_state *s)
{
    const double *fill = j->m->fill_lhs;
    if (!fill) return;
    uint64_t *present = joining_bits(j);
    for (size_t i = 0; i < s->one->in.rows.all.n && !watch_ends(&j->watch); i++) {
        const struct row *o = &s->one->in.rows.all.at[i];
        size_t sig = s->one->sig[i];
        if (!pair_present(j, s, present, o->present, s->matched[sig], true)) continue;
        struct row l = { .labels = match_labels(j, j->ev->q->arena, o->labels),
            .v = arena_array(j->ev->q->arena, j->n, sizeof(double)) };
        STEPS_EACH(k, j->ev->q, j->n) l.v[k] = *fill;
        joining_pair(j, s, sig, &l, o, present, PHASE_MATCH_FILL, i, false);
    }
}

/* Two rows of one signature on the "one" side at the same step. */
static void joining_check_one_side(struct joining *j, struct matching_state *s)
{
    uint64_t **seen = arena_zalloc(j->ev->q->arena, j->sigs.n * sizeof(*seen));
    uint64_t *both = joining_bits(j);
    for (size_t i = 0; i < s->one->in.rows.all.n && !watch_ends(&j->watch); i++) {
        const struct row *r = &s->one->in.rows.all.at[i];
        uint64_t **at = &seen[s->one->sig[i]];
        if (!*at) {
            *at = joining_bits(j);
        } else if (pair_present(j, s, both, r->present, *at, false)) {
            size_t step = bits_next(both, 0, j->n), k = 0;
            while (step < j->fail.step &&
                   (s->one->sig[k] != s->one->sig[i] || !row_has(&s->one->in.rows.all.at[k], step)))
                k++;
            joining_fail(j, step, PHASE_ONE_SIDE, i, &s->one->in.rows.all.at[k], r);
        }
        for (size_t w = 0; w < bits_words(j->n); w++) (*at)[w] |= r->present[w];
    }
}

static errc binary_match(struct joining *j)
{
    bool swap = j->m->card == CARD_ONE_TO_MANY, fill = j->m->fill_lhs || j->m->fill_rhs;
    struct matching_state s = {
        .many = swap ? &j->r : &j->l, .one = swap ? &j->l : &j->r, .active = joining_bits(j)
    };
    s.matched = arena_zalloc(j->ev->q->arena, j->sigs.n * sizeof(*s.matched));
    for (size_t w = 0; w < bits_words(j->n); w++)
        s.active[w] = fill ? j->l.any[w] | j->r.any[w] : j->l.any[w] & j->r.any[w];
    joining_check_one_side(j, &s);
    if (j->fail.step > 0) joining_many(j, &s, &s.many->in);
    if (j->fail.step > 0) joining_fill_many(j, &s);
    step_notes_tell(&j->notes, j->ev->q, j->x);
    map_fini(&s.by_result);
    TRY(j->watch.rc);
    return j->fail.step < j->n ? joining_raise(j) : OK;
}

static errc binary_vectors(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(joining_fini) struct joining j;
    joining_init(&j, ev, x);
    int64_t before = ev->q->samples;
    TRY(eval_expr(ev, x->binary.lhs, &j.l.in.base));
    TRY(eval_expr(ev, x->binary.rhs, &j.r.in.base));
    TRY(eval_check(ev->q));
    TRY(side_finish(&j, &j.l));
    TRY(side_finish(&j, &j.r));
    if (promql_op_is_set(x->binary.op)) binary_set(&j);
    else TRY(binary_match(&j));
    TRY(j.watch.rc);
    const struct step_counts *in[] = { &j.l.in.counts, &j.r.in.counts };
    return binary_push_joined(&j.out, before, in, 2, out);
}

errc eval_binary(struct eval *ev, struct expr *x, struct sink *out)
{
    bool l = expr_type(x->binary.lhs) == VALUE_SCALAR, r = expr_type(x->binary.rhs) == VALUE_SCALAR;
    if (l && r) return binary_scalars(ev, x, out);
    if (r) return binary_with_scalar(ev, x, false, out);
    if (l) return binary_with_scalar(ev, x, true, out);
    return binary_vectors(ev, x, out);
}
