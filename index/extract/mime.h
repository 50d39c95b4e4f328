/* mime.h - the encodings of Internet mail: headers (RFC 5322, RFC 2047), parameters (RFC 2231) and
 * bodies (RFC 2045). Nothing here knows of documents. */
#ifndef SEMSEARCH_INDEX_EXTRACT_MIME_H
#define SEMSEARCH_INDEX_EXTRACT_MIME_H

#include "src/base/str.h"

/* Splits a message into its header block and its body at the first empty line. */
void mime_split(struct span message, struct span *headers, struct span *body);

/* Appends the value of the first header of that name, unfolded and decoded to UTF-8; false: absent.
 */
bool mime_header(struct span headers, const char *name, struct str *out);

/* Appends a parameter ("boundary", "charset", "filename") of a header's value, decoded. */
bool mime_parameter(struct span value, const char *name, struct str *out);

/* Appends a body without its transfer encoding ("base64", "quoted-printable", anything else as is).
 */
void mime_decode(struct span body, struct span encoding, struct str *out);

#endif
