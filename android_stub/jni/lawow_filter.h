/* Android's system call filter, and the guard against it. Part of lawow_jni.c.
 *
 * Apps die by SIGSYS at calls that the filter does not know, where Linux answers ENOSYS: openat2 (WASI file access; on
 * every release) and membarrier (publishing native code on arm64; before Android 10). Answer ENOSYS for these two, for
 * which wasmtime has another way (openat2) or an orderly error (membarrier); pass on everything else.
 */
#if defined(__ANDROID__) && defined(__LP64__)
enum { SYS_SECCOMP = 1, CALL_OPENAT2 = 437, MINUS_ENOSYS = -38 };
enum { HIGHEST_SPECIAL_ACTION = 1 }; /* SIG_DFL is 0, SIG_IGN 1 */
#ifdef __aarch64__
enum { CALL_MEMBARRIER = 283, RESULT_AT = 184 }; /* x0 in the ucontext */
#else
enum { CALL_MEMBARRIER = 324, RESULT_AT = 144 }; /* rax in the ucontext */
#endif

static struct sigaction earlier_handler;

static void on_filtered_call(int signal_number, void *info, void *context) {
  const int *fields = info; /* si_code stands at byte 8, si_syscall at byte 24 */
  bool filtered = fields[2] == SYS_SECCOMP && (fields[6] == CALL_OPENAT2 || fields[6] == CALL_MEMBARRIER);
  if (filtered) {
    *(long *)((char *)context + RESULT_AT) = MINUS_ENOSYS;
  } else if ((intptr_t)earlier_handler.sa_sigaction > HIGHEST_SPECIAL_ACTION) {
    /* A handler of the older kind takes the first argument and does not see the others. */
    ((void (*)(int, void *, void *))earlier_handler.sa_sigaction)(signal_number, info, context);
  } else {
    struct sigaction standard;
    memset(&standard, 0, sizeof standard); /* SIG_DFL: the process ends, as it would have without this guard */
    sigaction(SIGSYS, &standard, NULL);
    raise(SIGSYS); /* held back until this handler returns */
  }
}

static void guard_filtered_calls(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = (void *)on_filtered_call;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSYS, &action, &earlier_handler);
}
#else
static void guard_filtered_calls(void) {}
#endif
