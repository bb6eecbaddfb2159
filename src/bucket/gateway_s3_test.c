/* gateway_s3_test.c — a gateway over an object store: how little it asks for; and when the store
 * refuses, is slow, or answers wrong: a request is answered whole, or is told. It never lacks
 * something in silence, and what is told is forgotten when the store is well again. */
#include "bucket/gateway.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/test.h"
#include "bucket/bucket_config.h"
#include "bucket/test_ask.h"
#include "bucket/test_blocks.h"
#include "bucket/test_s3.h"

#include <limits.h>

enum {
    CHUNKS = 3,
    BLOCKS = 3,
    BLOCK_MS = 3000,
    MANY = 3000, /* series of block 1: parts of its index lie in pages of their own */
    READY_MS = 60000,
    TIMEOUT_MS = 20000
};

struct rig {
    struct arena a;
    str dir;
    struct test_s3 *s3;
    struct fs *blocks;
    ulid ids[BLOCKS];
    /* of one row */
    struct bucket *b;
    struct fs *data;
    struct gateway *g;
    unsigned rows;
    uint64_t memory, disk; /* of both caches; 0: as it is without */
    bool hasty; /* what is slow comes too late */
};

static void log_nowhere(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

/* Block k has [k * 3000, k * 3000 + 3000), and the label replica="k". */
static void block_add(struct rig *r, struct bucket *b, unsigned k)
{
    struct test_block t = { .number = k + 1,
        .mint = (int64_t)k * BLOCK_MS,
        .chunks = CHUNKS,
        .series = k == 1 ? MANY : 0 };
    struct label l = { S("replica"), arena_fmt(&r->a, "%u", k) };
    r->ids[k] = test_block_upload(b, r->blocks, &t, &l);
}

static struct bucket *bucket_of(struct rig *r)
{
    struct bucket_config c = test_s3_config(r->s3, &r->a);
    struct bucket *b = NULL;
    if (!r->hasty) c.http.answer_timeout_ms = TIMEOUT_MS;
    EXPECT_OK(bucket_open(&b, &c, NULL));
    return b;
}

static struct rig *rig_new(void)
{
    struct rig *r = NEW(struct rig);
    static unsigned rigs;
    r->dir = arena_fmt(&r->a, "%s/%u", test_tmpdir(), rigs++);
    r->s3 = test_s3_new();
    EXPECT(r->s3 != NULL);
    r->blocks = fs_real_new(arena_fmt(&r->a, "%.*s-blocks", STR_ARG(r->dir)));
    EXPECT_OK(fs_mkdir(r->blocks, STR_EMPTY, NULL));
    struct bucket *b = bucket_of(r);
    for (unsigned k = 0; k < BLOCKS; k++) block_add(r, b, k);
    bucket_close(b);
    log_capture(log_nowhere, NULL);
    return r;
}

static void rig_free(struct rig *r)
{
    log_capture(NULL, NULL);
    test_s3_free(r->s3);
    fs_free(r->blocks);
    arena_fini(&r->a);
    mem_free(r);
}

/* A gateway that has nothing yet. */
static void gateway_start(struct rig *r)
{
    struct err e = { 0 };
    r->b = bucket_of(r);
    r->data = fs_real_new(arena_fmt(&r->a, "%.*s-data%u", STR_ARG(r->dir), r->rows++));
    struct gateway_opts o = { .bucket = r->b,
        .fs = r->data,
        .backend = IO_BUFFERED,
        .opens = 4,
        .index_cache_bytes = r->memory,
        .chunk_cache_bytes = r->memory,
        .index_disk_bytes = r->disk,
        .chunk_disk_bytes = r->disk,
        .ignore_deletion_ms = 1000,
        .patience_ms = READY_MS };
    EXPECT_OK_E(gateway_open(&r->g, &o, &e), &e);
}

static void gateway_end(struct rig *r)
{
    gateway_close(STEAL(r->g));
    bucket_close(r->b);
    fs_free(r->data);
}

static void series_text(struct buf *b, unsigned k, unsigned n)
{
    buf_fmt(b, "{__name__=\"m\", job=\"j\", ");
    if (k == 1) buf_fmt(b, "n=\"%06u\", ", n);
    buf_fmt(b, "replica=\"%u\"}", k);
    for (unsigned c = 0; c < CHUNKS; c++)
        for (unsigned i = 0; i < 4; i++)
            buf_fmt(b, " %u=%g", k * BLOCK_MS + c * 1000 + i * 200, k + 1 + c + i / 4.0);
    buf_u8(b, '\n');
}

/* What blocks [from, to) are to answer: by labels, so that the many come first. */
static str blocks_text(struct rig *r, unsigned from, unsigned to)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    for (unsigned i = 0; from <= 1 && to > 1 && i < MANY; i++) series_text(&b, 1, i);
    for (unsigned k = from; k < to; k++)
        if (k != 1) series_text(&b, k, 0);
    return arena_str(&r->a, buf_view(&b));
}

