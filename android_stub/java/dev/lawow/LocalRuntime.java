package dev.lawow;

import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

/**
 * WebAssembly inside this process. A module is compiled when it is first called, and kept here and in the code cache; the
 * calling thread waits for that, unless the app has the module for the interpreter, too. Each call has an instance of its
 * own while it runs. Which instance a call gets is not promised, so a guest must not rely on what an earlier call left in
 * its memory. A calling thread needs 256 KiB of stack for the guest.
 *
 * <p>On Android the two libraries come with the app. On another JVM the system properties {@code lawow.library} and
 * {@code lawow.wasmtime} (for WasmEdge, too) say where they are.
 */
public final class LocalRuntime implements Target {
    /** A century, for code that has deadlines for other reasons. */
    private static final long FOREVER_NANOS = 1L << 61;

    private final Configuration configuration;
    private final Engine engine;
    private final Map<String, LocalModule> modules = new HashMap<>();

    /**
     * Loads the native libraries and makes an engine; or does without libraries, in an app that was packed with {@code
     * --runtime java}.
     *
     * @throws IllegalStateException a library is missing, is for another processor or is another version
     */
    public LocalRuntime(Configuration configuration) {
        this.configuration = configuration;
        this.engine = Engine.of(configuration);
        engine.prepare(configuration);
    }

    @Override
    public Object call(String module, String export, String signature, Object... arguments) {
        return call(null, module, export, signature, arguments);
    }

    /**
     * The same for a call that another thread may end; it then throws a {@link Trap}. Unless the app has a time limit, the
     * module is compiled another time for it, because code has to look for its end.
     */
    Object call(Cancel cancel, String module, String export, String signature, Object[] arguments) {
        Signature type = Signature.parse(signature);
        long limit = configuration.localTimeoutNanos();
        long timeoutNanos = cancel != null && limit == 0 ? FOREVER_NANOS : limit;
        return module(module, timeoutNanos).call(export, new Arguments(type, arguments), cancel);
    }

    private LocalModule module(String text, long timeoutNanos) {
        String key = timeoutNanos + " " + text;
        synchronized (modules) {
            LocalModule module = modules.get(key);
            if (module == null) {
                module = new LocalModule(code(ModuleName.parse(text), timeoutNanos), configuration, timeoutNanos);
                modules.put(key, module);
            }
            return module;
        }
    }

    private ModuleCode code(ModuleName name, long timeoutNanos) {
        return engine.load(
            name, null, configuration.fuel(), timeoutNanos, Collections.<HostCalls.Import>emptyList(), configuration);
    }
}
