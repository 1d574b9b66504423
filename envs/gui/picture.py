"""Marks on pictures: NumPy for boxes, crosses and heat, pygame for letters."""

from __future__ import annotations

from typing import Any

import numpy as np

INK, PAPER = (30, 30, 34), (250, 250, 248)


def enlarge(screen: np.ndarray, scale: int) -> np.ndarray:
    """A copy of ``screen`` (uint8 ``[h, w, 3]``) with each pixel ``scale`` times as large."""
    return np.repeat(np.repeat(screen, scale, 0), scale, 1)


def warm(picture: np.ndarray, field: np.ndarray | None) -> np.ndarray:
    """``picture`` with ``field`` (``[y, x]`` in [0, 1], any resolution) laid over it as heat."""
    if field is None:
        return picture
    height, width = picture.shape[:2]
    rows = np.minimum(np.arange(height) * field.shape[0] // height, field.shape[0] - 1)
    columns = np.minimum(np.arange(width) * field.shape[1] // width, field.shape[1] - 1)
    share = np.clip(field, 0, 1)[rows][:, columns, None]
    cold, warm = np.array([52.0, 84, 190]), np.array([240.0, 120, 20])
    colour = cold + (warm - cold) * share
    opacity = 0.12 + 0.5 * share
    return (picture * (1 - opacity) + colour * opacity).astype(np.uint8)


def outline(picture: np.ndarray, box: Any, colour: tuple[int, int, int], thickness: int = 2) -> None:
    """Draw the edges of ``box`` (x1, y1, x2, y2, in the picture's pixels) just outside it."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    for t in range(1, thickness + 1):
        top, bottom, left, right = y1 - t, y2 + t - 1, x1 - t, x2 + t - 1
        xs = slice(max(left, 0), max(min(right + 1, width), 0))
        ys = slice(max(top, 0), max(min(bottom + 1, height), 0))
        for y in (top, bottom):
            if 0 <= y < height:
                picture[y, xs] = colour
        for x in (left, right):
            if 0 <= x < width:
                picture[ys, x] = colour


def cross(picture: np.ndarray, point: Any, colour: tuple[int, int, int], radius: int = 7) -> None:
    """Draw a cross at ``point`` (x, y), ringed in white so that it shows on any ground."""
    x, y = (round(float(v)) for v in point)
    height, width = picture.shape[:2]
    for grow, shade in ((1, (255, 255, 255)), (0, colour)):
        for dx, dy in ((radius, grow + 1), (grow + 1, radius)):
            ys, xs = (
                slice(max(y - dy, 0), max(min(y + dy + 1, height), 0)),
                slice(max(x - dx, 0), max(min(x + dx + 1, width), 0)),
            )
            picture[ys, xs] = shade


def caption(picture: np.ndarray, text: str, size: int = 18) -> np.ndarray:
    """The picture with a strip below that says ``text`` (cut to fit)."""
    import pygame

    pygame.font.init()
    font = pygame.font.Font(None, size)
    while len(text) > 4 and font.size(text)[0] > picture.shape[1] - 12:
        text = text[:-4] + "…" if not text.endswith("…") else text[:-5] + "…"
    letters = font.render(text, True, INK, PAPER)
    strip = np.full((size + 8, picture.shape[1], 3), PAPER, np.uint8)
    drawn = pygame.surfarray.array3d(letters).swapaxes(0, 1)[:, : strip.shape[1] - 6]
    top = (strip.shape[0] - drawn.shape[0]) // 2
    strip[top : top + drawn.shape[0], 6 : 6 + drawn.shape[1]] = drawn
    return np.concatenate([picture, strip])
