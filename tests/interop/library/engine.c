#include "engine.h"

#include <jansson.h>

#include "base/f64.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/epitool/jsonl.h"
#include "io/fs.h"
#include "promql/engine.h"
#include "promql/print.h"
#include "promql/script.h"
#include "tsdb/db.h"
#include "write.h"

struct interop {
    struct fs *real, *over;
    struct db *db;
    struct engine *en;
    struct parse_opts parse;
};

static str text_of(const json_t *q, const char *key)
{
    const json_t *v = json_object_get(q, key);
    return str_of(json_string_value(v), json_string_length(v));
}

static int64_t number_of(const json_t *q, const char *key)
{
    return json_integer_value(json_object_get(q, key));
}

static bool flag_of(const json_t *q, const char *key)
{
    return json_is_true(json_object_get(q, key));
}

/* --- a folder --- */

static errc open_folder(struct interop *i, const json_t *q, struct err *e)
{
    i->real = fs_real_new(text_of(q, "dir"));
    i->over = fs_overlay_new(i->real);
    struct db_opts o = { .fs = i->over,
        .backend = IO_AUTO,
        .wal_compress = COMPRESS_SNAPPY,
        .chunk_range_ms = number_of(q, "range_ms"),
        .ooo_window_ms = number_of(q, "late_ms"),
        .keeps = { .start_times = true, .histogram_st = true, .float_xor2 = true },
        .replay_workers = 1,
        .no_lock = true,
        .no_thread = true };
    if (!flag_of(q, "xor2")) o.keeps = (struct head_keeps){ 0 };
    return db_open(&i->db, &o, NULL, e);
}

static struct engine *engine_of(const json_t *q, const struct parse_opts *parse)
{
    enum { LOOKBACK_MS = 5 * 60 * 1000, STEP_MS = 60 * 1000, CONCURRENCY = 20 };
    struct engine_opts o = { .parse = *parse,
        .lookback_ms = LOOKBACK_MS,
        .timeout_ms = number_of(q, "timeout_ms"),
        .default_step_ms = STEP_MS,
        .max_samples = (uint64_t)number_of(q, "max_samples"),
        .max_concurrency = CONCURRENCY,
        .result_cache_bytes = (uint64_t)number_of(q, "kept_bytes"),
        .delayed_name_removal = flag_of(q, "delayed_name_removal"),
        .use_start_timestamps = flag_of(q, "start_timestamps"),
        .type_and_unit_labels = flag_of(q, "type_and_unit"),
        .per_step_stats = true };
    return engine_new(&o);
}

struct interop *interop_open(const char *options, char **why)
{
    struct err e = { 0 };
    struct interop *i = NEW(struct interop);
    json_t *q = json_loads(options, 0, NULL);
    errc rc = open_folder(i, q, &e);
    i->parse = script_parse_opts;
    if (rc == OK) i->en = engine_of(q, &i->parse);
    json_decref(q);
    if (rc == OK) return i;
    *why = mem_cstr(err_str(&e));
    interop_close(i);
    return NULL;
}

void interop_close(struct interop *i)
{
    if (i->en) engine_free(i->en);
    db_abandon(i->db);
    fs_free(i->over);
    fs_free(i->real);
    mem_free(i);
}

void interop_free(char *text) { mem_free(text); }

/* --- answers --- */

static void put_histogram(struct buf *b, const struct histogram *h)
{
    jsonl_histogram(b, &(struct jsonl_histogram){ true, h->hint, h->schema, h->zero_threshold,
        h->sum, f64_bits(h->zero_count), f64_bits(h->count),
        { { h->pos.spans, h->pos.n_spans, h->pos.at, h->pos.n },
          { h->neg.spans, h->neg.n_spans, h->neg.at, h->neg.n } }, h->custom, h->n_custom });
}

static void put_series(struct buf *b, const struct result_series *s)
{
    buf_str(b, S("{\"labels\":"));
    jsonl_labels(b, s->labels);
    buf_str(b, S(",\"points\":["));
    for (size_t k = 0; k < s->n; k++) {
        buf_fmt(b, "%s[%" PRId64 ",", k ? "," : "", s->t[k]);
        if (s->h && s->h[k]) put_histogram(b, s->h[k]);
        else jsonl_bits(b, s->v[k]);
        buf_u8(b, ']');
    }
    buf_str(b, S("]}"));
}

