package dev.lawow;

import java.net.ProtocolException;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

/**
 * The states of docs/PROTOCOL.md, row by row: in this state, when the client (C) or the server (S) sends one of these
 * events, the state becomes that. Rows with ~ are for what was on its way when the other end's frame changed the state:
 * they are received, and never sent. The stub is always the client.
 */
final class StateTable {
    static final String NEW = "new";
    static final String GREETED = "greeted";
    static final String OPEN = "open";
    static final String DRAINING = "draining";
    static final String CLOSED = "closed";
    static final String IDLE = "idle";
    static final String SENDING = "sending";
    static final String RUNNING = "running";
    static final String ANSWERING = "answering";
    static final String STOPPING = "stopping";
    static final String OPENING = "opening";
    static final String CLIENT_CLOSED = "client-closed";
    static final String SERVER_CLOSED = "server-closed";
    static final String BOTH_CLOSED = "both-closed";
    static final String MOVING = "moving";
    static final String MOVED = "moved";

    static final StateTable CONNECTION = new StateTable(
        "new C HELLO greeted",
        "new S GOODBYE closed",
        "greeted S WELCOME open",
        "greeted S GOODBYE closed",
        "greeted C GOODBYE closed",
        "open C BIND CALL CALL_PART OPEN ACK CANCEL CONTINUE MESSAGE CREDIT CLOSE RESET MOVE PING PONG open",
        "open S BOUND RESULT TRAP REFUSED FAILED CONTINUE OPENED MESSAGE CREDIT CLOSE RESET MOVED PING PONG open",
        "open S DRAIN draining",
        "open C GOODBYE closed",
        "open S GOODBYE closed",
        "draining ~C BIND CALL CALL_PART OPEN draining",
        "draining C ACK CANCEL CONTINUE MESSAGE CREDIT CLOSE RESET MOVE PING PONG draining",
        "draining S BOUND RESULT TRAP REFUSED FAILED CONTINUE OPENED MESSAGE CREDIT CLOSE RESET MOVED PING PONG draining",
        "draining C GOODBYE closed",
        "draining S GOODBYE closed");

    static final StateTable CALL = new StateTable(
        "idle C BIND CALL running",
        "idle C CALL_PART sending",
        "sending C CONTINUE sending",
        "sending C LAST CANCEL running",
        "sending S REFUSED stopping",
        "stopping C CANCEL done",
        "stopping ~C CONTINUE stopping",
        "stopping ~C LAST done",
        "running C CANCEL running",
        "running S BOUND RESULT TRAP REFUSED FAILED done",
        "running S RESULT_PART answering",
        "answering C CANCEL answering",
        "answering S CONTINUE answering",
        "answering S LAST done",
        "done ~C CANCEL done");

    static final StateTable CHANNEL = new StateTable(
        "idle C OPEN opening",
        "opening S OPENED open",
        "opening S REFUSED RESET closed",
        "opening C RESET closed",
        "open S OPENED open",
        "moving S OPENED moving",
        "client-closed S OPENED client-closed",
        "server-closed S OPENED server-closed",
        "both-closed S OPENED both-closed",
        "open C MESSAGE MESSAGE_PART CONTINUE LAST CREDIT open",
        "open S MESSAGE MESSAGE_PART CONTINUE LAST CREDIT open",
        "open C CLOSE client-closed",
        "open S CLOSE server-closed",
        "open C MOVE moving",
        "open S MOVED moved",
        "moving S MESSAGE MESSAGE_PART CONTINUE LAST CREDIT moving",
        "moving C CREDIT MOVE moving",
        "moving S MOVED moved",
        "moving S REFUSED open",
        "moving S CLOSE server-closed",
        "client-closed C CREDIT client-closed",
        "client-closed S MESSAGE MESSAGE_PART CONTINUE LAST CREDIT client-closed",
        "client-closed S CLOSE both-closed",
        "client-closed S MOVED moved",
        "server-closed S CREDIT server-closed",
        "server-closed C MESSAGE MESSAGE_PART CONTINUE LAST CREDIT server-closed",
        "server-closed C CLOSE both-closed",
        "server-closed ~C MOVE server-closed",
        "both-closed C CREDIT both-closed",
        "both-closed S CREDIT both-closed",
        "moved ~C MESSAGE MESSAGE_PART CONTINUE LAST CREDIT CLOSE MOVE moved",
        "moved S MESSAGE MESSAGE_PART CONTINUE LAST CREDIT MOVED moved",
        "open C RESET closed",
        "open S RESET closed",
        "moving C RESET closed",
        "moving S RESET closed",
        "client-closed C RESET closed",
        "client-closed S RESET closed",
        "server-closed C RESET closed",
        "server-closed S RESET closed",
        "both-closed C RESET closed",
        "both-closed S RESET closed",
        "moved C RESET closed",
        "closed ~C MESSAGE MESSAGE_PART CONTINUE LAST CREDIT CLOSE RESET MOVE closed",
        "closed ~S MESSAGE MESSAGE_PART CONTINUE LAST CREDIT CLOSE RESET MOVED REFUSED OPENED closed");

    private final Map<String, Map<String, String>> sends = new HashMap<>();
    private final Map<String, Map<String, String>> receives = new HashMap<>();

    private StateTable(String... rows) {
        for (String row : rows) {
            String[] words = row.split(" ");
            if (words[1].equals("~C")) {
                continue;
            }
            Map<String, Map<String, String>> way = words[1].equals("C") ? sends : receives;
            Map<String, String> next = way.get(words[0]);
            if (next == null) {
                next = new HashMap<>();
                way.put(words[0], next);
            }
            for (int at = 2; at < words.length - 1; at++) {
                next.put(words[at], words[words.length - 1]);
            }
        }
    }

    boolean maySend(String state, String event) {
        return next(sends, state).containsKey(event);
    }

    boolean mayReceive(String state, String event) {
        return next(receives, state).containsKey(event);
    }

    /** Returns the state after this end sent an event. Throws {@link IllegalStateException} if it must not. */
    String sent(String state, String event, String subject) {
        String then = next(sends, state).get(event);
        if (then == null) {
            throw new IllegalStateException(event + " cannot be sent while " + subject + " is " + state);
        }
        return then;
    }

    /** Returns the state after the other end sent an event. Throws {@link ProtocolException} if it must not. */
    String received(String state, String event, String subject) throws ProtocolException {
        String then = next(receives, state).get(event);
        if (then == null) {
            throw new ProtocolException(event + " is not allowed while " + subject + " is " + state);
        }
        return then;
    }

    private static Map<String, String> next(Map<String, Map<String, String>> way, String state) {
        Map<String, String> next = way.get(state);
        return next == null ? Collections.<String, String>emptyMap() : next;
    }
}
