#include "tsdb/blocks.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"
#include "block/index_codec.h"
#include "block/meta.h"
#include "storage/changes.h"
#include "tsdb/replaced.h"

#include <stdlib.h>

COUNTER(m_reloads, "prometheus_tsdb_reloads_total",
    "Number of times the database reloaded block data from disk.")
COUNTER(m_reloads_failed, "prometheus_tsdb_reloads_failures_total",
    "Number of times the database failed to reloadBlocks block data from disk.")
GAUGE(m_loaded, "prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks")
GAUGE(m_bytes, "prometheus_tsdb_storage_blocks_bytes",
    "The number of bytes that are currently used for local storage by all blocks.")
GAUGE(m_broken, "epimetheus_tsdb_blocks_broken",
    "Block folders that are left out because they cannot be opened.")

struct blocks {
    struct blocks_opts o;
    struct mtx mu;                             /* LOCK_DB */
    struct block_list *now;                    /* GUARDED_BY(mu) */
    /* replaced lists, with a reference of ours; only blocks_reload and blocks_wait_old */
    VEC(struct block_list *) old;
    int64_t reached, noted;                    /* noted: in the file; only blocks_reload */
    bool started;
};

/* Lists. */

static struct block_list *list_new(size_t n)
{
    struct block_list *l = mem_zalloc(sizeof(*l) + n * sizeof(l->at[0]));
    atomic_init(&l->refs, 1);
    return l;
}

struct block_list *block_list_ref(struct block_list *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void block_list_unref(struct block_list *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < l->n; i++) block_unref(l->at[i]);
    mem_free(l);
}

uint64_t block_list_bytes(const struct block_list *l)
{
    uint64_t n = 0;
    for (size_t i = 0; i < l->n; i++) n += block_bytes(l->at[i]);
    return n;
}

struct block_list *blocks_now(struct blocks *b)
{
    mtx_lock(&b->mu);
    struct block_list *l = block_list_ref(b->now);
    mtx_unlock(&b->mu);
    return l;
}

static struct block *list_find(const struct block_list *l, ulid id)
{
    for (size_t i = 0; i < l->n; i++)
        if (ulid_eq(block_meta(l->at[i])->id, id)) return l->at[i];
    return NULL;
}

/* One look at the folder. */

struct failed { ulid id; errc rc; struct err why; };
struct look {
    struct blocks *b;
    struct arena arena;
    fs_entries entries;
    VEC(struct block *) good;
    VEC(struct failed) bad;
    VEC(ulid) doomed;
    size_t n_given;                            /* of these, by who asked: nothing replaces them */
};

static void look_fini(struct look *k)
{
    for (size_t i = 0; i < k->good.n; i++) block_unref(k->good.at[i]);
    vec_fini(&k->good);
    vec_fini(&k->bad);
    vec_fini(&k->doomed);
    vec_fini(&k->entries);
    arena_fini(&k->arena);
}

/* What an interrupted process left. */
static errc remove_leftovers(struct look *k, struct err *e)
{
    for (size_t i = 0; i < k->entries.n; i++) {
        str name = k->entries.at[i].name, base = STR_EMPTY, rest = STR_EMPTY;
        ulid id;
        str_cut(name, '.', &base, &rest);
        bool left = str_eq(rest, S("tmp-for-deletion")) || str_eq(rest, S("tmp-for-creation")) ||
                    str_eq(rest, S("tmp"));
        if (left && ulid_parse(base, &id)) TRY(fs_remove_tree(k->b->o.fs, name, e));
    }
    return OK;
}

errc blocks_mend_version(struct fs *fs, str dir, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_meta m;
    struct file *f = NULL;
    uint64_t done;
    uint8_t v2 = INDEX_V2;
    str byte = str_of(&v2, 1);
    if (meta_read(&m, fs, dir, &a, NULL) != OK || !m.version2) return OK;
    TRY(fs_open(&f, fs, path_join(&a, dir, S("index")), FS_READ | FS_WRITE, e));
    errc rc = file_pwrite(f, &byte, 1, INDEX_HEADER_BYTES - 1, &done, e);
    if (rc == OK && !fault_dropped("blocks.version2_fsync")) rc = file_sync(f, e);
    file_close(f);
    if (rc == OK) rc = meta_write(fs, dir, &m, e);
    if (rc == OK) LOG(WARN, "the index version of a block was repaired", kv_str("block", dir));
    return rc;
}

