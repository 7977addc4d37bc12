import dev.lawow.Lawow;
import dev.lawow.RemoteException;
import dev.lawow.Trap;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.Locale;

/**
 * Makes the calls that stand on its standard input, one a line, and prints one line about each.
 *
 * <p>In: {@code local|remote|elastic TAB module TAB export TAB signature TAB value ...}. Out: {@code ok VALUE}, {@code trap
 * CODE MESSAGE}, {@code remote CODE STATUS MAY-HAVE-RUN MESSAGE}, or {@code error CLASS MESSAGE}. The line {@code set TAB
 * key TAB value} sets a property and is answered {@code ok}.
 */
public final class Driver {
    public static void main(String[] unused) throws IOException {
        Shim.load();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String answer = answer(line.split("\t", -1)).replace("\n", " | ");
            System.out.println(answer);
        }
    }

    private static String answer(String[] words) {
        if (words[0].equals("set")) {
            System.setProperty("lawow." + words[1], words[2]);
            return "ok";
        }
        try {
            Object[] arguments = arguments(words);
            return "ok " + text(call(words, arguments));
        } catch (Trap trap) {
            return "trap " + trap.code() + " " + trap.getMessage();
        } catch (RemoteException error) {
            return "remote " + error.code() + " " + error.status() + " " + error.mayHaveRun() + " " + error.getMessage();
        } catch (RuntimeException error) {
            return "error " + error.getClass().getSimpleName() + " " + error.getMessage();
        }
    }

    private static Object call(String[] words, Object[] arguments) {
        switch (words[0]) {
            case "local":
                return Lawow.local(words[1], words[2], words[3], arguments);
            case "elastic":
                return Lawow.elastic(words[1], words[2], words[3], arguments);
            default:
                return Lawow.remote(words[1], words[2], words[3], arguments);
        }
    }

    private static String text(Object result) {
        return result == Lawow.LOCAL ? "LOCAL"
            : result instanceof Object[] ? Arrays.toString((Object[]) result) : String.valueOf(result);
    }

    /** The type of a value is the signature's, or the letter that stands before a colon: {@code F:1.5}; {@code b*4} is 4 bytes. */
    private static Object[] arguments(String[] words) {
        Object[] arguments = new Object[words.length - 4];
        for (int at = 0; at < arguments.length; at++) {
            String word = words[at + 4];
            boolean typed = word.indexOf(':') == 1;
            char letter = typed ? word.charAt(0) : words[3].charAt(at);
            arguments[at] = value(letter, typed ? word.substring(2) : word);
        }
        return arguments;
    }

    private static Object value(char letter, String text) {
        int star = text.indexOf('*');
        if (star == 1) {
            int count = Integer.parseInt(text.substring(2));
            return text.charAt(0) == 'b' ? (Object) new byte[count] : new int[count];
        }
        switch (letter) {
            case 'i':
                return Integer.valueOf(text);
            case 'I':
                return Long.valueOf(text);
            case 'f':
                return Float.valueOf(text);
            case 'F':
                return Double.valueOf(text.toLowerCase(Locale.ROOT).equals("nan") ? "NaN" : text);
            default:
                return text;
        }
    }
}
