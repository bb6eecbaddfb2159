/* isolation.c — ids are 64 bits, a slot keeps 32 of them. They are compared by their signed
 * difference to the low watermark: sound while a slot's newest id is within 2^31 commits of it,
 * which holds because a collection resets ids that everybody sees, and a series without samples for
 * hours is collected. */
#include "head/isolation.h"

void isolation_init(struct isolation *i)
{
    *i = (struct isolation){ .low = 1 };
    mtx_init(&i->mu, LOCK_HEAD_COMMIT);
    cond_init(&i->room);
    i->readers.prev = i->readers.next = &i->readers;
}

void isolation_fini(struct isolation *i)
{
    assert(!i->n_open && i->readers.next == &i->readers);
    cond_fini(&i->room);
    mtx_fini(&i->mu);
}

static void isolation_set_low_locked(struct isolation *i)
{
    uint64_t low = i->n_open ? i->open[0] : i->last_id + 1;
    for (const struct isolation_reader *r = i->readers.next; r != &i->readers; r = r->next)
        if (r->low < low) low = r->low;
    atomic_store_explicit(&i->low, low, memory_order_release);
}

/* What the reader sees, joined to the ones before it where it is the same or there is no room. */
static void batch_add_sight(struct isolation_batch *b, const struct isolation_reader *r)
{
    struct isolation_sight *last = b->n ? &b->sights[b->n - 1] : NULL;
    bool same = last && last->low == r->low && last->max_id == r->max_id;
    if (!same && b->n < ISOLATION_SIGHTS) {
        b->sights[b->n++] = (struct isolation_sight){ r->low, r->max_id };
        return;
    }
    last->low = MIN(last->low, r->low);
    last->max_id = MAX(last->max_id, r->max_id);
}

void isolation_begin(struct isolation *i, struct isolation_batch *b)
{
    mtx_lock(&i->mu);
    while (i->n_open == ISOLATION_OPEN_MAX) cond_wait(&i->room, &i->mu);
    b->id = ++i->last_id;
    i->open[i->n_open++] = b->id;
    isolation_set_low_locked(i);
    b->low = isolation_low(i);
    b->done = i->open[0];
    b->n = 0;
    for (const struct isolation_reader *r = i->readers.next; r != &i->readers; r = r->next)
        batch_add_sight(b, r);
    mtx_unlock(&i->mu);
}

/* Who enters from here on sees it, and who asks what changed is told: both, or neither. */
void isolation_show(
    struct isolation *i, uint64_t id, struct changes *changes, int64_t mint, int64_t maxt)
{
    mtx_lock(&i->mu);
    unsigned k = 0;
    while (i->open[k] != id) k++;
    assert(k < i->n_open);
    for (i->n_open--; k < i->n_open; k++) i->open[k] = i->open[k + 1];
    isolation_set_low_locked(i);
    if (changes) changes_note(changes, mint, maxt);
    cond_signal(&i->room);
    mtx_unlock(&i->mu);
}

void isolation_end(struct isolation *i, uint64_t id) { isolation_show(i, id, NULL, 0, 0); }

uint64_t isolation_high(struct isolation *i)
{
    mtx_lock(&i->mu);
    uint64_t id = i->last_id;
    mtx_unlock(&i->mu);
    return id;
}

void isolation_enter(struct isolation *i, struct isolation_reader *r)
{
    mtx_lock(&i->mu);
    *r = (struct isolation_reader){
        .max_id = i->last_id, .n_open = i->n_open, .low = i->n_open ? i->open[0] : i->last_id + 1
    };
    if (i->n_open) {
        r->open = mem_alloc_array(i->n_open, sizeof(*r->open));
        memcpy(r->open, i->open, i->n_open * sizeof(*r->open));
    }
    r->prev = i->readers.prev;
    r->next = &i->readers;
    r->prev->next = r->next->prev = r;
    isolation_set_low_locked(i);
    mtx_unlock(&i->mu);
}

void isolation_leave(struct isolation *i, struct isolation_reader *r)
{
    mtx_lock(&i->mu);
    r->prev->next = r->next;
    r->next->prev = r->prev;
    isolation_set_low_locked(i);
    mtx_unlock(&i->mu);
    mem_free(r->open);
    r->open = NULL;
}

static struct batch_id *batch_at(const struct store *s, uint32_t i) { return slab_at(&s->ids, i); }

static void drop_chain(struct store *s, uint32_t i)
{
    mtx_lock(&s->mu);
    while (i) {
        uint32_t next = batch_at(s, i)->next;
        slab_give(&s->ids, i);
        i = next;
    }
    mtx_unlock(&s->mu);
}

/* The chain is newest first. Behind the last batch that somebody may not see nobody asks; one with
 * a smaller id may stand before it, of a commit that took longer. */
static void drop_seen(struct store *s, struct slot *slot, uint64_t low)
{
    uint32_t *end = &slot->older_ids;
    for (uint32_t *link = end; *link;) {
        struct batch_id *at = batch_at(s, *link);
        link = &at->next;
        if (!isolation_id_before(at->id, low)) end = link;
    }
    if (!*end) return;
    drop_chain(s, *end);
    *end = 0;
}

