package dev.lawow;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The functions of liblawow. Handles are addresses: never used after they were freed, never on two threads at once
 * (engines and modules excepted). A function that fails leaves a record in {@code failure[0]}: two little-endian
 * 32-bit numbers, code and exit status, then a message in UTF-8. The library looks up no Java name but {@link #hostCall},
 * so that a shrinker may rename everything but this class, its native methods (which the usual rules keep), and that one.
 */
final class Native {
    static final int FUEL = 1;
    static final int DEADLINES = 2;
    static final int PULLEY = 4;

    /** The version of libwasmtime that compiled code is bound to; the glue to it refuses any other. */
    static final String RUNTIME = "50.0";

    private static final int ERROR = -1;
    private static final int EXIT = -2;
    private static final int MISFIT = -3;
    private static final int RECORD_BYTES = 8;
    private static final String CAUSE = "wasm trap: ";

    private Native() {}

    /** Opens the engine's library (null: by name) if that has not happened yet, and makes an engine. */
    static native long engineNew(byte[] library, int flags, long stackBytes, byte[][] failure);

    /** Makes running instances look whether they have expired. Any thread. */
    static native void engineTick(long engine);

    static native long moduleNew(long engine, byte[] wasm, byte[][] failure);

    /**
     * Takes code that {@link #moduleSave} gave, or that the app brings: machine code that is run as it is, so it must come
     * from a safe place. WasmEdge takes modules that {@code lawow pack} has prepared, and saves nothing.
     */
    static native long moduleLoad(long engine, byte[] compiled, byte[][] failure);

    static native byte[] moduleSave(long module, byte[][] failure);

    /** Frees a module; its instances are not affected. */
    static native void moduleFree(long module);

    /** Makes a linker that offers WASI. */
    static native long linkerNew(long engine, byte[][] failure);

    /** Offers the host function of this number to modules; the signature has numbers only. */
    static native void linkerDefine(
            long linker, byte[] module, byte[] name, byte[] signature, int index, byte[][] failure);

    /** Frees a linker; instances are not affected. */
    static native void linkerFree(long linker);

    /** Makes an empty store; nothing of the guest runs yet. */
    static native long instanceNew(long engine, long memoryBytes, byte[][] failure);

    /** Begins a time limit that {@link #instanceExpire} ends. */
    static native void instanceArm(long instance);

    /** Interrupts the guest at the next {@link #engineTick}. Any thread, while the instance exists. */
    static native void instanceExpire(long instance);

    /**
     * Instantiates with a linker (0: WASI without files and arguments), runs the start function and {@code _initialize}.
     * {@code host} is given to {@link #hostCall}.
     */
    static native void instanceStart(
            long instance, long linker, long module, long fuel, Object host, byte[][] failure);

    /** Calls an export whose type must be exactly the signature's; returns the results' bits. */
    static native long[] instanceCall(
            long instance, byte[] export, byte[] signature, long[] bits, long fuel, Object host, byte[][] failure);

    /** Called by the library, by this name, when a guest calls a host function; null if it threw. Throws nothing. */
    static long[] hostCall(Object host, int index, long[] bits) {
        return ((HostCalls) host).call(index, bits);
    }

    /** Returns the size of the exported memory; 0 if there is none. */
    static native long instanceMemoryBytes(long instance);

    /** Tells whether the instance exports a function of this name. */
    static native boolean instanceHas(long instance, byte[] export);

    /** Copies out of the guest's memory; beyond its end is a trap. The memory is the export {@code memory}. */
    static native byte[] instanceRead(long instance, long address, int bytes, byte[][] failure);

    /** Copies into the guest's memory; beyond its end is a trap. */
    static native void instanceWrite(long instance, long address, byte[] data, byte[][] failure);

    /** Takes what the guest wrote to its standard output and error since the last time; null for nothing. */
    static native byte[] instanceOutput(long instance);

    static native void instanceFree(long instance);

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Throws what a failure record says, if there is one; {@code subject} begins the message. */
    static void require(byte[][] failure, String subject) {
        byte[] record = failure[0];
        if (record == null) {
            return;
        }
        ByteBuffer numbers = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
        int code = numbers.getInt();
        int status = numbers.getInt();
        String text = new String(record, RECORD_BYTES, record.length - RECORD_BYTES, StandardCharsets.UTF_8);
        String message = subject + ": " + text;
        if (code == ERROR) {
            throw new IllegalStateException(message);
        }
        if (code == MISFIT) {
            throw new IllegalArgumentException(message);
        }
        if (code == EXIT) {
            throw new Trap("exit", subject + ": the guest ended itself with status " + status);
        }
        throw new Trap(Trap.nameOf(code), subject + ": the guest trapped: " + cause(text));
    }

    /** Returns the last line of wasmtime's text: the cause, below the guest's frames. */
    private static String cause(String text) {
        String last = text.trim();
        last = last.substring(last.lastIndexOf('\n') + 1).trim();
        return last.startsWith(CAUSE) ? last.substring(CAUSE.length()) : last;
    }
}
