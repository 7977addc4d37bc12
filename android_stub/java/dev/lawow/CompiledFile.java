package dev.lawow;

import java.util.Arrays;

/**
 * Compiled code as a file: the ten bytes {@code LAWOWCODE1}, the SHA-256 of the module, the SHA-256 of the code, the
 * code. The digests find damage and mix-ups. Against who can write where the file lies they are nothing, so such files
 * come from the app itself or from its private folder only. Whether the code fits version, processor and settings of the
 * engine, the engine checks.
 */
final class CompiledFile {
    private static final byte[] MAGIC = Native.utf8("LAWOWCODE1");
    private static final int DIGEST_BYTES = 32;
    private static final int HEADER_BYTES = MAGIC.length + 2 * DIGEST_BYTES;

    private CompiledFile() {}

    /** Returns the file of the code that a module with this digest (64 hexadecimal digits) was compiled to. */
    static byte[] wrap(String moduleDigest, byte[] code) {
        byte[] file = Arrays.copyOf(header(moduleDigest, code), HEADER_BYTES + code.length);
        System.arraycopy(code, 0, file, HEADER_BYTES, code.length);
        return file;
    }

    /** Returns the code, or null if the file is damaged or of another module. */
    static byte[] unwrap(String moduleDigest, byte[] file) {
        if (file.length < HEADER_BYTES) {
            return null;
        }
        byte[] code = Arrays.copyOfRange(file, HEADER_BYTES, file.length);
        boolean fits = Arrays.equals(header(moduleDigest, code), Arrays.copyOf(file, HEADER_BYTES));
        return fits ? code : null;
    }

    private static byte[] header(String moduleDigest, byte[] code) {
        byte[] header = Arrays.copyOf(MAGIC, HEADER_BYTES);
        System.arraycopy(Hex.decode(moduleDigest), 0, header, MAGIC.length, DIGEST_BYTES);
        System.arraycopy(ModuleName.sha256(code), 0, header, MAGIC.length + DIGEST_BYTES, DIGEST_BYTES);
        return header;
    }
}
