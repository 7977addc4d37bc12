/* Android's system call filter and the glue's guard against it, with a real seccomp filter on x86_64.
 *
 *   filter SHIM-FOLDER liblawow.so NUMBER
 *
 * Makes the system call NUMBER, which the filter traps, and prints its errno. For numbers that the guard does not know,
 * the process dies by SIGSYS as it would on a phone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "seccomp.h"

static void *load(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  void *library = dlopen(*folder ? path : name, RTLD_NOW);
  if (!library) {
    printf("%s\n", dlerror());
    exit(2);
  }
  return library;
}

int main(int count, char **words) {
  static const char *const names[] = {"libc.so", "libdl.so", "libm.so", "liblog.so"};
  if (count != 4) return 2;
  for (size_t at = 0; at < sizeof names / sizeof *names; at++) load(words[1], names[at]);
  int (*on_load)(void *, void *) = (int (*)(void *, void *))dlsym(load("", words[2]), "JNI_OnLoad");
  on_load(NULL, NULL);
  trap_call((unsigned)atoi(words[3]));
  long outcome = syscall(atoi(words[3]), -1, 0, 0, 0, 0, 0);
  printf("%ld %d\n", outcome, errno);
  return 0;
}