static errc ask(struct rig *r, unsigned from, unsigned to, struct test_answer *x, struct err *e)
{
    return test_ask(x, gateway_queryable(r->g), (int64_t)from * BLOCK_MS,
        (int64_t)to * BLOCK_MS - 1, &r->a, e);
}

static void expect_whole(struct rig *r, unsigned from, unsigned to)
{
    struct test_answer x;
    struct err e = { 0 };
    EXPECT_OK_E(ask(r, from, to, &x, &e), &e);
    EXPECT_EQ(x.n_words, 0);
    EXPECT_STR(x.text, blocks_text(r, from, to));
}

/* Is it a line of `truth`, from which samples may be missing? What lies behind it is left. */
static bool line_true(str line, str *truth)
{
    str all, labels = str_slice(line, 0, str_index(line, '}') + 1), one;
    do
        if (!truth->n) return false;
        else str_cut(*truth, '\n', &all, truth);
    while (!str_has_prefix(all, labels));
    str left = str_from(line, labels.n), known = str_from(all, labels.n);
    while (left.n) {
        str_cut(left, ' ', &one, &left);
        size_t at = str_find(known, one);
        if (at == SIZE_MAX) return false;
        known = str_from(known, at);
    }
    return true;
}

/* An error, or a warning; and nothing that is not so. */
static void expect_told(struct rig *r, unsigned from, unsigned to)
{
    struct test_answer x;
    struct err e = { 0 };
    errc rc = ask(r, from, to, &x, &e);
    EXPECT(rc != OK ? e.msg[0] != 0 : x.n_words > 0);
    EXPECT(rc != ERR_BAD_INPUT); /* whoever asks is right */
    str truth = blocks_text(r, from, to), line, t = x.text;
    while (t.n) {
        bool whole = str_cut(t, '\n', &line, &t);
        EXPECT(!whole || line_true(line, &truth)); /* one that an error cut is not looked at */
    }
}

/* ---- what goes wrong, and with what */

enum object { OBJ_LIST, OBJ_META, OBJ_HEADER, OBJ_INDEX, OBJ_CHUNKS, OBJECTS };
struct fault {
    const char *name;
    enum test_s3_fault fault;
    unsigned status;
    const char *code;
    bool passes; /* asking again helps */
};
static const struct fault faults[] = {
    { "403", TEST_S3_STATUS, 403, "AccessDenied", false },
    { "404", TEST_S3_STATUS, 404, "NoSuchKey", false },
    { "404 without words", TEST_S3_STATUS, 404, NULL, false },
    { "500", TEST_S3_STATUS, 500, "InternalError", true },
    { "503", TEST_S3_STATUS, 503, NULL, true },
    { "cut", TEST_S3_CUT, 0, NULL, true },
    { "short", TEST_S3_SHORT, 0, NULL, true },
    { "garbled", TEST_S3_GARBLED, 0, NULL, true },
    { "flipped", TEST_S3_FLIPPED, 0, NULL, true },
    { "another range", TEST_S3_OTHER_RANGE, 0, NULL, true },
};

