#include "base/url.h"

static bool url_plain(uint8_t c, enum url_place place)
{
    static const char *const more[] = {
        [URL_QUERY] = "-_.~", [URL_PATH] = "-_.~$&+,/:;=@", [URL_HOST] = "-_.~!$&'()*+,;=:[]<>\""
    };
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || (c && strchr(more[place], c));
}

void buf_url_escape(struct buf *b, str s, enum url_place place)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (url_plain(c, place)) buf_u8(b, c);
        else if (place == URL_QUERY && c == ' ') buf_u8(b, '+');
        else buf_bytes(b, (const uint8_t[]){ '%', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] }, 3);
    }
}
