package dev.lawow;

/**
 * The entry points that generated classes use. Each of the two targets is made on first use and lives as long as the
 * process; all methods may be called from any thread.
 */
public final class Lawow {
    private static final Object LOCK = new Object();
    private static volatile Target local;
    private static volatile Target remote;
    private static final ThreadLocal<Timing> LAST = new ThreadLocal<>();

    private Lawow() {}

    /**
     * Returns the WebAssembly runtime inside this app.
     *
     * @throws IllegalStateException the native libraries are missing or do not fit
     */
    public static Target local() {
        Target target = local;
        if (target == null) {
            synchronized (LOCK) {
                if (local == null) {
                    local = new LocalRuntime(Configuration.load());
                }
                target = local;
            }
        }
        return target;
    }

    /**
     * Returns the edge that {@link Configuration} names. Does no I/O.
     *
     * @throws IllegalStateException the configuration is unusable
     */
    public static Target remote() {
        Target target = remote;
        if (target == null) {
            synchronized (LOCK) {
                if (remote == null) {
                    remote = new RemoteClient(Configuration.load());
                }
                target = remote;
            }
        }
        return target;
    }

    /** Returns where the time of this thread's last successful call went, or null before the first one. */
    public static Timing lastTiming() {
        return LAST.get();
    }

    static void setLastTiming(Timing timing) {
        LAST.set(timing);
    }

    /** Runs an export on this device; the same as {@link #local()} with {@link Target#call}. */
    public static Object local(String module, String export, String signature, Object[] arguments) {
        return local().call(module, export, signature, arguments);
    }

    /** Runs an export on the edge; the same as {@link #remote()} with {@link Target#call}. */
    public static Object remote(String module, String export, String signature, Object[] arguments) {
        return remote().call(module, export, signature, arguments);
    }
}
