import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import dev.lawow.demo.R;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.channels.SocketChannel;
import org.junit.After;
import org.junit.BeforeClass;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;

/** The Activity after the edge has been stopped. Runs last: it is this class that stops it. */
@RunWith(RobolectricTestRunner.class)
public final class WithoutEdge {
    private final Screen screen = new Screen();

    /** Ends the edge as its operator does, and waits until nobody listens any more. */
    @BeforeClass
    public static void stopEdge() throws Exception {
        URI edge = URI.create(System.getProperty("lawow.edge"));
        InetSocketAddress address = new InetSocketAddress(edge.getHost(), edge.getPort());
        ProcessHandle.of(Long.getLong("test.edge.pid")).orElseThrow().destroy();
        for (int tries = 0; !isRefused(address); tries++) {
            assertTrue("the edge does not stop", tries < 3000);
            Thread.sleep(10);
        }
    }

    private static boolean isRefused(InetSocketAddress address) throws IOException {
        try (SocketChannel connected = SocketChannel.open(address)) {
            return false;
        } catch (ConnectException error) {
            return true;
        }
    }

    @After
    public void close() {
        screen.close();
    }

    @Test
    public void autoFallsBackToThisDeviceAndSaysSo() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.auto);
        assertEquals("6765", screen.text(R.id.result));
        assertEquals("Ran on this device: the edge could not take the call", screen.text(R.id.where));
    }

    @Test
    public void theEdgeAloneGivesAReadableErrorAndTheButtonBack() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.edge);
        String result = screen.text(R.id.result);
        assertTrue(result, result.startsWith("The edge gave no result (unreachable): "));
        assertTrue(result, result.contains("127.0.0.1"));
        assertEquals("", screen.text(R.id.where) + screen.text(R.id.times));
    }

    @Test
    public void thisDeviceNeedsNoEdge() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.local);
        assertEquals("6765", screen.text(R.id.result));
        assertEquals("Ran on this device", screen.text(R.id.where));
    }
}
