package dev.lawow;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;

/**
 * Compiled code in a private folder, so that a module is compiled once and not at each start of the app. On Android it is
 * {@code code_cache/lawow}, which the system empties when the app is updated; elsewhere there is none unless {@link
 * Configuration} names one. A cache that cannot be read or written costs time and nothing else.
 */
final class CodeCache {
    /** What all files together may have; the oldest go first. */
    private static final long MOST_BYTES = 64L << 20;

    private static final String SUFFIX = ".cwasm";

    private final File folder;
    private final String suffix;

    CodeCache(File folder) {
        this(folder, SUFFIX);
    }

    private CodeCache(File folder, String suffix) {
        this.folder = folder;
        this.suffix = suffix;
    }

    /** Returns the same folder for other small files, which never go to make room. */
    CodeCache withSuffix(String other) {
        return new CodeCache(folder, other);
    }

    /** Returns the cache that the configuration names, or Android's, or null if there is none. */
    static CodeCache of(Configuration configuration) {
        String path = configuration.cache();
        if (path != null) {
            return new CodeCache(new File(path));
        }
        boolean isAndroid = LocalEngine.androidApi() != Integer.MAX_VALUE;
        File folder = isAndroid ? codeCacheFolder(System.getProperty("java.io.tmpdir")) : null;
        return folder == null ? null : new CodeCache(folder);
    }

    /**
     * Returns where Context.getCodeCacheDir() is, without a Context: beside the app's cache folder, which Android sets as
     * the temporary folder of its process. Null if the path is not like that.
     */
    static File codeCacheFolder(String temporaryFolder) {
        File cache = temporaryFolder == null ? null : new File(temporaryFolder);
        boolean isAppsOwn = cache != null && cache.getName().equals("cache") && cache.getParentFile() != null;
        return isAppsOwn ? new File(new File(cache.getParentFile(), "code_cache"), "lawow") : null;
    }

    /** Returns the code that was written under these names, or null if there is none that is whole. */
    byte[] read(String digest, String kind) {
        File file = file(digest, kind);
        byte[] code = null;
        try {
            if (file.length() <= MOST_BYTES && file.isFile()) {
                FileInputStream stream = new FileInputStream(file);
                try {
                    code = CompiledFile.unwrap(digest, ModuleName.readAll(stream));
                } finally {
                    stream.close();
                }
            }
        } catch (IOException error) {
            return null; // the module is compiled again
        }
        if (code == null) {
            remove(digest, kind);
        }
        return code;
    }

    /** Removes what would not load. */
    void remove(String digest, String kind) {
        file(digest, kind).delete();
    }

    /** Writes code, whole or not at all; returns whether it is there. */
    boolean write(String digest, String kind, byte[] code) {
        byte[] data = CompiledFile.wrap(digest, code);
        File temporary = null;
        try {
            if (data.length > MOST_BYTES || !makeFolder()) {
                return false;
            }
            makeRoom(MOST_BYTES - data.length);
            temporary = File.createTempFile("code", ".tmp", folder);
            FileOutputStream stream = new FileOutputStream(temporary);
            try {
                stream.write(data);
                stream.getFD().sync(); // or the name could outlive a crash without the contents
            } finally {
                stream.close();
            }
            return temporary.renameTo(file(digest, kind));
        } catch (IOException error) {
            return false; // a full disk, most likely
        } finally {
            if (temporary != null) {
                temporary.delete(); // it is gone if it was renamed
            }
        }
    }

    private File file(String digest, String kind) {
        return new File(folder, digest + "-" + kind + suffix);
    }

    private boolean makeFolder() {
        if (folder.isDirectory()) {
            return true;
        }
        boolean made = folder.mkdirs();
        return made
            && folder.setReadable(false, false) && folder.setReadable(true, true)
            && folder.setWritable(false, false) && folder.setWritable(true, true)
            && folder.setExecutable(false, false) && folder.setExecutable(true, true);
    }

    private void makeRoom(long allowed) {
        File[] files = folder.listFiles();
        long sum = 0;
        for (File file : files == null ? new File[0] : files) {
            sum += file.length();
        }
        while (sum > allowed) {
            File oldest = oldest();
            if (oldest == null) {
                return;
            }
            sum -= oldest.length();
            if (!oldest.delete()) {
                return;
            }
        }
    }

    private File oldest() {
        File[] files = folder.listFiles();
        File oldest = null;
        for (File file : files == null ? new File[0] : files) {
            if (file.getName().endsWith(SUFFIX) && (oldest == null || file.lastModified() < oldest.lastModified())) {
                oldest = file;
            }
        }
        return oldest;
    }
}
