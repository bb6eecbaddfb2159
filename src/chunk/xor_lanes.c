/* xor_lanes.c — a lane is a chunk.
 *
 * Every step takes a sample of each lane, without branches: all three codes of values are computed,
 * masks choose. So the cost of a sample does not depend on how well its codes are guessed, which
 * they seldom are: the values of a counter change between "in the window" and "a new window" as
 * they like. All of a sample lies in sixteen bytes, so that a step waits for memory once; and while
 * the lanes of one register wait, those of another go on.
 *
 * Steps go in groups of eight, whose samples are then turned from steps by lanes to lanes by steps
 * and stored. Times mostly go in equal steps: a group is first read as if all of its codes of time
 * were that one, and its times are then an addition a lane. Where that was wrong it is read again,
 * with both short codes of time computed, and the long ones done lane by lane; so are the groups
 * behind it until one was regular after all. At the end, where lanes have come to their chunks'
 * ends, they stand still while others go on.
 *
 * Where a sample crosses its chunk's end, all are put back to the group's begin and go on one by
 * one, which finds out where it breaks. No load may run past what can be read: a chunk with too
 * little behind it is copied. Lanes without a chunk of their own walk over the first one's and
 * write what it writes.
 *
 * Chunks of next to no bits, where long rows of samples are one code, are left to the iterator,
 * which takes such rows in one go; and so are short ones.
 */
#include "chunk/xor_lanes.h"

#include "chunk/xor_impl.h"

/* Lane by lane. */
static void lane_rest(struct xor_lane *l)
{
    struct xor_iter *it = &l->it;
    size_t n = 0;
    if (it->bad || it->i == it->n) return;
    errc rc = xor_iter_fill(it, l->t + it->i, l->v + it->i, it->n - it->i, &n, NULL);
    assert(rc == OK ? it->bad || it->i == it->n : it->bad);
}

static void lanes_plain(struct xor_lane *lanes, size_t n)
{
    for (size_t i = 0; i < n; i++) lane_rest(&lanes[i]);
}

static void (*lanes_best)(struct xor_lane *lanes, size_t n) = lanes_plain;

void xor_lanes_decode(struct xor_lane *lanes, size_t n)
{
    assert(n <= XOR_LANES_CHUNKS);
    lanes_best(lanes, n);
}

bool xor_lanes_quick(void) { return lanes_best != lanes_plain; }

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512dq,bmi,bmi2")))
#define INLINE WIDE __attribute__((always_inline)) static inline

enum {
    SET = 8, /* lanes of a register */
    SETS = XOR_LANES / SET,
    GROUP = 8, /* steps */
    /* What a group may walk over that began anywhere: eight of the longest samples. */
    WALK_BYTES = GROUP * XOR_SAMPLE_MAX_BYTES + 64,
    /* copies of all lanes; what does not fit goes lane by lane */
    ROOM_BYTES = 1 << 14,
    SPARSE_BITS = 5, /* a sample: fewer are rows of one code */
    LANES_MIN = 5    /* fewer are faster one by one */
};
_Static_assert((int)WALK_BYTES <= (int)XOR_LANES_BEHIND_BYTES, "what is promised is enough");

/* bit: an address, times eight. wrong: negative where a window was none. */
struct lanes {
    __m512i bit, end, t, delta, v, skip, trail, wrong;
};
/* What the lanes of a register are, as numbers. */
union lane_words {
    __m512i all;
    uint64_t at[SET];
};

/* 121 good bits of each lane, or more: a sample, unless its time is of the long codes. */
struct window { __m512i high, low; };

/* high, shifted left by k modulo 64, with what comes out of low. The processor's own instruction
 * is that of newer ones. */
INLINE __m512i shift_pair(__m512i high, __m512i low, __m512i k, bool newer)
{
    if (newer) {
        __asm__("vpshldvq %2, %1, %0" : "+v"(high) : "v"(low), "v"(k));
        return high;
    }
    k = _mm512_and_si512(k, _mm512_set1_epi64(63));
    __m512i rest = _mm512_sub_epi64(_mm512_set1_epi64(64), k);
    return _mm512_or_si512(_mm512_sllv_epi64(high, k), _mm512_srlv_epi64(low, rest));
}

