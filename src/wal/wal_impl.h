/* wal_impl.h — what the parts of the log share: its state, and what they do for each other.
 *
 * What        wal.c is the door and the leader of a group, wal_batch.c makes batches and stocks
 *             them, wal_files.c writes, syncs, cuts and recovers segments.
 * Invariants  what wal_files.c changes is the leader's, or of who is alone at the files
 * Ownership   struct wal owns all of it
 * Threads     as each field and function says
 * Errors      as wal.h
 * Format      none
 */
#ifndef EPI_WAL_WAL_IMPL_H
#define EPI_WAL_WAL_IMPL_H

#include "base/buf.h"
#include "base/lock.h"
#include "wal/page.h"
#include "wal/record.h"
#include "wal/wal.h"
#include "wal/wal_metrics.h"

enum { WAL_SPARE_BATCHES = 8, WAL_SPARE_BATCH_MAX_BYTES = 1 << 20, WAL_WARN_EVERY_MS = 10000 };
enum { WAL_SETTLED_KEPT = 2, WAL_SETTLED_MIN_BYTES = 128 << 10 };

struct wal_piece { uint32_t n; uint8_t flags; };
/* on the stack of wal_commit */
struct wal_waiter { bool done; errc rc; struct err *e; struct wal_waiter *next; };

struct wal_batch {
    /* the record being made; the stored bytes of the others, one after the other */
    struct buf room, stored;
    VEC(struct wal_piece) pieces;
    enum compress_kind compress;
    int64_t saved_bytes;                       /* by compression */
    struct wal_waiter *waiter;                     /* while queued */
    struct wal_batch *next;
    uint64_t seq;                              /* when held */
};
struct wal_batch_list { struct wal_batch *first, **last; };

typedef VEC(size_t) wal_end_list;
struct wal_file {
    struct file *f;
    uint32_t n;
    uint64_t size, synced;
    bool cut;                                  /* since its last fsync */
};

struct wal {
    struct wal_opts o;                         /* const after open; dir is on the heap */
    struct wal_metrics *m;
    struct mtx mu;                             /* LOCK_WAL */
    struct cond changed;                       /* leading, at_files, waiters */
    struct cond stopping;                      /* stop: for the thread */
    struct wal_batch_list queue;                   /* GUARDED_BY(mu) */
    /* GUARDED_BY(mu): entries of series records that wait, without the type byte */
    struct buf series;
    wal_end_list series_ends;                      /* GUARDED_BY(mu): where each entry ends */
    ref_tombstones ended;                          /* GUARDED_BY(mu): whose ends wait */
    /* GUARDED_BY(mu): written, not yet synced, in the order of the log */
    struct wal_batch_list held;
    size_t held_bytes;                         /* GUARDED_BY(mu) */
    uint64_t next_seq, synced_seq;             /* GUARDED_BY(mu) */
    uint64_t last_place;                       /* GUARDED_BY(mu): given to who asked for it */
    int64_t unsynced_since_ns;                 /* GUARDED_BY(mu): 0: all is synced */
    struct wal_batch_list spare;                   /* GUARDED_BY(mu) */
    size_t n_spare;
    /* GUARDED_BY(mu): what large batches were stored in, for the next ones */
    struct buf settled[WAL_SETTLED_KEPT];
    bool leading;                              /* GUARDED_BY(mu): somebody is the leader */
    /* GUARDED_BY(mu): somebody syncs, or changes the list of files */
    bool at_files;
    bool stop;                                 /* GUARDED_BY(mu) */
    bool full, failed;                         /* GUARDED_BY(mu): what the last write met */
    /* GUARDED_BY(mu): an fsync failed and recover() has not worked yet */
    bool recover;
    /* GUARDED_BY(mu): a name was made or removed since the folder was synced */
    bool dir_dirty;
    /* who set at_files changes the list, under mu; sizes: the leader under mu */
    VEC(struct wal_file) files;
    /* GUARDED_BY(mu): what is being written may be cut back to this segment; UINT32_MAX: nothing
     * is */
    uint32_t back_to;
    uint64_t old_bytes;                        /* GUARDED_BY(mu): of the closed segments */
    /* GUARDED_BY(mu): segment and offset after the last group */
    struct wal_stat stat;
    /* The leader's alone. */
    struct file *cur_file; uint32_t cur_n;     /* the last of files */
    uint64_t off;                              /* where the next fragment goes in it */
    bool cut; uint32_t cut_seg; uint64_t cut_off;   /* roll_back has to be tried again */
    /* the last file is recover()'s, and its name durable or not */
    enum { RESCUE_NONE, RESCUE_BEGUN, RESCUE_DONE } rescue;
    bool dropped;                              /* a file, and its folder is not synced yet */
    struct buf out, series_out;
    wal_end_list series_out_ends;
    ref_tombstones ended_out;
    struct thread *thread;
};

/* ---- wal_batch.c */

void wal_buf_init(struct buf *b);              /* of the log's account */
/* Empties a buffer of the log's own; what a burst made it, it need not stay. */
void wal_buf_rest(struct buf *b);
void wal_batches_init(struct wal_batch_list *l);
void wal_batches_push(struct wal_batch_list *l, struct wal_batch *b);
struct wal_batch *wal_batches_pop(struct wal_batch_list *l);
void wal_batch_free(struct wal_batch *b);
/* Back to the stock, or to the heap: the stock is of batches with room to make a record in. */
void wal_batch_give_locked(struct wal *w, struct wal_batch *b) REQUIRES(w->mu);
/* What is queued and then held, for as long as an fsync takes, is only what is stored, to the byte
 * or, where that is much, about; the room goes back to the stock. */
struct wal_batch *wal_batch_settle(struct wal *w, struct wal_batch *made);

/* ---- wal_files.c: the leader's, but for enter and leave */

/* Alone at the files: nobody syncs meanwhile. */
void wal_files_enter(struct wal *w);
void wal_files_leave(struct wal *w);
MUST_USE errc wal_segment_new(struct wal *w, uint32_t n, struct err *e);
/* Pads and leaves the current segment for a new one. */
MUST_USE errc wal_segment_next(struct wal *w, struct err *e);
MUST_USE errc wal_put_batch(
    struct wal *w, const struct wal_batch *b, struct page_counts *counts, struct err *e);
/* Writes w->out at the end of the current file, which ends where w->off says once that is done. */
MUST_USE errc wal_out_flush(struct wal *w, struct err *e);
/* Cuts the log back to (seg, off): what came after is gone, later files too. */
MUST_USE errc wal_roll_back(struct wal *w, uint32_t seg, uint64_t off, struct err *e);
/* One pass over the files. REQUIRES: alone at the files */
MUST_USE errc wal_sync_pass(struct wal *w, struct err *e);
/* Syncs as the leader, nobody writes meanwhile; after a failed fsync, recovers. */
MUST_USE errc wal_sync_leading(struct wal *w, struct err *e);

#endif
