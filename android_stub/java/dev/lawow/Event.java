package dev.lawow;

/**
 * What a connection of the data plane tells its owner. One class for all kinds, because each class costs an app a
 * kilobyte; which fields a kind has stands beside it, all others are 0 or null.
 */
final class Event {
    /** What happened. */
    enum Kind {
        /** Calls and channels may be opened; first: the version, second: 1 if the session goes on. */
        WELCOMED,
        /** The server takes nothing new; first: the last id that goes on, second: ms after which to try, code, detail. */
        DRAINING,
        /** The other end has ended the connection; as DRAINING. */
        GOODBYE,
        /** The other end is silent or too slow: close the connection; code. */
        LOST,
        /** A binding is there; first: microseconds of preparing. */
        BOUND,
        /** A function has returned; first, second: microseconds of preparing and running, data. */
        RETURNED,
        /** The guest trapped; first, second: microseconds, status: of an exit, code, detail, frames. */
        TRAPPED,
        /** Nothing of a call, binding or channel was begun; first: ms after which to try, code, detail. */
        REFUSED,
        /** The call was begun and has no result; as REFUSED. */
        FAILED,
        /** The call did not reach the server, and never will. */
        NOT_STARTED,
        /** Nobody knows how far the call got. */
        UNKNOWN,
        /** A channel is open. */
        CHANNEL_OPENED,
        /** A message; first: its number, second: how many of a topic's before it were dropped, data. */
        MESSAGE,
        /** The other end has taken all messages up to the first. */
        WRITABLE,
        /** The other end sends no more on this channel. */
        PEER_CLOSED,
        /** The channel has ended in both directions; code ({@code session-lost}, {@code not-opened} are our own), detail. */
        CHANNEL_ENDED,
        /** The flexible end goes on elsewhere; first, second: what it took and sent, detail: where, data: ticket, end. */
        MOVED,
        /** The flexible end stays where it is; code, detail. */
        MOVE_REFUSED
    }

    final Kind kind;
    final long id;
    long first;
    long second;
    int status;
    String code;
    String detail;
    String[] frames;
    byte[] data;
    ChannelEnd end;

    /** {@code id} is that of the call or channel, 0 for the connection. */
    Event(Kind kind, long id) {
        this.kind = kind;
        this.id = id;
    }

    Event numbers(long one, long two) {
        first = one;
        second = two;
        return this;
    }

    Event reason(String reasonCode, String text) {
        code = reasonCode;
        detail = text;
        return this;
    }

    Event data(byte[] bytes) {
        data = bytes;
        return this;
    }
}
