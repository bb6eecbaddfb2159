#include "storeapi/store_api.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/losers.h"
#include "base/metric.h"
#include "base/strs.h"
#include "ingest/protobuf.h"
#include "io/pool.h"
#include "storeapi/part_set.h"
#include "storeapi/resolution.h"

#include <stdlib.h>

#define LOOK_NS INT64_C(50000000)
#define STANDS_NS INT64_C(1000000000)
enum { FRAME_BYTES = 1 << 20, RESORT_BYTES = 256 << 20, SERVING = 1, NOT_SERVING = 2 };
enum { FRAME_ROOM = 1 + UVARINT_MAX_BYTES };      /* a tag, and a length */

COUNTER(m_series, "epimetheus_store_api_series_total", "Series that the StoreAPI gave.")
COUNTER(m_chunks, "epimetheus_store_api_chunks_total", "Chunks that the StoreAPI gave.")
COUNTER(m_chunk_bytes, "epimetheus_store_api_chunk_bytes_total",
    "Bytes of the chunks that the StoreAPI gave.")
COUNTER_VEC(m_limited, "epimetheus_store_api_limited_total",
    "Series calls that failed because of a limit.", "limit")
COUNTER(m_failed_parts, "epimetheus_store_api_failed_parts_total",
    "Parts that failed and were left out of an answer, with a warning.")

struct store_api {
    struct store_api_opts o;
    struct mtx mu;                             /* LOCK_LEAF */
    struct cond left;                          /* a call of Series ended */
    VEC(struct grpc_call *) calls;             /* GUARDED_BY(mu): of Series, that run */
};

struct store_api *store_api_new(const struct store_api_opts *o)
{
    struct store_api *s = NEW(struct store_api);
    s->o = *o;
    if (!s->o.frame_bytes) s->o.frame_bytes = FRAME_BYTES;
    if (!s->o.resort_bytes) s->o.resort_bytes = RESORT_BYTES;
    mtx_init(&s->mu, LOCK_LEAF);
    cond_init(&s->left);
    return s;
}

void store_api_free(struct store_api *s)
{
    if (!s) return;
    vec_fini(&s->calls);
    cond_fini(&s->left);
    mtx_fini(&s->mu);
    mem_free(s);
}

/* Those whose clients take nothing are no load: they hold a bounded queue, and their places are
 * lent to others. */
static size_t calls_at_work_locked(struct store_api *s) REQUIRES(s->mu)
{
    int64_t before = clock_mono_ns() - STANDS_NS;
    size_t n = 0;
    mtx_assert_held(&s->mu);
    for (size_t i = 0; i < s->calls.n; i++) {
        int64_t since = atomic_load_explicit(&s->calls.at[i]->waits_ns, memory_order_relaxed);
        n += !since || since > before;
    }
    return n;
}

/* Waits for its turn; a call whose time is over waits no longer. */
static errc turn_take(struct store_api *s, struct grpc_call *c, struct err *e)
{
    for (;;) {
        TRY(grpc_over(c, e));
        mtx_lock(&s->mu);
        bool mine = !s->o.max_calls || calls_at_work_locked(s) < s->o.max_calls;
        if (mine) vec_push(&s->calls, c);
        else cond_wait_until(&s->left, &s->mu, clock_mono_ns() + LOOK_NS);
        mtx_unlock(&s->mu);
        if (mine) return OK;
    }
}

static void turn_give(struct store_api *s, const struct grpc_call *c)
{
    size_t i = 0;
    mtx_lock(&s->mu);
    while (s->calls.at[i] != c) i++;
    s->calls.at[i] = s->calls.at[--s->calls.n];
    cond_broadcast(&s->left);
    mtx_unlock(&s->mu);
}

/* The words are Thanos'. */
static errc limit_check(uint64_t n, uint64_t most, const char *what, struct err *e)
{
    if (!most || n <= most) return OK;
    metric_add_to(METRIC_WITH(&m_limited, str_z(what)), 1);
    return err_set(e, ERR_LIMIT,
        "exceeded %s limit: limit %" PRIu64 " violated (got %" PRIu64 ")", what, most, n);
}

/* What all three methods have: a request, and the parts that it is about. */

