/* folder_fuzz.c — what a killed server left, and then something happened to it: the log, a
 * checkpoint, the log of late samples, a memory snapshot, chunk files, each as a whole. It has
 * deletions, and late samples behind these: an early one is in blocks, a later one in the logs.
 *
 * Nothing happened: it shows what is left, and that only. Damage: bits, cuts, pages of zeros and
 * missing files. The folder opens, shows nothing that was not written, and is mended: later
 * openings show the same, and the third finds nothing. Forgery: records of any bytes in good
 * frames, behind the others. The folder opens, and shows the same each time. */
#include "base/cursor.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/fs_sim.h"
#include "tsdb/db.h"
#include "wal/page.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { SERIES = 4, ROUNDS = 150, STEP_MS = 300000, OPS_MAX = 6, ZEROS = 512 };
#define T0 1700006400000ll
#define LATE_MS 90000ll
#define BEHIND_MS 30000ll                      /* late, behind a deletion */

/* Of series 0, a while after round `to`; then behind it one sample at a time of its own, and one at
 * the time of a late one that was deleted. */
static const struct deletion { int at, from, to, behind, again; } deletions[] = {
    { 100, 90, 97, 95, 96 },
    { ROUNDS - 4, ROUNDS - 15, ROUNDS - 8, ROUNDS - 9, ROUNDS - 12 },
};

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static struct db *open_folder(struct fs *fs, struct db_opened *what)
{
    struct db *db = NULL;
    struct db_opts o = { .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = COMPRESS_NONE,
        .wal_segment_bytes = 32768,
        .chunk_file_bytes = 4096,
        .samples_per_chunk = 20,
        .ooo_window_ms = 3600000,
        .memory_snapshot = true,
        .replay_workers = 1,
        .keeps = { .max_exemplars = 8 } };
    errc rc = db_open(&db, &o, what, NULL);
    assert(rc == OK);
    return db;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static void put(struct db *db, int round, int64_t late, double sign)
{
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    errc rc = s->ops->begin(s, &a, NULL);
    for (unsigned i = 0; i < SERIES; i++) {
        char id[16];
        int n = snprintf(id, sizeof(id), "%u", i);
        struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(id, (size_t)n) } };
        series_handle h = 0;
        int64_t t = T0 + (int64_t)round * STEP_MS - late;
        if (rc == OK) rc = a->ops->series(a, (struct labels){ l, 2 }, &h, NULL);
        if (rc == OK) rc = a->ops->append(a, h, t, sign * (round * 100 + (int)i), 0, NULL);
    }
    if (rc == OK) rc = a->ops->commit(a, NULL);
    assert(rc == OK);
}

static void delete_and_put(struct db *db, const struct deletion *d)
{
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = S("0") };
    errc rc = db_delete(db, (struct matchers){ &m, 1 }, T0 + d->from * STEP_MS,
        T0 + d->to * STEP_MS, NULL);
    assert(rc == OK);
    put(db, d->behind, BEHIND_MS, 3);
    put(db, d->again, LATE_MS, 5);
}

struct content {
    str path, bytes;
};
static struct {
    struct arena a;
    VEC(struct content) files;
} base;

static bool is_log(str path)
{
    return str_has_prefix(path, S("w")) || str_has_prefix(path, S("ch"));
}

static void keep_folder(struct fs *fs, str dir)
{
    fs_entries all = { 0 };
    errc rc = fs_list(fs, dir, &base.a, &all, NULL);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        struct content c = { .path = path_join(&base.a, dir, all.at[i].name) };
        if (all.at[i].is_dir) {
            keep_folder(fs, c.path);
            continue;
        }
        rc = fs_read_all(fs, c.path, &base.a, 1 << 20, &c.bytes, NULL);
        vec_push(&base.files, c);
    }
    assert(rc == OK);
    vec_fini(&all);
}

/* Thirteen hours with blocks, a checkpoint, late samples and a snapshot; then an hour more, and a
 * kill. Made once. */
