/* shipper.c — finished blocks go to a bucket.
 *
 *   thanos.shipper.json says so ------------------------------> done
 *   meta.json is in the bucket -------------------------------> written down
 *   else: links in thanos/upload/ULID (or the block written anew, where its chunks are of an
 *   encoding that Thanos refuses) -> chunks, index, meta.json -> links away -> written down
 *
 * A stop before meta.json leaves objects that the next round puts again under the same names; a
 * stop behind it leaves a whole block that the next round finds there. */
#include "bucket/shipper.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"
#include "block/meta.h"
#include "bucket/plain_block.h"
#include "bucket/remote_block.h"
#include "io/thread.h"

#include <stdlib.h>

enum { INTERVAL_MS = 30000, STATE_BYTES_MAX = 64 << 20 };
static const str STAGE = S("thanos/upload");

COUNTER(m_rounds, "epimetheus_shipper_dir_syncs_total", "Rounds of the shipper that went well.")
COUNTER(
    m_failures, "epimetheus_shipper_dir_sync_failures_total", "Rounds of the shipper that failed.")
COUNTER(m_uploads, "epimetheus_shipper_uploads_total", "Blocks that were uploaded.")
COUNTER(
    m_upload_failures, "epimetheus_shipper_upload_failures_total", "Uploads of blocks that failed.")
COUNTER(m_recoded, "epimetheus_shipper_recoded_total",
    "Blocks that were written anew for the bucket, without their start timestamps.")
GAUGE(m_pending, "epimetheus_shipper_pending_blocks",
    "Blocks that were to be uploaded when the last round ended.")

struct shipper {
    struct shipper_opts o;
    struct thread *thread;
    struct mtx mu; /* LOCK_LEAF */
    struct cond changed;
    bool stop; /* GUARDED_BY(mu) */
};

/* ---- the state */

static errc state_write(struct fs *fs, const ulid_list *ids, struct err *e)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    uploaded_encode(&b, ids->at, ids->n);
    if (FAULT("shipper.state")) return err_set(e, ERR_CANCELED, "killed before the state");
    return fs_write_durable(fs, S(SHIPPER_STATE), buf_view(&b), e);
}

errc shipper_state_begin(struct fs *fs, struct err *e)
{
    ulid_list none = { 0 };
    if (fs_exists(fs, S(SHIPPER_STATE))) return OK;
    TRY(fs_mkdir(fs, STR_EMPTY, e));
    return state_write(fs, &none, e);
}

/* One that cannot be read costs a look at the bucket for each block, nothing else. */
static void state_read(struct fs *fs, ulid_list *out)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    str json;
    errc rc = fs_read_all(fs, S(SHIPPER_STATE), &a, STATE_BYTES_MAX, &json, &e);
    if (rc == OK) rc = uploaded_decode(out, json, &e);
    if (rc == ERR_NOT_FOUND)
        LOG(INFO, "no list of uploaded blocks: it is begun", kv_z("file", SHIPPER_STATE));
    else if (rc != OK)
        LOG(ERROR, "the list of uploaded blocks cannot be read: it is begun anew",
            kv_z("file", SHIPPER_STATE), kv_err(&e));
}

static bool holds(const ulid_list *l, ulid id)
{
    for (size_t i = 0; i < l->n; i++)
        if (ulid_eq(l->at[i], id)) return true;
    return false;
}

/* ---- one block */

static errc stage_links(struct fs *fs, str from, str to, struct arena *a, struct err *e)
{
    fs_entries all = { 0 };
    str chunks = path_join(a, from, S("chunks")), there = path_join(a, to, S("chunks"));
    errc rc = fs_mkdir(fs, to, e);
    if (rc == OK) rc = fs_mkdir(fs, there, e);
    if (rc == OK) rc = fs_list(fs, chunks, a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++)
        rc = fs_link_or_copy(
            fs, path_join(a, chunks, all.at[i].name), path_join(a, there, all.at[i].name), e);
    vec_fini(&all);
    if (rc == OK)
        rc = fs_link_or_copy(fs, path_join(a, from, S("index")), path_join(a, to, S("index")), e);
    return rc;
}

/* The links, or the block anew: m->stats are those of what is staged. */
static errc stage(struct shipper *s, struct block_meta *m, str dir, struct arena *a, struct err *e)
{
    SCOPED(block_unrefp) struct block *b = NULL;
    struct fs *fs = s->o.fs;
    struct block_opts o = { .fs = fs, .backend = s->o.backend };
    bool plain;
    str block = arena_fmt(a, "%s", ulid_text(m->id).z);
    TRY(fs_mkdir(fs, S("thanos"), e));
    TRY(fs_mkdir(fs, STAGE, e));
    TRY(block_open(&b, &o, block, e));
    TRY(plain_block_check(b, &plain, e));
    if (FAULT("shipper.stage")) return err_set(e, ERR_CANCELED, "killed while it was staged");
    if (plain) return stage_links(fs, block, dir, a, e);
    uint64_t tombstones = m->stats.tombstones;
    LOG(INFO,
        "the block has start timestamps, which Thanos does not read: it is shipped without "
        "them",
        kv_str("block", block));
    TRY(plain_block_write(b, fs, STAGE, &m->stats, e));
    m->stats.tombstones = tombstones;
    metric_inc(&m_recoded);
    return OK;
}

