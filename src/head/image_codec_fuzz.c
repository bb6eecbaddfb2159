#include "head/head.h"
#include "head/image_codec.h"
#include "head/image_load.h"
#include "head/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void header_of(str bytes)
{
    struct image_place p;
    struct image_frame f;
    bool is_end;
    errc rc = image_header_decode(&p, bytes, NULL);
    if (rc == OK) rc = image_frame_decode(&f, bytes, NULL);
    if (rc == OK) rc = image_frame_check(&f, bytes, NULL);
    if (rc == OK) rc = image_kind_decode(bytes, 0, &is_end, NULL);
    (void)rc;
}

/* A frame of series into a head that knows the first eight. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char ids[] = "12345678";
    struct head *h = NULL;
    struct head_opts o = { .keeps = { .start_times = n % 2 != 0, .float_xor2 = n % 2 != 0 } };
    header_of(str_of(data, n));
    errc rc = head_open(&h, &o, NULL);
    struct head_replay *r = head_replay_begin(h);
    for (size_t i = 0; rc == OK && i < sizeof(ids) - 1; i++) {
        struct label l = { S("id"), str_of((const uint8_t *)ids + i, 1) };
        struct replay_reset reset;
        rc = head_replay_series(r, i + 1, i + 1, (struct labels){ &l, 1 }, &reset, NULL);
    }
    struct image_load *l = image_load_new(r, 8);
    if (rc == OK) rc = image_load_frame(l, str_of(data, n), NULL);
    image_load_free(l);
    if (rc == OK) head_replay_finish(r, NULL);
    else head_replay_drop(r);
    head_close(h);
    return 0;
}
