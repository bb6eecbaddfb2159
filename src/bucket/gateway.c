/* gateway.c — which blocks there are, and which of them are open.
 *
 * One thread looks at the bucket (bucket_view.h) and closes what is idle. A block is opened by a
 * job of the pool `opens`: its index-header is built if there is none, or none that is good, and
 * read whole once; so as many blocks are opened at once as the pool has threads. Its bytes are
 * synced by a job of a pool of its own, `syncs`: a disk that takes no writes keeps nobody from
 * opening blocks. Queries wait for the state of a block to change, for a time. */
#include "bucket/gateway_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "block/float_cache.h"
#include "bucket/header_samples.h"
#include "bucket/index_header.h"
#include "bucket/look_pace.h"
#include "bucket/page_file.h"
#include "bucket/remote_folder.h"
#include "io/thread.h"

#include <stdlib.h>

enum {
    OPEN_THREADS = 20,
    SYNC_THREADS = 2,
    READ_THREADS = 96,
    SELECT_THREADS = 16,
    META_THREADS = 32,
    QUEUE_MAX = 65536,
    SYNC_INTERVAL_MS = 15 * 60 * 1000,
    SYNC_SOON_MS = 5000,
    TICK_MS = 1000,
    WAITS_MS = 100, /* all blocks that a question needs are being opened anyway */
    PATIENCE_MS = 60000,
    FAILED_AGAIN_MS = 2000,
    DOUBT_AGAIN_MS = 60000,
    INDEX_BEFORE_DISK_BYTES = 2 << 20, /* memory with a file behind */
    CHUNKS_BEFORE_DISK_BYTES = 4 << 20,
    CACHE_BYTES = 250 << 20
};
#define MS_NS INT64_C(1000000)

COUNTER(m_looks, "epimetheus_store_syncs_total", "Looks at the bucket.")
COUNTER(m_look_failures, "epimetheus_store_sync_failures_total", "Looks at the bucket that failed.")
COUNTER(m_opened, "epimetheus_store_blocks_opened_total", "Blocks of the bucket that were opened.")
COUNTER(m_open_failures, "epimetheus_store_block_open_failures_total",
    "Blocks of the bucket that could not be opened.")
COUNTER(m_closed, "epimetheus_store_blocks_closed_total",
    "Blocks of the bucket that were closed because nobody asked for them.")
COUNTER(m_built, "epimetheus_store_index_headers_built_total", "Index-headers that were built.")
COUNTER(m_built_bytes, "epimetheus_store_index_header_read_bytes_total",
    "Bytes of indexes that were read for index-headers.")
GAUGE_VEC(m_blocks, "epimetheus_store_blocks", "Blocks of the bucket, by what is done with them.",
    "state")
GAUGE_VEC(m_cache_bytes, "epimetheus_store_cache_bytes", "Bytes in the caches of the bucket.",
    "cache")
GAUGE_VEC(m_cache_reads, "epimetheus_store_bucket_reads",
    "Ranges that were read for the caches of the bucket so far.", "cache")
GAUGE_VEC(m_cache_read_bytes, "epimetheus_store_bucket_read_bytes",
    "Bytes that were read for the caches of the bucket so far.", "cache")
GAUGE_VEC(m_cache_hits, "epimetheus_store_cache_hits", "Pages that were there so far.", "cache")
GAUGE_VEC(m_disk_bytes, "epimetheus_store_cache_disk_bytes",
    "Bytes of pages in the files behind the caches of the bucket.", "cache")
GAUGE_VEC(m_disk_hits, "epimetheus_store_cache_disk_hits",
    "Pages that were read from these files so far; they are among the hits.", "cache")
GAUGE_VEC(m_cache_misses, "epimetheus_store_cache_misses",
    "Pages that were not there so far.", "cache")

/* ---- what is counted */

struct opened *opened_ref(struct opened *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void opened_unref(struct opened *o)
{
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1) return;
    block_unref(o->block);
    fs_free(o->folder);
    mem_free(o);
}

void opened_doubt(struct opened *o)
{
    int64_t now = clock_mono_ns(),
            last = atomic_load_explicit(&o->doubted_ns, memory_order_relaxed);
    if (last && now - last < DOUBT_AGAIN_MS * MS_NS) return;
    atomic_store_explicit(&o->doubted_ns, now, memory_order_relaxed);
    remote_folder_forget(o->folder);
}

