package dev.lawow;

/**
 * The entry points that generated classes use. Each of the two targets is made on first use and lives as long as the
 * process; all methods may be called from any thread.
 */
public final class Lawow {
    /** What {@link #elastic} returns when the caller is to run its local version. */
    public static final Object LOCAL = new Object();

    private static final Object LOCK = new Object();
    private static volatile Target local;
    private static volatile RemoteClient remote;
    private static volatile Elastic elastic;
    private static final ThreadLocal<Timing> LAST = new ThreadLocal<>();

    private Lawow() {}

    /**
     * Returns what runs modules inside this app: a WebAssembly runtime, or their functions as native code if the app was
     * packed so.
     *
     * @throws IllegalStateException the native libraries are missing or do not fit
     */
    public static Target local() {
        Target target = local;
        if (target == null) {
            synchronized (LOCK) {
                if (local == null) {
                    Configuration configuration = Configuration.load();
                    local = configuration.isNative() ? new NativeRuntime(configuration) : new LocalRuntime(configuration);
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
        return remoteClient();
    }

    static RemoteClient remoteClient() {
        RemoteClient client = remote;
        if (client == null) {
            synchronized (LOCK) {
                if (remote == null) {
                    remote = new RemoteClient(Configuration.load());
                }
                client = remote;
            }
        }
        return client;
    }

    private static Elastic elastic() {
        Elastic chooser = elastic;
        if (chooser == null) {
            synchronized (LOCK) {
                if (elastic == null) {
                    elastic = new Elastic(Configuration.load());
                }
                chooser = elastic;
            }
        }
        return chooser;
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

    /**
     * Runs an export on the edge in the one instance that belongs to {@code self}, so that what the guest keeps in its
     * memory is there at the next call. The instance is made at the first call, and closed by {@link #closeInstance} or
     * when {@code self} is collected.
     *
     * @throws IllegalStateException the instance is closed
     * @throws RemoteException as {@link Target#call}; {@code session-lost} or {@code not-found} when the edge has
     *     dropped the instance and its state with it, which every later call then throws too
     */
    public static Object remoteInstance(
            Object self, String module, String export, String signature, Object[] arguments) {
        return remoteClient().callInstance(self, module, export, signature, arguments);
    }

    /** Closes the instance of {@code self} on the edge, if it has one. Returns at once and does no I/O here. */
    public static void closeInstance(Object self) {
        RemoteClient client = remote;
        if (client != null) {
            client.instances().of(self).close();
        }
    }

    /**
     * Runs an export on the edge, or returns {@link #LOCAL} when the caller is to run its own version: {@link
     * Configuration} asks for it, or the edge is out of reach and the call may run again.
     */
    public static Object elastic(String module, String export, String signature, Object[] arguments) {
        return elastic().call(module, export, signature, arguments);
    }

    /** The same for an object with state, which lives where its first call ran. */
    public static Object elasticInstance(
            Object self, String module, String export, String signature, Object[] arguments) {
        return elastic().callInstance(self, module, export, signature, arguments);
    }

    /**
     * Stands in for {@link System#loadLibrary} in classes whose methods moved to the edge: the libraries of the local
     * runtime need not be there any more.
     *
     * @throws UnsatisfiedLinkError as {@code System.loadLibrary}, for any other library
     */
    public static void loadLibrary(String name) {
        try {
            System.loadLibrary(name);
        } catch (UnsatisfiedLinkError error) {
            if (!name.equals("lawow") && !name.equals("wasmtime")) {
                throw error;
            }
        }
    }
}
