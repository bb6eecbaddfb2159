/* replay_log.c — see replay_log.h
 *
 *     read (one thread)   framing and CRCs; series and tombstone records decoded (log_ahead)
 *     route (one)         those are handed to the router, the rest is copied
 *     decode (any)        a piece: unpacked, decoded, resolved, sorted by part
 *     apply (any)         a part: its samples of all runs that wait
 *
 *     round n      | decode  piece  piece  piece …         | collect | apply, when enough waits
 *     round n + 1  | route                                 |
 *     behind it    | read …
 *
 * A record that moves a ref from one series to another must not overtake the samples before it: the
 * round ends before it (`then_quiet`), and the next one is read when all of this one is decoded.
 * Such records are few: the end of a series, and refs given twice.
 *
 * The first record behind damage waits in the same way: which samples come before it is noted then,
 * for deletions behind it hide none of those. What only a decoder refuses is known too late for
 * that: if there is a deletion behind it, all is read once more by who knows of the damage. Nobody
 * decodes, and so refuses, samples for which an image stands.
 *
 * Where a head image stands for the samples up to its place, those before it are not even copied;
 * the round ends at the place, and the image is taken when all before it is applied.
 */
#include "tsdb/replay_log.h"

#include "base/lock.h"
#include "base/log.h"
#include "head/replay.h"
#include "head/tombstones.h"
#include "io/pool.h"
#include "tsdb/log_ahead.h"

#include <stdlib.h>

enum {
    PIECE_BYTES = 256 << 10,
    PIECE_ITEMS = 4096,
    ROUND_PIECES_MIN = 16,
    PIECES_A_WORKER = 8,
    WAITING_BYTES = 64 << 20,
    KEEP_BYTES = 4 << 20
};

struct item {
    size_t at; uint32_t n;                     /* its bytes in the piece */
    uint8_t flags;
    uint32_t seg; uint64_t end;
    replay_mark mark;
    struct replay_reset reset;                 /* slot != 0: it is this, and no record */
};
struct reject { uint32_t seg; uint64_t end; struct err why; };
struct piece {
    struct buf bytes;
    VEC(struct item) items;
    struct replay_run *runs;
    VEC(struct reject) rejects;
};
/* n: pieces in use; samples: records for decoders */
struct round { struct piece *pieces; size_t n; uint64_t samples; uint32_t seg; bool then_quiet; };

/* What decoding a record needs, used again for the next. */
struct scratch {
    struct scratch *next;
    struct buf unpacked;
    struct record_room room;
};

struct replay_log {
    struct replay_log_opts o;
    struct pool *pool;
    struct round rounds[2];
    size_t round_pieces;
    struct replay_log_counts counts;
    replay_mark mark;
    struct log_ahead *ahead;
    /* The record at hand: a series or tombstone record may have to wait in the middle of it. */
    struct ahead_rec rec;
    size_t at;
    bool pending, ended;
    struct log_place image;                    /* of the span at hand */
    bool image_due;                            /* there is one, and it was not taken */
    VEC(struct reject) rejects;                /* of decoders */
    /* damage was met: before the record at hand; is noted; within what the image stands for */
    enum { UNDAMAGED, DAMAGED, NOTED, UNKNOWN } damage;
    bool damaged_before, image_in_way;         /* in a span before this one; see above */
    bool checkpoint;                           /* the span at hand */
    struct replay_place last_deletion;         /* of the span; zeros: there is none */
    struct replay_place late;                  /* damage before it that was not known */
    bool decoded_late;
    struct replay_found *found;                /* of the span at hand */
    struct mtx mu;                             /* LOCK_LEAF */
    struct scratch *idle;                      /* GUARDED_BY(mu): the one used last first */
};

struct replay_log *replay_log_new(const struct replay_log_opts *o)
{
    struct replay_log *l = NEW(struct replay_log);
    l->o = *o;
    l->image_due = o->image != NULL;
    if (!l->o.piece_bytes) l->o.piece_bytes = PIECE_BYTES;
    if (!l->o.waiting_bytes) l->o.waiting_bytes = WAITING_BYTES;
    l->round_pieces = MAX((size_t)ROUND_PIECES_MIN, (size_t)o->workers * PIECES_A_WORKER);
    for (unsigned i = 0; i < 2; i++) {
        l->rounds[i].pieces = mem_alloc_array(l->round_pieces, sizeof(struct piece));
        memset(l->rounds[i].pieces, 0, l->round_pieces * sizeof(struct piece));
    }
    mtx_init(&l->mu, LOCK_LEAF);
    if (o->workers > 1)
        l->pool = pool_new(&(struct pool_opts){
            .name = "replay", .threads = o->workers - 1, .queue_max = 4 * o->workers });
    return l;
}