static void entry_unref(struct entry *n)
{
    if (!n || atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1) return;
    opened_unref(n->opened);
    mem_free((void *)n->why.p);
    mem_free(n);
}

static uint64_t id_hash(ulid id) { return hash_bytes(id.b, ULID_BYTES); }
static bool entry_eq(const void *val, const void *key)
{
    const struct entry *n = val;
    return ulid_eq(n->id, *(const ulid *)key);
}

/* ---- opening one block; in a thread of `opens` */

struct opening {
    struct entry *n;
    struct bucket_view *view;
    const struct view_block *b;
    bool built;         /* the header, just now */
    struct opened *was; /* what this takes the place of; may be NULL */
};

static errc header_build(
    struct gateway *g, const struct view_block *b, struct index_seen *seen, struct err *e)
{
    struct header_built what = { 0 };
    struct err why = { 0 };
    errc rc = ERR_CORRUPT;
    for (int i = 0; i < 2 && rc == ERR_CORRUPT; i++) /* it may have been an answer that was wrong */
        rc = index_header_build(g->o.bucket, b->id, b->index_bytes, g->o.fs,
            str_z(ulid_text(b->id).z), &what, seen, &why);
    if (rc != OK) return err_set(e, rc, "%s", why.msg);
    metric_add(&m_built, 1);
    metric_add(&m_built_bytes, (double)what.read_bytes);
    return OK;
}

/* seen: of the index, while its header was built just now; else empty */
static errc open_once(struct gateway *g, const struct view_block *b, bool proved,
    const struct index_seen *seen, const struct index_samples *samples, struct opened **out,
    struct err *e)
{
    struct opened *o = NEW(struct opened);
    struct remote_folder_opts ro = { .bucket = g->o.bucket,
        .block = b,
        .local = g->o.fs,
        .backend = g->o.backend,
        .index = g->index_cache,
        .chunks = g->chunk_cache,
        .reads = g->reads,
        .far_index = g->o.far_index,
        .far_chunks = g->o.far_chunks,
        .patience_ms = g->o.patience_ms,
        .missed = &g->missed,
        .prove = !proved };
    struct block_opts bo = { .backend = g->o.backend,
        .samples = samples,
        .aggregates = b->resolution_ms > 0 };
    atomic_init(&o->refs, 1);
    errc rc = remote_folder_new(&o->folder, &ro, e);
    if (rc == OK) {
        remote_folder_seen(o->folder, seen);
        remote_folder_patient(o->folder, true);
        bo.fs = o->folder;
        rc = block_open(&o->block, &bo, str_z(ulid_text(b->id).z), e);
        remote_folder_patient(o->folder, false);
    }
    if (rc == OK) *out = o;
    else opened_unref(o);
    return rc;
}

/* With the samples of a sparse index-header, if there are any that are its own; else it is
 * walked. */
static errc open_sampled(struct gateway *g, const struct view_block *b, bool proved,
    const struct index_seen *seen, struct opened **out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct index_samples x;
    struct err why = { 0 };
    str dir = arena_fmt(&a, "%s", ulid_text(b->id).z);
    errc rc = header_samples_local(&x, g->o.fs, dir, &a, &why);
    bool damaged = rc == ERR_CORRUPT;
    if (rc != OK)
        rc = header_samples_remote(&x, g->o.bucket, g->o.fs, dir, &a, damaged ? NULL : &why);
    bool none = rc != OK;
    if (rc == OK) rc = open_once(g, b, proved, seen, &x, out, &why);
    if (rc == OK) return OK;
    bool wrong = rc == ERR_CORRUPT || (damaged && none);
    if (wrong)
        LOG(WARN, "an index-header is walked: its samples cannot be used", kv_z("block",
            ulid_text(b->id).z), kv_err(&why));
    if (wrong || none) { /* the next opening has them */
        rc = index_header_sample(g->o.fs, dir, NULL);
        str file = path_join(&a, dir, S(SPARSE_HEADER_FILE));
        if (rc != OK && wrong) rc = fs_unlink(g->o.fs, file, NULL);
        (void)rc; /* they are looked at each time */
    }
    return open_once(g, b, proved, seen, NULL, out, e);
}

