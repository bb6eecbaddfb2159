/* xml.h — reading XML piece by piece.
 *
 * What        Hands out elements' begins and ends and the text between them. Declarations,
 *             comments and doctypes are passed over; attributes are not looked at.
 * Invariants  ends match begins; depth is bounded
 * Ownership   names and texts borrow the input; text is raw: xml_text makes it plain
 * Threads     one
 * Errors      XML_BAD for good: not well-formed, or cut
 * Format      XML 1.0 in UTF-8, without entities of its own
 */
#ifndef EPI_BASE_XML_H
#define EPI_BASE_XML_H

#include "base/arena.h"

enum { XML_DEPTH_MAX = 32 };
enum xml_kind { XML_BEGIN, XML_END, XML_TEXT, XML_DONE, XML_BAD };
struct xml {
    str left;
    str open[XML_DEPTH_MAX];
    size_t depth;
    bool any;     /* the root was there */
    bool closing; /* an empty element: its end is next */
    bool cdata;   /* the text is plain already */
    bool bad;
};
static inline struct xml xml_of(str s) { return (struct xml){ .left = s }; }
/* *s: the name, without a prefix "x:", or the text */
enum xml_kind xml_next(struct xml *x, str *s);
/* The text with its references resolved; one that is not known stays as it is. */
str xml_text(const struct xml *x, str raw, struct arena *a);
/* The whole text of the element that has just begun, plain, without white space around it; what is
 * inside elements of its own is passed over. False: bad. */
MUST_USE bool xml_content(struct xml *x, str *out, struct arena *a);

#endif
