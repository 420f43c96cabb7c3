"""The plan of a call, before it is made."""

import pytest
from scipy import sparse
from stored import labelled, on_disk, values_of

import scpdex


def test_a_plan_takes_the_arguments_of_the_call(tmp_path):
    disk = on_disk(labelled(sparse.csr_matrix(values_of("float32"))), tmp_path, "h5ad")
    plan = scpdex.get.plan(disk, "group", method="wilcoxon", key_added="other", copy=True, show_progress=True)
    assert plan.strategy == "loaded rows"
    with pytest.raises(TypeError, match=r"plan\(\) got an unexpected keyword argument 'maxmemory'"):
        scpdex.get.plan(disk, "group", maxmemory="1GB")
