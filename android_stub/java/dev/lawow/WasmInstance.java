package dev.lawow;

/**
 * An instance of a {@link WasmModule}: memory and globals that live from call to call. Each call is one at a time: a
 * second thread waits. A calling thread needs 256 KiB of stack for the guest.
 *
 * <p>After a trap, or an exception of a host function, the guest may have stopped half-way: memory can still be read, but
 * calls throw. Nothing returns null, and no parameter may be null, unless it says so. What is not closed keeps its memory
 * as long as the process lives.
 */
public final class WasmInstance implements AutoCloseable {
    private final String file;
    private final WasmOptions options;
    private final HostCalls host;
    private final Guest guest;
    private final GuestCall calls;
    private int depth;
    private boolean broken;
    private boolean closed;

    /** Makes and starts an instance. */
    WasmInstance(String file, GuestCode code, WasmOptions options) {
        this.file = file;
        this.options = options;
        this.host = options.imports.isEmpty() ? null : new HostCalls(options.imports, this);
        this.guest = code.newGuest(options.memoryBytes, options.fuel, host);
        this.calls = new GuestCall(file, guest);
        boolean started = false;
        try {
            start();
            started = true;
        } finally {
            if (!started) {
                close();
            }
        }
    }

    private synchronized void start() {
        Watchdog.Limit limit = enter();
        try {
            guest.start();
        } finally {
            leave(limit);
        }
    }

    /**
     * Calls an export and waits for its results. Fuel and deadline of the options are the call's; a call that a host
     * function makes shares those of the call that it is in.
     *
     * @param export name of the exported function
     * @param signature types as in {@link Target#call}
     * @param arguments what the types say
     * @return null for no result, one boxed value, string or array for one result, {@code Object[]} for several
     * @throws NullPointerException an argument is null
     * @throws Trap the guest trapped
     * @throws IllegalArgumentException the call does not fit: unknown export, other signature, wrong arguments
     * @throws IllegalStateException the instance is closed, or an earlier call did not return
     * @throws RuntimeException what a host function threw, unchanged, whatever its class
     */
    public synchronized Object call(String export, String signature, Object... arguments) {
        requireOpen();
        if (broken) {
            throw new IllegalStateException(file + ": an earlier call did not return; make a new instance");
        }
        Arguments given = new Arguments(Signature.parse(signature), arguments);
        Watchdog.Limit limit = enter();
        boolean returned = false;
        try {
            Object result = calls.run(export, given);
            returned = true;
            return result;
        } catch (IllegalArgumentException misfit) {
            returned = host == null || !host.hasThrown(misfit); // the guest was not entered
            throw misfit;
        } finally {
            broken |= !returned;
            leave(limit);
        }
    }

    /** Tells whether the module exports a function of this name. */
    public synchronized boolean hasFunction(String export) {
        requireOpen();
        return guest.has(export);
    }

    /** Returns the size of the memory that the module exports as {@code memory}, in bytes; 0 if it exports none. */
    public synchronized long memoryBytes() {
        requireOpen();
        return guest.memoryBytes();
    }

    /**
     * Copies out of the guest's memory.
     *
     * @param address of the first byte; 0 or more
     * @param bytes how many; 0 or more
     * @throws IndexOutOfBoundsException that is not all inside of the memory
     * @throws IllegalStateException the instance is closed
     */
    public synchronized byte[] readMemory(long address, int bytes) {
        requireInside(address, bytes);
        return bytes == 0 ? new byte[0] : calls.read("memory", address, bytes);
    }

    /**
     * Copies into the guest's memory.
     *
     * @param address of the first byte; 0 or more
     * @throws IndexOutOfBoundsException that is not all inside of the memory; then nothing is written
     * @throws IllegalStateException the instance is closed
     */
    public synchronized void writeMemory(long address, byte[] data) {
        requireInside(address, data.length);
        if (data.length > 0) {
            guest.write(file, address, data);
        }
    }

    /** Copies a string or list that the guest gave a host function. */
    Object lift(ValueType type, long address, long count) {
        return calls.load("an import", type, address, count);
    }

    /**
     * Frees the instance; waits until a call of another thread has ended. Closing again does nothing.
     *
     * @throws IllegalStateException a host function that the instance calls tries it
     */
    @Override
    public synchronized void close() {
        if (depth > 0) {
            throw new IllegalStateException(file + ": a host function cannot close the instance that calls it");
        }
        if (!closed) {
            guest.free();
            closed = true;
        }
    }

    /** Begins the limits of an outermost call; null if there are none. */
    private Watchdog.Limit enter() {
        boolean limited = depth++ == 0 && options.deadlineNanos > 0;
        return limited ? Watchdog.SHARED.arm(guest, options.deadlineNanos) : null;
    }

    private void leave(Watchdog.Limit limit) {
        depth--;
        if (limit != null) {
            Watchdog.SHARED.disarm(limit);
        }
        byte[] output = depth > 0 ? null : guest.output();
        if (output != null) {
            options.output.onOutput(output);
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException(file + ": the instance is closed");
        }
    }

    private void requireInside(long address, int bytes) {
        requireOpen();
        long size = guest.memoryBytes();
        if (address < 0 || bytes < 0 || address > size - bytes) {
            throw new IndexOutOfBoundsException(
                file + ": " + bytes + " bytes at " + address + " are not inside of the memory's " + size);
        }
    }
}
