/* xor_lanes.c — a lane is a chunk.
 *
 * Every step takes a sample of each lane, without branches: both codes of time and all three of
 * values are computed, masks choose. So the cost of a sample does not depend on how well its codes
 * are guessed, which they seldom are: the values of a counter change between "in the window" and "a
 * new window" as they like. What is rare is done lane by lane: the long codes of time. All else of
 * a sample lies in sixteen bytes, so that a step waits for memory once.
 *
 * The chunks are copied one behind the other with zeros between them, so that no load runs past the
 * copies. Steps go in groups of eight, whose samples are then turned from steps by lanes to lanes
 * by steps and stored. All lanes go as far as the shortest chunk does; what is left of the others
 * is read one by one. Where a sample crosses its chunk's end, all are put back to the group's begin
 * and go on one by one, which finds out where it breaks. Lanes without a chunk of their own walk
 * over the first one's and write what it writes.
 *
 * Chunks of next to no bits, where long rows of samples are one code, are left to the iterator,
 * which takes such rows in one go.
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
    assert(n <= XOR_LANES);
    lanes_best(lanes, n);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512dq,bmi,bmi2")))
#define INLINE WIDE __attribute__((always_inline)) static inline

enum {
    /* copies of all lanes; what does not fit goes lane by lane */
    ROOM_BYTES = 1 << 14,
    /* Zeros behind a copy: a sample that begins before the end, and the loads of its last bits. */
    PAD_BYTES = 64,
    GROUP = 8,                             /* steps */
    /* What a group may walk over that began anywhere: eight of the longest samples. */
    WALK_BYTES = GROUP * XOR_SAMPLE_MAX_BYTES + PAD_BYTES,
    SPARSE_BITS = 5,                       /* a sample: fewer are rows of one code */
    LANES_MIN = 5                          /* fewer are faster one by one */
};

/* wrong: negative where a window was none. */
struct lanes {
    __m512i bit, end, t, delta, v, skip, trail, wrong;
};
/* What the lanes of a register are, as numbers. */
union lane_words { __m512i all; uint64_t at[XOR_LANES]; };

/* 121 good bits of each lane, or more: a sample, unless its time is of the long codes. */
struct window { __m512i high, low; };

/* The bits behind the first k of them, k <= 64. */
INLINE struct window window_from(struct window w, __m512i k)
{
    __m512i rest = _mm512_sub_epi64(_mm512_set1_epi64(64), k);
    return (struct window){
        _mm512_or_si512(_mm512_sllv_epi64(w.high, k), _mm512_srlv_epi64(w.low, rest)),
        _mm512_sllv_epi64(w.low, k)
    };
}

