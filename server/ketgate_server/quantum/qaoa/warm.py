"""Warm starts: a mixer about a tilted axis, written as turns about Z around one about X.

exp(-i beta (cos t Z + sin t X)) = exp(-i a Z) exp(-i b X) exp(-i a Z) with sin b = sin beta sin t and
tan 2a = tan beta cos t. The turns join the phases before and after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ketgate_server.quantum.qaoa.problem import Floats

SINGULAR = 1e-12
"""Where cos b is less, b has no slope: the tilt is pi/2 and beta too."""


@dataclass(frozen=True)
class TiltedLayers:
    """A program for the kernel, and how its angles move with the betas. All (p, n)."""

    turns: Floats
    betas: Floats
    turn_slopes: Floats
    """Of one turn, of the two about each mixer."""
    beta_slopes: Floats

    def by_beta(self, turns: Floats, betas: Floats) -> Floats:
        """(p,) derivatives by the layers' betas, from those by turns and by qubits' betas."""
        both = turns.copy()
        both[:-1] += turns[
            1:
        ]  # the turn after a mixer joins the next phase; after the last it does nothing
        return np.asarray((both * self.turn_slopes + betas * self.beta_slopes).sum(axis=1))


def tilted_layers(betas: Floats, tilts: Floats) -> TiltedLayers:
    """betas: (p,); tilts: (n,)."""
    c, s = np.cos(betas)[:, None], np.sin(betas)[:, None]
    across, along = np.sin(tilts)[None, :], np.cos(tilts)[None, :]
    square = c**2 + (s * along) ** 2
    cosine = np.maximum(np.sqrt(square), SINGULAR)
    half = 0.5 * np.arctan2(s * along, c)
    turns = half.copy()
    turns[1:] += half[:-1]
    slopes = 0.5 * along / cosine**2
    return TiltedLayers(
        turns, np.arcsin(np.clip(s * across, -1.0, 1.0)), slopes, c * across / cosine
    )


def start_amplitudes(tilts: Floats) -> Floats:
    """(n, 2)"""
    return np.stack([np.cos(tilts / 2.0), np.sin(tilts / 2.0)], axis=1)
