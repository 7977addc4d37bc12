import dev.lawow.HostFunction;
import dev.lawow.OutputListener;
import dev.lawow.Trap;
import dev.lawow.WasmInstance;
import dev.lawow.WasmModule;
import dev.lawow.WasmOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;

/** What an app does with modules and instances of its own. usage: Modules SCENARIO; prints "all good". */
public final class Modules {
    private static final String HOST = "host.wasm";

    public static void main(String[] arguments) throws Exception {
        Shim.load();
        switch (arguments[0]) {
            case "state":
                keepsState();
                break;
            case "memory":
                readsAndWritesMemory();
                break;
            case "limits":
                keepsLimits();
                break;
            case "host":
                callsTheApp();
                break;
            case "exceptions":
                passesExceptions();
                break;
            case "reentry":
                callsBack();
                break;
            case "output":
                passesOutput();
                break;
            case "closing":
                closesInOrder();
                break;
            case "threads":
                runsManyInstances();
                break;
            case "traps":
                trapsOften(Integer.parseInt(arguments[1]));
                break;
            default:
                throw new IllegalArgumentException(arguments[0]);
        }
        System.out.println("all good");
    }

    private static void check(String what, boolean isSo) {
        if (!isSo) {
            throw new AssertionError(what);
        }
    }

    /** What a scenario expects to be thrown. */
    interface Action {
        void run() throws Exception;
    }

    private static <T extends Throwable> T thrown(Class<T> type, Action action) {
        try {
            action.run();
        } catch (Throwable error) {
            check("found " + error + ", wanted " + type, type.isInstance(error));
            return type.cast(error);
        }
        throw new AssertionError("nothing was thrown, wanted " + type);
    }

    private static void trap(String code, Action action) {
        Trap trap = thrown(Trap.class, action);
        check("found " + trap.code() + ", wanted " + code, trap.code().equals(code));
    }

    private static WasmOptions.Builder hosted(final List<String> heard) {
        return new WasmOptions.Builder()
            .hostFunction("env", "log", "S>", new HostFunction() {
                @Override
                public Object call(WasmInstance caller, Object[] arguments) {
                    heard.add((String) arguments[0]);
                    return "ignored";
                }
            })
            .hostFunction("env", "mix", "iIfF>F", new HostFunction() {
                @Override
                public Object call(WasmInstance caller, Object[] arguments) {
                    return (Double) arguments[3] + (Float) arguments[2] + (Long) arguments[1] + (Integer) arguments[0];
                }
            })
            .hostFunction("env", "swap", "iI>Ii", new HostFunction() {
                @Override
                public Object call(WasmInstance caller, Object[] arguments) {
                    return new Object[] {arguments[1], arguments[0]};
                }
            });
    }

    private static WasmOptions.Builder with(final HostFunction action) {
        return hosted(new ArrayList<String>()).hostFunction("env", "act", "i>i", action);
    }

    private static final HostFunction NOTHING = new HostFunction() {
        @Override
        public Object call(WasmInstance caller, Object[] arguments) {
            return 0;
        }
    };

    private static void keepsState() throws Exception {
        try (WasmModule module = WasmModule.load("calls.wasm", WasmOptions.defaults());
            WasmInstance one = module.newInstance(); WasmInstance other = module.newInstance()) {
            check("first", one.call("count", ">i").equals(1) && one.call("count", ">i").equals(2));
            check("other", other.call("count", ">i").equals(1));
            check("names", one.hasFunction("fib") && !one.hasFunction("memory") && !one.hasFunction("gone"));
            thrown(IllegalArgumentException.class, () -> one.call("gone", ">"));
            thrown(IllegalArgumentException.class, () -> one.call("fib", "I>I", 1));
            check("a call that does not fit changes nothing", one.call("count", ">i").equals(3));
            trap("unreachable", () -> one.call("unreach", ">"));
            thrown(IllegalStateException.class, () -> one.call("count", ">i"));
            check("memory after a trap", one.readMemory(0, 4).length == 4);
        }
        WasmModule late = WasmModule.loadInBackground("calls.wasm", WasmOptions.defaults()).get();
        check("background", late.newInstance().call("fib", "I>I", 10L).equals(55L));
        Throwable cause = thrown(ExecutionException.class,
            () -> WasmModule.loadInBackground("gone.wasm", WasmOptions.defaults()).get()).getCause();
        check("missing", cause.getMessage().startsWith("gone.wasm: not among this app's assets"));
        thrown(IllegalStateException.class, () -> WasmModule.load("../calls.wasm", WasmOptions.defaults()));
        thrown(IllegalStateException.class,
            () -> WasmModule.compile("text", "no module".getBytes(StandardCharsets.US_ASCII), WasmOptions.defaults()));
    }

