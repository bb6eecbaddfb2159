#include "ingest/line_cache.h"

#include "base/f64.h"
#include "ingest/line_hash.h"
#include "ingest/line_number.h"
#include "model/sample.h"

/* Most pages say what they said last time, in the same order, with other values. So the cache is
 * the last page's lines in their order, and the line expected next is the one behind the line
 * matched last:
 *
 *      at:   [ # HELP a ][ # TYPE a ][ a{x="1"} ][ a{x="2"} ][ # HELP b ] …
 *                                      ^ pos: does the page go on with a text of this length and
 *                                      hash, and a blank behind it?
 *
 * A hit costs one hash of the text and the parse of the value. No newline is searched for: the
 * length is known, and the tokenizer, which alone knows that a quoted newline is not the end of a
 * line, saw this very text before.
 *
 * While all lines match in place, `at` is the page and nothing is written. At the first that does
 * not, the page diverges: the lines so far are copied to `next`, later ones are appended to it, and
 * what was matched is marked SEEN in `at`. A line that is not among the four expected next is
 * tokenized and looked up by hash in an index of `at`, which is only built then. On commit `next`
 * becomes `at`; lines of the old one without SEEN are gone.
 *
 * A line that repeats one of the same page is kept in its place as TWIN, so that pages that repeat
 * lines stay predictable. The index does not hold twins.
 *
 * A page that fails ends where it failed, and what it did not come to is GONE: told, but known, as
 * the target will say it again. So `at` is such a page and, behind it, the lines that are GONE. A
 * line whose sample was not taken is MISSED, and GONE from the end of the page on. */

enum {
    META = 1,
    DROPPED = 2,
    TRACKED = 4,
    TWIN = 8,
    SEEN = 16,
    GONE = 32,
    MISSED = 64,
    KEYED = 128                        /* the parser says what stands for it, not a text */
};
enum { AHEAD = 4, PREFETCH_BYTES = 2048, KNOWN_SPARE = 1000 };
#define IN_NEXT 0x80000000u

struct cached {
    uint64_t hash;
    uint64_t handle;                   /* SEEN: its place in next */
    uint32_t len;
    uint8_t flags, type;
};
typedef VEC(struct cached) cached_list;

struct line_cache {
    cached_list at, next;
    size_t pos;                        /* expected next in at */
    uint32_t *index;                   /* place + 1, IN_NEXT; 0: free. NULL: not built */
    size_t index_cap, index_n;
    /* was tracked on the last page, has a time stamp of its own on this, or was missed */
    VEC(uint64_t) untracked;
    size_t whole_n;                    /* lines of the last page that did not fail */
    struct expo *page;
    bool open, diverged, live, whole, track_ts, predict_meta;
    bool may_ahead;                    /* nothing of the last page had to be parsed again */
    bool mixed;                        /* some line is GONE or MISSED */
    bool tell_comments;                /* all those of the next page */
    struct account *acc;
    size_t charged;
    struct line_cache_stats stats;
};

size_t line_cache_count(const struct line_cache *c) { return c->at.n; }
size_t line_cache_bytes(const struct line_cache *c)
{
    return sizeof(*c) + (c->at.cap + c->next.cap) * sizeof(struct cached) +
           c->index_cap * sizeof(uint32_t) + c->untracked.cap * sizeof(uint64_t);
}
struct line_cache_stats line_cache_stats(const struct line_cache *c) { return c->stats; }

static void line_cache_charge(struct line_cache *c, size_t bytes)
{
    account_charge(c->acc, (int64_t)bytes - (int64_t)c->charged);
    c->charged = bytes;
}

struct line_cache *line_cache_new(struct account *acc)
{
    struct line_cache *c = NEW(struct line_cache);
    c->acc = acc;
    line_cache_charge(c, line_cache_bytes(c));
    return c;
}

static void line_cache_drop_index(struct line_cache *c)
{
    mem_free(c->index);
    c->index = NULL;
    c->index_cap = c->index_n = 0;
}

static void line_cache_close(struct line_cache *c)
{
    line_cache_drop_index(c);
    vec_fini(&c->next);
    c->open = c->diverged = false;
    c->page = NULL;
    line_cache_charge(c, line_cache_bytes(c));
}

