"""Verdicts on ordinary programs, in six languages."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import threading
import time
from typing import get_args

import pytest

from codegeex.errors import CodeGeeXError
from codegeex.sandbox import Limits, Program, RunnerName, Sandbox
from codegeex.sandbox.container import Container
from tests.sandbox.programs import program

LANGUAGES = get_args(RunnerName)

BROKEN = {
    "python": "return (",
    "cpp": "int x = nothing;",
    "java": "int x = nothing;",
    "javascript": "return (",
    "go": "x := nothing",
    "rust": "let x = nothing;",
}
CRASHES = {
    "python": "[][1]",
    "cpp": "vector<int> v; v.at(1);",
    "java": "int[] v = {}; int x = v[v.length];",
    "javascript": "null.x",
    "go": "var x []int; _ = x[len(x)]",
    "rust": "let v: Vec<i32> = vec![]; let n = v.len(); let _ = v[n];",
}
LOOPS = {
    "python": "while True: pass",
    "cpp": "for (volatile int i = 0;; i++);",
    "java": "for (int i = 0; i == i; i++);",
    "javascript": "for (;;);",
    "go": "for { }",
    "rust": "loop {}",
}
PRINTS = {
    "python": "print('hello')",
    "cpp": 'cout << "hello" << endl;',
    "java": 'System.out.println("hello");',
    "javascript": "console.log('hello')",
    "go": 'println("hello")',
    "rust": 'println!("hello");',
}
READS = {
    "python": "assert __import__('sys').stdin.read() == ''",
    "cpp": "if (getchar() != EOF) return 0;",
    "java": "if (System.in.read() != -1) return 0;",
    "javascript": "if (require('fs').readFileSync(0).length) return 0",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_right_answer_passes_and_a_wrong_one_does_not(language, isolated, needs):
    needs(language)
    right, wrong = isolated.run(program(language)), isolated.run(program(language, value="41"))
    assert (right.verdict, right.detail) == ("passed", "")
    assert (wrong.verdict, wrong.stage) == ("wrong", "run")
    assert wrong.detail
    assert 0 < right.seconds < 1
    assert 1 < right.memory_mb < 128


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("bodies", "verdict"), [(BROKEN, "compile_error"), (CRASHES, "runtime_error"), (LOOPS, "timeout")]
)
def test_verdicts(language, bodies, verdict, isolated, needs):
    needs(language)
    result = isolated.run(program(language, bodies[language]))
    assert result.verdict == verdict, result
    assert result.detail


@pytest.mark.parametrize("language", LANGUAGES)
def test_output_counts_only_where_it_is_asked_for(language, isolated, needs):
    needs(language)
    assert isolated.run(program(language, PRINTS[language])).verdict == "passed"
    if language == "javascript":
        assert isolated.run(program(language, PRINTS[language], silent=True)).verdict == "wrong"
        assert isolated.run(program(language, silent=True)).verdict == "passed"


@pytest.mark.parametrize("language", READS)
def test_there_is_nothing_to_read(language, isolated, needs):
    needs(language)
    assert isolated.run(program(language, READS[language])).verdict == "passed"


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_isolation_the_verdicts_are_the_same(language, bare, needs):
    needs(language)
    assert bare.problem
    assert bare.run(program(language)).verdict == "passed"
    assert bare.run(program(language, value="41")).verdict == "wrong"


def test_python_keeps_nothing_between_programs(isolated):
    spoil = "__import__('math').pi = 3; open('left', 'w').write('x'); __import__('builtins').abs = None"
    assert isolated.run(program("python", spoil)).verdict == "passed"
    clean = "assert __import__('math').pi > 3.1 and abs(-1) == 1 and __import__('os').listdir() == []"
    assert isolated.run(program("python", clean)).verdict == "passed"


def test_cpp_programs_keep_their_own_macros(isolated, needs):
    needs("cpp")
    macros = "#define LIMIT 42\n#define answer_of(x) (x)\n"
    assert isolated.run(program("cpp", value="answer_of(LIMIT)", before=macros)).verdict == "passed"


def test_go_programs_may_have_a_main_function(isolated, needs):
    needs("go")
    main = "func main() { panic(1) }\n"
    assert isolated.run(program("go", before=main)).verdict == "passed"
    assert isolated.run(program("go", value="41", before=main)).verdict == "wrong"


def test_go_vets_where_it_is_asked_to(isolated, needs):
    needs("go")
    bad = 'fmt.Printf("%d", "text")'
    assert isolated.run(program("go", bad, imports='"fmt"')).verdict == "passed"
    vetted = isolated.run(program("go", bad, imports='"fmt"', vet=True))
    assert (vetted.verdict, vetted.stage) == ("compile_error", "compile")
    assert "Printf format %d" in vetted.detail
    assert isolated.run(program("go", 'fmt.Printf("%d", 1)', imports='"fmt"', vet=True)).verdict == "passed"


def test_a_program_that_runs_alone_waits_for_the_others():
    running, together = [], []
    lock = threading.Lock()

    class Watching(Sandbox):
        def start_container(self, number):
            container = super().start_container(number)
            run = container.run

            def watched(job, seconds):
                with lock:
                    running.append(number)
                    together.append(len(running))
                try:
                    return run(job, seconds)
                finally:
                    with lock:
                        running.remove(number)

            container.run = watched
            return container

    sleeping = program("python", "__import__('time').sleep(0.1)")
    with Watching(workers=3, isolation="none") as sandbox, concurrent.futures.ThreadPoolExecutor(8) as threads:
        shared = list(threads.map(lambda _: sandbox.run(sleeping), range(6)))
        assert max(together) > 1
        together.clear()
        alone = list(threads.map(lambda _: sandbox.run(sleeping, alone=True), range(4)))
        assert max(together) == 1
    assert {result.verdict for result in shared + alone} == {"passed"}


def test_a_container_that_breaks_is_replaced(monkeypatch):
    with Sandbox(workers=1, isolation="none") as sandbox:
        assert sandbox.run(program("python")).passed
        sandbox._slots.queue[0]._container._process.kill()
        assert sandbox.run(program("python")).passed

        def refuse(container, job, seconds):
            container.close()
            return Container.run(container, job, seconds)

        monkeypatch.setattr(sandbox._slots.queue[0]._container, "run", lambda job, seconds: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sandbox.run(program("python"))
        assert sandbox._slots.qsize() == 1  # its place is free again


def test_whoever_does_not_wait_for_an_answer_leaves_none_behind():
    class Over(Exception):
        pass

    def interrupt(number, frame):
        raise Over

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with Sandbox(workers=1, isolation="none") as sandbox:
            assert sandbox.run(program("python")).passed
            alarm = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
            with pytest.raises(Over):  # noqa: PT012
                alarm.start()
                sandbox.run(program("python", "__import__('time').sleep(2)", value="41"))
            assert sandbox.run(program("python")).passed
            assert sandbox.run(program("python", value="41")).verdict == "wrong"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_the_sandbox_cannot_do_it_says(monkeypatch):
    with pytest.raises(CodeGeeXError, match="no runner for 'cobol'"):
        Program("cobol", "", "")  # type: ignore[arg-type]
    with pytest.raises(CodeGeeXError, match="0 workers"):
        Sandbox(workers=0)
    monkeypatch.setattr("codegeex.sandbox.sandbox.isolation_problem", lambda: "bubblewrap is not installed.")
    with pytest.raises(CodeGeeXError, match="bubblewrap is not installed"):
        Sandbox(isolation="require")
    with Sandbox(workers=1) as sandbox:
        assert sandbox.describe()["problem"] == "bubblewrap is not installed."


def test_waiting_ends_too(isolated):
    assert isolated.run(program("python")).passed  # the container has started
    begun = time.monotonic()
    result = isolated.run(program("python", "__import__('time').sleep(1000)"), Limits(seconds=0.3, patience=2))
    assert result.verdict == "timeout"
    assert result.seconds < 0.3
    assert time.monotonic() - begun < 20  # of a thousand
