#include "storeapi/store_codec.h"

#include "base/strs.h"
#include "chunk/aggr.h"
#include "chunk/chunk.h"
#include "ingest/protobuf.h"

#include <stdlib.h>
#include <xxhash.h>

PB_SHAPE(matcher_shape, "LabelMatcher", { 1, "Type", PB_VARINT, NULL },
    { 2, "Name", PB_BYTES, NULL }, { 3, "Value", PB_BYTES, NULL })
PB_SHAPE(any_shape, "Any", { 1, "TypeUrl", PB_BYTES, NULL }, { 2, "Value", PB_BYTES, NULL })
PB_SHAPE(shard_shape, "ShardInfo", { 1, "ShardIndex", PB_VARINT, NULL },
    { 2, "TotalShards", PB_VARINT, NULL }, { 3, "By", PB_VARINT, NULL },
    { 4, "Labels", PB_BYTES, NULL })
PB_SHAPE(series_shape, "SeriesRequest", { 1, "MinTime", PB_VARINT, NULL },
    { 2, "MaxTime", PB_VARINT, NULL }, { 3, "Matchers", PB_BYTES, &matcher_shape },
    { 4, "MaxResolutionWindow", PB_VARINT, NULL }, { 5, "Aggregates", PB_VARINTS, NULL },
    { 6, "PartialResponseDisabled", PB_VARINT, NULL },
    { 7, "PartialResponseStrategy", PB_VARINT, NULL }, { 8, "SkipChunks", PB_VARINT, NULL },
    { 9, "Hints", PB_BYTES, &any_shape }, { 10, "Step", PB_VARINT, NULL },
    { 11, "Range", PB_VARINT, NULL }, { 12, "QueryHints", PB_BYTES, NULL },
    { 13, "ShardInfo", PB_BYTES, &shard_shape }, { 14, "WithoutReplicaLabels", PB_BYTES, NULL },
    { 15, "Limit", PB_VARINT, NULL }, { 16, "ResponseBatchSize", PB_VARINT, NULL })
PB_SHAPE(names_shape, "LabelNamesRequest", { 1, "PartialResponseDisabled", PB_VARINT, NULL },
    { 2, "PartialResponseStrategy", PB_VARINT, NULL }, { 3, "Start", PB_VARINT, NULL },
    { 4, "End", PB_VARINT, NULL }, { 5, "Hints", PB_BYTES, &any_shape },
    { 6, "Matchers", PB_BYTES, &matcher_shape }, { 7, "WithoutReplicaLabels", PB_BYTES, NULL },
    { 8, "Limit", PB_VARINT, NULL })
PB_SHAPE(values_shape, "LabelValuesRequest", { 1, "Label", PB_BYTES, NULL },
    { 2, "PartialResponseDisabled", PB_VARINT, NULL },
    { 3, "PartialResponseStrategy", PB_VARINT, NULL }, { 4, "Start", PB_VARINT, NULL },
    { 5, "End", PB_VARINT, NULL }, { 6, "Hints", PB_BYTES, &any_shape },
    { 7, "Matchers", PB_BYTES, &matcher_shape }, { 8, "WithoutReplicaLabels", PB_BYTES, NULL },
    { 9, "Limit", PB_VARINT, NULL })
PB_SHAPE(hints_shape, "SeriesRequestHints", { 1, "BlockMatchers", PB_BYTES, &matcher_shape },
    { 2, "EnableQueryStats", PB_VARINT, NULL })

/* Requests. Fields have other numbers in each of the three: one table says which is which. */

enum role {
    ROLE_NONE,
    ROLE_MINT,
    ROLE_MAXT,
    ROLE_MATCHER,
    ROLE_NO_PARTIAL,
    ROLE_STRATEGY,
    ROLE_SKIP,
    ROLE_HINTS,
    ROLE_SHARD,
    ROLE_WITHOUT,
    ROLE_LIMIT,
    ROLE_BATCH,
    ROLE_WINDOW,
    ROLE_AGGREGATES,
    ROLE_LABEL
};
enum { ROLES_MAX = 17, PARTIAL_ABORT = 1 };

typedef VEC(struct matcher) matcher_list;
struct reading {
    struct store_request r;
    struct arena *a;
    matcher_list matchers, blocks;
};

