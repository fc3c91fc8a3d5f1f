"""Sums of multiples of public points of secp256k1, to find a signature's point again.

Not for secrets: nothing here takes constant time. The library tells of a multiple of a point only its x, and takes
ten times as long for it as this does with tables.
"""

from __future__ import annotations

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

Affine = tuple[int, int]
_Jacobian = tuple[int, int, int]
_INFINITY: _Jacobian = (1, 1, 0)

# Five teeth: a table of 31 points is made in about as long as five sums take, and is 5 KiB.
_TEETH = 5
_COLUMNS = 52


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    a, b = x * x % P, y * y % P
    c = b * b % P
    d = 2 * ((x + b) * (x + b) - a - c) % P
    e = 3 * a
    left = (e * e - 2 * d) % P
    return left, (e * (d - left) - 8 * c) % P, 2 * y * z % P


def _add(point: _Jacobian, other: Affine) -> _Jacobian:
    x, y, z = point
    if not z:
        return other[0], other[1], 1
    zz = z * z % P
    h = (other[0] * zz - x) % P
    r = (other[1] * z * zz - y) % P
    if not h:
        return _INFINITY if r else _double(point)
    hh = h * h % P
    hhh = h * hh % P
    v = x * hh % P
    left = (r * r - hhh - 2 * v) % P
    return left, (r * (v - left) - y * hhh) % P, z * h % P


def _affine(point: _Jacobian) -> Affine:
    x, y, z = point
    inverse = pow(z, -1, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P


class Comb:
    """A point with a table for its multiples (Lim and Lee, 1994)."""

    def __init__(self, point: Affine) -> None:
        """point: on the curve, not at infinity."""
        teeth = [point]
        for _ in range(_TEETH - 1):
            further: _Jacobian = (*teeth[-1], 1)
            for _ in range(_COLUMNS):
                further = _double(further)
            teeth.append(_affine(further))
        self.table: list[Affine | None] = [None]
        for tooth in teeth:
            self.table += [
                tooth if entry is None else _affine(_add((*entry, 1), tooth))
                for entry in self.table
            ]

    def columns(self, factor: int) -> list[int]:
        """Of each column, from the highest on, the place in the table. factor: below 2^256."""
        bits = format(factor, f"0{_TEETH * _COLUMNS}b")
        return [int(bits[column::_COLUMNS], 2) for column in range(_COLUMNS)]


BASE = Comb(G)


def sum_of_multiples(first: Comb, a: int, second: Comb, b: int) -> Affine | None:
    """a * first + b * second; None for the point at infinity. a, b: below 2^256."""
    total = _INFINITY
    for left, right in zip(first.columns(a), second.columns(b), strict=True):
        total = _double(total)
        for entry in (first.table[left], second.table[right]):
            if entry is not None:
                total = _add(total, entry)
    return _affine(total) if total[2] else None
