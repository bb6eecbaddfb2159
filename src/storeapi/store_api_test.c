#include "storeapi/store_api.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"
#include "ingest/protobuf.h"
#include "io/pool.h"
#include "storeapi/store_codec.h"
#include "storeapi/test_store.h"

static const char *const eu[] = { "__name__=up,job=a", "__name__=up,job=b", "__name__=x" };
static const char *const us[] = { "__name__=up,job=b", "__name__=y" };

/* Two blocks, or one part without a name. */
struct rig {
    struct store_source source;
    struct test_part parts[2];
    struct test_call call;
    struct store_api *api;
    size_t n;
    bool not_ready;
    int64_t resolution_ms;             /* of the first part */
    int pinned, begun;
};

static errc rig_list(
    struct store_source *base, struct arena *a, store_parts *out, void **pin, struct err *e)
{
    struct rig *r = CONTAINER_OF(base, struct rig, source);
    static const str ids[] = { S("01A"), S("01B") };
    static const char *const external[] = { "cluster=eu", "cluster=us" };
    if (r->not_ready) return err_set(e, ERR_UNAVAILABLE, "Not ready");
    for (size_t i = 0; i < r->n; i++)
        avec_push(a, out,
            ((struct store_part){ .external = test_labels(a, external[i]),
                .stream = test_labels(a, external[i]),
                .mint = 100 * (int64_t)i,
                .maxt = i ? 300 : INT64_MAX,
                .resolution_ms = i ? 0 : r->resolution_ms,
                .block = r->n > 1 ? ids[i] : STR_EMPTY,
                .queryable = &r->parts[i].labels,
                .chunks = &r->parts[i].chunks }));
    r->pinned++;
    *pin = r;
    return OK;
}
static void rig_release(struct store_source *base, void *pin)
{
    struct rig *r = CONTAINER_OF(base, struct rig, source);
    assert(pin == r);
    r->pinned--;
}

static void rig_begin(struct store_source *base, const struct store_part *p)
{
    struct rig *r = CONTAINER_OF(base, struct rig, source);
    assert(p->queryable == &r->parts[0].labels || p->queryable == &r->parts[1].labels);
    r->begun++;
}

static void rig_init(struct rig *r, size_t n, const struct store_api_opts *o)
{
    static const struct store_source_ops ops = { rig_list, rig_release, rig_begin };
    struct store_api_opts opts = o ? *o : (struct store_api_opts){ 0 };
    *r = (struct rig){ .source.ops = &ops, .n = n };
    test_part_init(&r->parts[0], eu, ARRAY_LEN(eu));
    test_part_init(&r->parts[1], us, ARRAY_LEN(us));
    test_call_init(&r->call);
    opts.source = &r->source;
    opts.component = "store";
    r->api = store_api_new(&opts);
}
static void rig_fini(struct rig *r)
{
    EXPECT_EQ(r->pinned, 0);
    store_api_free(r->api);
    test_call_fini(&r->call);
    for (size_t i = 0; i < 2; i++) test_part_fini(&r->parts[i]);
}

static errc ask(struct rig *r, const char *method, struct buf *request, struct err *e)
{
    struct grpc_service s = store_api_service(r->api);
    test_call_fini(&r->call);
    test_call_init(&r->call);
    for (size_t i = 0; i < s.n; i++)
        if (str_eq(str_z(s.methods[i].name), str_z(method)))
            return s.methods[i].handle(s.ctx, &r->call.base, buf_view(request), e);
    return ERR_NOT_FOUND;
}

static void put_matcher(struct buf *b, unsigned field, int type, str name, str value)
{
    SCOPED(buf_fini) struct buf m = { 0 };
    pb_put_i64(&m, 1, type);
    pb_put_bytes(&m, 2, name);
    pb_put_bytes(&m, 3, value);
    pb_put_bytes(b, field, buf_view(&m));
}

