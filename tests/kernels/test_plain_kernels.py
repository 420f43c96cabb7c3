"""Row 33: NUMBA_DISABLE_JIT=1, where kernels are plain Python: every storage and strategy works, with the same bits."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles import assert_same_bits

# numpy's expm1 need not be the compiler's, to the bit.
OF_EXPM1 = "t-test"


@pytest.mark.slow
def test_results_are_those_of_compiled_kernels(tmp_path):
    """Row 33: with RuntimeWarnings as errors, since plain Python tells of an overflow where compiled code does not."""
    found = {}
    for disabled in ("0", "1"):
        path = tmp_path / disabled
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        command = [sys.executable, str(Path(__file__).parents[1] / "support" / "without_jit.py"), str(path)]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        found[disabled] = pickle.loads(path.read_bytes())  # noqa: S301
    compiled, plain = found["0"], found["1"]
    assert compiled.keys() == plain.keys()
    assert len(plain) > 600
    for name, expected in compiled.items():
        if "ranks" in name or "splits" in expected:
            assert plain[name]["splits"].tolist() == expected["splits"].tolist()
            continue
        results = [dict(expected), dict(plain[name])]
        if OF_EXPM1 in name:
            changes = [result.pop("logfoldchanges") for result in results]
            for group in expected["names"].dtype.names:
                np.testing.assert_allclose(*(change[group] for change in changes), rtol=1e-6)
        assert_same_bits(*results)