static errc open_block(struct gateway *g, const struct view_block *b, bool proved, bool *built,
    struct opened **out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(index_seen_fini) struct index_seen seen = { 0 };
    struct err why = { 0 };
    str header = arena_fmt(&a, "%s/index-header", ulid_text(b->id).z);
    if (fs_is_dir(g->o.fs, header)) TRY(fs_remove_tree(g->o.fs, header, e)); /* no file at all */
    if (fs_exists(g->o.fs, header)) {
        errc rc = open_sampled(g, b, proved, &seen, out, &why);
        if (rc != ERR_CORRUPT && rc != ERR_UNSUPPORTED)
            return rc == OK ? OK : err_set(e, rc, "%s", why.msg);
        LOG(WARN, "an index-header is built anew", kv_z("block", ulid_text(b->id).z),
            kv_err(&why));
        TRY(fs_unlink(g->o.fs, header, e));
    }
    TRY(header_build(g, b, &seen, e));
    *built = true;
    return open_sampled(g, b, true, &seen, out, e);
}

static void opened_told(struct opening *o, struct opened *what, errc rc, const struct err *e)
{
    struct entry *n = o->n;
    struct gateway *g = n->g;
    struct opened *late = NULL;
    mtx_lock(&g->mu);
    mem_free((void *)n->why.p);
    n->why = rc == OK ? STR_EMPTY : mem_str(err_str(e));
    n->rc = bucket_refusal_of_query(rc);
    n->since_ns = n->used_ns = clock_mono_ns();
    n->state = rc == OK ? ENTRY_OPEN : ENTRY_FAILED;
    if (rc == OK) n->proved = true;
    if (n->gone || g->stop) late = what;
    else n->opened = what;
    if (late) n->state = ENTRY_CLOSED;
    cond_broadcast(&g->changed);
    mtx_unlock(&g->mu);
    opened_unref(late);
}

/* What building index-headers took goes back once no more are built: the questions that waited for
 * them take memory of their own. */
static void opening_ended(struct gateway *g)
{
    enum { MANY = 16 };
    mtx_lock(&g->mu);
    bool last = --g->opening == 0;
    bool many = last && g->opened_since >= MANY;
    if (last) g->opened_since = 0;
    else g->opened_since++;
    mtx_unlock(&g->mu);
    if (many) mem_give_back();
}

static void opening_free(struct opening *o)
{
    opened_unref(o->was);
    entry_unref(o->n);
    bucket_view_unref(o->view);
    mem_free(o);
}

/* Who waited may have the block; who comes later has its header built anew. The file goes first:
 * an opening that found it would take it for right out of the kernel's memory, and the disk tells
 * of an error once. */
static void header_give_up(struct opening *o, str header)
{
    struct err e = { 0 };
    if (fs_unlink(o->n->g->o.fs, header, &e) != OK)
        LOG_LIMITED(ERROR, 1000, "an index-header that the disk refused cannot be removed",
            kv_z("block", ulid_text(o->n->id).z), kv_err(&e));
    mtx_lock(&o->n->g->mu);
    o->n->suspect = true;
    mtx_unlock(&o->n->g->mu);
}

/* A header is looked at whole when it is opened, and later look-ups check no sums: what was right
 * in the kernel's memory then must be right on the disk, too, when it comes back from there.
 * Whoever waited for the block has it by now. In a thread of `syncs`. */
static void header_sync_run(void *ctx)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct opening *o = ctx;
    struct gateway *g = o->n->g;
    struct err e = { 0 };
    struct file *f = NULL;
    str header = arena_fmt(&a, "%s/index-header", ulid_text(o->n->id).z);
    mtx_lock(&g->mu);
    bool stop = g->stop || o->n->gone;
    mtx_unlock(&g->mu);
    errc rc = stop ? OK : fs_open(&f, g->o.fs, header, FS_READ, &e);
    if (f) rc = file_sync(f, &e);
    file_close(f);
    if (rc != OK && rc != ERR_NOT_FOUND) {
        LOG_LIMITED(WARN, 1000, "an index-header cannot be written to the disk: it is built anew",
            kv_z("block", ulid_text(o->n->id).z), kv_err(&e));
        header_give_up(o, header);
    }
    opening_free(o);
}

/* As many as there may be wait already: the next opening of this block tries again. */
static void header_sync_submit(struct opening *o)
{
    struct gateway *g = o->n->g;
    if (pool_submit(g->syncs, header_sync_run, o)) return;
    mtx_lock(&g->mu);
    o->n->proved = false;
    mtx_unlock(&g->mu);
    opening_free(o);
}

