package dev.lawow;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnknownServiceException;
import java.security.cert.CertificateException;
import javax.net.ssl.SSLSocket;

/** Where a data plane is: TLS 1.3 with the one certificate that has the pin, or plain TCP to this machine itself. */
final class PlaneAddress {
    private static final int CONNECT_MILLIS = 10000;
    private static final int PIN_DIGITS = 64;

    private final String host;
    private final int port;
    private final PinnedTrust trust;

    /** As {@link DataClient#DataClient}. */
    PlaneAddress(String host, int port, String certificateSha256) {
        boolean isPinned = !certificateSha256.isEmpty();
        if (!isPinned && !Configuration.isLoopback(host)) {
            throw new IllegalStateException(host + ": without a certificate's SHA-256 the token would go out in clear");
        }
        if (isPinned && (certificateSha256.length() != PIN_DIGITS || !Hex.isLower(certificateSha256))) {
            throw new IllegalStateException(host + ": not the SHA-256 of a certificate: " + certificateSha256);
        }
        this.host = host;
        this.port = port;
        this.trust = isPinned ? new PinnedTrust(certificateSha256) : null;
    }

    /** Connects, and shakes hands where TLS is spoken. */
    Socket dial() throws IOException {
        Socket plain = new Socket();
        boolean connected = false;
        try {
            plain.connect(new InetSocketAddress(host, port), CONNECT_MILLIS);
            plain.setTcpNoDelay(true);
            Socket ready = trust == null ? plain : secure(plain);
            connected = true;
            return ready;
        } finally {
            if (!connected) {
                plain.close();
            }
        }
    }

    private Socket secure(Socket plain) throws IOException {
        plain.setSoTimeout(CONNECT_MILLIS);
        SSLSocket secured = (SSLSocket) trust.factory().createSocket(plain, host, port, true);
        try {
            secured.setEnabledProtocols(new String[] {"TLSv1.3"});
        } catch (IllegalArgumentException error) {
            throw new UnknownServiceException("this system has no TLS 1.3");
        }
        secured.startHandshake();
        plain.setSoTimeout(0);
        return secured;
    }

    /** Tells whether another try would fail in the same way: another certificate, no TLS 1.3. */
    static boolean isForGood(IOException error) {
        return error instanceof UnknownServiceException || error.getCause() instanceof CertificateException;
    }

    @Override
    public String toString() {
        return host + ":" + port;
    }
}
