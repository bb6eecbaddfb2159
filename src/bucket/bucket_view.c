/* bucket_view.c — one look at a bucket.
 *
 *   bucket-index.json.gz, young ------------------------------> blocks, times, marks
 *   else all names: <ULID>/{meta.json,index,chunks,marks} --> found
 *        meta.json from the view before, the cache, the bucket
 *        marks from the view before, the bucket
 *   blocks of the view before that are not found: is their meta.json really gone?
 *   then: marked long ago, replaced by a compaction, another store's: left out, but known */
#include "bucket/bucket_view.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "bucket/bucket_index_codec.h"
#include "io/pool.h"

#include <stdlib.h>

enum { INDEX_BYTES_MAX = 256 << 20, MARK_BYTES_MAX = 1 << 20, SEGMENTS_MAX = 100000 };
static const int64_t INDEX_AGE_MAX_MS = 3600 * 1000;
static const int64_t resolutions_ms[] = { 0, 300000, 3600000 };  /* that Thanos' compactor makes */

struct bucket_view *bucket_view_ref(struct bucket_view *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void bucket_view_unref(struct bucket_view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1) return;
    vec_fini(&v->blocks);
    vec_fini(&v->others);
    vec_fini(&v->troubles);
    arena_fini(&v->arena);
    mem_free(v);
}

const struct view_block *bucket_view_find(const struct bucket_view *v, ulid id)
{
    for (size_t i = 0; v && i < v->blocks.n; i++)
        if (ulid_eq(v->blocks.at[i].id, id)) return &v->blocks.at[i];
    return NULL;
}

/* ---- a look under way */

/* What a listing shows of a folder whose name is a ULID. */
struct found {
    ulid id;
    bool meta, asked_mark;
    uint64_t index_bytes;
    VEC(uint64_t) segments;
    int64_t marks[MARK_KINDS]; /* when it was put; 0: there is none */
};
/* An object that is wanted, whole. */
struct wanted {
    size_t found;
    int kind; /* enum block_mark_kind, or WANTED_META */
    struct arena arena;
    str bytes;
    errc rc;
    str why;
};
enum { WANTED_META = MARK_KINDS };
struct look {
    const struct view_opts *o;
    const struct bucket_view *before;
    struct bucket_view *v;
    struct map known; /* by hash of the id: of before, those that are not asked as well */
    VEC(struct found) found;
    VEC(struct wanted) wanted;
    int64_t now_ms; /* once all names are read */
    VEC(struct view_block) raw; /* of all that are there, by labels and mint */
};

static uint64_t id_hash(ulid id) { return hash_bytes(id.b, ULID_BYTES); }
static bool id_eq(const void *val, const void *key)
{
    const struct view_block *b = val;
    const ulid *id = key;
    return ulid_eq(b->id, *id);
}

static const struct view_block *before_of(const struct look *l, ulid id)
{
    return map_find(&l->known, id_hash(id), id_eq, &id);
}

static void trouble_add(struct look *l, ulid id, str what, str why)
{
    struct arena *a = &l->v->arena;
    vec_push(&l->v->troubles, ((struct view_trouble){ arena_str(a, what), arena_str(a, why),
                                  !ulid_is_zero(id), id }));
    LOG_LIMITED(WARN, 10000, "a block of the bucket cannot be used", kv_str("object", what),
        kv_str("why", why));
}

static struct view_block block_copy(struct arena *a, const struct view_block *from)
{
    struct view_block b = *from;
    uint64_t *sizes = arena_array(a, b.n_segments, sizeof(*sizes));
    ulid *sources = arena_array(a, b.n_sources, sizeof(*sources));
    if (b.n_segments) memcpy(sizes, from->segment_bytes, b.n_segments * sizeof(*sizes));
    if (b.n_sources) memcpy(sources, from->sources, b.n_sources * sizeof(*sources));
    b.segment_bytes = sizes;
    b.sources = sources;
    b.labels = labels_copy(a, from->labels);
    b.meta = arena_str(a, from->meta);
    return b;
}

/* ---- names */

static struct found *found_of(struct look *l, ulid id)
{
    if (!l->found.n || !ulid_eq(vec_last(&l->found).id, id))
        vec_push(&l->found, ((struct found){ .id = id }));
    return &vec_last(&l->found);
}

