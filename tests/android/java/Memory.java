import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;

/** This process as Linux sees it. */
final class Memory {
    private Memory() {}

    static long residentKib() throws IOException {
        byte[] text = Files.readAllBytes(Paths.get("/proc/self/status"));
        for (String line : new String(text, StandardCharsets.US_ASCII).split("\n")) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new IOException("no VmRSS");
    }
}