struct wanted {
    const struct store_part *part;
    struct matchers matchers;          /* of its own labels */
    struct outer outer;
};
struct asking {
    struct store_api *s;
    struct grpc_call *call;
    enum store_kind kind;
    struct store_request r;
    store_parts parts;
    void *pin;
    VEC(struct wanted) wanted;
    struct resort resort;
    str_list blocks, warnings;
};

static bool block_wanted(const struct store_request *r, const struct store_part *part)
{
    for (size_t i = 0; i < r->blocks.n; i++) {
        const struct matcher *m = &r->blocks.at[i];
        bool own = str_eq(m->name, S("__block_id"));
        if (!matcher_matches(m, own ? part->block : labels_get(part->external, m->name)))
            return false;
    }
    return true;
}

static void part_choose(struct asking *k, const struct store_part *part)
{
    struct wanted w = { .part = part };
    struct arena *a = &k->call->arena;
    if (part->mint > k->r.maxt || part->maxt < k->r.mint || !block_wanted(&k->r, part)) return;
    if (!matchers_left(&w.matchers, k->r.matchers, part->external, a)) return;
    outer_init(&w.outer, part->external, k->r.without, a);
    avec_push(a, &k->wanted, w);
    if (part->block.n && !part->unknown) avec_push(a, &k->blocks, part->block);
}

static errc parts_choose(struct asking *k, struct err *e)
{
    struct store_source *from = k->s->o.source;
    struct arena *a = &k->call->arena;
    TRY(from->ops->list(from, a, &k->parts, &k->pin, e));
    bool *wanted = arena_array(a, k->parts.n + 1, sizeof(*wanted));
    struct interval asked = { k->r.mint, k->r.maxt };
    parts_by_resolution(&k->parts, asked, k->r.window_ms, wanted);
    for (size_t i = 0; k->r.mint <= k->r.maxt && i < k->parts.n; i++)
        if (k->kind != STORE_KIND_SERIES || wanted[i]) part_choose(k, &k->parts.at[i]);
    for (size_t i = 0; from->ops->begin && i < k->wanted.n; i++)
        from->ops->begin(from, k->wanted.at[i].part);
    return OK;
}

static void asking_end(struct asking *k)
{
    struct store_source *from = k->s->o.source;
    if (k->pin) from->ops->release(from, k->pin);
    store_request_fini(&k->r);
}

/* Runs piece(ctx, i) for each part that is wanted. */
static void each_wanted(struct asking *k, void (*piece)(void *ctx, size_t i), void *ctx)
{
    if (k->s->o.pool && k->wanted.n > 1) pool_each_far(k->s->o.pool, k->wanted.n, piece, ctx);
    else
        for (size_t i = 0; i < k->wanted.n; i++) piece(ctx, i);
}

/* OK: the answer goes on without this part. What is about the request, or the call itself, fails it
 * in any case; so does what is no block: there is nothing beside it. */
static errc part_failed(struct asking *k, const struct wanted *w, errc rc, struct err *e)
{
    bool own_fault = rc == ERR_BAD_INPUT || rc == ERR_LIMIT || grpc_over(k->call, NULL) != OK;
    if (!w->part->block.n) return rc;
    struct arena *a = &k->call->arena;
    str name = arena_fmt(a, "block %.*s", STR_ARG(w->part->block));
    if (!str_has_prefix(err_str(e), name)) rc = err_in(e, rc, "%.*s", STR_ARG(name));
    if (own_fault || k->r.abort) return rc;
    metric_inc(&m_failed_parts);
    LOG_LIMITED(WARN, 1000, "a part of the storage is left out of an answer", kv_err(e));
    avec_push(a, &k->warnings, arena_str(a, err_str(e)));
    *e = (struct err){ 0 };
    return OK;
}

/* Series. */

/* The parts are asked in turns, which has the caches of the processor miss at each: so series are
 * read some at a time, of which the keys are kept, and the chunks as they will be sent. */
enum { FEED_AHEAD = 16, FEED_AHEAD_BYTES = 8 << 10 };
struct feed_series { size_t key_end, chunks_end; };
struct feed_chunk { int64_t mint; size_t data_bytes, end; };
struct feed {
    struct chunk_series_set *set;
    struct wanted *of;
    const struct chunk_series *now;            /* that was read last */
    struct buf keys, fields;                   /* of those that were read and not yet given */
    VEC(struct feed_chunk) chunks;             /* their fields */
    struct feed_series ends[FEED_AHEAD];
    size_t n, at;
    str key;                                   /* of the one at `at` */
    bool odd;                                  /* the last one's key does not order as labels do */
    errc rc;                                   /* of the last read */
    struct err why;
};

