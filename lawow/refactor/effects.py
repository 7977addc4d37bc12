"""What code outside of an app does, as far as a plan must know: does the edge have it, does its loss matter?

A method that moves is replaced by a WebAssembly function that sees its arguments and nothing else. Whether
that can be the same method, its old code shows: parameters are values, so whatever the device and the method
share, it must reach through a static field or through a call. Calls of the platform are looked up here,
the first row that fits decides; what no row names computes on its arguments alone.

| finding | severity | why |
|---|---|---|
| framework-call | forbidden | android.* acts on this device: screen, sensors, other apps |
| input-output | forbidden | files and sockets are the device's |
| reflection | forbidden | what is called stands in data; nothing shows that it has no effect |
| thread | forbidden | starts, stops or waits for threads of this process |
| lock | forbidden | wait, notify and locks of java.util.concurrent talk to other threads |
| library-load | forbidden | others may rely on the library that the method loads |
| device-state | forbidden | properties and environment differ between device and edge |
| clock | told | the module has its own clock, or none |
| random | told | the module has its own source, or none |
| log | told | lines of the log no longer appear on the device |
"""

from __future__ import annotations

from lawow.formats.dex.symbols import FieldRef, MethodRef

__all__ = ["ACCEPTABLE", "TOLD", "platform_effect", "platform_state"]

TOLD = frozenset(
    {
        "clock",
        "exception",
        "log",
        "main-thread",
        "monitor",
        "native",
        "own-native-call",
        "private-state",
        "random",
        "shared-table",
        "static-initialiser",
        "synchronized",
        "unseen-code",
    }
)
"""Findings that are notes. The others forbid the move."""

ACCEPTABLE = (
    "device-state",
    "framework-call",
    "input-output",
    "library-load",
    "lock",
    "native-call",
    "native-registration",
    "reflection",
    "serial-version",
    "shared-field",
    "thread",
)
"""Findings that forbid a move unless the correction file accepts them."""

PURE = ""

