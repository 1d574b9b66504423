from tests.parity.runner import load, run, same


def test_recorded_vectors(vector_file):
    system, passed, failures = run(vector_file)
    assert not failures, f"{system}: {passed} passed, {len(failures)} failed\n" + "\n".join(failures[:10])
    assert passed == len(load(vector_file)["cases"]) > 0


def test_the_runner_tells_right_from_wrong():
    assert same({"a": [1.0, "x"], "b": 2}, {"a": [1.0 + 1e-9, "x"]}, 1e-6, 0)
    assert not same(1.1, 1.0, 1e-6, 0)
    assert not same("ValueError: no", 0.0, 1e-6, 0)
    assert same(float("nan"), "NaN", 0, 0)