/* Of block 1, and the list. */
static void spoil(struct rig *r, enum object what, const struct fault *f, unsigned times)
{
    static const char *const rel[OBJECTS] = { NULL, "meta.json", "index", "index", "chunks/" };
    const char *name = what == OBJ_LIST ? NULL
                                        : arena_cstr(&r->a, arena_fmt(&r->a, "%s/%s",
                                              ulid_text(r->ids[1]).z, rel[what]));
    struct test_s3_rule rule = { "GET", what == OBJ_LIST ? "list-type" : NULL, f->fault, f->status,
        f->code, 0, times, name };
    test_s3_rules(r->s3, &rule, 1);
}

static void well_again(struct rig *r) { test_s3_rules(r->s3, NULL, 0); }

static void ready_await(struct rig *r)
{
    int64_t until = clock_mono_ns() + READY_MS * INT64_C(1000000);
    while (!gateway_ready(r->g) && clock_mono_ns() < until) clock_sleep_ns(1000000);
    EXPECT(gateway_ready(r->g));
}

static void synced(struct rig *r)
{
    struct err e = { 0 };
    EXPECT_OK_E(gateway_sync(r->g, &e), &e);
}

/* Its header is here, of the rest nothing. */
static errc block_open_(struct rig *r, unsigned k, struct err *e)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    struct queryable *from = gateway_queryable(r->g);
    int64_t mint = (int64_t)k * BLOCK_MS;
    str_list names = { 0 };
    bool truncated;
    TRY(from->ops->querier(from, mint, mint + 1, &q, e));
    errc rc = q->ops->label_names(q, (struct matchers){ 0 }, 0, &names, &truncated, e);
    if (rc == OK) EXPECT_EQ(names.n, 4);
    vec_fini(&names);
    return rc;
}

static void expect_open(struct rig *r, unsigned k)
{
    struct err e = { 0 };
    EXPECT_OK_E(block_open_(r, k, &e), &e);
}

TEST(a_list_that_fails_makes_nobody_ready)
{
    struct rig *r = rig_new();
    TEST_EACH(f, faults)
    {
        struct test_answer x;
        struct err e = { 0 };
        if (f->fault == TEST_S3_OTHER_RANGE) continue; /* a list has none */
        spoil(r, OBJ_LIST, f, UINT_MAX);
        gateway_start(r);
        EXPECT(gateway_sync(r->g, &e) != OK);
        EXPECT(e.msg[0] != 0);
        EXPECT(!gateway_ready(r->g));
        EXPECT_EQ(ask(r, 0, BLOCKS, &x, &e), ERR_UNAVAILABLE);
        well_again(r);
        synced(r);
        expect_whole(r, 0, BLOCKS);
        /* one that fails later takes nothing away */
        spoil(r, OBJ_LIST, f, UINT_MAX);
        EXPECT(gateway_sync(r->g, &e) != OK);
        expect_whole(r, 0, BLOCKS);
        well_again(r);
        gateway_end(r);
    }
    rig_free(r);
}

TEST(a_meta_json_that_fails_is_no_silent_gap)
{
    struct rig *r = rig_new();
    TEST_EACH(f, faults)
    {
        struct test_answer x;
        struct err e = { 0 };
        spoil(r, OBJ_META, f, UINT_MAX);
        gateway_start(r);
        ready_await(r);
        if (f->status == 404) { /* the store says that it is gone: so is the block */
            EXPECT_OK_E(ask(r, 0, BLOCKS, &x, &e), &e);
            EXPECT(str_find(x.text, S("replica=\"1\"")) == SIZE_MAX);
        } else {
            EXPECT_EQ(ask(r, 0, BLOCKS, &x, &e), ERR_UNAVAILABLE);
            EXPECT(str_find(err_str(&e), str_z(ulid_text(r->ids[1]).z)) != SIZE_MAX);
        }
        well_again(r);
        synced(r);
        expect_whole(r, 0, BLOCKS);
        gateway_end(r);
    }
    rig_free(r);
}