static errc matcher_read(matcher_list *out, str message, struct arena *a, struct err *e)
{
    static const enum match_type types[] = { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };
    cursor c = cur_of(message);
    uint64_t type = 0;
    str name = STR_EMPTY, value = STR_EMPTY;
    struct matcher m;
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number == 1) type = f.u;
        else if (f.number == 2) name = f.bytes;
        else if (f.number == 3) value = f.bytes;
    }
    if ((uint32_t)type >= ARRAY_LEN(types))
        return err_set(e, ERR_BAD_INPUT, "unsupported type of label matcher");
    TRY(matcher_init(&m, a, types[(uint32_t)type], name, value, e));
    avec_push(a, out, m);
    return OK;
}

/* The three hints begin alike. What is not of our type is somebody else's. Of several the last
 * counts, as of any field that is there once. */
static errc hints_read(struct reading *k, str any, struct err *e)
{
    str url = STR_EMPTY, value = STR_EMPTY;
    cursor c = cur_of(any);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number == 1) url = f.bytes;
        else if (f.number == 2) value = f.bytes;
    }
    if (!str_has_suffix(url, S("RequestHints"))) return OK;
    TRY_IN(e, pb_check(value, &hints_shape, e), "unmarshal series request hints");
    k->r.hints = true;
    matchers_fini((struct matchers){ k->blocks.at, k->blocks.n });
    k->blocks.n = 0;
    c = cur_of(value);
    for (struct pb_field f; pb_next(&c, &f);)
        if (f.number == 1) TRY(matcher_read(&k->blocks, f.bytes, k->a, e));
    return OK;
}

static void shard_read(struct reading *k, str message)
{
    struct store_shard *s = &k->r.shard;
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        switch (f.number) {
        case 1: s->index = (int64_t)f.u; break;
        case 2: s->total = (int64_t)f.u; break;
        case 3: s->by = f.u != 0; break;
        case 4: avec_push(k->a, &s->labels, f.bytes); break;
        default: break;
        }
    }
}

/* thanos.Aggr: RAW is 0, then in the order of enum aggr. */
static void aggregate_read(struct store_request *r, uint64_t number)
{
    if (number >= 1 && number <= AGGR_KINDS) r->aggregates |= 1u << (number - 1);
}

/* One number, or many, packed. */
static void aggregates_read(struct store_request *r, const struct pb_field *f)
{
    if (f->wire != PB_BYTES) {
        aggregate_read(r, f->u);
        return;
    }
    for (cursor c = cur_of(f->bytes); cur_left(&c);) aggregate_read(r, pb_varint(&c));
}

static errc field_read(struct reading *k, enum role role, const struct pb_field *f, struct err *e)
{
    struct store_request *r = &k->r;
    switch (role) {
    case ROLE_MINT: r->mint = (int64_t)f->u; break;
    case ROLE_MAXT: r->maxt = (int64_t)f->u; break;
    case ROLE_MATCHER: return matcher_read(&k->matchers, f->bytes, k->a, e);
    case ROLE_NO_PARTIAL: r->abort |= f->u != 0; break;
    case ROLE_STRATEGY: r->abort |= f->u == PARTIAL_ABORT; break;
    case ROLE_SKIP: r->skip_chunks = f->u != 0; break;
    case ROLE_HINTS: return hints_read(k, f->bytes, e);
    case ROLE_SHARD: shard_read(k, f->bytes); break;
    case ROLE_WITHOUT: avec_push(k->a, &r->without, f->bytes); break;
    case ROLE_LIMIT: r->limit = (int64_t)f->u; break;
    case ROLE_BATCH: r->batch = (int64_t)f->u; break;
    case ROLE_WINDOW: r->window_ms = (int64_t)f->u; break;
    case ROLE_AGGREGATES: aggregates_read(r, f); break;
    case ROLE_LABEL: r->label = f->bytes; break;
    case ROLE_NONE: break;
    }
    return OK;
}

static errc request_read(struct store_request *out, str body, const struct pb_shape *shape,
    const uint8_t roles[static ROLES_MAX], struct arena *a, struct err *e)
{
    struct reading k = { .a = a };
    errc rc = pb_check(body, shape, e);
    cursor c = cur_of(body);
    for (struct pb_field f; rc == OK && pb_next(&c, &f);)
        if (f.number < ROLES_MAX) rc = field_read(&k, (enum role)roles[f.number], &f, e);
    k.r.matchers = (struct matchers){ k.matchers.at, k.matchers.n };
    k.r.blocks = (struct matchers){ k.blocks.at, k.blocks.n };
    strs_sort(k.r.without.at, k.r.without.n);
    if (rc == OK) *out = k.r;
    else store_request_fini(&k.r);
    return rc;
}

