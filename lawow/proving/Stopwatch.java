import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;

/**
 * Calls one static method of the class path again and again with the same arguments, and writes how long that took. {@code
 * lawow.proving.measurement} is the other side. CASE holds one method and one call of it, as {@code Judge.java} has them.
 *
 * <p>usage: java -cp CLASSES Stopwatch CASE RESULT SECONDS METHODS. First it runs for SECONDS so that the JVM compiles what
 * it must, then it measures for as long. RESULT is a line of text, {@code threw CLASS} or {@code took CALLS NANOSECONDS SAMPLES}.
 * If METHODS is not 0, so many methods count (class {@code lawow.Counts}), and a line {@code CALLS ELEMENTS SAMPLES} follows
 * for each of them: SAMPLES of the stack, taken about once a millisecond, had it.
 */
public final class Stopwatch {
    private static final long STACK_BYTES = 256L << 20;
    private static final String MARK = "$lawow";
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private final Method method;
    private final Object[] given;
    private final long limit;
    private final int[] seen;
    private int samples;
    private volatile boolean running;
    private volatile String result = "";

    private Stopwatch(Method method, Object[] given, long limit, int methods) {
        this.method = method;
        this.given = given;
        this.limit = limit;
        this.seen = new int[methods];
    }

    public static void main(String[] arguments) throws Exception {
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(Files.readAllBytes(Paths.get(arguments[0]))));
        in.readUnsignedShort(); // one method
        Method method = Judge.find(in.readUTF(), in.readUTF(), in.readUTF());
        in.readUTF(); // it takes no graph
        in.readUnsignedShort(); // and a call of it
        Object[] given = new Object[method.getParameterCount()];
        for (int at = 0; at < given.length; at++) {
            given[at] = readArgument(in, method.getParameterTypes()[at]);
        }
        long limit = (long) (Double.parseDouble(arguments[2]) * 1e9);
        Stopwatch watch = new Stopwatch(method, given, limit, Integer.parseInt(arguments[3]));
        Thread worker = new Thread(null, watch::run, "calls", STACK_BYTES);
        worker.start();
        while (worker.isAlive()) {
            worker.join(1);
            watch.look(worker);
        }
        if (watch.result.isEmpty()) {
            throw new IllegalStateException("the thread of the calls ended early");
        }
        Files.write(Paths.get(arguments[1]), watch.result.getBytes(StandardCharsets.UTF_8));
    }

    private static Object readArgument(DataInputStream in, Class<?> type) throws IOException {
        if (!type.isArray()) {
            ByteBuffer slot = ByteBuffer.allocate(8).putLong(0, in.readLong());
            slot.position(8 - Judge.sizeOf(type)); // its bits are at the low end, which comes last
            return Judge.take(type, slot);
        }
        Class<?> element = type.getComponentType();
        int count = in.readInt();
        byte[] bytes = new byte[count * Judge.sizeOf(element)];
        in.readFully(bytes);
        ByteBuffer from = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        Object array = Array.newInstance(element, count);
        for (int at = 0; at < count; at++) {
            Array.set(array, at, Judge.take(element, from));
        }
        return array;
    }

    private void run() {
        try {
            takeTime();
            resetCounts();
            running = true;
            long[] took = takeTime();
            synchronized (this) { // not between the halves of a sample, of which one would be missing
                running = false;
                result = "took " + took[0] + " " + took[1] + " " + samples + "\n" + counts();
            }
        } catch (InvocationTargetException error) {
            result = "threw " + error.getCause().getClass().getName() + "\n";
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Calls until the limit has passed; returns how often, and the processor's time of all calls in nanoseconds. */
    private long[] takeTime() throws ReflectiveOperationException {
        long[] took = new long[2];
        for (long begin = System.nanoTime(); took[0] == 0 || System.nanoTime() - begin < limit; took[0]++) {
            Object[] fresh = Arrays.stream(given).map(Stopwatch::copyOf).toArray();
            long start = THREADS.getCurrentThreadCpuTime();
            method.invoke(null, fresh);
            took[1] += THREADS.getCurrentThreadCpuTime() - start;
        }
        return took;
    }

    /** Returns an array with the same content: the method may write to what it is given. */
    private static Object copyOf(Object value) {
        if (!value.getClass().isArray()) {
            return value;
        }
        Object copy = Array.newInstance(value.getClass().getComponentType(), Array.getLength(value));
        System.arraycopy(value, 0, copy, 0, Array.getLength(value));
        return copy;
    }

    private synchronized void look(Thread worker) {
        if (!running || seen.length == 0) {
            return;
        }
        boolean[] here = new boolean[seen.length];
        boolean any = false;
        for (StackTraceElement frame : worker.getStackTrace()) {
            int at = frame.getMethodName().lastIndexOf(MARK);
            if (at >= 0) {
                here[Integer.parseInt(frame.getMethodName().substring(at + MARK.length()))] = true;
                any = true;
            }
        }
        samples += any ? 1 : 0;
        for (int at = 0; at < seen.length; at++) {
            seen[at] += here[at] ? 1 : 0;
        }
    }

    private static Field field(String name) throws ReflectiveOperationException {
        return Class.forName("lawow.Counts").getField(name);
    }

    private void resetCounts() throws ReflectiveOperationException {
        for (int at = 0; at < seen.length; at++) {
            field("calls" + at).setLong(null, 0);
            field("elements" + at).setLong(null, 0);
        }
    }

    private String counts() throws ReflectiveOperationException {
        StringBuilder text = new StringBuilder();
        for (int at = 0; at < seen.length; at++) {
            text.append(field("calls" + at).getLong(null)).append(' ');
            text.append(field("elements" + at).getLong(null)).append(' ').append(seen[at]).append('\n');
        }
        return text.toString();
    }
}