void line_cache_clear(struct line_cache *c)
{
    assert(!c->open);
    vec_fini(&c->at);
    vec_fini(&c->untracked);
    c->live = c->whole = c->mixed = false;
    c->whole_n = 0;
    line_cache_charge(c, line_cache_bytes(c));
}

void line_cache_free(struct line_cache *c)
{
    if (!c) return;
    if (c->open) line_cache_close(c);
    vec_fini(&c->at);
    vec_fini(&c->untracked);
    line_cache_charge(c, 0);
    mem_free(c);
}

void line_cache_begin(struct line_cache *c, struct expo *page, bool track_ts)
{
    assert(!c->open);
    assert(c->at.n < IN_NEXT);
    c->page = page;
    c->open = true;
    c->track_ts = track_ts;
    c->diverged = false;
    c->pos = 0;
    c->untracked.n = 0;
    /* Looking ahead for start timestamps, unit labels and histograms that are put together need
     * every comment parsed. */
    bool looks = page->format == EXPO_OPENMETRICS &&
                 (page->opts.skip_created || page->opts.type_and_unit_labels);
    c->predict_meta = !c->tell_comments && !page->nhcb && !looks;
    c->may_ahead = page->parsed_types == 0;
}

static inline cached_list *line_cache_lines(struct line_cache *c)
{
    return c->diverged ? &c->next : &c->at;
}

/* The lines matched so far are the start of the page as it is. */
static void line_cache_diverge(struct line_cache *c)
{
    if (c->diverged) return;
    assert(c->next.n == 0);
    vec_reserve(&c->next, c->at.n);
    for (size_t i = 0; i < c->pos; i++) {
        c->next.at[i] = c->at.at[i];
        c->at.at[i].flags |= SEEN;
        c->at.at[i].handle = i;
    }
    c->next.n = c->pos;
    c->diverged = true;
}

static struct cached *line_cache_place(struct line_cache *c, uint32_t v)
{
    v--;
    return v & IN_NEXT ? &c->next.at[v & ~IN_NEXT] : &c->at.at[v];
}

static void line_cache_index_put(struct line_cache *c, uint64_t hash, uint32_t v)
{
    size_t i = hash & (c->index_cap - 1);
    while (c->index[i]) i = (i + 1) & (c->index_cap - 1);
    c->index[i] = v;
    c->index_n++;
}

/* Twice the entries, at least; filled from both lists without twins. */
static void line_cache_build_index(struct line_cache *c)
{
    line_cache_drop_index(c);
    size_t want = c->at.n + c->next.n, cap = 64;
    while (cap < want * 2) cap *= 2;
    c->index = mem_zalloc(cap * sizeof(*c->index));
    c->index_cap = cap;
    for (size_t i = 0; i < c->at.n; i++)
        if (!(c->at.at[i].flags & TWIN)) line_cache_index_put(c, c->at.at[i].hash, (uint32_t)i + 1);
    for (size_t i = 0; i < c->next.n; i++)
        if (c->next.at[i].flags & SEEN)
            line_cache_index_put(c, c->next.at[i].hash, ((uint32_t)i | IN_NEXT) + 1);
}

static bool line_is(const struct cached *l, const struct cached *other)
{
    return l->hash == other->hash && l->len == other->len &&
           !((l->flags ^ other->flags) & (META | KEYED));
}

static uint32_t line_cache_find(struct line_cache *c, const struct cached *line)
{
    if (!c->index) line_cache_build_index(c);
    size_t mask = c->index_cap - 1;
    for (size_t i = line->hash & mask; c->index[i]; i = (i + 1) & mask)
        if (line_is(line_cache_place(c, c->index[i]), line)) return c->index[i];
    return 0;
}

/* Appends a line to the diverged page. */
static uint32_t line_cache_push(struct line_cache *c, struct cached l)
{
    assert(c->diverged && c->next.n < IN_NEXT);
    vec_push(&c->next, l);
    return (uint32_t)(c->next.n - 1);
}

/* at[j] stands here on this page. Its index on the page. */
static uint32_t line_cache_take(struct line_cache *c, size_t j)
{
    if (!c->diverged && j == c->pos) {
        c->pos++;
        return (uint32_t)j;
    }
    line_cache_diverge(c);
    struct cached *old = &c->at.at[j];
    assert(!(old->flags & (SEEN | TWIN)));
    uint32_t index = line_cache_push(c, *old);
    old->flags |= SEEN;
    old->handle = index;
    c->pos = j + 1;
    return index;
}

