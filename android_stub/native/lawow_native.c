/* liblawownative.so: the native functions of dev.lawow.NativeCode, over modules that were compiled for this processor.
 *
 * Each is a library with the table of lawow_native.h. Nothing here can stop, meter or contain a module's code: it runs
 * as the app. Arguments come in the layout of application/vnd.lawow.values (docs/PROTOCOL.md), which dev.lawow.Arguments
 * alone writes: 8 bytes for a number; a count, 0 and the contents up to a multiple of 8 for a string or list; -1 and the
 * index of an earlier parameter for the same array.
 */
#include "../jni/lawow_sys.h"
#include "lawow_native.h"

enum { MOST_VALUES = 1000, SLOT_BYTES = 8 };

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_dev_lawow_NativeCode_##name

/* Copies a Java array into new memory with a zero byte behind it; NULL without memory. */
static char *copy_bytes(JNIEnv *env, jbyteArray array) {
  jsize length = (*env)->GetArrayLength(env, array);
  char *copy = malloc((size_t)length + 1);
  if (!copy) return NULL;
  (*env)->GetByteArrayRegion(env, array, 0, length, (jbyte *)copy);
  copy[length] = 0;
  return copy;
}

static bool same(const char *one, const char *other) {
  size_t at = 0;
  while (one[at] && one[at] == other[at]) at++;
  return one[at] == other[at];
}

/* Opens a library and finds its table; the library stays open for the life of the process. Returns what is wrong. */
static const char *find_module(const char *path, const char *digest, const lawow_module **found) {
  void *library = dlopen(path, RTLD_NOW);
  if (!library) {
    const char *reason = dlerror();
    return reason ? reason : "cannot be opened";
  }
  const lawow_module *module = dlsym(library, LAWOW_NATIVE_TABLE);
  if (!module || module->version != LAWOW_NATIVE_VERSION) return "was packed by another version of lawow";
  if (!same(module->digest, digest)) return "is of another build than its WebAssembly module; run lawow pack again";
  *found = module;
  return NULL;
}

NATIVE(jbyteArray, open)(JNIEnv *env, jclass type, jbyteArray library, jbyteArray digest, jlongArray handle) {
  (void)type;
  const lawow_module *module = NULL;
  char *path = copy_bytes(env, library), *wanted = copy_bytes(env, digest);
  const char *wrong = path && wanted ? find_module(path, wanted, &module) : "no memory to open it";
  jbyteArray message = NULL;
  if (wrong) {
    jsize size = (jsize)strlen(wrong);
    message = (*env)->NewByteArray(env, size);
    if (message) (*env)->SetByteArrayRegion(env, message, 0, size, (const jbyte *)wrong);
  } else {
    jlong address = (jlong)(intptr_t)module;
    (*env)->SetLongArrayRegion(env, handle, 0, 1, &address);
  }
  free(path);
  free(wanted);
  return message;
}

NATIVE(jlong, find)(JNIEnv *env, jclass type, jlong handle, jbyteArray export, jbyteArray signature) {
  (void)type;
  const lawow_module *module = (const lawow_module *)(intptr_t)handle;
  char *name = copy_bytes(env, export), *types = copy_bytes(env, signature);
  jlong found = 0;
  for (uint32_t at = 0; name && types && at < module->count; at++) {
    const lawow_function *function = &module->functions[at];
    if (same(function->name, name)) found = same(function->signature, types) ? (jlong)(intptr_t)function : -1;
  }
  free(name);
  free(types);
  return found;
}

static int element_bytes(char letter) {
  switch (letter) {
    case 'c':
    case 's': return 2;
    case 'i':
    case 'f': return 4;
    case 'I':
    case 'F': return 8;
    default: return 1;
  }
}

/* Points the arguments into `body`. */
static void read_arguments(const char *signature, uint8_t *body, lawow_value *values) {
  for (lawow_value *value = values; *signature != '>'; value++, signature++) {
    bool is_number = *signature != 'S' && *signature != '[';
    int32_t pair[2];
    memcpy(&value->bits, body, SLOT_BYTES);
    memcpy(pair, body, SLOT_BYTES);
    body += SLOT_BYTES;
    if (*signature == '[') signature++;
    if (is_number) continue;
    if (pair[0] < 0) {
      *value = values[pair[1]];
      continue;
    }
    value->bits = (uint32_t)pair[0];
    value->data = body;
    size_t bytes = (size_t)pair[0] * (size_t)element_bytes(*signature);
    body += (bytes + SLOT_BYTES - 1) / SLOT_BYTES * SLOT_BYTES;
  }
}

/* Copies a string or list into a Java array; NULL if the result is none or too large, or if Java has an
 * OutOfMemoryError. */
static jbyteArray contents_of(JNIEnv *env, const char *result_type, const lawow_value *result) {
  bool is_list = *result_type == '[';
  if (!is_list && *result_type != 'S') return NULL;
  uint64_t size = (uint64_t)element_bytes(result_type[is_list]);
  if (result->bits > (uint64_t)INT32_MAX / size) return NULL;
  jsize bytes = (jsize)(result->bits * size);
  jbyteArray array = (*env)->NewByteArray(env, bytes);
  if (array && bytes) (*env)->SetByteArrayRegion(env, array, 0, bytes, result->data);
  return array;
}

NATIVE(jbyteArray, call)(JNIEnv *env, jclass type, jlong handle, jbyteArray body, jboolean comes_back, jlongArray result) {
  (void)type;
  const lawow_function *function = (const lawow_function *)(intptr_t)handle;
  const char *result_type = function->signature;
  while (*result_type++ != '>') continue;
  jsize bytes = (*env)->GetArrayLength(env, body);
  char *block = copy_bytes(env, body);
  lawow_value *values = block ? calloc(MOST_VALUES, sizeof *values) : NULL;
  lawow_value out = {0, NULL};
  jbyteArray contents = NULL;
  if (values) {
    read_arguments(function->signature, (uint8_t *)block, values);
    function->call(values, &out);
    contents = contents_of(env, result_type, &out);
    if (comes_back && !(*env)->ExceptionCheck(env)) (*env)->SetByteArrayRegion(env, body, 0, bytes, (const jbyte *)block);
  }
  jlong outcome[2] = {(jlong)out.bits, values != NULL};
  if (!(*env)->ExceptionCheck(env)) (*env)->SetLongArrayRegion(env, result, 0, 2, outcome);
  free(values);
  free(block);
  return contents;
}
