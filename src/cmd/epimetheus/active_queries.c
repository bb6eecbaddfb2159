#include "cmd/epimetheus/active_queries.h"

#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"

enum { SLOT_BYTES = 1000 };
#define FILE_NAME S("queries.active")

struct active_queries {
    struct fs *fs;
    struct file *file;
    struct mtx mu;                     /* LOCK_LEAF */
    VEC(long) free;                    /* GUARDED_BY(mu): slots that nobody has */
    unsigned max;
};

/* What an earlier process was doing: the file without its zeros is a JSON array, but for its last
 * comma. */
static void log_unfinished(struct fs *fs)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str content;
    if (fs_read_all(fs, FILE_NAME, &a, 64 << 20, &content, NULL) == OK) {
        uint8_t *text = arena_alloc(&a, content.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < content.n; i++)
            if (content.p[i]) text[n++] = content.p[i];
        if (n > 1 && text[n - 1] == ',') text[n - 1] = ']';
        if (n > 1)
            LOG(INFO, "These queries didn't finish in prometheus' last run:",
                kv_str("queries", str_of(text, n)));
    }
    arena_fini(&a);
}

static errc file_fill(struct active_queries *q, struct err *e)
{
    TRY(fs_open(&q->file, q->fs, FILE_NAME, FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC, e));
    size_t bytes = 1 + (size_t)q->max * SLOT_BYTES;
    uint8_t *zeros = mem_zalloc(bytes);
    zeros[0] = '[';
    str all = str_of(zeros, bytes);
    uint64_t done;
    errc rc = file_pwrite(q->file, &all, 1, 0, &done, e);
    mem_free(zeros);
    return rc == OK ? file_sync(q->file, e) : rc;
}

errc active_queries_open(
    struct active_queries **out, struct fs *fs, unsigned max_concurrency, struct err *e)
{
    log_unfinished(fs);
    struct active_queries *q = NEW(struct active_queries);
    q->fs = fs;
    q->max = max_concurrency;
    mtx_init(&q->mu, LOCK_LEAF);
    for (unsigned i = max_concurrency; i > 0; i--) vec_push(&q->free, (long)i - 1);
    errc rc = file_fill(q, e);
    if (rc != OK) {
        active_queries_close(q);
        return err_in(e, rc, "unable to create the active query log");
    }
    *out = q;
    return OK;
}

void active_queries_close(struct active_queries *q)
{
    if (!q) return;
    file_close(q->file);
    vec_fini(&q->free);
    mtx_fini(&q->mu);
    mem_free(q);
}

/* The query's text cut at a rune's border so that the entry fits its slot with the comma. */
static void entry_make(struct buf *b, str query, int64_t start_ms)
{
    for (size_t keep = query.n;; keep = keep > 8 ? keep - 8 : 0) {
        str cut = str_slice(query, 0, keep);
        while (cut.n < query.n && cut.n && (query.p[cut.n] & 0xc0) == 0x80) cut.n--;
        buf_reset(b);
        struct json j = json_to(b);
        j.html = true;
        json_obj(&j);
        json_kstr(&j, S("query"), cut);
        json_ki64(&j, S("timestamp_sec"), start_ms / 1000);
        json_obj_end(&j);
        if (b->n < SLOT_BYTES || !keep) return;
        if (b->n > 2 * SLOT_BYTES && keep > SLOT_BYTES) keep = SLOT_BYTES;
    }
}

static void slot_write(struct active_queries *q, long slot, str entry)
{
    uint8_t bytes[SLOT_BYTES] = { 0 };
    if (entry.n) memcpy(bytes, entry.p, MIN(entry.n, sizeof(bytes) - 1));
    if (entry.n) bytes[SLOT_BYTES - 1] = ',';
    str all = str_of(bytes, sizeof(bytes));
    uint64_t done;
    struct err e = { 0 };
    if (file_pwrite(q->file, &all, 1, 1 + (uint64_t)slot * SLOT_BYTES, &done, &e) != OK)
        LOG_LIMITED(WARN, 60000, "the active query log cannot be written", kv_err(&e));
}

static long query_begin(void *ctx, str query, int64_t start_ms)
{
    struct active_queries *q = ctx;
    mtx_lock(&q->mu);
    /* the engine runs more than there are slots while some stand still: these are not noted */
    long slot = q->free.n ? vec_pop(&q->free) : -1;
    mtx_unlock(&q->mu);
    if (slot < 0) return slot;
    struct buf entry = { 0 };
    entry_make(&entry, query, start_ms);
    slot_write(q, slot, buf_view(&entry));
    buf_fini(&entry);
    return slot;
}

static void query_end(void *ctx, long slot)
{
    struct active_queries *q = ctx;
    if (slot < 0) return;
    slot_write(q, slot, STR_EMPTY);
    mtx_lock(&q->mu);
    vec_push(&q->free, slot);
    mtx_unlock(&q->mu);
}

struct query_sink active_queries_sink(struct active_queries *q)
{
    return (struct query_sink){ .ctx = q, .begin = query_begin, .end = query_end };
}
