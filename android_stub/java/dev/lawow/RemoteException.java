package dev.lawow;

/** A call to the edge gave no result and no trap. */
public final class RemoteException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final String code;
    private final int status;
    private final boolean mayHaveRun;

    RemoteException(String code, int status, boolean mayHaveRun, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.status = status;
        this.mayHaveRun = mayHaveRun;
    }

    /**
     * Returns what went wrong: {@code unreachable} (no connection, or no trust in the other side), {@code lost} (the
     * connection broke during the call), {@code deadline}, {@code interrupted} (the calling thread was), {@code
     * protocol} (the answer is not one of an edge), or the edge's own word: {@code unauthorized}, {@code not-found},
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
