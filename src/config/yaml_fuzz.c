#include "config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    struct yaml_node *root = NULL;
    struct err e = { 0 };
    if (yaml_parse(&a, str_of(data, n), &root, &e) != OK) assert(e.msg[0]);
    else if (root && root->kind == YAML_SCALAR) (void)yaml_resolve(root);
    arena_fini(&a);
    return 0;
}