static void open_run(void *ctx)
{
    struct opening *o = ctx;
    struct opened *what = NULL;
    struct err e = { 0 };
    int64_t since = clock_mono_ns();
    mtx_lock(&o->n->g->mu);
    bool proved = o->n->proved;
    mtx_unlock(&o->n->g->mu);
    errc rc = open_block(o->n->g, o->b, proved, &o->built, &what, &e);
    metric_add(rc == OK ? &m_opened : &m_open_failures, 1);
    if (rc == ERR_NOT_FOUND) atomic_store_explicit(&o->n->g->missed, true, memory_order_relaxed);
    if (rc == OK)
        LOG(DEBUG, "a block of the bucket was opened", kv_z("block", ulid_text(o->b->id).z),
            kv_i64("took_ms", (clock_mono_ns() - since) / MS_NS));
    else
        LOG_LIMITED(WARN, 1000, "a block of the bucket cannot be opened",
            kv_z("block", ulid_text(o->b->id).z), kv_err(&e));
    opened_told(o, what, rc, &e);
    opening_ended(o->n->g);
    if (rc != OK || (proved && !o->built)) opening_free(o);
    else header_sync_submit(o);
}

/* ---- who asks */

errc gateway_view(struct gateway *g, struct bucket_view **out, struct err *e)
{
    mtx_lock(&g->mu);
    struct bucket_view *v = g->view ? bucket_view_ref(g->view) : NULL;
    mtx_unlock(&g->mu);
    *out = v;
    return v ? OK : err_set(e, ERR_UNAVAILABLE, "the bucket was not seen yet");
}

static struct entry *entry_of(struct gateway *g, ulid id)
{
    struct entry *n = map_find(&g->entries, id_hash(id), entry_eq, &id);
    if (n) return n;
    n = NEW(struct entry);
    *n = (struct entry){ .g = g, .id = id };
    atomic_init(&n->refs, 1);
    map_put(&g->entries, id_hash(id), n);
    return n;
}

/* A disk that refuses every header has each of them built once in a while, not by each question. */
static bool wants_opening(const struct entry *n, int64_t now)
{
    bool wrong = n->state == ENTRY_FAILED || (n->state == ENTRY_OPEN && n->suspect);
    return n->state == ENTRY_CLOSED || (wrong && now - n->since_ns > FAILED_AGAIN_MS * MS_NS);
}

/* With the lock; what is to be handed to the pool, or NULL. */
static struct opening *opening_new(struct gateway *g, struct entry *n, const struct view_block *b)
{
    int64_t now = clock_mono_ns();
    if (!wants_opening(n, now) || g->stop) return NULL;
    struct opening *o = NEW(struct opening);
    struct bucket_view *one = NEW(struct bucket_view); /* its own: the caller's may go first */
    atomic_init(&one->refs, 1);
    vec_push(&one->blocks, *b);
    one->blocks.at[0].meta = arena_str(&one->arena, b->meta);
    uint64_t *sizes = arena_array(&one->arena, b->n_segments + 1, sizeof(*sizes));
    if (b->n_segments) memcpy(sizes, b->segment_bytes, b->n_segments * sizeof(*sizes));
    one->blocks.at[0].segment_bytes = sizes;
    *o = (struct opening){ n, one, &one->blocks.at[0], false, STEAL(n->opened) };
    atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    n->proved = n->proved && !n->suspect;
    n->suspect = false;
    n->state = ENTRY_OPENING;
    n->since_ns = now;
    g->opening++;
    return o;
}

static void opening_submit(struct gateway *g, struct opening *o)
{
    struct err e = { 0 };
    if (!o || pool_submit(g->opens, open_run, o)) return;
    err_set(&e, ERR_LIMIT, "too many blocks are being opened");
    opened_told(o, NULL, ERR_LIMIT, &e);
    opening_ended(g);
    opening_free(o);
}

void gateway_begin(struct gateway *g, const struct view_block *b)
{
    mtx_lock(&g->mu);
    struct opening *o = opening_new(g, entry_of(g, b->id), b);
    mtx_unlock(&g->mu);
    opening_submit(g, o);
}

