#include "bucket/thanos_codec.h"

#include "base/test.h"

static const struct label pairs[] = { { S("cluster"), S("eu \"1\"") }, { S("replica"), S("0") } };
static const struct thanos_file files[] = { { S("chunks/000001"), 100 }, { S("index"), 50 },
    { S("meta.json"), 0 } };

TEST(thanos_sections)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct thanos_section s = { true, { pairs, 2 }, 0, S("sidecar"), files, 3,
        INT64_C(1767323045678) },
                          got;
    str more = thanos_section_more(
        &s, S("\"x\": {\"y\": 1},\"thanos\": {\"source\": \"old\"},\"z\": \"q\""), &a);
    EXPECT_STR(more,
        S("\"x\": {\"y\": 1},\"z\": \"q\",\"thanos\": {\"version\":1,\"labels\":{\"cluster\":"
          "\"eu \\\"1\\\"\",\"replica\":\"0\"},\"downsample\":{\"resolution\":0},\"source\":"
          "\"sidecar\",\"segment_files\":[\"000001\"],\"files\":[{\"rel_path\":\"chunks/000001\","
          "\"size_bytes\":100},{\"rel_path\":\"index\",\"size_bytes\":50},{\"rel_path\":"
          "\"meta.json\"}],\"index_stats\":{},\"upload_time\":\"2026-01-02T03:04:05.678Z\"}"));
    str json = arena_fmt(&a, "{%.*s}", STR_ARG(more));
    EXPECT_OK_E(thanos_section_decode(&got, json, &a, &e), &e);
    EXPECT(got.there && labels_eq(got.labels, s.labels));
    EXPECT_EQ(got.n_files, 3);
    EXPECT_STR(got.files[1].rel_path, S("index"));
    EXPECT_EQ(got.files[0].size_bytes, 100);
    EXPECT_EQ(got.upload_ms, s.upload_ms);
    for (size_t n = 0; n < json.n; n++)
        EXPECT_EQ(thanos_section_decode(&got, str_slice(json, 0, n), &a, NULL), ERR_CORRUPT);
}

/* Members that nobody knows are kept, whatever their numbers are. */
TEST(thanos_numbers_beyond_all_bounds)
{
    static const str more = S("\"x\": {\"n\": 1180591620717411303424},\"z\": 1e999");
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct thanos_section s = { .there = true, .labels = { pairs, 2 }, .source = S("sidecar") },
                          got;
    str written = thanos_section_more(&s, more, &a);
    EXPECT(str_has_prefix(written, S("\"x\": {\"n\": 1180591620717411303424},\"z\": 1e999,")));
    str json = arena_fmt(&a, "{%.*s}", STR_ARG(written));
    EXPECT_OK_E(thanos_section_decode(&got, json, &a, &e), &e);
    EXPECT(got.there && labels_eq(got.labels, s.labels));
}

TEST(thanos_section_refused)
{
    static const struct {
        const char *name;
        str json;
        errc want;
    } cases[] = {
        { "none", S("{\"ulid\": \"x\"}"), OK },
        { "without a version", S("{\"thanos\": {\"labels\": {}}}"), OK },
        { "null", S("{\"thanos\": null}"), OK },
        { "another version", S("{\"thanos\": {\"version\": 2}}"), ERR_CORRUPT },
        { "no object", S("{\"thanos\": 1}"), ERR_CORRUPT },
        { "labels", S("{\"thanos\": {\"labels\": [1]}}"), ERR_CORRUPT },
        { "label", S("{\"thanos\": {\"labels\": {\"a\": 1}}}"), ERR_CORRUPT },
        { "files", S("{\"thanos\": {\"files\": {}}}"), ERR_CORRUPT },
        { "size", S("{\"thanos\": {\"files\": [{\"rel_path\": \"x\", \"size_bytes\": -1}]}}"),
            ERR_CORRUPT },
        { "time", S("{\"thanos\": {\"upload_time\": \"now\"}}"), ERR_CORRUPT },
        { "array", S("[]"), ERR_CORRUPT },
    };
    TEST_EACH (c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct thanos_section s;
        EXPECT_EQ(thanos_section_decode(&s, c->json, &a, NULL), c->want);
    }
}

TEST(thanos_marks)
{
    static const struct {
        const char *name;
        enum block_mark_kind kind;
        const char *reason, *json;
    } cases[] = {
        { "deletion", MARK_DELETION, "",
            "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"version\":1,\"details\":\"d\","
            "\"deletion_time\":17}" },
        { "no-compact", MARK_NO_COMPACT, "manual",
            "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"version\":1,\"details\":\"d\","
            "\"no_compact_time\":17,\"reason\":\"manual\"}" },
        { "no-downsample", MARK_NO_DOWNSAMPLE, "manual",
            "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"version\":1,\"details\":\"d\","
            "\"no_downsample_time\":17,\"reason\":\"manual\"}" },
    };
    TEST_EACH (c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        SCOPED(buf_fini) struct buf b = { 0 };
        struct block_mark m = { .kind = c->kind,
            .time_s = 17,
            .details = S("d"),
            .reason = str_z(c->reason) },
                          got;
        EXPECT(ulid_parse(S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &m.id));
        block_mark_encode(&b, &m);
        EXPECT_STR(buf_view(&b), str_z(c->json));
        EXPECT_OK(block_mark_decode(&got, c->kind, buf_view(&b), &a, NULL));
        EXPECT(ulid_eq(got.id, m.id) && got.time_s == 17);
        EXPECT_STR(got.reason, m.reason);
        for (size_t n = 0; n < b.n; n++)
            EXPECT_EQ(block_mark_decode(&got, c->kind, str_slice(buf_view(&b), 0, n), &a, NULL),
                ERR_CORRUPT);
    }
}

TEST(thanos_uploaded)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    ulid ids[2];
    ulid_list got = { 0 };
    EXPECT(ulid_parse(S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &ids[0]));
    EXPECT(ulid_parse(S("01ARZ3NDEKTSV4RRFFQ69G5FAW"), &ids[1]));
    uploaded_encode(&b, NULL, 0);
    EXPECT_STR(buf_view(&b), S("{\n\t\"version\": 1,\n\t\"uploaded\": null\n}\n"));
    EXPECT_OK(uploaded_decode(&got, buf_view(&b), NULL));
    EXPECT_EQ(got.n, 0);
    buf_reset(&b);
    uploaded_encode(&b, ids, 2);
    EXPECT_STR(
        buf_view(&b), S("{\n\t\"version\": 1,\n\t\"uploaded\": [\n\t\t\"01ARZ3NDEKTSV4RRFFQ69G5FAV"
                        "\",\n\t\t\"01ARZ3NDEKTSV4RRFFQ69G5FAW\"\n\t]\n}\n"));
    EXPECT_OK(uploaded_decode(&got, buf_view(&b), NULL));
    EXPECT(got.n == 2 && ulid_eq(got.at[1], ids[1]));
    EXPECT_EQ(uploaded_decode(&got, S("{\"version\": 2}"), NULL), ERR_CORRUPT);
    EXPECT_EQ(
        uploaded_decode(&got, S("{\"version\": 1, \"uploaded\": [\"x\"]}"), NULL), ERR_CORRUPT);
    EXPECT_EQ(got.n, 2);
    vec_fini(&got);
}
