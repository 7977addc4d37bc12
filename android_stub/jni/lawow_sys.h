/* The few declarations that the glue needs, so that it builds for Android without an NDK, a JDK or libc headers.
 *
 * With -DLAWOW_USE_JNI_H the real <jni.h> and libc headers take their place (NDK builds, and a test that checks this
 * file against a JDK's header). The JNI table's slots are fixed by the JNI specification, chapter 4. */
#ifndef LAWOW_SYS_H
#define LAWOW_SYS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef LAWOW_USE_JNI_H
#include <dlfcn.h>
#include <jni.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#else
/* --- libc and libdl ------------------------------------------------------------------------------------------- */
void *malloc(size_t);
void *calloc(size_t, size_t);
void free(void *);
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);
void *dlopen(const char *, int);
void *dlsym(void *, const char *);
char *dlerror(void);
enum { RTLD_NOW = 2 };
#ifdef __ANDROID__
struct sigaction { /* bionic's order on 64-bit machines */
  int sa_flags;
  void (*sa_sigaction)(int, void *, void *);
  unsigned long sa_mask;
  void (*sa_restorer)(void);
};
int sigaction(int, const struct sigaction *, struct sigaction *);
int raise(int);
enum { SIGSYS = 31, SA_SIGINFO = 4, SA_ONSTACK = 0x08000000 };
#endif

/* --- JNI ------------------------------------------------------------------------------------------------------ */
typedef uint8_t jboolean;
typedef int8_t jbyte;
typedef int32_t jint;
typedef int32_t jsize;
typedef int64_t jlong;
typedef void *jobject;
typedef jobject jclass, jbyteArray, jlongArray, jobjectArray;
typedef void *jmethodID;
typedef union {
  int32_t i;
  int64_t j;
  jobject l;
} jvalue;
struct JNINativeInterface;
typedef const struct JNINativeInterface *JNIEnv;
typedef void JavaVM;
struct JNINativeInterface {
  void *before_delete_local[23];
  void (*DeleteLocalRef)(JNIEnv *, jobject); /* 23 */
  void *before_static_method[89];
  jmethodID (*GetStaticMethodID)(JNIEnv *, jclass, const char *, const char *); /* 113 */
  void *before_call_static[2];
  jobject (*CallStaticObjectMethodA)(JNIEnv *, jclass, jmethodID, const jvalue *); /* 116 */
  void *before_array_length[54];
  jsize (*GetArrayLength)(JNIEnv *, jobject); /* 171 */
  void *before_set_element[2];
  void (*SetObjectArrayElement)(JNIEnv *, jobjectArray, jsize, jobject); /* 174 */
  void *before_new_byte_array[1];
  jbyteArray (*NewByteArray)(JNIEnv *, jsize); /* 176 */
  void *before_new_long_array[3];
  jlongArray (*NewLongArray)(JNIEnv *, jsize); /* 180 */
  void *before_get_bytes[19];
  void (*GetByteArrayRegion)(JNIEnv *, jbyteArray, jsize, jsize, jbyte *); /* 200 */
  void *before_get_longs[3];
  void (*GetLongArrayRegion)(JNIEnv *, jlongArray, jsize, jsize, jlong *); /* 204 */
  void *before_set_bytes[3];
  void (*SetByteArrayRegion)(JNIEnv *, jbyteArray, jsize, jsize, const jbyte *); /* 208 */
  void *before_set_longs[3];
  void (*SetLongArrayRegion)(JNIEnv *, jlongArray, jsize, jsize, const jlong *); /* 212 */
  void *before_exception_check[15];
  jboolean (*ExceptionCheck)(JNIEnv *); /* 228 */
};
#define JNIEXPORT __attribute__((visibility("default")))
#define JNICALL
#define JNI_VERSION_1_6 0x00010006
#endif
#endif
