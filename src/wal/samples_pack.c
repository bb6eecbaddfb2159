/* A record of samples (type 2) of one time is, behind its 17 bytes of head, a row of
 *
 *      r … r    0    v0 v1 v2 v3 v4 v5 v6 v7         the ref's and the time's distance from the
 *     1 … 3 bytes    the value's bits, big end first  first ones as varints, then the value
 *
 * The library looks for a match of four bytes from every byte on, in a table of what came before.
 * What it finds in such rows are nearly always these, and only these are looked for here, by one
 * look into a table each:
 *
 *      the whole value, with the bytes in front of it that are the same, too
 *      r r 0 v0, or r 0 v0 v1, and a little more: the head of a value of the same size, and its ref
 *      is near
 *      all of the value that the head left, be it far away
 *      v5 v6 v7 and the next ref's first byte, and more in front: refs follow one another, so that
 *      this byte was there 128 samples ago, and it need not become a literal
 *      v4 … v7: mostly zeros
 *
 * Each table holds the place of the newest value with this hash. Places are distances from the
 * record's begin; 0 is an empty entry and as good a place to copy from as any. What does not pay is
 * passed over: when PROBE samples saved little, the next ones are left as they are, and twice as
 * many each time that this happens again. */
#include "wal/samples_pack.h"

#include "wal/record.h"

enum {
    TABLE_BITS = 11,
    TABLE = 1 << TABLE_BITS,
    SMALL = 16 << 10, /* a shorter record is not worth the emptying of the tables */
    MARGIN = 32,      /* the last bytes are a literal: all reads end in time */
    NEAR = 2048,      /* a copy from nearer takes two bytes, */
    FAR = 65536,      /* or three */
    PROBE = 16,
    SKIP_FIRST = 8,
    SKIP_MOST = 64,
    LITTLE = 32 /* one in so many bytes saved is not enough */
};

struct tables {
    uint32_t whole[TABLE], head[2][TABLE], next[TABLE], rest[TABLE], end4[TABLE];
};
struct packing {
    const uint8_t *in, *literal; /* literal: where what is not put yet begins */
    uint8_t *begin, *out;
};

