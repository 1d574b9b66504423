"""A pygame window that shows pictures: ``render_mode="human"``."""

from __future__ import annotations

from typing import Any

import numpy as np


class Window:
    """A window of the first picture's size. Later pictures are scaled to it."""

    def __init__(self, title: str, fps: int):
        import pygame

        pygame.display.init()
        self._pygame, self._title, self._fps = pygame, title, fps
        self._surface: Any = None
        self._clock = pygame.time.Clock()

    def show(self, picture: np.ndarray) -> None:
        """Show a uint8 ``[height, width, 3]`` picture and wait for the frame's time to pass."""
        pygame = self._pygame
        if self._surface is None:
            self._surface = pygame.display.set_mode(picture.shape[1::-1])
            pygame.display.set_caption(self._title)
        frame = pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        if frame.get_size() != self._surface.get_size():
            frame = pygame.transform.scale(frame, self._surface.get_size())
        self._surface.blit(frame, (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        self._pygame.display.quit()
