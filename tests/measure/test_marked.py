"""Marks in text: what was packed comes out again, and another number of examples is refused."""

import pytest
import torch

from harness.measure.marked import packed, unpacked


@pytest.mark.parametrize("examples", [1, 7, 8, 9, 397])
def test_what_was_packed_comes_out_again(examples: int) -> None:
    marked = torch.rand(3, examples, generator=torch.Generator().manual_seed(examples)) < 0.3
    texts = packed(marked)
    assert torch.equal(unpacked(texts, examples), marked)
    assert {len(text) for text in texts} == {2 * -(-examples // 8)}


@pytest.mark.parametrize("examples", [8, 17])
def test_marks_of_another_number_of_examples_are_refused(examples: int) -> None:
    with pytest.raises(ValueError, match=f"{examples} examples take"):
        unpacked(packed(torch.ones(2, 9, dtype=torch.bool)), examples)
