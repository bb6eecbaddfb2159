/* gateway_test.c — the blocks of a bucket answer as they do in a folder; what hangs, is missing or
 * wrong costs those who ask for it. */
#include "bucket/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/test.h"
#include "bucket/bucket_config.h"
#include "bucket/remote_block.h"
#include "bucket/test_ask.h"
#include "bucket/test_blocks.h"
#include "bucket/test_slow.h"
#include "io/fs_sim.h"

/* Short patience is for what hangs; all else waits for what it is about, however long. */
enum { CHUNKS = 3, BLOCKS = 3, SHORT_MS = 500, PATIENCE_MS = 120000, READY_MS = 120000 };

struct rig {
    struct arena a;
    struct fs *blocks, *data, *store;
    struct bucket *b;
    struct gateway *g;
    struct gateway_opts o;
    ulid ids[BLOCKS];
};

static void log_nowhere(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

/* Block k has [k * 3000, k * 3000 + 3000), and the label replica="k". */
static void block_add(struct rig *r, unsigned k, bool labelled)
{
    struct test_block t = { .number = k + 1, .mint = (int64_t)k * CHUNKS * 1000, .chunks = CHUNKS };
    struct label l = { S("replica"), arena_fmt(&r->a, "%u", k) };
    r->ids[k] = test_block_upload(r->b, r->blocks, &t, labelled ? &l : NULL);
}

static void gateway_begin_(struct rig *r)
{
    struct err e = { 0 };
    EXPECT_OK_E(gateway_open(&r->g, &r->o, &e), &e);
    int64_t until = clock_mono_ns() + READY_MS * INT64_C(1000000);
    while (!gateway_ready(r->g) && clock_mono_ns() < until) clock_sleep_ns(1000000);
    EXPECT(gateway_ready(r->g));
}

static struct rig *rig_new(bool labelled)
{
    struct rig *r = NEW(struct rig);
    static unsigned rigs;
    struct bucket_config c = { .kind = BUCKET_FILESYSTEM };
    struct bucket *inner = NULL;
    str dir = arena_fmt(&r->a, "%s/%u", test_tmpdir(), rigs++);
    c.directory = arena_fmt(&r->a, "%.*s-store", STR_ARG(dir));
    r->blocks = fs_real_new(arena_fmt(&r->a, "%.*s-blocks", STR_ARG(dir)));
    r->data = fs_real_new(arena_fmt(&r->a, "%.*s-data", STR_ARG(dir)));
    r->store = fs_real_new(c.directory);
    EXPECT_OK(fs_mkdir(r->blocks, STR_EMPTY, NULL));
    EXPECT_OK(bucket_open(&inner, &c, NULL));
    r->b = test_slow_new(inner);
    for (unsigned k = 0; k < BLOCKS; k++) block_add(r, k, labelled);
    r->o = (struct gateway_opts){ .bucket = r->b,
        .fs = r->data,
        .backend = IO_BUFFERED,
        .ignore_deletion_ms = 1000,
        .patience_ms = PATIENCE_MS };
    log_capture(log_nowhere, NULL);
    return r;
}

static void rig_end(struct rig *r)
{
    gateway_close(r->g);
    log_capture(NULL, NULL);
    bucket_close(r->b);
    fs_free(r->blocks);
    fs_free(r->data);
    fs_free(r->store);
    arena_fini(&r->a);
    mem_free(r);
}

static errc ask(struct rig *r, int64_t mint, int64_t maxt, str *out, struct err *e)
{
    struct test_answer x;
    TRY(test_ask(&x, gateway_queryable(r->g), mint, maxt, &r->a, e));
    *out = x.text;
    return OK;
}

/* What block k is to answer. */
static str block_text(struct rig *r, unsigned k, bool labelled)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_fmt(&b, "{__name__=\"m\", job=\"j\"");
    if (labelled) buf_fmt(&b, ", replica=\"%u\"", k);
    buf_fmt(&b, "}");
    for (unsigned c = 0; c < CHUNKS; c++)
        for (int i = 0; i < 4; i++)
            buf_fmt(&b, " %u=%g", k * 3000 + c * 1000 + (unsigned)i * 200, k + 1 + c + i / 4.0);
    buf_u8(&b, '\n');
    return arena_str(&r->a, buf_view(&b));
}