/* The bits behind the first k < 64 of them. */
INLINE struct window window_from(struct window w, __m512i k, bool newer)
{
    return (struct window){ shift_pair(w.high, w.low, k, newer), _mm512_sllv_epi64(w.low, k) };
}

INLINE __m128i bytes_at(uint64_t at) { return _mm_loadu_si128((const __m128i *)(uintptr_t)at); }

/* Of lanes 2 i and 2 i + 1: their sixteen bytes. */
INLINE __m128i pair_first(__m128i at) { return bytes_at((uint64_t)_mm_cvtsi128_si64(at)); }
INLINE __m128i pair_second(__m128i at) { return bytes_at((uint64_t)_mm_extract_epi64(at, 1)); }

INLINE __m512i four(__m128i a, __m128i b, __m128i c, __m128i d)
{
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* The sixteen bytes from each of the addresses on, as two words. The gather instruction is fast on
 * newer processors; on many of those before them microcode slows it down. */
INLINE struct window words_at(__m512i at, bool newer)
{
    if (newer)
        return (struct window){ _mm512_i64gather_epi64(at, (const void *)0, 1),
            _mm512_i64gather_epi64(at, (const void *)8, 1) };
    __m128i a = _mm512_castsi512_si128(at), b = _mm512_extracti64x2_epi64(at, 1),
            c = _mm512_extracti64x2_epi64(at, 2), d = _mm512_extracti64x2_epi64(at, 3);
    __m512i even = four(pair_first(a), pair_first(b), pair_first(c), pair_first(d));
    __m512i odd = four(pair_second(a), pair_second(b), pair_second(c), pair_second(d));
    return (struct window){ _mm512_unpacklo_epi64(even, odd), _mm512_unpackhi_epi64(even, odd) };
}

INLINE struct window window_at(__m512i bit, bool newer)
{
    const __m512i swap = _mm512_set_epi64(0x08090a0b0c0d0e0f, 0x0001020304050607,
        0x08090a0b0c0d0e0f, 0x0001020304050607, 0x08090a0b0c0d0e0f, 0x0001020304050607,
        0x08090a0b0c0d0e0f, 0x0001020304050607);
    struct window w = words_at(_mm512_srli_epi64(bit, 3), newer);
    w = (struct window){ _mm512_shuffle_epi8(w.high, swap), _mm512_shuffle_epi8(w.low, swap) };
    return window_from(w, _mm512_and_si512(bit, _mm512_set1_epi64(7)), newer);
}

/* By value, as all of it: what lies in memory is stored and loaded at each step. */
struct times { __m512i bit, dod; };

/* The lanes of `which` have a long code of time at bit. */
WIDE __attribute__((noinline)) static struct times time_slow(__mmask8 which, struct times in)
{
    union lane_words b = { in.bit }, d = { in.dod };
    for (unsigned m = which; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        const uint8_t *p = (const uint8_t *)(uintptr_t)(b.at[i] / 8);
        uint64_t bit = b.at[i] % 8;
        d.at[i] = xor_time_slow(p, &bit, xor_word(p, bit));
        b.at[i] += bit - b.at[i] % 8;
    }
    return (struct times){ b.all, d.all };
}

/* Time: moves bit and t on; gives the bits of the value. live: the lanes that go on. */
INLINE struct window step_time(struct lanes *l, __mmask8 live, bool newer)
{
    const __m512i one = _mm512_set1_epi64(1), least = _mm512_set1_epi64(-8192);
    struct window w = window_at(l->bit, newer);
    __mmask8 changed = _mm512_movepi64_mask(w.high);
    __mmask8 rare = live & changed & _mm512_movepi64_mask(_mm512_add_epi64(w.high, w.high));
    __m512i dod = _mm512_srai_epi64(_mm512_slli_epi64(w.high, 2), 50);
    dod = _mm512_mask_mov_epi64(
        dod, _mm512_cmpeq_epi64_mask(dod, least), _mm512_set1_epi64(8192));
    __m512i length = _mm512_mask_mov_epi64(one, changed, _mm512_set1_epi64(16));
    if (LIKELY(!rare)) {
        l->bit = _mm512_add_epi64(l->bit, length);
        w = window_from(w, length, newer);
    } else {
        l->bit = _mm512_mask_add_epi64(l->bit, (__mmask8)~rare, l->bit, length);
        struct times slow = time_slow(rare, (struct times){ l->bit, dod });
        l->bit = slow.bit;
        dod = slow.dod;
        w = window_at(l->bit, newer);
    }
    l->delta = _mm512_mask_add_epi64(l->delta, changed, l->delta, dod);
    l->t = _mm512_add_epi64(l->t, l->delta);
    return w;
}

/* A value, with which w begins behind so many bits, 0 or 1; these are gone past as well. Lengths of
 * codes are 64 more than they are: then what the significant bits leave of a word is taken away. */
INLINE void step_value(struct lanes *l, struct window w, unsigned behind, __mmask8 live, bool newer)
{
    const __m512i bits6 = _mm512_set1_epi64(63), zero = _mm512_setzero_si512();
    __mmask8 changed = _mm512_mask_test_epi64_mask(
        live, w.high, _mm512_set1_epi64((int64_t)((uint64_t)1 << (63 - behind))));
    __mmask8 moved = _mm512_mask_test_epi64_mask(
        changed, w.high, _mm512_set1_epi64((int64_t)((uint64_t)1 << (62 - behind))));
    __m512i lead = _mm512_and_si512(_mm512_srli_epi64(w.high, 57 - behind), _mm512_set1_epi64(31));
    __m512i skip =
        _mm512_and_si512(_mm512_sub_epi64(zero, _mm512_srli_epi64(w.high, 51 - behind)), bits6);
    __m512i trail = _mm512_sub_epi64(skip, lead);
    l->wrong = _mm512_mask_or_epi64(l->wrong, moved, l->wrong, trail);
    l->skip = _mm512_mask_mov_epi64(l->skip, moved, skip);
    l->trail = _mm512_mask_mov_epi64(l->trail, moved, trail);
    __m512i code = _mm512_mask_mov_epi64(
        _mm512_set1_epi64(1 + behind), changed, _mm512_set1_epi64(64 + 2 + behind));
    code = _mm512_mask_mov_epi64(code, moved, _mm512_set1_epi64(64 + 13 + behind));
    __m512i x = shift_pair(w.high, w.low, code, newer);
    x = _mm512_sllv_epi64(_mm512_srlv_epi64(x, l->skip), l->trail);
    l->v = _mm512_mask_xor_epi64(l->v, changed, l->v, x);
    l->bit = _mm512_mask_add_epi64(l->bit, live, l->bit, code);
    l->bit = _mm512_mask_sub_epi64(l->bit, changed, l->bit, l->skip);
}

/* rows[s] has step s of all lanes; then rows[i] has all steps of lane i. */
INLINE void turn(__m512i *r)
{
    __m512i a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);      /* lanes 0 2 4 6 of two steps */
        a[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);  /* lanes 1 3 5 7 */
    }
    for (int i = 0; i < 2; i++) {
        b[i] = _mm512_shuffle_i64x2(a[i], a[i + 2], 0x88); /* lanes i, i + 4 of four steps */
        b[i + 2] = _mm512_shuffle_i64x2(a[i], a[i + 2], 0xdd);     /* lanes i + 2, i + 6 */
        b[i + 4] = _mm512_shuffle_i64x2(a[i + 4], a[i + 6], 0x88);
        b[i + 6] = _mm512_shuffle_i64x2(a[i + 4], a[i + 6], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0x88);
        r[i + 4] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0xdd);
    }
}

