#include "scrape/file_sd.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/path.h"
#include "io/fs.h"
#include "io/glob.h"

#include <jansson.h>
#include <yaml.h>

enum { FILE_MAX_BYTES = 256 << 20, YAML_DEPTH_MAX = 32 };

static const double scan_quantiles[] = { 0.5, 0.9, 0.99 };
COUNTER(m_read_errors, "prometheus_sd_file_read_errors_total", "The number of File-SD read errors.")
SUMMARY(m_scan, "prometheus_sd_file_scan_duration_seconds",
    "The duration of the File-SD scan in seconds.", scan_quantiles)
GAUGE_VEC(m_mtime, "prometheus_sd_file_mtime_seconds",
    "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.", "filename")

/* ---- groups from a tree of values; both formats are turned into jansson's first */

static errc group_targets(struct target_group *g, json_t *list, struct arena *a, struct err *e)
{
    size_t n = json_array_size(list);
    str *targets = arena_array(a, n + 1, sizeof(*targets));
    for (size_t i = 0; i < n; i++) {
        json_t *v = json_array_get(list, i);
        if (!json_is_string(v)) return err_set(e, ERR_BAD_INPUT, "target %zu is no string", i);
        targets[i] = arena_str(a, str_of(json_string_value(v), json_string_length(v)));
    }
    g->targets = targets;
    g->n_targets = n;
    return OK;
}

static errc group_labels(
    struct target_group *g, json_t *map, str path, struct arena *a, struct err *e)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    const char *key;
    json_t *v;
    json_object_foreach(map, key, v) {
        if (!json_is_string(v))
            return err_set(e, ERR_BAD_INPUT, "the value of label \"%s\" is no string", key);
        if (!label_name_valid_utf8(str_z(key)))
            return err_set(e, ERR_BAD_INPUT, "\"%s\" is not a valid label name", key);
        labels_builder_set(&lb, arena_str(a, str_z(key)),
            arena_str(a, str_of(json_string_value(v), json_string_length(v))));
    }
    labels_builder_set(&lb, S("__meta_filepath"), arena_str(a, path));
    g->labels = labels_builder_done(&lb);
    return OK;
}

static errc group_of(
    struct target_group *g, json_t *item, size_t index, str path, struct arena *a, struct err *e)
{
    if (json_is_null(item))
        return err_set(e, ERR_BAD_INPUT, "nil target group item found (index %zu)", index);
    if (!json_is_object(item))
        return err_set(e, ERR_BAD_INPUT, "target group %zu is no mapping", index);
    const char *key;
    json_t *v, *targets = NULL, *labels = NULL;
    json_object_foreach(item, key, v) {
        if (strcmp(key, "targets") == 0) targets = v;
        else if (strcmp(key, "labels") == 0) labels = v;
        else return err_set(e, ERR_BAD_INPUT, "target group %zu: unknown field \"%s\"", index, key);
    }
    if (targets && !json_is_null(targets) && !json_is_array(targets))
        return err_set(e, ERR_BAD_INPUT, "targets of group %zu are no list", index);
    if (labels && !json_is_null(labels) && !json_is_object(labels))
        return err_set(e, ERR_BAD_INPUT, "labels of group %zu are no mapping", index);
    TRY(group_targets(g, targets, a, e));
    TRY(group_labels(g, labels, path, a, e));
    g->source = arena_fmt(a, "%.*s:%zu", STR_ARG(path), index);
    return OK;
}

static errc groups_of(target_groups *out, json_t *root, str path, struct arena *a, struct err *e)
{
    if (json_is_null(root)) return OK;
    if (!json_is_array(root))
        return err_set(e, ERR_BAD_INPUT, "the file holds no list of target groups");
    for (size_t i = 0; i < json_array_size(root); i++) {
        struct target_group g = { 0 };
        TRY(group_of(&g, json_array_get(root, i), i, path, a, e));
        vec_push(out, g);
    }
    return OK;
}