typedef VEC(struct label) label_list;
struct streaming {
    struct asking *k;
    label_list labels;                         /* of the series that is given */
    VEC(struct feed) feeds;
    struct losers order;                       /* of feeds */
    struct buf message, batch, scratch;
    size_t batched;
    size_t warned;                             /* warnings that were sent */
    uint64_t series, touched, chunks, chunk_bytes;
    struct buf last;                           /* the key of the series that came last */
    /* of that series, if it is open: not sent yet; behind FRAME_ROOM bytes for what goes first */
    struct buf frame;
    bool open;
    int64_t frame_mint;                        /* of its last chunk */
};

/* How many bytes are zero. */
static size_t zeros_count(str s)
{
    typedef uint8_t lanes __attribute__((vector_size(16)));
    enum { ROUNDS = UINT8_MAX };               /* until a lane may be full */
    size_t n = 0;
    while (s.n >= sizeof(lanes)) {
        lanes sums = { 0 }, x;
        for (size_t i = 0; i < ROUNDS && s.n >= sizeof(x); i++, s = str_from(s, sizeof(x))) {
            memcpy(&x, s.p, sizeof(x));
            sums -= (lanes)(x == 0);
        }
        for (size_t i = 0; i < sizeof(sums); i++) n += sums[i];
    }
    for (size_t i = 0; i < s.n; i++) n += !s.p[i];
    return n;
}

/* The text, and a zero. Most are short: for them a call would take longer than the copy. */
static uint8_t *text_put(uint8_t *at, str s)
{
    enum { HALF = 8, QUARTER = 4, SHORT = 2 * HALF };
    if (s.n > SHORT) {
        memcpy(at, s.p, s.n);
    } else if (s.n >= HALF) {
        memcpy(at, s.p, HALF);
        memcpy(at + s.n - HALF, s.p + s.n - HALF, HALF);
    } else if (s.n >= QUARTER) {
        memcpy(at, s.p, QUARTER);
        memcpy(at + s.n - QUARTER, s.p + s.n - QUARTER, QUARTER);
    } else {
        for (size_t i = 0; i < s.n; i++) at[i] = s.p[i];
    }
    at[s.n] = 0;
    return at + s.n + 1;
}

/* Labels one behind the other, each text with a zero at its end: compared by one look at memory
 * rather than by one for each text. A zero within a text would be taken for its end: then true. */
static bool key_put(struct buf *b, struct labels l)
{
    size_t n = 2 * l.n, from = b->n;
    for (size_t i = 0; i < l.n; i++) n += l.at[i].name.n + l.at[i].value.n;
    uint8_t *at = buf_room(b, n);
    for (size_t i = 0; i < l.n; i++) {
        at = text_put(at, l.at[i].name);
        at = text_put(at, l.at[i].value);
    }
    buf_commit(b, n);
    return zeros_count(str_from(buf_view(b), from)) != 2 * l.n;
}

/* The next text of a key. */
static str key_text(str *key)
{
    size_t n = str_index(*key, 0);
    str text = str_slice(*key, 0, n);
    *key = str_from(*key, n + 1);
    return text;
}

static bool feed_has(const struct feed *f) { return f->at < f->n; }
static bool feed_odd(const struct feed *f) { return f->odd && f->at + 1 == f->n; }
/* Of the series that is given: as it was read, or out of its key, in the array of `labels`. */
static struct labels feed_labels(const struct feed *f, label_list *labels)
{
    if (f->now && f->at + 1 == f->n) return f->now->labels;
    labels->n = 0;
    for (str key = f->key; key.n;) {
        str name = key_text(&key), value = key_text(&key);
        vec_push(labels, ((struct label){ name, value }));
    }
    return (struct labels){ labels->at, labels->n };
}

