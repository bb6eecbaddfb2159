/* backup_test.c — a backup holds what there was, of a folder in use, too; again, it takes what is
 * new; and power cuts leave a target that opens. */
#include "tsdb/backup.h"

#include "base/test.h"
#include "io/fs_sim.h"
#include "tsdb/repair.h"
#include "tsdb/test_small.h"
#include "tsdb/verify.h"

enum { FILE_MAX_BYTES = 1 << 24 };
#define TARGET S("target")

static errc backup(struct fs *fs, bool copy, struct backup_counts *n)
{
    struct backup_opts o = { .fs = fs, .from = S(""), .to = TARGET, .copy = copy };
    return backup_write(n, &o, NULL);
}

static void copy_tree(struct fs *to, str to_dir, struct fs *from, str dir)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    EXPECT_OK(fs_list(from, dir, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str x = path_join(&a, dir, all.at[i].name), bytes;
        str y = to_dir.n ? path_join(&a, to_dir, all.at[i].name) : all.at[i].name;
        if (all.at[i].is_dir) {
            EXPECT_OK(fs_mkdir(to, y, NULL));
            copy_tree(to, y, from, x);
        } else {
            EXPECT_OK(fs_read_all(from, x, &a, FILE_MAX_BYTES, &bytes, NULL));
            EXPECT_OK(fs_write_durable(to, y, bytes, NULL));
        }
    }
    vec_fini(&all);
}

/* The target as a disk of its own, on which nothing is to be found wrong; the power may have gone
 * before anything of a database was in it. */
static struct fs *target_of(struct fs *fs)
{
    struct fs *out = fs_sim_new(1);
    struct verified v;
    SCOPED(buf_fini) struct buf text = { 0 };
    struct verify_opts o = { .fs = out, .backend = IO_BUFFERED };
    copy_tree(out, STR_EMPTY, fs, TARGET);
    verified_init(&v);
    errc rc = folder_verify(&v, &o, NULL);
    EXPECT(rc == OK || rc == ERR_NOT_FOUND);
    if (v.findings.all.n) findings_text(&text, &v.findings.all.at[0]);
    EXPECT_STR(buf_view(&text), STR_EMPTY);
    verified_fini(&v);
    return out;
}

static unsigned count_target(struct fs *fs)
{
    struct fs *out = target_of(fs);
    struct db *db = open_db(out, 0);
    unsigned n = count(db, -1, 0, 2 * ROUNDS);
    close_db(db);
    fs_free(out);
    return n;
}

TEST(backup_of_a_folder_in_use)
{
    static const struct { const char *name; bool copy; } cases[] = {
        { "second names", false }, { "copies", true } };
    TEST_EACH(c, cases) {
        struct fs *fs;
        struct db *db;
        struct backup_counts first, second;
        begin(&fs, &db);
        EXPECT_OK(backup(fs, c->copy, &first));
        EXPECT_EQ(first.blocks_new, 1);
        EXPECT_EQ(count_target(fs), SERIES * ROUNDS);
        EXPECT_OK(delete_of(db, 1, 0, 9));                     /* does not reach into it */
        EXPECT_EQ(count_target(fs), SERIES * ROUNDS);
        fill(db, ROUNDS, ROUNDS + 50);
        EXPECT_OK(backup(fs, c->copy, &second));
        EXPECT_EQ(second.blocks_new, 0);
        if (c->copy) EXPECT(second.bytes_copied < first.bytes_copied);
        EXPECT_EQ(count_target(fs), SERIES * (ROUNDS + 50) - 10);
        EXPECT_OK(db_clean_tombstones(db, NULL));              /* the block is another one */
        EXPECT_OK(backup(fs, c->copy, &second));
        EXPECT_EQ(second.blocks_new, 1);
        EXPECT_EQ(second.blocks_gone, 1);
        EXPECT_EQ(count_target(fs), SERIES * (ROUNDS + 50) - 10);
        EXPECT_EQ(count(db, -1, 0, 2 * ROUNDS), SERIES * (ROUNDS + 50) - 10);
        end(fs, db);
    }
}

