package dev.lawow;

import java.io.ByteArrayOutputStream;
import java.security.SecureRandom;
import java.util.HashMap;
import java.util.Map;
import run.endive.runtime.Instance;
import run.endive.runtime.Memory;
import run.endive.runtime.WasmFunctionHandle;

/**
 * WASI preview 1 as far as an app offers it: output, clocks, random numbers and exit; neither files nor arguments, an
 * empty environment, an empty input. Endive's own takes packages that Android lacks. Source: the interface description
 * {@code wasi_snapshot_preview1.witx}.
 */
final class EndiveWasi {
    static final String MODULE = "wasi_snapshot_preview1";

    private static final int OUTPUT_BYTES = 64 << 10;

    /** As many as Linux takes in one call. */
    private static final int MOST_PIECES = 1024;

    private static final long NANOS_PER_MILLI = 1000000L;

    // Error numbers of WASI.
    private static final int SUCCESS = 0;
    private static final int BADF = 8;
    private static final int FAULT = 21;
    private static final int INVAL = 28;
    private static final int NOTSUP = 58;
    private static final int SPIPE = 70;

    /** Every function with its core parameters; all give an error number but {@code proc_exit}. */
    private static final String FUNCTIONS =
        "args_get ii args_sizes_get ii environ_get ii environ_sizes_get ii clock_res_get ii clock_time_get iIi"
            + " fd_advise iIIi fd_allocate iII fd_close i fd_datasync i fd_fdstat_get ii fd_fdstat_set_flags ii"
            + " fd_fdstat_set_rights iII fd_filestat_get ii fd_filestat_set_size iI fd_filestat_set_times iIIi"
            + " fd_pread iiiIi fd_prestat_get ii fd_prestat_dir_name iii fd_pwrite iiiIi fd_read iiii fd_readdir iiiIi"
            + " fd_renumber ii fd_seek iIii fd_sync i fd_tell ii fd_write iiii path_create_directory iii"
            + " path_filestat_get iiiii path_filestat_set_times iiiiIIi path_link iiiiiii path_open iiiiiIIii"
            + " path_readlink iiiiii path_remove_directory iii path_rename iiiiii path_symlink iiiii"
            + " path_unlink_file iii poll_oneoff iiii proc_exit i proc_raise i random_get ii sched_yield -"
            + " sock_accept iii sock_recv iiiiii sock_send iiiii sock_shutdown ii";

    private static final Map<String, String> SIGNATURES = new HashMap<String, String>();

    static {
        String[] words = FUNCTIONS.split(" ");
        for (int at = 0; at < words.length; at += 2) {
            String parameters = words[at + 1].equals("-") ? "" : words[at + 1];
            SIGNATURES.put(words[at], parameters + (words[at].equals("proc_exit") ? ">" : ">i"));
        }
    }

    private final ByteArrayOutputStream written = new ByteArrayOutputStream();
    private Memory memory;

    /** The guest ended itself. */
    static final class Exit extends RuntimeException {
        private static final long serialVersionUID = 1;
        final int status;

        private Exit(int status) {
            super("exit", null, false, false);
            this.status = status;
        }
    }

    /** Returns the type of a function in the letters of {@link Signature}, or null if WASI has none of this name. */
    static String signature(String name) {
        return SIGNATURES.get(name);
    }

    /** Says which memory addresses are of, if the guest exports one. */
    void use(Memory exported) {
        memory = exported;
    }

    /** Takes what the guest wrote since the last time, up to 64 KiB; null for nothing. */
    byte[] output() {
        byte[] bytes = written.size() == 0 ? null : written.toByteArray();
        written.reset();
        return bytes;
    }

    /** Returns a function that {@link #signature} knows. */
    WasmFunctionHandle function(final String name) {
        return new WasmFunctionHandle() {
            @Override
            public long[] apply(Instance caller, long... bits) {
                if (name.equals("proc_exit")) {
                    throw new Exit((int) bits[0]);
                }
                return new long[] {memory == null ? FAULT : perform(name, bits)};
            }
        };
    }

    private int perform(String name, long[] bits) {
        switch (name) {
            case "args_get":
            case "environ_get":
            case "sched_yield":
                return SUCCESS;
            case "args_sizes_get":
            case "environ_sizes_get":
                memory.writeI32((int) bits[0], 0);
                memory.writeI32((int) bits[1], 0);
                return SUCCESS;
            case "clock_res_get":
                return clock((int) bits[0], (int) bits[1], NANOS_PER_MILLI, 1);
            case "clock_time_get":
                return clock(
                    (int) bits[0], (int) bits[2], System.currentTimeMillis() * NANOS_PER_MILLI, System.nanoTime());
            case "random_get":
                return random((int) bits[0], (int) bits[1]);
            case "fd_write":
                return write((int) bits[0], (int) bits[1], (int) bits[2], (int) bits[3]);
            case "fd_read":
                return read((int) bits[0], (int) bits[3]);
            case "fd_fdstat_get":
                return describe((int) bits[0], (int) bits[1]);
            case "fd_close":
                return isStream((int) bits[0]) ? SUCCESS : BADF;
            case "fd_seek":
            case "fd_tell":
                return isStream((int) bits[0]) ? SPIPE : BADF;
            default:
                return name.startsWith("fd_") || name.startsWith("path_") || name.startsWith("sock_") ? BADF : NOTSUP;
        }
    }

    private boolean isInside(int address, int bytes) {
        long end = Integer.toUnsignedLong(address) + bytes;
        return bytes >= 0 && end <= (long) memory.pages() * Memory.PAGE_SIZE;
    }

    private static boolean isStream(int descriptor) {
        return descriptor >= 0 && descriptor <= 2;
    }

    private int clock(int id, int address, long wall, long monotonic) {
        if (id != 0 && id != 1) {
            return INVAL;
        }
        memory.writeLong(address, id == 0 ? wall : monotonic);
        return SUCCESS;
    }

    private int random(int address, int bytes) {
        if (!isInside(address, bytes)) {
            return FAULT;
        }
        byte[] random = new byte[bytes];
        new SecureRandom().nextBytes(random);
        memory.write(address, random);
        return SUCCESS;
    }

    /** Takes the pieces; what is beyond 64 KiB in one call of the app is dropped, and the guest does not notice. */
    private int write(int descriptor, int pieces, int count, int result) {
        if (descriptor != 1 && descriptor != 2) {
            return BADF;
        }
        if (count < 0 || count > MOST_PIECES) {
            return INVAL;
        }
        int sum = 0;
        for (int at = 0; at < count; at++) {
            int address = memory.readInt(pieces + 8 * at);
            int bytes = memory.readInt(pieces + 8 * at + 4);
            if (!isInside(address, bytes)) {
                return FAULT;
            }
            byte[] piece = memory.readBytes(address, Math.min(bytes, OUTPUT_BYTES - written.size()));
            written.write(piece, 0, piece.length);
            sum += bytes;
        }
        memory.writeI32(result, sum);
        return SUCCESS;
    }

    private int read(int descriptor, int result) {
        if (descriptor != 0) {
            return BADF;
        }
        memory.writeI32(result, 0);
        return SUCCESS;
    }

    /** Says that a stream is a terminal, so that C libraries write line by line. */
    private int describe(int descriptor, int address) {
        if (!isStream(descriptor)) {
            return BADF;
        }
        memory.writeLong(address, 2); // a character device, without flags
        memory.writeLong(address + 8, descriptor == 0 ? 1 << 1 : 1 << 6); // the right to read, or to write
        memory.writeLong(address + 16, 0);
        return SUCCESS;
    }
}
