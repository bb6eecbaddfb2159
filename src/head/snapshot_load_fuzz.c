#include "head/head.h"
#include "head/replay.h"
#include "head/snapshot_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Records behind each other, each with its length: into one head. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct head *h = NULL;
    struct head_opts o = { .keeps = { .max_exemplars = 4 } };
    errc rc = head_open(&h, &o, NULL);
    struct head_replay *r = head_replay_begin(h);
    struct snapshot_load *l = snapshot_load_new(r);
    for (str left = str_of(data, n); rc == OK && left.n;) {
        size_t len = MIN((size_t)left.p[0] + 1, left.n - 1);
        rc = snapshot_load_record(l, str_slice(left, 1, 1 + len), NULL);
        left = str_from(left, 1 + len);
    }
    snapshot_load_free(l);
    if (rc == OK) head_replay_finish(r, NULL);
    else head_replay_drop(r);
    head_close(h);
    return 0;
}