/* Does everybody who looks see both or neither? Who comes sees what has ended, so both have. */
static bool seen_alike(const struct isolation_batch *b, uint32_t one, uint32_t other)
{
    if (!isolation_id_before(one, b->done) || !isolation_id_before(other, b->done)) return false;
    for (unsigned k = 0; k < b->n; k++) {
        uint64_t low = b->sights[k].low, end = b->sights[k].max_id + 1;
        bool both = isolation_id_before(one, low) && isolation_id_before(other, low);
        bool neither = !isolation_id_before(one, end) && !isolation_id_before(other, end);
        if (!both && !neither) return false;
    }
    return true;
}

static uint32_t newer_id(uint32_t a, uint32_t b) { return isolation_id_before(a, b) ? b : a; }

/* n samples of batch id, behind those of `older`. */
static bool join(struct batch_id *older, uint32_t id, unsigned n, const struct isolation_batch *b)
{
    if (n + older->n > UINT16_MAX || !seen_alike(b, older->id, id)) return false;
    older->id = newer_id(older->id, id);
    older->newest = newer_id(older->newest, id);
    older->n += (uint16_t)n;
    return true;
}

/* Readers that left keep batches apart that nobody tells apart any more. */
static void chain_shorten(struct store *s, struct slot *slot, const struct isolation_batch *b)
{
    uint16_t depth = 0;
    drop_seen(s, slot, b->low);
    for (uint32_t *link = &slot->older_ids; *link;) {
        struct batch_id *at = batch_at(s, *link);
        uint32_t gone = *link;
        if (at->next && join(batch_at(s, at->next), at->id, at->n, b)) {
            *link = at->next;
            at->next = 0;
            drop_chain(s, gone);
            continue;
        }
        link = &at->next;
        depth++;
    }
    for (uint32_t i = slot->older_ids; i; i = batch_at(s, i)->next)
        batch_at(s, i)->depth = depth--;
}

/* The newest batch of the slot joins those behind it. */
static void chain_push(struct store *s, struct slot *slot, const struct isolation_batch *b)
{
    enum { SLACK = 4 };
    struct batch_id *older = slot->older_ids ? batch_at(s, slot->older_ids) : NULL;
    uint32_t id = slot->append_id;
    unsigned depth = older ? older->depth + 1 : 1;
    if (older && join(older, slot->append_id, slot->batch_n, b)) return;
    mtx_lock(&s->mu);
    uint32_t i = slab_take(&s->ids);
    *batch_at(s, i) = (struct batch_id){
        .next = slot->older_ids, .id = id, .newest = older ? newer_id(older->newest, id) : id,
        .n = slot->batch_n, .depth = (uint16_t)depth
    };
    mtx_unlock(&s->mu);
    slot->older_ids = i;
    if (depth > 2 * b->n + SLACK) chain_shorten(s, slot, b);
}

void isolation_note_among(struct store *s, struct slot *slot, const struct isolation_batch *b)
{
    /* 0 is "seen by all": an id off by one once in 2^32 */
    uint32_t low_id = (uint32_t)b->id ? (uint32_t)b->id : 1;
    if (slot->append_id == low_id && slot->batch_n < UINT16_MAX) {
        slot->batch_n++;
        return;
    }
    bool seen = !slot->append_id ||
                (slot->append_id != low_id && isolation_id_before(slot->append_id, b->low));
    if (seen && slot->older_ids) drop_seen(s, slot, b->low);
    if (!seen || slot->older_ids) chain_push(s, slot, b);
    slot->append_id = low_id;
    slot->batch_n = 1;
}

void isolation_forget(struct store *s, struct slot *slot)
{
    if (slot->older_ids) drop_chain(s, slot->older_ids);
    slot->older_ids = 0;
    slot->append_id = 0;
    slot->batch_n = 0;
}

void isolation_forget_seen(struct store *s, struct slot *slot, uint64_t low)
{
    drop_seen(s, slot, low);
    if (!slot->older_ids && isolation_id_before(slot->append_id, low)) isolation_forget(s, slot);
}

static bool id_seen(const struct isolation_reader *r, uint32_t id)
{
    if (!id || isolation_id_before(id, r->low)) return true;
    if (!isolation_id_before(id, r->max_id + 1)) return false;
    for (unsigned k = 0; k < r->n_open; k++)
        if ((uint32_t)r->open[k] == id) return false;
    return true;
}

uint64_t isolation_hidden(
    const struct store *s, const struct slot *slot, const struct isolation_reader *r)
{
    uint64_t n = slot->batch_n, hidden = 0;
    if (!id_seen(r, slot->append_id)) hidden = n;
    for (uint32_t i = slot->older_ids; i;) {
        const struct batch_id *at = batch_at(s, i);
        if (isolation_id_before(at->newest, r->low)) break;
        n += at->n;
        if (!id_seen(r, at->id)) hidden = n;
        i = at->next;
    }
    return hidden;
}
