#include "bucket/thanos_codec.h"

#include "base/json.h"
#include "base/json_far.h"
#include "base/rfc3339.h"

/* ---- reading */

struct reading {
    struct arena *a;
    struct err *e;
    errc rc;
};

static void wrong(struct reading *r, const char *name)
{
    if (r->rc == OK) r->rc = err_set(r->e, ERR_CORRUPT, "%s has the wrong type", name);
}

static str get_str(struct reading *r, const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    if (!v || json_is_null(v)) return STR_EMPTY;
    if (!json_is_string(v)) return wrong(r, name), STR_EMPTY;
    return arena_str(r->a, str_of(json_string_value(v), json_string_length(v)));
}

static int64_t get_int(struct reading *r, const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    if (!v || json_is_null(v)) return 0;
    if (!json_is_integer(v)) return wrong(r, name), 0;
    return json_integer_value(v);
}

/* *far: the mark of numbers in members that nobody knows (json_far.h). */
static errc json_open(json_t **out, str text, size_t *far, struct err *e)
{
    json_error_t why;
    json_t *o = json_far_load(text, far, &why);
    if (json_is_object(o)) return *out = o, OK;
    json_decref(o);
    return err_set(e, ERR_CORRUPT, "%s", o ? "it is no object" : why.text);
}

static struct labels get_labels(struct reading *r, json_t *o)
{
    struct labels_builder lb;
    const char *name;
    json_t *v;
    labels_builder_init(&lb, r->a);
    if (o && !json_is_object(o) && !json_is_null(o)) wrong(r, "labels");
    json_object_foreach(o, name, v)
    {
        if (!json_is_string(v)) wrong(r, "a label");
        else
            labels_builder_set(&lb, arena_str(r->a, str_z(name)),
                arena_str(r->a, str_of(json_string_value(v), json_string_length(v))));
    }
    return labels_builder_done(&lb);
}

static void get_files(struct reading *r, json_t *list, struct thanos_section *s)
{
    size_t i, n = json_array_size(list);
    json_t *one;
    if (list && !json_is_array(list) && !json_is_null(list)) wrong(r, "files");
    struct thanos_file *files = arena_array(r->a, n + 1, sizeof(*files));
    json_array_foreach(list, i, one)
    {
        int64_t size = get_int(r, one, "size_bytes");
        if (size < 0) wrong(r, "size_bytes");
        files[i] = (struct thanos_file){ get_str(r, one, "rel_path"), (uint64_t)size };
    }
    s->files = files;
    s->n_files = n;
}

static errc version_check(struct reading *r, const json_t *o, bool may_lack)
{
    int64_t version = get_int(r, o, "version");
    if (r->rc != OK || version == 1 || (may_lack && version == 0)) return r->rc;
    return err_set(r->e, ERR_CORRUPT, "version %" PRId64 " is not known", version);
}

static errc section_read(struct thanos_section *out, json_t *root, struct reading *r)
{
    struct thanos_section s = { 0 };
    json_t *o = json_object_get(root, "thanos");
    if (!o || json_is_null(o)) return *out = s, OK;
    if (!json_is_object(o)) return err_set(r->e, ERR_CORRUPT, "thanos has the wrong type");
    s.there = true;
    TRY(version_check(r, o, true));
    s.labels = get_labels(r, json_object_get(o, "labels"));
    s.source = get_str(r, o, "source");
    s.resolution_ms = get_int(r, json_object_get(o, "downsample"), "resolution");
    get_files(r, json_object_get(o, "files"), &s);
    str time = get_str(r, o, "upload_time");
    if (time.n && !rfc3339_parse(time, &s.upload_ms)) wrong(r, "upload_time");
    if (r->rc == OK) *out = s;
    return r->rc;
}

errc thanos_section_decode(
    struct thanos_section *out, str meta_json, struct arena *a, struct err *e)
{
    json_t *root = NULL;
    struct reading r = { a, e, OK };
    TRY(json_open(&root, meta_json, &(size_t){ 0 }, e));
    errc rc = section_read(out, root, &r);
    json_decref(root);
    return rc;
}

/* ---- the section, written */