/* With the lock. */
static errc entry_await(struct gateway *g, struct entry *n, int64_t until_ns, struct err *e)
{
    int64_t patience = g->o.patience_ms * MS_NS, now = clock_mono_ns(),
            tell_ns = now + WAITS_MS * MS_NS;
    for (; n->state == ENTRY_OPENING && !g->stop; now = clock_mono_ns()) {
        int64_t until = MIN(until_ns, n->since_ns + patience);
        bool hangs = now - n->since_ns >= patience;
        if (!hangs && cond_wait_until(&g->changed, &g->mu, MIN(until, tell_ns))) continue;
        if (!hangs && tell_ns < until) {
            tell_ns = INT64_MAX;
            mtx_unlock(&g->mu);
            pool_waits();
            mtx_lock(&g->mu);
            continue;
        }
        if (n->state != ENTRY_OPENING) break;
        return err_set(e, ERR_UNAVAILABLE, "block %s: it is being opened since %" PRId64 " ms",
            ulid_text(n->id).z, (clock_mono_ns() - n->since_ns) / MS_NS);
    }
    if (n->state == ENTRY_OPEN) return OK;
    if (n->state == ENTRY_FAILED) return err_set(e, n->rc, "%.*s", STR_ARG(n->why));
    return err_set(e, g->stop ? ERR_CANCELED : ERR_UNAVAILABLE, "block %s: it was closed",
        ulid_text(n->id).z);
}

errc gateway_take(struct gateway *g, const struct view_block *b, int64_t until_ns,
    struct opened **out, struct err *e)
{
    gateway_begin(g, b);
    mtx_lock(&g->mu);
    struct entry *n = entry_of(g, b->id);
    atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    errc rc = entry_await(g, n, until_ns, e);
    if (rc == OK) {
        n->used_ns = clock_mono_ns();
        *out = opened_ref(n->opened);
    }
    mtx_unlock(&g->mu);
    entry_unref(n);
    return rc;
}

/* ---- looking at the bucket */

static uint64_t or_default(uint64_t v, uint64_t def) { return v ? v : def; }

static bool is_in(const struct map *ids, ulid id)
{
    return map_find(ids, id_hash(id), NULL, NULL) != NULL;
}

/* Removes the folders below dir that are named by other ids. */
static void folders_drop(struct gateway *g, str dir, const struct map *ids)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    if (fs_list(g->o.fs, dir, &a, &all, NULL) != OK) return;
    for (size_t i = 0; i < all.n; i++) {
        ulid id;
        if (!all.at[i].is_dir || !ulid_parse(all.at[i].name, &id) || is_in(ids, id)) continue;
        errc rc = fs_remove_tree(g->o.fs, path_join(&a, dir, all.at[i].name), NULL);
        (void)rc; /* the next look tries again */
    }
    vec_fini(&all);
}

/* Blocks that went: closed by the last query that has them, their folders go. What is known of
 * those that are not asked stays: the next look asks the bucket for no meta.json of theirs. */
static void gone_drop(struct gateway *g, const struct bucket_view *v)
{
    struct map ids = { 0 };
    VEC(struct entry *) gone = { 0 };
    struct entry *n;
    for (size_t i = 0; i < v->blocks.n; i++)
        map_put(&ids, id_hash(v->blocks.at[i].id), &v->blocks.at[i]);
    mtx_lock(&g->mu);
    for (size_t i = 0; (n = map_next(&g->entries, &i)) != NULL;)
        if (!is_in(&ids, n->id)) vec_push(&gone, n);
    for (size_t i = 0; i < gone.n; i++) {
        gone.at[i]->gone = true;
        map_remove(&g->entries, id_hash(gone.at[i]->id), entry_eq, &gone.at[i]->id);
    }
    mtx_unlock(&g->mu);
    for (size_t i = 0; i < gone.n; i++) entry_unref(gone.at[i]);
    vec_fini(&gone);
    folders_drop(g, STR_EMPTY, &ids);
    for (size_t i = 0; i < v->others.n; i++)
        map_put(&ids, id_hash(v->others.at[i].id), &v->others.at[i]);
    folders_drop(g, S(META_CACHE_DIR), &ids);
    map_fini(&ids);
}

static int64_t bound_ms(const struct gateway_bound *b, int64_t none)
{
    if (!b->set) return none;
    return b->relative ? clock_wall_ms() + b->ms : b->ms;
}

