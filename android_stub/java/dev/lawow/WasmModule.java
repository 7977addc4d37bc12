package dev.lawow;

import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;

/**
 * A WebAssembly module of this process, for callers that want instances of their own: with state, with functions of the
 * app, with limits per module. {@link Lawow#local(String, String, String, Object[])} needs none of that.
 *
 * <p>All methods may be called from any thread. Loading, instances and calls take time (compiling up to seconds), so none
 * of it belongs on the main thread; {@link #loadInBackground} begins there. Nothing returns null, and no parameter may be
 * null, unless it says so. What is not closed keeps its memory as long as the process lives.
 *
 * <pre>{@code
 * try (WasmModule module = WasmModule.load("counter.wasm", WasmOptions.defaults());
 *         WasmInstance counter = module.newInstance()) {
 *     int count = (Integer) counter.call("count", ">i");
 * }
 * }</pre>
 */
public final class WasmModule implements AutoCloseable {
    private final ModuleCode code;
    private final WasmOptions options;
    private int starting;
    private boolean closed;

    private WasmModule(ModuleName name, byte[] data, WasmOptions options) {
        Configuration configuration = Configuration.load();
        this.options = options;
        this.code = Engine.of(configuration)
            .load(name, data, options.fuel, options.deadlineNanos, options.imports, configuration);
        code.current();
    }

    /**
     * Loads a module of the app. It is compiled now, unless the code cache has it or the app has it for the interpreter.
     *
     * @param asset name below {@code assets/lawow}: {@code counter.wasm}, or with a digest as {@link Target#call} has it
     * @throws IllegalStateException there is no such module, it is broken or another, or the runtime is missing
     */
    public static WasmModule load(String asset, WasmOptions options) {
        if (asset.indexOf('@') >= 0) {
            return new WasmModule(ModuleName.parse(asset), null, options);
        }
        byte[] data = asset.indexOf('/') >= 0 ? null : ModuleName.readResource(ModuleName.FOLDER + asset);
        if (data == null) {
            throw new IllegalStateException(asset + ": not among this app's assets (" + ModuleName.FOLDER + ")");
        }
        return new WasmModule(ModuleName.of(asset, data), null, options);
    }

    /**
     * Compiles a module from its bytes, which are copied.
     *
     * @param name what messages call it
     * @throws IllegalStateException the module is broken, or the runtime is missing
     */
    public static WasmModule compile(String name, byte[] wasm, WasmOptions options) {
        byte[] data = wasm.clone();
        return new WasmModule(ModuleName.of(name, data), data, options);
    }

    /**
     * Does {@link #load} on a thread of this library with low priority, and returns at once. What it throws, the future's
     * {@code get} throws as the cause of an ExecutionException. A module that nobody takes out of the future stays open.
     */
    public static Future<WasmModule> loadInBackground(final String asset, final WasmOptions options) {
        FutureTask<WasmModule> task = new FutureTask<>(new Callable<WasmModule>() {
            @Override
            public WasmModule call() {
                return load(asset, options);
            }
        });
        LocalCode.BACKGROUND.execute(task);
        return task;
    }

    /**
     * Makes an instance: runs the module's start function and {@code _initialize} within the limits of the options.
     *
     * @throws Trap the guest trapped
     * @throws IllegalStateException the module is closed, or imports what neither WASI nor the options offer
     * @throws RuntimeException what a host function threw meanwhile
     */
    public WasmInstance newInstance() {
        synchronized (this) {
            if (closed) {
                throw new IllegalStateException(code.name.file + ": the module is closed");
            }
            starting++;
        }
        try {
            return new WasmInstance(code.name.file, code.current(), options);
        } finally {
            synchronized (this) {
                starting--;
                freeIfUnused();
            }
        }
    }

    /** Frees the module. Its instances stay and may be used on. Closing again does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            freeIfUnused();
        }
    }

    private void freeIfUnused() {
        if (closed && starting == 0) {
            code.close();
        }
    }

    /** Returns the module itself. */
    byte[] bytes() {
        return code.bytes();
    }

    @Override
    public String toString() {
        return code.name.file;
    }
}
