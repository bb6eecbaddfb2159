#include "model/metadata.h"
#include "base/test.h"

TEST(metric_type_words)
{
    enum metric_type t = TYPE_INFO;
    for (unsigned i = 0; i < METRIC_TYPES; i++) {
        EXPECT(metric_type_parse(metric_type_name((enum metric_type)i), &t));
        EXPECT_EQ(t, i);
    }
    EXPECT(!metric_type_parse(S("Counter"), &t));
    EXPECT(!metric_type_parse(STR_EMPTY, &t));
}
