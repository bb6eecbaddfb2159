/* log_ahead.c — see log_ahead.h
 *
 *     batches      first … raw … last        in the order of the log, a few hundred KiB each
 *                  decoded │ as stored
 *
 * The thread keeps a few batches decoded, and reads whenever there are enough of them: who makes
 * series never waits for long, and the samples behind the series, of which a start with a head
 * image wants nothing but their checksums, are read meanwhile.
 */
#include "tsdb/log_ahead.h"

#include "base/lock.h"
#include "head/tombstones.h"
#include "io/thread.h"

enum { BATCH_BYTES = 128 << 10, BATCH_RECORDS = 1024, DECODED_MAX = 3, KEEP_BYTES = 4 << 20 };
/* Of what waits. Where samples are passed over that is what makes series. */
#define STORED_MAX_BYTES (8ull << 20)
#define SKIPPING_MAX_BYTES (16ull << 20)

/* What a record of series or tombstones says; used again for another one. */
struct said {
    struct said *next;
    struct buf unpacked;
    struct ref_seriess series;
    ref_tombstones tombstones;
};
/* type REC_TYPES: it does not decode */
struct kept {
    size_t at, n;                              /* its bytes in the batch */
    uint8_t flags;
    enum rec_type type;
    uint32_t seg; uint64_t end;
    uint32_t deletion;
    bool damaged;                              /* the reader met damage before it */
    struct said *said;
};
struct batch {
    struct batch *next;
    struct buf bytes;
    VEC(struct kept) all;
    bool last; errc rc; struct err e;          /* what ended the reading, of the last one */
};

struct log_ahead {
    struct wal_reader *reader;                 /* the thread's */
    struct log_place samples_from, known;      /* known: to be damaged */
    bool skips, checks, knows;
    uint64_t stored_max;
    struct buf unpacked;                       /* the thread's */
    uint64_t records;                          /* the thread's */
    uint32_t next_deletion;                    /* the thread's: of the record that comes next */
    size_t n_seen;                             /* the thread's: corruptions that were looked at */
    bool damaged;                              /* the thread's */
    struct ahead_damage met;                   /* const once a record is kept as damaged */
    bool behind; struct ahead_damage damage;    /* the caller's: damage before what comes */
    struct batch *now; size_t at;              /* the caller's */
    struct thread *thread;
    struct mtx mu;                             /* LOCK_LEAF */
    struct cond changed;
    struct batch *first, *last, *raw;          /* GUARDED_BY(mu) */
    unsigned n_decoded;                        /* GUARDED_BY(mu) */
    uint64_t stored_bytes;                     /* GUARDED_BY(mu): of all that wait */
    bool ended, stop;                          /* GUARDED_BY(mu) */
    struct batch *idle_batches;                /* GUARDED_BY(mu) */
    struct said *idle;                         /* GUARDED_BY(mu) */
};

/* ---- rooms ---- */

static void said_free(struct said *s)
{
    buf_fini(&s->unpacked);
    ref_seriess_fini(&s->series);
    vec_fini(&s->tombstones);
    mem_free(s);
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->all.n; i++)
        if (b->all.at[i].said) said_free(b->all.at[i].said);
    buf_fini(&b->bytes);
    vec_fini(&b->all);
    mem_free(b);
}

static struct batch *batch_take(struct log_ahead *l)
{
    mtx_lock(&l->mu);
    struct batch *b = l->idle_batches;
    if (b) l->idle_batches = b->next;
    mtx_unlock(&l->mu);
    if (!b) return NEW(struct batch);
    b->next = NULL;
    return b;
}

static struct said *said_take(struct log_ahead *l)
{
    mtx_lock(&l->mu);
    struct said *s = l->idle;
    if (s) l->idle = s->next;
    mtx_unlock(&l->mu);
    return s ? s : NEW(struct said);
}

static void said_give(struct log_ahead *l, struct said *s)
{
    size_t kept = s->unpacked.cap + s->series.pairs.cap * sizeof(*s->series.pairs.at) +
                  s->series.all.cap * sizeof(*s->series.all.at);
    if (kept > KEEP_BYTES) {                   /* a giant came by */
        said_free(s);
        return;
    }
    mtx_lock(&l->mu);
    s->next = l->idle;
    l->idle = s;
    mtx_unlock(&l->mu);
}

static void batch_give(struct log_ahead *l, struct batch *b)
{
    if (!b) return;
    for (size_t i = 0; i < b->all.n; i++)
        if (b->all.at[i].said) said_give(l, b->all.at[i].said);
    b->all.n = 0;
    if (b->bytes.cap > KEEP_BYTES) buf_fini(&b->bytes);
    buf_reset(&b->bytes);
    mtx_lock(&l->mu);
    b->next = l->idle_batches;
    l->idle_batches = b;
    mtx_unlock(&l->mu);
}

/* ---- reading ---- */

static bool is_sample(uint8_t type)
{
    switch (rec_kind_of((enum rec_type)type)) {
    case KIND_SAMPLES:
    case KIND_HISTOGRAMS: return true;
    default: return false;
    }
}

