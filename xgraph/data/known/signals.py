"""The arithmetic of AV-MNIST: images with little of their energy, speech in noise, spectrograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from xgraph.data.known.record import Array

RATE = 8000
WINDOW, HOP, FRAMES = 222, 70, 112
CANVAS = WINDOW + HOP * (FRAMES - 1)
"""How many samples a recording is placed on: 112 frames just fit."""


@final
@dataclass(frozen=True)
class Pca:
    """The leading components of images, and the share of the variance that they hold."""

    mean: Array
    components: Array
    kept: float

    @staticmethod
    def fit(images: Array, energy: float) -> Pca:
        """As few components as hold at least `energy` of the variance of `images`."""
        rows = images.reshape(len(images), -1).astype(np.float64)
        mean = rows.mean(0)
        variances, vectors = np.linalg.eigh(rows.T @ rows / len(rows) - np.outer(mean, mean))
        share = np.cumsum(variances[::-1]) / max(variances.sum(), 1e-12)
        count = min(int(np.searchsorted(share, energy)) + 1, len(share))
        return Pca(mean, vectors[:, ::-1][:, :count], float(share[count - 1]))

    def reduce(self, images: Array) -> Array:
        """`images` N,1,H,W without what the components do not hold."""
        rows = images.reshape(len(images), -1).astype(np.float64) - self.mean
        rows = (rows @ self.components) @ self.components.T + self.mean
        whole: Array = np.clip(np.rint(rows), 0, 255).astype(np.uint8)
        return whole.reshape(len(images), 1, *images.shape[-2:])


def mix(speech: Array, noise: Array, at: Array, snr: float, out: Array) -> None:
    """Put `speech` and a stretch of `noise` on the canvas `out`, `snr` dB apart.

    `at` are two numbers from 0 to 1: where the speech begins, and the stretch of noise.
    """
    if len(speech) > CANVAS:
        speech = speech[(len(speech) - CANVAS) // 2 :][:CANVAS]
    if len(noise) < CANVAS:
        noise = np.resize(noise, CANVAS)
    start = int(at[1] * (len(noise) - CANVAS + 1))
    stretch = noise[start : start + CANVAS]
    np.multiply(stretch, 10.0 ** (-snr / 20.0) / _rms(stretch), out=out)
    start = int(at[0] * (CANVAS - len(speech) + 1))
    out[start : start + len(speech)] += speech / _rms(speech)


def _rms(wave: Array) -> float:
    return max(float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))), 1e-9)


def spectrograms(waves: Array, db_range: float) -> Array:
    """Log-power spectrograms N,1,112,112 of canvases: 255 is the loudest, 0 `db_range` below it."""
    window = np.hanning(WINDOW + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(waves, WINDOW, axis=1)[:, ::HOP]
    spectrum = np.fft.rfft(frames * window, axis=2)
    levels: Array = 10.0 * np.log10(spectrum.real**2 + spectrum.imag**2 + 1e-12)
    levels -= levels.max(axis=(1, 2), keepdims=True)
    scaled = np.clip(np.rint((levels / db_range + 1.0) * 255.0), 0, 255).astype(np.uint8)
    return scaled.transpose(0, 2, 1)[:, None]


def prepared(wave: Array, rate: int) -> Array:
    """A clip at 8 kHz, without its silence and with its peak at 1.

    The clips of ESC-50 are filled up with silence. A stretch of it has no loudness to scale.
    """
    from scipy.signal import resample_poly

    if rate != RATE:
        common = np.gcd(RATE, rate)
        wave = resample_poly(wave.astype(np.float32), RATE // common, rate // common)
    size = RATE // 50
    frames = np.resize(wave, (-(-len(wave) // size), size))
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loud = np.repeat(power > power.max() * 1e-6, size)[: len(wave)]
    heard = wave[loud] if loud.any() else wave
    return (heard / max(float(np.abs(heard).max()), 1e-9)).astype(np.float32)