static void put_texts(struct json *j, str key, const str *at, size_t n)
{
    json_key(j, key);
    json_arr(j);
    for (size_t k = 0; k < n; k++) json_str(j, at[k]);
    json_arr_end(j);
}

static void put_counts(struct json *j, str key, const uint64_t *at, size_t n)
{
    json_key(j, key);
    json_arr(j);
    for (size_t k = 0; k < n; k++) json_u64(j, at[k]);
    json_arr_end(j);
}

static void put_result(struct json *j, const struct result *r)
{
    json_kstr(j, S("kind"), value_type_name(r->type));
    json_key(j, S("series"));
    json_raw(j, S("["));
    for (size_t k = 0; k < r->n_series; k++) {
        if (k) buf_u8(j->b, ',');
        put_series(j->b, &r->series[k]);
    }
    buf_u8(j->b, ']');
    json_kstr(j, S("text"), r->text);
    json_ki64(j, S("at"), r->text_t);
    json_kbool(j, S("kept"), r->kept != NULL);
    put_texts(j, S("warnings"), r->warnings, r->n_warnings);
    put_texts(j, S("infos"), r->infos, r->n_infos);
    json_key(j, S("counts"));
    json_obj(j);
    json_ku64(j, S("total"), r->stats.total_samples);
    json_ku64(j, S("read"), r->stats.samples_read);
    json_ku64(j, S("peak"), r->stats.peak_samples);
    put_counts(j, S("total_at"), r->stats.per_step, r->stats.n_steps);
    put_counts(j, S("read_at"), r->stats.read_per_step, r->stats.n_steps);
    json_obj_end(j);
}

/* words: of a text that does not parse, as a whole; else those of e. */
static void put_error(struct json *j, errc rc, const struct err *e, str words)
{
    json_ki64(j, S("code"), rc);
    json_kstr(j, S("error"), words.n ? words : err_str(e));
}

static errc ask_query(
    struct interop *i, const json_t *q, struct json *j, struct buf *words, struct err *e)
{
    struct result r = { 0 };
    struct query_opts o = { .query = text_of(q, "query"),
        .start_ms = number_of(q, "start"),
        .end_ms = number_of(q, "end"),
        .step_ms = number_of(q, "step"),
        .lookback_ms = number_of(q, "lookback"),
        .stats = !flag_of(q, "kept"),
        .per_step_stats = !flag_of(q, "kept"),
        .words = words };
    o.instant = o.step_ms == 0;
    TRY(engine_query(i->en, db_queryable(i->db), &o, &r, e));
    put_result(j, &r);
    promql_result_fini(&r);
    return OK;
}

/* What is parsed, printed. */
static errc ask_parse(
    struct interop *i, const json_t *q, struct json *j, struct buf *words, struct err *e)
{
    struct arena a = { 0 };
    struct buf text = { 0 };
    struct expr *tree = NULL;
    struct parse_errors errors;
    str asked = text_of(q, "parse");
    errc rc = promql_parse(&tree, asked, &i->parse, &a, &errors, e);
    if (rc != OK) buf_str(words, parse_error_text(&errors.at[0], asked, &a));
    else {
        promql_print(&text, tree);
        json_kstr(j, S("text"), buf_view(&text));
        promql_tree_fini(tree);
    }
    buf_fini(&text);
    arena_fini(&a);
    return rc;
}

char *interop_ask(struct interop *i, const char *question)
{
    struct err e = { 0 };
    struct buf b = { 0 }, words = { 0 };
    struct json j = json_to(&b);
    json_t *q = json_loads(question, JSON_ALLOW_NUL, NULL);
    json_obj(&j);
    errc rc = write_asked(q)                  ? write_do(i->db, q, &i->parse, &e)
              : json_object_get(q, "parse") ? ask_parse(i, q, &j, &words, &e)
                                            : ask_query(i, q, &j, &words, &e);
    if (rc != OK) put_error(&j, rc, &e, buf_view(&words));
    json_obj_end(&j);
    json_decref(q);
    char *text = mem_cstr(buf_view(&b));
    buf_fini(&b);
    buf_fini(&words);
    return text;
}
