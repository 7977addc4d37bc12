package dev.lawow;

import java.io.IOException;
import java.io.StringReader;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Properties;

/**
 * What the app's owner may set. Each value comes from the system property {@code lawow.<key>} or else from the
 * properties file {@code assets/lawow/edge.properties} (UTF-8, key without {@code lawow.}).
 *
 * <table>
 *   <caption>Keys</caption>
 *   <tr><td>edge</td><td>URL of the edge; https, or http to this machine itself</td></tr>
 *   <tr><td>token</td><td>bearer token of the edge</td></tr>
 *   <tr><td>certificate.sha256</td><td>SHA-256 of the edge's own certificate; nothing else is trusted then</td></tr>
 *   <tr><td>timeout.seconds</td><td>longest time for a call, connecting included; 30 for the edge if not set, and
 *     without end on this device if not set</td></tr>
 *   <tr><td>mode</td><td>where elastic methods run: {@code remote} (the edge or nowhere), {@code local} (this device),
 *     or {@code auto} (the edge, and this device when the edge is out of reach), which it is if not set</td></tr>
 *   <tr><td>pure</td><td>SHA-256 of the modules whose calls may run twice, separated by spaces</td></tr>
 *   <tr><td>shadow</td><td>share of calls, up to 1, that {@link ShadowedCall} compares; none if not set</td></tr>
 *   <tr><td>response.bytes</td><td>longest string or list that a call may return from the edge; 16777216 if not
 *     set</td></tr>
 *   <tr><td>memory.bytes</td><td>most linear memory of one instance on this device; 268435456 if not set</td></tr>
 *   <tr><td>fuel</td><td>most instructions, roughly, of one call on this device; without end if not set</td></tr>
 *   <tr><td>engine</td><td>{@code native} or {@code pulley} (an interpreter, many times slower)</td></tr>
 *   <tr><td>cache</td><td>private folder for compiled code, where nobody else may write; the app's code cache if not set,
 *     and none on a JVM that is not Android's</td></tr>
 *   <tr><td>local</td><td>what calls on this device run: {@code wasm}, which it is if not set, {@code java} (the same by an
 *     interpreter in Java), or {@code native}, the modules' functions compiled for this processor; {@code lawow pack} sets it
 *     in {@code local.properties}</td></tr>
 *   <tr><td>native</td><td>folder of liblawownative and the modules' libraries, for a JVM that is not Android's</td></tr>
 *   <tr><td>library, wasmtime</td><td>paths of liblawow and of the engine's library that it opens, for a JVM that is not
 *     Android's</td></tr>
 * </table>
 */
public final class Configuration {
    static final String RESOURCE = "/assets/lawow/edge.properties";

    /** What {@code lawow pack} alone writes; the app's own file and properties win. */
    static final String PACKED = "/assets/lawow/local.properties";

    private static final String DEFAULT_EDGE = "https://127.0.0.1:8443";
    private static final int REMOTE_TIMEOUT_SECONDS = 30;
    private static final int MAXIMUM_TIMEOUT_SECONDS = 24 * 60 * 60;
    private static final long MEMORY_BYTES = 256L << 20;
    private static final int PIN_DIGITS = 64;
    private static final int RESPONSE_BYTES = 16 << 20;
    private static final int MOST_RESPONSE_BYTES = 1 << 30;

    private final Properties file;

    private Configuration(Properties file) {
        this.file = file;
    }

    /** Reads the system properties and the app's file. Throws {@link IllegalStateException} if the file is broken. */
    public static Configuration load() {
        return new Configuration(read(RESOURCE, read(PACKED, null)));
    }

    /** Reads a file of properties, if there is one; {@code defaults} stand for what it lacks. */
    private static Properties read(String resource, Properties defaults) {
        Properties file = new Properties(defaults);
        byte[] data = ModuleName.readResource(resource);
        if (data != null) {
            try {
                file.load(new StringReader(new String(data, StandardCharsets.UTF_8)));
            } catch (IOException error) {
                throw new AssertionError(error); // a string does no I/O
            } catch (IllegalArgumentException error) {
                throw new IllegalStateException(resource + ": " + error.getMessage(), error);
            }
        }
        return file;
    }

    /**
     * Returns the edge's address: scheme, host and port, perhaps a path without a slash at its end.
     *
     * @throws IllegalStateException it is not such an address, or it is plain http to another machine
     */
    public URI edge() {
        String text = text("edge", DEFAULT_EDGE);
        URI edge;
        try {
            edge = new URI(text.endsWith("/") ? text.substring(0, text.length() - 1) : text);
        } catch (URISyntaxException error) {
            throw bad("edge", text, "a URL");
        }
        boolean plain = edge.getRawQuery() == null && edge.getRawFragment() == null && edge.getRawUserInfo() == null;
        if (edge.getHost() == null || !plain) {
            throw bad("edge", text, "https://HOST:PORT");
        }
        String scheme = edge.getScheme().toLowerCase(Locale.ROOT);
        if (scheme.equals("https") || scheme.equals("http") && isLoopback(edge.getHost())) {
            return edge;
        }
        throw bad("edge", text, "https://HOST:PORT (http only for 127.0.0.1, because the token would be readable)");
    }