/* Of equal series the part that was listed first comes first; one without a series is last. */
static bool feed_less(const void *ctx, uint32_t a, uint32_t b)
{
    const struct streaming *g = ctx;
    const struct feed *x = &g->feeds.at[a], *y = &g->feeds.at[b];
    if (!feed_has(x) || !feed_has(y)) return feed_has(x);
    int order;
    if (feed_odd(x) || feed_odd(y)) {
        label_list one = { 0 }, other = { 0 };
        order = labels_cmp(feed_labels(x, &one), feed_labels(y, &other));
        vec_fini(&one);
        vec_fini(&other);
    } else {
        order = str_cmp(x->key, y->key);
    }
    return order ? order < 0 : a < b;
}

static str frame_fields(const struct streaming *g)
{
    return str_from(buf_view(&g->frame), FRAME_ROOM);
}

/* The frame as the one field of a message, in its place: it may be large. */
static str frame_message(struct streaming *g)
{
    uint64_t n = frame_fields(g).n;
    uint8_t head[FRAME_ROOM], *at = head;
    *at++ = STORE_SERIES << 3 | PB_BYTES;
    for (; n >= 0x80; n >>= 7) *at++ = (uint8_t)(n | 0x80);
    *at++ = (uint8_t)n;
    size_t from = FRAME_ROOM - (size_t)(at - head);
    memcpy(g->frame.p + from, head, FRAME_ROOM - from);
    return str_from(buf_view(&g->frame), from);
}

static errc message_send(struct streaming *g, struct err *e)
{
    errc rc = grpc_send(g->k->call, buf_view(&g->message), e);
    buf_reset(&g->message);
    return rc;
}

static errc batch_send(struct streaming *g, struct err *e)
{
    if (!g->batched) return OK;
    pb_put_bytes(&g->message, STORE_BATCH, buf_view(&g->batch));
    buf_reset(&g->batch);
    g->batched = 0;
    return message_send(g, e);
}

static errc feed_next(struct asking *k, struct feed *f, struct err *e)
{
    struct part_select by = { .part = f->of->part,
        .outer = &f->of->outer,
        .matchers = f->of->matchers,
        .mint = k->r.mint,
        .maxt = k->r.maxt,
        .skip_chunks = k->r.skip_chunks,
        .aggregates = k->r.aggregates,
        .resort = &k->resort,
        .call = k->call };
    f->now = NULL;
    if (!f->set) {
        TRY(grpc_over(k->call, e));
        TRY(part_set_open(&f->set, &by, e));
    }
    return f->set->ops->next(f->set, &f->now, e);
}

/* The series that was read last. */
static void feed_keep(struct feed *f, unsigned aggregates)
{
    const struct chunk_series *s = f->now;
    f->odd = key_put(&f->keys, s->labels);
    for (size_t i = 0; i < s->n; i++) {
        const struct chunk_view *c = &s->chunks[i];
        store_put_chunk(&f->fields, STORE_SERIES_CHUNKS, c, aggregates);
        vec_push(&f->chunks, ((struct feed_chunk){ c->mint, c->data.n, f->fields.n }));
    }
    f->ends[f->n++] = (struct feed_series){ f->keys.n, f->chunks.n };
}

/* The next ones, at least one unless it ends; an odd one is the last of them. */
static void feed_read(struct streaming *g, struct feed *f)
{
    const struct store_request *r = &g->k->r;
    size_t most = r->limit > 0 ? MIN((size_t)FEED_AHEAD, (size_t)r->limit) : FEED_AHEAD;
    buf_reset(&f->keys);
    buf_reset(&f->fields);
    f->chunks.n = f->n = f->at = 0;
    f->odd = false;
    while (f->n < most && !f->odd && f->fields.n < FEED_AHEAD_BYTES) {
        f->rc = feed_next(g->k, f, &f->why);
        if (f->rc != OK || !f->now) return;
        feed_keep(f, r->aggregates);
    }
}

/* What the last read ended with counts when all that it gave is given. */
static void feed_step(struct streaming *g, struct feed *f)
{
    if (feed_has(f)) f->at++;
    if (!feed_has(f) && f->rc == OK && (f->now || !f->set)) feed_read(g, f);
    if (!feed_has(f)) return;
    size_t from = f->at ? f->ends[f->at - 1].key_end : 0;
    f->key = str_slice(buf_view(&f->keys), from, f->ends[f->at].key_end);
}

