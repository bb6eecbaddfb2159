#include "api/json_words.h"

#include "base/test.h"

TEST(json_words_of_what_is_wrong)
{
    static const struct { const char *name, *text, *words; } cases[] = {
        { "nothing", "{\"a\": [1, -2.5e+3, true, null, \"\\u00e4\"]} ", "" },
        { "empty", "", "unexpected end of JSON input" },
        { "cut", "{\"a\":\"b", "unexpected end of JSON input" },
        { "a word", "bad", "invalid character 'b' looking for beginning of value" },
        { "a key without quotes", "{a:1}",
            "invalid character 'a' looking for beginning of object key string" },
        { "no colon", "{\"a\" 1}", "invalid character '1' after object key" },
        { "no comma", "{\"a\":1 \"b\":2}",
            "invalid character '\"' after object key:value pair" },
        { "a comma at the end", "{\"a\":1,}",
            "invalid character '}' looking for beginning of object key string" },
        { "no comma in a list", "[1 2]", "invalid character '2' after array element" },
        { "a list that ends early", "[1,]",
            "invalid character ']' looking for beginning of value" },
        { "more behind it", "{} x", "invalid character 'x' after top-level value" },
        { "a literal", "trup", "invalid character 'p' in literal true (expecting 'e')" },
        { "a number", "-x", "invalid character 'x' in numeric literal" },
        { "a fraction", "1.x", "invalid character 'x' after decimal point in numeric literal" },
        { "an exponent", "1ex", "invalid character 'x' in exponent of numeric literal" },
        { "an escape", "\"\\q\"", "invalid character 'q' in string escape code" },
        { "a unicode escape", "\"\\u12g4\"",
            "invalid character 'g' in \\u hexadecimal character escape" },
        { "a control character", "\"\n\"", "invalid character '\\n' in string literal" },
        { "a quote", "'a'", "invalid character '\\'' looking for beginning of value" },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf out = { 0 };
        EXPECT_EQ(json_words(&out, str_z(c->text)), *c->words != 0);
        EXPECT_STR(buf_view(&out), str_z(c->words));
    }
}
