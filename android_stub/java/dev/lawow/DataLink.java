package dev.lawow;

import java.io.IOException;
import java.net.Socket;
import java.util.List;

/** Carries the bytes of one connection of a {@link DataClient}: the caller's thread reads, one of its own writes. */
final class DataLink {
    private static final int RECEIVE_BYTES = 64 << 10;
    private static final int TICK_MILLIS = 5000;
    private static final int LAST_WORDS_MILLIS = 50;
    private static final long NANOS_PER_MILLI = 1000000;

    private final DataClient client;
    private final ClientConnection connection;
    private final Socket socket;

    DataLink(DataClient client, ClientConnection connection, Socket socket) {
        this.client = client;
        this.connection = connection;
        this.socket = socket;
    }

    /** Returns when the connection is lost or over; then the socket is closed. */
    void run() {
        DataClient.daemon("lawow-data-out", new Runnable() {
            @Override
            public void run() {
                write();
            }
        });
        try {
            read();
        } catch (IOException error) {
            sayLastWords(); // a violation is answered; of a lost connection there is nothing to say
        } finally {
            synchronized (DataClient.LOCK) {
                connection.connectionLost();
                DataClient.LOCK.notifyAll();
            }
            shut();
        }
    }

    private void read() throws IOException {
        byte[] buffer = new byte[RECEIVE_BYTES];
        int count = socket.getInputStream().read(buffer);
        while (count >= 0 && receive(buffer, count)) {
            count = socket.getInputStream().read(buffer);
        }
    }

    /** Passes on what came; false when the connection is over. */
    private boolean receive(byte[] buffer, int count) throws IOException {
        synchronized (DataClient.LOCK) {
            for (Event event : connection.receive(buffer, count)) {
                client.handle(event);
            }
            client.pump();
            return !connection.isClosed() || connection.hasToSend();
        }
    }

    private void sayLastWords() {
        synchronized (DataClient.LOCK) {
            try {
                if (connection.hasToSend()) {
                    DataClient.LOCK.wait(LAST_WORDS_MILLIS);
                }
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private void write() {
        try {
            for (byte[] data = nextToWrite(); data != null; data = nextToWrite()) {
                socket.getOutputStream().write(data);
                socket.getOutputStream().flush();
            }
        } catch (IOException error) {
            shut(); // the reading thread sees it and deals with it
            return;
        }
        shut();
    }

    /** Waits until something is to be sent, and looks after time meanwhile; null when the connection is over. */
    private byte[] nextToWrite() {
        synchronized (DataClient.LOCK) {
            while (!connection.hasToSend() && !connection.isClosed()) {
                for (Event event : connection.tick(System.nanoTime() / NANOS_PER_MILLI)) {
                    client.handle(event);
                }
                if (!connection.hasToSend() && !connection.isClosed()) {
                    await();
                }
            }
            return connection.hasToSend() ? joined(connection.toSend()) : null;
        }
    }

    private static void await() {
        try {
            DataClient.LOCK.wait(TICK_MILLIS);
        } catch (InterruptedException error) {
            return; // nobody has a reason to; look again
        }
    }

    private static byte[] joined(List<byte[]> pieces) {
        int size = 0;
        for (byte[] piece : pieces) {
            size += piece.length;
        }
        byte[] all = new byte[size];
        int at = 0;
        for (byte[] piece : pieces) {
            System.arraycopy(piece, 0, all, at, piece.length);
            at += piece.length;
        }
        return all;
    }

    private void shut() {
        try {
            socket.close();
        } catch (IOException error) {
            return; // it is closed all the same
        }
    }
}
