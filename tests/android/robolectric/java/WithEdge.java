import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.os.Handler;
import android.os.Looper;
import android.os.NetworkOnMainThreadException;
import android.os.StrictMode;
import android.widget.EditText;
import android.widget.TextView;
import dev.lawow.demo.MainActivity;
import dev.lawow.demo.R;
import java.lang.ref.WeakReference;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.shadows.ShadowLooper;

/** The Activity while {@code lawow serve} runs. */
@RunWith(RobolectricTestRunner.class)
public final class WithEdge {
    private final Network network = Network.install();
    private Screen screen;

    @Before
    public void open() {
        // What Android itself sets for the main thread of every app.
        StrictMode.setThreadPolicy(
            new StrictMode.ThreadPolicy.Builder().detectNetwork().penaltyDeathOnNetwork().build());
        screen = new Screen();
    }

    @After
    public void close() {
        network.release();
        screen.close();
    }

    @Test
    public void aPressComputesOnThisDevice() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.local);
        assertEquals("6765", screen.text(R.id.result));
        assertEquals("Ran on this device", screen.text(R.id.where));
        assertTrue(screen.text(R.id.times), screen.text(R.id.times).startsWith("transfer 0.0000 s\nprepare  "));
    }

    @Test
    public void aPressComputesOnTheEdge() throws Exception {
        screen.run(Screen.INSERTION_SORT, "3000", R.id.edge);
        String result = screen.text(R.id.result);
        assertEquals("Ran on the edge", screen.text(R.id.where));
        assertFalse(screen.text(R.id.times), screen.text(R.id.times).startsWith("transfer 0.0000 s"));
        screen.run(Screen.INSERTION_SORT, "3000", R.id.local);
        assertEquals(result, screen.text(R.id.result));
    }

    @Test
    public void autoTakesTheEdgeWhileItIsThere() throws Exception {
        screen.run(Screen.MATRIX, "50", R.id.auto);
        assertEquals("Ran on the edge", screen.text(R.id.where));
        String result = screen.text(R.id.result);
        screen.run(Screen.MATRIX, "50", R.id.local);
        assertEquals(result, screen.text(R.id.result));
    }

    @Test
    public void anEmptySizeIsTheOneOfTheTable() throws Exception {
        screen.choose(Screen.MATRIX, "", R.id.local);
        assertEquals("Size: 500, or another from 1 to 2000", ((EditText) screen.view(R.id.size)).getHint());
        screen.press(R.id.run);
        screen.untilDone();
        assertEquals("2.197209415E8", screen.text(R.id.result));
    }

    @Test
    public void aBadSizeIsNamedWithWhatIsAllowed() throws Exception {
        for (String size : new String[] {"47", "99999999999"}) {
            screen.run(Screen.FIBONACCI, size, R.id.auto);
            assertEquals(
                "size: found " + size + ", allowed are whole numbers from 0 to 46", screen.text(R.id.result));
            assertEquals("", screen.text(R.id.where) + screen.text(R.id.times));
        }
    }

    @Test
    public void aTrapIsShownWithItsName() throws Exception {
        screen.run(Screen.FIBONACCI, "46", R.id.local); // more than the fuel that this process grants
        String result = screen.text(R.id.result);
        assertTrue(result, result.startsWith("The program ended with a trap (out-of-fuel): fibonacci.wasm: fib: "));
        assertEquals("", screen.text(R.id.where) + screen.text(R.id.times));
    }

    @Test
    public void theTableRunsWhereTheBuildHasPutItsPrograms() throws Exception {
        screen.press(R.id.run_table);
        assertFalse(screen.view(R.id.run).isEnabled());
        screen.untilDone();
        Screen.assertTable(screen.text(R.id.result));
    }

    /** The judge of all tests here: a connection of the main thread would throw what it throws on a phone. */
    @Test
    public void theMainThreadMayMakeNoConnection() {
        assertThrows(NetworkOnMainThreadException.class, () -> new Socket("127.0.0.1", 9).close());
    }

    @Test
    public void theMainThreadGoesOnWhileTheEdgeIsSlow() throws Exception {
        network.hold();
        screen.choose(Screen.FIBONACCI, "10", R.id.edge);
        screen.press(R.id.run);
        Screen.until("the call is under way", network::isHolding);
        assertMainThreadIsFree();
        network.release();
        screen.untilDone();
        assertEquals("55", screen.text(R.id.result));
    }

    @Test
    public void theMainThreadGoesOnWhileThisDeviceComputes() throws Exception {
        screen.choose(Screen.FIBONACCI, "46", R.id.local);
        screen.press(R.id.run);
        Screen.until("the guest runs", WithEdge::isGuestRunning);
        assertMainThreadIsFree();
        assertTrue(isGuestRunning());
        screen.untilDone();
    }

    /** Handles a message while the buttons wait for the end of a call. */
    private void assertMainThreadIsFree() {
        boolean[] handled = {false};
        new Handler(Looper.getMainLooper()).post(() -> handled[0] = true);
        ShadowLooper.idleMainLooper();
        assertTrue(handled[0]);
        assertFalse(screen.view(R.id.run).isEnabled());
        assertFalse(screen.view(R.id.run_table).isEnabled());
        assertEquals("Running…", screen.text(R.id.result));
    }

    private static boolean isGuestRunning() {
        for (StackTraceElement[] frames : Thread.getAllStackTraces().values()) {
            for (StackTraceElement frame : frames) {
                if (frame.getClassName().equals("dev.lawow.Native") && frame.getMethodName().equals("instanceCall")) {
                    return true;
                }
            }
        }
        return false;
    }

    @Test
    public void aCallOutlivesTheTurnOfTheDeviceButItsOldScreenDoesNot() throws Exception {
        WeakReference<MainActivity> before = new WeakReference<>(screen.activity());
        network.hold();
        screen.choose(Screen.FIBONACCI, "10", R.id.edge);
        screen.press(R.id.run);
        Screen.until("the call is under way", network::isHolding);
        screen.turn();
        assertNotSame(before.get(), screen.activity());
        assertEquals("Running…", screen.text(R.id.result));
        assertEquals("10", ((TextView) screen.view(R.id.size)).getText().toString());
        Screen.until("the old screen is collected", () -> {
            System.gc();
            return before.get() == null;
        });
        network.release();
        screen.untilDone();
        assertEquals("55", screen.text(R.id.result));
        screen.turn();
        assertEquals("55", screen.text(R.id.result));
        assertEquals("Ran on the edge", screen.text(R.id.where));
        assertNull(before.get());
    }

    @Test
    public void theScreenReadsTopDown() throws Exception {
        screen.run(Screen.FIBONACCI, "", R.id.edge);
        String shown = screen.description();
        Files.writeString(Path.of(System.getProperty("test.screen")), shown);
        String[] names = {"program", "size", "local", "edge", "auto", "run", "run_table", "result", "where", "times"};
        List<String> found = shown.lines().map(line -> line.split(" ")[0]).collect(Collectors.toList());
        found.removeIf(String::isEmpty);
        assertEquals(Arrays.asList(names), found);
    }
}