    private static void readsAndWritesMemory() {
        try (WasmModule module = WasmModule.load("calls.wasm", WasmOptions.defaults());
            WasmInstance instance = module.newInstance()) {
            check("size", instance.memoryBytes() == 65536);
            instance.writeMemory(65532, new byte[] {1, 2, 3, 4});
            check("read", Arrays.equals(instance.readMemory(65533, 3), new byte[] {2, 3, 4}));
            check("the guest sees it", instance.call("load", "i>i", 65532).equals(0x04030201));
            check("nothing at the end", instance.readMemory(65536, 0).length == 0);
            instance.call("grow", "i>i", 2);
            check("grown", instance.memoryBytes() == 3 * 65536 && instance.readMemory(3 * 65536 - 1, 1)[0] == 0);
            long[][] outside = {{-1, 1}, {3 * 65536, 1}, {3 * 65536 - 1, 2}, {Long.MAX_VALUE, 1}, {0, -1}, {Long.MIN_VALUE, 0}};
            for (long[] place : outside) {
                thrown(IndexOutOfBoundsException.class, () -> instance.readMemory(place[0], (int) place[1]));
            }
            thrown(IndexOutOfBoundsException.class, () -> instance.writeMemory(3 * 65536 - 1, new byte[2]));
            check("nothing was written", instance.readMemory(3 * 65536 - 1, 1)[0] == 0);
        }
    }

    private static WasmInstance calls(WasmOptions options) {
        return WasmModule.load("calls.wasm", options).newInstance();
    }

    private static void keepsLimits() {
        WasmInstance fueled = calls(new WasmOptions.Builder().fuel(10000).build());
        check("each call has its fuel", fueled.call("fib", "I>I", 10L).equals(55L) && fueled.call("fib", "I>I", 10L).equals(55L));
        trap("out-of-fuel", () -> fueled.call("spin", ">"));
        WasmInstance timed = calls(new WasmOptions.Builder().deadlineMillis(1000).build());
        check("fast enough", timed.call("fib", "I>I", 10L).equals(55L));
        long start = System.nanoTime();
        trap("interrupt", () -> timed.call("spin", ">"));
        check("not before its time", System.nanoTime() - start >= 1000000000L);
        WasmInstance small = calls(new WasmOptions.Builder().memoryBytes(4 << 16).build());
        check("cap", small.call("grow", "i>i", 4).equals(-1) && small.call("grow", "i>i", 3).equals(1));
        thrown(IllegalStateException.class, () -> calls(new WasmOptions.Builder().memoryBytes(65535).build()));
        thrown(IllegalArgumentException.class, () -> new WasmOptions.Builder().fuel(0));
        thrown(IllegalArgumentException.class, () -> new WasmOptions.Builder().deadlineMillis(86400001));
        thrown(IllegalArgumentException.class, () -> new WasmOptions.Builder().memoryBytes(-1));
        try (WasmModule module = WasmModule.load(HOST, with(NOTHING).deadlineMillis(1000).build());
            WasmInstance instance = module.newInstance()) {
            trap("interrupt", () -> instance.call("act_forever", "i>", 1));
        }
    }