static void segment_found(struct found *f, str number, uint64_t bytes)
{
    uint64_t i;
    if (number.n != 6 || !str_u64(number, &i) || !i || i > SEGMENTS_MAX) return;
    while (f->segments.n < i) vec_push(&f->segments, UINT64_MAX);
    f->segments.at[i - 1] = bytes;
}

static void name_found(struct look *l, const struct bucket_entry *x)
{
    ulid id;
    str dir, rel;
    if (!str_cut(x->name, '/', &dir, &rel) || !ulid_parse(dir, &id)) return;
    struct found *f = found_of(l, id);
    if (str_eq(rel, S("meta.json"))) f->meta = true;
    if (str_eq(rel, S("index"))) f->index_bytes = x->size_bytes;
    if (str_has_prefix(rel, S("chunks/"))) segment_found(f, str_from(rel, 7), x->size_bytes);
    for (int k = 0; k < MARK_KINDS; k++)
        if (str_eq(rel, block_mark_file((enum block_mark_kind)k)))
            f->marks[k] = MAX(x->modified_ms, 1);
}

static errc names_read(struct look *l, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    TRY(bucket_list(l->o->bucket, STR_EMPTY, true, &a, &all, e));
    for (size_t i = 0; i < all.n; i++) name_found(l, &all.at[i]);
    vec_fini(&all);
    return OK;
}

/* ---- objects */

static void want(struct look *l, size_t found, int kind)
{
    vec_push(&l->wanted, ((struct wanted){ .found = found, .kind = kind }));
}

static str cache_path(struct arena *a, ulid id)
{
    return arena_fmt(a, META_CACHE_DIR "/%s/meta.json", ulid_text(id).z);
}

static errc meta_parse(
    struct remote_meta *m, ulid id, str json, struct arena *a, struct err *e)
{
    TRY(meta_decode(&m->meta, json, a, e));
    TRY_IN(e, thanos_section_decode(&m->thanos, json, a, e), "meta.json: thanos");
    int64_t every = m->thanos.resolution_ms;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(resolutions_ms); i++) known |= every == resolutions_ms[i];
    if (!known)
        return err_set(e, ERR_UNSUPPORTED, "unsupported downsampling resolution %" PRId64, every);
    if (ulid_eq(m->meta.id, id)) return OK;
    return err_set(e, ERR_CORRUPT, "meta.json: it is of block %s", ulid_text(m->meta.id).z);
}

static void wanted_fetch(void *ctx, size_t i)
{
    struct look *l = ctx;
    struct wanted *w = &l->wanted.at[i];
    struct err e = { 0 };
    ulid id = l->found.at[w->found].id;
    str file = w->kind == WANTED_META ? S("meta.json")
                                      : block_mark_file((enum block_mark_kind)w->kind);
    str object = arena_fmt(&w->arena, "%s/%.*s", ulid_text(id).z, STR_ARG(file));
    bool meta = w->kind == WANTED_META;
    /* of one that was not listed only the bucket says that it is there */
    if (meta && l->found.at[w->found].meta &&
        fs_read_all(l->o->fs, cache_path(&w->arena, id), &w->arena, META_MAX_BYTES, &w->bytes,
            NULL) == OK) {
        struct remote_meta m;
        if (meta_parse(&m, id, w->bytes, &w->arena, NULL) == OK) return;
    }
    w->rc = bucket_get(l->o->bucket, object, meta ? META_MAX_BYTES : MARK_BYTES_MAX, &w->arena,
        &w->bytes, &e);
    if (w->rc != OK) w->why = arena_str(&w->arena, err_str(&e));
}

static void each(struct look *l, size_t n, void (*fn)(void *ctx, size_t i), void *ctx)
{
    if (l->o->pool) pool_each(l->o->pool, n, fn, ctx);
    else
        for (size_t i = 0; i < n; i++) fn(ctx, i);
}

/* A cache that cannot be written, or of which a crash leaves a part, costs a request at the next
 * start. */
