#include "scrape/file_sd.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "io/fs.h"

#include <jansson.h>
#include <yaml.h>

enum { FILE_MAX_BYTES = 256 << 20, YAML_DEPTH_MAX = 32 };

static const double scan_quantiles[] = { 0.5, 0.9, 0.99 };
COUNTER(m_read_errors, "prometheus_sd_file_read_errors_total", "The number of File-SD read errors.")
SUMMARY(m_scan, "prometheus_sd_file_scan_duration_seconds", "The duration of the File-SD scan in seconds.", scan_quantiles)
GAUGE_VEC(m_mtime, "prometheus_sd_file_mtime_seconds", "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.", "filename")

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

static errc group_labels(struct target_group *g, json_t *map, str path, struct arena *a, struct err *e)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    const char *key;
    json_t *v;
    json_object_foreach(map, key, v) {
        if (!json_is_string(v)) return err_set(e, ERR_BAD_INPUT, "the value of label \"%s\" is no string", key);
        if (!label_name_valid_utf8(str_z(key))) return err_set(e, ERR_BAD_INPUT, "\"%s\" is not a valid label name", key);
        labels_builder_set(&lb, arena_str(a, str_z(key)), arena_str(a, str_of(json_string_value(v), json_string_length(v))));
    }
    labels_builder_set(&lb, S("__meta_filepath"), arena_str(a, path));
    g->labels = labels_builder_done(&lb);
    return OK;
}

static errc group_of(struct target_group *g, json_t *item, size_t index, str path, struct arena *a, struct err *e)
{
    if (json_is_null(item)) return err_set(e, ERR_BAD_INPUT, "nil target group item found (index %zu)", index);
    if (!json_is_object(item)) return err_set(e, ERR_BAD_INPUT, "target group %zu is no mapping", index);
    const char *key;
    json_t *v, *targets = NULL, *labels = NULL;
    json_object_foreach(item, key, v) {
        if (strcmp(key, "targets") == 0) targets = v;
        else if (strcmp(key, "labels") == 0) labels = v;
        else return err_set(e, ERR_BAD_INPUT, "target group %zu: unknown field \"%s\"", index, key);
    }
    if (targets && !json_is_null(targets) && !json_is_array(targets)) return err_set(e, ERR_BAD_INPUT, "targets of group %zu are no list", index);
    if (labels && !json_is_null(labels) && !json_is_object(labels)) return err_set(e, ERR_BAD_INPUT, "labels of group %zu are no mapping", index);
    TRY(group_targets(g, targets, a, e));
    TRY(group_labels(g, labels, path, a, e));
    g->source = arena_fmt(a, "%.*s:%zu", STR_ARG(path), index);
    return OK;
}

static errc groups_of(target_groups *out, json_t *root, str path, struct arena *a, struct err *e)
{
    if (json_is_null(root)) return OK;
    if (!json_is_array(root)) return err_set(e, ERR_BAD_INPUT, "the file holds no list of target groups");
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
        if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (node->data.scalar.length == 0 || strcmp((char *)node->data.scalar.value, "null") == 0 ||
                                                                   strcmp((char *)node->data.scalar.value, "~") == 0))
            return json_null();
        return json_stringn((char *)node->data.scalar.value, node->data.scalar.length);
    case YAML_SEQUENCE_NODE:
        out = json_array();
        for (yaml_node_item_t *it = node->data.sequence.items.start; it < node->data.sequence.items.top; it++)
            if (json_array_append_new(out, json_of_yaml(doc, *it, depth + 1)) != 0) goto bad;
        return out;
    case YAML_MAPPING_NODE:
        out = json_object();
        for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
            yaml_node_t *key = yaml_document_get_node(doc, p->key);
            if (!key || key->type != YAML_SCALAR_NODE) goto bad;
            if (json_object_set_new(out, (char *)key->data.scalar.value, json_of_yaml(doc, p->value, depth + 1)) != 0) goto bad;
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
        rc = err_set(e, ERR_BAD_INPUT, "yaml: line %zu: %s", parser.problem_mark.line + 1, parser.problem ? parser.problem : "cannot be read");
    } else {
        yaml_node_t *root = yaml_document_get_root_node(&doc);
        *out = root ? json_of_yaml(&doc, 1, 0) : json_null();
        if (!*out) rc = err_set(e, ERR_BAD_INPUT, "yaml: nothing but lists, mappings and strings may be in it");
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

/* ---- globs and files */

/* One class [a-z], REQUIRES: pattern begins behind the '['; *pattern moves behind the ']'. */
static bool class_match(str *pattern, uint8_t c)
{
    bool negated = pattern->n && pattern->p[0] == '^', hit = false;
    if (negated) *pattern = str_from(*pattern, 1);
    while (pattern->n && pattern->p[0] != ']') {
        uint8_t lo = pattern->p[0], hi = lo;
        *pattern = str_from(*pattern, 1);
        if (pattern->n >= 2 && pattern->p[0] == '-' && pattern->p[1] != ']') {
            hi = pattern->p[1];
            *pattern = str_from(*pattern, 2);
        }
        hit = hit || (c >= lo && c <= hi);
    }
    if (!pattern->n) return false;                             /* it has no end: nothing fits */
    *pattern = str_from(*pattern, 1);
    return hit != negated;
}

bool file_glob_match(str pattern, str name)
{
    str star_pattern = STR_EMPTY, star_name = STR_EMPTY;
    bool starred = false;
    for (;;) {
        bool fits = false;
        str next = str_from(pattern, 1);
        if (pattern.n && pattern.p[0] == '*') {
            starred = true;
            star_pattern = pattern = next;
            star_name = name;
            continue;
        }
        if (!pattern.n && !name.n) return true;
        if (pattern.n && name.n) {
            uint8_t c = pattern.p[0];
            if (c == '[') fits = class_match(&next, name.p[0]);
            else if (c == '\\' && next.n) {
                fits = next.p[0] == name.p[0];
                next = str_from(next, 1);
            } else fits = c == '?' || c == name.p[0];
        }
        if (fits) {
            pattern = next;
            name = str_from(name, 1);
        } else if (starred && star_name.n) {                   /* let the star take one more */
            star_name = str_from(star_name, 1);
            name = star_name;
            pattern = star_pattern;
        } else return false;
    }
}

static void split_path(str path, str *dir, str *name)
{
    size_t slash = str_rindex(path, '/');
    *dir = slash == SIZE_MAX ? S(".") : slash == 0 ? S("/") : str_slice(path, 0, slash);
    *name = slash == SIZE_MAX ? path : str_from(path, slash + 1);
}

struct sd_file { str path; struct arena arena; target_groups groups; bool seen; };
struct file_sd { const struct file_sd_config *c; VEC(struct sd_file *) files; };

struct file_sd *file_sd_new(const struct file_sd_config *c)
{
    struct file_sd *f = NEW(struct file_sd);
    f->c = c;
    return f;
}

static void sd_file_free(struct sd_file *s)
{
    metric_forget(&m_mtime, &s->path, 1);
    vec_fini(&s->groups);
    arena_fini(&s->arena);
    mem_free((void *)s->path.p);
    mem_free(s);
}

void file_sd_free(struct file_sd *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->files.n; i++) sd_file_free(f->files.at[i]);
    vec_fini(&f->files);
    mem_free(f);
}

