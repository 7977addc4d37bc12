import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import dev.lawow.demo.R;
import org.junit.After;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;

/** The Activity of the slim APK, whose modules and local runtime are gone, while {@code lawow serve} runs. */
@RunWith(RobolectricTestRunner.class)
public final class SplitApp {
    private final Screen screen = new Screen();

    @After
    public void close() {
        screen.close();
    }

    @Test
    public void theTableRunsOnTheEdge() throws Exception {
        screen.press(R.id.run_table);
        screen.untilDone();
        String[] lines = screen.text(R.id.result).split("\n");
        assertTrue(lines[0], lines[0].startsWith("fib 32: 2178309 in "));
        assertTrue(lines[1], lines[1].startsWith("matrix 500: 2.197209415E8 in "));
        assertTrue(lines[2], lines[2].startsWith("insertion sort 30000: 1967111423707082566 in "));
    }

    @Test
    public void autoTakesTheEdge() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.auto);
        assertEquals("6765", screen.text(R.id.result));
        assertEquals("Ran on the edge", screen.text(R.id.where));
    }

    @Test
    public void thisDeviceIsMissingItsRuntimeAndSaysSo() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.local);
        String result = screen.text(R.id.result);
        assertTrue(result, result.startsWith("The app lacks something that this needs: liblawow cannot be loaded"));
    }
}
