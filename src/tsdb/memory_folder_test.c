/* memory_folder_test.c — a head written down at the end, through power cuts. */
#include "base/test.h"
#include "head/snapshot_codec.h"
#include "tsdb/memory_folder.h"
#include "tsdb/repair.h"
#include "tsdb/test_small.h"
#include "wal/wal_reader.h"

#include <stdio.h>

static struct db *open_seen(struct fs *fs, struct db_opened *what)
{
    return open_small(&(struct db_opts){ .fs = fs, .memory_snapshot = true }, what);
}

static struct db *open_with(struct fs *fs) { return open_seen(fs, NULL); }

/* Writes a head image at each tick. */
static struct db *open_imaged(struct fs *fs)
{
    struct db_opts o = { .fs = fs, .memory_snapshot = true, .image_log_bytes = 1 };
    return open_small(&o, NULL);
}

/* The folders of memory snapshots; *name: the first. */
static unsigned folders(struct fs *fs, struct arena *a, str *name)
{
    fs_entries all = { 0 };
    unsigned n = 0;
    EXPECT_OK(fs_list(fs, S(""), a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        if (!str_has_prefix(all.at[i].name, S("chunk_snapshot."))) continue;
        if (!n++) *name = all.at[i].name;
    }
    vec_fini(&all);
    return n;
}

/* Series in it; each record is whole. */
static unsigned series_in(struct fs *fs, str dir)
{
    struct wal_reader *r = NULL;
    struct wal_reader_opts o = { .fs = fs, .dir = dir, .backend = IO_BUFFERED };
    unsigned n = 0, others = 0;
    EXPECT_OK(wal_reader_open(&r, &o, NULL));
    for (;;) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct snapshot_series s;
        struct wal_rec rec;
        bool got;
        EXPECT_OK(wal_reader_next(r, &rec, &got, NULL));
        if (!got) break;
        if (rec.bytes.p[0] != SNAPSHOT_SERIES) others++;
        else EXPECT_OK(snapshot_series_decode(&s, rec.bytes, &a, NULL));
        n += rec.bytes.p[0] == SNAPSHOT_SERIES;
    }
    wal_reader_close(r);
    EXPECT_EQ(others, 1);
    return n;
}

TEST(memory_folder_is_replaced)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(1);
    str first = STR_EMPTY, second = STR_EMPTY;
    hush(true);
    EXPECT_OK(fs_mkdir(fs, S("chunk_snapshot.000000.0000000000.tmp"), NULL));
    struct db *db = open_with(fs);
    EXPECT_EQ(folders(fs, &a, &first), 0);                     /* what was interrupted is gone */
    fill(db, 0, 50);
    close_db(db);
    EXPECT_EQ(folders(fs, &a, &first), 1);
    EXPECT_EQ(series_in(fs, first), SERIES);
    db = open_with(fs);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
    fill(db, 50, 60);
    close_db(db);
    EXPECT_EQ(folders(fs, &a, &second), 1);
    EXPECT(!str_eq(first, second));
    EXPECT_EQ(series_in(fs, second), SERIES);
    db = open_db(fs, 0);                                       /* nobody needs it */
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 60 * SERIES);
    close_db(db);
    fs_free(fs);
    hush(false);
}

/* Of a start from a snapshot: the log is read from there on. */
TEST(memory_folder_is_read)
{
    static const struct {
        const char *name;
        int more;                              /* rounds after the snapshot, then a crash */
        bool twice;                            /* and once more, from the same snapshot */
        bool tick;                             /* chunks are written after it */
    } cases[] = {
        { "nothing after it", 0, false, false },
        { "a little after it", 5, true, false },
        { "chunks after it", 45, true, true },
    };
    hush(true);
    TEST_EACH(c, cases) {
        struct fs *fs = fs_sim_new(1);
        struct db_opened what = { 0 };
        struct db *db = open_with(fs);
        fill(db, 0, 50);
        EXPECT_OK(delete_of(db, 1, 10, 19));
        close_db(db);
        db = open_seen(fs, &what);
        EXPECT_EQ(what.records, 0);
        EXPECT_EQ(what.series, SERIES);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES - 10);
        if (c->more) fill(db, 50, 50 + c->more);
        if (c->tick) db_tick(db);
        for (int again = c->twice; again >= 0; again--) {
            EXPECT_OK(db_sync(db, NULL));
            db_abandon(db);
            db = open_seen(fs, &what);
            EXPECT_EQ(count(db, -1, 0, ROUNDS), (50 + (unsigned)c->more) * SERIES - 10);
            EXPECT_EQ(what.records, (uint64_t)c->more);
            EXPECT_EQ(what.unknown_refs, 0);
        }
        close_db(db);
        db = open_db(fs, 0);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), (50 + (unsigned)c->more) * SERIES - 10);
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}

