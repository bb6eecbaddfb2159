#include "base/compress.h"

#include "base/snappy.h"
#include "base/tls.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <stdatomic.h>
#include <zstd.h>

enum {
    ZSTD_DEFAULT = 3,
    DEFLATE_DEFAULT = 6,
    DEFLATE_LEVELS = 13,
    DEFLATE_SPARES = 2,
    GZIP_MIN = 18,
    ZSTD_WINDOW_LOG = 27
};

/* The libraries' states cost much to make: each thread keeps its own until it ends. */
static _Thread_local ZSTD_CCtx *zstd_c;
static _Thread_local ZSTD_DCtx *zstd_d;
static _Thread_local struct libdeflate_decompressor *deflate_d;

/* But for those of a megabyte: a pool of fifty threads that pack once each would keep fifty. A few
 * lie here for whoever comes. */
static _Atomic(struct libdeflate_compressor *) deflate_spare[DEFLATE_LEVELS][DEFLATE_SPARES];

static void free_zstd_c(void *c) { ZSTD_freeCCtx(c); }
static void free_zstd_d(void *d) { ZSTD_freeDCtx(d); }
static void free_deflate_d(void *d) { libdeflate_free_decompressor(d); }

static ZSTD_CCtx *zstd_packer(void)
{
    if (!zstd_c) tls_on_exit(free_zstd_c, zstd_c = ZSTD_createCCtx());
    return zstd_c;
}

