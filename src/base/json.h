/* json.h — writing JSON into a buf as it is produced.
 *
 * What        A writer that puts the commas, and string escaping as the encoder of Prometheus' API
 *             has it, for HTML or bare.
 * Invariants  what is written is valid JSON if begin and end calls balance
 * Ownership   borrows the buf
 * Threads     none
 * Errors      the buf's sticky flag
 * Format      RFC 8259
 */
#ifndef EPI_BASE_JSON_H
#define EPI_BASE_JSON_H

#include "base/buf.h"

struct json { struct buf *b; bool comma; bool html; };
/* html: escapes < > & U+2028 U+2029 as \uXXXX, and invalid UTF-8 as \ufffd; bare passes them on as
 * they are */

static inline struct json json_to(struct buf *b) { return (struct json){ .b = b, .html = false }; }
void json_obj(struct json *j);                                 /* { */
void json_obj_end(struct json *j);
void json_arr(struct json *j);                                 /* [ */
void json_arr_end(struct json *j);
void json_key(struct json *j, str key);
void json_str(struct json *j, str v);
void json_i64(struct json *j, int64_t v);
void json_u64(struct json *j, uint64_t v);
/* shortest; NaN and Inf are the caller's to avoid */
void json_f64(struct json *j, double v);
void json_bool(struct json *j, bool v);
/* null; jansson owns the name json_null */
void json_nil(struct json *j);
void json_raw(struct json *j, str v);                          /* a value that is JSON already */

#define JSON_KEY(j, lit) json_key((j), S(lit))
static inline void json_kstr(struct json *j, str key, str v) { json_key(j, key); json_str(j, v); }
static inline void json_ki64(struct json *j, str key, int64_t v)
{
    json_key(j, key);
    json_i64(j, v);
}
static inline void json_ku64(struct json *j, str key, uint64_t v)
{
    json_key(j, key);
    json_u64(j, v);
}
static inline void json_kbool(struct json *j, str key, bool v)
{
    json_key(j, key);
    json_bool(j, v);
}

#endif
