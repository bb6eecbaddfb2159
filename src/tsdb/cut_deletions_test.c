/* Deletions behind damage of the log hide what lies behind it, at every start. */
#include "tsdb/cut_deletions.h"

#include "base/test.h"
#include "tsdb/test_small.h"
#include "wal/record.h"
#include "wal/repair.h"
#include "wal/wal_reader.h"

enum { BEFORE = 100, BEHIND = 120, ALL = 150 };

struct place { str path; uint64_t size; };

/* The end of the log. */
static struct place log_end(struct fs *fs, struct arena *a)
{
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    struct fs_stat st = { 0 };
    EXPECT_OK(wal_dir_list(&d, fs, S("wal"), NULL));
    str path = wal_segment_path(a, S("wal"), vec_last(&d.segments));
    EXPECT_OK(fs_stat(fs, path, &st, NULL));
    return (struct place){ path, st.size_bytes };
}

/* The first samples behind the place no longer decode, and their checksum is right. */
struct garbling { const struct place *at; bool done; };

static errc garble_one(
    void *ctx, const struct wal_rec *rec, str *stored, bool *keep, struct err *e)
{
    struct garbling *g = ctx;
    (void)keep, (void)e;
    if (g->done || rec->begin < g->at->size || record_type(rec->bytes) != REC_SAMPLES) return OK;
    g->done = true;
    *stored = str_slice(rec->stored, 0, rec->stored.n - 1);
    return OK;
}

static void garble(struct fs *fs, const struct place *at)
{
    struct garbling g = { at, false };
    uint64_t segment = 0;
    EXPECT(str_u64(str_from(at->path, at->path.n - WAL_SEGMENT_DIGITS), &segment));
    EXPECT_OK(wal_rewrite_segment(
        fs, S("wal"), IO_BUFFERED, (uint32_t)segment, garble_one, &g, NULL));
    EXPECT(g.done);
}

static void flip(struct fs *fs, const struct place *at)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str was;
    EXPECT_OK(fs_read_all(fs, at->path, &a, 1 << 20, &was, NULL));
    ((uint8_t *)(uintptr_t)was.p)[at->size + 20] ^= 4;
    EXPECT_OK(fs_write_durable(fs, at->path, was, NULL));
}

struct kind {
    const char *name;
    bool image, image_behind, late, memory;
    bool decoded;                              /* only a decoder finds the damage */
};

static struct db *open_kind(struct fs *fs, const struct kind *k)
{
    struct db_opts o = { .fs = fs, .fsync_interval_ms = 0, .memory_snapshot = k->memory,
        .image_log_bytes = k->image || k->image_behind ? 2000 : 0,
        .ooo_window_ms = k->late ? (int64_t)ROUNDS * STEP_MS : 0 };
    return open_small(&o, NULL);
}

/* Of series 1 [50, 120] is deleted, of which what came before round 100 lies before the damage, and
 * [130, 139] of what came behind it. */
static struct fs *make(const struct kind *k)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(test_seed());
    struct db *db = open_kind(fs, k);
    fill(db, 0, BEFORE);
    if (k->image) db_tick(db);                 /* makes one */
    EXPECT_EQ(fs_exists(fs, S("head.image")), k->image);
    if (k->memory) {
        close_db(db);
        db = open_kind(fs, k);
    }
    struct place damage = log_end(fs, &a);
    fill(db, BEFORE, BEFORE + 1);
    fill(db, BEFORE + 1, ALL);
    if (k->image_behind) {                     /* in a segment of its own */
        close_db(db);
        db = open_kind(fs, k);
        fill(db, ALL, ALL + 20);
        db_tick(db);
    }
    EXPECT_EQ(fs_exists(fs, S("head.image")), k->image || k->image_behind);
    EXPECT_OK(delete_of(db, 1, 50, BEHIND));
    EXPECT_OK(delete_of(db, 1, 130, 139));
    EXPECT_OK(delete_of(db, 2, 0, 20));
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    if (k->decoded) garble(fs, &damage);
    else flip(fs, &damage);
    return fs;
}

static void expect_cut(struct fs *fs, const struct kind *k)
{
    struct db *db = open_kind(fs, k);
    EXPECT_EQ(count(db, 1, 0, BEFORE - 1), BEFORE);            /* as who stops at the damage */
    EXPECT_EQ(count(db, 2, 0, BEFORE - 1), BEFORE);
    unsigned behind = count(db, 1, BEFORE, ALL - 1);
    if (k->image_behind) EXPECT(behind >= ALL - BEHIND - 1 - 10); /* chunk files, too */
    else EXPECT_EQ(behind, ALL - BEHIND - 1 - 10);
    EXPECT(count(db, 2, BEFORE, ALL - 1) >= ALL - BEFORE - 1);
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
}

static const struct kind kinds[] = {
    { .name = "the log alone" },
    { .name = "behind an image", .image = true },
    { .name = "before an image", .image_behind = true },
    { .name = "with a window for late samples", .late = true },
    { .name = "behind a memory snapshot", .memory = true },
    { .name = "a record that does not decode", .decoded = true },
    { .name = "the same behind an image", .decoded = true, .image = true },
    { .name = "the same behind a memory snapshot", .decoded = true, .memory = true },
};

