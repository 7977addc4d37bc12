/* WASI preview 1 for a guest without files, arguments and environment. Part of lawow_wasmedge.c.
 *
 * The guest has a standard input that is empty, and one output for both standard output and error, which Java takes.
 * Every other descriptor, and so every path and socket, is answered with EBADF. Definition: the witx file
 * wasi_snapshot_preview1 of WASI's snapshot-01.
 */
#ifdef LAWOW_USE_JNI_H
#include <sched.h>
#include <time.h>
#else
struct timespec {
  long tv_sec, tv_nsec;
};
int clock_getres(int, struct timespec *);
int clock_gettime(int, struct timespec *);
int nanosleep(const struct timespec *, struct timespec *);
int sched_yield(void);
void arc4random_buf(void *, size_t);
#endif

#define WASI_MODULE "wasi_snapshot_preview1"

enum { WASI_DONE = 0, WASI_EBADF = 8, WASI_EFAULT = 21, WASI_EINVAL = 28, WASI_ESPIPE = 70 };
enum { WASI_STOPPED = -1 }; /* not WASI's: the guest goes no further */
enum { LAST_STREAM = 2, CHARACTER_DEVICE = 2, LAST_CLOCK = 3, MONOTONIC = 1 };
enum { SUBSCRIPTION_BYTES = 48, EVENT_BYTES = 32, ABSTIME = 1 };
enum { MOST_SUBSCRIPTIONS = 4096 };

#define SECOND_NANOS 1000000000ull
#define SLICE_NANOS 5000000ull /* between two looks at the deadline, while a guest sleeps */

/* Writes or reads the guest's little-endian numbers: so are the machines that this runs on. */
static bool put(Instance *instance, uint64_t address, const void *data, size_t size) {
  uint8_t *memory;
  size_t room;
  if (!find_memory(instance, &memory, &room) || address > room || size > room - address) return false;
  if (size) memcpy(memory + address, data, size);
  return true;
}

static bool take(Instance *instance, uint64_t address, void *data, size_t size) {
  uint8_t *memory;
  size_t room;
  if (!find_memory(instance, &memory, &room) || address > room || size > room - address) return false;
  if (size) memcpy(data, memory + address, size);
  return true;
}

static uint32_t u32(const we_value *value) { return (uint32_t)value->low; }
static bool is_stream(const we_value *descriptor) { return u32(descriptor) <= LAST_STREAM; }
static int done_if(bool is_done) { return is_done ? WASI_DONE : WASI_EFAULT; }

static int bad_descriptor(Instance *instance, const we_value *given) {
  (void)instance;
  (void)given;
  return WASI_EBADF;
}

static int nothing(Instance *instance, const we_value *given) {
  (void)instance;
  (void)given;
  return WASI_DONE;
}

/* Of arguments and of the environment: no entries, no bytes. */
static int no_entries(Instance *instance, const we_value *given) {
  uint32_t none = 0;
  return done_if(put(instance, u32(&given[0]), &none, sizeof none) && put(instance, u32(&given[1]), &none, sizeof none));
}

static uint64_t nanos_of(int clock, int (*read)(int, struct timespec *)) {
  struct timespec time = {0, 0};
  read(clock, &time);
  return (uint64_t)time.tv_sec * SECOND_NANOS + (uint64_t)time.tv_nsec;
}

/* WASI numbers its four clocks as Linux does. */
static int clock_read(Instance *instance, const we_value *given, const we_value *to, int (*read)(int, struct timespec *)) {
  if (u32(&given[0]) > LAST_CLOCK) return WASI_EINVAL;
  uint64_t nanos = nanos_of((int)u32(&given[0]), read);
  return done_if(put(instance, u32(to), &nanos, sizeof nanos));
}

static int clock_res(Instance *instance, const we_value *given) {
  return clock_read(instance, given, &given[1], clock_getres);
}

static int clock_time(Instance *instance, const we_value *given) {
  return clock_read(instance, given, &given[2], clock_gettime);
}

static int of_stream(Instance *instance, const we_value *given) {
  (void)instance;
  return is_stream(given) ? WASI_DONE : WASI_EBADF;
}

static int no_position(Instance *instance, const we_value *given) {
  (void)instance;
  return is_stream(given) ? WASI_ESPIPE : WASI_EBADF;
}

/* fdstat: kind, flags, and two sets of rights, here to read (bit 1) and to write (bit 6), with nothing to inherit. */
static int stream_state(Instance *instance, const we_value *given) {
  uint64_t state[3] = {CHARACTER_DEVICE, u32(given) ? 1 << 6 : 1 << 1, 0};
  if (!is_stream(given)) return WASI_EBADF;
  return done_if(put(instance, u32(&given[1]), state, sizeof state));
}

