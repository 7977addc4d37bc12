package dev.lawow;

import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;

/**
 * A module's code for this process, the best that there is at the moment. Native code comes from the cache or else is
 * compiled; if the app has the module for the interpreter as well ({@code assets/lawow/NAME.wasm.pulley}), that runs
 * meanwhile, and compiling happens in the background.
 */
final class LocalCode extends ModuleCode {
    /** One thread for all modules: compiling uses every core by itself, and the app needs some. */
    static final ExecutorService BACKGROUND = Executors.newSingleThreadExecutor(new ThreadFactory() {
        @Override
        public Thread newThread(Runnable task) {
            Thread thread = new Thread(task, "lawow-compiler");
            thread.setDaemon(true);
            thread.setPriority(Thread.MIN_PRIORITY);
            return thread;
        }
    });

    private final int flags;
    private final List<HostCalls.Import> imports;
    private final Configuration configuration;
    private final CodeCache cache;
    private Code code;
    private Code replaced;
    private boolean closed;

    /** Compiled code, and what its instances are linked with; 0 for the engine's own linker, which has WASI only. */
    static final class Code implements GuestCode {
        final LocalEngine engine;
        final long module;
        final long linker;

        private final String file;

        private Code(String file, LocalEngine engine, long module, long linker) {
            this.file = file;
            this.engine = engine;
            this.module = module;
            this.linker = linker;
        }

        @Override
        public Guest newGuest(long memoryBytes, long fuel, HostCalls host) {
            return new WasmtimeGuest(file, this, memoryBytes, fuel, host);
        }

        private void free() {
            Native.moduleFree(module);
            if (linker != 0) {
                Native.linkerFree(linker);
            }
        }
    }

    /** {@code data} is the module, or null if it is among the app's assets. */
    LocalCode(ModuleName name, byte[] data, int flags, List<HostCalls.Import> imports, Configuration configuration) {
        super(name, data);
        this.flags = flags;
        this.imports = imports;
        this.configuration = configuration;
        this.cache = CodeCache.of(configuration);
    }

    @Override
    synchronized Code current() {
        if (closed) {
            throw new IllegalStateException(name.file + ": the module is closed");
        }
        if (code == null) {
            code = first(LocalEngine.of(flags, configuration));
        }
        return code;
    }

    private Code first(LocalEngine engine) {
        Code found = load(engine, cache == null ? null : cache.read(name.digest, kind(engine)));
        if (found == null && cache != null) {
            cache.remove(name.digest, kind(engine));
        }
        byte[] interpretable = found == null ? shipped() : null;
        if (interpretable != null) {
            found = load(LocalEngine.of(flags | Native.PULLEY, configuration), interpretable);
            if (found != null && !engine.isInterpreter()) {
                compileLater(engine);
            }
        }
        if (found == null) {
            found = compile(engine);
            saveLater(found);
        }
        return found;
    }

    private byte[] shipped() {
        byte[] file = data == null ? ModuleName.readResource(ModuleName.FOLDER + name.file + ".pulley") : null;
        return file == null ? null : CompiledFile.unwrap(name.digest, file);
    }

    /** Returns code of another time; null if it is null or does not fit this engine. */
    private Code load(LocalEngine engine, byte[] compiled) {
        byte[][] failure = new byte[1][];
        long module = compiled == null ? 0 : Native.moduleLoad(engine.handle, compiled, failure);
        return module == 0 ? null : linked(engine, module);
    }

    private Code compile(LocalEngine engine) {
        byte[][] failure = new byte[1][];
        long module = Native.moduleNew(engine.handle, bytes(), failure);
        Native.require(failure, name.file);
        return linked(engine, module);
    }

    /** Owns the module: frees it if there is no linker for it. */
    private Code linked(LocalEngine engine, long module) {
        long linker = -1;
        try {
            linker = newLinker(engine);
            return new Code(name.file, engine, module, linker);
        } finally {
            if (linker == -1) {
                Native.moduleFree(module);
            }
        }
    }

    private long newLinker(LocalEngine engine) {
        if (imports.isEmpty()) {
            return 0;
        }
        byte[][] failure = new byte[1][];
        long linker = Native.linkerNew(engine.handle, failure);
        Native.require(failure, name.file);
        for (int at = 0; at < imports.size() && failure[0] == null; at++) {
            HostCalls.Import item = imports.get(at);
            byte[] signature = Native.utf8(item.signature.core());
            Native.linkerDefine(linker, Native.utf8(item.module), Native.utf8(item.name), signature, at, failure);
        }
        if (failure[0] != null) {
            Native.linkerFree(linker);
        }
        Native.require(failure, name.file);
        return linker;
    }

    private void compileLater(final LocalEngine engine) {
        BACKGROUND.execute(new Runnable() {
            @Override
            public void run() {
                Code compiled;
                try {
                    compiled = compile(engine);
                } catch (IllegalStateException error) {
                    return; // this phone does not let code be published: the interpreter goes on
                }
                save(compiled);
                replace(compiled);
            }
        });
    }

    private void saveLater(final Code compiled) {
        if (cache == null) {
            return;
        }
        BACKGROUND.execute(new Runnable() {
            @Override
            public void run() {
                synchronized (LocalCode.this) { // so that it is not freed meanwhile
                    if (!closed) {
                        save(compiled);
                    }
                }
            }
        });
    }

    private void save(Code compiled) {
        byte[][] failure = new byte[1][];
        byte[] bytes = cache == null ? null : Native.moduleSave(compiled.module, failure);
        if (bytes != null) {
            cache.write(name.digest, kind(compiled.engine), bytes);
        }
    }

    private synchronized void replace(Code better) {
        if (closed) {
            better.free();
            return;
        }
        replaced = code;
        code = better;
    }

    @Override
    synchronized void close() {
        closed = true;
        if (code != null) {
            code.free();
        }
        if (replaced != null) {
            replaced.free();
        }
        code = null;
        replaced = null;
    }

    /** Names everything that decides whether code fits. */
    private static String kind(LocalEngine engine) {
        String processor = System.getProperty("os.arch", "unknown").replaceAll("[^A-Za-z0-9]", "");
        return Native.RUNTIME + "-" + processor + "-" + engine.flags;
    }
}