static enum rec_type kind_of(uint8_t type)
{
    if (type == REC_SERIES || type == REC_TOMBSTONES) return (enum rec_type)type;
    return is_sample(type) ? REC_SAMPLES : REC_NONE;
}

static bool is_passed_over(const struct log_ahead *l, uint32_t seg, uint64_t end)
{
    return l->skips && log_is_before(&l->samples_from, seg, end);
}

/* The first damage counts, and whose record is the first behind it. */
static void see_damage(struct log_ahead *l, const struct wal_rec *rec)
{
    size_t n;
    const struct wal_corruption *c = wal_reader_corruptions(l->reader, &n);
    if (l->knows && !l->damaged && !log_is_before(&l->known, rec->seg, rec->end)) {
        l->damaged = true;
        l->met = (struct ahead_damage){ l->known.seg, l->known.off,
            is_passed_over(l, rec->seg, rec->end) };
    }
    for (; l->n_seen < n && !l->damaged; l->n_seen++) {
        if (c[l->n_seen].gap) continue;
        l->damaged = true;
        l->met = (struct ahead_damage){ c[l->n_seen].seg, c[l->n_seen].off,
            is_passed_over(l, rec->seg, rec->end) };
    }
}

static errc check_passed_over(struct log_ahead *l, const struct wal_rec *rec, struct err *why)
{
    str bytes;
    TRY(wal_rec_unpack(&l->unpacked, rec->flags, rec->stored, &bytes, why));
    return record_check(bytes, why);
}

/* One that does not tell its type before it is unpacked is unpacked here. */
static errc keep(struct log_ahead *l, struct batch *b, const struct wal_rec *rec, struct err *why)
{
    uint8_t type = REC_NONE, flags = rec->flags;
    str bytes = rec->stored;
    uint32_t deletion = l->next_deletion;
    l->next_deletion = DELETION_UNKNOWN;
    if (!wal_rec_peek(rec->flags, rec->stored, &type) || type == REC_DELETION) {
        TRY(wal_rec_unpack(&l->unpacked, rec->flags, rec->stored, &bytes, why));
        (void)deletion_decode(bytes, &l->next_deletion);
        type = (uint8_t)record_type(bytes);
        flags = 0;
    }
    enum rec_type kind = kind_of(type);
    if (kind == REC_SAMPLES && is_passed_over(l, rec->seg, rec->end))
        return l->checks ? check_passed_over(l, rec, why) : OK;
    vec_push(&b->all, ((struct kept){ b->bytes.n, bytes.n, flags, kind, rec->seg, rec->end,
                          deletion, l->damaged, NULL }));
    buf_str(&b->bytes, bytes);
    return OK;
}

static errc read_some(struct log_ahead *l, struct batch *b, struct err *e)
{
    unsigned looked = 0;
    for (; b->bytes.n < BATCH_BYTES && looked < BATCH_RECORDS; looked++) {
        struct wal_rec rec;
        struct err why = { 0 };
        bool got = false;
        TRY(wal_reader_next_stored(l->reader, &rec, &got, e));
        b->last = !got;
        if (!got) return OK;
        l->records++;
        see_damage(l, &rec);
        errc rc = keep(l, b, &rec, &why);
        if (rc == ERR_CORRUPT || rc == ERR_LIMIT) TRY(wal_reader_reject(l->reader, &why, e));
        else if (rc != OK) return err_set(e, rc, "%s", why.msg);
    }
    return OK;
}

static struct batch *batch_read(struct log_ahead *l)
{
    struct batch *b = batch_take(l);
    b->last = false;
    b->rc = read_some(l, b, &b->e);
    if (b->rc != OK) b->last = true;
    return b;
}

/* ---- decoding ---- */

static errc kept_decode(struct kept *k, str stored, struct err *why)
{
    str bytes;
    TRY(wal_rec_unpack(&k->said->unpacked, k->flags, stored, &bytes, why));
    if (k->type == REC_SERIES) return series_decode(&k->said->series, bytes, why);
    return tombstones_decode(&k->said->tombstones, bytes, why);
}

static void batch_decode(struct log_ahead *l, struct batch *b)
{
    for (size_t i = 0; b->rc == OK && i < b->all.n; i++) {
        struct kept *k = &b->all.at[i];
        struct err why = { 0 };
        if (k->type != REC_SERIES && k->type != REC_TOMBSTONES) continue;
        k->said = said_take(l);
        errc rc = kept_decode(k, str_of(b->bytes.p + k->at, k->n), &why);
        if (rc == OK) continue;
        k->type = REC_TYPES;
        if (rc == ERR_CORRUPT || rc == ERR_LIMIT)
            b->rc = wal_reader_reject_at(l->reader, k->seg, k->end, &why, &b->e);
        else b->rc = err_set(&b->e, rc, "%s", why.msg);
        if (b->rc != OK) b->all.n = i + 1;     /* what follows is not handed out */
    }
}

/* ---- the thread ---- */

