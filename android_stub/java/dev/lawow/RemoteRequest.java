package dev.lawow;

import java.io.UnsupportedEncodingException;
import java.net.URLEncoder;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** What one request says, and what answer it expects. */
final class RemoteRequest {
    private static final String VALUES = "application/vnd.lawow.values";
    private static final String JSON = "application/json";
    private static final int OK = 200;
    private static final int CREATED = 201;
    private static final int NO_CONTENT = 204;
    private static final int MOST_SESSION_BYTES = 4096;
    private static final int MOST_DOCUMENT_BYTES = 1 << 20;

    final String method;
    final String path;

    /** What is sent; null for a request without a body. */
    final byte[] body;

    /** Media type of the body; null for a request without one. */
    final String bodyType;

    final int status;

    /** Media type of the answer; null for an answer without a body. */
    final String mediaType;

    final int mostBytes;

    /** More lines of the header. */
    final Map<String, String> headers;

    private RemoteRequest(
            String method,
            String path,
            byte[] body,
            String bodyType,
            int status,
            String mediaType,
            int mostBytes,
            Map<String, String> headers) {
        this.method = method;
        this.path = path;
        this.body = body;
        this.bodyType = bodyType;
        this.status = status;
        this.mediaType = mediaType;
        this.mostBytes = mostBytes;
        this.headers = headers;
    }

    /** A call below the path of what is called; {@code deadlineMillis} of 0 leaves that to the edge. */
    static RemoteRequest call(
            String owner, String export, Arguments arguments, int responseBytes, long deadlineMillis) {
        String path = owner + "/exports/" + encode(export) + "/calls";
        int mostBytes = Response.mostBytes(arguments, responseBytes);
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("Lawow-Signature", arguments.signature.toString());
        if (deadlineMillis > 0) {
            headers.put("Lawow-Deadline-Seconds", String.valueOf(deadlineMillis / 1e3));
        }
        return new RemoteRequest("POST", path, arguments.body(), VALUES, OK, VALUES, mostBytes, headers);
    }

    static RemoteRequest openSession(ModuleName module) {
        String path = "/v1/modules/sha256:" + module.digest + "/sessions";
        return new RemoteRequest("POST", path, new byte[0], JSON, CREATED, JSON, MOST_SESSION_BYTES, none());
    }

    static RemoteRequest closeSession(String session) {
        return nothing("DELETE", "/v1/sessions/" + session, null, null, none());
    }

    /** A request that is answered with a JSON document; {@code created}: with 201. */
    static RemoteRequest document(
            String method, String path, byte[] body, boolean created, Map<String, String> headers) {
        int status = created ? CREATED : OK;
        return new RemoteRequest(method, path, body, JSON, status, JSON, MOST_DOCUMENT_BYTES, headers);
    }

    /** A request that is answered with bytes of a type. */
    static RemoteRequest bytes(String path, String mediaType, int mostBytes) {
        return new RemoteRequest("GET", path, null, null, OK, mediaType, mostBytes, none());
    }

    /** A request whose answer has no body. */
    static RemoteRequest nothing(
            String method, String path, byte[] body, String bodyType, Map<String, String> headers) {
        return new RemoteRequest(method, path, body, bodyType, NO_CONTENT, null, 0, headers);
    }

    static Map<String, String> none() {
        return Collections.emptyMap();
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