/* The lanes' states as numbers, and where their samples go. */
struct lane_set {
    union lane_words bit, end, t, delta, v, skip, trail, count;
    union lane_words ladder[SET]; /* 1 … 8 times delta, of each lane */
    int64_t *to_t[SET];
    double *to_v[SET];
    struct xor_lane *of[SET];
};
struct lane_sets {
    struct lane_set at[SETS];
    size_t n, used; /* lanes that have a chunk; bytes of the room */
    uint32_t shortest, longest;
    bool ladders; /* they are those of the lanes' deltas */
    _Alignas(64) uint8_t room[ROOM_BYTES];
};

/* What a group says. Only after DONE anything has changed. */
enum group_end { DONE, IRREGULAR, BROKEN };

INLINE struct lanes lanes_load(const struct lane_set *s)
{
    return (struct lanes){ s->bit.all, s->end.all, s->t.all, s->delta.all, s->v.all, s->skip.all,
        s->trail.all, _mm512_setzero_si512() };
}
INLINE void lanes_store(struct lane_set *s, const struct lanes *l)
{
    s->bit.all = l->bit;
    s->t.all = l->t;
    s->delta.all = l->delta;
    s->v.all = l->v;
    s->skip.all = l->skip;
    s->trail.all = l->trail;
}

/* Did a sample of a lane cross its chunk's end, or its window's? The end is crossed for good. */
INLINE bool broken(const struct lanes *l)
{
    return _mm512_movepi64_mask(l->wrong) | _mm512_cmpgt_epi64_mask(l->bit, l->end);
}