/* "{a=b}*1" a series with its chunks, "!words" a warning, "[n" a batch, "#id" blocks of hints. */
static void tell_series(struct buf *out, str m)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    VEC(struct label) labels = { 0 };
    size_t chunks = 0;
    cursor c = cur_of(m);
    for (struct pb_field f; pb_next(&c, &f);) {
        struct label l = { 0 };
        cursor in = cur_of(f.bytes);
        chunks += f.number == 2;
        if (f.number != 1) continue;
        for (struct pb_field g; pb_next(&in, &g);) *(g.number == 1 ? &l.name : &l.value) = g.bytes;
        avec_push(&a, &labels, l);
    }
    test_labels_text(out, (struct labels){ labels.at, labels.n });
    buf_fmt(out, "*%zu", chunks);
}

static void tell_hints(struct buf *out, str any)
{
    cursor c = cur_of(any);
    for (struct pb_field f; pb_next(&c, &f);) {
        cursor blocks = cur_of(f.bytes);
        if (f.number != 2) continue;
        for (struct pb_field g; pb_next(&blocks, &g);) {
            buf_str(out, S("#"));
            buf_str(out, str_from(g.bytes, 2));
        }
    }
}

static str told(const struct rig *r, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 0; i < r->call.messages.n; i++) {
        cursor c = cur_of(r->call.messages.at[i]);
        for (struct pb_field f; pb_next(&c, &f);) {
            cursor batch = cur_of(f.bytes);
            if (f.number == STORE_SERIES) tell_series(out, f.bytes);
            else if (f.number == STORE_WARNING) buf_fmt(out, "!%.*s", STR_ARG(f.bytes));
            else if (f.number == 3) tell_hints(out, f.bytes);
            if (f.number != STORE_BATCH) continue;
            buf_u8(out, '[');
            for (struct pb_field g; pb_next(&batch, &g);) tell_series(out, g.bytes);
            buf_u8(out, ']');
        }
    }
    return buf_view(out);
}

static void request_of_all(struct buf *b)
{
    buf_reset(b);
    pb_put_i64(b, 2, 1000);
    put_matcher(b, 3, 2, S("__name__"), S(".+"));
}

TEST(store_api_series)
{
    SCOPED(buf_fini) struct buf q = { 0 }, text = { 0 };
    struct rig r;
    struct err e = { 0 };
    rig_init(&r, 2, NULL);
    request_of_all(&q);
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(told(&r, &text),
        S("{__name__=up,cluster=eu,job=a}*1{__name__=up,cluster=eu,job=b}*1"
          "{__name__=up,cluster=us,job=b}*1{__name__=x,cluster=eu}*1{__name__=y,cluster=us}*1"));
    pb_put_i64(&q, 8, 1);
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT(str_has_prefix(told(&r, &text), S("{__name__=up,cluster=eu,job=a}*0{")));
    put_matcher(&q, 3, 0, S("cluster"), S("us"));
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(
        told(&r, &text), S("{__name__=up,cluster=us,job=b}*0{__name__=y,cluster=us}*0"));
    rig_fini(&r);
}

/* What is downsampled is asked for series by who can do with it, for names and values by all. */
TEST(store_api_resolution)
{
    static const struct { int64_t window_ms; size_t series; } cases[] = { { 0, ARRAY_LEN(us) },
        { 299999, ARRAY_LEN(us) }, { 300000, ARRAY_LEN(us) + ARRAY_LEN(eu) } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(buf_fini) struct buf q = { 0 };
        struct rig r;
        struct err e = { 0 };
        rig_init(&r, 2, NULL);
        r.resolution_ms = 300000;
        request_of_all(&q);
        pb_put_i64(&q, 4, cases[i].window_ms);
        EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
        EXPECT_EQ(r.call.messages.n, cases[i].series);
        buf_reset(&q);
        pb_put_text(&q, 1, S("cluster"));
        pb_put_i64(&q, 5, 1000);
        EXPECT_OK_E(ask(&r, "LabelValues", &q, &e), &e);
        EXPECT_STR(r.call.messages.at[0], S("\n\2eu\n\2us"));
        rig_fini(&r);
    }
}

