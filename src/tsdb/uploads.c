#include "tsdb/uploads.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/fs.h"

#include <jansson.h>

enum { FILE_BYTES_MAX = 64 << 20 };
static const int64_t READ_AGAIN_NS = INT64_C(60) * 1000000000;

struct uploads {
    str path;                                  /* heap */
    VEC(ulid) all;
    bool known;                                /* the file was read, at read_ns */
    int64_t read_ns;
};

struct uploads *uploads_new(str path)
{
    struct uploads *u = NEW(struct uploads);
    u->path = mem_str(path);
    return u;
}

void uploads_free(struct uploads *u)
{
    if (!u) return;
    vec_fini(&u->all);
    mem_free((void *)u->path.p);
    mem_free(u);
}

static errc list_read(struct uploads *u, str text, struct err *e)
{
    json_error_t why;
    json_t *file = json_loadb((const char *)text.p, text.n, 0, &why), *one;
    json_t *list = json_object_get(file, "uploaded");
    size_t i;
    u->all.n = 0;
    if (!json_is_object(file) || (list && !json_is_array(list) && !json_is_null(list))) {
        json_decref(file);
        return err_set(e, ERR_CORRUPT, "%s", file ? "no list of blocks" : why.text);
    }
    json_array_foreach (list, i, one) {
        ulid id;
        const char *name = json_string_value(one);
        if (name && ulid_parse(str_z(name), &id)) vec_push(&u->all, id);
    }
    json_decref(file);
    return OK;
}

static void uploads_read(struct uploads *u)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    str text;
    u->known = false;
    if (fs_read_path(u->path, &a, FILE_BYTES_MAX, &text, &e) != OK) {
        LOG(WARN, "cannot open TSDB upload meta file", kv_str("path", u->path), kv_err(&e));
        return;
    }
    if (list_read(u, text, &e) != OK) {
        LOG(WARN, "cannot parse TSDB upload meta file", kv_str("path", u->path), kv_err(&e));
        return;
    }
    u->known = true;
    u->read_ns = clock_mono_ns();
}

bool uploads_pending(struct uploads *u, const struct block_meta *m)
{
    if (!u || m->level > 1) return false;      /* compacted ones count as uploaded */
    if (!u->known || clock_mono_ns() - u->read_ns >= READ_AGAIN_NS) uploads_read(u);
    for (size_t i = 0; u->known && i < u->all.n; i++)
        if (ulid_eq(u->all.at[i], m->id)) return false;
    return u->known;
}
