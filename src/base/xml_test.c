#include "base/xml.h"

#include "base/buf.h"
#include "base/test.h"

/* "<a", "text", "a>" and so on; "!" at the end: bad. */
static void walk(struct buf *out, str xml)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct xml x = xml_of(xml);
    for (str s;;) {
        switch (xml_next(&x, &s)) {
        case XML_BEGIN: buf_fmt(out, "<%.*s ", STR_ARG(s)); break;
        case XML_END: buf_fmt(out, "%.*s> ", STR_ARG(s)); break;
        case XML_TEXT: {
            str text = xml_text(&x, s, &a);
            buf_fmt(out, "'%.*s' ", STR_ARG(text));
            break;
        }
        case XML_DONE: return;
        case XML_BAD: buf_u8(out, '!'); return;
        }
    }
}

TEST(xml_walk)
{
    static const struct {
        const char *name;
        str xml;
        const char *want;
    } cases[] = {
        { "one", S("<a/>"), "<a a> " },
        { "declaration", S("<?xml version=\"1.0\"?>\n<a b='1>2'>x</a>\n"), "<a 'x' a> " },
        { "nested", S("<a><b>1</b><c/></a>"), "<a <b '1' b> <c c> a> " },
        { "prefix", S("<s:a xmlns:s=\"u\"></s:a>"), "<a a> " },
        { "references", S("<a>&lt;&amp;&#65;&#x20ac;&no;&</a>"), "<a '<&A\xe2\x82\xac&no;&' a> " },
        { "plain", S("<a><![CDATA[<b>&amp;]]></a>"), "<a '<b>&amp;' a> " },
        { "comment", S("<!-- <x> --><a><!-- y --></a>"), "<a a> " },
        { "byte order", S("\xef\xbb\xbf<a/>"), "<a a> " },
        { "nothing", S(""), "!" },
        { "text alone", S("hello"), "!" },
        { "cut", S("<a><b>x</b>"), "<a <b 'x' b> !" },
        { "crossed", S("<a><b></a></b>"), "<a <b !" },
        { "two roots", S("<a/><b/>"), "<a a> !" },
        { "behind it", S("<a/>x"), "<a a> !" },
        { "no name", S("<>"), "!" },
        { "open tag", S("<a"), "!" },
        { "open comment", S("<a><!-- "), "<a !" },
    };
    TEST_EACH (c, cases) {
        SCOPED(buf_fini) struct buf got = { 0 };
        walk(&got, c->xml);
        EXPECT_STR(buf_view(&got), str_z(c->want));
    }
}

TEST(xml_depth)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    for (int i = 0; i < XML_DEPTH_MAX + 1; i++) buf_str(&b, S("<a>"));
    struct xml x = xml_of(buf_view(&b));
    str s;
    for (int i = 0; i < XML_DEPTH_MAX; i++) EXPECT_EQ(xml_next(&x, &s), XML_BEGIN);
    EXPECT_EQ(xml_next(&x, &s), XML_BAD);
    EXPECT_EQ(xml_next(&x, &s), XML_BAD);
}

/* Every prefix is refused, but for white space behind the end. */
TEST(xml_prefixes)
{
    str all = S("<?xml version='1.0'?><a><b c=\"d\">x&amp;y</b><!-- n --><e/></a>");
    for (size_t n = 0; n < all.n; n++) {
        SCOPED(buf_fini) struct buf got = { 0 };
        walk(&got, str_slice(all, 0, n));
        EXPECT(got.n && got.p[got.n - 1] == '!');
    }
}

TEST(xml_contents)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct xml x = xml_of(S("<a><k> one &amp; two <i>three</i></k><z/></a>"));
    str s;
    EXPECT_EQ(xml_next(&x, &s), XML_BEGIN);
    EXPECT_EQ(xml_next(&x, &s), XML_BEGIN);
    EXPECT(xml_content(&x, &s, &a));
    EXPECT_STR(s, S("one & two"));
    EXPECT_EQ(xml_next(&x, &s), XML_BEGIN);
    EXPECT(xml_content(&x, &s, &a));
    EXPECT_STR(s, S(""));
    EXPECT_EQ(xml_next(&x, &s), XML_END);
    EXPECT_EQ(xml_next(&x, &s), XML_DONE);
    x = xml_of(S("<a>x"));
    EXPECT_EQ(xml_next(&x, &s), XML_BEGIN);
    EXPECT(!xml_content(&x, &s, &a));
}
