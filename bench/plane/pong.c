// The yardstick of the benchmark: an epoll server in C, which answers each REQUEST_BYTES by ANSWER_BYTES.
//
//     pong REQUEST_BYTES ANSWER_BYTES [LIBWASMTIME MODULE EXPORT]
//
// With a module it calls the export with the i32 at offset 20 of each request, by libwasmtime, and answers with
// the i32 that it returns; all answers of one read are sent together. Prints its port.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 << 20, ARGUMENT = 20, ANSWERED = 20, RESULT = 0x13 };

typedef union { int32_t i32; uint8_t v128[16]; } value;
typedef struct { uint8_t kind; int64_t of[3]; } external;

static void *context;
static external export;
static void *(*call_unchecked)(void *, void *, void *, size_t, void **);

static void die(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void *find(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found) die(name);
  return found;
}

static void load(const char *path, const char *module_path, const char *name) {
  void *library = dlopen(path, RTLD_LAZY), *module = 0, *trap = 0;
  if (!library) die("no libwasmtime");
  static char wasm[1 << 20];
  FILE *file = fopen(module_path, "rb");
  if (!file) die("no module");
  size_t size = fread(wasm, 1, sizeof wasm, file);
  void *engine = ((void *(*)(void))find(library, "wasm_engine_new"))();
  void *(*new_module)(void *, void *, size_t, void **) = find(library, "wasmtime_module_new");
  if (new_module(engine, wasm, size, &module)) die("the module is not valid");
  void *store = ((void *(*)(void *, void *, void *))find(library, "wasmtime_store_new"))(engine, 0, 0);
  context = ((void *(*)(void *))find(library, "wasmtime_store_context"))(store);
  void *linker = ((void *(*)(void *))find(library, "wasmtime_linker_new"))(engine);
  int64_t instance[2];
  void *(*instantiate)(void *, void *, void *, void *, void **) = find(library, "wasmtime_linker_instantiate");
  if (instantiate(linker, context, module, instance, &trap)) die("no instance");
  _Bool (*get)(void *, void *, const char *, size_t, void *) = find(library, "wasmtime_instance_export_get");
  if (!get(context, instance, name, strlen(name), &export)) die("no export");
  call_unchecked = find(library, "wasmtime_func_call_unchecked");
}

static int32_t called(int32_t argument) {
  value slots[1] = {{.i32 = argument}};
  void *trap = 0;
  if (call_unchecked && (call_unchecked(context, export.of, slots, 1, &trap) || trap)) die("the guest trapped");
  return slots[0].i32;
}

static void send_all(int peer, const uint8_t *data, size_t size) {
  while (size) {
    ssize_t sent = send(peer, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return;
    data += sent;
    size -= sent;
  }
}

static int listening(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) die("no listener");
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  size_t request = strtoul(words[1], 0, 10), answer = strtoul(words[2], 0, 10), kept = 0;
  if (count > 5) load(words[3], words[4], words[5]);
  static uint8_t in[BUFFER_BYTES], out[BUFFER_BYTES];
  int listener = listening(), poll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, happened;
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  while (epoll_wait(poll, &happened, 1, -1) == 1) {
    int peer = happened.data.fd;
    if (peer == listener) {
      event.data.fd = accept(listener, 0, 0);
      epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
      kept = 0;
      continue;
    }
    ssize_t got = recv(peer, in + kept, sizeof in - kept, 0);
    if (got <= 0) {
      close(peer);
      continue;
    }
    kept += got;
    size_t at = 0, made = 0;
    for (; kept - at >= request; at += request, made += answer) {
      if (made + answer > sizeof out) send_all(peer, out, made), made = 0;
      out[made + 8] = RESULT;
      int32_t number;
      memcpy(&number, in + at + ARGUMENT, 4);
      number = called(number);
      memcpy(out + made + ANSWERED, &number, 4);
    }
    send_all(peer, out, made);
    memmove(in, in + at, kept -= at);
  }
  return 0;
}
