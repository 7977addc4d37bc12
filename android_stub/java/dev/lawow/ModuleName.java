package dev.lawow;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** The identity of a module, {@code fibonacci.wasm@<sha-256>}, and its bytes inside this app. */
final class ModuleName {
    private static final int DIGEST_DIGITS = 64;
    static final String FOLDER = "/assets/lawow/";

    final String file;
    final String digest;

    private ModuleName(String file, String digest) {
        this.file = file;
        this.digest = digest;
    }

    /** Parses a name. Throws {@link IllegalArgumentException} if it is none. */
    static ModuleName parse(String text) {
        int at = text.lastIndexOf('@');
        String digest = text.substring(at + 1);
        if (at < 1 || text.lastIndexOf('/', at) >= 0 || digest.length() != DIGEST_DIGITS || !Hex.isLower(digest)) {
            throw new IllegalArgumentException("not a module name: " + text);
        }
        return new ModuleName(text.substring(0, at), digest);
    }

    /** Names bytes that are at hand. */
    static ModuleName of(String file, byte[] data) {
        return new ModuleName(file, Hex.encode(sha256(data)));
    }

    /** Reads the module from the app's assets. Throws {@link IllegalStateException} if it is missing or another. */
    byte[] read() {
        byte[] data = readResource(FOLDER + file);
        if (data == null) {
            throw new IllegalStateException(file + ": not among this app's assets (" + FOLDER + ")");
        }
        String found = Hex.encode(sha256(data));
        if (!found.equals(digest)) {
            throw new IllegalStateException(
                file + ": SHA-256 is " + found + ", the binding was made for " + digest + "; run lawow pack again");
        }
        return data;
    }

    /** Reads a class-path resource whole, or returns null if there is none. */
    static byte[] readResource(String path) {
        InputStream stream = ModuleName.class.getResourceAsStream(path);
        if (stream == null) {
            return null;
        }
        try {
            try {
                return readAll(stream);
            } finally {
                stream.close();
            }
        } catch (IOException error) {
            throw new IllegalStateException(path + ": cannot be read: " + error.getMessage(), error);
        }
    }

    static byte[] readAll(InputStream stream) throws IOException {
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
            data.write(buffer, 0, count);
        }
        return data.toByteArray();
    }

    static byte[] sha256(byte[] data) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(data);
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError(error); // every Android and every JDK has it
        }
    }
}
