/* chunk_disk_test.c — chunks_head files as Prometheus writes them, damage, and what a crash
 * leaves. */
#include "head/chunk_disk.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "chunk/chunk.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"

enum { CHUNKS_MAX = 64, KEPT_MAX = 4096 };

/* ---- the codec ---- */

static size_t chunks_of(struct arena *a, const json_t *list, struct chunk_desc *out)
{
    size_t i;
    json_t *c;
    json_array_foreach(list, i, c)
    {
        EXPECT(i < CHUNKS_MAX);
        out[i] = (struct chunk_desc){ (sref)json_i64_of(c, "series_ref"), json_i64_of(c, "mint"),
            json_i64_of(c, "maxt"), (uint8_t)json_i64_of(c, "enc"),
            json_is_true(json_object_get(c, "ooo_in_head")),
            json_hex(a, json_object_get(c, "data")) };
    }
    return i;
}

static void expect_chunk(const struct chunk_desc *got, const struct chunk_desc *want)
{
    EXPECT_EQ(got->series, want->series);
    EXPECT_EQ(got->mint, want->mint);
    EXPECT_EQ(got->maxt, want->maxt);
    EXPECT_EQ(got->enc, want->enc);
    EXPECT_EQ(got->ooo, want->ooo);
    EXPECT_STR(got->data, want->data);
}

/* Written with one call, the bytes are Prometheus' (but for the zeros that it reserves); read back
 * by reference and by opening. */
static size_t n_found;
static struct chunk_found found[KEPT_MAX];
static errc keep(void *ctx, const struct chunk_found *c, struct err *e)
{
    (void)ctx;
    (void)e;
    EXPECT(n_found < KEPT_MAX);
    found[n_found++] = *c;
    return OK;
}

static struct chunk_disk *disk_open(
    struct fs *fs, enum io_backend backend, uint64_t file_bytes, struct chunk_disk_opened *what)
{
    struct err e = { 0 };
    struct chunk_disk *d = NULL;
    struct chunk_disk_opts o = {
        .fs = fs, .dir = S("chunks_head"), .backend = backend, .file_bytes = file_bytes
    };
    o.workers = 3;
    n_found = 0;
    EXPECT_OK_E(chunk_disk_open(&d, &o, keep, NULL, what, &e), &e);
    return d;
}

static void expect_pin(
    struct chunk_disk *d, chunk_ref ref, size_t hint, const struct chunk_desc *want)
{
    struct err e = { 0 };
    struct chunk_pin p = { 0 };
    EXPECT_OK_E(chunk_disk_pin(d, ref, hint, &p, &e), &e);
    struct chunk_desc got = { p.series, p.mint, p.maxt, p.enc, p.ooo, p.data };
    expect_chunk(&got, want);
    EXPECT_OK(chunk_disk_unpin(d, &p, NULL));
}

TEST_SHARED(chunk_disk_vectors)
{
    struct vectors v;
    struct chunk_desc chunks[CHUNKS_MAX], got;
    chunk_ref refs[CHUNKS_MAX];
    vectors_open(&v, "golden/vectors/all/chunk_files.jsonl");
    for (json_t *j; (j = vectors_next(&v)) != NULL;) {
        const json_t *list = json_object_get(j, "chunks");
        size_t n = chunks_of(&v.a, list, chunks), at = CHUNK_FILE_HEADER_BYTES, next = 0;
        str want = json_hex(&v.a, json_object_get(j, "head_file_used")), bytes;
        EXPECT_OK(chunk_file_header_check(want, NULL));
        for (size_t i = 0; i < n; i++, at = next) {
            EXPECT_EQ(chunk_record_next(want, at, &got, &next, NULL), CHUNK_STEP_RECORD);
            expect_chunk(&got, &chunks[i]);
        }
        EXPECT_EQ(at, want.n);
        for (enum io_backend b = IO_MMAP; b <= IO_BUFFERED; b++) {
            struct fs *fs = fs_sim_new(1);
            struct chunk_disk_opened what;
            struct chunk_disk *d = disk_open(fs, b, 0, &what);
            EXPECT_EQ(what.chunks, 0);
            EXPECT_OK(chunk_disk_write(d, chunks, n, refs, NULL));
            for (size_t i = 0; i < n; i++) {
                EXPECT_EQ(refs[i], json_i64_of(json_array_get(list, i), "mmap_ref"));
                expect_pin(d, refs[i], i % 2 ? chunks[i].data.n : 0, &chunks[i]);
            }
            chunk_disk_close(d);
            EXPECT_OK(fs_read_all(fs, S("chunks_head/000001"), &v.a, 1 << 20, &bytes, NULL));
            EXPECT_STR(bytes, want);
            d = disk_open(fs, b, 0, &what);
            EXPECT_EQ(n_found, n);
            for (size_t i = 0; i < n; i++) {
                EXPECT_EQ(found[i].ref, refs[i]);
                EXPECT_EQ(found[i].n, chunk_count(chunks[i].enc, chunks[i].data));
                expect_pin(d, refs[i], 0, &chunks[i]);
            }
            chunk_disk_close(d);
            fs_free(fs);
        }
    }
    EXPECT_EQ(v.n, 5);
    vectors_close(&v);
}