static void scratch_free(struct scratch *s)
{
    buf_fini(&s->unpacked);
    record_room_fini(&s->room);
    mem_free(s);
}

void replay_log_free(struct replay_log *l)
{
    if (!l) return;
    pool_free(l->pool);
    for (unsigned i = 0; i < 2; i++) {
        for (size_t k = 0; k < l->round_pieces; k++) {
            buf_fini(&l->rounds[i].pieces[k].bytes);
            vec_fini(&l->rounds[i].pieces[k].items);
            vec_fini(&l->rounds[i].pieces[k].rejects);
        }
        mem_free(l->rounds[i].pieces);
    }
    for (struct scratch *s = l->idle, *next; s; s = next) {
        next = s->next;
        scratch_free(s);
    }
    vec_fini(&l->rejects);
    mtx_fini(&l->mu);
    mem_free(l);
}

/* ---- reading ---- */

static void round_reset(struct round *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct piece *p = &r->pieces[i];
        if (p->bytes.cap > KEEP_BYTES) buf_fini(&p->bytes);
        buf_reset(&p->bytes);
        p->items.n = p->rejects.n = 0;
        p->runs = NULL;
    }
    r->n = 0;
    r->samples = 0;
    r->then_quiet = false;
}

/* The piece that takes what is read next; NULL: the round is full. */
static struct piece *round_piece(struct replay_log *l, struct round *r)
{
    struct piece *p = r->n ? &r->pieces[r->n - 1] : NULL;
    if (p && p->bytes.n < l->o.piece_bytes && p->items.n < PIECE_ITEMS) return p;
    return r->n < l->round_pieces ? &r->pieces[r->n++] : NULL;
}

static void put_reset(struct piece *p, const struct replay_reset *x)
{
    if (x->slot) vec_push(&p->items, ((struct item){ .reset = *x }));
}

static void note_segment(segment_list *to, uint32_t seg)
{
    if (!to->n || vec_last(to) != seg) vec_push(to, seg);
}

void replay_found_fini(struct replay_found *f)
{
    vec_fini(&f->bad);
    vec_fini(&f->cut);
}

bool replay_log_image_in_way(const struct replay_log *l) { return l->image_in_way; }

bool replay_log_decoded_late(const struct replay_log *l, struct replay_place *damage)
{
    if (l->decoded_late) *damage = l->late;
    return l->decoded_late;
}

static bool place_is_before(struct replay_place x, struct replay_place y)
{
    return x.seg < y.seg || (x.seg == y.seg && x.off < y.off);
}

static bool is_before_image(const struct replay_log *l)
{
    return l->image_due && log_is_before(&l->image, l->rec.seg, l->rec.end);
}

/* These three: false, a record has to wait until all before it is decoded. */
static bool route_series(struct replay_log *l, struct piece *to, bool quiet)
{
    for (; l->at < l->rec.series->all.n; l->at++) {
        struct err why = { 0 };
        struct replay_reset reset;
        const struct ref_series *s = &l->rec.series->all.at[l->at];
        if (!quiet && head_replay_moves_series(l->o.replay, s->ref, s->labels)) return false;
        if (head_replay_series(l->o.replay, l->mark, s->ref, s->labels, &reset, &why) != OK)
            LOG_LIMITED(WARN, 10000, "series record left out", kv_u64("ref", s->ref), kv_err(&why));
        put_reset(to, &reset);
    }
    return true;
}

