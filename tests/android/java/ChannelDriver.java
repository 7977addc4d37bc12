package dev.lawow;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ProtocolException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A client's connection of the data plane without sockets, driven by lines: one in, one out.
 *
 * <p>{@code new} begins a session, {@code again} another connection of it; {@code do TAB method TAB arguments} calls;
 * {@code out} gives what is to be sent, in hex; {@code in TAB HEX TAB PIECE-BYTES} feeds bytes and gives a JSON list of
 * events or {@code violated}; {@code tick TAB MS} gives events; {@code may TAB table TAB s|r TAB state TAB event} asks.
 */
public final class ChannelDriver {
    private ClientSession session;
    private ClientConnection connection;
    private ChannelEnd moved;

    public static void main(String[] unused) throws IOException {
        ChannelDriver driver = new ChannelDriver();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(driver.answer(line.split("\t", -1)));
        }
    }

    private String answer(String[] words) {
        try {
            return obey(words);
        } catch (ProtocolException error) {
            return "violated " + connection.state;
        } catch (IllegalStateException error) {
            return "misused " + error.getMessage();
        } catch (IllegalArgumentException error) {
            return "misused " + error.getMessage();
        }
    }

    private String obey(String[] words) throws ProtocolException {
        switch (words[0]) {
            case "new":
                session = new ClientSession();
                connection = new ClientConnection(session);
                return "ok";
            case "again":
                connection.connectionLost();
                connection = new ClientConnection(session);
                return "ok";
            case "do":
                return call(words);
            case "out":
                return out();
            case "in":
                return in(Hex.decode(words[1]), Integer.parseInt(words[2]));
            case "tick":
                return told(connection.tick(Long.parseLong(words[1])));
            case "may":
                return next(words);
            default:
                throw new AssertionError(words[0]);
        }
    }

    private String call(String[] words) {
        switch (words[1]) {
            case "send_hello":
                connection.sendHello(Hex.decode(words[2]));
                return "ok";
            case "send_bind":
                return "" + connection.sendBind(words[2], words[3], words[4]);
            case "send_call":
                return "" + connection.sendCall(Long.parseLong(words[2]), Hex.decode(words[3]), Long.parseLong(words[4]));
            case "send_cancel":
                connection.sendCancel(Long.parseLong(words[2]));
                return "ok";
            case "send_open":
                return "" + connection.sendOpen(
                    new ChannelEnd(0, words.length > 4 ? Integer.parseInt(words[4]) : 0, words[2], words[3]), new byte[0]);
            case "send_reopen":
                return "" + connection.sendOpen(moved, Hex.decode(words[3]));
            case "send_message":
                return "" + connection.sendMessage(Long.parseLong(words[2]), Hex.decode(words[3]));
            case "send_credit":
                connection.sendCredit(Long.parseLong(words[2]), Long.parseLong(words[3]));
                return "ok";
            case "send_close":
                connection.sendClose(Long.parseLong(words[2]));
                return "ok";
            case "send_reset":
                connection.endChannel(Long.parseLong(words[2]), words[3]);
                return "ok";
            case "send_move":
                connection.sendMove(Long.parseLong(words[2]), words[3]);
                return "ok";
            default:
                throw new AssertionError(words[1]);
        }
    }

    private String out() {
        StringBuilder hex = new StringBuilder();
        for (byte[] piece : connection.toSend()) {
            hex.append(Hex.encode(piece));
        }
        return hex.toString();
    }

    private String in(byte[] data, int size) throws ProtocolException {
        List<Event> events = new ArrayList<>();
        for (int at = 0; at < data.length; at += size) {
            byte[] piece = Arrays.copyOfRange(data, at, Math.min(at + size, data.length));
            events.addAll(connection.receive(piece, piece.length));
        }
        return told(events);
    }

    private static String next(String[] words) throws ProtocolException {
        StateTable table = words[1].equals("call") ? StateTable.CALL
            : words[1].equals("channel") ? StateTable.CHANNEL : StateTable.CONNECTION;
        try {
            return words[2].equals("send") ? table.sent(words[3], words[4], "it") : table.received(words[3], words[4], "it");
        } catch (IllegalStateException error) {
            return "none";
        } catch (ProtocolException error) {
            return "none";
        }
    }

    private String told(List<Event> events) {
        StringBuilder text = new StringBuilder("[");
        for (Event event : events) {
            text.append(text.length() == 1 ? "" : ", ").append(text(event));
        }
        return text.append(']').toString();
    }

    private String text(Event event) {
        String id = "\"id\": " + event.id;
        String reason = ", \"code\": " + quoted(event.code) + ", \"detail\": " + quoted(event.detail);
        String times = ", \"prepare_us\": " + event.first + ", \"run_us\": " + event.second;
        switch (event.kind) {
            case WELCOMED:
                return of("Welcomed", "\"version\": " + event.first + ", \"resumed\": " + (event.second == 1));
            case DRAINING:
            case GOODBYE:
                return of(event.kind == Event.Kind.DRAINING ? "Draining" : "Goodbye",
                    "\"last_id\": " + event.first + ", \"retry_after_ms\": " + event.second + reason);
            case LOST:
                return of("Lost", "\"code\": " + quoted(event.code));
            case BOUND:
                return of("Bound", id + ", \"prepare_us\": " + event.first);
            case RETURNED:
                return of("Returned", id + times + ", \"results\": " + quoted(Hex.encode(event.data)));
            case TRAPPED:
                StringBuilder frames = new StringBuilder();
                for (String frame : event.frames) {
                    frames.append(frames.length() == 0 ? "" : ", ").append(quoted(frame));
                }
                return of("Trapped",
                    id + times + ", \"status\": " + event.status + reason + ", \"guest_frames\": [" + frames + "]");
            case REFUSED:
            case FAILED:
                return of(event.kind == Event.Kind.REFUSED ? "Refused" : "Failed",
                    id + ", \"retry_after_ms\": " + event.first + reason);
            case NOT_STARTED:
                return of("NotStarted", id);
            case UNKNOWN:
                return of("Unknown", id);
            case CHANNEL_OPENED:
                return of("ChannelOpened", id);
            case MESSAGE:
                return of("Message", id + ", \"sequence\": " + event.first + ", \"missed\": " + event.second
                    + ", \"value\": " + quoted(Hex.encode(event.data)));
            case WRITABLE:
                return of("Writable", id + ", \"taken\": " + event.first);
            case PEER_CLOSED:
                return of("PeerClosed", id);
            case CHANNEL_ENDED:
                return of("ChannelEnded", id + reason);
            case MOVED:
                moved = event.end;
                return of("Moved", id + ", \"endpoint\": " + quoted(event.detail) + ", \"ticket\": "
                    + quoted(Hex.encode(event.data)) + ", \"position\": [" + event.first + ", " + event.second + "]");
            default:
                return of("MoveRefused", id + reason);
        }
    }

    private static String of(String name, String fields) {
        return "{\"event\": " + quoted(name) + ", " + fields + "}";
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char letter : (text == null ? "" : text).toCharArray()) {
            out.append(letter < ' ' || letter == '"' || letter == '\\' || letter > '~'
                ? String.format("\\u%04x", (int) letter) : String.valueOf(letter));
        }
        return out.append('"').toString();
    }
}