/* filestat: all zero but the kind, the third of eight fields of 8 bytes. */
static int stream_file(Instance *instance, const we_value *given) {
  uint64_t state[8] = {0, 0, CHARACTER_DEVICE};
  if (!is_stream(given)) return WASI_EBADF;
  return done_if(put(instance, u32(&given[1]), state, sizeof state));
}

static int read_stream(Instance *instance, const we_value *given) {
  uint32_t none = 0;
  if (u32(given)) return WASI_EBADF;
  return done_if(put(instance, u32(&given[3]), &none, sizeof none));
}

/* Keeps what two words each, address and size, point to. Nothing is kept of a list that leads out of the memory. */
static int write_stream(Instance *instance, const we_value *given) {
  uint8_t *memory;
  size_t room;
  uint64_t sum = 0;
  uint32_t part[2];
  if (!is_stream(given) || !u32(given)) return WASI_EBADF;
  if (!find_memory(instance, &memory, &room)) return WASI_EFAULT;
  for (int pass = 0; pass < 2; pass++) {
    for (uint64_t at = 0; at < u32(&given[2]); at++) {
      if (!take(instance, u32(&given[1]) + 8 * at, part, sizeof part)) return WASI_EFAULT;
      if (part[0] > room || part[1] > room - part[0]) return WASI_EFAULT;
      if (pass == 0) sum += part[1];
      else if (part[1]) keep_output(&instance->output, memory + part[0], part[1]);
    }
    if (sum > UINT32_MAX) return WASI_EINVAL;
  }
  uint32_t written = (uint32_t)sum;
  return done_if(put(instance, u32(&given[3]), &written, sizeof written));
}

static int random_bytes(Instance *instance, const we_value *given) {
  uint8_t *memory;
  size_t room, address = u32(&given[0]), size = u32(&given[1]);
  if (!find_memory(instance, &memory, &room) || address > room || size > room - address) return WASI_EFAULT;
  if (size) arc4random_buf(memory + address, size);
  return WASI_DONE;
}

static int exit_guest(Instance *instance, const we_value *given) {
  instance->exit_status = (int)u32(given);
  return WASI_STOPPED;
}

static int yield(Instance *instance, const we_value *given) {
  (void)instance;
  (void)given;
  sched_yield();
  return WASI_DONE;
}

/* --- poll_oneoff -------------------------------------------------------------------------------------------------- */

typedef struct {
  uint64_t user;
  uint64_t kind; /* in the lowest byte: 0 a clock, 1 to read, 2 to write */
  uint32_t number; /* of the clock or descriptor */
  uint32_t padding;
  uint64_t timeout, precision;
  uint64_t flags; /* in the lowest 16 bits */
} Subscription;
_Static_assert(sizeof(Subscription) == SUBSCRIPTION_BYTES, "subscription of WASI preview 1");

static bool is_clock(const Subscription *item) { return (item->kind & 0xff) == 0; }

/* Nanoseconds until the event. Streams are always ready: there is nothing to read, and any room to write. */
static uint64_t nanos_left(const Subscription *item, uint64_t passed) {
  if (!is_clock(item) || item->number > LAST_CLOCK) return 0;
  uint64_t now = (item->flags & ABSTIME) ? nanos_of((int)item->number, clock_gettime) : passed;
  return item->timeout > now ? item->timeout - now : 0;
}

static bool put_event(Instance *instance, uint64_t to, const Subscription *item) {
  uint64_t known = is_clock(item) ? LAST_CLOCK : LAST_STREAM;
  uint64_t error = item->number <= known ? WASI_DONE : is_clock(item) ? WASI_EINVAL : WASI_EBADF;
  uint64_t event[4] = {item->user, error | (item->kind & 0xff) << 16, 0, 0};
  _Static_assert(sizeof event == EVENT_BYTES, "event of WASI preview 1");
  return put(instance, to, event, sizeof event);
}

/* Writes the events that are there; `soonest` becomes the time until the next one. False for a bad address. */
static bool put_events(Instance *instance, const we_value *given, uint64_t passed, uint32_t *count, uint64_t *soonest) {
  *count = 0;
  *soonest = UINT64_MAX;
  for (uint64_t at = 0; at < u32(&given[2]); at++) {
    Subscription item;
    if (!take(instance, u32(&given[0]) + at * SUBSCRIPTION_BYTES, &item, sizeof item)) return false;
    uint64_t left = nanos_left(&item, passed);
    if (left < *soonest) *soonest = left;
    if (left == 0 && !put_event(instance, u32(&given[1]) + (uint64_t)EVENT_BYTES * (*count)++, &item)) return false;
  }
  return true;
}

