import dev.lawow.Mismatches;
import java.util.TreeSet;

/** Runs the app and then says, in one line, what shadow mode has found. */
public final class Told {
    public static void main(String[] words) {
        app.Main.main(words);
        System.out.println("found " + new TreeSet<>(Mismatches.all()));
    }
}
