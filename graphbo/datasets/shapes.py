"""A synthetic task of image classification, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbo.datasets.base import PARTS, ImageData, check_whole, from_arrays
from graphbo.errors import InputError

Array = NDArray[np.float64]


def _disc(u: Array, v: Array) -> Array:
    return 0.95 - np.sqrt(u * u + v * v)


def _ring(u: Array, v: Array) -> Array:
    return 0.3 - np.abs(np.sqrt(u * u + v * v) - 0.7)


def _square(u: Array, v: Array) -> Array:
    return 0.8 - np.maximum(np.abs(u), np.abs(v))


def _triangle(u: Array, v: Array) -> Array:
    return np.minimum(v + 0.75, 0.6175 - 0.45 * v - 0.9 * np.abs(u))


def _plus(u: Array, v: Array) -> Array:
    return np.maximum(_bar(u, v, 0.36), _bar(v, u, 0.36))


def _tee(u: Array, v: Array) -> Array:
    return np.maximum(_bar(u, v, 0.3), _bar(v + 0.7, u, 0.3))


def _angle(u: Array, v: Array) -> Array:
    return np.maximum(_bar(u + 0.6, v, 0.3), _bar(v + 0.7, u, 0.3))


def _rails(u: Array, v: Array) -> Array:
    return _bar(np.abs(u) - 0.6, v, 0.28)


def _bar(across: Array, along: Array, half_width: float) -> Array:
    depth: Array = np.minimum(half_width - np.abs(across), 1 - np.abs(along))
    return depth


# Depth below the outline (negative outside) at a point, where a shape has a radius of about 1.
_SHAPES: tuple[Callable[[Array, Array], Array], ...] = (
    _disc,
    _square,
    _triangle,
    _plus,
    _ring,
    _tee,
    _angle,
    _rails,
)
_WHOLE = ("size", "classes", "seed", "clutter")
_PERIOD = 3.0  # pixels from stripe to stripe, on a canvas of 12
_CANVAS = 12
_CHUNK = 2000  # images drawn at once, for the sake of memory
_NUMBERS, _CLUTTER_NUMBERS = 10, 9  # drawn for an image, and for each fragment in it
_LEVELS = 32.0  # steps of brightness from 0 to the largest contrast


def shapes(
    train: int = 1000,
    validation: int = 1000,
    test: int = 1000,
    *,
    size: int = 12,
    classes: int = 10,
    seed: int = 0,
    clutter: int = 1,
    clutter_contrast: float = 0.6,
    noise: float = 0.1,
    grating: float = 0.1,
    displacement: float = 1.5,
    rotation: float = 0.2,
) -> ImageData:
    """Draw grey images of striped shapes before clutter; the class is shape and stripes together.

    There are two classes for each shape (disc, square, triangle, plus, ring, tee, angle, rails):
    its stripes run along its axis or across it. Shapes vary in place, size, orientation, contrast
    and polarity. Behind them lie fragments of other striped shapes and a weak grating of the same
    period, and noise lies over everything, so that neither single pixels, nor local features, nor
    how often they occur give a class away: the stripes count only within the shape. Classes are as
    frequent as one another, and an image of one part is the same for every number of images.

    The images are rounded to whole levels of brightness, so that they do not depend on the machine.

    Args:
        train: Images for training.
        validation: Images for validation.
        test: Images for the test.
        size: Height and width in pixels, from 8; everything scales with it.
        classes: Number of classes, an even number from 2 to 16.
        seed: The seed of all images.
        clutter: Fragments behind each shape.
        clutter_contrast: Their contrast, from 0 to 1; that of a shape is 0.6 to 1.
        noise: Standard deviation of the noise.
        grating: Largest amplitude of the grating in the background.
        displacement: Largest distance of a shape from the centre in each direction, in pixels on a
            canvas of 12.
        rotation: Tangent of half the largest angle by which a shape is turned to either side.

    Raises:
        InputError: If a number is out of range.

    Example:
        >>> data = shapes(train=500, size=16)
        >>> data.train[0].shape, data.classes
        (torch.Size([500, 1, 16, 16]), 10)
    """
    sizes = dict(zip(PARTS, (train, validation, test), strict=True))
    for name, value, low in (
        *((part, count, 1) for part, count in sizes.items()),
        ("size", size, 8),
        ("seed", seed, 0),
        ("clutter", clutter, 0),
        ("clutter_contrast", clutter_contrast, 0),
        ("noise", noise, 0),
        ("grating", grating, 0),
        ("displacement", displacement, 0),
        ("rotation", rotation, 0),
    ):
        if not value >= low:
            raise InputError(f"{name} must be at least {low}; got {value}")
    for name, value in (*sizes.items(), *zip(_WHOLE, (size, classes, seed, clutter), strict=True)):
        check_whole(name, value)
    if classes % 2 or not 2 <= classes <= 2 * len(_SHAPES):
        raise InputError(
            f"classes must be an even number from 2 to {2 * len(_SHAPES)}; got {classes}"
        )
    scene = _Scene(size, classes, clutter, clutter_contrast, noise, grating, displacement, rotation)
    parts = tuple(
        scene.draw(count, np.random.SeedSequence([seed, i]))
        for i, count in enumerate(sizes.values())
    )
    return from_arrays("shapes", parts, classes, "striped shapes before clutter, drawn from a seed")


@dataclass(frozen=True)
class _Scene:
    """How images are drawn; the attributes are the arguments of `shapes`."""

    size: int
    classes: int
    clutter: int
    clutter_contrast: float
    noise: float
    grating: float
    displacement: float
    rotation: float

    def draw(
        self, count: int, seed: np.random.SeedSequence
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return images ``count x 1 x size x size`` and their classes ``count``."""
        placing, graining = (np.random.Generator(np.random.PCG64(child)) for child in seed.spawn(2))
        labels = np.arange(count) % self.classes
        images = []
        for start in range(0, count, _CHUNK):
            chosen = labels[start : start + _CHUNK]
            # One row of numbers for each image, so that it does not depend on how many follow.
            numbers = placing.uniform(
                size=(len(chosen), _NUMBERS + self.clutter * _CLUTTER_NUMBERS)
            )
            image = self._picture(chosen, numbers)
            image += self.noise * graining.standard_normal(image.shape)
            images.append((np.rint(image * _LEVELS) / _LEVELS).astype(np.float32))
        return np.concatenate(images)[:, None], labels

    def _picture(self, labels: NDArray[np.int64], numbers: Array) -> Array:
        """Return images without noise."""
        scale = self.size / _CANVAS
        draws = iter(numbers.T)

        def between(low: float, high: float) -> Array:
            values: Array = low + (high - low) * next(draws)
            return values

        here = np.zeros(len(labels))
        across, _ = self._grid(here, here, between(-1, 1), np.full(len(labels), _PERIOD * scale))
        amplitude = self.grating * next(draws)
        image = _column(amplitude) * _wave(across + _column(next(draws)))
        kinds = self.classes // 2
        for _ in range(self.clutter):
            kind = np.minimum(between(0, kinds).astype(int), kinds - 1)
            top, left = (between(-self.size / 2, self.size / 2) for _ in range(2))
            turn, radius, strength = between(-1, 1), between(2, 3.6) * scale, between(-1, 1)
            colour = self.clutter_contrast * (0.7 * strength + 0.3 * np.sign(strength))
            cut, lengthwise, phase = between(-1, 1), next(draws) > 0.5, next(draws)
            u, v = self._grid(top, left, turn, radius)
            depth = np.minimum(_depth(kind, u, v), u + _column(cut) * v)
            self._paint(image, depth, np.where(_column(lengthwise), v, u), radius, colour, phase)
        reach = self.displacement * scale
        top, left = (between(-reach, reach) for _ in range(2))
        turn, radius = between(-self.rotation, self.rotation), between(3.2, 4.4) * scale
        colour = np.where(next(draws) < 0.5, -1, 1) * between(0.6, 1)
        u, v = self._grid(top, left, turn, radius)
        stripes = np.where(_column(labels // kinds == 1), v, u)
        self._paint(image, _depth(labels % kinds, u, v), stripes, radius, colour, next(draws))
        return image

    def _grid(self, top: Array, left: Array, turn: Array, radius: Array) -> tuple[Array, Array]:
        """Return each pixel's place as a shape sees it, which has a centre, a turn and a radius.

        The turn is the tangent of half the angle: this needs no sine, which machines round
        differently.
        """
        pixel = np.arange(self.size) - (self.size - 1) / 2
        y = pixel[None, :, None] - _column(top)
        x = pixel[None, None, :] - _column(left)
        norm = (1 + turn * turn) * radius
        cosine, sine = _column((1 - turn * turn) / norm), _column(2 * turn / norm)
        return cosine * x + sine * y, cosine * y - sine * x

    def _paint(
        self, image: Array, depth: Array, stripes: Array, radius: Array, colour: Array, phase: Array
    ) -> None:
        """Paint a striped shape over an image, in place, with an edge one pixel wide."""
        opacity = np.clip(0.5 + depth * _column(radius), 0, 1)
        across = stripes * _column(radius / (_PERIOD * self.size / _CANVAS)) + _column(phase)
        image += opacity * (_column(colour) * (0.6 + 0.4 * _wave(across)) - image)


def _column(values: NDArray[Any]) -> NDArray[Any]:
    """Return one value for each image as ``n x 1 x 1``."""
    return values[:, None, None]


def _wave(x: Array) -> Array:
    """Return the triangle wave of period 1 from -1 to 1."""
    wave: Array = 4 * np.abs(x - np.floor(x) - 0.5) - 1
    return wave


def _depth(kinds: NDArray[np.int64], u: Array, v: Array) -> Array:
    """Return how deep each pixel lies within a shape of one kind for each image."""
    depth = np.empty_like(u)
    for kind in np.unique(kinds):
        which = kinds == kind
        depth[which] = _SHAPES[kind](u[which], v[which])
    return depth
