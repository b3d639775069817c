"""PHP's ways of reading and writing, as PHP 8.2 itself showed them."""

from collections.abc import Callable
from typing import Any

import pytest

from exbo_oauth.testing.multipart import parsed_multipart
from exbo_oauth.testing.php import (
    Array,
    BadJSON,
    as_text,
    base64_decoded,
    built_query,
    escaped,
    json_decoded,
    json_encoded,
    parsed_form,
    parsed_query,
    trimmed,
)

FORMS = {
    " a.b c=1": {"a_b_c": "1"},
    "x[ ]=2": {"x": {"0": "2"}},
    "y[a]z=3": {"y": {"a": "3"}},
    "q[a=4": {"q_a": "4"},
    "[k]=5&=6&%00=7": {},
    "n%00m=7": {"n": "7"},
    "w[x][y]=8&w[x][z]=9": {"w": {"x": {"y": "8", "z": "9"}}},
    "w[x]=8&w=9": {"w": "9"},
    "w=9&w[x]=8": {"w": {"x": "8"}},
    "d[5]=a&d[]=b&d[05]=c&d[]=e": {"d": {"5": "a", "6": "b", "05": "c", "7": "e"}},
    "e": {"e": ""},
    "f[a].b=3": {"f": {"a": "3"}},
    "g.h[i.j]=1&r[a b]=2": {"g_h": {"i.j": "1"}, "r": {"a b": "2"}},
    "t[a[b]=4&z[[]=1&v[ a]=1": {"t": {"a[b": "4"}, "z": {"[": "1"}, "v": {" a": "1"}},
    "a=%FF+%2B&b=%zz": {"a": "\udcff +", "b": "%zz"},
    "[a=1&[b]=2&+[c=3&.[d=4&[=5": {"__d": "4"},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    assert parsed_query(form.encode()) == parsed_form(form.encode()) == FORMS[form]


def test_query_strings() -> None:
    asked: Any = {"a": {"x": "~ *", "y": None}, "b": False, "c": True, "d": 1e25, "e": "é"}
    assert built_query(asked) == "a%5Bx%5D=%7E+%2A&b=0&c=1&d=1.0E%2B25&e=%C3%A9"


ENTITIES = {
    "&": "&amp;",
    "&amp; &eacute; &thetasym;": "&amp; &eacute; &thetasym;",
    "&foo; &apos; &AMP; &lt": "&amp;foo; &amp;apos; &amp;AMP; &amp;lt",
    "&#39; &#x27; &#0; &#xD800;": "&#39; &#x27; &#0; &#xD800;",
    "&#1114112; &#x110000; &#12345678901;": "&amp;#1114112; &amp;#x110000; &amp;#12345678901;",
    "<'\">": "&lt;&#039;&quot;&gt;",
    "a\udcff": "",
}


@pytest.mark.parametrize("text", ENTITIES, ids=ascii)
def test_html(text: str) -> None:
    assert escaped(text) == ENTITIES[text]


BASE64 = {
    # leniently, then strictly
    "YTpi": (b"a:b", b"a:b"),
    "YTpiYw": (b"a:bc", b"a:bc"),
    "YTpiYw==": (b"a:bc", b"a:bc"),
    "Y T\np i": (b"a:b", b"a:b"),
    "YTpi!!": (b"a:b", None),
    "YTpi==": (b"a:b", None),
    "YTpiYw=": (b"a:bc", None),
    "YTpiYw===": (b"a:bc", None),
    "YTpiY": (b"a:b", None),
    "YTpi=YTpi": (b"a:ba:b", None),
    " Y\tT\r\npi": (b"a:b", b"a:b"),
    "YTpi\v": (b"a:b", None),
    "YTpi\f": (b"a:b", None),
    "YTpi\x85": (b"a:b", None),
    "YTpi\xa0": (b"a:b", None),
    "=YTpi": (b"a:b", None),
}


@pytest.mark.parametrize("text", BASE64, ids=ascii)
def test_base64(text: str) -> None:
    assert (base64_decoded(text, strict=False), base64_decoded(text, strict=True)) == BASE64[text]


TEXTS = {
    "1.0": "1",
    "1e25": "1.0E+25",
    "1.5e-7": "1.5E-7",
    "0.30000000000000004": "0.3",
    "123456789012345678.0": "1.2345678901235E+17",
    "12345678901234567890": "1.2345678901235E+19",
    "9223372036854775807": "9223372036854775807",
    "1e400": "INF",
    "-1e400": "-INF",
    "1" + "0" * 5000: "INF",
    "-0": "0",
    "true": "1",
    "false": "",
    '"x"': "x",
}


@pytest.mark.parametrize("number", TEXTS, ids=lambda number: number[:24])
def test_scalars_become_texts(number: str) -> None:
    value: Any = json_decoded(number.encode())
    assert as_text(value) == TEXTS[number]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"NaN", b"[Infinity]", b"{'a':1}", b"[1,]", b"01", b"\x0b1", b'"\n"', b"\xef\xbb\xbf1", b'"\xff"'),
        *(
            b'"\\ud800"',
            b'{"\\udc00":1}',
            b"[" * 512 + b"]" * 512,
            b"[" * 100_000,
            b'{"a":1}'.decode().encode("utf-16"),
        ),
    ],
    ids=lambda content: ascii(content[:12]),
)
def test_what_is_not_json(content: bytes) -> None:
    with pytest.raises(BadJSON):
        json_decoded(content)