INLINE void ladders_make(struct lane_set *s)
{
    const __m512i rungs = _mm512_set_epi64(8, 7, 6, 5, 4, 3, 2, 1);
    for (int i = 0; i < SET; i++)
        s->ladder[i].all = _mm512_mullo_epi64(_mm512_set1_epi64((int64_t)s->delta.at[i]), rungs);
}

/* One step, as if no delta changed. *times: negative where one did. */
INLINE void step_regular(struct lanes *l, __m512i *times, __m512i *v, bool newer)
{
    struct window w = window_at(l->bit, newer);
    *times = _mm512_or_si512(*times, w.high);
    step_value(l, w, 1, 0xff, newer);
    *v = l->v;
}

INLINE void regular_keep(
    struct lane_set *s, struct lanes *l, __m512i *v, uint32_t from, bool ladders)
{
    if (!ladders) ladders_make(s);
    turn(v);
#pragma GCC unroll 8
    for (int i = 0; i < SET; i++) {
        __m512i t = _mm512_set1_epi64((int64_t)s->t.at[i]);
        _mm512_storeu_si512(s->to_t[i] + from, _mm512_add_epi64(t, s->ladder[i].all));
        _mm512_storeu_si512(s->to_v[i] + from, v[i]);
    }
    l->t = _mm512_add_epi64(l->t, _mm512_slli_epi64(l->delta, 3));
    lanes_store(s, l);
}

/* The next GROUP samples, as if no delta changed. */
INLINE enum group_end group_regular(struct lane_sets *io, uint32_t from, int sets, bool newer)
{
    struct lanes a = lanes_load(&io->at[0]), b = lanes_load(&io->at[sets - 1]);
    __m512i va[GROUP], vb[GROUP], times = _mm512_setzero_si512();
    for (int s = 0; s < GROUP; s++) {
        step_regular(&a, &times, &va[s], newer);
        if (sets > 1) step_regular(&b, &times, &vb[s], newer);
    }
    if (_mm512_movepi64_mask(times)) return IRREGULAR;
    if (broken(&a) || (sets > 1 && broken(&b))) return BROKEN;
    regular_keep(&io->at[0], &a, va, from, io->ladders);
    if (sets > 1) regular_keep(&io->at[1], &b, vb, from, io->ladders);
    io->ladders = true;
    return DONE;
}

/* One step. left: of each lane, how many it has, where not all have it. */
INLINE void step_any(
    struct lanes *l, const __m512i *left, int s, __m512i *t, __m512i *v, bool newer)
{
    __mmask8 live = left ? _mm512_cmpgt_epi64_mask(*left, _mm512_set1_epi64(s)) : 0xff;
    __m512i bit = l->bit;
    struct window w = step_time(l, live, newer);
    if (left) l->bit = _mm512_mask_mov_epi64(bit, live, l->bit);
    step_value(l, w, 0, live, newer);
    t[s] = l->t;
    v[s] = l->v;
}