/* A snapshot of the stop before, then an image, then a crash. */
static struct fs *snapshot_then_image(void)
{
    struct fs *fs = fs_sim_new(1);
    struct db *db = open_imaged(fs);
    fill(db, 0, 50);
    close_db(db);
    db = open_imaged(fs);
    fill(db, 50, 60);
    db_tick(db);
    EXPECT(fs_exists(fs, S("head.image")));
    fill(db, 60, 65);
    EXPECT_OK(db_sync(db, NULL));
    db_abandon(db);
    return fs;
}

/* Opens it: all of snapshot_then_image is there, from the image or from the snapshot. */
static struct db *open_whole(struct fs *fs, bool image, struct db_opened *what)
{
    struct db *db = open_seen(fs, what);
    EXPECT_EQ(what->image, image);
    EXPECT_EQ(what->unknown_refs, 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 65 * SERIES);
    return db;
}

/* Where there are both, the one that stands for more of the log is taken. */
TEST(memory_folder_or_image)
{
    struct db_opened what = { 0 };
    hush(true);
    struct fs *fs = snapshot_then_image();
    close_db(open_whole(fs, true, &what)); /* which writes a snapshot, the newer one now */
    EXPECT(fs_exists(fs, S("head.image")));
    close_db(open_whole(fs, false, &what));
    EXPECT_EQ(what.records, 0);
    fs_free(fs);
    hush(false);
}

/* The image is newer, but what gave its series their refs was lost; the snapshot has them. */
TEST(memory_folder_has_what_the_log_lost)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct db_opened what = { 0 };
    str first;
    hush(true);
    struct fs *fs = snapshot_then_image();
    EXPECT_OK(fs_read_all(fs, S("wal/00000000"), &a, 1 << 20, &first, NULL));
    uint8_t *zeros = arena_alloc(&a, first.n);
    memset(zeros, 0, first.n);
    EXPECT_OK(fs_write_durable(fs, S("wal/00000000"), str_of(zeros, first.n), NULL));
    close_db(open_whole(fs, false, &what));
    fs_free(fs);
    hush(false);
}

static void flip(struct fs *fs, str path, unsigned at)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str all;
    EXPECT_OK(fs_read_all(fs, path, &a, 1 << 20, &all, NULL));
    uint8_t *copy = arena_alloc(&a, all.n);
    memcpy(copy, all.p, all.n);
    copy[at % all.n] ^= (uint8_t)(1u << at % 8);
    EXPECT_OK(fs_write_durable(fs, path, str_of(copy, all.n), NULL));
}

TEST(memory_folder_broken)
{
    unsigned refused = 0;
    hush(true);
    for (unsigned seed = 0; seed < 60; seed++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(1);
        struct db_opened what = { 0 };
        str name = STR_EMPTY;
        struct db *db = open_with(fs);
        fill(db, 0, 50);
        close_db(db);
        EXPECT_EQ(folders(fs, &a, &name), 1);
        flip(fs, path_join(&a, name, S("00000000")), seed * 37);
        db = open_seen(fs, &what);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
        refused += what.records != 0;
        EXPECT_EQ(folders(fs, &a, &name), what.records ? 0 : 1);
        close_db(db);
        fs_free(fs);
    }
    EXPECT(refused > 30);                      /* flips in the padding of the page harm nothing */
    hush(false);
}

/* A disk on which a head of 50 rounds ended; *name: of what it wrote. */
static struct fs *ended(struct arena *a, str *name)
{
    struct fs *fs = fs_sim_new(1);
    struct db *db = open_with(fs);
    fill(db, 0, 50);
    close_db(db);
    EXPECT_EQ(folders(fs, a, name), 1);
    return fs;
}

/* The next start has all samples and the snapshot went. Ends the disk. */
static void all_without(struct fs *fs, struct arena *a)
{
    str name = STR_EMPTY;
    struct db *db = open_with(fs);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
    EXPECT_EQ(folders(fs, a, &name), 0);
    close_db(db);
    fs_free(fs);
}

/* Without its only segment it has no series, and is not taken for one of an empty head. */
TEST(memory_folder_cut_short)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str name = STR_EMPTY;
    hush(true);
    struct fs *fs = ended(&a, &name);
    EXPECT_OK(fs_unlink(fs, path_join(&a, name, S("00000000")), NULL));
    all_without(fs, &a);
    hush(false);
}