static void expect_block(struct rig *r, unsigned k)
{
    struct err e = { 0 };
    str got;
    EXPECT_OK_E(ask(r, k * 3000, k * 3000 + 2999, &got, &e), &e);
    EXPECT_STR(got, block_text(r, k, true));
}

/* Once it can be had. */
static void expect_block_in_time(struct rig *r, unsigned k)
{
    struct err e = { 0 };
    str got = STR_EMPTY;
    errc rc = ERR_UNAVAILABLE;
    int64_t until = clock_mono_ns() + READY_MS * INT64_C(1000000);
    while (rc == ERR_UNAVAILABLE && clock_mono_ns() < until) {
        rc = ask(r, k * 3000, k * 3000 + 2999, &got, &e);
        if (rc != OK) clock_sleep_ns(5000000);
    }
    EXPECT_OK_E(rc, &e);
    EXPECT_STR(got, block_text(r, k, true));
}

TEST(blocks_answer_with_their_external_labels)
{
    struct rig *r = rig_new(true);
    struct err e = { 0 };
    str got;
    gateway_begin_(r);
    EXPECT_OK_E(ask(r, 0, 1 << 20, &got, &e), &e);
    EXPECT_STR(got, arena_fmt(&r->a, "%.*s%.*s%.*s", STR_ARG(block_text(r, 0, true)),
                        STR_ARG(block_text(r, 1, true)), STR_ARG(block_text(r, 2, true))));
    for (unsigned k = 0; k < BLOCKS; k++) expect_block(r, k);
    struct gateway_info info;
    gateway_info(r->g, &r->a, &info);
    EXPECT_EQ(info.blocks, BLOCKS);
    EXPECT_EQ(info.loaded, BLOCKS);
    EXPECT_EQ(info.n_sets, BLOCKS);
    EXPECT_EQ(info.mint, 0);
    EXPECT_EQ(info.maxt, 8999);
    rig_end(r);
}

TEST(without_external_labels_blocks_are_one_series)
{
    struct rig *r = rig_new(true);
    struct err e = { 0 };
    str got;
    r->o.without_external_labels = true;
    gateway_begin_(r);
    EXPECT_OK_E(ask(r, 2000, 3999, &got, &e), &e);
    EXPECT_STR(got, S("{__name__=\"m\", job=\"j\"} 2000=3 2200=3.25 2400=3.5 2600=3.75 3000=2 "
                      "3200=2.25 3400=2.5 3600=2.75\n"));
    rig_end(r);
}

TEST(matchers_of_external_labels_choose_blocks)
{
    static const struct {
        const char *name;
        enum match_type type;
        str value, values;
        unsigned opened;
    } rows[] = {
        { "one", MATCH_EQ, S("1"), S("1"), 1 },
        { "all but one", MATCH_NE, S("1"), S("0 2"), 2 },
        { "none", MATCH_EQ, S("7"), S(""), 0 },
        { "some", MATCH_RE, S("[12]"), S("1 2"), 2 },
    };
    TEST_EACH(row, rows)
    {
        struct rig *r = rig_new(true);
        struct matcher m;
        struct querier *q = NULL;
        struct err e = { 0 };
        str_list list = { 0 };
        bool truncated;
        SCOPED(buf_fini) struct buf got = { 0 };
        struct gateway_info info;
        gateway_begin_(r);
        struct queryable *from = gateway_queryable(r->g);
        EXPECT_OK(matcher_init(&m, &r->a, row->type, S("replica"), row->value, NULL));
        EXPECT_OK_E(from->ops->querier(from, 0, 1 << 20, &q, &e), &e);
        EXPECT_OK_E(q->ops->label_values(
                        q, S("replica"), (struct matchers){ &m, 1 }, 0, &list, &truncated, &e),
            &e);
        for (size_t i = 0; i < list.n; i++)
            buf_fmt(&got, "%s%.*s", i ? " " : "", STR_ARG(list.at[i]));
        EXPECT_STR(buf_view(&got), row->values);
        gateway_info(r->g, &r->a, &info);
        EXPECT_EQ(info.loaded, row->opened);
        EXPECT_OK_E(
            q->ops->label_names(q, (struct matchers){ &m, 1 }, 0, &list, &truncated, &e), &e);
        EXPECT_EQ(list.n, row->values.n ? 3 : 0);
        vec_fini(&list);
        matcher_fini(&m);
        querier_free(q);
        rig_end(r);
    }
}

