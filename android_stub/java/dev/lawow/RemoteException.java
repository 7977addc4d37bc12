package dev.lawow;

/** A call to the edge gave no result and no trap. */
public final class RemoteException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final String code;
    private final int status;
    private final boolean mayHaveRun;
    private boolean answered;

    RemoteException(String code, int status, boolean mayHaveRun, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.status = status;
        this.mayHaveRun = mayHaveRun;
    }

    /** The edge itself said so, without HTTP. */
    RemoteException answered() {
        answered = true;
        return this;
    }

    /** Tells whether there is an edge that answers. */
    boolean isAnswered() {
        return answered || status != 0;
    }

    /** Returns the same of a call that was never sent. */
    RemoteException ofNotSent() {
        RemoteException error = new RemoteException(code, status, false, getMessage() + "; the call was not sent", this);
        error.answered = answered;
        return error;
    }

    /**
     * Returns what went wrong: {@code unreachable} (no connection, or no trust in the other side), {@code lost} (the
     * connection broke during the call), {@code deadline}, {@code interrupted} (the calling thread was), {@code
     * protocol} (the answer is not one of an edge), {@code unknown} (nobody knows what became of the call), or the
     * edge's own word: {@code unauthorized}, {@code not-found},
     * {@code signature-mismatch}, {@code too-large}, {@code bad-arguments}, {@code busy}, {@code worker-lost}, ...
     */
    public String code() {
        return code;
    }

    /** Returns the HTTP status of the edge's answer, or 0 if there was none. */
    public int status() {
        return status;
    }

    /**
     * Tells whether the function may have run. False means that it certainly did not, so that running it elsewhere is
     * safe; true leaves that open, so that only a function that may run twice should be run again.
     */
    public boolean mayHaveRun() {
        return mayHaveRun;
    }
}
