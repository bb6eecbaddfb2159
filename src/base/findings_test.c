#include "base/findings.h"

#include "base/test.h"

TEST(findings_keep_their_words_and_count_what_is_too_many)
{
    struct findings f, all;
    SCOPED(buf_fini) struct buf text = { 0 };
    findings_init(&f, 2);
    findings_init(&all, 0);
    findings_add(NULL, S("nowhere"), "nobody listens to %d", 1);
    EXPECT_EQ(findings_count(&f), 0);
    findings_add_at(&f, S("index"), 77, "wrong checksum %08x", 0xabcdu);
    findings_add(&f, S("meta.json"), "there is none");
    findings_add(&f, S("chunks"), "one too many");
    EXPECT_EQ(f.all.n, 2);
    EXPECT_EQ(findings_count(&f), 3);
    findings_text(&text, &f.all.at[0]);
    EXPECT_STR(buf_view(&text), S("index: at 77: wrong checksum 0000abcd"));
    buf_reset(&text);
    findings_text(&text, &f.all.at[1]);
    EXPECT_STR(buf_view(&text), S("meta.json: there is none"));
    findings_join(&all, &f);
    findings_join(&all, &f);
    EXPECT_EQ(all.all.n, 4);
    EXPECT_EQ(findings_count(&all), 6);
    findings_fini(&f);
    findings_fini(&all);
}
