#include "base/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct xml x = xml_of(str_of(p, n));
    for (str s;;) {
        enum xml_kind k = xml_next(&x, &s);
        if (k == XML_DONE || k == XML_BAD) break;
        if (k == XML_TEXT) (void)xml_text(&x, s, &a);
    }
    arena_fini(&a);
    return 0;
}