static bool route_tombstones(struct replay_log *l, struct piece *to, bool quiet)
{
    for (; l->at < l->rec.tombstones->n; l->at++) {
        struct replay_reset reset;
        const struct ref_tombstone *t = &l->rec.tombstones->at[l->at];
        if (!quiet && head_replay_moves_tombstone(l->o.replay, t->ref, t->mint, t->maxt))
            return false;
        struct interval all = { t->mint, t->maxt };
        if (!tombstone_is_end(t->mint, t->maxt))
            l->last_deletion = (struct replay_place){ l->rec.seg, l->rec.end };
        struct interval left = head_replay_behind_damage(l->o.replay, t->ref, all);
        bool less = left.mint != all.mint || left.maxt != all.maxt;
        if (less) note_segment(&l->found->cut, l->rec.seg);
        head_replay_tombstone(l->o.replay, t->ref, t->mint, t->maxt, l->rec.deletion, &reset);
        put_reset(to, &reset);
    }
    return true;
}

static void apply_run(void *ctx, size_t part)
{
    head_replay_apply(((struct replay_log *)ctx)->o.replay, part);
}

static void apply_waiting(struct replay_log *l)
{
    if (!head_replay_waiting_bytes(l->o.replay)) return;
    pool_each(l->pool, head_replay_parts(l->o.replay), apply_run, l);
    head_replay_applied(l->o.replay);
}

static bool route(struct replay_log *l, struct round *r, struct piece *to, bool quiet)
{
    quiet = quiet && !r->samples;
    if (l->image_due && !is_before_image(l)) return false;     /* rounds_run takes it first */
    if (l->damage == DAMAGED) {
        if (!quiet) return false;
        apply_waiting(l);
        head_replay_damage(l->o.replay);
        l->damage = NOTED;
    }
    if (l->rec.type == REC_SERIES) return route_series(l, to, quiet);
    if (l->rec.type == REC_TOMBSTONES) return route_tombstones(l, to, quiet);
    vec_push(&to->items, ((struct item){ .at = to->bytes.n,
                             .n = (uint32_t)l->rec.stored.n,
                             .flags = l->rec.flags,
                             .seg = l->rec.seg,
                             .end = l->rec.end,
                             .mark = l->mark }));
    buf_str(&to->bytes, l->rec.stored);
    r->samples++;
    return true;
}

/* The record at hand is the first behind damage? What is missing as a whole is none, nor is damage
 * of a checkpoint: there nobody else reads anything. */
static void see_damage(struct replay_log *l)
{
    bool here = l->damaged_before, before = is_before_image(l);
    if (l->damage != UNDAMAGED || l->checkpoint) return;
    if (!here && l->rec.damage) {
        here = true;
        before = l->rec.damage->passed_over;
        l->found->from = (struct replay_place){ l->rec.damage->seg, l->rec.damage->off };
    }
    if (here) l->damage = before ? UNKNOWN : DAMAGED;
}

/* Routes the next round. quiet: nothing before is still to be decoded. */
static errc round_read(struct replay_log *l, struct round *r, bool quiet, struct err *e)
{
    round_reset(r);
    for (struct piece *p; !l->ended && (p = round_piece(l, r)) != NULL;) {
        if (!l->pending) {
            bool got = false;
            TRY(log_ahead_next(l->ahead, &l->rec, &got, e));
            l->ended = !got;
            if (!got) break;
            l->mark++;
            l->at = 0;
            see_damage(l);
            l->image_in_way = l->damage == UNKNOWN && l->rec.type == REC_TOMBSTONES;
            if (l->image_in_way)
                return err_set(e, ERR_CORRUPT, "a deletion behind damage before the image");
            l->pending = true;
        }
        r->seg = l->rec.seg;
        if (!route(l, r, p, quiet)) {
            r->then_quiet = true;
            break;
        }
        l->pending = false;
    }
    return OK;
}

/* ---- decoding ---- */

static errc decode_record(
    struct scratch *s, struct replay_decoder *d, replay_mark mark, str rec, struct err *e)
{
    switch (record_kind(rec)) {
    case KIND_SAMPLES:
        TRY(samples_decode(&s->room.samples, rec, e));
        replay_decode_samples(d, mark, s->room.samples.at, s->room.samples.n);
        return OK;
    case KIND_EXEMPLARS:
        TRY(exemplars_decode(&s->room.exemplars, rec, e));
        replay_decode_exemplars(d, mark, s->room.exemplars.all.at, s->room.exemplars.all.n);
        return OK;
    case KIND_METADATA:
        TRY(metadata_decode(&s->room.metadatas, rec, e));
        replay_decode_metadata(d, mark, s->room.metadatas.at, s->room.metadatas.n);
        return OK;
    case KIND_HISTOGRAMS:
        TRY(histograms_decode(&s->room.histograms, rec, e));
        replay_decode_histograms(d, mark, s->room.histograms.all.at, s->room.histograms.all.n);
        return OK;
    /* markers belong to the write-behind log; unknown types are skipped */
    default: return OK;
    }
}