static void line_cache_track(struct line_cache *c, struct cached *l, bool has_ts)
{
    bool track = !has_ts || c->track_ts;
    if (LIKELY(track == !!(l->flags & TRACKED))) return;
    if (!track && c->live && l->handle && !(l->flags & (DROPPED | TWIN | GONE)))
        vec_push(&c->untracked, l->handle);
    l->flags ^= TRACKED;
}

/* Answers a line of the page whose entry is `index`. The value and time stamp are in out. */
static void line_cache_answer(struct line_cache *c, uint32_t index, bool again, struct line *out)
{
    struct cached *l = &line_cache_lines(c)->at[index];
    line_cache_track(c, l, out->has_ts);
    out->kind = l->handle || l->flags & DROPPED ? LINE_KNOWN : LINE_NEW;
    out->index = index;
    out->handle = l->handle;
    out->dropped = l->flags & DROPPED;
    out->again = again;
}

/* The page goes on with this series text: value and time stamp into out, the page moves on. False:
 * it does not, or it takes the tokenizer to say so. */
static inline bool line_match(struct line_cache *c, const struct cached *l, struct line *out)
{
    struct expo *x = c->page;
    const uint8_t *p = x->b + x->i, *end = x->b + x->n;
    if ((size_t)(end - p) <= l->len || p[l->len] != ' ' || line_hash(p, l->len) != l->hash)
        return false;
    const uint8_t *q = line_number_short(p + l->len + 1, &out->value);
    if (!q) q = line_number(p + l->len + 1, end, &out->value);
    if (!q || (*q != '\n' && *q != ' ')) return false;
    out->has_exemplar = out->histogram = out->parsed = false;
    out->has_ts = *q == ' ';
    if (UNLIKELY(out->has_ts)) {
        if (x->format != EXPO_TEXT) return false;
        q = line_digits(q + 1, &out->ts);
        if (!q || *q != '\n') return false;
    }
    if (q >= end) return false;
    out->at = x->i;
    out->type = x->type;
    expo_skip(x, (size_t)(q + 1 - x->b));
    return true;
}

/* The page goes on with this comment line: passed over. */
static bool line_match_meta(struct line_cache *c, const struct cached *l)
{
    struct expo *x = c->page;
    const uint8_t *p = x->b + x->i;
    if (!c->predict_meta || x->n - x->i <= l->len || p[l->len] != '\n' ||
        line_hash(p, l->len) != l->hash)
        return false;
    x->type = (enum metric_type)l->type;
    expo_skip(x, x->i + l->len + 1);
    return true;
}

/* Tries the lines expected next. Comment lines that match are taken on the way. */
static bool line_cache_predict(struct line_cache *c, struct line *out)
{
    if (!expo_at_line(c->page)) return false;
    size_t tries = 0;
    for (size_t j = c->pos; j < c->at.n && tries <= AHEAD; j++, tries++) {
        const struct cached *l = &c->at.at[j];
        if ((l->flags & SEEN) || ((l->flags & TWIN) && (c->diverged || j != c->pos))) continue;
        if (l->flags & META) {
            if ((l->flags & KEYED) || !line_match_meta(c, l)) continue;
            (void)line_cache_take(c, j);
            c->stats.predicted++;
            j = c->pos - 1;
            tries = SIZE_MAX;          /* counting starts over behind a match */
            continue;
        }
        if (l->flags & KEYED) continue;
        if ((!l->handle && !(l->flags & DROPPED)) || !line_match(c, l, out)) continue;
        bool twin = l->flags & TWIN;
        if (j == c->pos) c->stats.predicted++;
        else c->stats.near++;
        line_cache_answer(c, line_cache_take(c, j), twin, out);
        return true;
    }
    return false;
}

