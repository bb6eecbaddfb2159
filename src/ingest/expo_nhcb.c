/* START -- a line of a classic histogram --> COLLECTING -- something else --> TELLING --> START
 *
 * What ended the histogram was read already: it stands in the parser while the histogram is told,
 * and is the next entry. A line belongs to the histogram if its name without _bucket, _count or
 * _sum and its labels without `le` are those of the first line; they are compared by a hash that
 * does not care for the order of labels. */
#include "ingest/expo_nhcb.h"

#include "base/f64.h"
#include "ingest/expo_lex.h"
#include "ingest/line_hash.h"
#include "model/classic_histogram.h"

#include <math.h>

enum nhcb_state { START, COLLECTING, TELLING };

/* Where the labels of a histogram's first line stand in the page. */
struct nhcb_labels {
    VEC(size_t) pairs;
    size_t name_from, name_to;
    str unit;
};
struct nhcb_exemplars {
    struct arena a;
    VEC(struct expo_exemplar) all;
};

struct expo_nhcb {
    bool starts; /* start timestamps are wanted */
    enum nhcb_state state;
    enum expo_entry entry; /* that the parser stands at */
    int64_t ts;            /* of the last line that was told or taken */
    bool has_ts;
    str family; /* of the last TYPE line */
    enum metric_type type;
    struct nhcb_labels first;
    uint64_t hash; /* of the histogram's name and labels */
    struct classic_histogram parts;
    struct nhcb_exemplars found, told;
    int64_t st, told_st;
    struct arena made; /* what is told; the text of this line */
    struct expo_histogram h;
};

struct expo_nhcb *expo_nhcb_new(bool starts)
{
    struct expo_nhcb *n = NEW(struct expo_nhcb);
    n->starts = starts;
    return n;
}

void expo_nhcb_free(struct expo_nhcb *n)
{
    if (!n) return;
    vec_fini(&n->first.pairs);
    classic_fini(&n->parts);
    arena_fini(&n->found.a);
    arena_fini(&n->told.a);
    vec_fini(&n->found.all);
    vec_fini(&n->told.all);
    arena_fini(&n->made);
    mem_free(n);
}

static str line_text(const struct expo *x, size_t from, size_t to, struct arena *a)
{
    return expo_unescape(a, str_of(x->b + from, to - from), true);
}

/* What a line is to a classic histogram. */
struct nhcb_line {
    enum classic_part part;
    str base, le;
    bool has_le;
    uint64_t hash;
};

static struct nhcb_line line_read(struct expo *x)
{
    struct expo_nhcb *n = x->nhcb;
    struct nhcb_line l = { .part = CLASSIC_NONE };
    l.part = classic_part_of(line_text(x, x->name_from, x->name_to, &n->made), &l.base);
    uint64_t sum = 0;
    for (size_t i = 0; i < x->pairs.n; i += 4) {
        const size_t *p = x->pairs.at + i;
        str name = line_text(x, p[0], p[1], &n->made), value = line_text(x, p[2], p[3], &n->made);
        if (str_eq(name, S("le"))) {
            if (!l.has_le) l.le = value;
            l.has_le = true;
        } else {
            sum += line_hash_fold(
                line_hash(name.p, name.n) ^ line_hash_key[1], line_hash(value.p, value.n));
        }
    }
    if (x->opts.type_and_unit_labels) sum += line_hash(x->unit.p, x->unit.n) + (uint64_t)x->type;
    l.hash =
        line_hash_fold(line_hash(l.base.p, l.base.n) ^ line_hash_key[2], sum ^ line_hash_key[4]);
    return l;
}

static bool belongs(const struct expo_nhcb *n, const struct nhcb_line *l)
{
    return n->type == TYPE_HISTOGRAM && l->hash == n->hash;
}

/* The histogram's exemplars are those of its lines, which have none then. */
static void take_exemplars(struct expo *x)
{
    struct nhcb_exemplars *found = &x->nhcb->found;
    struct expo_exemplar ex;
    while (expo_line_exemplar(x, &found->a, &ex)) vec_push(&found->all, ex);
}

static void begin(struct expo *x, const struct nhcb_line *l)
{
    struct expo_nhcb *n = x->nhcb;
    struct nhcb_labels *f = &n->first;
    n->hash = l->hash;
    f->pairs.n = 0;
    vec_reserve(&f->pairs, x->pairs.n + 1);
    if (x->pairs.n) memcpy(f->pairs.at, x->pairs.at, x->pairs.n * sizeof(*f->pairs.at));
    f->pairs.n = x->pairs.n;
    f->name_from = x->name_from;
    f->name_to = x->name_to;
    f->unit = x->unit;
    n->state = COLLECTING;
}

/* The line becomes part of the histogram that is being collected, or begins one; false: it is no
 * line of a classic histogram. */
