#include "bucket/s3_codec.h"

#include "base/rfc3339.h"
#include "base/xml.h"

enum { ENTRIES_MAX = 100000 }; /* of one page; stores give a thousand */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Names come escaped as in URLs (encoding-type=url): XML cannot say each byte. */
static str unescaped(str s, struct arena *a)
{
    uint8_t *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int hi = s.p[i] == '%' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int lo = hi >= 0 ? hex_digit(s.p[i + 2]) : -1;
        p[n++] = lo >= 0 ? (uint8_t)(hi << 4 | lo) : s.p[i] == '+' ? ' ' : s.p[i];
        if (lo >= 0) i += 2;
    }
    return str_of(p, n);
}

/* Finds the root by name; false: it is another one, or none. */
static bool root_is(struct xml *x, str name)
{
    str s;
    return xml_next(x, &s) == XML_BEGIN && str_eq(s, name);
}

struct listing {
    bucket_entries *out;
    struct arena *a;
    size_t first; /* of out, that is of this page */
    bool url, v1, cut_known;
    struct s3_page page;
    str next_marker;
};

/* <Contents> or <CommonPrefixes> */
static bool entry_decode(struct listing *l, struct xml *x, bool is_dir)
{
    struct bucket_entry one = { .is_dir = is_dir };
    bool sized = is_dir;
    for (str s, text;;) {
        enum xml_kind k = xml_next(x, &s);
        if (k == XML_END) break;
        if (k == XML_TEXT) continue;
        if (k != XML_BEGIN || !xml_content(x, &text, l->a)) return false;
        if (str_eq(s, is_dir ? S("Prefix") : S("Key"))) one.name = text;
        else if (!is_dir && str_eq(s, S("Size"))) sized = str_u64(text, &one.size_bytes);
        else if (!is_dir && str_eq(s, S("LastModified"))) {
            if (!rfc3339_parse(text, &one.modified_ms)) return false;
        }
    }
    if (!one.name.n || !sized || l->out->n - l->first >= ENTRIES_MAX) return false;
    vec_push(l->out, one);
    return true;
}

static bool listing_field(struct listing *l, struct xml *x, str name)
{
    str text;
    if (str_eq(name, S("Contents"))) return entry_decode(l, x, false);
    if (str_eq(name, S("CommonPrefixes"))) return entry_decode(l, x, true);
    if (!xml_content(x, &text, l->a)) return false;
    if (str_eq(name, S("IsTruncated"))) {
        l->page.cut = str_eq(text, S("true"));
        l->cut_known = l->page.cut || str_eq(text, S("false"));
    } else if (str_eq(name, S("EncodingType"))) l->url = str_eq_nocase(text, S("url"));
    else if (!l->v1 && str_eq(name, S("NextContinuationToken"))) l->page.next = text;
    else if (l->v1 && str_eq(name, S("NextMarker"))) l->next_marker = text;
    return true;
}

/* The marker of version 1 is given only where there is a delimiter: else it is the last name. */
static void next_of_v1(struct listing *l)
{
    l->page.next = l->next_marker;
    if (l->url) l->page.next = unescaped(l->page.next, l->a);
    for (size_t i = l->first; !l->next_marker.n && i < l->out->n; i++)
        if (str_cmp(l->out->at[i].name, l->page.next) > 0) l->page.next = l->out->at[i].name;
}

errc s3_page_decode(
    struct s3_page *out, bucket_entries *entries, str xml, bool v1, struct arena *a, struct err *e)
{
    struct xml x = xml_of(xml);
    struct listing l = { .out = entries, .a = a, .first = entries->n, .v1 = v1 };
    bool good = root_is(&x, S("ListBucketResult"));
    while (good) {
        str s;
        enum xml_kind k = xml_next(&x, &s);
        if (k == XML_END || k == XML_DONE) break;
        if (k != XML_TEXT) good = k == XML_BEGIN && listing_field(&l, &x, s);
    }
    str rest;
    good = good && xml_next(&x, &rest) == XML_DONE && l.cut_known;
    for (size_t i = l.first; good && l.url && i < entries->n; i++)
        entries->at[i].name = unescaped(entries->at[i].name, a);
    if (good && v1 && l.page.cut) next_of_v1(&l);
    if (good && (!l.page.cut || l.page.next.n)) return *out = l.page, OK;
    entries->n = l.first;
    return err_set(e, ERR_CORRUPT, "the list cannot be read");
}

bool s3_error_decode(struct s3_error *out, str xml, struct arena *a)
{
    struct xml x = xml_of(xml);
    struct s3_error got = { 0 };
    if (!root_is(&x, S("Error"))) return false;
    for (str s, text;;) {
        enum xml_kind k = xml_next(&x, &s);
        if (k == XML_END) break;
        if (k == XML_TEXT) continue;
        if (k != XML_BEGIN || !xml_content(&x, &text, a)) return false;
        if (str_eq(s, S("Code"))) got.code = text;
        else if (str_eq(s, S("Message"))) got.message = text;
        else if (str_eq(s, S("Region"))) got.region = text;
    }
    if (!got.code.n) return false;
    *out = got;
    return true;
}

errc s3_upload_id_decode(str *out, str xml, struct arena *a, struct err *e)
{
    struct xml x = xml_of(xml);
    str id = STR_EMPTY;
    bool good = root_is(&x, S("InitiateMultipartUploadResult"));
    while (good) {
        str s, text;
        enum xml_kind k = xml_next(&x, &s);
        if (k == XML_END) break;
        if (k == XML_TEXT) continue;
        good = k == XML_BEGIN && xml_content(&x, &text, a);
        if (good && str_eq(s, S("UploadId"))) id = text;
    }
    if (!good || !id.n) return err_set(e, ERR_CORRUPT, "the answer names no upload");
    *out = id;
    return OK;
}