/* The first step of each part may take long: it has to be found, maybe opened. */
static void feed_begin(void *ctx, size_t i)
{
    struct streaming *g = ctx;
    feed_step(g, &g->feeds.at[i]);
}

/* What it left out as damaged is told with the answer. */
static void feed_end(struct streaming *g, struct feed *f)
{
    struct arena *a = &g->k->call->arena;
    str_list words = { 0 };
    chunk_series_set_warnings(f->set, &words);
    for (size_t i = 0; i < words.n; i++)
        avec_push(a, &g->k->warnings, arena_str(a, words.at[i]));
    vec_fini(&words);
    chunk_series_set_free(STEAL(f->set));
}

/* A feed at its end, or that failed, leaves. */
static errc feed_settle(struct streaming *g, struct feed *f, struct err *e)
{
    if (feed_has(f)) return limit_check(++g->touched, g->k->s->o.max_touched, "series", e);
    f->now = NULL;
    feed_end(g, f);
    if (f->rc == OK) return OK;
    *e = f->why;
    return part_failed(g->k, f->of, f->rc, e);
}

static errc frame_send(struct streaming *g, struct err *e)
{
    if (!g->open) return OK;
    g->open = false;
    if (g->k->r.batch <= 1) return grpc_send(g->k->call, frame_message(g), e);
    pb_put_bytes(&g->batch, STORE_SERIES, frame_fields(g));
    g->batched++;
    bool full = (int64_t)g->batched >= g->k->r.batch || g->batch.n >= g->k->s->o.frame_bytes;
    return full ? batch_send(g, e) : OK;
}

static errc warnings_send(struct streaming *g, struct err *e)
{
    if (g->warned < g->k->warnings.n) TRY(frame_send(g, e));
    for (; g->warned < g->k->warnings.n; g->warned++) {
        pb_put_bytes(&g->message, STORE_WARNING, g->k->warnings.at[g->warned]);
        TRY(message_send(g, e));
    }
    return OK;
}

static void frame_begin(struct streaming *g, struct labels labels)
{
    buf_reset(&g->frame);
    (void)buf_room(&g->frame, FRAME_ROOM);
    buf_commit(&g->frame, FRAME_ROOM);
    store_put_labels(&g->frame, STORE_SERIES_LABELS, labels);
    g->open = true;
}

/* A frame has the series' chunks of one part after the other as long as their times go on. */
static errc chunk_put(struct streaming *g, const struct feed *f, size_t i, struct err *e)
{
    const struct store_api_opts *o = &g->k->s->o;
    const struct feed_chunk *c = &f->chunks.at[i];
    g->chunk_bytes += c->data_bytes;
    TRY(limit_check(++g->chunks, o->max_chunks, "chunks", e));
    TRY(limit_check(g->chunk_bytes, o->max_chunk_bytes, "bytes", e));
    bool goes_on = g->frame.n < o->frame_bytes && c->mint >= g->frame_mint;
    if (!goes_on) TRY(frame_send(g, e));
    if (!g->open) frame_begin(g, feed_labels(f, &g->labels));
    buf_str(&g->frame, str_slice(buf_view(&f->fields), i ? c[-1].end : 0, c->end));
    g->frame_mint = c->mint;
    return OK;
}

/* A series that was not there before. */
static errc series_begin(struct streaming *g, const struct feed *f, struct err *e)
{
    TRY(frame_send(g, e));
    buf_reset(&g->last);
    buf_str(&g->last, f->key);
    TRY(limit_check(++g->series, g->k->s->o.max_series, "series", e));
    g->frame_mint = INT64_MIN;
    frame_begin(g, feed_labels(f, &g->labels));
    return OK;
}

/* *over: there are as many series as were asked for. */
static errc series_put(struct streaming *g, const struct feed *f, bool *over, struct err *e)
{
    const struct store_request *r = &g->k->r;
    bool same = g->series && str_eq(f->key, buf_view(&g->last));
    *over = !same && r->limit > 0 && g->series >= (uint64_t)r->limit;
    if (*over) return OK;
    if (!same) TRY(series_begin(g, f, e));
    size_t first = f->at ? f->ends[f->at - 1].chunks_end : 0;
    for (size_t i = first; i < f->ends[f->at].chunks_end; i++) TRY(chunk_put(g, f, i, e));
    return OK;
}