static void open_one(struct look *k, ulid id, str dir)
{
    struct block *known = k->b->now ? list_find(k->b->now, id) : NULL, *fresh = NULL;
    if (known) {
        vec_push(&k->good, block_ref(known));
        return;
    }
    struct failed f = { .id = id };
    struct block_opts o = {
        .fs = k->b->o.fs, .backend = k->b->o.backend, .salvage = k->b->o.salvage
    };
    f.rc = blocks_mend_version(k->b->o.fs, dir, &f.why);
    if (f.rc == OK) f.rc = block_open(&fresh, &o, dir, &f.why);
    if (f.rc == OK && block_meta(fresh)->misnamed)
        LOG(WARN, "meta.json names another block: the folder's name counts", kv_str("block", dir));
    if (f.rc == OK) vec_push(&k->good, fresh);
    else vec_push(&k->bad, f);
}

static errc look_begin(
    struct look *k, struct blocks *b, const ulid *doomed, size_t n, struct err *e)
{
    *k = (struct look){ .b = b };
    TRY(fs_list(b->o.fs, S(""), &k->arena, &k->entries, e));
    if (!b->started) TRY(remove_leftovers(k, e));
    for (size_t i = 0; i < k->entries.n; i++) {
        ulid id;
        if (k->entries.at[i].is_dir && ulid_parse(k->entries.at[i].name, &id))
            open_one(k, id, k->entries.at[i].name);
    }
    for (size_t i = 0; i < n; i++) vec_push(&k->doomed, doomed[i]);
    k->n_given = n;
    for (size_t i = 0; i < k->good.n; i++) {
        const struct block_meta *m = block_meta(k->good.at[i]);
        if (block_meta_now(k->good.at[i]).deletable) vec_push(&k->doomed, m->id);
        for (size_t p = 0; p < m->n_parents; p++)
            if (!ulid_is_zero(m->parents[p].id)) vec_push(&k->doomed, m->parents[p].id);
    }
    return OK;
}

static bool is_doomed(const struct look *k, ulid id)
{
    for (size_t i = 0; i < k->doomed.n; i++)
        if (ulid_eq(k->doomed.at[i], id)) return true;
    return false;
}

static int block_cmp(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a),
                            *y = block_meta(*(struct block *const *)b);
    if (x->mint != y->mint) return x->mint < y->mint ? -1 : 1;
    return ulid_cmp(x->id, y->id);
}

static struct block_list *look_list(const struct look *k)
{
    struct block_list *l = list_new(k->good.n);
    for (size_t i = 0; i < k->good.n; i++)
        if (!is_doomed(k, block_meta(k->good.at[i])->id)) l->at[l->n++] = block_ref(k->good.at[i]);
    if (l->n) qsort(l->at, l->n, sizeof(l->at[0]), block_cmp);
    return l;
}

static errc sync_root(struct fs *fs, struct err *e)
{
    return fault_dropped("blocks.remove_fsync") ? OK : fs_sync_dir(fs, S(""), e);
}

/* First out of sight by a rename, for good: a folder that is half removed is never taken for a
 * block. And gone for good before anything else happens: a parent that came back after its child
 * was compacted away would show what was deleted. */
static errc block_remove(struct fs *fs, ulid id, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir = str_z(ulid_text(id).z), gone = arena_fmt(&a, "%.*s.tmp-for-deletion", STR_ARG(dir));
    dir = arena_str(&a, dir);
    if (!fs_exists(fs, dir)) return OK;
    TRY(fs_remove_tree(fs, gone, e));
    TRY(fs_rename(fs, dir, gone, e));
    TRY(sync_root(fs, e));
    TRY(fs_remove_tree(fs, gone, e));
    LOG(INFO, "block deleted", kv_str("block", dir));
    return OK;
}

