package dev.lawow;

/** The other end of a channel has closed, and all that it sent was received; or this end was closed. */
public final class ChannelClosedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    ChannelClosedException(String message) {
        super(message);
    }
}
