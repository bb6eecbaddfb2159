#include "block/meta_codec.h"

#include "base/json_far.h"
#include "base/strs.h"
#include "base/utf8.h"

#include <strings.h>

/* Reading. What Go's reader takes is taken, for Prometheus serves that block: names of members in
 * any case, any bytes in texts, ULIDs with wrong characters. A decoder carries the first failure;
 * what follows it reads zeros. */

/* far: of json_far_load */
struct reading { struct arena *a; struct err *e; errc rc; size_t far; };

static void bad(struct reading *r, const char *name, const char *what)
{
    if (r->rc == OK) r->rc = err_set(r->e, ERR_CORRUPT, "meta.json: %s: %s", name, what);
}

static const json_t *member(const json_t *o, const char *name)
{
    const char *key;
    json_t *v = json_object_get(o, name);
    if (v) return v;
    json_object_foreach((json_t *)o, key, v)
        if (strcasecmp(key, name) == 0) return v;
    return NULL;
}

static int64_t read_int(struct reading *r, const json_t *o, const char *name)
{
    const json_t *v = member(o, name);
    if (!v || json_is_null(v)) return 0;
    if (!json_is_integer(v)) bad(r, name, "not an integer");
    return json_integer_value(v);
}

static uint64_t read_count(struct reading *r, const json_t *o, const char *name)
{
    int64_t v = read_int(r, o, name);
    if (v < 0) bad(r, name, "negative");
    return v < 0 ? 0 : (uint64_t)v;
}

static bool read_bool(struct reading *r, const json_t *o, const char *name)
{
    const json_t *v = member(o, name);
    if (v && !json_is_boolean(v) && !json_is_null(v)) bad(r, name, "not a boolean");
    return json_is_true(v);
}

/* One that is missing or has a wrong character is the zero one: the samples do not depend on it.
 * False: it is one of those. */
static bool read_ulid(struct reading *r, const json_t *v, const char *name, ulid *id)
{
    if (json_is_string(v) &&
        ulid_parse(str_of(json_string_value(v), json_string_length(v)), id)) return true;
    *id = (ulid){ { 0 } };
    if (v && !json_is_null(v) && !json_is_string(v)) bad(r, name, "not a string");
    return false;
}

static const json_t *read_list(struct reading *r, const json_t *o, const char *name)
{
    const json_t *v = member(o, name);
    if (v && !json_is_array(v) && !json_is_null(v)) bad(r, name, "not a list");
    return json_is_array(v) ? v : NULL;
}

static const json_t *read_object(struct reading *r, const json_t *o, const char *name)
{
    const json_t *v = member(o, name);
    if (v && !json_is_object(v) && !json_is_null(v)) bad(r, name, "not an object");
    return json_is_object(v) ? v : NULL;
}

/* Members that are none of `known`, as they are to be written again. */
static str read_more(struct reading *r, const json_t *o, const char *const *known, size_t n)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)o, name, v) {
        size_t i = 0;
        while (i < n && strcasecmp(known[i], name) != 0) i++;
        if (i < n) continue;
        json_t *key = json_string(name);
        if (b.n) buf_u8(&b, ',');
        json_far_put(&b, key, 0);
        buf_str(&b, S(": "));
        json_far_put(&b, v, r->far);
        json_decref(key);
    }
    return b.n ? arena_str(r->a, buf_view(&b)) : STR_EMPTY;
}

static void read_stats(struct reading *r, const json_t *o, struct block_meta *m)
{
    static const char *const known[] = { "numSamples", "numFloatSamples", "numHistogramSamples",
        "numSeries", "numChunks", "numTombstones" };
    m->stats = (struct block_stats){
        .samples = read_count(r, o, known[0]),
        .float_samples = read_count(r, o, known[1]),
        .histogram_samples = read_count(r, o, known[2]),
        .series = read_count(r, o, known[3]),
        .chunks = read_count(r, o, known[4]),
        .tombstones = read_count(r, o, known[5]),
    };
    m->more_stats = read_more(r, o, known, ARRAY_LEN(known));
}

static const struct { str name; unsigned bit;
} hint_names[] = {
    /* in their order */
    { S("from-out-of-order"), BLOCK_HINT_OOO },
    { S("from-selected-series"), BLOCK_HINT_SELECTED },
    { S("from-stale-series"), BLOCK_HINT_STALE },
};

