package dev.lawow;

import java.io.File;
import java.util.Collections;
import java.util.concurrent.CountDownLatch;

/**
 * Works on one module's code and prints what it sees. usage: Codes MODULE STEP...: {@code fib} calls it, {@code engine}
 * tells what a call now would run on, {@code hold} and {@code release} stop the background thread and let it go on,
 * {@code settle} waits until it has nothing to do, {@code folder=TMPDIR} tells Android's code cache, {@code cache} whether
 * there is one here.
 */
public final class Codes {
    private static final CountDownLatch RELEASE = new CountDownLatch(1);

    public static void main(String[] words) throws Exception {
        Configuration configuration = Configuration.load();
        int flags = words[0].isEmpty() ? 0
            : LocalEngine.flags(configuration.fuel(), configuration.localTimeoutNanos(), configuration);
        LocalModule module = null;
        LocalCode code = null;
        if (!words[0].isEmpty()) {
            ModuleName name = ModuleName.parse(words[0]);
            code = new LocalCode(name, null, flags, Collections.<HostCalls.Import>emptyList(), configuration);
            module = new LocalModule(code, configuration, configuration.localTimeoutNanos());
        }
        for (int at = 1; at < words.length; at++) {
            String line = perform(words[at], module, code, configuration);
            if (!line.isEmpty()) {
                System.out.println(line);
            }
        }
    }

    private static String perform(String step, LocalModule module, LocalCode code, Configuration configuration)
            throws Exception {
        if (step.startsWith("folder=")) {
            File folder = CodeCache.codeCacheFolder(step.substring("folder=".length()));
            return String.valueOf(folder);
        }
        switch (step) {
            case "fib":
                Arguments arguments = new Arguments(Signature.parse("I>I"), new Object[] {10L});
                return String.valueOf(module.call("fib", arguments, null));
            case "engine":
                return code.current().engine.isInterpreter() ? "interpreter" : "native";
            case "hold":
                LocalCode.BACKGROUND.execute(() -> {
                    try {
                        RELEASE.await();
                    } catch (InterruptedException error) {
                        throw new AssertionError(error);
                    }
                });
                return "";
            case "release":
                RELEASE.countDown();
                return "";
            case "settle":
                LocalCode.BACKGROUND.submit(() -> null).get();
                return "settled";
            case "cache":
                return CodeCache.of(configuration) == null ? "none" : "some";
            default:
                throw new IllegalArgumentException(step);
        }
    }
}