static errc block_set_aside(struct fs *fs, ulid id, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir = arena_fmt(&a, "%s", ulid_text(id).z), bad = arena_fmt(&a, "%.*s.bad", STR_ARG(dir));
    for (unsigned n = 2; fs_exists(fs, bad); n++)
        bad = arena_fmt(&a, "%.*s.bad%u", STR_ARG(dir), n);
    TRY(fs_rename(fs, dir, bad, e));
    return fault_dropped("blocks.aside_fsync") ? OK : fs_sync_dir(fs, S(""), e);
}

/* At start nobody is copying a block into the folder: damage is damage. Without meta.json it is no
 * block yet. */
static errc handle_bad(struct look *k, struct blocks_found *found, struct err *e)
{
    for (size_t i = 0; i < k->bad.n; i++) {
        struct failed *f = &k->bad.at[i];
        if (is_doomed(k, f->id)) continue;
        SCOPED(arena_fini) struct arena a = { 0 };
        struct block_meta m;
        bool whole =
            meta_read(&m, k->b->o.fs, arena_fmt(&a, "%s", ulid_text(f->id).z), &a, NULL) == OK;
        bool aside = !k->b->started && whole && f->rc == ERR_CORRUPT;
        if (aside) TRY(block_set_aside(k->b->o.fs, f->id, e));
        if (aside)
            LOG(ERROR, "a broken block was set aside", kv_z("block", ulid_text(f->id).z),
                kv_err(&f->why));
        else
            LOG_LIMITED(WARN, 60000, "a block is left out", kv_z("block", ulid_text(f->id).z),
                kv_err(&f->why));
        if (found) *(aside ? &found->set_aside : &found->skipped) += 1;
    }
    return OK;
}

/* How far blocks reached. */

#define REACHED_FILE S("blocks.reached")
enum { REACHED_MAX_BYTES = 64 };

static int64_t reached_of(struct block *const *all, size_t n)
{
    int64_t t = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        const struct block_meta *m = block_meta(all[i]);
        if (!m->hints) t = MAX(t, m->maxt);
    }
    return t;
}

static int64_t reached_read(struct fs *fs)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str text;
    int64_t t;
    bool good = fs_exists(fs, REACHED_FILE) &&
                fs_read_all(fs, REACHED_FILE, &a, REACHED_MAX_BYTES, &text, NULL) == OK &&
                str_i64(str_trim(text), &t);
    return good ? t : INT64_MIN;
}

/* k: what is there now; l: what of it stays. */
static errc reached_note(const struct look *k, const struct block_list *l, struct err *e)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    struct blocks *b = k->b;
    int64_t before = reached_of(k->good.at, k->good.n), after = reached_of(l->at, l->n);
    if (after >= b->noted && b->noted != INT64_MIN) {
        TRY(fs_unlink(b->o.fs, REACHED_FILE, e));
        b->noted = INT64_MIN;
    }
    if (before > after && before > b->noted) {
        buf_i64_text(&text, before);
        buf_u8(&text, '\n');
        TRY(fs_write_durable(b->o.fs, REACHED_FILE, buf_view(&text), e));
        b->noted = before;
    }
    b->reached = MAX(after, b->noted);
    return OK;
}

int64_t blocks_reached(const struct blocks *b) { return b->reached; }

/* What was replaced, where none of those that stay tells of it by its sources. l: these. */
static errc replaced_settle(const struct look *k, const struct block_list *l, struct err *e)
{
    VEC(const struct block_meta *) all = { 0 };
    for (size_t i = k->n_given; i < k->doomed.n; i++) {
        bool told = false;
        const struct block_meta *x = NULL;
        for (size_t j = 0; j < k->good.n; j++)
            if (ulid_eq(block_meta(k->good.at[j])->id, k->doomed.at[i]))
                x = block_meta(k->good.at[j]);
        for (size_t j = 0; x && j < l->n; j++) told |= replaced_by(block_meta(l->at[j]), x);
        if (x && !told) vec_push(&all, x);
    }
    errc rc = replaced_note(k->b->o.fs, all.at, all.n, e);
    vec_fini(&all);
    return rc;
}

/* Is it the same blocks? Those that are known are taken over as they are. */
static bool list_is(const struct block_list *l, const struct block_list *was)
{
    bool same = was && was->n == l->n;
    for (size_t i = 0; same && i < l->n; i++) same = was->at[i] == l->at[i];
    return same;
}

