#include "base/log.h"

#include "base/clock.h"
#include "base/test.h"

static char line_text[2048];
static size_t line_n, lines;
static void take(void *ctx, enum log_level level, str line)
{
    (void)ctx;
    (void)level;
    lines++;
    line_n = MIN(line.n, sizeof(line_text));
    memcpy(line_text, line.p, line_n);
}

TEST(log_logfmt)
{
    clock_fake_set(1785558600123);
    log_capture(take, NULL);
    LOG(WARN, "a sentence", kv_z("k", "v w\"x"), kv_i64("n", -3), kv_bool("b", true),
        kv_z("plain", "x/y"));
    log_capture(NULL, NULL);
    clock_fake_off();
    str got = str_of(line_text, line_n);
    EXPECT(
        str_has_prefix(got, S("time=2026-08-01T04:30:00.123Z level=WARN source=base/log_test.c:")));
    EXPECT(str_has_suffix(got, S(" msg=\"a sentence\" k=\"v w\\\"x\" n=-3 b=true plain=x/y\n")));
}

TEST(log_json)
{
    log_set(LOG_INFO, LOG_JSON);
    log_capture(take, NULL);
    LOG(ERROR, "sentence", kv_z("k", "v\n"), kv_u64("n", 3));
    log_capture(NULL, NULL);
    log_set(LOG_INFO, LOG_LOGFMT);
    str got = str_of(line_text, line_n);
    EXPECT(str_has_prefix(got, S("{\"time\":\"")));
    EXPECT(str_has_suffix(got, S("\"msg\":\"sentence\",\"k\":\"v\\n\",\"n\":3}\n")));
}

TEST(log_levels_and_limits)
{
    log_capture(take, NULL);
    lines = 0;
    LOG(DEBUG, "not on");
    EXPECT_EQ(lines, 0);
    for (unsigned i = 0; i < 10; i++) LOG_LIMITED(WARN, 60000, "often");
    log_capture(NULL, NULL);
    EXPECT_EQ(lines, 1);
}
