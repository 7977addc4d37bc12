package dev.lawow;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicReference;

/** One request and its answer. Never repeated: a failure says whether the function may have run. */
final class RemoteCall implements Callable<byte[]> {
    private static final int MOST_PROBLEM_BYTES = 16 << 10;
    private static final int MOST_CONNECT_MILLIS = 10000;
    private static final int UNPROCESSABLE = 422;
    private static final long NANOS_PER_MILLI = 1000000L;

    private final HttpURLConnection connection;
    private final RemoteRequest request;
    private final int timeoutMillis;
    private final AtomicReference<Stage> stage = new AtomicReference<>(Stage.PREPARING);
    private long start;
    private volatile Timing timing;

    /** Either side may leave PREPARING, but only one of them: that settles whether the function can have run. */
    private enum Stage {
        PREPARING,
        SENT,
        ABANDONED
    }

    RemoteCall(HttpURLConnection connection, RemoteRequest request, int timeoutMillis) {
        this.connection = connection;
        this.request = request;
        this.timeoutMillis = timeoutMillis;
    }

    /** Sends the request and returns the answer's bytes. Throws {@link Trap} or {@link RemoteException}. */
    @Override
    public byte[] call() {
        start = System.nanoTime();
        try {
            send();
            int status = connection.getResponseCode();
            byte[] values = status == request.status ? answer() : fail(status);
            timing = Timing.remote(
                System.nanoTime() - start,
                connection.getHeaderField("Server-Timing"),
                connection.getHeaderField("Lawow-Peak-Memory-Bytes"));
            return values;
        } catch (IOException error) {
            connection.disconnect();
            boolean sent = stage.get() == Stage.SENT;
            String code = !sent ? "unreachable" : error instanceof SocketTimeoutException ? "deadline" : "lost";
            throw new RemoteException(code, 0, sent, connection.getURL().getAuthority() + ": " + reason(error), error);
        }
    }

    /** Returns where the time went; null before {@link #call} has returned. */
    Timing timing() {
        return timing;
    }

    /** Returns a line of the answer's header, or null. */
    String header(String name) {
        return connection.getHeaderField(name);
    }

    private void send() throws IOException {
        connection.setRequestMethod(request.method);
        connection.setConnectTimeout(Math.min(timeoutMillis, MOST_CONNECT_MILLIS));
        connection.setReadTimeout(timeoutMillis);
        connection.setInstanceFollowRedirects(false);
        connection.setUseCaches(false);
        if (request.body != null) {
            connection.setDoOutput(true);
            // A streamed body cannot be sent twice; otherwise the platform repeats a POST whose connection broke.
            connection.setFixedLengthStreamingMode(request.body.length);
            connection.setRequestProperty("Content-Type", request.bodyType);
        }
        if (request.mediaType != null) {
            connection.setRequestProperty("Accept", request.mediaType + ", application/problem+json");
        }
        for (Map.Entry<String, String> header : request.headers.entrySet()) {
            connection.setRequestProperty(header.getKey(), header.getValue());
        }
        connection.connect();
        if (!stage.compareAndSet(Stage.PREPARING, Stage.SENT)) {
            throw new IOException("the caller has given up");
        }
        if (request.body == null) {
            return;
        }
        OutputStream stream = connection.getOutputStream();
        try {
            stream.write(request.body);
        } finally {
            stream.close();
        }
    }

    private byte[] answer() throws IOException {
        if (request.mediaType == null) {
            connection.getInputStream().close();
            return new byte[0];
        }
        if (!request.mediaType.equals(mediaType())) {
            throw protocol("answers with " + mediaType() + " instead of " + request.mediaType);
        }
        byte[] answer = read(connection.getInputStream(), request.mostBytes);
        if (answer == null) {
            throw protocol("answers with more than " + request.mostBytes + " bytes");
        }
        return answer;
    }

    /** Turns an answer that is not 200 into an exception. */
    private byte[] fail(int status) throws IOException {
        String code = connection.getHeaderField("Lawow-Error");
        if (code == null) {
            throw protocol("answers with status " + status + ", which is no answer of an edge");
        }
        InputStream stream = connection.getErrorStream();
        byte[] problem = stream == null ? new byte[0] : read(stream, MOST_PROBLEM_BYTES);
        String detail = problem == null ? null : Problem.detail(new String(problem, StandardCharsets.UTF_8));
        String message = connection.getURL().getAuthority() + ": " + (detail == null ? code : detail);
        String trap = connection.getHeaderField("Lawow-Trap");
        if (status == UNPROCESSABLE && trap != null) {
            throw new Trap(trap, message);
        }
        // The 4xx of an edge are all decided before the guest runs; a 5xx may come after.
        throw new RemoteException(code, status, status >= 500, message, null);
    }

    private String mediaType() {
        String type = connection.getContentType();
        return type == null ? "no type" : type.split(";", 2)[0].trim().toLowerCase(Locale.ROOT);
    }

    private RemoteException protocol(String found) {
        connection.disconnect();
        String message = connection.getURL().getAuthority() + " " + found;
        return new RemoteException("protocol", 0, true, message, null);
    }

    /** Reads to the end, or returns null when there is more than {@code limit} bytes. */
    private byte[] read(InputStream stream, int limit) throws IOException {
        try {
            ByteArrayOutputStream data = new ByteArrayOutputStream();
            byte[] buffer = new byte[4096];
            for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                data.write(buffer, 0, count);
                if (data.size() > limit) {
                    return null;
                }
                if (System.nanoTime() - start > NANOS_PER_MILLI * timeoutMillis) {
                    throw new SocketTimeoutException("the answer has no end within " + timeoutMillis + " ms");
                }
            }
            return data.toByteArray();
        } finally {
            stream.close();
        }
    }

    /** Called by the waiting thread when it gives up. Returns the exception to throw. */
    RemoteException abandon(String code, String message, Throwable cause) {
        boolean mayHaveRun = !stage.compareAndSet(Stage.PREPARING, Stage.ABANDONED);
        // Closing a TLS connection sends bytes, which Android forbids on the main thread like any network I/O.
        Thread closer = new Thread("lawow-remote-close") {
            @Override
            public void run() {
                connection.disconnect();
            }
        };
        closer.setDaemon(true);
        closer.start();
        return new RemoteException(code, 0, mayHaveRun, message, cause);
    }

    private static String reason(IOException error) {
        String text = error.getMessage();
        return text == null ? error.getClass().getSimpleName() : text;
    }
}
