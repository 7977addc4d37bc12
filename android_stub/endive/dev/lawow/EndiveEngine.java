package dev.lawow;

import java.util.List;
import run.endive.wasm.Parser;

/**
 * WebAssembly by an interpreter that is written in Java: the library Endive, which the app names as its dependency. It is
 * many times slower than wasmtime, and needs no native library and no compiler. Any processor; Android 9 (API 28) or above.
 *
 * <p>Found by its name: {@code lawow pack --runtime java} puts it into an app, and nothing else refers to it.
 */
final class EndiveEngine extends Engine {
    /** As many as the native runtime passes. */
    private static final int MOST_HOST_VALUES = 32;

    /** Throws {@link NoClassDefFoundError} without Endive. */
    EndiveEngine() {
        Parser.builder();
    }

    @Override
    void prepare(Configuration configuration) {
        if (configuration.engine() != null) {
            throw new IllegalStateException(
                "engine: is set, but this app was packed with --runtime java, which has one engine; remove it");
        }
    }

    @Override
    ModuleCode load(
            ModuleName name, byte[] data, long fuel, long deadlineNanos, List<HostCalls.Import> imports,
            Configuration configuration) {
        prepare(configuration);
        for (HostCalls.Import item : imports) {
            String core = item.signature.core();
            int parameters = core.indexOf('>');
            if (Math.max(parameters, core.length() - parameters - 1) > MOST_HOST_VALUES) {
                throw new IllegalStateException(
                    item.module + "." + item.name + ": more than " + MOST_HOST_VALUES + " parameters or results");
            }
        }
        return new EndiveCode(name, data, fuel > 0 || deadlineNanos > 0, imports);
    }
}