    static boolean isLoopback(String host) {
        // Only spellings that need no name server: whoever controls the answer would get the token.
        return host.equals("localhost") || host.equals("[::1]") || host.equals("::1") || host.matches("127(\\.[0-9]{1,3}){3}");
    }

    /** Returns the bearer token, or null. */
    public String token() {
        String token = text("token", null);
        if (token != null && !token.matches("[\\x21-\\x7e]+")) {
            throw new IllegalStateException("token: holds characters that no token has");
        }
        return token;
    }

    /** Returns the SHA-256 of the only certificate to trust as 64 lower-case digits, or null. */
    public String certificateSha256() {
        String text = text("certificate.sha256", null);
        if (text == null) {
            return null;
        }
        String digits = text.replace(":", "").toLowerCase(Locale.ROOT);
        if (digits.length() != PIN_DIGITS || !Hex.isLower(digits)) {
            throw bad("certificate.sha256", text, "64 hexadecimal digits");
        }
        return digits;
    }

    /** Returns where elastic methods run: {@code remote}, {@code local} or {@code auto}. */
    String mode() {
        String text = text("mode", "auto");
        if (text.equals("remote") || text.equals("local") || text.equals("auto")) {
            return text;
        }
        throw bad("mode", text, "remote, local or auto");
    }

    /** Tells whether calls of the module with this digest may run twice. */
    boolean isPure(String digest) {
        return (" " + text("pure", "") + " ").contains(" " + digest + " ");
    }

    /** Returns which share of the calls of shadowed methods is compared, from 0 to 1. */
    double shadow() {
        String text = text("shadow", "0");
        try {
            double share = Double.parseDouble(text);
            if (share >= 0 && share <= 1) {
                return share;
            }
        } catch (NumberFormatException error) {
            throw bad("shadow", text, "a number from 0 to 1");
        }
        throw bad("shadow", text, "0 to 1");
    }

    /** Returns how many bytes a string or list may have that a call returns from the edge. */
    int responseBytes() {
        return (int) number("response.bytes", RESPONSE_BYTES, MOST_RESPONSE_BYTES);
    }

    /** Returns the time limit of a remote call in milliseconds. */
    int remoteTimeoutMillis() {
        int seconds = (int) number("timeout.seconds", REMOTE_TIMEOUT_SECONDS, MAXIMUM_TIMEOUT_SECONDS);
        return 1000 * seconds;
    }

    /** Returns the time limit of a local call in nanoseconds, or 0 for none. */
    long localTimeoutNanos() {
        return 1000000000L * number("timeout.seconds", 0, MAXIMUM_TIMEOUT_SECONDS);
    }

    /** Returns the most linear memory that one local instance may have, in bytes. */
    long memoryBytes() {
        return number("memory.bytes", MEMORY_BYTES, Long.MAX_VALUE);
    }

    /** Returns the fuel of one local call, or 0 for no limit. */
    long fuel() {
        return number("fuel", 0, Long.MAX_VALUE);
    }

    /** Tells which engine the owner asks for: {@code native}, {@code pulley}, or null. */
    String engine() {
        String text = text("engine", null);
        if (text == null || text.equals("native") || text.equals("pulley")) {
            return text;
        }
        throw bad("engine", text, "native or pulley");
    }

    /** Tells whether calls on this device run functions that were compiled for its processor, not WebAssembly. */
    boolean isNative() {
        return local().equals("native");
    }

    /** Tells whether what runs WebAssembly on this device is written in Java, so that the app needs no native library. */
    boolean isJava() {
        return local().equals("java");
    }

    private String local() {
        String text = text("local", "wasm");
        if (text.equals("wasm") || text.equals("native") || text.equals("java")) {
            return text;
        }
        throw bad("local", text, "wasm, native or java");
    }

    /** Throws {@link IllegalStateException} if a limit is set that native code cannot be held to. */
    void requireUnlimited() {
        for (String key : new String[] {"memory.bytes", "fuel", "engine"}) {
            if (text(key, null) != null) {
                throw new IllegalStateException(
                    key + ": is set, but this app's modules are native code, which nothing can hold to it; remove it, or"
                        + " pack with --local wasm");
            }
        }
    }

    /** Returns the folder of the libraries of native modules, or null for those in the app. */
    String nativeFolder() {
        return text("native", null);
    }

    /** Returns the folder for compiled code that the owner asks for, or null. */
    String cache() {
        return text("cache", null);
    }

    /** Returns the path of liblawow, or null for the one in the app. */
    String library() {
        return text("library", null);
    }

    /** Returns the path of the engine's library, or null for the one in the app. */
    String wasmtime() {
        return text("wasmtime", null);
    }

    private String text(String key, String otherwise) {
        String value = System.getProperty("lawow." + key);
        if (value == null) {
            value = file.getProperty(key);
        }
        return value == null || value.trim().isEmpty() ? otherwise : value.trim();
    }

    private long number(String key, long otherwise, long maximum) {
        String text = text(key, null);
        if (text == null) {
            return otherwise;
        }
        try {
            long value = Long.parseLong(text);
            if (value > 0 && value <= maximum) {
                return value;
            }
        } catch (NumberFormatException error) {
            throw bad(key, text, "a whole number above 0");
        }
        throw bad(key, text, "1 to " + maximum);
    }

    private static IllegalStateException bad(String key, String found, String allowed) {
        return new IllegalStateException(key + ": found " + found + ", allowed is " + allowed);
    }
}