TEST(chunks_are_those_of_the_blocks)
{
    struct rig *r = rig_new(true);
    struct chunk_series_set *set = NULL;
    const struct chunk_series *s;
    struct matcher m;
    struct err e = { 0 };
    SCOPED(buf_fini) struct buf got = { 0 };
    gateway_begin_(r);
    struct chunk_queryable *q = gateway_chunks(r->g);
    EXPECT_OK(matcher_init(&m, &r->a, MATCH_NE, S("replica"), S("1"), NULL));
    EXPECT_OK_E(q->ops->select(q, (struct matchers){ &m, 1 }, 0, 1 << 20, &set, &e), &e);
    for (;;) {
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) break;
        buf_labels(&got, s->labels);
        for (size_t i = 0; i < s->n; i++) buf_fmt(&got, " %" PRId64, s->chunks[i].mint);
        buf_u8(&got, '\n');
    }
    EXPECT_STR(buf_view(&got), S("{__name__=\"m\", job=\"j\", replica=\"0\"} 0 1000 2000\n"
                                 "{__name__=\"m\", job=\"j\", replica=\"2\"} 6000 7000 8000\n"));
    chunk_series_set_free(set);
    matcher_fini(&m);
    rig_end(r);
}

/* Of both ways to ask: what it may have, and one more. */
TEST(series_are_limited)
{
    struct rig *r = rig_new(true);
    struct err e = { 0 };
    r->o.series_max = BLOCKS - 1;
    r->o.opens = 2;
    gateway_begin_(r);
    str got;
    EXPECT_OK_E(ask(r, 0, 5999, &got, &e), &e);
    EXPECT_EQ(ask(r, 0, 1 << 20, &got, &e), ERR_LIMIT);
    EXPECT(str_find(err_str(&e), S("exceeded series limit: limit 2 violated (got 3)")) != SIZE_MAX);
    struct chunk_queryable *q = gateway_chunks(r->g);
    struct chunk_series_set *set = NULL;
    struct matcher m;
    EXPECT_OK(matcher_init(&m, &r->a, MATCH_EQ, METRIC_NAME, S("m"), NULL));
    EXPECT_OK_E(q->ops->select(q, (struct matchers){ &m, 1 }, 0, 5999, &set, &e), &e);
    chunk_series_set_free(set);
    EXPECT_EQ(q->ops->select(q, (struct matchers){ &m, 1 }, 0, 1 << 20, &set, &e), ERR_LIMIT);
    matcher_fini(&m);
    rig_end(r);
}

static str header_path(struct rig *r, unsigned k)
{
    return arena_fmt(&r->a, "%s/index-header", ulid_text(r->ids[k]).z);
}

TEST(index_headers_that_are_wrong_are_built_anew)
{
    static const struct {
        const char *name;
        int what;
    } rows[] = { { "cut short", 0 }, { "empty", 1 }, { "of another block", 2 },
        { "a bit is wrong", 3 }, { "a folder", 4 }, { "the end of postings is wrong", 5 } };
    TEST_EACH(row, rows)
    {
        struct rig *r = rig_new(true);
        str good, now;
        gateway_begin_(r);
        expect_block(r, 0);
        gateway_close(STEAL(r->g));
        bucket_close(r->b);
        EXPECT_OK(fs_read_all(r->data, header_path(r, 0), &r->a, 1 << 20, &good, NULL));
        uint8_t *bad = (uint8_t *)arena_str(&r->a, good).p;
        str wrong = str_of(bad, good.n);
        if (row->what == 0) wrong.n -= 7;
        if (row->what == 1) wrong.n = 0;
        /* of a table that begins elsewhere, with sums that are right */
        if (row->what == 2) bad[good.n - 20 - 52 - 1] ^= 1;
        if (row->what == 3) bad[20] ^= 4;
        if (row->what == 5) bad[8] ^= 4;
        if (row->what == 4) {
            EXPECT_OK(fs_unlink(r->data, header_path(r, 0), NULL));
            EXPECT_OK(fs_mkdir(r->data, header_path(r, 0), NULL));
        } else EXPECT_OK(fs_write_durable(r->data, header_path(r, 0), wrong, NULL));
        struct bucket_config c = { .kind = BUCKET_FILESYSTEM, .directory = fs_root(r->store) };
        struct bucket *inner;
        EXPECT_OK(bucket_open(&inner, &c, NULL));
        r->o.bucket = r->b = test_slow_new(inner);
        gateway_begin_(r);
        expect_block(r, 0);
        EXPECT_OK(fs_read_all(r->data, header_path(r, 0), &r->a, 1 << 20, &now, NULL));
        EXPECT_STR(now, good);
        rig_end(r);
    }
}