errc store_series_request(struct store_request *out, str body, struct arena *a, struct err *e)
{
    static const uint8_t roles[ROLES_MAX] = { [1] = ROLE_MINT,
        [2] = ROLE_MAXT,
        [3] = ROLE_MATCHER,
        [4] = ROLE_WINDOW,
        [5] = ROLE_AGGREGATES,
        [6] = ROLE_NO_PARTIAL,
        [7] = ROLE_STRATEGY,
        [8] = ROLE_SKIP,
        [9] = ROLE_HINTS,
        [13] = ROLE_SHARD,
        [14] = ROLE_WITHOUT,
        [15] = ROLE_LIMIT,
        [16] = ROLE_BATCH };
    return request_read(out, body, &series_shape, roles, a, e);
}

errc store_names_request(struct store_request *out, str body, struct arena *a, struct err *e)
{
    static const uint8_t roles[ROLES_MAX] = { [1] = ROLE_NO_PARTIAL,
        [2] = ROLE_STRATEGY,
        [3] = ROLE_MINT,
        [4] = ROLE_MAXT,
        [5] = ROLE_HINTS,
        [6] = ROLE_MATCHER,
        [7] = ROLE_WITHOUT,
        [8] = ROLE_LIMIT };
    return request_read(out, body, &names_shape, roles, a, e);
}

errc store_values_request(struct store_request *out, str body, struct arena *a, struct err *e)
{
    static const uint8_t roles[ROLES_MAX] = { [1] = ROLE_LABEL,
        [2] = ROLE_NO_PARTIAL,
        [3] = ROLE_STRATEGY,
        [4] = ROLE_MINT,
        [5] = ROLE_MAXT,
        [6] = ROLE_HINTS,
        [7] = ROLE_MATCHER,
        [8] = ROLE_WITHOUT,
        [9] = ROLE_LIMIT };
    return request_read(out, body, &values_shape, roles, a, e);
}

void store_request_fini(struct store_request *r)
{
    matchers_fini(r->matchers);
    matchers_fini(r->blocks);
    *r = (struct store_request){ 0 };
}

/* Answers. */

/* Sizes: what a field costs, its tag of one byte included. */
static size_t u64_field(uint64_t v) { return v ? 1 + pb_uvarint_bytes(v) : 0; }
static size_t bytes_field(size_t n) { return 1 + pb_uvarint_bytes(n) + n; }
static size_t text_field(str s) { return s.n ? bytes_field(s.n) : 0; }
static size_t label_bytes(const struct label *l)
{
    return text_field(l->name) + text_field(l->value);
}

void store_put_labels(struct buf *b, unsigned field, struct labels l)
{
    for (size_t i = 0; i < l.n; i++) {
        pb_put_head(b, field, label_bytes(&l.at[i]));
        pb_put_text(b, 1, l.at[i].name);
        pb_put_text(b, 2, l.at[i].value);
    }
}

static size_t labels_bytes(struct labels l)
{
    size_t sum = 0;
    for (size_t i = 0; i < l.n; i++) sum += bytes_field(label_bytes(&l.at[i]));
    return sum;
}

static uint64_t type_of(uint8_t enc)
{
    assert(enc >= CHUNK_XOR && enc <= CHUNK_FLOAT_HISTOGRAM);
    return enc - CHUNK_XOR;
}

static size_t raw_bytes(const struct chunk_view *c, uint64_t hash)
{
    return u64_field(type_of(c->enc)) + bytes_field(c->data.n) + u64_field(hash);
}

static uint64_t hash_of(const struct chunk_view *c) { return XXH64(c->data.p, c->data.n, 0); }

static size_t chunk_bytes(const struct chunk_view *c, uint64_t hash)
{
    return u64_field((uint64_t)c->mint) + u64_field((uint64_t)c->maxt) +
           bytes_field(raw_bytes(c, hash));
}