static void make_base(void)
{
    struct fs *fs = fs_sim_new(1);
    struct db *db = open_folder(fs, NULL);
    errc rc = OK;
    for (int r = 0; rc == OK && r < ROUNDS; r++) {
        put(db, r, 0, 1);
        if (r % 7 == 5) put(db, r, LATE_MS, -1);
        for (size_t i = 0; i < ARRAY_LEN(deletions); i++)
            if (r == deletions[i].at) delete_and_put(db, &deletions[i]);
        if (r % 24 == 20) rc = db_compact(db, NULL);
        if (r % 10 == 0) db_tick(db);
        if (r != ROUNDS - 12) continue;
        rc = db_close(db, NULL);
        db = open_folder(fs, NULL);
    }
    assert(rc == OK);
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    keep_folder(fs, STR_EMPTY);
    fs_free(fs);
}

/* ---- what happened --------------------------------------------------------------------------- */

/* Everything that is no block's. */
static struct content *nth_log(uint32_t n)
{
    size_t count = 0, i = 0;
    for (size_t k = 0; k < base.files.n; k++)
        count += is_log(base.files.at[k].path);
    for (n %= (uint32_t)count; i < base.files.n; i++)
        if (is_log(base.files.at[i].path) && !n--) break;
    return &base.files.at[i];
}

struct damage {
    struct content *of;
    uint8_t kind, bits;
    uint32_t at;
};

static void damage_one(struct fs *fs, const struct damage *d)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str was;
    if (!fs_exists(fs, d->of->path)) return;
    errc rc = fs_read_all(fs, d->of->path, &a, 1 << 20, &was, NULL);
    uint8_t *p = (uint8_t *)(uintptr_t)was.p;
    size_t at = was.n ? d->at % was.n : 0;
    if (rc == OK && was.n && d->kind == 0) p[at] ^= d->bits;
    if (d->kind == 1) was.n = at;
    if (d->kind == 2) memset(p + at, 0, MIN((size_t)ZEROS, was.n - at));
    if (rc == OK && d->kind == 3) rc = fs_unlink(fs, d->of->path, NULL);
    else if (rc == OK) rc = fs_write_durable(fs, d->of->path, was, NULL);
    assert(rc == OK);
}

static void damage(struct fs *fs, cursor *c)
{
    for (unsigned i = 0; i < OPS_MAX && cur_left(c) >= 4; i++) {
        struct damage d = { nth_log(cur_u8(c)), .kind = cur_u8(c) % 5 };
        d.bits = (uint8_t)(1u << d.kind % 8);
        d.at = cur_be16(c);
        if (d.kind == 4) d.kind = 0, d.bits = 0x80;
        damage_one(fs, &d);
    }
}

/* Records behind each other, each with its length, as one more segment beside a file of the
 * base. */
static void forge(struct fs *fs, cursor *c)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    const struct content *beside = nth_log(cur_u8(c));
    struct buf segment = { 0 };
    uint64_t off = 0, number = 0;
    size_t name = beside->path.n;
    while (name && beside->path.p[name - 1] != '/')
        name--;
    if (!str_u64(str_from(beside->path, name), &number)) number = 0;
    while (cur_left(c)) {
        size_t n = cur_u8(c);
        page_put(&segment, &off, 0, cur_bytes(c, MIN(n, cur_left(c))), NULL);
    }
    str path = arena_fmt(&a, "%.*s%0*" PRIu64, (int)name, (const char *)beside->path.p,
        (int)(beside->path.n - name), number + 1);
    errc rc = fs_write_durable(fs, path, buf_view(&segment), NULL);
    assert(rc == OK);
    buf_fini(&segment);
}

/* ---- what is there --------------------------------------------------------------------------- */

static const struct deletion *deletion_of(int64_t t)
{
    for (size_t i = 0; i < ARRAY_LEN(deletions); i++) {
        const struct deletion *d = &deletions[i];
        if (T0 + d->from * STEP_MS <= t && t <= T0 + d->to * STEP_MS) return d;
    }
    return NULL;
}

/* … and, if nothing happened to the folder, not deleted. */
static void expect_written(str id, int64_t t, double v, bool damaged)
{
    uint64_t i;
    int64_t rest = (t - T0) % STEP_MS, late = rest ? STEP_MS - rest : 0;
    int64_t round = (t + late - T0) / STEP_MS;
    const struct deletion *d = deletion_of(t);
    bool known = str_u64(id, &i) && i < SERIES && round >= 0 && round < ROUNDS;
    assert(known && (late == 0 || late == LATE_MS || late == BEHIND_MS));
    double base_v = (double)(round * 100 + (int64_t)i);
    bool again = d && late == LATE_MS && round == d->again && v == 5 * base_v;
    bool behind = d && late == BEHIND_MS && round == d->behind && v == 3 * base_v;
    bool first = late == LATE_MS && round % 7 == 5 && v == -base_v;
    assert(again || behind || first || (!late && v == base_v));
    assert(damaged || !d || (i > 0 ? !again : again || behind));
}

