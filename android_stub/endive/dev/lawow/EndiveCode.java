package dev.lawow;

import java.util.List;
import run.endive.wasm.Parser;
import run.endive.wasm.WasmModule;
import run.endive.wasm.types.ExternalType;
import run.endive.wasm.types.MemorySection;

/** A module as Endive reads and validates it: there is nothing to compile, and nothing to free. */
final class EndiveCode extends ModuleCode implements GuestCode {
    /** As many as an instance of the native runtime may have. */
    private static final int MOST_TABLES = 4;

    private final boolean limited;
    private final List<HostCalls.Import> imports;
    private WasmModule module;
    private boolean closed;

    /** {@code limited} tells whether calls have fuel or deadlines, which costs speed. */
    EndiveCode(ModuleName name, byte[] data, boolean limited, List<HostCalls.Import> imports) {
        super(name, data);
        this.limited = limited;
        this.imports = imports;
    }

    @Override
    synchronized GuestCode current() {
        if (closed) {
            throw new IllegalStateException(name.file + ": the module is closed");
        }
        if (module == null) {
            module = read(bytes());
        }
        return this;
    }

    /** Whatever Endive throws, it is about these bytes, which may be anything. */
    private WasmModule read(byte[] bytes) {
        WasmModule read;
        try {
            read = Parser.parse(bytes);
        } catch (RuntimeException error) {
            throw new IllegalStateException(name.file + ": is no module that runs here: " + error.getMessage(), error);
        } catch (StackOverflowError error) {
            throw new IllegalStateException(name.file + ": its blocks are nested too deeply", error);
        } catch (OutOfMemoryError error) {
            throw new IllegalStateException(name.file + ": there is no memory to read it", error);
        }
        if (memories(read) > 1 || read.tableSection().tableCount() > MOST_TABLES) {
            throw new IllegalStateException(
                name.file + ": has more than one memory, or more than " + MOST_TABLES + " tables");
        }
        return read;
    }

    private static int memories(WasmModule module) {
        MemorySection section = module.memorySection().orElse(null);
        return module.importSection().count(ExternalType.MEMORY) + (section == null ? 0 : section.memoryCount());
    }

    @Override
    public synchronized Guest newGuest(long memoryBytes, long fuel, HostCalls host) {
        EndiveLimits limits = limited ? new EndiveLimits(fuel) : null;
        return new EndiveGuest(name.file, module, memoryBytes, limits, imports, host);
    }

    @Override
    synchronized void close() {
        closed = true;
        module = null;
    }
}