/* What was deleted stays away, though the block that lost it was merged with others, or nothing was
 * left of it, since the backup before. What another folder's block was lost for stays. */
TEST(backup_forgets_what_was_deleted_two_blocks_ago)
{
    static const struct { const char *name; bool all, merge, lost; } cases[] = {
        { "merged", false, true, false }, { "nothing left", true, false, false },
        { "merged into nothing", true, true, false }, { "lost", false, false, true } };
    TEST_EACH(c, cases) {
        struct fs *fs;
        struct db *db;
        struct backup_counts n;
        char name[ULID_CHARS + 1];
        begin(&fs, &db);
        block_name(fs, name);
        EXPECT_OK(backup(fs, false, &n));
        if (!c->lost)
            for (unsigned id = 0; id < SERIES; id++)
                if (id == 1 || c->all) EXPECT_OK(delete_of(db, id, 0, 9 + 1000 * c->all));
        if (!c->lost) EXPECT_OK(db_clean_tombstones(db, NULL));
        if (c->merge) {
            fill(db, ROUNDS, 8 * ROUNDS);
            EXPECT_OK(db_compact(db, NULL));
            EXPECT_OK(db_clean_tombstones(db, NULL));
        }
        unsigned whole = count(db, -1, 0, 8 * ROUNDS);
        close_db(db);
        if (c->lost) EXPECT_OK(fs_remove_tree(fs, str_z(name), NULL));
        EXPECT_OK(backup(fs, false, &n));
        EXPECT_EQ(n.blocks_gone, !c->lost);
        struct fs *out = target_of(fs);
        EXPECT_EQ(fs_exists(out, str_z(name)), c->lost);
        db = open_db(out, 0);
        EXPECT_EQ(count(db, -1, 0, 8 * ROUNDS), whole);
        close_db(db);
        fs_free(out);
        fs_free(fs);
        hush(false);
    }
}

static void flip(struct fs *fs, str path, size_t at)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str bytes;
    EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
    uint8_t *copy = arena_alloc(&a, bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    copy[at] ^= 0x40;
    EXPECT_OK(fs_write_durable(fs, path, str_of(copy, bytes.n), NULL));
}

static void repair_source(struct fs *fs)
{
    struct repaired r;
    repaired_init(&r);
    EXPECT_OK(repair_blocks(&r, &(struct repair_opts){ .fs = fs, .backend = IO_BUFFERED }, NULL));
    EXPECT_EQ(r.blocks_salvaged, 1);
    repaired_fini(&r);
}

/* So that the block of the first hours is made into another one. */
static void fill_and_merge(struct fs *fs)
{
    struct db *db = open_db(fs, 0);
    EXPECT(count(db, -1, 0, ROUNDS) < SERIES * ROUNDS);
    fill(db, ROUNDS, 2 * ROUNDS);
    EXPECT_OK(db_compact(db, NULL));
    close_db(db);
}

/* What the source lost to damage the target keeps, unless it has the same damage. */
TEST(backup_keeps_what_a_repair_could_not_save)
{
    static const struct { const char *name; bool both; } cases[] = {
        { "damage in the source", false }, { "in both", true } };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs;
        struct db *db;
        struct backup_counts n;
        char name[ULID_CHARS + 1];
        begin(&fs, &db);
        close_db(db);
        block_name(fs, name);
        EXPECT_OK(backup(fs, true, &n));
        str chunks = path_join(&a, str_z(name), S("chunks/000001"));
        flip(fs, chunks, 40);
        if (c->both) flip(fs, path_join(&a, TARGET, chunks), 40);
        repair_source(fs);
        for (unsigned again = 0; again < 3; again++) {
            EXPECT_OK(backup(fs, true, &n));
            EXPECT_EQ(n.blocks_kept, !c->both);
            EXPECT_EQ(n.blocks_gone, again == 2 ? 1 : c->both && !again);
            EXPECT_EQ(count_target(fs) == SERIES * ROUNDS * (1 + again / 2), !c->both);
            if (again == 1) fill_and_merge(fs);
            if (again) continue;               /* nothing there tells of the repair any more */
            str left = arena_fmt(&a, "%s.salvaged", name);
            EXPECT_OK(fs_remove_tree(fs, left, NULL));
        }
        fs_free(fs);
        hush(false);
    }
}

