#include "bucket/bucket_index_codec.h"

#include "base/compress.h"

#include <jansson.h>
#include <stdlib.h>

/* A segment has 512 MiB: no block has thousands of them, and no bucket millions. */
enum { JSON_BYTES_MAX = 1 << 30, SEGMENTS_MAX = 100000, SEGMENTS_ALL_MAX = 1 << 22 };
#define SECONDS_MAX (INT64_MAX / 1000) /* as milliseconds they are still a time */

struct reading {
    struct arena *a;
    struct err *e;
    errc rc;
};

static void wrong(struct reading *r, const char *name)
{
    if (r->rc == OK) r->rc = err_set(r->e, ERR_CORRUPT, "%s has the wrong type or value", name);
}

static int64_t get_int(struct reading *r, const json_t *o, const char *name, bool needed)
{
    const json_t *v = json_object_get(o, name);
    bool none = !v || json_is_null(v);
    if (none ? needed : !json_is_integer(v)) wrong(r, name);
    return none ? 0 : json_integer_value(v);
}

static ulid get_id(struct reading *r, const json_t *o)
{
    ulid id = { { 0 } };
    const char *text = json_string_value(json_object_get(o, "block_id"));
    if (!text || !ulid_parse(str_z(text), &id)) wrong(r, "block_id");
    return id;
}

static struct labels get_labels(struct reading *r, json_t *o)
{
    struct labels_builder lb;
    const char *name;
    json_t *v;
    labels_builder_init(&lb, r->a);
    json_object_foreach(o, name, v)
    {
        if (!json_is_string(v)) wrong(r, "labels");
        else
            labels_builder_set(&lb, arena_str(r->a, str_z(name)),
                arena_str(r->a, str_of(json_string_value(v), json_string_length(v))));
    }
    return labels_builder_done(&lb);
}

static struct bucket_index_block get_block(struct reading *r, json_t *o)
{
    struct bucket_index_block b = { .id = get_id(r, o),
        .mint = get_int(r, o, "min_time", true),
        .maxt = get_int(r, o, "max_time", true) };
    int64_t segments = get_int(r, o, "segments_num", false),
            level = get_int(r, o, "compaction_level", false);
    const char *format = json_string_value(json_object_get(o, "segments_format"));
    if (segments < 0 || segments > SEGMENTS_MAX) wrong(r, "segments_num");
    else if (format && str_eq(str_z(format), S("1b6d"))) b.segments = (uint32_t)segments;
    if (level < 0 || level > INT32_MAX) wrong(r, "compaction_level");
    else b.level = (uint32_t)level;
    if (b.mint > b.maxt || b.maxt == INT64_MIN) wrong(r, "max_time");
    b.labels = get_labels(r, json_object_get(o, "labels"));
    return b;
}

static int by_id(const void *a, const void *b)
{
    const struct bucket_index_block *x = a, *y = b;
    return ulid_cmp(x->id, y->id);
}

static void marks_read(struct reading *r, json_t *list, struct bucket_index_block *blocks, size_t n)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        struct bucket_index_block key = { .id = get_id(r, one) };
        int64_t t = get_int(r, one, "deletion_time", true);
        if (t > SECONDS_MAX) wrong(r, "deletion_time");
        struct bucket_index_block *b = n ? bsearch(&key, blocks, n, sizeof(*blocks), by_id) : NULL;
        if (b) b->marked_s = MAX(t, 1);
    }
}

static errc index_read(struct bucket_index *out, const json_t *root, struct reading *r)
{
    json_t *list = json_object_get(root, "blocks"), *one;
    json_t *marks = json_object_get(root, "block_deletion_marks");
    int64_t version = get_int(r, root, "version", true);
    size_t i, n = json_array_size(list);
    if (r->rc == OK && version != 1 && version != 2)
        return err_set(r->e, ERR_CORRUPT, "version %" PRId64 " is not known", version);
    if (list && !json_is_array(list) && !json_is_null(list)) wrong(r, "blocks");
    if (marks && !json_is_array(marks) && !json_is_null(marks)) wrong(r, "block_deletion_marks");
    struct bucket_index_block *blocks = arena_array(r->a, n + 1, sizeof(*blocks));
    json_array_foreach(list, i, one) blocks[i] = get_block(r, one);
    if (n) qsort(blocks, n, sizeof(*blocks), by_id);
    uint64_t segments = 0;
    for (i = 0; i < n; i++) segments += blocks[i].segments;
    if (segments > SEGMENTS_ALL_MAX) wrong(r, "segments_num");
    for (i = 1; i < n; i++)
        if (ulid_eq(blocks[i - 1].id, blocks[i].id)) wrong(r, "blocks");
    marks_read(r, marks, blocks, n);
    struct bucket_index x = { blocks, n, get_int(r, root, "updated_at", true) };
    if (x.updated_s < 0 || x.updated_s > SECONDS_MAX) wrong(r, "updated_at");
    if (r->rc == OK) *out = x;
    return r->rc;
}

errc bucket_index_json_decode(
    struct bucket_index *out, str json, struct arena *a, struct err *e)
{
    json_error_t why;
    struct reading r = { a, e, OK };
    json_t *root = json_loadb((const char *)json.p, json.n, JSON_ALLOW_NUL, &why);
    errc rc = json_is_object(root) ? index_read(out, root, &r)
                                   : err_set(e, ERR_CORRUPT, "%s", root ? "no object" : why.text);
    json_decref(root);
    return rc == OK ? OK : err_in(e, rc, "bucket index");
}

errc bucket_index_decode(struct bucket_index *out, str packed, struct arena *a, struct err *e)
{
    SCOPED(buf_fini) struct buf json = { 0 };
    TRY_IN(
        e, compress_unpack(&json, COMPRESS_GZIP, packed, JSON_BYTES_MAX, e), "bucket index");
    return bucket_index_json_decode(out, buf_view(&json), a, e);
}