TEST(deletions_behind_damage_are_cut)
{
    hush(true);
    TEST_EACH(k, kinds) {
        struct fs *fs = make(k);
        for (int i = 0; i < 3; i++) expect_cut(fs, k);
        fs_free(fs);
    }
    hush(false);
}

TEST(power_cuts_while_deletions_are_cut)
{
    hush(true);
    TEST_EACH(k, kinds) {
        bool done = false;
        for (uint64_t at = 1; !done; at += 1 + at / 20) {
            struct fs *fs = make(k);
            struct db *db = NULL;
            struct db_opts o = { .fs = fs, .backend = IO_BUFFERED, .no_thread = true,
                .wal_segment_bytes = 32768, .samples_per_chunk = 20, .memory_snapshot = k->memory };
            fs_sim_power_off_after(fs, at);
            done = db_open(&db, &o, NULL, NULL) == OK;
            if (done) db_abandon(db);
            fs_sim_crash(fs, at % 2 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
            fs_sim_power_off_after(fs, 0);
            expect_cut(fs, k);
            expect_cut(fs, k);
            fs_free(fs);
        }
    }
    hush(false);
}

/* Nobody else reads a log whose checkpoint is damaged: a deletion behind it stays as it is. */
TEST(deletions_behind_a_damaged_checkpoint_stay)
{
    enum { END = 3 * ROUNDS, PART = 100 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs;
    struct db *db;
    begin(&fs, &db);
    for (int from = ROUNDS; from < END; from += PART) {        /* a segment each */
        fill(db, from, from + PART);
        close_db(db);
        db = open_db(fs, 0);
    }
    EXPECT_OK(db_compact(db, NULL));
    EXPECT_OK(delete_of(db, 1, END - 40, END - 10));
    unsigned left = count(db, 1, 0, END - 1);
    EXPECT_EQ(left, END - 31);
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    EXPECT_OK(wal_dir_list(&d, fs, S("wal"), NULL));
    EXPECT(d.has_checkpoint);
    str dir = arena_fmt(&a, "wal/checkpoint.%08" PRIu32, d.checkpoint);
    struct place padding = { wal_segment_path(&a, dir, 0), 0 };
    struct fs_stat st = { 0 };
    EXPECT_OK(fs_stat(fs, padding.path, &st, NULL));
    padding.size = st.size_bytes - 30;         /* every record is read */
    flip(fs, &padding);
    for (int starts = 0; starts < 2; starts++) {
        struct db_opened what = { 0 };
        db = open_small(&(struct db_opts){ .fs = fs }, &what);
        EXPECT_EQ(what.corruptions > 0, starts == 0);
        EXPECT_EQ(count(db, 1, END - 40, END - 10), 0);
        EXPECT_EQ(count(db, 1, 0, END - 1), left);
        db_abandon(db);
        fs_sim_crash(fs, SIM_KILLED);
    }
    hush(false);
    fs_free(fs);
}

/* A folder in the place of a segment: who stops there shows what a deletion behind it hides. A
 * segment that is missing is no such place, as nobody else begins at all then. */
TEST(deletions_behind_a_folder_are_cut)
{
    enum { PART = 50 };
    for (int folder = 0; folder < 2; folder++) {
        struct fs *fs = fs_sim_new(test_seed());
        hush(true);
        struct db *db = open_db(fs, 0);
        for (int from = 0; from < ROUNDS; from += PART) {      /* a segment each */
            fill(db, from, from + PART);
            db_abandon(db);
            fs_sim_crash(fs, SIM_KILLED);
            EXPECT_OK(fs_remove_tree(fs, S("chunks_head"), NULL));
            db = open_db(fs, 0);
        }
        EXPECT_OK(delete_of(db, 1, 0, 3 * PART - 1));
        db_abandon(db);
        fs_sim_crash(fs, SIM_KILLED);
        EXPECT_OK(fs_remove_tree(fs, S("chunks_head"), NULL));
        EXPECT_OK(fs_unlink(fs, S("wal/00000001"), NULL));
        if (folder) EXPECT_OK(fs_mkdir(fs, S("wal/00000001"), NULL));
        for (int starts = 0; starts < 3; starts++) {
            db = open_db(fs, 0);
            EXPECT_EQ(count(db, 1, 0, PART - 1), folder ? PART : 0);
            EXPECT_EQ(count(db, 1, PART, 3 * PART - 1), 0);
            EXPECT_EQ(count(db, 1, 3 * PART, ROUNDS), ROUNDS - 3 * PART);
            EXPECT_EQ(count(db, 2, 0, ROUNDS), ROUNDS - PART);
            db_abandon(db);
            fs_sim_crash(fs, SIM_KILLED);
            EXPECT_OK(fs_remove_tree(fs, S("chunks_head"), NULL));
        }
        hush(false);
        fs_free(fs);
    }
}