static void ask_in_the_dark(struct rig *r, unsigned k)
{
    str got;
    errc rc = ask(r, k * 3000, k * 3000 + 2999, &got, NULL);
    if (rc == OK) EXPECT_STR(got, block_text(r, k, true));
}

/* They are synced late, their names never. What a power cut leaves is anything of it, sectors of
 * zeros included: the next start answers as the first. */
TEST(index_headers_that_a_power_cut_took_are_built_anew)
{
    enum { CUTS = 12 };
    struct rig *r = rig_new(true);
    struct fs *real = r->data;
    for (unsigned i = 0; i < CUTS; i++) {
        r->data = r->o.fs = fs_sim_new(test_seed() + i);
        for (unsigned k = 0; k < 2; k++) {
            struct bucket_config c = { .kind = BUCKET_FILESYSTEM, .directory = fs_root(r->store) };
            struct bucket *inner;
            bucket_close(r->b);
            EXPECT_OK(bucket_open(&inner, &c, NULL));
            r->o.bucket = r->b = test_slow_new(inner);
            gateway_begin_(r);
            if (k == 0 && i >= CUTS / 2) fs_sim_power_off_after(r->data, 1 + (i - CUTS / 2) * 3);
            for (unsigned n = 0; n < BLOCKS; n++) {
                if (k || i < CUTS / 2) expect_block(r, n);
                else ask_in_the_dark(r, n);
            }
            EXPECT(i >= CUTS / 2 || fs_exists(r->data, header_path(r, 0)));
            gateway_close(STEAL(r->g));
            fs_sim_crash(r->data, i % 2 ? SIM_LOSE_ALL : SIM_LOSE_SOME);
        }
        fs_free(r->data);
    }
    r->data = real;
    rig_end(r);
}

static void built_look(void *ctx, const struct metric_point *p)
{
    const char *name = "epimetheus_store_index_headers_built_total";
    if (str_eq(str_z(p->family->name), str_z(name))) *(double *)ctx = p->value;
}

static double headers_built(void)
{
    double n = -1;
    metric_each(built_look, &n);
    return n;
}

/* What waits for it has its answer; who comes later gets it out of a new one, which is not built by
 * each question while the disk goes on refusing. */
TEST(an_index_header_that_the_disk_refuses_is_not_kept)
{
    struct rig *r = rig_new(true);
    struct fs *real = r->data;
    r->data = r->o.fs = fs_sim_new(test_seed());
    gateway_begin_(r);
    fs_sim_fail_rate(r->data, SIM_OP(STALL_SYNC), 1000000, ERR_IO);
    expect_block(r, 0);
    int64_t until = clock_mono_ns() + READY_MS * INT64_C(1000000);
    while (fs_exists(r->data, header_path(r, 0)) && clock_mono_ns() < until)
        clock_sleep_ns(1000000);
    EXPECT(!fs_exists(r->data, header_path(r, 0)));
    double before = headers_built();
    int64_t since = clock_mono_ns(), took_ms = 0;
    for (unsigned i = 0; i < 100; i++, took_ms = (clock_mono_ns() - since) / 1000000) {
        expect_block(r, 0);
        clock_sleep_ns(1000000);
    }
    EXPECT(headers_built() - before <= (double)(took_ms / 2000 + 1));
    fs_sim_fail_rate(r->data, SIM_OP(STALL_SYNC), 0, OK);
    do {
        expect_block(r, 0);
        clock_sleep_ns(1000000);
    } while (!fs_exists(r->data, header_path(r, 0)) && clock_mono_ns() < until);
    EXPECT(fs_exists(r->data, header_path(r, 0)));
    gateway_close(STEAL(r->g));
    fs_free(r->data);
    r->data = real;
    rig_end(r);
}

/* More blocks than there are threads for syncs, each on one that does not end. */
TEST(index_headers_that_are_not_synced_keep_nobody)
{
    struct rig *r = rig_new(true);
    struct fs *real = r->data;
    r->data = r->o.fs = fs_sim_new(test_seed());
    r->o.opens = 1;
    gateway_begin_(r);
    fs_sim_hang(r->data, SIM_OP(STALL_SYNC));
    for (unsigned k = 0; k < BLOCKS; k++) expect_block(r, k);
    fs_sim_hang(r->data, 0);
    gateway_close(STEAL(r->g));
    fs_free(r->data);
    r->data = real;
    rig_end(r);
}

