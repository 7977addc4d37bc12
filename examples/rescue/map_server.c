/* The Map Server: one picture of the site from the partial views of all robots. One instance is shared by them: they
 * report over channels, and each new state of the map goes to all of them over a topic. */

#include <stdlib.h>
#include <string.h>

#include "lawow.h"
#include "png.h"

#define CHANNEL(name) __attribute__((import_module("lawow:channel"), import_name(name)))
CHANNEL("receive") int32_t channel_receive(void *message, int32_t capacity);
CHANNEL("publish") int32_t channel_publish(const char *topic, int32_t bytes, const void *message, int32_t size);

#define MOST 256 /* items on the map */
#define SIDE 64  /* places along a side of the site */
#define SAME 16  /* pixels: two reports of a kind nearer than this are of one item */
#define SCALE 4  /* pixels of the site along a pixel of the picture */
#define PLACE_WIDTH 40  /* of a place in the picture */
#define PLACE_HEIGHT 30
#define HEAD 3
#define TOPIC "merged-map"

/* A list as a message has it: a count, and 0. */
typedef struct list {
  uint32_t count, zero;
  int32_t numbers[HEAD + 3 * MOST + 1];
} list;

static int32_t items[3 * MOST], count, maps, reports, places;
static bool seen[SIDE * SIDE];
static list map;
static uint8_t pixels[PNG_WIDTH * PNG_HEIGHT];

/* Note that a robot has looked at a place. */
static void see(int32_t column, int32_t row) {
  if (column < 0 || row < 0 || column >= SIDE || row >= SIDE) return;
  bool *place = &seen[row * SIDE + column];
  if (!*place) *place = true, places++;
}

/* Note an item, unless it is known. */
static void find(int32_t kind, int32_t x, int32_t y) {
  for (int32_t at = 0; at < count; at++) {
    const int32_t *item = &items[3 * at];
    if (item[0] == kind && abs(item[1] - x) < SAME && abs(item[2] - y) < SAME) return;
  }
  if (count == MOST) return;
  int32_t *item = &items[3 * count++];
  item[0] = kind, item[1] = x, item[2] = y;
}

/* Put the numbers of maps, reports and places into the list, and all items: kind, x, y. */
static void merge(void) {
  map.count = HEAD + 3 * (uint32_t)count;
  map.numbers[0] = maps, map.numbers[1] = reports, map.numbers[2] = places;
  memcpy(&map.numbers[HEAD], items, sizeof *items * 3 * (size_t)count);
  map.numbers[map.count] = 0; /* the padding of an odd count */
}

/* Take reports, [0, column, row] of a place or [kind, x, y] of an item, and tell all robots what the map is now. */
LAWOW_OFFLOAD void report(void) {
  static struct { uint32_t count, zero; int32_t numbers[4]; } one;
  bool is_news = false;
  while (channel_receive(&one, sizeof one) == sizeof one) {
    if (one.count != 3) continue;
    if (one.numbers[0] == 0) see(one.numbers[1], one.numbers[2]);
    else find(one.numbers[0], one.numbers[1], one.numbers[2]);
    reports++, is_news = true;
  }
  if (!is_news) return;
  maps++, merge();
  int32_t bytes = 8 + (int32_t)(map.count + map.count % 2) * 4;
  if (!channel_publish(TOPIC, sizeof TOPIC - 1, &map, bytes)) maps--; /* the next one says it all */
}

/* Return the numbers of maps, reports and places, and all items: kind, x, y. */
LAWOW_OFFLOAD LAWOW_RETURNS_LIST(int32_t) merged(void) {
  merge();
  return lawow_return(map.numbers, map.count);
}

static void fill(int32_t x, int32_t y, int32_t width, int32_t height, uint8_t colour) {
  for (int32_t row = y < 0 ? 0 : y; row < y + height && row < PNG_HEIGHT; row++) {
    for (int32_t column = x < 0 ? 0 : x; column < x + width && column < PNG_WIDTH; column++) {
      pixels[row * PNG_WIDTH + column] = colour;
    }
  }
}

/* Return the map as a PNG: places that were seen are light, items are squares in the colour of their kind. */
LAWOW_OFFLOAD LAWOW_RETURNS_LIST(int8_t) picture(void) {
  memset(pixels, 0, sizeof pixels);
  for (int32_t at = 0; at < SIDE * SIDE; at++) {
    if (seen[at]) fill(at % SIDE * PLACE_WIDTH, at / SIDE * PLACE_HEIGHT, 2 * PLACE_WIDTH, 2 * PLACE_HEIGHT, 1);
  }
  for (int32_t at = 0; at < count; at++) {
    const int32_t *item = &items[3 * at];
    fill(item[1] / SCALE - 3, item[2] / SCALE - 3, 7, 7, (uint8_t)(1 + item[0] % (PNG_COLOURS - 1)));
  }
  size_t bytes = 0;
  const uint8_t *data = png_of(pixels, &bytes);
  return lawow_return(data, bytes);
}