static ZSTD_DCtx *zstd_unpacker(void)
{
    if (zstd_d) return zstd_d;
    tls_on_exit(free_zstd_d, zstd_d = ZSTD_createDCtx());
    size_t rc = ZSTD_DCtx_setParameter(zstd_d, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    assert(!ZSTD_isError(rc));
    (void)rc;
    return zstd_d;
}

static struct libdeflate_compressor *deflate_take(int level)
{
    struct libdeflate_compressor *c = NULL;
    assert(level >= 0 && level < DEFLATE_LEVELS);
    for (size_t i = 0; !c && i < DEFLATE_SPARES; i++)
        c = atomic_exchange_explicit(&deflate_spare[level][i], NULL, memory_order_acquire);
    return c ? c : libdeflate_alloc_compressor(level);
}

static void deflate_give(struct libdeflate_compressor *c, int level)
{
    for (size_t i = 0; c && i < DEFLATE_SPARES; i++)
        c = atomic_exchange_explicit(&deflate_spare[level][i], c, memory_order_acq_rel);
    libdeflate_free_compressor(c);
}

static struct libdeflate_decompressor *deflate_unpacker(void)
{
    if (!deflate_d) tls_on_exit(free_deflate_d, deflate_d = libdeflate_alloc_decompressor());
    return deflate_d;
}

static errc limit_error(struct err *e, size_t max)
{
    return err_set(e, ERR_LIMIT, "uncompressed size exceeds the limit of %zu bytes", max);
}

/* --- packing --- */

static size_t pack_bound(enum compress_kind kind, size_t n)
{
    switch (kind) {
    case COMPRESS_NONE: return n;
    case COMPRESS_SNAPPY: return snappy_max_compressed_length(n);
    case COMPRESS_ZSTD: return ZSTD_compressBound(n);
    case COMPRESS_GZIP: return libdeflate_gzip_compress_bound(NULL, n);
    case COMPRESS_DEFLATE: return libdeflate_zlib_compress_bound(NULL, n);
    }
    assert(!"a kind without a bound");
    return 0;
}

static size_t deflate_into(void *room, size_t cap, enum compress_kind kind, str in, int level)
{
    const char *p = in.n ? (const char *)in.p : "";
    struct libdeflate_compressor *c = deflate_take(level);
    size_t n = kind == COMPRESS_GZIP ? libdeflate_gzip_compress(c, p, in.n, room, cap)
                                     : libdeflate_zlib_compress(c, p, in.n, room, cap);
    deflate_give(c, level);
    return n;
}

/* Gives the packed size; 0: the library failed, which a large enough room excludes. */
static size_t pack_into(void *room, size_t cap, enum compress_kind kind, str in, int level)
{
    const char *p = in.n ? (const char *)in.p : "";
    size_t n = cap;
    switch (kind) {
    case COMPRESS_NONE: memcpy(room, p, in.n); return in.n;
    case COMPRESS_SNAPPY: return snappy_compress(p, in.n, room, &n) == SNAPPY_OK ? n : 0;
    case COMPRESS_ZSTD:
        n = ZSTD_compressCCtx(zstd_packer(), room, cap, p, in.n, level);
        return ZSTD_isError(n) ? 0 : n;
    case COMPRESS_GZIP:
    case COMPRESS_DEFLATE: return deflate_into(room, cap, kind, in, level);
    }
    return 0;
}

errc compress_pack(struct buf *out, enum compress_kind kind, str in, int level, struct err *e)
{
    if (level == 0) level = kind == COMPRESS_ZSTD ? ZSTD_DEFAULT : DEFLATE_DEFAULT;
    size_t bound = pack_bound(kind, in.n);
    uint8_t *room = buf_room(out, MAX(bound, (size_t)1));
    if (!room)
        return err_set(
            e, ERR_LIMIT, "the compressed form may exceed the room of %zu bytes", out->limit);
    size_t n = pack_into(room, bound, kind, in, level);
    assert(n > 0 || (kind == COMPRESS_NONE && in.n == 0));
    buf_commit(out, n);
    return OK;
}

/* --- unpacking into given room --- */

static errc unpack_none(void *room, size_t cap, size_t *n_out, str in, struct err *e)
{
    if (in.n > cap) return limit_error(e, cap);
    if (in.n) memcpy(room, in.p, in.n);
    *n_out = in.n;
    return OK;
}

static errc unpack_snappy(void *room, size_t cap, size_t *n_out, str in, struct err *e)
{
    uint32_t n = 0;
    bool says = snappy_length(in, &n);
    if (says && n > cap) return limit_error(e, cap);
    if (!says || !snappy_unpack(room, n, in))
        return err_set(e, ERR_CORRUPT, "snappy: corrupt input");
    *n_out = n;
    return OK;
}

/* Frame after frame, until the input ends. *stop tells a full room from the end. */
static errc zstd_feed(ZSTD_DCtx *d, ZSTD_outBuffer *o, ZSTD_inBuffer *i, bool *full, struct err *e)
{
    *full = false;
    for (;;) {
        size_t in_at = i->pos, out_at = o->pos;
        size_t rc = ZSTD_decompressStream(d, o, i);
        if (ZSTD_isError(rc)) return err_set(e, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(rc));
        bool stuck = i->pos == in_at && o->pos == out_at;
        if (rc == 0 && i->pos == i->size) return OK;
        if (o->pos == o->size && stuck) { *full = true; return OK; }
        if (i->pos == i->size && stuck)
            return err_set(e, ERR_CORRUPT, "zstd: unexpected end of input");
        if (stuck) return err_set(e, ERR_CORRUPT, "zstd: corrupt input");
    }
}

static errc unpack_zstd(void *room, size_t cap, size_t *n_out, str in, struct err *e)
{
    ZSTD_DCtx *d = zstd_unpacker();
    ZSTD_DCtx_reset(d, ZSTD_reset_session_only);
    ZSTD_inBuffer i = { in.p, in.n, 0 };
    ZSTD_outBuffer o = { room, cap, 0 };
    bool full;
    if (in.n == 0) return err_set(e, ERR_CORRUPT, "zstd: unexpected end of input");
    TRY(zstd_feed(d, &o, &i, &full, e));
    if (full) return limit_error(e, cap);
    *n_out = o.pos;
    return OK;
}

/* One member at `in`; *used of its bytes. ERR_LIMIT: does not fit. */
static errc deflate_member(void *room, size_t cap, size_t *n_out, size_t *used,
    enum compress_kind kind, str in, struct err *e)
{
    struct libdeflate_decompressor *d = deflate_unpacker();
    enum libdeflate_result rc =
        kind == COMPRESS_GZIP
            ? libdeflate_gzip_decompress_ex(d, in.p, in.n, room, cap, used, n_out)
            : libdeflate_zlib_decompress_ex(d, in.p, in.n, room, cap, used, n_out);
    if (rc == LIBDEFLATE_SUCCESS) return OK;
    if (rc == LIBDEFLATE_INSUFFICIENT_SPACE) return limit_error(e, cap);
    if (kind != COMPRESS_GZIP) return err_set(e, ERR_CORRUPT, "deflate: corrupt input");
    enum { HEADER_BYTES = 10 };
    if (in.n < HEADER_BYTES) return err_set(e, ERR_CORRUPT, "unexpected EOF");
    bool header = in.p[0] == 0x1f && in.p[1] == 0x8b && in.p[2] == 8;
    return err_set(e, ERR_CORRUPT, header ? "gzip: corrupt input" : "gzip: invalid header");
}

static errc unpack_deflate(
    void *room, size_t cap, size_t *n_out, enum compress_kind kind, str in, struct err *e)
{
    size_t total = 0;
    do {
        size_t n = 0, used = 0;
        TRY(deflate_member((uint8_t *)room + total, cap - total, &n, &used, kind, in, e));
        total += n;
        in = str_from(in, used);
    } while (kind == COMPRESS_GZIP && in.n > 0);
    if (in.n > 0) return err_set(e, ERR_CORRUPT, "deflate: bytes after the end");
    *n_out = total;
    return OK;
}

errc compress_unpack_into(
    void *room, size_t cap, size_t *n_out, enum compress_kind kind, str in, struct err *e)
{
    static uint8_t none[1];
    if (!room) room = none;
    switch (kind) {
    case COMPRESS_NONE: return unpack_none(room, cap, n_out, in, e);
    case COMPRESS_SNAPPY: return unpack_snappy(room, cap, n_out, in, e);
    case COMPRESS_ZSTD: return unpack_zstd(room, cap, n_out, in, e);
    case COMPRESS_GZIP:
    case COMPRESS_DEFLATE: return unpack_deflate(room, cap, n_out, kind, in, e);
    }
    return err_set(e, ERR_UNSUPPORTED, "compression %d", (int)kind);
}

/* --- unpacking into a buf --- */

/* What the input says it unpacks to, never above max; SIZE_MAX: it does not say. ERR_LIMIT: it says
 * more than max. */
static errc unpack_declared(
    size_t *n_out, enum compress_kind kind, str in, size_t max, struct err *e)
{
    size_t n = SIZE_MAX;
    if (kind == COMPRESS_NONE) n = in.n;
    if (kind == COMPRESS_SNAPPY) {
        uint32_t says;
        if (!snappy_length(in, &says)) return err_set(e, ERR_CORRUPT, "snappy: corrupt input");
        n = says;
    }
    if (kind == COMPRESS_ZSTD) {
        unsigned long long size = ZSTD_getFrameContentSize(in.p, in.n);
        if (size == ZSTD_CONTENTSIZE_ERROR) return err_set(e, ERR_CORRUPT, "zstd: corrupt input");
        if (size != ZSTD_CONTENTSIZE_UNKNOWN) n = size;
    }
    if (n != SIZE_MAX && n > max) return limit_error(e, max);
    *n_out = n;
    return OK;
}

/* The last four bytes of a gzip file are the size of its last member, mod 2^32: a hint that costs
 * nothing when it is right. */
static size_t gzip_hint(str in)
{
    uint32_t size;
    if (in.n < GZIP_MIN) return 0;
    memcpy(&size, in.p + in.n - 4, 4);
    return size;
}

size_t compress_unpack_hint(enum compress_kind kind, str in)
{
    enum { DEFLATE_MOST = 1032 };              /* deflate packs no better than 1032 : 1 */
    size_t declared = SIZE_MAX;
    if (unpack_declared(&declared, kind, in, SIZE_MAX, NULL) == OK && declared != SIZE_MAX)
        return declared;
    size_t hint = kind == COMPRESS_GZIP ? MIN(gzip_hint(in), in.n * DEFLATE_MOST) : 0;
    return MAX(hint, in.n * 4 + 256);
}

/* Tries with more and more room, up to max. A hint from the input is believed up to 1032 times its
 * size, which deflate cannot exceed. */
errc compress_unpack(
    struct buf *out, enum compress_kind kind, str in, size_t max_bytes, struct err *e)
{
    size_t declared;
    TRY(unpack_declared(&declared, kind, in, max_bytes, e));
    bool known = declared != SIZE_MAX;
    size_t cap = known ? declared : compress_unpack_hint(kind, in);
    for (;; cap = MAX(cap * 2, (size_t)256)) {
        cap = MIN(cap, max_bytes);
        uint8_t *room = buf_room(out, MAX(cap, (size_t)1));
        if (!room) return limit_error(e, out->limit);
        struct err inner = { 0 };
        size_t n = 0;
        errc rc = compress_unpack_into(room, cap, &n, kind, in, &inner);
        if (rc == OK) {
            buf_commit(out, n);
            return OK;
        }
        if (rc != ERR_LIMIT || cap == max_bytes) return err_set(e, rc, "%s", inner.msg);
    }
}
