/* bits.h — bits on their way out of and into bytes, most significant first, without alignment.
 *
 * What        A writer and a reader of single fields, and the codes that several chunk encodings
 *             have in common: varbit integers, byte varints, and values as the XOR with the last.
 * Invariants  (1) What a put wrote, the take of the same name reads. (2) The last byte written is
 *             padded with zeros. (3) The reader never looks past its end: what is not there reads
 *             as zero and sets `bad`, for good.
 * Ownership   borrows the caller's bytes
 * Threads     values
 * Errors      reader: sticky `bad`
 * Format      docs/format/chunks.md
 *
 * A writer stores whole words: the caller has BITS_SLACK bytes of room beyond what it writes.
 */
#ifndef EPI_CHUNK_BITS_H
#define EPI_CHUNK_BITS_H

#include "base/str.h"

enum {
    BITS_SLACK = 8,
    BITS_WINDOW = 57,                      /* bits that a load at any bit position has at least */
    VARBIT_MAX_BITS = 72,
    XOR_VALUE_MAX_BITS = 77,
    BITS_NO_WINDOW = 0xff                  /* lead: no window yet, the first change writes one */
};

static inline uint64_t bits_load_be64(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return __builtin_bswap64(w);
}
static inline uint64_t bits_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t bits_unzigzag(uint64_t u) { return (int64_t)((u >> 1) ^ (0 - (u & 1))); }

/* A number of n bits whose field holds -(2^(n-1)-1) … 2^(n-1): 100…0 is positive. What is above
 * the low n bits of x does not matter. */
static inline uint64_t bits_signed_class(uint64_t x, unsigned n)
{
    uint64_t bias = ((uint64_t)1 << (n - 1)) - 1;
    return ((x + bias) & (((uint64_t)1 << n) - 1)) - bias;
}

/* ---- out ---- */

/* `acc` holds the newest `used` < 8 bits at its top, everything before them is stored. Each put
 * stores a whole word and moves on by whole bytes, so that nothing depends on a branch. */
struct bits { uint8_t *p; uint64_t acc; unsigned used; };

/* Goes on behind the first n bits of what lies at base. */
static inline struct bits bits_resume(uint8_t *base, uint64_t n)
{
    unsigned used = (unsigned)(n & 7);
    uint8_t *p = base + (n >> 3);
    uint64_t last = used ? (uint64_t)(*p & (0xff00 >> used)) << 56 : 0;
    return (struct bits){ p, last, used };
}
static inline uint64_t bits_count(const struct bits *b, const uint8_t *base)
{
    return (uint64_t)(b->p - base) * 8 + b->used;
}

/* The low k bits of v, 1 <= k <= 56; the others are zero. */
__attribute__((always_inline)) static inline void bits_put(struct bits *b, uint64_t v, unsigned k)
{
    b->acc |= v << (64 - b->used - k);
    uint64_t w = __builtin_bswap64(b->acc);
    memcpy(b->p, &w, 8);
    b->used += k;
    b->p += b->used >> 3;
    b->acc <<= b->used & 56;
    b->used &= 7;
}
static inline void bits_put_long(struct bits *b, uint64_t v, unsigned k)       /* k <= 64 */
{
    if (k <= 56) { bits_put(b, v, k); return; }
    bits_put(b, v >> 32, k - 32);
    bits_put(b, v & 0xffffffff, 32);
}
static inline void bits_put_uvarint(struct bits *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) bits_put(b, (v & 0x7f) | 0x80, 8);
    bits_put(b, v, 8);
}
static inline void bits_put_varint(struct bits *b, int64_t v)
{
    bits_put_uvarint(b, bits_zigzag(v));
}
void bits_put_varbit(struct bits *b, int64_t v);
void bits_put_uvarbit(struct bits *b, uint64_t v);

/* The last place where a value differed from the one before: its zeros in front and behind. */
struct xor_window { uint8_t lead, trail; };

/* Does a change x fit the window? If not, it makes a new one. BITS_NO_WINDOW fits nothing. */
__attribute__((always_inline)) static inline bool xor_window_fits(struct xor_window *w, uint64_t x)
{
    unsigned l = (unsigned)__builtin_clzll(x), t = (unsigned)__builtin_ctzll(x);
    if (l > 31) l = 31;
    if (LIKELY(l >= w->lead && t >= w->trail)) return true;
    *w = (struct xor_window){ (uint8_t)l, (uint8_t)t };
    return false;
}
void bits_put_xor(struct bits *b, uint64_t x, struct xor_window *w);   /* 0, 10 or 11 */

/* ---- in ---- */

struct bit_reader { const uint8_t *p; uint64_t bit, end; bool bad; };

static inline struct bit_reader bit_reader_of(str s)
{
    return (struct bit_reader){ .p = s.p, .end = 8 * (uint64_t)s.n };
}
uint64_t bits_word_at_end(const struct bit_reader *r);
/* The next BITS_WINDOW bits at the top of the word; zeros behind the end. */
static inline uint64_t bits_word(const struct bit_reader *r)
{
    if (UNLIKELY(r->end - r->bit < 64 + 8)) return bits_word_at_end(r);
    return bits_load_be64(r->p + (r->bit >> 3)) << (r->bit & 7);
}
static inline bool bits_skip(struct bit_reader *r, unsigned k)
{
    bool there = r->end - r->bit >= k;
    r->bit = there ? r->bit + k : r->end;
    r->bad |= !there;
    return there;
}
static inline uint64_t bits_take_short(struct bit_reader *r, unsigned k)       /* 1 <= k <= 57 */
{
    uint64_t w = bits_word(r);
    return bits_skip(r, k) ? w >> (64 - k) : 0;
}
static inline uint64_t bits_take(struct bit_reader *r, unsigned k)             /* 1 <= k <= 64 */
{
    if (k <= BITS_WINDOW) return bits_take_short(r, k);
    uint64_t high = bits_take_short(r, k - 32);
    return high << 32 | bits_take_short(r, 32);
}
uint64_t bits_take_uvarint(struct bit_reader *r);
static inline int64_t bits_take_varint(struct bit_reader *r)
{
    return bits_unzigzag(bits_take_uvarint(r));
}
int64_t bits_take_varbit(struct bit_reader *r);
uint64_t bits_take_uvarbit(struct bit_reader *r);
/* Adds the next n varbit integers to those of `to`. */
void bits_add_varbits(struct bit_reader *r, uint64_t *to, size_t n);
void bits_take_xor(struct bit_reader *r, uint64_t *v, struct xor_window *w);   /* moves *v */
void bits_take_xor_new(struct bit_reader *r, uint64_t *v, struct xor_window *w);   /* behind 11 */

#endif
