"""Rust: rustc called directly, its dependencies compiled beforehand; the standard library linked dynamically."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

from codegeex.sandbox.program import Limits, Program
from codegeex.sandbox.toolchains.base import GUEST, Job, Refused, Toolchain, call, identifiers, output_of, tool

_SOURCES = Path("/usr/share/cargo/registry")
"""Where Debian keeps the sources of crates, as a directory that cargo can build from."""

_MANIFEST = """[package]
name = "dependencies"
version = "0.0.0"
edition = "2021"

[dependencies]
regex = "1"
md5 = "0.7"
rand = {{ path = "{rand}" }}
"""
_CONFIGURATION = f"""[source.crates-io]
replace-with = "system"

[source.system]
directory = "{_SOURCES}"
"""
_CRATES = ("rand", "regex", "md5")

# The harness runs tests by name, one after the other: this one is the last, and reports unless one has failed. The exit
# status, which a program may change, does not decide alone.
_END = """
#[cfg(test)]
mod zzzz_{secret} {{
    static FAILED: ::std::sync::atomic::AtomicBool = ::std::sync::atomic::AtomicBool::new(false);
    pub struct Guard;
    impl Drop for Guard {{
        fn drop(&mut self) {{
            if ::std::thread::panicking() {{
                FAILED.store(true, ::std::sync::atomic::Ordering::SeqCst);
            }}
        }}
    }}
    #[test]
    fn report() {{
        if FAILED.load(::std::sync::atomic::Ordering::SeqCst) {{
            return;
        }}
        use ::std::io::Write as _;
        let mut report = ::std::fs::OpenOptions::new().write(true).open("/proc/self/fd/3").unwrap();
        report.write_all(b"{secret}").unwrap();
    }}
}}
"""
_TEST = re.compile(
    r"(?:#\[[^\]]*\]\s*)*#\[test\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?fn\s+\w+\s*\(\s*\)\s*(?:->[^{]*)?\{"
    r"(?:\s*#!\[[^\]]*\])*"
)
_ASSERT = re.compile(r"(?<![\w:])(assert(?:_eq|_ne)?)!")
_MACRO = re.compile(r"\bmacro_rules\s*!\s*(?:r#)?(\w+)|\bas\s+(?:r#)?(assert\w*)")


class Rust(Toolchain):
    name = "rust"
    packages = (
        "apt-get install rustc cargo librust-md5-dev librust-regex-dev librust-regex+default-dev "
        "librust-regex+perf-dev librust-aho-corasick-dev librust-memchr-dev librust-libc-dev"
    )
    runtime_mb = 64
    failure_signs = ("assertion",)
    memory_signs = ("memory allocation of",)

    def missing(self) -> str | None:
        if not tool("rustc") or not tool("cargo"):
            return "rustc and cargo are not installed"
        absent = [name for name in _CRATES[1:] if not any(_SOURCES.glob(f"{name}-[0-9]*"))]
        return f"the sources of the crates {' and '.join(absent)} are not installed" if absent else None

    def version(self) -> str:
        return output_of("rustc", "--version")

    @functools.cached_property
    def _root(self) -> Path:
        return Path(output_of("rustc", "--print", "sysroot"))

    def roots(self) -> list[Path]:
        return [self._root, self.prepared()]

    def prepare(self, folder: Path) -> None:
        making = folder / "making"
        shutil.copytree(GUEST / "rust/rand", making / "rand")
        (making / "src").mkdir()
        (making / "src/lib.rs").touch()
        (making / "Cargo.toml").write_text(_MANIFEST.format(rand=making / "rand"))
        (making / ".cargo").mkdir()
        (making / ".cargo/config.toml").write_text(_CONFIGURATION)
        call([tool("cargo") or "cargo", "build", "--quiet", "--offline"], cwd=making)
        for path in (making / "target/debug/deps").glob("*.r*"):
            shutil.move(path, folder / path.name)
        shutil.rmtree(making)

    def job(self, program: Program, limits: Limits, secret: str, work: Path) -> Job:
        replaced = {name for pair in _MACRO.findall(program.source) for name in pair if name}
        if taken := replaced & identifiers(program.tests):
            raise Refused(f"it has a macro {min(taken)}, which its tests rely on")
        guard = f" let _guard = crate::zzzz_{secret}::Guard;"
        tests = _TEST.sub(
            lambda match: match[0] if "should_panic" in match[0] else match[0] + guard,
            _ASSERT.sub(r"::std::\1!", program.tests),
        )
        text = f"{program.source}\n{tests}\n{_END.format(secret=secret)}"
        prepared = self.prepared()
        command = [str(self._root / "bin/rustc"), "--test", "--edition=2021", "-A", "warnings", "program.rs"]
        command += ["-C", "prefer-dynamic", "-C", "debuginfo=0", "-C", "codegen-units=1", "-o", "program"]
        command += ["-L", f"dependency={prepared}"]
        for crate in _CRATES:
            command += ["--extern", f"{crate}={next(prepared.glob(f'lib{crate}-*.rlib'))}"]
        if tool("ld.gold"):
            command += ["-C", "link-arg=-fuse-ld=gold"]
        run = self._run_step(
            limits,
            ["./program", "--test-threads=1"],
            work,
            env={
                "LD_LIBRARY_PATH": output_of("rustc", "--print", "target-libdir"),
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
            },
        )
        return Job({"program.rs": text}, [self._compile_step(limits, command, work), run])