static void batch_put_locked(struct log_ahead *l, struct batch *b) REQUIRES(l->mu)
{
    if (l->last) l->last->next = b;
    else l->first = b;
    l->last = b;
    if (!l->raw) l->raw = b;
    l->stored_bytes += b->bytes.n;
    l->ended = b->last;
}

static void ahead_run(void *ctx)
{
    struct log_ahead *l = ctx;
    mtx_lock(&l->mu);
    while (!l->stop && !(l->ended && !l->raw)) {
        struct batch *b = l->raw;
        if (b && l->n_decoded < DECODED_MAX) {
            mtx_unlock(&l->mu);
            batch_decode(l, b);
            mtx_lock(&l->mu);
            l->raw = b->next;
            l->n_decoded++;
            cond_broadcast(&l->changed);
        } else if (!l->ended && l->stored_bytes < l->stored_max) {
            mtx_unlock(&l->mu);
            b = batch_read(l);
            mtx_lock(&l->mu);
            batch_put_locked(l, b);
        } else {
            cond_wait(&l->changed, &l->mu);
        }
    }
    mtx_unlock(&l->mu);
}

/* The next batch, decoded. REQUIRES: the one before was not the last. */
static struct batch *batch_next(struct log_ahead *l)
{
    if (!l->thread) {
        struct batch *b = batch_read(l);
        batch_decode(l, b);
        return b;
    }
    mtx_lock(&l->mu);
    while (!l->n_decoded) cond_wait(&l->changed, &l->mu);
    struct batch *b = l->first;
    l->first = b->next;
    if (!l->first) l->last = NULL;
    l->n_decoded--;
    l->stored_bytes -= b->bytes.n;
    cond_broadcast(&l->changed);
    mtx_unlock(&l->mu);
    return b;
}

/* ---- the whole ---- */

struct log_ahead *log_ahead_new(struct wal_reader *r, const struct log_place *samples_from,
    bool checks, const struct log_place *damage, bool with_thread)
{
    struct log_ahead *l = NEW(struct log_ahead);
    l->reader = r;
    l->next_deletion = DELETION_UNKNOWN;
    l->skips = samples_from != NULL;
    l->checks = checks;
    l->stored_max = l->skips ? SKIPPING_MAX_BYTES : STORED_MAX_BYTES;
    if (samples_from) l->samples_from = *samples_from;
    l->knows = damage != NULL;
    if (damage) l->known = *damage;
    mtx_init(&l->mu, LOCK_LEAF);
    cond_init(&l->changed);
    if (with_thread) l->thread = thread_start("replay read", ahead_run, l);
    return l;
}

/* One that is rejected is damage to those behind it. */
static void see_rejected(struct log_ahead *l, const struct kept *k)
{
    if (l->behind) return;
    l->behind = true;
    l->damage = (struct ahead_damage){ k->seg, k->end, is_passed_over(l, k->seg, k->end) };
}

static void hand_out(struct log_ahead *l, const struct kept *k, struct ahead_rec *out)
{
    if (k->damaged && !l->behind) l->damage = l->met;
    l->behind = l->behind || k->damaged;
    *out = (struct ahead_rec){ .seg = k->seg,
        .end = k->end,
        .type = k->type,
        .flags = k->flags,
        .stored = str_of(l->now->bytes.p + k->at, k->n),
        .deletion = k->deletion,
        .damage = l->behind ? &l->damage : NULL };
    if (!k->said) return;
    out->series = &k->said->series;
    out->tombstones = &k->said->tombstones;
}

errc log_ahead_next(struct log_ahead *l, struct ahead_rec *out, bool *got, struct err *e)
{
    *got = false;
    while (!*got) {
        struct batch *b = l->now;
        if (b && l->at < b->all.n) {
            const struct kept *k = &b->all.at[l->at++];
            *got = k->type != REC_TYPES;
            if (*got) hand_out(l, k, out);
            else see_rejected(l, k);
        } else if (b && b->rc != OK) {
            if (e) *e = b->e;
            return b->rc;
        } else if (b && b->last) {
            return OK;
        } else {
            batch_give(l, STEAL(l->now));
            l->now = batch_next(l);
            l->at = 0;
        }
    }
    return OK;
}

static void batches_free(struct batch *b)
{
    for (struct batch *next; b; b = next) {
        next = b->next;
        batch_free(b);
    }
}

uint64_t log_ahead_end(struct log_ahead *l)
{
    if (!l) return 0;
    mtx_lock(&l->mu);
    l->stop = true;
    cond_broadcast(&l->changed);
    mtx_unlock(&l->mu);
    thread_join(l->thread);
    uint64_t records = l->records;
    if (l->now) l->now->next = NULL;
    batches_free(l->now);
    batches_free(l->first);
    batches_free(l->idle_batches);
    for (struct said *s = l->idle, *next; s; s = next) {
        next = s->next;
        said_free(s);
    }
    buf_fini(&l->unpacked);
    cond_fini(&l->changed);
    mtx_fini(&l->mu);
    mem_free(l);
    return records;
}
