import dev.lawow.InstanceState;
import dev.lawow.WasmInstance;
import dev.lawow.WasmModule;
import dev.lawow.WasmOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;

/** Goes on from states: {@code ASSET FILE...}; a line for each, what {@code get} returns or why it is refused. */
public final class States {
    public static void main(String[] words) throws IOException {
        try (WasmModule module = WasmModule.load(words[0], WasmOptions.defaults())) {
            for (int at = 1; at < words.length; at++) {
                byte[] state = Files.readAllBytes(Paths.get(words[at]));
                try (WasmInstance instance = InstanceState.restore(module, state)) {
                    System.out.println("ok " + instance.call("get", ">i"));
                } catch (IllegalArgumentException error) {
                    System.out.println("refused " + error.getMessage());
                }
            }
        }
    }
}
