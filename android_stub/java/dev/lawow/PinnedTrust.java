package dev.lawow;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateEncodingException;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import javax.net.ssl.HostnameVerifier;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/**
 * Trusts exactly one certificate, by the SHA-256 of its DER form. Whoever holds that certificate's key is the edge,
 * under whatever name or address, so that host names and authorities play no part.
 */
final class PinnedTrust implements X509TrustManager, HostnameVerifier {
    private final byte[] pin;
    private final SSLSocketFactory factory;

    /** {@code pin} is 64 lower-case hexadecimal digits. */
    PinnedTrust(String pin) {
        this.pin = Hex.decode(pin);
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, new TrustManager[] {this}, null);
            this.factory = context.getSocketFactory();
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("TLS cannot be set up: " + error.getMessage(), error);
        }
    }

    SSLSocketFactory factory() {
        return factory;
    }

    void applyTo(HttpsURLConnection connection) {
        connection.setSSLSocketFactory(factory);
        connection.setHostnameVerifier(this);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authenticationType) throws CertificateException {
        if (chain == null || chain.length == 0 || !matches(chain[0])) {
            String found = chain == null || chain.length == 0 ? "none" : fingerprint(chain[0]);
            throw new CertificateException("the edge's certificate is not the pinned one; its SHA-256 is " + found);
        }
        chain[0].checkValidity();
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authenticationType) throws CertificateException {
        throw new CertificateException("this side is never a server");
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return new X509Certificate[0];
    }

    /** Asked when the name does not fit the certificate; the pin decides instead of the name. */
    @Override
    public boolean verify(String host, SSLSession session) {
        try {
            return matches(session.getPeerCertificates()[0]);
        } catch (SSLPeerUnverifiedException error) {
            return false;
        } catch (CertificateEncodingException error) {
            return false;
        }
    }

    private boolean matches(Certificate certificate) throws CertificateEncodingException {
        return MessageDigest.isEqual(pin, ModuleName.sha256(certificate.getEncoded()));
    }

    private static String fingerprint(Certificate certificate) throws CertificateEncodingException {
        return Hex.encode(ModuleName.sha256(certificate.getEncoded()));
    }
}