static void read_hints(struct reading *r, const json_t *list, struct block_meta *m)
{
    size_t i;
    json_t *v;
    str *other = arena_array(r->a, json_array_size(list), sizeof(*other));
    m->other_hints = other;
    json_array_foreach((json_t *)list, i, v) {
        if (!json_is_string(v)) {
            bad(r, "hints", "not a string");
            return;
        }
        str name = str_of(json_string_value(v), json_string_length(v));
        size_t k = 0;
        while (k < ARRAY_LEN(hint_names) && !str_eq(hint_names[k].name, name)) k++;
        if (k < ARRAY_LEN(hint_names)) m->hints |= hint_names[k].bit;
        else other[m->n_other_hints++] = arena_str(r->a, name);
    }
}

static void read_parents(struct reading *r, const json_t *list, struct block_meta *m)
{
    size_t i;
    json_t *v;
    struct block_desc *at = arena_array(r->a, json_array_size(list), sizeof(*at));
    m->parents = at;
    json_array_foreach((json_t *)list, i, v) {
        struct block_desc *d = &at[m->n_parents];
        m->n_parents += read_ulid(r, member(v, "ulid"), "parents", &d->id);
        d->mint = read_int(r, v, "minTime");
        d->maxt = read_int(r, v, "maxTime");
    }
}

static void read_compaction(struct reading *r, const json_t *o, struct block_meta *m)
{
    static const char *const known[] = { "level", "sources", "deletable", "parents", "failed",
        "hints" };
    int64_t level = read_int(r, o, "level");
    m->level = level < 0 ? 0 : level > UINT32_MAX ? UINT32_MAX : (uint32_t)level;
    m->deletable = read_bool(r, o, "deletable");
    m->failed = read_bool(r, o, "failed");
    const json_t *sources = read_list(r, o, "sources");
    ulid *at = arena_array(r->a, json_array_size(sources), sizeof(*at));
    for (size_t i = 0; i < json_array_size(sources); i++)
        m->n_sources += read_ulid(r, json_array_get(sources, i), "sources", &at[m->n_sources]);
    m->sources = at;
    read_parents(r, read_list(r, o, "parents"), m);
    read_hints(r, read_list(r, o, "hints"), m);
    m->more_compaction = read_more(r, o, known, ARRAY_LEN(known));
}

static void read_meta(struct reading *r, const json_t *root, struct block_meta *m)
{
    static const char *const known[] = { "ulid", "minTime", "maxTime", "stats", "compaction",
        "version" };
    int64_t version = read_int(r, root, "version");
    if (version != 1 && version != 2) bad(r, "version", "unknown");
    m->version2 = version == 2;
    (void)read_ulid(r, member(root, "ulid"), "ulid", &m->id);
    m->mint = read_int(r, root, "minTime");
    m->maxt = read_int(r, root, "maxTime");
    const json_t *stats = read_object(r, root, "stats"),
                 *compaction = read_object(r, root, "compaction");
    if (stats) read_stats(r, stats, m);
    if (compaction) read_compaction(r, compaction, m);
    m->more = read_more(r, root, known, ARRAY_LEN(known));
}

/* A byte that is no UTF-8 becomes U+FFFD. */
static json_t *load(str json, size_t *far, json_error_t *why)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    bool valid = utf8_valid(json);
    for (size_t at = 0, n; !valid && at < json.n; at += n)
        buf_rune(&b, utf8_rune(str_from(json, at), &n));
    if (!valid) json = buf_view(&b);
    return json_far_load(json, far, why);
}

errc meta_decode(struct block_meta *out, str json, struct arena *a, struct err *e)
{
    json_error_t why;
    struct reading r = { .a = a, .e = e };
    json_t *root = load(json, &r.far, &why);
    if (!root) return err_set(e, ERR_CORRUPT, "meta.json: %s at %d", why.text, why.position);
    struct block_meta m = { 0 };
    if (!json_is_object(root)) bad(&r, "the whole", "not an object");
    else read_meta(&r, root, &m);
    json_decref(root);
    if (r.rc == OK) *out = m;
    return r.rc;
}

/* Writing: tabs, members in the order that Go's struct has them. */

struct writing { struct buf *b; unsigned depth; bool comma, line; };

static void put_item(struct writing *w)
{
    if (w->comma) buf_u8(w->b, ',');
    if (w->line) {
        w->comma = true;
        return;
    }
    buf_u8(w->b, '\n');
    for (unsigned i = 0; i < w->depth; i++) buf_u8(w->b, '\t');
    w->comma = true;
}

