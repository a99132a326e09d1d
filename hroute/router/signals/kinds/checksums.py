"""Check digits, each by its public definition; every function takes the value without separators."""

from __future__ import annotations

from typing import Final


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: payment cards, Canadian SIN, Swedish personnummer."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + index % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0 and any(d != "0" for d in digits)


def mod97(iban: str) -> bool:
    """ISO 7064 MOD 97-10, as an IBAN uses it (ISO 13616)."""
    moved = iban[4:] + iban[:4]
    return moved.isascii() and moved.isalnum() and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


_TIMES: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6), (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1), (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4), (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_TURN: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2), (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1), (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)  # fmt: skip


def verhoeff(digits: str) -> bool:
    """Verhoeff's dihedral scheme (1969): Indian Aadhaar."""
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = _TIMES[check][_TURN[index % 8][int(digit)]]
    return check == 0


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """The sum of digits times weights."""
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


def cpf(digits: str) -> bool:
    """Brazilian CPF: two check digits, modulo 11."""
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    first = weighted(digits, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted(digits, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}"


def pesel(digits: str) -> bool:
    """Polish PESEL, modulo 10."""
    return len(digits) == 11 and (10 - weighted(digits[:10], (1, 3, 7, 9) * 3) % 10) % 10 == int(digits[10])


def nhs(digits: str) -> bool:
    """British NHS number, modulo 11."""
    check = 11 - weighted(digits[:9], tuple(range(10, 1, -1))) % 11
    return len(digits) == 10 and check != 10 and check % 11 == int(digits[9])


def bsn(digits: str) -> bool:
    """Dutch burgerservicenummer, the eleven test."""
    return len(digits) == 9 and digits != "0" * 9 and weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def ean13(digits: str) -> bool:
    """GS1 modulo 10, as the Swiss AHV number uses it."""
    return len(digits) == 13 and weighted(digits, (1, 3) * 7) % 10 == 0


def dni(value: str) -> bool:
    """Spanish DNI and NIE: a letter from the number modulo 23."""
    number = {"X": "0", "Y": "1", "Z": "2"}.get(value[0], value[0]) + value[1:-1]
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


def hetu(value: str) -> bool:
    """Finnish henkilötunnus: DDMMYY, a sign, three digits, a character from the number modulo 31."""
    number = value[:6] + value[7:10]
    return number.isdigit() and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number) % 31] == value[10]


def nir(value: str) -> bool:
    """French social security number: a key, 97 minus the number modulo 97; Corsica counts as 19 and 18."""
    body = value[:13].replace("2A", "19").replace("2B", "18")
    return body.isdigit() and value[13:].isdigit() and 97 - int(body) % 97 == int(value[13:])


def resident(value: str) -> bool:
    """Chinese resident identity number (GB 11643): ISO 7064 MOD 11-2."""
    return (
        value[:17].isdigit()
        and "10X98765432"[weighted(value[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11] == value[17]
    )


_ODD: Final = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
), strict=True))  # fmt: skip


def codice_fiscale(value: str) -> bool:
    """Italian codice fiscale: a letter from the characters at odd and even places, modulo 26."""
    odd = sum(_ODD[c] for c in value[:15:2])
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in value[1:15:2])
    return chr(65 + (odd + even) % 26) == value[15]