static errc ship(
    struct shipper *s, const struct block_meta *meta, struct labels labels, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_meta m = *meta;
    struct fs *fs = s->o.fs;
    str dir = arena_fmt(&a, "%.*s/%s", STR_ARG(STAGE), ulid_text(m.id).z);
    struct remote_upload u = {
        .fs = fs, .dir = dir, .meta = &m, .labels = labels, .source = S("sidecar")
    };
    int64_t began = clock_mono_ns();
    LOG(INFO, "upload new block", kv_z("id", ulid_text(m.id).z));
    TRY(fs_remove_tree(fs, dir, e));
    errc rc = stage(s, &m, dir, &a, e);
    if (rc == OK) rc = remote_block_upload(s->o.bucket, &u, e);
    struct err why = { 0 };
    if (rc != ERR_CANCELED && fs_remove_tree(fs, dir, &why) != OK)
        LOG(ERROR, "failed to clean upload directory", kv_str("dir", dir), kv_err(&why));
    if (rc == OK)
        LOG(INFO, "block uploaded", kv_z("id", ulid_text(m.id).z), kv_u64("series", m.stats.series),
            kv_u64("samples", m.stats.samples),
            kv_i64("took_ms", (clock_mono_ns() - began) / 1000000));
    return rc;
}

/* ---- a round */

struct round {
    struct shipper *s;
    struct arena a;
    VEC(struct block_meta) metas; /* by their times */
    ulid_list had, has;           /* before and now: has names only what is still here */
    struct labels labels;
    VEC(struct block_meta) there; /* of the bucket, when it was asked for overlaps */
    bool asked;
    size_t uploaded, failed, pending;
};

static int by_time(const void *x, const void *y)
{
    const struct block_meta *a = x, *b = y;
    if (a->mint != b->mint) return a->mint < b->mint ? -1 : 1;
    return ulid_cmp(a->id, b->id);
}

static errc metas_read(struct round *r, struct err *e)
{
    struct fs *fs = r->s->o.fs;
    fs_entries all = { 0 };
    errc rc = fs_list(fs, STR_EMPTY, &r->a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        struct block_meta m;
        ulid id;
        if (!all.at[i].is_dir || !ulid_parse(all.at[i].name, &id)) continue;
        rc = meta_read(&m, fs, all.at[i].name, &r->a, e);
        if (rc == OK) vec_push(&r->metas, m);
        else if (rc == ERR_NOT_FOUND) rc = OK; /* it was deleted meanwhile */
        else rc = err_in(e, rc, "read metadata for block %.*s", STR_ARG(all.at[i].name));
    }
    vec_fini(&all);
    if (r->metas.n) qsort(r->metas.at, r->metas.n, sizeof(*r->metas.at), by_time);
    return rc;
}

/* What is there of these labels: merged blocks must not meet it. */
static errc there_read(struct round *r, struct err *e)
{
    ulid_list ids = { 0 };
    errc rc = remote_blocks(r->s->o.bucket, &ids, e);
    for (size_t i = 0; rc == OK && i < ids.n; i++) {
        struct remote_meta m;
        rc = remote_block_meta(r->s->o.bucket, ids.at[i], &r->a, &m, e);
        if (rc == ERR_NOT_FOUND) rc = OK; /* a part of a block */
        else if (rc == OK && labels_eq(m.thanos.labels, r->labels)) vec_push(&r->there, m.meta);
    }
    vec_fini(&ids);
    r->asked = rc == OK;
    return rc;
}

static errc overlap_check(struct round *r, const struct block_meta *m, struct err *e)
{
    if (!r->asked) TRY(there_read(r, e));
    for (size_t i = 0; i < r->there.n; i++) {
        const struct block_meta *x = &r->there.at[i];
        if (x->mint < m->maxt && m->mint < x->maxt)
            return err_set(e, ERR_EXISTS,
                "shipping compacted block %s is blocked; overlap spotted: block %s",
                ulid_text(m->id).z, ulid_text(x->id).z);
    }
    return OK;
}

static errc have(struct round *r, const struct block_meta *m, struct err *e)
{
    vec_push(&r->has, m->id);
    /* those of before that come later in time stay in the file meanwhile */
    ulid_list all = { 0 };
    for (size_t i = 0; i < r->has.n; i++) vec_push(&all, r->has.at[i]);
    for (size_t i = 0; i < r->metas.n; i++)
        if (holds(&r->had, r->metas.at[i].id) && !holds(&r->has, r->metas.at[i].id))
            vec_push(&all, r->metas.at[i].id);
    errc rc = state_write(r->s->o.fs, &all, e);
    vec_fini(&all);
    return rc;
}

