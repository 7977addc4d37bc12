package dev.lawow;

import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.Map;

/** An engine of this process: one for each kind of code, made when it is first needed, alive as long as the process. */
final class LocalEngine {
    /** Small enough for the stack of every Java thread on Android, which is about 1 MB. */
    private static final long STACK_BYTES = 256 << 10;

    /** Android 10. Before it, the system refuses a call that publishing native code needs. */
    private static final int FIRST_NATIVE_API = 29;

    private static final Map<Integer, LocalEngine> ENGINES = new HashMap<>();

    final long handle;
    final int flags;

    private LocalEngine(int flags, Configuration configuration) {
        loadLibrary("lawow", configuration.library());
        String wasmtime = configuration.wasmtime();
        byte[][] failure = new byte[1][];
        this.handle = Native.engineNew(wasmtime == null ? null : Native.utf8(wasmtime), flags, STACK_BYTES, failure);
        Native.require(failure, "the WebAssembly runtime");
        this.flags = flags;
    }

    /**
     * Returns the engine of these flags of {@link Native}.
     *
     * @throws IllegalStateException a library is missing, is for another processor or is another version
     */
    static LocalEngine of(int flags, Configuration configuration) {
        synchronized (ENGINES) {
            LocalEngine engine = ENGINES.get(flags);
            if (engine == null) {
                engine = new LocalEngine(flags, configuration);
                ENGINES.put(flags, engine);
            }
            return engine;
        }
    }

    /** Returns the flags for code with these limits; 0 stands for none. */
    static int flags(long fuel, long deadlineNanos, Configuration configuration) {
        int flags = fuel > 0 ? Native.FUEL : 0;
        if (deadlineNanos > 0) {
            flags |= Native.DEADLINES;
        }
        String engine = configuration.engine();
        boolean interpreted = engine == null ? androidApi() < FIRST_NATIVE_API : engine.equals("pulley");
        return interpreted ? flags | Native.PULLEY : flags;
    }

    boolean isInterpreter() {
        return (flags & Native.PULLEY) != 0;
    }

    /** Loads one of the app's libraries by its name, or another from its path if that is not null. */
    static void loadLibrary(String name, String path) {
        try {
            if (path == null) {
                System.loadLibrary(name);
            } else {
                System.load(path);
            }
        } catch (UnsatisfiedLinkError error) {
            throw new IllegalStateException(
                "lib" + name + " cannot be loaded (" + error.getMessage() + "); is this processor among the app's ABIs?", error);
        }
    }

    /** Returns the Android release's API level, or a high number on another JVM. */
    static int androidApi() {
        try {
            Field field = Class.forName("android.os.Build$VERSION").getField("SDK_INT");
            return field.getInt(null);
        } catch (ClassNotFoundException error) {
            return Integer.MAX_VALUE;
        } catch (NoSuchFieldException error) {
            return Integer.MAX_VALUE;
        } catch (IllegalAccessException error) {
            return Integer.MAX_VALUE;
        }
    }
}
