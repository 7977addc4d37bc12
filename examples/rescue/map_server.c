/* The Map Server: one picture of the site from the partial views of all robots. One instance is shared by them. */

#include <stdlib.h>

#include "lawow.h"

#define MOST 256 /* items on the map */
#define SIDE 64  /* places along a side of the site */
#define SAME 16  /* pixels: two reports of a kind nearer than this are of one item */

static int32_t items[3 * MOST], answer[2 + 3 * MOST];
static int32_t count, reports, seen_count;
static bool seen[SIDE * SIDE];

/* Note that a robot has looked at a place; return how many places have been looked at. */
LAWOW_OFFLOAD int32_t see(int32_t column, int32_t row) {
  reports++;
  if (column < 0 || row < 0 || column >= SIDE || row >= SIDE) return seen_count;
  bool *place = &seen[row * SIDE + column];
  if (!*place) *place = true, seen_count++;
  return seen_count;
}

/* Note an item; return how many there are. */
LAWOW_OFFLOAD int32_t found(int32_t kind, int32_t x, int32_t y) {
  reports++;
  for (int32_t at = 0; at < count; at++) {
    const int32_t *item = &items[3 * at];
    if (item[0] == kind && abs(item[1] - x) < SAME && abs(item[2] - y) < SAME) return count;
  }
  if (count == MOST) return count;
  int32_t *item = &items[3 * count++];
  item[0] = kind, item[1] = x, item[2] = y;
  return count;
}

/* Return the number of reports, of places, and all items: kind, x, y. */
LAWOW_OFFLOAD LAWOW_RETURNS_LIST(int32_t) merged(void) {
  answer[0] = reports, answer[1] = seen_count;
  for (int32_t at = 0; at < 3 * count; at++) answer[2 + at] = items[at];
  return lawow_return(answer, 2 + 3 * (size_t)count);
}
