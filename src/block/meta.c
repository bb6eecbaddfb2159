#include "block/meta.h"

#include "base/path.h"

errc meta_read(struct block_meta *out, struct fs *fs, str dir, struct arena *a, struct err *e)
{
    str json;
    ulid id;
    TRY(fs_read_all(fs, path_join(a, dir, S("meta.json")), a, META_MAX_BYTES, &json, e));
    TRY(meta_decode(out, json, a, e));
    if (!ulid_parse(path_base(dir), &id)) return OK;
    out->misnamed = !ulid_eq(out->id, id);
    out->id = id;
    return OK;
}

errc meta_write(struct fs *fs, str dir, const struct block_meta *m, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf b = { 0 };
    meta_encode(&b, m);
    return fs_write_durable(fs, path_join(&a, dir, S("meta.json")), buf_view(&b), e);
}