/* How many samples there are. */
static size_t show(struct db *db, bool expect, bool damaged, struct buf *out)
{
    size_t n = 0;
    struct querier *q = NULL;
    struct series_set *set = NULL;
    struct sample_iter *it = NULL;
    struct series *s = NULL;
    struct matcher all = { .type = MATCH_EQ };
    struct select_hints hints = { .start = INT64_MIN, .end = INT64_MAX, .sorted = true };
    struct queryable *from = db_queryable(db);
    errc rc = from->ops->querier(from, INT64_MIN, INT64_MAX, &q, NULL);
    if (rc == OK) rc = q->ops->select(q, (struct matchers){ &all, 1 }, &hints, &set, NULL);
    while (rc == OK && (rc = set->ops->next(set, &s, NULL)) == OK && s) {
        buf_labels(out, s->labels);
        rc = s->ops->iterate(s, &it, NULL);
        for (struct sample_batch b = { .n = 1 }; rc == OK && b.n;) {
            rc = sample_iter_fill(it, &b, NULL);
            for (size_t i = 0; rc == OK && i < b.n; i++, n++) {
                buf_fmt(out, " %" PRId64, b.t[i]);
                if (b.kind == SAMPLE_FLOAT) buf_fmt(out, "=%a", b.v[i]);
                if (!expect) continue;
                assert(b.kind == SAMPLE_FLOAT);
                expect_written(labels_get(s->labels, S("id")), b.t[i], b.v[i], damaged);
            }
        }
    }
    assert(rc == OK);
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
    return n;
}

/* All that was put and not deleted. */
static size_t written(void)
{
    size_t n = SERIES * (ROUNDS + ARRAY_LEN(deletions));
    for (int r = 0; r < ROUNDS; r++) n += r % 7 == 5 ? SERIES : 0;
    for (size_t i = 0; i < ARRAY_LEN(deletions); i++)
        for (int r = deletions[i].from; r <= deletions[i].to; r++)
            n -= 1 + (r % 7 == 5 && r > deletions[i].from && r != deletions[i].again);
    return n;
}

static struct fs *fresh_folder(void)
{
    struct fs *fs = fs_sim_new(1);
    for (size_t i = 0; i < base.files.n; i++) {
        str dir = STR_EMPTY, path = base.files.at[i].path;
        for (size_t k = 0; k < path.n; k++) {
            if (path.p[k] != '/') continue;
            dir = str_slice(path, 0, k);
            errc rc = fs_exists(fs, dir) ? OK : fs_mkdir(fs, dir, NULL);
            assert(rc == OK);
        }
        errc rc = fs_write_durable(fs, path, base.files.at[i].bytes, NULL);
        assert(rc == OK);
    }
    return fs;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cursor c = cur_of(str_of(p, n));
    struct buf first = { 0 }, again = { 0 };
    struct db_opened what = { 0 };
    if (!base.files.n) {
        log_capture(log_nothing, NULL);
        make_base();
    }
    bool forged = cur_u8(&c) % 2, damaged = forged || cur_left(&c) >= 4;
    struct fs *fs = fresh_folder();
    if (forged) forge(fs, &c);
    else damage(fs, &c);
    for (unsigned i = 0; i < 3; i++) {
        struct db *db = open_folder(fs, &what);
        buf_reset(&again);
        size_t shown = show(db, !forged, damaged, i ? &again : &first);
        assert(damaged || shown == written());
        assert(!i || str_eq(buf_view(&first), buf_view(&again)));
        db_abandon(db);
        fs_sim_crash(fs, SIM_KILLED);
    }
    /* the second may have read what a snapshot stood before in the first */
    assert(what.corruptions == 0);
    fs_free(fs);
    buf_fini(&first);
    buf_fini(&again);
    return 0;
}