/* There is none in the bucket, either: it is walked and asked for once, not at each opening. */
TEST(a_sparse_header_that_is_damaged_or_gone_is_made_anew)
{
    for (unsigned gone = 0; gone < 2; gone++) {
        struct rig *r = rig_new(true);
        struct bucket_config c = { .kind = BUCKET_FILESYSTEM, .directory = fs_root(r->store) };
        struct bucket *inner;
        str good, now = STR_EMPTY;
        str sparse = arena_fmt(&r->a, "%s/sparse-index-header", ulid_text(r->ids[0]).z);
        gateway_begin_(r);
        expect_block(r, 0);
        gateway_close(STEAL(r->g));
        bucket_close(r->b);
        EXPECT_OK(fs_read_all(r->data, sparse, &r->a, 1 << 20, &good, NULL));
        if (gone) EXPECT_OK(fs_unlink(r->data, sparse, NULL));
        else EXPECT_OK(fs_write_durable(r->data, sparse, S("none"), NULL));
        EXPECT_OK(bucket_open(&inner, &c, NULL));
        r->o.bucket = r->b = test_slow_new(inner);
        gateway_begin_(r);
        expect_block(r, 0);
        EXPECT_OK(fs_read_all(r->data, sparse, &r->a, 1 << 20, &now, NULL));
        EXPECT_STR(now, good);
        rig_end(r);
    }
}

static str object_of(struct rig *r, unsigned k, const char *rel)
{
    return arena_fmt(&r->a, "%s/%s", ulid_text(r->ids[k]).z, rel);
}

static size_t blocks_now(struct rig *r)
{
    struct gateway_info info;
    struct err e = { 0 };
    EXPECT_OK_E(gateway_sync(r->g, &e), &e);
    gateway_info(r->g, &r->a, &info);
    return info.blocks;
}

TEST(blocks_come_and_go)
{
    struct rig *r = rig_new(true);
    struct block_mark m = { .kind = MARK_DELETION, .time_s = clock_wall_ms() / 1000 - 60 };
    struct err e = { 0 };
    bool marked;
    gateway_begin_(r);
    expect_block(r, 1);
    EXPECT_EQ(blocks_now(r), BLOCKS);
    /* a part of a block is none */
    EXPECT_OK(bucket_put_bytes(r->b, S("01ARZ3NDEKTSV4RRFFQ69G5FAV/index"), S("x"), NULL));
    EXPECT_EQ(blocks_now(r), BLOCKS);
    /* a listing that leaves one out is not believed, a missing meta.json is */
    test_slow_hide(r->b, S("meta.json"));
    EXPECT_EQ(blocks_now(r), BLOCKS);
    test_slow_hide(r->b, STR_EMPTY);
    EXPECT_OK(bucket_remove(r->b, object_of(r, 0, "meta.json"), NULL));
    EXPECT_EQ(blocks_now(r), BLOCKS - 1);
    m.id = r->ids[1];
    EXPECT_OK_E(remote_block_mark(r->b, &m, &marked, &e), &e);
    EXPECT_EQ(blocks_now(r), BLOCKS - 2);
    EXPECT(!fs_exists(r->data, header_path(r, 1)));
    expect_block(r, 2);
    /* a bucket that fails: what was known stays */
    test_slow_fail(r->b, S("a list"), ERR_IO);
    EXPECT_EQ(gateway_sync(r->g, &e), ERR_IO);
    expect_block(r, 2);
    rig_end(r);
}

/* Asks for block k: an error, or words that come with the answer; into out. */
static void expect_told(struct rig *r, unsigned k, str *out)
{
    struct test_answer x;
    struct err e = { 0 };
    int64_t mint = (int64_t)k * 3000;
    errc rc = test_ask(&x, gateway_queryable(r->g), mint, mint + 2999, &r->a, &e);
    EXPECT(rc != OK || x.n_words > 0);
    *out = rc != OK ? arena_str(&r->a, err_str(&e)) : x.words[0];
}