/* Sleeps in slices: a guest must not outlive its deadline by sleeping. */
static int poll_oneoff(Instance *instance, const we_value *given) {
  uint64_t start = nanos_of(MONOTONIC, clock_gettime), soonest;
  uint32_t count;
  if (u32(&given[2]) == 0 || u32(&given[2]) > MOST_SUBSCRIPTIONS) return WASI_EINVAL;
  while (!is_expired(instance)) {
    uint64_t passed = nanos_of(MONOTONIC, clock_gettime) - start;
    if (!put_events(instance, given, passed, &count, &soonest)) return WASI_EFAULT;
    if (count) return done_if(put(instance, u32(&given[3]), &count, sizeof count));
    struct timespec slice = {0, (long)(soonest < SLICE_NANOS ? soonest : SLICE_NANOS)};
    nanosleep(&slice, NULL);
  }
  return WASI_STOPPED;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

typedef int (*wasi_function)(Instance *, const we_value *);

/* Name, parameters, what it does. Each returns an errno, but proc_exit, which does not return. */
static const struct WasiFunction {
  const char *name, *parameters;
  wasi_function run;
} wasi_functions[] = {
    {"args_get", "ii", nothing},
    {"args_sizes_get", "ii", no_entries},
    {"clock_res_get", "ii", clock_res},
    {"clock_time_get", "iIi", clock_time},
    {"environ_get", "ii", nothing},
    {"environ_sizes_get", "ii", no_entries},
    {"fd_advise", "iIIi", bad_descriptor},
    {"fd_allocate", "iII", bad_descriptor},
    {"fd_close", "i", of_stream},
    {"fd_datasync", "i", of_stream},
    {"fd_fdstat_get", "ii", stream_state},
    {"fd_fdstat_set_flags", "ii", of_stream},
    {"fd_fdstat_set_rights", "iII", bad_descriptor},
    {"fd_filestat_get", "ii", stream_file},
    {"fd_filestat_set_size", "iI", bad_descriptor},
    {"fd_filestat_set_times", "iIIi", bad_descriptor},
    {"fd_pread", "iiiIi", no_position},
    {"fd_prestat_dir_name", "iii", bad_descriptor},
    {"fd_prestat_get", "ii", bad_descriptor},
    {"fd_pwrite", "iiiIi", no_position},
    {"fd_read", "iiii", read_stream},
    {"fd_readdir", "iiiIi", bad_descriptor},
    {"fd_renumber", "ii", bad_descriptor},
    {"fd_seek", "iIii", no_position},
    {"fd_sync", "i", of_stream},
    {"fd_tell", "ii", no_position},
    {"fd_write", "iiii", write_stream},
    {"path_create_directory", "iii", bad_descriptor},
    {"path_filestat_get", "iiiii", bad_descriptor},
    {"path_filestat_set_times", "iiiiIIi", bad_descriptor},
    {"path_link", "iiiiiii", bad_descriptor},
    {"path_open", "iiiiiIIii", bad_descriptor},
    {"path_readlink", "iiiiii", bad_descriptor},
    {"path_remove_directory", "iii", bad_descriptor},
    {"path_rename", "iiiiii", bad_descriptor},
    {"path_symlink", "iiiii", bad_descriptor},
    {"path_unlink_file", "iii", bad_descriptor},
    {"poll_oneoff", "iiii", poll_oneoff},
    {"proc_exit", "i", exit_guest},
    {"proc_raise", "i", bad_descriptor},
    {"random_get", "ii", random_bytes},
    {"sched_yield", "", yield},
    {"sock_accept", "iii", bad_descriptor},
    {"sock_recv", "iiiiii", bad_descriptor},
    {"sock_send", "iiiii", bad_descriptor},
    {"sock_shutdown", "ii", bad_descriptor},
};

enum { WASI_FUNCTIONS = sizeof wasi_functions / sizeof *wasi_functions };

static we_result on_wasi_call(void *data, const void *frame, const we_value *given, we_value *results) {
  const WasiCall *call = data;
  const struct WasiFunction *function = &wasi_functions[call->number];
  int error = function->run(call->instance, given);
  (void)frame;
  if (error == WASI_STOPPED) return (we_result){function->run == exit_guest ? WE_TERMINATED : WE_INTERRUPTED};
  results[0] = value_of('i', error);
  return (we_result){WE_DONE};
}

/* Adds all functions to a host module. False without memory. */
static bool add_wasi(void *host, Instance *instance) {
  instance->wasi = calloc(WASI_FUNCTIONS, sizeof *instance->wasi);
  for (uint32_t at = 0; instance->wasi && at < WASI_FUNCTIONS; at++) {
    size_t results = wasi_functions[at].run == exit_guest ? 0 : 1;
    instance->wasi[at] = (WasiCall){instance, at};
    if (!add_function(host, wasi_functions[at].name, wasi_functions[at].parameters, "i", results, on_wasi_call,
                      &instance->wasi[at]))
      return false;
  }
  return instance->wasi != NULL;
}