/* A line that the tokenizer read: known by its hash, or fresh. */
static uint32_t line_cache_settle(struct line_cache *c, struct cached l, bool *again)
{
    *again = false;
    if (c->pos < c->at.n) {
        const struct cached *next = &c->at.at[c->pos];
        if (line_is(next, &l) && !(next->flags & (SEEN | TWIN))) {
            c->stats.predicted++;
            return line_cache_take(c, c->pos);
        }
    }
    line_cache_diverge(c);
    uint32_t v = line_cache_find(c, &l);
    struct cached *known = v ? line_cache_place(c, v) : NULL;
    if (known && !((v - 1) & IN_NEXT) && !(known->flags & SEEN)) {
        c->stats.found++;
        return line_cache_take(c, v - 1);
    }
    c->stats.fresh++;
    if (known) {
        const struct cached *first = (v - 1) & IN_NEXT ? known : &c->next.at[known->handle];
        l.handle = first->handle;
        l.flags = (uint8_t)((first->flags & ~SEEN) | TWIN);
        *again = true;
        return line_cache_push(c, l);
    }
    uint32_t index = line_cache_push(c, l);
    c->next.at[index].flags |= SEEN;   /* in next: it is in the index under its own place */
    if ((c->index_n + 1) * 4 > c->index_cap * 3) line_cache_build_index(c);
    else line_cache_index_put(c, l.hash, (index | IN_NEXT) + 1);
    return index;
}

/* What stands for the entry that the parser holds. */
static struct cached line_of(const struct expo *x, bool meta)
{
    struct cached l = { .hash = x->key, .len = x->key_len,
        .flags = (uint8_t)((meta ? META : TRACKED) | (x->keyed ? KEYED : 0)) };
    if (x->keyed) return l;
    str text = meta ? str_of(x->b + x->start, x->i - x->start - 1) : x->series;
    l.hash = line_hash(text.p, text.n);
    l.len = (uint32_t)text.n;
    return l;
}

/* A comment that the parser holds; true: it is to be told. */
static bool line_cache_comment(struct line_cache *c, struct line *out)
{
    bool again;
    struct expo *x = c->page;
    out->index = line_cache_settle(c, line_of(x, true), &again);
    struct cached *l = &line_cache_lines(c)->at[out->index];
    if (x->keyed && c->predict_meta && l->handle) return false;
    l->type = (uint8_t)x->type;
    out->kind = LINE_META;
    return true;
}

static errc line_cache_tokenize(struct line_cache *c, struct line *out, struct err *e)
{
    struct expo *x = c->page;
    enum expo_entry kind;
    for (;;) {
        TRY(expo_next(x, &kind, e));
        out->at = x->start;
        out->type = x->type;
        if (kind == EXPO_END) {
            out->kind = LINE_END;
            return OK;
        }
        if (UNLIKELY(x->i - x->start > UINT32_MAX))
            return err_set(e, ERR_LIMIT, "a line is longer than 4 GiB");
        if (kind == EXPO_SERIES || kind == EXPO_HISTOGRAM) break;
        if (line_cache_comment(c, out)) return OK;
    }
    bool again;
    out->value = x->value;
    out->ts = x->ts;
    out->has_ts = x->has_ts;
    out->has_exemplar = x->has_exemplar || kind == EXPO_HISTOGRAM;
    out->histogram = kind == EXPO_HISTOGRAM;
    out->parsed = true;
    uint32_t index = line_cache_settle(c, line_of(x, false), &again);
    line_cache_answer(c, index, again, out);
    return OK;
}

errc line_cache_next(struct line_cache *c, struct line *out, struct err *e)
{
    assert(c->open);
    if (LIKELY(line_cache_predict(c, out))) return OK;
    return line_cache_tokenize(c, out, e);
}

/* The page goes on with this series text, a short number and a newline. */
static inline const uint8_t *line_match_plain(
    const struct cached *l, const uint8_t *p, const uint8_t *end, double *value)
{
    if ((size_t)(end - p) <= l->len || p[l->len] != ' ' || line_hash(p, l->len) != l->hash)
        return NULL;
    const uint8_t *q = line_number_short(p + l->len + 1, value);
    return q < end ? q : NULL;
}

void line_cache_run(struct line_cache *c, struct line_run *out)
{
    assert(c->open);
    struct expo *x = c->page;
    if (!expo_at_line(x)) return;
    const uint8_t *p = x->b + x->i, *end = x->b + x->n;
    size_t n = out->n, matched = 0;
    while (n < out->cap && c->pos < c->at.n) {
        const struct cached *l = &c->at.at[c->pos];
        if (UNLIKELY(l->flags == META)) {
            expo_skip(x, (size_t)(p - x->b));
            if (!line_match_meta(c, l)) break;
            p = x->b + x->i;
        } else {
            if (UNLIKELY(l->flags != TRACKED || !l->handle)) break;
            for (size_t k = 0; k < 3 * 64; k += 64) __builtin_prefetch(p + PREFETCH_BYTES + k);
            const uint8_t *q = line_match_plain(l, p, end, &out->value[n]);
            if (UNLIKELY(!q)) break;
            out->handle[n] = l->handle;
            out->at[n] = (size_t)(p - x->b);
            out->type[n] = (uint8_t)x->type;
            out->index[n++] = (uint32_t)(c->diverged ? c->next.n : c->pos);
            p = q + 1;
        }
        (void)line_cache_take(c, c->pos);
        matched++;
    }
    expo_skip(x, (size_t)(p - x->b));
    c->stats.predicted += matched;
    out->n = n;
}

