package dev.lawow;

import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.Map;

/**
 * WebAssembly inside this process. A module is compiled when it is first called and kept; each call has an instance of
 * its own while it runs. Which instance a call gets is not promised, so a guest must not rely on what an earlier call
 * left in its memory. A calling thread needs 256 KiB of stack for the guest.
 *
 * <p>On Android the two libraries come with the app. On another JVM the system properties {@code lawow.library} and
 * {@code lawow.wasmtime} say where they are.
 */
public final class LocalRuntime implements Target {
    /** Small enough for the stack of every Java thread on Android, which is about 1 MB. */
    private static final long STACK_BYTES = 256 << 10;

    /** Android 10. Before it, the system refuses a call that publishing native code needs. */
    private static final int FIRST_NATIVE_API = 29;

    private final Configuration configuration;
    private final long engine;
    private final Watchdog watchdog;
    private final Map<String, LocalModule> modules = new HashMap<>();

    /**
     * Loads the native libraries and makes an engine.
     *
     * @throws IllegalStateException a library is missing, is for another processor or is another version
     */
    public LocalRuntime(Configuration configuration) {
        this.configuration = configuration;
        loadLibrary(configuration.library());
        String wasmtime = configuration.wasmtime();
        byte[][] failure = new byte[1][];
        byte[] path = wasmtime == null ? null : Native.utf8(wasmtime);
        this.engine = Native.engineNew(path, flags(configuration), STACK_BYTES, failure);
        Native.require(failure, "libwasmtime");
        this.watchdog = configuration.localTimeoutNanos() > 0 ? new Watchdog(engine) : null;
    }

    private static void loadLibrary(String path) {
        try {
            if (path == null) {
                System.loadLibrary("lawow");
            } else {
                System.load(path);
            }
        } catch (UnsatisfiedLinkError error) {
            throw new IllegalStateException(
                "liblawow cannot be loaded (" + error.getMessage() + "); is this processor among the app's ABIs?", error);
        }
    }

    private static int flags(Configuration configuration) {
        int flags = configuration.fuel() > 0 ? Native.FUEL : 0;
        if (configuration.localTimeoutNanos() > 0) {
            flags |= Native.DEADLINES;
        }
        String engine = configuration.engine();
        boolean interpreted = engine == null ? androidApi() < FIRST_NATIVE_API : engine.equals("pulley");
        return interpreted ? flags | Native.PULLEY : flags;
    }

    /** Returns the Android release's API level, or a high number on another JVM. */
    private static int androidApi() {
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

    @Override
    public Object call(String module, String export, String signature, Object... arguments) {
        Signature type = Signature.parse(signature);
        return module(module).call(export, new Arguments(type, arguments));
    }

    private LocalModule module(String text) {
        synchronized (modules) {
            LocalModule module = modules.get(text);
            if (module == null) {
                module = new LocalModule(ModuleName.parse(text), engine, watchdog, configuration);
                modules.put(text, module);
            }
            return module;
        }
    }
}
