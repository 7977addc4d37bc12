package dev.lawow;

import java.lang.reflect.InvocationTargetException;

/**
 * Calls Android's framework by name, so that the library compiles against no SDK, in an app of any {@code compileSdk}, and
 * runs on every Android since API 21: a method that a release lacks is {@link Missing}. Only public methods are called.
 */
final class Framework {
    static final String CONTEXT = "android.content.Context";

    private Framework() {}

    /** A value that is not to be had; the message says where was looked and what was found. */
    static final class Missing extends Exception {
        private static final long serialVersionUID = 1;

        Missing(String message) {
            super(message);
        }
    }

    /** Returns the context. Throws {@link IllegalArgumentException} if it is something else, or this is not Android. */
    static Object requireContext(Object context) {
        try {
            if (!type(CONTEXT).isInstance(context)) {
                throw new IllegalArgumentException(context + " is no " + CONTEXT);
            }
        } catch (Missing missing) {
            throw new IllegalArgumentException("this is not Android: " + missing.getMessage());
        }
        return context;
    }

    /** Returns a class of the framework. */
    static Class<?> type(String name) throws Missing {
        try {
            return Class.forName(name);
        } catch (ClassNotFoundException error) {
            throw new Missing(name + ": this Android does not have it");
        }
    }

    /** Calls a method of a class; {@code target} is null for a static one, {@code types} are those of its parameters. */
    static Object call(String type, Object target, String method, Class<?>[] types, Object... values) throws Missing {
        String name = type + "." + method;
        try {
            return type(type).getMethod(method, types).invoke(target, values);
        } catch (NoSuchMethodException error) {
            throw new Missing(name + ": this Android does not have it");
        } catch (IllegalAccessException error) {
            throw new Missing(name + ": " + error.getMessage());
        } catch (InvocationTargetException error) {
            if (error.getCause() instanceof Error) {
                throw (Error) error.getCause();
            }
            throw new Missing(name + ": " + error.getCause()); // a permission that lacks, a service that is gone
        }
    }

    /** Calls a method without parameters. */
    static Object call(String type, Object target, String method) throws Missing {
        return call(type, target, method, new Class<?>[0]);
    }

    /** Returns a system service, which is never null. */
    static Object service(Object context, String name) throws Missing {
        Object service = call(CONTEXT, context, "getSystemService", new Class<?>[] {String.class}, name);
        if (service == null) {
            throw new Missing("system service " + name + ": this device does not have it");
        }
        return service;
    }

    /** Returns the newest of a broadcast that stays, such as the battery's; null before the first one. */
    static Object sticky(Object context, String action) throws Missing {
        Class<?> filter = type("android.content.IntentFilter");
        Class<?>[] types = {type("android.content.BroadcastReceiver"), filter};
        try {
            Object wanted = filter.getConstructor(String.class).newInstance(action);
            return call(CONTEXT, context, "registerReceiver", types, null, wanted);
        } catch (ReflectiveOperationException error) {
            throw new Missing(action + ": " + error);
        }
    }
}
