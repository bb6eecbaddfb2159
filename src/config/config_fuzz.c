#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config_opts o = { 0 };
    struct config *c = NULL;
    struct err e = { 0 };
    if (config_parse(&c, str_of(data, n), S("conf/prometheus.yml"), &o, &e) != OK) {
        assert(e.msg[0]);
        return 0;
    }
    assert(c->text.n > 0);
    config_free(c);
    return 0;
}