void gateway_window(const struct gateway *g, int64_t *mint, int64_t *maxt)
{
    *mint = MAX(*mint, bound_ms(&g->o.mint, INT64_MIN));
    *maxt = MIN(*maxt, bound_ms(&g->o.maxt, INT64_MAX));
}

static void look_told(const struct bucket_view *v)
{
    metric_set_of(METRIC_WITH(&m_blocks, S("served")), (double)(v->blocks.n - v->downsampled));
    metric_set_of(METRIC_WITH(&m_blocks, S("partial")), (double)v->partial);
    metric_set_of(METRIC_WITH(&m_blocks, S("marked")), (double)v->marked);
    metric_set_of(METRIC_WITH(&m_blocks, S("replaced")), (double)v->replaced);
    metric_set_of(METRIC_WITH(&m_blocks, S("downsampled")), (double)v->downsampled);
    metric_set_of(METRIC_WITH(&m_blocks, S("excluded")), (double)v->excluded);
    metric_set_of(METRIC_WITH(&m_blocks, S("fresh")), (double)v->fresh);
    metric_set_of(METRIC_WITH(&m_blocks, S("unreadable")), (double)v->troubles.n);
}

static errc look(struct gateway *g, struct err *e)
{
    struct view_opts vo = { .bucket = g->o.bucket,
        .fs = g->o.fs,
        .ignore_deletion_ms = g->o.ignore_deletion_ms,
        .consistency_ms = g->o.consistency_ms,
        .mint = INT64_MIN,
        .maxt = INT64_MAX,
        .wanted = g->o.wanted,
        .wanted_ctx = g->o.wanted_ctx };
    struct bucket_view *before = NULL, *now = NULL;
    gateway_window(g, &vo.mint, &vo.maxt);
    if (gateway_view(g, &before, NULL) != OK) before = NULL;
    metric_add(&m_looks, 1);
    vo.pool = pool_new(&(struct pool_opts){ "store-meta",
        (unsigned)or_default(g->o.meta_fetches, META_THREADS), QUEUE_MAX });
    errc rc = bucket_view_look(&now, &vo, before, e);
    pool_free(vo.pool);
    if (rc == OK) {
        mtx_lock(&g->mu);
        struct bucket_view *was = g->view;
        g->view = bucket_view_ref(now);
        mtx_unlock(&g->mu);
        bucket_view_unref(was);
        look_told(now);
        gone_drop(g, now);
        atomic_store_explicit(&g->ready, true, memory_order_release);
        bucket_view_unref(now);
    } else {
        metric_add(&m_look_failures, 1);
    }
    bucket_view_unref(before);
    return rc;
}

errc gateway_sync(struct gateway *g, struct err *e)
{
    mtx_lock(&g->mu);
    while (g->looking && !g->stop) cond_wait(&g->changed, &g->mu);
    g->looking = true;
    mtx_unlock(&g->mu);
    errc rc = look(g, e);
    mtx_lock(&g->mu);
    g->looking = false;
    cond_broadcast(&g->changed);
    mtx_unlock(&g->mu);
    return rc;
}

static void idle_close(struct gateway *g)
{
    VEC(struct opened *) idle = { 0 };
    struct entry *n;
    size_t open = 0;
    int64_t before = clock_mono_ns() - g->o.idle_ms * MS_NS;
    mtx_lock(&g->mu);
    for (size_t i = 0; (n = map_next(&g->entries, &i)) != NULL;) {
        open += n->state == ENTRY_OPEN;
        bool held = n->opened && atomic_load_explicit(&n->opened->refs, memory_order_relaxed) > 1;
        if (!g->o.idle_ms || n->state != ENTRY_OPEN || n->used_ns > before || held) continue;
        vec_push(&idle, n->opened);
        n->opened = NULL;
        n->state = ENTRY_CLOSED;
        open--;
    }
    mtx_unlock(&g->mu);
    for (size_t i = 0; i < idle.n; i++) opened_unref(idle.at[i]);
    metric_add(&m_closed, (double)idle.n);
    metric_set_of(METRIC_WITH(&m_blocks, S("open")), (double)open);
    vec_fini(&idle);
}

