#include "scrape/failure_log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "scrape/scrape_config.h"

struct line_log *failure_log_open(str path)
{
    struct line_log *l;
    struct err e = { 0 };
    if (line_log_open(&l, path, &e) != OK)
        LOG(ERROR, "the scrape failure log cannot be opened", kv_str("path", path), kv_err(&e));
    return l;
}

static void put_line(struct buf *b, str job, str target, str words)
{
    struct buf time = { 0 };
    buf_rfc3339_ms(&time, clock_wall_ms());
    struct json j = json_to(b);
    json_obj(&j);
    json_kstr(&j, S("time"), buf_view(&time));
    json_kstr(&j, S("level"), S("ERROR"));
    json_kstr(&j, S("source"), S("scrape/failure_log.c"));
    json_kstr(&j, S("msg"), words);
    json_kstr(&j, S("job_name"), job);
    json_kstr(&j, S("target"), target);
    json_obj_end(&j);
    buf_u8(b, '\n');
    buf_fini(&time);
}

void failure_log_write(struct line_log *l, str job, str target, str words)
{
    if (!l) return;
    struct buf line = { 0 };
    struct err e = { 0 };
    put_line(&line, job, target, words);
    if (line_log_write(l, buf_view(&line), &e) != OK)
        LOG_LIMITED(WARN, 60000, "the scrape failure log cannot be written", kv_err(&e));
    buf_fini(&line);
}

struct line_log *failure_files_find(const failure_files *l, str path)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->at[i].path, path)) return l->at[i].log;
    return NULL;
}

failure_files failure_files_open(const struct scrape_configs *c)
{
    failure_files l = { 0 };
    for (size_t i = 0; i < c->n; i++) {
        str path = c->at[i].failure_log_file;
        if (path.n && !failure_files_find(&l, path))
            vec_push(&l, ((struct failure_file){ mem_str(path), failure_log_open(path) }));
    }
    return l;
}

void failure_files_fini(failure_files *l)
{
    for (size_t i = 0; i < l->n; i++) {
        line_log_unref(l->at[i].log);
        mem_free((void *)l->at[i].path.p);
    }
    vec_fini(l);
}
