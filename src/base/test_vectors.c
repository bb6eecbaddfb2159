/* test_vectors.c — see test_vectors.h */
#include "base/test_vectors.h"

#include "base/mem.h"
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static gzFile open_shared(const char *path)
{
    char full[1024];
    const char *shared = test_shared();
    for (int gz = 0; gz < 2; gz++) {
        snprintf(full, sizeof(full), "%s/%s%s", shared, path, gz ? ".gz" : "");
        gzFile f = gzopen(full, "rb");
        if (f) return f;
    }
    test_fail(__FILE__, __LINE__, "no file %s/%s", shared, path);
}

void vectors_open(struct vectors *v, const char *path)
{
    *v = (struct vectors){ .file = open_shared(path), .cap = 1 << 16, .path = path };
    v->line = mem_alloc(v->cap);
    arena_init(&v->a, NULL, 0);
}

/* Integers that an int64 cannot hold are put in quotes. */
static json_t *load_big(const char *line, size_t n, json_error_t *je)
{
    static const char most[] = "9223372036854775807";
    char *out = mem_alloc(2 * n + 1);
    size_t at = 0;
    for (size_t i = 0; i < n;) {
        size_t run = 0;
        while (i + run < n && line[i + run] >= '0' && line[i + run] <= '9') run++;
        bool alone = i > 0 && strchr(":,[", line[i - 1]) != NULL;
        bool quote = alone && (run >= sizeof(most)
            || (run == sizeof(most) - 1 && memcmp(line + i, most, run) > 0));
        if (quote) out[at++] = '"';
        memcpy(out + at, line + i, MAX(run, (size_t)1));
        at += MAX(run, (size_t)1);
        if (quote) out[at++] = '"';
        i += MAX(run, (size_t)1);
    }
    json_t *j = json_loadb(out, at, JSON_ALLOW_NUL | JSON_DECODE_ANY, je);
    mem_free(out);
    return j;
}

json_t *vectors_next(struct vectors *v)
{
    arena_reset(&v->a, (struct arena_mark){ 0 });
    json_decref(v->json);
    v->json = NULL;
    size_t n = 0;
    while (gzgets(v->file, v->line + n, (int)(v->cap - n))) {
        n += strlen(v->line + n);
        if (v->line[n - 1] == '\n') break;
        v->cap *= 2;
        v->line = mem_realloc(v->line, v->cap);
    }
    test_case(NULL);
    if (n == 0) return NULL;
    snprintf(v->name, sizeof(v->name), "%s:%zu: %.*s", v->path, v->n + 1,
        (int)MIN(n - 1, (size_t)300), v->line);
    test_case(v->name);
    json_error_t je;
    v->json = json_loadb(v->line, n, JSON_ALLOW_NUL | JSON_DECODE_ANY, &je);
    if (!v->json) v->json = load_big(v->line, n, &je);
    if (!v->json) test_fail(__FILE__, __LINE__, "line %zu: %s", v->n + 1, je.text);
    v->n++;
    return v->json;
}

void vectors_close(struct vectors *v)
{
    gzclose(v->file);
    json_decref(v->json);
    mem_free(v->line);
    arena_fini(&v->a);
}

str vectors_file(struct arena *a, const char *path)
{
    gzFile f = open_shared(path);
    size_t n = 0, cap = 1 << 20;
    uint8_t *at = mem_alloc(cap);
    for (int got; (got = gzread(f, at + n, (unsigned)(cap - n))) > 0;) {
        n += (size_t)got;
        if (n == cap) at = mem_realloc(at, cap *= 2);
    }
    gzclose(f);
    str copy = arena_str(a, str_of(at, n));
    mem_free(at);
    return copy;
}

static uint8_t nibble(char c) { return (uint8_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10); }

str json_hex(struct arena *a, const json_t *s)
{
    if (!json_is_string(s)) test_fail(__FILE__, __LINE__, "no hex string");
    const char *z = json_string_value(s);
    size_t n = json_string_length(s) / 2;
    uint8_t *at = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++) at[i] = (uint8_t)(nibble(z[2 * i]) << 4 | nibble(z[2 * i + 1]));
    return str_of(at, n);
}

int64_t json_i64_of(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    if (json_is_integer(j)) return json_integer_value(j);
    if (!json_is_real(j)) test_fail(__FILE__, __LINE__, "no number %s", key);
    return (int64_t)json_real_value(j);
}

uint64_t json_bits_of(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    if (!json_is_string(j)) test_fail(__FILE__, __LINE__, "no bits %s", key);
    return strtoull(json_string_value(j), NULL, 16);
}

str json_str_of(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    if (!json_is_string(j)) test_fail(__FILE__, __LINE__, "no string %s", key);
    return str_of(json_string_value(j), json_string_length(j));
}
