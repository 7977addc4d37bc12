/* Runs liblawow.so without a JVM: a JNIEnv with the twelve functions that the glue uses.
 *
 *   fake_jvm SHIM-FOLDER liblawow.so libwasmtime.so calls.wasm wasi.wasm host.wasm FLAGS [COMPILED...]
 *
 * Built for arm64 it drives Android's arm64 libraries under qemu; built with sanitizers, the glue of this machine (then
 * without stand-ins: "-"). With -DWITH_FILTER, openat2 and membarrier are trapped before anything runs; with
 * -DWITH_WASMEDGE the glue is WasmEdge's, the modules are prepared for it, and none has code to save. COMPILED is code of calls.wasm for these flags, as moduleSave gave it elsewhere. Prints one line for each check that fails, and "all
 * good" at the end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* The glue's header declares these two with fewer details than glibc's. */
#define dlopen lawow_dlopen
#define dlsym lawow_dlsym
#define dlerror lawow_dlerror
#undef RTLD_NOW
#include "lawow_sys.h"
#undef dlopen
#undef dlsym
#undef dlerror

#ifdef WITH_FILTER
#include "seccomp.h"
#endif

/* A Java array: of bytes, longs or references. Nothing is ever freed, but all can be reached: what a leak checker finds is
 * the glue's. */
typedef struct Array {
  jsize length;
  void *elements;
  struct Array *earlier;
} Array;

static Array *arrays;

static Array *new_array(const void *elements, size_t length, size_t element_bytes) {
  Array *array = calloc(1, sizeof *array);
  array->earlier = arrays;
  arrays = array;
  array->length = (jsize)length;
  array->elements = calloc(length + 1, element_bytes);
  if (elements) memcpy(array->elements, elements, length * element_bytes);
  return array;
}

#define ENV JNIEnv *env
#define UNUSED (void)env
static jsize array_length(ENV, jobject array) { UNUSED; return ((Array *)array)->length; }
static void set_element(ENV, jobjectArray array, jsize at, jobject value) { UNUSED; ((void **)((Array *)array)->elements)[at] = value; }
static jbyteArray new_bytes(ENV, jsize length) { UNUSED; return new_array(NULL, (size_t)length, 1); }
static jlongArray new_longs(ENV, jsize length) { UNUSED; return new_array(NULL, (size_t)length, 8); }
static void get_bytes(ENV, jbyteArray array, jsize at, jsize count, jbyte *out) { UNUSED; memcpy(out, (jbyte *)((Array *)array)->elements + at, (size_t)count); }
static void set_bytes(ENV, jbyteArray array, jsize at, jsize count, const jbyte *in) { UNUSED; memcpy((jbyte *)((Array *)array)->elements + at, in, (size_t)count); }
static void get_longs(ENV, jlongArray array, jsize at, jsize count, jlong *out) { UNUSED; memcpy(out, (jlong *)((Array *)array)->elements + at, 8 * (size_t)count); }
static void set_longs(ENV, jlongArray array, jsize at, jsize count, const jlong *in) { UNUSED; memcpy((jlong *)((Array *)array)->elements + at, in, 8 * (size_t)count); }
static jboolean no_exception(ENV) { UNUSED; return 0; }


static int local_references;
static int host_calls;
static void delete_local(ENV, jobject reference) { UNUSED; if (reference) local_references--; }
static jmethodID find_method(ENV, jclass type, const char *name, const char *descriptor) {
  UNUSED, (void)type;
  return strcmp(name, "hostCall") || strcmp(descriptor, "(Ljava/lang/Object;I[J)[J") ? NULL : (jmethodID)1;
}

/* Plays Native.hostCall: gives the arguments back in reverse order, and null for the argument 13. */
static jobject call_host(ENV, jclass type, jmethodID method, const jvalue *values) {
  UNUSED, (void)type, (void)method;
  Array *given = values[2].l;
  Array *back = new_array(NULL, (size_t)given->length, 8);
  for (jsize at = 0; at < given->length; at++)
    ((jlong *)back->elements)[at] = ((jlong *)given->elements)[given->length - 1 - at];
  host_calls++;
  local_references += 2;
  if (given->length == 1 && ((jlong *)given->elements)[0] == 13) {
    local_references--;
    return NULL;
  }
  return back;
}

