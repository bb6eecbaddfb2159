/* replay_log.h — the segments of a log, read into a head by all cores.
 *
 * What        Works in rounds of some MiB of stored records, cut into pieces. While the pieces of
 *             one round are unpacked and decoded, beside each other, the next round is read; what
 *             that gives waits in the head's replay until there is enough of it, and is then
 *             applied part by part, beside each other, too.
 * Invariants  (1) What a record says of a series holds from its place in the log on, however far
 *             reading is ahead. (2) Two rounds and what waits are in memory, not the log:
 *             ROUND_PIECES_MIN * PIECE_BYTES twice and WAITING_BYTES, and a record more. (3) With
 *             one worker no thread is started, and the order of what is done depends on nothing but
 *             the log.
 * Ownership   replay_log_new allocates, replay_log_free frees; borrows the file system and the
 *             head's replay
 * Threads     one; its own workers run within the calls
 * Errors      ERR_IO, ERR_NO_SPACE of reading, and those of the image; damage is no error but
 *             noted: its segments are told. ERR_CORRUPT: see replay_log_image_in_way,
 *             replay_log_decoded_late
 * Format      none
 */
#ifndef EPI_TSDB_REPLAY_LOG_H
#define EPI_TSDB_REPLAY_LOG_H

#include "base/vec.h"
#include "io/reader.h"

struct head_replay;
struct pool;
struct replay_log;
typedef VEC(uint32_t) segment_list;

struct replay_place { uint32_t seg; uint64_t off; };
struct replay_log_opts {
    struct fs *fs; enum io_backend backend;
    struct head_replay *replay;
    unsigned workers;                          /* 1: only the caller */
    size_t piece_bytes, waiting_bytes;         /* 0: the usual; for tests */
    /* what is decoded has come to this segment; may be NULL */
    void (*progress)(uint32_t segment);
    /* Of what lies before image_seg/image_off, samples are passed over: image gives them, once,
     * when all before is applied. NULL: there is none. pool may be NULL. */
    errc (*image)(void *ctx, struct pool *pool, struct err *e);
    void *image_ctx;
    uint32_t image_seg; uint64_t image_off;
    bool check_all;                            /* samples that are passed over are decoded, too */
    /* a place of the log, not of its checkpoint, that is damaged, whatever is found there; NULL:
     * none is known */
    const struct replay_place *damage;
};
/* torn: of the corruptions; see wal_reader_torn() */
struct replay_log_counts { uint64_t records, corruptions, torn; };

struct replay_log *replay_log_new(const struct replay_log_opts *o);
void replay_log_free(struct replay_log *l);    /* NULL is fine */

/* A folder's segments first … last, of the first what begins at the offset. before_image: all of it
 * lies there. */
/* checkpoint: damage of it cuts no deletion, as nobody else reads a log behind it */
struct replay_span {
    str dir; uint32_t first, last; uint64_t offset; bool before_image, checkpoint;
};
/* bad: segments with damage, or missing. cut: segments with deletions that hide less, because they
 * lie behind damage (head_replay_damage), from `from` on. */
struct replay_found { segment_list bad, cut; struct replay_place from; };
void replay_found_fini(struct replay_found *f);
MUST_USE errc replay_log_span(
    struct replay_log *l, const struct replay_span *s, struct replay_found *out, struct err *e);
/* A span failed: there is damage in what the image stands for, and a deletion behind it. What lay
 * before the damage cannot be told; without the image it can. */
bool replay_log_image_in_way(const struct replay_log *l);
/* A span failed: a record that only its decoder could refuse lies before a deletion. Read once
 * more, with that damage known, the deletion hides what it should. */
bool replay_log_decoded_late(const struct replay_log *l, struct replay_place *damage);
/* after the last span: an image at the very end of the log is taken here */
MUST_USE errc replay_log_take_image(struct replay_log *l, struct err *e);
/* applies what waits */
void replay_log_end(struct replay_log *l, struct replay_log_counts *out);

#endif