/* False: a delta changed. */
INLINE bool any_keep(
    struct lane_set *s, const struct lanes *l, __m512i *t, __m512i *v, uint32_t from, bool whole)
{
    turn(t);
    turn(v);
#pragma GCC unroll 8
    for (int i = 0; i < SET; i++) {
        if (whole) {
            _mm512_storeu_si512(s->to_t[i] + from, t[i]);
            _mm512_storeu_si512(s->to_v[i] + from, v[i]);
            continue;
        }
        int64_t n = MAX((int64_t)s->count.at[i] - from, 0);
        __mmask8 which = (__mmask8)((1u << MIN(n, GROUP)) - 1);
        _mm512_mask_storeu_epi64(s->to_t[i] + from, which, t[i]);
        _mm512_mask_storeu_epi64(s->to_v[i] + from, which, v[i]);
    }
    bool same = _mm512_cmpneq_epi64_mask(s->delta.all, l->delta) == 0;
    lanes_store(s, l);
    return same;
}

/* The next GROUP samples. *regular: no delta changed. */
INLINE enum group_end group_any(
    struct lane_sets *io, uint32_t from, int sets, bool newer, bool *regular)
{
    struct lanes a = lanes_load(&io->at[0]), b = lanes_load(&io->at[sets - 1]);
    __m512i ta[GROUP], va[GROUP], tb[GROUP], vb[GROUP];
    for (int s = 0; s < GROUP; s++) {
        step_any(&a, NULL, s, ta, va, newer);
        if (sets > 1) step_any(&b, NULL, s, tb, vb, newer);
    }
    if (broken(&a) || (sets > 1 && broken(&b))) return BROKEN;
    *regular = any_keep(&io->at[0], &a, ta, va, from, true);
    if (sets > 1) *regular &= any_keep(&io->at[1], &b, tb, vb, from, true);
    io->ladders = false;
    return DONE;
}

/* What lanes have of the next GROUP samples. */
INLINE enum group_end group_last(struct lane_sets *io, uint32_t from, int sets, bool newer)
{
    const __m512i before = _mm512_set1_epi64(from);
    struct lanes a = lanes_load(&io->at[0]), b = lanes_load(&io->at[sets - 1]);
    __m512i ta[GROUP], va[GROUP], tb[GROUP], vb[GROUP];
    __m512i left_a = _mm512_sub_epi64(io->at[0].count.all, before),
            left_b = _mm512_sub_epi64(io->at[sets - 1].count.all, before);
    for (int s = 0; s < GROUP; s++)
        ta[s] = va[s] = tb[s] = vb[s] = _mm512_setzero_si512();
    for (int s = 0, steps = (int)MIN(io->longest - from, (uint32_t)GROUP); s < steps; s++) {
        step_any(&a, &left_a, s, ta, va, newer);
        if (sets > 1) step_any(&b, &left_b, s, tb, vb, newer);
    }
    if (broken(&a) || (sets > 1 && broken(&b))) return BROKEN;
    (void)any_keep(&io->at[0], &a, ta, va, from, false);
    if (sets > 1) (void)any_keep(&io->at[1], &b, tb, vb, from, false);
    return DONE;
}

/* All to their ends. Gives how far they came. */
INLINE uint32_t sets_walk(struct lane_sets *s, int sets, bool newer)
{
    uint32_t at = 2;
    bool regular = true;
    enum group_end end = DONE;
    while (at + GROUP <= s->shortest) {
        end = regular ? group_regular(s, at, sets, newer) : IRREGULAR;
        if (end == IRREGULAR) end = group_any(s, at, sets, newer, &regular);
        if (end == BROKEN) return at;
        at += GROUP;
    }
    while (at < s->longest) {
        if (group_last(s, at, sets, newer) == BROKEN) return at;
        at = MIN(at + GROUP, s->longest);
    }
    return at;
}

static void set_lane(struct lane_sets *all, size_t i, struct xor_lane *lane, const uint8_t *chunk)
{
    const struct xor_iter *it = &lane->it;
    struct lane_set *s = &all->at[i / SET];
    uint64_t begin = 8 * (uint64_t)(uintptr_t)chunk;
    i %= SET;
    s->bit.at[i] = begin + it->bit;
    s->end.at[i] = begin + 8 * it->chunk.n;
    s->t.at[i] = (uint64_t)it->t;
    s->delta.at[i] = it->delta;
    s->v.at[i] = it->v;
    s->skip.at[i] = it->skip;
    s->trail.at[i] = it->trail;
    s->count.at[i] = it->n;
    s->to_t[i] = lane->t;
    s->to_v[i] = lane->v;
    s->of[i] = lane;
}