/* The header cannot be made; the index's lists and series; the chunks. */
TEST(objects_that_fail_are_told_to_who_needs_them)
{
    static const struct {
        const char *name;
        enum object what;
    } rows[] = { { "header", OBJ_HEADER }, { "index", OBJ_INDEX }, { "chunks", OBJ_CHUNKS } };
    struct rig *r = rig_new();
    TEST_EACH(row, rows)
    {
        for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
            const struct fault *f = &faults[i];
            test_case(arena_cstr(&r->a, arena_fmt(&r->a, "%s: %s", row->name, f->name)));
            gateway_start(r);
            ready_await(r);
            if (row->what != OBJ_HEADER) expect_open(r, 1);
            spoil(r, row->what, f, UINT_MAX);
            expect_told(r, 1, 2);
            /* what came damaged twice is believed, and not asked for again at once after that */
            if (f->fault != TEST_S3_FLIPPED) expect_told(r, 0, BLOCKS);
            expect_whole(r, 0, 1);
            expect_whole(r, 2, 3);
            well_again(r);
            /* a block that could not be opened is tried again after a while only */
            if (row->what != OBJ_HEADER) expect_whole(r, 0, BLOCKS);
            gateway_end(r);
        }
    }
    rig_free(r);
}

/* Here time counts: what should be fast may be too slow as well, and is not looked at. */
TEST(objects_that_come_too_late_are_told)
{
    static const struct fault slow = { "slow", TEST_S3_SLOW, 0, NULL, true };
    struct rig *r = rig_new();
    for (enum object what = OBJ_HEADER; what < OBJECTS; what++) {
        struct err e = { 0 };
        r->hasty = true;
        gateway_start(r);
        ready_await(r);
        errc rc = what == OBJ_HEADER ? OK : block_open_(r, 1, &e);
        EXPECT(rc == OK || e.msg[0] != 0);
        spoil(r, what, &slow, UINT_MAX);
        expect_told(r, 1, 2);
        well_again(r);
        gateway_end(r);
    }
    rig_free(r);
}

TEST(faults_that_pass_are_not_seen)
{
    struct rig *r = rig_new();
    TEST_EACH(f, faults)
    {
        if (!f->passes) continue;
        gateway_start(r);
        ready_await(r);
        for (enum object what = OBJ_HEADER; what < OBJECTS; what++) {
            if (what == OBJ_INDEX) expect_open(r, 1);
            spoil(r, what, f, 1);
            if (what != OBJ_HEADER) expect_whole(r, 1, 2);
            else expect_open(r, 1);
        }
        well_again(r);
        gateway_end(r);
    }
    rig_free(r);
}

/* The chunks of block 1 as StoreAPI has them: labels, and a sum of the bytes. */
static str chunks_text(struct rig *r, str_list *words)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct chunk_queryable *from = gateway_chunks(r->g);
    struct chunk_series_set *set = NULL;
    const struct chunk_series *s = NULL;
    struct err e = { 0 };
    EXPECT_OK_E(
        from->ops->select(from, (struct matchers){ 0 }, BLOCK_MS, 2 * BLOCK_MS - 1, &set, &e), &e);
    do {
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (s) buf_labels(&b, s->labels);
        for (size_t i = 0; s && i < s->n; i++)
            buf_fmt(&b, " %" PRId64 "=%x", s->chunks[i].mint, crc32c_str(s->chunks[i].data));
        buf_u8(&b, '\n');
    } while (s);
    chunk_series_set_warnings(set, words);
    chunk_series_set_free(set);
    return arena_str(&r->a, buf_view(&b));
}