static errc decode_item(struct scratch *s, struct replay_decoder *d, const struct piece *p,
    const struct item *x, struct err *e)
{
    str bytes = STR_EMPTY;
    TRY(wal_rec_unpack(&s->unpacked, x->flags, str_of(p->bytes.p + x->at, x->n), &bytes, e));
    return decode_record(s, d, x->mark, bytes, e);
}

static struct scratch *scratch_take(struct replay_log *l)
{
    mtx_lock(&l->mu);
    struct scratch *s = l->idle;
    if (s) l->idle = s->next;
    mtx_unlock(&l->mu);
    return s ? s : NEW(struct scratch);
}

static void scratch_give(struct replay_log *l, struct scratch *s)
{
    const ref_samples *samples = &s->room.samples;
    if (s->unpacked.cap > KEEP_BYTES || samples->cap * sizeof(*samples->at) > KEEP_BYTES) {
        scratch_free(s);                       /* a giant came by */
        return;
    }
    mtx_lock(&l->mu);
    s->next = l->idle;
    l->idle = s;
    mtx_unlock(&l->mu);
}

static void piece_decode(struct replay_log *l, struct piece *p)
{
    struct scratch *s = scratch_take(l);
    struct replay_decoder *d = head_replay_decoder(l->o.replay);
    for (size_t i = 0; i < p->items.n; i++) {
        const struct item *x = &p->items.at[i];
        struct err why = { 0 };
        if (x->reset.slot) replay_decode_reset(d, &x->reset);
        else if (decode_item(s, d, p, x, &why) != OK)
            vec_push(&p->rejects, ((struct reject){ x->seg, x->end, why }));
    }
    p->runs = head_replay_decoded(l->o.replay, d);
    scratch_give(l, s);
}

/* ---- rounds ---- */

struct step { struct replay_log *l; struct round *now, *next; bool reads; errc rc; struct err e; };

/* The reader is the one that cannot be shared out: it begins first. */
static void step_run(void *ctx, size_t i)
{
    struct step *s = ctx;
    if (!s->reads) piece_decode(s->l, &s->now->pieces[i]);
    else if (i > 0) piece_decode(s->l, &s->now->pieces[i - 1]);
    else s->rc = round_read(s->l, s->next, false, &s->e);
}

static void round_collect(struct replay_log *l, struct round *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct piece *p = &r->pieces[i];
        head_replay_collect(l->o.replay, STEAL(p->runs));
        for (size_t k = 0; k < p->rejects.n; k++) vec_push(&l->rejects, p->rejects.at[k]);
    }
    if (r->n && l->o.progress) l->o.progress(r->seg);
    if (head_replay_waiting_bytes(l->o.replay) >= l->o.waiting_bytes) apply_waiting(l);
}

errc replay_log_take_image(struct replay_log *l, struct err *e)
{
    if (!l->image_due) return OK;
    l->image_due = false;
    apply_waiting(l);
    return l->o.image(l->o.image_ctx, l->pool, e);
}

static bool round_is_empty(const struct round *r)
{
    bool empty = true;
    for (size_t i = 0; i < r->n; i++) empty = empty && !r->pieces[i].items.n;
    return empty;
}

/* The next round, with nothing before it still to be decoded. One that is empty at the place of an
 * image is read once more behind it. */
static errc round_read_quiet(struct replay_log *l, struct round *r, struct err *e)
{
    TRY(round_read(l, r, true, e));
    bool at_image = l->pending && l->image_due && !is_before_image(l);
    if (!at_image || !round_is_empty(r)) return OK;
    TRY(replay_log_take_image(l, e));
    return round_read(l, r, true, e);
}

