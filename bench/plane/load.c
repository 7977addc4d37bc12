// The client of the benchmark: one thread, DEPTH requests under way on each connection for SECONDS.
//
//     load PORT [CONNECTIONSx]DEPTH SECONDS REQUEST ANSWER_BYTES [PRELUDE ANSWER_BYTES]...
//
// REQUEST and PRELUDEs are files whose bytes are sent; an answer is so many bytes. If REQUEST is a CALL (the
// operation at offset 8), the number at its offset 4 counts from 2 on, and each answer has to be a RESULT; else
// answers are not looked at. A CALL may stand in a WebSocket message under a mask of zeros (6 bytes before it); then
// answers are so many bytes of whatever messages come. Prints calls and the median of their times in microseconds.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_DEPTH = 1024, MOST_PEERS = 64, MOST_BYTES = 4 << 20, CALL = 0x12, RESULT = 0x13 };

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec + at.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static size_t load_file(const char *path, uint8_t **data) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  *data = malloc(MOST_BYTES);
  size_t size = fread(*data, 1, MOST_BYTES, file);
  fclose(file);
  return size;
}

static void send_all(int peer, const uint8_t *data, size_t size) {
  while (size) {
    ssize_t sent = send(peer, data, size, 0);
    if (sent <= 0) fail("send");
    data += sent;
    size -= sent;
  }
}

static void receive_all(int peer, uint8_t *data, size_t size) {
  while (size) {
    ssize_t got = recv(peer, data, size, 0);
    if (got <= 0) fail("recv");
    data += got;
    size -= got;
  }
}

// Receives bytes of messages; `left` is how many of the present one are still to come.
static void receive_messages(int peer, uint8_t *data, size_t size, size_t *left) {
  for (size_t piece; size; size -= piece, data += piece, *left -= piece) {
    if (!*left) {
      uint8_t head[8];
      receive_all(peer, head, 2);
      int extra = head[1] < 126 ? 0 : head[1] == 126 ? 2 : 8;
      *left = extra ? 0 : head[1];
      receive_all(peer, head, extra);
      for (int at = 0; at < extra; at++) *left = *left << 8 | head[at];
    }
    piece = *left < size ? *left : size;
    receive_all(peer, data, piece);
  }
}

static int compare(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return difference < 0 ? -1 : difference > 0;
}

static int connected(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int peer = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (connect(peer, (struct sockaddr *)&address, sizeof address)) fail("connect");
  setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return peer;
}

typedef struct {
  int socket;
  uint32_t id;
  double started;
  size_t left;  // of the WebSocket message that has begun
} peer;

static void greet(int socket, int count, char **words, uint8_t *received) {
  for (int at = 6; at + 1 < count; at += 2) {
    uint8_t *prelude;
    size_t size = load_file(words[at], &prelude);
    send_all(socket, prelude, size);
    receive_all(socket, received, strtoul(words[at + 1], 0, 10));
    free(prelude);
  }
}

int main(int count, char **words) {
  if (count < 6) return 2;
  char *rest;
  int peers = 1, depth = strtol(words[2], &rest, 10);
  if (*rest == 'x') peers = depth, depth = atoi(rest + 1);
  double seconds = atof(words[3]);
  size_t answer = strtoul(words[5], 0, 10);
  uint8_t *request, *received = malloc(MOST_BYTES);
  size_t size = load_file(words[4], &request);
  if (depth < 1 || depth > MOST_DEPTH || peers < 1 || peers > MOST_PEERS || answer > MOST_BYTES) return 2;
  static peer all[MOST_PEERS];
  for (int one = 0; one < peers; one++) {
    all[one] = (peer){.socket = connected(atoi(words[1])), .id = 2};
    greet(all[one].socket, count, words, received);
  }
  size_t before = size > 14 && request[0] == 0x82 && request[6 + 8] == CALL ? 6 : 0;
  int is_call = size > 8 && request[before + 8] == CALL;
  uint8_t *batch = malloc(size * depth);
  size_t calls = 0, room = 1 << 16;
  double *times = malloc(room * sizeof *times), end = now() + seconds;
  while (now() < end) {
    for (int one = 0; one < peers; one++) {
      for (int at = 0; at < depth; at++) {
        memcpy(batch + at * size, request, size);
        if (is_call) memcpy(batch + at * size + before + 4, &all[one].id, 4);
        all[one].id++;
      }
      all[one].started = now();
      send_all(all[one].socket, batch, size * depth);
    }
    for (int one = 0; one < peers; one++)
      for (int at = 0; at < depth; at++) {
        if (before)
          receive_messages(all[one].socket, received, answer, &all[one].left);
        else
          receive_all(all[one].socket, received, answer);
        if (is_call && received[8] != RESULT) return fprintf(stderr, "operation %d\n", received[8]), 1;
        if (calls == room) times = realloc(times, (room *= 2) * sizeof *times);
        times[calls++] = now() - all[one].started;
      }
  }
  qsort(times, calls, sizeof *times, compare);
  printf("%zu %.3f\n", calls, times[calls / 2] * 1e6);
  return 0;
}