/* The segment that it names is gone, or damaged: later starts read no less than the first one. */
TEST(memory_folder_whose_segment_is_lost)
{
    hush(true);
    for (int flipped = 0; flipped < 2; flipped++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(1);
        struct memory_folder f = { 0 };
        str name;
        struct db *db = open_with(fs);
        fill(db, 0, 50);
        close_db(db);
        EXPECT_OK(memory_folder_newest(&f, fs, &a, NULL));
        db = open_with(fs);
        fill(db, 50, 60);
        db_abandon(db);
        fs_sim_crash(fs, SIM_KILLED);
        str segment = wal_segment_path(&a, S("wal"), f.segment);
        if (flipped) flip(fs, segment, 30);    /* before its place: nobody reads it */
        else EXPECT_OK(fs_unlink(fs, segment, NULL));
        for (int i = 0; i < 3; i++) {
            db = open_with(fs);
            EXPECT_EQ(count(db, -1, 0, ROUNDS), 60 * SERIES);
            db_abandon(db);
            fs_sim_crash(fs, SIM_KILLED);
            EXPECT_EQ(folders(fs, &a, &name), 1);
        }
        fs_free(fs);
    }
    hush(false);
}

/* It counts on the chunks that are written: when those are damaged it goes, for later starts, too,
 * which find the damage mended. */
TEST(memory_folder_beside_damaged_chunks)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(1);
    struct db_opened what = { 0 };
    fs_entries chunks = { 0 };
    hush(true);
    struct db *db = open_with(fs);
    fill(db, 0, 50);
    db_tick(db);
    close_db(db);
    EXPECT_OK(fs_list(fs, S("chunks_head"), &a, &chunks, NULL));
    EXPECT(chunks.n > 0);
    flip(fs, path_join(&a, S("chunks_head"), chunks.at[0].name), 60);
    for (unsigned i = 0; i < 3; i++) {
        db = open_seen(fs, &what);
        EXPECT_EQ(what.corruptions > 0, i == 0);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
        db_abandon(db);
        fs_sim_crash(fs, SIM_KILLED);
    }
    vec_fini(&chunks);
    fs_free(fs);
    hush(false);
}

/* Whatever of mending them is done when the process dies: a snapshot never outlives the chunks. */
TEST(killed_in_a_repair_of_chunks)
{
    unsigned cut = 0, whole = 0;
    hush(true);
    for (uint64_t at = 1; !whole; at++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(test_seed());
        fs_entries chunks = { 0 };
        struct db *db = open_with(fs);
        char name[48];
        snprintf(name, sizeof(name), "SEED=%" PRIu64 " step %" PRIu64, test_seed(), at);
        test_case(name);
        fill(db, 0, 50);
        db_tick(db);
        close_db(db);
        EXPECT_OK(fs_list(fs, S("chunks_head"), &a, &chunks, NULL));
        EXPECT(chunks.n > 0);
        flip(fs, path_join(&a, S("chunks_head"), chunks.at[0].name), 60);
        fs_sim_power_off_after(fs, at);
        struct db_opts o = { .fs = fs,
            .backend = IO_BUFFERED,
            .no_thread = true,
            .samples_per_chunk = 20,
            .wal_segment_bytes = 32768,
            .memory_snapshot = true };
        bool opened = db_open(&db, &o, NULL, NULL) == OK;
        if (opened) db_abandon(db);
        *(opened ? &whole : &cut) += 1;
        fs_sim_crash(fs, at % 2 ? SIM_KILLED : SIM_LOSE_SOME);
        for (int again = 0; again < 2; again++) {
            db = open_with(fs);
            EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
            db_abandon(db);
        }
        vec_fini(&chunks);
        fs_free(fs);
    }
    EXPECT(cut > 3);
    test_case(NULL);
    hush(false);
}

/* Pages are padded. */
static str shorter(str segment, uint64_t than)
{
    return segment.n < than ? segment : str_of(segment.p, (size_t)than - 1);
}

/* Samples and a deletion that only the snapshot has: its segment is cut, or the next one is in its
 * place. */
TEST(memory_folder_whose_segment_is_shorter)
{
    static const struct {
        const char *name;
        int more;                              /* rounds in a segment after it */
        bool over;                             /* which has its place, too */
        unsigned want;
    } cases[] = {
        { "the last one is cut", 0, false, 50 * SERIES - 10 },
        { "there is one after it", 10, false, 60 * SERIES - 10 },
        { "the begin of the one after it is in its place", 1, true, 51 * SERIES - 10 },
    };
    hush(true);
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct memory_folder f = { 0 };
        struct db_opened what = { 0 };
        struct fs *fs = fs_sim_new(1);
        str with = STR_EMPTY;
        struct db *db = open_with(fs);
        fill(db, 0, 50);
        EXPECT_OK(delete_of(db, 1, 10, 19));
        close_db(db);
        EXPECT_OK(memory_folder_newest(&f, fs, &a, NULL));
        EXPECT(f.offset > 0);
        if (c->more) {
            db = open_with(fs);
            fill(db, 50, 50 + c->more);
            EXPECT_OK(db_sync(db, NULL));
            db_abandon(db);
        }
        str after = wal_segment_path(&a, S("wal"), f.segment + 1);
        if (c->over) EXPECT_OK(fs_read_all(fs, after, &a, 1 << 20, &with, NULL));
        EXPECT_OK(fs_write_durable(fs, wal_segment_path(&a, S("wal"), f.segment),
            shorter(with, f.offset), NULL));
        for (int i = 0; i < 3; i++) {
            db = open_seen(fs, &what);
            EXPECT_EQ(count(db, -1, 0, ROUNDS), c->want);
            EXPECT_EQ(count(db, 1, 10, 19), 0);
            EXPECT_EQ(what.unknown_refs, 0);
            db_abandon(db);
            EXPECT_OK(memory_folder_newest(&f, fs, &a, NULL));
            EXPECT(f.name.n && !f.offset);     /* it is read on from its segment's beginning */
        }
        fs_free(fs);
    }
    hush(false);
}