static errc consider(struct round *r, const struct block_meta *m, struct err *e)
{
    struct shipper *s = r->s;
    SCOPED(arena_fini) struct arena a = { 0 };
    bool there;
    if (holds(&r->had, m->id)) {
        vec_push(&r->has, m->id);
        return OK;
    }
    if (!m->stats.samples || (m->level > 1 && !s->o.upload_compacted)) return OK;
    str object = arena_fmt(&a, "%s/meta.json", ulid_text(m->id).z);
    r->pending++;
    TRY_IN(e, bucket_exists(s->o.bucket, object, &there, e), "check exists");
    if (!there) {
        if (m->level > 1 && !s->o.allow_out_of_order) TRY(overlap_check(r, m, e));
        TRY_IN(e, ship(s, m, r->labels, e), "upload %s", ulid_text(m->id).z);
        r->uploaded++;
        metric_inc(&m_uploads);
        if (r->asked) vec_push(&r->there, *m);
    }
    r->pending--;
    return have(r, m, e);
}

/* Blocks behind one that failed wait for it, unless they may come out of order; one that is gone is
 * nobody's failure. */
static errc blocks_ship(struct round *r, struct err *e)
{
    for (size_t i = 0; i < r->metas.n; i++) {
        struct err why = { 0 };
        const struct block_meta *m = &r->metas.at[i];
        errc rc = consider(r, m, &why);
        if (rc == OK) continue;
        bool gone = rc == ERR_NOT_FOUND && !fs_exists(r->s->o.fs, str_z(ulid_text(m->id).z));
        if (gone) {
            r->pending--;
            continue;
        }
        metric_inc(&m_upload_failures);
        if (rc == ERR_CANCELED || !r->s->o.allow_out_of_order) return err_set(e, rc, "%s", why.msg);
        LOG(ERROR, "shipping failed", kv_z("block", ulid_text(m->id).z), kv_err(&why));
        r->failed++;
    }
    if (r->failed) return err_set(e, ERR_IO, "failed to sync %zu blocks", r->failed);
    return OK;
}

static errc round_run(struct round *r, struct err *e)
{
    struct shipper *s = r->s;
    r->labels = s->o.labels(s->o.labels_ctx, &r->a);
    if (!r->labels.n)
        return err_set(e, ERR_BAD_INPUT, "empty external labels are not allowed for Thanos block.");
    state_read(s->o.fs, &r->had);
    TRY(metas_read(r, e));
    errc rc = blocks_ship(r, e);
    /* those that are no more here are forgotten */
    if (rc == OK && r->has.n < r->had.n) rc = state_write(s->o.fs, &r->has, e);
    return rc;
}

errc shipper_sync(struct shipper *s, size_t *uploaded, struct err *e)
{
    struct round r = { .s = s };
    errc rc = round_run(&r, e);
    *uploaded = r.uploaded;
    metric_inc(rc == OK ? &m_rounds : &m_failures);
    metric_set(&m_pending, (double)r.pending);
    vec_fini(&r.metas);
    vec_fini(&r.had);
    vec_fini(&r.has);
    vec_fini(&r.there);
    arena_fini(&r.a);
    return rc;
}

/* ---- its thread */

static bool wait_next(struct shipper *s)
{
    int64_t until = clock_mono_ns() + s->o.interval_ms * 1000000;
    mtx_lock(&s->mu);
    while (!s->stop && cond_wait_until(&s->changed, &s->mu, until)) continue;
    bool go_on = !s->stop;
    mtx_unlock(&s->mu);
    return go_on;
}

static void run(void *ctx)
{
    struct shipper *s = ctx;
    do {
        struct err e = { 0 };
        size_t n;
        errc rc = shipper_sync(s, &n, &e);
        if (rc != OK && rc != ERR_CANCELED) LOG(WARN, "sync to object storage failed", kv_err(&e));
    } while (wait_next(s));
}

errc shipper_open(struct shipper **out, const struct shipper_opts *o, struct err *e)
{
    struct err why = { 0 };
    TRY_IN(e, shipper_state_begin(o->fs, e), "%s", SHIPPER_STATE);
    /* of one that was killed behind a meta.json: nobody would come to it again */
    if (fs_remove_tree(o->fs, STAGE, &why) != OK)
        LOG(ERROR, "failed to clean upload directory", kv_str("dir", STAGE), kv_err(&why));
    struct shipper *s = NEW(struct shipper);
    s->o = *o;
    if (!s->o.interval_ms) s->o.interval_ms = INTERVAL_MS;
    mtx_init(&s->mu, LOCK_LEAF);
    cond_init(&s->changed);
    if (!o->no_thread) s->thread = thread_start("shipper", run, s);
    *out = s;
    return OK;
}

void shipper_close(struct shipper *s)
{
    if (!s) return;
    mtx_lock(&s->mu);
    s->stop = true;
    cond_broadcast(&s->changed);
    mtx_unlock(&s->mu);
    thread_join(s->thread);
    cond_fini(&s->changed);
    mtx_fini(&s->mu);
    mem_free(s);
}