static bool take_line(struct expo *x, const struct nhcb_line *l)
{
    struct expo_nhcb *n = x->nhcb;
    double le = 0, value = x->value;
    if (n->type != TYPE_HISTOGRAM || l->part == CLASSIC_NONE || !str_eq(l->base, n->family))
        return false;
    if (l->part == CLASSIC_BUCKET && (!l->has_le || !f64_parse(l->le, &le) || isnan(le)))
        return false;
    if (n->state != COLLECTING) {
        begin(x, l);
        n->st = n->starts ? expo_line_start_ts(x) : 0;
    }
    take_exemplars(x);
    if (l->part == CLASSIC_BUCKET) classic_put_bucket(&n->parts, le, value);
    else if (l->part == CLASSIC_COUNT) classic_put_count(&n->parts, value);
    else classic_put_sum(&n->parts, value);
    return true;
}

/* What was collected becomes the entry. False: it is no histogram. One that converts but is not
 * valid goes on being collected, as in Prometheus. */
static bool tell(struct expo *x)
{
    struct expo_nhcb *n = x->nhcb;
    if (n->state != COLLECTING) return false;
    n->h = (struct expo_histogram){ 0 };
    errc rc = classic_convert(&n->parts, &n->made, &n->h.whole, &n->h.floats, NULL);
    if (rc == OK) {
        if (n->h.whole ? int_histogram_validate(n->h.whole, NULL) != OK
                       : histogram_validate(n->h.floats, NULL) != OK)
            return false;
        struct nhcb_exemplars t = n->told;
        n->told = n->found;
        n->found = t;
        n->told_st = n->st;
        n->state = TELLING;
        x->kind = EXPO_HISTOGRAM;
        x->ts = n->ts;
        x->has_ts = n->has_ts;
        x->keyed = true;
        x->key = n->hash;
        x->key_len = (uint32_t)n->first.pairs.n;
        x->exemplars_told = 0;
    } else {
        n->state = START;
    }
    n->found.all.n = 0;
    arena_reset(&n->found.a, (struct arena_mark){ 0 });
    classic_reset(&n->parts);
    n->st = 0;
    return rc == OK;
}

/* True: the entry that the parser stands at is to be told; false: it was swallowed. */
static bool step(struct expo *x)
{
    struct expo_nhcb *n = x->nhcb;
    if (n->entry == EXPO_SERIES) {
        n->ts = x->ts;
        n->has_ts = x->has_ts;
        struct nhcb_line l = line_read(x);
        if (n->state == COLLECTING && !belongs(n, &l) && tell(x)) return true;
        return !take_line(x, &l) || x->opts.keep_classic;
    }
    if (n->entry == EXPO_TYPE) {
        n->family = x->name;
        n->type = x->type;
    }
    (void)tell(x);
    return true;
}

errc expo_nhcb_next(struct expo *x, struct err *e)
{
    struct expo_nhcb *n = x->nhcb;
    for (;;) {
        bool told = n->state == TELLING;
        if (told) {
            n->state = START;
            x->kind = n->entry;
            x->keyed = false;
            x->exemplars_told = 0;
        } else {
            TRY(expo_line_next(x, e));
            n->entry = x->kind;
        }
        arena_reset(&n->made, (struct arena_mark){ 0 });
        bool show = true;
        if (told && n->entry == EXPO_SERIES) {
            struct nhcb_line l = line_read(x);
            show = !take_line(x, &l) || x->opts.keep_classic;
        } else if (!told) {
            show = step(x);
        }
        x->collecting = n->state != START;
        if (show) return OK;
    }
}

struct labels expo_nhcb_labels(const struct expo *x, struct arena *a)
{
    const struct expo_nhcb *n = x->nhcb;
    struct expo line = *x;
    line.kind = EXPO_SERIES;
    line.keyed = false;
    line.nhcb = NULL;
    line.type = TYPE_HISTOGRAM;
    line.unit = n->first.unit;
    line.pairs.at = n->first.pairs.at;
    line.pairs.n = line.pairs.cap = n->first.pairs.n;
    line.name_from = n->first.name_from;
    line.name_to = n->first.name_to;
    struct labels all = expo_labels(&line, a);
    struct label *at = arena_array(a, all.n, sizeof(*at));
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        struct label l = all.at[i];
        if (str_eq(l.name, METRIC_NAME)) (void)classic_part_of(l.value, &l.value);
        if (l.value.n && !str_eq(l.name, S("le"))) at[kept++] = l;
    }
    return (struct labels){ at, kept };
}

struct expo_histogram expo_nhcb_histogram(const struct expo *x) { return x->nhcb->h; }

bool expo_nhcb_exemplar(struct expo *x, struct expo_exemplar *out)
{
    const struct nhcb_exemplars *told = &x->nhcb->told;
    if (x->exemplars_told >= told->all.n) return false;
    *out = told->all.at[x->exemplars_told++];
    return true;
}

int64_t expo_nhcb_start_ts(const struct expo *x, bool *known)
{
    const struct expo_nhcb *n = x->nhcb;
    *known = n->state != START;
    return n->state == TELLING ? n->told_st : n->st;
}