bool line_cache_may_ahead(const struct line_cache *c)
{
    return c->live && c->whole && c->may_ahead && !c->tell_comments;
}

/* The number and newline at p: where the next line starts. NULL: `over`, or, if that stays false,
 * too few bytes. */
static const uint8_t *ahead_number(const uint8_t *p, const uint8_t *end, double *value, bool *over)
{
    /* line_number reads up to a stride beyond the number */
    enum { NUMBER_MAX = 64, STRIDE = 8 };
    const uint8_t *q = line_number_short(p, value);
    if (LIKELY(q != NULL)) return q < end ? q + 1 : NULL;
    size_t n = MIN((size_t)(end - p), (size_t)NUMBER_MAX);
    const uint8_t *newline = memchr(p, '\n', n);
    if (newline && end - newline < STRIDE) return NULL;
    *over = newline ? line_number(p, newline, value) != newline : n == NUMBER_MAX;
    return newline && !*over ? newline + 1 : NULL;
}

/* The line at p, of which more than len bytes are there, begins as this one did. */
static inline bool ahead_is(const struct cached *l, const uint8_t *p, bool meta)
{
    if (UNLIKELY(!meta && (l->flags != TRACKED || !l->handle))) return false;
    return p[l->len] == (meta ? '\n' : ' ') && line_hash(p, l->len) == l->hash;
}

size_t line_cache_ahead(
    const struct line_cache *c, struct line_ahead *a, const uint8_t *from, size_t n)
{
    enum { NUMBER_ROOM = 17 };                 /* what line_number_short reads */
    const uint8_t *p = from, *end = from + n;
    const struct cached *l = c->at.at + a->places, *l_end = c->at.at + c->at.n;
    double *v = a->value + a->n;
    bool over = false;
    for (; l < l_end; l++) {
        if ((size_t)(end - p) <= (size_t)l->len + 1 + NUMBER_ROOM) break;
        bool meta = l->flags == META;
        if (UNLIKELY(!ahead_is(l, p, meta))) {
            over = true;
            break;
        }
        if (UNLIKELY(meta)) {
            a->type = l->type;
            p += l->len + 1;
            continue;
        }
        const uint8_t *next = ahead_number(p + l->len + 1, end, v, &over);
        if (UNLIKELY(!next)) break;
        v++;
        p = next;
    }
    a->places = (size_t)(l - c->at.at);
    a->n = (size_t)(v - a->value);
    a->over = over || l == l_end;
    return (size_t)(p - from);
}

void line_cache_take_ahead(struct line_cache *c, struct line_ahead *a, struct line_run *out)
{
    assert(c->open && !c->diverged && c->pos == a->taken && a->places <= c->at.n);
    size_t n = out->n;
    for (; n < out->cap && a->taken < a->places; a->taken++) {
        const struct cached *l = &c->at.at[a->taken];
        if (l->flags == META) {
            c->page->type = (enum metric_type)l->type;
            continue;
        }
        out->handle[n] = l->handle;
        out->value[n] = a->value[a->told++];
        out->index[n] = (uint32_t)a->taken;
        out->at[n] = SIZE_MAX;
        out->type[n++] = (uint8_t)c->page->type;
    }
    c->stats.predicted += a->taken - c->pos;
    c->pos = a->taken;
    out->n = n;
}

void line_cache_learn(struct line_cache *c, uint32_t index, uint64_t handle, bool dropped)
{
    assert(c->open && index < line_cache_lines(c)->n);
    struct cached *l = &line_cache_lines(c)->at[index];
    l->handle = dropped ? 0 : handle;
    l->flags = (uint8_t)(dropped ? l->flags | DROPPED : l->flags & ~DROPPED);
}

