/* A stand-in for Android's libc.so inside a glibc process, just wide enough for libwasmtime.so and liblawow.so.
 *
 * Functions whose binary interface is the same in both C libraries are jumps (generated beside this file). Here is
 * what differs on 64-bit machines: signal sets, thread attributes and mutexes, sysconf's numbers, stdio's handles, the
 * order of struct addrinfo. Source: bionic's public headers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT(name) \
  __asm__(".symver shim_" #name ", " #name "@LIBC"); \
  __attribute__((visibility("default")))

/* --- small ones --- */

EXPORT(__errno) int *shim___errno(void) { return &errno; }

EXPORT(strerror_r) int shim_strerror_r(int number, char *buffer, size_t size) { /* the POSIX one */
  char text[256];
  const char *found = strerror_r(number, text, sizeof text);
  if (size) {
    strncpy(buffer, found, size - 1);
    buffer[size - 1] = 0;
  }
  return 0;
}

EXPORT(__assert2) void shim___assert2(const char *file, int line, const char *function, const char *condition) {
  fprintf(stderr, "%s:%d: %s: assertion \"%s\" failed\n", file, line, function, condition);
  abort();
}

EXPORT(__system_property_get) int shim___system_property_get(const char *name, char *value) {
  (void)name;
  *value = 0;
  return 0;
}

EXPORT(android_set_abort_message) void shim_android_set_abort_message(const char *text) { fprintf(stderr, "%s\n", text); }

EXPORT(__stack_chk_fail) void shim___stack_chk_fail(void) { abort(); }

char **shim_environ;
EXPORT(environ) extern char **shim_environ;
__attribute__((constructor)) static void copy_environment(void) { shim_environ = environ; }

/* --- stdio: stdin, stdout and stderr are the elements of __sF, 152 bytes each --- */

enum { FILE_BYTES = 152 };
char shim___sF[3 * FILE_BYTES];
EXPORT(__sF) extern char shim___sF[];

static FILE *host_file(void *file) {
  FILE *const host[] = {stdin, stdout, stderr};
  char *place = file;
  if (place < shim___sF || place >= shim___sF + sizeof shim___sF) return file;
  return host[(place - shim___sF) / FILE_BYTES];
}

EXPORT(fprintf) int shim_fprintf(void *file, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int written = vfprintf(host_file(file), format, arguments);
  va_end(arguments);
  return written;
}

EXPORT(fflush) int shim_fflush(void *file) { return fflush(file ? host_file(file) : NULL); }

EXPORT(fwrite) size_t shim_fwrite(const void *data, size_t size, size_t count, void *file) {
  return fwrite(data, size, count, host_file(file));
}

/* --- system calls: SHIM_DENY=437,283 makes these fail, as Android's filter would stop them --- */

EXPORT(syscall) long shim_syscall(long number, long a, long b, long c, long d, long e, long f) {
  const char *denied = getenv("SHIM_DENY");
  while (denied && *denied) {
    if (atol(denied) == number) {
      errno = ENOSYS;
      return -1;
    }
    denied = strchr(denied, ',');
    if (denied) denied++;
  }
  return syscall(number, a, b, c, d, e, f);
}

/* --- sysconf: other numbers --- */

static const struct { int android, host; } sysconf_names[] = {
    {0x00, _SC_ARG_MAX},           {0x06, _SC_CLK_TCK},          {0x0b, _SC_OPEN_MAX},
    {0x26, _SC_IOV_MAX},           {0x27, _SC_PAGESIZE},         {0x28, _SC_PAGESIZE},
    {0x47, _SC_GETGR_R_SIZE_MAX},  {0x48, _SC_GETPW_R_SIZE_MAX}, {0x4c, _SC_THREAD_STACK_MIN},
    {0x60, _SC_NPROCESSORS_CONF},  {0x61, _SC_NPROCESSORS_ONLN}, {0x62, _SC_PHYS_PAGES},
    {0x6f, _SC_HOST_NAME_MAX},
};

EXPORT(sysconf) long shim_sysconf(int name) {
  for (size_t at = 0; at < sizeof sysconf_names / sizeof *sysconf_names; at++)
    if (sysconf_names[at].android == name) return sysconf(sysconf_names[at].host);
  fprintf(stderr, "shim: sysconf(0x%x) is not mapped\n", name);
  errno = EINVAL;
  return -1;
}

/* --- signals: a set has 8 bytes, struct sigaction another order --- */

enum { RESTORER_FLAG = 0x04000000 }; /* SA_RESTORER, the business of each C library */
typedef struct {
  int flags;
  void *handler;
  unsigned long mask;
  void (*restorer)(void);
} AndroidAction;

