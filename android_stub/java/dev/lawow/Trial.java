package dev.lawow;

/** One of the two runs of a call in shadow mode: it is made with copies of the arguments, and its end is kept. */
final class Trial {
    final double seconds;
    private final Object[] own;
    private Object result;
    private RuntimeException failure;

    /** Makes the call. Errors of the JVM, such as no memory, are not kept. */
    Trial(Attempt attempt, Cancel cancel, Object[] arguments) {
        this.own = Outcome.copies(arguments);
        long start = System.nanoTime();
        try {
            result = attempt.run(own, cancel);
        } catch (RuntimeException error) {
            failure = error;
        }
        this.seconds = (System.nanoTime() - start) / 1e9;
    }

    /** Returns what it gave; null if that says nothing of the call, but of this place. */
    Outcome outcome(Signature signature) {
        if (failure == null) {
            return Outcome.of(signature, result, own);
        }
        if (failure instanceof Trap) {
            return Outcome.of((Trap) failure);
        }
        return failure instanceof IllegalStateException ? null : Outcome.ofException();
    }

    /** Tells whether it threw what the edge says of a call that it did not carry out, or of arguments that do not fit. */
    boolean isRefused() {
        return failure != null && !(failure instanceof Trap);
    }

    boolean hasFailed() {
        return failure != null;
    }

    /** Gives the caller all that came of it: arrays, and the result or the exception. */
    Object deliver(Object[] arguments) {
        Outcome.takeOver(arguments, own);
        if (failure != null) {
            throw failure;
        }
        return result;
    }
}
