#include "model/timestamp.h"
#include "base/test.h"
#include "base/test_vectors.h"

TEST_SHARED(timestamp_golden)
{
    SCOPED(vectors_close) struct vectors v;
    vectors_open(&v, "conformance/misc/timestamp_format.jsonl");
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        SCOPED(buf_fini) struct buf b = { 0 };
        buf_time_s(&b, json_i64_of(o, "ms"));
        EXPECT_STR(buf_view(&b), json_str_of(o, "json"));
    }
    EXPECT(v.n > 0);
}
