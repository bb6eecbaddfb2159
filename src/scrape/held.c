#include "scrape/held.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

ACCOUNT(held_account, "scrapes_held")

COUNTER(m_held, "epimetheus_scrapes_held_total",
    "Scrapes that waited for the storage to be opened.")
COUNTER(m_no_room, "epimetheus_scrapes_held_failed_total",
    "Scrapes that found no room to wait for the storage and became failures.")

enum { PAGE_MAX_BYTES = 1 << 30 };

struct held_entry {
    struct held_entry *next;
    struct target *target;
    struct held_owner owner;
    bool is_end, failed, too_large;
    struct buf packed, type;
    struct err e;
    int64_t t_ms, took_ns;                 /* from the beginning of the scrape until here */
};

void held_init(struct held *h, bool open, size_t max_bytes)
{
    *h = (struct held){ .max_bytes = max_bytes, .open = open };
    h->link = &h->first;
    mtx_init(&h->mu, LOCK_LEAF);
}

static void entry_free(struct held_entry *x)
{
    target_unref(x->target);
    if (x->owner.release) x->owner.release(x->owner.ctx);
    buf_fini(&x->packed);
    buf_fini(&x->type);
    mem_free(x);
}

void held_fini(struct held *h)
{
    for (struct held_entry *x = h->first, *next; x; x = next) {
        next = x->next;
        entry_free(x);
    }
    mtx_fini(&h->mu);
}

bool held_is_on(struct held *h)
{
    mtx_lock(&h->mu);
    bool on = !h->open;
    mtx_unlock(&h->mu);
    return on;
}

static struct held_entry *entry_new(struct target *t, const struct scrape_page *page, int64_t t_ms,
    int64_t start_mono_ns, struct held_owner owner)
{
    struct held_entry *x = NEW(struct held_entry);
    *x = (struct held_entry){ .target = target_ref(t),
        .owner = owner,
        .is_end = !page,
        .t_ms = t_ms,
        .took_ns = clock_mono_ns() - start_mono_ns };
    buf_init(&x->packed, &held_account, 0);
    buf_init(&x->type, NULL, 0);
    if (!page) return x;
    assert(!page->ahead);
    x->failed = page->failed != NULL;
    x->too_large = page->too_large;
    if (page->failed) x->e = *page->failed;
    buf_str(&x->type, page->content_type);
    return x;
}

/* The page for which there is no room is given up, not the scrape. */
static void entry_pack(struct held_entry *x, const struct scrape_page *page, size_t room)
{
    errc rc = ERR_LIMIT;
    if (page->n < PAGE_MAX_BYTES)
        rc = compress_pack(&x->packed, COMPRESS_SNAPPY, str_of(page->body, page->n), 0, NULL);
    if (rc == OK && x->packed.n <= room) return;
    buf_fini(&x->packed);
    x->failed = true;
    err_set(&x->e, ERR_LIMIT, "the storage is being opened, and there is no room for the page");
    metric_inc(&m_no_room);
    LOG_LIMITED(WARN, 10000, "no room for pages until the storage is open",
        kv_str("target", x->target->url));
}

bool held_put(struct held *h, struct target *t, const struct scrape_page *page, int64_t t_ms,
    int64_t start_mono_ns, struct held_owner owner)
{
    mtx_lock(&h->mu);
    bool open = h->open;
    size_t room = h->max_bytes - h->bytes;
    mtx_unlock(&h->mu);
    if (open) return false;
    struct held_entry *x = entry_new(t, page, t_ms, start_mono_ns, owner);
    if (page && !page->failed && page->n) entry_pack(x, page, room);
    mtx_lock(&h->mu);
    open = h->open;
    if (!open) {
        *h->link = x;
        h->link = &x->next;
        h->bytes += MIN(x->packed.n, h->max_bytes - h->bytes);
    }
    mtx_unlock(&h->mu);
    if (!open) {
        metric_inc(&m_held);
        return true;
    }
    x->owner.release = NULL;               /* still the caller's */
    entry_free(x);
    return false;
}

/* The oldest; NULL: there is none, and there will be none. */
static struct held_entry *held_take(struct held *h)
{
    mtx_lock(&h->mu);
    struct held_entry *x = h->first;
    if (x) {
        h->first = x->next;
        if (!h->first) h->link = &h->first;
        h->bytes -= MIN(x->packed.n, h->bytes);
    } else {
        h->open = true;
    }
    mtx_unlock(&h->mu);
    return x;
}

static void entry_store(struct held_entry *x, struct buf *room, struct appendable *st)
{
    struct scrape_outcome out;
    if (x->is_end) {
        scrape_end(x->target, st, x->t_ms);
        return;
    }
    buf_reset(room);
    if (!x->failed && x->packed.n &&
        compress_unpack(room, COMPRESS_SNAPPY, buf_view(&x->packed), PAGE_MAX_BYTES, &x->e) != OK)
        x->failed = true;
    size_t n = x->failed ? 0 : room->n;
    uint8_t *padding = buf_room(room, EXPO_PADDING);
    if (padding) memset(padding, 0, EXPO_PADDING);
    struct scrape_page page = { .body = room->p,
        .n = n,
        .content_type = buf_view(&x->type),
        .t_ms = x->t_ms,
        .failed = x->failed ? &x->e : NULL,
        .too_large = x->too_large };
    scrape_apply(x->target, st, &page, clock_mono_ns() - x->took_ns, &out);
}

void held_store(struct held *h, struct appendable *st)
{
    struct buf room = { 0 };
    buf_init(&room, &held_account, 0);
    for (struct held_entry *x; (x = held_take(h)) != NULL;) {
        entry_store(x, &room, st);
        entry_free(x);
    }
    buf_fini(&room);
}