static void cache_told(struct range_cache *c, str name)
{
    struct range_stats s = range_cache_stats(c);
    metric_set_of(METRIC_WITH(&m_cache_bytes, name), (double)s.bytes);
    metric_set_of(METRIC_WITH(&m_cache_reads, name), (double)s.reads);
    metric_set_of(METRIC_WITH(&m_cache_read_bytes, name), (double)s.read_bytes);
    metric_set_of(METRIC_WITH(&m_cache_hits, name), (double)s.hits);
    metric_set_of(METRIC_WITH(&m_cache_misses, name), (double)s.misses);
    metric_set_of(METRIC_WITH(&m_disk_bytes, name), (double)s.disk_bytes);
    metric_set_of(METRIC_WITH(&m_disk_hits, name), (double)s.disk_hits);
}

/* Does the last look no longer hold? What it could not read may be mended by now. */
static bool amiss(struct gateway *g)
{
    if (atomic_load_explicit(&g->missed, memory_order_relaxed)) return true;
    mtx_lock(&g->mu);
    bool unread = !g->view || g->view->troubles.n > 0;
    mtx_unlock(&g->mu);
    return unread;
}

static void look_in_time(struct gateway *g, struct look_pace *pace)
{
    struct err e = { 0 };
    bool why = amiss(g);
    if (!look_pace_due(pace, clock_mono_ns(), why)) return;
    atomic_store_explicit(&g->missed, false, memory_order_relaxed); /* what is missed from now on */
    errc rc = gateway_sync(g, &e);
    if (rc != OK) atomic_store_explicit(&g->missed, true, memory_order_relaxed);
    if (rc != OK && rc != ERR_CANCELED)
        LOG(ERROR, "the bucket cannot be looked at: what was known of it stays", kv_err(&e));
    look_pace_looked(pace, clock_mono_ns(), why && gateway_ready(g));
}

static void run(void *ctx)
{
    struct gateway *g = ctx;
    struct look_pace pace;
    look_pace_init(&pace, g->o.sync_soon_ms * MS_NS, g->o.sync_interval_ms * MS_NS);
    mtx_lock(&g->mu);
    while (!g->stop) {
        mtx_unlock(&g->mu);
        look_in_time(g, &pace);
        idle_close(g);
        float_cache_age(clock_mono_ns());
        cache_told(g->index_cache, S("index"));
        cache_told(g->chunk_cache, S("chunks"));
        mtx_lock(&g->mu);
        int64_t until = clock_mono_ns() + TICK_MS * MS_NS;
        while (!g->stop && cond_wait_until(&g->changed, &g->mu, until)) continue;
    }
    mtx_unlock(&g->mu);
}

/* ---- begin and end */

/* What a disk refuses is done without. */
static struct range_cache *cache_new(const struct gateway_opts *o, const char *name,
    uint64_t bytes, size_t page_bytes, uint64_t disk_bytes, uint64_t before_disk)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str path = arena_fmt(&a, "page-cache.%s", name);
    struct page_file *behind = NULL;
    struct err e = { 0 };
    if (disk_bytes && page_file_open(&behind, o->fs, path, page_bytes, disk_bytes, &e) != OK)
        LOG(WARN, "a cache is in memory alone", kv_z("cache", name), kv_err(&e));
    uint64_t budget = or_default(bytes, behind ? before_disk : CACHE_BYTES);
    return range_cache_new(budget, page_bytes, behind);
}

errc gateway_open(struct gateway **out, const struct gateway_opts *o, struct err *e)
{
    static const struct queryable_ops queryable_ops = { .querier = gateway_querier };
    static const struct chunk_queryable_ops chunk_ops = { .select = gateway_chunks_select };
    TRY(fs_mkdir(o->fs, STR_EMPTY, e));
    struct gateway *g = NEW(struct gateway);
    g->o = *o;
    g->o.sync_interval_ms = (int64_t)or_default((uint64_t)o->sync_interval_ms, SYNC_INTERVAL_MS);
    g->o.sync_soon_ms = (int64_t)or_default((uint64_t)o->sync_soon_ms, SYNC_SOON_MS);
    g->o.patience_ms = (int64_t)or_default((uint64_t)o->patience_ms, PATIENCE_MS);
    g->queryable.ops = &queryable_ops;
    g->chunks.ops = &chunk_ops;
    g->index_cache = cache_new(o, "index", o->index_cache_bytes, READER_FAR_BYTES,
        o->index_disk_bytes, INDEX_BEFORE_DISK_BYTES);
    g->chunk_cache = cache_new(o, "chunks", o->chunk_cache_bytes, READER_FAR_BYTES,
        o->chunk_disk_bytes, CHUNKS_BEFORE_DISK_BYTES);
    g->opens = pool_new(&(struct pool_opts){ "store-open",
        (unsigned)or_default(o->opens, OPEN_THREADS), QUEUE_MAX });
    g->syncs = pool_new(&(struct pool_opts){ "store-fsync", SYNC_THREADS, QUEUE_MAX });
    g->reads = pool_new(&(struct pool_opts){ "store-read", READ_THREADS, QUEUE_MAX });
    g->selects = pool_new(&(struct pool_opts){ "store-select", SELECT_THREADS, QUEUE_MAX });
    mtx_init(&g->mu, LOCK_DB);
    cond_init(&g->changed);
    g->thread = thread_start("store-sync", run, g);
    *out = g;
    return OK;
}

