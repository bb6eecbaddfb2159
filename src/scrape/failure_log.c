#include "scrape/failure_log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rfc3339.h"

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
