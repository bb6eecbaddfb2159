#include "block/verify_lists.h"

#include "block/postings.h"

#include <stdlib.h>

struct lists {
    const struct index_scan *s;
    struct findings *f;
    str name;
    VEC(uint64_t) starts;                      /* of lists, ascending */
    postings_list refs;
    uint64_t pairs;                            /* series and label, as the lists have them */
};

enum section { LABEL_INDEX, POSTINGS, LABEL_TABLE };

/* Sections of length, body and CRC from `from` up to `to`, lists with zeros where they are
 * aligned. */
static void walk_sections(struct lists *k, uint64_t from, uint64_t to, enum section kind)
{
    static const char *const names[] = { "label index", "postings", "label table" };
    const char *what = names[kind];
    uint64_t align = kind == LABEL_TABLE ? 1 : INDEX_POSTINGS_ALIGN;
    str all = k->s->bytes;
    for (uint64_t at = from; at < to;) {
        str body;
        struct err why = { 0 };
        uint64_t next = MIN((at + align - 1) / align * align, to);
        for (; at < next; at++)
            if (all.p[at]) findings_add_at(k->f, k->name, at, "%s: bytes between lists", what);
        if (at >= to) break;
        if (index_section_body(str_slice(all, (size_t)at, (size_t)to), true, &body, &why) != OK) {
            findings_add_at(k->f, k->name, at, "%s: %s", what, why.msg);
            return;
        }
        if (kind == POSTINGS) vec_push(&k->starts, at);
        at += sizeof(uint32_t) + body.n + INDEX_CRC_BYTES;
    }
}

static bool is_start(const struct lists *k, uint64_t at)
{
    size_t lo = 0, hi = k->starts.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (k->starts.at[mid] < at) lo = mid + 1;
        else hi = mid;
    }
    return lo < k->starts.n && k->starts.at[lo] == at;
}

static bool symbol_find(const struct index_scan *s, str text, uint32_t *out)
{
    size_t lo = 0, hi = s->symbols.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (str_cmp(s->symbols.at[mid], text) < 0) lo = mid + 1;
        else hi = mid;
    }
    *out = (uint32_t)lo;
    return lo < s->symbols.n && str_eq(s->symbols.at[lo], text);
}

static bool has_label(
    const struct index_scan *s, const struct scan_series *x, uint32_t name, uint32_t value)
{
    const struct label_num *l = s->labels.at + x->label;
    for (size_t i = 0; i < x->n_labels; i++)
        if (l[i].name == name) return l[i].value == value;
    return false;
}

/* The refs of a list: of series that are there and have the label. */
static void check_refs(struct lists *k, const struct index_entry *x)
{
    uint32_t name = 0, value = 0;
    bool all = !x->name.n && !x->value.n;
    if (!all && (!symbol_find(k->s, x->name, &name) || !symbol_find(k->s, x->value, &value)))
        findings_add_at(k->f, k->name, x->offset, "postings: of a label that is no symbol");
    for (size_t i = 0; i < k->refs.n; i++) {
        const struct scan_series *s = index_scan_find(k->s, k->refs.at[i]);
        if (s && (all || has_label(k->s, s, name, value))) continue;
        findings_add_at(k->f, k->name, x->offset, "postings: %s %" PRIu32,
            s ? "a series without the label," : "no series is at", k->refs.at[i]);
        return;
    }
    if (!all) k->pairs += k->refs.n;
    if (all && k->refs.n != k->s->series.n)
        findings_add_at(k->f, k->name, x->offset,
            "postings: the list of all series has %zu of %zu", k->refs.n, k->s->series.n);
}

static void check_entry(struct lists *k, const struct index_entry *x)
{
    struct err why = { 0 };
    str refs;
    size_t bytes;
    k->refs.n = 0;
    if (!is_start(k, x->offset)) {
        findings_add_at(k->f, k->name, k->s->toc.postings_table,
            "postings offset table: no list begins at %" PRIu64, x->offset);
        return;
    }
    errc rc = index_scan_list(k->s, x->offset, &refs, &bytes, &why);
    if (rc == OK) rc = postings_from_be(&k->refs, refs, &why);
    if (rc != OK) findings_add_at(k->f, k->name, x->offset, "%s", why.msg);
    else if (k->s->has_symbols) check_refs(k, x);
}

static bool entries_ascend(const struct index_entry *a, const struct index_entry *b)
{
    int names = str_cmp(a->name, b->name);
    return names < 0 || (names == 0 && str_cmp(a->value, b->value) < 0);
}

static void check_entries(struct lists *k)
{
    const struct index_scan *s = k->s;
    bool all = false;
    for (size_t i = 0; i < s->entries.n; i++) {
        const struct index_entry *x = &s->entries.at[i];
        all |= !x->name.n && !x->value.n;
        if (i && s->version != INDEX_V1 && !entries_ascend(x - 1, x))
            findings_add_at(k->f, k->name, s->toc.postings_table,
                "postings offset table: entry %zu is not in order", i);
        check_entry(k, x);
    }
    if (!all)
        findings_add_at(k->f, k->name, s->toc.postings_table,
            "postings offset table: no list of all series");
    if (s->entries.n != k->starts.n)
        findings_add_at(k->f, k->name, s->toc.postings_table,
            "postings offset table: %zu entries of %zu lists", s->entries.n, k->starts.n);
    if (s->has_symbols && k->pairs != s->labels.n)
        findings_add_at(k->f, k->name, s->toc.postings,
            "postings: %" PRIu64 " labels of series, the series have %zu", k->pairs, s->labels.n);
}

static void check_tail(struct lists *k)
{
    const struct index_toc *t = &k->s->toc;
    uint64_t toc_at = k->s->bytes.n - INDEX_TOC_BYTES;
    str body;
    str table = str_from(k->s->bytes, (size_t)t->postings_table);
    if (!k->s->has_table || index_section_body(table, false, &body, NULL) != OK) return;
    uint64_t end = t->postings_table + sizeof(uint32_t) + body.n + INDEX_CRC_BYTES;
    if (end != toc_at)
        findings_add_at(k->f, k->name, end, "bytes between the postings offset table and the TOC");
}

void verify_lists(const struct index_scan *s, struct findings *f, str name)
{
    struct lists k = { .s = s, .f = f, .name = name };
    const struct index_toc *t = &s->toc;
    if (!s->has_toc) return;
    uint64_t labels = t->label_indices ? t->label_indices : t->postings,
             table = t->label_table ? t->label_table : t->postings_table;
    if (labels < t->postings) walk_sections(&k, labels, t->postings, LABEL_INDEX);
    walk_sections(&k, t->postings, table, POSTINGS);
    if (table < t->postings_table) walk_sections(&k, table, t->postings_table, LABEL_TABLE);
    if (s->has_table) check_entries(&k);
    check_tail(&k);
    vec_fini(&k.starts);
    vec_fini(&k.refs);
}
