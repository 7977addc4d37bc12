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
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

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

static void trap_call(unsigned number) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) exit(2);
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