static json_t *json_of_yaml(yaml_document_t *doc, int node_id, unsigned depth)
{
    yaml_node_t *node = yaml_document_get_node(doc, node_id);
    if (!node || depth > YAML_DEPTH_MAX) return NULL;
    json_t *out = NULL;
    switch (node->type) {
    case YAML_SCALAR_NODE:
        if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
            (node->data.scalar.length == 0 ||
                strcmp((char *)node->data.scalar.value, "null") == 0 ||
                strcmp((char *)node->data.scalar.value, "~") == 0))
            return json_null();
        return json_stringn((char *)node->data.scalar.value, node->data.scalar.length);
    case YAML_SEQUENCE_NODE:
        out = json_array();
        for (yaml_node_item_t *it = node->data.sequence.items.start;
             it < node->data.sequence.items.top; it++)
            if (json_array_append_new(out, json_of_yaml(doc, *it, depth + 1)) != 0) goto bad;
        return out;
    case YAML_MAPPING_NODE:
        out = json_object();
        for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
             p++) {
            yaml_node_t *key = yaml_document_get_node(doc, p->key);
            if (!key || key->type != YAML_SCALAR_NODE) goto bad;
            if (json_object_set_new(out, (char *)key->data.scalar.value,
                    json_of_yaml(doc, p->value, depth + 1)) != 0)
                goto bad;
        }
        return out;
    default: return NULL;
    }
bad:
    json_decref(out);
    return NULL;
}

static errc parse_yaml(json_t **out, str content, struct err *e)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, content.p ? content.p : (const uint8_t *)"", content.n);
    errc rc = OK;
    if (!yaml_parser_load(&parser, &doc)) {
        rc = err_set(e, ERR_BAD_INPUT, "yaml: line %zu: %s", parser.problem_mark.line + 1,
            parser.problem ? parser.problem : "cannot be read");
    } else {
        yaml_node_t *root = yaml_document_get_root_node(&doc);
        *out = root ? json_of_yaml(&doc, 1, 0) : json_null();
        if (!*out)
            rc = err_set(
                e, ERR_BAD_INPUT, "yaml: nothing but lists, mappings and strings may be in it");
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return rc;
}

static errc parse_json(json_t **out, str content, struct err *e)
{
    json_error_t why;
    *out = json_loadb((const char *)content.p, content.n, JSON_DECODE_ANY, &why);
    return *out ? OK : err_set(e, ERR_BAD_INPUT, "json: line %d: %s", why.line, why.text);
}

errc file_sd_parse(target_groups *out, str path, str content, struct arena *a, struct err *e)
{
    json_t *root = NULL;
    bool json = str_has_suffix(path, S(".json")) || str_has_suffix(path, S(".JSON"));
    errc rc = json ? parse_json(&root, content, e) : parse_yaml(&root, content, e);
    if (rc == OK) rc = groups_of(out, root, path, a, e);
    json_decref(root);
    return rc;
}

/* ---- files */

struct sd_file { str path; struct file_groups *content; bool seen; };
struct file_sd { struct arena a; struct file_sd_config c; VEC(struct sd_file) files; };

static void groups_free(struct file_groups *g)
{
    vec_fini(&g->groups);
    arena_fini(&g->a);
    mem_free(g);
}

void file_groups_unref(struct file_groups *g)
{
    if (g && atomic_fetch_sub(&g->refs, 1) == 1) groups_free(g);
}

struct file_sd *file_sd_new(const struct file_sd_config *c)
{
    struct file_sd *f = NEW(struct file_sd);
    arena_init(&f->a, NULL, 0);
    str *files = arena_array(&f->a, c->n_files + 1, sizeof(*files));
    for (size_t i = 0; i < c->n_files; i++) files[i] = arena_str(&f->a, c->files[i]);
    f->c = (struct file_sd_config){ files, c->n_files, c->refresh_ms };
    return f;
}

static void sd_file_fini(struct sd_file *s)
{
    metric_forget(&m_mtime, &s->path, 1);
    file_groups_unref(s->content);
    mem_free((void *)s->path.p);
}

void file_sd_free(struct file_sd *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->files.n; i++) sd_file_fini(&f->files.at[i]);
    vec_fini(&f->files);
    arena_fini(&f->a);
    mem_free(f);
}

bool file_sd_same(const struct file_sd *f, const struct file_sd *g)
{
    bool same = f->c.n_files == g->c.n_files && f->c.refresh_ms == g->c.refresh_ms;
    for (size_t i = 0; same && i < f->c.n_files; i++) same = str_eq(f->c.files[i], g->c.files[i]);
    return same;
}

int64_t file_sd_refresh_ms(const struct file_sd *f) { return f->c.refresh_ms; }