    private static void callsTheApp() {
        List<String> heard = new ArrayList<>();
        try (WasmModule module = WasmModule.load(HOST, hosted(heard).hostFunction("env", "act", "i>i", NOTHING).build());
            WasmInstance instance = module.newInstance()) {
            check("while it starts", heard.equals(Arrays.asList("na\u00efve")));
            check("mix", instance.call("mix", "iIfF>F", -1, 1L << 40, 0.5f, 0.25).equals((double) (1L << 40) - 0.25));
            check("swap", Arrays.equals((Object[]) instance.call("swap", "iI>Ii", -7, 1L << 40), new Object[] {1L << 40, -7}));
            instance.call("act_often", "i>", 200000); // more than a table of local references holds
        }
        thrown(IllegalStateException.class, () -> WasmModule.load(HOST, WasmOptions.defaults()).newInstance());
        WasmOptions other = new WasmOptions.Builder().hostFunction("env", "act", "I>i", NOTHING)
            .hostFunction("env", "log", "ii>", NOTHING).hostFunction("env", "mix", ">", NOTHING)
            .hostFunction("env", "swap", ">", NOTHING).build();
        thrown(IllegalStateException.class, () -> WasmModule.load(HOST, other).newInstance());
        for (String signature : new String[] {"i>S", "&[i>", "x>", "i>[b"}) {
            thrown(IllegalArgumentException.class, () -> new WasmOptions.Builder().hostFunction("a", "b", signature, NOTHING));
        }
        thrown(NullPointerException.class, () -> new WasmOptions.Builder().hostFunction("a", "b", ">", null));
        StringBuilder many = new StringBuilder();
        for (int at = 0; at < 33; at++) {
            many.append('i');
        }
        WasmOptions wide = new WasmOptions.Builder().hostFunction("a", "b", many + ">", NOTHING).build();
        thrown(IllegalStateException.class, () -> WasmModule.load("calls.wasm", wide));
    }

    private static void passesExceptions() {
        final Throwable[] next = {
            new IllegalArgumentException("unchanged"), new UncheckedIOException(new IOException("x")), new StackOverflowError(),
            new AssertionError("an error")
        };
        final int[] at = {0};
        HostFunction throwing = new HostFunction() {
            @Override
            public Object call(WasmInstance caller, Object[] arguments) {
                Throwable error = next[at[0]++];
                if (error instanceof Error) {
                    throw (Error) error;
                }
                throw (RuntimeException) error;
            }
        };
        try (WasmModule module = WasmModule.load(HOST, with(throwing).build())) {
            for (Throwable wanted : next) {
                WasmInstance instance = module.newInstance();
                check("the same object", thrown(Throwable.class, () -> instance.call("act", "i>i", 1)) == wanted);
                thrown(IllegalStateException.class, () -> instance.call("act", "i>i", 1));
                instance.close();
            }
        }
        Object[] unfit = {null, 1L, "text", new Object[] {1}};
        for (Object result : unfit) {
            WasmInstance instance = WasmModule.load(HOST, with((caller, arguments) -> result).build()).newInstance();
            thrown(RuntimeException.class, () -> instance.call("act", "i>i", 1));
        }
        List<String> heard = new ArrayList<>();
        WasmInstance instance =
            WasmModule.load(HOST, hosted(heard).hostFunction("env", "act", "i>i", NOTHING).build()).newInstance();
        trap("memory-out-of-bounds", () -> instance.call("log_at", "ii>", -1, 10));
        check("nothing was heard of it", heard.size() == 1);
    }