static void cache_put(struct look *l, ulid id, str json)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    str path = cache_path(&a, id);
    if (fs_exists(l->o->fs, path)) {
        str old;
        if (fs_read_all(l->o->fs, path, &a, META_MAX_BYTES, &old, NULL) == OK && str_eq(old, json))
            return;
    }
    errc rc = fs_mkdir(l->o->fs, S(META_CACHE_DIR), &e);
    str dir = arena_fmt(&a, META_CACHE_DIR "/%s", ulid_text(id).z);
    if (rc == OK) rc = fs_mkdir(l->o->fs, dir, &e);
    if (rc == OK) rc = fs_write_cache(l->o->fs, path, json, &e);
    if (rc != OK) LOG_LIMITED(WARN, 60000, "meta.json cannot be kept here", kv_err(&e));
}

static void found_sizes(struct look *l, const struct found *f, struct view_block *b)
{
    uint64_t *sizes = arena_array(&l->v->arena, f->segments.n, sizeof(*sizes));
    if (f->segments.n) memcpy(sizes, f->segments.at, f->segments.n * sizeof(*sizes));
    b->segment_bytes = sizes;
    b->n_segments = f->segments.n;
    b->index_bytes = f->index_bytes;
    b->no_compact = f->marks[MARK_NO_COMPACT] > 0;
    b->no_downsample = f->marks[MARK_NO_DOWNSAMPLE] > 0;
}

static void left_out_told(str block)
{
    LOG(WARN, "a listing leaves out a block that is there", kv_str("block", block));
}

/* What a compactor or a repair put there takes the place of what was asked before: it is whole. */
static int64_t fresh_since(ulid id, const struct thanos_section *t)
{
    static const str whole[] = { S("compactor"), S("compactor.repair"), S("bucket.repair") };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++)
        if (str_eq(t->source, whole[i])) return 0;
    return t->upload_ms ? t->upload_ms : ulid_time_ms(id);
}

static void meta_take(struct look *l, const struct wanted *w)
{
    const struct found *f = &l->found.at[w->found];
    struct arena *a = &l->v->arena;
    struct remote_meta m = { 0 };
    struct err e = { 0 };
    str name = str_z(ulid_text(f->id).z), json = arena_str(a, w->bytes);
    errc rc = w->rc;
    if (rc == ERR_NOT_FOUND) { /* not whole yet, or being deleted */
        l->v->partial++;
        return;
    }
    if (rc != OK) err_set(&e, rc, "%.*s", STR_ARG(w->why));
    else rc = meta_parse(&m, f->id, json, a, &e);
    if (rc != OK && f->marks[MARK_DELETION]) { /* it is going away */
        l->v->marked++;
        return;
    }
    if (rc != OK) {
        trouble_add(l, f->id, name, err_str(&e));
        return;
    }
    if (!f->meta) left_out_told(name);
    cache_put(l, f->id, json);
    struct view_block b = { .id = f->id,
        .mint = m.meta.mint,
        .maxt = m.meta.maxt,
        .resolution_ms = m.thanos.resolution_ms,
        .level = m.meta.level,
        .labels = m.thanos.labels,
        .sources = m.meta.sources,
        .n_sources = m.meta.n_sources,
        .fresh_ms = fresh_since(f->id, &m.thanos),
        .meta = json };
    found_sizes(l, f, &b);
    vec_push(&l->v->blocks, b);
}

static struct view_block *taken_of(struct look *l, ulid id)
{
    for (size_t i = l->v->blocks.n; i-- > 0;)
        if (ulid_eq(l->v->blocks.at[i].id, id)) return &l->v->blocks.at[i];
    return NULL;
}

/* A mark that cannot be read counts from when it was put: it says no more than that. */
static void mark_take(struct look *l, const struct wanted *w)
{
    const struct found *f = &l->found.at[w->found];
    struct view_block *b = taken_of(l, f->id);
    struct block_mark m;
    SCOPED(arena_fini) struct arena a = { 0 };
    if (!b || w->rc == ERR_NOT_FOUND) return;
    bool read = w->rc == OK && block_mark_decode(&m, MARK_DELETION, w->bytes, &a, NULL) == OK;
    b->marked_s = MAX(read ? m.time_s : f->marks[MARK_DELETION] / 1000, 1);
}

/* Metas are taken over from the view before; what is missing is fetched. Where the list has
 * objects of a block without its meta.json, the store is asked for that: lists may leave out. */
