/* open_chunk.h — the chunk of a series that still takes samples.
 *
 * What        Samples are held in the cheapest form that gives their bits back: times by reference
 *             to a run, values as
 *               CONST  all equal: nothing but the slot's last value
 *               UP     v = m units, a unit being a power of ten or of two, one a chunk; m never
 *               falls: its steps in an adaptive Rice code DEC    the same with steps of either sign
 *               XOR    Prometheus' value bits, without the times
 *             Codings climb in this order only, when a value does not fit; the chunk is then
 *             written anew. Beside it the slot counts how long the real chunk would be, so that it
 *             ends where Prometheus ends it. A run-length coding has no place: a repeated value is
 *             one bit in the others, and a cell once taken costs the same. Histograms, and floats
 *             with start timestamps, are head/byte_chunk's: coding BYTES.
 * Invariants  (1) Decoding gives the bits that were appended: a unit is taken only where m units
 *             have v's bits. (2) The cut points are those of chunk/cut. (3) xor_bits is the exact
 *             length of the encoded chunk.
 * Ownership   cells and the reference to the run belong to the slot, then to the sealed chunk
 * Threads     open_append, open_copy, open_drop: slot locked. The context is one thread's.
 * Errors      none
 * Format      in memory only
 */
#ifndef EPI_HEAD_OPEN_CHUNK_H
#define EPI_HEAD_OPEN_CHUNK_H

#include "base/buf.h"
#include "head/rice.h"
#include "head/store.h"

/* Runs that were begun or forked by this context: what the next series of the same page will want.
 * Holds references. */
enum { RUN_HINTS = 64 };
struct run_hint { uint32_t from, run; uint16_t n; int64_t t; };

/* The step that the series of a page have in common: to who holds the first n times of this run, t
 * is the next one, it ends no chunk by its time, and takes so many bits. Kept, with a reference,
 * when two series in a row took the same step. */
struct open_step_of { uint32_t run; uint16_t n, time_bits; int64_t t; bool kept; };

/* The same for series that take many samples one after the other, as in a replay: what each of them
 * finds out about the places [from, to) of the run that it goes along serves all that go along it,
 * too. Holds a reference. */
struct open_steps {
    uint32_t run;
    uint16_t from, to;
    uint16_t time_bits[RUN_MAX];
    int64_t t[RUN_MAX];
};

struct open_ctx {
    struct store *store;
    struct open_step_of same;
    struct open_steps *steps; /* the owner's, zeroed; NULL: it needs none */
    struct cell_stock stock;
    struct run_hint hints[RUN_HINTS];
    unsigned n_hints;
    uint64_t n_opened, n_sealed;
};
void open_ctx_init(struct open_ctx *c, struct store *s);
/* gives hints and stock back; the context may go on */
void open_ctx_release(struct open_ctx *c);

/* REQUIRES: t > the slot's last t. slot_i: the slot's index. */
void open_append(struct open_ctx *c, uint32_t slot_i, struct slot *slot, int64_t t, double v);
/* forgets the open chunk; sealed ones are marked dropped */
void open_drop(struct store *s, struct slot *slot);
void open_free_sealed(struct store *s, uint32_t sealed);       /* cells, run and entry */

/* The open chunk goes to the queue of those that are full. REQUIRES: n > 0 */
void open_seal(struct open_ctx *c, uint32_t slot_i, struct slot *slot);
/* Does t end the open chunk? REQUIRES: n > 0, of plain floats */
bool open_is_full(const struct store *s, const struct slot *slot, int64_t t);
/* When did these begin? open_mint REQUIRES: n > 0 */
int64_t open_mint(const struct store *s, const struct slot *slot);
int64_t sealed_mint(const struct store *s, const struct sealed *q);
int64_t slot_mint(const struct store *s, const struct slot *slot);     /* INT64_MAX: no samples */

/* A chunk taken out from under the lock, to be decoded without it. bytes: of coding BYTES, the
 * encoding of which is `unit`; begun by the owner, as the zero value, where there may be such. */
/* 70 bits a sample for 256 samples fill 38 cells; who decodes what is none reads 77 a sample */
enum { COPY_CELLS = 38, COPY_WORDS = 640 };
struct chunk_copy {
    unsigned n;
    uint8_t coding, unit;
    uint64_t last_v;
    int64_t mint, maxt;
    struct buf bytes;
    uint32_t n_words;
    int64_t t[RUN_MAX];
    uint32_t words[COPY_WORDS];
};
void open_copy(const struct store *s, const struct slot *slot, struct chunk_copy *out);
void sealed_copy(const struct store *s, const struct sealed *sealed, struct chunk_copy *out);
/* The bytes that chunk files and blocks hold, appended; how many. */
size_t chunk_copy_encode(const struct chunk_copy *c, struct buf *to);
uint8_t chunk_copy_enc(const struct chunk_copy *c);            /* their encoding */
/* Of an open chunk of plain floats, what its copy has not: with both it can be open again. */
struct open_state {
    uint16_t payload_bits, xor_bits;
    uint8_t xor_lead, xor_trail, rice;
    bool falls;
};
struct open_state open_state_of(const struct slot *slot);
/* Is it one that appending and decoding can go on with? Not: whether it is right. */
bool open_state_holds(const struct chunk_copy *x, const struct open_state *s);
/* The chunk is the slot's open one, its times the first n of the run, which it takes a reference
 * to. False: it does not hold. REQUIRES: slot locked, without an open chunk; the run has
 * them, and they follow the slot's. */
bool open_restore(struct open_ctx *c, struct slot *slot, uint32_t run, const struct chunk_copy *x,
    const struct open_state *s);
/* the first n. REQUIRES: another coding than BYTES */
void chunk_copy_values(const struct chunk_copy *c, unsigned n, double *v);
/* The same as one of several. REQUIRES: coding UP or DEC */
struct rice_chain chunk_copy_chain(const struct chunk_copy *c, unsigned n, double *v);

#endif
