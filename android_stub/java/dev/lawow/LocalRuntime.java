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
        Signature type = Signature.parse(signature);
        return module(module).call(export, new Arguments(type, arguments));
    }

    private LocalModule module(String text) {
        synchronized (modules) {
            LocalModule module = modules.get(text);
            if (module == null) {
                module = new LocalModule(code(ModuleName.parse(text)), configuration);
                modules.put(text, module);
            }
            return module;
        }
    }

    private ModuleCode code(ModuleName name) {
        return engine.load(
            name, null, configuration.fuel(), configuration.localTimeoutNanos(),
            Collections.<HostCalls.Import>emptyList(), configuration);
    }
}