static void put_files(struct json *j, const struct thanos_section *s)
{
    JSON_KEY(j, "segment_files");
    json_arr(j);
    for (size_t i = 0; i < s->n_files; i++)
        if (str_has_prefix(s->files[i].rel_path, S("chunks/")))
            json_str(j, str_from(s->files[i].rel_path, 7));
    json_arr_end(j);
    JSON_KEY(j, "files");
    json_arr(j);
    for (size_t i = 0; i < s->n_files; i++) {
        json_obj(j);
        json_kstr(j, S("rel_path"), s->files[i].rel_path);
        if (s->files[i].size_bytes) json_ku64(j, S("size_bytes"), s->files[i].size_bytes);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void put_section(struct buf *b, const struct thanos_section *s)
{
    struct json j = json_to(b);
    json_obj(&j);
    json_ki64(&j, S("version"), 1);
    JSON_KEY(&j, "labels");
    json_obj(&j);
    for (size_t i = 0; i < s->labels.n; i++)
        json_kstr(&j, s->labels.at[i].name, s->labels.at[i].value);
    json_obj_end(&j);
    JSON_KEY(&j, "downsample");
    json_obj(&j);
    json_ki64(&j, S("resolution"), s->resolution_ms);
    json_obj_end(&j);
    json_kstr(&j, S("source"), s->source);
    if (s->n_files) put_files(&j, s);
    JSON_KEY(&j, "index_stats");
    json_obj(&j);
    json_obj_end(&j);
    if (s->upload_ms) {
        SCOPED(buf_fini) struct buf time = { 0 };
        buf_rfc3339_ms(&time, s->upload_ms);
        json_kstr(&j, S("upload_time"), buf_view(&time));
    }
    json_obj_end(&j);
}

/* The others, joined by commas as meta_codec has them. */
static void put_others(struct buf *b, str more)
{
    SCOPED(buf_fini) struct buf whole = { 0 };
    const char *name;
    json_t *root = NULL, *v;
    size_t far = 0;
    buf_fmt(&whole, "{%.*s}", STR_ARG(more));
    if (json_open(&root, buf_view(&whole), &far, NULL) != OK) return;
    json_object_foreach(root, name, v)
    {
        if (str_eq(str_z(name), S("thanos"))) continue;
        struct json j = json_to(b);
        if (b->n) buf_u8(b, ',');
        json_str(&j, str_z(name));
        buf_str(b, S(": "));
        json_far_put(b, v, far);
    }
    json_decref(root);
}

str thanos_section_more(const struct thanos_section *s, str more, struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    put_others(&b, more);
    if (b.n) buf_u8(&b, ',');
    buf_str(&b, S("\"thanos\": "));
    put_section(&b, s);
    return arena_str(a, buf_view(&b));
}

/* ---- marks */

static const struct {
    str file;
    const char *time;
    bool reason;
} marks[MARK_KINDS] = {
    [MARK_DELETION] = { S("deletion-mark.json"), "deletion_time", false },
    [MARK_NO_COMPACT] = { S("no-compact-mark.json"), "no_compact_time", true },
    [MARK_NO_DOWNSAMPLE] = { S("no-downsample-mark.json"), "no_downsample_time", true },
};

str block_mark_file(enum block_mark_kind kind)
{
    assert(kind < MARK_KINDS);
    return marks[kind].file;
}

void block_mark_encode(struct buf *b, const struct block_mark *m)
{
    struct json j = json_to(b);
    json_obj(&j);
    json_kstr(&j, S("id"), str_z(ulid_text(m->id).z));
    json_ki64(&j, S("version"), 1);
    if (m->details.n) json_kstr(&j, S("details"), m->details);
    json_ki64(&j, str_z(marks[m->kind].time), m->time_s);
    if (marks[m->kind].reason) json_kstr(&j, S("reason"), m->reason);
    json_obj_end(&j);
}

errc block_mark_decode(
    struct block_mark *out, enum block_mark_kind kind, str json, struct arena *a, struct err *e)
{
    json_t *o = NULL;
    struct reading r = { a, e, OK };
    TRY(json_open(&o, json, &(size_t){ 0 }, e));
    struct block_mark m = { .kind = kind };
    str id = get_str(&r, o, "id");
    m.time_s = get_int(&r, o, marks[kind].time);
    m.details = get_str(&r, o, "details");
    m.reason = get_str(&r, o, "reason");
    errc rc = version_check(&r, o, false);
    if (rc == OK && !ulid_parse(id, &m.id)) rc = err_set(e, ERR_CORRUPT, "id names no block");
    if (rc == OK) *out = m;
    json_decref(o);
    return rc;
}

/* ---- what was uploaded */

void uploaded_encode(struct buf *b, const ulid *ids, size_t n)
{
    buf_fmt(b, "{\n\t\"version\": 1,\n\t\"uploaded\": ");
    if (!n) buf_str(b, S("null"));
    for (size_t i = 0; i < n; i++) buf_fmt(b, "%s\n\t\t\"%s\"", i ? "," : "[", ulid_text(ids[i]).z);
    buf_fmt(b, "%s\n}\n", n ? "\n\t]" : "");
}

errc uploaded_decode(ulid_list *out, str json, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    json_t *o = NULL, *one;
    struct reading r = { &a, e, OK };
    size_t i, before = out->n;
    TRY(json_open(&o, json, &(size_t){ 0 }, e));
    json_t *list = json_object_get(o, "uploaded");
    errc rc = version_check(&r, o, false);
    if (rc == OK && list && !json_is_array(list) && !json_is_null(list))
        rc = err_set(e, ERR_CORRUPT, "uploaded has the wrong type");
    json_array_foreach(list, i, one)
    {
        ulid id;
        if (rc != OK) break;
        if (!ulid_parse(str_z(json_string_value(one)), &id))
            rc = err_set(e, ERR_CORRUPT, "uploaded: entry %zu names no block", i);
        else vec_push(out, id);
    }
    json_decref(o);
    if (rc != OK) out->n = before;
    return rc;
}