def test_arrays_of_both_kinds_are_arrays() -> None:
    assert json_decoded(b' {"a": [1, {"b": null}], "\\ud83d\\ude00": []} ') == {
        "a": {"0": 1, "1": {"b": None}},
        "😀": {},
    }
    assert json_decoded(b"[" * 511 + b"]" * 511) != {}


def test_json_is_written_with_escaped_slashes() -> None:
    assert json_encoded({"a/b": "é"}) == rb'{"a\/b":"\u00e9"}'


def test_json_is_written_with_other_control_characters_than_python_escapes() -> None:
    assert json_encoded("\x1f \x7f \\u007f \x80") == b'"\\u001f \x7f \\\\u007f \\u0080"'


KEPT = "\x01\x1c\x1f\xad\u200c\u200d\u200f\u202a\u2060\u2800\u3164"
TRIMMED = "\0\t\n\v\f\r \x85\xa0\u1680\u180e\u2000\u200a\u200b\u200e\u2028\u2029\u202f\u205f\u3000\ufeff"


@pytest.mark.parametrize("mark", TRIMMED, ids=ascii)
def test_marks_around_a_text_are_trimmed(mark: str) -> None:
    assert trimmed(f"{mark}a{mark}b{mark}") == f"a{mark}b"


@pytest.mark.parametrize("mark", KEPT, ids=ascii)
def test_others_are_not(mark: str) -> None:
    assert trimmed(f"{mark}a{mark}") == f"{mark}a{mark}"


def test_of_what_is_not_utf8_only_ascii_is_trimmed() -> None:
    assert trimmed(" \u200b\udcff\0 ") == "\u200b\udcff"


def _part(parameters: str, value: str) -> bytes:
    return f"--x\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{value}\r\n".encode()