static void list_replace(struct blocks *b, struct block_list *l)
{
    mtx_lock(&b->mu);
    struct block_list *was = b->now;
    b->now = l;
    if (b->o.changes && !list_is(l, was)) changes_note_all(b->o.changes);
    mtx_unlock(&b->mu);
    if (was) vec_push(&b->old, was);
}

/* Drops the old lists that only we hold; how many others there are. */
static size_t old_in_use(struct blocks *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->old.n; i++) {
        struct block_list *l = b->old.at[i];
        if (atomic_load_explicit(&l->refs, memory_order_acquire) == 1) block_list_unref(l);
        else b->old.at[n++] = l;
    }
    b->old.n = n;
    return n;
}

static errc list_settle(struct look *k, struct blocks_found *found, struct err *e)
{
    struct blocks *b = k->b;
    struct block_list *l = look_list(k);
    errc rc = reached_note(k, l, e);
    if (rc == OK) rc = replaced_settle(k, l, e);
    if (rc != OK) {
        block_list_unref(l);
        return rc;
    }
    metric_set(&m_loaded, (double)l->n);
    metric_set(&m_bytes, (double)block_list_bytes(l));
    metric_set(&m_broken, (double)k->bad.n);
    if (found) found->blocks = l->n;
    list_replace(b, l);
    for (size_t i = 0; rc == OK && i < k->doomed.n; i++)
        rc = block_remove(b->o.fs, k->doomed.at[i], e);
    return rc;
}

static errc reload(
    struct blocks *b, const ulid *doomed, size_t n, struct blocks_found *found, struct err *e)
{
    struct look k;
    (void)old_in_use(b);                       /* frees what nobody reads any more */
    metric_inc(&m_reloads);
    errc rc = look_begin(&k, b, doomed, n, e);
    if (rc == OK) rc = handle_bad(&k, found, e);
    if (rc == OK) rc = list_settle(&k, found, e);
    look_fini(&k);
    if (rc != OK) metric_inc(&m_reloads_failed);
    return rc;
}

errc blocks_reload(struct blocks *b, const ulid *doomed, size_t n, struct err *e)
{
    return reload(b, doomed, n, NULL, e);
}

/* Whatever it is that keeps them from being opened may keep them from being deleted. */
size_t blocks_undo(struct blocks *b, const ulid *made, size_t n)
{
    size_t undone = 0;
    struct block_list *l = blocks_now(b);
    for (size_t i = 0; i < n; i++) {
        struct err why = { 0 };
        if (list_find(l, made[i])) continue;
        undone++;
        if (block_remove(b->o.fs, made[i], &why) != OK)
            LOG(WARN, "a block that cannot be opened cannot be deleted",
                kv_z("block", ulid_text(made[i]).z), kv_err(&why));
    }
    block_list_unref(l);
    return undone;
}

errc blocks_take(struct blocks *b, const ulid *made, size_t n, size_t *undone, struct err *e)
{
    errc rc = blocks_reload(b, NULL, 0, e);
    *undone = blocks_undo(b, made, n);
    if (rc != OK || !*undone) return rc;
    return err_set(e, ERR_IO, "%zu of %zu blocks could not be opened after they were written",
        *undone, n);
}

errc blocks_open(
    struct blocks **out, const struct blocks_opts *o, struct blocks_found *found, struct err *e)
{
    struct blocks *b = NEW(struct blocks);
    b->o = *o;
    b->noted = reached_read(o->fs);
    mtx_init(&b->mu, LOCK_DB);
    errc rc = reload(b, NULL, 0, found, e);
    b->started = true;
    if (rc != OK) blocks_close(b);
    else *out = b;
    return rc;
}

void blocks_close(struct blocks *b)
{
    if (!b) return;
    block_list_unref(b->now);
    for (size_t i = 0; i < b->old.n; i++) block_list_unref(b->old.at[i]);
    vec_fini(&b->old);
    mtx_fini(&b->mu);
    mem_free(b);
}

bool blocks_wait_old(struct blocks *b, const _Atomic bool *stop)
{
    enum { LOOK_NS = 10000000 };
    while (old_in_use(b)) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed)) return false;
        clock_sleep_ns(LOOK_NS);
    }
    return true;
}
