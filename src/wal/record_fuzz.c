/* record_fuzz.c — any bytes as a WAL record. */
#include "wal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct err e;
    errc rc = record_check(str_of(p, n), &e);
    assert(rc == OK || rc == ERR_CORRUPT);
    return 0;
}