static bool feed_wanted(struct streaming *g, const struct feed *f)
{
    const struct store_shard *s = &g->k->r.shard;
    return s->total < 1 || shard_wants(s, feed_labels(f, &g->labels), &g->scratch);
}

/* From all feeds, in order, as many as were asked for. */
static errc feeds_merge(struct streaming *g, struct err *e)
{
    bool over = false;
    if (!g->feeds.n) return OK;
    losers_init(&g->order, (uint32_t)g->feeds.n, feed_less, g);
    for (;;) {
        struct feed *f = &g->feeds.at[losers_least(&g->order)];
        if (!feed_has(f)) return OK;
        if (feed_wanted(g, f)) {
            TRY(series_put(g, f, &over, e));
            if (over) return OK;
        }
        feed_step(g, f);
        TRY(feed_settle(g, f, e));
        TRY(warnings_send(g, e));
        losers_changed(&g->order);
    }
}

static errc series_stream(struct streaming *g, struct err *e)
{
    struct asking *k = g->k;
    for (size_t i = 0; i < k->wanted.n; i++)
        vec_push(&g->feeds, ((struct feed){ .of = &k->wanted.at[i] }));
    each_wanted(k, feed_begin, g);
    for (size_t i = 0; i < g->feeds.n; i++) TRY(feed_settle(g, &g->feeds.at[i], e));
    TRY(warnings_send(g, e));
    TRY(feeds_merge(g, e));
    TRY(frame_send(g, e));
    TRY(batch_send(g, e));
    for (size_t i = 0; i < g->feeds.n; i++) feed_end(g, &g->feeds.at[i]);
    TRY(warnings_send(g, e));
    if (!k->r.hints) return OK;
    store_put_hints(&g->message, STORE_KIND_SERIES, k->blocks.at, k->blocks.n);
    return message_send(g, e);
}

static void streaming_fini(struct streaming *g)
{
    metric_add(&m_series, (double)g->series);
    metric_add(&m_chunks, (double)g->chunks);
    metric_add(&m_chunk_bytes, (double)g->chunk_bytes);
    for (size_t i = 0; i < g->feeds.n; i++) {
        chunk_series_set_free(g->feeds.at[i].set);
        buf_fini(&g->feeds.at[i].keys);
        buf_fini(&g->feeds.at[i].fields);
        vec_fini(&g->feeds.at[i].chunks);
    }
    vec_fini(&g->feeds);
    vec_fini(&g->labels);
    losers_fini(&g->order);
    buf_fini(&g->message);
    buf_fini(&g->batch);
    buf_fini(&g->scratch);
    buf_fini(&g->last);
    buf_fini(&g->frame);
}

static errc series_answer(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    struct asking k = { .s = ctx, .call = c, .kind = STORE_KIND_SERIES };
    k.resort.bytes_max = k.s->o.resort_bytes;
    TRY(store_series_request(&k.r, request, &c->arena, e));
    errc rc = turn_take(k.s, c, e);
    bool turn = rc == OK;
    if (rc == OK) rc = parts_choose(&k, e);
    if (rc == OK) {
        struct streaming g = { .k = &k };
        rc = series_stream(&g, e);
        streaming_fini(&g);
    }
    asking_end(&k);
    if (turn) turn_give(k.s, c);
    return rc;
}

/* Names and values. */

static bool listed(str_list names, str name)
{
    return strs_has(names.at, names.n, name);
}

/* What one part says; in its own arena, since parts are asked beside each other. */
struct said { struct arena a; str_list words, warnings; errc rc; struct err why; };
struct saying { struct asking *k; VEC(struct said) of; };

static void keep(struct said *s, str_list part)
{
    for (size_t i = 0; i < part.n; i++) avec_push(&s->a, &s->words, arena_str(&s->a, part.at[i]));
}

static errc names_of(
    struct asking *k, const struct wanted *w, struct querier *q, struct said *s, struct err *e)
{
    str_list part = { 0 };
    struct labels external = w->part->external;
    bool cut;
    TRY(q->ops->label_names(q, w->matchers, 0, &part, &cut, e));
    for (size_t i = 0; i < part.n; i++)
        if (!listed(k->r.without, part.at[i]))
            avec_push(&s->a, &s->words, arena_str(&s->a, part.at[i]));
    for (size_t i = 0; part.n && i < external.n; i++)
        if (!listed(k->r.without, external.at[i].name))
            avec_push(&s->a, &s->words, external.at[i].name);
    vec_fini(&part);
    return OK;
}

