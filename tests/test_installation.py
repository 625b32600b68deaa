"""Making `.venv`: once, again when the lock changes, and never a half that looks whole."""

import sys

import pytest

from project import installation

pytestmark = pytest.mark.once


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with two locks, whose installer only notes what it was asked."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("one==1\n")
    venv = tmp_path / ".venv"
    monkeypatch.setattr(installation, "BASE_DIR", tmp_path)
    monkeypatch.setattr(installation, "VENV", venv)
    monkeypatch.setattr(installation, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(
        installation, "LOCKS", {"run": tmp_path / "requirements.txt", "develop": tmp_path / "requirements-dev.txt"}
    )
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    names = []
    monkeypatch.setattr(installation, "install", lambda lock, uv, held: names.append(lock.name))
    return names


@pytest.fixture
def install(monkeypatch):
    def call(purpose):
        monkeypatch.setattr(sys, "argv", ["installation.py", purpose])
        return installation.main()

    return call


def test_nothing_is_installed_twice(project, installed, install):
    assert install("run") == 0
    assert install("run") == 0

    assert installed == ["requirements.txt"]


def test_the_lock_of_development_serves_the_site_too(project, installed, install):
    install("develop")

    install("run")

    assert installed == ["requirements-dev.txt"]


def test_a_changed_lock_is_installed_and_a_touched_one_is_not(project, installed, install):
    install("run")
    (project / "requirements.txt").touch()
    install("run")
    (project / "requirements.txt").write_text("one==2\n")

    install("run")

    assert installed == ["requirements.txt"] * 2


def test_an_installation_that_failed_is_done_again(project, installed, install, monkeypatch, capsys):
    def give_up(lock, uv, held):
        raise installation.InstallationFailed("the disk is full")

    install("run")
    (project / "requirements.txt").write_text("one==2\n")
    with monkeypatch.context() as broken:
        broken.setattr(installation, "install", give_up)
        assert install("run") == 1
    (project / "requirements.txt").write_text("one==1\n")

    install("run")

    assert "the disk is full" in capsys.readouterr().err
    assert installed == ["requirements.txt"] * 2


def test_an_environment_whose_python_is_gone_is_made_anew(project, installed, install):
    install("run")
    (project / ".venv" / "bin" / "python").unlink()

    install("run")

    assert installed == ["requirements.txt"] * 2
    assert installation.python_version() == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_a_python_in_pieces_is_told_what_to_install(project, install, monkeypatch, capsys):
    monkeypatch.setattr(installation, "can_import", lambda name: name != "ensurepip")
    monkeypatch.setenv("PATH", "")

    code = install("run")

    assert code == 1
    assert "apt-get install python3-venv" in capsys.readouterr().err


def test_pip_that_fails_is_heard_in_full(capsys):
    code = installation.run_pip(
        [sys.executable, "-c", "print('Collecting one==1'); print('why'); raise SystemExit(3)"], 1, 0
    )

    assert code == 3
    assert "why" in capsys.readouterr().err