/* Asks for block 0's time until there is an answer; nobody calls for a look. */
static str answer_in_time(struct rig *r)
{
    struct err e = { 0 };
    str got = STR_EMPTY;
    int64_t until = clock_mono_ns() + READY_MS * INT64_C(1000000);
    while (ask(r, 0, 2999, &got, &e) != OK && clock_mono_ns() < until) clock_sleep_ns(1000000);
    EXPECT_OK_E(ask(r, 0, 2999, &got, &e), &e);
    return got;
}

/* A compactor that does not wait: the block has another name, and is gone under its own. */
TEST(a_block_that_went_is_looked_for_at_once)
{
    struct rig *r = rig_new(true);
    struct test_block t = { .number = 50, .chunks = CHUNKS };
    struct label l = { S("replica"), S("0") };
    const char *objects[] = { "meta.json", "index", "chunks/000001" };
    struct err e = { 0 };
    str got;
    r->o.sync_soon_ms = 10;
    gateway_begin_(r);
    (void)test_block_upload(r->b, r->blocks, &t, &l);
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        EXPECT_OK(bucket_remove(r->b, object_of(r, 0, objects[i]), NULL));
    EXPECT_EQ(ask(r, 0, 2999, &got, &e), ERR_NOT_FOUND);
    got = answer_in_time(r);
    EXPECT(str_has_prefix(got, S("{__name__=\"m\", job=\"j\", replica=\"0\"} 0=50 ")));
    rig_end(r);
}

TEST(a_meta_that_was_put_right_is_read_soon)
{
    struct rig *r = rig_new(true);
    struct err e = { 0 };
    str good, got, meta = object_of(r, 0, "meta.json");
    r->o.sync_soon_ms = 10;
    EXPECT_OK(bucket_get(r->b, meta, 1 << 20, &r->a, &good, NULL));
    EXPECT_OK(bucket_put_bytes(r->b, meta, str_slice(good, 0, 20), NULL));
    gateway_begin_(r);
    EXPECT_EQ(ask(r, 0, 2999, &got, &e), ERR_UNAVAILABLE);
    EXPECT_OK(bucket_put_bytes(r->b, meta, good, NULL));
    EXPECT_STR(answer_in_time(r), block_text(r, 0, true));
    rig_end(r);
}

TEST(what_is_missing_or_wrong_is_told_to_who_asks)
{
    static const struct {
        const char *name, *rel;
        str words;
    } rows[] = {
        { "chunks", "chunks/000001", S("chunks") },
        { "index", "index", S("index") },
    };
    TEST_EACH(row, rows)
    {
        struct rig *r = rig_new(true);
        str told;
        EXPECT_OK(bucket_remove(r->b, object_of(r, 1, row->rel), NULL));
        gateway_begin_(r);
        expect_told(r, 1, &told);
        EXPECT(str_find(told, row->words) != SIZE_MAX);
        expect_block(r, 0);
        expect_block(r, 2);
        rig_end(r);
    }
}

TEST(a_block_that_nobody_can_read_is_no_silent_gap)
{
    struct rig *r = rig_new(true);
    struct err e = { 0 };
    struct ulid_text name = ulid_text(r->ids[1]);
    int64_t made = ulid_time_ms(r->ids[1]);
    str got;
    EXPECT_OK(bucket_put_bytes(r->b, object_of(r, 1, "meta.json"), S("{\"version\":1"), NULL));
    gateway_begin_(r);
    EXPECT_EQ(ask(r, made, made + 10, &got, &e), ERR_UNAVAILABLE);
    EXPECT(str_find(err_str(&e), str_z(name.z)) != SIZE_MAX);
    EXPECT_OK_E(ask(r, made + 1, made + 10, &got, &e), &e); /* it was made before that */
    /* put right: the next look finds it */
    EXPECT_OK(bucket_remove(r->b, object_of(r, 1, "meta.json"), NULL));
    EXPECT_EQ(blocks_now(r), BLOCKS - 1);
    EXPECT_OK_E(ask(r, 0, 2999, &got, &e), &e);
    rig_end(r);
    r = rig_new(true);
    EXPECT_OK(bucket_put_bytes(r->b, object_of(r, 1, "meta.json"), STR_EMPTY, NULL));
    r->o.partial = true;
    gateway_begin_(r);
    expect_block(r, 0);
    rig_end(r);
}