/* An external label has one value, if the part has a series that matches. */
static errc values_of(
    struct asking *k, const struct wanted *w, struct querier *q, struct said *s, struct err *e)
{
    str_list part = { 0 };
    str external = labels_get(w->part->external, k->r.label);
    bool cut;
    if (external.n && w->matchers.n)
        TRY(q->ops->label_names(q, w->matchers, 1, &part, &cut, e));
    else if (!external.n) TRY(q->ops->label_values(q, k->r.label, w->matchers, 0, &part, &cut, e));
    if (!external.n) keep(s, part);
    else if (part.n || !w->matchers.n) avec_push(&s->a, &s->words, external);
    vec_fini(&part);
    return OK;
}

/* What the querier left out as damaged is told with the answer. */
static void left_out(struct said *s, struct querier *q)
{
    str_list words = { 0 };
    querier_warnings(q, &words);
    for (size_t i = 0; i < words.n; i++)
        avec_push(&s->a, &s->warnings, arena_str(&s->a, words.at[i]));
    vec_fini(&words);
}

static errc words_of(struct asking *k, const struct wanted *w, struct said *s, struct err *e)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    struct queryable *from = w->part->queryable;
    TRY(grpc_over(k->call, e));
    TRY(from->ops->querier(from, k->r.mint, k->r.maxt, &q, e));
    errc rc = k->kind == STORE_KIND_NAMES ? names_of(k, w, q, s, e) : values_of(k, w, q, s, e);
    left_out(s, q);
    return rc;
}

static void words_begin(void *ctx, size_t i)
{
    struct saying *x = ctx;
    struct said *s = &x->of.at[i];
    s->rc = words_of(x->k, &x->k->wanted.at[i], s, &s->why);
}

/* Lists of words that are joined two by two as parts come, as one counts in twos: most blocks say
 * the same, so that the lists that are left are short. */
struct joining { str_list at[64]; };

static void words_join(struct joining *j, str_list *some, struct arena *a)
{
    some->n = strs_sort_unique(some->at, some->n);
    str_list now = *some;
    size_t k = 0;
    for (; j->at[k].at; k++) {
        str_list *with = &j->at[k];
        str *both = arena_array(a, now.n + with->n, sizeof(str));
        now.n = strs_join(both, now.at, now.n, with->at, with->n);
        now.at = both;
        *with = (str_list){ 0 };
    }
    if (now.n) j->at[k] = now;
}

static str_list words_joined(struct joining *j, struct arena *a)
{
    str_list all = { 0 };
    for (size_t k = 0; k < ARRAY_LEN(j->at); k++) {
        str *both = arena_array(a, all.n + j->at[k].n, sizeof(str));
        all.n = strs_join(both, all.at, all.n, j->at[k].at, j->at[k].n);
        all.at = both;
    }
    return all;
}

static errc words_gather(const struct saying *x, struct joining *all, struct err *e)
{
    struct asking *k = x->k;
    struct arena *a = &k->call->arena;
    for (size_t i = 0; i < x->of.n; i++) {
        struct said *s = &x->of.at[i];
        for (size_t n = 0; n < s->warnings.n; n++) avec_push(a, &k->warnings, s->warnings.at[n]);
        if (s->rc == OK) {
            words_join(all, &s->words, a);
            continue;
        }
        *e = s->why;
        TRY(part_failed(k, &k->wanted.at[i], s->rc, e));
    }
    return OK;
}

static errc words_send(struct asking *k, str_list all, struct err *e)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    size_t n = all.n;
    if (k->r.limit > 0) n = MIN(n, (size_t)k->r.limit);
    for (size_t i = 0; i < n; i++) pb_put_bytes(&b, STORE_VALUES, all.at[i]);
    for (size_t i = 0; i < k->warnings.n; i++)
        pb_put_bytes(&b, STORE_WARNING, k->warnings.at[i]);
    if (k->r.hints) store_put_hints(&b, k->kind, k->blocks.at, k->blocks.n);
    return grpc_send(k->call, buf_view(&b), e);
}