PARTS = {
    "nothing": (b"", {}),
    "no blank line": (b'--x\r\nContent-Disposition: form-data; name="a"\r\n--x--', {"a": "--x--"}),
    "no end of its head": (b'--x\r\nContent-Disposition: form-data; name="a"', {}),
    "no line of its own for an empty value": (_part("name=a", "--x--"), {"a": "--x--"}),
    "no end": (_part("name=a", "1"), {"a": "1"}),
    "almost an end": (_part("name=a", "1") + b"--", {"a": "1"}),
    "no end, no line's end": (_part("name=a", "1")[:-2], {"a": "1"}),
    "something in front": (b"hello\r\n" + _part("name=a", "1"), {"a": "1"}),
    "more behind the end": (_part("name=a", "1") + b"--x--\r\n" + _part("name=b", "2"), {"a": "1", "b": "2"}),
    "a kind that is left out": (_part("name=a", "1").replace(b"form-data; ", b""), {"a": "1"}),
    "garbled": (_part("x=a", "1") + _part("name=b", "2"), {}),
    "garbled, and said to be a file": (_part("filename=a", "1") + _part("name=b", "2"), {"b": "2"}),
    "a blank before the colon": (_part("name=a", "1").replace(b":", b" :"), {}),
    "blanks around =": (_part("name =a; name= b", "1"), {"b": "1"}),
    "two names": (_part('name="a"; name="b"', "1"), {"b": "1"}),
    "two heads": (_part("name=a\r\nContent-Disposition: form-data; name=b", "1"), {"a": "1"}),
    "a line that goes on": (_part("\r\n name=a", "1"), {"a": "1"}),
    "a line that nothing goes before": (
        b"--x\r\nhello\r\n" + _part("name=a", "1").removeprefix(b"--x\r\n"),
        {"a": "1"},
    ),
    "a line without a colon goes on": (_part("name=a\r\nb", "1"), {"ab": "1"}),
    "another kind of marks": (_part("name='a\"b'", "1"), {'a"b': "1"}),
    "a mark that nothing closes": (_part('name="a', "1"), {"a": "1"}),
    "a mark within quotation": (_part('x=";name=b"; name="a;b"', "1"), {"a;b": "1"}),
    "a backslash that guards nothing": (_part('name="a\\_b"', "1"), {"a\\_b": "1"}),
    "a thousand and one": (b"".join(_part(f"name=a{n}", "") for n in range(1001)), {f"a{n}": "" for n in range(1000)}),
    "no name": (b"--x\r\nContent-Type: text/plain\r\n\r\n1\r\n--x--", {}),
    "no head": (b"--x\r\n\r\n1\r\n--x--", {}),
    "escapes": (b'--x\r\nContent-Disposition: form-data; name="a\\"b"\r\n\r\n1\r\n--x--', {'a"b': "1"}),
    "lines in it": (b"--x\nContent-Disposition: form-data; name=a\n\n1\n--xy\n2\n--x--", {"a": "1"}),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_forms(name: str) -> None:
    content, found = PARTS[name]
    assert parsed_multipart("multipart/form-data; boundary=x", content) == found


BOUNDARIES = {
    "boundary=x": True,
    'boundary="x"': True,
    'charset=utf-8; BOUNDARY="x"; more': True,
    "boundary=x,y": True,
    "boundary =x": True,
    "BOUNDARY=y; boundary=x": True,
    "xboundary=x": True,
    "boundary= x": False,
    "boundary='x'": False,
    'boundary="x': False,
    "boundary=x y": False,
    "boundary": False,
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_boundaries(boundary: str) -> None:
    found = parsed_multipart(f"multipart/form-data; {boundary}", _part("name=a", "1"))
    assert found == ({"a": "1"} if BOUNDARIES[boundary] else {})


MANY = "&".join(f"a{n}=" for n in range(1100))


@pytest.mark.parametrize(("read", "text", "taken"), [
    pytest.param(parsed_query, MANY, 1000, id="query"),
    pytest.param(parsed_query, f"&&&{MANY}", 1000, id="query with empty ones"),
    pytest.param(parsed_query, f"=&={MANY}", 998, id="query with nameless ones"),
    pytest.param(parsed_form, MANY, 1001, id="form"),
    pytest.param(parsed_form, f"&&&{MANY}", 998, id="form with empty ones"),
])  # fmt: skip
def test_so_many_parameters_and_no_more(read: Callable[[bytes], Array], text: str, taken: int) -> None:
    assert len(read(text.encode())) == taken


def test_a_parameter_that_is_nested_too_deep_is_lost_with_all_of_its_name() -> None:
    assert parsed_form(b"a=1&b=2&a" + b"[c]" * 65 + b"=3") == {"b": "2"}
    assert list(parsed_form(b"a=1&a" + b"[c]" * 64 + b"=3")["a"]) == ["c"]
