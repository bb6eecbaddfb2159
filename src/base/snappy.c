/* snappy.c — see snappy.h
 *
 * An element is a tag, up to four bytes of a length or a distance, and for a literal its bytes:
 *
 *     llllll00  literal of l + 1 bytes; l from 60 on: the length less one in 1 … 4 bytes
 *     ooolll01  copy of l + 4 bytes from `o` and one byte more before
 *     llllll10  copy of l + 1 bytes from two bytes before, little end first
 *     llllll11  the same with four
 *
 * Which kind comes next cannot be guessed, and a wrong guess costs more than the element. So while
 * there is room to be careless a short literal and a short copy are one and the same thing: 16
 * bytes moved from somewhere, and a table says how far to go on. Only what is long, or overlaps
 * itself, takes a branch.
 */
#include "base/snappy.h"

enum {
    STEP = 16, /* bytes moved at once */
    COPY_MOST = 64,
    MARGIN = 32, /* so near to the end of the input nothing is careless */
    LONG_LITERAL = 60
};
enum { LITERAL, COPY_NEAR, COPY_FAR, COPY_ANYWHERE }; /* the tag's last bits */

/* What a tag says in one word: its length (UINT8_MAX: not by itself), how far it is to the next
 * tag, and what it adds to the distance that the two bytes behind it are, masked. */
#define KIND(t) ((t)&3u)
#define TOP(t) ((t) >> 2)
#define BASE(t) (KIND(t) == COPY_NEAR ? (t) >> 5 << 8 : 0u)
#define IS_LONG(t) (KIND(t) == COPY_ANYWHERE || (KIND(t) == LITERAL && TOP(t) >= LONG_LITERAL))
#define LENGTH(t) (KIND(t) == COPY_NEAR ? 4u + (TOP(t) & 7u) : IS_LONG(t) ? UINT8_MAX : TOP(t) + 1u)
#define ON(t) (KIND(t) == LITERAL ? TOP(t) + 2u : KIND(t) + 1u)
#define E1(t) LENGTH(t) | ON(t) << 8 | BASE(t) << 16
#define E4(t) E1(t), E1((t) + 1), E1((t) + 2), E1((t) + 3)
#define E16(t) E4(t), E4((t) + 4), E4((t) + 8), E4((t) + 12)
#define E64(t) E16(t), E16((t) + 16), E16((t) + 32), E16((t) + 48)
static const uint32_t elements[256] = { E64(0u), E64(64u), E64(128u), E64(192u) };
static const uint64_t masks = 0xffffull << 16 * COPY_FAR | 0xffull << 16 * COPY_NEAR;

/* in <= in_end, begin <= out <= out_end, always */
struct unpacking {
    const uint8_t *in, *in_end;
    uint8_t *begin, *out, *out_end;
};

static inline size_t in_left(const struct unpacking *k) { return (size_t)(k->in_end - k->in); }
static inline size_t out_left(const struct unpacking *k) { return (size_t)(k->out_end - k->out); }

/* `bytes` little end first. */
static inline bool take_number(struct unpacking *k, unsigned bytes, uint32_t *n)
{
    if (in_left(k) < bytes) return false;
    *n = 0;
    for (unsigned i = 0; i < bytes; i++)
        *n |= (uint32_t)*k->in++ << 8 * i;
    return true;
}

static bool put_literal(struct unpacking *k, unsigned top)
{
    uint32_t less = top;
    if (top >= LONG_LITERAL && !take_number(k, top - LONG_LITERAL + 1, &less)) return false;
    if (less >= in_left(k) || less >= out_left(k)) return false;
    memcpy(k->out, k->in, (size_t)less + 1);
    k->in += (size_t)less + 1;
    k->out += (size_t)less + 1;
    return true;
}

static bool put_copy(struct unpacking *k, uint32_t back, size_t n)
{
    if (back - 1u >= (size_t)(k->out - k->begin) || n > out_left(k)) return false;
    uint8_t *to = k->out;
    const uint8_t *from = to - back;
    k->out += n;
    if (back >= STEP && (size_t)(k->out_end - to) >= COPY_MOST) {
        for (size_t i = 0; i < n; i += STEP)
            memcpy(to + i, from + i, STEP);
        return true;
    }
    if (back >= n) memcpy(to, from, n);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = from[i]; /* what it writes is read again */
    return true;
}

/* Any element. */
static bool put_element(struct unpacking *k)
{
    unsigned tag = *k->in++;
    uint32_t back = 0;
    if (KIND(tag) == LITERAL) return put_literal(k, TOP(tag));
    unsigned bytes = KIND(tag) == COPY_ANYWHERE ? 4 : KIND(tag);
    if (!take_number(k, bytes, &back)) return false;
    if (KIND(tag) == COPY_NEAR) return put_copy(k, back | BASE(tag), LENGTH(tag));
    return put_copy(k, back, TOP(tag) + 1u);
}

/* Short elements, until there is one that is none or the end is near. What is moved beyond an
 * element's length is written over by the next one. */
static inline void put_short(struct unpacking *k)
{
    const uint8_t *in = k->in, *in_stop = k->in_end - MARGIN, *begin = k->begin;
    uint8_t *out = k->out, *out_stop = k->out_end - STEP;
    while (in < in_stop && out <= out_stop) {
        uint32_t x = elements[*in];
        uint16_t two;
        memcpy(&two, in + 1, sizeof(two));
        unsigned kind = KIND(*in);
        size_t back = (two & (masks >> 16 * kind & 0xffff)) + (x >> 16), n = x & 0xff;
        bool literal = kind == LITERAL, known = (back >= n) & (back <= (size_t)(out - begin));
        if (UNLIKELY((n > STEP) | !(literal | known))) break;
        /* by arithmetic: where the compiler is asked for a choice it makes a branch of it */
        uintptr_t copied = (uintptr_t)out - back, given = (uintptr_t)in + 1;
        const void *from = (const void *)(copied ^ ((copied ^ given) & -(uintptr_t)literal));
        uint64_t step[2];
        memcpy(step, from, STEP);
        memcpy(out, step, STEP);
        in += x >> 8 & 0xff;
        out += n;
    }
    k->in = in;
    k->out = out;
}

/* The library's: at most five bytes, the fifth at most 15. */
static bool take_length(struct unpacking *k, uint32_t *n)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 32 && k->in < k->in_end; shift += 7) {
        uint8_t x = *k->in++;
        if (shift == 28 && x >= 16) return false;
        v |= (uint32_t)(x & 0x7f) << shift;
        if (x < 0x80) {
            *n = v;
            return true;
        }
    }
    return false;
}

static struct unpacking unpacking_of(str packed, void *room, size_t n)
{
    uint8_t *to = room;
    return (struct unpacking){ packed.p, packed.n ? packed.p + packed.n : packed.p, to, to,
        n ? to + n : to };
}

bool snappy_length(str packed, uint32_t *n)
{
    struct unpacking k = unpacking_of(packed, NULL, 0);
    return take_length(&k, n);
}

bool snappy_unpack(void *room, size_t n, str packed)
{
    struct unpacking k = unpacking_of(packed, room, n);
    uint32_t says;
    bool begun = take_length(&k, &says);
    assert(begun && says == n);
    while (k.in < k.in_end) {
        if (in_left(&k) > MARGIN && out_left(&k) >= STEP) put_short(&k);
        if (!put_element(&k)) return false;
    }
    return k.out == k.out_end;
}