static const struct JNINativeInterface table = {
    .DeleteLocalRef = delete_local, .GetStaticMethodID = find_method, .CallStaticObjectMethodA = call_host,
    .GetArrayLength = array_length, .SetObjectArrayElement = set_element, .NewByteArray = new_bytes,
    .NewLongArray = new_longs, .GetByteArrayRegion = get_bytes, .SetByteArrayRegion = set_bytes,
    .GetLongArrayRegion = get_longs, .SetLongArrayRegion = set_longs, .ExceptionCheck = no_exception,
};
static JNIEnv environment = &table;

/* The native methods, by their names in dev.lawow.Native. */
static jlong (*engineNew)(JNIEnv *, jclass, jbyteArray, jint, jlong, jobjectArray);
static void (*engineTick)(JNIEnv *, jclass, jlong);
static jlong (*moduleNew)(JNIEnv *, jclass, jlong, jbyteArray, jobjectArray);
static jlong (*instanceNew)(JNIEnv *, jclass, jlong, jlong, jobjectArray);
static void (*instanceArm)(JNIEnv *, jclass, jlong);
static void (*instanceExpire)(JNIEnv *, jclass, jlong);
static void (*instanceStart)(JNIEnv *, jclass, jlong, jlong, jlong, jlong, jobject, jobjectArray);
static jlong (*moduleLoad)(JNIEnv *, jclass, jlong, jbyteArray, jobjectArray);
static jbyteArray (*moduleSave)(JNIEnv *, jclass, jlong, jobjectArray);
static void (*moduleFree)(JNIEnv *, jclass, jlong);
static jlong (*linkerNew)(JNIEnv *, jclass, jlong, jobjectArray);
static void (*linkerDefine)(JNIEnv *, jclass, jlong, jbyteArray, jbyteArray, jbyteArray, jint, jobjectArray);
static void (*linkerFree)(JNIEnv *, jclass, jlong);
static jbyteArray (*instanceRead)(JNIEnv *, jclass, jlong, jlong, jint, jobjectArray);
static void (*instanceWrite)(JNIEnv *, jclass, jlong, jlong, jbyteArray, jobjectArray);
static jlong (*instanceMemoryBytes)(JNIEnv *, jclass, jlong);
static jlongArray (*instanceCall)(JNIEnv *, jclass, jlong, jbyteArray, jbyteArray, jlongArray, jlong, jobject, jobjectArray);
static jbyteArray (*instanceOutput)(JNIEnv *, jclass, jlong);
static void (*instanceFree)(JNIEnv *, jclass, jlong);

static jlong engine;
static int bad;
static void *failure_slot;
static Array failure = {1, &failure_slot};

static Array *text(const char *characters) { return new_array(characters, strlen(characters), 1); }

/* Returns the code of the failure record left behind and clears it; 1000 for none. */
static int take_failure(void) {
  if (!failure_slot) return 1000;
  int code;
  memcpy(&code, ((Array *)failure_slot)->elements, sizeof code);
  failure_slot = NULL;
  return code;
}

static void expect(const char *what, jlong found, jlong wanted) {
  if (found == wanted) return;
  printf("%s: found %lld, wanted %lld\n", what, (long long)found, (long long)wanted);
  bad++;
}

static jlong call(jlong instance, const char *export, const char *signature, int count, ...) {
  jlong values[8];
  va_list list;
  va_start(list, count);
  for (int at = 0; at < count; at++) values[at] = va_arg(list, jlong);
  va_end(list);
  Array *arguments = new_array(values, (size_t)count, 8);
  Array *results = instanceCall(&environment, NULL, instance, text(export), text(signature), arguments, 0, NULL, &failure);
  return results && results->length ? ((jlong *)results->elements)[0] : 0;
}

static Array *read_file(const char *path) {
  static uint8_t buffer[1 << 16];
  FILE *file = fopen(path, "rb");
  if (!file) exit(2);
  size_t size = fread(buffer, 1, sizeof buffer, file);
  fclose(file);
  return new_array(buffer, size, 1);
}

static jlong start_module(jlong module, jlong linker) {
  jlong instance = instanceNew(&environment, NULL, engine, 4 << 16, &failure);
  instanceArm(&environment, NULL, instance);
  instanceStart(&environment, NULL, instance, linker, module, 0, NULL, &failure);
  expect("start", take_failure(), 1000);
  moduleFree(&environment, NULL, module);
  return instance;
}