static void blocks_read(struct look *l)
{
    for (size_t i = 0; i < l->found.n; i++) {
        const struct found *f = &l->found.at[i];
        const struct view_block *b = before_of(l, f->id);
        if (!f->meta && b) continue; /* lost_look */
        if (b && b->meta.n) {
            vec_push(&l->v->blocks, block_copy(&l->v->arena, b));
            found_sizes(l, f, &vec_last(&l->v->blocks));
            vec_last(&l->v->blocks).marked_s = 0;
        } else {
            want(l, i, WANTED_META);
        }
        if (f->marks[MARK_DELETION]) want(l, i, MARK_DELETION);
    }
    each(l, l->wanted.n, wanted_fetch, l);
    for (size_t i = 0; i < l->wanted.n; i++)
        if (l->wanted.at[i].kind == WANTED_META) meta_take(l, &l->wanted.at[i]);
    for (size_t i = 0; i < l->wanted.n; i++)
        if (l->wanted.at[i].kind == MARK_DELETION) mark_take(l, &l->wanted.at[i]);
}

static int found_order(const void *key, const void *one)
{
    return ulid_cmp(*(const ulid *)key, ((const struct found *)one)->id);
}

/* Names are sorted, and ULIDs sort as their texts do. */
static bool found_has(const struct look *l, ulid id)
{
    if (!l->found.n) return false;
    const struct found *f =
        bsearch(&id, l->found.at, l->found.n, sizeof(*l->found.at), found_order);
    return f && f->meta;
}

/* A block of the look before that the listing leaves out. */
struct lost {
    const struct view_block *b;
    bool there;
};
struct lost_all {
    struct look *l;
    VEC(struct lost) at;
};

static void lost_note(struct lost_all *all, const struct view_block *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!found_has(all->l, blocks[i].id))
            vec_push(&all->at, ((struct lost){ &blocks[i], true }));
}

/* Only the object itself says that it is gone. */
static void lost_ask(void *ctx, size_t i)
{
    struct lost_all *all = ctx;
    struct lost *one = &all->at.at[i];
    SCOPED(arena_fini) struct arena a = { 0 };
    bool there;
    str meta = arena_fmt(&a, "%s/meta.json", ulid_text(one->b->id).z);
    errc rc = bucket_exists(all->l->o->bucket, meta, &there, NULL);
    one->there = rc != OK || there;
}

static void lost_look(struct look *l)
{
    struct lost_all all = { .l = l };
    if (!l->before) return;
    lost_note(&all, l->before->blocks.at, l->before->blocks.n);
    lost_note(&all, l->before->others.at, l->before->others.n);
    each(l, all.at.n, lost_ask, &all);
    for (size_t i = 0; i < all.at.n; i++) {
        if (!all.at.at[i].there) continue;
        left_out_told(str_z(ulid_text(all.at.at[i].b->id).z));
        vec_push(&l->v->blocks, block_copy(&l->v->arena, all.at.at[i].b));
    }
    vec_fini(&all.at);
}

/* ---- a bucket index */

/* false: there is none that can be used. */
static bool index_read(struct look *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct bucket_index x;
    struct err e = { 0 };
    str packed;
    int64_t age_max = l->o->index_age_max_ms ? l->o->index_age_max_ms : INDEX_AGE_MAX_MS;
    errc rc =
        bucket_get(l->o->bucket, S(BUCKET_INDEX_OBJECT), INDEX_BYTES_MAX, &a, &packed, &e);
    if (rc == ERR_NOT_FOUND) return false;
    if (rc == OK) rc = bucket_index_decode(&x, packed, &a, &e);
    int64_t age_s = rc == OK ? clock_wall_ms() / 1000 - x.updated_s : 0;
    if (rc == OK && (age_s > age_max / 1000 || -age_s > age_max / 1000))
        rc = err_set(&e, ERR_CORRUPT, "it is %" PRId64 " s old", age_s);
    if (rc != OK) {
        LOG(WARN, "the bucket index cannot be used: all objects are listed", kv_err(&e));
        return false;
    }
    for (size_t i = 0; i < x.n; i++) {
        const struct bucket_index_block *b = &x.blocks[i];
        uint64_t *sizes = arena_zalloc(&l->v->arena, (b->segments + 1) * sizeof(*sizes));
        vec_push(&l->v->blocks, ((struct view_block){ .id = b->id,
                                    .mint = b->mint,
                                    .maxt = b->maxt,
                                    .level = b->level,
                                    .labels = labels_copy(&l->v->arena, b->labels),
                                    .marked_s = b->marked_s,
                                    .fresh_ms = ulid_time_ms(b->id),
                                    .segment_bytes = sizes,
                                    .n_segments = b->segments }));
    }
    return l->v->by_index = true;
}