TEST(backup_takes_no_damage_to_what_it_renews)
{
    static const struct { const char *name; } cases[] = { { "tombstones" }, { "meta.json" } };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs;
        struct db *db;
        struct backup_counts n;
        char name[ULID_CHARS + 1];
        begin(&fs, &db);
        EXPECT_OK(delete_of(db, 1, 0, 9));
        block_name(fs, name);
        EXPECT_OK(backup(fs, true, &n));
        EXPECT_OK(delete_of(db, 2, 0, 9));
        EXPECT_OK(backup(fs, true, &n));
        EXPECT_EQ(count_target(fs), SERIES * ROUNDS - 20);
        flip(fs, path_join(&a, str_z(name), str_z(c->name)), 4);
        EXPECT_OK(backup(fs, true, &n));
        EXPECT_EQ(count_target(fs), SERIES * ROUNDS - 20);
        end(fs, db);
    }
}

/* Writes the blocks anew when the backup comes to the first of them. */
struct meddler { struct db *db; unsigned told; };

static void meddle(void *ctx, str what, uint64_t done UNUSED, uint64_t total UNUSED)
{
    struct meddler *m = ctx;
    ulid id;
    if (ulid_parse(what, &id) && !m->told++) EXPECT_OK(db_clean_tombstones(m->db, NULL));
}

/* One that is gone when its turn comes had a child that was not there at the listing. */
TEST(backup_while_blocks_are_replaced)
{
    for (int known = 0; known < 2; known++) {
        struct fs *fs;
        struct db *db;
        struct backup_counts n;
        begin(&fs, &db);
        fill(db, ROUNDS, 4 * ROUNDS);
        EXPECT_OK(db_compact(db, NULL));
        if (known) EXPECT_OK(backup(fs, false, &n));
        EXPECT_OK(delete_of(db, 1, 0, 3 * ROUNDS));
        unsigned whole = count(db, -1, 0, 4 * ROUNDS);
        struct meddler m = { .db = db };
        const struct progress p = { meddle, &m };
        struct backup_opts o = { .fs = fs, .from = S(""), .to = TARGET, .progress = &p };
        EXPECT_OK(backup_write(&n, &o, NULL));
        EXPECT(m.told > 2);
        struct fs *out = target_of(fs);
        struct db *restored = open_db(out, 0);
        EXPECT_EQ(count(restored, -1, 0, 4 * ROUNDS), whole);
        close_db(restored);
        fs_free(out);
        end(fs, db);
    }
}

TEST(backup_of_a_snapshot_has_one_head)
{
    struct fs *fs;
    struct db *db;
    struct backup_counts n;
    struct backup_opts o = { .fs = fs = NULL, .from = S("snapshots/a"), .to = TARGET,
        .data = S("snapshots") };
    begin(&fs, &db);
    o.fs = fs;
    EXPECT_OK(db_snapshot(db, S("a"), true, false, NULL));
    EXPECT_OK(backup_write(&n, &o, NULL));
    EXPECT_EQ(count_target(fs), SERIES * ROUNDS);
    fill(db, ROUNDS, ROUNDS + 50);
    EXPECT_OK(db_snapshot(db, S("b"), true, false, NULL));
    o.from = S("snapshots/b");
    EXPECT_OK(backup_write(&n, &o, NULL));
    EXPECT_EQ(n.blocks_gone, 1);
    EXPECT_EQ(count_target(fs), SERIES * (ROUNDS + 50));
    o.to = S("snapshots");
    EXPECT_EQ(backup_write(&n, &o, NULL), ERR_BAD_INPUT);
    end(fs, db);
}

