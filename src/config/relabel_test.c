#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "config/config.h"

static str text_of(const json_t *v) { return str_of(json_string_value(v), json_string_length(v)); }

TEST_SHARED(relabel_vectors)
{
    struct vectors v;
    vectors_open(&v, "conformance/misc/relabel.jsonl");
    size_t n = 0;
    for (json_t *o; (o = vectors_next(&v)) != NULL; n++) {
        test_case(json_string_value(json_object_get(o, "config")));
        struct arena a = { 0 };
        struct relabel_rules rules;
        struct err e = { 0 };
        EXPECT_OK_E(
            config_relabel_rules(&a, text_of(json_object_get(o, "config")), false, &rules, &e), &e);
        struct labels_builder lb;
        labels_builder_init(&lb, &a);
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(o, "in"), name, value)
            labels_builder_set(&lb, str_z(name), text_of(value));
        labels_builder_from(&lb, labels_builder_done(&lb));
        bool keep = relabel_apply(rules, &lb);
        EXPECT_EQ(keep, json_is_true(json_object_get(o, "keep")));
        if (keep) {
            struct labels got = labels_builder_done(&lb);
            EXPECT_EQ(got.n, json_object_size(json_object_get(o, "out")));
            json_object_foreach(json_object_get(o, "out"), name, value)
                EXPECT_STR(labels_get(got, str_z(name)), text_of(value));
        }
        relabel_fini(rules);
        arena_fini(&a);
    }
    EXPECT(n > 500);
    vectors_close(&v);
}

TEST_SHARED(relabel_config_vectors)
{
    struct vectors v;
    vectors_open(&v, "conformance/misc/relabel_config.jsonl");
    size_t n = 0;
    for (json_t *o; (o = vectors_next(&v)) != NULL; n++) {
        test_case(json_string_value(json_object_get(o, "config")));
        struct arena a = { 0 };
        struct relabel_rules rules;
        struct err e = { 0 };
        errc rc =
            config_relabel_rules(&a, text_of(json_object_get(o, "config")), false, &rules, &e);
        EXPECT_EQ(rc == OK, json_is_true(json_object_get(o, "ok")));
        if (rc != OK) EXPECT_STR(err_str(&e), text_of(json_object_get(o, "error")));
        relabel_fini(rules);
        arena_fini(&a);
    }
    EXPECT(n > 100);
    vectors_close(&v);
}
