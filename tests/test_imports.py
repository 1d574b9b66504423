"""Dependencies point one way: scripts -> agents -> envs -> rewards; and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys

ORDER = ("rewards", "envs", "agents", "scripts")  # each may import itself and what stands before it


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield node.module


def test_dependencies_point_one_way(repository):
    for place, folder in enumerate(ORDER):
        files = list((repository / folder).rglob("*.py"))
        assert files
        for path in files:
            for module in imported(path):
                parts = module.split(".")
                assert parts[0] not in ORDER, f"{path} imports {module}: say rewardscape.{module}"
                if parts[0] == "rewardscape" and len(parts) > 1 and parts[1] in ORDER:
                    assert ORDER.index(parts[1]) <= place, f"{path} imports {module}"


def loaded_by(program, folder):
    code = f"{program}\nimport sys; print(*[m for m in ('numba', 'torch', 'pygame', 'stable_baselines3', 'matplotlib') if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder).stdout.split()


def test_importing_registers_and_loads_nothing_heavy(tmp_path):
    assert (
        loaded_by("import rewardscape, gymnasium; assert 'rewardscape/GUIGrounding-v0' in gymnasium.registry", tmp_path) == []
    )


def test_rewards_need_neither_numba_nor_torch(tmp_path):
    assert loaded_by("import rewardscape.rewards as r; r.get_reward('gui-g2')", tmp_path) == []


def test_the_registration_module_stays_small(repository):
    assert len((repository / "rewardscape" / "__init__.py").read_text().splitlines()) < 40
