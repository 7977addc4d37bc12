import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import android.content.res.Configuration;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.EditText;
import android.widget.RadioButton;
import android.widget.Spinner;
import android.widget.TextView;
import dev.lawow.demo.MainActivity;
import dev.lawow.demo.R;
import java.util.concurrent.TimeUnit;
import org.robolectric.Robolectric;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.shadows.ShadowLooper;

/** The demo's Activity on the screen, used as a person does: through its views and its texts. */
final class Screen implements AutoCloseable {
    static final int FIBONACCI = 0;
    static final int INSERTION_SORT = 1;
    static final int MATRIX = 2;

    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);

    private final ActivityController<MainActivity> controller =
        Robolectric.buildActivity(MainActivity.class).setup();

    /** A condition that comes true some time. */
    interface Condition {
        boolean holds() throws Exception;
    }

    /** Waits for a condition while the main thread handles its messages. */
    static void until(String what, Condition condition) throws Exception {
        long start = System.nanoTime();
        while (!condition.holds()) {
            assertTrue("not in time: " + what, System.nanoTime() - start < PATIENCE_NANOS);
            Thread.sleep(2);
            ShadowLooper.idleMainLooper();
        }
    }

    void choose(int program, String size, int place) {
        ((Spinner) view(R.id.program)).setSelection(program);
        ((EditText) view(R.id.size)).setText(size);
        ((RadioButton) view(place)).performClick();
        ShadowLooper.idleMainLooper();
    }

    /** Presses a button and returns at once, as a finger does. */
    void press(int button) {
        assertTrue("the button takes no press", view(button).isEnabled() && view(button).performClick());
    }

    /** Chooses, presses Run and waits until the button can be pressed again. */
    void run(int program, String size, int place) throws Exception {
        choose(program, size, place);
        press(R.id.run);
        untilDone();
    }

    void untilDone() throws Exception {
        until("the end of the call", () -> view(R.id.run).isEnabled());
    }

    /** Asserts that a text is the report of Table I. */
    static void assertTable(String text) {
        String results = text.replaceAll(" in [0-9]+ ms(\n|$)", ";");
        assertEquals("fib 32: 2178309;sort 30000: 1967111423707082566;multiply 500: 2.197209415E8;", results);
    }

    String text(int id) {
        return ((TextView) view(id)).getText().toString();
    }

    View view(int id) {
        return controller.get().findViewById(id);
    }

    MainActivity activity() {
        return controller.get();
    }

    /** Turns the device: Android destroys the Activity and makes another. */
    void turn() {
        Configuration turned = new Configuration(activity().getResources().getConfiguration());
        turned.orientation = turned.orientation == Configuration.ORIENTATION_LANDSCAPE
            ? Configuration.ORIENTATION_PORTRAIT : Configuration.ORIENTATION_LANDSCAPE;
        controller.configurationChange(turned);
        ShadowLooper.idleMainLooper();
    }

    /** Describes the views from top to bottom, a line for each that has a name: name, text, and state. */
    String description() {
        StringBuilder lines = new StringBuilder();
        describe(view(android.R.id.content), lines);
        return lines.toString();
    }

    private static void describe(View view, StringBuilder lines) {
        String text = textOf(view);
        if (text != null) {
            String name = view.getResources().getResourceEntryName(view.getId());
            lines.append(String.format("%-10s %s%n", name, text.replace("\n", String.format("%n%-10s ", ""))));
        } else if (view instanceof ViewGroup) {
            for (int at = 0; at < ((ViewGroup) view).getChildCount(); at++) {
                describe(((ViewGroup) view).getChildAt(at), lines);
            }
        }
    }

    /** Returns what a view says; null for one that only holds others. */
    private static String textOf(View view) {
        if (view instanceof Spinner) {
            return "[" + ((Spinner) view).getSelectedItem() + "]";
        }
        if (view instanceof RadioButton) {
            return (((RadioButton) view).isChecked() ? "(x) " : "( ) ") + ((TextView) view).getText();
        }
        if (view instanceof Button) {
            return "[" + ((Button) view).getText() + "]" + (view.isEnabled() ? "" : " disabled");
        }
        if (view instanceof TextView) {
            CharSequence text = ((TextView) view).getText();
            return text.length() > 0 ? text.toString() : String.valueOf(((TextView) view).getHint());
        }
        return null;
    }

    @Override
    public void close() {
        controller.pause().stop().destroy();
    }
}