void gateway_close(struct gateway *g)
{
    if (!g) return;
    mtx_lock(&g->mu);
    g->stop = true;
    cond_broadcast(&g->changed);
    mtx_unlock(&g->mu);
    bucket_stop(g->o.bucket);
    thread_join(g->thread);
    pool_free(g->opens); /* which submit to */
    pool_free(g->syncs);
    pool_free(g->selects);
    struct entry *n;
    for (size_t i = 0; (n = map_next(&g->entries, &i)) != NULL;) entry_unref(n);
    map_fini(&g->entries);
    pool_free(g->reads);
    bucket_view_unref(g->view);
    range_cache_free(g->index_cache);
    range_cache_free(g->chunk_cache);
    cond_fini(&g->changed);
    mtx_fini(&g->mu);
    mem_free(g);
}

bool gateway_ready(const struct gateway *g)
{
    return atomic_load_explicit(&g->ready, memory_order_acquire);
}
struct queryable *gateway_queryable(struct gateway *g) { return &g->queryable; }
struct chunk_queryable *gateway_chunks(struct gateway *g) { return &g->chunks; }

static bool set_known(const struct labels *sets, size_t n, struct labels l)
{
    for (size_t i = 0; i < n; i++)
        if (labels_eq(sets[i], l)) return true;
    return false;
}

void gateway_info(struct gateway *g, struct arena *a, struct gateway_info *out)
{
    struct bucket_view *v = NULL;
    VEC(struct labels) sets = { 0 };
    *out = (struct gateway_info){ .mint = INT64_MAX, .maxt = INT64_MIN };
    if (gateway_view(g, &v, NULL) != OK) return;
    for (size_t i = 0; i < v->blocks.n; i++) {
        const struct view_block *b = &v->blocks.at[i];
        int64_t mint = b->mint, maxt = b->maxt > INT64_MIN ? b->maxt - 1 : b->maxt;
        gateway_window(g, &mint, &maxt);
        out->mint = MIN(out->mint, mint);
        out->maxt = MAX(out->maxt, maxt);
        bool plain = g->o.without_external_labels;
        if (!plain && !set_known(sets.at, sets.n, b->labels))
            avec_push(a, &sets, labels_copy(a, b->labels));
    }
    out->blocks = v->blocks.n;
    out->sets = sets.at;
    out->n_sets = sets.n;
    bucket_view_unref(v);
    struct entry *n;
    mtx_lock(&g->mu);
    for (size_t i = 0; (n = map_next(&g->entries, &i)) != NULL;)
        out->loaded += n->state == ENTRY_OPEN;
    mtx_unlock(&g->mu);
}

void gateway_metas(struct gateway *g, struct arena *a, str_list *out)
{
    struct bucket_view *v = NULL;
    if (gateway_view(g, &v, NULL) != OK) return;
    for (size_t i = 0; i < v->blocks.n; i++) {
        const struct view_block *b = &v->blocks.at[i];
        SCOPED(buf_fini) struct buf line = { 0 };
        struct block_meta m = { .id = b->id, .mint = b->mint, .maxt = b->maxt, .level = b->level };
        if (b->meta.n && meta_decode(&m, b->meta, a, NULL) != OK) continue;
        meta_encode_line(&line, &m);
        avec_push(a, out, arena_str(a, buf_view(&line)));
    }
    bucket_view_unref(v);
}
