"""Small programs in six languages, good and bad, for the tests of the sandbox."""

from __future__ import annotations

from codegeex.sandbox import Program, RunnerName

_CPP_HEADERS = ("stdlib.h", "algorithm", "math.h", "stdio.h", "vector", "string", "climits", "cstring", "iostream")

HEADS: dict[RunnerName, str] = {
    "python": "",
    "cpp": "".join(f"#include<{name}>\n" for name in _CPP_HEADERS) + "using namespace std;\n",
    "java": "import java.util.*;\nimport java.io.*;\nimport java.nio.file.*;\n",
    "javascript": "",
    "go": 'package main\n\nimport (\n"testing"\n"github.com/stretchr/testify/assert"\n',
    "rust": "fn main() {}\n",
}
"""What every program of a language begins with; Go's leaves its imports open."""

ANSWERS: dict[RunnerName, str] = {
    "python": "def answer():\n    {}\n    return {}\n",
    "cpp": "int answer() {{\n    {}\n    return {};\n}}\n",
    "java": "class Solution {{\n    int answer() throws Exception {{\n        {}\n        return {};\n    }}\n}}\n",
    "javascript": "const answer = () => {{\n    {}\n    return {}\n}}\n",
    "go": "func Answer() int {{\n    {}\n    return {}\n}}\n",
    "rust": "fn answer() -> i32 {{\n    {}\n    {}\n}}\n",
}

TESTS: dict[RunnerName, str] = {
    "python": "assert answer() == 42\nassert answer() != 43\n",
    "cpp": "#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (answer() == 42);\n    assert (answer() != 43);\n}\n",
    "java": "public class Main {\n    public static void main(String[] args) throws Exception {\n"
    "        List<Boolean> correct = Arrays.asList(new Solution().answer() == 42, new Solution().answer() != 43);\n"
    "        if (correct.contains(false)) {\n            throw new AssertionError();\n        }\n    }\n}\n",
    "javascript": "const testAnswer = () => {\n  console.assert(answer() === 42)\n  console.assert(answer() !== 43)\n}\n"
    "testAnswer()\n",
    "go": "func TestAnswer(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(42, Answer())\n"
    "    assert.NotEqual(43, Answer())\n}\n",
    "rust": "#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn test_answer() {\n"
    "        assert_eq!(answer(), 42);\n        assert!(answer() != 43);\n    }\n}\n",
}


def program(
    language: RunnerName, body: str = "", value: str = "42", before: str = "", imports: str = "", **more: bool
) -> Program:
    """A program whose answer the tests want to be 42.

    Args:
        body: statements of the answer's function.
        value: what it returns.
        before: declarations ahead of the function.
        imports: Go: lines of the import block.
    """
    head = HEADS[language] + (f"{imports}\n)\n" if language == "go" else imports)
    answer = ANSWERS[language].format(body or ("pass" if language == "python" else ""), value)
    return Program(language, f"{head}{before}\n{answer}", TESTS[language], **more)