TEST(store_api_series_wishes)
{
    SCOPED(buf_fini) struct buf q = { 0 }, text = { 0 }, hints = { 0 }, any = { 0 };
    struct rig r;
    struct err e = { 0 };
    rig_init(&r, 2, NULL);
    request_of_all(&q);
    pb_put_bytes(&q, 14, S("cluster"));                      /* equal ones are one series */
    pb_put_i64(&q, 15, 3);
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(told(&r, &text), S("{__name__=up,job=a}*1{__name__=up,job=b}*2{__name__=x}*1"));
    r.parts[1].view.mint = 0;                                /* times go on within a frame */
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(told(&r, &text),
        S("{__name__=up,job=a}*1{__name__=up,job=b}*1{__name__=up,job=b}*1{__name__=x}*1"));
    pb_put_i64(&q, 16, 3);
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(told(&r, &text),
        S("[{__name__=up,job=a}*1{__name__=up,job=b}*1{__name__=up,job=b}*1][{__name__=x}*1]"));
    request_of_all(&q);
    put_matcher(&hints, 1, 0, S("__block_id"), S("01B"));
    pb_put_bytes(&any, 1, S("type.googleapis.com/hintspb.SeriesRequestHints"));
    pb_put_bytes(&any, 2, buf_view(&hints));
    pb_put_bytes(&q, 9, buf_view(&any));
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(told(&r, &text),
        S("{__name__=up,cluster=us,job=b}*1{__name__=y,cluster=us}*1#01B"));
    rig_fini(&r);
}

TEST(store_api_failing_part)
{
    SCOPED(buf_fini) struct buf q = { 0 }, text = { 0 };
    struct rig r;
    struct err e = { 0 };
    rig_init(&r, 2, NULL);
    r.parts[1].fail = ERR_IO;
    request_of_all(&q);
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT(str_has_prefix(told(&r, &text), S("!block 01B: this part fails{")));
    pb_put_i64(&q, 7, 1);                                   /* ABORT */
    EXPECT_EQ(ask(&r, "Series", &q, &e), ERR_IO);
    EXPECT_STR(err_str(&e), S("block 01B: this part fails"));
    r.call.over = ERR_CANCELED;
    r.not_ready = true;
    EXPECT_EQ(ask(&r, "Series", &q, &e), ERR_UNAVAILABLE);
    rig_fini(&r);
    rig_init(&r, 1, NULL);
    r.parts[0].fail = ERR_IO;
    request_of_all(&q);
    EXPECT_EQ(ask(&r, "Series", &q, &e), ERR_IO);              /* nothing would be left */
    rig_fini(&r);
}

/* Damage of a part whose end came, and of one that was not read to its end. */
TEST(store_api_tells_what_is_left_out)
{
    SCOPED(buf_fini) struct buf q = { 0 }, text = { 0 };
    struct rig r;
    struct err e = { 0 };
    rig_init(&r, 2, NULL);
    r.parts[0].left_out = S("a damaged chunk");
    r.parts[1].left_out = S("another");
    request_of_all(&q);
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(told(&r, &text),
        S("{__name__=up,cluster=eu,job=a}*1{__name__=up,cluster=eu,job=b}*1"
          "{__name__=up,cluster=us,job=b}*1{__name__=x,cluster=eu}*1!a damaged chunk"
          "{__name__=y,cluster=us}*1!another"));
    pb_put_i64(&q, 15, 1);
    EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
    EXPECT_STR(told(&r, &text),
        S("{__name__=up,cluster=eu,job=a}*1!a damaged chunk!another"));
    rig_fini(&r);
}

/* Replicas that were written into series: each part has to sort, all of them within one limit. */
static size_t least_room(size_t parts)
{
    SCOPED(buf_fini) struct buf q = { 0 };
    struct err e = { 0 };
    errc rc = ERR_LIMIT;
    size_t bytes = 0;
    request_of_all(&q);
    pb_put_bytes(&q, 14, S("job"));
    while (rc == ERR_LIMIT && bytes < 1 << 16) {
        struct rig r;
        rig_init(&r, parts, &(struct store_api_opts){ .resort_bytes = bytes += 16 });
        rc = ask(&r, "Series", &q, &e);
        rig_fini(&r);
    }
    EXPECT_OK_E(rc, &e);
    return bytes;
}

TEST(store_api_sorts_within_one_limit)
{
    EXPECT(least_room(2) > least_room(1));
}

