"""Inputs of the dex tests, assembled from smali text, and what the judges say about the results."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import zlib
from pathlib import Path

from tests.tools import run, tool

OBJECT_INIT = "invoke-direct {p0}, Ljava/lang/Object;-><init>()V"

MAIN = r"""
.class public Lsample/Main;
.super Lsample/Base;
.source "Main.java"
.implements Ljava/lang/Runnable;
.implements Ljava/lang/Comparable;

.annotation system Ldalvik/annotation/Signature;
    value = { "Lsample/Base;", "Ljava/lang/Comparable<", "Lsample/Main;", ">;" }
.end annotation
.annotation runtime Lsample/Mark;
    aByte = -0x5t
    aChar = 'x'
    aDouble = 3.5
    aFloat = -0.0f
    aLong = 0x7fffffffffffffffL
    aShort = -0x12cs
    anArray = { 0x1, 0x100, -0x7fffffff }
    anEnum = .enum Ljava/lang/annotation/ElementType;->TYPE:Ljava/lang/annotation/ElementType;
    anInt = 0x10000
    inner = .subannotation Lsample/Mark;
        anInt = 0x2
    .end subannotation
    nothing = null
    text = "hello"
    truth = true
    type = Ljava/lang/String;
.end annotation

.field public static final BIG:J = -0x123456789aL
.field public static final BYTE:B = 0x7ft
.field public static final CHAR:C = '\u20ac'
.field public static final FALSE:Z = false
.field public static final FLOAT:F = 1.0E10f
.field public static final HALF:D = 0.5
.field public static final INT:I = -0x1
.field public static final NAME:Ljava/lang/String; = "caf\u00e9 \ud83d\ude00 \u0000 \ud800"
.field public static final SHORT:S = 0x1234s
.field public static final YES:Z = true
.field public static count:I
.field public static ref:Ljava/lang/Object;
.field private value:I
    .annotation runtime Ljava/lang/Deprecated;
    .end annotation
.end field
.field protected next:Lsample/Main;

.method static constructor <clinit>()V
    .registers 2
    .line 3
    const/4 v0, 0x5
    sput v0, Lsample/Main;->count:I
    return-void
.end method

.method public constructor <init>(I)V
    .registers 2
    .param p1, "start"
    .prologue
    .line 10
    invoke-direct {p0}, Lsample/Base;-><init>()V
    .line 11
    iput p1, p0, Lsample/Main;->value:I
    return-void
.end method

.method public native add(JD)J
.end method

.method public compareTo(Ljava/lang/Object;)I
    .registers 5
    .param p1, "other"    # Ljava/lang/Object;
        .annotation runtime Lsample/Mark;
            text = "of a parameter"
        .end annotation
    .end param
    .annotation system Ldalvik/annotation/Throws;
        value = { Ljava/lang/ClassCastException; }
    .end annotation
    :try_start_0
    check-cast p1, Lsample/Main;
    iget v0, p1, Lsample/Main;->value:I
    iget v1, p0, Lsample/Main;->value:I
    :try_end_0
    .catch Ljava/lang/ClassCastException; {:try_start_0 .. :try_end_0} :bad
    .catchall {:try_start_0 .. :try_end_0} :worse
    .line 20
    .local v0, "theirs":I
    sub-int v0, v1, v0
    .end local v0
    return v0
    :bad
    move-exception v0
    throw v0
    :worse
    move-exception v0
    const/4 v0, -0x1
    return v0
.end method

.method public static pick(I)Ljava/lang/String;
    .registers 3
    .line 100
    packed-switch p0, :packed
    sparse-switch p0, :sparse
    const-string v0, "other"
    return-object v0
    :one
    const-string v0, "one"
    return-object v0
    :two
    .line 50
    const-string v0, "two"
    return-object v0
    :many
    const-string/jumbo v0, "many"
    return-object v0
    nop
    :packed
    .packed-switch 0x1
        :one
        :two
    .end packed-switch
    :sparse
    .sparse-switch
        -0x5 -> :two
        0x3e8 -> :many
    .end sparse-switch
.end method

