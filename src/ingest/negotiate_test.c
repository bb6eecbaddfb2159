#include "base/test.h"
#include "base/test_vectors.h"
#include "ingest/negotiate.h"

static str text_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_EMPTY;
}

TEST_SHARED(content_type_vectors)
{
    static const str names[] = { S("none"), S("prom"), S("openmetrics"), S("protobuf") };
    struct vectors v;
    vectors_open(&v, "conformance/exposition/content_type.jsonl");
    size_t n = 0;
    for (json_t *o; (o = vectors_next(&v)) != NULL; n++) {
        test_case(json_string_value(json_object_get(o, "content_type")));
        enum expo_format format = EXPO_NONE;
        struct err e = { 0 };
        bool warn = false;
        errc rc = expo_format_of(
            text_of(o, "content_type"), text_of(o, "fallback_media_type"), &format, &warn, &e);
        EXPECT_STR(names[rc == OK ? format : EXPO_NONE], text_of(o, "parser"));
        EXPECT_STR(warn || rc != OK ? err_str(&e) : STR_EMPTY, text_of(o, "warning_or_error"));
    }
    EXPECT(n > 50);
    vectors_close(&v);
}

TEST(accept_header)
{
    static const enum scrape_protocol usual[] = { PROTO_OPENMETRICS_1_0_0, PROTO_OPENMETRICS_0_0_1,
        PROTO_TEXT_1_0_0, PROTO_TEXT_0_0_4 };
    struct buf b = { 0 };
    buf_accept_header(&b, usual, ARRAY_LEN(usual), ESCAPE_NONE);
    EXPECT_STR(
        buf_view(&b), S("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                        "application/openmetrics-text;version=0.0.1;q=0.5,text/"
                        "plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"));
    buf_fini(&b);
}
