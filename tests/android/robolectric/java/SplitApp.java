import static org.junit.Assert.assertEquals;

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
        Screen.assertTable(screen.text(R.id.result));
    }

    @Test
    public void autoTakesTheEdge() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.auto);
        assertEquals("6765", screen.text(R.id.result));
        assertEquals("Ran on the edge", screen.text(R.id.where));
    }

    @Test
    public void thisDeviceMeansTheEdgeNowAndTheScreenSaysSo() throws Exception {
        screen.run(Screen.FIBONACCI, "20", R.id.local);
        assertEquals("6765", screen.text(R.id.result));
        assertEquals("Ran on the edge: this build of the app has moved the program there", screen.text(R.id.where));
    }
}