/* A chunk that is worth it: its first two samples are read, and it is copied if need be. */
static void sets_add(struct lane_sets *s, struct xor_lane *lane)
{
    struct xor_iter *it = &lane->it;
    str c = it->chunk;
    size_t got;
    bool copy = lane->behind < WALK_BYTES;
    if (copy && c.n + WALK_BYTES > ROOM_BYTES - s->used) return;
    if (xor_iter_fill(it, lane->t, lane->v, 2, &got, NULL) != OK || got < 2) return;
    const uint8_t *at = c.p;
    if (copy) {
        at = memcpy(s->room + s->used, c.p, c.n);
        memset(s->room + s->used + c.n, 0, WALK_BYTES);
        s->used += c.n + WALK_BYTES;
    }
    set_lane(s, s->n++, lane, at);
    s->shortest = MIN(s->shortest, it->n);
    s->longest = MAX(s->longest, it->n);
}

/* What a lane has come to, as its iterator would say it. Behind its chunk's end it is of no use. */
static void set_tell(const struct lane_set *s, size_t i, uint32_t at)
{
    struct xor_iter *it = &s->of[i]->it;
    it->i = MIN(at, it->n);
    it->bit = s->bit.at[i] - (s->end.at[i] - 8 * it->chunk.n);
    it->t = (int64_t)s->t.at[i];
    it->delta = s->delta.at[i];
    it->v = s->v.at[i];
    it->skip = (uint8_t)s->skip.at[i];
    it->trail = (uint8_t)s->trail.at[i];
}

INLINE void lanes_side_by_side(struct xor_lane **lanes, size_t n, bool newer)
{
    struct lane_sets s;
    s.n = s.used = 0;
    s.shortest = UINT32_MAX;
    s.longest = 0;
    s.ladders = false;
    for (size_t i = 0; i < n; i++)
        sets_add(&s, lanes[i]);
    if (s.n < LANES_MIN) return;
    int sets = s.n <= SET ? 1 : 2;
    const struct lane_set *first = &s.at[0];
    for (size_t i = s.n; i < (size_t)(sets * SET); i++)
        set_lane(&s, i, first->of[0],
            (const uint8_t *)(uintptr_t)((first->end.at[0] - 8 * first->of[0]->it.chunk.n) / 8));
    uint32_t at = sets == 1 ? sets_walk(&s, 1, newer) : sets_walk(&s, 2, newer);
    for (size_t i = 0; i < s.n; i++)
        set_tell(&s.at[i / SET], i % SET, at);
}

static bool lane_pays(const struct xor_lane *l)
{
    const struct xor_iter *it = &l->it;
    return !it->bad && it->i == 0 && it->n >= 4 * GROUP &&
           it->chunk.n * 8 >= (size_t)it->n * SPARSE_BITS;
}

INLINE void lanes_all(struct xor_lane *lanes, size_t n, bool newer)
{
    struct xor_lane *pays[XOR_LANES_CHUNKS];
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (lane_pays(&lanes[i])) pays[k++] = &lanes[i];
    for (size_t i = 0; k - i >= LANES_MIN; i += MIN(k - i, (size_t)XOR_LANES))
        lanes_side_by_side(pays + i, MIN(k - i, (size_t)XOR_LANES), newer);
    lanes_plain(lanes, n);
}
WIDE static void lanes_wide(struct xor_lane *lanes, size_t n) { lanes_all(lanes, n, false); }
WIDE static void lanes_newer(struct xor_lane *lanes, size_t n) { lanes_all(lanes, n, true); }

/* All that WIDE names; the compiler's library also asks whether the system keeps the registers. */
static bool has_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
#endif

void xor_lanes_use(enum xor_lanes_way way)
{
    lanes_best = lanes_plain;
#if defined(__x86_64__)
    if (way == XOR_LANES_PLAIN || !has_wide()) return;
    bool newer = way == XOR_LANES_BEST && __builtin_cpu_supports("avx512vbmi2");
    lanes_best = newer ? lanes_newer : lanes_wide;
#else
    (void)way;
#endif
}

__attribute__((constructor)) static void xor_lanes_choose(void) { xor_lanes_use(XOR_LANES_BEST); }