/* In pages in memory, and in those that came back from the disk. */
TEST(what_came_wrong_once_is_read_anew)
{
    static const struct fault flipped = { "flipped", TEST_S3_FLIPPED, 0, NULL, true };
    static const struct {
        const char *name;
        uint64_t memory, disk;
    } rows[] = { { "memory", 0, 0 }, { "disk", 1, 64 << 20 } };
    struct rig *r = rig_new();
    str_list words = { 0 };
    gateway_start(r);
    ready_await(r);
    str want = chunks_text(r, &words);
    gateway_end(r);
    TEST_EACH(row, rows)
    {
        for (enum object what = OBJ_INDEX; what < OBJECTS; what++) {
            for (int chunks = 0; chunks < 2; chunks++) { /* both ways to ask */
                r->memory = row->memory;
                r->disk = row->disk;
                gateway_start(r);
                ready_await(r);
                expect_open(r, 1);
                spoil(r, what, &flipped, 1);
                if (chunks) EXPECT_STR(chunks_text(r, &words), want);
                else expect_whole(r, 1, 2);
                well_again(r);
                EXPECT_STR(chunks_text(r, &words), want);
                expect_whole(r, 1, 2);
                EXPECT_EQ(words.n, 0);
                gateway_end(r);
            }
        }
    }
    r->memory = r->disk = 0;
    vec_fini(&words);
    rig_free(r);
}

/* ---- how little is asked for */

static size_t gets_of(str log, str what)
{
    size_t n = 0;
    str line;
    while (log.n) {
        str_cut(log, '\n', &line, &log);
        n += str_has_prefix(line, S("GET ")) && str_find(line, what) != SIZE_MAX;
    }
    return n;
}

/* Lists, series and chunks are told before they are read, so that what lies in many pages comes in
 * few requests: not one a page (16 and 32 KiB), and none for what is not asked. */
TEST(a_cold_query_over_many_series_makes_few_requests)
{
    enum { REQUESTS_MAX = 6 };
    struct rig *r = rig_new();
    gateway_start(r);
    ready_await(r);
    expect_open(r, 1);
    (void)test_s3_log(r->s3, &r->a); /* begins anew */
    expect_whole(r, 1, 2);
    str log = test_s3_log(r->s3, &r->a);
    size_t index = gets_of(log, S("/index?")), chunks = gets_of(log, S("/chunks/000001?"));
    EXPECT(index >= 1 && index <= REQUESTS_MAX);
    EXPECT(chunks >= 1 && chunks <= REQUESTS_MAX);
    EXPECT_EQ(gets_of(log, S("")), index + chunks);
    /* warm: none */
    expect_whole(r, 1, 2);
    EXPECT_EQ(test_s3_log(r->s3, &r->a).n, 0);
    gateway_end(r);
    rig_free(r);
}

/* ---- lists that leave something out */

TEST(a_list_that_leaves_objects_out_is_no_silent_gap)
{
    static const struct {
        const char *name, *rel;
        bool whole;
    } rows[] = {
        { "meta.json", "meta.json", true },
        { "the index", "index", true },
        { "a segment", "chunks/000001", false },
    };
    TEST_EACH(row, rows)
    {
        struct rig *r = rig_new();
        str object = arena_fmt(&r->a, "%s/%s", ulid_text(r->ids[1]).z, row->rel);
        test_s3_hide(r->s3, object);
        gateway_start(r);
        ready_await(r);
        if (row->whole) expect_whole(r, 0, BLOCKS);
        else expect_told(r, 0, BLOCKS);
        test_s3_hide(r->s3, STR_EMPTY);
        gateway_end(r);
        rig_free(r);
    }
}

/* Nor is it of a block that is marked for deletion, while it is served. */
TEST(a_list_that_leaves_a_marked_block_out_is_no_silent_gap)
{
    struct rig *r = rig_new();
    struct ulid_text id = ulid_text(r->ids[1]);
    test_s3_put(r->s3, arena_fmt(&r->a, "%s/deletion-mark.json", id.z),
        arena_fmt(&r->a, "{\"id\":\"%s\",\"version\":1,\"deletion_time\":%" PRId64 "}", id.z,
            clock_wall_ms() / 1000 + 1000));
    gateway_start(r);
    ready_await(r);
    expect_whole(r, 0, BLOCKS);
    test_s3_hide(r->s3, arena_fmt(&r->a, "%s/meta.json", id.z));
    EXPECT_OK(gateway_sync(r->g, NULL));
    expect_whole(r, 0, BLOCKS);
    test_s3_hide(r->s3, STR_EMPTY);
    gateway_end(r);
    rig_free(r);
}
