/* The bytes that programs send: which byte stands at which position of which stream is known to everybody, so that a
 * lost, doubled, swapped or foreign chunk is seen wherever it arrives. */
#ifndef LC_BYTES_H
#define LC_BYTES_H

#include <stddef.h>
#include <stdint.h>

enum { LC_BYTES_RUN = 1 << 16 }; /* how many bytes may be read from what lc_bytes_at returns */

/* The bytes from this position on of what the end `sender` (an fd's handle) sends; good for ever. */
const uint8_t *lc_bytes_at(uint8_t sender, uint64_t position);
/* How many of the bytes are what they have to be, from the first on; `size` if all are. */
size_t lc_bytes_right(uint8_t sender, uint64_t position, const void *bytes, size_t size);

#endif
