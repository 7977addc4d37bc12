package dev.lawow;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * What shadow mode has found of moved methods, kept beside the compiled code: on Android in {@code code_cache/lawow}, which
 * the system empties when the app is updated, so that the next version is tried anew. Where nothing can be written, it
 * holds as long as the process.
 */
public final class Mismatches {
    /** Of files that are no code, and so never go to make room for some. */
    private static final String SUFFIX = ".differs";

    private static final String NONE = "";
    private static Mismatches shared;

    final double share;
    private final CodeCache files;
    private final ConcurrentMap<String, String> found = new ConcurrentHashMap<>();

    private Mismatches(Configuration configuration) {
        this.share = configuration.shadow();
        CodeCache cache = CodeCache.of(configuration);
        this.files = cache == null ? null : cache.withSuffix(SUFFIX);
    }

    /** Returns this process's. Throws {@link IllegalStateException} if the configuration is unusable. */
    static synchronized Mismatches shared() {
        if (shared == null) {
            shared = new Mismatches(Configuration.load());
        }
        return shared;
    }

    /** Returns the methods of this process that stay on the device, as sentences without any values. */
    public static List<String> all() {
        List<String> all = new ArrayList<>(shared().found.values());
        all.removeAll(Collections.singleton(NONE));
        return all;
    }

    /** Tells whether the method of this module and export stays here. Looks into its file at the first call. */
    boolean holds(String module, String export) {
        String key = module + " " + export;
        String known = found.get(key);
        if (known == null) {
            ModuleName name = ModuleName.parse(module);
            byte[] data = files == null ? null : files.read(name.digest, kind(export));
            found.putIfAbsent(key, data == null ? NONE : new String(data, StandardCharsets.UTF_8));
            known = found.get(key);
        }
        return !known.equals(NONE);
    }

    /** Keeps the method here from now on. */
    void add(String module, String export, String difference) {
        ModuleName name = ModuleName.parse(module);
        String what = Shadow.report(name.file + ": " + export, difference);
        found.put(module + " " + export, what);
        if (files != null) {
            files.write(name.digest, kind(export), what.getBytes(StandardCharsets.UTF_8));
        }
    }

    /** A name that any file system takes: exports may have any letters. */
    private static String kind(String export) {
        return Hex.encode(ModuleName.sha256(export.getBytes(StandardCharsets.UTF_8)));
    }
}