TEST(store_api_asks_parts_beside_each_other)
{
    SCOPED(buf_fini) struct buf q = { 0 }, want = { 0 }, got = { 0 };
    struct pool *pool = pool_new(&(struct pool_opts){ "parts", 2, 16 });
    struct rig r;
    struct err e = { 0 };
    request_of_all(&q);
    for (int beside = 0; beside < 2; beside++) {
        struct store_api_opts o = { .pool = beside ? pool : NULL };
        rig_init(&r, 2, &o);
        EXPECT_OK_E(ask(&r, "Series", &q, &e), &e);
        EXPECT_EQ(r.begun, 2);
        (void)told(&r, beside ? &got : &want);
        rig_fini(&r);
    }
    EXPECT(want.n > 0);
    EXPECT_STR(buf_view(&got), buf_view(&want));
    pool_free(pool);
}

TEST(store_api_limits)
{
    SCOPED(buf_fini) struct buf all = { 0 }, bare = { 0 };
    static const struct { const char *name; struct store_api_opts o; bool bare; str error;
    } cases[] = {
        { "series", { .max_series = 4 }, false,
            S("exceeded series limit: limit 4 violated (got 5)") },
        { "as many as there are", { .max_series = 5, .max_touched = 5, .max_chunks = 5,
            .max_chunk_bytes = 25, .max_calls = 1 }, false, S("") },
        { "equal ones are one", { .max_series = 4 }, true, S("") },
        { "but touched twice", { .max_touched = 4 }, true,
            S("exceeded series limit: limit 4 violated (got 5)") },
        { "chunks", { .max_chunks = 3 }, false,
            S("exceeded chunks limit: limit 3 violated (got 4)") },
        { "bytes", { .max_chunk_bytes = 24 }, false,
            S("exceeded bytes limit: limit 24 violated (got 25)") },
    };
    request_of_all(&all);
    request_of_all(&bare);
    pb_put_bytes(&bare, 14, S("cluster"));
    TEST_EACH(c, cases) {
        struct rig r;
        struct err e = { 0 };
        rig_init(&r, 2, &c->o);
        EXPECT_EQ(ask(&r, "Series", c->bare ? &bare : &all, &e), c->error.n ? ERR_LIMIT : OK);
        if (c->error.n) EXPECT_STR(err_str(&e), c->error);
        rig_fini(&r);
    }
}

/* One call at a time: each of the others has its turn, or ends when its time is over. */
struct crowd { struct rig r; struct mtx mu; size_t at_once, most; };
static errc crowd_list(
    struct store_source *base, struct arena *a, store_parts *out, void **pin, struct err *e)
{
    struct crowd *c = CONTAINER_OF(base, struct crowd, r.source);
    (void)a, (void)out;
    mtx_lock(&c->mu);
    c->at_once++;
    c->most = MAX(c->most, c->at_once);
    mtx_unlock(&c->mu);
    clock_sleep_ns(2000000);
    mtx_lock(&c->mu);
    c->at_once--;
    mtx_unlock(&c->mu);
    *pin = NULL;
    (void)e;
    return OK;
}
static void crowd_ask(void *ctx, size_t i)
{
    (void)i;
    struct crowd *c = ctx;
    SCOPED(buf_fini) struct buf q = { 0 };
    struct grpc_service s = store_api_service(c->r.api);
    struct test_call call;
    test_call_init(&call);
    request_of_all(&q);
    EXPECT_OK(s.methods[0].handle(s.ctx, &call.base, buf_view(&q), NULL));
    test_call_fini(&call);
}

TEST(store_api_turns)
{
    static const struct store_source_ops ops = { .list = crowd_list };
    enum { CROWD = 6, AT_ONCE = 2 };
    struct crowd c = { .most = 0 };
    struct pool *all = pool_new(&(struct pool_opts){ "crowd", CROWD, CROWD });
    rig_init(&c.r, 2, &(struct store_api_opts){ .max_calls = AT_ONCE });
    c.r.source.ops = &ops;
    mtx_init(&c.mu, LOCK_LEAF);
    pool_each(all, CROWD, crowd_ask, &c);
    pool_free(all);
    EXPECT(c.most >= 1);
    EXPECT(c.most <= AT_ONCE);
    EXPECT_EQ(c.at_once, 0);
    mtx_fini(&c.mu);
    rig_fini(&c.r);
}

static struct rig *stands_in;