static inline uint64_t load8(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint32_t load4(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline unsigned slot_of(uint64_t v)
{
    return (unsigned)(v * 0x9e3779b97f4a7c15u >> (64 - TABLE_BITS));
}
/* How many of the first, or last, bytes in memory are the same in two words whose difference this
 * is; 7 if all are. */
static inline size_t same_first(uint64_t x) { return (size_t)__builtin_ctzll(x | 1ull << 63) / 8; }
static inline size_t same_last(uint64_t x) { return (size_t)__builtin_clzll(x | 1) / 8; }

static uint8_t *put_long_literal(uint8_t *out, const uint8_t *p, size_t n)
{
    uint32_t less = (uint32_t)n - 1;
    unsigned bytes = less < 60 ? 0 : (39 - (unsigned)__builtin_clz(less)) / 8;
    *out++ = (uint8_t)((bytes ? 59 + bytes : less) << 2);
    for (unsigned i = 0; i < bytes; i++) *out++ = (uint8_t)(less >> 8 * i);
    memcpy(out, p, n);
    return out + n;
}

/* What is not put yet, as far as `end`. REQUIRES: 16 bytes can be read there */
static inline void put_literal(struct packing *k, const uint8_t *end)
{
    size_t n = (size_t)(end - k->literal);
    if (!n) return;
    if (LIKELY(n <= 16)) {
        *k->out = (uint8_t)((n - 1) << 2);
        memcpy(k->out + 1, k->literal, 16);
        k->out += 1 + n;
    } else {
        k->out = put_long_literal(k->out, k->literal, n);
    }
}

/* n bytes from `at` on are those that stand `back` before. REQUIRES: 4 <= n <= 64, back < FAR */
static inline void put_copy(struct packing *k, const uint8_t *at, size_t n, uint32_t back)
{
    put_literal(k, at);
    bool is_near = n < 12 && back < NEAR;
    uint32_t near = (uint32_t)(1 | (n - 4) << 2) | back >> 8 << 5 | (back & 0xff) << 8;
    uint32_t far = (uint32_t)(2 | (n - 1) << 2) | back << 8;
    uint32_t tag = is_near ? near : far;
    memcpy(k->out, &tag, 4);
    k->out += is_near ? 2 : 3;
    k->literal = at + n;
}

/* The head of the value at q, whose ref has `ref_bytes`: so many bytes of the value are covered. */
static inline size_t pack_head(
    struct packing *k, struct tables *t, const uint8_t *q, size_t ref_bytes, uint64_t v)
{
    const uint8_t *in = k->in;
    uint32_t place = (uint32_t)(q - in);
    for (unsigned before = ref_bytes > 2 ? 3 : 2; before >= 2; before--) {
        uint32_t head = load4(q - before), *at = &t->head[before - 2][slot_of(head)], from = *at;
        *at = place - before;
        if (load4(in + from) != head || place - before - from >= NEAR || q - before < k->literal)
            continue;
        size_t n = same_first(v ^ load8(in + from + before));
        put_copy(k, q - before, before + n, place - before - from);
        return n;
    }
    return 0;
}

/* The end of the value at q, of which `done` bytes are covered: all that is left of it, with the
 * first byte behind it or without, or what is the same behind a literal. */
static inline void pack_end(
    struct packing *k, struct tables *t, const uint8_t *q, size_t done, uint64_t v)
{
    const uint8_t *in = k->in;
    size_t begin = MAX(done, 2), with_next = 0;
    uint32_t place = (uint32_t)(q - in), end_next = load4(q + 5);
    uint32_t *next_at = &t->next[slot_of(end_next)], *end4_at = &t->end4[slot_of(v >> 32)];
    uint32_t *rest_at = &t->rest[slot_of(v >> 8 * begin)];
    uint32_t next = *next_at, rest = done < 4 ? *rest_at : *end4_at, end4 = *end4_at;
    *next_at = *rest_at = *end4_at = place;
    if (load4(in + next + 5) == end_next && place - next < FAR) {
        with_next = MIN(same_last(v ^ load8(in + next)), 8 - done);
        if (with_next >= 8 - begin && with_next >= 3 && place - next < NEAR) {
            put_copy(k, q + 8 - with_next, with_next + 1, place - next);
            return;
        }
    }
    if (done > 4) return;
    if (!((v ^ load8(in + rest)) >> 8 * begin) && place - rest < FAR) {
        put_copy(k, q + begin, 8 - begin + (in[rest + 8] == q[8]), place - rest);
        return;
    }
    size_t n = MIN(same_last(v ^ load8(in + end4)), 8 - done);
    if (with_next >= 3 && with_next >= n)
        put_copy(k, q + 8 - with_next, with_next + 1, place - next);
    else if (n > 4 ? place - end4 < FAR : n == 4 && place - end4 < NEAR)
        put_copy(k, q + 8 - n, n, place - end4);
}

/* The value at q. */
static inline void pack_value(
    struct packing *k, struct tables *t, const uint8_t *q, size_t ref_bytes)
{
    const uint8_t *in = k->in;
    uint32_t place = (uint32_t)(q - in);
    uint64_t v = load8(q);
    uint32_t *whole_at = &t->whole[slot_of(v)], whole = *whole_at;
    *whole_at = place;
    if (whole && load8(in + whole) == v && place - whole < FAR) {
        size_t room = (size_t)(q - k->literal);
        size_t more = MIN(same_last(load8(q - 8) ^ load8(in + whole - 8)), room);
        put_copy(k, q - more, 8 + more, place - whole);
        return;
    }
    pack_end(k, t, q, pack_head(k, t, q, ref_bytes, v), v);
}

/* Where the value of the sample at p < end stands, somewhere behind `end` if that cuts the sample;
 * NULL: it has another time than the first, or is none at all. */
static inline const uint8_t *value_of(const uint8_t *p, const uint8_t *end)
{
    while ((*p++ & 0x80) && p < end) {}
    return *p == 0 || p == end ? p + 1 : NULL;
}

/* Of what stands before p, if the rest of it became a literal. */
static size_t packing_bytes(const struct packing *k, const uint8_t *p)
{
    return (size_t)(k->out - k->begin) + (size_t)(p - k->literal);
}

/* Some samples from p on, each packed. NULL: they are none of one time. */
static inline const uint8_t *pack_some(
    struct packing *k, struct tables *t, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q;
    for (unsigned i = 0; i < PROBE && p < end; i++, p = q + 8) {
        if (UNLIKELY(!(q = value_of(p, end)))) return NULL;
        pack_value(k, t, q, (size_t)(q - p) - 1);
    }
    return p;
}

static bool pack_values(struct packing *k, struct tables *t, const uint8_t *end)
{
    const uint8_t *p = k->in + SAMPLES_HEAD_BYTES, *q;
    unsigned skip = SKIP_FIRST;
    while (p < end) {
        const uint8_t *from = p;
        size_t put = packing_bytes(k, p);
        if (!(p = pack_some(k, t, p, end))) return false;
        size_t taken = (size_t)(p - from);
        if (LIKELY(packing_bytes(k, p) - put < taken - taken / LITTLE)) {
            skip = SKIP_FIRST;
            continue;
        }
        for (unsigned i = 0; i < skip && p < end; i++, p = q + 8)
            if (UNLIKELY(!(q = value_of(p, end)))) return false;
        skip = MIN(2 * skip, SKIP_MOST);
    }
    return true;
}

bool samples_pack(struct buf *out, str rec)
{
    enum { HEADER = 5, SLACK = 64 }; /* of the length; of writes beyond what is put */
    if (rec.n < SMALL || rec.n > UINT32_MAX || rec.p[0] != REC_SAMPLES) return false;
    uint8_t *from = buf_room(out, HEADER + rec.n + rec.n / 32 + SLACK);
    if (!from) return false;
    struct tables t = { 0 };
    struct packing k = { .in = rec.p, .literal = rec.p, .begin = from, .out = from };
    size_t n = rec.n;
    for (; n >= 0x80; n >>= 7) *k.out++ = (uint8_t)(n | 0x80);
    *k.out++ = (uint8_t)n;
    if (!pack_values(&k, &t, rec.p + rec.n - MARGIN)) return false;
    size_t left = (size_t)(rec.p + rec.n - k.literal);
    if (left) k.out = put_long_literal(k.out, k.literal, left);
    buf_commit(out, (size_t)(k.out - from));
    return true;
}
