"""PyTorch's uniform numbers on the CPU, the same ones several times faster.

The generator is Matsumoto and Nishimura's MT19937 (1998): one state of 624 words gives 624 numbers.
PyTorch computes them one by one; here a state is computed, and turned into numbers, at once.
"""

from functools import cache

import numpy as np
import torch
from numba import njit
from torch import Tensor

from resparse.engine.places import Array

WORDS, SHIFT = 624, 397

# what torch.Generator.get_state gives, byte by byte
STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),  # words that are left, and one
        ("seeded", "<i4"),
        ("next", "<u8"),  # the place of the first of them
        ("words", "<u8", WORDS),
        ("normal", "V40"),
    ]
)


@njit(nogil=True, cache=True)
def mixed(high, low):  # type: ignore[no-untyped-def]
    """The recurrence's matrix on the upper bit of one word and the lower bits of the next."""
    word = (high & 0x80000000) | (low & 0x7FFFFFFF)
    return (word >> 1) ^ ((word & 1) * 0x9908B0DF)


@njit(nogil=True, cache=True)
def advance(words):  # type: ignore[no-untyped-def]
    """The next state, in place of this."""
    for i in range(WORDS - SHIFT):
        words[i] = words[i + SHIFT] ^ mixed(words[i], words[i + 1])
    for i in range(WORDS - SHIFT, WORDS - 1):
        words[i] = words[i + SHIFT - WORDS] ^ mixed(words[i], words[i + 1])
    words[WORDS - 1] = words[SHIFT - 1] ^ mixed(words[WORDS - 1], words[0])


@njit(nogil=True, cache=True)
def tempered(words, numbers):  # type: ignore[no-untyped-def]
    """numbers: float32 in [0, 1) of 24 bits of each word."""
    for i in range(len(words)):
        word = words[i]
        word ^= word >> np.uint32(11)
        word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
        word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
        word ^= word >> np.uint32(18)
        numbers[i] = np.float32(np.int32(word & np.uint32(0xFFFFFF))) * np.float32(2.0**-24)


@njit(nogil=True, cache=True)
def fill(words, start, numbers):  # type: ignore[no-untyped-def]
    """All numbers, from the word ``start`` on; gives the place of the word after the last."""
    done = 0
    while done < len(numbers):
        if start == WORDS:
            advance(words)
            start = 0
        some = min(WORDS - start, len(numbers) - done)
        tempered(words[start : start + some], numbers[done : done + some])
        done += some
        start += some
    return start


def uniform(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """``torch.rand(shape, generator=generator)``: float32, and the generator moves on as there."""
    return drawn(shape, generator) if is_known() else torch.rand(shape, generator=generator)


def drawn(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """``uniform``, where a generator's state is laid out as STATE."""
    saved = generator.get_state()
    state = saved.numpy().view(STATE)
    words = state["words"][0].astype(np.uint32)
    numbers = torch.empty(shape)
    flat: Array = numbers.view(-1).numpy()
    # before a first number no word is left, whatever place is said to be the next
    start = WORDS - (int(state["left"][0]) - 1)
    after = fill(words, start, flat)
    state["words"][0], state["next"][0], state["left"][0] = words, after, WORDS - after + 1
    generator.set_state(saved)
    return numbers


@cache
def is_known() -> bool:
    """Whether this PyTorch draws as this file does; where it does not, PyTorch is asked."""
    theirs, ours = torch.Generator(), torch.Generator()
    if theirs.get_state().numel() != STATE.itemsize:
        return False
    shape = torch.Size([2 * WORDS + 1])
    known = torch.rand(shape, generator=theirs.manual_seed(1))
    same = known.equal(drawn(shape, ours.manual_seed(1)))
    return same and theirs.get_state().equal(ours.get_state())