INLINE __m512i four_at(const uint8_t *p, const uint64_t *at)
{
    __m128i w0 = _mm_loadu_si128((const __m128i *)(p + at[0])),
            w1 = _mm_loadu_si128((const __m128i *)(p + at[2])),
            w2 = _mm_loadu_si128((const __m128i *)(p + at[4])),
            w3 = _mm_loadu_si128((const __m128i *)(p + at[6]));
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(w0), w1, 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(w2), w3, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Eight loads beat the gather instruction, which some machines' microcode slows down; and the way
 * through memory beats eight moves between registers of different kinds. */
INLINE struct window window_at(const uint8_t *p, __m512i bit)
{
    const __m512i swap = _mm512_set_epi64(0x08090a0b0c0d0e0f, 0x0001020304050607,
        0x08090a0b0c0d0e0f, 0x0001020304050607, 0x08090a0b0c0d0e0f, 0x0001020304050607,
        0x08090a0b0c0d0e0f, 0x0001020304050607);
    _Alignas(64) uint64_t at[XOR_LANES];
    _mm512_store_si512(at, _mm512_srli_epi64(bit, 3));
    __asm__("" : "+m"(at));
    __m512i even = four_at(p, at), odd = four_at(p, at + 1);
    struct window w = { _mm512_shuffle_epi8(_mm512_unpacklo_epi64(even, odd), swap),
        _mm512_shuffle_epi8(_mm512_unpackhi_epi64(even, odd), swap) };
    return window_from(w, _mm512_and_si512(bit, _mm512_set1_epi64(7)));
}

/* By value, as all of it: what lies in memory is stored and loaded at each step. */
struct times { __m512i bit, dod; };

/* The lanes of `which` have a long code of time at bit. */
WIDE __attribute__((noinline)) static struct times time_slow(
    const uint8_t *p, __mmask8 which, struct times in)
{
    union lane_words b = { in.bit }, d = { in.dod };
    for (unsigned m = which; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        d.at[i] = xor_time_slow(p, &b.at[i], xor_word(p, b.at[i]));
    }
    return (struct times){ b.all, d.all };
}

/* Time: moves bit and t on; gives the bits of the value. */
INLINE struct window step_time(struct lanes *l, const uint8_t *p)
{
    const __m512i one = _mm512_set1_epi64(1), least = _mm512_set1_epi64(-8192);
    struct window w = window_at(p, l->bit);
    __m512i twice = _mm512_add_epi64(w.high, w.high);
    __mmask8 changed = _mm512_movepi64_mask(w.high);
    __mmask8 rare = changed & _mm512_movepi64_mask(twice);
    __m512i dod = _mm512_srai_epi64(_mm512_slli_epi64(w.high, 2), 50);
    dod = _mm512_mask_mov_epi64(
        dod, _mm512_cmpeq_epi64_mask(dod, least), _mm512_set1_epi64(8192));
    __m512i length = _mm512_mask_mov_epi64(one, changed, _mm512_set1_epi64(16));
    if (LIKELY(!rare)) {
        l->bit = _mm512_add_epi64(l->bit, length);
        w = window_from(w, length);
    } else {
        l->bit = _mm512_mask_add_epi64(l->bit, (__mmask8)~rare, l->bit, length);
        struct times slow = time_slow(p, rare, (struct times){ l->bit, dod });
        l->bit = slow.bit;
        dod = slow.dod;
        w = window_at(p, l->bit);
    }
    l->delta = _mm512_mask_add_epi64(l->delta, changed, l->delta, dod);
    l->t = _mm512_add_epi64(l->t, l->delta);
    return w;
}

/* A value, with which w begins. */
INLINE void step_value(struct lanes *l, struct window w)
{
    const __m512i bits6 = _mm512_set1_epi64(63), zero = _mm512_setzero_si512();
    __mmask8 changed = _mm512_movepi64_mask(w.high);
    __mmask8 moved = changed & _mm512_movepi64_mask(_mm512_add_epi64(w.high, w.high));
    __m512i lead = _mm512_and_si512(_mm512_srli_epi64(w.high, 57), _mm512_set1_epi64(31));
    __m512i skip = _mm512_and_si512(_mm512_sub_epi64(zero, _mm512_srli_epi64(w.high, 51)), bits6);
    __m512i trail = _mm512_sub_epi64(skip, lead);
    l->wrong = _mm512_mask_or_epi64(l->wrong, moved, l->wrong, trail);
    l->skip = _mm512_mask_mov_epi64(l->skip, moved, skip);
    l->trail = _mm512_mask_mov_epi64(l->trail, moved, trail);
    __m512i code = _mm512_mask_mov_epi64(_mm512_set1_epi64(1), changed, _mm512_set1_epi64(2));
    code = _mm512_mask_mov_epi64(code, moved, _mm512_set1_epi64(13));
    __m512i x = window_from(w, code).high;
    x = _mm512_sllv_epi64(_mm512_srlv_epi64(x, l->skip), l->trail);
    l->v = _mm512_mask_xor_epi64(l->v, changed, l->v, x);
    __m512i sig = _mm512_maskz_sub_epi64(changed, _mm512_set1_epi64(64), l->skip);
    l->bit = _mm512_add_epi64(l->bit, _mm512_add_epi64(code, sig));
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

/* Did a sample of a lane cross its chunk's end, or its window's? The end is crossed for good. */
INLINE bool broken(const struct lanes *l)
{
    return _mm512_movepi64_mask(l->wrong) | _mm512_cmpgt_epi64_mask(l->bit, l->end);
}

INLINE void step(struct lanes *l, const uint8_t *p, __m512i *t, __m512i *v)
{
    struct window w = step_time(l, p);
    step_value(l, w);
    *t = l->t;
    *v = l->v;
}

/* Where the samples of each lane go. */
struct lane_columns { int64_t *t[XOR_LANES]; double *v[XOR_LANES]; };

/* The next GROUP samples of all. False: nothing has changed. */
INLINE bool group(struct lanes *io, const uint8_t *p, const struct lane_columns *to, uint32_t from)
{
    struct lanes l = *io;
    __m512i t[GROUP], v[GROUP];
#pragma GCC unroll 8
    for (int s = 0; s < GROUP; s++) step(&l, p, &t[s], &v[s]);
    if (broken(&l)) return false;
    *io = l;
    turn(t);
    turn(v);
#pragma GCC unroll 8
    for (int i = 0; i < XOR_LANES; i++) {
        _mm512_storeu_si512(to->t[i] + from, t[i]);
        _mm512_storeu_si512(to->v[i] + from, v[i]);
    }
    return true;
}

/* The next n < GROUP. */
WIDE __attribute__((noinline)) static bool group_rest(struct lanes *io, const uint8_t *p,
    const struct lane_columns *to, uint32_t from, uint32_t n)
{
    struct lanes l = *io;
    __m512i t[GROUP], v[GROUP];
    for (uint32_t s = 0; s < GROUP; s++) t[s] = v[s] = _mm512_setzero_si512();
    for (uint32_t s = 0; s < n; s++) step(&l, p, &t[s], &v[s]);
    if (broken(&l)) return false;
    *io = l;
    turn(t);
    turn(v);
    __mmask8 which = (__mmask8)((1u << n) - 1);
    for (int i = 0; i < XOR_LANES; i++) {
        _mm512_mask_storeu_epi64(to->t[i] + from, which, t[i]);
        _mm512_mask_storeu_epi64(to->v[i] + from, which, v[i]);
    }
    return true;
}

/* The lanes' states as numbers, the chunks that they walk over, and these chunks' copies. */
struct lane_set {
    union lane_words bit, end, t, delta, v, skip, trail;
    struct lane_columns to;
    struct xor_lane *of[XOR_LANES];
    uint64_t begin[XOR_LANES];             /* of the copy, in bits */
    size_t n, used;
    uint32_t shortest;
    _Alignas(64) uint8_t room[ROOM_BYTES];
};

static void set_lane(struct lane_set *s, size_t i, struct xor_lane *lane, uint64_t begin)
{
    const struct xor_iter *it = &lane->it;
    s->begin[i] = begin;
    s->bit.at[i] = begin + it->bit;
    s->end.at[i] = begin + 8 * it->chunk.n;
    s->t.at[i] = (uint64_t)it->t;
    s->delta.at[i] = it->delta;
    s->v.at[i] = it->v;
    s->skip.at[i] = it->skip;
    s->trail.at[i] = it->trail;
    s->to.t[i] = lane->t;
    s->to.v[i] = lane->v;
    s->of[i] = lane;
}

/* A chunk that is worth it: its first two samples are read, and it is copied. */
static void set_add(struct lane_set *s, struct xor_lane *lane)
{
    struct xor_iter *it = &lane->it;
    str c = it->chunk;
    size_t got;
    if (it->bad || it->n < 2 * GROUP || c.n * 8 < (size_t)it->n * SPARSE_BITS) return;
    if (c.n + PAD_BYTES > ROOM_BYTES - WALK_BYTES - s->used) return;
    if (xor_iter_fill(it, lane->t, lane->v, 2, &got, NULL) != OK || got < 2) return;
    memcpy(s->room + s->used, c.p, c.n);
    memset(s->room + s->used + c.n, 0, PAD_BYTES);
    set_lane(s, s->n++, lane, 8 * s->used);
    s->used += c.n + PAD_BYTES;
    s->shortest = MIN(s->shortest, it->n);
}

/* All as far as the shortest goes. Gives how far. */
WIDE static uint32_t set_walk(struct lane_set *s)
{
    struct lanes l = { s->bit.all, s->end.all, s->t.all, s->delta.all, s->v.all, s->skip.all,
        s->trail.all, _mm512_setzero_si512() };
    uint32_t at = 2;
    bool good = true;
    while (good && s->shortest - at >= GROUP) {
        good = group(&l, s->room, &s->to, at);
        if (good) at += GROUP;
    }
    if (good && at < s->shortest && group_rest(&l, s->room, &s->to, at, s->shortest - at))
        at = s->shortest;
    s->bit.all = l.bit;
    s->t.all = l.t;
    s->delta.all = l.delta;
    s->v.all = l.v;
    s->skip.all = l.skip;
    s->trail.all = l.trail;
    return at;
}

static void lanes_wide(struct xor_lane *lanes, size_t n)
{
    struct lane_set s;
    s.n = s.used = 0;
    s.shortest = UINT32_MAX;
    if (n >= LANES_MIN)
        for (size_t i = 0; i < n; i++) set_add(&s, &lanes[i]);
    if (s.n >= LANES_MIN) {
        memset(s.room + s.used, 0, WALK_BYTES);
        for (size_t i = s.n; i < XOR_LANES; i++) set_lane(&s, i, s.of[0], s.begin[0]);
        uint32_t at = set_walk(&s);
        for (size_t i = 0; i < s.n; i++) {
            struct xor_iter *it = &s.of[i]->it;
            it->i = at;
            it->bit = s.bit.at[i] - s.begin[i];
            it->t = (int64_t)s.t.at[i];
            it->delta = s.delta.at[i];
            it->v = s.v.at[i];
            it->skip = (uint8_t)s.skip.at[i];
            it->trail = (uint8_t)s.trail.at[i];
        }
    }
    lanes_plain(lanes, n);
}

/* All that WIDE names; the compiler's library also asks whether the system keeps the registers. */
static bool has_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
#endif

void xor_lanes_use_plain(bool plain)
{
    lanes_best = lanes_plain;
#if defined(__x86_64__)
    if (!plain && has_wide()) lanes_best = lanes_wide;
#else
    (void)plain;
#endif
}

__attribute__((constructor)) static void xor_lanes_choose(void) { xor_lanes_use_plain(false); }
