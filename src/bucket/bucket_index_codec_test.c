#include "bucket/bucket_index_codec.h"

#include "base/compress.h"
#include "base/test.h"

#define ID_A "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define ID_B "01BX5ZZKBKACTAV9WEVGEMMVRY"

TEST(bucket_index_is_read)
{
    static const char json[] =
        "{\"version\":2,\"blocks\":[{\"block_id\":\"" ID_B "\",\"min_time\":5,\"max_time\":9,"
        "\"segments_format\":\"1b6d\",\"segments_num\":3,\"uploaded_at\":7,"
        "\"labels\":{\"a\":\"b\"}},"
        "{\"block_id\":\"" ID_A "\",\"min_time\":-1,\"max_time\":2}],"
        "\"block_deletion_marks\":[{\"block_id\":\"" ID_A "\",\"deletion_time\":77}],"
        "\"updated_at\":99}";
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf gz = { 0 };
    struct bucket_index x;
    struct err e = { 0 };
    EXPECT_OK(compress_pack(&gz, COMPRESS_GZIP, str_z(json), 0, NULL));
    EXPECT_OK_E(bucket_index_decode(&x, buf_view(&gz), &a, &e), &e);
    EXPECT_EQ(x.n, 2);
    EXPECT_EQ(x.updated_s, 99);
    EXPECT_STR(str_z(ulid_text(x.blocks[0].id).z), S(ID_A));
    EXPECT_EQ(x.blocks[0].mint, -1);
    EXPECT_EQ(x.blocks[0].marked_s, 77);
    EXPECT_EQ(x.blocks[0].segments, 0);
    EXPECT_EQ(x.blocks[1].segments, 3);
    EXPECT_EQ(x.blocks[1].marked_s, 0);
    EXPECT_STR(labels_get(x.blocks[1].labels, S("a")), S("b"));
    for (size_t n = 0; n < gz.n; n++)
        EXPECT(bucket_index_decode(&x, str_slice(buf_view(&gz), 0, n), &a, NULL) != OK);
    for (size_t n = 0; n + 1 < sizeof(json); n++)
        EXPECT_EQ(bucket_index_json_decode(&x, str_of(json, n), &a, NULL), ERR_CORRUPT);
}

TEST(bucket_indexes_that_are_refused)
{
    static const struct {
        const char *name, *json;
    } rows[] = {
        { "no object", "[]" },
        { "no version", "{\"blocks\":[],\"updated_at\":1}" },
        { "a later version", "{\"version\":3,\"blocks\":[],\"updated_at\":1}" },
        { "no time", "{\"version\":1,\"blocks\":[]}" },
        { "no list", "{\"version\":1,\"blocks\":{},\"updated_at\":1}" },
        { "no id",
            "{\"version\":1,\"blocks\":[{\"min_time\":1,\"max_time\":2}],\"updated_at\":1}" },
        { "times in reverse", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                              "\",\"min_time\":3,\"max_time\":2}],\"updated_at\":1}" },
        { "times that are none", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                                 "\",\"min_time\":-9223372036854775808,\"max_time\":"
                                 "-9223372036854775808}],\"updated_at\":1}" },
        { "a time as text", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                            "\",\"min_time\":\"1\",\"max_time\":2}],\"updated_at\":1}" },
        { "a time that is too large", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                                      "\",\"min_time\":1,\"max_time\":9223372036854775808}],"
                                      "\"updated_at\":1}" },
        { "segments without end", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                                  "\",\"min_time\":1,\"max_time\":2,\"segments_num\":2147483647,"
                                  "\"segments_format\":\"1b6d\"}],\"updated_at\":1}" },
        { "fewer segments than none", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                                      "\",\"min_time\":1,\"max_time\":2,\"segments_num\":-1}],"
                                      "\"updated_at\":1}" },
        { "a block that is none", "{\"version\":1,\"blocks\":[7],\"updated_at\":1}" },
        { "labels that are none", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                                  "\",\"min_time\":1,\"max_time\":2,\"labels\":{\"a\":1}}],"
                                  "\"updated_at\":1}" },
        { "made at no time",
            "{\"version\":1,\"blocks\":[],\"updated_at\":9223372036854775807}" },
        { "made before all time", "{\"version\":1,\"blocks\":[],\"updated_at\":-1}" },
        { "marked at no time",
            "{\"version\":1,\"blocks\":[],\"block_deletion_marks\":[{\"block_id\":\"" ID_A
            "\",\"deletion_time\":9223372036854775807}],\"updated_at\":1}" },
        { "a mark of nothing", "{\"version\":1,\"blocks\":[],\"block_deletion_marks\":"
                               "[{\"deletion_time\":7}],\"updated_at\":1}" },
        { "a block twice", "{\"version\":1,\"blocks\":[{\"block_id\":\"" ID_A
                           "\",\"min_time\":1,\"max_time\":2},{\"block_id\":\"" ID_A
                           "\",\"min_time\":1,\"max_time\":2}],\"updated_at\":1}" },
    };
    TEST_EACH(row, rows)
    {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct bucket_index x;
        EXPECT_EQ(bucket_index_json_decode(&x, str_z(row->json), &a, NULL), ERR_CORRUPT);
    }
}
