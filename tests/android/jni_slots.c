/* Prints the slot of each JNI function that the glue uses. Compiled twice, with our table and with the JDK's jni.h. */
#include <stdio.h>

#include "lawow_sys.h"
#ifdef LAWOW_USE_JNI_H
typedef struct JNINativeInterface_ Table;
#else
typedef struct JNINativeInterface Table;
#endif
#define SLOT(name) printf(#name " %zu\n", offsetof(Table, name) / sizeof(void *));
int main(void) {
  SLOT(DeleteLocalRef) SLOT(GetStaticMethodID) SLOT(CallStaticObjectMethodA)
  SLOT(GetArrayLength) SLOT(SetObjectArrayElement) SLOT(NewByteArray) SLOT(NewLongArray) SLOT(GetByteArrayRegion)
  SLOT(GetLongArrayRegion) SLOT(SetByteArrayRegion) SLOT(SetLongArrayRegion) SLOT(ExceptionCheck)
  return 0;
}
