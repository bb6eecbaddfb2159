/* select.c — which series of a block match: the lists that model/pick.h names, read, joined and
 * cut. */
#include "base/log.h"
#include "block/block_impl.h"
#include "model/pick.h"

enum { WARN_EVERY_MS = 1000, SERIES_WINDOW = 4096 };

/* Where the lists of a pick are. */
struct pick_lists { VEC(struct index_list) at; bool found; };
struct scan { const struct pick *p; str prefix; struct pick_lists *out; };

static bool scan_value(void *ctx, str value, uint64_t offset)
{
    struct scan *s = ctx;
    /* begun at the prefix: beyond it there is none */
    if (!str_has_prefix(value, s->prefix)) return false;
    if (s->out->at.n && !vec_last(&s->out->at).end) vec_last(&s->out->at).end = offset;
    if (pick_wants(s->p, value)) vec_push(&s->out->at, ((struct index_list){ offset, 0 }));
    return true;
}

/* Lists are read after the walk over values: in a file both lie in the same order, each for
 * itself. */
static errc lists_find(struct block *b, const struct pick *p, struct pick_lists *out, struct err *e)
{
    size_t n;
    const str *values = pick_values(p, &n);
    struct scan s = { .p = p, .prefix = pick_prefix(p), .out = out };
    out->found = true;
    if (!n) return index_reader_values(b->index, p->m->name, s.prefix, scan_value, &s, e);
    for (size_t i = 0; i < n; i++) {
        struct index_list one;
        bool there = false;
        if (values[i].n)
            TRY(index_reader_find(b->index, p->m->name, values[i], &one, &there, e));
        if (there) vec_push(&out->at, one);
    }
    return OK;
}

/* Of a file far away all lists are told before the first is read: they come at one go. */
static errc lists_want(struct block *b, const picks *v, struct pick_lists *all, struct err *e)
{
    if (!index_reader_far(b->index)) return OK;
    for (size_t i = 0; i < v->n; i++) {
        TRY(lists_find(b, &v->at[i], &all[i], e));
        if (!all[i].at.n && !v->at[i].subtract) return OK; /* nothing matches */
        for (size_t k = 0; k < all[i].at.n; k++)
            index_reader_want_list(b->index, &all[i].at.at[k]);
    }
    return OK;
}

static errc list_of(struct block *b, const struct pick *p, struct pick_lists *lists,
    postings_list *out, struct err *e)
{
    out->n = 0;
    if (!lists->found) TRY(lists_find(b, p, lists, e));
    for (size_t i = 0; i < lists->at.n; i++)
        TRY(index_reader_postings_at(b->index, lists->at.at[i].offset, out, e));
    if (lists->at.n > 1) postings_sort(out);
    return OK;
}

static errc join_lists(struct block *b, const picks *v, struct pick_lists *lists,
    postings_list *out, struct err *e)
{
    postings_list list = { 0 };
    bool begun = false;
    errc rc = lists_want(b, v, lists, e);
    if (rc == OK && (!v->n || v->at[0].subtract)) {
        begun = true;
        rc = index_reader_postings(b->index, STR_EMPTY, STR_EMPTY, out, e);
    }
    for (size_t i = 0; rc == OK && i < v->n && (!begun || out->n); i++) {
        rc = list_of(b, &v->at[i], &lists[i], begun ? &list : out, e);
        if (rc == OK && begun && v->at[i].subtract) postings_subtract(out, &list);
        else if (rc == OK && begun) postings_intersect(out, &list);
        begun = true;
    }
    vec_fini(&list);
    return rc;
}

static errc join(struct block *b, const picks *v, postings_list *out, struct err *e)
{
    struct pick_lists *lists = mem_zalloc((v->n + 1) * sizeof(*lists));
    errc rc = join_lists(b, v, lists, out, e);
    for (size_t i = 0; i < v->n; i++) vec_fini(&lists[i].at);
    mem_free(lists);
    return rc;
}

/* All series, also those whose entries are damaged, if their list is not. */
static errc every_series(struct block *b, postings_list *out, struct err *e)
{
    out->n = 0;
    errc rc = index_reader_postings(b->index, STR_EMPTY, STR_EMPTY, out, e);
    if (rc != ERR_CORRUPT) return rc;
    out->n = 0;
    return index_reader_series_walk(b->index, out, e);
}

/* Those that match, or that may, for nobody can tell any more. */
static errc matching(struct block *b, struct matchers ms, postings_list *all, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(index_series_fini) struct index_series s = { 0 };
    SCOPED(symbol_memo_fini) struct symbol_memo symbols = { .block = b, .arena = &a };
    VEC(struct label) labels = { 0 };
    size_t n = 0;
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < all->n; i++) {
        block_series_want(b, all, i);
        rc = index_reader_series(b->index, all->at[i], true, &s, e);
        bool keep = rc == ERR_CORRUPT;
        if (rc == OK) {
            vec_reserve(&labels, s.labels.n);
            rc = symbol_memo_labels(&symbols, &s, labels.at, e);
            keep = rc == OK ? matchers_match(ms, (struct labels){ labels.at, s.labels.n })
                            : rc == ERR_CORRUPT;
        }
        if (rc == ERR_CORRUPT) rc = OK;
        if (keep) all->at[n++] = all->at[i];
    }
    all->n = n;
    vec_fini(&labels);
    return rc;
}

/* A damaged list says of no series that it does not match: their labels do. */
static errc select_by_labels(
    struct block *b, struct matchers ms, const struct err *why, postings_list *out, struct err *e)
{
    LOG_LIMITED(WARN, WARN_EVERY_MS, "a list of series is damaged, so their labels are read",
        kv_str("block", b->dir), kv_err(why));
    TRY(every_series(b, out, e));
    return matching(b, ms, out, e);
}

void block_series_want(struct block *b, const postings_list *found, size_t at)
{
    if (at % SERIES_WINDOW) return;
    index_reader_want_series(
        b->index, found->at + at, MIN(found->n - at, (size_t)SERIES_WINDOW));
}

errc block_select(struct block *b, struct matchers ms, postings_list *out, struct err *e)
{
    picks v = { 0 };
    struct err why = { 0 };
    out->n = 0;
    errc rc = picks_of(&v, ms) ? join(b, &v, out, &why) : OK;
    vec_fini(&v);
    if (rc == ERR_CORRUPT) return select_by_labels(b, ms, &why, out, e);
    return rc == OK ? OK : err_set(e, rc, "%s", why.msg);
}
