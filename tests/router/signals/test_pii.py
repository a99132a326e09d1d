"""A kind counts with a valid checksum, in its own format, or behind a cue word; the rest is nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals import scanner as scanners
from hroute.router.signals.pii import pii_scanner
from hroute.router.signals.scanner import MOST, TextScanner
from hroute.terms.pattern import PatternError
from hroute.terms.signal import IMPERSONAL_KINDS, PII_KINDS

SCANNER = pii_scanner(PII_KINDS)


def found(text: str, scanner: TextScanner = SCANNER) -> list[tuple[str, str]]:
    return [(p.kind, text[p.start : p.end]) for p in scanner.scan(text) if p.kind not in ("date", "url")]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("My SSN is 078-05-1120, fill the form", "us_ssn", "078-05-1120"),
        ("ssn: 078051120", "us_ssn", "078051120"),
        ("write to Jane.Doe+x@mail.example.co.uk.", "email", "Jane.Doe+x@mail.example.co.uk"),
        ("https://a.example/?mail=jane@x.com", "email", "jane@x.com"),
        ("pay with 4111 1111 1111 1111 please", "payment_card", "4111 1111 1111 1111"),
        ("5555555555554444", "payment_card", "5555555555554444"),
        ("3782-822463-10005", "payment_card", "3782-822463-10005"),
        ("my credit card 4111111111111112", "payment_card", "4111111111111112"),
        ("to DE89 3704 0044 0532 0130 00 today", "iban", "DE89 3704 0044 0532 0130 00"),
        ("ES9121000418450200051332", "iban", "ES9121000418450200051332"),
        ("ES91 2100 0418 4502 0005 1332 please", "iban", "ES91 2100 0418 4502 0005 1332"),
        ("call +49 30 901820", "phone", "+49 30 901820"),
        ("(415) 555-2671 is hers", "phone", "(415) 555-2671"),
        ("my number is 555 123 4567", "phone", "555 123 4567"),
        ("from 203.0.113.7 at noon", "ip", "203.0.113.7"),
        ("2001:db8:85a3::8a2e:370:7334", "ip", "2001:db8:85a3::8a2e:370:7334"),
        ("mac 3D:F2:C9:A6:B3:4F", "mac", "3D:F2:C9:A6:B3:4F"),
        ("DOB: 1997-02-02", "date_of_birth", "1997-02-02"),
        ("she was born on 3 May 1990", "date_of_birth", "3 May 1990"),
        ("passport number is X1234567", "passport", "X1234567"),
        ("driver's license: D1234567", "driver_license", "D1234567"),
        ("bank account 12345678", "bank_account", "12345678"),
        ("MRN: MRN-1008737", "medical_record", "MRN-1008737"),
        ("lives at 12 Main Street, Springfield", "address", "12 Main Street"),
        ("Hauptstraße 12a, Berlin", "address", "Hauptstraße 12a"),
        ("529.982.247-25", "national_id", "529.982.247-25"),
        ("DNI 12345678Z", "national_id", "12345678Z"),
        ("RSSMRA85T10A562S", "national_id", "RSSMRA85T10A562S"),
        ("11010519491231002X", "national_id", "11010519491231002X"),
        ("131052-308T", "national_id", "131052-308T"),
        ("my username is jdoe99", "username", "jdoe99"),
        ("jane [at] example [dot] com", "email", "jane [at] example [dot] com"),
        ("write to jane.doe at example dot com", "email", "jane.doe at example dot com"),
        ("4111.1111.1111.1111", "payment_card", "4111.1111.1111.1111"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "payment_card", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        ("the limit of card 584528792610?", "payment_card", "584528792610"),
        ("stop sending messages to 468 1513", "phone", "468 1513"),
        ("079 4650 2145-Office", "phone", "079 4650 2145"),
        ("Tél. : 06 12 34 56 78", "phone", "06 12 34 56 78"),
        ("(505)498-8487x6837", "phone", "(505)498-8487x6837"),
        ("001-541-754-3010", "phone", "001-541-754-3010"),
        ("Reisepass: C01X00T47", "passport", "C01X00T47"),
        ('"passport_number": "P7H125227"', "passport", "P7H125227"),
        ("<drivingLicence>MORGA753116SM9IJ</drivingLicence>", "driver_license", "MORGA753116SM9IJ"),
        ("Kontonummer 532013000", "bank_account", "532013000"),
        ("routing number 021000021", "bank_account", "021000021"),
        ("insurance ID is INS-194498295", "medical_record", "INS-194498295"),
        ("rodné číslo 736028/5163", "national_id", "736028/5163"),
        ("8801125800084 or 880320-0016", "national_id", "880320-0016"),
        ("85.07.30-033.28", "national_id", "85.07.30-033.28"),
        ("12.531.909-2", "national_id", "12.531.909-2"),
        ("Steuer-ID 36574261809", "national_id", "36574261809"),
        ("BOXW310820HNERXN09", "national_id", "BOXW310820HNERXN09"),
        ("my zip code is 05520", "address", "05520"),
        ("Please return to Unit 5599 Box 3418", "address", "Unit 5599 Box 3418"),
        ("He lives at 21 Hunsrødsletta 7, Sandefjord", "address", "21 Hunsrødsletta 7"),
        ("35 Kromwater 38\n Apt. 705", "address", "35 Kromwater 38\n Apt. 705"),
        ("12 rue de la Paix, Paris", "address", "12 rue de la Paix"),
        ("ul. Podleśna 17, Katowice", "address", "ul. Podleśna 17"),
        ("Erzsébet utca 92", "address", "Erzsébet utca 92"),
        ("Springfield, IL 62704", "address", "Springfield, IL 62704"),
        ("K1A 0B1", "address", "K1A 0B1"),
    ],
)  # fmt: skip
def test_what_a_person_gives_away_is_found_with_its_place(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740991",
        '{"maximum": 9007199254740991, "minimum": -9007199254740991}',
        "version 1.2.3.4, v10.20.30.40, release 4.4.4.4",
        "127.0.0.1:8080 and 0.0.0.0",
        "4111111111111112",
        "0.4111111111111111",
        "id a4111111111111111",
        "1700000000000 1700000000000000000",
        "DE89370400440532013001",
        "12345678A",
        "078051120",
        "000-12-3456 and 123-00-4567",
        "icon@2x.png, @types/node, user@localhost",
        "postgres://admin:pw@db.example.com",
        "noreply@anthropic.com, git@github.com:a/b.git",
        "2022-06-02T05:09:00Z",
        "call me on 2022-06-02",
        "std::vector<int> a::b::c; 12:30:45",
        "00:00:00:00:00:00",
        "account no 2, passport control, born to run",
        "I have 5 easy ways to walk 10 miles",
        "please cancel purchase 732201349959",
        "550e8400-e29b-41d4-a716-446655440000",
        "since 123 456 782 we discard",
        "look at example dot com",
        "since 1945 and since 2019-04-08",
        "RFC 7230, section 3.2.4",
        "text_editor_20241022",
        "call it on 20241022",
        "seed = 3562050283508273023",
        "+10011010010 and -10011010010",
        "Mozart was born on 27 January 1756",
        "Foundation, Inc., 51 Franklin Street, Fifth Floor",
        "located at the center of the site. Standing 63 meters tall",
        "work on March 15, sent to Python 3",
        "850730-03328 since the RFC",
        "our route takes 130 days via Python 3",
        "I bought 20 units at $15 in suite",
        "routing number 021000022",
        "",
    ],
)
def test_what_only_looks_like_personal_data_is_nothing(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "My SSN is ０７８-０５-１１２０", "My SSN is 078\u200b-05-1120", "My SSN is 078‑05‑1120", "My SSN is ٠٧٨-٠٥-١١٢٠",
        "My SSN is \u202e078-05-1120", "My SSN is 078%2D05%2D1120", "My SSN is 078\\u002d05\\u002d1120", "My SSN is 078&#45;05&#45;1120",
    ],
)  # fmt: skip
def test_odd_spellings_of_digits_dashes_and_unseen_characters_hide_nothing(text: str) -> None:
    (place,) = SCANNER.scan(text)
    assert place.kind == "us_ssn"
    assert text[place.start : place.end] == text[10:].lstrip("\u202e")


def test_places_are_code_points_of_the_original_text() -> None:
    text = "\u200bж" * 3_000 + " 078-05-1120"
    assert found(text) == [("us_ssn", "078-05-1120")]
    assert found("?a=%41&b\u200b=%41%20" * 500 + "078-05-1120")[-1] == ("us_ssn", "078-05-1120")


def test_an_escape_in_json_text_does_not_hide_what_follows() -> None:
    assert found(r'{"note": "card\n4111111111111111"}') == [("payment_card", "4111111111111111")]


def test_a_place_is_claimed_by_one_kind() -> None:
    places = SCANNER.scan("ssn 078-05-1120, phone 415-555-2671, jane@x.com https://jane@x.com/4111111111111111")
    assert all(a.end <= b.start for a, b in itertools.pairwise(places))


def test_links_and_dates_are_kinds_of_their_own() -> None:
    assert {p.kind for p in SCANNER.scan("see https://example.org/a on 2024-01-02 from 8.8.8.8")} == set(
        IMPERSONAL_KINDS
    )


def test_only_the_kinds_asked_for_are_looked_for() -> None:
    assert found("jane@x.com 078-05-1120", pii_scanner(["email"])) == [("email", "jane@x.com")]


def test_values_that_the_policy_allows_are_nothing() -> None:
    scanner = pii_scanner(PII_KINDS, allow=["4111 1111 1111 1111", "@example.com"])
    assert found("4111-1111-1111-1111 or 4111111111111111, jane@EXAMPLE.com", scanner) == []
    assert found("5555555555554444, jane@notexample.com", scanner) == [
        ("payment_card", "5555555555554444"),
        ("email", "jane@notexample.com"),
    ]


def test_kinds_of_the_policys_own_are_found_by_their_pattern() -> None:
    scanner = pii_scanner(PII_KINDS, custom=[("employee", r"\bEMP-(?:\d{5})\b")])
    assert found("ask EMP-12345", scanner) == [("employee", "EMP-12345")]


def test_a_custom_pattern_may_count_a_long_row() -> None:
    scanner = pii_scanner((), custom=[("long", r"\d{30}")])
    assert found("x 123456789012345678901234567890", scanner) == [("long", "123456789012345678901234567890")]


def test_a_custom_pattern_that_is_no_re2_is_an_error_and_not_a_silent_miss() -> None:
    with pytest.raises(PatternError):
        pii_scanner((), custom=[("x", "(?=a)")]).scan("a")


def test_scanners_that_look_for_other_things_have_another_version() -> None:
    versions = {
        pii_scanner(PII_KINDS).version,
        pii_scanner(["email"]).version,
        pii_scanner(PII_KINDS, allow=["x"]).version,
        pii_scanner(PII_KINDS, custom=[("a", "b")]).version,
    }
    assert len(versions) == 4
    assert pii_scanner(PII_KINDS).version == pii_scanner(PII_KINDS).version


def test_one_detector_reports_a_bounded_number_of_places() -> None:
    assert len(pii_scanner(["email"]).scan("a@b.co " * 10_000)) == MOST


def test_detectors_look_at_each_candidate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear: the work grows as the text does."""

    def work(copies: int) -> int:
        count = 0

        def counting(*arguments: object) -> object:
            nonlocal count
            for candidate in original(*arguments):  # type: ignore[arg-type]
                count += 1
                yield candidate

        with monkeypatch.context() as patch:
            patch.setattr(scanners, "candidates", counting)
            SCANNER.scan("4111-1111-1111-1112 1234567890 " * copies)
        return count

    original = scanners.candidates
    assert 0 < work(4_000) <= 4 * work(1_000) + 100


def test_ten_megabytes_are_read_to_the_end() -> None:
    assert found("The quick brown fox, 12 of them. " * 300_000 + "078-05-1120") == [("us_ssn", "078-05-1120")]


@given(st.text(alphabet=st.characters(categories=None)))
def test_no_text_crashes_the_scanner(text: str) -> None:
    for place in SCANNER.scan(text):
        assert 0 <= place.start < place.end <= len(text)


@given(st.text(alphabet="0123456789-. +()/:ab@\u200b１", max_size=60))
def test_no_row_of_digits_and_signs_crashes_the_scanner(text: str) -> None:
    for place in SCANNER.scan(text):
        assert 0 <= place.start < place.end <= len(text)