/* ---- which of them are asked */

/* Of one that is not asked the next look is to know that it was there. */
static void leave_out(struct look *l, struct view_block b)
{
    b.meta = STR_EMPTY;
    vec_push(&l->v->others, b);
}

static bool sources_within(const struct view_block *a, const struct view_block *b)
{
    size_t k = 0;
    for (size_t i = 0; i < a->n_sources; i++) {
        while (k < b->n_sources && ulid_cmp(b->sources[k], a->sources[i]) < 0) k++;
        if (k == b->n_sources || !ulid_eq(b->sources[k], a->sources[i])) return false;
    }
    return true;
}

/* Most sources first; of equals the older one by name stays. */
static int by_sources(const void *a, const void *b)
{
    const struct view_block *const *x = a, *const *y = b;
    if ((*x)->n_sources != (*y)->n_sources) return (*x)->n_sources > (*y)->n_sources ? -1 : 1;
    return ulid_cmp((*x)->id, (*y)->id);
}

struct keeper {
    const struct view_block *b;
    struct keeper *next; /* of those with a source in common */
};

static bool replaced(struct map *by_source, const struct view_block *b)
{
    if (!b->n_sources) return false;
    struct keeper *k = map_find(by_source, id_hash(b->sources[0]), NULL, NULL);
    for (; k; k = k->next)
        if (k->b->resolution_ms == b->resolution_ms && labels_eq(k->b->labels, b->labels) &&
            sources_within(b, k->b))
            return true;
    return false;
}

static void replacer_note(struct map *by_source, const struct view_block *b, struct arena *a)
{
    for (size_t i = 0; i < b->n_sources; i++) {
        struct keeper *k = ANEW(a, struct keeper);
        k->b = b;
        k->next = map_remove(by_source, id_hash(b->sources[i]), NULL, NULL);
        map_put(by_source, id_hash(b->sources[i]), k);
    }
}

/* Blocks whose sources are all in another one of the same labels and resolution. */
static void replaced_drop(struct look *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    size_t n = l->v->blocks.n, kept = 0;
    struct view_block **order = arena_array(&a, n + 1, sizeof(struct view_block *));
    bool *gone = arena_zalloc(&a, n + 1);
    struct map by_source = { 0 };
    for (size_t i = 0; i < n; i++) order[i] = &l->v->blocks.at[i];
    if (n) qsort(order, n, sizeof(struct view_block *), by_sources);
    for (size_t i = 0; i < n; i++)
        if (replaced(&by_source, order[i])) gone[order[i] - l->v->blocks.at] = true;
        else replacer_note(&by_source, order[i], &a);
    for (size_t i = 0; i < n; i++) {
        if (!gone[i]) l->v->blocks.at[kept++] = l->v->blocks.at[i];
        else leave_out(l, l->v->blocks.at[i]), l->v->replaced++;
    }
    l->v->blocks.n = kept;
    map_fini(&by_source);
}

/* Blocks that others are to ask, and those that may still be on their way. */
static void excluded_drop(struct look *l)
{
    const struct view_opts *o = l->o;
    bool any_time = !o->mint && !o->maxt;
    size_t kept = 0;
    for (size_t i = 0; i < l->v->blocks.n; i++) {
        struct view_block b = l->v->blocks.at[i];
        bool out = !any_time && (b.maxt < o->mint || b.mint > o->maxt);
        if (!out && o->wanted) out = !o->wanted(o->wanted_ctx, b.id, b.labels);
        bool fresh = !out && b.fresh_ms && l->now_ms - b.fresh_ms < o->consistency_ms;
        l->v->excluded += out;
        l->v->fresh += fresh;
        if (!out && !fresh) l->v->blocks.at[kept++] = b;
        else leave_out(l, b);
    }
    l->v->blocks.n = kept;
}

static bool goes(const struct look *l, const struct view_block *b)
{
    return b->marked_s && b->marked_s <= (l->now_ms - l->o->ignore_deletion_ms) / 1000;
}

