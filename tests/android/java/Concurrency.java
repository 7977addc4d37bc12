import dev.lawow.Lawow;
import dev.lawow.Trap;
import java.util.concurrent.atomic.AtomicInteger;

/** Calls one module from eight threads at once; traps and the JVM's own signals are mixed in. Prints how many went well. */
public final class Concurrency {
    private static final int THREADS = 8;
    private static final int ROUNDS = 200;

    public static void main(String[] arguments) throws InterruptedException {
        Shim.load();
        final String module = arguments[0];
        final AtomicInteger good = new AtomicInteger();
        Thread[] threads = new Thread[THREADS];
        for (int at = 0; at < THREADS; at++) {
            threads[at] = new Thread(() -> {
                for (int round = 0; round < ROUNDS; round++) {
                    if (isGood(module, round)) {
                        good.incrementAndGet();
                    }
                }
            });
            threads[at].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println(good.get() + " of " + THREADS * ROUNDS);
    }

    private static boolean isGood(String module, int round) {
        byte[][] garbage = new byte[20][];
        for (int at = 0; at < garbage.length; at++) {
            garbage[at] = new byte[10000];
        }
        Object fib = Lawow.local(module, "fib", "I>I", new Object[] {15L});
        boolean trapped = traps(module, "load", "i>i", "memory-out-of-bounds", -8);
        boolean overflowed = round % 20 != 0 || traps(module, "recurse", "I>I", "stack-overflow", 0L);
        return fib.equals(610L) && trapped && overflowed && nullPointer(round < 0 ? "x" : null);
    }

    private static boolean traps(String module, String export, String signature, String code, Object argument) {
        try {
            Lawow.local(module, export, signature, new Object[] {argument});
            return false;
        } catch (Trap trap) {
            return trap.code().equals(code);
        }
    }

    /** The JVM finds null pointers by SIGSEGV: its handler must still be the one in charge. */
    private static boolean nullPointer(String text) {
        try {
            return text.length() < 0;
        } catch (NullPointerException error) {
            return true;
        }
    }
}
