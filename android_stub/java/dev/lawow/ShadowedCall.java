package dev.lawow;

import java.util.Random;

/**
 * Shadow mode of methods that {@code lawow refactor --auto --shadow} has moved: of some calls, the edge's result and that of
 * the original are compared bit by bit. The original's is the one that counts. On a mismatch the method stays on this
 * device for good ({@link Mismatches}).
 *
 * <p>The method's body asks {@link #elastic}; gets it an object of this class, it runs the original and tells how that went.
 */
public final class ShadowedCall {
    private static final Random DICE = new Random();

    private final String module;
    private final String export;
    private final Signature signature;
    private final Object[] arguments;
    private final Outcome there;

    private ShadowedCall(String module, String export, Signature signature, Object[] arguments, Outcome there) {
        this.module = module;
        this.export = export;
        this.signature = signature;
        this.arguments = arguments;
        this.there = there;
    }

    /**
     * As {@link Lawow#elastic}. Of the share of calls that {@link Configuration} asks for, the result is a {@link
     * ShadowedCall}: the edge has run it on copies of the arguments, and the caller runs the original on the arguments
     * themselves.
     */
    public static Object elastic(String module, String export, String signature, Object[] arguments) {
        Mismatches known = Mismatches.shared();
        if (known.holds(module, export)) {
            return Lawow.LOCAL;
        }
        if (!(DICE.nextDouble() < known.share)) {
            return Lawow.elastic(module, export, signature, arguments);
        }
        Signature type = Signature.parse(signature);
        Object[] copies = Outcome.copies(arguments);
        Outcome there;
        try {
            Object result = Lawow.elastic(module, export, signature, copies);
            if (result == Lawow.LOCAL) {
                return result;
            }
            there = Outcome.of(type, result, copies);
        } catch (Trap trap) {
            there = Outcome.of(trap);
        }
        return new ShadowedCall(module, export, type, arguments, there);
    }

    /** Takes the original's result, boxed; null for none. The arguments are as the original left them. */
    public void returned(Object result) {
        judge(Outcome.of(signature, result, arguments));
    }

    /** Takes what the original threw. Errors of the JVM, such as no memory, say nothing of the call. */
    public void threw(Throwable error) {
        if (!(error instanceof VirtualMachineError)) {
            judge(Outcome.ofException());
        }
    }

    private void judge(Outcome here) {
        String difference = Outcome.difference(here, there);
        if (difference != null) {
            Mismatches.shared().add(module, export, difference);
        }
    }
}
