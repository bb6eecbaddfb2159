#include "grpc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct grpc_frame f = { 0 };
    str all = str_of(data, n), service, method;
    int64_t ns = 0;
    errc rc = grpc_frame_read(&f, all, true, 1 << 16, NULL);
    assert(rc != OK || f.body.n + GRPC_HEAD_BYTES == n);
    if (grpc_timeout(all, &ns)) assert(ns >= 0);
    if (grpc_path(all, &service, &method)) assert(service.n + method.n + 2 == n);
    grpc_put_words(&b, all);
    for (size_t i = 0; i < b.n; i++) assert(b.p[i] >= ' ' && b.p[i] <= '~');
    return 0;
}
