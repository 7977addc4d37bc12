package dev.lawow;

import java.io.ByteArrayOutputStream;
import java.net.ProtocolException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * The state of an instance that was on the edge, for an instance on this device. What this device can put back is memory:
 * a state in which another global than at the beginning is kept, a table, or a memory that has grown is refused, and
 * nothing has changed then. Compilers of C keep everything in memory; their stack pointer is at its beginning between
 * calls. Defined by docs/state.md, version 1.
 */
public final class InstanceState {
    private static final int MAGIC = 0x5453574c; // LWST
    private static final int VERSION = 1;
    private static final int DIGEST_BYTES = 32;
    private static final int HEADER_BYTES = 76;
    private static final int BLOCK_BYTES = 4096;
    private static final int PAGE_BYTES = 65536;
    private static final int MOST_BYTES = 256 << 20;

    private final byte[] module;
    private final byte[] body;

    private InstanceState(byte[] module, byte[] body) {
        this.module = module;
        this.body = body;
    }

    /**
     * Makes an instance that goes on from a state.
     *
     * @param module the module that the state is of
     * @param state what {@link OffloadHandler#recall} or {@code synchronise} gave; at most 256 MiB when it is inflated
     * @throws IllegalArgumentException the state is damaged, of another module, or has parts that this device cannot put
     *     back; the message says which
     * @throws IllegalStateException the module is missing
     */
    public static WasmInstance restore(WasmModule module, byte[] state) {
        InstanceState read;
        try {
            read = read(state);
        } catch (ProtocolException error) {
            throw new IllegalArgumentException(module + ": " + error.getMessage(), error);
        }
        byte[] wasm = module.bytes();
        if (!MessageDigest.isEqual(read.module, ModuleName.sha256(wasm))) {
            throw new IllegalArgumentException(module + ": the state is of another module");
        }
        WasmInstance instance = module.newInstance();
        boolean restored = false;
        try {
            read.putInto(instance, InitialGlobals.of(wasm));
            restored = true;
            return instance;
        } catch (ProtocolException error) {
            throw new IllegalArgumentException(module + ": " + error.getMessage(), error);
        } catch (BufferUnderflowException error) {
            throw new IllegalArgumentException(module + ": the state ends too early", error);
        } finally {
            if (!restored) {
                instance.close();
            }
        }
    }

    /** Checks the header and the digest, and inflates the body. */
    private static InstanceState read(byte[] state) throws ProtocolException {
        if (state.length < HEADER_BYTES + DIGEST_BYTES) {
            throw new ProtocolException("the state ends too early");
        }
        ByteBuffer head = ByteBuffer.wrap(state).order(ByteOrder.LITTLE_ENDIAN);
        if (head.getInt() != MAGIC || head.getInt() != VERSION) {
            throw new ProtocolException("not a whole state of version " + VERSION);
        }
        byte[] module = new byte[DIGEST_BYTES];
        head.get(module);
        head.position(head.position() + DIGEST_BYTES);
        int size = head.getInt();
        if (size < 0 || size > MOST_BYTES) {
            throw new ProtocolException("a state of " + (size & 0xffffffffL) + " bytes (allowed " + MOST_BYTES + ")");
        }
        byte[] body = inflate(state, size);
        byte[] digest = Arrays.copyOfRange(state, state.length - DIGEST_BYTES, state.length);
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(state, 0, HEADER_BYTES);
        all.write(body, 0, body.length);
        if (!MessageDigest.isEqual(digest, ModuleName.sha256(all.toByteArray()))) {
            throw new ProtocolException("the state is damaged: it has another digest than it says");
        }
        return new InstanceState(module, body);
    }

    private static byte[] inflate(byte[] state, int size) throws ProtocolException {
        Inflater inflater = new Inflater();
        inflater.setInput(state, HEADER_BYTES, state.length - HEADER_BYTES - DIGEST_BYTES);
        byte[] body = new byte[size];
        byte[] beyond = new byte[1];
        try {
            int count = 0;
            for (int more = 1; more > 0 && count < size; count += more) {
                more = inflater.inflate(body, count, size - count);
            }
            if (count == size && inflater.inflate(beyond) == 0 && inflater.finished() && inflater.getRemaining() == 0) {
                return body;
            }
        } catch (DataFormatException error) {
            throw new ProtocolException("the state is damaged: " + error.getMessage());
        } finally {
            inflater.end();
        }
        throw new ProtocolException("the state is damaged: its body has another length than it says");
    }

    /** Compares what cannot be put back, then writes the blocks; all is checked before anything is written. */
    private void putInto(WasmInstance instance, Map<Long, byte[]> globals) throws ProtocolException {
        ByteBuffer reader = ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        requireGlobals(reader, globals);
        if (reader.getInt() != 0) {
            throw new ProtocolException("the state has a table, which this device cannot put back");
        }
        int memories = reader.getInt();
        long bytes = instance.memoryBytes();
        int blocks = 0;
        if (memories == 1) {
            reader.getInt();
            long pages = reader.getInt() & 0xffffffffL;
            blocks = reader.getInt() == 0 ? reader.getInt() : -1;
            if (pages * PAGE_BYTES != bytes) {
                throw new ProtocolException("the state's memory has " + pages + " pages, and has grown or is another one");
            }
        }
        if (memories > 1 || blocks < 0 || reader.remaining() != blocks * (4L + BLOCK_BYTES)) {
            throw new ProtocolException("the state has parts that this device cannot put back");
        }
        putBlocks(instance, reader, blocks, bytes / BLOCK_BYTES);
    }

    private static void putBlocks(WasmInstance instance, ByteBuffer reader, int blocks, long end) throws ProtocolException {
        long[] numbers = new long[blocks];
        for (int at = 0; at < blocks; at++) {
            numbers[at] = reader.getInt() & 0xffffffffL;
            if (numbers[at] >= end || at > 0 && numbers[at] <= numbers[at - 1]) {
                throw new ProtocolException("the state has block " + numbers[at] + " out of order or out of range");
            }
        }
        byte[] block = new byte[BLOCK_BYTES];
        for (long number : numbers) {
            reader.get(block);
            instance.writeMemory(number * BLOCK_BYTES, block);
        }
    }

    private static void requireGlobals(ByteBuffer reader, Map<Long, byte[]> globals) throws ProtocolException {
        int count = reader.getInt();
        if (count != globals.size()) {
            throw new ProtocolException("the state has " + count + " globals, the module " + globals.size());
        }
        Map<Long, byte[]> seen = new HashMap<>();
        for (int left = count; left > 0; left--) {
            long index = reader.getInt() & 0xffffffffL;
            byte[] value = new byte[InitialGlobals.BYTES];
            reader.get(value);
            if (seen.put(index, value) != null || !Arrays.equals(value, globals.get(index))) {
                throw new ProtocolException(
                    "global " + index + " is not as at the beginning, which this device cannot put back");
            }
        }
    }
}
