package dev.lawow;

import java.io.UnsupportedEncodingException;
import java.net.URLEncoder;

/** What one request says, and what answer it expects. */
final class RemoteRequest {
    private static final String VALUES = "application/vnd.lawow.values";
    private static final String JSON = "application/json";
    private static final int OK = 200;
    private static final int CREATED = 201;
    private static final int NO_CONTENT = 204;
    private static final int MOST_SESSION_BYTES = 4096;

    final String method;
    final String path;

    /** What is sent; null for a request without a body. */
    final byte[] body;

    /** The signature of a call; null for other requests. */
    final Signature signature;

    final int status;

    /** Media type of body and answer; null for an answer without a body. */
    final String mediaType;

    final int mostBytes;

    private RemoteRequest(
            String method, String path, byte[] body, Signature signature, int status, String mediaType, int mostBytes) {
        this.method = method;
        this.path = path;
        this.body = body;
        this.signature = signature;
        this.status = status;
        this.mediaType = mediaType;
        this.mostBytes = mostBytes;
    }

    /** A call in an instance of its own. */
    static RemoteRequest call(ModuleName module, String export, Arguments arguments, int responseBytes) {
        return call("/v1/modules/sha256:" + module.digest, export, arguments, responseBytes);
    }

    /** A call in the instance of a session. */
    static RemoteRequest sessionCall(String session, String export, Arguments arguments, int responseBytes) {
        return call("/v1/sessions/" + session, export, arguments, responseBytes);
    }

    private static RemoteRequest call(String owner, String export, Arguments arguments, int responseBytes) {
        String path = owner + "/exports/" + encode(export) + "/calls";
        int mostBytes = Response.mostBytes(arguments, responseBytes);
        return new RemoteRequest("POST", path, arguments.body(), arguments.signature, OK, VALUES, mostBytes);
    }

    static RemoteRequest openSession(ModuleName module) {
        String path = "/v1/modules/sha256:" + module.digest + "/sessions";
        return new RemoteRequest("POST", path, new byte[0], null, CREATED, JSON, MOST_SESSION_BYTES);
    }

    static RemoteRequest closeSession(String session) {
        return new RemoteRequest("DELETE", "/v1/sessions/" + session, null, null, NO_CONTENT, null, 0);
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
}