.method public run()V
    .registers 3
    const/4 v0, 0x3
    new-array v0, v0, [I
    fill-array-data v0, :data
    const-class v1, [[Lsample/Base;
    instance-of v1, v1, Ljava/lang/Class;
    filled-new-array {v1, v1}, [I
    invoke-static {v1}, Lsample/Main;->pick(I)Ljava/lang/String;
    invoke-interface {p0, p0}, Ljava/lang/Comparable;->compareTo(Ljava/lang/Object;)I
    invoke-super {p0}, Lsample/Base;->hashCode()I
    return-void
    nop
    :data
    .array-data 4
        0x1
        0x2
        0x3
    .end array-data
.end method
"""

BASE = r"""
.class public abstract Lsample/Base;
.super Ljava/lang/Object;
.source "Base.java"

.method public constructor <init>()V
    .registers 1
    .line 1
    invoke-direct {p0}, Ljava/lang/Object;-><init>()V
    return-void
.end method

.method public abstract run()V
.end method
"""

MARK = r"""
.class public interface abstract annotation Lsample/Mark;
.super Ljava/lang/Object;
.implements Ljava/lang/annotation/Annotation;

.method public abstract anInt()I
.end method
"""

SECRET = r"""
.class public final Lsample/Secret;
.super Ljava/lang/Object;
.source "Secret.java"

.field public static final KEY:Ljava/lang/String; = "the key of the secret"

.annotation runtime Lsample/Mark;
    text = "only here"
.end annotation

.method public static fib(I)I
    .registers 3
    .param p0, "depth"
    .line 7
    const/4 v0, 0x2
    if-ge p0, v0, :more
    return p0
    :more
    add-int/lit8 v0, p0, -0x1
    invoke-static {v0}, Lsample/Secret;->fib(I)I
    move-result v0
    add-int/lit8 v1, p0, -0x2
    invoke-static {v1}, Lsample/Secret;->fib(I)I
    move-result v1
    add-int/2addr v0, v1
    return v0
.end method

.method public static native hidden(Ljava/lang/String;[B)Ljava/util/Map;
.end method

.method public static load()V
    .registers 1
    const-string v0, "secret-library"
    invoke-static {v0}, Ljava/lang/System;->loadLibrary(Ljava/lang/String;)V
    return-void
.end method
"""

EMPTY = ".class Lsample/Empty;\n.super Ljava/lang/Object;\n"

SAMPLE = (MAIN, BASE, MARK, SECRET, EMPTY)

BOOTSTRAP = (
    "(Ljava/lang/invoke/MethodHandles$Lookup;Ljava/lang/String;Ljava/lang/invoke/MethodType;"
    "Ljava/lang/String;I)Ljava/lang/invoke/CallSite;"
)

DYNAMIC = f"""
.class public Lsample/Dynamic;
.super Ljava/lang/Object;

.method public static lambda()Ljava/lang/Object;
    .registers 1
    invoke-custom {{}}, site("make", ()Ljava/lang/Object;, "extra", 0x1)@Lsample/Boot;->make{BOOTSTRAP}
    move-result-object v0
    return-object v0
.end method
"""

INVOKE = "Ljava/lang/invoke/MethodHandle;->invokeExact([Ljava/lang/Object;)Ljava/lang/Object;"

HANDLE = f"""
.class public Lsample/Handle;
.super Ljava/lang/Object;

.method public static handle()Ljava/lang/Object;
    .registers 1
    const-method-handle v0, invoke-static@Lsample/Boot;->make()V
    return-object v0
.end method

.method public static type()Ljava/lang/Object;
    .registers 1
    const-method-type v0, (IJ)V
    return-object v0
.end method

.method public static exact(Ljava/lang/invoke/MethodHandle;)V
    .registers 1
    invoke-polymorphic {{p0}}, {INVOKE}, ()V
    return-void
.end method
"""


def smali(folder: Path, *sources: str, api: int = 21) -> bytes:
    """Assemble smali text with Debian's smali."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sources):
        (folder / f"c{number}.smali").write_text(source)
    out = folder / "out.dex"
    run("smali", "assemble", str(folder), "-o", str(out), "--api", str(api))
    return out.read_bytes()


def baksmali(folder: Path, data: bytes) -> dict[str, str]:
    """Disassemble; text by class descriptor. Registers, debug information and annotations included."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.dex").write_bytes(data)
    run("baksmali", "disassemble", str(folder / "in.dex"), "-o", str(folder / "smali"), "--ac", "false")
    texts = [path.read_text() for path in sorted((folder / "smali").rglob("*.smali"))]
    return {re.search(r"^\.class .*?(\S+)$", text, re.M)[1]: text for text in texts}  # type: ignore[index]


def dexdump(folder: Path, data: bytes) -> str:
    """Return what dexdump has against the file: empty for a sound one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "judged.dex"
    path.write_bytes(data)
    done = subprocess.run([tool("dexdump"), "-f", str(path)], capture_output=True, timeout=60, check=False)
    said = done.stderr.decode(errors="replace")
    return said or (f"exit {done.returncode}" if done.returncode else "")


def reseal(data: bytes | bytearray) -> bytes:
    """Repair signature and checksum, so that another check than theirs has to find the fault."""
    out = bytearray(data)
    out[12:32] = hashlib.sha1(out[32:]).digest()
    out[8:12] = struct.pack("<I", zlib.adler32(out[12:]))
    return bytes(out)