/* The segment behind the snapshot comes before its own: a repair, too, keeps what only the snapshot
 * has then. */
TEST(memory_folder_in_a_repair)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    static const int until[] = { 5, 45, 200 }; /* rounds, by segments; the last one: a crash */
    struct repaired done;
    struct memory_folder f = { 0 };
    struct fs *fs = fs_sim_new(1);
    hush(true);
    for (unsigned i = 0, from = 0; i < ARRAY_LEN(until); from = (unsigned)until[i++]) {
        struct db *db = open_with(fs);
        fill(db, (int)from, until[i]);
        if (i < 2) close_db(db);
        else db_abandon(db);
    }
    EXPECT_OK(memory_folder_newest(&f, fs, &a, NULL));
    str own = wal_segment_path(&a, S("wal"), f.segment);
    str next = wal_segment_path(&a, S("wal"), f.segment + 1);
    str first, second;
    EXPECT_OK(fs_read_all(fs, own, &a, 1 << 20, &first, NULL));
    EXPECT_OK(fs_read_all(fs, next, &a, 1 << 20, &second, NULL));
    EXPECT_OK(fs_write_durable(fs, own, shorter(second, f.offset), NULL));
    EXPECT_OK(fs_write_durable(fs, next, first, NULL));
    repaired_init(&done);
    EXPECT_OK(folder_repair(&done, &(struct repair_opts){ .fs = fs }, NULL));
    repaired_fini(&done);
    struct db *db = open_with(fs);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 200 * SERIES);
    close_db(db);
    fs_free(fs);
    hush(false);
}

/* All of the log is gone: what the next start logs, under the same numbers, is read, too. */
TEST(memory_folder_without_its_log)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct memory_folder f = { 0 };
    hush(true);
    struct fs *fs = fs_sim_new(1);
    struct db *db = open_with(fs);
    fill(db, 0, 5);
    close_db(db);
    EXPECT_OK(memory_folder_newest(&f, fs, &a, NULL));
    EXPECT_EQ(f.segment, 0);
    EXPECT_OK(fs_unlink(fs, S("wal/00000000"), NULL));
    for (int round = 5; round < 20; round++) {
        db = open_with(fs);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), (unsigned)round * SERIES);
        fill(db, round, round + 1);
        EXPECT_OK(db_sync(db, NULL));
        db_abandon(db);
    }
    fs_free(fs);
    hush(false);
}

TEST(memory_folder_ahead_of_the_log)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str name = STR_EMPTY;
    hush(true);
    struct fs *fs = ended(&a, &name);
    EXPECT_OK(fs_rename(fs, name, S("chunk_snapshot.000999.0000000000"), NULL));
    all_without(fs, &a);
    hush(false);
}

TEST(power_cuts_after_memory_snapshot)
{
    unsigned whole = 0, none = 0;
    hush(true);
    for (uint64_t seed = 0; seed < 160; seed++) {
        /* while it closes, which is some twenty steps; or afterwards */
        uint64_t at = seed % 2 ? 0 : seed / 2 % 24;
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(test_seed() + seed);
        struct db *db = open_with(fs);
        str name = STR_EMPTY;
        fill(db, 0, 50);
        EXPECT_OK(db_sync(db, NULL));
        if (at) fs_sim_power_off_after(fs, at);
        bool closed = db_close(db, NULL) == OK && !at;
        fs_sim_crash(fs, seed % 4 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
        db = seed % 3 ? open_with(fs) : open_db(fs, 0);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), 50 * SERIES);
        unsigned n = folders(fs, &a, &name);
        EXPECT(n <= 1 && (n == 1 || !closed));
        if (n) EXPECT_EQ(series_in(fs, name), SERIES);
        *(n ? &whole : &none) += 1;
        close_db(db);
        fs_free(fs);
    }
    EXPECT(whole > 0 && none > 0);
    hush(false);
}
