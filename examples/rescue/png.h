/* A PNG of fixed size from pixels that are indices of a palette. Nothing is compressed: one stored block.
 * Source: PNG specification (third edition), sections 5 and 11; RFC 1950, RFC 1951 section 3.2.4. */
#ifndef PNG_H
#define PNG_H

#include <stdint.h>
#include <string.h>

#define PNG_WIDTH 240
#define PNG_HEIGHT 180
#define PNG_COLOURS 5
#define PNG_ROWS ((1 + PNG_WIDTH) * PNG_HEIGHT) /* each row begins with its filter, none; below 65,536 */

typedef struct png_writer {
  uint8_t *at, *chunk;
} png_writer;

static const uint8_t png_palette[3 * PNG_COLOURS] = {0x1b, 0x23, 0x30, 0xe4, 0xe9, 0xf1, 0xc4, 0x4e,
                                                     0x52, 0xdd, 0x84, 0x52, 0x4c, 0x72, 0xb0};

static void png_put(png_writer *to, const void *data, size_t bytes) {
  memcpy(to->at, data, bytes);
  to->at += bytes;
}

static void png_u32(png_writer *to, uint32_t value) {
  const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
  png_put(to, bytes, sizeof bytes);
}

static void png_begin(png_writer *to, const char *kind) {
  to->chunk = to->at;
  png_u32(to, 0); /* the length, once it is known */
  png_put(to, kind, 4);
}

static uint32_t png_crc(const uint8_t *data, size_t bytes) {
  uint32_t crc = 0xffffffff;
  for (size_t at = 0; at < bytes; at++) {
    crc ^= data[at];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

static void png_end(png_writer *to) {
  png_writer length = {to->chunk, NULL};
  png_u32(&length, (uint32_t)(to->at - to->chunk - 8));
  png_u32(to, png_crc(to->chunk + 4, (size_t)(to->at - to->chunk) - 4));
}

static uint32_t png_adler(const uint8_t *data, size_t bytes) {
  uint32_t low = 1, high = 0;
  for (size_t at = 0; at < bytes; at++) low = (low + data[at]) % 65521, high = (high + low) % 65521;
  return high << 16 | low;
}

/* Write the rows as a zlib stream of one stored block. */
static void png_rows(png_writer *to, const uint8_t *pixels) {
  const uint8_t head[] = {0x78, 0x01, 1, PNG_ROWS & 255, PNG_ROWS >> 8, ~PNG_ROWS & 255, (~PNG_ROWS >> 8) & 255};
  png_put(to, head, sizeof head);
  const uint8_t *rows = to->at, filter = 0;
  for (int row = 0; row < PNG_HEIGHT; row++) png_put(to, &filter, 1), png_put(to, pixels + row * PNG_WIDTH, PNG_WIDTH);
  png_u32(to, png_adler(rows, PNG_ROWS));
}

/* Return the file, which the next call overwrites. */
static const uint8_t *png_of(const uint8_t *pixels, size_t *bytes) {
  static uint8_t file[PNG_ROWS + 128];
  const uint8_t format[] = {8, 3, 0, 0, 0}; /* 8 bits, palette, and the only methods there are */
  png_writer to = {file, NULL};
  png_put(&to, "\x89PNG\r\n\x1a\n", 8);
  png_begin(&to, "IHDR"), png_u32(&to, PNG_WIDTH), png_u32(&to, PNG_HEIGHT);
  png_put(&to, format, sizeof format), png_end(&to);
  png_begin(&to, "PLTE"), png_put(&to, png_palette, sizeof png_palette), png_end(&to);
  png_begin(&to, "IDAT"), png_rows(&to, pixels), png_end(&to);
  png_begin(&to, "IEND"), png_end(&to);
  *bytes = (size_t)(to.at - file);
  return file;
}

#endif