static void put_key(struct writing *w, const char *name)
{
    put_item(w);
    buf_fmt(w->b, w->line ? "\"%s\":" : "\"%s\": ", name);
}

static void put_open(struct writing *w, uint8_t bracket)
{
    buf_u8(w->b, bracket);
    w->depth++;
    w->comma = false;
}

static void put_close(struct writing *w, uint8_t bracket)
{
    bool empty = !w->comma;
    w->depth--;
    w->comma = false;
    if (!empty && !w->line) put_item(w);
    buf_u8(w->b, bracket);
    w->comma = true;
}

static void put_int(struct writing *w, const char *name, int64_t v)
{
    put_key(w, name);
    buf_i64_text(w->b, v);
}

static void put_count(struct writing *w, const char *name, uint64_t v)
{
    if (!v) return;
    put_key(w, name);
    buf_u64_text(w->b, v);
}

static void put_flag(struct writing *w, const char *name, bool v)
{
    if (!v) return;
    put_key(w, name);
    buf_str(w->b, S("true"));
}

static void put_ulid(struct writing *w, ulid id) { buf_fmt(w->b, "\"%s\"", ulid_text(id).z); }

static void put_more(struct writing *w, str more)
{
    if (!more.n || w->line) return;
    put_item(w);
    buf_str(w->b, more);
}

static void put_stats(struct writing *w, const struct block_meta *m)
{
    put_key(w, "stats");
    put_open(w, '{');
    put_count(w, "numSamples", m->stats.samples);
    put_count(w, "numFloatSamples", m->stats.float_samples);
    put_count(w, "numHistogramSamples", m->stats.histogram_samples);
    put_count(w, "numSeries", m->stats.series);
    put_count(w, "numChunks", m->stats.chunks);
    put_count(w, "numTombstones", m->stats.tombstones);
    put_more(w, m->more_stats);
    put_close(w, '}');
}

static void put_hints(struct writing *w, const struct block_meta *m)
{
    VEC(str) all = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(hint_names); i++)
        if (m->hints & hint_names[i].bit) vec_push(&all, hint_names[i].name);
    for (size_t i = 0; i < m->n_other_hints; i++) vec_push(&all, m->other_hints[i]);
    if (all.n) {
        strs_sort(all.at, all.n);
        put_key(w, "hints");
        put_open(w, '[');
        for (size_t i = 0; i < all.n; i++) {
            json_t *text = json_stringn((const char *)all.at[i].p, all.at[i].n);
            put_item(w);
            json_far_put(w->b, text, 0);
            json_decref(text);
        }
        put_close(w, ']');
    }
    vec_fini(&all);
}

static void put_parents(struct writing *w, const struct block_meta *m)
{
    if (!m->n_parents) return;
    put_key(w, "parents");
    put_open(w, '[');
    for (size_t i = 0; i < m->n_parents; i++) {
        put_item(w);
        put_open(w, '{');
        put_key(w, "ulid");
        put_ulid(w, m->parents[i].id);
        put_int(w, "minTime", m->parents[i].mint);
        put_int(w, "maxTime", m->parents[i].maxt);
        put_close(w, '}');
    }
    put_close(w, ']');
}

static void put_compaction(struct writing *w, const struct block_meta *m)
{
    put_key(w, "compaction");
    put_open(w, '{');
    put_int(w, "level", m->level);
    if (m->n_sources) {
        put_key(w, "sources");
        put_open(w, '[');
        for (size_t i = 0; i < m->n_sources; i++) {
            put_item(w);
            put_ulid(w, m->sources[i]);
        }
        put_close(w, ']');
    }
    put_flag(w, "deletable", m->deletable);
    put_parents(w, m);
    put_flag(w, "failed", m->failed);
    put_hints(w, m);
    put_more(w, m->more_compaction);
    put_close(w, '}');
}

static void put_meta(struct writing *w, const struct block_meta *m)
{
    put_open(w, '{');
    put_key(w, "ulid");
    put_ulid(w, m->id);
    put_int(w, "minTime", m->mint);
    put_int(w, "maxTime", m->maxt);
    put_stats(w, m);
    put_compaction(w, m);
    put_int(w, "version", 1);
    put_more(w, m->more);
    put_close(w, '}');
}

void meta_encode(struct buf *b, const struct block_meta *m)
{
    struct writing w = { .b = b };
    put_meta(&w, m);
}

void meta_encode_line(struct buf *b, const struct block_meta *m)
{
    struct writing w = { .b = b, .line = true };
    put_meta(&w, m);
}
