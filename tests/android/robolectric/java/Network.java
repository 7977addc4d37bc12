import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/**
 * Stands before every connection that {@code HttpURLConnection} makes, in the thread that makes it. The JDK's sockets
 * do not ask Android's {@code BlockGuard} as a phone's do, so this asks it; and it can hold connections back, as a slow
 * network does.
 */
final class Network extends ProxySelector {
    private volatile CountDownLatch gate = new CountDownLatch(0);
    private volatile boolean isAsked;

    /** Puts this before all connections of the process. */
    static Network install() {
        Network network = new Network();
        ProxySelector.setDefault(network);
        return network;
    }

    @Override
    public List<Proxy> select(URI uri) {
        askBlockGuard();
        isAsked = true;
        try {
            gate.await();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        return Collections.singletonList(Proxy.NO_PROXY);
    }

    /** {@code BlockGuard.getThreadPolicy().onNetwork()}: Android hides the class from those who compile against it. */
    private static void askBlockGuard() {
        try {
            Object policy = Class.forName("dalvik.system.BlockGuard").getMethod("getThreadPolicy").invoke(null);
            Class.forName("dalvik.system.BlockGuard$Policy").getMethod("onNetwork").invoke(policy);
        } catch (InvocationTargetException error) {
            throw (RuntimeException) error.getCause();
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void connectFailed(URI uri, SocketAddress address, IOException error) {
        // The caller of the connection gets the error.
    }

    /** Lets nothing through until {@link #release}. */
    void hold() {
        isAsked = false;
        gate = new CountDownLatch(1);
    }

    /** Tells whether a connection has come to the gate since {@link #hold}. */
    boolean isHolding() {
        return isAsked;
    }

    void release() {
        gate.countDown();
    }
}
