/* What the glue of every engine begins with: constants, failures, copies of Java's arrays, who entered the guest.
 *
 * Strings and failures cross JNI as byte arrays, and no Java name is ever looked up, save Native.hostCall where a module
 * has functions written in Java: nothing else here breaks when a shrinker renames classes. Values cross as 64-bit
 * patterns.
 */
#include "lawow_sys.h"
#include "lawow_filter.h"

enum { FLAG_FUEL = 1, FLAG_DEADLINES = 2, FLAG_PULLEY = 4 };
enum { CODE_ERROR = -1, CODE_EXIT = -2, CODE_MISFIT = -3 }; /* from 0 on: the trap codes of dev.lawow.Trap */
enum { TRAP_STACK_OVERFLOW = 0, TRAP_MEMORY_OUT_OF_BOUNDS = 1, TRAP_INTERRUPT = 10, TRAP_OUT_OF_FUEL = 11,
       TRAP_UNKNOWN = 0xff };
enum { OUTPUT_BYTES = 64 * 1024, MOST_VALUES = 1000, MOST_HOST_VALUES = 32 };

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_dev_lawow_Native_##name

/* Who entered the guest: where its host functions find Java. References are local to that native call. */
typedef struct {
  JNIEnv *env;
  jclass type;
  jobject host;
} Entry;

/* What the guest wrote to its standard output and error, until Java takes it. */
typedef struct {
  size_t bytes;
  uint8_t data[OUTPUT_BYTES];
} Output;

/* Keeps the first OUTPUT_BYTES between two calls of instanceOutput and drops the rest: a guest that logs without end
 * must not fill the phone's memory. */
static void keep_output(Output *output, const void *bytes, size_t size) {
  size_t room = OUTPUT_BYTES - output->bytes;
  size_t kept = size < room ? size : room;
  memcpy(output->data + output->bytes, bytes, kept);
  output->bytes += kept;
}

/* Leaves the record that Native.require reads: code, status, message. If even that fails, Java has its own pending
 * OutOfMemoryError. */
static void fail_bytes(JNIEnv *env, jobjectArray failure, int32_t code, int32_t status, const void *message, size_t size) {
  int32_t numbers[2] = {code, status};
  if ((*env)->ExceptionCheck(env)) return;
  if (size > 4096) size = 4096;
  jbyteArray record = (*env)->NewByteArray(env, (jsize)(sizeof numbers + size));
  if (!record) return;
  (*env)->SetByteArrayRegion(env, record, 0, sizeof numbers, (const jbyte *)numbers);
  if ((*env)->ExceptionCheck(env)) return;
  (*env)->SetByteArrayRegion(env, record, sizeof numbers, (jsize)size, message);
  if ((*env)->ExceptionCheck(env)) return;
  (*env)->SetObjectArrayElement(env, failure, 0, record);
}

static void fail(JNIEnv *env, jobjectArray failure, int32_t code, const char *message) {
  fail_bytes(env, failure, code, 0, message, strlen(message));
}

/* Copies a Java array into new memory with a zero byte behind it; NULL for a NULL array or without memory. */
static uint8_t *copy_bytes(JNIEnv *env, jbyteArray array, size_t *size) {
  if (!array) return NULL;
  jsize length = (*env)->GetArrayLength(env, array);
  uint8_t *copy = malloc((size_t)length + 1);
  if (!copy) return NULL;
  (*env)->GetByteArrayRegion(env, array, 0, length, (jbyte *)copy);
  copy[length] = 0;
  *size = (size_t)length;
  return copy;
}

/* Opens the engine's library, by its name in the app if `path` is NULL; NULL leaves a failure. It stays open for the life
 * of the process. */
static void *open_library(JNIEnv *env, jobjectArray failure, const char *path, const char *name) {
  void *library = dlopen(path ? path : name, RTLD_NOW);
  if (!library) {
    const char *reason = dlerror();
    fail(env, failure, CODE_ERROR, reason ? reason : "cannot be opened");
  }
  return library;
}

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *machine, void *reserved) {
  (void)machine;
  (void)reserved;
  guard_filtered_calls();
  return JNI_VERSION_1_6;
}
