package dev.lawow;

import java.io.IOException;
import java.io.UnsupportedEncodingException;
import java.net.HttpURLConnection;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URL;
import java.net.URLEncoder;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.HttpsURLConnection;

/**
 * Calls to the edge over its HTTP API. The caller waits while threads of this class do the I/O, because Android forbids
 * network I/O on the main thread; a call from there still freezes the screen for as long as it takes. A call is sent at
 * most once: nothing is ever repeated behind the caller's back.
 */
public final class RemoteClient implements Target {
    private static final int THREADS = 8;
    private static final int IDLE_SECONDS = 30;

    private final URI edge;
    private final String token;
    private final int timeoutMillis;
    private final PinnedTrust trust;
    private final ThreadPoolExecutor executor;

    /**
     * Prepares a client; no I/O happens before the first call.
     *
     * @throws IllegalStateException the configuration is unusable
     */
    public RemoteClient(Configuration configuration) {
        this.edge = configuration.edge();
        this.token = configuration.token();
        this.timeoutMillis = configuration.remoteTimeoutMillis();
        String pin = configuration.certificateSha256();
        this.trust = pin == null ? null : new PinnedTrust(pin);
        this.executor = new ThreadPoolExecutor(
            THREADS, THREADS, IDLE_SECONDS, TimeUnit.SECONDS, new LinkedBlockingQueue<Runnable>(), new Threads());
        this.executor.allowCoreThreadTimeOut(true);
    }

    /** Daemon threads: a call that hangs does not keep a process alive. */
    private static final class Threads implements ThreadFactory {
        private final AtomicInteger count = new AtomicInteger();

        @Override
        public Thread newThread(Runnable work) {
            Thread thread = new Thread(work, "lawow-remote-" + count.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        }
    }

    @Override
    public Object call(String module, String export, String signature, Object... arguments) {
        Signature type = Signature.parse(signature);
        byte[] body = Signature.pack(type.toBits(arguments));
        RemoteCall call = new RemoteCall(open(ModuleName.parse(module), export), type, body, timeoutMillis);
        Future<byte[]> answer = executor.submit(call);
        try {
            byte[] values = answer.get(timeoutMillis, TimeUnit.MILLISECONDS);
            Lawow.setLastTiming(call.timing());
            return type.fromBits(Signature.unpack(values));
        } catch (ExecutionException error) {
            throw unwrap(error);
        } catch (TimeoutException error) {
            answer.cancel(true);
            throw call.abandon("deadline", "no answer from " + edge + " within " + timeoutMillis + " ms", error);
        } catch (InterruptedException error) {
            answer.cancel(true);
            Thread.currentThread().interrupt();
            throw call.abandon("interrupted", "the calling thread was interrupted", error);
        }
    }

    /** Prepares the connection of one call; nothing is sent yet. */
    private HttpURLConnection open(ModuleName module, String export) {
        String url = edge + "/v1/modules/sha256:" + module.digest + "/exports/" + encode(export) + "/calls";
        HttpURLConnection connection;
        try {
            connection = (HttpURLConnection) new URL(url).openConnection();
        } catch (MalformedURLException error) {
            throw new IllegalStateException("edge: not a usable URL: " + url, error);
        } catch (IOException error) {
            throw new RemoteException("unreachable", 0, false, edge + ": " + error.getMessage(), error);
        }
        if (trust != null && connection instanceof HttpsURLConnection) {
            trust.applyTo((HttpsURLConnection) connection);
        }
        if (token != null) {
            connection.setRequestProperty("Authorization", "Bearer " + token);
        }
        return connection;
    }

    /** Percent-encodes one path segment. */
    private static String encode(String segment) {
        try {
            // The form encoding differs from a path's in the space alone.
            return URLEncoder.encode(segment, "UTF-8").replace("+", "%20");
        } catch (UnsupportedEncodingException error) {
            throw new AssertionError(error);
        }
    }

    /** Gives the caller the worker's own exception, with the caller's frames beside the worker's. */
    private static RuntimeException unwrap(ExecutionException error) {
        Throwable cause = error.getCause();
        if (cause instanceof RuntimeException) {
            cause.addSuppressed(new Throwable("called from here"));
            return (RuntimeException) cause;
        }
        if (cause instanceof Error) {
            throw (Error) cause;
        }
        throw new AssertionError(cause);
    }
}
