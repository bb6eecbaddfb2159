/* symbols.h — the names and values of labels, each pair once.
 *
 * What        A pair (name, value) has a number, a name has one; both carry the postings of the
 *             series that have them. The pairs of a name are chained. A series stores pair numbers
 *             only.
 * Invariants  (1) A pair with this name and value exists at most once. (2) Strings and entries stay
 *             in place while a reader of the reclaim that could reach them lives. (3) Numbers start
 *             at 1; one is used again only after such readers are gone.
 * Ownership   symbols_init/symbols_fini; accounts "symbols" and (lists) "postings"
 * Threads     look-ups by text and changes: LOCK_HEAD_SYMBOLS, taken inside. Everything by number:
 *             any reader, without a lock.
 * Errors      symbols_pair: 0 when 4 GiB of text are full
 * Format      none
 */
#ifndef EPI_HEAD_SYMBOLS_H
#define EPI_HEAD_SYMBOLS_H

#include "base/slab.h"
#include "head/pages.h"
#include "head/postings.h"

struct sym_name {                              /* 32 bytes */
    postings series;                           /* that have the name */
    uint32_t text;                             /* handle: uvarint length, bytes; const */
    uint32_t hash;                             /* const */
    _Atomic uint32_t first_pair;               /* release when a pair is added; 0: none */
    _Atomic uint32_t n_pairs;                  /* relaxed: a figure */
    _Atomic uint64_t value_bytes;              /* relaxed: of the texts of its pairs */
};
struct sym_pair { /* 32 bytes */
    postings series;
    uint32_t text, hash, name;                 /* const while the pair lives */
    _Atomic uint32_t next;                     /* of the same name */
    uint64_t begins;                           /* the value: text_begins; const while it lives */
};

/* open addressing, position by the high bits of the hash */
struct id_index { uint32_t *at; uint32_t cap, n; };
enum { PAIR_INDEXES = 64 };
struct symbols {
    struct mtx mu;                             /* LOCK_HEAD_SYMBOLS */
    struct slab names, pairs;                  /* entries by number */
    struct pages text;
    struct id_index by_name;                   /* GUARDED_BY(mu) */
    /* GUARDED_BY(mu); by the low bits of the hash: growing holds up others for one part only */
    struct id_index by_pair[PAIR_INDEXES];
    /* chain of names: sym_name has no next; numbers run from 1 to this */
    _Atomic uint32_t first_name;
    uint64_t seed;                             /* const: of the hashes, drawn at start */
    struct reclaim *reclaim;
};

void symbols_init(struct symbols *s, struct reclaim *rc);
void symbols_fini(struct symbols *s);

static inline struct sym_name *symbols_name_at(const struct symbols *s, uint32_t id)
{
    return slab_at(&s->names, id);
}
static inline struct sym_pair *symbols_pair_at(const struct symbols *s, uint32_t id)
{
    return slab_at(&s->pairs, id);
}
static inline str symbols_text(const struct symbols *s, uint32_t text)
{
    const uint8_t *at = pages_at(&s->text, text);
    size_t n = *at++;
    if (n >= 0x80) {
        n &= 0x7f;
        for (unsigned shift = 7, more = 1; more; shift += 7) {
            uint8_t b = *at++;
            n |= (size_t)(b & 0x7f) << shift;
            more = b & 0x80;
        }
    }
    return str_of(at, n);
}
static inline str symbols_name(const struct symbols *s, uint32_t id)
{
    return symbols_text(s, symbols_name_at(s, id)->text);
}
static inline str symbols_value(const struct symbols *s, uint32_t pair)
{
    return symbols_text(s, symbols_pair_at(s, pair)->text);
}
/* The first eight bytes, the first one highest, zeros behind the end: who looks for a prefix among
 * all values of a name need not go to their texts. */
static inline uint64_t text_begins(str v)
{
    uint64_t x = 0;
    for (size_t i = 0; i < sizeof(x) && i < v.n; i++) x |= (uint64_t)v.p[i] << (56 - 8 * i);
    return x;
}
/* names are 1 … this; one without pairs is no name at present */
uint32_t symbols_n_names(const struct symbols *s);

uint32_t symbols_find_name(struct symbols *s, str name);       /* 0: none */
uint32_t symbols_find_pair(struct symbols *s, uint32_t name, str value);
uint32_t symbols_intern(struct symbols *s, str name, str value);   /* the pair, made if need be */

/* The same, faster if the pair `like` has the same name, or is the one. REQUIRES: like lives, or is
 * 0; nobody sweeps meanwhile. */
uint32_t symbols_intern_like(struct symbols *s, uint32_t like, str name, str value);

/* Drops the pairs of a name that no series has, looking at no more than max of them; where NULL
 * begins, and is the end again. Between two calls others may intern. REQUIRES: nobody interns
 * meanwhile (the head's creation lock), and nobody else sweeps. */
typedef _Atomic uint32_t *symbols_place;
void symbols_sweep(struct symbols *s, uint32_t name, size_t max, symbols_place *where);
uint64_t symbols_bytes(const struct symbols *s);               /* of text */

#endif
