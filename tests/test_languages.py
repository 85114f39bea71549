import pytest

from codegeex import languages, prompts
from codegeex.errors import CodeGeeXError

# Facts of the original, section 4.5: form of the tag, languages.
TAGS = {
    "// language: {}": "C,C++,C#,Cuda,Dart,Lua,Objective-C,Objective-C++,swift,Java,Scala,PHP,JavaScript,TypeScript,Go,"
    "Rust,Kotlin,Pascal,Groovy,ActionScript,Solidity,Cobol",
    "# language: {}": "Python,Perl,Shell,Ruby,R,GDScript,Julia,Elixir,PowerShell",
    "/* language: {} */": "CSS",
    "<!--language: {}-->": "HTML,Vue,Markdown",
    "% language: {}": "TeX,Prolog,Matlab,Erlang",
    "-- language: {}": "SQL,Lean,Haskell",
    "; language: {}": "Lisp,Scheme,Assembly,Clojure",
    "' language: {}": "Visual Basic,Basic,Excel",
    "!language: {}": "Fortran",
    "{{language: {}}}": "Delphi",
    "* language: {}": "Abap",
}


def test_tags_are_those_of_the_released_model():
    expected = {form.format(name) for form, names in TAGS.items() for name in names.split(",")}
    assert len(expected) == 52
    assert {language.tag for language in languages.LANGUAGES} == expected
    assert len(languages.LANGUAGES) == 52


def test_the_paper_has_23_languages():
    assert sum(language.in_paper for language in languages.LANGUAGES) == 23


def test_names_are_unambiguous():
    names = [
        name.lower()
        for language in languages.LANGUAGES
        for name in {language.key, language.name.lower(), *language.aliases}
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "key"),
    [("C++", "cpp"), ("c#", "csharp"), ("JS", "javascript"), ("objective-c", "objectivec"), ("vb", "visualbasic")],
)
def test_names_people_type(name, key):
    assert languages.get(name).key == key


def test_unknown_names_get_a_hint():
    with pytest.raises(CodeGeeXError, match=r"unknown language 'pyhton'.*python"):
        languages.get("pyhton")


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("a/b.py", ["python"]),
        ("B.CPP", ["cpp"]),
        ("x.h", ["cpp", "c", "objectivec"]),
        ("Makefile", []),
        ("x.unknown", []),
    ],
)
def test_paths(path, keys):
    assert [language.key for language in languages.for_path(path)] == keys


@pytest.mark.parametrize("language", languages.LANGUAGES, ids=lambda language: language.key)
def test_comments_are_comments_of_the_language(language):
    lines = language.comment("two\nlines").split("\n")
    assert len(lines) == 2
    opening = language.line_comment or language.block_comment[0]
    assert all(line.startswith(opening) for line in lines)
    assert prompts.generation("sort", language) == f"{language.tag}\n{language.comment('sort')}\n"


def test_benchmark_order():
    names = ["python", "cpp", "java", "javascript", "go", "rust"]
    assert [language.key for language in languages.EXECUTABLE] == names