static jlong start(const char *path) {
  jlong module = moduleNew(&environment, NULL, engine, read_file(path), &failure);
  expect("module", take_failure(), 1000);
  return start_module(module, 0);
}

static void *expire_later(void *instance) {
  usleep(200000);
  instanceExpire(&environment, NULL, (jlong)(intptr_t)instance);
  engineTick(&environment, NULL, engine);
  return NULL;
}

static void check_calls(const char *path) {
  static const struct { const char *export, *signature; int count; jlong values[2]; int code; } traps[] = {
      {"div", "ii>i", 2, {1, 0}, 7}, {"load", "i>i", 1, {-4 & 0xffffffffL}, 1}, {"unreach", ">", 0, {0}, 9},
      {"recurse", "I>I", 1, {0}, 0}, {"indirect", "i>", 1, {1}, 4},  {"gone", ">", 0, {0}, -3},
  };
  jlong instance = start(path);
  expect("fib", call(instance, "fib", "I>I", 1, (jlong)20), 6765);
  expect("echo_i", call(instance, "echo_i", "i>i", 1, (jlong)0xffffffff), 0xffffffff);
  expect("grow", call(instance, "grow", "i>i", 1, (jlong)100), 0xffffffff);
  for (size_t at = 0; at < sizeof traps / sizeof *traps; at++) {
    jlong trapped = start(path); /* of its own: what a trap leaves behind is not promised */
    call(trapped, traps[at].export, traps[at].signature, traps[at].count, traps[at].values[0], traps[at].values[1]);
    expect(traps[at].export, take_failure(), traps[at].code);
    instanceFree(&environment, NULL, trapped);
  }
  pthread_t thread;
  instanceArm(&environment, NULL, instance);
  pthread_create(&thread, NULL, expire_later, (void *)(intptr_t)instance);
  call(instance, "spin", ">", 0);
  pthread_join(thread, NULL);
  expect("spin", take_failure(), 10);
  instanceFree(&environment, NULL, instance);
}

static void check_memory(const char *path) {
  jlong instance = start(path);
  expect("memory", instanceMemoryBytes(&environment, NULL, instance), 65536);
  instanceWrite(&environment, NULL, instance, 65532, text("abcd"), &failure);
  Array *found = instanceRead(&environment, NULL, instance, 65533, 3, &failure);
  expect("read", found && !memcmp(found->elements, "bcd", 3), 1);
  expect("inside", take_failure(), 1000);
  instanceRead(&environment, NULL, instance, 65534, 3, &failure);
  expect("read beyond", take_failure(), 1);
  instanceWrite(&environment, NULL, instance, -1, text("a"), &failure);
  expect("write before", take_failure(), 1);
  instanceFree(&environment, NULL, instance);
}

#ifdef WITH_WASMEDGE
static void check_compiled(const char *path) {
  jlong module = moduleNew(&environment, NULL, engine, read_file(path), &failure);
  expect("an interpreted module is not saved", (jlong)(intptr_t)moduleSave(&environment, NULL, module, &failure), 0);
  expect("an interpreted module is not saved", take_failure(), -1);
  moduleFree(&environment, NULL, module);
  Array *half = read_file(path);
  half->length /= 2;
  expect("half a file", moduleLoad(&environment, NULL, engine, half, &failure), 0);
  expect("half a file", take_failure(), -1);
}
#else
static void check_compiled(const char *path) {
  jlong module = moduleNew(&environment, NULL, engine, read_file(path), &failure);
  Array *saved = moduleSave(&environment, NULL, module, &failure);
  expect("save", take_failure(), 1000);
  moduleFree(&environment, NULL, module);
  jlong instance = start_module(moduleLoad(&environment, NULL, engine, saved, &failure), 0);
  expect("fib of saved code", call(instance, "fib", "I>I", 1, (jlong)20), 6765);
  instanceFree(&environment, NULL, instance);
  saved->length /= 2;
  expect("half a file", moduleLoad(&environment, NULL, engine, saved, &failure), 0);
  expect("half a file", take_failure(), -1);
}
#endif