static uint8_t *put_u64(uint8_t *at, unsigned number, uint64_t v)
{
    if (!v) return at;
    *at++ = (uint8_t)(number << 3 | PB_VARINT);
    for (; v >= 0x80; v >>= 7) *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

/* A field of n bytes, which come behind it; also if there are none. */
static uint8_t *put_head(uint8_t *at, unsigned number, size_t n)
{
    uint64_t v = n;
    *at++ = (uint8_t)(number << 3 | PB_BYTES);
    for (; v >= 0x80; v >>= 7) *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

enum { AGGR_FIELD_FIRST = 4 };          /* of AggrChunk, in the order of enum aggr */

static void put_aggregates(
    struct buf *b, unsigned field, const struct chunk_view *c, unsigned aggregates)
{
    SCOPED(buf_fini) struct buf all = { 0 };
    struct aggr_one of[AGGR_KINDS];
    errc rc = aggr_split(of, c->data, NULL);
    assert(rc == OK);
    (void)rc;
    pb_put_i64(&all, 1, c->mint);
    pb_put_i64(&all, 2, c->maxt);
    for (unsigned k = 0; k < AGGR_KINDS; k++) {
        struct chunk_view one = { .enc = of[k].enc, .data = of[k].data };
        if (!(aggregates & 1u << k) || one.enc == CHUNK_NONE) continue;
        uint64_t hash = hash_of(&one);
        pb_put_head(&all, AGGR_FIELD_FIRST + k, raw_bytes(&one, hash));
        pb_put_u64(&all, 1, type_of(one.enc));
        pb_put_bytes(&all, 2, one.data);
        pb_put_u64(&all, 3, hash);
    }
    pb_put_bytes(b, field, buf_view(&all));
}

/* As millions are put, at one go. */
static void put_raw(struct buf *b, unsigned field, const struct chunk_view *c)
{
    enum { FIELDS = 7 };
    uint64_t hash = hash_of(c);
    uint8_t *begin = buf_room(b, FIELDS * (1 + UVARINT_MAX_BYTES) + c->data.n), *at = begin;
    if (!at) return;
    at = put_head(at, field, chunk_bytes(c, hash));
    at = put_u64(at, 1, (uint64_t)c->mint);
    at = put_u64(at, 2, (uint64_t)c->maxt);
    at = put_head(at, 3, raw_bytes(c, hash));
    at = put_u64(at, 1, type_of(c->enc));
    at = put_head(at, 2, c->data.n);
    if (c->data.n) memcpy(at, c->data.p, c->data.n);
    at = put_u64(at + c->data.n, 3, hash);
    buf_commit(b, (size_t)(at - begin));
}

void store_put_chunk(
    struct buf *b, unsigned field, const struct chunk_view *c, unsigned aggregates)
{
    if (c->enc == CHUNK_AGGR) put_aggregates(b, field, c, aggregates);
    else put_raw(b, field, c);
}

void store_put_hints(struct buf *b, enum store_kind kind, const str *blocks, size_t n)
{
    static const str urls[] = {
        [STORE_KIND_SERIES] = S("type.googleapis.com/hintspb.SeriesResponseHints"),
        [STORE_KIND_NAMES] = S("type.googleapis.com/hintspb.LabelNamesResponseHints"),
        [STORE_KIND_VALUES] = S("type.googleapis.com/hintspb.LabelValuesResponseHints"),
    };
    SCOPED(buf_fini) struct buf value = { 0 }, any = { 0 };
    for (size_t i = 0; i < n; i++) {
        pb_put_head(&value, 1, text_field(blocks[i]));
        pb_put_text(&value, 1, blocks[i]);
    }
    pb_put_bytes(&any, 1, urls[kind]);
    pb_put_text(&any, 2, buf_view(&value));
    pb_put_bytes(b, 3, buf_view(&any));
}

/* LabelSet as a field. */
static void put_label_set(struct buf *b, unsigned field, struct labels l)
{
    pb_put_head(b, field, labels_bytes(l));
    store_put_labels(b, 1, l);
}

void store_put_info(struct buf *b, str component, const struct store_info_part *parts, size_t n)
{
    SCOPED(buf_fini) struct buf store = { 0 }, one = { 0 };
    int64_t mint = n ? INT64_MAX : 0, maxt = n ? INT64_MIN : 0;
    for (size_t i = 0; i < n; i++) {
        put_label_set(b, 1, parts[i].labels);
        mint = MIN(mint, parts[i].mint);
        maxt = MAX(maxt, parts[i].maxt);
    }
    pb_put_bytes(b, 2, component);
    pb_put_i64(&store, 1, mint);
    pb_put_i64(&store, 2, maxt);
    pb_put_i64(&store, 3, true);            /* supports_sharding */
    pb_put_i64(&store, 5, true);            /* supports_without_replica_labels */
    for (size_t i = 0; i < n; i++) {
        buf_reset(&one);
        put_label_set(&one, 1, parts[i].labels);
        pb_put_i64(&one, 2, parts[i].mint);
        pb_put_i64(&one, 3, parts[i].maxt);
        pb_put_bytes(&store, 6, buf_view(&one));
    }
    pb_put_bytes(b, 3, buf_view(&store));
}