TEST(chunk_record_prefixes_and_flips)
{
    struct prng r = { test_seed() };
    struct buf b;
    struct chunk_desc got, c = { 7, -5, 1000, CHUNK_XOR, true, S("\0\1somebytes") };
    size_t next;
    buf_init(&b, NULL, 0);
    chunk_record_encode(&b, &c);
    EXPECT_EQ(b.n, chunk_record_bytes(c.data.n));
    for (size_t cut = 0; cut < b.n; cut++) {
        str part = mem_str(str_of(b.p, cut));
        enum chunk_step step = chunk_record_next(part, 0, &got, &next, NULL);
        EXPECT(step == CHUNK_STEP_SHORT || (step == CHUNK_STEP_END && cut < 8));
        mem_free((void *)part.p);
    }
    EXPECT_EQ(chunk_record_next(buf_view(&b), 0, &got, &next, NULL), CHUNK_STEP_RECORD);
    expect_chunk(&got, &c);
    for (int i = 0; i < 500; i++) {
        size_t bit = prng_below(&r, 8 * b.n);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum chunk_step step = chunk_record_next(buf_view(&b), 0, &got, &next, NULL);
        EXPECT(step == CHUNK_STEP_BAD || step == CHUNK_STEP_SHORT);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&b);
}

/* ---- opening golden folders ---- */