static errc rounds_run(struct replay_log *l, struct err *e)
{
    struct round *now = &l->rounds[0], *next = &l->rounds[1];
    TRY(round_read_quiet(l, now, e));
    while (now->n) {
        struct step s = {
            .l = l, .now = now, .next = next, .reads = !l->ended && !now->then_quiet
        };
        round_reset(next);
        pool_each(l->pool, now->n + s.reads, step_run, &s);
        round_collect(l, now);
        if (s.rc != OK) {
            if (e) *e = s.e;
            return s.rc;
        }
        if (now->then_quiet) TRY(round_read_quiet(l, next, e));
        struct round *t = now;
        now = next;
        next = t;
    }
    return OK;
}

/* Is a deletion behind something that a decoder refused, and did not know of it? */
static errc check_rejects(struct replay_log *l, struct err *e)
{
    if (l->checkpoint || l->damaged_before || !l->rejects.n) return OK;
    struct replay_place first = { UINT32_MAX, UINT64_MAX };
    for (size_t i = 0; i < l->rejects.n; i++) {
        struct replay_place at = { l->rejects.at[i].seg, l->rejects.at[i].end };
        if (place_is_before(at, first)) first = at;
    }
    bool known = l->damage != UNDAMAGED && !place_is_before(first, l->found->from);
    if (known || !place_is_before(first, l->last_deletion)) return OK;
    l->decoded_late = true;
    l->late = first;
    return err_set(e, ERR_CORRUPT, "a deletion behind a record that does not decode");
}

static int corruption_cmp(const void *a, const void *b)
{
    const struct wal_corruption *x = a, *y = b;
    if (x->seg != y->seg) return x->seg < y->seg ? -1 : 1;
    return (x->off > y->off) - (x->off < y->off);
}

/* Those of decoding come late: in the order of the log. */
static void damage_note(
    struct replay_log *l, const struct wal_reader *reader, str dir, segment_list *bad)
{
    bool gaps = true;
    size_t n;
    const struct wal_corruption *found = wal_reader_corruptions(reader, &n);
    struct wal_corruption *sorted = mem_alloc_array(n, sizeof(*sorted));
    if (n) memcpy(sorted, found, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), corruption_cmp);
    for (size_t i = 0; i < n; i++) {
        const struct wal_corruption *c = &sorted[i];
        LOG(WARN, "damage in the log", kv_str("dir", dir), kv_u64("segment", c->seg),
            kv_u64("offset", c->off), kv_z("err", c->why));
        note_segment(bad, c->seg);
        gaps = gaps && c->gap;
    }
    l->damaged_before = l->damaged_before || (!gaps && !l->checkpoint);
    l->counts.corruptions += n;
    l->counts.torn += wal_reader_torn(reader);
    mem_free(sorted);
}

errc replay_log_span(
    struct replay_log *l, const struct replay_span *s, struct replay_found *out, struct err *e)
{
    struct wal_reader_opts o = { .fs = l->o.fs,
        .dir = s->dir,
        .backend = l->o.backend,
        .mode = WAL_SALVAGE,
        .first = s->first,
        .last = s->last,
        .offset = s->offset };
    struct wal_reader *reader = NULL;
    TRY(wal_reader_open(&reader, &o, e));
    l->pending = l->ended = false;
    l->checkpoint = s->checkpoint;
    l->last_deletion = (struct replay_place){ 0 };
    l->found = out;
    l->image = (struct log_place){ l->o.image_seg, l->o.image_off, s->before_image };
    bool knows = l->o.damage && !s->checkpoint;
    struct log_place known = { 0 };
    if (knows) known = (struct log_place){ l->o.damage->seg, l->o.damage->off, false };
    l->ahead = log_ahead_new(reader, l->image_due ? &l->image : NULL, l->o.check_all,
        knows ? &known : NULL, l->o.workers > 1);
    errc rc = rounds_run(l, e);
    if (rc == OK) rc = check_rejects(l, e);
    l->counts.records += log_ahead_end(STEAL(l->ahead));
    for (size_t i = 0; rc == OK && i < l->rejects.n; i++)
        rc = wal_reader_reject_at(
            reader, l->rejects.at[i].seg, l->rejects.at[i].end, &l->rejects.at[i].why, e);
    l->rejects.n = 0;
    damage_note(l, reader, s->dir, &out->bad);
    wal_reader_close(reader);
    return rc;
}

void replay_log_end(struct replay_log *l, struct replay_log_counts *out)
{
    apply_waiting(l);
    *out = l->counts;
}