/* The end of what a server is writing: half a record, half a chunk. */
TEST(backup_ends_with_whole_records)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs;
    struct db *db;
    struct backup_counts n;
    fs_entries all = { 0 };
    begin(&fs, &db);
    db_abandon(db);
    EXPECT_OK(fs_list(fs, S("wal"), &a, &all, NULL));
    str path = STR_EMPTY, bytes;
    for (size_t i = 0; i < all.n; i++) {
        str at = path_join(&a, S("wal"), all.at[i].name);
        if (!all.at[i].is_dir && fs_read_all(fs, at, &a, FILE_MAX_BYTES, &bytes, NULL) == OK &&
            bytes.n)
            path = at;
    }
    EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
    for (size_t cut = 1; cut < 200; cut += 37) {
        EXPECT_OK(fs_write_durable(fs, path, str_slice(bytes, 0, bytes.n - cut), NULL));
        EXPECT_OK(backup(fs, false, &n));
        EXPECT(count_target(fs) <= SERIES * ROUNDS);
    }
    vec_fini(&all);
    fs_free(fs);
    hush(false);
}

/* A file that got a second name here may be one that its writer has not synced yet. */
TEST(backup_makes_durable_what_it_links)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs;
    struct db *db;
    struct backup_counts n;
    fs_entries all = { 0 };
    begin(&fs, &db);
    db_abandon(db);
    EXPECT_OK(fs_list(fs, S("wal"), &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str path = path_join(&a, S("wal"), all.at[i].name), bytes;
        struct file *f = NULL;
        uint64_t done;
        if (all.at[i].is_dir) continue;
        EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
        EXPECT_OK(fs_unlink(fs, path, NULL));
        EXPECT_OK(fs_open(&f, fs, path, FS_WRITE | FS_CREATE, NULL));
        if (bytes.n) EXPECT_OK(file_pwrite(f, &bytes, 1, 0, &done, NULL));
        file_close(f);
    }
    EXPECT_OK(backup(fs, false, &n));
    EXPECT(n.files_linked > 0);
    fs_sim_crash(fs, SIM_LOSE_ALL);
    EXPECT_EQ(count_target(fs), SERIES * ROUNDS);
    vec_fini(&all);
    fs_free(fs);
    hush(false);
}

/* The power goes in the first, or in the second backup. */
TEST(power_cuts_in_a_backup)
{
    bool ended = false;
    hush(true);
    for (uint64_t seed = 0, at = 1; seed < 240 / TEST_STRIDE;
         seed++, at = ended ? 1 : at + TEST_STRIDE + seed % 3) {
        struct backup_counts n;
        struct fs *fs = fs_sim_new(test_seed() + seed);
        struct db *db = open_db(fs, 0);
        bool again = seed % 4 >= 2;
        fill(db, 0, ROUNDS);
        EXPECT_OK(db_compact(db, NULL));
        if (again) EXPECT_OK(backup(fs, seed % 2, &n));
        unsigned had = again ? SERIES * ROUNDS : 0;
        if (again) EXPECT_OK(delete_of(db, 1, 0, 9));
        if (again) EXPECT_OK(db_clean_tombstones(db, NULL));
        fill(db, ROUNDS, ROUNDS + 20);
        unsigned whole = count(db, -1, 0, 2 * ROUNDS);
        fs_sim_power_off_after(fs, at);
        ended = backup(fs, seed % 2, &n) == OK;
        db_abandon(db);
        fs_sim_crash(fs, seed % 3 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
        unsigned held = fs_exists(fs, TARGET) ? count_target(fs) : 0;
        if (ended) EXPECT_EQ(held, whole);
        EXPECT(held <= MAX(had, whole));
        db = open_db(fs, 0);
        EXPECT_EQ(count(db, -1, 0, 2 * ROUNDS), whole);        /* the source lost nothing */
        EXPECT_OK(backup(fs, seed % 2, &n));
        EXPECT_EQ(count_target(fs), whole);
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}