TEST_SHARED(chunk_disk_golden)
{
    static const struct {
        const char *name;
        uint64_t corruptions, set_aside;
        uint32_t last;
    } cases[] = {
        { "bad_chunks_head_none", 0, 0, 3 },
        { "bad_chunks_head_empty_last", 0, 0, 3 },
        { "bad_chunks_head_zero_last", 0, 0, 3 },
        { "bad_chunks_head_foreign", 0, 0, 3 },
        { "bad_chunks_head_cut", 1, 1, 3 },
        { "bad_chunks_head_flip", 1, 2, 2 },
        { "bad_chunks_head_flip_last", 1, 1, 3 },
        { "bad_chunks_head_gap", 1, 1, 1 },
        { "bad_chunks_head_magic", 1, 2, 1 },
        { "bad_chunks_head_short_last", 1, 1, 3 },
    };
    TEST_EACH (c, cases) {
        struct arena a = { 0 };
        struct vectors v;
        struct chunk_disk_opened what;
        struct fs *fs = tree_golden(arena_cstr(&a, arena_fmt(&a, "wal/%s", c->name)), 1);
        struct chunk_disk *d = disk_open(fs, IO_MMAP, 0, &what);
        EXPECT_EQ(what.corruptions, c->corruptions);
        EXPECT_EQ(what.set_aside, c->set_aside);
        EXPECT_EQ(what.last_file, c->last);
        size_t i = 0;
        /* all others were made from the same undamaged files */
        bool foreign = strcmp(c->name, "bad_chunks_head_foreign") == 0;
        vectors_open(&v, foreign ? "golden/wal/bad_chunks_head_foreign/expected/chunks_head.jsonl"
                                 : "golden/wal/bad_chunks_head_none/expected/chunks_head.jsonl");
        for (json_t *j; (j = vectors_next(&v)) != NULL;) {
            if (!str_eq(json_str_of(j, "k"), S("headchunk"))) continue;
            if (c->corruptions && i == n_found) break; /* what lies behind the damage */
            EXPECT(i < n_found);
            EXPECT_EQ(found[i].ref, json_i64_of(j, "mmap_ref"));
            EXPECT_EQ(found[i].series, json_i64_of(j, "series_ref"));
            EXPECT_EQ(found[i].mint, json_i64_of(j, "mint"));
            EXPECT_EQ(found[i].maxt, json_i64_of(j, "maxt"));
            EXPECT_EQ(found[i].n, json_i64_of(j, "n"));
            EXPECT_EQ(found[i].enc, json_i64_of(j, "enc"));
            EXPECT_EQ(found[i].len, json_i64_of(j, "len"));
            EXPECT_EQ(found[i].ooo, json_is_true(json_object_get(j, "ooo")));
            i++;
        }
        EXPECT_EQ(i, n_found);
        EXPECT(n_found > 0);
        vectors_close(&v);
        size_t before = n_found;
        chunk_disk_close(d);
        /* a repaired folder is clean, and has lost nothing more */
        d = disk_open(fs, IO_BUFFERED, 0, &what);
        EXPECT_EQ(what.corruptions, 0);
        EXPECT_EQ(n_found, before);
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

static errc refuse_third(void *ctx, const struct chunk_found *c, struct err *e)
{
    (void)c;
    return ++*(int *)ctx == 3 ? err_set(e, ERR_CORRUPT, "not wanted") : OK;
}

TEST_SHARED(chunk_disk_refused_chunk_is_damage)
{
    int seen = 0;
    struct fs *fs = tree_golden("wal/bad_chunks_head_none", 1);
    struct chunk_disk *d = NULL;
    struct chunk_disk_opened what;
    struct chunk_disk_opts o = {
        .fs = fs, .dir = S("chunks_head"), .backend = IO_MMAP, .workers = 2
    };
    EXPECT_OK(chunk_disk_open(&d, &o, refuse_third, &seen, &what, NULL));
    EXPECT_EQ(what.corruptions, 1);
    EXPECT_EQ(what.chunks, 2);
    EXPECT(
        fs_exists(fs, S("chunks_head.000001.bad")) && fs_exists(fs, S("chunks_head.000003.bad")));
    chunk_disk_close(d);
    fs_free(fs);
}

static errc misplace_fourth(void *ctx, const struct chunk_found *c, struct err *e)
{
    (void)c;
    return ++*(int *)ctx == 4 ? err_set(e, ERR_OUT_OF_ORDER, "before its elder") : OK;
}

/* Of two that are not in order one is in the wrong place: none is kept. */
TEST_SHARED(chunk_disk_misplaced_chunk_discards_all)
{
    int seen = 0;
    struct fs *fs = tree_golden("wal/bad_chunks_head_none", 1);
    struct chunk_disk *d = NULL;
    struct chunk_disk_opened what;
    struct chunk_disk_opts o = {
        .fs = fs, .dir = S("chunks_head"), .backend = IO_MMAP, .workers = 2
    };
    EXPECT_OK(chunk_disk_open(&d, &o, misplace_fourth, &seen, &what, NULL));
    EXPECT(what.out_of_order);
    EXPECT_EQ(what.corruptions, 1);
    EXPECT_EQ(what.chunks, 0);
    EXPECT_EQ(what.files, 0);
    EXPECT_EQ(what.set_aside, 3);
    chunk_disk_close(d);
    d = NULL;
    EXPECT_OK(chunk_disk_open(&d, &o, misplace_fourth, &seen, &what, NULL));
    EXPECT(!what.out_of_order && what.corruptions == 0);
    chunk_disk_close(d);
    fs_free(fs);
}

static struct chunk_desc chunk_number(struct arena *a, uint64_t i)
{
    size_t n = 40 + i * 37 % 200;
    uint8_t *at = arena_alloc(a, n);
    for (size_t k = 0; k < n; k++) at[k] = (uint8_t)(i + k);
    return (struct chunk_desc){ i + 1, (int64_t)i * 10, (int64_t)i * 10 + 9, CHUNK_XOR, i % 5 == 0,
        str_of(at, n) };
}

/* The step chunks_head.parent_fsync left out: the folder is gone with all that is in it. */
TEST(chunk_disk_folder_survives)
{
    struct arena a = { 0 };
    struct fs *fs = fs_sim_new(1);
    struct chunk_disk *d = disk_open(fs, IO_BUFFERED, 0, NULL);
    struct chunk_desc chunk = chunk_number(&a, 1);
    chunk_ref ref;
    EXPECT_OK(chunk_disk_write(d, &chunk, 1, &ref, NULL));
    EXPECT_OK(chunk_disk_sync(d, NULL));
    fs_sim_crash(fs, SIM_LOSE_ALL);
    chunk_disk_close(d);
    d = disk_open(fs, IO_BUFFERED, 0, NULL);
    EXPECT_EQ(n_found, 1);
    chunk_disk_close(d);
    fs_free(fs);
    arena_fini(&a);
}

/* What is set aside is there after a power cut, byte for byte, and so is the good front. The step
 * chunks_head.bad_fsync left out: it is not. */
TEST_SHARED(chunk_disk_set_aside_survives)
{
    for (uint64_t seed = test_seed(); seed < test_seed() + 20; seed++) {
        struct arena a = { 0 };
        int seen = 0;
        struct fs *fs = tree_golden("wal/bad_chunks_head_none", seed);
        struct chunk_disk *d = NULL;
        struct chunk_disk_opened what;
        struct chunk_disk_opts o = { .fs = fs, .dir = S("chunks_head"), .backend = IO_BUFFERED };
        str whole[2], after[2];
        EXPECT_OK(fs_read_all(fs, S("chunks_head/000001"), &a, 1 << 20, &whole[0], NULL));
        EXPECT_OK(fs_read_all(fs, S("chunks_head/000003"), &a, 1 << 20, &whole[1], NULL));
        EXPECT_OK(chunk_disk_open(&d, &o, refuse_third, &seen, &what, NULL));
        fs_sim_crash(fs, SIM_LOSE_SOME);
        EXPECT_OK(fs_read_all(fs, S("chunks_head.000001.bad"), &a, 1 << 20, &after[0], NULL));
        EXPECT_OK(fs_read_all(fs, S("chunks_head.000003.bad"), &a, 1 << 20, &after[1], NULL));
        EXPECT(str_eq(whole[0], after[0]) && str_eq(whole[1], after[1]));
        chunk_disk_close(d);
        seen = 0;
        EXPECT_OK(chunk_disk_open(&d, &o, refuse_third, &seen, &what, NULL));
        EXPECT(what.corruptions == 0 && what.chunks == 2);
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* ---- files, faults, crashes ---- */

TEST(chunk_disk_files_and_truncation)
{
    struct arena a = { 0 };
    struct fs *fs = fs_sim_new(3);
    struct chunk_disk *d = disk_open(fs, IO_MMAP, 1000, NULL);
    struct chunk_desc chunks[CHUNKS_MAX];
    chunk_ref refs[CHUNKS_MAX];
    for (size_t i = 0; i < CHUNKS_MAX; i++) chunks[i] = chunk_number(&a, i);
    EXPECT_OK(chunk_disk_write(d, chunks, CHUNKS_MAX, refs, NULL));
    uint32_t last = chunk_ref_file(refs[CHUNKS_MAX - 1]);
    EXPECT(last > 5);
    for (size_t i = 0; i < CHUNKS_MAX; i++) {
        expect_pin(d, refs[i], 0, &chunks[i]);
        EXPECT(chunk_ref_offset(refs[i]) + chunk_record_bytes(chunks[i].data.n) <= 1000);
    }
    struct chunk_pin held;
    EXPECT_OK(chunk_disk_pin(d, refs[0], 0, &held, NULL));
    EXPECT_OK(chunk_disk_truncate(d, 3, NULL));
    /* truncated away under a pin: still readable */
    EXPECT_STR(held.data, chunks[0].data);
    EXPECT_OK(chunk_disk_unpin(d, &held, NULL));
    EXPECT_EQ(chunk_disk_pin(d, refs[0], 0, &held, NULL), ERR_NOT_FOUND);
    EXPECT(!fs_exists(fs, S("chunks_head/000002")) && fs_exists(fs, S("chunks_head/000003")));
    /* the current file held chunks: a new one */
    EXPECT_OK(chunk_disk_write(d, chunks, 1, refs, NULL));
    EXPECT_EQ(chunk_ref_file(refs[0]), last + 1);
    EXPECT_OK(chunk_disk_truncate(d, UINT32_MAX, NULL));
    expect_pin(d, refs[0], 0, &chunks[0]); /* the current file stays */
    EXPECT_EQ(chunk_disk_pin(d, refs[0] + 1, 0, &held, NULL), ERR_CORRUPT);
    EXPECT_EQ(chunk_disk_pin(d, refs[0] + 100000, 0, &held, NULL), ERR_CORRUPT);
    chunk_disk_close(d);
    fs_free(fs);
    arena_fini(&a);
}

/* Each operation of a write fails once: nothing of the call is referenced or left behind, and the
 * next call works. */
TEST(chunk_disk_write_faults)
{
    for (uint64_t nth = 1; nth < 40; nth++) {
        struct arena a = { 0 };
        struct fs *fs = fs_sim_new(nth);
        struct chunk_disk *d = disk_open(fs, IO_BUFFERED, 1000, NULL);
        struct chunk_desc chunks[20];
        chunk_ref refs[20];
        for (size_t i = 0; i < 20; i++) chunks[i] = chunk_number(&a, i);
        EXPECT_OK(chunk_disk_write(d, chunks, 2, refs, NULL));
        fs_sim_fail_nth(fs, SIM_OPS_CHANGE, nth, nth % 2 ? ERR_NO_SPACE : ERR_IO);
        errc rc = chunk_disk_write(d, chunks + 2, 18, refs + 2, NULL);
        fs_sim_fail_nth(fs, 0, 0, OK);
        if (rc != OK) EXPECT_OK(chunk_disk_write(d, chunks + 2, 18, refs + 2, NULL));
        for (size_t i = 0; i < 20; i++) expect_pin(d, refs[i], 0, &chunks[i]);
        chunk_disk_close(d);
        struct chunk_disk_opened what;
        d = disk_open(fs, IO_MMAP, 1000, &what);
        EXPECT_EQ(what.corruptions, 0);
        EXPECT_EQ(n_found, 20);
        for (size_t i = 0; i < 20; i++) EXPECT_EQ(found[i].ref, refs[i]);
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* A failed write stays in the file for a while, and somebody reads what is in front of it: of what
 * comes in its place the new bytes are read. */
TEST(chunk_disk_reads_what_came_in_place)
{
    static const struct {
        const char *name;
        enum io_backend backend;
    } cases[] = { { "buffered", IO_BUFFERED }, { "mapped", IO_MMAP } };
    TEST_EACH (c, cases) {
        struct arena a = { 0 };
        struct fs *fs = fs_sim_new(test_seed());
        struct chunk_disk *d = disk_open(fs, c->backend, 100000, NULL);
        struct chunk_desc chunks[20];
        struct chunk_pin held = { 0 };
        chunk_ref refs[20], none[20];
        for (size_t i = 0; i < 20; i++) chunks[i] = chunk_number(&a, i);
        EXPECT_OK(chunk_disk_write(d, chunks, 2, refs, NULL));
        fs_sim_capacity(fs, fs_sim_used(fs) + 1500);
        fs_sim_fail_rate(fs, SIM_OP(STALL_TRUNCATE), 1000000, ERR_IO);
        EXPECT_EQ(chunk_disk_write(d, chunks + 2, 18, none, NULL), ERR_NO_SPACE);
        fs_sim_capacity(fs, 0);
        expect_pin(d, refs[0], 0, &chunks[0]);
        EXPECT_OK(chunk_disk_pin(d, refs[1], 0, &held, NULL));
        fs_sim_fail_rate(fs, 0, 0, OK);
        EXPECT_OK(chunk_disk_write(d, chunks + 11, 9, refs + 2, NULL));
        for (size_t i = 0; i < 9; i++)
            expect_pin(d, refs[2 + i], chunks[11 + i].data.n, &chunks[11 + i]);
        EXPECT_OK(chunk_disk_unpin(d, &held, NULL));
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* A file that grows is read on by each backend, on a real disk. */
TEST(chunk_disk_grows_under_its_readers)
{
    enum { CHUNKS = 60, BATCH = 3 };
    for (enum io_backend b = IO_MMAP; b < IO_BACKENDS; b++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_real_new(arena_fmt(&a, "%s/%s", test_tmpdir(), io_backend_word(b)));
        EXPECT_OK(fs_mkdir(fs, STR_EMPTY, NULL));
        struct chunk_disk *d = disk_open(fs, b, 0, NULL);
        struct chunk_desc chunks[CHUNKS];
        chunk_ref refs[CHUNKS];
        for (size_t i = 0; i < CHUNKS; i++) chunks[i] = chunk_number(&a, i);
        for (size_t n = 0; n < CHUNKS; n += BATCH) {
            EXPECT_OK(chunk_disk_write(d, chunks + n, BATCH, refs + n, NULL));
            for (size_t i = 0; i < n + BATCH; i++) expect_pin(d, refs[i], 0, &chunks[i]);
        }
        chunk_disk_close(d);
        fs_free(fs);
    }
}

/* What a failed write began and took back leaves no hole after a power cut: what is there is the
 * front of what was asked for. Written again and synced, everything is there once. The steps
 * chunks_head.undo_order and chunks_head.undo_fsync left out: it is not. */
TEST(chunk_disk_undo_survives)
{
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct arena a = { 0 };
        struct fs *fs = fs_sim_new(test_seed() + seed);
        struct chunk_disk *d = disk_open(fs, IO_BUFFERED, 1000, NULL);
        struct chunk_desc chunks[20];
        chunk_ref refs[20];
        for (size_t i = 0; i < 20; i++) chunks[i] = chunk_number(&a, i);
        bool again = seed % 2;
        EXPECT_OK(chunk_disk_write(d, chunks, 2, refs, NULL));
        EXPECT_OK(chunk_disk_sync(d, NULL));
        fs_sim_fail_nth(fs, SIM_OPS_CHANGE, 1 + seed / 2 % 20, ERR_IO);
        errc rc = chunk_disk_write(d, chunks + 2, 18, refs + 2, NULL);
        fs_sim_fail_nth(fs, 0, 0, OK);
        if (again) {
            if (rc != OK) EXPECT_OK(chunk_disk_write(d, chunks + 2, 18, refs + 2, NULL));
            EXPECT_OK(chunk_disk_sync(d, NULL));
        }
        fs_sim_crash(fs, SIM_LOSE_SOME);
        chunk_disk_close(d);
        struct chunk_disk_opened what;
        d = disk_open(fs, IO_MMAP, 1000, &what);
        for (size_t i = 0; i < n_found; i++) EXPECT_EQ(found[i].series, i + 1);
        EXPECT(n_found >= 2 && n_found <= 20);
        if (again) EXPECT(what.corruptions == 0 && n_found == 20);
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* A write fails, and so does taking it back; nothing is written after it. The close
 * takes it back. */
TEST(chunk_disk_close_takes_back)
{
    for (uint64_t nth = 1; nth < 40; nth++) {
        struct arena a = { 0 };
        struct fs *fs = fs_sim_new(nth);
        struct chunk_disk *d = disk_open(fs, IO_BUFFERED, 1000, NULL);
        struct chunk_desc chunks[20];
        chunk_ref refs[20];
        for (size_t i = 0; i < 20; i++) chunks[i] = chunk_number(&a, i);
        EXPECT_OK(chunk_disk_write(d, chunks, 2, refs, NULL));
        fs_sim_fail_rate(fs, SIM_OP(STALL_TRUNCATE) | SIM_OP(STALL_UNLINK), 1000000, ERR_IO);
        fs_sim_fail_nth(fs, SIM_OP(STALL_WRITE), nth % 5 + 1, ERR_IO);
        errc rc = chunk_disk_write(d, chunks + 2, 18, refs + 2, NULL);
        fs_sim_fail_rate(fs, 0, 0, OK);
        fs_sim_fail_nth(fs, 0, 0, OK);
        chunk_disk_close(d);
        struct chunk_disk_opened what;
        d = disk_open(fs, IO_MMAP, 1000, &what);
        EXPECT_EQ(what.corruptions, 0);
        EXPECT_EQ(n_found, rc == OK ? 20 : 2);
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* A failed fsync may have lost what it was for, though a later one succeeds: the file writes it
 * again. */
TEST(chunk_disk_sync_fails)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct arena a = { 0 };
        struct fs *fs = fs_sim_new(seed);
        struct chunk_disk *d = disk_open(fs, IO_BUFFERED, 0, NULL);
        struct chunk_desc chunks[CHUNKS_MAX];
        chunk_ref refs[CHUNKS_MAX];
        size_t before = seed % 3 * 10;
        for (size_t i = 0; i < CHUNKS_MAX; i++) chunks[i] = chunk_number(&a, i);
        if (before) EXPECT_OK(chunk_disk_write(d, chunks, before, refs, NULL));
        EXPECT_OK(chunk_disk_sync(d, NULL));
        EXPECT_OK(chunk_disk_write(d, chunks + before, 30 - before, refs + before, NULL));
        for (uint64_t n = 1 + seed % 2; n > 0; n--) {
            fs_sim_fail_nth(fs, SIM_OP(STALL_SYNC), 1, ERR_IO);
            EXPECT_EQ(chunk_disk_sync(d, NULL), ERR_IO);
            fs_sim_fail_nth(fs, 0, 0, OK);
        }
        EXPECT_OK(chunk_disk_write(d, chunks + 30, 5, refs + 30, NULL));
        EXPECT_OK(chunk_disk_sync(d, NULL));
        fs_sim_power_off_after(fs, 1);
        chunk_disk_close(d);
        fs_sim_crash(fs, SIM_LOSE_ALL);
        struct chunk_disk_opened what;
        d = disk_open(fs, IO_MMAP, 0, &what);
        EXPECT_EQ(what.corruptions, 0);
        EXPECT_EQ(n_found, 35);
        for (size_t i = 0; i < 35; i++) expect_pin(d, refs[i], 0, &chunks[i]);
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* The folder cannot be synced: nobody is told that the file is durable, and a later sync makes it
 * so. A file is not finished without its name. */
TEST(chunk_disk_folder_sync_fails)
{
    for (int finishing = 0; finishing < 2; finishing++) {
        struct arena a = { 0 };
        struct fs *fs = fs_sim_new(test_seed());
        struct chunk_disk *d = disk_open(fs, IO_BUFFERED, 1000, NULL);
        struct chunk_desc chunks[20];
        chunk_ref refs[20];
        size_t first = 3, all = finishing ? 20 : first;
        for (size_t i = 0; i < all; i++) chunks[i] = chunk_number(&a, i);
        EXPECT_OK(chunk_disk_write(d, chunks, first, refs, NULL));
        fs_sim_fail_rate(fs, SIM_OP(STALL_SYNC_DIR), 1000000, ERR_IO);
        EXPECT_EQ(chunk_disk_sync(d, NULL), ERR_IO);
        if (finishing)
            EXPECT_EQ(chunk_disk_write(d, chunks + first, all - first, refs, NULL), ERR_IO);
        EXPECT_EQ(chunk_disk_sync(d, NULL), ERR_IO);
        fs_sim_fail_rate(fs, 0, 0, OK);
        if (finishing) EXPECT_OK(chunk_disk_write(d, chunks + first, all - first, refs, NULL));
        EXPECT_OK(chunk_disk_sync(d, NULL));
        fs_sim_crash(fs, SIM_LOSE_ALL);
        chunk_disk_close(d);
        struct chunk_disk_opened what;
        d = disk_open(fs, IO_MMAP, 1000, &what);
        EXPECT_EQ(what.corruptions, 0);
        EXPECT_EQ(n_found, all);
        for (size_t i = 0; i < all; i++) EXPECT_EQ(found[i].series, i + 1);
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* The power goes at any point: what is found afterwards is a beginning of what was written, and all
 * that was synced. */
TEST(chunk_disk_crashes)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct arena a = { 0 };
        struct prng r = { seed };
        struct fs *fs = fs_sim_new(seed);
        struct chunk_disk *d = disk_open(fs, IO_BUFFERED, 3000, NULL);
        struct chunk_desc chunks[CHUNKS_MAX];
        chunk_ref refs[CHUNKS_MAX];
        size_t written = 0, synced = 0;
        for (size_t i = 0; i < CHUNKS_MAX; i++) chunks[i] = chunk_number(&a, i);
        fs_sim_power_off_after(fs, 1 + prng_below(&r, 40));
        while (written < CHUNKS_MAX) {
            size_t n = 1 + prng_below(&r, 9);
            n = MIN(n, CHUNKS_MAX - written);
            if (chunk_disk_write(d, chunks + written, n, refs + written, NULL) != OK) break;
            written += n;
            if (prng_below(&r, 4)) continue;
            if (chunk_disk_sync(d, NULL) != OK) break;
            synced = written;
        }
        chunk_disk_close(d);
        fs_sim_crash(fs, SIM_LOSE_SOME);
        d = disk_open(fs, IO_MMAP, 3000, NULL);
        EXPECT(n_found >= synced);
        for (size_t i = 0; i < n_found; i++) {
            EXPECT_EQ(found[i].series, chunks[i].series);
            expect_pin(d, found[i].ref, 0, &chunks[i]);
        }
        chunk_disk_close(d);
        fs_free(fs);
        arena_fini(&a);
    }
}