TEST(a_damaged_chunk_is_told)
{
    struct rig *r = rig_new(true);
    str bytes, told, object = object_of(r, 0, "chunks/000001");
    EXPECT_OK(bucket_get(r->b, object, 1 << 20, &r->a, &bytes, NULL));
    ((uint8_t *)bytes.p)[12] ^= 1;
    EXPECT_OK(bucket_put_bytes(r->b, object, bytes, NULL));
    gateway_begin_(r);
    expect_told(r, 0, &told);
    EXPECT(str_find(told, S("damaged")) != SIZE_MAX);
    rig_end(r);
}

/* How long who asks for the block that hangs waits for its error. */
static int64_t hang_ms(struct rig *r)
{
    struct err e = { 0 };
    str got;
    int64_t since = clock_mono_ns();
    EXPECT_EQ(ask(r, 3000, 5000, &got, &e), ERR_UNAVAILABLE);
    return (clock_mono_ns() - since) / 1000000;
}

TEST(a_block_that_hangs_costs_who_asks_for_it)
{
    struct rig *r = rig_new(true);
    struct err e = { 0 };
    str got;
    r->o.patience_ms = SHORT_MS;
    gateway_begin_(r);
    test_slow_hang(r->b, arena_str(&r->a, object_of(r, 1, "index")));
    EXPECT(hang_ms(r) >= SHORT_MS - 1);
    /* nobody waits for it a second time: some attempt is quick, however busy the machine is */
    int64_t least = INT64_MAX;
    for (int i = 0; i < 40 && least >= SHORT_MS / 2; i++) least = MIN(least, hang_ms(r));
    EXPECT(least < SHORT_MS / 2);
    expect_block_in_time(r, 0);
    EXPECT(gateway_ready(r->g));
    test_slow_hang(r->b, STR_EMPTY);
    expect_block_in_time(r, 1);
    /* an open block whose chunks hang */
    test_slow_hang(r->b, arena_str(&r->a, object_of(r, 2, "chunks/")));
    EXPECT(ask(r, 6000, 8999, &got, &e) != OK);
    expect_block_in_time(r, 1);
    rig_end(r);
}

/* What is left of three blocks. */
static bool not_second(void *ctx, ulid id, struct labels external)
{
    const struct rig *r = ctx;
    EXPECT(str_eq(labels_get(external, S("replica")), S("1")) == ulid_eq(id, r->ids[1]));
    return !ulid_eq(id, r->ids[1]);
}
TEST(gateway_serves_what_is_asked_for)
{
    const int64_t far = INT64_C(1) << 41; /* ms: seventy years */
    static const struct gateway_bound none = { 0 };
    struct { const char *name; struct gateway_bound mint, maxt; int64_t fresh_ms; bool pick;
        size_t blocks; int64_t from, to; unsigned samples; } cases[] = {
        { "all", none, none, 0, false, 3, 0, 8999, 36 },
        { "from", { true, false, 3200 }, none, 0, false, 2, 3200, 8999, 23 },
        { "until", none, { true, false, 3200 }, 0, false, 2, 0, 3200, 14 },
        { "a time from now", { true, true, -far }, { true, true, far }, 0, false, 3, 0, 8999, 36 },
        { "long before", none, { true, true, -far * 2 }, 0, false, 0, INT64_MAX, INT64_MIN, 0 },
        { "too young", none, none, far, false, 0, INT64_MAX, INT64_MIN, 0 },
        { "old enough", none, none, 1, false, 3, 0, 8999, 36 },
        { "picked", none, none, 0, true, 2, 0, 8999, 24 },
    };
    TEST_EACH(c, cases) {
        struct rig *r = rig_new(true);
        struct gateway_info info;
        struct err e = { 0 };
        str got;
        unsigned samples = 0;
        r->o.mint = c->mint;
        r->o.maxt = c->maxt;
        r->o.consistency_ms = c->fresh_ms;
        r->o.wanted = c->pick ? not_second : NULL;
        r->o.wanted_ctx = r;
        clock_sleep_ns(2000000); /* the last block is some milliseconds old */
        gateway_begin_(r);
        gateway_info(r->g, &r->a, &info);
        EXPECT_EQ(info.blocks, c->blocks);
        EXPECT_EQ(info.mint, c->from);
        EXPECT_EQ(info.maxt, c->to);
        EXPECT_OK_E(ask(r, INT64_MIN, INT64_MAX, &got, &e), &e);
        for (size_t i = 0; i < got.n; i++) samples += got.p[i] == '=' && got.p[i + 1] != '"';
        EXPECT_EQ(samples, c->samples);
        rig_end(r);
    }
}