# Prefixes of "Lclass;->name(types)": the longest that fits decides.
_CALLS = {
    "Landroid/": "framework-call",
    "Landroidx/": "framework-call",
    "Lcom/android/": "framework-call",
    "Lcom/google/android/": "framework-call",
    "Ldalvik/": "framework-call",
    "Llibcore/": "framework-call",
    "Lorg/apache/http/": "input-output",
    "Landroid/annotation/": PURE,
    "Landroid/graphics/Color;": PURE,
    "Landroid/graphics/Point;": PURE,
    "Landroid/graphics/PointF;": PURE,
    "Landroid/graphics/Rect;": PURE,
    "Landroid/graphics/RectF;": PURE,
    "Landroid/os/SystemClock;": "clock",
    "Landroid/os/Trace;": "log",
    "Landroid/text/TextUtils;": PURE,
    "Landroid/util/Base64;": PURE,
    "Landroid/util/Log;": "log",
    "Landroid/util/LongSparseArray;": PURE,
    "Landroid/util/Pair;": PURE,
    "Landroid/util/Size;": PURE,
    "Landroid/util/SizeF;": PURE,
    "Landroid/util/SparseArray;": PURE,
    "Landroid/util/SparseBooleanArray;": PURE,
    "Landroid/util/SparseIntArray;": PURE,
    "Landroid/util/SparseLongArray;": PURE,
    "Ljava/io/": "input-output",
    "Ljava/io/Buffered": PURE,  # what they wrap is judged where it is made
    "Ljava/io/ByteArray": PURE,
    "Ljava/io/CharArray": PURE,
    "Ljava/io/Data": PURE,
    "Ljava/io/IOException;": PURE,
    "Ljava/io/EOFException;": PURE,
    "Ljava/io/InputStream;": PURE,
    "Ljava/io/OutputStream;": PURE,
    "Ljava/io/PrintStream;": "log",
    "Ljava/io/Reader;": PURE,
    "Ljava/io/StringReader;": PURE,
    "Ljava/io/StringWriter;": PURE,
    "Ljava/io/UncheckedIOException;": PURE,
    "Ljava/io/Writer;": PURE,
    "Ljava/lang/Class;": "reflection",
    "Ljava/lang/Class;->desiredAssertionStatus": PURE,
    "Ljava/lang/Class;->getName": PURE,
    "Ljava/lang/Class;->getSimpleName": PURE,
    "Ljava/lang/ClassLoader;": "reflection",
    "Ljava/lang/ClassCastException;": PURE,
    "Ljava/lang/ClassNotFoundException;": PURE,
    "Ljava/lang/Math;->random": "random",
    "Ljava/lang/Object;->notify": "lock",
    "Ljava/lang/Object;->wait": "lock",
    "Ljava/lang/Process": "thread",
    "Ljava/lang/Runtime;": "thread",
    "Ljava/lang/StrictMath;->random": "random",
    "Ljava/lang/System;": "device-state",
    "Ljava/lang/System;->arraycopy": PURE,
    "Ljava/lang/System;->currentTimeMillis": "clock",
    "Ljava/lang/System;->gc": PURE,
    "Ljava/lang/System;->identityHashCode": PURE,
    "Ljava/lang/System;->lineSeparator": PURE,
    "Ljava/lang/System;->load": "library-load",
    "Ljava/lang/System;->nanoTime": "clock",
    "Ljava/lang/Thread": "thread",
    "Ljava/lang/ThreadLocal;": PURE,  # what it holds is reached by a field, which is judged
    "Ljava/lang/invoke/": "reflection",
    "Ljava/lang/reflect/": "reflection",
    "Ljava/lang/reflect/Array;": PURE,
    "Ljava/net/": "input-output",
    "Ljava/net/IDN;": PURE,
    "Ljava/net/URI;": PURE,
    "Ljava/net/URLDecoder;": PURE,
    "Ljava/net/URLEncoder;": PURE,
    "Ljava/nio/channels/": "input-output",
    "Ljava/nio/file/": "input-output",
    "Ljava/security/KeyStore;": "device-state",
    "Ljava/security/SecureRandom;": "random",
    "Ljava/sql/": "input-output",
    "Ljava/sql/Date;": PURE,
    "Ljava/sql/Timestamp;": PURE,
    "Ljava/time/": PURE,
    "Ljava/util/Date;-><init>()": "clock",
    "Ljava/util/Locale;->getDefault": "device-state",
    "Ljava/util/Locale;->setDefault": "device-state",
    "Ljava/util/Random;-><init>()": "random",
    "Ljava/util/Timer": "thread",
    "Ljava/util/TimeZone;->getDefault": "device-state",
    "Ljava/util/UUID;->randomUUID": "random",
    "Ljava/util/Calendar;->getInstance": "clock",
    "Ljava/util/concurrent/CountDownLatch;": "lock",
    "Ljava/util/concurrent/CyclicBarrier;": "lock",
    "Ljava/util/concurrent/Exchanger;": "lock",
    "Ljava/util/concurrent/Executor": "thread",
    "Ljava/util/concurrent/ForkJoin": "thread",
    "Ljava/util/concurrent/Future": "thread",
    "Ljava/util/concurrent/CompletableFuture;": "thread",
    "Ljava/util/concurrent/Phaser;": "lock",
    "Ljava/util/concurrent/ScheduledExecutor": "thread",
    "Ljava/util/concurrent/Semaphore;": "lock",
    "Ljava/util/concurrent/ThreadLocalRandom;": "random",
    "Ljava/util/concurrent/ThreadPool": "thread",
    "Ljava/util/concurrent/locks/": "lock",
    "Ljava/util/logging/": "log",
    "Ljava/util/prefs/": "device-state",
    "Ljavax/net/": "input-output",
    "Ldev/lawow/": PURE,  # the binding that lawow pack makes
}
_LONGEST_FIRST = sorted(_CALLS.items(), key=lambda row: -len(row[0]))

_FIELDS = {
    "Landroid/os/Build": "device-state",
    "Ljava/lang/System;->in": "input-output",
    "Ljava/lang/System;->": "log",
}


def platform_effect(method: MethodRef) -> str:
    """Return the kind of finding that a call of the platform is; empty if it computes on its arguments."""
    text = f"{method.class_name}->{method.name}{method.descriptor}"
    return next((kind for prefix, kind in _LONGEST_FIRST if text.startswith(prefix)), PURE)


def platform_state(field: FieldRef) -> str:
    """Return the kind of finding that reading a static field of the platform is; most are constants."""
    text = f"{field.class_name}->{field.name}"
    return next((kind for prefix, kind in _FIELDS.items() if text.startswith(prefix)), PURE)
