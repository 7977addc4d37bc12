import java.io.File;

/** Loads the stand-ins for Android's libraries, if the property {@code lawow.test.shim} names their folder. */
final class Shim {
    private static final String[] LIBRARIES = {"libc.so", "libdl.so", "libm.so", "liblog.so"};

    private Shim() {}

    static void load() {
        String folder = System.getProperty("lawow.test.shim");
        for (String library : folder == null ? new String[0] : LIBRARIES) {
            System.load(new File(folder, library).getAbsolutePath());
        }
    }
}