static struct sd_file *file_of(struct file_sd *f, str path)
{
    for (size_t i = 0; i < f->files.n; i++)
        if (str_eq(f->files.at[i]->path, path)) return f->files.at[i];
    struct sd_file *s = NEW(struct sd_file);
    s->path = mem_str(path);
    vec_push(&f->files, s);
    return s;
}

static errc read_groups(struct sd_file *into, struct fs *dir, str name, struct err *e)
{
    str content;
    TRY(fs_read_all(dir, name, &into->arena, FILE_MAX_BYTES, &content, e));
    return file_sd_parse(&into->groups, into->path, content, &into->arena, e);
}

static void read_file(struct file_sd *f, struct fs *dir, str name, str path)
{
    struct sd_file *s = file_of(f, path);
    s->seen = true;
    struct sd_file fresh = { .path = s->path };
    struct err e = { 0 };
    errc rc = read_groups(&fresh, dir, name, &e);
    struct fs_stat st;
    if (rc == OK && fs_stat(dir, name, &st, NULL) == OK) metric_set_of(METRIC_WITH(&m_mtime, path), (double)st.mtime_ms / 1000);
    if (rc == OK) {
        vec_fini(&s->groups);
        arena_fini(&s->arena);
        s->groups = fresh.groups;
        s->arena = fresh.arena;
        return;
    }
    metric_inc(&m_read_errors);
    LOG(ERROR, "Error reading file", kv_str("path", path), kv_err(&e));
    vec_fini(&fresh.groups);
    arena_fini(&fresh.arena);
}

static void scan_pattern(struct file_sd *f, str pattern)
{
    str dir, name;
    split_path(pattern, &dir, &name);
    struct arena a;
    arena_init(&a, NULL, 0);
    struct fs *fs = fs_real_new(dir);
    fs_entries all = { 0 };
    if (fs_list(fs, S(""), &a, &all, NULL) == OK)
        for (size_t i = 0; i < all.n; i++)
            if (!all.at[i].is_dir && file_glob_match(name, all.at[i].name))
                read_file(f, fs, all.at[i].name, str_eq(dir, S(".")) && !str_has_prefix(pattern, S("./")) ? all.at[i].name : path_join(&a, dir, all.at[i].name));
    vec_fini(&all);
    fs_free(fs);
    arena_fini(&a);
}

void file_sd_scan(struct file_sd *f)
{
    int64_t start = clock_mono_ns();
    for (size_t i = 0; i < f->files.n; i++) f->files.at[i]->seen = false;
    for (size_t i = 0; i < f->c->n_files; i++) scan_pattern(f, f->c->files[i]);
    size_t n = 0;
    for (size_t i = 0; i < f->files.n; i++) {
        if (f->files.at[i]->seen) f->files.at[n++] = f->files.at[i];
        else sd_file_free(f->files.at[i]);
    }
    f->files.n = n;
    metric_observe(&m_scan, (double)(clock_mono_ns() - start) / 1e9);
}

void file_sd_groups(const struct file_sd *f, target_groups *out)
{
    for (size_t i = 0; i < f->files.n; i++)
        for (size_t k = 0; k < f->files.at[i]->groups.n; k++) vec_push(out, f->files.at[i]->groups.at[k]);
}

void file_sd_folders(const struct file_sd_config *c, struct arena *a, str_list *out)
{
    for (size_t i = 0; i < c->n_files; i++) {
        str dir, name;
        split_path(c->files[i], &dir, &name);
        bool known = false;
        for (size_t k = 0; k < out->n; k++) known = known || str_eq(out->at[k], dir);
        if (!known) avec_push(a, out, dir);
    }
}
