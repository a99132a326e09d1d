"""What agreement keeps and what it lets slip, on recorded outputs of real small models, through the client itself."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data" / "routing" / "agreement_dev.jsonl"
LLAMA, GEMMA, QWEN = "Meta-Llama-3.1-8B-Instruct", "gemma-2-9b-it", "Qwen2-7B-Instruct"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("agreement", ROOT / "tools" / "agreement.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["agreement"] = module
    spec.loader.exec_module(module)
    return module


needs_data = pytest.mark.skipif(
    not DATA.is_file(), reason=f"{DATA.name} is not there: recorded outputs are no part of the project"
)


@needs_data
def test_llama_confirmed_by_gemma_keeps_most_local_and_little_of_it_is_wrong(tool: ModuleType) -> None:
    found = tool.measure(tool.read(DATA), LLAMA, GEMMA)
    print(
        f"kept {found.kept_share:.2%}, wrong where the strong model is right {found.lost_share:.2%}, all wrong {found.wrong_share:.2%}"
    )
    assert found.rows == 924
    assert found.kept_share >= 0.78
    assert found.lost_share <= 0.02
    assert found.wrong_share <= 0.035


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(LLAMA, QWEN), (QWEN, GEMMA), (GEMMA, LLAMA)])
def test_other_pairs_err_seldom_too(tool: ModuleType, first: str, second: str) -> None:
    found = tool.measure(tool.read(DATA), first, second)
    assert found.kept_share >= 0.7
    assert found.lost_share <= 0.025


def test_the_measure_counts_what_it_says(tool: ModuleType) -> None:
    def row(n: int, one: str, two: str, right: float, strong: float) -> dict[str, object]:
        return {
            "prompt": f"question {n}",
            "outputs": {"a": one, "b": two},
            "correct": {"a": right, "b": right, "c": strong},
        }

    rows = [
        row(1, "The answer is 18.", '{"answer": "$18"}', 1.0, 1.0),  # kept, right
        row(2, "17", "17", 0.0, 1.0),  # kept, wrong, the strong one is right
        row(3, "17", "17 eggs", 0.0, 0.0),  # kept, wrong as the strong one
        row(4, "17", "18", 0.0, 1.0),  # goes up
        row(5, "I cannot say.", "18", 0.0, 0.0),  # goes up without a question to b
    ]
    found = tool.measure(rows, "a", "b")
    assert (found.rows, found.kept, found.wrong, found.wrong_where_strong_is_right, found.right) == (5, 3, 2, 1, 2)
    assert found.reasons == {"disagreement": 1, "no_answer": 1}
    text = "\n".join(tool.table(rows, [("a", "b")]))
    assert "60.0%" in text
    assert "33.33%" in text
    assert "66.67%" in text