    private static void callsBack() {
        HostFunction back = new HostFunction() {
            @Override
            public Object call(WasmInstance caller, Object[] arguments) {
                int depth = (Integer) arguments[0];
                byte[] mark = {(byte) depth};
                caller.writeMemory(100 + depth, mark);
                int rest = depth == 0 ? 0 : (Integer) caller.call("act", "i>i", depth - 1);
                return rest + caller.readMemory(100 + depth, 1)[0];
            }
        };
        WasmOptions options = with(back).fuel(100000).deadlineMillis(60000).build();
        try (WasmModule module = WasmModule.load(HOST, options); WasmInstance instance = module.newInstance()) {
            check("nested", instance.call("act", "i>i", 10).equals(55));
            check("again", instance.call("act", "i>i", 3).equals(6));
        }
        HostFunction spinning = (caller, arguments) -> caller.call("spin", "i>i", 0);
        WasmInstance fueled = WasmModule.load(HOST, with(spinning).fuel(100000).build()).newInstance();
        trap("out-of-fuel", () -> fueled.call("act", "i>i", 1));
        HostFunction deeper = (caller, arguments) -> caller.call("act", "i>i", 1);
        WasmInstance endless = WasmModule.load(HOST, with(deeper).build()).newInstance();
        Throwable end = thrown(Throwable.class, () -> endless.call("act", "i>i", 1));
        check("found " + end, end instanceof StackOverflowError || ((Trap) end).code().equals("stack-overflow"));
    }

    private static void passesOutput() {
        final List<Integer> sizes = new ArrayList<>();
        OutputListener listener = new OutputListener() {
            @Override
            public void onOutput(byte[] bytes) {
                sizes.add(bytes.length);
            }
        };
        try (WasmModule module = WasmModule.load("wasi.wasm", new WasmOptions.Builder().output(listener).build());
            WasmInstance instance = module.newInstance()) {
            instance.call("hello", "i>", 2);
            instance.call("ready", ">i");
            instance.call("hello", "i>", 10000);
            trap("exit", () -> instance.call("leave", "i>", 7));
        }
        check("found " + sizes, sizes.equals(Arrays.asList(32, 65536)));
    }

    private static void closesInOrder() {
        WasmModule module = WasmModule.load("calls.wasm", WasmOptions.defaults());
        WasmInstance instance = module.newInstance();
        module.close();
        module.close();
        check("an instance outlives its module", instance.call("fib", "I>I", 10L).equals(55L));
        thrown(IllegalStateException.class, module::newInstance);
        instance.close();
        instance.close();
        thrown(IllegalStateException.class, () -> instance.call("fib", "I>I", 10L));
        thrown(IllegalStateException.class, () -> instance.readMemory(0, 0));
        thrown(IllegalStateException.class, instance::memoryBytes);
        HostFunction closing = (caller, arguments) -> {
            caller.close();
            return 0;
        };
        WasmInstance closed = WasmModule.load(HOST, with(closing).build()).newInstance();
        thrown(IllegalStateException.class, () -> closed.call("act", "i>i", 1));
        closed.close();
    }

    private static void runsManyInstances() throws InterruptedException {
        final AtomicInteger good = new AtomicInteger();
        final WasmModule module = WasmModule.load(HOST, with((caller, arguments) -> (Integer) arguments[0] + 1).build());
        Thread[] threads = new Thread[8];
        for (int at = 0; at < threads.length; at++) {
            threads[at] = new Thread(() -> {
                for (int round = 0; round < 25; round++) {
                    try (WasmInstance instance = module.newInstance()) {
                        boolean fits = instance.call("act", "i>i", round).equals(round + 1);
                        trap("integer-divide-by-zero", () -> instance.call("div", "i>i", 0));
                        good.addAndGet(fits ? 1 : 0);
                    }
                }
            });
            threads[at].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        module.close();
        check("found " + good, good.get() == 8 * 25);
    }

    /** Traps in new instances; after each tenth of them prints the resident memory in KiB. */
    private static void trapsOften(int count) throws IOException {
        try (WasmModule module = WasmModule.load(HOST, with(NOTHING).build())) {
            for (int done = 1; done <= count; done++) {
                try (WasmInstance instance = module.newInstance()) {
                    trap("integer-divide-by-zero", () -> instance.call("div", "i>i", 0));
                }
                if (done % (count / 10) == 0) {
                    System.gc();
                    System.out.println(Memory.residentKib());
                }
            }
        }
    }
}