EXPORT(sigemptyset) int shim_sigemptyset(unsigned long *set) {
  *set = 0;
  return 0;
}

EXPORT(sigfillset) int shim_sigfillset(unsigned long *set) {
  *set = ~0ul;
  return 0;
}

EXPORT(sigaddset) int shim_sigaddset(unsigned long *set, int number) {
  *set |= 1ul << (number - 1);
  return 0;
}

EXPORT(sigaction) int shim_sigaction(int number, const AndroidAction *wanted, AndroidAction *earlier) {
  struct sigaction action, before;
  if (wanted) {
    memset(&action, 0, sizeof action);
    action.sa_flags = wanted->flags & ~RESTORER_FLAG;
    action.sa_sigaction = (void (*)(int, siginfo_t *, void *))wanted->handler;
    memcpy(&action.sa_mask, &wanted->mask, sizeof wanted->mask);
  }
  int outcome = sigaction(number, wanted ? &action : NULL, earlier ? &before : NULL);
  if (outcome == 0 && earlier) {
    memset(earlier, 0, sizeof *earlier);
    earlier->flags = before.sa_flags;
    earlier->handler = (void *)before.sa_sigaction;
    memcpy(&earlier->mask, &before.sa_mask, sizeof earlier->mask);
  }
  return outcome;
}

/* --- threads: pthread_attr_t has 56 bytes, pthread_mutex_t 40; on arm64 glibc's are larger --- */

enum { ATTRIBUTE_BYTES = 56, DEFAULT_STACK_BYTES = 1 << 20 };
typedef struct {
  unsigned flags;
  void *base;
  size_t stack_bytes, guard_bytes;
} AndroidAttributes;

EXPORT(pthread_attr_init) int shim_pthread_attr_init(AndroidAttributes *attributes) {
  memset(attributes, 0, ATTRIBUTE_BYTES);
  attributes->stack_bytes = DEFAULT_STACK_BYTES;
  return 0;
}

EXPORT(pthread_attr_destroy) int shim_pthread_attr_destroy(AndroidAttributes *attributes) {
  (void)attributes;
  return 0;
}

EXPORT(pthread_attr_setstacksize) int shim_pthread_attr_setstacksize(AndroidAttributes *attributes, size_t bytes) {
  attributes->stack_bytes = bytes;
  return 0;
}

EXPORT(pthread_create) int shim_pthread_create(
    pthread_t *thread, const AndroidAttributes *wanted, void *(*start)(void *), void *argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (wanted && wanted->stack_bytes) pthread_attr_setstacksize(&attributes, wanted->stack_bytes);
  int outcome = pthread_create(thread, &attributes, start, argument);
  pthread_attr_destroy(&attributes);
  return outcome;
}

/* A mutex in one word: 0 free, 1 held, 2 held with others waiting. */
EXPORT(pthread_mutex_lock) int shim_pthread_mutex_lock(int *mutex) {
  int state = 0;
  if (__atomic_compare_exchange_n(mutex, &state, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return 0;
  if (state != 2) state = __atomic_exchange_n(mutex, 2, __ATOMIC_ACQUIRE);
  while (state != 0) {
    syscall(SYS_futex, mutex, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
    state = __atomic_exchange_n(mutex, 2, __ATOMIC_ACQUIRE);
  }
  return 0;
}

EXPORT(pthread_mutex_unlock) int shim_pthread_mutex_unlock(int *mutex) {
  if (__atomic_exchange_n(mutex, 0, __ATOMIC_RELEASE) == 2) syscall(SYS_futex, mutex, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  return 0;
}

/* --- struct addrinfo: the name stands before the address --- */

typedef struct AndroidAddress {
  int flags, family, type, protocol;
  socklen_t length;
  void *name, *address;
  struct AndroidAddress *next;
} AndroidAddress;

static void swap_fields(AndroidAddress *list) {
  for (; list; list = list->next) {
    void *first = list->name;
    list->name = list->address;
    list->address = first;
  }
}

EXPORT(getaddrinfo) int shim_getaddrinfo(const char *node, const char *service, AndroidAddress *hints, AndroidAddress **found) {
  int outcome = getaddrinfo(node, service, (struct addrinfo *)hints, (struct addrinfo **)found);
  if (outcome == 0) swap_fields(*found);
  return outcome;
}

EXPORT(freeaddrinfo) void shim_freeaddrinfo(AndroidAddress *list) {
  swap_fields(list);
  freeaddrinfo((struct addrinfo *)list);
}
