package dev.lawow;

import java.util.List;
import java.util.function.Function;
import run.endive.runtime.ByteBufferMemory;
import run.endive.runtime.Instance;
import run.endive.runtime.Machine;
import run.endive.runtime.Memory;
import run.endive.runtime.TableFactory;
import run.endive.runtime.TableInstance;
import run.endive.runtime.WasmException;
import run.endive.wasm.WasmEngineException;
import run.endive.wasm.WasmModule;
import run.endive.wasm.types.Export;
import run.endive.wasm.types.ExternalType;
import run.endive.wasm.types.MemoryLimits;
import run.endive.wasm.types.Table;
import run.endive.wasm.types.TableLimits;

/** An instance in Endive's interpreter. Its memory is in Java's heap, page by page. */
final class EndiveGuest implements Guest {
    private static final long LOW_HALF = 0xffffffffL;
    private static final int PAGE_BYTES = 1 << 16;

    /** As the native runtime has it. */
    private static final int MOST_TABLE_ELEMENTS = 100000;

    private final String file;
    private final WasmModule module;
    private final int mostPages;
    private final EndiveLimits limits;
    private final List<HostCalls.Import> imports;
    private final HostCalls host;
    private final EndiveWasi wasi = new EndiveWasi();
    private Instance instance;
    private Memory memory;
    private int depth;

    /** {@code limits} is null for calls without fuel and deadline. */
    EndiveGuest(
            String file, WasmModule module, long memoryBytes, EndiveLimits limits, List<HostCalls.Import> imports,
            HostCalls host) {
        this.file = file;
        this.module = module;
        this.mostPages = (int) Math.min(memoryBytes / PAGE_BYTES, Memory.RUNTIME_MAX_PAGES);
        this.limits = limits;
        this.imports = imports;
        this.host = host;
    }

    /** What runs in the guest. */
    private interface Action {
        long[] run();
    }

    @Override
    public void start() {
        inside(file, new Action() {
            @Override
            public long[] run() {
                instantiate();
                return null;
            }
        });
        if (has("_initialize")) {
            call("_initialize", ">", new long[0]);
        }
    }

    private void instantiate() {
        Instance.Builder builder = Instance.builder(module)
            .withImportValues(new EndiveImports(file, module, wasi, host).of(imports))
            .withMemoryFactory(new Function<MemoryLimits, Memory>() {
                @Override
                public Memory apply(MemoryLimits wanted) {
                    return newMemory(wanted);
                }
            })
            .withTableFactory(new TableFactory() {
                @Override
                public TableInstance create(Table wanted, int value) {
                    return newTable(wanted, value);
                }
            })
            .withMachineFactory(new Function<Instance, Machine>() {
                @Override
                public Machine apply(Instance made) {
                    return new EndiveMachine(made);
                }
            })
            .withInitialize(false)
            .withStart(false);
        instance = (limits == null ? builder : builder.withUnsafeExecutionListener(limits)).build();
        Export export = export("memory", ExternalType.MEMORY);
        memory = export == null ? null : instance.memory(export.index());
        wasi.use(memory);
        instance.initialize(false); // not the function _start, which only programs have
    }

    private Memory newMemory(MemoryLimits wanted) {
        if (wanted.initialPages() > mostPages) {
            throw new IllegalStateException(
                file + ": begins with " + wanted.initialPages() + " pages of memory, allowed are " + mostPages);
        }
        int most = Math.min(wanted.maximumPages(), mostPages);
        // Endive's other kind of memory takes VarHandle, which Android has since API 33.
        return new ByteBufferMemory(new MemoryLimits(wanted.initialPages(), most, wanted.shared()));
    }

    private TableInstance newTable(Table wanted, int value) {
        TableLimits found = wanted.limits();
        if (found.min() > MOST_TABLE_ELEMENTS) {
            throw new IllegalStateException(
                file + ": a table begins with " + found.min() + " elements, allowed are " + MOST_TABLE_ELEMENTS);
        }
        TableLimits allowed = new TableLimits(found.min(), Math.min(found.max(), MOST_TABLE_ELEMENTS), found.shared());
        return new TableInstance(new Table(wanted.elementType(), allowed, wanted.initialize()), value);
    }

