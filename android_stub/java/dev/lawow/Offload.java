package dev.lawow;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/**
 * Marks what may be offloaded. On a class: a binding of a WebAssembly module, which {@code lawow refactor} may move to
 * the edge. On a method of such a class: the export that it calls. Costs nothing at run time; it is there for tools
 * that read the compiled app, and for the keep rules.
 */
@Documented
@Retention(RetentionPolicy.CLASS)
@java.lang.annotation.Target({ElementType.TYPE, ElementType.METHOD})
public @interface Offload {
    /** On a class: file name and SHA-256 of the module, as in {@link Target#call}. */
    String module() default "";

    /** On a method: name of the exported function. */
    String export() default "";

    /** On a method: signature letters as in {@link Target#call}. */
    String signature() default "";
}