static void check_compiled_elsewhere(const char *path) {
  jlong module = moduleLoad(&environment, NULL, engine, read_file(path), &failure);
  if (!module) printf("%.*s\n", ((Array *)failure_slot)->length - 8, (char *)((Array *)failure_slot)->elements + 8);
  expect(path, take_failure(), 1000);
  if (!module) return;
  jlong instance = start_module(module, 0);
  expect("fib of code from elsewhere", call(instance, "fib", "I>I", 1, (jlong)20), 6765);
  instanceFree(&environment, NULL, instance);
}

static void check_host(const char *path) {
  static const char *const functions[][2] = {{"log", "ii>"}, {"mix", "iIfF>F"}, {"swap", "iI>Ii"}, {"act", "i>i"}};
  jlong linker = linkerNew(&environment, NULL, engine, &failure);
  for (int at = 0; at < 4; at++)
    linkerDefine(&environment, NULL, linker, text("env"), text(functions[at][0]), text(functions[at][1]), at, &failure);
  expect("linker", take_failure(), 1000);
  linkerDefine(&environment, NULL, linker, text("env"), text("act"), text("i>i"), 4, &failure);
  expect("defined twice", take_failure(), -1);
  jlong instance = start_module(moduleNew(&environment, NULL, engine, read_file(path), &failure), linker);
  linkerFree(&environment, NULL, linker);
  expect("calls while it starts", host_calls, 1);
  local_references = 0;
  expect("act", call(instance, "act", "i>i", 1, (jlong)7), 7);
  expect("swap", call(instance, "swap", "iI>Ii", 2, (jlong)3, (jlong)1 << 40), (jlong)1 << 40);
  call(instance, "act_often", "i>", 1, (jlong)12);
  expect("act_often", take_failure(), 1000);
  expect("local references that are left", local_references, 0);
  call(instance, "act", "i>i", 1, (jlong)13);
  expect("a host function that throws", take_failure(), -1);
  instanceFree(&environment, NULL, instance);
}

static void check_wasi(const char *path) {
  jlong instance = start(path);
  expect("ready", call(instance, "ready", ">i", 0), 1);
  call(instance, "hello", "i>", 1, (jlong)2);
  Array *output = instanceOutput(&environment, NULL, instance);
  expect("output", output ? output->length : -1, 32);
  expect("a folder that nobody gave", call(instance, "open", "i>i", 1, (jlong)3), 8); /* badf */
  call(instance, "leave", "i>", 1, (jlong)7);
  expect("leave", take_failure(), -2);
  instanceFree(&environment, NULL, instance);
}

static void *load(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    printf("%s\n", dlerror());
    exit(2);
  }
  return library;
}

int main(int count, char **words) {
  static const char *const names[] = {"libc.so", "libdl.so", "libm.so", "liblog.so"};
  char path[4096];
  if (count < 8) return 2;
  for (size_t at = 0; strcmp(words[1], "-") && at < sizeof names / sizeof *names; at++) {
    snprintf(path, sizeof path, "%s/%s", words[1], names[at]);
    load(path);
  }
  void *glue = load(words[2]);
#define TAKE(name) *(void **)&name = dlsym(glue, "Java_dev_lawow_Native_" #name)
  TAKE(engineNew), TAKE(engineTick), TAKE(moduleNew), TAKE(instanceNew), TAKE(instanceArm), TAKE(instanceExpire);
  TAKE(instanceStart), TAKE(instanceCall), TAKE(instanceOutput), TAKE(instanceFree), TAKE(moduleLoad), TAKE(moduleSave);
  TAKE(moduleFree), TAKE(linkerNew), TAKE(linkerDefine), TAKE(linkerFree), TAKE(instanceRead), TAKE(instanceWrite);
  TAKE(instanceMemoryBytes);
  jint (*on_load)(void *, void *) = (jint(*)(void *, void *))dlsym(glue, "JNI_OnLoad");
  expect("JNI_OnLoad", on_load(NULL, NULL), JNI_VERSION_1_6);
#ifdef WITH_FILTER
  trap_call(437);
  trap_call(324);
#endif
  engine = engineNew(&environment, NULL, text(words[3]), atoi(words[7]), 256 << 10, &failure);
  expect("engine", take_failure(), 1000);
  if (!engine) return 1;
  check_calls(words[4]);
  check_memory(words[4]);
  check_wasi(words[5]);
  check_compiled(words[4]);
  check_host(words[6]);
  for (int at = 8; at < count; at++) check_compiled_elsewhere(words[at]);
  if (!bad) printf("all good\n");
  return bad != 0;
}
