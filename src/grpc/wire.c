#include "grpc/wire.h"

#include "base/cursor.h"

enum grpc_code grpc_code_of(errc rc)
{
    static const uint8_t codes[ERRC_COUNT] = { [OK] = GRPC_OK,
        [ERR_IO] = GRPC_ABORTED,
        [ERR_CORRUPT] = GRPC_ABORTED,
        [ERR_NOT_FOUND] = GRPC_NOT_FOUND,
        [ERR_EXISTS] = GRPC_ALREADY_EXISTS,
        [ERR_BAD_INPUT] = GRPC_INVALID_ARGUMENT,
        [ERR_OUT_OF_ORDER] = GRPC_OUT_OF_RANGE,
        [ERR_OUT_OF_BOUNDS] = GRPC_OUT_OF_RANGE,
        [ERR_TOO_OLD] = GRPC_OUT_OF_RANGE,
        [ERR_DUPLICATE] = GRPC_ALREADY_EXISTS,
        [ERR_NO_SPACE] = GRPC_RESOURCE_EXHAUSTED,
        [ERR_LIMIT] = GRPC_RESOURCE_EXHAUSTED,
        [ERR_TIMEOUT] = GRPC_DEADLINE_EXCEEDED,
        [ERR_CANCELED] = GRPC_CANCELED,
        [ERR_UNAVAILABLE] = GRPC_UNAVAILABLE,
        [ERR_UNSUPPORTED] = GRPC_UNIMPLEMENTED,
        [ERR_LOCKED] = GRPC_FAILED_PRECONDITION };
    return (unsigned)rc < ERRC_COUNT ? (enum grpc_code)codes[rc] : GRPC_UNKNOWN;
}

str grpc_code_name(enum grpc_code code)
{
    static const str names[GRPC_CODES] = { S("OK"), S("Canceled"), S("Unknown"),
        S("InvalidArgument"), S("DeadlineExceeded"), S("NotFound"), S("AlreadyExists"),
        S("PermissionDenied"), S("ResourceExhausted"), S("FailedPrecondition"), S("Aborted"),
        S("OutOfRange"), S("Unimplemented"), S("Internal"), S("Unavailable"), S("DataLoss"),
        S("Unauthenticated") };
    return names[(unsigned)code < GRPC_CODES ? code : GRPC_UNKNOWN];
}

bool grpc_timeout(str text, int64_t *ns)
{
    static const struct { char unit; int64_t ns; } units[] = {
        { 'H', INT64_C(3600000000000) }, { 'M', INT64_C(60000000000) }, { 'S', 1000000000 },
        { 'm', 1000000 }, { 'u', 1000 }, { 'n', 1 }
    };
    const int64_t year = INT64_C(31536000000000000);
    uint64_t n;
    if (text.n < 2 || text.n > 9 || !str_u64(str_slice(text, 0, text.n - 1), &n)) return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (units[i].unit != text.p[text.n - 1]) continue;
        *ns = n > (uint64_t)(year / units[i].ns) ? year : (int64_t)n * units[i].ns;
        return true;
    }
    return false;
}

bool grpc_path(str path, str *service, str *method)
{
    if (!path.n || path.p[0] != '/') return false;
    return str_cut(str_from(path, 1), '/', service, method) && service->n && method->n;
}

void grpc_put_words(struct buf *b, str words)
{
    static const char hex[] = "0123456789ABCDEF";
    words = str_slice(words, 0, GRPC_WORDS_MAX);
    for (size_t i = 0; i < words.n; i++) {
        uint8_t c = words.p[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            buf_u8(b, c);
            continue;
        }
        buf_u8(b, '%');
        buf_u8(b, (uint8_t)hex[c >> 4]);
        buf_u8(b, (uint8_t)hex[c & 15]);
    }
}

void grpc_put_head(uint8_t head[static GRPC_HEAD_BYTES], uint32_t n)
{
    uint32_t be = __builtin_bswap32(n);
    head[0] = 0;
    memcpy(head + 1, &be, sizeof(be));
}

errc grpc_frame_read(
    struct grpc_frame *out, str bytes, bool whole, size_t max_bytes, struct err *e)
{
    cursor c = cur_of(bytes);
    uint8_t packed = cur_u8(&c);
    uint32_t n = cur_be32(&c);
    if (!cur_ok(&c))
        return whole ? err_set(e, ERR_BAD_INPUT, "the request has no message") : OK;
    if (packed > 1) return err_set(e, ERR_BAD_INPUT, "grpc: received unexpected payload format");
    if (n > max_bytes)
        return err_set(
            e, ERR_LIMIT, "grpc: received message larger than max (%u vs. %zu)", n, max_bytes);
    if (cur_left(&c) > n) return err_set(e, ERR_BAD_INPUT, "the request has more than one message");
    if (cur_left(&c) < n)
        return whole ? err_set(e, ERR_BAD_INPUT, "the request's message is cut short") : OK;
    *out = (struct grpc_frame){ packed == 1, cur_rest(&c) };
    return OK;
}