static void marked_drop(struct look *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->v->blocks.n; i++) {
        struct view_block b = l->v->blocks.at[i];
        bool old = goes(l, &b);
        l->v->marked += old;
        if (!old) l->v->blocks.at[kept++] = b;
        else leave_out(l, b);
    }
    l->v->blocks.n = kept;
}

static int by_time(const void *a, const void *b)
{
    const struct view_block *x = a, *y = b;
    return x->mint != y->mint ? (x->mint < y->mint ? -1 : 1) : ulid_cmp(x->id, y->id);
}

static int by_labels_and_time(const void *a, const void *b)
{
    const struct view_block *x = a, *y = b;
    int order = labels_cmp(x->labels, y->labels);
    return order ? order : by_time(x, y);
}

/* Of all blocks that are there, whoever serves them: who has a part of a bucket does not take the
 * parts of others for gone. */
static void raw_note(struct look *l)
{
    for (size_t i = 0; i < l->v->blocks.n; i++)
        if (!l->v->blocks.at[i].resolution_ms && !goes(l, &l->v->blocks.at[i]))
            vec_push(&l->raw, l->v->blocks.at[i]);
    if (l->raw.n) qsort(l->raw.at, l->raw.n, sizeof(*l->raw.at), by_labels_and_time);
}

/* The first raw block of these labels. */
static size_t raw_first(const struct look *l, struct labels labels)
{
    size_t lo = 0, hi = l->raw.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (labels_cmp(l->raw.at[mid].labels, labels) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* What raw blocks of its labels leave of it: from the first time that none of them has to the
 * last. */
static void bare_find(const struct look *l, struct view_block *b)
{
    int64_t reached = b->mint, bare_mint = INT64_MAX;
    b->bare_maxt = b->mint;
    for (size_t i = raw_first(l, b->labels); i < l->raw.n && l->raw.at[i].mint < b->maxt; i++) {
        const struct view_block *raw = &l->raw.at[i];
        if (!labels_eq(raw->labels, b->labels)) break;
        if (raw->maxt <= reached) continue;
        if (raw->mint > reached) {
            bare_mint = MIN(bare_mint, reached);
            b->bare_maxt = raw->mint;
        }
        reached = raw->maxt;
    }
    if (reached < b->maxt) {
        bare_mint = MIN(bare_mint, reached);
        b->bare_maxt = b->maxt;
    }
    b->bare_mint = bare_mint;
}

static void downsampled_look(struct look *l)
{
    for (size_t i = 0; i < l->v->blocks.n; i++) {
        if (!l->v->blocks.at[i].resolution_ms) continue;
        l->v->downsampled++;
        bare_find(l, &l->v->blocks.at[i]);
    }
}

static void look_fini(struct look *l)
{
    map_fini(&l->known);
    for (size_t i = 0; i < l->found.n; i++) vec_fini(&l->found.at[i].segments);
    for (size_t i = 0; i < l->wanted.n; i++) arena_fini(&l->wanted.at[i].arena);
    vec_fini(&l->found);
    vec_fini(&l->wanted);
    vec_fini(&l->raw);
}

errc bucket_view_look(struct bucket_view **out, const struct view_opts *o,
    const struct bucket_view *before, struct err *e)
{
    struct look l = { .o = o, .before = before, .v = NEW(struct bucket_view) };
    errc rc = OK;
    atomic_init(&l.v->refs, 1);
    for (size_t i = 0; before && i < before->blocks.n; i++)
        map_put(&l.known, id_hash(before->blocks.at[i].id), &before->blocks.at[i]);
    for (size_t i = 0; before && i < before->others.n; i++)
        map_put(&l.known, id_hash(before->others.at[i].id), &before->others.at[i]);
    if (!index_read(&l)) {
        rc = names_read(&l, e);
        if (rc == OK) blocks_read(&l);
        if (rc == OK) lost_look(&l);
    }
    l.now_ms = clock_wall_ms();
    raw_note(&l);
    excluded_drop(&l);
    marked_drop(&l);
    replaced_drop(&l);
    if (l.v->blocks.n)
        qsort(l.v->blocks.at, l.v->blocks.n, sizeof(*l.v->blocks.at), by_time);
    downsampled_look(&l);
    look_fini(&l);
    if (rc == OK) *out = l.v;
    else bucket_view_unref(l.v);
    return rc;
}