static bool line_is_told(const struct cached *l)
{
    return (l->flags & TRACKED) && !(l->flags & (META | DROPPED | TWIN | SEEN | GONE)) && l->handle;
}

void line_cache_miss(struct line_cache *c, uint32_t index)
{
    assert(c->open && index < line_cache_lines(c)->n);
    struct cached *l = &line_cache_lines(c)->at[index];
    if (l->flags & (META | DROPPED | TWIN | MISSED)) return;
    if (c->live && (l->flags & TRACKED) && !(l->flags & GONE) && l->handle)
        vec_push(&c->untracked, l->handle);
    l->flags |= MISSED;
    c->mixed = true;
}

static void line_cache_tell_untracked(struct line_cache *c, line_gone gone, void *ctx)
{
    for (size_t i = 0; i < c->untracked.n; i++) gone(ctx, c->untracked.at[i]);
    c->untracked.n = 0;
}

/* Growing leaves up to a third unused, for as long as the target says the same. */
static void line_cache_trim(struct line_cache *c)
{
    if (c->at.cap <= c->at.n + c->at.n / 8) return;
    c->at.at = mem_realloc(c->at.at, c->at.n * sizeof(struct cached));
    c->at.cap = c->at.n;
}

/* The lines of the last page that are not on this one are told. */
static void line_cache_tell(struct line_cache *c, line_gone gone, void *ctx)
{
    line_cache_tell_untracked(c, gone, ctx);
    for (size_t i = c->diverged ? 0 : c->pos; c->live && i < c->at.n; i++)
        if (line_is_told(&c->at.at[i])) gone(ctx, c->at.at[i].handle);
}

/* The first n lines are the page. */
static void line_cache_settle_flags(struct line_cache *c, size_t n)
{
    bool mixed = c->mixed;
    c->mixed = n < c->at.n;
    for (size_t i = 0; i < n && (mixed || c->diverged); i++) {
        uint8_t f = c->at.at[i].flags;
        bool missed = f & MISSED;
        c->at.at[i].flags = (uint8_t)((f & ~(SEEN | GONE | MISSED)) | (missed ? GONE : 0));
        c->mixed |= missed;
    }
    for (size_t i = n; i < c->at.n; i++) c->at.at[i].flags |= GONE;
}

static void line_cache_become(struct line_cache *c, size_t n)
{
    if (c->diverged) {
        vec_fini(&c->at);
        c->at = c->next;
        c->next = (cached_list){ 0 };
        line_cache_trim(c);
    }
    line_cache_settle_flags(c, n);
    c->live = true;
    line_cache_close(c);
}

void line_cache_commit(struct line_cache *c, line_gone gone, void *ctx)
{
    assert(c->open);
    line_cache_tell(c, gone, ctx);
    if (!c->diverged) c->at.n = c->pos;
    c->whole = true;
    c->tell_comments = false;
    c->whole_n = line_cache_lines(c)->n;
    line_cache_become(c, c->whole_n);
}

void line_cache_comments(const struct line_cache *c, line_comment told, void *ctx)
{
    assert(!c->open);
    for (size_t i = 0; i < c->at.n; i++)
        if ((c->at.at[i].flags & META) && c->at.at[i].handle) told(ctx, c->at.at[i].handle);
}

void line_cache_tell_comments(struct line_cache *c) { c->tell_comments = true; }

bool line_cache_rollback(struct line_cache *c, line_gone gone, void *ctx)
{
    assert(c->open);
    line_cache_tell(c, gone, ctx);
    size_t n = c->diverged ? c->next.n : c->pos;
    for (size_t i = 0; c->diverged && i < c->at.n; i++)
        if (!(c->at.at[i].flags & SEEN)) vec_push(&c->next, c->at.at[i]);
    c->whole = false;
    bool flush = line_cache_lines(c)->n > 2 * c->whole_n + KNOWN_SPARE;
    if (flush) line_cache_lines(c)->n = n;
    line_cache_become(c, n);
    return flush;
}

void line_cache_gone_all(struct line_cache *c, line_gone gone, void *ctx)
{
    assert(!c->open);
    line_cache_tell_untracked(c, gone, ctx);
    for (size_t i = 0; c->live && i < c->at.n; i++)
        if (line_is_told(&c->at.at[i])) gone(ctx, c->at.at[i].handle);
    c->live = c->whole = false;
}
