#include "tsdb/cut_deletions.h"

#include "base/compress.h"
#include "head/replay.h"
#include "model/interval.h"
#include "wal/page.h"
#include "wal/record.h"
#include "wal/repair.h"

struct cutting {
    const struct cut_deletions *of;
    ref_tombstones all;
    struct buf record, packed;
};

static void cutting_fini(struct cutting *c)
{
    vec_fini(&c->all);
    buf_fini(&c->record);
    buf_fini(&c->packed);
}

/* What counts of them; true: less than is there. */
static bool cut(struct cutting *c)
{
    size_t n = 0;
    bool less = false;
    for (size_t i = 0; i < c->all.n; i++) {
        const struct ref_tombstone *x = &c->all.at[i];
        struct interval was = { x->mint, x->maxt };
        struct interval now = head_replay_behind_damage(c->of->replay, x->ref, was);
        less = less || now.mint != was.mint || now.maxt != was.maxt;
        if (now.mint > now.maxt) continue;
        c->all.at[n++] = (struct ref_tombstone){ x->ref, now.mint, now.maxt };
    }
    c->all.n = n;
    return less;
}

static bool is_behind(const struct cutting *c, const struct wal_rec *rec)
{
    const struct replay_place *from = &c->of->from;
    return rec->seg > from->seg || (rec->seg == from->seg && rec->end > from->off);
}

/* repair.h: what is written of a record. */
static errc anew(void *ctx, const struct wal_rec *rec, str *stored, bool *keep, struct err *e)
{
    struct cutting *c = ctx;
    if (record_type(rec->bytes) != REC_TOMBSTONES || !is_behind(c, rec)) return OK;
    TRY(tombstones_decode(&c->all, rec->bytes, e));
    if (!cut(c)) return OK;
    *keep = c->all.n > 0;
    buf_reset(&c->record);
    buf_reset(&c->packed);
    tombstones_encode(&c->record, c->all.at, c->all.n);
    TRY(compress_pack(&c->packed, frag_compress_of(rec->flags), buf_view(&c->record), 0, e));
    *stored = buf_view(&c->packed);
    return OK;
}

errc cut_deletions_write(const struct cut_deletions *of, struct err *e)
{
    SCOPED(cutting_fini) struct cutting c = { .of = of };
    buf_init(&c.record, NULL, 0);
    buf_init(&c.packed, NULL, 0);
    for (size_t i = of->in->n; i-- > 0;)
        TRY_IN(e, wal_rewrite_segment(of->fs, of->dir, of->backend, of->in->at[i], anew, &c, e),
            "deletions behind damage, segment %" PRIu32, of->in->at[i]);
    return OK;
}
