/* select.c — which series of a block match: the lists that model/pick.h names, read, joined and
 * cut. */
#include "base/log.h"
#include "block/block_impl.h"
#include "model/pick.h"

enum { WARN_EVERY_MS = 1000 };

struct scan { const struct pick *p; str prefix; VEC(uint64_t) offsets; };

static bool scan_value(void *ctx, str value, uint64_t offset)
{
    struct scan *s = ctx;
    /* begun at the prefix: beyond it there is none */
    if (!str_has_prefix(value, s->prefix)) return false;
    if (pick_wants(s->p, value)) vec_push(&s->offsets, offset);
    return true;
}

/* Lists are read after the walk over values: in a file both lie in the same order, each for
 * itself. */
static errc list_by_scan(struct block *b, const struct pick *p, postings_list *out, struct err *e)
{
    struct scan s = { .p = p, .prefix = pick_prefix(p) };
    errc rc = index_reader_values(b->index, p->m->name, s.prefix, scan_value, &s, e);
    for (size_t i = 0; rc == OK && i < s.offsets.n; i++)
        rc = index_reader_postings_at(b->index, s.offsets.at[i], out, e);
    vec_fini(&s.offsets);
    return rc;
}

static errc list_of(struct block *b, const struct pick *p, postings_list *out, struct err *e)
{
    size_t n;
    const str *values = pick_values(p, &n);
    out->n = 0;
    if (!n) TRY(list_by_scan(b, p, out, e));
    for (size_t i = 0; i < n; i++)
        if (values[i].n) TRY(index_reader_postings(b->index, p->m->name, values[i], out, e));
    postings_sort(out);
    return OK;
}

static errc join(struct block *b, const picks *v, postings_list *out, struct err *e)
{
    postings_list list = { 0 };
    errc rc = OK;
    bool begun = false;
    if (!v->n || v->at[0].subtract) {
        begun = true;
        rc = index_reader_postings(b->index, STR_EMPTY, STR_EMPTY, out, e);
    }
    for (size_t i = 0; rc == OK && i < v->n && (!begun || out->n); i++) {
        rc = list_of(b, &v->at[i], begun ? &list : out, e);
        if (rc == OK && begun && v->at[i].subtract) postings_subtract(out, &list);
        else if (rc == OK && begun) postings_intersect(out, &list);
        begun = true;
    }
    vec_fini(&list);
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
        rc = index_reader_series(b->index, all->at[i], true, &s, e);
        bool keep = rc == ERR_CORRUPT;
        if (rc == OK) {
            vec_reserve(&labels, s.labels.n);
            rc = symbol_memo_labels(&symbols, &s, labels.at, e);
            keep = rc == OK && matchers_match(ms, (struct labels){ labels.at, s.labels.n });
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