/* A call whose client takes nothing lends its place: at once if it stands for long already. */
static errc send_stands(struct grpc_call *c, str message, struct err *e)
{
    static _Thread_local bool within;
    struct rig *r = stands_in;
    (void)message, (void)e;
    atomic_store(&c->waits_ns, clock_mono_ns() - INT64_C(2000000000));
    if (!within) {
        SCOPED(buf_fini) struct buf q = { 0 };
        within = true;
        request_of_all(&q);
        EXPECT_OK(ask(r, "Series", &q, NULL));
        within = false;
    }
    atomic_store(&c->waits_ns, 0);
    return OK;
}

TEST(store_api_lends_the_turns_of_who_stands_still)
{
    SCOPED(buf_fini) struct buf q = { 0 };
    struct rig r;
    struct test_call call;
    struct err e = { 0 };
    rig_init(&r, 2, &(struct store_api_opts){ .max_calls = 1 });
    struct grpc_service s = store_api_service(r.api);
    test_call_init(&call);
    struct grpc_call_ops ops = *call.base.ops;
    ops.send = send_stands;
    call.base.ops = &ops;
    stands_in = &r;
    request_of_all(&q);
    EXPECT_OK_E(s.methods[0].handle(s.ctx, &call.base, buf_view(&q), &e), &e);
    test_call_fini(&call);
    rig_fini(&r);
}

TEST(store_api_names_and_values)
{
    SCOPED(buf_fini) struct buf q = { 0 };
    static const struct { const char *name, *method; str label, matcher, without; const char *want;
    } cases[] = {
        { "names", "LabelNames", S(""), S(""), S(""), "__name__ cluster job" },
        { "names that match", "LabelNames", S(""), S("y"), S(""), "__name__ cluster" },
        { "no series, no names", "LabelNames", S(""), S("none"), S(""), "" },
        { "without a replica", "LabelNames", S(""), S(""), S("cluster"), "__name__ job" },
        { "values", "LabelValues", S("job"), S(""), S(""), "a b" },
        { "of an external label", "LabelValues", S("cluster"), S(""), S(""), "eu us" },
        { "that matches", "LabelValues", S("cluster"), S("y"), S(""), "us" },
        { "of one that goes", "LabelValues", S("cluster"), S(""), S("cluster"), "" },
    };
    struct rig r;
    rig_init(&r, 2, NULL);
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf text = { 0 };
        struct err e = { 0 };
        unsigned values = c->label.n > 0;
        buf_reset(&q);
        if (values) pb_put_bytes(&q, 1, c->label);
        pb_put_i64(&q, 4 + values, 1000);
        if (c->matcher.n) put_matcher(&q, 6 + values, 0, S("__name__"), c->matcher);
        if (c->without.n) pb_put_bytes(&q, 7 + values, c->without);
        EXPECT_OK_E(ask(&r, c->method, &q, &e), &e);
        cursor in = cur_of(r.call.messages.at[0]);
        for (struct pb_field f; pb_next(&in, &f);)
            buf_fmt(&text, "%s%.*s", text.n ? " " : "", STR_ARG(f.bytes));
        EXPECT_STR(buf_view(&text), str_z(c->want));
    }
    struct err e = { 0 };
    buf_reset(&q);
    EXPECT_EQ(ask(&r, "LabelValues", &q, &e), ERR_BAD_INPUT);
    EXPECT_STR(err_str(&e), S("label name parameter cannot be empty"));
    rig_fini(&r);
}

/* Of each series its cluster, or the words, and the blocks of hints; how many hints there are. */
static size_t told_by_blocks(const struct rig *r, bool series, struct buf *out, struct buf *blocks)
{
    size_t n = 0;
    for (size_t k = 0; k < r->call.messages.n; k++) {
        cursor in = cur_of(r->call.messages.at[k]);
        for (struct pb_field f; pb_next(&in, &f);) {
            n += f.number == 3;
            if (f.number == 3) tell_hints(blocks, f.bytes);
            if (f.number == 3) continue;
            str word = f.bytes;
            if (series) word = str_find(f.bytes, S("eu")) != SIZE_MAX ? S("eu") : S("us");
            buf_fmt(out, "%s%.*s", out->n ? " " : "", STR_ARG(word));
        }
    }
    return n;
}

