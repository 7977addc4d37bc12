import dev.lawow.HostFunction;
import dev.lawow.Lawow;
import dev.lawow.WasmInstance;
import dev.lawow.WasmModule;
import dev.lawow.WasmOptions;

/**
 * Times the stub library on this JVM and prints one figure a line, "name nanoseconds". usage: StubFigures NOTHING, the
 * name with digest of nothing.wasm. Each figure of a call is the least of several batches in a warm JVM.
 */
public final class StubFigures {
    private static final int BATCHES = 8;
    private static final int CALLS = 20000;
    private static final long KERNEL_NANOS = 500000000L;
    /** Calls of a program at least, since an interpreter in Java is only compiled while it runs. */
    private static final int LEAST_CALLS = 3;

    /** Something to repeat. */
    interface Action {
        void run();
    }

    public static void main(String[] arguments) {
        HostFunction one = new HostFunction() {
            @Override
            public Object call(WasmInstance caller, Object[] values) {
                return values[0];
            }
        };
        WasmOptions options = new WasmOptions.Builder().hostFunction("env", "act", "i>i", one).build();
        long start = System.nanoTime();
        WasmInstance nothing = WasmModule.load("nothing.wasm", options).newInstance();
        print("libraries, engine and a first module", System.nanoTime() - start);
        print("WasmInstance.call of a function that does nothing", least(CALLS, () -> nothing.call("nothing", ">")));
        print("Lawow.local of the same", least(CALLS, () -> Lawow.local(arguments[0], "nothing", ">", new Object[0])));
        byte[] bytes = new byte[1024];
        print("the same with 1 KiB in a byte[]", least(CALLS, () -> nothing.call("take", "[b>", bytes)));
        print("host function, from the guest", least(1, () -> nothing.call("act_often", "i>", CALLS)) / CALLS);
        kernel("fibonacci.wasm", "fib", "i>i", 30);
        kernel("matrix.wasm", "multiply", "i>F", 200);
        kernel("insertion_sort.wasm", "sort", "i>I", 5000);
    }

    private static void kernel(String file, String export, String signature, int argument) {
        WasmInstance instance = WasmModule.load(file, WasmOptions.defaults()).newInstance();
        long least = Long.MAX_VALUE;
        long end = System.nanoTime() + KERNEL_NANOS;
        for (int calls = 0; calls < LEAST_CALLS || System.nanoTime() < end; calls++) {
            long start = System.nanoTime();
            instance.call(export, signature, argument);
            least = Math.min(least, System.nanoTime() - start);
        }
        print(export + " " + argument, least);
    }

    private static long least(int calls, Action action) {
        long least = Long.MAX_VALUE;
        for (int batch = 0; batch < BATCHES; batch++) {
            long start = System.nanoTime();
            for (int call = 0; call < calls; call++) {
                action.run();
            }
            least = Math.min(least, (System.nanoTime() - start) / calls);
        }
        return least;
    }

    private static void print(String name, long nanos) {
        System.out.println(name + "\t" + nanos);
    }
}