static errc words_answer(struct asking *k, struct err *e)
{
    struct joining all = { 0 };
    TRY(parts_choose(k, e));
    if (k->kind == STORE_KIND_VALUES && listed(k->r.without, k->r.label)) k->wanted.n = 0;
    struct saying x = { .k = k };
    for (size_t i = 0; i < k->wanted.n; i++) vec_push(&x.of, ((struct said){ 0 }));
    each_wanted(k, words_begin, &x);
    errc rc = words_gather(&x, &all, e);
    if (rc == OK) rc = words_send(k, words_joined(&all, &k->call->arena), e);
    for (size_t i = 0; i < x.of.n; i++) arena_fini(&x.of.at[i].a);
    vec_fini(&x.of);
    return rc;
}

static errc names_answer(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    struct asking k = { .s = ctx, .call = c, .kind = STORE_KIND_NAMES };
    TRY(store_names_request(&k.r, request, &c->arena, e));
    errc rc = words_answer(&k, e);
    asking_end(&k);
    return rc;
}

static errc values_answer(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    struct asking k = { .s = ctx, .call = c, .kind = STORE_KIND_VALUES };
    TRY(store_values_request(&k.r, request, &c->arena, e));
    errc rc = k.r.label.n
                  ? words_answer(&k, e)
                  : err_set(e, ERR_BAD_INPUT, "label name parameter cannot be empty");
    asking_end(&k);
    return rc;
}

/* Info and health: out of memory, whatever the storage does. */

typedef VEC(struct store_info_part) info_parts;

static void set_describe(
    struct asking *k, info_parts *sets, struct labels labels, const struct store_part *p)
{
    size_t at = 0;
    while (at < sets->n && !labels_eq(sets->at[at].labels, labels)) at++;
    if (at == sets->n)
        avec_push(&k->call->arena, sets, ((struct store_info_part){ labels, p->mint, p->maxt }));
    sets->at[at].mint = MIN(sets->at[at].mint, p->mint);
    sets->at[at].maxt = MAX(sets->at[at].maxt, p->maxt);
}

static errc parts_describe(struct asking *k, struct buf *b, struct err *e)
{
    info_parts sets = { 0 };
    struct store_source *from = k->s->o.source;
    TRY(from->ops->list(from, &k->call->arena, &k->parts, &k->pin, e));
    for (size_t i = 0; i < k->parts.n; i++) {
        const struct store_part *p = &k->parts.at[i];
        if (!p->unknown) set_describe(k, &sets, p->external, p);
    }
    store_put_info(b, str_z(k->s->o.component), sets.at, sets.n);
    return OK;
}

static errc info_answer(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    (void)request;                             /* it has no fields */
    SCOPED(buf_fini) struct buf b = { 0 };
    struct asking k = { .s = ctx, .call = c };
    errc rc = parts_describe(&k, &b, e);
    asking_end(&k);
    return rc == OK ? grpc_send(c, buf_view(&b), e) : rc;
}

static errc health_answer(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct asking k = { .s = ctx, .call = c };
    struct store_source *from = k.s->o.source;
    cursor in = cur_of(request);
    for (struct pb_field f; pb_next(&in, &f);)
        if (f.number == 1 && f.bytes.n)
            return err_set(e, ERR_NOT_FOUND, "unknown service %.*s", STR_ARG(f.bytes));
    if (!cur_ok(&in)) return err_set(e, ERR_BAD_INPUT, "no health request");
    errc rc = from->ops->list(from, &c->arena, &k.parts, &k.pin, NULL);
    asking_end(&k);
    pb_put_i64(&b, 1, rc == OK ? SERVING : NOT_SERVING);
    return grpc_send(c, buf_view(&b), e);
}

struct grpc_service store_api_service(struct store_api *s)
{
    static const struct grpc_method methods[] = {
        { "thanos.Store", "Series", GRPC_STREAMS, series_answer },
        { "thanos.Store", "LabelNames", 0, names_answer },
        { "thanos.Store", "LabelValues", 0, values_answer },
        { "thanos.info.Info", "Info", GRPC_IN_PLACE, info_answer },
        { "grpc.health.v1.Health", "Check", GRPC_IN_PLACE, health_answer },
    };
    return (struct grpc_service){ methods, ARRAY_LEN(methods), s };
}