    @Override
    public long[] call(final String export, String signature, final long[] bits) {
        Export found = export(export, ExternalType.FUNCTION);
        if (found == null) {
            throw new IllegalArgumentException(file + ": " + export + ": the module exports no function of this name");
        }
        if (!EndiveImports.letters(instance.exportType(export)).equals(signature)) {
            throw new IllegalArgumentException(file + ": " + export + ": the exported function has another signature");
        }
        long[] results = inside(file + ": " + export, new Action() {
            @Override
            public long[] run() {
                return instance.export(export).apply(bits);
            }
        });
        return results(signature, results);
    }

    private static long[] results(String signature, long[] results) {
        int arrow = signature.indexOf('>');
        long[] clean = new long[signature.length() - arrow - 1];
        for (int at = 0; at < clean.length; at++) {
            char letter = signature.charAt(arrow + 1 + at);
            clean[at] = letter == 'i' || letter == 'f' ? results[at] & LOW_HALF : results[at];
        }
        return clean;
    }

    /** Runs something in the guest; {@code subject} begins the message of a trap. */
    private long[] inside(String subject, Action action) {
        if (depth++ == 0 && limits != null) {
            limits.refuel();
        }
        try {
            return action.run();
        } catch (HostCalls.Thrown error) {
            host.rethrow();
            throw error;
        } catch (EndiveWasi.Exit exit) {
            throw new Trap("exit", subject + ": the guest ended itself with status " + exit.status);
        } catch (EndiveLimits.Stop stop) {
            throw new Trap(stop.code, subject + ": the guest trapped: " + stop.code.replace('-', ' '));
        } catch (WasmEngineException error) {
            throw EndiveTraps.of(subject, error);
        } catch (WasmException error) {
            throw new Trap("uncaught-exception", subject + ": the guest trapped: it threw an exception that nobody caught");
        } catch (IllegalStateException error) {
            throw error; // of ours
        } catch (RuntimeException error) {
            throw new Trap("unknown", subject + ": the guest trapped: " + error);
        } catch (StackOverflowError error) {
            throw new Trap("stack-overflow", subject + ": the guest trapped: call stack exhausted");
        } catch (OutOfMemoryError error) {
            throw new Trap("out-of-memory", subject + ": the guest trapped: Java's heap is full");
        } finally {
            depth--;
        }
    }

    private Export export(String name, ExternalType type) {
        for (int at = 0; at < module.exportSection().exportCount(); at++) {
            Export export = module.exportSection().getExport(at);
            if (export.name().equals(name)) {
                return export.exportType() == type ? export : null;
            }
        }
        return null;
    }

    @Override
    public boolean has(String export) {
        return export(export, ExternalType.FUNCTION) != null;
    }

    @Override
    public long memoryBytes() {
        return memory == null ? 0 : (long) memory.pages() * PAGE_BYTES;
    }

    @Override
    public byte[] read(String subject, long address, int bytes) {
        requireInside(subject, address, bytes);
        return bytes == 0 ? new byte[0] : memory.readBytes((int) address, bytes);
    }

    @Override
    public void write(String subject, long address, byte[] data) {
        requireInside(subject, address, data.length);
        if (data.length > 0) {
            memory.write((int) address, data);
        }
    }

    private void requireInside(String subject, long address, int bytes) {
        if (address < 0 || address > memoryBytes() - bytes) {
            throw new Trap("memory-out-of-bounds", subject + ": the guest trapped: out of bounds memory access");
        }
    }

    @Override
    public byte[] output() {
        return wasi.output();
    }

    @Override
    public void arm() {
        limits.arm();
    }

    @Override
    public void expire() {
        limits.expire();
    }

    @Override
    public void free() {
        instance = null;
        memory = null;
    }
}