static struct sd_file *file_of(struct file_sd *f, str path)
{
    for (size_t i = 0; i < f->files.n; i++)
        if (str_eq(f->files.at[i].path, path)) return &f->files.at[i];
    vec_push(&f->files, ((struct sd_file){ .path = mem_str(path) }));
    return &vec_last(&f->files);
}

/* The file's content into fresh, which stays without groups if the bytes are those of before. */
static errc read_groups(
    struct file_groups *fresh, const struct file_groups *before, str path, struct err *e)
{
    struct arena bytes;
    arena_init(&bytes, NULL, 0);
    str content;
    errc rc = fs_read_path(path, &bytes, FILE_MAX_BYTES, &content, e);
    if (rc == OK) {
        fresh->hash = hash_str(content);
        if (!before || before->hash != fresh->hash)
            rc = file_sd_parse(&fresh->groups, path, content, &fresh->a, e);
    }
    arena_fini(&bytes);
    return rc;
}

static void show_mtime(str path)
{
    str name;
    struct fs *fs = fs_real_of(path, &name);
    struct fs_stat st;
    if (fs_stat(fs, name, &st, NULL) == OK)
        metric_set_of(METRIC_WITH(&m_mtime, path), (double)(st.mtime_ms / 1000));
    fs_free(fs);
}

static void read_file(struct file_sd *f, str path, struct file_scan *out)
{
    struct sd_file *s = file_of(f, path);
    s->seen = true;
    struct file_groups *fresh = NEW(struct file_groups);
    atomic_init(&fresh->refs, 1);
    arena_init(&fresh->a, NULL, 0);
    struct err e = { 0 };
    errc rc = read_groups(fresh, s->content, s->path, &e);
    if (rc == OK) show_mtime(s->path);
    else {
        out->failed++;
        metric_inc(&m_read_errors);
        LOG(ERROR, "Error reading file", kv_str("path", path), kv_err(&e));
    }
    if (rc != OK || (s->content && s->content->hash == fresh->hash)) {
        groups_free(fresh);
        return;
    }
    file_groups_unref(s->content);
    s->content = fresh;
    out->changed = true;
}

static void scan_pattern(struct file_sd *f, str pattern, struct file_scan *out)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str_list paths = { 0 };
    struct err e = { 0 };
    if (glob_paths(pattern, &a, &paths, &e) != OK)
        LOG(ERROR, "Error expanding glob", kv_str("glob", pattern), kv_err(&e));
    for (size_t i = 0; i < paths.n; i++) read_file(f, paths.at[i], out);
    arena_fini(&a);
}

struct file_scan file_sd_scan(struct file_sd *f)
{
    int64_t start = clock_mono_ns();
    struct file_scan out = { 0 };
    for (size_t i = 0; i < f->files.n; i++) f->files.at[i].seen = false;
    for (size_t i = 0; i < f->c.n_files; i++) scan_pattern(f, f->c.files[i], &out);
    size_t n = 0;
    for (size_t i = 0; i < f->files.n; i++) {
        if (f->files.at[i].seen) f->files.at[n++] = f->files.at[i];
        else sd_file_fini(&f->files.at[i]);
    }
    out.changed |= n != f->files.n;
    f->files.n = n;
    metric_observe(&m_scan, (double)(clock_mono_ns() - start) / 1e9);
    return out;
}

void file_sd_groups(const struct file_sd *f, file_groups_list *out)
{
    for (size_t i = 0; i < f->files.n; i++) {
        struct file_groups *g = f->files.at[i].content;
        if (!g) continue;
        atomic_fetch_add(&g->refs, 1);
        vec_push(out, g);
    }
}

void file_sd_folders(const struct file_sd *f, struct arena *a, str_list *out)
{
    for (size_t i = 0; i < f->c.n_files; i++) {
        str dir = path_dir(f->c.files[i]);
        bool known = false;
        for (size_t k = 0; k < out->n; k++) known = known || str_eq(out->at[k], dir);
        if (!known) avec_push(a, out, arena_str(a, dir));
    }
}

bool file_sd_in(const struct file_sd *f, str folder)
{
    for (size_t i = 0; i < f->c.n_files; i++)
        if (str_eq(path_dir(f->c.files[i]), folder)) return true;
    return false;
}