static void put_block_hints(
    struct buf *q, unsigned field, const char *method, uint64_t type, str label, str value)
{
    SCOPED(buf_fini) struct buf hints = { 0 }, any = { 0 }, url = { 0 };
    buf_fmt(&url, "type.googleapis.com/hintspb.%sRequestHints", method);
    put_matcher(&hints, 1, type, label, value);
    pb_put_bytes(&any, 1, buf_view(&url));
    pb_put_bytes(&any, 2, buf_view(&hints));
    pb_put_bytes(q, field, buf_view(&any));
}

/* Blocks by their ids or external labels; the answer says which were asked, also if it is none. */
TEST(store_api_hints_choose_blocks)
{
    static const struct { const char *name; uint64_t type; str label, value; const char *blocks,
        *said[3];
    } cases[] = {
        { "one by its id", 0, S("__block_id"), S("01B"), "#01B",
            { "us us", "__name__ cluster job", "us" } },
        { "all but one", 1, S("__block_id"), S("01B"), "#01A",
            { "eu eu eu", "__name__ cluster job", "eu" } },
        { "by an expression", 2, S("__block_id"), S("01.*"), "#01A#01B",
            { "eu eu us eu us", "__name__ cluster job", "eu us" } },
        { "none by an expression", 3, S("__block_id"), S("0.*"), "", { "", "", "" } },
        { "by an external label", 0, S("cluster"), S("eu"), "#01A",
            { "eu eu eu", "__name__ cluster job", "eu" } },
        { "by one that no block has", 0, S("zone"), S("x"), "", { "", "", "" } },
        { "by one that is empty", 0, S("zone"), S(""), "#01A#01B",
            { "eu eu us eu us", "__name__ cluster job", "eu us" } },
    };
    static const struct { const char *method; unsigned hints, end; } methods[] = {
        { "Series", 9, 2 }, { "LabelNames", 5, 4 }, { "LabelValues", 6, 5 } };
    struct rig r;
    rig_init(&r, 2, NULL);
    TEST_EACH(c, cases) {
        for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
            SCOPED(buf_fini) struct buf q = { 0 }, text = { 0 }, blocks = { 0 };
            const char *method = methods[i].method;
            struct err e = { 0 };
            if (i == 0) request_of_all(&q);
            else pb_put_i64(&q, methods[i].end, 1000);
            if (i == 2) pb_put_bytes(&q, 1, S("cluster"));
            put_block_hints(&q, methods[i].hints, method, c->type, c->label, c->value);
            EXPECT_OK_E(ask(&r, method, &q, &e), &e);
            EXPECT_EQ(told_by_blocks(&r, i == 0, &text, &blocks), 1);
            EXPECT_STR(buf_view(&text), str_z(c->said[i]));
            EXPECT_STR(buf_view(&blocks), str_z(c->blocks));
        }
    }
    rig_fini(&r);
}

TEST(store_api_info_and_health)
{
    SCOPED(buf_fini) struct buf q = { 0 }, want = { 0 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig r;
    struct err e = { 0 };
    rig_init(&r, 2, NULL);
    struct store_info_part parts[] = { { test_labels(&a, "cluster=eu"), 0, INT64_MAX },
        { test_labels(&a, "cluster=us"), 100, 300 } };
    store_put_info(&want, S("store"), parts, 2);
    EXPECT_OK_E(ask(&r, "Info", &q, &e), &e);
    EXPECT_STR(r.call.messages.at[0], buf_view(&want));
    EXPECT_OK_E(ask(&r, "Check", &q, &e), &e);
    EXPECT_STR(r.call.messages.at[0], S("\x08\x01"));
    r.not_ready = true;
    EXPECT_EQ(ask(&r, "Info", &q, &e), ERR_UNAVAILABLE);
    EXPECT_OK_E(ask(&r, "Check", &q, &e), &e);
    EXPECT_STR(r.call.messages.at[0], S("\x08\x02"));
    pb_put_bytes(&q, 1, S("thanos.Rules"));
    EXPECT_EQ(ask(&r, "Check", &q, &e), ERR_NOT_FOUND);
    rig_fini(&r);
}
